"""Where two modules of one origin differ: the smallest run of statements that holds an edit.

In: a module, and the same after ``Tree.edit``. Out: ``Difference``. Untouched statements are the same objects in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from trainwarden.lab.sabotage.surgery import Statement, node_fields

_STATEMENT = (cst.SimpleStatementLine, cst.BaseCompoundStatement)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two modules of one origin differ: neighbouring statements of a block, before and after."""

    old: tuple[Statement, ...]
    new: tuple[Statement, ...]
    anchor: Statement | None
    """The statement of the old module at (or else next to) the difference."""


def difference(old: cst.Module, new: cst.Module) -> Difference | None:
    """The smallest run of statements that holds everything an edit changed; None if nothing did."""
    return _descend(old, new)


def _descend(old: cst.CSTNode, new: cst.CSTNode) -> Difference | None:
    if old is new or type(old) is not type(new):
        return None
    if isinstance(old, cst.Module | cst.IndentedBlock):
        assert isinstance(new, cst.Module | cst.IndentedBlock), "of the same type"
        return _of_blocks([*old.body], [*new.body])
    apart = [
        pair for name in node_fields(type(old)) for pair in _apart(getattr(old, name), getattr(new, name))
    ]
    if (
        len(apart) != 1
        or not isinstance(apart[0][0], cst.CSTNode)
        or not isinstance(apart[0][1], cst.CSTNode)
    ):
        return None
    return _descend(apart[0][0], apart[0][1])


def _apart(one: object, other: object) -> list[tuple[object, object]]:
    if one is other or one == other:
        return []
    if not isinstance(one, tuple | list) or not isinstance(other, tuple | list):
        return [(one, other)]
    if len(one) != len(other):
        return [(None, None)]
    return [(a, b) for a, b in zip(one, other, strict=True) if a is not b]


def _of_blocks(old: list[cst.CSTNode], new: list[cst.CSTNode]) -> Difference | None:
    start = 0
    while start < min(len(old), len(new)) and old[start] is new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] is new[-1 - end]:
        end += 1
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    if not gone and not come:
        return None
    if len(gone) == len(come) == 1:
        deeper = _descend(gone[0], come[0])
        if deeper is not None:
            return deeper
    near = gone or old[max(start - 1, 0) : start + 1]
    return Difference(_statements(gone), _statements(come), next(iter(_statements(near)), None))


def _statements(nodes: Sequence[cst.CSTNode]) -> tuple[Statement, ...]:
    return tuple(node for node in nodes if isinstance(node, _STATEMENT))
