"""Reviewing inside a server: requests in, reports out, on as many warm killable children as are needed.

The rest of this package sees only ``Engine``; what reviews can be exchanged.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Protocol

from trainwarden.github.settings import Mode, Settings
from trainwarden.model import Misuse, Options, Report, Request, ScorerChoice, Unfinished
from trainwarden.sandbox import Reviewer, error_report, version
from trainwarden.score import artifact


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
    """The engine in use: a pool of ``sandbox.Reviewer``, no more of them idle than reviews may run at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[tuple[str | None, Reviewer]] = []
        self._lock = threading.Lock()
        model = f"{settings.scorer_url} {_model_digest(settings.model_dir)}" if settings.model else ""
        self._identity = f"{version()} {model} {_directory_digest(settings.rules_dir)}"

    @property
    def identity(self) -> str:
        """See ``Engine.identity``."""
        return self._identity

    def review(self, request: Request, config_file: str | None) -> Report:
        """See ``Engine.review``."""
        reviewer = self._taken(config_file)
        try:
            return reviewer.review(request)
        except (Misuse, Unfinished) as error:
            return error_report(request, str(error))
        finally:
            self._put_back(config_file, reviewer)

    def _taken(self, config_file: str | None) -> Reviewer:
        with self._lock:
            for place, (file, reviewer) in enumerate(self._idle):
                if file == config_file:
                    del self._idle[place]
                    return reviewer
        return Reviewer(self._options(config_file))

    def _put_back(self, config_file: str | None, reviewer: Reviewer) -> None:
        """Keep it warm; the one that was idle longest goes, as those of policies that are no more do."""
        with self._lock:
            self._idle.append((config_file, reviewer))
            surplus = [self._idle.pop(0)] if len(self._idle) > self._settings.workers else []
        for _, old in surplus:
            old.close()

    def _options(self, config_file: str | None) -> Options:
        return Options(
            rules_dir=self._settings.rules_dir,
            model=self._settings.model,
            config_file=config_file,
            seconds=self._settings.review_seconds,
            scorer=self._scorer(),
        )

    def _scorer(self) -> ScorerChoice:
        url, folder = self._settings.scorer_url or None, self._settings.model_dir or None
        return ScorerChoice(url=url, folder=folder, workers=self._settings.workers)

    def mode(self, config: bytes | None, origin: str) -> Mode:
        """See ``Engine.mode``."""
        from trainwarden import config as configuration

        loaded = configuration.load(config, origin)
        for key in ("scorer", "judge"):
            # It would also name files of this machine that hold tokens, and whom to show them to.
            if getattr(loaded, key, None) is not None:
                raise Misuse(f"`{key}` in {origin} says which machine is sent code: only the operator may")
        return loaded.mode

    def close(self) -> None:
        """See ``Engine.close``."""
        with self._lock:
            while self._idle:
                self._idle.pop()[1].close()


def _model_digest(folder: str) -> str:
    """What vouches for the model in use, so that another model means new reviews; empty without one."""
    found = Path(folder) if folder else artifact.bundled()
    manifest = found / artifact.MANIFEST if found is not None else None
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest and manifest.is_file() else ""


def _directory_digest(directory: str | None) -> str:
    """The contents of the operator's rule directory, so that new rules mean new reviews."""
    found = hashlib.sha256()
    for path in sorted(Path(directory).rglob("*.yml")) if directory else ():
        found.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
