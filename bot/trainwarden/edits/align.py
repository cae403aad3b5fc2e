"""Aligns the statements of two versions of a member.

In: two resolved members. Out: ``Pairing``: statements that correspond but differ, and units that only one side has.
A unit is a simple statement or the header of a compound one; the statements of its blocks are units of their own,
so that code that moved under a new condition is recognised as moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice

from trainwarden.parse.nodes import Node

_BODIES = frozenset({"block", "else", "finally", "handler", "case"})
_COMPOUND = frozenset({"if", "for", "while", "with", "try", "match", "function", "class", "handler", "case"})
_SIMILAR = 0.45
_SIMILAR_ALONE = 0.2
"""For one statement in the place of another, which need share less to be its new form."""
_SILENT = frozenset({"docstring", "pass", "import", "import_from"})
_MOST_PAIRS = 4000
Bag = Counter[tuple[str, str]]


@dataclass(slots=True)
class Pairing:
    """``changed``: (before, after) statements whose own text (for compounds: header) differs."""

    changed: list[tuple[Node, Node]] = field(default_factory=list)
    removed: list[Node] = field(default_factory=list)
    added: list[Node] = field(default_factory=list)


def header(node: Node) -> tuple[Node, ...]:
    """The parts of a compound statement that are not blocks; all children of a simple one."""
    if node.kind not in _COMPOUND:
        return node.children
    return tuple(child for child in node.children if child.kind not in _BODIES)


def header_key(node: Node) -> str:
    """Equal for statements whose own text is equal, whatever their blocks hold."""
    if node.kind not in _COMPOUND:
        return node.hash
    return f"{node.kind}:{node.value}:" + ".".join(part.hash for part in header(node))


def blocks(node: Node) -> Iterator[tuple[str, Sequence[Node]]]:
    """(label, statements) for each block of a compound statement; handlers and cases are statements of the try."""
    clauses = [child for child in node.children if child.kind in ("handler", "case")]
    for child in node.children:
        if child.kind in ("block", "else", "finally"):
            yield child.kind, child.children
    if clauses:
        yield "clauses", clauses


def units(statement: Node) -> Iterator[Node]:
    """A statement and the statements inside it, in source order."""
    if statement.kind in _SILENT:
        return
    yield statement
    if statement.kind in _COMPOUND:
        for _, inner in blocks(statement):
            for child in inner:
                yield from units(child)


def align(before: Sequence[Node], after: Sequence[Node], into: Pairing) -> None:
    """Adds to ``into`` how one list of statements became the other."""
    matcher = SequenceMatcher(None, [n.hash for n in before], [n.hash for n in after], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            _gap(before[i1:i2], after[j1:j2], into)


def align_compound(before: Node, after: Node, into: Pairing) -> None:
    """Pairs two statements: their headers if they differ, and their blocks one by one."""
    if before.hash == after.hash:
        return
    if header_key(before) != header_key(after):
        into.changed.append((before, after))
    if before.kind not in _COMPOUND:
        return
    old, new = dict(blocks(before)), dict(blocks(after))
    for label in dict.fromkeys([*old, *new]):
        one, other = old.get(label, ()), new.get(label, ())
        if label == "else" and before.kind == "if":
            one, other = (
                _without_inserted(one, other, into.removed),
                _without_inserted(other, one, into.added),
            )
        align(one, other, into)


def _without_inserted(longer: Sequence[Node], shorter: Sequence[Node], into: list[Node]) -> Sequence[Node]:
    """What follows the ``elif`` branches that only ``longer`` has, which go into ``into``.

    Only before an ``else`` that does nothing but raise: any other now runs under one condition more, and is moved.
    """
    if len(shorter) != 1 or shorter[0].kind != "raise":
        return longer
    inserted: list[Node] = []
    rest = longer
    while len(rest) == 1 and rest[0].kind == "if":
        inserted.append(rest[0])
        rest = dict(blocks(rest[0])).get("else", ())
    if len(rest) != 1 or rest[0].hash != shorter[0].hash:
        return longer
    for branch in inserted:
        into.append(branch)
        into.extend(unit for child in dict(blocks(branch))["block"] for unit in units(child))
    return rest


def _gap(before: Sequence[Node], after: Sequence[Node], into: Pairing) -> None:
    pairs = _best_pairs(before, after)
    taken_before, taken_after = {i for i, _ in pairs}, {j for _, j in pairs}
    for i, j in pairs:
        align_compound(before[i], after[j], into)
    for i, node in enumerate(before):
        if i not in taken_before:
            into.removed.extend(units(node))
    for j, node in enumerate(after):
        if j not in taken_after:
            into.added.extend(units(node))


def _best_pairs(before: Sequence[Node], after: Sequence[Node]) -> list[tuple[int, int]]:
    """Greedy best matches in order of similarity that do not cross one another."""
    if not before or not after or len(before) * len(after) > _MOST_PAIRS:
        return []
    bags_before, bags_after = [bag(n) for n in before], [bag(n) for n in after]
    least = _SIMILAR_ALONE if len(before) == len(after) == 1 else _SIMILAR
    scored = []
    for i, old in enumerate(before):
        for j, new in enumerate(after):
            score = _similarity(old, new, bags_before[i], bags_after[j])
            if score >= least:
                scored.append((-score, abs(i - j), i, j))
    chosen: list[tuple[int, int]] = []
    for _, _, i, j in sorted(scored):
        if all((i - a) * (j - b) > 0 for a, b in chosen):
            chosen.append((i, j))
    return chosen


def bag(node: Node, across: bool = False) -> Bag:
    """The words of a statement (at most 400 nodes).

    ``across``: for comparison with another member, whose locals may be called otherwise; a name then counts as what
    it resolves to.
    """
    counted: Bag = Counter()
    for inner in islice(node.walk(), 400):
        word = inner.name if across and inner.kind == "name" else inner.value
        if word:
            counted[(inner.kind, word)] += 1
    return counted


def _similarity(before: Node, after: Node, left: Bag, right: Bag) -> float:
    if before.kind != after.kind and not {before.kind, after.kind} <= {
        "assign",
        "annassign",
        "augassign",
        "expr",
        "return",
    }:
        return 0.0
    total = left.total() + right.total()
    score = 2 * (left & right).total() / total if total else 1.0
    if before.kind in _COMPOUND:
        same_header = header_key(before) == header_key(after)
        return score + 0.3 if same_header else score
    if before.kind == after.kind == "assign" and before.children[0].hash == after.children[0].hash:
        return score + 0.3
    if before.kind == after.kind == "expr":
        return score + 0.3 * _same_callee(before, after)
    return score if before.kind == after.kind else score - 0.15


def _same_callee(before: Node, after: Node) -> bool:
    old, new = before.children[0], after.children[0]
    return old.kind == new.kind == "call" and old.function.hash == new.function.hash
