"""What understanding hands to judging: a change as edits, deltas, facts and shifts. Types only.

Everything a rule can ask is in a ``ChangeView``; rules never see source text, parsers or git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trainwarden.model import Fact, FileKind, Lines, Shift, Side, Unread
from trainwarden.parse.nodes import Node

FileStatus = Literal["added", "deleted", "modified", "renamed"]
EditKind = Literal["added", "removed", "changed", "moved", "moved-changed"]
GuardKind = Literal[
    "clock", "host", "user", "rank", "world", "step", "environment", "random", "file",
    "exception", "config", "mode", "none-check", "loop", "other",
]  # fmt: skip
TRIGGERS: frozenset[str] = frozenset(
    {"clock", "host", "user", "rank", "world", "step", "environment", "random", "file"}
)
"""Guard kinds that make what they dominate a trigger candidate."""

DeltaKind = Literal[
    "operator",  # an arithmetic, comparison, boolean or in-place operator became another one
    "sign",  # unary minus or plus/minus flipped
    "negated",  # ``not`` added or removed, or a comparison turned into its complement
    "name",  # one name, attribute chain or subscript was replaced by another: ``before`` and ``after`` hold them
    "callee",  # the function that is called was replaced
    "number",  # a number literal changed
    "string",
    "constant",  # True, False or None changed
    "argument-added",
    "argument-removed",
    "argument-swapped",  # two arguments (or operands of a non-commutative operator) changed places
    "operand-added",  # a term, factor or condition was added to an expression: ``x`` -> ``x * 0.5``
    "operand-removed",
    "wrapped",  # the old expression is now inside a new call, method call, subscript or conditional
    "unwrapped",
    "index",  # an index or slice bound changed
    "element-added",  # of a list, tuple, set, dict literal, or of a parameter list
    "element-removed",
    "replaced",  # none of these: another expression altogether
    "unused",  # the last read of something still bound is gone (``before``: that read)
    "rebound",  # an added statement gives a variable that existed a new value
    "mutated",  # an added statement writes into something that existed: ``x[i] =``, ``x.attr =``, ``x.mul_()``
    "one-sided",  # a sibling statement of the same shape (``before``) did not change along
]


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition that dominates a statement. ``node`` is the test; ``negated`` for else and early exits."""

    kinds: frozenset[str]
    node: Node | None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Where a statement stands on one side."""

    member: str
    loop: int
    guards: tuple[Guard, ...]
    roles: frozenset[str]

    @property
    def guard_kinds(self) -> frozenset[str]:
        """All kinds of its guards together."""
        return frozenset().union(*(guard.kinds for guard in self.guards)) if self.guards else frozenset()


@dataclass(frozen=True, slots=True)
class Delta:
    """The smallest difference inside a changed statement.

    ``before`` and ``after`` are the differing nodes (None where something was added or removed); ``inside`` is the
    dotted name of the call or attribute they are an argument of, "" if none; ``slot`` says which argument (keyword
    name, or position as text). ``roles``: what the changed expression or its statement is about (see ``roles.py``).
    ``line``: its line on the head side; for something removed, about where it would stand.
    """

    kind: DeltaKind
    before: Node | None
    after: Node | None
    inside: str = ""
    slot: str = ""
    roles: frozenset[str] = frozenset()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Edit:
    """One structural difference at the level of a statement.

    ``before``/``after``: the statement on each side (None when added/removed); compound statements are represented by
    their header, their blocks' statements are edits of their own. ``start``/``end``: its lines on the head side (for a
    removal: the surviving line after the gap, twice). ``base_lines``: its lines on the base side or None.
    ``new_member``: the whole function or method is new (added) or gone (removed).
    ``moved_from``: (path, member) on the base side for moves.
    """

    kind: EditKind
    before: Node | None
    after: Node | None
    start: int
    end: int
    base_lines: Lines | None
    before_context: Context | None
    after_context: Context | None
    deltas: tuple[Delta, ...] = ()
    new_member: bool = False
    moved_from: tuple[str, str] | None = None

    @property
    def context(self) -> Context:
        """The head side's context, or the base side's for removals."""
        context = self.after_context or self.before_context
        assert context is not None
        return context

    @property
    def node(self) -> Node:
        """The head side's statement, or the base side's for removals."""
        node = self.after or self.before
        assert node is not None
        return node


@dataclass(frozen=True, slots=True)
class FileView:
    """One file pair, understood. ``path`` is the head path (the old one when deleted).

    ``side``: ``base`` when the file is deleted. ``facts``: per side, of changed members only.
    """

    path: str
    old_path: str | None
    kind: FileKind
    status: FileStatus
    side: Side
    training: bool
    test: bool
    head_lines: int
    edits: tuple[Edit, ...] = ()
    before: tuple[Fact, ...] = ()
    after: tuple[Fact, ...] = ()
    shifts: tuple[Shift, ...] = ()
    unread: tuple[Unread, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something about text or tree itself, not its meaning: bidi controls, homoglyphs, parser disagreement.

    ``kind`` is a word a rule can ask for (``bidi``, ``homoglyph``, ``parse-error`` ...).
    """

    kind: str
    line: int
    side: Side
    detail: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """The whole change. ``lost`` and ``gained`` count fact names over the change (net loss is presence evidence)."""

    files: tuple[FileView, ...]
    facts_before: Mapping[str, int] = field(default_factory=dict)
    facts_after: Mapping[str, int] = field(default_factory=dict)
