"""The serving process: settings in, two listening sockets and a supervised worker process out.

The door and the work are separate processes, so that a review never delays an acknowledgement and a crash of
one leaves the other alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from trainwarden.github.desk import GRACE, Server, server
from trainwarden.github.logs import note, warn
from trainwarden.github.metrics import Metrics
from trainwarden.github.server import operator_application, webhook_application
from trainwarden.github.settings import Settings
from trainwarden.github.store import Store, engine

LOG = logging.getLogger("trainwarden.serve")
WORKER = (sys.executable, "-m", "trainwarden.github.command", "serve", "--role", "worker")
_RESTART_FIRST, _RESTART_LONGEST = 1.0, 60.0


class Supervisor:
    """Keeps one worker process alive, restarting it with growing pauses."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [*command, "--parent", str(os.getpid())]
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = _RESTART_FIRST
        self._not_before = 0.0
        self._started = 0.0

    def tend(self) -> None:
        """Start the worker where none runs."""
        if self.running or time.monotonic() < self._not_before:
            return
        if self._process is not None:
            lived = time.monotonic() - self._started
            self._pause = _RESTART_FIRST if lived > 60 else min(_RESTART_LONGEST, self._pause * 2)
            warn(LOG, "worker ended", status=self._process.returncode, pause=self._pause)
        self._process = subprocess.Popen(self._command)
        self._started = time.monotonic()
        self._not_before = self._started + self._pause

    @property
    def running(self) -> bool:
        """Whether the worker process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask the worker to finish, insist after a while."""
        if self._process is None or not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=GRACE + 15)
        except subprocess.TimeoutExpired:
            self._process.kill()


async def _serve(settings: Settings, supervisor: Supervisor | None) -> None:
    metrics = Metrics()
    store = Store(engine(settings.database_url.reveal()))
    await asyncio.to_thread(store.prepare)

    def ready() -> str:
        return "worker" if supervisor is not None and not supervisor.running else ""

    door = server(webhook_application(settings, store, metrics), settings.bind)
    desk = server(operator_application(store, metrics, ready), settings.metrics_bind)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leave, (door, desk))
    note(LOG, "serving", port=settings.bind.port, operators_port=settings.metrics_bind.port)
    tending = asyncio.create_task(_tend(supervisor)) if supervisor is not None else None
    await asyncio.gather(door.serve(), desk.serve())
    if tending is not None and supervisor is not None:
        tending.cancel()
        await asyncio.to_thread(supervisor.stop)
    store.close()


def _leave(servers: tuple[Server, ...]) -> None:
    for each in servers:
        each.should_exit = True


async def _tend(supervisor: Supervisor) -> None:
    while True:
        await asyncio.to_thread(supervisor.tend)
        await asyncio.sleep(0.5)


def run(settings: Settings, worker_command: Sequence[str] | None = WORKER) -> None:
    """Serve until SIGTERM or SIGINT; ``worker_command`` None means that workers run elsewhere."""
    supervisor = Supervisor(worker_command) if worker_command else None
    asyncio.run(_serve(settings, supervisor))
