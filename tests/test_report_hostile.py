"""One promise of every format: what the author of a change writes never acts on the reader's machine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_sample import HOSTILE_TEXTS, RICH, hostile
from trainwarden.model import Report
from trainwarden.report import annotations, html, json, markdown, sarif, text

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text.render,
    "text explained": partial(text.render, explain=True, width=60),
    "markdown": markdown.render,
    "html": html.render,
    "json": json.render,
    "sarif": sarif.render,
    "github": annotations.render,
}
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
RUNNER_V2 = re.compile(r"^\s*::(?!error |warning |notice )", re.MULTILINE)
FRAGMENTS = st.sampled_from(
    [*HOSTILE_TEXTS, "\x1b[31m", "\r", "\n", "\u202e", "\u2067", "::", "##[", "\udc80", "x"]
)
hostile_text = st.lists(FRAGMENTS | st.text(st.characters(codec=None), max_size=8), max_size=6).map("".join)


def acting(page: str) -> set[str]:
    """Characters of a page that are not drawn, or turn the direction of others."""
    return {
        character
        for character in set(page) - {"\n"}
        if unicodedata.category(character) in INVISIBLE or unicodedata.bidirectional(character) in DIRECTIONS
    }


def assert_harmless(page: str, name: str) -> None:
    assert acting(page) == set()
    assert "##[" not in page
    assert page.endswith("\n")
    page.encode("utf-8")
    if name != "github":
        assert not re.search(r"^\s*::", page, re.MULTILINE)
    assert not RUNNER_V2.search(page)


def test_the_check_sees_what_it_looks_for() -> None:
    assert acting("a\x1bb\u202ec\udc80\u200b\n") == {"\x1b", "\u202e", "\udc80", "\u200b"}
    with pytest.raises(AssertionError):
        assert_harmless("  ::stop-commands::x\n", "text")


@pytest.mark.parametrize("name", FORMATS)
def test_the_plain_report_is_harmless(name: str) -> None:
    assert_harmless(FORMATS[name](RICH), name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_known_tricks_do_nothing(name: str, text: str) -> None:
    assert_harmless(FORMATS[name](hostile(text)), name)


@given(hostile_text, hostile_text)
@settings(max_examples=40, deadline=None)
def test_no_text_does_anything(text: str, other: str) -> None:
    for name, render in FORMATS.items():
        assert_harmless(render(hostile(text, other)), name)


@given(hostile_text)
@settings(max_examples=30, deadline=None)
def test_colours_are_the_only_control_sequences(words: str) -> None:
    page = text.render(hostile(words), color=True)
    plain = re.sub(r"\x1b\[(?:[0-9]{1,2}(?:;[0-9]{1,2})?)?m", "", page)
    assert acting(plain) == set()
    assert plain == text.render(hostile(words))
