"""Ordinary commits: a list of them goes in and samples come out; or clones go in and a list is drawn.

A drawn commit is on the first-parent line, is no merge and has a parent. Repositories take turns, so that a
long history does not drown the short ones, and no repository gives more than the cap.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from trainwarden.evaluate.mirrors import Clone, Mirrors
from trainwarden.evaluate.sample import Sample
from trainwarden.model import Misuse, Request

SPLITS = ("choose", "report")

_LINE = re.compile(r"([\w.-]+/[\w.-]+)\s+([0-9a-f]{40}(?:[0-9a-f]{24})?)")


@dataclass(frozen=True, slots=True)
class Drawing:
    """How many commits to draw, from which seed, at most ``cap`` a repository, and the share with Python."""

    count: int
    seed: int
    cap: int
    python: float


def parse(data: bytes, origin: str) -> tuple[tuple[str, str], ...]:
    """(owner/name, sha) of each line; blank lines and ``#`` comments are skipped. Raises ``Misuse``."""
    found: dict[tuple[str, str], None] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        match = _LINE.fullmatch(text)
        if text and not match:
            raise Misuse(f"{origin}:{number}: {text[:80]!r} is not owner/name and a full object name")
        if match:
            found[match[1], match[2]] = None
    return tuple(found)


def parse_splits(data: bytes, origin: str) -> Mapping[str, str]:
    """owner/name -> ``choose`` or ``report``, from tab-separated lines. Raises ``Misuse``."""
    splits: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        name, tab, split = line.strip().partition("\t")
        if name and (not tab or split not in SPLITS):
            raise Misuse(f"{origin}:{number}: expected owner/name, a tab, and {' or '.join(SPLITS)}")
        if name:
            splits[name] = split
    return splits


def samples(commits: Iterable[tuple[str, str]], mirrors: Mirrors) -> Iterator[Sample]:
    """Each commit as a change from its first parent."""
    for repo, sha in commits:
        clone = mirrors.clone(repo)
        request = Request(clone.path, "range", clone.parent(sha), sha)
        yield Sample(f"ordinary:{repo}@{sha[:12]}", "ordinary", repo, request)


def draw(
    repos: Iterable[str], mirrors: Mirrors, drawing: Drawing, taken: Collection[str]
) -> list[tuple[str, str]]:
    """Commits that are not in ``taken``, by repository; fewer than asked when the clones have no more."""
    generator = random.Random(drawing.seed)
    with_python, without = [], []
    for repo in sorted(repos):
        python, other = _kinds(mirrors.clone(repo), taken)
        generator.shuffle(python)
        generator.shuffle(other)
        with_python.append((repo, python[: drawing.cap]))
        without.append((repo, other[: drawing.cap]))
    wanted = round(drawing.count * drawing.python)
    chosen = _in_turns(with_python, wanted, {}, drawing.cap)
    given: dict[str, int] = {}
    for repo, _ in chosen:
        given[repo] = given.get(repo, 0) + 1
    chosen += _in_turns(without, drawing.count - len(chosen), given, drawing.cap)
    return sorted(chosen)


def _in_turns(
    stock: list[tuple[str, list[str]]], wanted: int, given: Mapping[str, int], cap: int
) -> list[tuple[str, str]]:
    """One commit of each repository in turn, until there are enough or none is left."""
    chosen: list[tuple[str, str]] = []
    rounds = max((len(commits) for _, commits in stock), default=0)
    for turn in range(rounds):
        for repo, commits in stock:
            if len(chosen) < wanted and turn < min(len(commits), cap - given.get(repo, 0)):
                chosen.append((repo, commits[turn]))
    return chosen


def _kinds(clone: Clone, taken: Collection[str]) -> tuple[list[str], list[str]]:
    """The commits of the first-parent line that touch Python, and those that do not."""
    git = clone.repository.git.with_environment(GIT_LITERAL_PATHSPECS="0")
    every = [commit for _, commit in clone.repository.first_parent_commits()]
    listed = git.output("rev-list", "--first-parent", "--no-merges", "HEAD", "--", "*.py")
    touching = set(listed.decode("ascii").split())
    known = set(clone.line) - {clone.line[0]}
    free = [commit for commit in every if commit in known and commit not in taken]
    return [c for c in free if c in touching], [c for c in free if c not in touching]
