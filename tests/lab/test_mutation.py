"""Small random edits of real members: both ways exact reverses, honest ones honest, all of them visible."""

from __future__ import annotations

import ast
import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from trainwarden.lab.mutation import Mutation, mutations
from trainwarden.lab.mutation_words import HARMFUL, HONEST, names_of
from trainwarden.lab.reading import statements_of
from trainwarden.lab.tokens import arguments, code_places, operand_end
from trainwarden.model import Unit

FOLDER = Path(__file__).parent / "members"


def members() -> list[list[tuple[int, list[str]]]]:
    found = []
    for file in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(file.read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        found += [statements_of(file.read_text(), file.name, name) for name in names]
    return [one for one in found if len(one) > 2]


MEMBERS = members()


def drawn() -> list[Mutation]:
    rng = random.Random(1)
    return [made for member in MEMBERS for made in islice(mutations(member, rng), 40)]


DRAWN = drawn()


def words(unit: Unit, *tags: str) -> Counter[str]:
    return Counter(text for s in unit.statements if s.edited for text, tag in s.lexemes if tag in tags)


def net(unit: Unit) -> dict[str, int]:
    """By how much each word became more."""
    change = words(unit, "added")
    change.subtract(words(unit, "removed"))
    return {text: count for text, count in change.items() if count}


def test_every_kind_is_drawn_from_real_members() -> None:
    assert len(MEMBERS) > 10
    kinds = {made.kind for made in DRAWN}
    assert {*HARMFUL, "deleted", "swapped", "dedented", "logged", "repeated", "keywords-exchanged"} <= kinds


@pytest.mark.parametrize("kind", sorted({made.kind for made in DRAWN}))
def test_back_is_forward_with_the_sides_exchanged(kind: str) -> None:
    """What goes one way comes the other: nothing but direction tells them apart."""
    for made in (one for one in DRAWN if one.kind == kind):
        forward, backward = (made.unit("a/b.py", "f", way) for way in (True, False))
        if forward is None or backward is None:
            assert forward is backward
            continue
        assert net(forward) == {text: -count for text, count in net(backward).items()}, made
        assert words(forward, "moved") == words(backward, "moved"), made


def test_an_edit_is_seen() -> None:
    shown = [made.unit("a/b.py", "f", True) for made in DRAWN]
    assert sum(unit is None for unit in shown) < len(shown) / 50
    assert all(any(s.edited for s in unit.statements) for unit in shown if unit is not None)


def test_statements_still_read_as_python() -> None:
    """A mutation that no parser takes would teach nothing but syntax."""
    broken = [
        text
        for made in DRAWN
        for slot in made.forward
        if slot.edited and slot.after and (text := " ".join(slot.after)) and not readable(text)
    ]
    assert len(broken) < len(DRAWN) / 25, broken[:5]


def readable(text: str) -> bool:
    if text.startswith("def ("):
        text = text.replace("def", "def f", 1) + ":"
    candidates = (text, f"{text}\n pass", f"if x:\n pass\n{text}\n pass", f"while x:\n {text}", f"{text} 1")
    for candidate in candidates:
        try:
            ast.parse(candidate)
        except SyntaxError:
            continue
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("augmented", "x = x + y", "x += y"),
        ("augmented", "x *= f ( y )", "x = x * f ( y )"),
        ("operands-exchanged", "y = a * b", "y = b * a"),
        ("operands-exchanged", "if a < b :", "if b > a :"),
        ("keywords-exchanged", "f ( a = 1 , b = 2 )", "f ( b = 2 , a = 1 )"),
    ],
)
def test_honest_edits_keep_what_code_means(kind: str, before: str, after: str) -> None:
    statement = tuple(before.split())
    assert HONEST[kind](statement, names_of([statement]), random.Random(0)) == tuple(after.split())


@pytest.mark.parametrize("kind", ["augmented", "operands-exchanged"])
@pytest.mark.parametrize("code", ["x = x - y - z", "y = a - b * c", "y = f ( a ) * b", "x = x + y * z"])
def test_what_does_not_commute_is_left_alone(kind: str, code: str) -> None:
    statement = tuple(code.split())
    for seed in range(8):
        assert HONEST[kind](statement, names_of([statement]), random.Random(seed)) is None


def test_parts_of_a_statement() -> None:
    call = "f ( a , g ( b , c ) , k = [ 1 , 2 ] )".split()
    assert [" ".join(call[a:b]) for a, b in arguments(call, 1)] == ["a", "g ( b , c )", "k = [ 1 , 2 ]"]
    assert operand_end("- x . f ( y ) [ 0 ] + z".split(), 0) == 10
    assert operand_end([")"], 0) == 0
    assert [call[i] for i in code_places("f ( ' in it ' , x )".split())] != []
    assert "it" not in {"f ( ' in it ' , x )".split()[i] for i in code_places("f ( ' in it ' , x )".split())}
