"""Settling a head: a job in; every open pull request with that head read and judged, one check run out.

This is the App's only path to a conclusion: one check a head, and the worst reading speaks.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from trainwarden.github.app import Later
from trainwarden.github.checkrun import Conclusion, Reading, Said, compose
from trainwarden.github.events import Job
from trainwarden.github.ledger import Head
from trainwarden.github.logs import note
from trainwarden.github.publish import Publisher
from trainwarden.github.reading import Reader, Room
from trainwarden.github.remote import Pull, Remote, views
from trainwarden.github.voices import Voices

LOG = logging.getLogger("trainwarden.settle")
Alive = Callable[[], bool]


class HeadBusy(Later):
    """Another worker settles this head right now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of settling: the check run, what was said, and the readings it was drawn from.

    ``fresh`` is False when everything was as it had been said before.
    """

    head: Head
    readings: tuple[Reading, ...]
    fresh: bool


class Settler:
    """Settles heads for the jobs of one worker."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._voices = Voices(room.settings, room.app)
        self.reader = Reader(room)

    def settle(self, job: Job, head: str, alive: Alive) -> Outcome | None:
        """Bring the check of ``head`` up to date; None when no open pull request has it.

        Raises a ``GitHubError``; ``HeadBusy`` when another worker is at it.
        """
        remote = self._room.remote(job)
        with self._alone(job, head):
            publisher = Publisher(remote, self._room.settings, alive)
            if job.kind == "group":
                return self._conclude(job, head, remote, publisher, [])
            pulls = [pull for pull in remote.open_pulls() if pull.head == head]
            if pulls:
                return self._conclude(job, head, remote, publisher, pulls)
            self._nobody(job, head, publisher)
            return None

    @contextmanager
    def _alone(self, job: Job, head: str) -> Iterator[None]:
        """One worker a head at a time, so that a check run is created once."""
        name, holder = f"head:{job.repo_id}:{head}", f"{self._room.holder}#{job.subject}"
        if not self._room.store.lease(name, holder, self._room.settings.lease_seconds):
            raise HeadBusy("another worker settles this head", 2.0)
        try:
            yield
        finally:
            self._room.store.release(name, holder)

    def _conclude(
        self, job: Job, head: str, remote: Remote, publisher: Publisher, pulls: list[Pull]
    ) -> Outcome:
        before = self._room.ledger.head(job.repo_id, head)
        check_id = 0
        if before is None or not before.finished or job.force:
            check_id = self._open(job, head, publisher)
        readings = self.reader.readings(job, remote, pulls)
        said = compose(readings)
        if before is not None and not check_id:
            if said.key == before.key:
                return Outcome(before, readings, fresh=False)
            check_id = self._open(job, head, publisher)
        known = before.annotated if before is not None and before.check_id == check_id else frozenset()
        annotated = publisher.finish(check_id, said, known)
        after = self._remember(job, head, check_id, said, annotated, views(pulls))
        for reading in readings:
            self._room.store.mark(mode_mark(job.repo_id, reading.base_ref), reading.mode)
        self._tell(job, after, readings, before)
        for pull in pulls:
            self._voices.speak(remote, pull, next(r for r in readings if r.number == pull.number))
        return Outcome(after, readings, fresh=True)

    def _open(self, job: Job, head: str, publisher: Publisher) -> int:
        check_id = publisher.begin(head).id
        self._room.ledger.opened(job, head, check_id)
        return check_id

    def _remember(
        self, job: Job, head: str, check_id: int, said: Said, annotated: frozenset[str], seen_from: str
    ) -> Head:
        again = Job("head", job.installation, job.repo_id, job.owner, job.name, head=head)
        origin = replace(job, force=False, tries=0) if job.kind == "group" else again
        after = Head(
            job.repo_id,
            head,
            check_id,
            finished=True,
            verdict=said.standing,
            conclusion=said.conclusion,
            key=said.key,
            origin=origin,
            annotated=annotated,
            views=seen_from,
        )
        self._room.ledger.concluded(after)
        return after

    def fail(self, job: Job, head: str, alive: Alive, reason: str) -> None:
        """Say visibly that the review could not be finished. Raises a ``GitHubError``."""
        remote = self._room.remote(job)
        publisher = Publisher(remote, self._room.settings, alive)
        before = self._room.ledger.head(job.repo_id, head)
        conclusion: Conclusion = "neutral" if self._only_observed(job, head, remote) else "failure"
        said = Said(conclusion, "error", "Could not finish the review", f"{reason}\n", (), key="")
        check_id = publisher.begin(head).id
        publisher.finish(check_id, said)
        after = self._remember(job, head, check_id, said, frozenset(), "")
        self._tell(job, after, (), before)

    def _only_observed(self, job: Job, head: str, remote: Remote) -> bool:
        """Whether every target of the head was in ``observe`` when last read: elsewhere an error holds back."""
        if self._room.settings.mode:
            return self._room.settings.mode == "observe"
        pulls = [] if job.kind == "group" else remote.open_pulls()
        targets = {pull.base_ref for pull in pulls if pull.head == head} or {job.ref}
        marks = {self._room.store.marked(mode_mark(job.repo_id, target)) for target in targets}
        return marks == {"observe"}

    def _nobody(self, job: Job, head: str, publisher: Publisher) -> None:
        """No open pull request has this head: an unfinished check is closed, never green."""
        before = self._room.ledger.head(job.repo_id, head)
        if before is not None and before.finished and not job.force:
            return
        publisher.close(head, "Superseded", "No open pull request has this head any more.")
        if before is not None and not before.finished:
            self._room.ledger.concluded(replace(before, finished=True, conclusion="cancelled"))

    def _tell(self, job: Job, after: Head, readings: tuple[Reading, ...], before: Head | None) -> None:
        verdict, conclusion = after.verdict, after.conclusion
        words = "Finished checks"
        self._room.metrics.count("checks_total", words, verdict=verdict, conclusion=conclusion)
        note(LOG, "check finished", repo=job.repo, head=after.head, verdict=verdict, conclusion=conclusion)
        if before is not None and (before.verdict, before.conclusion) == (after.verdict, after.conclusion):
            return
        worst = max(readings, key=lambda r: r.report.verdict.risk, default=None)
        findings = worst.report.findings if worst else ()
        self._room.audit.tell(
            "override" if after.verdict == "approved" else after.verdict,
            job,
            head=after.head,
            conclusion=after.conclusion,
            risk=round(worst.report.verdict.risk, 4) if worst else 1.0,
            rules=[finding.rule for finding in findings[:10]],
            sampled=any(reading.sampled for reading in readings),
            approved_by=sorted({approval.login for r in readings for approval in r.approvals}),
        )


def mode_mark(repo_id: int, target: str) -> str:
    """Under which name the last mode for a target branch is remembered, for failures before anything is read."""
    return f"mode:{repo_id}:{hashlib.sha256(target.encode()).hexdigest()[:24]}"
