"""GitHub is the truth: what it says of deliveries and open pull requests in, missing jobs queued.

Run at start and every few minutes by one worker. Nothing here is needed on a good day; on a bad one nothing
else brings a lost delivery, a dead worker's job or a check left in progress to its end.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trainwarden.github.app import Api, GitHubError, Revoked
from trainwarden.github.dispatch import Dispatcher
from trainwarden.github.events import NAME, OWNER, Job
from trainwarden.github.jobs import DbosQueue
from trainwarden.github.logs import note, warn
from trainwarden.github.reading import Room
from trainwarden.github.remote import Pull, Remote, views

LOG = logging.getLogger("trainwarden.reconcile")
EXECUTOR = "executor:"
_KEEP_DELIVERIES = 7 * 86_400.0
_KEEP_REPORTS = 90 * 86_400.0
_KEEP_JOBS = 2 * 86_400.0
_STALE = 600.0
_WATERMARK = "deliveries-seen"
_MOST_PAGES = 20
_MOST_REDELIVERIES = 5


class Reconciler:
    """One round is ``run``; every part stands alone, so that one failing part does not stop the others."""

    def __init__(self, room: Room, jobs: DbosQueue, dispatcher: Dispatcher) -> None:
        self._room = room
        self._jobs = jobs
        self._dispatcher = dispatcher

    def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """One whole round."""
        parts: tuple[Callable[[], None], ...] = (
            self.adopt,
            self._stale,
            self._redeliver,
            self._open_pulls,
            self._housekeeping,
        )
        for part in parts:
            if stopping():
                return
            try:
                part()
            except GitHubError as error:
                warn(LOG, "reconciling stopped early", part=part.__name__, reason=str(error))

    def adopt(self) -> None:
        """Queue again what silent executors were running, and cancel theirs: it also frees their lanes."""
        silent = self._room.store.silent(EXECUTOR)
        for active in self._jobs.orphans(silent):
            # Named by the whole of what is taken over: a job adopted before must not be taken for this one.
            told = f"{active.id} {active.executor}"
            self._jobs.put(active.job, f"adopted-{hashlib.sha256(told.encode()).hexdigest()[:32]}")
            self._jobs.cancel([active.id])
            note(LOG, "job adopted", subject=active.job.subject, executor=active.executor)
        for executor in silent:
            self._room.store.forget(EXECUTOR + executor)

    def _stale(self) -> None:
        """Checks left in progress without a job, and jobs the engine gave up on."""
        for head in self._room.ledger.unfinished(_STALE):
            if not self._jobs.active(head.origin.subject) and not self._busy(head.origin, head.head):
                self._dispatcher.queue(head.origin, f"stale-{int(head.at)}")
        for exhausted in self._jobs.exhausted():
            if self._room.store.claim(f"exhausted:{exhausted.id}"):
                self._dispatcher.queue(exhausted.job, f"exhausted-{exhausted.id[-40:].replace('/', '-')}")

    def _busy(self, origin: Job, head: str) -> bool:
        actives = self._jobs.active(f"pull/{origin.repo_id}")
        return any(active.job.head == head for active in actives)

    def _redeliver(self) -> None:
        """Ask GitHub to send again what it could not deliver since the last round."""
        api = self._room.app.api()
        seen = int(self._room.store.marked(_WATERMARK) or 0)
        newest = seen
        failed: dict[str, int] = {}
        delivered: set[str] = set()
        for item in _deliveries(api, seen):
            newest = max(newest, item["id"])
            if 200 <= item["status_code"] < 300:
                delivered.add(item["guid"])
            elif item["status_code"] not in (400, 401, 413, 415):
                failed[item["guid"]] = item["id"]
        for guid in failed.keys() - delivered:
            if self._room.store.begin(f"redeliver:{guid}") > _MOST_REDELIVERIES:
                continue
            api.call("POST", f"/app/hook/deliveries/{failed[guid]}/attempts")
            self._room.metrics.count("redeliveries_total", "Deliveries asked for again")
        self._room.store.mark(_WATERMARK, str(newest))

    def _open_pulls(self) -> None:
        """Queue every open pull request whose head has no finished check."""
        for installation in list(self._room.app.api().pages("/app/installations")):
            if installation.get("suspended_at"):
                continue
            try:
                self._installation(int(installation["id"]))
            except Revoked:
                self._room.app.forget(int(installation["id"]))

    def _installation(self, installation: int) -> None:
        api = self._room.app.installation(installation)
        for repository in api.pages("/installation/repositories", "repositories"):
            owner, name = repository["owner"]["login"], repository["name"]
            if not OWNER.fullmatch(owner) or not NAME.fullmatch(name) or repository.get("archived"):
                continue
            job = Job("pull", installation, int(repository["id"]), owner, name, text="reconciled")
            for pull in self._unchecked(job):
                found = replace(job, number=pull.number, head=pull.head, ref=pull.base_ref)
                if not self._jobs.active(found.subject):
                    self._room.metrics.count("reconciled_total", "Heads found without a finished check")
                    self._dispatcher.queue(found, f"found-{pull.head[:16]}-{self._round()}")

    def _unchecked(self, job: Job) -> Iterator[Pull]:
        """Open pull requests whose head has no finished check, or one drawn from other targets than now."""
        remote = self._room.remote(job)
        pulls = list(remote.open_pulls())
        for pull in pulls:
            said = self._room.ledger.head(job.repo_id, pull.head)
            if said is None or not said.finished or said.conclusion == "cancelled":
                if not _finished(remote, pull):
                    yield pull
            elif said.views != views(other for other in pulls if other.head == pull.head):
                yield pull

    def _round(self) -> str:
        return self._room.store.marked("round") or "0"

    def _housekeeping(self) -> None:
        store = self._room.store
        store.mark("round", str(int(store.marked("round") or 0) + 1))
        store.prune(_KEEP_DELIVERIES)
        self._room.ledger.prune(_KEEP_REPORTS)
        self._jobs.prune(_KEEP_JOBS)
        for repo_id in self._room.mirrors.evict():
            note(LOG, "mirror evicted", repository_id=repo_id)


def _finished(remote: Remote, pull: Pull) -> bool:
    checks = remote.checks(pull.head)
    return any(c.status == "completed" and c.conclusion != "cancelled" for c in checks)


def _deliveries(api: Api, seen: int) -> Iterator[Any]:
    """Deliveries newer than ``seen``, newest first; the list is paged by a cursor in a Link header."""
    query: dict[str, object] = {"per_page": 100}
    for _ in range(_MOST_PAGES):
        headers, items = api.send("GET", "/app/hook/deliveries", None, query)
        for item in items:
            if item["id"] <= seen:
                return
            yield item
        cursor = _cursor(headers)
        if not cursor:
            return
        query["cursor"] = cursor


def _cursor(headers: dict[str, str]) -> str:
    for part in headers.get("link", "").split(","):
        address, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            return parse_qs(urlsplit(address.strip(" <>")).query).get("cursor", [""])[0]
    return ""
