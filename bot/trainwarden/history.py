"""Is a change the inverse of an old fix? Changed files and the history of the base go in, inverses come out.

Only history that the base reaches is read, so the change under review has no say in it, and only the
versions of files that the change touches: for these, the first-parent commits whose message speaks of a fix
are compared with the change, hunk by hunk. What is compared is code: comments, documentation, imports and
white space within a line do not count, indentation only relative to the hunk. Missing objects (shallow or
partial clones) mean fewer inverses and ``History.complete`` set to false, never a failed review.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from trainwarden.git import Repository
from trainwarden.git.objects import Found, Unavailable
from trainwarden.git.repository import Commit
from trainwarden.git.trees import Entry, RawChange
from trainwarden.hunks import CodeLine, Hunk, hunks
from trainwarden.model import FilePair, Lines, Misuse, Unfinished

WINDOW = 2000  # first-parent commits before the base
TOKENS = 6  # less is found by chance
LARGEST_FIX = 60  # code lines of one file; a larger commit is no fix, whatever it says
MOST_PATHS = 50
MOST_VERSIONS = 300  # file versions read for one change
LARGEST_BLOB = 2 * 1024 * 1024  # bytes
SUBJECT = 200  # characters
SHORT_BODY = 5  # lines of a message below its subject

_FIX = re.compile(
    r"""\b(?:
      (?:hot|bug)?-?fix(?:e[sd]|ing|up)? | bugs? | buggy | correct(?:s|ed|ly|ion|ions|ing)? | incorrect\w*
    | wrong(?:ly)? | repair\w* | broken | breaks? | mistake\w* | typos? | regressions? | accidental\w*
    | forg[eo]t\w* | missing | should\s(?:be|have|not) | issues?\s\#?\d+ | (?:close|resolve)[sd]?\s\#\d+
    | off[-\s]by[-\s]one | properly
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_REVERT = re.compile(r"\s*(?:revert|reapply|re-apply|back(?:ed)?[\s-]?out|undo)\b", re.IGNORECASE)
_TEST = re.compile(r"(?:^|/)(?:tests?|testing|unit_tests?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")


@dataclass(frozen=True, slots=True)
class Inverse:
    """A hunk of the change that takes back a hunk of an old fix.

    ``head`` and ``base`` are the lines of the hunk on either side; where one side has none, the line after
    the gap. ``tokens`` counts those of the removed and added code.
    """

    path: str
    head: Lines
    base: Lines
    commit: str
    subject: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a changed file has to offer: its hunks."""

    path: str
    hunks: tuple[Hunk, ...]


def speaks_of_a_fix(message: str, merge: bool = False) -> bool:
    """Whether a commit message speaks of a fix. A revert does not count: it may well take a fix back.

    A long body lists whatever a squashed branch went through, so only a short one has a say; and the
    subject of a merge names a branch, so it has none.
    """
    subject, _, rest = message.strip().partition("\n")
    body = [line for line in rest.splitlines() if line.strip()]
    told = ("" if merge else subject) + "\n" + ("\n".join(body) if len(body) <= SHORT_BODY else "")
    return _FIX.search(told) is not None and not _REVERT.match(subject)


def open_history(repository: Repository | str, tip: str) -> History:
    """The history that ``tip`` reaches, of a repository or its path. Raises ``Misuse`` for an unknown tip."""
    owned = isinstance(repository, str)
    opened = Repository(repository) if isinstance(repository, str) else repository
    return History(opened, opened.resolve(tip), owned)


def _candidates(pairs: Iterable[FilePair]) -> Iterator[tuple[str, _Candidate]]:
    """Changed Python files by their path at the base, tests left out, with six tokens or more."""
    for pair in pairs:
        if pair.before is None or pair.after is None or pair.copied:
            continue
        if not pair.before.path.endswith(".py") or _TEST.search(pair.before.path):
            continue
        found = tuple(hunks(pair.before.data, pair.after.data))
        if sum(hunk.tokens for hunk in found) >= TOKENS:
            yield pair.before.path, _Candidate(pair.after.path, found)


def _likely(hunk: Hunk, fixed: bytes, before: bytes) -> bool:
    """A cheap test that spares most comparisons: where the two differ, both have the tokens of the hunk."""
    return _has(fixed, hunk.removed) and _has(before, hunk.added)


def _has(data: bytes, lines: Sequence[CodeLine]) -> bool:
    longest = max((line.text for line in lines), key=len, default=b"")
    return all(token in data for token in longest.split(b" "))


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
        self.complete = True

    def close(self) -> None:
        """Ends the reading process, if ``open_history`` started it."""
        if self._owned:
            self._repository.close()

    def inverses(self, pairs: Iterable[FilePair]) -> tuple[Inverse, ...]:
        """The hunks of these files that take back a fix, each with the newest such fix, by path and line."""
        candidates = list(islice(_candidates(pairs), MOST_PATHS + 1))
        wanted = dict(candidates[:MOST_PATHS])
        if len(candidates) > MOST_PATHS:
            self.complete = False
        if not wanted or self._tip == self._repository.empty_tree:
            return ()
        found: dict[tuple[str, Lines], Inverse] = {}
        budget = MOST_VERSIONS
        for commit, change in self._fixes(sorted(wanted)):
            budget -= 2
            if budget < 0:
                self.complete = False
                break
            for inverse in self._compare(commit, change, wanted[change.path]):
                found.setdefault((inverse.path, inverse.head), inverse)
        return tuple(sorted(found.values(), key=lambda inverse: (inverse.path, inverse.head, inverse.base)))

    def _fixes(self, paths: Sequence[str]) -> Iterator[tuple[Commit, RawChange]]:
        """The changes of these paths by commits that speak of a fix, newest first."""
        try:
            for commit in self._repository.first_parent_log(self._tip, paths, WINDOW):
                if not commit.parents:
                    self.complete = self.complete and not self._cut_off(commit)
                elif speaks_of_a_fix(commit.message, merge=len(commit.parents) > 1):
                    for change in commit.changes:
                        yield commit, change
        except (Misuse, Unfinished):
            self.complete = False

    def _cut_off(self, commit: Commit) -> bool:
        """Whether a commit seems a root only because a shallow clone ends there."""
        found = self._repository.objects.get(commit.sha)
        return not isinstance(found, Found) or b"\nparent " in found.data.partition(b"\n\n")[0]

    def _compare(self, commit: Commit, change: RawChange, candidate: _Candidate) -> Iterator[Inverse]:
        fixed, before = self._blob(change.new), self._blob(change.old)
        if fixed is None or before is None:
            return
        differing = _differing(fixed, before)
        likely = [hunk for hunk in candidate.hunks if _likely(hunk, *differing)]
        # The fix is compared backwards, so that both hunks come from the same direction.
        undoing = hunks(fixed, before) if likely else []
        if sum(len(hunk.removed) + len(hunk.added) for hunk in undoing) > LARGEST_FIX:
            return
        keys = {hunk.key for hunk in undoing}
        subject = commit.message.strip().partition("\n")[0][:SUBJECT]
        taken_back = [hunk for hunk in likely if hunk.key in keys]
        if sum(hunk.tokens for hunk in taken_back) >= TOKENS:
            for hunk in taken_back:
                yield Inverse(candidate.path, hunk.head, hunk.base, commit.sha, subject, hunk.tokens)

    def _blob(self, entry: Entry | None) -> bytes | None:
        if entry is None or not entry.is_file:
            return None
        data = self._repository.blob(entry.oid, LARGEST_BLOB)
        if isinstance(data, Unavailable):
            self.complete = False
            return None
        return data
