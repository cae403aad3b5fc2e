"""What every extractor works with: a member being read, a call with its arguments named, and how facts are
declared.

In: lowered and resolved nodes. Out: ``Fact``s in evaluation order, collected by a ``Reading``. An extractor
is a table from the last part of a callee's resolved name, or from a node kind, to a small function that looks
at one node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from trainwarden.facts import show
from trainwarden.model import Fact
from trainwarden.parse.names import Scope, normal
from trainwarden.parse.nodes import Node
from trainwarden.view import Guard

GuardsOf = Callable[[Node, Scope], tuple[Guard, ...]]
LoopDepth = Callable[[Node], int]
_CLIMB = frozenset({"await", "ternary", "boolop", "tuple", "list", "star", "binary", "subscript"})
_MOST_WORDS = 24
_MOST_MADE = 8
"""Values of one name that are read: thousands of them, spread into thousands of calls, would take minutes."""
_SUFFIX = re.compile(r"(?:\(\)|\[\.\]|\[\*\])+$")


@dataclass(frozen=True, slots=True)
class FactKind:
    """One fact that can be said.

    ``name`` may end in ``*``; ``words`` is its meaning, ``unit`` what ``value`` holds. ``watched``: the conditions
    under which it happens are a fact of their own, ``when``.
    """

    name: str
    words: str
    unit: str = "expression"
    watched: bool = False
    extractor: str = ""


class Call:
    """A call with its arguments by name: ``functools.partial`` and ``**`` of a known dict are looked through.

    ``name`` is the resolved callee, ``last`` its last dotted part, ``owner`` the object a method is called
    on.
    """

    __slots__ = ("given", "keywords", "last", "name", "node", "owner", "positional")

    def __init__(self, node: Node, scope: Scope) -> None:
        self.node = node
        self.positional: list[Node] = []
        self.keywords: dict[str, Node] = {}
        self._take(node.children[1:], scope)
        self.given = node.children[1:]
        function = node.function
        if last_part(function.name) == "partial" and self.positional:
            function = self.positional.pop(0)
            self.given = self.given[1:]
        self.name = function.name
        self.last = last_part(function.name)
        self.owner = _owner(function)

    def _take(self, arguments: tuple[Node, ...], scope: Scope) -> None:
        for argument in arguments:
            if argument.kind == "keyword":
                self.keywords[normal(argument.value)] = argument.children[0]
            elif argument.kind == "doublestar":
                self._spread(argument.children[0], scope)
            else:
                self.positional.append(argument)

    def _spread(self, node: Node, scope: Scope) -> None:
        """Takes in a dict by what it is made of; of a name with several values, what the last one of them says."""
        bindings = scope.bindings(normal(node.value)) if node.kind == "name" else ()
        values = [value for kind, value in bindings if kind == "value"]
        for made in values[-_MOST_MADE:] if values and len(values) == len(bindings) else (node,):
            self._spread_dict(made, scope)

    def _spread_dict(self, node: Node, scope: Scope) -> None:
        if node.kind == "dict":
            for pair in node.children:
                if pair.kind == "pair" and pair.children[0].kind == "string":
                    self.keywords[pair.children[0].value] = pair.children[1]
        elif node.kind == "call" and node.function.name == "dict":
            self._take(tuple(part for part in node.children[1:] if part.kind == "keyword"), scope)

    def argument(self, name: str, place: int = -1) -> Node | None:
        """The argument of that keyword, or at that position (from 0) when it is not given by keyword."""
        if name in self.keywords:
            return self.keywords[name]
        return self.positional[place] if 0 <= place < len(self.positional) else None

    def named(self, signature: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
        """(parameter, value) of every argument; positions are named after ``signature``, else ``arg<place>``."""
        for place, value in enumerate(self.positional):
            yield (signature[place] if place < len(signature) else f"arg{place}"), value
        yield from self.keywords.items()

    def ends(self, *suffixes: str) -> bool:
        """Whether the callee is one of these dotted names, or ends in ``.`` and one of them."""
        return any(self.name == suffix or self.name.endswith("." + suffix) for suffix in suffixes)


def last_part(name: str) -> str:
    """The part of a dotted name after the last dot: ``AdamW`` of ``torch.optim.AdamW``."""
    return name.rpartition(".")[2]


def fact_of_keyword(node: Node, facts: Mapping[str, str]) -> tuple[str, str] | None:
    """(fact, last part of the callee) of a keyword argument that says a fact by its name, wherever it is given."""
    call, fact = node.parent, facts.get(node.value)
    if fact is None or call is None or call.kind != "call":
        return None
    return fact, last_part(call.function.name)


def tail(name: str) -> str:
    """The last part in lower case without call marks: ``adamw`` of ``torch.optim.AdamW()``; ``x[*]`` keeps its mark."""
    core = bare(name)
    return last_part(core).lower() + ("[*]" if "[*]" in name[len(core) :] else "")


def bare(name: str) -> str:
    """A name without the marks of calls, items and iteration at its end."""
    return _SUFFIX.sub("", name)


def _owner(function: Node) -> Node | None:
    if function.kind == "attribute":
        return function.children[0]
    if function.kind == "call" and function.function.name == "getattr" and len(function.children) > 2:
        return function.children[1]
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """How a statement is reached: loop depth, kinds of its conditions, and the conditions in words."""

    loop: int
    guards: tuple[str, ...]
    conditions: str


class Reading:
    """One member being read. Extractors call ``add`` and ``say``; ``facts`` is the result, in evaluation order."""

    __slots__ = (
        "_guards",
        "_guards_of",
        "_loops",
        "_places",
        "_roles",
        "_watched",
        "facts",
        "member",
        "member_name",
        "path",
        "scope",
        "seen",
    )

    def __init__(
        self,
        member_name: str,
        member: Node,
        scope: Scope,
        path: str,
        watched: frozenset[str],
        guards_of: GuardsOf,
        loops: LoopDepth,
    ) -> None:
        self.member_name = member_name
        self.member = member
        self.scope = scope
        self.path = path
        self.facts: list[Fact] = []
        self.seen: set[int] = set()
        self._watched = watched
        self._guards_of = guards_of
        self._loops = loops
        self._places: dict[int, Place] = {}
        self._roles: dict[str, str] = {}

    def add(self, name: str, node: Node, value: str, subject: str = "", number: float | None = None) -> None:
        """Records a fact that stands at ``node``."""
        place = self._place(node)
        self._record(name, node, show.cut(value), subject, number, place)
        if name in self._watched and place.conditions:
            self._record("when", node, place.conditions, name, None, place)

    def _record(
        self, name: str, node: Node, value: str, subject: str, number: float | None, place: Place
    ) -> None:
        self.facts.append(
            Fact(
                name=name,
                scope=self.member_name,
                subject=subject,
                value=value,
                path=self.path,
                line=node.line,
                end_line=node.end_line,
                number=number,
                order=len(self.facts),
                loop=place.loop,
                guards=place.guards,
            )
        )

    def say(self, name: str, node: Node, value: Node, subject: str = "") -> None:
        """Records a fact whose value is an expression."""
        self.add(name, node, self.value(value), subject, show.number(value, self.scope))

    def text(self, node: Node) -> str:
        """The expression as short text, without the spelling of locals: what names a subject."""
        return show.text(node, self.scope)

    def value(self, node: Node) -> str:
        """The same for a value: a local with several bindings is all that it may be, not the first of them."""
        return show.text(node, self.scope, whole=True)

    def arguments(self, call: Call) -> str:
        """All arguments of a call as short text."""
        return show.cut(", ".join(self.value(argument) for argument in call.given))

    def target(self, node: Node) -> str:
        """What an expression is bound to: attribute, subscript, keyword, key, global name; "" for a local."""
        child, parent = node, node.parent
        while parent is not None and parent.kind in _CLIMB:
            child, parent = parent, parent.parent
        if parent is None:
            return ""
        if parent.kind in ("assign", "annassign") and parent.children[-1] is child:
            return self._assigned(parent.children[0])
        if parent.kind == "keyword":
            return parent.value
        if parent.kind == "pair" and parent.children[0].kind == "string":
            return parent.children[0].value
        return ""

    def _assigned(self, target: Node) -> str:
        if target.kind == "name":
            return "" if self.scope.is_local(normal(target.value)) else normal(target.value)
        return self.text(target) if target.kind in ("attribute", "subscript") else ""

    def role(self, node: Node | None) -> str:
        """Words in lower case that tell what a variable or expression stands for, separated by blanks.

        For a local: the end of its provenance, the keywords and attributes it is passed or stored as, and the
        methods called on it (``.step()``); for anything else the last part of its resolved name.
        """
        if node is None:
            return ""
        if node.kind != "name":
            return tail(node.name)
        variable = normal(node.value)
        if variable not in self._roles:
            self._roles[variable] = self._role_of(variable)
        return self._roles[variable]

    def _role_of(self, variable: str) -> str:
        words = dict.fromkeys(
            hint.lower() if hint.startswith(".") else tail(hint)
            for hint in self.scope.hints(variable).split()
            if not hint.endswith("(.)")
        )
        return " ".join(list(words)[:_MOST_WORDS])

    def _place(self, node: Node) -> Place:
        statement = node.statement()
        key = id(statement)
        found = self._places.get(key)
        if found is None:
            guards = self._guards_of(statement, self.scope)
            kinds: set[str] = set().union(*(guard.kinds for guard in guards))
            conditions = " and ".join(map(self._condition, reversed(guards)))
            found = Place(self._loops(statement), tuple(sorted(kinds)), show.cut(conditions))
            self._places[key] = found
        return found

    def _condition(self, guard: Guard) -> str:
        if guard.node is None or guard.node.kind == "handler":
            return "an exception"
        test = self.value(guard.node)
        return f"not ({test})" if guard.negated else test


CallHandler = Callable[[Reading, Call], None]
NodeHandler = Callable[[Reading, Node], None]


@dataclass(frozen=True, slots=True)
class Extractor:
    """One concern. ``calls``: by the last part of the callee's resolved name; ``kinds``: by node kind."""

    name: str
    facts: tuple[FactKind, ...]
    calls: Mapping[str, CallHandler] = field(default_factory=dict)
    kinds: Mapping[str, NodeHandler] = field(default_factory=dict)


def every(names: str, handler: CallHandler) -> dict[str, CallHandler]:
    """A table that sends every one of the blank-separated names to the same handler."""
    return dict.fromkeys(names.split(), handler)


def words(names: str) -> frozenset[str]:
    """The set of the blank-separated names."""
    return frozenset(names.split())
