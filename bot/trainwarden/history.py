"""Is a change the inverse of an old fix? Changed files and the history of the base go in, inverses come out.

Only history that the base reaches is read, so the change under review has no say in it, and only the
versions of files that the change touches: for these, the first-parent commits whose message speaks of a fix
are compared with the change, hunk by hunk. What is compared is code: comments, documentation, imports and
white space within a line do not count, indentation only relative to the hunk. Missing objects (shallow or
partial clones) mean fewer inverses and ``History.complete`` set to false, never a failed review.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from trainwarden.git import Repository
from trainwarden.git.log import Log
from trainwarden.git.objects import Unavailable
from trainwarden.git.trees import Entry, RawChange
from trainwarden.hunks import CodeLine, Hunk, Key, hunks
from trainwarden.lineage import Fix, may_be_fixed, past_of
from trainwarden.model import FilePair, Lines

TOKENS = 6  # less is found by chance
LARGEST_FIX = 60  # code lines of one file; a larger commit is no fix, whatever it says
MOST_PATHS = 50
MOST_VERSIONS = 300  # file versions read for one change
LARGEST_BLOB = 2 * 1024 * 1024  # bytes
MOST_KEPT = 2000  # fixes of single files whose differences are remembered
LARGEST_KEPT = 8 * 1024  # bytes of one of them


@dataclass(frozen=True, slots=True)
class Inverse:
    """A hunk of the change that takes back a hunk of an old fix.

    ``head`` and ``base`` are the lines of the hunk on either side; where one side has none, the line after
    the gap. ``tokens`` counts those of the removed and added code; ``word`` is the one by which the message of
    the commit speaks of a fix.
    """

    path: str
    head: Lines
    base: Lines
    commit: str
    subject: str
    tokens: int
    word: str = ""


class _Candidate:
    """What a changed file has to offer: its hunks, cut when they are first asked for."""

    def __init__(self, before: bytes, after: bytes, path: str) -> None:
        self._versions = before, after
        self.path = path

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        """The hunks of the file, none if they are too small to tell anything."""
        found = tuple(hunks(*self._versions))
        return found if sum(hunk.tokens for hunk in found) >= TOKENS else ()

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The keys of its hunks."""
        return frozenset(hunk.key for hunk in self.hunks)


def open_history(repository: Repository | str, tip: str) -> History:
    """The history that ``tip`` reaches, of a repository or its path. Raises ``Misuse`` for an unknown tip."""
    owned = isinstance(repository, str)
    opened = Repository(repository) if isinstance(repository, str) else repository
    return History(opened, opened.resolve(tip), owned)


def _candidates(pairs: Iterable[FilePair]) -> list[tuple[str, _Candidate]]:
    """Changed Python files by their path at the base, tests left out; of more than enough, those with hunks."""
    found = []
    for pair in pairs:
        if pair.before is None or pair.after is None or pair.copied:
            continue
        if may_be_fixed(pair.before.path):
            candidate = _Candidate(pair.before.data, pair.after.data, pair.after.path)
            found.append((pair.before.path, candidate))
    if len(found) <= MOST_PATHS:
        return found
    return list(islice(((path, one) for path, one in found if one.hunks), MOST_PATHS + 1))


@dataclass(slots=True)
class _Undoing:
    """A fix of one file, backwards: the keys of its hunks once they are known, and where its versions differ.

    What differs is forgotten where it is long and the keys are known: they rule most comparisons out by themselves.
    """

    differing: tuple[bytes, bytes] | None
    keys: frozenset[Key] | None = None


_KEPT: OrderedDict[tuple[str, Entry | None, Entry | None], _Undoing] = OrderedDict()
"""By git directory and both versions; the newest ``MOST_KEPT``."""


def _likely(hunk: Hunk, fixed: bytes, before: bytes) -> bool:
    """A cheap test that spares most comparisons: where the two differ, both have the tokens of the hunk."""
    return _has(fixed, hunk.removed) and _has(before, hunk.added)


def _has(data: bytes, lines: Sequence[CodeLine]) -> bool:
    longest = max((line.text for line in lines), key=len, default=b"")
    return all(token in data for token in longest.split(b" "))


def _length(keys: Iterable[Key]) -> int:
    """Bytes of code in keys."""
    return sum(len(text) for key in keys for side in key for _, text in side)


