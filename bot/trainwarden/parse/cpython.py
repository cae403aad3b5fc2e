"""Python's own parser as a third reader: does it read a statement as tree-sitter did?

In: the text of a statement and its lowered node. Out: whether the tree of the ``ast`` module says the very same. It
is what will run the code, and ten times as fast as libcst; but it knows only the grammar of the Python it belongs to
and drops what some nodes tell, so a "no" means nothing more than that libcst has to be asked. Shapes are those of
``nodes``, written down from https://docs.python.org/3/library/ast.html#abstract-grammar.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

OPEN = "if 1:\n"
"""Stands before a statement that is indented, so that it is in a block."""

Shape = tuple[str, str, Sequence[Any]]
"""Kind, value and parts; a part is a shape or a node of the ``ast`` module."""

_SPELLED = frozenset({"string", "docstring", "bytes", "interpolation", "number", "constant"})
"""Kinds whose value is no identifier: nothing is normalised there."""


class _Unknown(Exception):
    """Something that has no shape here."""


def agrees(source: str, node: Node) -> bool:
    """Whether the one statement in ``source`` (in a block if it is indented) is what ``node`` says. Never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about escapes in strings
            statements = ast.parse(source).body
        if source.startswith(OPEN) and len(statements) == 1 and isinstance(statements[0], ast.If):
            statements = statements[0].body
        return len(statements) == 1 and _same(node, statements[0])
    except (SyntaxError, ValueError, RecursionError, MemoryError, _Unknown):
        return False


def _same(node: Node, part: Any) -> bool:
    kind, value, parts = part if type(part) is tuple else _shape(part)
    if node.kind != kind or len(node.children) != len(parts):
        return False
    if node.value != value and (kind in _SPELLED or normal(node.value) != value):
        return False
    return all(map(_same, node.children, parts))


def _shape(part: ast.AST) -> Shape:
    make = _SHAPES.get(type(part))
    if make is None:
        raise _Unknown
    return make(part)


def _maybe(*parts: ast.AST | None) -> list[ast.AST]:
    return [part for part in parts if part is not None]


def _block(statements: Sequence[ast.stmt], kind: str = "block") -> Shape:
    return kind, "", statements


def _clause(kind: str, statements: Sequence[ast.stmt]) -> list[Shape]:
    return [_block(statements, kind)] if statements else []


# -- statements


def _expression(part: ast.Expr) -> Shape:
    kind, value, inner = _shape(part.value)
    return ("docstring", value, ()) if kind == "string" else ("expr", "", ((kind, value, inner),))


def _annotated(part: ast.AnnAssign) -> Shape:
    if isinstance(part.target, ast.Name) and not part.simple:
        raise _Unknown  # ``(a): int`` annotates nothing, and libcst refuses it
    annotation = "annotation", "", (part.annotation,)
    return "annassign", "", (part.target, annotation, *_maybe(part.value))


def _deleted(part: ast.Delete) -> Shape:
    first = part.targets[0]
    return (
        "delete",
        "",
        first.elts if len(part.targets) == 1 and isinstance(first, ast.Tuple) else part.targets,
    )


def _imported(part: ast.Import) -> Shape:
    return "import", "", part.names


def _imported_from(part: ast.ImportFrom) -> Shape:
    return "import_from", "." * part.level + (part.module or ""), part.names


def _alias(part: ast.alias) -> Shape:
    return "alias", part.name, () if part.asname is None else (("name", part.asname, ()),)


def _condition(part: ast.If) -> Shape:
    return "if", "", (part.test, _block(part.body), *_clause("else", part.orelse))


def _loop(part: ast.For | ast.AsyncFor) -> Shape:
    word = "async" if isinstance(part, ast.AsyncFor) else ""
    return "for", word, (part.target, part.iter, _block(part.body), *_clause("else", part.orelse))


def _repeated(part: ast.While) -> Shape:
    return "while", "", (part.test, _block(part.body), *_clause("else", part.orelse))


def _context(part: ast.With | ast.AsyncWith) -> Shape:
    word = "async" if isinstance(part, ast.AsyncWith) else ""
    items = [("withitem", "", _maybe(item.context_expr, item.optional_vars)) for item in part.items]
    return "with", word, (*items, _block(part.body))


def _attempt(part: Any) -> Shape:
    word = "" if isinstance(part, ast.Try) else "star"
    rest = (*_clause("else", part.orelse), *_clause("finally", part.finalbody))
    return "try", word, (_block(part.body), *part.handlers, *rest)


def _handler(part: ast.ExceptHandler) -> Shape:
    return "handler", part.name or "", (*_maybe(part.type), _block(part.body))


# -- definitions


