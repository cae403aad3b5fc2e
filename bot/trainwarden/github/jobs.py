"""Durable jobs: ``Job`` values in, one call of a handler for each, surviving crashes. DBOS behind a port.

This is the only module that knows DBOS. What it adds, because the library leaves it to its user: job ids that
say what a job is about, a version that does not change with each deployment, JSON in the database instead of
pickles, and the means to take over the jobs of executors that fell silent.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from dbos import DBOS, DBOSClient, DBOSConfig, WorkflowStatus
from dbos._serialization import DBOSPortableJSONSerializer

from trainwarden.github.events import Job
from trainwarden.github.settings import Settings

APPLICATION = "trainwarden"
# Jobs outlive deployments: a job is plain data, so any later version can run it.
APPLICATION_VERSION = "jobs-1"
WORKFLOW = "job"
LANES = 2
_OPEN = ["ENQUEUED", "PENDING", "DELAYED"]
_QUEUES = {"group": "merges", "tell": "tells"}
_PRIORITY = {"closed": 1, "command": 2, "action": 2, "pull": 10, "head": 10, "installed": 30}
_EVERYTHING_ELSE = 20


@dataclass(frozen=True, slots=True)
class Active:
    """A job in the queue or running: its id, the job, whether it runs, and on which executor."""

    id: str
    job: Job
    running: bool
    executor: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """The orderly answer "not now": run the job once more after ``seconds``."""

    seconds: float
    reason: str


Handler = Callable[[Job, Callable[[], bool]], Again | None]


class JobQueue(Protocol):
    """What the rest of this package asks of a job engine. Job ids make every ``put`` idempotent."""

    def put(self, job: Job, key: str, delay: float = 0.0) -> str:
        """Queue a job once for each (subject, key); its id."""

    def known(self, job: Job, key: str) -> bool:
        """Whether this very job was put before, whatever became of it."""

    def active(self, subject: str) -> list[Active]:
        """The unfinished jobs of a subject, or of every subject that starts with it."""

    def cancel(self, ids: Iterable[str]) -> None:
        """Take jobs out of the queue; a running one learns of it at its next question."""

    def orphans(self, executors: Sequence[str]) -> list[Active]:
        """The running jobs of executors that fell silent."""

    def depth(self) -> int:
        """How many jobs wait or run."""


def partition(job: Job) -> str:
    """The lane of a job. One job a lane at a time: one a pull request, and few of one repository at once."""
    about = job.number or crc32(job.subject.encode())
    return f"{job.repo_id}/{about % LANES}" if job.kind not in _QUEUES else f"{job.repo_id}"


class DbosQueue:
    """The port on DBOS: a client to put and look, and, once ``start`` was called, an executor that runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.jobs_url
        self._client: DBOSClient | None = None
        self._running = False

    def start(self, handler: Handler) -> None:
        """Become an executor: create the tables, take up our own unfinished jobs, run jobs in threads."""
        _write_ahead(self._url)
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._settings.executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 1.0,
        }
        DBOS(config=config)
        self._register(handler)
        DBOS.launch()
        # The engine brings a handler of its own; its words belong into our log like all others.
        engine_log = logging.getLogger("dbos")
        engine_log.handlers.clear()
        engine_log.propagate = True
        self._declare_queues()
        self._running = True

    def _register(self, handler: Handler) -> None:
        def perform(value: dict[str, Any], job_id: str) -> str:
            again = handler(Job.from_dict(value), lambda: self.alive(job_id))
            if again is None:
                return "done"
            if not self.alive(job_id):
                # Superseded meanwhile: a next try would come back from the dead.
                return "superseded"
            job = Job.from_dict(value)
            self.put(replace(job, tries=job.tries + 1), _next_key(job_id), again.seconds)
            return again.reason

        def job(value: dict[str, Any]) -> str:
            job_id = DBOS.workflow_id or ""
            return DBOS.run_step({"name": "perform"}, perform, value, job_id)

        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=20)(job)

    def _declare_queues(self) -> None:
        poll, workers = self._settings.poll_seconds, self._settings.workers
        for name, slots in (("reviews", workers), ("merges", max(1, workers // 2)), ("tells", 1)):
            DBOS.register_queue(
                name,
                worker_concurrency=slots,
                partition_concurrency=1,
                polling_interval_sec=poll,
                on_conflict="always_update",
            )

    def stop(self, seconds: float = 20.0) -> None:
        """Finish what runs, up to ``seconds``, then leave; the rest is taken up after the next start."""
        if self._running:
            DBOS.destroy(workflow_completion_timeout_sec=int(seconds), destroy_registry=True)
            self._running = False
        if self._client is not None:
            self._client.destroy()
            self._client = None

    @property
    def client(self) -> DBOSClient:
        """The connection to the engine's tables, made at first use."""
        if self._client is None:
            self._client = DBOSClient(
                system_database_url=self._url,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
            )
        return self._client

    def put(self, job: Job, key: str, delay: float = 0.0) -> str:
        """See ``JobQueue.put``."""
        job_id = _id(job, key)
        options: Any = {
            "workflow_name": WORKFLOW,
            "queue_name": _QUEUES.get(job.kind, "reviews"),
            "workflow_id": job_id,
            "queue_partition_key": partition(job),
            "priority": _PRIORITY.get(job.kind, _EVERYTHING_ELSE),
        }
        if delay > 0:
            options["delay_seconds"] = delay
        self.client.enqueue(options, job.to_dict())
        return job_id

    def known(self, job: Job, key: str) -> bool:
        """See ``JobQueue.known``."""
        ids = [_id(job, key)]
        return bool(self.client.list_workflows(workflow_ids=ids, load_input=False, load_output=False))

    def active(self, subject: str) -> list[Active]:
        """See ``JobQueue.active``."""
        return _active(self.client.list_workflows(status=_OPEN, workflow_id_prefix=f"{subject}/"))

    def cancel(self, ids: Iterable[str]) -> None:
        """See ``JobQueue.cancel``."""
        if wanted := list(ids):
            self.client.cancel_workflows(wanted)

    def orphans(self, executors: Sequence[str]) -> list[Active]:
        """See ``JobQueue.orphans``."""
        if not executors:
            return []
        return _active(self.client.list_workflows(status="PENDING", executor_id=list(executors)))

    def depth(self) -> int:
        """See ``JobQueue.depth``."""
        return len(self.client.list_workflows(status=_OPEN, load_input=False, load_output=False))

    def exhausted(self) -> list[Active]:
        """Jobs the engine gave up on because they killed their worker again and again."""
        return _active(self.client.list_workflows(status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", limit=100))

    def alive(self, job_id: str) -> bool:
        """Whether a running job was neither cancelled nor given to someone else."""
        found = self.client.list_workflows(workflow_ids=[job_id], load_input=False, load_output=False)
        return (
            bool(found) and found[0].status == "PENDING" and found[0].executor_id == self._settings.executor
        )

    def prune(self, seconds: float) -> int:
        """Delete finished jobs older than ``seconds``; how many."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))
        over = ["SUCCESS", "ERROR", "CANCELLED"]
        old = self.client.list_workflows(status=over, end_time=before, limit=5_000, load_input=False)
        if old:
            self.client.delete_workflows([w.workflow_id for w in old])
        return len(old)


def _id(job: Job, key: str) -> str:
    return f"{job.subject}/{key}"[:250]


def _next_key(job_id: str) -> str:
    """The key of the next try: ``guid`` then ``guid~1``, ``guid~2`` and so on."""
    key, _, tries = job_id.rpartition("/")[2].partition("~")
    return f"{key}~{int(tries or 0) + 1}"


def _active(found: Iterable[WorkflowStatus]) -> list[Active]:
    actives = []
    for workflow in found:
        arguments = workflow.input["args"] if workflow.input else ()
        if arguments:
            job = Job.from_dict(arguments[0])
            running = workflow.status == "PENDING"
            actives.append(Active(workflow.workflow_id, job, running, workflow.executor_id or ""))
    return actives


def _write_ahead(url: str) -> None:
    """Readers must not wait for writers; the journal mode is a property of the SQLite file."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
