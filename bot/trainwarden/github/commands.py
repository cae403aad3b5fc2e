"""Words of people: a comment or a pressed button in, an authorised deed and a reply out.

Whoever opened, wrote, committed, co-wrote or pushed a change can neither approve it nor label its findings,
whatever team they are in. Membership and people are asked of GitHub each time, and an approval is bound to
the reading it was given for: this head, against this base, under this policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote

from trainwarden.github.app import Gone
from trainwarden.github.checkrun import Reading, whole
from trainwarden.github.events import COMMAND_PREFIX, Job
from trainwarden.github.ledger import Approval
from trainwarden.github.reading import Room
from trainwarden.github.remote import Pull, Remote
from trainwarden.github.settle import Alive, Settler
from trainwarden.model import Misuse
from trainwarden.report import markdown
from trainwarden.report.commonmark import code

Verb = Literal["explain", "rerun", "approve", "true", "false"]
USAGE = "`explain`, `rerun`, `approve <fingerprint> <reason>`, `true <fingerprint>` or `false <fingerprint>`"
_SHORTEST = 8
_HEAD_SHORTEST = 12
_MAY_WRITE = ("admin", "maintain", "write")
_EXPLANATION = 30_000


@dataclass(frozen=True, slots=True)
class Command:
    """One parsed command; ``target`` is the beginning of a fingerprint or of the head's name."""

    verb: Verb
    target: str = ""
    reason: str = ""


class NotAllowed(Misuse):
    """The person may not do this; the message says why, in words for a comment."""


def parse(text: str) -> Command:
    """Read the first line of a comment. Raises ``Misuse`` with words for the reply."""
    name, *words = text.strip().splitlines()[0].split()
    if name != COMMAND_PREFIX:
        raise Misuse(f"I know {USAGE}.")
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb in ("explain", "rerun") and not rest:
        return Command(cast(Verb, verb))
    if verb in ("true", "false") and len(rest) == 1:
        return Command(cast(Verb, verb), _target(rest[0]))
    if verb == "approve" and len(rest) >= 2:
        return Command("approve", _target(rest[0]), " ".join(rest[1:]))
    if verb == "approve":
        raise Misuse("An approval needs a fingerprint (or the head's name) and a reason.")
    raise Misuse(f"I know {USAGE}.")


def _target(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:._-]{8,128}", word):
        raise Misuse(f"A fingerprint has at least {_SHORTEST} letters and digits.")
    return word


