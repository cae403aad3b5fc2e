"""Reading a head: pull requests or a merge group in, one ``Reading`` each out.

What is read comes from the mirror, what is true from GitHub's API, the policy from the default branch or from
a protected one, or from the operator; never from the head under review nor from an unprotected base.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trainwarden.github.app import App, Gone
from trainwarden.github.audit import Audit
from trainwarden.github.checkrun import Reading, sampled
from trainwarden.github.engine import Engine
from trainwarden.github.events import Job
from trainwarden.github.ledger import Approval, Ledger
from trainwarden.github.metrics import Metrics
from trainwarden.github.mirror import Mirror, Mirrors
from trainwarden.github.remote import Pull, Remote
from trainwarden.github.settings import Mode, Settings
from trainwarden.github.store import Store
from trainwarden.model import Misuse, Report, Request
from trainwarden.sandbox import error_report

CONFIG = ".trainwarden.yml"
POLICY_PATHS = (CONFIG, ".trainwarden")


@dataclass(frozen=True, slots=True)
class Room:
    """Everything the jobs of one worker share. ``holder`` names this very process on its leases."""

    settings: Settings
    app: App
    store: Store
    ledger: Ledger
    mirrors: Mirrors
    engine: Engine
    audit: Audit
    metrics: Metrics
    holder: str

    def remote(self, job: Job) -> Remote:
        """GitHub's side of the job's repository. Raises a ``GitHubError``."""
        api = self.app.installation(job.installation)
        return Remote(api, job.owner, job.name, self.settings.app_id, self.settings.check_name)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who rules a reading: the revision, its policy files, an operator's file instead of them, the mode.

    ``problem`` says why the policy cannot be followed; then the outcome is an error in the strictest mode.
    """

    revision: str
    identity: str
    config_file: str | None
    mode: Mode
    problem: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """From where a head is looked at: the pull request (0: a merge group), its target, the merge-base."""

    number: int
    base_ref: str
    base: str | None


