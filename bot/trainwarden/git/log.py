"""A ``git log`` that is started, and read when somebody has time for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from trainwarden.git.process import Git, complaint
from trainwarden.git.trees import RawChange, raw_change
from trainwarden.model import Unfinished

LONGEST_TOKEN = 64 * 1024

_OPTIONS = (
    "--format=%H%x00%P%x00%ae%x00%at%x00%B%x00",
    "-z",
    "--encoding=UTF-8",
    "--no-notes",
    "--no-decorate",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=none",
)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and its raw changes against its first parent; none are listed for a commit without parents."""

    sha: str
    parents: tuple[str, ...]
    message: str
    author_email: str
    time: int
    changes: tuple[RawChange, ...] = ()


class Log:
    """The commits that ``git log`` with some arguments lists: once, and no more after ``close``.

    Git is at work from the start, so whoever has something else to do first finds the answer waiting. Iterating
    raises ``Unfinished`` when git fails (missing objects).
    """

    def __init__(self, git: Git, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = git.start("log", *_OPTIONS, *arguments, stderr=self._errors)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __iter__(self) -> Iterator[Commit]:
        assert self._process.stdout is not None
        try:
            yield from _commits(_tokens(self._process.stdout))
            self._check_end()
        finally:
            self.close()

    def close(self) -> None:
        """Ends git, if it is still at work. Idempotent."""
        assert self._process.stdout is not None
        self._process.kill()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    def _check_end(self) -> None:
        if self._process.wait() != 0:
            self._errors.seek(0)
            raise Unfinished(f"the history cannot be read: {complaint(self._errors.read(65536))}")


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    """The NUL-terminated tokens of a stream, each cut to ``LONGEST_TOKEN`` bytes (a commit message may be huge)."""
    token = b""
    while chunk := stream.read(LONGEST_TOKEN):
        first, *others = chunk.split(b"\0")
        token = (token + first)[:LONGEST_TOKEN]
        for other in others:
            yield token
            token = other


def _commits(tokens: Iterator[bytes]) -> Iterator[Commit]:
    """Parses ``git log --raw`` with ``_OPTIONS``: five fields, an empty token, changes and paths."""
    header = next(tokens, None)
    while header is not None:
        parents, email, time, message, _ = (next(tokens) for _ in range(5))
        changes: list[RawChange] = []
        sha, header = header, next(tokens, None)
        while header is not None and header.lstrip(b"\n").startswith(b":"):
            changes.append(raw_change(header, next(tokens)))
            header = next(tokens, None)
        yield Commit(
            sha.decode("ascii"),
            tuple(parents.decode("ascii").split()),
            message.decode("utf-8", "replace"),
            email.decode("utf-8", "replace"),
            int(time),
            tuple(changes),
        )
