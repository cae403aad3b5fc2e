"""Expressions of tree-sitter's tree, lowered into the node table.

Where the grammar reads otherwise than Python (https://docs.python.org/3/reference/grammar.html), it is mended here.
Methods are named after tree-sitter's node types; the table is ``HANDLERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from tree_sitter import Node as Syntax

from trainwarden.parse.literals import canonical_number, fragment_value, prefix_of, string_value
from trainwarden.parse.nodes import Node

MAX_DEPTH = 250
"""Levels of nesting a member may have; real training code stays under 60."""
EXTRAS = frozenset({"comment", "line_continuation"})
_AND_XOR = frozenset({"&", "^"})
SKIPPED = frozenset({*EXTRAS, ";", ",", ":", "(", ")", "[", "]", "{", "}"})


class TooDeep(Exception):
    """Code nested deeper than ``MAX_DEPTH``; ``line`` is where it went too deep."""

    def __init__(self, line: int) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels at line {line}")
        self.line = line


def text_of(syntax: Syntax) -> str:
    """The source of a node."""
    raw = syntax.text
    return raw.decode("utf-8", "surrogatepass") if raw else ""


def has(syntax: Syntax, token: str) -> bool:
    """Whether a token stands directly in a node."""
    return any(part.type == token for part in syntax.children)


def operator_of(syntax: Syntax) -> str:
    """The operator of an expression, "" where there is none."""
    operator = syntax.child_by_field_name("operator")
    return text_of(operator) if operator is not None else ""


def _chain(syntax: Syntax) -> Iterator[Syntax]:
    """Operands and operators of nested ``&`` and ``^`` without brackets, from left to right."""
    for part in syntax.children:
        if part.type == "binary_operator" and operator_of(part) in _AND_XOR:
            yield from _chain(part)
        elif part.type not in EXTRAS:
            yield part


def _union(syntax: Syntax) -> Iterator[Syntax]:
    """The members of nested unions of types, from left to right."""
    for part in syntax.named_children:
        inner = part.named_children[0] if part.type == "type" and part.named_child_count == 1 else part
        if inner.type == "union_type" or (inner.type == "binary_operator" and operator_of(inner) == "|"):
            yield from _union(inner)
        elif inner.type not in EXTRAS:
            yield inner


def async_word(syntax: Syntax) -> str:
    """``async`` where a statement or clause is."""
    return "async" if has(syntax, "async") else ""


def _without(syntax: Syntax, inner: list[Syntax]) -> str:
    """The text of a format with ``{}`` where something is computed."""
    raw, start = syntax.text or b"", syntax.start_byte
    for part in reversed(inner):
        raw = raw[: part.start_byte - start] + b"{}" + raw[part.end_byte - start :]
    return raw.decode("utf-8", "surrogatepass")


class Expressions:
    """One walk over a syntax tree; statements are lowered by the subclass."""

    def __init__(self) -> None:
        self._depth = 0

    def node(self, syntax: Syntax) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeep(syntax.start_point.row + 1)
        handler = HANDLERS.get(syntax.type)
        made = handler(self, syntax) if handler else self._unknown(syntax)
        self._depth -= 1
        return made

    # -- small tools

    def make(self, syntax: Syntax, kind: str, value: str = "", children: tuple[Node, ...] = ()) -> Node:
        start, end = syntax.start_point, syntax.end_point
        last = end.row if end.column == 0 and end.row > start.row else end.row + 1
        return Node(kind, value, children, start.row + 1, last, start.column)

    def parts(self, syntax: Syntax) -> list[Syntax]:
        return [child for child in syntax.named_children if child.type not in EXTRAS]

    def nodes(self, syntax: Syntax) -> tuple[Node, ...]:
        return tuple(self.node(child) for child in self.parts(syntax))

    def field(self, syntax: Syntax, name: str) -> Node:
        child = syntax.child_by_field_name(name)
        return self.node(child) if child is not None else self.make(syntax, "none")

    def optional(self, syntax: Syntax, name: str) -> tuple[Node, ...]:
        child = syntax.child_by_field_name(name)
        return (self.node(child),) if child is not None else ()

    def _unknown(self, syntax: Syntax) -> Node:
        if not syntax.named_children:
            return self.make(syntax, "error" if syntax.is_error else "name", text_of(syntax))
        return self.make(syntax, "error", syntax.type, self.nodes(syntax))

    def identifier(self, syntax: Syntax) -> Node:
        return self.make(syntax, "name", text_of(syntax))

    def unwrap(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        return self.node(parts[0]) if len(parts) == 1 else self.make(syntax, "tuple", "", self.nodes(syntax))

    def attribute(self, syntax: Syntax) -> Node:
        name = syntax.child_by_field_name("attribute")
        word = text_of(name) if name is not None else ""
        return self._hoisted(self.make(syntax, "attribute", word, (self.field(syntax, "object"),)))

    def _hoisted(self, node: Node) -> Node:
        """``[*a.b]`` unpacks ``a.b``, but the grammar takes the star for a part of ``a``."""
        star = node.children[0]
        if star.kind not in ("star", "doublestar") or star.value:
            return node
        span = (node.line, node.end_line, node.column)
        inner = Node(node.kind, node.value, (star.children[0], *node.children[1:]), *span)
        return Node(star.kind, "", (inner,), *span)

    def call(self, syntax: Syntax) -> Node:
        arguments = syntax.child_by_field_name("arguments")
        inner: tuple[Node, ...] = ()
        if arguments is not None:
            inner = self.nodes(arguments) if arguments.type == "argument_list" else (self.node(arguments),)
        return self._hoisted(self.make(syntax, "call", "", (self.field(syntax, "function"), *inner)))

    def keyword_argument(self, syntax: Syntax) -> Node:
        return self.make(syntax, "keyword", self.name_of(syntax), (self.field(syntax, "value"),))

    def star(self, syntax: Syntax) -> Node:
        return self.make(syntax, "star", "", self.nodes(syntax))

    def doublestar(self, syntax: Syntax) -> Node:
        return self.make(syntax, "doublestar", "", self.nodes(syntax))

    def subscript(self, syntax: Syntax) -> Node:
        indices = tuple(self.node(part) for part in syntax.children_by_field_name("subscript"))
        if len(indices) == 1 and has(syntax, ","):
            indices = (self.make(syntax, "tuple", "", indices),)
        return self._hoisted(self.make(syntax, "subscript", "", (self.field(syntax, "value"), *indices)))

    def generic_type(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        indices: tuple[Node, ...] = tuple(
            self.node(inner) for part in parts[1:] for inner in self.parts(part)
        )
        if len(indices) == 1 and any(has(part, ",") for part in parts[1:]):
            indices = (self.make(syntax, "tuple", "", indices),)
        return self.make(syntax, "subscript", "", (self.node(parts[0]), *indices))

    def member_type(self, syntax: Syntax) -> Node:
        owner, name = self.parts(syntax)[:2]
        return self.make(syntax, "attribute", text_of(name), (self.node(owner),))

    def union_type(self, syntax: Syntax) -> Node:
        """``A | B | C`` in an annotation: the grammar groups from the right, Python from the left."""
        first, *rest = (self.node(part) for part in _union(syntax))
        for part in rest:
            first = self.make(syntax, "binary", "|", (first, part))
        return first

    def chevron(self, syntax: Syntax) -> Node:
        return self.make(syntax, "star", ">>", self.nodes(syntax))

    def slice(self, syntax: Syntax) -> Node:
        bounds = [self.make(syntax, "none") for _ in range(3)]
        place = 0
        for part in syntax.children:
            if part.type == ":":
                place = min(place + 1, 2)
            elif part.is_named and part.type not in EXTRAS:
                bounds[place] = self.node(part)
        return self.make(syntax, "slice", "", tuple(bounds))

    def number(self, syntax: Syntax) -> Node:
        return self.make(syntax, "number", canonical_number(text_of(syntax)))

    def constant(self, syntax: Syntax) -> Node:
        return self.make(syntax, "constant", text_of(syntax))

    def string(self, syntax: Syntax) -> Node:
        text = text_of(syntax)
        prefix = prefix_of(text)
        if "f" not in prefix and "t" not in prefix:
            kind, value = string_value(text)
            return self.make(syntax, kind, value)
        fragments = self._merged(syntax, self._fragments(syntax, prefix))
        if "f" in prefix and all(part.kind == "string" for part in fragments):
            return self.make(syntax, "string", "".join(part.value for part in fragments))
        return self.make(syntax, "fstring", "t" if "t" in prefix else "", fragments)

    def _fragments(self, syntax: Syntax, prefix: str) -> Iterator[Node]:
        for part in syntax.named_children:
            if part.type == "interpolation":
                yield self.interpolation(part)
            elif part.type == "string_content":
                yield self.make(part, "string", fragment_value(text_of(part), prefix))

    def interpolation(self, syntax: Syntax) -> Node:
        """``interpolation(style) [value, nested...]``: what a format computes is code too."""
        values: list[Node] = []
        nested: list[Node] = []
        style = ""
        for part in syntax.children:
            if part.type == "=" and values:
                style += "="
            elif part.type == "type_conversion":
                style += text_of(part)
            elif part.type == "format_specifier":
                inner = [child for child in part.named_children if child.type.endswith("expression")]
                nested.extend(self.interpolation(child) for child in inner)
                style += _without(part, inner)
            elif part.type == "named_expression":  # ``{x:=10}`` is x in the format ``=10``
                values.append(self.field(part, "name"))
                style += ":" + text_of(part).partition(":")[2]
            elif part.is_named and part.type not in EXTRAS:
                values.append(self.node(part))
        value = tuple(values) if len(values) == 1 else (self.make(syntax, "tuple", "", tuple(values)),)
        return self.make(syntax, "interpolation", style, (*value, *nested))

    def concatenated_string(self, syntax: Syntax) -> Node:
        parts = self.nodes(syntax)
        template = "t" if any(part.kind == "fstring" and part.value == "t" for part in parts) else ""
        fragments = (part.children if part.kind == "fstring" else (part,) for part in parts)
        pieces = self._merged(syntax, chain.from_iterable(fragments))
        if len(pieces) == 1 and pieces[0].kind in ("string", "bytes") and not template:
            return pieces[0]
        return self.make(syntax, "fstring", template, pieces)

    def _merged(self, syntax: Syntax, fragments: Iterable[Node]) -> tuple[Node, ...]:
        """Neighbouring pieces of text as one."""
        pieces: list[Node] = []
        for fragment in fragments:
            last = pieces[-1] if pieces else None
            if last is not None and last.kind == fragment.kind and last.kind in ("string", "bytes"):
                pieces[-1] = self.make(syntax, last.kind, last.value + fragment.value)
            elif fragment.kind != "string" or fragment.value or not pieces:
                pieces.append(fragment)
        return tuple(piece for piece in pieces if piece.kind != "string" or piece.value or len(pieces) == 1)

    def unary_operator(self, syntax: Syntax) -> Node:
        operator = syntax.child_by_field_name("operator")
        inner = self.field(syntax, "argument")
        word = text_of(operator) if operator is not None else ""
        if inner.kind == "number" and word == "-" and not inner.value.startswith("-"):
            return self.make(syntax, "number", "-" + inner.value)
        return self.make(syntax, "unary", word, (inner,))

    def not_operator(self, syntax: Syntax) -> Node:
        return self.make(syntax, "unary", "not", (self.field(syntax, "argument"),))

    def binary_operator(self, syntax: Syntax) -> Node:
        word = operator_of(syntax)
        if word in _AND_XOR:
            return self._and_xor(syntax)
        sides = (self.field(syntax, "left"), self.field(syntax, "right"))
        return self._hoisted(self.make(syntax, "binary", word, sides))

    def _and_xor(self, syntax: Syntax) -> Node:
        """A chain of ``&`` and ``^`` as Python binds it: the grammar has their precedence the wrong way round."""
        operands, operators = [], []
        for part in _chain(syntax):
            if part.is_named:
                operands.append(self.node(part))
            else:
                operators.append(part.type)
        for word in ("&", "^"):
            operands, operators = self._bound(syntax, word, operands, operators)
        return operands[0]

    def _bound(
        self, syntax: Syntax, word: str, operands: list[Node], operators: list[str]
    ) -> tuple[list[Node], list[str]]:
        """Joins the operands of one operator, from the left."""
        joined, kept = operands[:1], []
        for operator, operand in zip(operators, operands[1:], strict=True):
            if operator == word:
                joined[-1] = self._hoisted(self.make(syntax, "binary", word, (joined[-1], operand)))
            else:
                joined.append(operand)
                kept.append(operator)
        return joined, kept

    def boolean_operator(self, syntax: Syntax) -> Node:
        operator = syntax.child_by_field_name("operator")
        word = text_of(operator) if operator is not None else ""
        operands: list[Node] = []
        for side in (self.field(syntax, "left"), self.field(syntax, "right")):
            same = side.kind == "boolop" and side.value == word
            operands.extend(side.children if same else (side,))
        return self.make(syntax, "boolop", word, tuple(operands))

    def comparison_operator(self, syntax: Syntax) -> Node:
        words: list[str] = []
        operands: list[Node] = []
        pending: list[str] = []
        for part in syntax.children:
            if part.is_named and part.type not in EXTRAS:
                if pending:
                    words.append("_".join(pending))
                    pending = []
                operands.append(self.node(part))
            elif part.type not in EXTRAS:
                pending.append("_".join(part.type.split()))
        return self.make(syntax, "compare", " ".join(words), tuple(operands))

    def conditional_expression(self, syntax: Syntax) -> Node:
        return self.make(syntax, "ternary", "", self.nodes(syntax))

    def lambda_(self, syntax: Syntax) -> Node:
        parameters = syntax.child_by_field_name("parameters")
        params = self.parameters(parameters) if parameters is not None else self.make(syntax, "params")
        return self.make(syntax, "lambda", "", (params, self.field(syntax, "body")))

    def await_(self, syntax: Syntax) -> Node:
        return self.make(syntax, "await", "", self.nodes(syntax))

    def yield_(self, syntax: Syntax) -> Node:
        kind = "yield_from" if any(part.type == "from" for part in syntax.children) else "yield"
        return self.make(syntax, kind, "", self.nodes(syntax))

    def named_expression(self, syntax: Syntax) -> Node:
        return self.make(syntax, "namedexpr", "", (self.field(syntax, "name"), self.field(syntax, "value")))

    def comprehension(self, syntax: Syntax) -> Node:
        clauses: list[list[Node]] = []
        spans: list[Syntax] = []
        for part in self.parts(syntax):
            if part.type == "for_in_clause":
                rights = tuple(self.node(child) for child in part.children_by_field_name("right"))
                right = rights[0] if len(rights) == 1 else self.make(part, "tuple", "", rights)
                clauses.append([self.field(part, "left"), right])
                spans.append(part)
            elif part.type == "if_clause" and clauses:
                clauses[-1].extend(self.nodes(part))
        pairs = zip(spans, clauses, strict=True)
        loops = tuple(self.make(span, "comp_for", async_word(span), tuple(parts)) for span, parts in pairs)
        return self.make(syntax, _COMPREHENSIONS[syntax.type], "", (self.field(syntax, "body"), *loops))

    def tuple_pattern(self, syntax: Syntax) -> Node:
        """``(a) = 1`` has brackets only; ``(a,) = 1`` unpacks."""
        parts = self.nodes(syntax)
        return parts[0] if len(parts) == 1 and not has(syntax, ",") else self.make(syntax, "tuple", "", parts)

    def sequence(self, syntax: Syntax) -> Node:
        return self.make(syntax, _SEQUENCES[syntax.type], "", self.nodes(syntax))

    # -- parameters

    def name_of(self, syntax: Syntax) -> str:
        name = syntax.child_by_field_name("name")
        return text_of(name) if name is not None else ""

    def parameters(self, syntax: Syntax) -> Node:
        return self.make(syntax, "params", "", tuple(self._parameter(part) for part in self.parts(syntax)))

    def _parameter(self, syntax: Syntax) -> Node:
        if syntax.type in ("keyword_separator", "positional_separator"):
            return self.make(syntax, "kwonly" if syntax.type.startswith("key") else "posonly")
        if syntax.type in ("list_splat_pattern", "dictionary_splat_pattern"):
            kind = "star_param" if syntax.type.startswith("list") else "doublestar_param"
            return self.make(syntax, kind, text_of(syntax).lstrip("* "))
        if syntax.type == "typed_parameter":
            inner = self._parameter(self.parts(syntax)[0])
            kinds = syntax.child_by_field_name("type")
            extra = (self.make(kinds, "annotation", "", (self.node(kinds),)),) if kinds is not None else ()
            return self.make(syntax, inner.kind, inner.value, extra)
        if syntax.type in ("default_parameter", "typed_default_parameter"):
            kinds = syntax.child_by_field_name("type")
            extra = (self.make(kinds, "annotation", "", (self.node(kinds),)),) if kinds is not None else ()
            default = self.make(syntax, "default", "", (self.field(syntax, "value"),))
            return self.make(syntax, "param", self.name_of(syntax), (*extra, default))
        return self.make(syntax, "param", text_of(syntax))


_COMPREHENSIONS = {
    "list_comprehension": "listcomp",
    "set_comprehension": "setcomp",
    "dictionary_comprehension": "dictcomp",
    "generator_expression": "genexp",
}
_SEQUENCES = {
    "tuple": "tuple",
    "pattern_list": "tuple",
    "expression_list": "tuple",
    "list": "list",
    "list_pattern": "list",
    "set": "set",
    "dictionary": "dict",
    "pair": "pair",
}
HANDLERS: dict[str, Callable[[Any, Syntax], Node]] = {
    "identifier": Expressions.identifier,
    "type": Expressions.unwrap,
    "parenthesized_expression": Expressions.unwrap,
    "format_expression": Expressions.interpolation,
    "splat_type": Expressions.star,
    "member_type": Expressions.member_type,
    "attribute": Expressions.attribute,
    "call": Expressions.call,
    "keyword_argument": Expressions.keyword_argument,
    "list_splat": Expressions.star,
    "list_splat_pattern": Expressions.star,
    "dictionary_splat": Expressions.doublestar,
    "dictionary_splat_pattern": Expressions.doublestar,
    "parenthesized_list_splat": Expressions.unwrap,
    "subscript": Expressions.subscript,
    "slice": Expressions.slice,
    "generic_type": Expressions.generic_type,
    "union_type": Expressions.union_type,
    "chevron": Expressions.chevron,
    "integer": Expressions.number,
    "float": Expressions.number,
    "true": Expressions.constant,
    "false": Expressions.constant,
    "none": Expressions.constant,
    "ellipsis": Expressions.constant,
    "string": Expressions.string,
    "concatenated_string": Expressions.concatenated_string,
    "unary_operator": Expressions.unary_operator,
    "not_operator": Expressions.not_operator,
    "binary_operator": Expressions.binary_operator,
    "boolean_operator": Expressions.boolean_operator,
    "comparison_operator": Expressions.comparison_operator,
    "conditional_expression": Expressions.conditional_expression,
    "lambda": Expressions.lambda_,
    "await": Expressions.await_,
    "yield": Expressions.yield_,
    "named_expression": Expressions.named_expression,
    "tuple_pattern": Expressions.tuple_pattern,
    **dict.fromkeys(_COMPREHENSIONS, Expressions.comprehension),
    **dict.fromkeys(_SEQUENCES, Expressions.sequence),
}
"""By the type of the syntax node; ``treesitter`` adds those of statements."""
