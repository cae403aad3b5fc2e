"""The company's record: what was decided in, one JSON line on standard output and one signed webhook out.

Identifiers, logins and reasons only: no code, no file contents. The webhook is a durable job, tried until the
receiver takes it; its signature has GitHub's own form.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, TextIO

import requests

from trainwarden.github.app import Unavailable
from trainwarden.github.events import Job
from trainwarden.github.logs import note, scrub
from trainwarden.github.settings import Settings
from trainwarden.github.signature import sign

EVENTS = (
    "pass", "review", "block", "error", "approval", "approval-refused", "override", "break-glass", "opinion"
)  # fmt: skip
HEADER = "X-Trainwarden-Signature-256"
LOG = logging.getLogger("trainwarden.audit")


class Audit:
    """Writes events. ``later`` queues the job that carries an event to the webhook."""

    def __init__(
        self, settings: Settings, later: Callable[[Job, str], object], stream: TextIO | None = None
    ) -> None:
        self._settings = settings
        self._later = later
        self._stream = stream

    def tell(self, event: str, job: Job, **fields: object) -> None:
        """Record one event about the repository and head of ``job``. ``event`` is one of ``EVENTS``."""
        assert event in EVENTS
        at = time.time()
        line: dict[str, Any] = {"schema": "trainwarden/audit/1", "event": event, "at": round(at, 3)}
        line |= {"repository": job.repo, "repository_id": job.repo_id, "number": job.number}
        line |= {k: scrub(v) if isinstance(v, str) else v for k, v in fields.items()}
        text = json.dumps(line)
        print(text, file=self._stream or sys.stdout, flush=True)
        if self._settings.audit_url:
            letter = Job("tell", job.installation, repo_id=job.repo_id, text=text, at=f"{at:.6f}")
            # A key of its own: two events of one microsecond are two events.
            self._later(letter, uuid.uuid4().hex)

    def send(self, job: Job) -> None:
        """Deliver one event. Raises ``Unavailable`` unless the receiver answers 2xx."""
        body = job.text.encode()
        headers = {"Content-Type": "application/json", HEADER: sign(body, self._settings.audit_secret)}
        try:
            answer = requests.post(
                self._settings.audit_url, data=body, headers=headers, timeout=10, allow_redirects=False
            )
        except requests.exceptions.RequestException as error:
            raise Unavailable("the audit webhook does not answer", 10.0) from error
        if not 200 <= answer.status_code < 300:
            raise Unavailable(f"the audit webhook answered {answer.status_code}", 10.0)
        note(LOG, "audit event delivered", at=job.at)
