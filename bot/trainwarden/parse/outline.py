"""A Python file as members: functions, methods, and runs of statements directly in a module or class.

In: decoded text (``\\n`` line ends). Out: an ``Outline`` whose members can be compared by raw text without lowering
them, so that only what changed is ever lowered. Nested functions belong to the function around them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tree_sitter import Node as Syntax

from trainwarden.model import Lines
from trainwarden.parse import treesitter
from trainwarden.parse.nodes import Node

MemberKind = Literal["function", "class", "module"]
_DEFINITIONS = frozenset({"function_definition", "class_definition"})

# Lowered trees are at most ``treesitter.MAX_DEPTH`` deep; the walks over pairs of them need a few frames a level.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20 * treesitter.MAX_DEPTH))


@dataclass(frozen=True, slots=True)
class Lowered:
    """A statement that another parser has read: its text and its node."""

    text: bytes
    node: Node


@dataclass(slots=True)
class Member:
    """One unit that is aligned, analysed and scored.

    ``name`` is the qualified name (``Trainer.step``, ``Trainer`` for class-level statements, ``<module>``).
    ``raw`` is the exact source of its statements; equal ``raw`` means untouched.
    """

    name: str
    kind: MemberKind
    line: int
    end_line: int
    raw: bytes
    syntaxes: Sequence[Syntax | Lowered] = field(repr=False)
    _node: Node | None = None
    _parts: dict[int, Node] = field(default_factory=dict, repr=False)

    def node(self, keep: set[bytes] | None = None, known: treesitter.Known | None = None) -> Node:
        """The lowered member: a ``function`` node, or a ``module`` node over the run. Raises ``TooDeep``.

        ``keep``: raw texts of statements that both sides share; in a run they are left out of the lowering.
        ``known``: what was lowered for the other side, and is not lowered again.
        """
        if self._node is None:
            if self.kind == "function":
                self._node = self.part(self.syntaxes[0], known)
            else:
                wanted = [s for s in self.syntaxes if not keep or (s.text or b"") not in keep]
                nodes = tuple(self.part(syntax, known) for syntax in wanted)
                first, last = (nodes[0].line, nodes[-1].end_line) if nodes else (1, 1)
                self._node = Node("module", "", nodes, first, last)
        return self._node

    def part(self, syntax: Syntax | Lowered, known: treesitter.Known | None = None) -> Node:
        """One of the member's statements, lowered once. Raises ``TooDeep``."""
        if isinstance(syntax, Lowered):
            return syntax.node
        made = self._parts.get(syntax.id)
        if made is None:
            made = self._parts[syntax.id] = treesitter.lower(syntax, known)
        return made


@dataclass(slots=True)
class Outline:
    """Members by qualified name, the file's imports and what the parser could not read (head-side numbers)."""

    lines: int
    members: dict[str, Member]
    imports: list[Node]
    errors: tuple[Lines, ...]


def read(text: str) -> Outline:
    """The outline of a file. Never raises; what does not parse shows in ``errors``."""
    root = treesitter.parse(text)
    collector = _Collector()
    collector.run("", root)
    return Outline(text.count("\n") + 1, collector.members, collector.imports, tuple(_errors(root)))


class _Collector:
    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.imports: list[Node] = []

    def run(self, prefix: str, block: Syntax) -> None:
        """Splits a module or class body into its definitions and the run of other statements."""
        rest: list[Syntax] = []
        for child in block.children:
            if child.type == "comment" or (not child.is_named and not child.is_error):
                continue
            inner = _definition(child)
            if inner is None:
                rest.append(child)
                self._import(child)
            elif inner.type == "function_definition":
                self._add(_named(prefix, inner), "function", [child])
            else:
                self._class(_named(prefix, inner), child, inner)
        if rest:
            self._add(prefix.removesuffix(".") or "<module>", "class" if prefix else "module", rest)

    def _class(self, name: str, outer: Syntax, inner: Syntax) -> None:
        body = inner.child_by_field_name("body")
        if body is not None:
            self.run(name + ".", body)
        supers = inner.child_by_field_name("superclasses")
        decorators = [child for child in outer.children if child.type == "decorator"]
        parameters = inner.child_by_field_name("type_parameters")
        head = [*decorators, *(part for part in (supers, parameters) if part is not None)]
        if head:
            self._add(f"{name}(bases)", "class", head)

    def _add(self, name: str, kind: MemberKind, syntaxes: list[Syntax]) -> None:
        unique, count = name, 2
        while unique in self.members:  # overloads, or branches that define a name twice
            unique, count = f"{name}#{count}", count + 1
        raw = b"\n".join(s.text or b"" for s in syntaxes)
        first, last = syntaxes[0].start_point.row + 1, syntaxes[-1].end_point.row + 1
        self.members[unique] = Member(unique, kind, first, last, raw, syntaxes)

    def _import(self, syntax: Syntax) -> None:
        if syntax.type in ("import_statement", "import_from_statement"):
            self.imports.append(treesitter.lower(syntax))
        elif syntax.type in ("try_statement", "if_statement"):
            for child in syntax.named_children:
                if child.type == "block" or child.type.endswith("_clause"):
                    for inner in child.named_children:
                        self._import(inner)
                        if inner.type == "block":
                            for deeper in inner.named_children:
                                self._import(deeper)


def _definition(syntax: Syntax) -> Syntax | None:
    if syntax.type == "decorated_definition":
        return syntax.child_by_field_name("definition")
    return syntax if syntax.type in _DEFINITIONS else None


def _named(prefix: str, syntax: Syntax) -> str:
    name = syntax.child_by_field_name("name")
    return prefix + ((name.text or b"").decode("utf-8", "surrogatepass") if name is not None else "?")


def _errors(root: Syntax) -> list[Lines]:
    """Line ranges of the outermost error and missing nodes."""
    found: list[Lines] = []
    stack = [root] if root.has_error else []
    while stack:
        syntax = stack.pop()
        if syntax.is_error or syntax.is_missing:
            found.append((syntax.start_point.row + 1, syntax.end_point.row + 1))
        else:
            stack.extend(child for child in syntax.children if child.has_error or child.is_missing)
    return sorted(found)
