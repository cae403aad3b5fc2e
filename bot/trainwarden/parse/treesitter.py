"""Python text through tree-sitter: the first reading, and the node table of any member.

In: text with ``\\n`` line ends. Out: an ``Outline`` (members with their spans, imports, error ranges) and,
for the members somebody asks for, their lowered ``Node``s. tree-sitter never dies on hostile input and gives
a tree for broken files; nesting past ``MAX_DEPTH`` is refused as ``TooDeep`` so that no later room has to
fear recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import tree_sitter_python
from tree_sitter import Language, Parser
from tree_sitter import Node as Syntax

from trainwarden.parse.literals import canonical_number, fragment_value, prefix_of, string_value
from trainwarden.parse.nodes import Node
from trainwarden.parse.treesitter_patterns import Patterns

MAX_DEPTH = 250
"""Levels of nesting a member may have; real training code stays under 60."""
_PARSER = Parser(Language(tree_sitter_python.language()))
_EXTRAS = frozenset({"comment", "line_continuation"})
_AND_XOR = frozenset({"&", "^"})
_SKIPPED = frozenset({*_EXTRAS, ";", ",", ":", "(", ")", "[", "]", "{", "}"})


class TooDeep(Exception):
    """Code nested deeper than ``MAX_DEPTH``; ``line`` is where it went too deep."""

    def __init__(self, line: int) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels at line {line}")
        self.line = line


def parse(text: str) -> Syntax:
    """The root of tree-sitter's tree for ``text``; never raises on any text."""
    return _PARSER.parse(text.encode("utf-8", "surrogatepass")).root_node


def lower(syntax: Syntax) -> Node:
    """The ``Node`` of one statement, block, module or expression. Raises ``TooDeep``."""
    return _Lowering().node(syntax)


def lower_module(syntaxes: list[Syntax]) -> Node:
    """A ``module`` node over some statements of a file (a run of top-level or class-level code)."""
    children = tuple(_Lowering().statements(syntaxes))
    first, last = (syntaxes[0], syntaxes[-1]) if syntaxes else (None, None)
    return Node(
        "module",
        "",
        children,
        first.start_point.row + 1 if first else 1,
        last.end_point.row + 1 if last else 1,
    )


def _text(syntax: Syntax) -> str:
    raw = syntax.text
    return raw.decode("utf-8", "surrogatepass") if raw else ""


def _has(syntax: Syntax, token: str) -> bool:
    """Whether a token stands directly in a node."""
    return any(part.type == token for part in syntax.children)


def _operator(syntax: Syntax) -> str:
    operator = syntax.child_by_field_name("operator")
    return _text(operator) if operator is not None else ""


def _chain(syntax: Syntax) -> Iterator[Syntax]:
    """Operands and operators of nested ``&`` and ``^`` without brackets, from left to right."""
    for part in syntax.children:
        if part.type == "binary_operator" and _operator(part) in _AND_XOR:
            yield from _chain(part)
        elif part.type not in _EXTRAS:
            yield part


def _union(syntax: Syntax) -> Iterator[Syntax]:
    """The members of nested unions of types, from left to right."""
    for part in syntax.named_children:
        inner = part.named_children[0] if part.type == "type" and part.named_child_count == 1 else part
        if inner.type == "union_type" or (inner.type == "binary_operator" and _operator(inner) == "|"):
            yield from _union(inner)
        elif inner.type not in _EXTRAS:
            yield inner


def _async(syntax: Syntax) -> str:
    return "async" if _has(syntax, "async") else ""


def _without(syntax: Syntax, inner: list[Syntax]) -> str:
    """The text of a format with ``{}`` where something is computed."""
    raw, start = syntax.text or b"", syntax.start_byte
    for part in reversed(inner):
        raw = raw[: part.start_byte - start] + b"{}" + raw[part.end_byte - start :]
    return raw.decode("utf-8", "surrogatepass")


