"""A report comes in; a page for a terminal goes out: the verdict first, then why, then what was not read.

Everything that stems from the change passes through ``visible``; the only control sequences that can appear
are our own colours. No line starts with ``::``, which a CI runner reading the log would take for a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainwarden.model import Behaviour, Finding, Report
from trainwarden.report import wording
from trainwarden.report.excerpts import Display, Excerpts, Row, View
from trainwarden.report.visible import chunks, clip, visible, width, wrap
from trainwarden.report.wording import Group

NARROWEST = 40
"""Fewer columns than this are treated as this many."""

MOST_FULL = 10
_MOST_ROWS = 15
_MOST_PLACES = 5
_MOST_PATHS = 20
_MOST_CODE_LINES = 4
_MESSAGE_LIMIT = 1_500
_VALUE_LIMIT = 200

_STYLES = {
    "pass": "1;32",
    "review": "1;33",
    "block": "1;31",
    "error": "1;35",
    "title": "1",
    "rule": "1",
    "faint": "2",
    "mark": "33",
}
_SIDES = {"base": "before", "head": "after"}
_COMMAND = re.compile(r"^(\s*):(?=:)")


@dataclass(frozen=True, slots=True)
class Page:
    """How to write: columns, whether colour codes are wanted, whether evidence is."""

    columns: int
    color: bool
    explain: bool

    def paint(self, text: str, style: str) -> str:
        """The text in one of the styles of this module, or as it is."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.color and text else text

    def flow(self, text: str, first: str = "", rest: str | None = None) -> list[str]:
        """Wrapped lines, the first after ``first``, the others after ``rest`` (default: spaces as wide)."""
        rest = " " * len(first) if rest is None else rest
        lines = wrap(text, self.columns - max(len(first), len(rest))) or [""]
        return [f"{first if not index else rest}{line}".rstrip() for index, line in enumerate(lines)]


def render(report: Report, *, width: int = 80, color: bool = False, explain: bool = False) -> str:
    """The page, ending in a newline. ``explain`` adds evidence, and lists what is otherwise counted."""
    page = Page(max(width, NARROWEST), color, explain)
    rooms = (_verdict, _behaviour, _findings, _trial, _coverage, _next)
    sections = (room(page, report) for room in rooms)
    text = "\n\n".join("\n".join(_harmless(line) for line in section) for section in sections if section)
    return text + "\n"


def _harmless(line: str) -> str:
    return _COMMAND.sub(r"\1\\x3a", line)


def _verdict(page: Page, report: Report) -> list[str]:
    name = report.verdict.name
    head = f"{name.upper()}  risk {report.verdict.risk:.2f}  "
    lines = page.flow(wording.sentence(report), head, "  ")
    lines[0] = page.paint(name.upper(), name) + lines[0][len(name) :]
    for reason in report.verdict.reasons:
        lines += page.flow(clip(visible(reason), _MESSAGE_LIMIT), "  - ")
    return lines


def _behaviour(page: Page, report: Report) -> list[str]:
    if not report.behaviour:
        return []
    rows = report.behaviour if page.explain else report.behaviour[:_MOST_ROWS]
    cells = [_behaviour_cells(row) for row in rows]
    sizes = [max(width(cell[column]) for cell in cells) for column in range(3)]
    fits = 2 + sum(sizes) + 2 * 2 <= page.columns
    lines = [page.paint("What the change does to training", "title")]
    for cell in cells:
        lines += [_aligned(cell, sizes)] if fits else _stacked(page, cell)
    return lines + _more(len(report.behaviour) - len(rows), "row")


def _behaviour_cells(row: Behaviour) -> tuple[str, str, str]:
    what = clip(visible(" ".join(filter(None, (row.fact, _owner(row))))), _VALUE_LIMIT)
    values = (clip(visible(value), _VALUE_LIMIT) if value is not None else "absent" for value in _sides(row))
    return what, " -> ".join(values), f"{wording.shown_path(row.path)}:{row.line}"


def _owner(row: Behaviour) -> str:
    owner = "/".join(filter(None, (row.scope, row.subject)))
    return f"({owner})" if owner else ""


def _sides(row: Behaviour) -> tuple[str | None, str | None]:
    return row.before, row.after


