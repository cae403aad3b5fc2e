"""The JSON contract: keys and their order, strict validity, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_sample import HOSTILE_TEXTS, QUIET, RICH, SEED, UNFINISHED, crowded, hostile
from snapshot import check_snapshot
from trainwarden.model import (
    CONFIDENCES,
    SEVERITIES,
    Behaviour,
    Coverage,
    Excerpt,
    Finding,
    Misuse,
    Place,
    Report,
    Revisions,
    Tool,
    Unread,
    Verdict,
)
from trainwarden.report.json import from_dict, render, to_dict

KEYS = [
    "schema",
    "id",
    "tool",
    "change",
    "verdict",
    "risk",
    "reasons",
    "findings",
    "behaviour",
    "coverage",
    "elapsed_ms",
]
FINDING_KEYS = [
    "rule",
    "family",
    "technique",
    "role",
    "severity",
    "confidence",
    "stage",
    "path",
    "side",
    "start_line",
    "end_line",
    "message",
    "places",
    "evidence",
    "fingerprint",
    "score",
]

text = st.text(st.characters(codec=None), max_size=30)
line = st.integers(1, 10**6)
number = st.floats(0, 1)
side = st.sampled_from(["base", "head"])
evidence_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def many(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


places = st.builds(Place, text, line, side, text)
findings = st.builds(
    Finding,
    rule=text,
    family=text,
    technique=many(text),
    role=st.sampled_from(["effect", "trigger", "concealment"]),
    severity=st.sampled_from(SEVERITIES),
    confidence=st.sampled_from(CONFIDENCES),
    stage=st.sampled_from(["active", "trial"]),
    path=text,
    side=side,
    start_line=line,
    end_line=line,
    message=text,
    member=text,
    places=many(places),
    evidence=st.dictionaries(text, evidence_values, max_size=3),
    fingerprint=text,
    evidence_weight=st.floats(-10, 10),
    score=number,
)
reports = st.builds(
    Report,
    id=st.none() | text,
    tool=st.builds(Tool, text, text, st.none() | text),
    revisions=st.builds(Revisions, text, text, text),
    verdict=st.builds(Verdict, st.sampled_from(["pass", "review", "block", "error"]), number, many(text)),
    findings=many(findings),
    behaviour=many(st.builds(Behaviour, text, text, text, st.none() | text, st.none() | text, text, line)),
    coverage=st.builds(
        Coverage, line, line, many(st.builds(Unread, text, st.none() | st.tuples(line, line), text))
    ),
    elapsed_ms=line,
    training=st.booleans(),
    excerpts=many(st.builds(Excerpt, text, side, line, many(text))),
)


def test_the_contract_has_these_keys_in_this_order() -> None:
    tree = json.loads(render(RICH))
    assert list(tree) == KEYS
    assert list(tree["findings"][0]) == FINDING_KEYS
    assert list(tree["findings"][0]["places"][0]) == ["path", "line", "side", "caption"]
    assert list(tree["behaviour"][0]) == ["fact", "scope", "subject", "before", "after", "path", "line"]
    assert tree["coverage"]["unread"][2] == {
        "path": "src/train/main.py",
        "lines": [120, 480],
        "reason": "nesting deeper than 200 levels",
    }
    assert isinstance(tree["elapsed_ms"], int)


def test_the_rich_report_reads_as_agreed() -> None:
    check_snapshot("report_rich.json", render(RICH))


def test_on_one_line_for_json_lines() -> None:
    assert render(crowded(30), indent=None).count("\n") == 1


@given(reports)
@settings(max_examples=60)
def test_private_round_trip_loses_nothing(report: Report) -> None:
    written = json.dumps(to_dict(report, private=True), allow_nan=False).encode("utf-8")
    assert from_dict(json.loads(written)) == report


@given(reports)
@settings(max_examples=40)
def test_any_strict_reader_takes_it_and_the_contract_round_trips(report: Report) -> None:
    rendered = render(report)
    assert rendered.isascii() and "##[" not in rendered
    tree = json.loads(rendered)
    # A lone surrogate anywhere would not encode.
    json.dumps(tree, ensure_ascii=False).encode("utf-8")
    assert to_dict(from_dict(tree)) == tree


def test_a_path_that_is_not_utf8_is_told_and_comes_back() -> None:
    report = hostile("caf\udce9.py", "literal \ufffd{0041} stays")
    tree = json.loads(render(report))
    assert tree["findings"][0]["path"] == "caf\ufffd{dce9}.py"
    assert from_dict(tree).findings[0].path == "caf\udce9.py"
    assert from_dict(tree).findings[0].places[0].caption == "literal \ufffd{0041} stays"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (10**30, hex(10**30)),
        (("a", 1), ["a", 1]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (b"\xff", "b'\\xff'"),
        ({1: None}, {"1": None}),
    ],
)
def test_evidence_of_any_type_becomes_json(value: object, written: object) -> None:
    report = replace(QUIET, findings=(replace(SEED, evidence={"value": value}),))
    assert json.loads(render(report))["findings"][0]["evidence"] == {"value": written}


def test_bottomless_evidence_is_cut() -> None:
    value: list[object] = []
    for _ in range(5_000):
        value = [value]
    report = replace(QUIET, findings=(replace(SEED, evidence={"value": value}),))
    assert json.loads(render(report))["findings"][0]["rule"] == SEED.rule
    with pytest.raises(Misuse, match="too deeply"):
        from_dict({**to_dict(QUIET), "findings": value})


@pytest.mark.parametrize("report", [RICH, QUIET, UNFINISHED, *map(hostile, HOSTILE_TEXTS)])
def test_without_the_private_keys_nothing_private_is_said(report: Report) -> None:
    tree = to_dict(report)
    assert not [key for key in tree if key.startswith("_")]
    assert not [key for finding in json.loads(render(report))["findings"] for key in finding if key[0] == "_"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "trainwarden/report/2"),
        ("verdict", "fine"),
        ("risk", "0.1"),
        ("risk", True),
        ("reasons", "one"),
        ("reasons", [1]),
        ("findings", [{}]),
        ("findings", None),
        ("coverage", []),
        ("elapsed_ms", 1.5),
        ("tool", {"version": 1}),
        ("_excerpts", [{"path": "a", "side": "left", "first": 1, "lines": []}]),
    ],
)
def test_anything_else_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(Misuse, match="report"):
        from_dict({**to_dict(RICH, private=True), key: value})
