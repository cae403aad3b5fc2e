"""Markdown for comments and summaries: nothing in a change can become mark-up, and it always fits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from report_sample import HOSTILE_TEXTS, QUIET, RICH, SEED, UNFINISHED, crowded, hostile
from snapshot import check_snapshot
from trainwarden.model import Report
from trainwarden.report.commonmark import cell, code, fenced, prose
from trainwarden.report.markdown import FEWEST_BYTES, render

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OUR_HTML = {"<details><summary>before and after</summary>\n", "</details>\n"}
# What GitHub makes of text after parsing: mentions, references, addresses, mathematics, emoji.
LIVE = re.compile(
    r"@\w|#\d|\bgh-\d|https?:|www\.|\$|:\w+:|\b(?=[a-f]*\d)[0-9a-f]{7,40}\b|[\w.]+@[\w.]+", re.IGNORECASE
)
SIGNS = st.sampled_from(
    [*"`*_[]()<>!|\\#@~$:&-+=.\"' \n\t1aZ", "```", "~~~", "\\|", "](", "&lt;", "http://", "@a", "1."]
)
mark_up = st.lists(SIGNS, max_size=25).map("".join)


def inline(text: str) -> list[Token]:
    tokens = PARSER.parse(text)
    assert [token.type for token in tokens] in (["paragraph_open", "inline", "paragraph_close"], [])
    return tokens[1].children or [] if tokens else []


def skeleton(page: str) -> list[str]:
    """The blocks of a page with what is inside them, text and code being one thing."""
    shape = []
    for token in PARSER.parse(page):
        assert token.type != "html_block" or token.content in OUR_HTML, token.content
        kinds = {child.type for child in token.children or ()} - {"text", "code_inline"}
        shape.append(f"{token.type} {token.tag} {token.info} {sorted(kinds)}")
    return shape


def live(page: str) -> list[str]:
    texts = [
        child.content
        for token in PARSER.parse(page)
        for child in token.children or ()
        if child.type == "text"
    ]
    return [text for text in texts if LIVE.search(text)]


def test_plain_words_stay_prose() -> None:
    for text in ("Two runs can no longer be compared.", 'A 2.5 % drop, 1,000 times -> "none" (really)!'):
        assert "`" not in prose(text)
        assert "".join(token.content for token in inline(prose(text))) == text


def test_calls_and_names_become_code() -> None:
    shown = prose("Seed from time.time() now, see a_b and @team.")
    assert shown == "Seed from `time.time()` now, see `a_b` and `@team`."


@pytest.mark.parametrize(
    "word", ["1.<b>", "2)@team", "3.www.example.org", "->[x](y)", "=`", "(@a)", "it's@b.co", "x's_y_"]
)
def test_a_risky_word_is_code_wherever_it_stands(word: str) -> None:
    for sentence in (word, f"It is {word} now.", f"It is {word}"):
        shown = prose(sentence)
        assert "`" in shown
        assert {token.type for token in inline(shown)} <= {"text", "code_inline"}
        assert not live(shown)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=12))
@settings(max_examples=300)
def test_outside_code_only_harmless_signs_are_left(word: str) -> None:
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", prose(f"It is {word} now."))
    assert not set(outside.replace("-&gt;", "")) & set("<>[]{}&*_~#@$|\\`^")


@given(mark_up)
@example("##[")
@settings(max_examples=200)
def test_code_is_shown_to_the_letter(text: str) -> None:
    text = " ".join(text.split()) or "x"
    tokens = inline(code(text))
    assert [token.type for token in tokens] == ["code_inline"]
    # All but what a runner of jobs would obey, should the page be printed to its log.
    assert tokens[0].content == text.replace("##[", "#\\x23[")


@given(mark_up)
@settings(max_examples=200)
def test_prose_holds_nothing_but_text_and_code(text: str) -> None:
    shown = "Before " + prose(text)
    tokens = inline(shown)
    assert {token.type for token in tokens} <= {"text", "code_inline"}
    assert not live(shown)


@given(mark_up)
@settings(max_examples=200)
def test_prose_cannot_start_a_block(text: str) -> None:
    assert {token.type for token in inline(prose(text))} <= {"text", "code_inline"}


@given(mark_up, mark_up)
@settings(max_examples=200)
def test_a_cell_stays_in_its_cell(text: str, other: str) -> None:
    tokens = PARSER.parse(f"| a | b |\n| --- | --- |\n| {cell(text)} | {cell(other)} |\n")
    cells = [token.children or [] for token in tokens if token.type == "inline"][2:]
    assert len(cells) == 2
    assert all({child.type for child in children} <= {"text", "code_inline"} for children in cells)
    shown = "".join(child.content for child in cells[0] if child.type == "code_inline")
    assert shown.replace(" ", "") == text.replace("\n", "\\n").replace("\t", "\\t").replace(" ", "")


def test_a_pipe_behind_a_backslash_is_escaped_once_only() -> None:
    # Parsers disagree about what two backslashes before a pipe mean.
    for text in ("a\\|b", "\\\\|", "|\\", "\\|\\|"):
        assert set(re.findall(r"(\\*)\|", cell(text))) == {"\\"}


@given(st.lists(mark_up.map(lambda text: text.replace("\n", ""))))
@example(["```", "<b>", "````"])
def test_a_fence_holds_what_is_in_it(lines: list[str]) -> None:
    tokens = PARSER.parse("\n".join(fenced(lines)))
    assert [token.type for token in tokens] == ["fence"]


@pytest.mark.parametrize(
    ("name", "report"),
    [("rich", RICH), ("quiet", QUIET), ("unfinished", UNFINISHED), ("crowded", crowded(23))],
)
def test_it_reads_as_agreed(name: str, report: Report) -> None:
    check_snapshot(f"report_{name}.md", render(report))


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_hostile_change_cannot_alter_the_structure(text: str) -> None:
    page = render(hostile(text))
    assert skeleton(page) == skeleton(render(hostile("x")))
    assert not live(page)


@given(mark_up, mark_up)
@settings(max_examples=40, deadline=None)
def test_no_text_can_alter_the_structure(text: str, other: str) -> None:
    page = render(hostile("x" + text, "y" + other))
    assert skeleton(page) == skeleton(render(hostile("x", "y")))
    assert not live(page)


def test_the_checks_see_an_injection() -> None:
    page = render(RICH)
    assert skeleton(page + "\n[x](http://example.org)\n") != skeleton(page)
    assert skeleton(page + "\n- [ ] <b>x</b>\n") != skeleton(page)
    assert live(page + "\n@team\n") and live(page + "\nwww.example.org\n")


def findings_told(page: str) -> int:
    full = len(re.findall(r"^#### [0-9]+\. ", page, re.MULTILINE))
    listed = sum(
        int(count or 1)
        for count in re.findall(r"^- [<0-9]+ %, `[^`]+`(?: \(([0-9]+) times\))?", page, re.MULTILINE)
    )
    left = re.search(r"\*\*([0-9,]+) findings? left out here\*\*", page)
    return full + listed + (int(left[1].replace(",", "")) if left else 0)


@pytest.mark.parametrize("max_bytes", [FEWEST_BYTES, 2_000, 5_000, 20_000, 65_000])
@pytest.mark.parametrize("number", [1, 19, 23, 500])
def test_it_fits_and_every_finding_is_told_or_counted(max_bytes: int, number: int) -> None:
    page = render(crowded(number), max_bytes=max_bytes)
    assert len(page.encode()) <= max_bytes
    assert findings_told(page) == number


@pytest.mark.parametrize("text", ["\U0001f600 `" * 4_000, "a_ b " * 20_000, "\u202e" * 3_000])
@pytest.mark.parametrize("max_bytes", [FEWEST_BYTES, 3_000, 65_000])
def test_long_texts_fit_too(text: str, max_bytes: int) -> None:
    page = render(hostile(text), max_bytes=max_bytes)
    assert len(page.encode()) <= max_bytes
    assert page.startswith("## Trainwarden: review (risk 0.50)\n")


def test_a_cut_keeps_the_weightiest_and_the_coverage() -> None:
    page = render(crowded(40), max_bytes=4_000)
    assert "#### 1. " in page and "left out here" in page and "### Coverage" in page


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        render(QUIET, max_bytes=FEWEST_BYTES - 1)


def test_findings_at_one_line_share_their_source() -> None:
    second = replace(SEED, rule="second-rule", message="the same in other words", fingerprint="0f" * 16)
    page = render(replace(RICH, findings=(SEED, second)))
    assert "Also `second-rule`, " in page and f"(fingerprint `{'0f' * 16}`): the same in other words" in page
    assert "#### 2." not in page and "### 2 findings" in page
