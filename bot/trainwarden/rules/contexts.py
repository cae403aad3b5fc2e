"""Tests of where an edit stands: function, loops, conditions, roles. For ``edit`` and ``delta`` alike.

In: the context keys of a leaf (``grammar.CONTEXT``). Out: functions from a file and an edit to yes or no.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from trainwarden.parse.nodes import Node
from trainwarden.rules.index import EditIndex, FileIndex, lost_guards, new_guards
from trainwarden.rules.provenance import sources
from trainwarden.rules.values import comparison, member_globs

Spec = Mapping[str, Any]
EditTest = Callable[[FileIndex, EditIndex], bool]


def context_tests(spec: Spec, without: Collection[str] = ()) -> list[EditTest]:
    """One test for each context key of a leaf, but for the keys ``without``, which the leaf sees to itself."""
    return [_CONTEXT[key](spec[key]) for key in _CONTEXT if key in spec and key not in without]


def together(tests: Sequence[EditTest]) -> EditTest:
    """All of some tests as one."""
    if len(tests) == 1:
        return tests[0]

    def test(file: FileIndex, edit: EditIndex) -> bool:
        for one in tests:  # noqa: SIM110 - asked tens of thousands of times in a review; ``all`` takes twice as long
            if not one(file, edit):
                return False
        return True

    return test


def _in_member(wanted: Sequence[str]) -> EditTest:
    like = member_globs(wanted)
    return lambda file, edit: any(map(like, edit.members))


def _loop(wanted: str) -> EditTest:
    compare = comparison(wanted)
    return lambda file, edit: compare(edit.edit.context.loop)


def _guards(kinds: Sequence[str]) -> EditTest:
    wanted = frozenset(kinds)
    return lambda file, edit: bool(edit.edit.context.guard_kinds & wanted)


def _no_guards(kinds: Sequence[str]) -> EditTest:
    wanted = frozenset(kinds)
    return lambda file, edit: not edit.edit.context.guard_kinds & wanted


def _new_guards(kinds: Sequence[str]) -> EditTest:
    wanted = frozenset(kinds)
    return lambda file, edit: any(guard.kinds & wanted for guard in new_guards(file, edit.edit))


def _lost_guards(kinds: Sequence[str]) -> EditTest:
    wanted = frozenset(kinds)
    return lambda file, edit: bool(lost_guards(edit.edit) & wanted)


def _roles(words: Sequence[str]) -> EditTest:
    wanted = frozenset(words)
    return lambda file, edit: bool(edit.roles & wanted)


def _not_roles(words: Sequence[str]) -> EditTest:
    wanted = frozenset(words)
    return lambda file, edit: not edit.roles & wanted


def _new_member(wanted: bool) -> EditTest:
    return lambda file, edit: edit.edit.new_member is wanted


def _loop_change(way: str) -> EditTest:
    def test(file: FileIndex, edit: EditIndex) -> bool:
        before, after = edit.edit.before_context, edit.edit.after_context
        if before is None or after is None:
            return False
        return after.loop > before.loop if way == "in" else after.loop < before.loop

    return test


def _statement(kinds: Sequence[str]) -> EditTest:
    wanted = frozenset(kinds)
    return lambda file, edit: edit.side.node.kind in wanted


def _condition_gains(words: Sequence[str]) -> EditTest:
    wanted = frozenset(words)

    def test(file: FileIndex, edit: EditIndex) -> bool:
        after, before = _tested(edit.edit.after), _tested(edit.edit.before)
        if after is None:
            return False
        old = sources(before) if before is not None else frozenset()
        return bool((sources(after) - old) & wanted)

    return test


def _tested(node: Node | None) -> Node | None:
    """The condition of a branch or loop."""
    return node.children[0] if node is not None and node.kind in ("if", "while", "assert") else None


_CONTEXT: dict[str, Callable[[Any], EditTest]] = {
    "statement": _statement,
    "new_member": _new_member,
    "loop": _loop,
    "loop_change": _loop_change,
    "guards": _guards,
    "no_guards": _no_guards,
    "in_member": _in_member,
    "roles": _roles,
    "not_roles": _not_roles,
    "lost_guards": _lost_guards,
    "new_guards": _new_guards,
    "condition_gains": _condition_gains,
}
