"""What a differing expression is worth: its number, and whether it is a wanted value.

In: nodes of a delta or captures. Out: numbers (simple arithmetic folded) and tests. A wanted value that
holds a ``$`` or a ``(`` is a code pattern that must match the whole expression; anything else is compared
as text and number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import Capture, Captures, text_of
from trainwarden.rules.patterns import pattern
from trainwarden.rules.spelling import spell
from trainwarden.rules.values import LONGEST, Scalar, number, wanted

NodeTest = Callable[[Node | None, Captures], Captures | None]


def number_of(node: Node | None, depth: int = 6) -> float | None:
    """The number an expression is, through signs, arithmetic of literals and keywords around them."""
    if node is None or depth == 0:
        return None
    if node.kind in ("number", "string"):
        return number(node.value)
    if node.kind in ("keyword", "expr", "default") and node.children:
        return number_of(node.children[-1], depth - 1)
    if node.kind == "unary" and node.value in ("-", "+"):
        inner = number_of(node.children[0], depth - 1)
        return -inner if inner is not None and node.value == "-" else inner
    if node.kind == "binary":
        return _arithmetic(node, depth)
    return None


def _arithmetic(node: Node, depth: int) -> float | None:
    left, right = (number_of(child, depth - 1) for child in node.children)
    if left is None or right is None:
        return None
    try:
        found = _OPERATIONS[node.value](left, right)
    except (KeyError, ArithmeticError, ValueError):
        return None
    return found if math.isfinite(found) else None


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "**": math.pow,
}


def literal_text(node: Node) -> str:
    """The text of a literal without quotes; the code of anything else."""
    inner = node.children[-1] if node.kind in ("keyword", "expr", "default") and node.children else node
    return inner.value if inner.kind in ("string", "number", "constant", "name") else spell(inner, LONGEST)


def is_snippet(value: object) -> bool:
    """Whether a wanted value is meant as a code pattern."""
    return isinstance(value, str) and not value.startswith("/") and ("$" in value or "(" in value)


def value_test(values: Iterable[Scalar]) -> NodeTest:
    """A test that an expression is one of some values, or matches one of some patterns as a whole."""
    options = list(values)
    snippets = [pattern(str(value)) for value in options if is_snippet(value)]
    plain = wanted([value for value in options if not is_snippet(value)])

    def test(node: Node | None, captures: Captures) -> Captures | None:
        if node is None:
            return None
        if plain(literal_text(node), number_of(node)) or (node.name and plain(node.name, None)):
            return captures
        inner = node.children[-1] if node.kind in ("keyword", "expr") and node.children else node
        return next((found for one in snippets if (found := one.match(inner, captures)) is not None), None)

    return test


def capture_test(values: Iterable[Scalar]) -> Callable[[Capture], bool]:
    """A test that what a metavariable captured is one of some values."""
    options = list(values)
    of_node, of_text = value_test(options), wanted([value for value in options if not is_snippet(value)])

    def test(capture: Capture) -> bool:
        if isinstance(capture, Node):
            return of_node(capture, {}) is not None
        text = text_of(capture)
        return of_text(text, number(text))

    return test
