"""Requests in, reports out: whole reviews run in a child process that may be killed, and often must be.

A few kilobytes of nested brackets kill a parser and with it the process. So the supervisor here never
touches the change: it sends the request to a warm child, watches the clock, remembers which file the child
said it would read next, and when the child dies it marks that file as unread, starts another child and has
the rest reviewed. What cannot be finished is a report whose verdict is ``error``.

The child is started afresh (not forked): no secret in the supervisor's memory or environment is in its
reach, and a server with threads may use it. That costs about 45 ms once. The limits keep hostile input from
stopping or exhausting us; they are no defence against code that has taken over the child, which could
answer what it likes.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from trainwarden import sandbox_wire as wire
from trainwarden.model import (
    Coverage,
    Misuse,
    Options,
    Report,
    Request,
    Revisions,
    Tool,
    TrainwardenError,
    Unfinished,
    Unread,
    Verdict,
)
from trainwarden.sandbox_process import REVIEW, NoScratch, Process, take
from trainwarden.version import VERSION

RESTARTS = 5
START_SECONDS = 60.0
FILE_SHARE = 4  # one file may take a quarter of the whole review's time


def error_report(request: Request, reason: str, unread: tuple[Unread, ...] = ()) -> Report:
    """The report of a review that could not finish. Its risk is 1, so that a ranking shows it first."""
    base = request.base or ("HEAD" if request.kind != "range" else "")
    revisions = Revisions(base, request.head or "", request.policy or base)
    coverage = Coverage(len(unread), 0, unread)
    verdict = Verdict("error", 1.0, (reason,))
    return Report(request.id, Tool(VERSION, ""), revisions, verdict, coverage=coverage)


def version() -> str:
    """The version of this package."""
    return VERSION


class Reviewer:
    """A supervisor with one warm child. For one thread, except that ``abort`` may be called from any.

    ``target`` is the function that the child runs, as ``module:name``, called as ``target(request, options,
    breadcrumb=..., skip=...)``; it calls ``breadcrumb(path)`` before it reads a file and ``breadcrumb("")``
    before it does something that no single file is to blame for.
    """

    def __init__(self, options: Options, target: str = REVIEW, restarts: int = RESTARTS) -> None:
        self._options = options
        self._target = target
        self._restarts = restarts
        self._child: _Child | None = None
        self.aborted = False

    def __enter__(self) -> Reviewer:
        with suppress(Unfinished):  # only a head start: ``review`` will say what is wrong
            self._warm()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kills the child and everything it started. Idempotent."""
        if self._child is not None:
            self._child.close()
        self._child = None

    def abort(self) -> None:
        """Makes a review under way in another thread, and any later one, raise ``Unfinished`` at once."""
        self.aborted = True
        if (child := self._child) is not None:
            child.kill()

    def review(self, request: Request) -> Report:
        """Reviews one change within the budget of the options, whatever the change does to the child.

        Returns a report with verdict ``error`` when it cannot finish. Raises ``Misuse`` when the request
        itself is wrong, and ``Unfinished`` when ``abort`` was called meanwhile.
        """
        try:
            return replace(self._supervise(request), id=request.id)
        except Unfinished as error:
            if self.aborted:
                raise
            return error_report(request, str(error))

    def _supervise(self, request: Request) -> Report:
        skip: dict[str, str] = {}
        left = self._options.seconds
        for _ in range(1 + self._restarts):
            child = self._warm()
            fresh = child.reviews == 0
            started = time.monotonic()
            answer = child.review(request, self._options, skip, left)
            left -= time.monotonic() - started
            if isinstance(answer, Report):
                return answer
            self.close()
            if not fresh and not answer.clock:
                continue  # an old child may have died of what came before: only a fresh one can accuse a file
            accusable = answer.path and answer.path not in skip
            if accusable:
                skip[answer.path] = f"the reader {answer.reason}"
            if not accusable or left <= 0:
                return _gave_up(request, f"the reader {answer.reason}", skip)
        return _gave_up(request, f"the reader died {1 + self._restarts} times", skip)

    def _warm(self) -> _Child:
        if self._child is None or self._child.retired:
            self.close()
            limit = "data" if self._options.scorer.device == "cuda" else "address"
            self._child = _Child(self._target, self._options.megabytes, limit)
        if self.aborted:
            self.close()
            raise Unfinished("the reviewer was stopped")
        return self._child


def _gave_up(request: Request, reason: str, skip: dict[str, str]) -> Report:
    unread = tuple(Unread(path, None, why) for path, why in skip.items())
    where = f" (while reading {', '.join(skip)})" if skip else ""
    return error_report(request, reason + where, unread)


@dataclass(frozen=True, slots=True)
class _Death:
    """How a child ended: the file it was reading ("" for none), words, and whether the clock ran out."""

    path: str
    reason: str
    clock: bool = False


