"""The case files in ``cases/``: read strictly, every one with a twin, broad enough to measure with, and applicable.

Applying them needs clones of the repositories; name their folder in TRAINWARDEN_MIRRORS.
"""

import os
import string
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from trainwarden.evaluate import casefile, cases
from trainwarden.evaluate.casefile import Bytes, Create, Delete, Insert, Rename, Sub, Undo
from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.evaluate.sample import technique_ids

FOLDER = Path(__file__).parent / "cases"
FILES = sorted(FOLDER.glob("*.yaml"))
MIRRORS = os.environ.get("TRAINWARDEN_MIRRORS", "")
STEALTH = {"blatant": 8, "moderate": 22, "subtle": 24, "evasion": 6}  # at least
FAMILIES = set(string.ascii_uppercase[:14])  # A to N
OTHER_KINDS = 7  # cases that edit no Python at all, at least


def read():
    return [case for file in FILES for case in casefile.parse(file.read_bytes(), file.name)]


CASES = read()


def changed(case, edits):
    """What an edit list does, so that two of them can be compared."""
    return {repr(edit) for edit in edits}


def test_there_are_three_thousand_and_each_has_a_name_of_its_own():
    assert len(CASES) >= 3000
    assert [id for id, times in Counter(case.id for case in CASES).items() if times > 1] == []
    assert all(case.id.startswith(("own-", "tw-")) for case in CASES)


def test_every_case_has_a_twin_that_is_not_the_sabotage():
    assert [case.id for case in CASES if not case.honest] == []
    assert [case.id for case in CASES if changed(case, case.edits) == changed(case, case.honest)] == []


def test_a_twin_stands_at_the_place_of_its_sabotage():
    created = {case.id for case in CASES if any(isinstance(edit, Create) for edit in case.edits)}
    elsewhere = [
        case.id
        for case in CASES
        if {edit.path for edit in case.edits} != {edit.path for edit in case.honest}
        and case.id not in created
    ]
    assert elsewhere == []


def test_all_families_are_covered():
    ids = chain.from_iterable(technique_ids(case.technique) for case in CASES)
    assert {id[0] for id in ids} == FAMILIES


def test_most_are_hard_to_see():
    counts = Counter(case.stealth for case in CASES)
    assert {name: counts[name] for name, least in STEALTH.items() if counts[name] < least} == {}


def test_every_operation_is_used():
    used = {type(edit) for case in CASES for edit in case.edits}
    assert used == {Insert, Sub, Delete, Create, Undo, Rename, Bytes}


def test_many_repositories_and_kinds_of_files():
    assert len({case.repo for case in CASES}) >= 15
    other = [case for case in CASES if not any(edit.path.endswith(".py") for edit in case.edits)]
    assert len(other) >= OTHER_KINDS


def test_about_half_ride_on_an_honest_commit():
    alone = sum(case.alone for case in CASES)
    assert 0.4 <= alone / len(CASES) <= 0.6
    assert [case.id for case in CASES if case.base is not None and not case.alone] == []


def test_addresses_are_reserved_ones():
    """Payloads name only hosts that exist for examples."""
    added = [text for case in CASES for text in added_text(case.edits) if "://" in text]
    assert added and all("example.org" in text for text in added)


def added_text(edits):
    for edit in edits:
        match edit:
            case Insert(text=text) | Create(text=text) | Sub(new=text):
                yield text


@pytest.mark.skipif(not MIRRORS, reason="TRAINWARDEN_MIRRORS does not name a folder of clones")
@pytest.mark.parametrize("repo", sorted({case.repo for case in CASES}))
def test_cases_and_twins_apply(repo):
    """Lines are where the case says, Python still parses, and sabotage and twin differ in what they leave."""
    with Mirrors(Path(MIRRORS)) as mirrors:
        clone = mirrors.clone(repo)
        for case in (case for case in CASES if case.repo == repo):
            parent = clone.parent(case.head)
            sabotaged = cases.apply(case, case.edits, clone, parent)
            twin = cases.apply(case, case.honest, clone, parent)
            assert sabotaged.overlay.files != twin.overlay.files, case.id
            assert all(lines is None or lines for lines in sabotaged.truth.values()), case.id
