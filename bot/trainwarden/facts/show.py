"""Expressions in words: a node in, short text as a reviewer would read it out, and its number where it is
one.

A local variable is written as what it holds (its constant, else its provenance, else ``_``), never as it is
spelt, so that two programs that differ only in the names of locals read the same. Text that is cut carries a
digest of what was cut: a difference behind the cut is still a difference.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trainwarden.parse.names import Scope, normal
from trainwarden.parse.nodes import Node

LONGEST = 120
"""Characters of a value; what is longer is cut and marked."""
_BIG = 2000
_MOST = 4000
"""Characters that a cut text remembers."""
_LITERALS = frozenset({"number", "string", "bytes", "constant"})
_ARITHMETIC = frozenset({"binary", "boolop", "compare", "ternary", "unary"})
_SMALL = 40
_LARGE = 200
_INFIX = frozenset({"binary", "boolop", "compare", "ternary", "lambda", "namedexpr", "unary"})


class Cut(str):
    """A text that was cut; ``whole`` is what it was cut from, for who has to show where two of them differ."""

    whole: str


def whole(words: str) -> str:
    """The text before it was cut, as far as that is known."""
    return words.whole if isinstance(words, Cut) else words


def text(node: Node, scope: Scope, whole: bool = False) -> str:
    """The expression as text of at most ``LONGEST`` characters.

    A local is written as where it first came from, which names a thing, or, as a ``whole``, with all that it may be.
    """
    known = _Known(scope, whole)
    if node.size > _BIG:
        return f"{node.kind} of {node.size} parts #{_digest(' '.join(_plain(node, known)))}"
    return cut(_render(node, known))


def cut(words: str) -> str:
    """``words`` on one line of at most ``LONGEST`` characters; a cut leaves a digest of the whole."""
    if isinstance(words, Cut):
        return words
    line = " ".join(words.split())
    if len(line) <= LONGEST:
        return line
    short = Cut(f"{line[: LONGEST - 10]}…#{_digest(line)}")
    short.whole = line[:_MOST]
    return short


def number(node: Node, scope: Scope) -> float | None:
    """The finite number an expression is certain to be, through simple arithmetic and constants, else None."""
    found = _number(node, scope, 8)
    return found if found is not None and math.isfinite(found) else None


def constant_of(node: Node, scope: Scope) -> Node:
    """The literal a variable is certain to hold (bound once, never a parameter), else the node itself."""
    if node.kind != "name" or normal(node.value) in scope.parameters:
        return node
    bindings = scope.bindings(normal(node.value))
    if len(bindings) == 1 and bindings[0][0] == "value" and bindings[0][1].kind in _LITERALS:
        return bindings[0][1]
    return node


def _digest(words: str) -> str:
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _plain(node: Node, known: _Known) -> Iterator[str]:
    for inner in node.walk():
        yield inner.kind
        yield _variable(inner, known) if inner.kind == "name" else inner.value


# -- numbers


def _number(node: Node, scope: Scope, budget: int) -> float | None:
    if budget == 0:
        return None
    if node.kind == "name":
        known = constant_of(node, scope)
        return None if known is node else _number(known, scope, budget - 1)
    if node.kind in ("number", "string"):
        return _parsed(node)
    if node.kind == "unary" and node.value in "-+":
        inner = _number(node.children[0], scope, budget - 1)
        return inner if inner is None or node.value == "+" else -inner
    if node.kind == "binary":
        return _arithmetic(node, scope, budget)
    if node.kind == "call" and len(node.children) == 2 and node.function.name in ("int", "float"):
        return _number(node.children[1], scope, budget - 1)
    return None


def _parsed(node: Node) -> float | None:
    quoted = node.kind == "string"
    if quoted and (node.parent is None or node.parent.kind != "call" or node.parent.function.name != "float"):
        return None
    try:
        return float(node.value)
    except (ValueError, OverflowError):
        return None


def _arithmetic(node: Node, scope: Scope, budget: int) -> float | None:
    operation = _OPERATIONS.get(node.value)
    left = _number(node.children[0], scope, budget - 1)
    right = _number(node.children[1], scope, budget - 1)
    if operation is None or left is None or right is None:
        return None
    try:
        return operation(left, right)
    except (ArithmeticError, ValueError):
        return None


def _power(left: float, right: float) -> float:
    return math.pow(left, right)


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
    "**": _power,
}


# -- words


@dataclass(frozen=True, slots=True)
class _Known:
    """The names of the member, and whether a local is told with all that it may be, or by where it first came from."""

    scope: Scope
    whole: bool


def _variable(node: Node, known: _Known) -> str:
    scope = known.scope
    constant = constant_of(node, scope)
    if constant is not node:
        return _render(constant, known)
    own = normal(node.value)
    if own in scope.parameters or own in scope.imports or not scope.bindings(own):
        return node.name or node.value
    formula = _formula_of(node, scope) if scope.is_local(own) else None
    if formula is not None:
        return f"({_render(formula, known)})"
    other = "_" if scope.is_local(own) else node.value
    return _whole(own, scope) or other if known.whole else node.name or other


_MOST_SOURCES = 3
_MOST_READ = 12
"""Bindings of one name, and names of one formula, that are looked at."""


def _whole(name: str, scope: Scope) -> str:
    """All that a variable may be, as one text whatever the order; "" where that is not known or not short.

    What only changes a variable (``loss /= n``) gives it no other source; counting (``n += 1``) does.
    """
    bindings = scope.bindings(name)
    if len(bindings) > _MOST_READ:
        return ""
    found = {source for how, value in bindings for source in (_source(name, how, value, scope),) if source}
    if not found or len(found) > _MOST_SOURCES or "?" in found:
        return ""
    told = " or ".join(sorted(found))
    if len(found) > 1:
        told = f"({told})"
    return told if len(told) <= LONGEST // 2 or len(found) == 1 else ""


def _source(name: str, how: str, value: Node, scope: Scope) -> str:
    """What one binding gives a variable: "" for nothing of its own, ``?`` for what cannot be told."""
    if how == "value" and value.kind in _LITERALS:
        return repr(value.value) if value.kind in ("string", "bytes") else value.value
    if how == "value" and value.kind in _ARITHMETIC:
        return _sources_of(name, value, scope)
    return scope.bound(how, value) or ("" if how in ("change", "parameter") else "?")


def _sources_of(name: str, formula: Node, scope: Scope) -> str:
    """``_(a, b)`` for arithmetic with ``a`` and ``b`` that is not written out; "" where it only changes ``name``."""
    if formula.size > _LARGE:
        return "?"
    read = [inner for inner in formula.walk() if inner.kind == "name"]
    if any(normal(inner.value) == name for inner in read):
        return ""
    named = {inner.name for inner in read if inner.name and normal(inner.value) not in scope.imports}
    return f"_({', '.join(sorted(named))})" if 0 < len(named) <= _MOST_SOURCES else "?"


def _formula_of(node: Node, scope: Scope) -> Node | None:
    """The arithmetic a local was bound to, once: its provenance would tell only the first operand."""
    bindings = scope.bindings(normal(node.value))
    if len(bindings) != 1 or bindings[0][0] != "value":
        return None
    formula = bindings[0][1]
    if (
        formula.kind not in _ARITHMETIC
        or formula.size > _SMALL
        or _depends_on_locals_bound_so(formula, scope)
    ):
        return None
    return formula


def _depends_on_locals_bound_so(formula: Node, scope: Scope) -> bool:
    """Whether a formula has formulas in it: those are not unfolded, so that no text can grow without end."""
    for inner in formula.walk():
        if inner.kind == "name" and scope.is_local(normal(inner.value)):
            bindings = scope.bindings(normal(inner.value))
            if any(value.kind in _ARITHMETIC for how, value in bindings if how == "value"):
                return True
    return False


def _render(node: Node, known: _Known) -> str:
    writer = _WRITERS.get(node.kind)
    return writer(node, known) if writer else _listed(node, known)


def _inner(node: Node, known: _Known) -> str:
    words = _render(node, known)
    return f"({words})" if node.kind in _INFIX else words


def _all(nodes: tuple[Node, ...], known: _Known) -> str:
    return ", ".join(_render(node, known) for node in nodes)


def _listed(node: Node, known: _Known) -> str:
    inner = _all(node.children, known)
    return " ".join(filter(None, [node.kind, node.value, inner]))


def _attribute(node: Node, known: _Known) -> str:
    if node.name and not node.name.startswith("?") and node.children[0].kind in ("name", "attribute"):
        return node.name
    return f"{_inner(node.children[0], known)}.{normal(node.value)}"


def _call(node: Node, known: _Known) -> str:
    return f"{_inner(node.function, known)}({_all(node.children[1:], known)})"


def _subscript(node: Node, known: _Known) -> str:
    return f"{_inner(node.children[0], known)}[{_all(node.children[1:], known)}]"


def _slice(node: Node, known: _Known) -> str:
    low, high, step = (_render(part, known) for part in node.children)
    return f"{low}:{high}:{step}" if step else f"{low}:{high}"


def _binary(node: Node, known: _Known) -> str:
    return f"{_inner(node.children[0], known)} {node.value} {_inner(node.children[1], known)}"


def _boolop(node: Node, known: _Known) -> str:
    return f" {node.value} ".join(_inner(part, known) for part in node.children)


def _compare(node: Node, known: _Known) -> str:
    words = [_inner(node.children[0], known)]
    for operator, part in zip(node.value.split(), node.children[1:], strict=False):
        words += [operator.replace("_", " "), _inner(part, known)]
    return " ".join(words)


def _unary(node: Node, known: _Known) -> str:
    blank = " " if node.value == "not" else ""
    return f"{node.value}{blank}{_inner(node.children[0], known)}"


def _ternary(node: Node, known: _Known) -> str:
    then, test, otherwise = (_inner(part, known) for part in node.children[:3])
    return f"{then} if {test} else {otherwise}"


def _lambda(node: Node, known: _Known) -> str:
    names = ", ".join(param.value for param in node.children[0].children)
    return f"lambda {names}: {_render(node.children[1], known)}"


def _comprehension(node: Node, known: _Known) -> str:
    return " ".join(_render(part, known) for part in node.children)


def _comp_for(node: Node, known: _Known) -> str:
    target, iterable, *tests = (_render(part, known) for part in node.children)
    return " ".join([f"for {target} in {iterable}", *(f"if {test}" for test in tests)])


def _fstring(node: Node, known: _Known) -> str:
    parts = [c.value if c.kind == "string" else "{" + _all(c.children, known) + "}" for c in node.children]
    return "f" + repr("".join(parts))


_WRITERS: dict[str, Callable[[Node, _Known], str]] = {
    "name": _variable,
    "attribute": _attribute,
    "call": _call,
    "subscript": _subscript,
    "slice": _slice,
    "keyword": lambda node, known: f"{node.value}={_render(node.children[0], known)}",
    "star": lambda node, known: f"*{_all(node.children, known)}",
    "doublestar": lambda node, known: f"**{_all(node.children, known)}",
    "number": lambda node, known: node.value,
    "constant": lambda node, known: node.value,
    "string": lambda node, known: repr(node.value),
    "bytes": lambda node, known: "b" + repr(node.value),
    "fstring": _fstring,
    "tuple": lambda node, known: f"({_all(node.children, known)})",
    "list": lambda node, known: f"[{_all(node.children, known)}]",
    "set": lambda node, known: "{" + _all(node.children, known) + "}",
    "dict": lambda node, known: "{" + _all(node.children, known) + "}",
    "pair": lambda node, known: ": ".join(_render(part, known) for part in node.children),
    "unary": _unary,
    "binary": _binary,
    "boolop": _boolop,
    "compare": _compare,
    "ternary": _ternary,
    "lambda": _lambda,
    "await": lambda node, known: f"await {_all(node.children, known)}",
    "namedexpr": lambda node, known: _render(node.children[1], known),
    "listcomp": lambda node, known: f"[{_comprehension(node, known)}]",
    "setcomp": lambda node, known: "{" + _comprehension(node, known) + "}",
    "dictcomp": lambda node, known: "{" + _comprehension(node, known) + "}",
    "genexp": lambda node, known: f"({_comprehension(node, known)})",
    "comp_for": _comp_for,
    "none": lambda node, known: "",
}
