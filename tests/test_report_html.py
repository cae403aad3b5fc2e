"""The HTML page: self-contained, closed to scripts, and the same structure whatever the change is called."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_sample import HOSTILE_TEXTS, QUIET, RICH, SEED, UNFINISHED, crowded, hostile
from snapshot import check_snapshot
from trainwarden.report.html import render

STYLE = re.compile(r"<style>.*</style>", re.DOTALL)
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "min", "max", "value", "data-name"}


class Structure(HTMLParser):
    """Tags with their attributes, and the text; written apart from the renderer on purpose."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def structure(page: str) -> Structure:
    parsed = Structure(page)
    assert parsed.open == []
    return parsed


@pytest.mark.parametrize("report", [QUIET, RICH, UNFINISHED, crowded(30)])
def test_nothing_is_loaded_and_nothing_runs(report: object) -> None:
    page = render(report)  # type: ignore[arg-type]
    tags = structure(page).tags
    assert {name for _, attributes in tags for name, _ in attributes} <= ATTRIBUTES
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "a", "form", "base"}
    assert not re.search(r"url\(|@import|https?:", page)


def test_the_policy_allows_this_style_sheet_and_nothing_else() -> None:
    page = render(RICH)
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\""
        in page
    )


def test_it_reads_as_agreed() -> None:
    page = STYLE.sub("<style>...</style>", re.sub(r"sha256-[^']+", "sha256-...", render(RICH)))
    check_snapshot("report_rich.html", page)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_hostile_change_cannot_alter_the_structure(text: str) -> None:
    assert structure(render(hostile(text))).tags == structure(render(hostile("x"))).tags


@given(st.text(), st.text())
@settings(max_examples=25)
def test_no_text_can_alter_the_structure(text: str, other: str) -> None:
    page = render(hostile("<" + text, '">' + other))
    assert structure(page).tags == structure(render(hostile("x", "y"))).tags


def test_markup_in_the_change_is_shown_as_text() -> None:
    shown = structure(render(hostile("<script>alert(1)</script>"))).text
    assert shown.count("<script>alert(1)</script>") > 20


def test_beyond_the_first_two_hundred_findings_are_listed() -> None:
    page = render(crowded(230))
    assert page.count("<article") == 200
    assert "and 30 more findings" in page
    assert "src/part_0229.py" in page


def test_evidence_and_fingerprint_are_at_hand() -> None:
    page = render(RICH)
    assert SEED.fingerprint in page and "<dt>sources</dt>" in page
