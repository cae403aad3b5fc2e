"""The process of the killable child, started before anything else when a command is sure to want one.

Starting Python and importing what a review needs takes a third of a review from cold, and so does the import of
what the supervisor needs: with ``head_start`` both happen at once. So this module imports next to nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

REVIEW = "trainwarden.entry.assemble:review"
MEGABYTES = 2048  # what a child may use unless somebody says otherwise
ENVIRONMENT = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SYSTEMROOT",
    }
    | {"GIT_INDEX_FILE", "TRAINWARDEN_DEBUG"}
)


class NoScratch(OSError):
    """The private directory for temporary files could not be made."""


class Process:
    """A child in its own session, the ends of its two pipes that are ours, and its directory for temporary files.

    ``words`` are the child's arguments after its descriptors (see ``sandbox_child.main``). Raises ``OSError``
    (``NoScratch``) when it cannot be started.
    """

    def __init__(self, *words: str) -> None:
        self.words = words
        self.scratch = _make_scratch()
        theirs, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        os.set_blocking(self.requests, False)
        try:
            self.child = _start((theirs, answers), words, self.scratch)
        except OSError:
            self.release()
            raise
        finally:
            os.close(theirs)
            os.close(answers)

    def release(self) -> None:
        """Closes our ends, upon which a living child ends itself, and removes its temporary files. Once."""
        os.close(self.requests)
        os.close(self.answers)
        _remove_scratch(self.scratch)


_ahead: list[Process] = []


def head_start() -> None:
    """Starts the child that a review with the usual limits will ask for."""
    with suppress(OSError):  # the review will say what is wrong
        _ahead.append(Process(REVIEW, str(MEGABYTES), "address"))


def take(*words: str) -> Process:
    """A child with these arguments, which may have had a head start. Raises ``OSError`` as ``Process`` does."""
    if _ahead and _ahead[0].words == words:
        return _ahead.pop()
    forget()
    return Process(*words)


def forget() -> None:
    """Ends a child with a head start that nobody took."""
    while _ahead:
        process = _ahead.pop()
        process.child.kill()
        process.child.wait()
        process.release()


def _start(theirs: tuple[int, int], words: tuple[str, ...], scratch: str) -> subprocess.Popen[bytes]:
    """The child, with its two descriptors and, when debugging, standard error."""
    # -P: nothing may be imported from the current directory, which is often the repository under review
    command = [sys.executable, "-P", "-m", "trainwarden.sandbox_child", *map(str, theirs), *words]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("TRAINWARDEN_DEBUG") else subprocess.DEVNULL,
        env=_environment() | {"TMPDIR": scratch},
        pass_fds=theirs,
        start_new_session=True,
    )


def _make_scratch() -> str:
    """A private directory for temporary files: a killed child cannot tidy up. (tempfile loads in 12 ms.)"""
    path = f"{os.environ.get('TMPDIR') or '/tmp'}/trainwarden-{os.urandom(8).hex()}"
    try:
        Path(path).mkdir(0o700)
    except OSError as error:
        raise NoScratch(error.errno, error.strerror, path) from error
    return path


def _remove_scratch(path: str) -> None:
    try:
        Path(path).rmdir()
    except OSError:
        from shutil import rmtree

        rmtree(path, ignore_errors=True)


def _environment() -> dict[str, str]:
    """What the child may know: enough to find Python, git and a temporary directory, and no credentials."""
    kept = {name: value for name, value in os.environ.items() if name in ENVIRONMENT}
    roots = [root for root in os.environ.get("PYTHONPATH", "").split(os.pathsep) if root.startswith("/")]
    if roots:
        kept["PYTHONPATH"] = os.pathsep.join(roots)
    # Otherwise numpy reserves memory for every processor of the machine, which counts against the child's limit.
    return kept | {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
