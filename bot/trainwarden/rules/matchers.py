"""Turns the lowered node of a snippet into nested matchers.

In: a pattern's node. Out: a matcher, the names that must occur for it to match, and its metavariables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trainwarden.model import Misuse
from trainwarden.parse.names import fold, normal
from trainwarden.parse.nodes import STATEMENTS, Node
from trainwarden.rules.captures import Captures, bound_to
from trainwarden.rules.match_lists import (
    ListMatcher,
    Matcher,
    match_keywords,
    match_list,
    match_parts,
    match_subset,
)
from trainwarden.rules.shapes import (
    COMMUTATIVE,
    as_assignments,
    as_augmented,
    attribute_of,
    groups,
    is_target,
    speaks,
)
from trainwarden.rules.snippets import ANYWHERE, dotted_name, metavariable, original, run_of
from trainwarden.rules.values import number

_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!=", "is": "is", "is_not": "is_not"}
_MOST_RUNS = 2


class Builder:
    """Turns a lowered snippet into nested matchers and collects its words and metavariables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: set[str] = set()
        self.metavariables: set[str] = set()

    def node(self, node: Node) -> Matcher:
        if run_of(node) is not None:
            return self._named(run_of(node) or "_")
        if node.kind == "name" and metavariable(node.value) is not None:
            return self._named(metavariable(node.value) or "_")
        dotted = dotted_name(node) if node.kind in ("name", "attribute") else None
        if dotted is not None:
            return self._resolved(dotted)
        builder: Callable[[Builder, Node], Matcher] | None = _BUILDERS.get(node.kind)
        return builder(self, node) if builder else self._plain(node)

    def _named(self, name: str) -> Matcher:
        self._noted(name)
        return lambda found, captures: bound_to(captures, name, found)

    def _noted(self, name: str) -> None:
        if not name.startswith("_"):
            self.metavariables.add(name)

    # -- names

    def _resolved(self, dotted: str) -> Matcher:
        owner, _, last = dotted.rpartition(".")
        name = metavariable(last)
        if name is not None:
            return self._member_of(owner, name)
        self.words.add(last)
        if dotted.startswith(ANYWHERE + "."):
            return _suffix(dotted[len(ANYWHERE) + 1 :])
        return lambda found, captures: (
            iter((captures,)) if found.name == dotted and speaks(found) else iter(())
        )

    def _member_of(self, owner: str, name: str) -> Matcher:
        """``torch.optim.$NAME``: any direct member of a resolved owner."""
        self._noted(name)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            prefix, _, last = found.name.rpartition(".")
            if prefix == owner and last.isidentifier() and speaks(found):
                yield from bound_to(captures, name, last)

        return match

    def attribute(self, node: Node) -> Matcher:
        """An attribute of something that is not a plain name."""
        owner, attribute = self.node(node.children[0]), node.value
        captured = metavariable(node.children[0].value) if node.children[0].kind == "name" else None
        wanted = self._word(attribute)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            place = attribute_of(found)
            if place is not None:
                for bound in wanted(place[1], captures):
                    yield from owner(place[0], bound)
            elif found.kind == "name" and captured is not None and not is_target(found):
                # imported or bound by name: ``from m import f``
                prefix, _, last = found.name.rpartition(".")
                for bound in wanted(last, captures) if prefix else ():
                    yield from bound_to(bound, captured, prefix)

        return match

    def _word(self, word: str) -> Callable[[str, Captures], Iterator[Captures]]:
        """A test of a bare name (attribute, keyword, function): equal, or captured by a metavariable."""
        name = metavariable(word)
        if name is not None:
            self._noted(name)
            return lambda found, captures: bound_to(captures, name, normal(found))
        if word:
            self.words.add(word)
        return lambda found, captures: iter((captures,)) if normal(found) == word else iter(())

    # -- generic shapes

    def _plain(self, node: Node) -> Matcher:
        """Same kind, same value, children one by one (runs allowed)."""
        kind, value = node.kind, self._value(node)
        inner = self.sequence(node.children)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                for bound in value(found.value, captures):
                    yield from inner(found.children, bound)

        return match

    def _value(self, node: Node) -> Callable[[str, Captures], Iterator[Captures]]:
        if metavariable(node.value) is not None:
            return self._word(node.value)
        wanted = node.value
        return lambda found, captures: iter((captures,)) if normal(found) == wanted else iter(())

    def sequence(self, nodes: Sequence[Node]) -> ListMatcher:
        """A list of nodes in order, with at most two runs of any length."""
        runs = [run_of(node) for node in nodes]
        if sum(run is not None for run in runs) > _MOST_RUNS:
            raise Misuse(f"the pattern {self.text!r} has more than {_MOST_RUNS} runs (`...`) in one list")
        for run in runs:
            self._noted(run or "_")
        items = [None if run is not None else self.node(n) for run, n in zip(runs, nodes, strict=True)]
        return lambda found, captures: match_list(items, runs, found, captures)

    def number(self, node: Node) -> Matcher:
        wanted, text = number(node.value), node.value

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == "number" and (found.value == text or number(found.value) == wanted is not None):
                yield captures

        return match

    def string(self, node: Node) -> Matcher:
        wanted = original(node.value)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            text = found.value if found.kind in ("string", "docstring") else fold(found)
            if text == wanted:
                yield captures

        return match

    # -- operators

    def binary(self, node: Node) -> Matcher:
        operator, left, right = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind != "binary" or found.value != operator:
                return
            one, two = found.children
            for bound in left(one, captures):
                yield from right(two, bound)
            if operator in COMMUTATIVE:
                for bound in left(two, captures):
                    yield from right(one, bound)

        return match

    def compare(self, node: Node) -> Matcher:
        if len(node.children) != 2:
            return self._plain(node)
        operator, left, right = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind != "compare" or len(found.children) != 2:
                return
            one, two = found.children
            if found.value == operator:
                for bound in left(one, captures):
                    yield from right(two, bound)
            if _MIRROR.get(found.value) == operator:
                for bound in left(two, captures):
                    yield from right(one, bound)

        return match

    # -- calls

    def call(self, node: Node) -> Matcher:
        function, arguments = self.node(node.children[0]), self._arguments(node.children[1:])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == "call":
                for bound in function(found.children[0], captures):
                    yield from arguments(found.children[1:], bound)

        return match

    def _arguments(self, nodes: Sequence[Node]) -> ListMatcher:
        plain = [node for node in nodes if node.kind != "keyword"]
        named = [(node.value, self._word(node.value), self.node(node.children[0])) for node in nodes
                 if node.kind == "keyword"]  # fmt: skip
        positional = self.sequence(plain)
        is_open = any(run_of(node) is not None for node in plain)
        last_is_run = bool(plain) and run_of(plain[-1]) is not None

        def match(found: Sequence[Node], captures: Captures) -> Iterator[Captures]:
            keywords = [node for node in found if node.kind == "keyword"]
            rest = [node for node in found if node.kind != "keyword"]
            for bound, left in match_keywords(named, keywords, captures):
                if last_is_run:
                    yield from positional([*rest, *left], bound)
                elif not left or is_open:
                    yield from positional(rest, bound)

        return match

    def dictionary(self, node: Node) -> Matcher:
        """Pairs in any order; further pairs only with ``...``."""
        items = [self.node(child) for child in node.children if run_of(child) is None]
        is_open = any(run_of(child) is not None for child in node.children)
        return lambda found, captures: (
            match_subset(items, found.children, captures, is_open) if found.kind == node.kind else iter(())
        )

    def bases(self, node: Node) -> Matcher:
        inner = self._arguments(node.children)
        return lambda found, captures: inner(found.children, captures) if found.kind == "bases" else iter(())

    # -- statements

    def assign(self, node: Node) -> Matcher:
        targets = [self.node(child) for child in node.children[:-1]]
        value = self.node(node.children[-1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            for parts in as_assignments(found):
                for bound in match_subset(targets, parts[:-1], captures, True):
                    yield from value(parts[-1], bound)

        return match

    def augassign(self, node: Node) -> Matcher:
        operator, target, value = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            for left, right in as_augmented(found, operator):
                for bound in target(left, captures):
                    yield from value(right, bound)

        return match

    def imports(self, node: Node) -> Matcher:
        kind, value = node.kind, self._value(node)
        names = [self._alias(child) for child in node.children]

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                for bound in value(found.value, captures):
                    yield from match_subset(names, found.children, bound, True)

        return match

    def _alias(self, node: Node) -> Matcher:
        word = self._word(node.value) if "." not in node.value else self._value(node)
        return lambda found, captures: word(found.value, captures)

    def compound(self, node: Node) -> Matcher:
        """A compound statement: its header, and those of its blocks that the pattern spells out."""
        kind, word = node.kind, self._word(node.value) if node.value else None
        parts = [self._part(name, nodes) for name, nodes in groups(node).items()]
        anonymous = metavariable(node.value) is not None

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                theirs = groups(found)
                for bound in word(found.value, captures) if word is not None else (captures,):
                    yield from match_parts(parts, theirs, bound)
            elif kind == "class" and found.kind == "bases" and anonymous:
                yield from match_parts(parts, {"header": [found]}, captures)  # a class of the module itself

        return match

    def _part(self, name: str, nodes: list[Node]) -> tuple[str, ListMatcher]:
        if name in ("block", "else", "finally"):
            inner = self._below(nodes[0])
            return name, lambda found, captures: inner(found[0].children, captures) if found else iter(())
        if name in ("decorator", "withitem", "handler"):
            words = set(self.words)
            items = [self.node(node) for node in nodes]
            self.words = words if name == "handler" else self.words
            return name, lambda found, captures: match_subset(items, found, captures, True)
        return name, self.sequence(nodes)

    def _below(self, block: Node) -> ListMatcher:
        """The statements of a block; their words are not among those of the header."""
        words = set(self.words)
        inner = self.sequence(block.children)
        self.words = words
        return inner

    def with_item(self, node: Node) -> Matcher:
        """``with x`` also finds ``with x as y``."""
        inner = self.sequence(node.children)
        length = len(node.children)
        return lambda found, captures: (
            inner(found.children[:length], captures) if found.kind == "withitem" else iter(())
        )

    def assertion(self, node: Node) -> Matcher:
        """``assert x`` also finds ``assert x, message``."""
        inner = self.sequence(node.children)
        length = len(node.children)
        return lambda found, captures: (
            inner(found.children[:length], captures) if found.kind == "assert" else iter(())
        )


def _suffix(ending: str) -> Matcher:
    dotted = "." + ending

    def match(found: Node, captures: Captures) -> Iterator[Captures]:
        if (found.name == ending or found.name.endswith(dotted)) and speaks(found):
            yield captures

    return match


_COMPOUNDS = ("if", "for", "while", "with", "try", "function", "class", "match", "handler", "case")
_BUILDERS: dict[str, Callable[[Builder, Node], Matcher]] = {
    "attribute": Builder.attribute,
    "number": Builder.number,
    "string": Builder.string,
    "binary": Builder.binary,
    "compare": Builder.compare,
    "call": Builder.call,
    "dict": Builder.dictionary,
    "set": Builder.dictionary,
    "bases": Builder.bases,
    "withitem": Builder.with_item,
    "assert": Builder.assertion,
    "assign": Builder.assign,
    "augassign": Builder.augassign,
    "import": Builder.imports,
    "import_from": Builder.imports,
    **dict.fromkeys(_COMPOUNDS, Builder.compound),
}
assert set(_COMPOUNDS) - {"handler", "case"} <= STATEMENTS
