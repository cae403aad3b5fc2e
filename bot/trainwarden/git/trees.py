"""Two tree objects in, the raw changes between them out; and single paths looked up in a tree.

Trees are compared object by object, so that equal subtrees cost nothing, no attribute or config of the
repository has a say (``.gitmodules`` can hide submodule changes from ``git diff``), and any byte may occur
in a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from trainwarden.git.objects import MAX_TREE, Objects, Unavailable
from trainwarden.model import Unfinished

EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
TREE, LINK, SUBMODULE = 0o040000, 0o120000, 0o160000
UNMERGED = 0  # no mode of git's: the path of an unfinished merge
MAX_CHANGES = 50_000
MAX_TREES = 200_000
MAX_DEPTH = 2048  # as core.maxTreeDepth of git 2.43

_ENTRY = {
    width: re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{%d})" % (width // 2), re.DOTALL) for width in (40, 64)
}
_UNSAFE_NAMES = frozenset({".", "..", ".git"})


class Entry(NamedTuple):
    """What a tree or the index says about a path: canonical git mode and object name."""

    mode: int
    oid: str

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, executable or not."""
        return self.mode & 0o170000 == 0o100000


@dataclass(frozen=True, slots=True)
class RawChange:
    """A path whose entry differs between two trees; at least one side is present."""

    path: str
    old: Entry | None
    new: Entry | None


_Listing = dict[str, Entry]


class Trees:
    """Reads and compares trees through ``objects``; listings of trees on looked-up paths are kept."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._listings: dict[str, _Listing] = {}

    def lookup(self, tree: str, path: str) -> Entry | None:
        """The entry of ``path`` in ``tree``, or None. Raises ``Unfinished`` when a tree is missing."""
        entry: Entry | None = Entry(TREE, tree)
        for name in path.split("/"):
            if entry is None or entry.mode != TREE:
                return None
            entry = self._listing(entry.oid).get(name)
        return entry

    def diff(self, old: str, new: str) -> list[RawChange]:
        """Every path that differs, in no particular order, without renames. Raises ``Unfinished``."""
        changes: list[RawChange] = []
        pending: list[tuple[str, str | None, str | None]] = [("", old, new)]
        visited = 0
        while pending:
            prefix, old_tree, new_tree = pending.pop()
            visited += 1
            for name, before, after in self._differing(old_tree, new_tree):
                path = _safe_path(prefix, name)
                pair = (_subtree(before), _subtree(after))
                if pair != (None, None):
                    pending.append((path + "/", *pair))
                change = RawChange(path, _leaf(before), _leaf(after))
                if change.old != change.new:
                    changes.append(change)
            _check_budget(prefix, visited, len(changes))
        return changes

    def _differing(
        self, old_tree: str | None, new_tree: str | None
    ) -> Iterator[tuple[str, Entry | None, Entry | None]]:
        old = self._read(old_tree) if old_tree else {}
        new = self._read(new_tree) if new_tree else {}
        if old == new:
            return
        for name, entry in old.items():
            if new.get(name) != entry:
                yield name, entry, new.get(name)
        for name, entry in new.items():
            if name not in old:
                yield name, None, entry

    def _listing(self, tree: str) -> _Listing:
        if tree not in self._listings:
            if len(self._listings) >= 4096:
                self._listings.clear()
            self._listings[tree] = self._read(tree)
        return self._listings[tree]

    def _read(self, tree: str) -> _Listing:
        if tree == EMPTY_TREE[len(tree)]:
            return {}
        found = self._objects.get(tree, MAX_TREE)
        if isinstance(found, Unavailable):
            raise Unfinished(f"tree {tree} cannot be read: {found.reason}", "Fetch the missing objects.")
        if found.type != "tree":
            raise Unfinished(
                f"object {tree} is a {found.type}, not a tree", "Run git fsck on the repository."
            )
        return parse_tree(found.data, tree)


def parse_raw(listed: bytes) -> Iterator[RawChange]:
    """The changes in the output of a ``--raw -z --no-renames --no-abbrev`` command."""
    tokens = iter(listed.split(b"\0"))
    for token in tokens:
        if token:
            yield raw_change(token, next(tokens))


def raw_change(token: bytes, path: bytes) -> RawChange:
    """One change from ``:100644 100644 <old> <new> M`` and its path; unmerged paths get mode 0."""
    old_mode, new_mode, old_oid, new_oid, status = token.decode("ascii").lstrip("\n:").split(" ")
    old, new = _raw_entry(old_mode, old_oid), _raw_entry(new_mode, new_oid)
    text = path.decode("utf-8", "surrogateescape")
    return RawChange(text, old, Entry(UNMERGED, new_oid) if status == "U" else new)


def _raw_entry(mode: str, oid: str) -> Entry | None:
    return Entry(int(mode, 8), oid) if int(mode, 8) else None


def parse_tree(data: bytes, oid: str) -> _Listing:
    """The entries of a tree object. Raises ``Unfinished`` when it is malformed or names an entry twice."""
    rows = _ENTRY[len(oid)].findall(data)
    width = len(oid) // 2
    listing = {
        name.decode("utf-8", "surrogateescape"): Entry(_canonical(int(mode, 8)), entry.hex())
        for mode, name, entry in rows
    }
    read = sum(len(mode) + len(name) for mode, name, _ in rows) + len(rows) * (width + 2)
    if read != len(data) or len(listing) != len(rows):
        raise Unfinished(f"tree {oid} is malformed", "Run git fsck on the repository.")
    return listing


def _canonical(mode: int) -> int:
    kind = mode & 0o170000
    if kind == 0o100000:
        return 0o100755 if mode & 0o100 else 0o100644
    return kind if kind in (TREE, LINK, SUBMODULE) else mode


def _subtree(entry: Entry | None) -> str | None:
    return entry.oid if entry is not None and entry.mode == TREE else None


def _leaf(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.mode != TREE else None


def _safe_path(prefix: str, name: str) -> str:
    if name.lower() in _UNSAFE_NAMES:
        raise Unfinished(f"a tree holds an entry named {prefix + name!r}", "Run git fsck on the repository.")
    return prefix + name


def _check_budget(prefix: str, trees: int, changes: int) -> None:
    if changes > MAX_CHANGES:
        raise Unfinished(f"more than {MAX_CHANGES} changed files", "Review the change in parts.")
    if trees > MAX_TREES or prefix.count("/") > MAX_DEPTH:
        raise Unfinished("the tree is too deep or too wide to compare", "Review the change in parts.")
