"""The demo's repository is reviewed as `make demo` does it; its judge is tested first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.outcome import GOOD, outcome, placed
from demo.repository import Change, build, changes, head_lines
from trainwarden.entry import cli

HONEST = Change("honest/x")
ACT = Change("act/x", "seed from the clock")
LINES = [("a.py", 20)]


def finding(start: int, end: int, path: str = "a.py", stage: str = "active") -> dict[str, Any]:
    return {"path": path, "start_line": start, "end_line": end, "stage": stage}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (20, 20, True),
        (23, 23, True),
        (17, 17, True),
        (24, 24, False),
        (16, 16, False),
        (6, 40, True),
        (5, 40, False),
    ],
)
def test_placed_counts_twelve_lines_and_three_of_tolerance(start: int, end: int, expected: bool) -> None:
    assert placed(LINES, [finding(start, end)]) is expected


def test_placed_looks_at_the_first_five_active_findings() -> None:
    away = finding(90, 90)
    assert placed(LINES, [away, away, away, away, finding(20, 20)])
    assert not placed(LINES, [away, away, away, away, away, finding(20, 20)])
    assert placed(LINES, [finding(90, 90, stage="trial")] * 5 + [finding(20, 20)])
    assert not placed(LINES, [finding(20, 20, path="b.py")])


@pytest.mark.parametrize(
    ("change", "verdict", "start", "expected"),
    [
        (HONEST, "pass", 20, "quiet"),
        (HONEST, "review", 20, "FALSE ALARM"),
        (HONEST, "error", 20, "ERROR"),
        (ACT, "block", 20, "caught"),
        (ACT, "review", 90, "MISPLACED"),
        (ACT, "pass", 20, "MISSED"),
        (ACT, "error", 20, "ERROR"),
    ],
)
def test_outcome(change: Change, verdict: str, start: int, expected: str) -> None:
    assert outcome(change, LINES, {"verdict": verdict, "findings": [finding(start, start)]}) == expected


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo")
    build(directory)
    return directory


def test_the_demo_replays_the_incident_beside_honest_work() -> None:
    acts = [change for change in changes() if change.act]
    assert len(acts) >= 8
    assert len(changes()) - len(acts) >= 6
    assert all(change.lines for change in acts)
    assert not any(change.lines for change in changes() if not change.act)


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.branch)
def test_the_review_is_right(change: Change, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "scan",
        "--repo",
        str(repository),
        "--base",
        "main",
        "--head",
        change.branch,
        "--format",
        "json",
    ]
    code = cli.main(command)
    report = json.loads(capsys.readouterr().out)
    assert outcome(change, head_lines(repository, change), report) in GOOD, report["reasons"]
    assert code == (1 if report["verdict"] == "block" else 0)
