"""The check run of a head: what is to be said in, one check run on GitHub out, created once.

GitHub may create a check run and still answer 502, so nothing is ever created before it was looked for, and
never twice without looking again. https://docs.github.com/en/rest/checks/runs
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from trainwarden.github.app import Refused, Unavailable
from trainwarden.github.checkrun import ACTIONS, BATCH, Said
from trainwarden.github.remote import Check, Remote
from trainwarden.github.settings import Settings

_CREATE_TRIES = 3
_LONGEST_SUMMARY = 65_535


class Publisher:
    """Speaks through one repository's check runs. Every method raises a ``GitHubError``.

    ``alive`` is asked before each write: a job that was cancelled or taken over says nothing.
    """

    def __init__(self, remote: Remote, settings: Settings, alive: Callable[[], bool]) -> None:
        self._remote = remote
        self._settings = settings
        self._alive = alive
        self._runs = f"{remote.path}/check-runs"

    def begin(self, head: str) -> Check:
        """The head's check run, found or created, in progress."""
        found = self._remote.checks(head)
        for extra in found[1:]:
            if extra.status != "completed":
                self._edit(extra.id, {"status": "completed", "conclusion": "cancelled"})
        if not found:
            return self._create(head)
        if found[0].status != "in_progress":
            self._edit(found[0].id, {"status": "in_progress"})
        return found[0]

    def _create(self, head: str) -> Check:
        body = {"name": self._settings.check_name, "head_sha": head, "external_id": f"head:{head}"}
        # Times are left to GitHub: approvals are compared with them, and our clock may be wrong.
        body |= {"status": "in_progress"} | self._details(head)
        for attempt in range(1, _CREATE_TRIES + 1):
            try:
                self._speak()
                run = self._remote.api.call("POST", self._runs, body)
                return Check(run["id"], "in_progress", "", f"head:{head}")
            except Unavailable:
                # It may exist all the same: look before another try.
                time.sleep(min(1.0, 20 * self._settings.throttle) * attempt)
                if found := self._remote.checks(head):
                    return found[0]
        raise Unavailable("the check run could not be created", 15.0)

    def finish(self, check_id: int, said: Said, annotated: Iterable[str] = ()) -> frozenset[str]:
        """Conclude a check run; annotations go in batches, those in ``annotated`` were sent before.

        Returns the marks of every annotation this check run now has.
        """
        marks = {_mark(annotation): annotation for annotation in said.annotations}
        known = frozenset(annotated)
        fresh = [annotation for mark, annotation in marks.items() if mark not in known]
        batches = [fresh[i : i + BATCH] for i in range(0, len(fresh), BATCH)] or [[]]
        output = {"title": said.title, "summary": said.summary[:_LONGEST_SUMMARY]}
        for batch in batches[:-1]:
            self._edit(check_id, {"status": "in_progress", "output": output | {"annotations": batch}})
        last = output | ({"annotations": batches[-1]} if batches[-1] else {})
        body = {"status": "completed", "conclusion": said.conclusion, "output": last}
        self._edit(
            check_id, body | ({"actions": ACTIONS} if said.standing in ("review", "block", "error") else {})
        )
        return known | frozenset(marks)

    def close(self, head: str, title: str, words: str) -> int:
        """Conclude whatever of ours is still in progress on a head that nobody asks about any more."""
        count = 0
        for check in self._remote.checks(head):
            if check.status != "completed":
                output = {"title": title, "summary": words}
                body: dict[str, Any] = {"status": "completed", "conclusion": "cancelled"}
                self._edit(check.id, body | {"output": output})
                count += 1
        return count

    def _details(self, head: str) -> dict[str, str]:
        """A link to the full report, if the operator serves it behind the repository's authentication."""
        template = self._settings.details_url
        return {"details_url": template.replace("{head}", head)} if template else {}

    def _edit(self, check_id: int, body: dict[str, Any]) -> None:
        self._speak()
        self._remote.api.call("PATCH", f"{self._runs}/{check_id}", body)

    def _speak(self) -> None:
        if not self._alive():
            raise Superseded("the job was cancelled or taken over", 409)


class Superseded(Refused):
    """The job may not speak any more: a newer one does."""


def _mark(annotation: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(annotation, sort_keys=True).encode()).hexdigest()[:16]
