"""What an edit does to the code around it: a value nobody reads any more, a variable given a second meaning.

In: both sides of a member and its raw edits. Out: extra ``view.Delta``s on those edits: ``unused`` (the last read of
something still bound is gone), ``rebound`` and ``mutated`` (new code overwrites what the old code computed),
``one-sided`` (one of two sibling statements of the same shape changed, the other did not).
"""

from __future__ import annotations

from collections.abc import Iterator

from trainwarden.edits import align
from trainwarden.parse import names
from trainwarden.parse.nodes import Node
from trainwarden.view import Delta

_ALIKE = 0.7


def reads(member: Node) -> dict[str, Node]:
    """Names whose value is used below ``member``, with one place each."""
    found: dict[str, Node] = {}
    for node in member.walk():
        if node.kind == "name" and not _is_target(node):
            found.setdefault(names.normal(node.value), node)
    return found


def _is_target(node: Node) -> bool:
    below, parent = node, node.parent
    while parent is not None and parent.kind in ("tuple", "list", "star"):
        below, parent = parent, parent.parent
    if parent is None:
        return False
    if parent.kind == "assign":
        return parent.children[-1] is not below
    if parent.kind in ("for", "comp_for", "annassign"):
        return parent.children[0] is below
    return parent.kind == "withitem" and len(parent.children) == 2 and parent.children[1] is below


def lost_reads(before: Node, after: Node, scope: names.Scope) -> set[str]:
    """Names that were read, are still bound (a parameter or a variable), and are read no more."""
    gone = reads(before).keys() - reads(after).keys()
    bound = scope.parameters | {name for name in gone if scope.bindings(name)}
    return {name for name in gone if name in bound and name != "self" and not name.startswith("_")}


def unused(edit: Node, lost: set[str], line: int) -> Iterator[Delta]:
    """A delta for every lost name that the base side of an edit was reading."""
    for name, node in reads(edit).items():
        if name in lost:
            yield Delta("unused", node, None, line=line)


def overwritten(statement: Node, before: names.Scope) -> Iterator[Delta]:
    """Deltas of an added statement that gives a new value to something the base side already had."""
    if statement.kind in ("assign", "augassign"):
        for target in statement.children[:-1]:
            yield from _target(target, before)
    elif statement.kind == "expr" and statement.children[0].kind == "call":
        callee = statement.children[0].function
        if callee.kind == "attribute" and callee.value.endswith("_") and not callee.value.startswith("_"):
            yield Delta("mutated", None, callee.children[0], inside=callee.name, line=statement.line)


def _target(target: Node, before: names.Scope) -> Iterator[Delta]:
    if target.kind == "name":
        name = names.normal(target.value)
        if before.bindings(name) or name in before.parameters:
            yield Delta("rebound", None, target, line=target.line)
    elif target.kind == "subscript" or (target.kind == "attribute" and target.children[0].value != "self"):
        yield Delta("mutated", None, target, line=target.line)
    elif target.kind in ("tuple", "list"):
        for inner in target.children:
            yield from _target(inner, before)


def one_sided(before: Node, after: Node) -> Delta | None:
    """A delta when a neighbour that looked like the changed statement stayed as it was."""
    if before.parent is None or after.parent is None or before.size < 6:
        return None
    kept = {child.hash for child in after.parent.children}
    own = align.bag(before, across=True)
    for neighbour in _neighbours(before):
        if neighbour.hash in kept and neighbour.kind == before.kind and _dice(own, neighbour) >= _ALIKE:
            return Delta("one-sided", neighbour, after, line=after.line)
    return None


def _neighbours(node: Node) -> Iterator[Node]:
    assert node.parent is not None
    siblings = node.parent.children
    place = next(i for i, child in enumerate(siblings) if child is node)
    yield from siblings[max(0, place - 2) : place]
    yield from siblings[place + 1 : place + 3]


def _dice(own: align.Bag, other: Node) -> float:
    theirs = align.bag(other, across=True)
    total = own.total() + theirs.total()
    return 2 * (own & theirs).total() / total if total else 0.0
