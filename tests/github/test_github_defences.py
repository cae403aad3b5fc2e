"""What `make defences` removes is still where it was; the removals themselves take minutes and are not run here."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from defences import mutated
from defences_declared import DEFENCES, ITEMS, Defence

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)
def test_a_defence_is_where_it_was_and_its_tests_exist(defence: Defence) -> None:
    assert mutated(defence)
    assert defence.tests
    for test in defence.tests:
        file, _, name = test.partition("::")
        text = (TESTS / file).read_text("utf-8")
        assert all(re.search(rf"^ *(?:def|class) {part}\b", text, re.MULTILINE) for part in name.split("::"))


def test_every_attack_of_the_list_is_met_by_two_defences() -> None:
    assert len({defence.name for defence in DEFENCES}) == len(DEFENCES)
    counted = Counter(defence.item for defence in DEFENCES)
    assert set(counted) == set(ITEMS)
    assert min(counted.values()) >= 2
