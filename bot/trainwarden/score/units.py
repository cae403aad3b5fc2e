"""A change in, the units the classifier scores out: each changed member with its edits in their context.

A unit is one stream of statements in which both sides lie: what stayed, what went, what came, what moved. It is read
from the node table, so layout, comments, documentation and the two parsers' differences are not in it: nothing a
reviewed author writes to the reader reaches the classifier. A member with many edits becomes several units, so that no
edit is beyond what the classifier can see.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from trainwarden.edits.align import blocks, header_key
from trainwarden.evidence import signals
from trainwarden.model import Statement, Unit, UnitTag
from trainwarden.parse.nodes import Node
from trainwarden.rules.spelling import spell
from trainwarden.view import ChangeView, Edit, FileView

LONGEST_STATEMENT = 4000
"""Characters of one statement that are read; of a longer one the deltas are read for themselves."""
EDITED = 90
"""Lexemes of edited statements in one unit; more begin another unit."""
CONTEXT = 90
"""Lexemes of statements around the edits in one unit."""
_NEAR = 14
"""Lexemes that are kept on either side of a difference within a statement."""
LONGEST_CONTEXT = 30
"""Lexemes of a statement that is only read along."""
_LEXEME = re.compile(r"[^\W\d]\w*|\d[\w.]*|\*\*|//|[<>=!:+\-*/@%&|^]=|->|\s+|.", re.DOTALL)
_LONGEST_STRING = 48
_SILENT = frozenset({"docstring", "pass", "import", "import_from"})

GAP = "…"
REMOVED: UnitTag = "removed"
ADDED: UnitTag = "added"

Lexemes = tuple[tuple[str, UnitTag], ...]


def units_of(
    view: ChangeView, signals_of: Callable[[FileView, Edit], frozenset[str]] = signals
) -> tuple[Unit, ...]:
    """The units of every Python file of the change, in path and line order.

    ``signals_of``: for those who know the signals of the view's edits already (``sites.signals_at``).
    """
    found: list[Unit] = []
    for file in view.files:
        members: dict[str, list[Edit]] = defaultdict(list)
        for edit in file.edits:
            members[edit.context.member].append(edit)
        for name, edits in members.items():
            found.extend(_Member(file, name, edits, signals_of).units())
    return tuple(found)


def line_of(edit: Edit) -> int:
    """The head line a unit gives the statement of an edit: that of its first difference."""
    lines = [delta.line for delta in edit.deltas if delta.line]
    return min(lines) if lines and edit.before is not None and edit.after is not None else edit.start


@dataclass(slots=True)
class Row:
    """A statement of the merged member on its way into units."""

    depth: int
    line: int
    lexemes: Lexemes
    edit: Edit | None = None
    parents: tuple[int, ...] = ()
    words: frozenset[str] = field(default_factory=frozenset)


class _Member:
    def __init__(
        self,
        file: FileView,
        name: str,
        edits: Sequence[Edit],
        signals_of: Callable[[FileView, Edit], frozenset[str]],
    ) -> None:
        self._file, self._name, self._edits, self._signals_of = file, name, edits, signals_of
        self._after = {id(edit.after): edit for edit in edits if edit.after is not None}
        self._before = {id(edit.before): edit for edit in edits if edit.before is not None}

    def units(self) -> Iterator[Unit]:
        """One unit, or several where the edits are too many for one."""
        rows = self._rows()
        edited = [place for place, row in enumerate(rows) if row.edit is not None]
        for group in groups(rows, edited):
            yield self._unit(rows, group)

    def _unit(self, rows: Sequence[Row], group: Sequence[int]) -> Unit:
        told: set[str] = set()
        for i in group:
            edit = rows[i].edit
            if edit is not None:
                told |= self._signals_of(self._file, edit)
        return Unit(self._file.path, self._name, within(rows, group), tuple(sorted(told)))

    # -- the merged member

    def _rows(self) -> list[Row]:
        """Both sides in one list: the head's statements in order, the base's lost ones where they stood."""
        old, new = self._root("before"), self._root("after")
        before = list(walk(old)) if old is not None else []
        if new is None:  # the member only lost statements: what it kept is read where it stood
            rows = [row for node, depth in before for row in self._left(node, depth)]
            nest(rows)
            return rows
        after = list(walk(new))
        matcher = SequenceMatcher(
            None, [header_key(n) for n, _ in before], [header_key(n) for n, _ in after], False
        )
        rows = []
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag != "equal":
                rows.extend(row for node, depth in before[i1:i2] for row in self._gone(node, depth))
            rows.extend(self._here(node, depth) for node, depth in after[j1:j2])
        nest(rows)
        return rows

    def _root(self, side: str) -> Node | None:
        nodes = (getattr(edit, side) for edit in self._edits if edit.moved_from is None or side == "after")
        node = next((node for node in nodes if node is not None), None)
        return node.root if node is not None else None

    def _gone(self, node: Node, depth: int) -> Iterator[Row]:
        edit = self._before.get(id(node))
        if edit is not None and edit.after is None:
            yield Row(depth, edit.start, _tagged(node, "removed"), edit)

    def _left(self, node: Node, depth: int) -> Iterator[Row]:
        if id(node) in self._before:
            yield from self._gone(node, depth)
        else:
            yield Row(depth, node.line, _tagged(node, "same")[:LONGEST_CONTEXT])

    def _here(self, node: Node, depth: int) -> Row:
        edit = self._after.get(id(node))
        if edit is None:
            return Row(depth, node.line, _tagged(node, "same")[:LONGEST_CONTEXT])
        return Row(depth, line_of(edit), _edited(edit), edit)


def walk(root: Node) -> Iterator[tuple[Node, int]]:
    """The statements of a member with their depth, the member's own header first."""
    if root.kind == "module":
        for child in root.children:
            yield from _statements(child, 0)
    elif root.kind == "function":
        yield from ((child, 0) for child in root.children if child.kind == "decorator")
        params = root.child("params")
        if params is not None:
            yield params, 0
        for child in root.children:
            if child.kind == "block":
                for inner in child.children:
                    yield from _statements(inner, 1)
    else:
        yield root, 0


