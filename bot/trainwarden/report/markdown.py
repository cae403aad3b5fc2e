"""A report comes in; Markdown for a pull-request comment, check run or step summary goes out.

Whatever stems from the change passes through ``commonmark``. The only HTML is our own ``<details>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainwarden.model import Behaviour, Finding, Report
from trainwarden.report import wording
from trainwarden.report.commonmark import cell, code, fenced, prose
from trainwarden.report.excerpts import Display, Excerpts, View
from trainwarden.report.visible import clip, clip_path, visible
from trainwarden.report.wording import Group

MAX_BYTES = 65_000
"""GitHub refuses 65,536 characters and more in a comment or check-run summary."""

FEWEST_BYTES = 1_000
MOST_FULL = 20
_OPEN = 3
_MOST_PLACES = 8
_MESSAGE_LIMIT = 1_500
_SIDES = {"base": "Before", "head": "After"}


@dataclass(frozen=True, slots=True)
class _Limits:
    """How much goes around the findings: reasons, behaviour rows, unread paths, characters of each."""

    reasons: int
    rows: int
    unread: int
    characters: int


# Tried in this order until the frame leaves room for findings.
_LIMITS = (_Limits(20, 40, 60, 1_000), _Limits(8, 12, 12, 200), _Limits(3, 0, 3, 80), _Limits(0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class _Block:
    """Mark-up that is kept or left out as a whole, and how many findings it tells."""

    text: str
    findings: int


def render(report: Report, *, max_bytes: int = MAX_BYTES) -> str:
    """The Markdown, at most ``max_bytes`` long in UTF-8, cut between findings with a count of those left out.

    Raises ``ValueError`` when ``max_bytes`` is under ``FEWEST_BYTES``.
    """
    if max_bytes < FEWEST_BYTES:
        raise ValueError(f"max_bytes must be at least {FEWEST_BYTES}")
    head, tail = _frame(report, max_bytes)
    room = max_bytes - _size(head) - _size(tail) - 200
    kept: list[str] = []
    left = 0
    for block in _blocks(report):
        # Once one is left out all smaller shares are: the order is what a reader relies on.
        fits = not left and _size(block.text) + 2 <= room
        kept += [block.text] if fits else []
        room -= _size(block.text) + 2 if fits else 0
        left += 0 if fits else block.findings
    cut = [f"**{wording.counted(left, 'finding')} left out here** for lack of room."] if left else []
    return "\n\n".join(filter(None, [head, *kept, *cut, tail])) + "\n"


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _frame(report: Report, max_bytes: int) -> tuple[str, str]:
    head = tail = ""
    for limits in _LIMITS:
        head, tail = _head(report, limits), _tail(report, limits)
        if _size(head) + _size(tail) <= max_bytes // 2:
            break
    return head, tail


def _head(report: Report, limits: _Limits) -> str:
    verdict = report.verdict
    lines = [f"## Trainwarden: {verdict.name} (risk {verdict.risk:.2f})", "", wording.sentence(report)]
    reasons = [f"- {prose(clip(visible(reason), limits.characters))}" for reason in verdict.reasons]
    lines += ["", *_capped(reasons, limits.reasons, "reason")] if reasons else []
    lines += _behaviour(report.behaviour, limits)
    active = len(wording.active(report))
    return "\n".join([*lines, "", f"### {wording.counted(active, 'finding')}"] if active else lines)


def _behaviour(rows: Sequence[Behaviour], limits: _Limits) -> list[str]:
    if not rows or not limits.rows:
        return []
    lines = ["", "### What the change does to training", ""]
    lines += ["| what | where | before | after | line |", "| --- | --- | --- | --- | --- |"]
    lines += [_behaviour_row(row, limits.characters) for row in rows[: limits.rows]]
    left = len(rows) - limits.rows
    return lines + ([f"\nand {wording.counted(left, 'more row')}"] if left > 0 else [])


def _behaviour_row(row: Behaviour, limit: int) -> str:
    owner = "/".join(filter(None, (row.scope, row.subject)))
    sides = (
        "absent" if value is None else cell(clip(visible(value), limit)) for value in (row.before, row.after)
    )
    place = f"{clip_path(wording.shown_path(row.path), limit)}:{row.line}"
    cells = [cell(row.fact), cell(clip(visible(owner), limit)) if owner else "", *sides, cell(place)]
    return f"| {' | '.join(cells)} |"


def _blocks(report: Report) -> list[_Block]:
    active = wording.active(report)
    excerpts = Excerpts(report.excerpts)
    told: dict[str, int] = {}
    blocks = [
        _Block(_finding(number, first, more, told, excerpts.of(first)), 1 + len(more))
        for number, (first, *more) in enumerate(wording.at_one_place(active[:MOST_FULL]), 1)
    ]
    groups = wording.grouped(active[MOST_FULL:])
    return blocks + [_Block(_group(group), len(group.findings)) for group in groups]


def _finding(
    number: int, finding: Finding, more: Sequence[Finding], told: dict[str, int], shown: Display
) -> str:
    member = f", in {code(clip(visible(finding.member), 200))}" if finding.member else ""
    mark = f", fingerprint {code(finding.fingerprint)}" if finding.fingerprint else ""
    lines = [
        f"#### {number}. {code(finding.rule)}: {wording.share(finding.score)} of the risk",
        "",
        f"{finding.severity} {finding.role}, {finding.confidence} confidence, "
        f"at {code(wording.where(finding))}{member}{mark}",
        "",
        _why(number, finding, told),
    ]
    for other in more:
        lines += ["", _also(number, other, told)]
    source = [line for view in shown.views for line in _view(finding, view)]
    if source and number > _OPEN:
        source = ["", "<details><summary>before and after</summary>", *source, "", "</details>"]
    return "\n".join([*lines, *source, *_places(shown)])


def _why(number: int, finding: Finding, told: dict[str, int]) -> str:
    first = told.setdefault(finding.message, number)
    why = finding.message if first == number else f"Why: as in finding {first}."
    return prose(clip(visible(why), _MESSAGE_LIMIT))


def _also(number: int, finding: Finding, told: dict[str, int]) -> str:
    """Another finding at lines that are shown already."""
    mark = f" (fingerprint {code(finding.fingerprint)})" if finding.fingerprint else ""
    why = _why(number, finding, told)
    return f"Also {code(finding.rule)}, {wording.share(finding.score)} of the risk{mark}: {why}"


def _view(finding: Finding, view: View) -> list[str]:
    path = "" if view.path == finding.path else f" {code(wording.shown_path(view.path))}"
    return ["", f"{_SIDES[view.side]}{path}", "", *fenced(_rows(view))]


def _rows(view: View) -> list[str]:
    digits = max(len(str(row.number)) for row in view.rows)
    lines: list[str] = []
    previous = view.rows[0].number - 1
    for row in view.rows:
        lines += ["  ..."] if row.number > previous + 1 else []
        lines.append(f"{'>' if row.marked else ' '} {row.number:>{digits}} | {row.text}".rstrip())
        lines += [f"  {' ' * digits} | ^ {clip(caption, _MESSAGE_LIMIT)}" for caption in row.captions]
        previous = row.number
    return lines + ([f"  ... and {wording.counted(view.left_out, 'line')} more"] if view.left_out else [])


def _places(shown: Display) -> list[str]:
    if not shown.places:
        return []
    lines = []
    for place in shown.places:
        before = " (before)" if place.side == "base" else ""
        spot = code(f"{wording.shown_path(place.path)}:{place.line}")
        lines.append(f"- {spot}{before}: {prose(clip(visible(place.caption), _MESSAGE_LIMIT))}")
    return ["", *_capped(lines, _MOST_PLACES, "place")]


def _group(group: Group) -> str:
    return f"- {wording.share(group.score)}, {_together(group)}"


def _together(group: Group) -> str:
    places = [code(wording.where(finding)) for finding in group.findings[:_MOST_PLACES]]
    left = len(group.findings) - len(places)
    times = f" ({wording.counted(len(group.findings), 'time')})" if len(group.findings) > 1 else ""
    return f"{code(group.rule)}{times}: {', '.join(places)}{f' and {left:,} more' if left else ''}"


def _trial(report: Report, limits: _Limits) -> list[str]:
    groups = wording.grouped(wording.trial(report))
    if not groups or not limits.rows:
        return []
    lines = [
        f"- {_together(group)}: {prose(clip(visible(group.findings[0].message), limits.characters))}"
        for group in groups
    ]
    return ["### On trial (shown, never counted)", "", *_capped(lines, limits.rows, "rule")]


def _tail(report: Report, limits: _Limits) -> str:
    lines = _trial(report, limits)
    lines += ["", f"### Coverage: {wording.read_count(report)}", *_unread(report, limits)]
    again = wording.reproduce(report)
    lines += ["", f"The same review on the command line: {code(again)}"] if again else []
    lines += ["", prose(f"{wording.judge(report.tool)}, {report.elapsed_ms / 1000:.2f} s")]
    return "\n".join(lines).lstrip("\n")


def _unread(report: Report, limits: _Limits) -> list[str]:
    lines = []
    for reason, items in wording.unread_by_reason(report.coverage):
        shown = items[: limits.unread]
        places = [code(clip_path(wording.unread_place(item), limits.characters)) for item in shown]
        left = len(items) - len(places)
        more = f" and {left:,} more" if left else ""
        why = prose(clip(visible(reason), limits.characters))
        listed = f"{', '.join(places)}{more}"
        lines.append(f"- {listed}: {why}" if len(items) == 1 else f"- {len(items):,} x {why}: {listed}")
    return ["", "Not read:", "", *_capped(lines, limits.unread, "reason")] if lines else []


def _capped(lines: list[str], most: int, noun: str) -> list[str]:
    left = len(lines) - most
    return lines if left <= 0 else [*lines[:most], f"- and {wording.counted(left, f'more {noun}')}"]
