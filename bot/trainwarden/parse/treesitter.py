"""Python text through tree-sitter: the first reading, and the node table of any member.

In: text with ``\\n`` line ends. Out: an ``Outline`` (members with their spans, imports, error ranges) and,
for the members somebody asks for, their lowered ``Node``s. tree-sitter never dies on hostile input and gives
a tree for broken files; nesting past ``MAX_DEPTH`` is refused as ``TooDeep`` so that no later room has to
fear recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import tree_sitter_python
from tree_sitter import Language, Parser
from tree_sitter import Node as Syntax

from trainwarden.parse.nodes import Node
from trainwarden.parse.treesitter_expressions import (
    HANDLERS,
    MAX_DEPTH,
    SKIPPED,
    Expressions,
    TooDeep,
    async_word,
    has,
    text_of,
)
from trainwarden.parse.treesitter_patterns import Patterns

__all__ = ["MAX_DEPTH", "Known", "TooDeep", "lower", "lower_module", "parse"]

Known = dict[tuple[int, int, int, str, bytes], Node]
"""Lowered statements, and entries of tables, by all that decides what they are lowered to, so that the other side of
a change need not repeat it: levels above, column, number of syntax nodes, type and text, which was read without
errors."""

_PARSER = Parser(Language(tree_sitter_python.language()))


def parse(text: str) -> Syntax:
    """The root of tree-sitter's tree for ``text``; never raises on any text."""
    return _PARSER.parse(text.encode("utf-8", "surrogatepass")).root_node


def lower(syntax: Syntax, known: Known | None = None) -> Node:
    """The ``Node`` of one statement, block, module or expression. Raises ``TooDeep``.

    ``known``: statements lowered before, which grows.
    """
    return _Lowering(known).node(syntax)


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


