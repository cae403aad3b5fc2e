"""What `make defences` removes is still where it was; the removals themselves take minutes and are not run here."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from defences import mutated
from defences_declared import DEFENCES, ITEMS, Defence

TESTS = Path(__file__).resolve().parents[1]


@cache
def collected(file: str) -> frozenset[str]:
    """The tests of a file, and the methods of its classes, as pytest would name them."""
    found = set()
    for node in ast.parse((TESTS / file).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"{file}::{node.name}")
        elif isinstance(node, ast.ClassDef):
            found |= {f"{file}::{node.name}::{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)
def test_a_defence_is_where_it_was_and_its_tests_exist(defence: Defence) -> None:
    assert mutated(defence)
    assert defence.tests
    for test in defence.tests:
        assert test in collected(test.partition("::")[0])


def test_every_attack_of_the_list_is_met_by_two_defences() -> None:
    assert len({defence.name for defence in DEFENCES}) == len(DEFENCES)
    counted = Counter(defence.item for defence in DEFENCES)
    assert set(counted) == set(ITEMS)
    assert min(counted.values()) >= 2
