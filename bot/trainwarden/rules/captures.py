"""What metavariables of a pattern stand for, and when two of them are equal code.

In: nodes and names of a change. Out: ``Captures``, never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node
from trainwarden.rules.spelling import clean, spell, spell_all

Capture = Node | tuple[Node, ...] | str
"""What a metavariable stands for: a node, a run of nodes (``$$X``), or a name."""
Captures = Mapping[str, Capture]
NOTHING: Captures = {}


def text_of(capture: Capture) -> str:
    """What a metavariable captured, as a line of code."""
    if isinstance(capture, str):
        return clean(capture)
    return spell(capture) if isinstance(capture, Node) else spell_all(capture)


def same(left: Capture, right: Capture) -> bool:
    """Whether two captures are equal code: literally, or by what the names in it resolve to."""
    if isinstance(left, str) or isinstance(right, str):
        return _name_of(left) == _name_of(right)
    one = (left,) if isinstance(left, Node) else left
    two = (right,) if isinstance(right, Node) else right
    if [node.hash for node in one] == [node.hash for node in two]:
        return True
    return [resolved_key(node) for node in one] == [resolved_key(node) for node in two]


def _name_of(capture: Capture) -> str:
    if isinstance(capture, Node):
        return capture.name or capture.value
    return capture if isinstance(capture, str) else ""


def resolved_key(node: Node) -> str:
    """Text that is equal for code that resolves to the same names; unresolved names keep their spelling.

    So do names that stand for a value (``f()``, ``f()[.]``): two variables from one call are still two.
    """
    parts = []
    for inner in node.walk():
        word = inner.value
        if inner.kind == "name":
            plain = inner.name and not inner.name.endswith((")", "]"))
            word = inner.name if plain else normal(inner.value)
        parts.append(f"{inner.kind}\0{word}\0{len(inner.children)}")
    return "\1".join(parts)


def bind(captures: Captures, name: str, found: Capture) -> Captures | None:
    """The captures with one more, or None when the name already stands for other code."""
    if name.startswith("_"):
        return captures
    if name in captures:
        return captures if same(captures[name], found) else None
    return {**captures, name: found}


def bound_to(captures: Captures, name: str, found: Capture) -> Iterator[Captures]:
    """Like ``bind``, as a matcher yields it: once or not at all."""
    bound = bind(captures, name, found)
    if bound is not None:
        yield bound
