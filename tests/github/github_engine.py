"""A small reviewer that decides by plain words on added lines, so that a test knows the outcome beforehand.

It reads the change through the same ``Source`` as the real one. ``block-me`` and ``review-me`` alert,
``slow-me`` takes a second, ``kill-me`` ends the process it runs in.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from contextlib import closing

from trainwarden import config
from trainwarden.git import open_source
from trainwarden.github.settings import Mode
from trainwarden.model import (
    Behaviour,
    Coverage,
    FilePair,
    Finding,
    Level,
    Report,
    Request,
    Tool,
    TrainwardenError,
    Unread,
    Verdict,
    VerdictName,
)
from trainwarden.sandbox import error_report

SEVERITY: dict[str, Level] = {"block-me": "critical", "review-me": "medium", "note-me": "low"}


class WordEngine:
    """See the module."""

    identity = "words 1"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def mode(self, data: bytes | None, origin: str) -> Mode:
        return config.load(data, origin).mode

    def review(self, request: Request, config_file: str | None) -> Report:
        self.requests.append(request)
        try:
            with closing(open_source(request)) as source:
                return _judge(request, list(source.pairs()))
        except TrainwardenError as error:
            return error_report(request, str(error))

    def close(self) -> None:
        pass


def _judge(request: Request, pairs: list[FilePair | Unread]) -> Report:
    findings, unread, rows = [], [], []
    for pair in pairs:
        if isinstance(pair, Unread):
            unread.append(pair)
            continue
        before = pair.before.data.splitlines() if pair.before else []
        lines = pair.after.data.splitlines() if pair.after else []
        for number, line in enumerate(lines, 1):
            if line in before:
                continue
            if b"kill-me" in line:
                os.kill(os.getpid(), signal.SIGKILL)
            if b"slow-me" in line:
                time.sleep(1.0)
            word = next((w for w in SEVERITY if w.encode() in line), None)
            if word:
                findings.append(_finding(word, pair.path, number, line))
            elif b"=" in line:
                name, _, value = line.decode("utf-8", "replace").partition("=")
                rows.append(Behaviour(name.strip(), "main", "", None, value.strip(), pair.path, number))
    severities = {f.severity for f in findings}
    name: VerdictName = (
        "block" if "critical" in severities else "review" if "medium" in severities else "pass"
    )
    risk = {"block": 0.97, "review": 0.5, "pass": 0.01}[name]
    coverage = Coverage(len(pairs), len(pairs) - len(unread), tuple(unread))
    revisions = request_revisions(request)
    verdict = Verdict(name, risk, tuple(f.message for f in findings[:3]))
    tool = Tool("0.0.0", "0" * 64)
    return Report(
        request.id, tool, revisions, verdict, tuple(findings), tuple(rows), coverage, 1, training=True
    )


def request_revisions(request: Request):
    from trainwarden.model import Revisions

    return Revisions(request.base or "", request.head or "", request.policy or "")


def _finding(word: str, path: str, line: int, text: bytes) -> Finding:
    message = f"A line says {word}: {text.decode('utf-8', 'replace')}"
    print_of = hashlib.sha256(path.encode("utf-8", "surrogateescape") + text.strip()).hexdigest()[:16]
    return Finding(
        rule=f"says-{word}",
        family="words",
        technique=("X01",),
        role="effect",
        severity=SEVERITY[word],
        confidence="high",
        stage="active",
        path=path,
        side="head",
        start_line=line,
        end_line=line,
        message=message,
        fingerprint=print_of,
        score=0.5,
    )
