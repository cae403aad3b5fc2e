"""What is said besides the check run, as far as the operator wishes: one review, labels, a team, SARIF.

One sticky review a pull request: its body is updated, a finding gets one comment on its line, and the thread
is resolved when the finding goes. None of it decides anything, so a failure here is logged and let go.
"""

from __future__ import annotations

import base64
import gzip
import logging
import re
from collections.abc import Callable
from typing import Any

from trainwarden.github.app import App, GitHubError, Refused
from trainwarden.github.checkrun import Reading
from trainwarden.github.logs import warn
from trainwarden.github.remote import Pull, Remote
from trainwarden.github.settings import Settings
from trainwarden.model import Finding
from trainwarden.report import markdown, sarif
from trainwarden.report.commonmark import code, prose
from trainwarden.report.visible import clip, visible

LOG = logging.getLogger("trainwarden.voices")
STICKY = "<!-- trainwarden:review -->"
_MARK = re.compile(r"<!-- trainwarden:finding:([0-9A-Za-z:._-]{8,128}) -->")
_MOST_COMMENTS = 20
_LABELS = ("trainwarden: review", "trainwarden: block")
_BODY_BYTES = 40_000
_RESOLVE = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id } } }"
_THREADS = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    reviewThreads(first: 100) { nodes { id isResolved comments(first: 1) { nodes { databaseId } } } } } } }"""


class Voices:
    """Speaks about one outcome on its pull request."""

    def __init__(self, settings: Settings, app: App) -> None:
        self._settings = settings
        self._app = app

    def speak(self, remote: Remote, pull: Pull, reading: Reading) -> None:
        """Say all that is switched on; in ``observe`` mode nothing is."""
        if reading.mode == "observe":
            return
        voices: dict[str, Callable[[Remote, Pull, Reading], None]] = {
            "comments": self._review,
            "labels": label,
            "team": self._ask_team,
            "sarif": upload,
        }
        for name, voice in voices.items():
            if name not in self._settings.speak:
                continue
            try:
                voice(remote, pull, reading)
            except GitHubError as error:
                warn(LOG, "could not speak", voice=name, number=pull.number, reason=str(error))

    def _ask_team(self, remote: Remote, pull: Pull, reading: Reading) -> None:
        """Request a review by the security team, once: GitHub ignores a request that stands."""
        team = self._settings.security_team
        if team and reading.standing in ("review", "block"):
            path = f"{remote.path}/pulls/{pull.number}/requested_reviewers"
            remote.api.call("POST", path, {"team_reviewers": [team]})

    def _review(self, remote: Remote, pull: Pull, reading: Reading) -> None:
        Sticky(remote, pull, f"{self._app.slug()}[bot]").say(reading)


def label(remote: Remote, pull: Pull, reading: Reading) -> None:
    """Exactly the label of the standing: others of ours are taken away."""
    path = f"{remote.path}/issues/{pull.number}/labels"
    wanted = f"trainwarden: {reading.standing}"
    present = {item["name"] for item in remote.api.pages(path)}
    for name in _LABELS:
        if name in present and name != wanted:
            remote.api.call("DELETE", f"{path}/{name.replace(' ', '%20')}")
    if wanted in _LABELS and wanted not in present:
        remote.api.call("POST", path, {"labels": [wanted]})


def upload(remote: Remote, pull: Pull, reading: Reading) -> None:
    """The report as SARIF to code scanning, on the pull request's own reference."""
    data = base64.b64encode(gzip.compress(sarif.render(reading.report).encode(), mtime=0)).decode()
    body = {"commit_sha": pull.head, "ref": f"refs/pull/{pull.number}/head", "sarif": data}
    remote.api.call("POST", f"{remote.path}/code-scanning/sarifs", body | {"tool_name": "Trainwarden"})


