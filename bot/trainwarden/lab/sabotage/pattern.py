"""Code with holes: does an expression or a statement look like ``F.dropout($x, $*rest)``, and what fills the holes?

In: patterns as text, nodes. Out: ``Pattern``, which binds holes to nodes, and ``filled``, which writes text from them.

``$name`` stands for any expression (the same text each time it occurs), ``$*name`` for any number of arguments or
elements. Keyword arguments match in any order. A pattern that ends in a line feed is a statement. Layout, redundant
parentheses and the quotes of strings play no part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import libcst as cst

from trainwarden.lab.sabotage.surgery import code, same, small, statement

Holes = dict[str, tuple[cst.CSTNode, ...]]

_HOLE = re.compile(r"\$(\*?)(\w+)")
_NAME = "HOLE_"
_REST = "HOLES_"
_NOTHING = "\x00"
_LAYOUT = frozenset(
    "lpar rpar lbracket rbracket lbrace rbrace comma semicolon equal dot colon first_colon second_colon leading_lines "
    "lines_after_decorators header footer trailing_whitespace indent asynchronous posonly_ind".split()
)
LOOSE = (
    cst.BinaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.UnaryOperation,
    cst.IfExp,
    cst.Lambda,
    cst.NamedExpr,
    cst.Await,
    cst.Yield,
    cst.Tuple,
    cst.GeneratorExp,
)


Key = tuple[type[cst.CSTNode], str]
"""A type of nodes and a word that narrows it: the name of a called function, a keyword, an operator."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern. ``key`` tells the nodes worth trying."""

    node: cst.CSTNode
    key: Key

    def match(self, node: cst.CSTNode) -> Holes | None:
        """What fills the holes when this node (for a statement: this line) looks like the pattern; else None."""
        subject = small(node) if self.key[0] is cst.SimpleStatementLine else node
        holes: Holes = {}
        return holes if subject is not None and _alike(self.node, subject, holes) else None


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The pattern of a text."""
    plain = _HOLE.sub(lambda hole: f"*{_REST}{hole[2]}" if hole[1] else f"{_NAME}{hole[2]}", text)
    if text.endswith("\n"):
        only = small(statement(plain))
        assert only is not None, "a pattern is one expression or one simple statement"
        return Pattern(only, (cst.SimpleStatementLine, _word(only)))
    node = cst.parse_expression(plain)
    return Pattern(node, (type(node), _word(node)))


def keys(node: cst.CSTNode) -> list[Key]:
    """The keys a node is to be found under."""
    kind = type(node)
    subject = small(node) if isinstance(node, cst.SimpleStatementLine) else node
    if subject is None:
        return []
    words = {"", _word(subject)}
    if isinstance(subject, cst.Call):
        words |= {f"{arg.keyword.value}=" for arg in subject.args if arg.keyword is not None}
    return [(kind, word) for word in words]


def _word(node: cst.CSTNode) -> str:
    """The most telling word of a node or of a pattern, whose holes tell nothing."""
    if isinstance(node, cst.Expr):
        return _word(node.value) if isinstance(node.value, cst.Call) and "=" not in _word(node.value) else ""
    if isinstance(node, cst.BinaryOperation | cst.UnaryOperation | cst.BooleanOperation):
        return type(node.operator).__name__
    if isinstance(node, cst.Attribute):
        return _fixed(node.attr)
    if not isinstance(node, cst.Call):
        return type(node).__name__ if isinstance(node, cst.BaseSmallStatement) else ""
    called = _fixed(node.func.attr if isinstance(node.func, cst.Attribute) else node.func)
    fixed = (f"{arg.keyword.value}=" for arg in node.args if arg.keyword is not None)
    return called or (next(fixed, "") if _is_hole(node.func) else "")


def _is_hole(node: cst.CSTNode) -> bool:
    name = node.attr if isinstance(node, cst.Attribute) else node
    return isinstance(name, cst.Name) and name.value.startswith(_NAME)


def _fixed(node: cst.CSTNode) -> str:
    return node.value if isinstance(node, cst.Name) and not node.value.startswith(_NAME) else ""


def filled(template: str, holes: Mapping[str, Sequence[cst.CSTNode]]) -> str:
    """The text of a template with its holes filled; operands get parentheses where precedence asks for them."""

    def fill(hole: re.Match[str]) -> str:
        nodes = holes[hole[2]]
        if hole[1]:
            return ", ".join(_argument(node) for node in nodes) or _NOTHING
        text = code(nodes[0]).strip()
        return f"({text})" if is_loose(nodes[0]) and binding(nodes[0]) <= _asked(template, hole) else text

    return _tidy(_HOLE.sub(fill, template))


def is_loose(node: cst.CSTNode) -> bool:
    """Whether an expression needs parentheses to be an operand."""
    return isinstance(node, LOOSE) and not node.lpar


ATOM = 14
COMPARISON = 4
_BINDING: dict[type[cst.CSTNode], int] = {
    cst.BitOr: 5,
    cst.BitXor: 6,
    cst.BitAnd: 7,
    cst.LeftShift: 8,
    cst.RightShift: 8,
    cst.Add: 9,
    cst.Subtract: 9,
    cst.Power: 12,
    cst.Or: 1,
    cst.And: 2,
    cst.Not: 3,
}


def binding(node: cst.CSTNode) -> int:
    """How tightly an expression binds: from 0 for ``lambda`` to ``ATOM`` for a call."""
    if isinstance(node, cst.BinaryOperation):
        return _BINDING.get(type(node.operator), 10)
    if isinstance(node, cst.BooleanOperation):
        return _BINDING[type(node.operator)]
    if isinstance(node, cst.UnaryOperation):
        return _BINDING.get(type(node.operator), 11)
    if isinstance(node, cst.Comparison):
        return COMPARISON
    return 13 if isinstance(node, cst.Await) else 0 if isinstance(node, LOOSE) else ATOM


def _argument(node: cst.CSTNode) -> str:
    comma = {"comma": cst.MaybeSentinel.DEFAULT} if hasattr(node, "comma") else {}
    space = {"whitespace_after_arg": cst.SimpleWhitespace("")} if isinstance(node, cst.Arg) else {}
    return code(node.with_changes(**comma, **space)).strip()


_LEVELS = (
    (r"\*\*$", r"^(\*\*|\.|\[|\()", 13),
    (r"(^|[(,=\s])[-~]$", r"^$^", 11),
    (r"[-*/%@]$", r"^[*/%@]", 10),
    (r"\+$", r"^$^", 9),
    (r"[&^|]$|<<$|>>$", r"^([-+]|[&^|]|<<|>>)", 8),
    (r"[<>]=?$|[=!]=$|\b(is|in)$", r"^([<>]|[=!]=|is\b|in\b|not\b)", 4),
    (r"\b(not|and|or)$", r"^(and|or)\b", 2),
    (r"\b(if|else|lambda.*:)$", r"^(if|else)\b", 0),
)
"""What stands before or after a hole, and how loosely its expression may bind at most to need parentheses there."""


def _asked(template: str, hole: re.Match[str]) -> int:
    before, after = template[: hole.start()].rstrip(" "), template[hole.end() :].lstrip(" ")
    return next(
        (level for left, right, level in _LEVELS if re.search(left, before) or re.search(right, after)), -1
    )


def _tidy(text: str) -> str:
    """An empty ``$*rest`` takes one of the commas beside it along."""
    return re.sub(rf",\s*{_NOTHING}|{_NOTHING}\s*,\s*|{_NOTHING}", "", text)


def _alike(wanted: object, found: object, holes: Holes) -> bool:
    if isinstance(wanted, cst.Name) and wanted.value.startswith(_NAME):
        return isinstance(found, cst.CSTNode) and _bind(holes, wanted.value[len(_NAME) :], (found,))
    if type(wanted) is not type(found):
        return False
    if isinstance(wanted, cst.SimpleString) and isinstance(found, cst.SimpleString):
        return wanted.evaluated_value == found.evaluated_value
    if isinstance(wanted, cst.CSTNode):
        return all(_field(name, wanted, found, holes) for name in _fields(type(wanted)))
    return wanted == found


def _field(name: str, wanted: cst.CSTNode, found: object, holes: Holes) -> bool:
    one, other = getattr(wanted, name), getattr(found, name)
    if isinstance(one, tuple | list):
        return _sequences(list(one), list(other), holes)
    return _alike(one, other, holes)


def _sequences(wanted: list[cst.CSTNode], found: list[cst.CSTNode], holes: Holes) -> bool:
    rest = next((name for name in map(_rest, wanted) if name), "")
    left = list(found)
    for each in wanted:
        if _rest(each):
            continue
        at = _place(each, left)
        if at is None or not _alike(each, left.pop(at), holes):
            return False
    return _bind(holes, rest, tuple(left)) if rest else not left


def _place(wanted: cst.CSTNode, left: Sequence[cst.CSTNode]) -> int | None:
    """Where the counterpart of an element is: by keyword for keyword arguments, else the first that is left."""
    if isinstance(wanted, cst.Arg) and wanted.keyword is not None:
        name = wanted.keyword.value
        return next(
            (i for i, arg in enumerate(left) if isinstance(arg, cst.Arg) and _keyword(arg) == name), None
        )
    return 0 if left else None


def _keyword(arg: cst.Arg) -> str:
    return arg.keyword.value if arg.keyword is not None else ""


def _rest(node: cst.CSTNode) -> str:
    if (isinstance(node, cst.Arg) and node.star != "*") or not isinstance(node, cst.Arg | cst.StarredElement):
        return ""
    name = node.value.value if isinstance(node.value, cst.Name) else ""
    return name[len(_REST) :] if name.startswith(_REST) else ""


def _bind(holes: Holes, name: str, nodes: tuple[cst.CSTNode, ...]) -> bool:
    known = holes.setdefault(name, nodes)
    return len(known) == len(nodes) and all(map(same, known, nodes))


@lru_cache(maxsize=512)
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names = (field.name for field in fields(kind))
    return tuple(name for name in names if name not in _LAYOUT and not name.startswith("whitespace"))
