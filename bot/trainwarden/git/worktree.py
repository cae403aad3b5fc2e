"""A worktree in, its files as tree entries out, read without git: no filter runs, no link is followed.

``git diff`` would run the repository's clean filters to tell whether a file changed; here a file whose stat
differs from the index is read and hashed as it is. Files are opened component by component without following
links, so that no path leads out of the worktree.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainwarden.git.index import (
    ABSENT_ON_PURPOSE,
    IndexEntry,
    Stat,
    index_changes,
    index_entries,
    untracked_paths,
)
from trainwarden.git.objects import MAX_BLOB, Unavailable
from trainwarden.git.process import Git
from trainwarden.git.repository import Repository
from trainwarden.git.trees import LINK, MAX_CHANGES, SUBMODULE, TREE, Entry, RawChange
from trainwarden.model import Unfinished

Contents = Callable[[], "bytes | Unavailable"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def blob_name(data: bytes, width: int) -> str:
    """The object name git gives these bytes as a blob; ``width`` is 40 (sha-1) or 64 (sha-256)."""
    name = hashlib.new("sha256" if width == 64 else "sha1", b"blob %d\0" % len(data), usedforsecurity=False)
    name.update(data)
    return name.hexdigest()


class Worktree:
    """The files below ``root``. ``contents`` gives the bytes of every entry handed out, by object name."""

    def __init__(self, root: Path, width: int) -> None:
        self.root = root
        self._width = width
        self._directories: dict[str, bool] = {"": True}
        self.contents: dict[str, Contents] = {}

    def entry(self, path: str) -> Entry | None:
        """What a commit of this path would hold, or None when there is no file (or it lies behind a link)."""
        try:
            with self._parent(path) as parent:
                return self._entry(path, parent)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stat(self, path: str) -> Stat | None:
        """The stat of a file as it is now, or None when there is none (or it lies behind a link)."""
        if not self._is_real(path.rpartition("/")[0]):
            return None
        try:
            return Stat.of((self.root / path).lstat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_real(self, directory: str) -> bool:
        """Whether a path is made of directories only; remembered, as the index names each often."""
        if directory not in self._directories:
            above = self._is_real(directory.rpartition("/")[0])
            self._directories[directory] = above and not (self.root / directory).is_symlink()
        return self._directories[directory]

    def _entry(self, path: str, parent: int) -> Entry | None:
        name = path.rpartition("/")[2]
        found = os.lstat(name, dir_fd=parent)
        if stat.S_ISDIR(found.st_mode):
            return self._nested(path)
        if stat.S_ISLNK(found.st_mode):
            target = os.fsencode(os.readlink(name, dir_fd=parent))
            return self._remember(LINK, blob_name(target, self._width), lambda: target)
        mode = 0o100755 if found.st_mode & 0o100 else 0o100644
        data = _read(name, parent)
        if isinstance(data, Unavailable):
            return self._remember(mode, f"worktree file {path}", lambda: data)
        oid = blob_name(data, self._width)
        return self._remember(mode, oid, lambda: self._again(path, oid))

    def _remember(self, mode: int, oid: str, contents: Contents) -> Entry:
        self.contents[oid] = contents
        return Entry(mode, oid)

    def _again(self, path: str, oid: str) -> bytes | Unavailable:
        """The contents once more: kept on disk rather than in memory between listing and reading."""
        try:
            with self._parent(path) as parent:
                data = _read(path.rpartition("/")[2], parent)
        except OSError:
            return Unavailable("the file disappeared while it was read")
        if isinstance(data, bytes) and blob_name(data, self._width) != oid:
            return Unavailable("the file changed while it was read")
        return data

    def _nested(self, path: str) -> Entry | None:
        """The commit a nested repository stands at; None for an ordinary directory."""
        directory = self.root / path
        if not os.path.lexists(directory / ".git"):
            return None
        git = Git(str(directory), {"GIT_CEILING_DIRECTORIES": str(directory.parent)})
        done = git.run("rev-parse", "--verify", "HEAD^{commit}")
        name = done.stdout.decode("ascii").strip() if done.returncode == 0 else "unknown"
        return Entry(SUBMODULE, name)

    @contextmanager
    def _parent(self, path: str) -> Iterator[int]:
        """An open directory that holds ``path``. A link on the way raises ``NotADirectoryError``."""
        current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in path.split("/")[:-1]:
                below = os.open(name, _DIRECTORY, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)


def _read(name: str, parent: int) -> bytes | Unavailable:
    try:
        file = os.open(name, _FILE, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Unavailable(f"the file cannot be opened: {error.strerror}")
    with os.fdopen(file, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            return Unavailable("not a regular file")
        if found.st_size > MAX_BLOB:
            return Unavailable(f"{found.st_size} bytes, more than the {MAX_BLOB} that are read")
        data = stream.read(MAX_BLOB + 1)
    return data if len(data) <= MAX_BLOB else Unavailable("the file grew while it was read")


def worktree_changes(repository: Repository, worktree: Worktree, tree: str) -> Iterator[RawChange]:
    """What the worktree changes against ``tree``: tracked files and untracked ones that are not ignored."""
    paths = _candidates(repository, worktree, tree)
    if len(paths) > MAX_CHANGES:
        raise Unfinished(
            f"more than {MAX_CHANGES} changed files", "Commit or ignore what is not part of the change."
        )
    for path in sorted(paths):
        yield worktree_change(repository, worktree, tree, path)


def worktree_change(repository: Repository, worktree: Worktree, tree: str, path: str) -> RawChange:
    """One path of the worktree against ``tree``; both sides are equal when nothing changed."""
    old = repository.trees.lookup(tree, path)
    new = worktree.entry(path)
    if new is None and old is not None and old.mode == SUBMODULE:
        new = old  # a submodule that is not checked out is not a removed one
    return RawChange(path, old if old is None or old.mode != TREE else None, new)


def _candidates(repository: Repository, worktree: Worktree, tree: str) -> set[str]:
    root = str(worktree.root)
    git = Git(root, {**repository.git.extra, "GIT_WORK_TREE": root}, repository.git.settings)
    indexed_at = _modified_at(Path(repository.git_dir, "index"))
    entries = index_entries(git)
    left_out = {each.path for each in entries if each.flags & ABSENT_ON_PURPOSE}
    paths = {change.path for change in index_changes(git, tree)}
    paths |= {each.path for each in entries if not _is_clean(each, worktree.stat(each.path), indexed_at)}
    paths |= {path.rstrip("/") for path in untracked_paths(git)}
    return {path for path in paths if not (path in left_out and worktree.stat(path) is None)}


def _is_clean(entry: IndexEntry, found: Stat | None, indexed_at: int) -> bool:
    """Whether the stat proves the file to be as indexed.

    It proves nothing for one written as late as the index, nor for the directory of a submodule.
    """
    is_provable = entry.stage == 0 and entry.entry.mode != SUBMODULE
    return is_provable and entry.stat == found and entry.stat.mtime < indexed_at


def _modified_at(index: Path) -> int:
    try:
        return index.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
