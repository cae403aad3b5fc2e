"""What a reader sees is what is there: escapes, widths, cuts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.report.visible import chunks, clip, clip_path, visible, width, wrap

EVIL = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words",
        "caf\u00e9",
        "\u4e2d\u6587",
        "\u0441\u043b\u043e\u0432\u043e",
        "e\u0301",
        "a\\n",
        "# [x]",
        "\u2192 \U0001f600",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\x85\x9b", "\\x85\\x9b"),
        ("x\u202ey\u2066", "x\\u202ey\\u2066"),
        ("a\u200bb\u00adc\ufeff", "a\\u200bb\\xadc\\ufeff"),
        ("caf\udce9", "caf\\udce9"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("tag\U000e0041\ufe0f\u3164", "tag\\U000e0041\\ufe0f\\u3164"),
        ("e" + "\u0301" * 4, "e\u0301\u0301\\u0301\\u0301"),
        ("##[add-path]/tmp", "#\\x23[add-path]/tmp"),
    ],
)
def test_what_hides_or_moves_text_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_invisible_is_left_and_nothing_is_escaped_twice(text: str) -> None:
    shown = visible(text)
    assert not [character for character in shown if unicodedata.category(character) in EVIL]
    assert visible(shown) == shown


@given(st.text(alphabet=st.characters(blacklist_categories=EVIL)), st.integers(2, 30))
def test_chunks_lose_nothing_and_fit(text: str, columns: int) -> None:
    pieces = chunks(text, columns)
    assert "".join(pieces) == text
    assert all(width(piece) <= columns for piece in pieces)


@given(st.text(alphabet="ab \u4e2d"), st.integers(2, 12))
def test_wrapped_lines_fit_and_keep_the_words(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_cuts_say_how_much_is_missing() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("abcdef", 3) == "abc [+3 characters]"
    assert clip_path("src/" + "x" * 400 + "/train.py", 40).endswith("/train.py")
    assert len(clip_path("y" * 4096, 300)) <= 300
