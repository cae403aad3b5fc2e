"""The working process: settings in; jobs run until told to stop.

Beside the job engine's threads: the heartbeat that keeps our leases, the dispatcher and the reconciler (which
act only in the one worker that leads), and the watch over the parent process.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from trainwarden.github.app import App
from trainwarden.github.audit import Audit
from trainwarden.github.desk import in_thread
from trainwarden.github.dispatch import Dispatcher
from trainwarden.github.engine import Engine
from trainwarden.github.handle import Handler
from trainwarden.github.jobs import DbosQueue
from trainwarden.github.ledger import Ledger
from trainwarden.github.logs import note, warn
from trainwarden.github.metrics import Metrics
from trainwarden.github.mirror import Mirrors
from trainwarden.github.reading import Room
from trainwarden.github.reconcile import EXECUTOR, Reconciler
from trainwarden.github.server import operator_application
from trainwarden.github.settings import Bind, Settings
from trainwarden.github.store import Store, engine

LOG = logging.getLogger("trainwarden.worker")
LEADER = "leader"
_PARENT_CHECK = 0.5
_NICENESS = 5


class Worker:
    """Everything one worker runs. ``start`` returns at once; ``stop`` finishes what runs."""

    def __init__(self, settings: Settings, reviewing: Engine, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.store = Store(engine(settings.database_url.reveal()))
        self._settings = settings
        self._jobs = DbosQueue(settings)
        self._holder = f"{settings.executor}#{uuid.uuid4().hex[:12]}"
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        ledger = Ledger(self.store)
        self.room = Room(
            settings=settings,
            app=App(settings, self._sent),
            store=self.store,
            ledger=ledger,
            mirrors=Mirrors(settings.data / "mirrors", settings.mirror_bytes, settings.github_url),
            engine=reviewing,
            audit=Audit(settings, self._jobs.put),
            metrics=self.metrics,
            holder=self._holder,
        )
        self._dispatcher = Dispatcher(self.store, ledger, self._jobs)
        self._reconciler = Reconciler(self.room, self._jobs, self._dispatcher)

    def _sent(self, verb: str) -> None:
        self.metrics.count("github_requests_total", "Requests to GitHub", verb=verb)

    def start(self) -> None:
        """Prepare the tables, start the engine and the threads. Raises what the database raises."""
        self.store.prepare()
        self.store.inherit(self._settings.executor, self._holder)
        self._beat()
        self._jobs.start(Handler(self.room, self._jobs))
        every = self._settings
        loops: tuple[tuple[str, Callable[[], None], float], ...] = (
            ("heartbeat", self._beat, every.lease_seconds / 3),
            ("dispatch", self._dispatch, every.poll_seconds),
            ("adopt", self._adopt, every.lease_seconds / 2),
            ("reconcile", self._reconcile, every.reconcile_seconds),
        )
        for name, step, seconds in loops:
            thread = threading.Thread(target=self._loop, args=(name, step, seconds), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        note(LOG, "worker started", executor=every.executor, workers=every.workers)

    def _loop(self, name: str, step: Callable[[], None], seconds: float) -> None:
        while not self._stopping.is_set():
            try:
                step()
            except SQLAlchemyError as error:
                warn(LOG, "database not reached", loop=name, error=type(error).__name__)
            except Exception as error:
                LOG.error("loop failed", exc_info=error, extra={"fields": {"loop": name}})
            self._stopping.wait(seconds)

    def _beat(self) -> None:
        lease = self._settings.lease_seconds
        self.store.lease(EXECUTOR + self._settings.executor, self._settings.executor, lease)
        self.store.renew(self._holder, lease)

    def _leads(self) -> bool:
        return self.store.lease(LEADER, self._holder, self._settings.lease_seconds)

    def _dispatch(self) -> None:
        if self._leads():
            while self._dispatcher.run() and not self._stopping.is_set():
                pass

    def _adopt(self) -> None:
        if self._leads():
            self._reconciler.adopt()
        words = "Deliveries not yet queued, and jobs not yet finished"
        self.metrics.gauge("backlog", words, self.store.backlog(), what="deliveries")
        self.metrics.gauge("backlog", words, self._jobs.depth(), what="jobs")

    def _reconcile(self) -> None:
        if self._leads():
            with self.metrics.timed("reconcile_seconds", "Seconds of one reconciling round"):
                self._reconciler.run(self._stopping.is_set)

    def stop(self, seconds: float = 20.0) -> None:
        """Take no more jobs, finish what runs, release our leases."""
        self._stopping.set()
        self._jobs.stop(seconds)
        for thread in self._threads:
            thread.join(timeout=5.0)
        self.room.engine.close()
        self.store.release(LEADER, self._holder)
        self.store.release(EXECUTOR + self._settings.executor, self._settings.executor)
        self.store.close()


def run(settings: Settings, reviewing: Engine, parent: int = 0, worker: Worker | None = None) -> None:
    """Work until SIGTERM or SIGINT. With ``parent``, also die at once when that process is gone."""
    # Reviews give way to whatever acknowledges deliveries on the same machine.
    os.nice(_NICENESS)
    working = worker or Worker(settings, reviewing)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if parent:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    with _alone(settings):
        working.start()
        # The server's own numbers are at the address itself; its worker's at the next port.
        at = Bind(settings.metrics_bind.host, settings.metrics_bind.port + (1 if parent else 0))
        desk = in_thread(operator_application(working.store, working.metrics, lambda: ""), at)
        stop.wait()
        desk.should_exit = True
        working.stop()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Wait until no other process works under our name here.

    The worker of a killed server lives for a moment longer; two that share a name would take each other's jobs and
    leases for their own. The kernel frees the lock of a dead process.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(settings.executor.encode()).hexdigest()[:16]
    handle = os.open(settings.data / f"worker-{name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _watch(parent: int) -> None:
    """Everything is durable, so the worker of a dead server ends at once: its successor has the same name."""
    while os.getppid() == parent:
        threading.Event().wait(_PARENT_CHECK)
    os._exit(1)
