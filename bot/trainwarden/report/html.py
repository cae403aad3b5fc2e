"""A report comes in; one self-contained HTML page goes out: no scripts, nothing loaded, nothing unescaped.

The content security policy allows this page's own style sheet (by its hash) and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence

from trainwarden.model import Behaviour, Finding, Place, Report, Unread
from trainwarden.report import wording
from trainwarden.report.excerpts import Display, Excerpts, Row, View
from trainwarden.report.stylesheet import CSS
from trainwarden.report.visible import clip, visible
from trainwarden.report.wording import Group

MOST_FULL = 200
"""Findings told in full; a page of thousands of excerpts helps nobody."""

_MESSAGE_LIMIT = 4_000
_VALUE_LIMIT = 1_000
_SIDES = {"base": "before", "head": "after"}


def render(report: Report) -> str:
    """The page, ending in a newline; it works from a file, by mail, and with scripts off."""
    sections = (_verdict, _behaviour, _findings, _trial, _coverage, _footer)
    body = "\n".join(filter(None, (section(report) for section in sections)))
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Trainwarden: {report.verdict.name}, risk {report.verdict.risk:.2f}</title>
<style>{CSS}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _text(text: str, limit: int = _MESSAGE_LIMIT) -> str:
    """Text from anywhere as HTML text or attribute value."""
    return html.escape(clip(visible(text), limit), quote=True)


def _code(text: str, limit: int = _VALUE_LIMIT) -> str:
    return f"<code>{_text(text, limit)}</code>"


def _list(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{item}</li>\n" for item in items)
    return f"<ul>\n{rows}</ul>" if rows else ""


def _verdict(report: Report) -> str:
    verdict = report.verdict
    change = f"{report.revisions.base[:12]} to {report.revisions.head[:12]}"
    return f"""<header class="card verdict {verdict.name}">
<h1><span class="word">{verdict.name}</span> {_text(wording.sentence(report))}</h1>
<div class="risk"><meter min="0" max="1" value="{verdict.risk:.3f}"></meter> risk {verdict.risk:.2f}</div>
{_list(_text(reason) for reason in verdict.reasons)}
<p class="faint">Change {_code(change)}</p>
</header>"""


def _behaviour(report: Report) -> str:
    if not report.behaviour:
        return ""
    rows = "\n".join(_behaviour_row(row) for row in report.behaviour)
    return f"""<section>
<h2>What the change does to training</h2>
<div class="card scroll"><table>
<thead><tr><th>what</th><th>where</th><th>before</th><th>after</th><th>line</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</section>"""


def _behaviour_row(row: Behaviour) -> str:
    owner = "/".join(filter(None, (row.scope, row.subject)))
    before, after = (
        '<span class="absent">absent</span>' if value is None else _code(value)
        for value in (row.before, row.after)
    )
    place = _code(f"{wording.shown_path(row.path)}:{row.line}")
    return (
        f"<tr><td><strong>{_text(row.fact)}</strong></td><td>{_code(owner)}</td>"
        f'<td data-name="before">{before}</td><td data-name="after">{after}</td><td>{place}</td></tr>'
    )


def _findings(report: Report) -> str:
    active = wording.active(report)
    if not active:
        return ""
    excerpts = Excerpts(report.excerpts)
    told = "\n".join(
        _finding(number, finding, excerpts.of(finding))
        for number, finding in enumerate(active[:MOST_FULL], 1)
    )
    rest = active[MOST_FULL:]
    more = (
        f"<p>and {wording.counted(len(rest), 'more finding')}:</p>{_groups(wording.grouped(rest))}"
        if rest
        else ""
    )
    return f"<section>\n<h2>{wording.counted(len(active), 'finding')}</h2>\n{told}\n{more}</section>"


def _finding(number: int, finding: Finding, shown: Display) -> str:
    member = f", in {_code(finding.member)}" if finding.member else ""
    return f"""<article class="card">