def _function(part: ast.FunctionDef | ast.AsyncFunctionDef) -> Shape:
    _plain(part)
    word = [("async", "", ())] if isinstance(part, ast.AsyncFunctionDef) else []
    returns = [("returns", "", (part.returns,))] if part.returns is not None else []
    head = (*_decorators(part.decorator_list), part.args, *word, *returns)
    return "function", part.name, (*head, _block(part.body))


def _class(part: ast.ClassDef) -> Shape:
    _plain(part)
    bases = "bases", "", _arguments(part.bases, part.keywords)
    return "class", part.name, (*_decorators(part.decorator_list), bases, _block(part.body))


def _plain(part: ast.AST) -> None:
    """Type parameters are left to libcst."""
    if getattr(part, "type_params", None):
        raise _Unknown


def _decorators(parts: Iterable[ast.expr]) -> list[Shape]:
    return [("decorator", "", (part,)) for part in parts]


def _parameters(part: ast.arguments) -> Shape:
    named = [*part.posonlyargs, *part.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(part.defaults))
    found = [_parameter("param", *pair) for pair in zip(named, [*defaults, *part.defaults], strict=True)]
    if part.posonlyargs:
        found.insert(len(part.posonlyargs), ("posonly", "", ()))
    if part.vararg is not None:
        found.append(_parameter("star_param", part.vararg))
    elif part.kwonlyargs:
        found.append(("kwonly", "", ()))
    found += [_parameter("param", *pair) for pair in zip(part.kwonlyargs, part.kw_defaults, strict=True)]
    if part.kwarg is not None:
        found.append(_parameter("doublestar_param", part.kwarg))
    return "params", "", found


def _parameter(kind: str, part: ast.arg, default: ast.expr | None = None) -> Shape:
    extra = [("annotation", "", (part.annotation,))] if part.annotation is not None else []
    return kind, part.arg, [*extra, ("default", "", (default,))] if default is not None else extra


# -- literals


def _constant(part: ast.Constant) -> Shape:
    value = part.value
    if isinstance(value, str):
        return "string", value, ()
    if isinstance(value, bytes):
        return "bytes", value.decode("latin-1"), ()
    if value is None or value is ... or isinstance(value, bool):
        return "constant", "..." if value is ... else str(value), ()
    return "number", repr(value), ()


def _formatted(part: ast.JoinedStr) -> Shape:
    if all(isinstance(piece, ast.Constant) for piece in part.values):
        return "string", _text(part.values), ()
    return "fstring", "", part.values


def _text(pieces: Iterable[ast.expr]) -> str:
    return "".join("{}" if isinstance(piece, ast.FormattedValue) else _constant(piece)[1] for piece in pieces)  # type: ignore[arg-type]


def _interpolation(part: ast.FormattedValue) -> Shape:
    style = f"!{chr(part.conversion)}" if part.conversion >= 0 else ""
    nested: list[ast.expr] = []
    if isinstance(part.format_spec, ast.JoinedStr):
        pieces = part.format_spec.values
        style += ":" + _text(pieces)
        nested = [piece for piece in pieces if isinstance(piece, ast.FormattedValue)]
    return "interpolation", style, (part.value, *nested)


# -- operators


def _unary(part: ast.UnaryOp) -> Shape:
    word = _UNARY[type(part.op)]
    if word == "-":
        kind, value, inner = _shape(part.operand)
        if kind == "number" and not value.startswith("-"):
            return "number", "-" + value, ()
        return "unary", word, ((kind, value, inner),)
    return "unary", word, (part.operand,)


def _boolean(part: ast.BoolOp) -> Shape:
    return "boolop", "and" if isinstance(part.op, ast.And) else "or", _operands(part, type(part.op))


def _operands(part: ast.BoolOp, word: type[ast.boolop]) -> list[ast.expr]:
    """``a and (b and c)`` has three operands."""
    found: list[ast.expr] = []
    for value in part.values:
        nested = isinstance(value, ast.BoolOp) and isinstance(value.op, word)
        found.extend(_operands(value, word) if nested else [value])  # type: ignore[arg-type]
    return found


def _comparison(part: ast.Compare) -> Shape:
    return "compare", " ".join(_COMPARED[type(op)] for op in part.ops), (part.left, *part.comparators)


# -- calls, subscripts, collections


def _call(part: ast.Call) -> Shape:
    return "call", "", (part.func, *_arguments(part.args, part.keywords))


def _arguments(plain: Sequence[ast.expr], named: Sequence[ast.keyword]) -> Sequence[ast.expr | ast.keyword]:
    """Arguments in the order in which they stand."""
    return sorted((*plain, *named), key=lambda part: (part.lineno, part.col_offset)) if named else plain


def _keyword(part: ast.keyword) -> Shape:
    return ("doublestar", "", (part.value,)) if part.arg is None else ("keyword", part.arg, (part.value,))


