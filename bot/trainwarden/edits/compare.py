"""The edits of one file: members of both sides paired, aligned, and told apart from mere renaming.

In: the outlines of both sides. Out: ``FileEdits`` with raw units (what changed, what only one side has); moves are
found afterwards over the whole change by ``moves``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from trainwarden.edits import align, surroundings, synonyms
from trainwarden.edits.accumulation import accumulated
from trainwarden.edits.deltas import Sides, deltas
from trainwarden.model import Unread
from trainwarden.parse import names
from trainwarden.parse.nodes import Node
from trainwarden.parse.outline import Member, Outline
from trainwarden.parse.treesitter import Known, TooDeep
from trainwarden.roles import is_logging, words_of
from trainwarden.view import Delta

_ALIKE = 0.6
_SMALLEST_MOVED = 12
_MOST_MOVED = 20_000
"""Pairs of members compared across files; larger changes are read statement by statement."""


@dataclass(slots=True)
class Side:
    """One member of one side, lowered and resolved."""

    path: str
    name: str
    node: Node
    scope: names.Scope

    @property
    def member(self) -> tuple[str, str]:
        """(path, qualified name)."""
        return self.path, self.name


@dataclass(slots=True)
class Unit:
    """A statement that only one side has, and the member it stands in."""

    node: Node
    side: Side
    whole_member: bool = False
    deltas: tuple[Delta, ...] = ()
    _key: str = ""

    def key(self) -> str:
        """Equal for units that say the same whatever their locals are called."""
        if not self._key:
            self._key = _alpha_key(self.node, self.side.scope)
        return self._key


@dataclass(slots=True)
class Change:
    """Two statements that correspond and differ, with the deltas between them."""

    before: Node
    after: Node
    before_side: Side
    after_side: Side
    deltas: tuple[Delta, ...]


@dataclass(slots=True)
class Lone:
    """A whole member that only one side of a file has; another file may have the other side."""

    member: Member
    side: Side


@dataclass(slots=True)
class FileEdits:
    """What changed in one file, before moves are known. ``members``: the changed members of both sides."""

    changed: list[Change] = field(default_factory=list)
    removed: list[Unit] = field(default_factory=list)
    added: list[Unit] = field(default_factory=list)
    members_before: list[Side] = field(default_factory=list)
    members_after: list[Side] = field(default_factory=list)
    gone: list[Lone] = field(default_factory=list)
    come: list[Lone] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def compare(path: str, before: Outline | None, after: Outline | None) -> FileEdits:
    """The edits between two versions of a file; either may be absent. Members too deep to read become ``Unread``.

    Members that only one side has are left in ``gone`` and ``come`` for ``pair_across`` and ``flatten``.
    """
    found = FileEdits()
    old = _Reader(path, before, found)
    new = _Reader(path, after, found)
    pairs = _member_pairs(old.members, new.members)
    for left, right in pairs:
        if left is not None and right is not None:
            _compare_members(old, new, left, right, found)
        elif right is not None and (side := new.side(right)) is not None:
            found.come.append(Lone(right, side))
        elif left is not None and (side := old.side(left)) is not None:
            found.gone.append(Lone(left, side))
    return found


def pair_across(files: Sequence[FileEdits]) -> None:
    """Members that moved from one file to another are compared as one: of the same kind, alike by 60 %."""
    gone = [(file, lone) for file in files for lone in file.gone if lone.side.node.size >= _SMALLEST_MOVED]
    come = [(file, lone) for file in files for lone in file.come if lone.side.node.size >= _SMALLEST_MOVED]
    if len(gone) * len(come) > _MOST_MOVED:
        return
    for origin, left in gone:
        best = max(
            (
                (_alike(left.member, right.member), *_rank(right), place)
                for place, (_, right) in enumerate(come)
            ),
            default=None,
        )
        if best is not None and best[0] >= _ALIKE:
            target, right = come.pop(best[-1])
            origin.gone.remove(left)
            target.come.remove(right)
            _compare_sides(left.side, right.side, target)


def _rank(lone: Lone) -> tuple[str, str]:
    return lone.side.path, lone.side.name


def flatten(file: FileEdits) -> None:
    """What is left of ``gone`` and ``come`` was removed and added statement by statement."""
    for lone in file.come:
        _one_sided(lone.side, file.added, file.members_after)
    for lone in file.gone:
        _one_sided(lone.side, file.removed, file.members_before)


class _Reader:
    def __init__(self, path: str, outline: Outline | None, found: FileEdits) -> None:
        self.path = path
        self.members = outline.members if outline else {}
        self._imports = names.import_table(outline.imports) if outline else {}
        self._found = found

    def side(
        self, member: Member, shared: set[bytes] | None = None, known: Known | None = None
    ) -> Side | None:
        try:
            node = member.node(shared, known)
        except TooDeep as deep:
            self._found.unread.append(Unread(self.path, (member.line, member.end_line), str(deep)))
            return None
        scope = names.resolve(node, self._imports, lexical=member.kind != "function")
        return Side(self.path, member.name, node, scope)


def _member_pairs(
    before: dict[str, Member], after: dict[str, Member]
) -> Iterable[tuple[Member | None, Member | None]]:
    gone = [m for name, m in before.items() if name not in after]
    come = [m for name, m in after.items() if name not in before]
    renamed = _renamed(gone, come)
    for name, member in before.items():
        if name in after:
            if member.raw != after[name].raw:
                yield member, after[name]
        else:
            yield member, renamed.get(name)
    taken = {member.name for member in renamed.values()}
    for member in come:
        if member.name not in taken:
            yield None, member


def _renamed(gone: list[Member], come: list[Member]) -> dict[str, Member]:
    """Members that kept their body under another name: at least 60 % of their source lines in common."""
    found: dict[str, Member] = {}
    free = list(come)
    for member in gone:
        scored = [(_alike(member, other), other.name, place) for place, other in enumerate(free)]
        best = max(scored, default=None)
        if best is not None and best[0] >= _ALIKE:
            found[member.name] = free.pop(best[2])
    return found


def _alike(left: Member, right: Member) -> float:
    """The share of source lines that two members of one kind have in common, without their first line."""
    if left.kind != right.kind:
        return 0.0
    old, new = _lines(left), _lines(right)
    return len(old & new) / max(1, len(old | new))


def _lines(member: Member) -> set[bytes]:
    return {line.strip() for line in member.raw.splitlines()[1:] if line.strip()}


def _compare_members(old: _Reader, new: _Reader, left: Member, right: Member, found: FileEdits) -> None:
    shared = None
    if left.kind != "function":
        texts = [s.text or b"" for s in right.syntaxes]
        shared = {s.text or b"" for s in left.syntaxes} & set(texts)
        shared = {text for text in shared if texts.count(text) == 1}
    known: Known = {}
    before, after = old.side(left, shared, known), new.side(right, shared, known)
    if before is not None and after is not None:
        _compare_sides(before, after, found)


def _compare_sides(before: Side, after: Side, found: FileEdits) -> None:
    found.members_before.append(before)
    found.members_after.append(after)
    pairing = align.Pairing()
    if before.node.kind == after.node.kind == "function":
        _signature(before.node, after.node, pairing)
        align.align(_body(before.node), _body(after.node), pairing)
    else:
        align.align(before.node.children, after.node.children, pairing)
    _collect(pairing, before, after, found)


def _body(node: Node) -> tuple[Node, ...]:
    return node.children[-1].children if node.children and node.children[-1].kind == "block" else ()


def _signature(before: Node, after: Node, pairing: align.Pairing) -> None:
    old, new = before.child("params"), after.child("params")
    if old is not None and new is not None and old.hash != new.hash:
        pairing.changed.append((old, new))
    decorators = [[c for c in n.children if c.kind == "decorator"] for n in (before, after)]
    align.align(decorators[0], decorators[1], pairing)


def _collect(pairing: align.Pairing, before: Side, after: Side, found: FileEdits) -> None:
    sides = Sides(before.scope, after.scope)
    changes = []
    for old, new in pairing.changed:
        small = tuple(_statement_deltas(old, new, sides))
        changes.append(Change(old, new, before, after, small))
    renames = _renames(changes, before.scope, after.scope) | _renamed_parameters(before, after)
    lost = surroundings.lost_reads(before.node, after.node, after.scope) - {old for old, _ in renames}
    for change in changes:
        kept = tuple(d for d in change.deltas if not (_is_rename(d, renames) or _is_synonym(d, sides)))
        if kept:
            found.changed.append(replace(change, deltas=(*kept, *_around(change, lost))))
    for node in pairing.removed:
        found.removed.append(Unit(node, before, deltas=tuple(surroundings.unused(node, lost, 0))))
    for node in pairing.added:
        found.added.append(Unit(node, after, deltas=tuple(surroundings.overwritten(node, before.scope))))


def _around(change: Change, lost: set[str]) -> list[Delta]:
    found = list(surroundings.unused(change.before, lost, change.after.line))
    neighbour = surroundings.one_sided(change.before, change.after)
    return [*found, neighbour] if neighbour is not None else found


def _statement_deltas(before: Node, after: Node, sides: Sides) -> list[Delta]:
    if (is_logging(before) and is_logging(after)) or _only_told(before, after):
        told = deltas(before, after, sides)
        return [replace(delta, roles=frozenset({"log"})) for delta in told]
    words = _target_words(after, sides.after)
    old, new = align.header(before), align.header(after)
    if before.kind == after.kind and before.kind in (
        "assign",
        "augassign",
        "annassign",
        "expr",
        "params",
        "decorator",
    ):
        return deltas(before, after, sides, words)
    if {before.kind, after.kind} == {"assign", "annassign"} and _is_annotated(before, after):
        return deltas(before.children[-1], after.children[-1], sides, words)
    if {before.kind, after.kind} == {"assign", "augassign"}:
        return accumulated(before, after, sides, words)
    if before.kind == after.kind and len(old) == len(new):
        return [d for a, b in zip(old, new, strict=True) for d in deltas(a, b, sides, words)]
    if old and new and before.kind != after.kind:
        inner = deltas(old[-1], new[-1], sides, words)
        return inner or [Delta("replaced", before, after)]
    return [Delta("replaced", before, after)]


def _is_annotated(before: Node, after: Node) -> bool:
    """``x = 1`` and ``x: int = 1``: one target, a value on both sides, and an annotation that runs nothing."""
    noted = before if before.kind == "annassign" else after
    plain = after if noted is before else before
    if len(plain.children) != 2 or len(noted.children) != 3 or not names.is_inert(noted.children[1]):
        return False
    return plain.children[0].hash == noted.children[0].hash


_ERROR = re.compile(r"(Error|Exception|Warning)(\(\))?$")


def _only_told(before: Node, after: Node) -> bool:
    """Whether two statements raise the same error, or assert the same, and only their words differ."""
    if before.kind == after.kind == "assert":
        return (
            len(before.children) == len(after.children) == 2
            and before.children[0].hash == after.children[0].hash
        )
    if not (before.kind == after.kind == "raise" and len(before.children) == len(after.children) == 1):
        return False
    old, new = before.children[0], after.children[0]
    same = old.kind == new.kind == "call" and old.function.hash == new.function.hash
    return same and bool(_ERROR.search(new.function.name))


def _target_words(statement: Node, scope: names.Scope) -> str:
    if statement.kind in ("assign", "augassign", "annassign"):
        return " ".join(words_of(target, scope, 10) for target in statement.children[:-1])
    if statement.kind == "expr" and statement.children[0].kind == "call":
        return statement.children[0].name
    return ""


def _renames(changes: list[Change], before: names.Scope, after: names.Scope) -> set[tuple[str, str]]:
    """Locals that were renamed throughout: the old name is gone, the new one is new, one to one."""
    seen: dict[str, set[str]] = {}
    for change in changes:
        for delta in change.deltas:
            if delta.kind == "name" and delta.before is not None and delta.after is not None:
                old, new = _first(delta.before), _first(delta.after)
                seen.setdefault(old, set()).add(new)
    found = set()
    for old, news in seen.items():
        new = next(iter(news))
        local = before.is_local(old) and after.is_local(new)
        if len(news) == 1 and local and not after.is_local(old) and not before.is_local(new):
            found.add((old, new))
    return found


def _renamed_parameters(before: Side, after: Side) -> set[tuple[str, str]]:
    """Parameters renamed in their place: the old name is gone from the function, the new one was not in it.

    The signature keeps its deltas, only the reads in the body say nothing new. Not where ``**options`` would swallow
    what callers still pass under the old name.
    """
    old, new = before.node.child("params"), after.node.child("params")
    if old is None or new is None or len(old.children) != len(new.children):
        return set()
    if any(one.kind == "doublestar_param" for one in new.children):
        return set()
    told = [_words_in(before.node), _words_in(after.node)]
    pairs = (
        (names.normal(one.value), names.normal(other.value))
        for one, other in zip(old.children, new.children, strict=True)
        if one.kind == other.kind and one.value != other.value
    )
    return {(one, other) for one, other in pairs if one not in told[1] and other not in told[0]}


def _words_in(node: Node) -> set[str]:
    return {names.normal(inner.value) for inner in node.walk() if inner.kind in ("name", *names.PARAMETERS)}


def _first(node: Node) -> str:
    while node.children:
        node = node.children[0]
    return names.normal(node.value)


def _is_synonym(delta: Delta, sides: Sides) -> bool:
    return synonyms.same(delta, sides.before, sides.after)


def _is_rename(delta: Delta, renames: set[tuple[str, str]]) -> bool:
    if delta.kind != "name" or delta.before is None or delta.after is None:
        return False
    if (_first(delta.before), _first(delta.after)) not in renames:
        return False
    return (delta.before.kind == delta.after.kind and delta.before.value == delta.after.value) or (
        delta.before.kind == delta.after.kind == "name"
    )


def _one_sided(side: Side, into: list[Unit], members: list[Side]) -> None:
    members.append(side)
    body = _body(side.node) if side.node.kind == "function" else side.node.children
    for statement in body:
        into.extend(Unit(node, side, True) for node in align.units(statement))


def _alpha_key(node: Node, scope: names.Scope) -> str:
    parts = align.header(node)
    return f"{node.kind}:{node.value}:" + ".".join(names.alpha_hash(part, scope) for part in parts)
