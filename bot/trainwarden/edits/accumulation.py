"""Assignments against assignments in place: ``x = x + y`` and ``x += y``.

In: two statements that correspond, one of each kind. Out: the ``view.Delta``s between them.
"""

from __future__ import annotations

from trainwarden.edits.deltas import Sides, deltas
from trainwarden.parse.nodes import Node
from trainwarden.view import Delta, DeltaKind


def accumulated(before: Node, after: Node, sides: Sides, words: str) -> list[Delta]:
    """``x += y`` on one side. ``x = x + y`` adds the same, and differs in what else sees it."""
    old, new = _addend(before), _addend(after)
    if old is not None and new is not None and old[0] == new[0]:
        kind: DeltaKind = "mutated" if after.kind == "augassign" else "rebound"
        return [Delta(kind, None, after.children[0], line=after.line), *deltas(old[1], new[1], sides, words)]
    found = deltas(before.children[-1], after.children[-1], sides, words)
    return found if _still_computed(before, after) else [Delta("operator", before, after), *found]


def _still_computed(before: Node, after: Node) -> bool:
    """``x /= y`` in ``x = round(x / y)``."""
    short, long = (before, after) if before.kind == "augassign" else (after, before)
    return any(
        inner.kind == "binary"
        and inner.value == short.value
        and inner.children[0].hash == short.children[0].hash
        for inner in long.children[-1].walk()
    )


def _addend(statement: Node) -> tuple[str, Node] | None:
    """The operator and what is added (or multiplied ...) to the target; None for another assignment."""
    value = statement.children[-1]
    if statement.kind == "augassign":
        return statement.value, value
    if len(statement.children) == 2 and value.kind == "binary":
        left, right = value.children
        if left.hash == statement.children[0].hash:
            return value.value, right
        if right.hash == statement.children[0].hash and value.value == "*":
            return value.value, left
    return None