class Reader:
    """Reads heads for the jobs of one worker. Every method raises a ``GitHubError`` on failure."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def readings(self, job: Job, remote: Remote, pulls: Iterable[Pull]) -> tuple[Reading, ...]:
        """Every view of a head: one for each pull request, or the one of a merge group."""
        token = self._room.app.token(job.installation)
        with self._room.mirrors.open(job.repo_id, job.owner, job.name, token) as mirror:
            if job.kind == "group":
                return (self._group(job, remote, mirror),)
            return tuple(self._pull(job, pull, remote, mirror) for pull in pulls)

    def _pull(self, job: Job, pull: Pull, remote: Remote, mirror: Mirror) -> Reading:
        _fetch_head(mirror, pull)
        policy = self._policy(remote, mirror, pull.base_ref)
        base = mirror.merge_base(mirror.tip(_local(pull.base_ref)), pull.head)
        reading = self._judged(job, mirror, View(pull.number, pull.base_ref, base), pull.head, policy)
        approvals = self._room.ledger.approvals(job.repo_id, pull.head)
        return replace(reading, approvals=tuple(approvals))

    def _group(self, job: Job, remote: Remote, mirror: Mirror) -> Reading:
        mirror.fetch({f"group/{job.head[:12]}": job.head, f"group/{job.base[:12]}": job.base})
        policy = self._policy(remote, mirror, job.ref)
        reading = self._judged(job, mirror, View(0, job.ref, job.base), job.head, policy)
        return replace(reading, approvals=tuple(self._carried(job, remote)))

    def _carried(self, job: Job, remote: Remote) -> list[Approval]:
        """Approvals of the findings of the queued pull request's own head count for its merge group."""
        number = job.text.rpartition("/")[2].removeprefix("pr-").partition("-")[0]
        if not number.isdecimal():
            return []
        carried = []
        for approval in self._room.ledger.approvals(job.repo_id, remote.pull(int(number)).head):
            report = self._room.ledger.report(approval.fingerprint.removeprefix("reading:"))
            prints = [f.fingerprint for f in report.findings] if report else [approval.fingerprint]
            carried += [replace(approval, fingerprint=fingerprint) for fingerprint in prints]
        return carried

    def _judged(self, job: Job, mirror: Mirror, view: View, head: str, policy: Policy) -> Reading:
        key = _key(view.base or "", head, policy.identity, self._room.engine.identity)
        report = None if job.force else self._room.ledger.report(key)
        if report is None:
            report = self._review(mirror, view, head, policy, f"{job.repo}#{view.number}")
            # An error may be of the moment: it is never answered from memory.
            if report.verdict.name != "error":
                self._room.ledger.keep(key, job.repo_id, head, report)
        settings = self._room.settings
        drawn = sampled(report, settings.audit_rate, settings.audit_key, f"{job.repo_id} {head}")
        return Reading(view.number, view.base_ref, policy.mode, report, key, sampled=drawn)

    def _review(self, mirror: Mirror, view: View, head: str, policy: Policy, name: str) -> Report:
        request = Request(str(mirror.path), "range", view.base, head, policy.revision, id=name)
        if policy.problem:
            return error_report(request, policy.problem)
        if view.base is None:
            return error_report(request, "base and head have no common ancestor")
        mirror.complete(view.base, head)
        with self._room.metrics.timed("review_seconds", "Seconds of one review"):
            return self._room.engine.review(request, policy.config_file)

    def _policy(self, remote: Remote, mirror: Mirror, base_ref: str) -> Policy:
        """Fetch the target and the default branch; the policy of whichever of them rules."""
        default = remote.default_branch()
        mirror.fetch({_local(name): f"refs/heads/{name}" for name in sorted({base_ref, default})})
        rules = base_ref == default or remote.protected(base_ref)
        return self._policy_of(remote, mirror, mirror.tip(_local(base_ref if rules else default)))

    def _policy_of(self, remote: Remote, mirror: Mirror, revision: str) -> Policy:
        data = mirror.read(revision, CONFIG)
        names = mirror.names(revision, POLICY_PATHS)
        file = None
        try:
            if data is None and f"\t{CONFIG}\n" in names:
                raise Misuse(f"{CONFIG} of {revision[:12]} cannot be read")
            file = None if data is not None else self._defaults(remote)
            origin = f"{CONFIG} of {revision[:12]}" if file is None else f"the organisation's {CONFIG}"
            mode = self._room.engine.mode(data if file is None else file.read_bytes(), origin)
        except Misuse as error:
            strictest: Mode = self._room.settings.mode or "enforce"
            return Policy(revision, names, None, strictest, f"the policy cannot be followed: {error}")
        identity = names + (file.name if file else "")
        return Policy(revision, identity, str(file) if file else None, self._room.settings.mode or mode)

    def _defaults(self, remote: Remote) -> Path | None:
        """The organisation's policy file, kept by content; None when none is configured.

        Raises ``Misuse`` when one is configured and not there: whoever hides it must not get weaker defaults.
        """
        where = self._room.settings.policy_repository
        if not where:
            return None
        try:
            answer = remote.api.call("GET", f"/repos/{where}/contents/{CONFIG}")
        except Gone as error:
            raise Misuse(f"{CONFIG} of {where} is not there, or this App is not installed there") from error
        if not isinstance(answer, dict) or answer.get("encoding") != "base64":
            raise Misuse(f"{CONFIG} of {where} is not a file of less than a megabyte")
        return _kept(self._room.settings.data / "policy", base64.b64decode(answer["content"]))


def _fetch_head(mirror: Mirror, pull: Pull) -> None:
    """The head by its name, or by the pull request's own reference where a server refuses names."""
    if mirror.has(pull.head):
        return
    try:
        mirror.fetch({f"pull/{pull.number}": pull.head})
    except Gone:
        mirror.fetch({f"pull/{pull.number}": f"refs/pull/{pull.number}/head"})
        if mirror.tip(f"pull/{pull.number}") != pull.head:
            raise


def _kept(directory: Path, data: bytes) -> Path:
    """A file with these contents, named by them. It appears whole or not at all: others read it meanwhile."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"{hashlib.sha256(data).hexdigest()}.yml"
    if not path.exists():
        fresh = path.with_suffix(f".{uuid.uuid4().hex}")
        fresh.write_bytes(data)
        fresh.replace(path)
    return path


def _local(branch: str) -> str:
    """A private reference for a branch, free of clashes between ``a`` and ``a/b``."""
    return f"branch/{hashlib.sha256(branch.encode()).hexdigest()[:24]}"


def _key(base: str, head: str, policy: str, engine: str) -> str:
    return hashlib.sha256("\0".join((base, head, policy, engine)).encode()).hexdigest()