class Commander:
    """Carries out commands for the jobs of one worker."""

    def __init__(self, room: Room, settler: Settler) -> None:
        self._room = room
        self._settler = settler

    def comment(self, job: Job, alive: Alive) -> None:
        """A comment or review that begins with the command word. Raises a ``GitHubError``."""
        claim = f"command:{job.repo_id}:{job.number}:{job.note}"
        if self._room.store.marked(claim):
            return
        remote = self._room.remote(job)
        try:
            pull = remote.pull(job.number)
            words = self._obey(job, parse(job.text), pull, remote, alive)
        except Misuse as error:
            words = str(error)
        if self._room.store.claim(claim):
            remote.api.call("POST", f"{remote.path}/issues/{job.number}/comments", {"body": words})

    def button(self, job: Job, alive: Alive) -> None:
        """A pressed button of our check run: ``rerun`` or ``approve``. Raises a ``GitHubError``."""
        remote = self._room.remote(job)
        pulls = [pull for pull in remote.open_pulls() if pull.head == job.head]
        for pull in pulls:
            try:
                verb: Verb = "approve" if job.text == "approve" else "rerun"
                command = Command(verb, job.head, "pressed the button on the check run")
                self._obey(job, command, pull, remote, alive)
            except Misuse as error:
                body = {"body": f"{code(job.login)}: {error}"}
                remote.api.call("POST", f"{remote.path}/issues/{pull.number}/comments", body)

    def _obey(self, job: Job, command: Command, pull: Pull, remote: Remote, alive: Alive) -> str:
        if not pull.open:
            raise Misuse("This pull request is closed.")
        if job.head and job.head != pull.head:
            raise Misuse("The head has moved since; look at it again.")
        if command.verb in ("explain", "rerun"):
            self._may_write(job, pull, remote)
            return self._again(job, command, pull, remote, alive)
        try:
            self._may_judge(job, pull, remote)
            return self._judge(job, command, pull, remote, alive)
        except NotAllowed as error:
            fields = {"actor": job.login, "head": pull.head, "reason": str(error)}
            self._room.audit.tell("approval-refused", job, **fields)
            raise

    def _again(self, job: Job, command: Command, pull: Pull, remote: Remote, alive: Alive) -> str:
        if command.verb == "rerun":
            self._settler.settle(_forced(job), pull.head, alive)
            return f"Reviewed {code(pull.head[:12])} again; see the check."
        reading = self._reading(job, pull, remote)
        return markdown.render(reading.report, max_bytes=_EXPLANATION)

    def _may_write(self, job: Job, pull: Pull, remote: Remote) -> None:
        if job.login.lower() == pull.opener.lower():
            return
        try:
            name = quote(job.login, safe="")
            answer = remote.api.call("GET", f"{remote.path}/collaborators/{name}/permission")
        except Gone:
            answer = {}
        if answer.get("permission") not in _MAY_WRITE:
            raise NotAllowed("Only people who can write to this repository may ask for this.")

    def _may_judge(self, job: Job, pull: Pull, remote: Remote) -> None:
        """Raises ``NotAllowed`` unless the actor is of the security team and had no part in the change."""
        team = self._room.settings.security_team
        if not team:
            raise NotAllowed("No security team is configured, so nobody can approve.")
        if not remote.in_team(team, job.login):
            raise NotAllowed(f"Only active members of {code(team)} may do this.")
        people = remote.people(pull)
        involved = people.logins | self._room.ledger.participants(job.repo_id, pull.number)
        if job.login.lower() in involved | remote.pushers(pull):
            raise NotAllowed("You opened, wrote, committed, co-wrote or pushed this change.")
        if people.unknown:
            raise NotAllowed(f"Not everybody who made this change is known: {people.unknown[0]}.")

    def _judge(self, job: Job, command: Command, pull: Pull, remote: Remote, alive: Alive) -> str:
        self._seen(job, pull, remote)
        reading = self._reading(job, pull, remote)
        approval = self._aimed(job, command, pull, reading)
        if command.verb in ("true", "false"):
            return self._opine(job, command.verb, approval, reading)
        if reading.report.verdict.name == "error":
            raise NotAllowed("The review could not be finished; what was not read cannot be approved.")
        self._room.ledger.approve(approval)
        fields = {"fingerprint": approval.fingerprint, "reason": approval.reason}
        self._room.audit.tell("approval", job, actor=job.login, head=pull.head, **fields)
        self._settler.settle(job, pull.head, alive)
        return f"Approved by {code(job.login)} for {code(pull.head[:12])}; see the check."

    def _opine(self, job: Job, verb: str, approval: Approval, reading: Reading) -> str:
        rules = [f.rule for f in reading.report.findings if f.fingerprint == approval.fingerprint]
        if not rules:
            raise Misuse("Give the fingerprint of one finding.")
        self._room.ledger.opine(approval, verb, rules[0])
        fields = {"fingerprint": approval.fingerprint, "rule": rules[0], "opinion": verb}
        self._room.audit.tell("opinion", job, actor=job.login, head=approval.head, **fields)
        return f"Noted: {code(approval.fingerprint)} is a {verb} alert."

    def _seen(self, job: Job, pull: Pull, remote: Remote) -> None:
        """The review of this head was there to be read before the word was given."""
        done = [check.completed for check in remote.checks(pull.head) if check.status == "completed"]
        if not done or (job.at and job.at < done[0]):
            raise NotAllowed("The review of this head was not finished when you wrote; look at it again.")

    def _reading(self, job: Job, pull: Pull, remote: Remote) -> Reading:
        return self._settler.reader.readings(job, remote, [pull])[0]

    def _aimed(self, job: Job, command: Command, pull: Pull, reading: Reading) -> Approval:
        target = command.target
        found = {f.fingerprint for f in reading.report.findings if f.fingerprint.startswith(target)}
        if len(found) == 1:
            return Approval(job.repo_id, pull.head, found.pop(), job.login, command.reason)
        if not found and len(target) >= _HEAD_SHORTEST and pull.head.startswith(target):
            return Approval(job.repo_id, pull.head, whole(reading.key), job.login, command.reason)
        raise NotAllowed("No single finding of this head has that fingerprint.")


def _forced(job: Job) -> Job:
    return Job("head", job.installation, job.repo_id, job.owner, job.name, job.number, force=True)
