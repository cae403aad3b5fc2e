"""Raw changes in, pairings out: which added file is a removed one under a new name, or a copy of a kept one.

Works on contents alone, so that every door (commits, index, worktree, overlay) pairs alike, whether or not
the objects are in the repository. The measure is that of ``git diff -M -C``: the share of the larger file,
in bytes, whose lines both have, and half of it is enough. Candidates come from an index of rare lines rather
than from comparing all with all, so thousands of moved files stay cheap.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from trainwarden.git.objects import Unavailable
from trainwarden.git.trees import Entry, RawChange

ENOUGH = 0.5
LARGEST_FILE = 1024 * 1024
MOST_LINES = 1_000_000
COMMON = 40
CANDIDATES = 6

Reader = Callable[[Entry], "bytes | Unavailable"]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Both sides of a changed file; ``copied`` when the old side is a file that the change keeps."""

    old_path: str
    old: Entry | None
    new_path: str
    new: Entry | None
    copied: bool = False

    @property
    def path(self) -> str:
        """The path in the head, or in the base for a deleted file."""
        return self.new_path if self.new is not None else self.old_path


_Signature = Counter[int]
"""The lines of a file, by hash, each with the bytes it makes up."""


class _Signatures:
    """Signatures of text files, within a budget of lines; None for what is not compared."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._left = MOST_LINES
        self._known: dict[str, _Signature | None] = {}

    def get(self, entry: Entry) -> _Signature | None:
        if entry.oid not in self._known:
            self._known[entry.oid] = self._make(entry)
        return self._known[entry.oid]

    def _make(self, entry: Entry) -> _Signature | None:
        if self._left <= 0:
            return None
        data = self._read(entry)
        if isinstance(data, Unavailable) or not data or len(data) > LARGEST_FILE or b"\0" in data[:8000]:
            return None
        signature: _Signature = Counter()
        self._left -= data.count(b"\n") + 1
        for line in data.split(b"\n"):
            signature[hash(line.rstrip(b"\r"))] += len(line) + 1
        return signature


def pair(changes: Iterable[RawChange], read: Reader) -> list[Pairing]:
    """Every change once, removed and added files joined where they are alike. ``read`` gives contents."""
    changes = list(changes)
    removed = {change.path: change.old for change in changes if change.old and not change.new}
    kept = {change.path: change.old for change in changes if change.old and change.new}
    added = {change.path: change.new for change in changes if change.new and not change.old}
    joined = _join(_files(removed), _files(kept), _files(added), read) if added and (removed or kept) else {}
    renamed_from = {pairing.old_path for pairing in joined.values() if not pairing.copied}
    rest = (
        Pairing(change.path, change.old, change.path, change.new)
        for change in changes
        if change.path not in joined and change.path not in renamed_from
    )
    return sorted(chain(joined.values(), rest), key=lambda pairing: pairing.path)


_Files = dict[str, Entry]


def _files(entries: dict[str, Entry]) -> _Files:
    return {path: entry for path, entry in sorted(entries.items()) if entry.is_file}


def _join(removed: _Files, kept: _Files, added: _Files, read: Reader) -> dict[str, Pairing]:
    joined = _identical(removed, kept, added)
    renamed = {pairing.old_path for pairing in joined.values() if not pairing.copied}
    left = {path: entry for path, entry in added.items() if path not in joined}
    gone = {path: entry for path, entry in removed.items() if path not in renamed}
    if left:
        candidates = _similar(gone, kept, left, _Signatures(read))
        joined.update(_likeliest(candidates, gone, kept, left))
    return joined


def _identical(removed: _Files, kept: _Files, added: _Files) -> dict[str, Pairing]:
    """Joins equal contents: renames that keep the file name first, then other renames, then copies."""
    free = dict(removed)
    by_name: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    by_contents: defaultdict[str, list[str]] = defaultdict(list)
    for path, entry in reversed(removed.items()):
        by_name[entry.oid, _name(path)].append(path)
        by_contents[entry.oid].append(path)
    copies = {entry.oid: path for path, entry in chain(removed.items(), kept.items())}
    wanted = {path: entry for path, entry in added.items() if entry.oid in copies and not _is_empty(entry)}
    joined: dict[str, Pairing] = {}
    for same_name in (True, False):
        for path, entry in wanted.items():
            sources = by_name[entry.oid, _name(path)] if same_name else by_contents[entry.oid]
            while path not in joined and sources:
                if (source := sources.pop()) in free:
                    joined[path] = Pairing(source, free.pop(source), path, entry)
    for path, entry in wanted.items():
        if path not in joined:
            source = copies[entry.oid]
            joined[path] = Pairing(source, removed.get(source) or kept[source], path, entry, copied=True)
    return joined


_Candidate = tuple[float, str, str]
"""Similarity (0 to 1), path in the base, path in the head."""


def _similar(removed: _Files, kept: _Files, added: _Files, signatures: _Signatures) -> Iterator[_Candidate]:
    sources = {
        path: found
        for path, entry in chain(removed.items(), kept.items())
        if (found := signatures.get(entry))
    }
    index: defaultdict[int, list[str]] = defaultdict(list)
    for path, signature in sources.items():
        for line in signature:
            index[line].append(path)
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for path in sources:
        by_name[_name(path)].append(path)
    for path, entry in added.items():
        found = signatures.get(entry)
        if found is None:
            continue
        for source in _likely(found, index, by_name[_name(path)][:CANDIDATES]):
            likeness = _likeness(sources[source], found)
            if likeness >= ENOUGH:
                yield likeness, source, path


def _likely(signature: _Signature, index: dict[int, list[str]], namesakes: list[str]) -> list[str]:
    votes: Counter[str] = Counter()
    for line, weight in signature.items():
        owners = index.get(line, ())
        if len(owners) <= COMMON:
            for owner in owners:
                votes[owner] += weight
    return list(dict.fromkeys(chain((owner for owner, _ in votes.most_common(CANDIDATES)), namesakes)))


def _likeness(old: _Signature, new: _Signature) -> float:
    return (old & new).total() / max(old.total(), new.total())


def _likeliest(
    candidates: Iterable[_Candidate], removed: _Files, kept: _Files, added: _Files
) -> dict[str, Pairing]:
    """Joins the likeliest first; a removed file is renamed once, what else is like it is a copy."""
    joined: dict[str, Pairing] = {}
    renamed: set[str] = set()
    ranked = sorted(candidates, key=_rank)
    for rename_only in (True, False):
        for _, source, path in ranked:
            is_rename = source in removed and source not in renamed
            if path in joined or (rename_only and not is_rename):
                continue
            old = removed.get(source) or kept[source]
            joined[path] = Pairing(source, old, path, added[path], copied=not is_rename)
            renamed.add(source)
    return joined


def _rank(candidate: _Candidate) -> tuple[float, bool, str, str]:
    likeness, source, path = candidate
    return -likeness, _name(source) != _name(path), source, path


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_empty(entry: Entry) -> bool:
    return entry.oid in _EMPTY_BLOBS


_EMPTY_BLOBS = frozenset(
    {
        "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
    }
)
