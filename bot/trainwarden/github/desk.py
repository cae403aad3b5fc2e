"""Listening sockets: an application and an address in, a uvicorn server out that leaves signals to its owner."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from trainwarden.github.settings import Bind

GRACE = 20


class Server(uvicorn.Server):
    """A server that does not touch signals: several share one process, some of them in threads."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


def server(application: ASGIApp, bind: Bind) -> Server:
    """A server for one application, with the limits we want everywhere."""
    config = uvicorn.Config(
        application,
        host=bind.host,
        port=bind.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
        limit_concurrency=2_000,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="on",
    )
    return Server(config)


def in_thread(application: ASGIApp, bind: Bind) -> Server:
    """A server that runs beside other work; ``should_exit = True`` ends it."""
    made = server(application, bind)
    threading.Thread(target=made.run, name="desk", daemon=True).start()
    return made
