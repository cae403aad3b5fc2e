"""A repository and a tip go in, the fixes on its first-parent line come out, newest first.

A fix is a commit whose message speaks of one; of what it changed, Python files that are no tests are kept. What was
read is remembered, so that the next review of the same repository reads only the commits that are new to it. Commits
are named by what they contain, so whatever is remembered stays true. Missing objects (shallow or partial clones)
mean fewer fixes and ``Past.complete`` set to false, never an error.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from trainwarden.git import Repository
from trainwarden.git.log import Commit, Log
from trainwarden.git.objects import Found
from trainwarden.git.trees import RawChange
from trainwarden.model import Misuse, Unfinished

WINDOW = 2000  # first-parent commits before the tip
SLACK = 200  # read beyond the window, so that the next review of an older tip finds them here
REPOSITORIES = 4  # whose lines are remembered
MOST_CHANGES = 100_000  # files changed by the commits of a line; ordinary lines have 20,000
MOST_REMEMBERED = 20_000  # commits of one repository
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
_NAMES_A_FIX = re.compile(
    r"""\b(?:
      (?:hot|bug)?-?fix(?:e[sd]|ing|up)? | bugs? | buggy | correct(?:s|ed|ion|ions|ing)? | incorrect\w* | wrong(?:ly)?
    | repair\w* | broken | mistake\w* | regressions? | off[-\s]by[-\s]one
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_REVERT = re.compile(r"\s*(?:revert|reapply|re-apply|back(?:ed)?[\s-]?out|undo)\b", re.IGNORECASE)
_TEST = re.compile(r"(?:^|/)(?:tests?|testing|unit_tests?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")


def speaks_of_a_fix(message: str, merge: bool = False) -> bool:
    """Whether a commit message speaks of a fix. A revert does not count: it may well take a fix back.

    A long body lists whatever a squashed branch went through, so only a short one has a say; and the
    subject of a merge names a branch, so it has none.
    """
    return bool(word_of_a_fix(message, merge))


def word_of_a_fix(message: str, merge: bool = False) -> str:
    """The first word by which a message speaks of a fix, "" for one that does not."""
    subject, _, rest = message.strip().partition("\n")
    body = [line for line in rest.splitlines() if line.strip()]
    told = ("" if merge else subject) + "\n" + ("\n".join(body) if len(body) <= SHORT_BODY else "")
    found = _FIX.search(told)
    return found.group() if found is not None and not _REVERT.match(subject) else ""


def names_a_fix(subject: str) -> bool:
    """Whether a subject alone says that something was wrong: "missing" or "properly" is said of much else, too.

    That of a merge names a branch and says nothing.
    """
    return not subject.lower().startswith("merge") and _NAMES_A_FIX.search(subject) is not None


def may_be_fixed(path: str) -> bool:
    """Whether a path is one whose fixes are looked at: Python, and no test."""
    return path.endswith(".py") and _TEST.search(path) is None


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit that speaks of a fix, by which word, and what it changed by path, in the order of the tree."""

    sha: str
    subject: str
    word: str
    changes: dict[str, RawChange]


@dataclass(frozen=True, slots=True)
class _Step:
    """One commit of a line: where it goes on ("" at a root), and the fix it is, if it is one."""

    parent: str
    fix: Fix | None


class Past:
    """What was read of one repository. Not for use from several threads.

    The first time, git is asked about the paths at hand only. A second review is likely to be one of many, and the
    whole line is read then: twice the cost once, and next to nothing from then on.
    """

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._asked = 0
        self._wide = False
        self.complete = True

    def ahead(self, repository: Repository, tip: str, paths: Sequence[str]) -> Log | None:
        """Git at work on what ``fixes`` will be asked next; None where git would not be asked about paths."""
        if self._asked:
            return None
        with suppress(Misuse):  # ``fixes`` will see for itself
            return repository.first_parent_log(tip, paths, WINDOW)
        return None

    def fixes(
        self, repository: Repository, tip: str, paths: Sequence[str], ahead: Log | None = None
    ) -> Iterator[Fix]:
        """The fixes among the newest ``WINDOW`` commits of the line of ``tip``: all that change one of ``paths``.

        ``ahead`` was made for the same tip, and for these paths or more.
        """
        self.complete = True
        self._asked += 1
        try:
            known = self._of_line(repository, tip) if self._asked > 1 and not self._wide else None
            if known is not None:
                yield from known
            else:
                log = ahead or repository.first_parent_log(tip, paths, WINDOW)
                yield from self._of_paths(repository, log)
        except (Misuse, Unfinished):
            self.complete = False

    def _of_paths(self, repository: Repository, log: Log) -> Iterator[Fix]:
        for commit in log:
            if not commit.parents:
                self.complete = self.complete and not _cut_off(repository, commit.sha)
            fix = _step(commit).fix
            if fix is not None:
                yield fix

    def _of_line(self, repository: Repository, tip: str) -> list[Fix] | None:
        """None for a line whose commits change so much that it is better asked about paths."""
        found: list[Fix] = []
        at = tip
        for count in range(WINDOW):
            if at not in self._steps:
                self._read(repository, at, WINDOW - count)
                if self._wide:
                    return None
            step = self._steps[at]
            if step.fix is not None:
                found.append(step.fix)
            if not step.parent:
                if _cut_off(repository, at):  # it may be there next time
                    self.complete = False
                    del self._steps[at]
                break
            at = step.parent
        return found

    def _read(self, repository: Repository, tip: str, wanted: int) -> None:
        """Reads from ``tip`` on until the line meets what is known. Raises ``Unfinished``."""
        if len(self._steps) > MOST_REMEMBERED:
            self._steps.clear()
        changes = 0
        with closing(repository.first_parent_line(tip, wanted + SLACK)) as commits:
            for commit in commits:
                if commit.sha in self._steps:
                    break
                self._steps[commit.sha] = _step(commit)
                changes += len(commit.changes)
                if changes > MOST_CHANGES:
                    self._wide = True
                    break


def _cut_off(repository: Repository, sha: str) -> bool:
    """Whether a commit seems a root only because a shallow clone ends there."""
    found = repository.objects.get(sha)
    return not isinstance(found, Found) or b"\nparent " in found.data.partition(b"\n\n")[0]


def _step(commit: Commit) -> _Step:
    parent = commit.parents[0] if commit.parents else ""
    word = word_of_a_fix(commit.message, merge=len(commit.parents) > 1) if parent else ""
    if not word:
        return _Step(parent, None)
    changes = {change.path: change for change in commit.changes if may_be_fixed(change.path)}
    subject = commit.message.strip().partition("\n")[0][:SUBJECT]
    return _Step(parent, Fix(commit.sha, subject, word, changes) if changes else None)


_PASTS: OrderedDict[str, Past] = OrderedDict()


def past_of(repository: Repository) -> Past:
    """What this process remembers of a repository."""
    past = _PASTS.setdefault(repository.git_dir, Past())
    _PASTS.move_to_end(repository.git_dir)
    while len(_PASTS) > REPOSITORIES:
        _PASTS.popitem(last=False)
    return past