def _aligned(cells: tuple[str, str, str], sizes: list[int]) -> str:
    padded = (cell + " " * (size - width(cell)) for cell, size in zip(cells, sizes, strict=True))
    return ("  " + "  ".join(padded)).rstrip()


def _stacked(page: Page, cells: tuple[str, str, str]) -> list[str]:
    what, values, place = cells
    if 2 + width(what) + 2 + width(place) <= page.columns:
        first = [f"  {what}" + " " * (page.columns - 2 - width(what) - width(place)) + place]
    else:
        first = [*page.flow(what, "  "), *page.flow(place, "    ")]
    return first + page.flow(values, "      ")


def _findings(page: Page, report: Report) -> list[str]:
    active = wording.active(report)
    if not active:
        return []
    excerpts = Excerpts(report.excerpts)
    lines = [page.paint(wording.counted(len(active), "finding"), "title")]
    told: dict[str, int] = {}
    for number, (finding, *more) in enumerate(wording.at_one_place(active[:MOST_FULL]), 1):
        lines += ["", *_finding(page, number, finding, told, excerpts.of(finding))]
        for other in more:
            lines += _also(page, number, other, told)
    if active[MOST_FULL:]:
        lines += ["", f"  and {wording.counted(len(active) - MOST_FULL, 'more finding')}:"]
    for group in wording.grouped(active[MOST_FULL:]):
        lines += _group(page, group)
    return lines


def _finding(page: Page, number: int, finding: Finding, told: dict[str, int], shown: Display) -> list[str]:
    head = f"{number:>2}. {wording.share(finding.score):>4}  {visible(finding.rule)}"
    levels = f"  ({finding.severity} {finding.role}, {finding.confidence} confidence)"
    lines = [page.paint(head, "rule") + levels]
    if width(head + levels) > page.columns:
        lines = [page.paint(head, "rule"), f"   {levels}"]
    member = f", in {clip(visible(finding.member), _VALUE_LIMIT)}" if finding.member else ""
    lines += page.flow(wording.where(finding) + member, "    ")
    lines += page.flow(_message(number, finding, told), "    ")
    for view in shown.views:
        lines += _view(page, finding, view)
    lines += _places(page, shown)
    return lines + (_evidence(page, finding) if page.explain else [])


def _also(page: Page, number: int, finding: Finding, told: dict[str, int]) -> list[str]:
    """Another finding at lines that are shown already."""
    rule = f"also {wording.share(finding.score)}  {visible(finding.rule)}: "
    lines = page.flow(rule + _message(number, finding, told), "    ", "      ")
    return lines + (_evidence(page, finding) if page.explain else [])


def _message(number: int, finding: Finding, told: dict[str, int]) -> str:
    first = told.setdefault(finding.message, number)
    if first != number:
        return f"Why: as in finding {first}."
    return clip(visible(finding.message), _MESSAGE_LIMIT)


def _view(page: Page, finding: Finding, view: View) -> list[str]:
    path = "" if view.path == finding.path else f", {wording.shown_path(view.path)}"
    lines = page.flow(f"{_SIDES[view.side]}{path}", "    ")
    lines = [page.paint(line, "faint") for line in lines]
    digits = max(len(str(row.number)) for row in view.rows)
    previous = view.rows[0].number - 1
    for row in view.rows:
        lines += ["      ..."] if row.number > previous + 1 else []
        lines += _row(page, row, digits)
        previous = row.number
    if view.left_out:
        lines.append(f"      ... and {wording.counted(view.left_out, 'line')} more")
    return lines


def _row(page: Page, row: Row, digits: int) -> list[str]:
    gutter = f"    {'>' if row.marked else ' '} {row.number:>{digits}} | "
    blank = " " * (6 + digits) + " | "
    pieces = _pieces(row, page.columns - len(gutter))
    lines = [f"{gutter if not index else blank}{piece}".rstrip() for index, piece in enumerate(pieces)]
    lines = [page.paint(line, "mark") for line in lines] if row.marked else lines
    indent = " " * (len(row.text) - len(row.text.lstrip())) if width(row.text) < page.columns // 2 else ""
    for caption in row.captions:
        lines += page.flow(caption, f"{blank}{indent}^ ", f"{blank}{indent}  ")
    return lines


