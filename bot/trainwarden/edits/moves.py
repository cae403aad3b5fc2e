"""Moved code is not removed code: pairs what one place lost with what another gained, over the whole change.

In: the raw edits of every file. Out: ``view.Edit``s per file, with contexts (loop, guards, roles) on both sides and
lines on the head side. A statement that only changed its surroundings (a new guard, another loop) is a move.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from trainwarden.edits import align
from trainwarden.edits.compare import Change, FileEdits, Side, Unit, flatten, pair_across
from trainwarden.edits.deltas import Sides, deltas
from trainwarden.guards import guards_of, loop_depth
from trainwarden.hunks import common
from trainwarden.parse.names import Scope, normal
from trainwarden.parse.nodes import Node
from trainwarden.roles import statement_roles
from trainwarden.view import Context, Delta, Edit, EditKind

_SMALLEST_MOVE = 3
_MOST_SIMILAR = 150


class LineMap:
    """Where base lines went: the first surviving head line at or after a base line."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        self._last = max(1, len(after))
        start = common(before, after)
        end = common(before[start:][::-1], after[start:][::-1])
        middle = SequenceMatcher(
            None, before[start : len(before) - end], after[start : len(after) - end], len(before) > 3000
        )
        blocks = [(0, 0, start)]
        blocks += [(a + start, b + start, n) for a, b, n in middle.get_matching_blocks() if n]
        blocks.append((len(before) - end, len(after) - end, end))
        self._blocks = [block for block in blocks if block[2]]
        self._ends = [a + n for a, _, n in self._blocks]

    def new_lines(self) -> list[int]:
        """Head lines (1-based) that the base does not have."""
        kept = {b + step for _, b, n in self._blocks for step in range(1, n + 1)}
        return [line for line in range(1, self._last + 1) if line not in kept]

    def after_gap(self, base_line: int) -> int:
        """The head line of the first base line that survives behind ``base_line``; the last line at the end."""
        place = bisect_left(self._ends, base_line + 1)
        if place >= len(self._blocks):
            return self._last
        a, b, _ = self._blocks[place]
        return min(self._last, b + max(base_line - a, 0) + 1)


@dataclass(slots=True)
class RawFile:
    """One file's raw edits and its line map (None when a side is absent)."""

    path: str
    edits: FileEdits
    lines: LineMap | None


def resolve_moves(
    files: Sequence[RawFile], breadcrumb: Callable[[str], None] = lambda path: None
) -> list[list[Edit]]:
    """The finished edits of each file, in line order. ``breadcrumb`` is told which file is being finished."""
    breadcrumb("")
    pair_across([file.edits for file in files])
    for file in files:
        flatten(file.edits)
    pairs = _exact_moves(files)
    _similar_moves(files, pairs)
    moved_from = {id(removed): added for added, removed in pairs}
    moved_to = {id(added): removed for added, removed in pairs}
    finished = []
    for file in files:
        breadcrumb(file.path)
        edits = [_changed(change) for change in file.edits.changed]
        for unit in file.edits.added:
            edits.append(_moved(unit, moved_to[id(unit)]) if id(unit) in moved_to else _added(unit))
        edits.extend(_removed(unit, file.lines) for unit in file.edits.removed if id(unit) not in moved_from)
        finished.append(sorted(edits, key=_order))
    return finished


def _order(edit: Edit) -> tuple[int, int, str]:
    return edit.start, edit.end, edit.kind


def _exact_moves(files: Sequence[RawFile]) -> list[tuple[Unit, Unit]]:
    waiting: dict[str, list[Unit]] = defaultdict(list)
    for file in files:
        for unit in file.edits.removed:
            if unit.node.size >= _SMALLEST_MOVE:
                waiting[unit.key()].append(unit)
    pairs = []
    for file in files:
        for unit in file.edits.added:
            candidates = waiting.get(unit.key()) if waiting and unit.node.size >= _SMALLEST_MOVE else None
            if candidates:
                best = min(candidates, key=lambda c: _distance(c, unit))
                candidates.remove(best)
                pairs.append((unit, best))
    return pairs


def _distance(removed: Unit, added: Unit) -> tuple[bool, bool, int]:
    same_file, same_member = removed.side.path == added.side.path, removed.side.name == added.side.name
    return not same_file, not same_member, abs(removed.node.line - added.node.line)