def _differing(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Both without the lines that they start and end with in common."""
    start = one.rfind(b"\n", 0, _common(one, other, from_end=False)) + 1
    end = _common(one[start:], other[start:], from_end=True)
    tail = one.find(b"\n", len(one) - end) + 1 if end else 0
    length = len(one) - tail if tail else 0
    return one[start : len(one) - length], other[start : len(other) - length]


def _common(one: bytes, other: bytes, *, from_end: bool) -> int:
    """How many bytes both start (or end) with, by bisection: comparing slices is one call of memcmp."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        same = one[-middle:] == other[-middle:] if from_end else one[:middle] == other[:middle]
        low, high = (middle, high) if same else (low, middle - 1)
    return low


class History:
    """The past of one base revision. Not for use from several threads."""

    def __init__(self, repository: Repository, tip: str, owned: bool = False) -> None:
        self._repository = repository
        self._tip = tip
        self._owned = owned
        self._expected: frozenset[str] = frozenset()
        self._ahead: Log | None = None
        self.complete = True

    def close(self) -> None:
        """Ends what ``expect`` started, and the reading process if ``open_history`` did. Idempotent."""
        if self._ahead is not None:
            self._ahead.close()
        if self._owned:
            self._repository.close()

    def expect(self, paths: Iterable[str]) -> None:
        """Sets git to work on the past of these files of the base, while somebody reads what changed in them.

        Only a head start for ``inverses``, which may be asked about others.
        """
        wanted = sorted({path for path in paths if may_be_fixed(path)})
        if wanted and len(wanted) <= MOST_PATHS and self._tip != self._repository.empty_tree:
            self._ahead = past_of(self._repository).ahead(self._repository, self._tip, wanted)
            self._expected = frozenset(wanted)

    def inverses(self, pairs: Iterable[FilePair]) -> tuple[Inverse, ...]:
        """The hunks of these files that take back a fix, each with the newest such fix, by path and line."""
        candidates = _candidates(pairs)
        wanted = dict(candidates[:MOST_PATHS])
        if len(candidates) > MOST_PATHS:
            self.complete = False
        if not wanted or self._tip == self._repository.empty_tree:
            return ()
        found: dict[tuple[str, Lines], Inverse] = {}
        budget = MOST_VERSIONS
        for fix, path, change in self._fixes(wanted):
            if not wanted[path].hunks:
                continue
            budget -= 2
            if budget < 0:
                self.complete = False
                break
            for inverse in self._compare(fix, change, wanted[path]):
                found.setdefault((inverse.path, inverse.head), inverse)
        return tuple(sorted(found.values(), key=lambda inverse: (inverse.path, inverse.head, inverse.base)))

    def _fixes(self, wanted: Collection[str]) -> Iterator[tuple[Fix, str, RawChange]]:
        """The changes of these paths by commits that speak of a fix, newest first."""
        past = past_of(self._repository)
        ahead = self._ahead if self._expected.issuperset(wanted) else None
        for fix in past.fixes(self._repository, self._tip, sorted(wanted), ahead):
            for path, change in fix.changes.items():
                if path in wanted:
                    yield fix, path, change
        self.complete = self.complete and past.complete

    def _compare(self, fix: Fix, change: RawChange, candidate: _Candidate) -> Iterator[Inverse]:
        undoing = self._undoing(change)
        if undoing is None or (undoing.keys is not None and undoing.keys.isdisjoint(candidate.keys)):
            return
        differing = undoing.differing or self._differing(change)
        likely = [hunk for hunk in candidate.hunks if differing and _likely(hunk, *differing)]
        if not likely:
            return
        if undoing.keys is None:
            undoing.keys = self._keys(change)
            self._remember(change, undoing)
        taken_back = [hunk for hunk in likely if hunk.key in undoing.keys]
        if sum(hunk.tokens for hunk in taken_back) >= TOKENS:
            for hunk in taken_back:
                yield Inverse(
                    candidate.path, hunk.head, hunk.base, fix.sha, fix.subject, hunk.tokens, fix.word
                )

    def _undoing(self, change: RawChange) -> _Undoing | None:
        """What is known of a fix; None when one of its versions cannot be read."""
        if change.old is None or change.new is None:
            return None
        known = _KEPT.get((self._repository.git_dir, change.old, change.new))
        if known is None:
            differing = self._differing(change)
            if differing is None:
                return None
            known = _Undoing(differing)
            self._remember(change, known)
        return known

    def _differing(self, change: RawChange) -> tuple[bytes, bytes] | None:
        """Where the versions of a fixed file differ; None when one cannot be read."""
        fixed, before = self._blob(change.new), self._blob(change.old)
        return None if fixed is None or before is None else _differing(fixed, before)

    def _remember(self, change: RawChange, undoing: _Undoing) -> None:
        """Keeps what is short of what is known of a fix."""
        if sum(map(len, undoing.differing or ())) > LARGEST_KEPT:
            if undoing.keys is None or _length(undoing.keys) > LARGEST_KEPT:
                return
            undoing = _Undoing(None, undoing.keys)
        _KEPT[self._repository.git_dir, change.old, change.new] = undoing
        if len(_KEPT) > MOST_KEPT:
            _KEPT.popitem(last=False)

    def _keys(self, change: RawChange) -> frozenset[Key]:
        """The hunks of a fix, backwards, so that both come from the same direction; none of a large one."""
        fixed, before = self._blob(change.new), self._blob(change.old)
        found = hunks(fixed, before) if fixed is not None and before is not None else []
        if sum(len(hunk.removed) + len(hunk.added) for hunk in found) > LARGEST_FIX:
            return frozenset()
        return frozenset(hunk.key for hunk in found)

    def _blob(self, entry: Entry | None) -> bytes | None:
        if entry is None or not entry.is_file:
            return None
        data = self._repository.blob(entry.oid, LARGEST_BLOB)
        if isinstance(data, Unavailable):
            self.complete = False
            return None
        return data