def _statements(node: Node, depth: int) -> Iterator[tuple[Node, int]]:
    if node.kind in _SILENT:
        return
    yield node, depth
    for _, inner in blocks(node):
        for child in inner:
            yield from _statements(child, depth + 1)


def nest(rows: Sequence[Row]) -> None:
    """Gives each row the places of the headers it stands under."""
    stack: list[int] = []
    for place, row in enumerate(rows):
        while stack and rows[stack[-1]].depth >= row.depth:
            stack.pop()
        row.parents = tuple(stack)
        row.words = frozenset(text for text, _ in row.lexemes if text[0].isalpha() or text[0] == "_")
        stack.append(place)


# -- what goes into one unit


def groups(rows: Sequence[Row], edited: Sequence[int]) -> Iterator[list[int]]:
    """Edited rows that are read together: neighbours, up to ``EDITED`` lexemes."""
    group: list[int] = []
    size = 0
    for place in edited:
        length = min(len(rows[place].lexemes), EDITED)
        if group and size + length > EDITED:
            yield group
            group, size = [], 0
        group.append(place)
        size += length
    if group:
        yield group


def within(rows: Sequence[Row], group: Sequence[int]) -> tuple[Statement, ...]:
    """The statements of one unit: a group of edited rows and what they are read with."""
    own = set(group)
    return tuple(
        Statement(rows[i].lexemes, rows[i].depth, rows[i].line, i in own)
        for i in sorted(own | _around(rows, group))
    )


def _around(rows: Sequence[Row], group: Sequence[int]) -> set[int]:
    """Context by use: the member's header, what the edits stand under, neighbours, then rows that share names."""
    chosen: set[int] = set()
    room = CONTEXT
    for place in _wanted(rows, group):
        if place not in chosen and place not in group:
            room -= len(rows[place].lexemes)
            if room < 0:
                break
            chosen.add(place)
    return chosen


