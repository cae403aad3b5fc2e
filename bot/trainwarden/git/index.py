"""The index of a repository in, its entries and its difference from a tree out; no worktree file is read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainwarden.git.process import Git
from trainwarden.git.trees import Entry, RawChange, parse_raw
from trainwarden.model import Unfinished

ABSENT_ON_PURPOSE = 0x40000000  # CE_SKIP_WORKTREE: left out by a sparse checkout

_STAGED = rb"([0-7]{6}) ([0-9a-f]{40,64}) ([0-3])\t([^\0]+)\0"
_STAT = (
    rb"  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: (\d+)\n"
    rb"  uid: \d+\tgid: \d+\n  size: (\d+)\tflags: ([0-9a-f]+)\n"
)
_ROW = re.compile(_STAGED + _STAT)


@dataclass(frozen=True, slots=True)
class Stat:
    """What the index remembers of a file: times in ns, inode and size cut to 32 bits."""

    ctime: int
    mtime: int
    inode: int
    size: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        """The same of a file as it is now."""
        return cls(
            found.st_ctime_ns, found.st_mtime_ns, found.st_ino & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF
        )


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A path in the index; ``stage`` is above 0 for the sides of an unfinished merge."""

    path: str
    entry: Entry
    stage: int
    stat: Stat
    flags: int


def index_variables(git_dir: str) -> Mapping[str, str]:
    """The caller's GIT_INDEX_FILE if it lies inside the git directory (``git commit -a`` sets it)."""
    named = os.environ.get("GIT_INDEX_FILE")
    if not named:
        return {}
    file = Path(named).resolve()
    inside = file.is_relative_to(Path(git_dir).resolve()) and file.is_file()
    return {"GIT_INDEX_FILE": str(file)} if inside else {}


def index_entries(git: Git) -> list[IndexEntry]:
    """Every entry with its remembered stat. Raises ``Unfinished`` when git's listing is not understood."""
    listed = git.output("ls-files", "--stage", "--debug", "-z")
    entries, end = [], 0
    for row in _ROW.finditer(listed):
        if row.start() != end:
            break
        end = row.end()
        mode, oid, stage, path, *numbers, flags = row.groups()
        ctime_s, ctime_ns, mtime_s, mtime_ns, inode, size = map(int, numbers)
        stat = Stat(ctime_s * 10**9 + ctime_ns, mtime_s * 10**9 + mtime_ns, inode, size)
        entry = Entry(int(mode, 8), oid.decode("ascii"))
        entries.append(IndexEntry(_text(path), entry, int(stage), stat, int(flags, 16)))
    if end != len(listed):
        raise Unfinished("this version of git lists the index in a way that is not understood")
    return entries


def index_paths(git: Git) -> frozenset[str]:
    """The paths in the index."""
    return frozenset(_text(path) for path in git.output("ls-files", "--cached", "-z").split(b"\0") if path)


def untracked_paths(git: Git) -> list[str]:
    """Paths in the worktree that are neither tracked nor ignored; nested repositories end in a slash."""
    listed = git.output("ls-files", "--others", "--exclude-standard", "-z")
    return [_text(path) for path in listed.split(b"\0") if path]


def index_changes(git: Git, tree: str) -> list[RawChange]:
    """What the index changes against ``tree``; the new entry of an unmerged path has mode ``UNMERGED``."""
    listed = git.output(
        "diff-index",
        "--cached",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
        "--ita-invisible-in-index",
        "--ignore-submodules=none",
        tree,
        "--",
    )
    return list(parse_raw(listed))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
