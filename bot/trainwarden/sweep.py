"""Many changes of one repository in, one report for each out, as each is ready.

Every worker is a thread with its own killable reviewer, so that a change which kills or stalls the reader
delays nobody else. The order in which changes are taken never alters what is said about one of them. Also
here: which changes to take (a file of ranges, or first-parent history) and which of them an earlier run has
finished.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from trainwarden.model import Misuse, Options, Report, Request, TrainwardenError, VerdictName
from trainwarden.sandbox import Reviewer, error_report
from trainwarden.sandbox_process import REVIEW

RANGE_KEYS = ("id", "base", "head", "policy")


def read_ranges(data: bytes, repo: str, origin: str) -> tuple[Request, ...]:
    """Requests from JSON lines ``{"id", "base", "head"}``, with ``policy`` if wanted; other keys are ignored.

    A range without id is called ``base..head``. Raises ``Misuse`` naming the line that is not such an
    object, or whose id was used before.
    """
    requests: dict[str, Request] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            request = _range(line, repo, f"{origin}, line {number}")
            if str(request.id) in requests:
                raise Misuse(f"{origin}, line {number}: the id {request.id!r} was used before")
            requests[str(request.id)] = request
    return tuple(requests.values())


def _range(line: bytes, repo: str, where: str) -> Request:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        hint = 'write one object a line: {"id": ..., "base": REV, "head": REV}'
        raise Misuse(f"{where}: not JSON", hint) from None
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("base", "head")):
        raise Misuse(f'{where}: needs "base" and "head" as text')
    base, head, policy = entry["base"], entry["head"], entry.get("policy")
    identity = entry.get("id", f"{base}..{head}")
    if not isinstance(identity, str | int) or not isinstance(policy, str | None):
        raise Misuse(f'{where}: "id" and "policy" must be text')
    return Request(repo, "range", base, head, policy, id=str(identity))


def history(repo: str, commits: int | None, since: str | None) -> tuple[Request, ...]:
    """Requests for the newest non-merge commits of the first-parent history of HEAD, newest first.

    At most ``commits`` of them, none older than ``since`` (as git reads dates); the id is the commit. Raises
    ``Misuse`` when ``repo`` is not a repository.
    """
    from trainwarden.git import Repository

    repository = Repository(repo)
    try:
        pairs = repository.first_parent_commits(commits, since)
        return tuple(Request(repo, "range", base, head, id=head) for base, head in pairs)
    finally:
        repository.close()


def finished(path: Path) -> dict[str, VerdictName]:
    """The verdict of each id in a file of report lines; cuts off a last line that an interruption tore.

    A missing file is an empty one. Raises ``Misuse`` when a whole line is not a report: it is another file.
    """
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    done = dict(_verdict(line, f"{path}, line {number}") for number, line in enumerate(whole.splitlines(), 1))
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return done


def _verdict(line: bytes, where: str) -> tuple[str, VerdictName]:
    from trainwarden.report.json import from_dict

    try:
        report = from_dict(json.loads(line))
    except (ValueError, TypeError, RecursionError, Misuse) as error:
        raise Misuse(f"{where}: not a report of an earlier sweep ({error})", "name another file") from None
    return str(report.id), report.verdict.name


def sweep(
    requests: Iterable[Request], options: Options, jobs: int, target: str = REVIEW
) -> Generator[Report, None, None]:
    """Yields one report for each request, in the order in which they are finished.

    A change that cannot be reviewed, for whatever reason, yields a report with verdict ``error``. Closing the
    iterator ends all workers at once. ``target`` is what the reviewers run, see ``sandbox.Reviewer``.
    """
    pending: SimpleQueue[Request] = SimpleQueue()
    for request in requests:
        pending.put(request)
    count = pending.qsize()
    results: SimpleQueue[Report] = SimpleQueue()
    patient = replace(options, keep_open=True)
    reviewers = [Reviewer(patient, target) for _ in range(min(jobs, count))]
    threads = [threading.Thread(target=_work, args=(each, pending, results)) for each in reviewers]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            yield results.get()
    finally:
        for reviewer in reviewers:
            reviewer.abort()
        for thread in threads:
            thread.join()


def _work(reviewer: Reviewer, pending: SimpleQueue[Request], results: SimpleQueue[Report]) -> None:
    """One worker's life: reviews until nothing is pending or its reviewer is aborted."""
    with reviewer, suppress(Empty):
        while not reviewer.aborted:
            request = pending.get_nowait()
            try:
                results.put(reviewer.review(request))
            except TrainwardenError as error:
                results.put(error_report(request, str(error)))