def _wanted(rows: Sequence[Row], group: Sequence[int]) -> Iterator[int]:
    yield 0
    for place in group:
        yield from rows[place].parents
    for step in (1, 2):
        for place in group:
            yield from (near for near in (place - step, place + step) if 0 <= near < len(rows))
    low, high = group[0], group[-1]
    for words in (_changed_words(rows, group), _words(rows, group)):
        sharing = [(_distance(i, low, high), i) for i, row in enumerate(rows) if row.words & words]
        yield from (i for _, i in sorted(sharing))
    yield from sorted(range(max(0, low - 8), min(len(rows), high + 9)), key=lambda i: _distance(i, low, high))


def _changed_words(rows: Sequence[Row], group: Sequence[int]) -> set[str]:
    found = {text for i in group for text, tag in rows[i].lexemes if tag != "same"}
    return {text for text in found if text[0].isalpha() or text[0] == "_"} - _COMMON


def _words(rows: Sequence[Row], group: Sequence[int]) -> frozenset[str]:
    """All names of the edited statements: where a factor went, what it was applied to says what it did."""
    return frozenset().union(*(rows[i].words for i in group)) - _COMMON


def _distance(place: int, low: int, high: int) -> int:
    return max(low - place, place - high, 0)


_COMMON = frozenset(
    "self if for in not and or is None True False return with as else def cls torch np".split()
)


# -- lexemes


def lexemes(node: Node) -> list[str]:
    """The code of a statement's own part as words, numbers and signs; strings as what is in them, cut."""
    return split(_code(node))


def split(code: str) -> list[str]:
    """Words, numbers and signs of one line of code."""
    return [text for text in _LEXEME.findall(code) if not text.isspace()]


def _code(node: Node) -> str:
    if node.kind == "params":
        return "def (" + ", ".join(spell(child, _LONGEST_STRING) for child in node.children) + ")"
    if node.kind == "decorator":
        return "@" + ", ".join(spell(child, _LONGEST_STRING) for child in node.children)
    if node.kind == "return":
        return "return " + ", ".join(spell(child, LONGEST_STATEMENT) for child in node.children)
    return spell(node, LONGEST_STATEMENT)


def _tagged(node: Node, tag: UnitTag) -> Lexemes:
    return tuple((text, tag) for text in lexemes(node))


def _edited(edit: Edit) -> Lexemes:
    assert edit.after is not None
    if edit.before is None:
        return _tagged(edit.after, "added")
    if edit.kind == "moved":
        return _tagged(edit.after, "moved")
    kept: UnitTag = "same" if edit.kind == "changed" else "moved"
    both = woven(lexemes(edit.before), lexemes(edit.after), kept)
    if any(tag != kept for _, tag in both):
        return both
    return tuple(_near(tuple(_of_deltas(edit)), kept))  # beyond what is read of a statement


def _of_deltas(edit: Edit) -> Iterator[tuple[str, UnitTag]]:
    for delta in edit.deltas:
        for node, tag in ((delta.before, REMOVED), (delta.after, ADDED)):
            if node is not None:
                yield from ((text, tag) for text in lexemes(node)[:_NEAR])


def _near(woven: Lexemes, kept: UnitTag) -> Iterator[tuple[str, UnitTag]]:
    """A statement without what is far from its differences: a gap stands for it."""
    differs = [place for place, (_, tag) in enumerate(woven) if tag != kept]
    wanted = {near for place in differs for near in range(place - _NEAR, place + _NEAR + 1)}
    gap = False
    for place, lexeme in enumerate(woven):
        if place in wanted:
            yield lexeme
        elif not gap:
            yield GAP, kept
        gap = place not in wanted


def woven(before: Sequence[str], after: Sequence[str], kept: UnitTag = "same") -> Lexemes:
    """Two versions of a statement in one, without what is far from their differences."""
    return tuple(_near(tuple(_woven(before, after, kept)), kept))


def _woven(before: Sequence[str], after: Sequence[str], kept: UnitTag) -> Iterator[tuple[str, UnitTag]]:
    """What stayed once, what went before what came."""
    matcher = SequenceMatcher(None, before, after, False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from ((text, kept) for text in after[j1:j2])
        else:
            yield from ((text, REMOVED) for text in before[i1:i2])
            yield from ((text, ADDED) for text in after[j1:j2])