class _Lowering:
    """One walk over a syntax tree. Methods are named after tree-sitter's node types."""

    def __init__(self) -> None:
        self._depth = 0
        self._patterns = Patterns(self.make, self.node)

    def node(self, syntax: Syntax) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeep(syntax.start_point.row + 1)
        handler = _HANDLERS.get(syntax.type)
        made = handler(self, syntax) if handler else self._unknown(syntax)
        self._depth -= 1
        return made

    # -- small tools

    def make(self, syntax: Syntax, kind: str, value: str = "", children: tuple[Node, ...] = ()) -> Node:
        start, end = syntax.start_point, syntax.end_point
        last = end.row if end.column == 0 and end.row > start.row else end.row + 1
        return Node(kind, value, children, start.row + 1, last, start.column)

    def parts(self, syntax: Syntax) -> list[Syntax]:
        return [child for child in syntax.named_children if child.type not in _EXTRAS]

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
            return self.make(syntax, "error" if syntax.is_error else "name", _text(syntax))
        return self.make(syntax, "error", syntax.type, self.nodes(syntax))

    # -- statements

    def statements(self, syntaxes: list[Syntax]) -> Iterator[Node]:
        for syntax in syntaxes:
            if syntax.type not in _SKIPPED:
                yield self.node(syntax)

    def module(self, syntax: Syntax) -> Node:
        return self.make(syntax, "module", "", tuple(self.statements(syntax.children)))

    def block(self, syntax: Syntax) -> Node:
        return self.make(syntax, "block", "", tuple(self.statements(syntax.children)))

    def expression_statement(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        if len(parts) == 1 and not _has(syntax, ","):
            inner = self.node(parts[0])
            if inner.kind in ("assign", "annassign", "augassign"):
                return inner
            if inner.kind == "string":
                return self.make(syntax, "docstring", inner.value)
            return self.make(syntax, "expr", "", (inner,))
        return self.make(syntax, "expr", "", (self.make(syntax, "tuple", "", self.nodes(syntax)),))

    def assignment(self, syntax: Syntax) -> Node:
        kind = syntax.child_by_field_name("type")
        right = syntax.child_by_field_name("right")
        targets = [self.field(syntax, "left")]
        if kind is not None:
            annotation = self.make(kind, "annotation", "", (self.node(kind),))
            value = (self.node(right),) if right is not None else ()
            return self.make(syntax, "annassign", "", (targets[0], annotation, *value))
        while right is not None and right.type == "assignment":
            targets.append(self.field(right, "left"))
            right = right.child_by_field_name("right")
        value = (self.node(right),) if right is not None else ()
        return self.make(syntax, "assign", "", (*targets, *value))

    def augmented_assignment(self, syntax: Syntax) -> Node:
        operator = syntax.child_by_field_name("operator")
        word = _text(operator).removesuffix("=") if operator is not None else ""
        return self.make(syntax, "augassign", word, (self.field(syntax, "left"), self.field(syntax, "right")))

    def if_statement(self, syntax: Syntax) -> Node:
        clauses = syntax.children_by_field_name("alternative")
        if self._depth + 2 * len(clauses) > MAX_DEPTH:  # each ``elif`` is an ``if`` in the ``else`` before it
            raise TooDeep(syntax.start_point.row + 1)
        otherwise = self._alternatives(clauses)
        return self.make(
            syntax, "if", "", (self.field(syntax, "condition"), self.field(syntax, "consequence"), *otherwise)
        )

    def _alternatives(self, clauses: list[Syntax]) -> tuple[Node, ...]:
        below: tuple[Node, ...] = ()
        for clause in reversed(clauses):
            if clause.type == "else_clause":
                below = (self.else_clause(clause),)
            else:
                parts = (self.field(clause, "condition"), self.field(clause, "consequence"), *below)
                inner = self.make(clause, "if", "", parts)
                outer = self.make(clause, "else", "", (inner,))
                inner.end_line = outer.end_line = parts[-1].end_line
                below = (outer,)
        return below

    def else_clause(self, syntax: Syntax) -> Node:
        return self.make(syntax, "else", "", self.field(syntax, "body").children)

    def for_statement(self, syntax: Syntax) -> Node:
        parts = (self.field(syntax, "left"), self.field(syntax, "right"), self.field(syntax, "body"))
        return self.make(syntax, "for", _async(syntax), (*parts, *self.optional(syntax, "alternative")))

    def while_statement(self, syntax: Syntax) -> Node:
        parts = (self.field(syntax, "condition"), self.field(syntax, "body"))
        return self.make(syntax, "while", "", (*parts, *self.optional(syntax, "alternative")))

    def with_statement(self, syntax: Syntax) -> Node:
        items: list[Node] = []
        for clause in syntax.named_children:
            if clause.type == "with_clause":
                items.extend(self.node(item) for item in self._with_items(clause))
        return self.make(syntax, "with", _async(syntax), (*items, self.field(syntax, "body")))

    def _with_items(self, clause: Syntax) -> list[Syntax]:
        items = self.parts(clause)
        if len(items) == 1 and items[0].type == "with_item":
            inner = self.parts(items[0])
            if len(inner) == 1 and inner[0].type == "tuple":  # with (a as b, c as d):
                return self.parts(inner[0])
        return items

    def with_item(self, syntax: Syntax) -> Node:
        inner = self.nodes(syntax)
        return self._as_item(syntax, inner[0]) if inner else self.make(syntax, "withitem")

    def _as_item(self, syntax: Syntax, inner: Node) -> Node:
        return inner if inner.kind == "withitem" else self.make(syntax, "withitem", "", (inner,))

    def as_pattern(self, syntax: Syntax) -> Node:
        return self.make(syntax, "withitem", "", self.nodes(syntax))

    def as_pattern_target(self, syntax: Syntax) -> Node:
        inner = self.nodes(syntax)
        return inner[0] if inner else self.make(syntax, "name", _text(syntax))

    def try_statement(self, syntax: Syntax) -> Node:
        body = self.field(syntax, "body")
        clauses = [self.node(part) for part in self.parts(syntax) if part.type.endswith("_clause")]
        star = "star" if any(_has(part, "*") for part in self.parts(syntax)) else ""
        return self.make(syntax, "try", star, (body, *clauses))

    def except_clause(self, syntax: Syntax) -> Node:
        name, block = "", self.make(syntax, "block")
        kinds: list[Node] = []
        for part in self.parts(syntax):
            if part.type == "block":
                block = self.node(part)
            elif part.type == "as_pattern":
                inner = self.nodes(part)
                kinds.extend(inner[:1])
                name = inner[1].value if len(inner) > 1 else ""
            elif part.type == "identifier" and kinds:
                name = _text(part)
            else:
                kinds.append(self.node(part))
        caught = kinds if len(kinds) < 2 else [self.make(syntax, "tuple", "", tuple(kinds))]
        return self.make(syntax, "handler", name, (*caught, block))

    def finally_clause(self, syntax: Syntax) -> Node:
        body = [self.node(part) for part in self.parts(syntax)]
        return self.make(syntax, "finally", "", body[0].children if body else ())

    def match_statement(self, syntax: Syntax) -> Node:
        subjects = tuple(self.node(part) for part in syntax.children_by_field_name("subject"))
        if len(subjects) != 1 or _has(syntax, ","):
            subjects = (self.make(syntax, "tuple", "", subjects),)
        body = syntax.child_by_field_name("body")
        cases = self.nodes(body) if body is not None else ()
        return self.make(syntax, "match", "", (*subjects, *cases))

    def case_clause(self, syntax: Syntax) -> Node:
        return self._patterns.clause(syntax)

    def return_statement(self, syntax: Syntax) -> Node:
        return self.make(syntax, "return", "", self.nodes(syntax))

    def raise_statement(self, syntax: Syntax) -> Node:
        return self.make(syntax, "raise", "", self.nodes(syntax))

    def assert_statement(self, syntax: Syntax) -> Node:
        return self.make(syntax, "assert", "", self.nodes(syntax))

    def delete_statement(self, syntax: Syntax) -> Node:
        parts = self.nodes(syntax)
        flat = parts[0].children if len(parts) == 1 and parts[0].kind == "tuple" else parts
        return self.make(syntax, "delete", "", flat)

    def simple_statement(self, syntax: Syntax) -> Node:
        return self.make(syntax, syntax.type.removesuffix("_statement"))

    def scope_statement(self, syntax: Syntax) -> Node:
        names = " ".join(_text(part) for part in self.parts(syntax))
        return self.make(syntax, syntax.type.removesuffix("_statement"), names)

    def print_statement(self, syntax: Syntax) -> Node:
        """Python 2's ``print x`` and ``exec x`` as calls; ``print >> f, x`` is what it is in Python 3."""
        callee = self.make(syntax, "name", syntax.type.removesuffix("_statement"))
        parts = self.nodes(syntax)
        if parts and parts[0].kind == "star" and parts[0].value == ">>":
            shifted = self.make(syntax, "binary", ">>", (callee, *parts[0].children))
            many = len(parts) > 1 or _has(syntax, ",")
            return self.make(
                syntax,
                "expr",
                "",
                (self.make(syntax, "tuple", "", (shifted, *parts[1:])),) if many else (shifted,),
            )
        return self.make(syntax, "expr", "", (self.make(syntax, "call", "", (callee, *parts)),))

    def import_statement(self, syntax: Syntax) -> Node:
        return self.make(syntax, "import", "", tuple(self._alias(part) for part in self.parts(syntax)))

    def import_from_statement(self, syntax: Syntax) -> Node:
        module = syntax.child_by_field_name("module_name")
        word = (
            "__future__" if syntax.type.startswith("future") else _text(module) if module is not None else ""
        )
        start = module.end_byte if module is not None else syntax.start_byte
        aliases = tuple(self._alias(part) for part in self.parts(syntax) if part.start_byte >= start)
        return self.make(syntax, "import_from", "".join(word.split()), aliases)

    def _alias(self, syntax: Syntax) -> Node:
        if syntax.type == "aliased_import":
            name, alias = syntax.child_by_field_name("name"), syntax.child_by_field_name("alias")
            word = _text(name) if name is not None else ""
            return self.make(syntax, "alias", word, (self.node(alias),) if alias is not None else ())
        return self.make(
            syntax, "alias", "*" if syntax.type == "wildcard_import" else "".join(_text(syntax).split())
        )

    # -- definitions

    def decorated_definition(self, syntax: Syntax) -> Node:
        decorators = tuple(self.node(part) for part in self.parts(syntax) if part.type == "decorator")
        definition = syntax.child_by_field_name("definition")
        inner = self.node(definition) if definition is not None else self.make(syntax, "error")
        return self.make(syntax, inner.kind, inner.value, (*decorators, *inner.children))

    def decorator(self, syntax: Syntax) -> Node:
        return self.make(syntax, "decorator", "", self.nodes(syntax))

    def class_definition(self, syntax: Syntax) -> Node:
        supers = syntax.child_by_field_name("superclasses")
        bases = self.make(supers, "bases", "", self.nodes(supers)) if supers else self.make(syntax, "bases")
        inner = (bases, *self._type_parameters(syntax), self.field(syntax, "body"))
        return self.make(syntax, "class", self._name(syntax), inner)

    def bases(self, syntax: Syntax) -> Node:
        return self.make(syntax, "bases", "", self.nodes(syntax))

    def function_definition(self, syntax: Syntax) -> Node:
        kind = syntax.child_by_field_name("return_type")
        returns = (self.make(kind, "returns", "", (self.node(kind),)),) if kind is not None else ()
        parameters = syntax.child_by_field_name("parameters")
        params = self.parameters(parameters) if parameters is not None else self.make(syntax, "params")
        asynchronous = (self.make(syntax, "async"),) if _async(syntax) else ()
        head = (params, *asynchronous, *self._type_parameters(syntax), *returns)
        return self.make(syntax, "function", self._name(syntax), (*head, self.field(syntax, "body")))

    def _type_parameters(self, syntax: Syntax) -> tuple[Node, ...]:
        found = syntax.child_by_field_name("type_parameters")
        return (self.type_parameters(found),) if found is not None else ()

    def type_parameters(self, syntax: Syntax) -> Node:
        inner = tuple(self._type_parameter(part) for part in self.parts(syntax))
        return self.make(syntax, "typeparams", "", inner)

    def _type_parameter(self, syntax: Syntax) -> Node:
        inner = self.parts(syntax)[0] if syntax.type == "type" and self.parts(syntax) else syntax
        if inner.type == "constrained_type":
            name, bound = self.parts(inner)[:2]
            annotation = self.make(bound, "annotation", "", (self.node(bound),))
            return self.make(syntax, "typeparam", _text(name), (annotation,))
        return self.make(syntax, "typeparam", "".join(_text(inner).split()))

    def _name(self, syntax: Syntax) -> str:
        name = syntax.child_by_field_name("name")
        return _text(name) if name is not None else ""

    def parameters(self, syntax: Syntax) -> Node:
        return self.make(syntax, "params", "", tuple(self._parameter(part) for part in self.parts(syntax)))

    def _parameter(self, syntax: Syntax) -> Node:
        if syntax.type in ("keyword_separator", "positional_separator"):
            return self.make(syntax, "kwonly" if syntax.type.startswith("key") else "posonly")
        if syntax.type in ("list_splat_pattern", "dictionary_splat_pattern"):
            kind = "star_param" if syntax.type.startswith("list") else "doublestar_param"
            return self.make(syntax, kind, _text(syntax).lstrip("* "))
        if syntax.type == "typed_parameter":
            inner = self._parameter(self.parts(syntax)[0])
            kinds = syntax.child_by_field_name("type")
            extra = (self.make(kinds, "annotation", "", (self.node(kinds),)),) if kinds is not None else ()
            return self.make(syntax, inner.kind, inner.value, extra)
        if syntax.type in ("default_parameter", "typed_default_parameter"):
            kinds = syntax.child_by_field_name("type")
            extra = (self.make(kinds, "annotation", "", (self.node(kinds),)),) if kinds is not None else ()
            default = self.make(syntax, "default", "", (self.field(syntax, "value"),))
            return self.make(syntax, "param", self._name(syntax), (*extra, default))
        return self.make(syntax, "param", _text(syntax))

    def type_alias_statement(self, syntax: Syntax) -> Node:
        left, right = (self.parts(part)[0] for part in self.parts(syntax)[:2])
        if left.type == "identifier":
            return self.make(syntax, "type_alias", "", (self.node(left), self.node(right)))
        if left.type == "generic_type":
            name, parameters = self.parts(left)[:2]
            named = (self.node(name), self.type_parameters(parameters))
            return self.make(syntax, "type_alias", "", (*named, self.node(right)))
        return self._type_assignment(syntax, left, right)

    def _type_assignment(self, syntax: Syntax, left: Syntax, right: Syntax) -> Node:
        """``type(x).y = z`` and ``type[x] = z`` assign; the grammar takes them for aliases of types."""
        value = self.node(right)
        if left.type == "constrained_type":
            target, annotation = self.parts(left)[:2]
            kind = self.make(annotation, "annotation", "", (self.node(annotation),))
            return self.make(syntax, "annassign", "", (self._of_type(self.parts(target)[0]), kind, value))
        return self.make(syntax, "assign", "", (self._of_type(left), value))

    def _of_type(self, syntax: Syntax) -> Node:
        """What stands behind ``type``, with ``type`` called or subscripted where the chain begins."""
        name = self.make(syntax, "name", "type")
        if syntax.type in ("parenthesized_expression", "tuple"):
            return self.make(syntax, "call", "", (name, *self.nodes(syntax)))
        if syntax.type == "list":
            return self.make(syntax, "subscript", "", (name, *self.nodes(syntax)))
        made = self.node(syntax)
        base = syntax.named_children[0] if syntax.named_children else syntax
        first = self._of_type(base) if base is not syntax else made
        return self.make(syntax, made.kind, made.value, (first, *made.children[1:]))

    # -- expressions

    def identifier(self, syntax: Syntax) -> Node:
        return self.make(syntax, "name", _text(syntax))

    def unwrap(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        return self.node(parts[0]) if len(parts) == 1 else self.make(syntax, "tuple", "", self.nodes(syntax))

    def attribute(self, syntax: Syntax) -> Node:
        name = syntax.child_by_field_name("attribute")
        word = _text(name) if name is not None else ""
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
        return self.make(syntax, "keyword", self._name(syntax), (self.field(syntax, "value"),))

    def star(self, syntax: Syntax) -> Node:
        return self.make(syntax, "star", "", self.nodes(syntax))

    def doublestar(self, syntax: Syntax) -> Node:
        return self.make(syntax, "doublestar", "", self.nodes(syntax))

    def subscript(self, syntax: Syntax) -> Node:
        indices = tuple(self.node(part) for part in syntax.children_by_field_name("subscript"))
        if len(indices) == 1 and _has(syntax, ","):
            indices = (self.make(syntax, "tuple", "", indices),)
        return self._hoisted(self.make(syntax, "subscript", "", (self.field(syntax, "value"), *indices)))

    def generic_type(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        indices: tuple[Node, ...] = tuple(
            self.node(inner) for part in parts[1:] for inner in self.parts(part)
        )
        if len(indices) == 1 and any(_has(part, ",") for part in parts[1:]):
            indices = (self.make(syntax, "tuple", "", indices),)
        return self.make(syntax, "subscript", "", (self.node(parts[0]), *indices))

    def member_type(self, syntax: Syntax) -> Node:
        owner, name = self.parts(syntax)[:2]
        return self.make(syntax, "attribute", _text(name), (self.node(owner),))

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
            elif part.is_named and part.type not in _EXTRAS:
                bounds[place] = self.node(part)
        return self.make(syntax, "slice", "", tuple(bounds))

    def number(self, syntax: Syntax) -> Node:
        return self.make(syntax, "number", canonical_number(_text(syntax)))

    def constant(self, syntax: Syntax) -> Node:
        return self.make(syntax, "constant", _text(syntax))

    def string(self, syntax: Syntax) -> Node:
        text = _text(syntax)
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
                yield self.make(part, "string", fragment_value(_text(part), prefix))

    def interpolation(self, syntax: Syntax) -> Node:
        """``interpolation(style) [value, nested...]``: what a format computes is code too."""
        values: list[Node] = []
        nested: list[Node] = []
        style = ""
        for part in syntax.children:
            if part.type == "=" and values:
                style += "="
            elif part.type == "type_conversion":
                style += _text(part)
            elif part.type == "format_specifier":
                inner = [child for child in part.named_children if child.type.endswith("expression")]
                nested.extend(self.interpolation(child) for child in inner)
                style += _without(part, inner)
            elif part.type == "named_expression":  # ``{x:=10}`` is x in the format ``=10``
                values.append(self.field(part, "name"))
                style += ":" + _text(part).partition(":")[2]
            elif part.is_named and part.type not in _EXTRAS:
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
        word = _text(operator) if operator is not None else ""
        if inner.kind == "number" and word == "-" and not inner.value.startswith("-"):
            return self.make(syntax, "number", "-" + inner.value)
        return self.make(syntax, "unary", word, (inner,))

    def not_operator(self, syntax: Syntax) -> Node:
        return self.make(syntax, "unary", "not", (self.field(syntax, "argument"),))

    def binary_operator(self, syntax: Syntax) -> Node:
        word = _operator(syntax)
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
        word = _text(operator) if operator is not None else ""
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
            if part.is_named and part.type not in _EXTRAS:
                if pending:
                    words.append("_".join(pending))
                    pending = []
                operands.append(self.node(part))
            elif part.type not in _EXTRAS:
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
        loops = tuple(self.make(span, "comp_for", _async(span), tuple(parts)) for span, parts in pairs)
        return self.make(syntax, _COMPREHENSIONS[syntax.type], "", (self.field(syntax, "body"), *loops))

    def tuple_pattern(self, syntax: Syntax) -> Node:
        """``(a) = 1`` has brackets only; ``(a,) = 1`` unpacks."""
        parts = self.nodes(syntax)
        return (
            parts[0] if len(parts) == 1 and not _has(syntax, ",") else self.make(syntax, "tuple", "", parts)
        )

    def sequence(self, syntax: Syntax) -> Node:
        return self.make(syntax, _SEQUENCES[syntax.type], "", self.nodes(syntax))


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
_HANDLERS: dict[str, Callable[[_Lowering, Syntax], Node]] = {
    "module": _Lowering.module,
    "block": _Lowering.block,
    "expression_statement": _Lowering.expression_statement,
    "assignment": _Lowering.assignment,
    "augmented_assignment": _Lowering.augmented_assignment,
    "if_statement": _Lowering.if_statement,
    "else_clause": _Lowering.else_clause,
    "for_statement": _Lowering.for_statement,
    "while_statement": _Lowering.while_statement,
    "with_statement": _Lowering.with_statement,
    "with_item": _Lowering.with_item,
    "as_pattern": _Lowering.as_pattern,
    "as_pattern_target": _Lowering.as_pattern_target,
    "try_statement": _Lowering.try_statement,
    "except_clause": _Lowering.except_clause,
    "except_group_clause": _Lowering.except_clause,
    "finally_clause": _Lowering.finally_clause,
    "match_statement": _Lowering.match_statement,
    "case_clause": _Lowering.case_clause,
    "return_statement": _Lowering.return_statement,
    "raise_statement": _Lowering.raise_statement,
    "assert_statement": _Lowering.assert_statement,
    "delete_statement": _Lowering.delete_statement,
    "pass_statement": _Lowering.simple_statement,
    "break_statement": _Lowering.simple_statement,
    "continue_statement": _Lowering.simple_statement,
    "global_statement": _Lowering.scope_statement,
    "nonlocal_statement": _Lowering.scope_statement,
    "print_statement": _Lowering.print_statement,
    "exec_statement": _Lowering.print_statement,
    "import_statement": _Lowering.import_statement,
    "import_from_statement": _Lowering.import_from_statement,
    "future_import_statement": _Lowering.import_from_statement,
    "decorated_definition": _Lowering.decorated_definition,
    "decorator": _Lowering.decorator,
    "class_definition": _Lowering.class_definition,
    "function_definition": _Lowering.function_definition,
    "type_alias_statement": _Lowering.type_alias_statement,
    "identifier": _Lowering.identifier,
    "type": _Lowering.unwrap,
    "parenthesized_expression": _Lowering.unwrap,
    "format_expression": _Lowering.interpolation,
    "splat_type": _Lowering.star,
    "member_type": _Lowering.member_type,
    "attribute": _Lowering.attribute,
    "call": _Lowering.call,
    "keyword_argument": _Lowering.keyword_argument,
    "list_splat": _Lowering.star,
    "list_splat_pattern": _Lowering.star,
    "dictionary_splat": _Lowering.doublestar,
    "dictionary_splat_pattern": _Lowering.doublestar,
    "parenthesized_list_splat": _Lowering.unwrap,
    "subscript": _Lowering.subscript,
    "slice": _Lowering.slice,
    "type_parameter": _Lowering.type_parameters,
    "argument_list": _Lowering.bases,  # alone: the bases of a class; a call reads its own
    "generic_type": _Lowering.generic_type,
    "union_type": _Lowering.union_type,
    "chevron": _Lowering.chevron,
    "integer": _Lowering.number,
    "float": _Lowering.number,
    "true": _Lowering.constant,
    "false": _Lowering.constant,
    "none": _Lowering.constant,
    "ellipsis": _Lowering.constant,
    "string": _Lowering.string,
    "concatenated_string": _Lowering.concatenated_string,
    "unary_operator": _Lowering.unary_operator,
    "not_operator": _Lowering.not_operator,
    "binary_operator": _Lowering.binary_operator,
    "boolean_operator": _Lowering.boolean_operator,
    "comparison_operator": _Lowering.comparison_operator,
    "conditional_expression": _Lowering.conditional_expression,
    "lambda": _Lowering.lambda_,
    "await": _Lowering.await_,
    "yield": _Lowering.yield_,
    "named_expression": _Lowering.named_expression,
    "tuple_pattern": _Lowering.tuple_pattern,
    **dict.fromkeys(_COMPREHENSIONS, _Lowering.comprehension),
    **dict.fromkeys(_SEQUENCES, _Lowering.sequence),
}
