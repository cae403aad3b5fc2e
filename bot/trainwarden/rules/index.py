"""A ``ChangeView`` prepared for many questions: what words, kinds and facts it holds, and where.

In: a view. Out: a ``ChangeIndex`` whose ``features`` say which files can matter to a rule at all, so that
most rules cost a few set look-ups. A feature is a short text: ``w:step`` (a name occurs in an edited
statement), ``e:removed``, ``d:number``, ``f:optimizer.lr`` (a fact differs, appears or disappears), ``F:``
(any fact), ``m:bidi``, ``u:``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwarden.model import Fact
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node
from trainwarden.rules.patterns import Pattern
from trainwarden.rules.shapes import own_nodes
from trainwarden.view import ChangeView, Context, Delta, Edit, FileView, Guard

_WORDED = frozenset(
    {"name", "attribute", "keyword", "alias", "function", "class", "param", "star_param", "doublestar_param"}
)
Nodes = Mapping[str, Sequence[Node]]


class SideIndex:
    """One side of an edit: the nodes of the statement's own text by kind, and the words in it."""

    __slots__ = ("node", "nodes", "words")

    def __init__(self, statement: Node) -> None:
        self.node = statement
        nodes: dict[str, list[Node]] = {}
        words: set[str] = set()
        for node in own_nodes(statement):
            nodes.setdefault(node.kind, []).append(node)
            if node.kind in _WORDED:
                words.add(normal(node.value).rpartition(".")[2])
            if node.name:
                words.add(node.name.rpartition(".")[2])
        self.nodes: Nodes = nodes
        self.words = words

    def may_hold(self, wanted: Pattern) -> bool:
        """Whether the pattern can match here, judged by words alone."""
        return wanted.words <= self.words


class EditIndex:
    """An edit with both of its sides prepared."""

    __slots__ = ("after", "before", "edit", "members", "roles", "sites", "told")

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        # Words about the edit, by what they are: many conditions hit one edit, and each would spell it anew.
        self.told: dict[str, str] = {}
        # Likewise the places where it is shown, by the identity of the delta that is meant (0: the whole edit).
        self.sites: dict[int, Any] = {}
        self.before = SideIndex(edit.before) if edit.before is not None else None
        self.after = SideIndex(edit.after) if edit.after is not None else None
        contexts = (edit.before_context, edit.after_context)
        held = [context for context in contexts if context is not None]
        self.members = frozenset(context.member for context in held)
        # What it is about, on either side and in its differences.
        self.roles = frozenset().union(*(c.roles for c in held), *(delta.roles for delta in edit.deltas))

    @property
    def side(self) -> SideIndex:
        """The side the edit speaks for: head, or base for removals."""
        side = self.after or self.before
        assert side is not None
        return side


@dataclass(frozen=True, slots=True)
class Some:
    """Edits of these kinds whose statements are of these kinds; an empty set stands for all."""

    kinds: frozenset[str]
    statements: frozenset[str]

    def holds(self, edit: EditIndex) -> bool:
        """Whether an edit is one of them."""
        of_kind = not self.kinds or edit.edit.kind in self.kinds
        return of_kind and (not self.statements or edit.side.node.kind in self.statements)


EVERY = Some(frozenset(), frozenset())


