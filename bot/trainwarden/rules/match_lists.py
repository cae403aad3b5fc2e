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
    """Matches ``found`` against items in order; an item of None is a run, named by ``runs``."""
    if not items:
        if not found:
            yield captures
        return
    first = items[0]
    if first is not None:
        if found:
            for bound in first(found[0], captures):
                yield from match_list(items[1:], runs[1:], found[1:], bound)
        return
    if len(items) == 1:
        yield from bound_to(captures, runs[0] or "_", tuple(found))
        return
    for end in range(len(found) + 1):
        for bound in bound_to(captures, runs[0] or "_", tuple(found[:end])):
            yield from match_list(items[1:], runs[1:], found[end:], bound)


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
