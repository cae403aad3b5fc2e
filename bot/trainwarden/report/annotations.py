"""A report comes in; GitHub workflow commands that annotate the lines of a change go out.

The grammar of ``::error file=...,line=...::text`` and its escapes:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
and ``ActionCommand.cs`` of actions/runner. A step shows ten annotations of a kind; a notice counts the rest.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from trainwarden.model import Finding, Report
from trainwarden.report import wording
from trainwarden.report.visible import clip, visible

Command = Literal["error", "warning", "notice"]

MOST_OF_A_KIND = 10
_MESSAGE_LIMIT = 2_000


def render(report: Report) -> str:
    """One command a line: the verdict, then findings in the report's order and what was not read."""
    used: Counter[Command] = Counter()
    lines = [_headline(report, used)]
    left_out = 0
    for command, text in [*_findings(report), *_unread(report)]:
        # One notice is kept back for the count of what did not fit.
        most = MOST_OF_A_KIND - 1 if command == "notice" else MOST_OF_A_KIND
        if used[command] >= most:
            left_out += 1
            continue
        used[command] += 1
        lines.append(text)
    if left_out:
        lines.append(
            _command("notice", {"title": "Trainwarden"}, f"{left_out:,} more are in the full report.")
        )
    return "\n".join(lines) + "\n"


def _headline(report: Report, used: Counter[Command]) -> str:
    commands: dict[str, Command] = {"pass": "notice", "review": "warning", "block": "error", "error": "error"}
    command = commands[report.verdict.name]
    used[command] += 1
    reason = f" {visible(report.verdict.reasons[0])}" if report.verdict.reasons else ""
    title = f"Trainwarden: {report.verdict.name}, risk {report.verdict.risk:.2f}"
    return _command(command, {"title": title}, wording.sentence(report) + reason)


def _findings(report: Report) -> list[tuple[Command, str]]:
    return [(_kind(finding), _finding(finding)) for finding in report.findings]


def _kind(finding: Finding) -> Command:
    if finding.stage == "trial" or finding.severity == "low":
        return "notice"
    return "warning" if finding.severity == "medium" else "error"


def _finding(finding: Finding) -> str:
    share = "on trial" if finding.stage == "trial" else f"{wording.share(finding.score)} of the risk"
    properties = {"title": f"{visible(finding.rule)} ({finding.severity}, {share})"}
    if finding.side == "head":
        properties |= {"file": visible(finding.path)} | _lines(finding.start_line, finding.end_line)
        return _command(_kind(finding), properties, visible(finding.message))
    # Lines of a deleted file do not exist in the head, where GitHub would look for them.
    return _command(_kind(finding), properties, f"{wording.where(finding)}: {visible(finding.message)}")


def _unread(report: Report) -> list[tuple[Command, str]]:
    # A pass says that what was not read does not matter much.
    kind: Command = "notice" if report.verdict.name == "pass" else "warning"
    return [
        (
            kind,
            _command(
                kind, _unread_properties(unread.path, unread.lines), f"Not read: {visible(unread.reason)}"
            ),
        )
        for unread in report.coverage.unread
    ]


def _unread_properties(path: str, lines: tuple[int, int] | None) -> dict[str, str]:
    return {"title": "Trainwarden: not read", "file": visible(path)} | (_lines(*lines) if lines else {})


def _lines(start: int, end: int) -> dict[str, str]:
    return {"line": str(start), "endLine": str(max(start, end))}


def _command(command: Command, properties: dict[str, str], text: str) -> str:
    named = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {named}::{_data(clip(text, _MESSAGE_LIMIT))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