class FileIndex:
    """A file's edits and facts, and the features by which rules find it."""

    __slots__ = (
        "_by_word",
        "_chosen",
        "_deltas",
        "_lines",
        "_new_tests",
        "edits",
        "features",
        "place",
        "view",
    )

    def __init__(self, view: FileView, place: int) -> None:
        self.view = view
        self.place = place
        self.edits = [EditIndex(edit) for edit in view.edits]
        self._by_word: dict[str, list[EditIndex]] = defaultdict(list)
        self._new_tests: set[int] | None = None
        self._lines: dict[tuple[str, str, int], EditIndex] | None = None
        self._chosen: dict[Some, Sequence[EditIndex]] = {EVERY: self.edits}
        self._deltas: dict[frozenset[str], list[tuple[EditIndex, Delta]]] = {}
        for edit in self.edits:
            words = (edit.before.words if edit.before else set()) | (
                edit.after.words if edit.after else set()
            )
            for word in words:
                self._by_word[word].append(edit)
        self.features = self._features()

    def _features(self) -> set[str]:
        view = self.view
        found = {f"w:{word}" for word in self._by_word}
        found.update(f"e:{edit.kind}" for edit in view.edits)
        found.update(f"d:{delta.kind}" for edit in view.edits for delta in edit.deltas)
        found.update(f"f:{fact.name.lower()}" for fact in (*view.before, *view.after))
        found.update(f"f:{shift.fact.name.lower()}" for shift in view.shifts)
        found.update(f"m:{mark.kind}" for mark in view.marks)
        found.update({"F:"} if view.before or view.after or view.shifts else ())
        found.update({"M:"} if view.marks else ())
        found.update({"u:"} if view.unread else ())
        return found

    def edits_with(self, wanted: Sequence[Pattern], some: Some = EVERY) -> Sequence[EditIndex]:
        """Of some edits those in which one of the patterns can occur on a side, judged by one word of each."""
        if not wanted or any(not one.words for one in wanted):
            return self._of(some)
        found = self._worded(wanted)
        return found if some is EVERY else [edit for edit in found if some.holds(edit)]

    def deltas_of(self, kinds: frozenset[str]) -> Sequence[tuple[EditIndex, Delta]]:
        """The deltas of some kinds (of any, when none is named), each with its edit."""
        found = self._deltas.get(kinds)
        if found is None:
            found = self._deltas[kinds] = [
                (edit, delta)
                for edit in self.edits
                for delta in edit.edit.deltas
                if not kinds or delta.kind in kinds
            ]
        return found

    def _of(self, some: Some) -> Sequence[EditIndex]:
        found = self._chosen.get(some)
        if found is None:
            found = self._chosen[some] = [edit for edit in self.edits if some.holds(edit)]
        return found

    def _worded(self, wanted: Sequence[Pattern]) -> Sequence[EditIndex]:
        lists = [min((self._by_word.get(word, ()) for word in one.words), key=len) for one in wanted]
        if len(lists) == 1:
            return lists[0]
        chosen = {id(edit) for some in lists for edit in some}
        return [edit for edit in self.edits if id(edit) in chosen]

    def is_new(self, guard: Guard) -> bool:
        """Whether the condition itself came with this change (its statement was added or changed)."""
        if guard.node is None:
            return False
        if self._new_tests is None:
            self._new_tests = {
                id(edit.after.node)
                for edit in self.edits
                if edit.after is not None and edit.edit.kind != "moved"
            }
        return id(_owner(guard.node)) in self._new_tests

    def edit_of(self, fact: Fact, side: str) -> EditIndex | None:
        """The edit whose statement a fact stands in: the shortest one at its line on that side."""
        if self._lines is None:
            self._lines = self._edits_by_line()
        return self._lines.get((side, fact.scope, fact.line))

    def _edits_by_line(self) -> dict[tuple[str, str, int], EditIndex]:
        found: dict[tuple[str, str, int], EditIndex] = {}
        sized = [(edit, side, _span(edit.edit, side)) for edit in self.edits for side in ("base", "head")]
        placed = [(edit, side, span) for edit, side, span in sized if span is not None]
        for edit, side, (first, last) in sorted(placed, key=lambda entry: entry[2][1] - entry[2][0]):
            for member in edit.members:
                for line in range(first, last + 1):
                    found.setdefault((side, member, line), edit)
        return found


def _owner(node: Node) -> Node:
    return node if node.kind in ("handler", "case") else node.statement()


def _span(edit: Edit, side: str) -> tuple[int, int] | None:
    if side == "base":
        return edit.base_lines
    return (edit.start, edit.end) if edit.after is not None else None