<div class="top"><h3>{number}. {_text(finding.rule)}</h3>
<span class="share">{html.escape(wording.share(finding.score))} of the risk</span></div>
<p><span class="tag {finding.severity}">{finding.severity} {finding.role}</span>
<span class="tag">{finding.confidence} confidence</span> {_code(wording.where(finding))}{member}</p>
<p>{_text(finding.message)}</p>
{_views(finding, shown.views)}
{_list(_place(place) for place in shown.places)}
{_evidence(finding)}
</article>"""


def _views(finding: Finding, views: Sequence[View]) -> str:
    if not views:
        return ""
    renamed = any(view.path != finding.path for view in views)
    figures = "\n".join(_view(view, renamed) for view in views)
    sides = [view.side for view in views]
    pair = " pair" if sides == ["base", "head"] else ""
    return f'<div class="views{pair}">\n{figures}\n</div>'


def _view(view: View, named: bool) -> str:
    path = f" {_code(wording.shown_path(view.path))}" if named else ""
    lines: list[str] = []
    previous = view.rows[0].number - 1
    for row in view.rows:
        lines += [_gap()] if row.number > previous + 1 else []
        lines.append(_row(row))
        previous = row.number
    if view.left_out:
        lines.append(_gap(f" and {wording.counted(view.left_out, 'line')} more"))
    rows = "\n".join(lines)
    return (
        f'<figure class="{view.side}"><figcaption>{_SIDES[view.side]}{path}</figcaption>\n'
        f'<div class="lines">\n{rows}\n</div></figure>'
    )


def _row(row: Row) -> str:
    marked = " marked" if row.marked else ""
    captions = "".join(f'<span class="caption">{_text(caption)}</span>' for caption in row.captions)
    return (
        f'<div class="row{marked}"><span class="number">{row.number}</span>'
        f'<span class="text">{_text(row.text)}</span>{captions}</div>'
    )


def _gap(text: str = "") -> str:
    return f'<div class="row"><span class="number">...</span><span class="caption">{text}</span></div>'


def _place(place: Place) -> str:
    before = " (before)" if place.side == "base" else ""
    return f"{_code(f'{wording.shown_path(place.path)}:{place.line}')}{before}: {_text(place.caption)}"


def _evidence(finding: Finding) -> str:
    pairs: list[tuple[str, object]] = [("weight", f"{finding.evidence_weight:.2f} nats")]
    pairs += [*finding.evidence.items(), ("techniques", ", ".join(finding.technique))]
    pairs += [("fingerprint", finding.fingerprint)]
    rows = "\n".join(
        f"<dt>{_text(str(key), 200)}</dt><dd>{_code(wording.shown_value(value))}</dd>" for key, value in pairs
    )
    return f'<details class="evidence"><summary>Evidence</summary>\n<dl>\n{rows}\n</dl></details>'


def _groups(groups: Iterable[Group]) -> str:
    return _list(f"{html.escape(wording.share(group.score))}, {_together(group)}" for group in groups)


def _together(group: Group) -> str:
    return f"{_text(group.rule)}: {', '.join(_code(wording.where(finding)) for finding in group.findings)}"


def _trial(report: Report) -> str:
    groups = wording.grouped(wording.trial(report))
    if not groups:
        return ""
    items = _list(f"{_together(group)}: {_text(group.findings[0].message)}" for group in groups)
    return f"<section>\n<h2>On trial (shown, never counted)</h2>\n{items}\n</section>"


def _coverage(report: Report) -> str:
    reasons = wording.unread_by_reason(report.coverage)
    unread = _list(_unread(reason, items) for reason, items in reasons)
    heading = f"Coverage: {wording.read_count(report)}"
    return f"<section>\n<h2>{heading}</h2>\n{'<p>Not read:</p>' if unread else ''}{unread}\n</section>"


def _unread(reason: str, items: Sequence[Unread]) -> str:
    places = ", ".join(_code(wording.unread_place(item)) for item in items)
    return f"{places}: {_text(reason)}" if len(items) == 1 else f"{len(items):,} x {_text(reason)}: {places}"


def _footer(report: Report) -> str:
    again = wording.reproduce(report)
    command = f"<p>The same review on the command line: {_code(again)}</p>\n" if again else ""
    tool = _text(f"{wording.judge(report.tool)}, {report.elapsed_ms / 1000:.2f} s")
    return f'<footer class="faint">\n{command}<p>{tool}</p>\n</footer>'
