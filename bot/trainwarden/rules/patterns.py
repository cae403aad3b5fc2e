"""Code patterns: a Python snippet with metavariables, matched on the node table and on resolved names.

In: the snippet (``torch.nn.utils.clip_grad_norm_($PARAMS, ...)``) and nodes of a change. Out: captures, or
nothing.

    $X      one node; the same name twice must be equal code; also a function, attribute, keyword or class
    name $_      one node that is not captured $$ARGS  any number of arguments, elements or statements,
    captured;  ``...`` the same, not captured a.b.c   a dotted name as resolved through imports, aliases and
    ``getattr``; locals match by what they hold ~.f     ``f`` of whatever module or object, also when it was
    imported by name $OBJ.f  the same, with the object captured

Arguments by keyword match in any order; further arguments are allowed only where ``...`` or ``$$X`` stands.
Numbers match by value, ``+`` and ``*`` in either order, a comparison also mirrored, ``x += y`` also as ``x
= x + y``. An expression is searched anywhere in a statement's own text (the header of a compound one); a
block that is only ``...`` may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import NOTHING, Captures
from trainwarden.rules.match_lists import Matcher
from trainwarden.rules.matchers import Builder
from trainwarden.rules.snippets import metavariable, parse_snippet, run_of


@dataclass(frozen=True, slots=True)
class Outline:
    """What tells where a pattern cannot match, without its matcher.

    ``kinds``: node kinds it can stand at (None: any). ``words``: names that must occur in a statement's own
    text for the pattern to match there; ``metavariables``: the names it captures.
    """

    kinds: frozenset[str] | None
    words: frozenset[str]
    metavariables: frozenset[str]


class Pattern:
    """A pattern: its ``outline`` from the start, its matcher from when a statement first has all its words.

    Of seven hundred patterns a review asks a hundred for more than their words. Raises ``Misuse`` when the snippet
    is none.
    """

    __slots__ = ("_matcher", "kinds", "metavariables", "text", "words")

    def __init__(self, text: str, outline: Outline | None = None) -> None:
        self.text = text
        self._matcher: Matcher | None = None
        told = outline or self._compile()
        self.kinds = told.kinds
        self.words = told.words
        self.metavariables = told.metavariables

    def _compile(self) -> Outline:
        root = parse_snippet(self.text)
        builder = Builder(self.text)
        self._matcher = builder.node(root)
        return Outline(_root_kinds(root), frozenset(builder.words), frozenset(builder.metavariables))

    @property
    def outline(self) -> Outline:
        """What is needed to make this pattern again without compiling it."""
        return Outline(self.kinds, self.words, self.metavariables)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def match(self, node: Node, captures: Captures = NOTHING) -> Captures | None:
        """The captures when the pattern matches this very node, else None."""
        if self._matcher is None:
            self._compile()
            assert self._matcher is not None
        return next(self._matcher(node, captures), None)

    def search(self, nodes: Mapping[str, Sequence[Node]], captures: Captures = NOTHING) -> Captures | None:
        """The captures of the first match among nodes grouped by kind, else None."""
        return next(self.all(nodes, captures), None)

    def all(self, nodes: Mapping[str, Sequence[Node]], captures: Captures = NOTHING) -> Iterator[Captures]:
        """The captures of every matching node among nodes grouped by kind."""
        for kind in self.kinds if self.kinds is not None else nodes:
            for node in nodes.get(kind, ()):
                found = self.match(node, captures)
                if found is not None:
                    yield found


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The pattern of a snippet. Raises ``Misuse`` when the snippet is none."""
    return Pattern(text, _OUTLINES.get(text))


_OUTLINES: dict[str, Outline] = {}


def remember(outlines: Mapping[str, Outline]) -> None:
    """Takes in what is known of patterns that were compiled before, by this same version of the program."""
    _OUTLINES.update(outlines)


def _root_kinds(root: Node) -> frozenset[str] | None:
    if run_of(root) is not None or (root.kind == "name" and metavariable(root.value) is not None):
        return None
    if root.kind in ("name", "attribute"):
        return frozenset({"name", "attribute", "call"})
    if root.kind in ("assign", "augassign"):
        return frozenset({"assign", "annassign", "augassign"})
    if root.kind == "class":
        return frozenset({"class", "bases"})
    if root.kind == "string":
        return frozenset({"string", "binary", "fstring", "call", "docstring"})
    return frozenset({root.kind})