class ChangeIndex:
    """The files of a change, which files have which feature, and how often patterns occur on each side."""

    def __init__(self, view: ChangeView) -> None:
        self.view = view
        self.files = [FileIndex(file, place) for place, file in enumerate(view.files)]
        self._by_feature: dict[str, list[int]] = defaultdict(list)
        self._by_start: dict[str, set[int]] = {}
        for file in self.files:
            for feature in file.features:
                self._by_feature[feature].append(file.place)
        self._balance: dict[str, int] = {}

    def forget(self) -> None:
        """Lets go of the places that were remembered: they hold the edits that hold them."""
        for file in self.files:
            for edit in file.edits:
                edit.sites.clear()

    def files_with(self, features: Iterable[str] | None) -> Iterator[FileIndex]:
        """Files that have at least one of some features, in path order; all files when None."""
        if features is None:
            yield from self.files
            return
        places: set[int] = set()
        for feature in features:
            open_end = feature.endswith("*")
            places.update(self._starting_with(feature) if open_end else self._by_feature.get(feature, ()))
        for place in sorted(places):
            yield self.files[place]

    def _starting_with(self, feature: str) -> set[int]:
        if feature not in self._by_start:
            start = feature[:-1]
            found = (places for name, places in self._by_feature.items() if name.startswith(start))
            self._by_start[feature] = {place for places in found for place in places}
        return self._by_start[feature]

    def balance(self, wanted: Sequence[Pattern]) -> int:
        """How much more often patterns occur in edited statements of the head than of the base."""
        return sum(map(self._balance_of, wanted))

    def _balance_of(self, wanted: Pattern) -> int:
        if wanted.text not in self._balance:
            total = 0
            for file in self.files:
                for edit in file.edits_with([wanted]):
                    total += _count(edit.after, wanted) - _count(edit.before, wanted)
            self._balance[wanted.text] = total
        return self._balance[wanted.text]

    def facts_like(self, named: Callable[[str], bool]) -> int:
        """How many more facts of some names the head has than the base, over the whole change."""
        names = {*self.view.facts_before, *self.view.facts_after}
        return sum(self.fact_balance(name) for name in names if named(name))

    def fact_balance(self, name: str) -> int:
        """How many more facts of a name the head has than the base, over the whole change."""
        return self.view.facts_after.get(name, 0) - self.view.facts_before.get(name, 0)

    def reappears(self, edit: EditIndex) -> bool:
        """Whether a removed statement's own code occurs in another edit of the change."""
        if edit.before is None:
            return True
        wanted = edit.before.node.hash
        return any(
            other.after is not None and other.after.node.hash == wanted
            for file in self.files
            for other in file.edits
            if other is not edit
        )


def _count(side: SideIndex | None, wanted: Pattern) -> int:
    if side is None or not side.may_hold(wanted):
        return 0
    return sum(1 for _ in wanted.all(side.nodes))


def new_guards(file: FileIndex, edit: Edit) -> tuple[Guard, ...]:
    """Conditions that dominate the head's statement and did not dominate it before.

    For an added statement: conditions that are themselves new. For one that has a base: conditions of a
    kind that it did not have there, or whose own statement is new.
    """
    if edit.after_context is None:
        return ()
    old = _kinds(edit.before_context)
    return tuple(
        guard
        for guard in edit.after_context.guards
        if file.is_new(guard) or (edit.before_context is not None and not guard.kinds <= old)
    )


def lost_guards(edit: Edit) -> frozenset[str]:
    """Kinds of condition that dominated the base's statement and no longer do."""
    if edit.before_context is None or edit.after_context is None:
        return frozenset()
    return edit.before_context.guard_kinds - edit.after_context.guard_kinds


def _kinds(context: Context | None) -> frozenset[str]:
    return context.guard_kinds if context is not None else frozenset()
