"""Reviewing inside a server: requests in, reports out, on as many warm killable children as are needed.

The rest of this package sees only ``Engine``; what reviews can be exchanged.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from pathlib import Path
from typing import Protocol

from trainwarden.github.settings import Mode, Settings
from trainwarden.model import Misuse, Options, Report, Request, Unfinished
from trainwarden.sandbox import Reviewer, error_report, version


class Engine(Protocol):
    """What settles a head asks of the reviewing side."""

    @property
    def identity(self) -> str:
        """Changes when the same request could get another answer: version, operator's rules, model."""

    def review(self, request: Request, config_file: str | None) -> Report:
        """Review one change; never raises for what the change contains (verdict ``error`` instead)."""

    def mode(self, config: bytes | None, origin: str) -> Mode:
        """The mode a policy asks for. Raises ``Misuse`` when the policy cannot be read."""

    def close(self) -> None:
        """End the children."""


class Children:
    """The engine in use: a pool of ``sandbox.Reviewer``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[str | None, queue.SimpleQueue[Reviewer]] = {}
        self._lock = threading.Lock()
        self._identity = f"{version()} {settings.model} {_directory_digest(settings.rules_dir)}"

    @property
    def identity(self) -> str:
        """See ``Engine.identity``."""
        return self._identity

    def review(self, request: Request, config_file: str | None) -> Report:
        """See ``Engine.review``."""
        with self._lock:
            idle = self._idle.setdefault(config_file, queue.SimpleQueue())
        try:
            reviewer = idle.get_nowait()
        except queue.Empty:
            reviewer = Reviewer(self._options(config_file))
        try:
            return reviewer.review(request)
        except (Misuse, Unfinished) as error:
            return error_report(request, str(error))
        finally:
            idle.put(reviewer)

    def _options(self, config_file: str | None) -> Options:
        return Options(
            rules_dir=self._settings.rules_dir,
            model=self._settings.model,
            config_file=config_file,
            seconds=self._settings.review_seconds,
        )

    def mode(self, config: bytes | None, origin: str) -> Mode:
        """See ``Engine.mode``."""
        from trainwarden import config as configuration

        loaded: Mode = configuration.load(config, origin).mode
        return loaded

    def close(self) -> None:
        """See ``Engine.close``."""
        with self._lock:
            for idle in self._idle.values():
                while not idle.empty():
                    idle.get_nowait().close()


def _directory_digest(directory: str | None) -> str:
    """The contents of the operator's rule directory, so that new rules mean new reviews."""
    found = hashlib.sha256()
    for path in sorted(Path(directory).rglob("*.yml")) if directory else ():
        found.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
