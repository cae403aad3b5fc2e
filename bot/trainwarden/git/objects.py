"""Object names in, contents out, through one long-lived ``git cat-file --batch`` process.

What cannot be had (missing in a partial clone, corrupt, over the size budget) comes back as ``Unavailable``
with the reason; the process is restarted when it died or when the rest of a large object is not wanted.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO

from trainwarden.git.process import Git, complaint

MAX_BLOB = 20 * 1024 * 1024
MAX_TREE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its full name, type (``commit``, ``tree``, ``blob``, ``tag``) and contents."""

    oid: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Unavailable:
    """An object that was not read, and why; ``missing`` when git knows no object of that name."""

    reason: str
    missing: bool = False


class Objects:
    """Reads objects by name or revision expression. Not for use from several threads."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def get(self, name: str, limit: int = MAX_BLOB) -> Found | Unavailable:
        """The object that ``name`` (any revision expression) stands for, up to ``limit`` bytes."""
        request = name.encode("utf-8", "surrogateescape")
        if b"\n" in request or b"\0" in request or not request:
            return Unavailable("not an object name", missing=True)
        try:
            return self._ask(request, limit)
        except (BrokenPipeError, EOFError):
            return self._post_mortem()

    def close(self) -> None:
        """Ends the process. Idempotent; a later ``get`` starts another one."""
        process, errors, self._process, self._errors = self._process, self._errors, None, None
        if process is not None:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()
        if errors is not None:
            errors.close()

    def _ask(self, request: bytes, limit: int) -> Found | Unavailable:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(request + b"\n")
        process.stdin.flush()
        header = process.stdout.readline()
        if not header.endswith(b"\n"):
            raise EOFError
        if header == request + b" missing\n":
            return Unavailable("the object is missing", missing=True)
        if header == request + b" ambiguous\n":
            return Unavailable("the abbreviated name is ambiguous", missing=True)
        oid, type_, size = header.decode("ascii").split()
        if int(size) > limit:
            self.close()
            return Unavailable(f"{int(size)} bytes, more than the {limit} that are read")
        return Found(oid, type_, _exactly(process.stdout, int(size)))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it died between two requests, over no object
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = self._git.start("cat-file", "--batch", stderr=self._errors)
        return self._process

    def _post_mortem(self) -> Unavailable:
        """Reads the last words of a process that died over an object, and buries it."""
        words = b""
        if self._process is not None and self._errors is not None:
            self._process.wait()
            self._errors.seek(0)
            words = self._errors.read(65536)
        self.close()
        if b"promisor remote" in words:
            return Unavailable("the object is missing here (partial clone)", missing=True)
        return Unavailable(f"git cannot read the object: {complaint(words)}")


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size + 1)
    if len(data) != size + 1:
        raise EOFError
    return data[:-1]
