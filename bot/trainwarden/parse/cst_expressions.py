"""Expressions and patterns of libcst's tree, lowered into the node table.

In: libcst nodes and a function that knows their places. Out: the same ``Node``s that the tree-sitter lowering
makes. Handlers are chosen by the class name of the libcst node; the table is ``EXPRESSIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst

from trainwarden.parse.literals import canonical_number, fragment_value, prefix_of, string_value
from trainwarden.parse.nodes import Node

Span = tuple[int, int, int]
"""First line, last line, and the column (in bytes) of the first."""
Handler = Callable[[Any, Any], Node]
_CONSTANTS = frozenset({"True", "False", "None"})


class Expressions:
    """Lowers expressions. ``spans`` maps ``id`` of a libcst node to its place; missing places are 0."""

    def __init__(self, spans: dict[int, Span]) -> None:
        self._spans = spans

    def node(self, syntax: cst.CSTNode) -> Node:
        """The ``Node`` of any libcst node that has a kind of its own. Raises ``KeyError`` for others."""
        return HANDLERS[type(syntax).__name__](self, syntax)

    def make(self, syntax: cst.CSTNode, kind: str, value: str = "", children: Iterable[Node] = ()) -> Node:
        line, end_line, column = self._spans.get(id(syntax), (0, 0, 0))
        return Node(kind, value, tuple(children), line, end_line, column)

    def nodes(self, syntaxes: Iterable[cst.CSTNode]) -> tuple[Node, ...]:
        return tuple(self.node(syntax) for syntax in syntaxes)

    # -- names and literals

    def name(self, syntax: cst.Name) -> Node:
        return self.make(syntax, "constant" if syntax.value in _CONSTANTS else "name", syntax.value)

    def ellipsis(self, syntax: cst.Ellipsis) -> Node:
        return self.make(syntax, "constant", "...")

    def number(self, syntax: cst.BaseNumber) -> Node:
        return self.make(syntax, "number", canonical_number(word_of(syntax)))

    def string(self, syntax: cst.SimpleString) -> Node:
        kind, value = string_value(syntax.value)
        return self.make(syntax, kind, value)

    def formatted(self, syntax: cst.FormattedString) -> Node:
        fragments = self.merged(syntax, self._fragments(syntax.parts, prefix_of(syntax.start)))
        if all(part.kind == "string" for part in fragments):
            return self.make(syntax, "string", "".join(part.value for part in fragments))
        return self.make(syntax, "fstring", "", fragments)

    def template(self, syntax: cst.TemplatedString) -> Node:
        fragments = self.merged(syntax, self._fragments(syntax.parts, prefix_of(syntax.start)))
        return self.make(syntax, "fstring", "t", fragments)

    def _fragments(self, parts: Sequence[cst.CSTNode], prefix: str) -> Iterable[Node]:
        for part in parts:
            if isinstance(part, cst.FormattedStringText | cst.TemplatedStringText):
                yield self.make(part, "string", fragment_value(part.value, prefix))
            else:
                assert isinstance(part, cst.FormattedStringExpression | cst.TemplatedStringExpression)
                yield self.interpolation(part)

    def interpolation(self, syntax: cst.FormattedStringExpression | cst.TemplatedStringExpression) -> Node:
        style = "=" if syntax.equal is not None else ""
        style += f"!{syntax.conversion}" if syntax.conversion else ""
        nested: list[Node] = []
        if syntax.format_spec is not None:
            style += ":"
            for part in syntax.format_spec:
                if isinstance(part, cst.FormattedStringExpression | cst.TemplatedStringExpression):
                    nested.append(self.interpolation(part))
                    style += "{}"
                elif isinstance(part, cst.FormattedStringText | cst.TemplatedStringText):
                    style += part.value
        return self.make(syntax, "interpolation", style, (self.node(syntax.expression), *nested))

    def concatenated(self, syntax: cst.ConcatenatedString) -> Node:
        parts = self.nodes(_strings(syntax))
        template = "t" if any(part.kind == "fstring" and part.value == "t" for part in parts) else ""
        fragments = (
            inner for part in parts for inner in (part.children if part.kind == "fstring" else (part,))
        )
        pieces = self.merged(syntax, fragments)
        if len(pieces) == 1 and pieces[0].kind in ("string", "bytes") and not template:
            return pieces[0]
        return self.make(syntax, "fstring", template, pieces)

    def merged(self, syntax: cst.CSTNode, fragments: Iterable[Node]) -> tuple[Node, ...]:
        """Neighbouring pieces of text as one."""
        pieces: list[Node] = []
        for fragment in fragments:
            last = pieces[-1] if pieces else None
            if last is not None and last.kind == fragment.kind and last.kind in ("string", "bytes"):
                pieces[-1] = self.make(syntax, last.kind, last.value + fragment.value)
            elif fragment.kind != "string" or fragment.value or not pieces:
                pieces.append(fragment)
        return tuple(piece for piece in pieces if piece.kind != "string" or piece.value or len(pieces) == 1)

    # -- operators

    def unary(self, syntax: cst.UnaryOperation) -> Node:
        inner = self.node(syntax.expression)
        word = _UNARY[type(syntax.operator).__name__]
        if inner.kind == "number" and word == "-" and not inner.value.startswith("-"):
            return self.make(syntax, "number", "-" + inner.value)
        return self.make(syntax, "unary", word, (inner,))

    def binary(self, syntax: cst.BinaryOperation) -> Node:
        word = word_of(syntax.operator)
        return self.make(syntax, "binary", word, (self.node(syntax.left), self.node(syntax.right)))

    def boolean(self, syntax: cst.BooleanOperation) -> Node:
        word = "and" if isinstance(syntax.operator, cst.And) else "or"
        operands: list[Node] = []
        for side in (self.node(syntax.left), self.node(syntax.right)):
            same = side.kind == "boolop" and side.value == word
            operands.extend(side.children if same else (side,))
        return self.make(syntax, "boolop", word, operands)

    def comparison(self, syntax: cst.Comparison) -> Node:
        words = " ".join(
            _COMPARED.get(type(part.operator).__name__) or word_of(part.operator)
            for part in syntax.comparisons
        )
        operands = [self.node(syntax.left), *(self.node(part.comparator) for part in syntax.comparisons)]
        return self.make(syntax, "compare", words, operands)

    def ternary(self, syntax: cst.IfExp) -> Node:
        return self.make(syntax, "ternary", "", self.nodes((syntax.body, syntax.test, syntax.orelse)))

    def awaited(self, syntax: cst.Await) -> Node:
        return self.make(syntax, "await", "", (self.node(syntax.expression),))

    def yielded(self, syntax: cst.Yield) -> Node:
        if isinstance(syntax.value, cst.From):
            return self.make(syntax, "yield_from", "", (self.node(syntax.value.item),))
        return self.make(syntax, "yield", "", () if syntax.value is None else (self.node(syntax.value),))

    def named(self, syntax: cst.NamedExpr) -> Node:
        return self.make(syntax, "namedexpr", "", (self.node(syntax.target), self.node(syntax.value)))

    # -- objects, calls, subscripts

    def attribute(self, syntax: cst.Attribute) -> Node:
        return self.make(syntax, "attribute", syntax.attr.value, (self.node(syntax.value),))

    def call(self, syntax: cst.Call) -> Node:
        return self.make(syntax, "call", "", (self.node(syntax.func), *map(self.argument, syntax.args)))

    def argument(self, syntax: cst.Arg) -> Node:
        inner = self.node(syntax.value)
        if syntax.keyword is not None:
            return self.make(syntax, "keyword", syntax.keyword.value, (inner,))
        if syntax.star:
            return self.make(syntax, "star" if syntax.star == "*" else "doublestar", "", (inner,))
        return inner

    def subscript(self, syntax: cst.Subscript) -> Node:
        indices = tuple(self._element(part) for part in syntax.slice)
        if len(indices) == 1 and isinstance(syntax.slice[0].comma, cst.Comma):
            indices = (self.make(syntax, "tuple", "", indices),)
        return self.make(syntax, "subscript", "", (self.node(syntax.value), *indices))

    def _element(self, syntax: cst.SubscriptElement) -> Node:
        part = syntax.slice
        if isinstance(part, cst.Index):
            inner = self.node(part.value)
            return self.make(part, "star", "", (inner,)) if part.star else inner
        assert isinstance(part, cst.Slice)
        bounds = (part.lower, part.upper, part.step)
        return self.make(part, "slice", "", [self._bound(part, bound) for bound in bounds])

    def _bound(self, syntax: cst.Slice, bound: cst.BaseExpression | None) -> Node:
        return self.make(syntax, "none") if bound is None else self.node(bound)

    # -- collections and comprehensions

    def sequence(self, syntax: cst.Tuple | cst.List | cst.Set) -> Node:
        kind = type(syntax).__name__.lower()
        return self.make(syntax, kind, "", self.nodes(syntax.elements))

    def element(self, syntax: cst.Element) -> Node:
        return self.node(syntax.value)

    def starred(self, syntax: cst.StarredElement) -> Node:
        return self.make(syntax, "star", "", (self.node(syntax.value),))

    def dictionary(self, syntax: cst.Dict) -> Node:
        return self.make(syntax, "dict", "", self.nodes(syntax.elements))

    def pair(self, syntax: cst.DictElement) -> Node:
        return self.make(syntax, "pair", "", (self.node(syntax.key), self.node(syntax.value)))

    def starred_pair(self, syntax: cst.StarredDictElement) -> Node:
        return self.make(syntax, "doublestar", "", (self.node(syntax.value),))

    def comprehension(self, syntax: cst.GeneratorExp | cst.ListComp | cst.SetComp) -> Node:
        kind = _COMPREHENSIONS[type(syntax).__name__]
        return self.make(syntax, kind, "", (self.node(syntax.elt), *self._loops(syntax.for_in)))

    def dictionary_comprehension(self, syntax: cst.DictComp) -> Node:
        pair = self.make(syntax, "pair", "", (self.node(syntax.key), self.node(syntax.value)))
        return self.make(syntax, "dictcomp", "", (pair, *self._loops(syntax.for_in)))

    def starred_comprehension(self, syntax: cst.StarredDictComp) -> Node:
        inner = self.make(syntax, "doublestar", "", (self.node(syntax.value),))
        return self.make(syntax, "dictcomp", "", (inner, *self._loops(syntax.for_in)))

    def _loops(self, syntax: cst.CompFor) -> list[Node]:
        loops: list[Node] = []
        clause: cst.CompFor | None = syntax
        while clause is not None:
            parts = (clause.target, clause.iter, *(test.test for test in clause.ifs))
            word = "async" if clause.asynchronous is not None else ""
            loops.append(self.make(clause, "comp_for", word, self.nodes(parts)))
            clause = clause.inner_for_in
        return loops

    # -- functions without a name

    def function(self, syntax: cst.Lambda) -> Node:
        return self.make(syntax, "lambda", "", (self.parameters(syntax.params), self.node(syntax.body)))

    def parameters(self, syntax: cst.Parameters) -> Node:
        found = [self._parameter("param", part) for part in syntax.posonly_params]
        if isinstance(syntax.posonly_ind, cst.ParamSlash):
            found.append(self.make(syntax.posonly_ind, "posonly"))
        found += [self._parameter("param", part) for part in syntax.params]
        if isinstance(syntax.star_arg, cst.ParamStar):
            found.append(self.make(syntax.star_arg, "kwonly"))
        elif isinstance(syntax.star_arg, cst.Param):
            found.append(self._parameter("star_param", syntax.star_arg))
        found += [self._parameter("param", part) for part in syntax.kwonly_params]
        if syntax.star_kwarg is not None:
            found.append(self._parameter("doublestar_param", syntax.star_kwarg))
        return self.make(syntax, "params", "", found)

    def _parameter(self, kind: str, syntax: cst.Param) -> Node:
        extra = []
        if syntax.annotation is not None:
            extra.append(self.annotation(syntax.annotation))
        if syntax.default is not None:
            extra.append(self.make(syntax, "default", "", (self.node(syntax.default),)))
        return self.make(syntax, kind, syntax.name.value, extra)

    def annotation(self, syntax: cst.Annotation, kind: str = "annotation") -> Node:
        return self.make(syntax, kind, "", (self.node(syntax.annotation),))

    # -- patterns

    def match_value(self, syntax: cst.MatchValue | cst.MatchSingleton) -> Node:
        return self.node(syntax.value)

    def match_sequence(self, syntax: cst.MatchSequence) -> Node:
        return self.make(syntax, "list", "", self.nodes(syntax.patterns))

    def match_element(self, syntax: cst.MatchSequenceElement) -> Node:
        return self.node(syntax.value)

    def match_star(self, syntax: cst.MatchStar) -> Node:
        inner = self.make(syntax, "name", "_" if syntax.name is None else syntax.name.value)
        return self.make(syntax, "star", "", (inner,))

    def match_mapping(self, syntax: cst.MatchMapping) -> Node:
        pairs = [
            self.make(part, "pair", "", (self.node(part.key), self.node(part.pattern)))
            for part in syntax.elements
        ]
        if syntax.rest is not None:
            pairs.append(self.make(syntax.rest, "doublestar", "", (self.node(syntax.rest),)))
        return self.make(syntax, "dict", "", pairs)

    def match_class(self, syntax: cst.MatchClass) -> Node:
        keywords = [self.make(k, "keyword", k.key.value, (self.node(k.pattern),)) for k in syntax.kwds]
        return self.make(syntax, "call", "", (self.node(syntax.cls), *self.nodes(syntax.patterns), *keywords))

    def match_as(self, syntax: cst.MatchAs) -> Node:
        name = self.make(syntax, "name", "_") if syntax.name is None else self.node(syntax.name)
        if syntax.pattern is None:
            return name
        return self.make(syntax, "namedexpr", "", (name, self.node(syntax.pattern)))

    def match_or(self, syntax: cst.MatchOr) -> Node:
        return self.make(syntax, "boolop", "|", [self.node(part.pattern) for part in syntax.patterns])


def word_of(syntax: Any) -> str:
    """The text of an operator or number."""
    return str(syntax.value if hasattr(syntax, "value") else syntax._get_token())


def _strings(syntax: cst.ConcatenatedString) -> list[cst.CSTNode]:
    """The literals of an implicit concatenation, from left to right."""
    found: list[cst.CSTNode] = []
    part: cst.CSTNode = syntax
    while isinstance(part, cst.ConcatenatedString):
        found.append(part.left)
        part = part.right
    return [*found, part]


_UNARY = {"Plus": "+", "Minus": "-", "BitInvert": "~", "Not": "not"}
_COMPARED = {"NotIn": "not_in", "IsNot": "is_not", "In": "in", "Is": "is"}
_COMPREHENSIONS = {"GeneratorExp": "genexp", "ListComp": "listcomp", "SetComp": "setcomp"}
HANDLERS: dict[str, Handler] = {
    "Name": Expressions.name,
    "Ellipsis": Expressions.ellipsis,
    "Integer": Expressions.number,
    "Float": Expressions.number,
    "Imaginary": Expressions.number,
    "SimpleString": Expressions.string,
    "FormattedString": Expressions.formatted,
    "TemplatedString": Expressions.template,
    "ConcatenatedString": Expressions.concatenated,
    "UnaryOperation": Expressions.unary,
    "BinaryOperation": Expressions.binary,
    "BooleanOperation": Expressions.boolean,
    "Comparison": Expressions.comparison,
    "IfExp": Expressions.ternary,
    "Await": Expressions.awaited,
    "Yield": Expressions.yielded,
    "NamedExpr": Expressions.named,
    "Attribute": Expressions.attribute,
    "Call": Expressions.call,
    "Subscript": Expressions.subscript,
    "Tuple": Expressions.sequence,
    "List": Expressions.sequence,
    "Set": Expressions.sequence,
    "Element": Expressions.element,
    "StarredElement": Expressions.starred,
    "Dict": Expressions.dictionary,
    "DictElement": Expressions.pair,
    "StarredDictElement": Expressions.starred_pair,
    "GeneratorExp": Expressions.comprehension,
    "ListComp": Expressions.comprehension,
    "SetComp": Expressions.comprehension,
    "DictComp": Expressions.dictionary_comprehension,
    "StarredDictComp": Expressions.starred_comprehension,
    "Lambda": Expressions.function,
    "MatchValue": Expressions.match_value,
    "MatchSingleton": Expressions.match_value,
    "MatchList": Expressions.match_sequence,
    "MatchTuple": Expressions.match_sequence,
    "MatchSequenceElement": Expressions.match_element,
    "MatchStar": Expressions.match_star,
    "MatchMapping": Expressions.match_mapping,
    "MatchClass": Expressions.match_class,
    "MatchAs": Expressions.match_as,
    "MatchOr": Expressions.match_or,
}
"""By class name; ``cst_statements`` adds those of statements."""
