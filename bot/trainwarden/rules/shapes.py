"""One program, many spellings: the same statement or name seen in the form a pattern asks for.

In: nodes of a change. Out: their parts, whichever way they are written.
"""

from __future__ import annotations

from collections.abc import Iterator

from trainwarden.parse.names import fold
from trainwarden.parse.nodes import Node
from trainwarden.rules.snippets import run_of

BODIES = frozenset({"block", "else", "finally", "handler", "case"})
COMMUTATIVE = frozenset({"+", "*", "&", "|", "^"})
_IMPORTERS = frozenset({"getattr", "__import__", "importlib.import_module"})


def own_nodes(statement: Node) -> Iterator[Node]:
    """The nodes of a statement's own text: everything but the blocks below it."""
    stack = [statement]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(child for child in reversed(node.children) if child.kind not in BODIES)


def groups(node: Node) -> dict[str, list[Node]]:
    """The children of a compound statement by what they are; header expressions together under ``header``."""
    groups: dict[str, list[Node]] = {}
    named = BODIES | {"decorator", "withitem"}
    for child in node.children:
        if child.kind == "params":
            groups.setdefault("params", []).extend(child.children)
        elif child.kind == "returns" or (child.kind == "block" and _is_open(child)):
            continue
        else:
            groups.setdefault(child.kind if child.kind in named else "header", []).append(child)
    return groups


def _is_open(block: Node) -> bool:
    return len(block.children) == 1 and run_of(block.children[0]) == "_"


def as_assignments(node: Node) -> Iterator[tuple[Node, ...]]:
    """An assignment as (targets..., value), whichever way it is written."""
    if node.kind == "assign":
        yield node.children
    elif node.kind == "annassign" and len(node.children) == 3:
        yield node.children[0], node.children[2]
    elif node.kind == "augassign":
        binary = Node("binary", node.value)
        binary.children, binary.line, binary.end_line = node.children, node.line, node.end_line
        yield node.children[0], binary


def as_augmented(node: Node, operator: str) -> Iterator[tuple[Node, Node]]:
    """(target, value) of ``t op= v`` and of ``t = t op v``."""
    if node.kind == "augassign" and node.value == operator:
        yield node.children[0], node.children[1]
    elif node.kind == "assign" and len(node.children) == 2:
        target, value = node.children
        if value.kind == "binary" and value.value == operator:
            if value.children[0].hash == target.hash:
                yield target, value.children[1]
            elif operator in COMMUTATIVE and value.children[1].hash == target.hash:
                yield target, value.children[0]


def speaks(node: Node) -> bool:
    """Whether a node's resolved name is its own: a call has its callee's, unless it looks something up."""
    if node.kind == "call":
        return node.function.name in _IMPORTERS
    return node.kind in ("name", "attribute")


def is_target(node: Node) -> bool:
    """Whether a name is written here: it is then itself, not what it holds."""
    parent = node.parent
    if parent is None or parent.kind not in ("assign", "augassign", "annassign"):
        return False
    return parent.children[0] is node or (parent.kind == "assign" and parent.children[-1] is not node)


def attribute_of(node: Node) -> tuple[Node, str] | None:
    """(object, attribute) of ``o.a`` and of ``getattr(o, "a")``."""
    if node.kind == "attribute":
        return node.children[0], node.value
    if node.kind == "call" and len(node.children) >= 3 and node.function.name == "getattr":
        word = fold(node.children[2])
        return None if word is None else (node.children[1], word)
    return None
