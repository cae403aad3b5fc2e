"""A report comes in; the words and groupings that all human-readable formats share go out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from trainwarden.model import Coverage, Finding, Report, Tool, Unread, VerdictName
from trainwarden.report.json import plain
from trainwarden.report.visible import clip_path, visible

PATH_LIMIT = 300
"""Longest path shown, in characters; git allows 4,096."""

_SENTENCES: dict[VerdictName, str] = {  # of a pass: see ``sentence``
    "review": "A person should look at this before it is merged.",
    "block": "This should not be merged as it stands.",
    "error": "The review could not be finished. This is not a pass.",
}
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_NAME = 12


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule that are told together, in the report's order."""

    rule: str
    findings: tuple[Finding, ...]

    @property
    def score(self) -> float:
        """The share of the risk that they carry together, 0 to 1."""
        return sum(finding.score for finding in self.findings)


def sentence(report: Report) -> str:
    """What the verdict means for the reader, in one sentence."""
    if report.verdict.name == "pass":
        read = "what was read" if report.coverage.unread else "this change"
        if active(report):
            return f"Nothing in {read} reaches the threshold for a review."
        return f"Nothing in {read} looks like sabotage."
    return _SENTENCES[report.verdict.name]


def counted(number: int, noun: str) -> str:
    """``1 finding``, ``2 findings``, ``1,200 findings``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(score: float) -> str:
    """The share of the risk in whole percent; a little is not nothing."""
    return "<1 %" if 0 < score < 0.005 else f"{round(100 * score)} %"


def span(start: int, end: int) -> str:
    """``41`` or ``41-43``."""
    return str(start) if end <= start else f"{start}-{end}"


def shown_path(path: str) -> str:
    """A path that is safe and short enough to show."""
    return clip_path(visible(path), PATH_LIMIT)


def where(finding: Finding) -> str:
    """``src/train.py:41-43``, with a remark when the lines are those of a deleted file."""
    place = f"{shown_path(finding.path)}:{span(finding.start_line, finding.end_line)}"
    return f"{place} (before)" if finding.side == "base" else place


def shown_value(value: object) -> str:
    """A piece of evidence as text: strings as they are, everything else as JSON; not yet made visible."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)


def unread_place(unread: Unread) -> str:
    """The path, and the lines when only a part was not read."""
    lines = f":{span(*unread.lines)}" if unread.lines else ""
    return shown_path(unread.path) + lines


def active(report: Report) -> tuple[Finding, ...]:
    """Findings that count."""
    return tuple(finding for finding in report.findings if finding.stage == "active")


def trial(report: Report) -> tuple[Finding, ...]:
    """Findings of rules on trial: shown, never counted."""
    return tuple(finding for finding in report.findings if finding.stage == "trial")


def grouped(findings: Iterable[Finding]) -> tuple[Group, ...]:
    """The findings by rule, rules in the order of their first finding."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    return tuple(Group(rule, tuple(members)) for rule, members in groups.items())


def at_one_place(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """The findings that begin at the same line told together, in the order of their first ones.

    The first one of each has the places of all: whoever shows only its source lines shows what the others point to.
    """
    groups: dict[tuple[str, str, int], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.path, finding.side, finding.start_line), []).append(finding)
    return tuple((_with_places_of(first, more), *more) for first, *more in groups.values())


def _with_places_of(first: Finding, more: Iterable[Finding]) -> Finding:
    places = {(place.path, place.side, place.line): place for place in first.places}
    for place in (place for other in more for place in other.places):
        places.setdefault((place.path, place.side, place.line), place)
    return replace(first, places=tuple(places.values()))


def unread_by_reason(coverage: Coverage) -> tuple[tuple[str, tuple[Unread, ...]], ...]:
    """What was not read, the rarest reason first: the odd one out is the one worth looking at."""
    reasons: dict[str, list[Unread]] = {}
    for unread in coverage.unread:
        reasons.setdefault(unread.reason, []).append(unread)
    ordered = sorted(reasons.items(), key=lambda item: (len(item[1]), item[0]))
    return tuple((reason, tuple(items)) for reason, items in ordered)


def read_count(report: Report) -> str:
    """``12 of 14 changed files read``, and a remark when none of them is training code."""
    coverage = report.coverage
    count = f"{coverage.read:,} of {counted(coverage.changed, 'changed file')} read"
    return count if report.training else f"{count}, no training code among them"


def judge(tool: Tool) -> str:
    """Who judged: version, rules and model, shortened."""
    model = f"model {_short(tool.model)}" if tool.model else "no model (rules only)"
    return f"Trainwarden {visible(tool.version)}, rules {_short(tool.rules)}, {model}"


def reproduce(report: Report) -> str | None:
    """The command that runs this review again, or None when git does not keep the change (a patch, files)."""
    base, head, policy = report.revisions.base, report.revisions.head, report.revisions.policy
    if not _OBJECT_NAME.fullmatch(base):
        return None
    if head in ("index", "worktree"):
        chosen = "--staged" if head == "index" else "--worktree"
    elif _OBJECT_NAME.fullmatch(head):
        chosen = f"--base {_short(base)} --head {_short(head)}"
    else:
        return None
    ruled = f" --policy {_short(policy)}" if policy != base and _OBJECT_NAME.fullmatch(policy) else ""
    return f"trainwarden scan {chosen}{ruled}"


def _short(name: str) -> str:
    return visible(name)[:_SHORT_NAME] or "unknown"