def _subscript(part: ast.Subscript) -> Shape:
    index = part.slice
    if isinstance(index, ast.Tuple) and len(index.elts) > 1:
        first = index.elts[0]
        if (index.lineno, index.col_offset) == (
            first.lineno,
            first.col_offset,
        ):  # without brackets of its own
            return "subscript", "", (part.value, *index.elts)
    return "subscript", "", (part.value, index)


def _slice(part: ast.Slice) -> Shape:
    absent: Shape = ("none", "", ())
    return "slice", "", [bound or absent for bound in (part.lower, part.upper, part.step)]


def _dictionary(part: ast.Dict) -> Shape:
    entries = zip(part.keys, part.values, strict=True)
    return "dict", "", [("doublestar", "", (v,)) if k is None else ("pair", "", (k, v)) for k, v in entries]


def _dictionary_comprehension(part: ast.DictComp) -> Shape:
    return "dictcomp", "", (("pair", "", (part.key, part.value)), *part.generators)


def _loop_clause(part: ast.comprehension) -> Shape:
    return "comp_for", "async" if part.is_async else "", (part.target, part.iter, *part.ifs)


def _binary(part: ast.BinOp) -> Shape:
    return "binary", _BINARY[type(part.op)], (part.left, part.right)


def _augmented(part: ast.AugAssign) -> Shape:
    return "augassign", _BINARY[type(part.op)], (part.target, part.value)


_UNARY: dict[type, str] = {ast.UAdd: "+", ast.USub: "-", ast.Invert: "~", ast.Not: "not"}
_BINARY: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.MatMult: "@", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.LShift: "<<", ast.RShift: ">>", ast.BitOr: "|", ast.BitXor: "^", ast.BitAnd: "&",
}  # fmt: skip
_COMPARED: dict[type, str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is_not", ast.In: "in", ast.NotIn: "not_in",
}  # fmt: skip
_SHAPES: dict[type, Callable[[Any], Shape]] = {
    ast.Expr: _expression,
    ast.Assign: lambda part: ("assign", "", (*part.targets, part.value)),
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Return: lambda part: ("return", "", _maybe(part.value)),
    ast.Raise: lambda part: ("raise", "", _maybe(part.exc, part.cause)),
    ast.Assert: lambda part: ("assert", "", _maybe(part.test, part.msg)),
    ast.Delete: _deleted,
    ast.Pass: lambda part: ("pass", "", ()),
    ast.Break: lambda part: ("break", "", ()),
    ast.Continue: lambda part: ("continue", "", ()),
    ast.Global: lambda part: ("global", " ".join(part.names), ()),
    ast.Nonlocal: lambda part: ("nonlocal", " ".join(part.names), ()),
    ast.Import: _imported,
    ast.ImportFrom: _imported_from,
    ast.alias: _alias,
    ast.If: _condition,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.While: _repeated,
    ast.With: _context,
    ast.AsyncWith: _context,
    ast.Try: _attempt,
    ast.TryStar: _attempt,
    ast.ExceptHandler: _handler,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.arguments: _parameters,
    ast.Name: lambda part: ("name", part.id, ()),
    ast.Constant: _constant,
    ast.JoinedStr: _formatted,
    ast.FormattedValue: _interpolation,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.Compare: _comparison,
    ast.IfExp: lambda part: ("ternary", "", (part.body, part.test, part.orelse)),
    ast.Lambda: lambda part: ("lambda", "", (part.args, part.body)),
    ast.Await: lambda part: ("await", "", (part.value,)),
    ast.Yield: lambda part: ("yield", "", _maybe(part.value)),
    ast.YieldFrom: lambda part: ("yield_from", "", (part.value,)),
    ast.NamedExpr: lambda part: ("namedexpr", "", (part.target, part.value)),
    ast.Attribute: lambda part: ("attribute", part.attr, (part.value,)),
    ast.Call: _call,
    ast.keyword: _keyword,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Starred: lambda part: ("star", "", (part.value,)),
    ast.Tuple: lambda part: ("tuple", "", part.elts),
    ast.List: lambda part: ("list", "", part.elts),
    ast.Set: lambda part: ("set", "", part.elts),
    ast.Dict: _dictionary,
    ast.ListComp: lambda part: ("listcomp", "", (part.elt, *part.generators)),
    ast.SetComp: lambda part: ("setcomp", "", (part.elt, *part.generators)),
    ast.GeneratorExp: lambda part: ("genexp", "", (part.elt, *part.generators)),
    ast.DictComp: _dictionary_comprehension,
    ast.comprehension: _loop_clause,
}
"""What has no shape here (``match``, type aliases and parameters, templates) is left to libcst."""
