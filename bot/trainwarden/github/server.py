"""The webhook door: signed HTTP deliveries in, durable rows out, 202 only after the commit.

The door does as little as it can: check the signature, measure, read identifiers, store. Deliveries that
arrive together share one transaction. Health, readiness and metrics are a second application, for another
address.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from trainwarden.github import events
from trainwarden.github.logs import note, warn
from trainwarden.github.metrics import Metrics
from trainwarden.github.settings import Settings
from trainwarden.github.signature import HEADER, valid
from trainwarden.github.store import Delivery, Store, digest

LOG = logging.getLogger("trainwarden.server")
_DELIVERY = re.compile(r"[A-Za-z0-9-]{8,64}")
_EVENT = re.compile(r"[a-z0-9_]{1,64}")
_BATCH = 128
_SLOWEST_BODY = 10.0
# Bodies in memory at a time, of all connections: whoever they are from is known only when they are here.
_MOST_HELD = 256 * 2**20
_ACK = "webhook_seconds"


class Writer:
    """Commits deliveries in batches: whoever waits is woken after the commit that holds their delivery."""

    def __init__(self, accept: Callable[[list[Delivery]], int]) -> None:
        self._accept = accept
        self._queue: asyncio.Queue[tuple[Delivery, asyncio.Future[None]]] = asyncio.Queue(maxsize=10_000)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="deliveries")

    async def store(self, delivery: Delivery) -> None:
        """Return once the delivery is on disk. Raises what the database raised."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((delivery, future))
        await future

    async def run(self) -> None:
        """Take what waits, commit it together, wake the waiting; for ever."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            commit = loop.run_in_executor(self._thread, self._accept, [delivery for delivery, _ in batch])
            # Whatever went wrong goes to those who wait for this batch; the next one is not to suffer for it.
            await asyncio.wait([commit])
            for _, future in batch:
                _wake(future, commit.exception())

    async def drain(self) -> None:
        """Wait until nothing is left to commit, for a graceful stop."""
        while not self._queue.empty():
            await asyncio.sleep(0.01)
        self._thread.shutdown(wait=True)


def _wake(future: asyncio.Future[None], failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


class _Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Door:
    """Reads one delivery. Everything it answers is fixed text: nothing of the request is echoed."""

    def __init__(self, settings: Settings, writer: Writer, metrics: Metrics) -> None:
        self._settings = settings
        self._writer = writer
        self._metrics = metrics
        self._held = 0

    async def receive(self, request: Request) -> Response:
        """202 when stored or not for us, 4xx when refused, 503 when it could not be stored."""
        started = time.monotonic()
        try:
            status, reason = 202, await self._read(request)
        except _Refusal as refusal:
            status, reason = refusal.status, refusal.reason
        except SQLAlchemyError as error:
            status, reason = 503, "not stored"
            warn(LOG, "delivery not stored", error=type(error).__name__)
        except ClientDisconnect:
            status, reason = 400, "connection lost"
        except TimeoutError:
            status, reason = 408, "too slow"
        words = "Webhook deliveries by outcome"
        self._metrics.count("webhooks_total", words, outcome=reason.replace(" ", "_"), status=str(status))
        self._metrics.observe(_ACK, "Seconds from request to answer", time.monotonic() - started)
        return PlainTextResponse(reason + "\n", status)

    async def _read(self, request: Request) -> str:
        delivery_id = request.headers.get("x-github-delivery", "")
        event = request.headers.get("x-github-event", "")
        async with asyncio.timeout(_SLOWEST_BODY):
            body = await self._body(request)
        if not valid(body, request.headers.get(HEADER, ""), self._settings.webhook_secrets):
            warn(LOG, "delivery refused: wrong signature")
            raise _Refusal(401, "wrong signature")
        if not _DELIVERY.fullmatch(delivery_id) or not _EVENT.fullmatch(event):
            raise _Refusal(400, "headers missing")
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise _Refusal(415, "not json")
        return await self._keep(delivery_id, event, body)

    async def _keep(self, delivery_id: str, event: str, body: bytes) -> str:
        try:
            jobs = events.jobs(event, events.decode(body), self._settings.app_id)
        except events.Malformed as error:
            warn(LOG, "delivery refused: malformed", delivery=delivery_id, event=event, reason=str(error))
            raise _Refusal(400, "malformed") from error
        if jobs:
            await self._writer.store(Delivery(delivery_id, digest(body), event, jobs))
            kinds = [job.kind for job in jobs]
            note(LOG, "delivery stored", delivery=delivery_id, event=event, repo=jobs[0].repo, jobs=kinds)
            return "stored"
        return "nothing to do" if events.known(event) else "unknown event"

    async def _body(self, request: Request) -> bytes:
        """The whole body, or a refusal as soon as it is known to be too long."""
        limit = self._settings.body_bytes
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > limit:
            raise _Refusal(413, "too large")
        parts, length = [], 0
        try:
            async for part in request.stream():
                length += len(part)
                self._held += len(part)
                if length > limit:
                    raise _Refusal(413, "too large")
                if self._held > _MOST_HELD:
                    raise _Refusal(503, "busy")
                parts.append(part)
        finally:
            self._held -= length
        return b"".join(parts)


def webhook_application(settings: Settings, store: Store, metrics: Metrics) -> Starlette:
    """The public application: one route."""
    writer = Writer(store.accept)
    door = Door(settings, writer, metrics)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(writer.run())
        yield
        await writer.drain()
        task.cancel()

    return Starlette(routes=[Route("/webhook", door.receive, methods=["POST"])], lifespan=lifespan)


def operator_application(store: Store, metrics: Metrics, ready: Callable[[], str]) -> Starlette:
    """Health, readiness, metrics for the operator's own network. ``ready`` says why not, '' when ready."""

    async def health(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readiness(_request: Request) -> Response:
        reason = await asyncio.to_thread(_ready, store, ready)
        return PlainTextResponse((reason or "ready") + "\n", 503 if reason else 200)

    async def numbers(_request: Request) -> Response:
        return PlainTextResponse(metrics.render(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[Route("/health", health), Route("/ready", readiness), Route("/metrics", numbers)],
    )


def _ready(store: Store, ready: Callable[[], str]) -> str:
    try:
        store.marked("ready")
    except SQLAlchemyError:
        return "database"
    return ready()