class _Lowering(Expressions):
    """Statements and definitions."""

    def __init__(self, known: Known | None = None) -> None:
        super().__init__()
        self._known = known

    # -- statements

    def statements(self, syntaxes: list[Syntax]) -> Iterator[Node]:
        for syntax in syntaxes:
            if syntax.type not in SKIPPED:
                yield self._once(syntax, self.node)

    def pair(self, syntax: Syntax) -> Node:
        """A table of hundreds of entries is one statement, of which a change touches a few."""
        return self._once(syntax, self.sequence)

    def _once(self, syntax: Syntax, lower: Callable[[Syntax], Node]) -> Node:
        """A part of the code, or the twin of one that was lowered before."""
        if self._known is None or syntax.has_error:
            return lower(syntax)
        column, text = syntax.start_point.column, syntax.text or b""
        key = (self._depth, column, syntax.descendant_count, syntax.type, text)
        known = self._known.get(key)
        if known is None:
            made = self._known[key] = lower(syntax)
            return made
        return known.twin(syntax.start_point.row + 1 - known.line)

    def module(self, syntax: Syntax) -> Node:
        return self.make(syntax, "module", "", tuple(self.statements(syntax.children)))

    def block(self, syntax: Syntax) -> Node:
        return self.make(syntax, "block", "", tuple(self.statements(syntax.children)))

    def expression_statement(self, syntax: Syntax) -> Node:
        parts = self.parts(syntax)
        if len(parts) == 1 and not has(syntax, ","):
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
        word = text_of(operator).removesuffix("=") if operator is not None else ""
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
        return self.make(syntax, "for", async_word(syntax), (*parts, *self.optional(syntax, "alternative")))

    def while_statement(self, syntax: Syntax) -> Node:
        parts = (self.field(syntax, "condition"), self.field(syntax, "body"))
        return self.make(syntax, "while", "", (*parts, *self.optional(syntax, "alternative")))

    def with_statement(self, syntax: Syntax) -> Node:
        items: list[Node] = []
        for clause in syntax.named_children:
            if clause.type == "with_clause":
                items.extend(self.node(item) for item in self._with_items(clause))
        return self.make(syntax, "with", async_word(syntax), (*items, self.field(syntax, "body")))

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
        return inner[0] if inner else self.make(syntax, "name", text_of(syntax))

    def try_statement(self, syntax: Syntax) -> Node:
        body = self.field(syntax, "body")
        clauses = [self.node(part) for part in self.parts(syntax) if part.type.endswith("_clause")]
        star = "star" if any(has(part, "*") for part in self.parts(syntax)) else ""
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
                name = text_of(part)
            else:
                kinds.append(self.node(part))
        caught = kinds if len(kinds) < 2 else [self.make(syntax, "tuple", "", tuple(kinds))]
        return self.make(syntax, "handler", name, (*caught, block))

    def finally_clause(self, syntax: Syntax) -> Node:
        body = [self.node(part) for part in self.parts(syntax)]
        return self.make(syntax, "finally", "", body[0].children if body else ())

    def match_statement(self, syntax: Syntax) -> Node:
        subjects = tuple(self.node(part) for part in syntax.children_by_field_name("subject"))
        if len(subjects) != 1 or has(syntax, ","):
            subjects = (self.make(syntax, "tuple", "", subjects),)
        body = syntax.child_by_field_name("body")
        cases = self.nodes(body) if body is not None else ()
        return self.make(syntax, "match", "", (*subjects, *cases))

    def case_clause(self, syntax: Syntax) -> Node:
        return Patterns(self.make, self.node).clause(syntax)

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
        names = " ".join(text_of(part) for part in self.parts(syntax))
        return self.make(syntax, syntax.type.removesuffix("_statement"), names)

    def print_statement(self, syntax: Syntax) -> Node:
        """Python 2's ``print x`` and ``exec x`` as calls; ``print >> f, x`` is what it is in Python 3."""
        callee = self.make(syntax, "name", syntax.type.removesuffix("_statement"))
        parts = self.nodes(syntax)
        if parts and parts[0].kind == "star" and parts[0].value == ">>":
            shifted = self.make(syntax, "binary", ">>", (callee, *parts[0].children))
            many = len(parts) > 1 or has(syntax, ",")
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
            "__future__"
            if syntax.type.startswith("future")
            else text_of(module)
            if module is not None
            else ""
        )
        start = module.end_byte if module is not None else syntax.start_byte
        aliases = tuple(self._alias(part) for part in self.parts(syntax) if part.start_byte >= start)
        return self.make(syntax, "import_from", "".join(word.split()), aliases)

    def _alias(self, syntax: Syntax) -> Node:
        if syntax.type == "aliased_import":
            name, alias = syntax.child_by_field_name("name"), syntax.child_by_field_name("alias")
            word = text_of(name) if name is not None else ""
            return self.make(syntax, "alias", word, (self.node(alias),) if alias is not None else ())
        return self.make(
            syntax, "alias", "*" if syntax.type == "wildcard_import" else "".join(text_of(syntax).split())
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
        return self.make(syntax, "class", self.name_of(syntax), inner)

    def bases(self, syntax: Syntax) -> Node:
        return self.make(syntax, "bases", "", self.nodes(syntax))

    def function_definition(self, syntax: Syntax) -> Node:
        kind = syntax.child_by_field_name("return_type")
        returns = (self.make(kind, "returns", "", (self.node(kind),)),) if kind is not None else ()
        parameters = syntax.child_by_field_name("parameters")
        params = self.parameters(parameters) if parameters is not None else self.make(syntax, "params")
        asynchronous = (self.make(syntax, "async"),) if async_word(syntax) else ()
        head = (params, *asynchronous, *self._type_parameters(syntax), *returns)
        return self.make(syntax, "function", self.name_of(syntax), (*head, self.field(syntax, "body")))

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
            return self.make(syntax, "typeparam", text_of(name), (annotation,))
        return self.make(syntax, "typeparam", "".join(text_of(inner).split()))

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


_STATEMENTS: dict[str, Callable[[_Lowering, Syntax], Node]] = {
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
    "type_parameter": _Lowering.type_parameters,
    "pair": _Lowering.pair,
    "argument_list": _Lowering.bases,  # alone: the bases of a class; a call reads its own
}
HANDLERS.update(_STATEMENTS)
