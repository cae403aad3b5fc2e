"""Marks: what a text hides from a reader's eye, and honest text that hides nothing."""

from __future__ import annotations

import pytest

from trainwarden.marks import marks

QUIET = {
    "plain": "x = f(a)",
    "Greek mathematics": "\u03c3 = \u03bc + 2",
    "Greek index": "\u03bb_max = 3",
    "words in another script": "print('\u043f\u0440\u0438')",
    "a comment in another script": "x = 1  # w\u043erld",
    "aligned comment": "x = 1" + " " * 100 + "# far away",
    "accents": "naïve = 1",
}
TOLD = {
    "bidi": "if access != 'user\u202e \u2066# admin\u2069':",
    "invisible": "is_\u200btrain = True",
    "homoglyph": "wait_\u0441ount = 0",
    "compatibility": "\uff45val(x)",
    "far-right": "x = 1;" + " " * 120 + "import os",
    "suppression": "run(x)  # nosec",
}


@pytest.mark.parametrize("name", QUIET)
def test_honest_lines_have_no_mark(name: str) -> None:
    assert [*marks([QUIET[name]], [1])] == []


@pytest.mark.parametrize("kind", TOLD)
def test_hidden_things_are_told(kind: str) -> None:
    assert [mark.kind for mark in marks(["y = 2", TOLD[kind]], [2])] == [kind]


def test_only_new_lines_are_looked_at() -> None:
    assert [*marks([TOLD["bidi"], "x = 1"], [2])] == []
