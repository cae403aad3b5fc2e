"""Facts of both sides in, shifts out: what pairs with what, and in which order."""

# One case a line reads as a table; wrapped it would not.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from facts_reading import facts_of
from trainwarden.facts import shifts
from trainwarden.model import Fact, Shift


def fact(text: str, line: int = 1) -> Fact:
    """A fact written as text: ``scope: name[subject] = value @loop``."""
    scope, _, rest = text.partition(": ")
    left, _, value = rest.partition(" = ")
    value, _, loop = value.partition(" @")
    name, _, subject = left.partition("[")
    return Fact(name, scope, subject.rstrip("]"), value, "a.py", line, line, loop=int(loop or 0))


def match(before: str, after: str) -> list[str]:
    """The shifts as text, facts given one a line."""
    sides = [
        [fact(line.strip(), n) for n, line in enumerate(text.split(";")) if line.strip()]
        for text in (before, after)
    ]
    return [shown(shift) for shift in shifts.match(*sides)]


def shown(shift: Shift) -> str:
    """``name: before -> after`` with ``-`` for an absent side."""
    before, after = shift.before, shift.after
    return f"{shift.fact.name}: {before.value if before else '-'} -> {after.value if after else '-'}"


QUIET = [
    ("nothing changed", "f: a[x] = 1", "f: a[x] = 1"),
    ("order does not matter", "f: a[x] = 1; f: b[x] = 2", "f: b[x] = 2; f: a[x] = 1"),
    ("moved to another function", "f: a[x] = 1", "g: a[x] = 1"),
    ("subject renamed", "f: a[x] = 1", "f: a[y] = 1"),
    ("moved and renamed", "f: a[x] = 1", "g: a[y] = 1"),
    ("duplicates", "f: a[x] = 1; f: a[x] = 2", "f: a[x] = 2; f: a[x] = 1"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [row[1:] for row in QUIET], ids=[row[0] for row in QUIET])
def test_no_shift(before: str, after: str) -> None:
    """What is moved or renamed has not changed."""
    assert match(before, after) == []


SHIFTS = [
    ("value", "f: a[x] = 1", "f: a[x] = 2", ["a: 1 -> 2"]),
    ("lost", "f: a[x] = 1", "", ["a: 1 -> -"]),
    ("gained", "", "f: a[x] = 1", ["a: - -> 1"]),
    ("loop depth", "f: a[x] = 1 @2", "f: a[x] = 1 @1", ["a: 1 -> 1"]),
    ("one of two equal ones is lost", "f: a[x] = 1; f: a[x] = 1", "f: a[x] = 1", ["a: 1 -> -"]),
    ("equal ones pair first", "f: a[x] = 1; f: a[x] = 2", "f: a[x] = 2; f: a[x] = 3", ["a: 1 -> 3"]),
    ("moved and changed", "f: a[x] = 1", "g: a[x] = 2", ["a: 1 -> 2"]),
    ("renamed and changed", "f: a[x] = 1", "f: a[y] = 2", ["a: 1 -> 2"]),
    ("own scope before another", "f: a[x] = 1; g: a[x] = 2", "g: a[x] = 2", ["a: 1 -> -"]),
    ("ambiguous renames stay apart", "f: a[x] = 1; f: a[y] = 2", "f: a[z] = 3", ["a: 1 -> -", "a: 2 -> -", "a: - -> 3"]),
    ("different facts never pair", "f: a[x] = 1", "f: b[x] = 1", ["a: 1 -> -", "b: - -> 1"]),
    ("in order of the head", "f: a[] = 1; f: b[] = 1; f: c[] = 1", "f: c[] = 2; f: a[] = 2", ["c: 1 -> 2", "a: 1 -> 2", "b: 1 -> -"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in SHIFTS], ids=[row[0] for row in SHIFTS]
)
def test_shift(before: str, after: str, expected: list[str]) -> None:
    """What pairs is one shift, what does not pair is two."""
    assert match(before, after) == expected


def test_words_tell_what_differs_beside_the_value() -> None:
    """Two sides that read the same say what tells them apart."""
    before = facts_of("import torch\ndef f(xs):\n    for x in xs:\n        torch.manual_seed(1)")[0]
    after = facts_of("import torch\ndef f(xs):\n    torch.manual_seed(1)")[0]
    assert shifts.words(before, after) == "constant 1 (loop depth 1)"
    assert shifts.words(after, before) == "constant 1 (loop depth 0)"
    assert shifts.words(None, after) is None
    assert shifts.words(before, None) == "constant 1"


CLIP = """
import torch
def step(model, optimizer, loss):
    loss.backward()
    {clip}
    optimizer.step()
"""
CHANGES = [
    ("clipping lost", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "pass", {"clip.max_norm: 1.0 -> -", "clip.params: model.parameters() -> -", "event.clip:  -> -"}),
    ("clipping made useless", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)", {"clip.max_norm: 1.0 -> 1000000000.0"}),
    ("keyword instead of position", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)", set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_a_change_of_code(old: str, new: str, expected: set[str]) -> None:
    """From source to shifts."""
    sides = [facts_of(CLIP.format(clip=clip)) for clip in (old, new)]
    assert {shown(shift) for shift in shifts.match(*sides)} == expected
