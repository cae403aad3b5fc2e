"""Stored deliveries in, queued jobs out: newest head wins.

Job ids are made of the delivery's id, so that dispatching a delivery twice (after a crash between queueing
and marking) queues nothing twice.
"""

from __future__ import annotations

from dataclasses import replace

from trainwarden.github.events import Job
from trainwarden.github.jobs import JobQueue
from trainwarden.github.ledger import Ledger
from trainwarden.github.store import Delivery, Store


class Dispatcher:
    """Moves deliveries into the queue; run by the worker that holds the leader's lease."""

    def __init__(self, store: Store, ledger: Ledger, jobs: JobQueue) -> None:
        self._store = store
        self._ledger = ledger
        self._jobs = jobs

    def run(self) -> int:
        """Dispatch what waits, oldest first; how many deliveries."""
        waiting = self._store.waiting()
        for delivery in waiting:
            self.dispatch(delivery)
            self._store.dispatched([delivery.id])
        return len(waiting)

    def dispatch(self, delivery: Delivery) -> None:
        """Queue the jobs of one delivery."""
        for job in delivery.jobs:
            if job.kind == "pull" and job.text == "pushed" and job.login:
                # At once, not when the job runs: a superseded push counts as taking part all the same.
                self._ledger.took_part(job.repo_id, job.number, [job.login])
            self.queue(job, delivery.id)

    def queue(self, job: Job, key: str) -> None:
        """Queue one job; a pull request's older jobs give way to it."""
        if job.kind != "pull":
            self._jobs.put(job, key)
            return
        if self._jobs.known(job, key):
            # Dispatched before a crash: what is queued by now may be newer than this.
            return
        older = [a for a in self._jobs.active(job.subject) if not a.id.endswith(f"/{key}")]
        same = [a for a in older if a.job.head == job.head and not a.running and not job.force]
        if same and job.text == "suite":
            return
        outdated = [a for a in older if a.job.head != job.head or not a.running]
        heads = {a.job.head for a in outdated} | {h for a in outdated for h in a.job.superseded}
        superseded = (heads | set(job.superseded)) - {job.head, ""}
        # Queue the newer first: a crash in between leaves one job too many, never one too few.
        self._jobs.put(replace(job, superseded=tuple(sorted(superseded))), key)
        self._jobs.cancel(a.id for a in outdated)
