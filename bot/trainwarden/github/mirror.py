"""Bare partial mirrors: a repository on GitHub and a token in, a local git directory with the commits out.

Fetching is ``git.remote``'s: neither address nor token is left in a mirror. So a later command on it, the review
above all, has no remote to go to; a blob that was left out is simply missing and becomes ``Unread``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trainwarden.git.process import Git
from trainwarden.git.remote import Cause, FetchFailed, Remote, knowing_gaps
from trainwarden.github.app import GitHubError, Gone, Revoked, Unavailable
from trainwarden.github.events import SHA
from trainwarden.github.settings import Secret
from trainwarden.model import Unfinished

FILTER = "blob:limit=1m"
_MOST_BLOBS = 256
_MANY_PACKS = 64
_LEFT_BEHIND = 3_600.0
_ERRORS: Mapping[Cause, Callable[[], GitHubError]] = {
    "refused": lambda: Revoked("the token is not accepted for git"),
    "no repository": lambda: Gone("the repository is not there"),
    "no commit": lambda: Gone("the commit is not there"),
    "slow": lambda: Unavailable("git fetch did not end in time", 60.0),
    "unreachable": lambda: Unavailable("git fetch failed", 15.0),
}


class Mirror:
    """One repository's mirror, locked against eviction while it is open."""

    def __init__(self, path: Path, url: str, token: Secret) -> None:
        self.path = path
        self._url = url
        self._token = token
        self._git = Git(str(path))

    def fetch(self, wanted: dict[str, str]) -> None:
        """Fetch sources (object names or ``refs/...``) into private references: ``{local name: source}``.

        Raises ``Gone`` (no such commit or repository), ``Revoked``, ``Unavailable``.
        """
        specs = [f"+{source}:refs/trainwarden/{local}" for local, source in wanted.items()]
        with _locked(self.path.with_suffix(".fetch")):
            self._fetch(["origin", *specs])
            self._tidy()

    def has(self, commit: str) -> bool:
        """Whether a commit is here already."""
        return (
            bool(SHA.fullmatch(commit))
            and self._git.run("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0
        )

    def tip(self, local: str) -> str:
        """The commit a private reference points to. Raises ``Gone``."""
        done = self._git.run("rev-parse", "--verify", "--quiet", f"refs/trainwarden/{local}^{{commit}}")
        name = done.stdout.decode("ascii", "replace").strip()
        if not SHA.fullmatch(name):
            raise Gone("a branch of the change is not there")
        return name

    def merge_base(self, one: str, other: str) -> str | None:
        """A best common ancestor, or None for unrelated histories."""
        done = self._git.run("merge-base", one, other)
        name = done.stdout.decode("ascii", "replace").strip()
        return name if SHA.fullmatch(name) else None

    def read(self, commit: str, path: str) -> bytes | None:
        """A small file of a commit, None when it is not there."""
        done = self._git.run("cat-file", "blob", f"{commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def names(self, commit: str, paths: Sequence[str]) -> str:
        """The object names of paths in a commit: equal texts mean equal contents."""
        done = self._git.run("ls-tree", commit, "--", *paths)
        return done.stdout.decode("utf-8", "replace")

    def complete(self, base: str, head: str) -> None:
        """Fetch the large blobs that the change itself touches, so that they are read and not guessed."""
        missing = self._missing(base, head)[:_MOST_BLOBS]
        if missing:
            with _locked(self.path.with_suffix(".fetch")):
                stdin = "\n".join(missing).encode()
                self._fetch(["--stdin", "origin"], stdin)

    def _missing(self, base: str, head: str) -> list[str]:
        raw = self._git.output("diff-tree", "-r", "--raw", "-z", "--no-renames", base, head)
        blobs: set[str] = set()
        for record in raw.split(b"\0")[::2]:
            parts = record.decode("ascii", "replace").lstrip(":").split(" ")
            if len(parts) >= 4:
                sides = zip(parts[:2], parts[2:4], strict=True)
                blobs |= {
                    name for mode, name in sides if mode.startswith(("10", "12")) and set(name) != {"0"}
                }
        listed = self._git.output("cat-file", "--batch-check", stdin="\n".join(sorted(blobs)).encode())
        lines = listed.decode("ascii", "replace").splitlines()
        return [line.split(" ")[0] for line in lines if line.endswith(" missing")]

    def _fetch(self, arguments: list[str], stdin: bytes = b"") -> None:
        try:
            Remote(self._url, self._token.reveal(), FILTER).fetch(self._git, arguments, stdin)
        except FetchFailed as error:
            raise _ERRORS[error.cause]() from error

    def _tidy(self) -> None:
        """Many small fetches leave many small packs; put them together now and then."""
        packs = sum(1 for _ in (self.path / "objects" / "pack").glob("*.pack"))
        if packs > _MANY_PACKS:
            # One that takes too long is no reason not to review.
            with suppress(Unfinished):
                knowing_gaps(self._git, FILTER).run("repack", "-a", "-d", "-q")


class Mirrors:
    """All mirrors under one directory, named by GitHub's repository id, within a budget of bytes."""

    def __init__(self, directory: Path, budget: int, github_url: str) -> None:
        self._directory = directory
        self._budget = budget
        self._github_url = github_url
        self._lock = threading.Lock()

    @contextmanager
    def open(self, repo_id: int, owner: str, name: str, token: Secret) -> Iterator[Mirror]:
        """The mirror of a repository, made if needed; it cannot be evicted while open."""
        path = self._directory / f"{repo_id:d}.git"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.with_suffix(".use"), shared=True):
            self._make(path)
            os.utime(path)
            yield Mirror(path, f"{self._github_url}/{owner}/{name}.git", token)

    def _make(self, path: Path) -> None:
        with self._lock:
            if (path / "HEAD").exists():
                return
            fresh = path.with_suffix(f".new{os.getpid()}")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            Git(str(fresh)).output("init", "--quiet", "--bare", "--template=", "--initial-branch=none", ".")
            try:
                fresh.rename(path)
            except OSError:
                # Another worker made it first.
                shutil.rmtree(fresh, ignore_errors=True)

    def evict(self) -> list[int]:
        """Delete the least recently used mirrors until the rest fits the budget; the ids that went."""
        self._sweep()
        found = [(path.stat().st_mtime, path) for path in self._directory.glob("*.git")]
        sizes = {path: _size(path) for _, path in found}
        total, gone = sum(sizes.values()), []
        for _, path in sorted(found):
            if total <= self._budget:
                break
            if self._remove(path):
                total -= sizes[path]
                gone.append(int(path.stem))
        return gone

    def _sweep(self) -> None:
        """Delete what was being made or deleted when a process was killed."""
        for path in [*self._directory.glob("*.old*"), *self._directory.glob("*.new*")]:
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_BEHIND:
                    shutil.rmtree(path, ignore_errors=True)

    def remove(self, repo_id: int) -> bool:
        """Delete one mirror: the repository was taken away from us."""
        return self._remove(self._directory / f"{repo_id:d}.git")

    def _remove(self, path: Path) -> bool:
        with _locked(path.with_suffix(".use"), wait=False) as free:
            if not free or not path.exists():
                return False
            doomed = path.with_suffix(f".old{time.monotonic_ns()}")
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
            return True


@contextmanager
def _locked(path: Path, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """An advisory lock on a file beside the mirror, good between processes; yields whether it was taken."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            taken = True
        except BlockingIOError:
            taken = False
        yield taken
    finally:
        os.close(handle)


def _size(path: Path) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for file in files:
            try:
                total += (Path(directory) / file).lstat().st_size
            except FileNotFoundError:
                continue
    return total
