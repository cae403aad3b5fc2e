"""GitHub workflow commands: their grammar, and the ten of a kind that a step shows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from report_sample import HOSTILE_TEXTS, QUIET, RICH, SEED, UNFINISHED, crowded, hostile
from snapshot import check_snapshot
from trainwarden.model import Coverage, Report, Unread
from trainwarden.report.annotations import render

# What the runner reads: ActionCommand.TryParseV2 of actions/runner.
COMMAND = re.compile(r"::(error|warning|notice)(?: ([^:]*))?::(.*)")
UNESCAPE = (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))


def parsed(page: str) -> list[tuple[str, dict[str, str], str]]:
    commands = []
    for line in page.splitlines():
        found = COMMAND.fullmatch(line)
        assert found, line
        pairs = (pair.split("=", 1) for pair in (found[2] or "").split(",") if pair)
        commands.append((found[1], {name: unescaped(value) for name, value in pairs}, unescaped(found[3])))
    return commands


def unescaped(value: str) -> str:
    for written, sign in UNESCAPE:
        value = value.replace(written, sign)
    return value


def test_a_pass_is_one_notice() -> None:
    assert parsed(render(QUIET)) == [
        ("notice", {"title": "Trainwarden: pass, risk 0.01"}, "Nothing in this change looks like sabotage.")
    ]


@pytest.mark.parametrize(("name", "report"), [("rich", RICH), ("unfinished", UNFINISHED)])
def test_it_reads_as_agreed(name: str, report: Report) -> None:
    check_snapshot(f"report_{name}.github", render(report))


def test_paths_and_lines_survive_the_escapes() -> None:
    finding = replace(SEED, path="odd, 100%:name=x.py", message="50 % less, 2:1", start_line=3, end_line=7)
    _, properties, text = parsed(render(replace(RICH, findings=(finding,))))[1]
    assert properties["file"] == "odd, 100%:name=x.py"
    assert (properties["line"], properties["endLine"]) == ("3", "7")
    assert text == "50 % less, 2:1"


def test_lines_of_a_deleted_file_are_told_in_words() -> None:
    deleted = parsed(render(RICH))[4]
    assert "file" not in deleted[1]
    assert deleted[2].startswith("tests/test_determinism.py:1-34 (before): ")


@pytest.mark.parametrize("number", [9, 40])
def test_no_more_than_ten_of_a_kind_and_the_rest_is_counted(number: int) -> None:
    unread = tuple(Unread(f"{index}.bin", None, "kind not analysed yet") for index in range(25))
    report = replace(crowded(number), coverage=Coverage(30, 5, unread))
    commands = parsed(render(report))
    assert max(Counter(kind for kind, _, _ in commands).values()) <= 10
    told = len(commands) - 2
    assert commands[-1][2] == f"{number + 25 - told} more are in the full report."


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_the_change_cannot_add_a_command(text: str) -> None:
    commands = parsed(render(hostile(text)))
    benign = parsed(render(hostile("x")))
    assert [(kind, list(properties)) for kind, properties, _ in commands] == [
        (kind, list(properties)) for kind, properties, _ in benign
    ]
