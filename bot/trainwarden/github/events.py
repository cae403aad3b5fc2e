"""Webhook payloads in, jobs out. Pure: no I/O; a payload can make it raise ``Malformed`` and nothing else.

Only identifiers are taken from a payload; what is true (head, base, state, people) is asked of GitHub when
the job runs, because deliveries come late, twice, out of order or never.
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from trainwarden.model import TrainwardenError

Kind = Literal[
    "pull", "head", "group", "moved", "closed", "command", "action", "installed", "removed", "tell"
]
Payload = Mapping[str, Any]

OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?")
NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\[bot\])?")
BRANCH_PREFIX = "refs/heads/"
COMMAND_PREFIX = "/trainwarden"
_LONGEST_COMMAND = 2_000
_DEEPEST = 64


class Malformed(TrainwardenError):
    """The body is not what GitHub sends: wrong types, names that cannot be, nesting without end."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of durable work as plain data, small and free of code.

    ``subject`` names what at most one running job may touch. ``head`` and ``base`` are object names, ``ref``
    a branch name without ``refs/heads/``. ``superseded`` are heads whose check the job must close; ``tries``
    counts orderly retries. ``at`` is a time in ISO 8601 (UTC), ``number`` a pull request, ``note`` the
    identifier of a comment, a review or a check run.
    """

    kind: Kind
    installation: int
    repo_id: int = 0
    owner: str = ""
    name: str = ""
    number: int = 0
    head: str = ""
    base: str = ""
    ref: str = ""
    login: str = ""
    text: str = ""
    at: str = ""
    note: int = 0
    force: bool = False
    superseded: tuple[str, ...] = ()
    tries: int = 0

    @property
    def repo(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def subject(self) -> str:
        """What the job is about: jobs of one subject supersede each other."""
        about = {
            "pull": f"{self.number}",
            "closed": f"{self.number}",
            "command": f"{self.number}.{self.note}",
            "action": f"{self.head[:12]}.{self.text}.{self.login}",
            "moved": self.ref.replace("/", ":")[:80],
            "installed": f"i{self.installation}",
            "tell": self.at,
        }.get(self.kind, self.head)
        return f"{self.kind}/{self.repo_id}/{about}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the inverse of ``from_dict``."""
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v or k == "kind"
        }

    @staticmethod
    def from_dict(value: Payload) -> Job:
        """A job from its JSON values; unknown keys of a newer version are dropped."""
        known = {f.name for f in fields(Job)}
        given = {k: v for k, v in value.items() if k in known}
        return replace(Job(given.pop("kind"), given.pop("installation", 0)), **given | _tuple(given))


def _tuple(given: Payload) -> dict[str, Any]:
    return {"superseded": tuple(given.get("superseded", ()))}


_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")


def decode(body: bytes) -> Payload:
    """Parse a body; depth is measured first and refused before any recursion. Raises ``Malformed``."""
    depth = 0
    for byte in _STRINGS.sub(b"", body).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > _DEEPEST:
            raise Malformed("nested too deeply")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    if not isinstance(payload, dict):
        raise Malformed("not a JSON object")
    return payload


def jobs(event: str, payload: Payload, app_id: int) -> tuple[Job, ...]:
    """The jobs a delivery asks for, none when it asks for nothing. Raises ``Malformed``."""
    reader = _READERS.get(event)
    if reader is None or "installation" not in payload:
        return ()
    try:
        return tuple(reader(payload, app_id))
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{event}: a field is missing or of the wrong type") from error


def known(event: str) -> bool:
    """Whether the event is one this App subscribes to."""
    return event in _READERS or event == "ping"


def _checked(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Malformed("an identifier is not of the shape GitHub gives it")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise Malformed("a number is out of range")
    return value


def _branch(value: object) -> str:
    """A branch name that git would accept and that cannot be read as an option or a refspec."""
    if not isinstance(value, str) or not 0 < len(value) <= 255 or value.startswith("-"):
        raise Malformed("not a branch name")
    if re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|$)|^[/.]|/\.|[/.]$", value):
        raise Malformed("not a branch name")
    return value


def _login(payload: Payload) -> str:
    sender = payload.get("sender")
    return _checked(LOGIN, sender["login"]) if isinstance(sender, dict) else ""


def _start(kind: Kind, payload: Payload) -> Job:
    repository = payload["repository"]
    owner = repository["owner"]
    return Job(
        kind,
        _number(payload["installation"]["id"]),
        repo_id=_number(repository["id"]),
        owner=_checked(OWNER, owner.get("login") or owner.get("name")),
        name=_checked(NAME, repository["name"]),
        login=_login(payload),
    )


