"""Carrying out jobs: one ``Job`` in, ``None`` (done) or ``Again`` out. The door of the worker.

Here every failure is given its meaning: ask again later, let go, or say on the check that the review could
not be finished. One of two broad ``except`` of this package is here; the other keeps the worker's loops going.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from trainwarden.github.app import GitHubError, Gone, Later, Revoked
from trainwarden.github.commands import Commander
from trainwarden.github.events import Job
from trainwarden.github.jobs import Again, JobQueue
from trainwarden.github.logs import note, warn
from trainwarden.github.publish import Superseded
from trainwarden.github.reading import Room
from trainwarden.github.remote import Pull
from trainwarden.github.settle import Alive, Settler, mode_mark
from trainwarden.model import TrainwardenError

LOG = logging.getLogger("trainwarden.jobs")
MOST_STARTS = 3
MOST_TRIES = 10
_FIRST, _LONGEST = 5.0, 600.0


class Handler:
    """Runs jobs of every kind; safe to call from several threads."""

    def __init__(self, room: Room, jobs: JobQueue) -> None:
        self._room = room
        self._jobs = jobs
        self._settler = Settler(room)
        self._commander = Commander(room, self._settler)

    def __call__(self, job: Job, alive: Alive) -> Again | None:
        """Run one job to its end, its next try, or its visible failure."""
        try:
            starts = self._room.store.begin(job.subject)
            with self._room.metrics.timed("job_seconds", "Seconds of one job"):
                again = self._carry_out(job, alive) if starts <= MOST_STARTS else self._poison(job, alive)
            self._room.store.end(job.subject)
        except SQLAlchemyError as error:
            return Again(_FIRST, type(error).__name__)
        return again

    def _poison(self, job: Job, alive: Alive) -> Again | None:
        """It killed its worker again and again: say so instead of reading once more."""
        warn(LOG, "job given up: it ended its worker", repo=job.repo, subject=job.subject)
        self._failed(job, alive, "The review ended its worker process several times.")
        return None

    def _carry_out(self, job: Job, alive: Alive) -> Again | None:
        try:
            self._run(job, alive)
        except Superseded:
            note(LOG, "job superseded", repo=job.repo, subject=job.subject)
        except Later as error:
            return self._later(job, alive, error.seconds, str(error))
        except Revoked as error:
            self._room.app.forget(job.installation)
            if job.tries < 2:
                return self._later(job, alive, 30.0, str(error))
            self._let_go(job, error)
        except Gone as error:
            if job.tries < 1:
                return self._later(job, alive, 5.0, str(error))
            self._missing(job, alive, error)
        except SQLAlchemyError as error:
            return self._later(job, alive, 10.0, type(error).__name__)
        except TrainwardenError as error:
            self._failed(job, alive, f"{type(error).__name__}: {error}")
        except Exception as error:
            LOG.error("job failed", exc_info=error, extra={"fields": {"subject": job.subject}})
            self._failed(job, alive, f"An error inside Trainwarden ({type(error).__name__}).")
        return None

    def _later(self, job: Job, alive: Alive, seconds: float, reason: str) -> Again | None:
        self._room.metrics.count("jobs_again_total", "Jobs put off", reason=reason[:40])
        if job.tries >= MOST_TRIES and reason != "rate limit":
            self._failed(job, alive, f"GitHub could not be reached ({reason}).")
            return None
        grown = min(_LONGEST, _FIRST * 2**job.tries)
        wait = seconds if reason == "rate limit" else max(seconds, grown) if job.tries else seconds
        note(LOG, "job put off", repo=job.repo, subject=job.subject, seconds=wait, reason=reason)
        return Again(wait, reason)

    def _let_go(self, job: Job, error: GitHubError) -> None:
        warn(LOG, "job let go", repo=job.repo, subject=job.subject, reason=str(error))

    def _missing(self, job: Job, alive: Alive, error: GitHubError) -> None:
        """Something is not there: a change that went away needs no check, one that is open does."""
        try:
            remote = self._room.remote(job)
            remote.default_branch()
            needed = job.kind in ("pull", "head", "group") and not (
                job.number and not remote.pull(job.number).open
            )
        except GitHubError:
            needed = False
        if needed:
            self._failed(job, alive, "A commit of this change could not be fetched.")
        else:
            self._let_go(job, error)

    def _failed(self, job: Job, alive: Alive, reason: str) -> None:
        """Show an error on the check; where even that fails, the reconciler will find the head unfinished."""
        self._room.metrics.count("jobs_failed_total", "Jobs that ended in an error check", kind=job.kind)
        try:
            head = self._head_of(job)
            if head:
                self._settler.fail(job, head, alive, reason)
        except (GitHubError, SQLAlchemyError) as error:
            warn(
                LOG,
                "error could not be shown",
                repo=job.repo,
                subject=job.subject,
                error=type(error).__name__,
            )

    def _head_of(self, job: Job) -> str:
        if job.kind == "pull":
            return self._room.remote(job).pull(job.number).head
        return job.head if job.kind in ("head", "group") else ""

    def _run(self, job: Job, alive: Alive) -> None:
        if job.kind == "pull":
            self._pull(job, alive)
        elif job.kind == "group":
            self._settler.settle(job, job.head, alive)
        elif job.kind == "head":
            self._head(job, alive)
        elif job.kind == "closed":
            self._closed(job, alive)
        elif job.kind == "moved":
            self._moved(job)
        elif job.kind == "command":
            self._commander.comment(job, alive)
        elif job.kind == "action":
            self._commander.button(job, alive)
        elif job.kind == "removed":
            self._room.mirrors.remove(job.repo_id)
        elif job.kind == "tell":
            self._room.audit.send(job)
        elif job.kind == "installed":
            self._installed(job)

    def _pull(self, job: Job, alive: Alive) -> None:
        if job.text == "pushed" and job.login:
            self._room.ledger.took_part(job.repo_id, job.number, [job.login])
        remote = self._room.remote(job)
        pull = remote.pull(job.number)
        for head in job.superseded:
            if head != pull.head:
                self._settler.settle(replace(job, kind="head", force=False), head, alive)
        if not pull.open:
            self._settler.settle(replace(job, kind="head"), pull.head, alive)
            return
        self._settler.settle(job, pull.head, alive)

    def _head(self, job: Job, alive: Alive) -> None:
        """A check to be run again: of pull requests, or of a merge group, which nobody lists."""
        said = self._room.ledger.head(job.repo_id, job.head)
        if said is not None and said.origin.kind == "group":
            self._settler.settle(replace(said.origin, force=job.force), job.head, alive)
        else:
            self._settler.settle(job, job.head, alive)

    def _closed(self, job: Job, alive: Alive) -> None:
        pull = self._room.remote(job).pull(job.number)
        if pull.open:
            return
        if pull.merged:
            self._merged(job, pull)
        self._settler.settle(replace(job, kind="head"), pull.head, alive)

    def _merged(self, job: Job, pull: Pull) -> None:
        """Merged although the check did not allow it: somebody broke the glass, and the record says who."""
        said = self._room.ledger.head(job.repo_id, pull.head)
        conclusion = said.conclusion if said is not None and said.finished else "unfinished"
        claim = f"merged:{job.repo_id}:{job.number}"
        if conclusion not in ("success", "neutral") and self._room.store.claim(claim):
            fields = {"actor": pull.merged_by, "head": pull.head, "conclusion": conclusion}
            self._room.audit.tell("break-glass", job, **fields)

    def _moved(self, job: Job) -> None:
        """A branch moved: every open pull request onto it is looked at again, as jobs of their own."""
        # Its policy may have changed; until it was read, a failure counts as in the strictest mode.
        self._room.store.mark(mode_mark(job.repo_id, job.ref), "")
        for pull in self._room.remote(job).open_pulls(job.ref):
            again = Job("pull", job.installation, job.repo_id, job.owner, job.name, pull.number)
            self._jobs.put(replace(again, head=pull.head), f"moved-{job.head[:16]}")

    def _installed(self, job: Job) -> None:
        """Newly installed: every open pull request of every repository gets its check."""
        api = self._room.app.installation(job.installation)
        for repository in api.pages("/installation/repositories", "repositories"):
            where = Job("head", job.installation, repository["id"], *repository["full_name"].split("/"))
            for pull in self._room.remote(where).open_pulls():
                asked = replace(where, kind="pull", number=pull.number, head=pull.head)
                self._jobs.put(asked, f"installed-{pull.head[:16]}")