def _similar_moves(files: Sequence[RawFile], pairs: list[tuple[Unit, Unit]]) -> None:
    """Moved and changed at once: at least 75 % of the words in common, within one file."""
    taken = {id(unit) for pair in pairs for unit in pair}
    for file in files:
        removed = [u for u in file.edits.removed if id(u) not in taken and u.node.size >= 6]
        added = [u for u in file.edits.added if id(u) not in taken and u.node.size >= 6]
        if not removed or len(removed) * len(added) > _MOST_SIMILAR**2:
            continue
        bags = {id(u): _header_bag(u.node) for u in [*removed, *added]}
        for unit in added:
            scored = [
                (_dice(bags[id(unit)], bags[id(r)]), -r.node.line, r)
                for r in removed
                if r.node.kind == unit.node.kind
            ]
            best = max(scored, default=None, key=lambda entry: entry[:2])
            if best is not None and best[0] >= 0.75:
                removed.remove(best[2])
                pairs.append((unit, best[2]))


def _header_bag(node: Node) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for part in align.header(node):
        total += align.bag(part, across=True)
    return total


def _dice(left: Counter[tuple[str, str]], right: Counter[tuple[str, str]]) -> float:
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 0.0


# -- finished edits


def context(node: Node, side: Side) -> Context:
    """Where a statement stands: member, loop depth, guards and what it is about."""
    roles = statement_roles(node, side.scope, side.name.rpartition(".")[2])
    return Context(side.name, loop_depth(node), guards_of(node, side.scope), roles)


def _own_lines(node: Node) -> tuple[int, int]:
    """The lines of a statement itself: for a compound one those of its header."""
    parts = align.header(node)
    end = (
        max((part.end_line for part in parts), default=node.line)
        if parts is not node.children
        else node.end_line
    )
    return node.line, max(node.line, end)


def _changed(change: Change) -> Edit:
    start, end = _own_lines(change.after)
    old, new = change.before_side, change.after_side
    before, after = context(change.before, old), context(change.after, new)
    elsewhere = old.path != new.path
    return Edit(
        "moved-changed" if elsewhere else "changed",
        change.before,
        change.after,
        start,
        end,
        _own_lines(change.before),
        before,
        after,
        _with_roles(change.deltas, after),
        moved_from=(old.path, old.name) if elsewhere else None,
    )


def _with_roles(found: tuple[Delta, ...], where: Context) -> tuple[Delta, ...]:
    """What an edit does around it is about what its statement is about."""
    return tuple(delta if delta.roles else replace(delta, roles=where.roles) for delta in found)


def _added(unit: Unit) -> Edit:
    start, end = _own_lines(unit.node)
    where = context(unit.node, unit.side)
    around = _with_roles(unit.deltas, where)
    return Edit("added", None, unit.node, start, end, None, None, where, around, unit.whole_member)


def _removed(unit: Unit, lines: LineMap | None) -> Edit:
    first, last = _own_lines(unit.node)
    gap = lines.after_gap(last) if lines is not None else first
    where = context(unit.node, unit.side)
    return Edit(
        "removed",
        unit.node,
        None,
        gap,
        gap,
        (first, last),
        where,
        None,
        _with_roles(unit.deltas, where),
        unit.whole_member,
    )


def _renamed_on_the_way(delta: Delta, sides: Sides) -> bool:
    """Whether a variable of the old member stands where one of the new does: each function names its own."""
    if delta.kind != "name" or delta.before is None or delta.after is None:
        return False
    (old, *rest), (new, *others) = _chain(delta.before), _chain(delta.after)
    return rest == others and _is_variable(old, sides.before) and _is_variable(new, sides.after)


def _chain(node: Node) -> list[str]:
    """A dotted name from its root outwards."""
    parts = [node.value]
    while node.children:
        node = node.children[0]
        parts.append(normal(node.value))
    return parts[::-1]


def _is_variable(name: str, scope: Scope) -> bool:
    return scope.is_local(name) or name in scope.parameters


def _moved(unit: Unit, origin: Unit) -> Edit:
    start, end = _own_lines(unit.node)
    before, after = context(origin.node, origin.side), context(unit.node, unit.side)
    small: tuple[Delta, ...] = ()
    if unit.key() != origin.key():
        sides = Sides(origin.side.scope, unit.side.scope)
        old, new = align.header(origin.node), align.header(unit.node)
        if len(old) == len(new):
            told = (d for a, b in zip(old, new, strict=True) for d in deltas(a, b, sides))
            elsewhere = unit.side.member != origin.side.member
            small = tuple(delta for delta in told if not (elsewhere and _renamed_on_the_way(delta, sides)))
    kind: EditKind = "moved-changed" if small else "moved"
    lines = _own_lines(origin.node)
    source = (origin.side.path, origin.side.name)
    return Edit(
        kind, origin.node, unit.node, start, end, lines, before, after, small, unit.whole_member, source
    )
