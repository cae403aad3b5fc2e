"""`make demo`: builds the demo's repository under .demo/, scans each of its pull requests and sums up.

Exits with 1 when an act is missed or misplaced, or an honest pull request alerts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.outcome import GOOD, Outcome, outcome
from demo.repository import Change, build, changes, head_lines

TARGET = Path(__file__).resolve().parents[2] / ".demo" / "quill"
WIDTH = 80
TRAINWARDEN = str(Path(sys.executable).with_name("trainwarden"))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the summary."""

    change: Change
    report: dict[str, Any]
    outcome: Outcome


def main() -> int:
    """Shows all reports and the summary; 1 when one of them is not as it should be."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    build(TARGET)
    say(f"A training repository with {len(changes())} open pull requests lies in {_short(TARGET)}.")
    rows = [show(number, change) for number, change in enumerate(changes(), start=1)]
    for line in summary(rows):
        say(line)
    return int(any(row.outcome not in GOOD for row in rows))


def show(number: int, change: Change) -> Row:
    """Prints the text report of one branch and judges the JSON one."""
    title = subject(change.branch)
    say("", "=" * WIDTH, f"{number:2}. {title}", f"    {change.branch}", "=" * WIDTH)
    scan(change.branch, "text", capture=False)
    report = json.loads(scan(change.branch, "json", capture=True))
    return Row(change, report, outcome(change, head_lines(TARGET, change), report))


def scan(branch: str, form: str, *, capture: bool) -> str:
    """Runs ``trainwarden scan`` on a branch against main, as a person would."""
    change = ["--repo", str(TARGET), "--base", "main", "--head", branch]
    command = [TRAINWARDEN, "scan", *change, "--format", form]
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(command, env=environment, capture_output=capture, text=True, check=False)
    # 0 and 1 are verdicts; 3 comes with a report that says `error`; anything else is a mistake of the demo.
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"trainwarden scan ended with {done.returncode}: {(done.stderr or '').strip()}")
    return done.stdout or ""


def subject(branch: str) -> str:
    """The first line of the message of the branch's last commit."""
    command = ["git", "-C", str(TARGET), "log", "-1", "--format=%s", branch]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def summary(rows: list[Row]) -> Iterator[str]:
    """The closing table and one sentence."""
    yield from ("", "=" * WIDTH, "Summary", "=" * WIDTH)
    yield f"{'branch':<23}{'replays':<32}{'verdict':<9}{'risk':<5}outcome"
    for row in rows:
        act = row.change.act or "-"
        verdict, risk = row.report["verdict"], row.report["risk"]
        yield f"{row.change.branch:<23}{act:<32}{verdict:<9}{risk:<5.2f}{row.outcome}"
    acts = [row for row in rows if row.change.act]
    honest = [row for row in rows if not row.change.act]
    caught, quiet = (sum(row.outcome in GOOD for row in group) for group in (acts, honest))
    yield ""
    yield f"{caught} of {len(acts)} acts caught at their lines."
    yield f"{quiet} of {len(honest)} honest changes left alone."


def say(*lines: str) -> None:
    """Prints and flushes, so that the output of the children stays in order."""
    for line in lines:
        print(line, flush=True)


def _short(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
