"""Matching lists of nodes: in order with runs, keyword arguments in any order, subsets.

In: matchers and nodes. Out: the captures of every way to match. A matcher yields captures; it never changes
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import Captures, bound_to

Matcher = Callable[[Node, Captures], Iterator[Captures]]
ListMatcher = Callable[[Sequence[Node], Captures], Iterator[Captures]]
WordMatcher = Callable[[str, Captures], Iterator[Captures]]


def match_list(
    items: Sequence[Matcher | None], runs: Sequence[str | None], found: Sequence[Node], captures: Captures
) -> Iterator[Captures]:
    """Matches ``found`` against items in order; an item of None is a run, named by ``runs``.

    Takes time linear in the length of ``found`` for one run, and for two of which one is at an end.
    """
    yield from _from(items, runs, found, captures, 0, 0)


def _from(
    items: Sequence[Matcher | None],
    runs: Sequence[str | None],
    found: Sequence[Node],
    captures: Captures,
    item: int,
    start: int,
) -> Iterator[Captures]:
    left = len(found) - start
    if item == len(items):
        if not left:
            yield captures
        return
    wanted, run = items[item], runs[item]
    if wanted is not None:
        if left:
            for bound in wanted(found[start], captures):
                yield from _from(items, runs, found, bound, item + 1, start + 1)
        return
    later = items[item + 1 :]
    least = sum(one is not None for one in later)
    if left < least:
        return
    shortest = left - least if None not in later else 0
    for length in range(shortest, left - least + 1):
        for bound in _run(captures, run or "_", found, start, start + length):
            yield from _from(items, runs, found, bound, item + 1, start + length)


def _run(captures: Captures, name: str, found: Sequence[Node], start: int, end: int) -> Iterator[Captures]:
    if name.startswith("_"):
        return iter((captures,))
    return bound_to(captures, name, tuple(found[start:end]))


def match_keywords(
    wanted: Sequence[tuple[str, Callable[[str, Captures], Iterator[Captures]], Matcher]],
    keywords: Sequence[Node],
    captures: Captures,
) -> Iterator[tuple[Captures, Sequence[Node]]]:
    """(captures, keywords not asked for) for every way to find the wanted keyword arguments."""
    if not wanted:
        yield captures, keywords
        return
    _, word, value = wanted[0]
    for place, keyword in enumerate(keywords):
        for named in word(keyword.value, captures):
            for bound in value(keyword.children[0], named):
                yield from match_keywords(wanted[1:], [*keywords[:place], *keywords[place + 1 :]], bound)


def match_subset(
    items: Sequence[Matcher], found: Sequence[Node], captures: Captures, is_open: bool
) -> Iterator[Captures]:
    """Every item matches another of ``found``, in any order; nothing may be left over unless ``is_open``."""
    if not items:
        if is_open or not found:
            yield captures
        return
    for place, node in enumerate(found):
        for bound in items[0](node, captures):
            yield from match_subset(items[1:], [*found[:place], *found[place + 1 :]], bound, is_open)


def match_parts(
    parts: Sequence[tuple[str, ListMatcher]], theirs: Mapping[str, list[Node]], captures: Captures
) -> Iterator[Captures]:
    if not parts:
        yield captures
        return
    name, matcher = parts[0]
    for bound in matcher(theirs.get(name, []), captures):
        yield from match_parts(parts[1:], theirs, bound)