class Sticky:
    """One review for all time: made when first needed, updated afterwards, its threads resolved.

    Only what our own account wrote is ours: a mark can be copied by anyone.
    """

    def __init__(self, remote: Remote, pull: Pull, login: str) -> None:
        self._api = remote.api
        self._remote = remote
        self._pull = pull
        self._login = login
        self._path = f"{remote.path}/pulls/{pull.number}"

    def say(self, reading: Reading) -> None:
        """Bring the review in line with a reading. Raises a ``GitHubError``."""
        reviews = [r for r in self._mine("reviews") if STICKY in (r.get("body") or "")]
        alerted = reading.standing in ("review", "block")
        if not reviews and not alerted:
            return
        body = f"{STICKY}\n{markdown.render(reading.report, max_bytes=_BODY_BYTES)}"
        spoken = [f for f in reading.report.findings if _speakable(f)][:_MOST_COMMENTS] if alerted else []
        if not reviews:
            self._first(body, spoken)
            return
        if reviews[0].get("body") != body:
            self._api.call("PUT", f"{self._path}/reviews/{reviews[0]['id']}", {"body": body})
        self._follow_up({finding.fingerprint: finding for finding in spoken})

    def _mine(self, what: str) -> list[Any]:
        items = self._api.pages(f"{self._path}/{what}")
        return [item for item in items if (item.get("user") or {}).get("login") == self._login]

    def _first(self, body: str, findings: list[Finding]) -> None:
        request = {"commit_id": self._pull.head, "event": "COMMENT", "body": body}
        comments = [_comment(finding) for finding in findings]
        try:
            self._api.call("POST", f"{self._path}/reviews", request | {"comments": comments})
        except Refused as error:
            # Lines outside the hunks GitHub shows take no comment; the words matter more than their place.
            if error.status != 422 or not comments:
                raise
            self._api.call("POST", f"{self._path}/reviews", request)

    def _follow_up(self, findings: dict[str, Finding]) -> None:
        marks = [(_MARK.search(c.get("body") or ""), c["id"]) for c in self._mine("comments")]
        said = {mark.group(1): comment for mark, comment in marks if mark}
        for fingerprint in findings.keys() - said.keys():
            self._comment_alone(findings[fingerprint])
        self._resolve({said[fingerprint] for fingerprint in said.keys() - findings.keys()})

    def _comment_alone(self, finding: Finding) -> None:
        try:
            body = _comment(finding) | {"commit_id": self._pull.head}
            self._api.call("POST", f"{self._path}/comments", body)
        except Refused as error:
            if error.status != 422:
                raise

    def _resolve(self, comments: set[int]) -> None:
        """Resolve the threads that these comments of ours began."""
        if not comments:
            return
        owner, name = self._remote.owner, self._remote.path.rpartition("/")[2]
        variables = {"owner": owner, "name": name, "number": self._pull.number}
        answer = self._api.graphql(_THREADS, variables)
        for thread in answer["repository"]["pullRequest"]["reviewThreads"]["nodes"]:
            first = thread["comments"]["nodes"][:1]
            if first and first[0]["databaseId"] in comments and not thread["isResolved"]:
                self._api.graphql(_RESOLVE, {"id": thread["id"]})


def _speakable(finding: Finding) -> bool:
    return finding.stage == "active" and finding.side == "head" and bool(finding.fingerprint)


def _comment(finding: Finding) -> dict[str, Any]:
    words = prose(clip(visible(finding.message), 2_000))
    mark = f"<!-- trainwarden:finding:{finding.fingerprint} -->"
    name = f"**{code(finding.rule)}** ({finding.severity})"
    body = f"{mark}\n{name}: {words}\n\nFingerprint {code(finding.fingerprint)}"
    place: dict[str, Any] = {"path": finding.path, "line": max(1, finding.end_line), "side": "RIGHT"}
    if finding.end_line > finding.start_line:
        place |= {"start_line": max(1, finding.start_line), "start_side": "RIGHT"}
    return place | {"body": body}
