"""SARIF 2.1.0: valid by the schema of the standard, and saying what code scanning needs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from report_sample import HOSTILE_TEXTS, QUIET, RICH, SEED, UNFINISHED, crowded, hostile
from snapshot import check_snapshot
from trainwarden.model import Report
from trainwarden.report.sarif import render, uri

URI = re.compile(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})*")


@cache
def validator() -> Draft202012Validator:
    schema = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def run_of(report: Report) -> dict[str, Any]:
    log = json.loads(render(report))
    assert [error.message for error in validator().iter_errors(log)] == []
    return log["runs"][0]  # type: ignore[no-any-return]


def test_the_schema_refuses_what_is_wrong() -> None:
    log = json.loads(render(RICH))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator().is_valid(log)


@pytest.mark.parametrize("report", [QUIET, RICH, UNFINISHED, crowded(60), *map(hostile, HOSTILE_TEXTS)])
def test_it_is_valid(report: Report) -> None:
    assert len(run_of(report)["results"]) == len(report.findings)


def test_it_reads_as_agreed() -> None:
    texts = {"seed-from-clock": ("Seed taken from the clock", "Why it matters.", "Read `seed`.\nThen ask.")}
    check_snapshot("report_rich.sarif", render(RICH, rule_texts=texts))


def test_levels_ranks_and_fingerprints() -> None:
    results = run_of(RICH)["results"]
    assert [result["level"] for result in results] == ["error", "error", "warning", "note", "note"]
    assert results[0]["rank"] == 46
    assert results[0]["partialFingerprints"] == {"trainwarden/v1": SEED.fingerprint}
    assert results[1]["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 90, "endLine": 90}
    assert results[1]["properties"]["evidence"] == {"fact": "clip.max_norm", "before": 1.0, "after": None}


def test_each_result_points_at_its_rule() -> None:
    run = run_of(crowded(12))
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) == 3
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_the_words_of_a_rule_come_from_the_caller() -> None:
    texts = {SEED.rule: ("Title", "Why", "Help with `code`\nand a second line")}
    rule = json.loads(render(RICH, rule_texts=texts))["runs"][0]["tool"]["driver"]["rules"][0]
    assert rule["shortDescription"]["text"] == "Title"
    assert rule["fullDescription"]["text"] == "Why"
    assert rule["help"]["markdown"] == "Help with `code`\nand a second line"


def test_what_is_on_trial_is_no_security_alert() -> None:
    rules = run_of(RICH)["tool"]["driver"]["rules"]
    assert "security-severity" in rules[0]["properties"]
    assert "security-severity" not in rules[4]["properties"]
    assert "security" not in rules[4]["properties"]["tags"]


@pytest.mark.parametrize(
    ("report", "successful", "notes"), [(QUIET, True, 0), (RICH, True, 3), (UNFINISHED, False, 2)]
)
def test_what_was_not_read_is_notified(report: Report, successful: bool, notes: int) -> None:
    invocation = run_of(report)["invocations"][0]
    assert invocation["executionSuccessful"] is successful
    assert len(invocation["toolExecutionNotifications"]) == notes


def test_part_of_a_file_is_notified_with_its_lines() -> None:
    notification = run_of(RICH)["invocations"][0]["toolExecutionNotifications"][2]
    assert notification["locations"][0]["physicalLocation"]["region"] == {"startLine": 120, "endLine": 480}


def test_a_message_cannot_carry_a_link() -> None:
    finding = replace(SEED, message="see [docs](https://example.org) of x[0]")
    message = run_of(replace(RICH, findings=(finding,)))["results"][0]["message"]["text"]
    assert message == r"see \[docs\](https://example.org) of x\[0\]"


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("src/train.py", "src/train.py"),
        ("a b#c?d%e.py", "a%20b%23c%3Fd%25e.py"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("//example.org/x", "%2F/example.org/x"),
        ("caf\u00e9.py", "caf%C3%A9.py"),
        ("caf\udce9.py", "caf%E9.py"),
    ],
)
def test_paths_become_relative_references(path: str, encoded: str) -> None:
    assert uri(path) == encoded


@given(st.text(st.characters(codec="utf-8"), min_size=1))
@settings(max_examples=50)
def test_the_path_comes_back_from_its_reference(path: str) -> None:
    assert URI.fullmatch(uri(path))
    assert unquote_to_bytes(uri(path)).decode() == path