def _pull_request(payload: Payload, app_id: int) -> Iterator[Job]:
    action, pull = payload["action"], payload["pull_request"]
    acted = action in ("opened", "synchronize", "reopened", "ready_for_review")
    retargeted = action == "edited" and "base" in (payload.get("changes") or {})
    if not (acted or retargeted or action == "closed"):
        return
    job = replace(
        _start("closed" if action == "closed" else "pull", payload),
        number=_number(pull["number"]),
        head=_checked(SHA, pull["head"]["sha"]),
        base=_checked(SHA, pull["base"]["sha"]),
        ref=_branch(pull["base"]["ref"]),
    )
    before = payload.get("before")
    if isinstance(before, str) and SHA.fullmatch(before) and before != job.head:
        job = replace(job, superseded=(before,))
    yield replace(job, text="pushed" if action == "synchronize" else str(action))


def _push(payload: Payload, app_id: int) -> Iterator[Job]:
    ref = payload["ref"]
    if isinstance(ref, str) and ref.startswith(BRANCH_PREFIX) and not payload.get("deleted"):
        after = _checked(SHA, payload["after"])
        yield replace(_start("moved", payload), ref=_branch(ref.removeprefix(BRANCH_PREFIX)), head=after)


def _merge_group(payload: Payload, app_id: int) -> Iterator[Job]:
    group = payload["merge_group"]
    if payload["action"] != "checks_requested":
        return
    yield replace(
        _start("group", payload),
        head=_checked(SHA, group["head_sha"]),
        base=_checked(SHA, group["base_sha"]),
        ref=_branch(group["base_ref"].removeprefix(BRANCH_PREFIX)),
        text=_branch(group["head_ref"].removeprefix(BRANCH_PREFIX)),
    )


def _ours(run: Payload, app_id: int) -> bool:
    app = run.get("app")
    return isinstance(app, dict) and app.get("id") == app_id


def _check_run(payload: Payload, app_id: int) -> Iterator[Job]:
    action, run = payload["action"], payload["check_run"]
    if action not in ("rerequested", "requested_action") or not _ours(run, app_id):
        return
    job = _start("head" if action == "rerequested" else "action", payload)
    job = replace(job, head=_checked(SHA, run["head_sha"]), note=_number(run["id"]), force=True)
    if action == "requested_action":
        identifier = payload["requested_action"]["identifier"]
        job = replace(job, text=_checked(re.compile(r"[a-z]{1,20}"), identifier))
    yield job


def _check_suite(payload: Payload, app_id: int) -> Iterator[Job]:
    action, suite = payload["action"], payload["check_suite"]
    if action not in ("requested", "rerequested"):
        return
    job = replace(_start("head", payload), head=_checked(SHA, suite["head_sha"]))
    if action == "rerequested":
        yield replace(job, force=True)
        return
    for pull in suite.get("pull_requests") or ():
        if pull["base"]["repo"]["id"] == job.repo_id:
            yield replace(job, kind="pull", number=_number(pull["number"]), text="suite")


def _command(payload: Payload, text: object, number: object, note: object, at: object) -> Iterator[Job]:
    """A comment is only read when it was just made: others may edit what someone wrote."""
    if isinstance(text, str) and text.lstrip().startswith(COMMAND_PREFIX):
        cut = text.lstrip()[:_LONGEST_COMMAND]
        job = replace(_start("command", payload), number=_number(number), note=_number(note), text=cut)
        yield replace(job, at=at if isinstance(at, str) else "")


def _issue_comment(payload: Payload, app_id: int) -> Iterator[Job]:
    issue, comment = payload["issue"], payload["comment"]
    if payload["action"] == "created" and issue.get("pull_request") and comment["user"]["type"] == "User":
        yield from _command(payload, comment["body"], issue["number"], comment["id"], comment["created_at"])


def _pull_request_review(payload: Payload, app_id: int) -> Iterator[Job]:
    review = payload["review"]
    if payload["action"] == "submitted" and review["user"]["type"] == "User":
        number = payload["pull_request"]["number"]
        for job in _command(payload, review["body"], number, review["id"], review["submitted_at"]):
            yield replace(job, head=_checked(SHA, review["commit_id"]))


def _installation(payload: Payload, app_id: int) -> Iterator[Job]:
    installation = _number(payload["installation"]["id"])
    if payload["action"] in ("created", "unsuspend", "new_permissions_accepted", "added"):
        yield Job("installed", installation)
    gone = "repositories" if payload["action"] == "deleted" else "repositories_removed"
    if payload["action"] in ("deleted", "removed"):
        for repository in payload.get(gone) or ():
            yield Job("removed", installation, repo_id=_number(repository["id"]))


_READERS: Mapping[str, Callable[[Payload, int], Iterator[Job]]] = {
    "pull_request": _pull_request,
    "push": _push,
    "merge_group": _merge_group,
    "check_run": _check_run,
    "check_suite": _check_suite,
    "issue_comment": _issue_comment,
    "pull_request_review": _pull_request_review,
    "installation": _installation,
    "installation_repositories": _installation,
}
