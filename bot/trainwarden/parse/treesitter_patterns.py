"""The patterns of ``match`` statements, lowered from tree-sitter into the kinds of expressions they look
like.

A capture is a ``name``, an alternative a ``boolop(|)``, ``P as x`` a ``namedexpr``, a sequence a ``list``, a
mapping a ``dict``, a class pattern a ``call``. Signs are tokens of their own here and belong to the number
that follows.
"""

from __future__ import annotations

from collections.abc import Callable

from tree_sitter import Node as Syntax

from trainwarden.parse.nodes import Node

Make = Callable[..., Node]
Lower = Callable[[Syntax], Node]
_SEQUENCES = frozenset({"list_pattern", "tuple_pattern"})
_EXTRAS = frozenset({"comment", "line_continuation"})
_PUNCTUATION = frozenset({*_EXTRAS, "(", ")", "[", "]", "{", "}", ",", "|", ":", "=", "as", "**", "*"})


class Patterns:
    """Handlers of pattern nodes. ``make`` builds a node at a place, ``lower`` walks everything else."""

    def __init__(self, make: Make, lower: Lower) -> None:
        self._make = make
        self._lower = lower

    def clause(self, syntax: Syntax) -> Node:
        """``case [pattern, guard?, block]``; several patterns without brackets are a sequence."""
        patterns = [part for part in syntax.named_children if part.type == "case_pattern"]
        open_sequence = len(patterns) > 1 or any(part.type == "," for part in syntax.children)
        inner = tuple(self.pattern(part) for part in patterns)
        whole = self._make(syntax, "list", "", inner) if open_sequence else inner[0]
        guard = syntax.child_by_field_name("guard")
        guards: tuple[Node, ...] = ()
        if guard is not None:
            tests = [part for part in guard.named_children if part.type not in _EXTRAS]
            guards = (self._make(guard, "guard", "", tuple(map(self._lower, tests))),)
        block = syntax.child_by_field_name("consequence")
        body = self._lower(block) if block is not None else self._make(syntax, "block")
        return self._make(syntax, "case", "", (whole, *guards, body))

    def pattern(self, syntax: Syntax) -> Node:
        """One pattern: whatever the only part of a ``case_pattern`` is."""
        if syntax.type == "case_pattern":
            parts = self._parts(syntax)
            return parts[0] if parts else self._make(syntax, "name", "_")
        handler = _HANDLERS.get(syntax.type)
        return handler(self, syntax) if handler else self._lower(syntax)

    def _parts(self, syntax: Syntax) -> list[Node]:
        """The patterns directly inside: signs joined to their numbers, ``_`` as a name."""
        found: list[Node] = []
        negative = False
        for part in syntax.children:
            if part.type == "-":
                negative = True
            elif part.type == "_":
                found.append(self._make(part, "name", "_"))
            elif part.type not in _PUNCTUATION:
                inner = self.pattern(part)
                signed = negative and inner.kind == "number"
                found.append(self._make(part, "number", "-" + inner.value) if signed else inner)
                negative = False
        return found

    def _sequence(self, syntax: Syntax) -> Node:
        parts = self._parts(syntax)
        grouped = syntax.type == "tuple_pattern" and len(parts) == 1
        if grouped and not any(part.type == "," for part in syntax.children):
            return parts[0]
        return self._make(syntax, "list", "", tuple(parts))

    def _alternatives(self, syntax: Syntax) -> Node:
        return self._make(syntax, "boolop", "|", tuple(self._parts(syntax)))

    def _complex(self, syntax: Syntax) -> Node:
        tokens = [part for part in syntax.children if part.type not in _EXTRAS]
        negative = bool(tokens) and tokens[0].type == "-"
        numbers = [self._lower(part) for part in tokens if part.is_named]
        operator = next((part.type for part in tokens[1:] if part.type in ("+", "-")), "+")
        if negative:
            numbers[0] = self._make(syntax, "number", "-" + numbers[0].value)
        return self._make(syntax, "binary", operator, tuple(numbers))

    def _dotted(self, syntax: Syntax) -> Node:
        parts = [part for part in syntax.named_children if part.type == "identifier"]
        made = self._lower(parts[0])
        for part in parts[1:]:
            made = self._make(syntax, "attribute", self._lower(part).value, (made,))
        return made

    def _star(self, syntax: Syntax) -> Node:
        kind = "doublestar" if syntax.children and syntax.children[0].type == "**" else "star"
        return self._make(syntax, kind, "", tuple(self._parts(syntax)))

    def _mapping(self, syntax: Syntax) -> Node:
        parts = self._parts(syntax)
        rest = tuple(part for part in parts if part.kind == "doublestar")
        flat = [part for part in parts if part.kind != "doublestar"]
        couples = zip(flat[::2], flat[1::2], strict=False)
        pairs = tuple(self._make(syntax, "pair", "", couple) for couple in couples)
        return self._make(syntax, "dict", "", (*pairs, *rest))

    def _class(self, syntax: Syntax) -> Node:
        return self._make(syntax, "call", "", tuple(self._parts(syntax)))

    def _keyword(self, syntax: Syntax) -> Node:
        name, *value = self._parts(syntax)
        return self._make(syntax, "keyword", name.value, tuple(value))

    def _as(self, syntax: Syntax) -> Node:
        pattern, name = self._parts(syntax)
        return self._make(syntax, "namedexpr", "", (name, pattern))


_HANDLERS: dict[str, Callable[[Patterns, Syntax], Node]] = {
    **dict.fromkeys(_SEQUENCES, Patterns._sequence),
    "union_pattern": Patterns._alternatives,
    "complex_pattern": Patterns._complex,
    "dotted_name": Patterns._dotted,
    "splat_pattern": Patterns._star,
    "dict_pattern": Patterns._mapping,
    "class_pattern": Patterns._class,
    "keyword_pattern": Patterns._keyword,
    "as_pattern": Patterns._as,
}