class _Child:
    """One process, its two pipes and what it last said."""

    def __init__(self, target: str, megabytes: int, limit: str) -> None:
        self._process = _started(target, str(megabytes), limit)
        self._inbox = wire.Inbox()
        self._greeted = False
        self._megabytes = megabytes
        self._path = ""
        self._path_since = 0.0
        self.reviews = 0
        self.retired = False

    def review(
        self, request: Request, options: Options, skip: dict[str, str], seconds: float
    ) -> Report | _Death:
        """Sends one request and waits for its end: a report, or a death. Raises what the child refused."""
        self._path = ""
        try:
            self._greet()
            self.reviews += 1
            payload = pickle.dumps((request, options, skip, seconds))
            return self._converse(wire.frame(wire.REQUEST, payload), options.seconds, seconds)
        except wire.Garbled as error:
            return _Death(self._path, f"answered nonsense ({error})")
        except (EOFError, BrokenPipeError):
            return _Death(self._path, self._cause())

    def kill(self) -> None:
        """Kills the child and everything it started; also ends a ``review`` in another thread. Idempotent."""
        self.retired = True
        child = self._process.child
        if child.returncode is not None:
            return  # reaped: the number may belong to somebody else by now
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills, reaps and tidies up. Once, by the thread that reviews."""
        self._end()
        self._process.release()

    def _end(self) -> int:
        """Kills what is left of the group before the process is reaped, and returns the exit status."""
        self.kill()
        return self._process.child.wait()

    def _greet(self) -> None:
        """Waits until the child can review. One that could not start is not asked again."""
        deadline = time.monotonic() + START_SECONDS
        while not self._greeted:
            if self._wait(b"", deadline) is None:
                raise self._not_started(f"did not start within {START_SECONDS:.0f} s")
            for kind, payload in self._inbox.frames():
                if kind != wire.HELLO:
                    raise self._not_started(wire.decode_words(payload).get("reason", "did not start"))
                self._greeted = True

    def _not_started(self, why: str) -> Unfinished:
        self.retired = True
        return Unfinished(f"the reader {why}")

    def _converse(self, outgoing: bytes, whole: float, seconds: float) -> Report | _Death:
        self._path_since = time.monotonic()
        deadline = self._path_since + seconds
        patience = max(whole / FILE_SHARE, 1.0)
        unsent = memoryview(outgoing)
        while True:
            file_deadline = self._path_since + patience if self._path else deadline
            sent = self._wait(unsent, min(deadline, file_deadline))
            if sent is None:
                spent = patience if file_deadline < deadline else whole
                return _Death(self._path, f"took longer than {spent:.0f} s", clock=True)
            unsent = unsent[sent:]
            for kind, payload in self._inbox.frames():
                if (end := self._take(kind, payload)) is not None:
                    return end

    def _wait(self, outgoing: bytes | memoryview, deadline: float) -> int | None:
        """Waits until the child can be read from or written to: bytes written, or None at the deadline."""
        poll = select.poll()
        poll.register(self._process.answers, select.POLLIN)
        if outgoing:
            poll.register(self._process.requests, select.POLLOUT)
        ready = {name for name, _ in poll.poll(max(deadline - time.monotonic(), 0) * 1000)}
        if not ready:
            return None
        if self._process.answers in ready:
            data = os.read(self._process.answers, 1 << 20)
            if not data:
                raise EOFError
            self._inbox.feed(data)
            return 0
        return os.write(self._process.requests, outgoing)

    def _take(self, kind: bytes, payload: bytes) -> Report | _Death | None:
        if kind == wire.PATH:
            self._path, self._path_since = wire.decode_path(payload), time.monotonic()
            return None
        if kind == wire.REPORT:
            report, self.retired = wire.decode_report(payload)
            return report
        words = wire.decode_words(payload)
        if kind == wire.REFUSAL:
            raise _refusal(words)
        if kind == wire.CRASH:
            return _Death(self._path, words.get("reason", "failed"))
        raise wire.Garbled(f"a frame of kind {kind!r}")

    def _cause(self) -> str:
        """Words for the end of a process that hung up; its status was settled before its pipes closed."""
        status = self._end()
        if status >= 0:
            return f"ended with status {status}"
        if -status == signal.SIGXCPU:
            return "used up its processor time"
        return f"crashed with {signal.Signals(-status).name}"


def _refusal(words: dict[str, str]) -> TrainwardenError:
    kind = Misuse if words.get("kind") == "misuse" else Unfinished
    return kind(words.get("message", "refused"), words.get("hint", ""))


def _started(*words: str) -> Process:
    try:
        return take(*words)
    except NoScratch as error:
        raise Unfinished(
            f"no temporary directory {error.filename}: {error.strerror}",
            "set TMPDIR to a directory that can be written",
        ) from error
    except OSError as error:
        raise Unfinished(f"the reader cannot be started: {error.strerror}") from error