def _pieces(row: Row, columns: int) -> list[str]:
    """The source line on as many lines as its weight allows, with a count of what is cut."""
    most = _MOST_CODE_LINES if row.marked else 1
    pieces = chunks(row.text, columns)
    if len(pieces) <= most:
        return pieces
    room = len(f" [+{len(row.text):,} characters]")
    kept = [*pieces[: most - 1], chunks("".join(pieces[most - 1 :]), columns - room)[0]]
    return [*kept[:-1], f"{kept[-1]} [+{len(row.text) - sum(map(len, kept)):,} characters]"]


def _places(page: Page, shown: Display) -> list[str]:
    places = shown.places if page.explain else shown.places[:_MOST_PLACES]
    lines: list[str] = []
    for place in places:
        before = " (before)" if place.side == "base" else ""
        text = f"{wording.shown_path(place.path)}:{place.line}{before}: {visible(place.caption)}"
        lines += page.flow(clip(text, _MESSAGE_LIMIT), "    see ")
    return lines + _more(len(shown.places) - len(places), "place", "    ")


def _evidence(page: Page, finding: Finding) -> list[str]:
    lines = page.flow(f"weight {finding.evidence_weight:.2f} nats", "    evidence: ")
    for key, value in finding.evidence.items():
        lines += page.flow(
            clip(visible(f"{key} = {wording.shown_value(value)}"), _MESSAGE_LIMIT), "      ", "        "
        )
    return lines + page.flow(f"fingerprint {visible(finding.fingerprint)}", "      ", "        ")


def _group(page: Page, group: Group) -> list[str]:
    head = f"{wording.share(group.score):>4}  "
    return page.flow(f"{head}{_told_together(page, group)}", "    ", "          ")


def _told_together(page: Page, group: Group) -> str:
    places = [wording.where(finding) for finding in group.findings]
    shown = places if page.explain else places[:_MOST_PLACES]
    times = f" ({len(places):,} times)" if len(places) > 1 else ""
    return f"{visible(group.rule)}{times}: {_listed(shown, len(places))}"


def _listed(shown: Sequence[str], total: int) -> str:
    left = f" and {total - len(shown):,} more" if total > len(shown) else ""
    return ", ".join(shown) + left


def _trial(page: Page, report: Report) -> list[str]:
    groups = wording.grouped(wording.trial(report))
    if not groups:
        return []
    lines = [page.paint("On trial (shown, never counted)", "title")]
    for group in groups:
        why = clip(visible(group.findings[0].message), _MESSAGE_LIMIT)
        lines += page.flow(f"{_told_together(page, group)}: {why}", "  - ")
    return lines


def _coverage(page: Page, report: Report) -> list[str]:
    lines = [page.paint(f"Coverage: {wording.read_count(report)}", "title")]
    lines += ["  Not read:"] if report.coverage.unread else []
    for reason, items in wording.unread_by_reason(report.coverage):
        shown = items if page.explain else items[:_MOST_PATHS]
        places = _listed([wording.unread_place(item) for item in shown], len(items))
        why = clip(visible(reason), _MESSAGE_LIMIT)
        lines += page.flow(
            f"{places}: {why}" if len(items) == 1 else f"{len(items):,} x {why}: {places}", "  - "
        )
    return lines


def _next(page: Page, report: Report) -> list[str]:
    lines: list[str] = []
    again = wording.reproduce(report)
    if report.verdict.name != "pass":
        lines.append(page.paint("What next", "title"))
        for advice in _advice(report):
            lines += page.flow(advice, "  - ")
        # Never wrapped, so that it can be copied.
        lines += ["  - The same review again:", f"      {again}"] if again else []
    tool = f"{wording.judge(report.tool)}, {report.elapsed_ms / 1000:.2f} s"
    return lines + [page.paint(line, "faint") for line in page.flow(tool)]


def _advice(report: Report) -> Iterable[str]:
    if report.verdict.name == "error":
        yield "Remove what stopped the review (see the reasons above) and run it again."
    active = wording.active(report)
    if active:
        yield f"What a rule looks for, with examples: trainwarden rules show {visible(active[0].rule)}"
        yield (
            "Honest after all? Somebody other than an author records a waiver in .trainwarden/waivers.yml on "
            "the protected branch; --format json holds the fingerprints."
        )


def _more(number: int, noun: str, indent: str = "  ") -> list[str]:
    return [f"{indent}and {wording.counted(number, 'more ' + noun)}"] if number > 0 else []
