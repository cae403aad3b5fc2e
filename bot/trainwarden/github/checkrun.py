"""What is said about a head: readings of its pull requests in, the contents of one check run out. Pure.

Everything that stems from the change passes through ``report.commonmark`` or ``report.visible``; titles are
fixed words and numbers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainwarden.github.ledger import Approval
from trainwarden.github.settings import Mode, Secret
from trainwarden.model import SEVERITIES, Finding, Report, Unread
from trainwarden.report import markdown, wording
from trainwarden.report.commonmark import code, prose
from trainwarden.report.visible import clip, visible

Conclusion = Literal["success", "neutral", "action_required", "failure", "cancelled"]
Standing = Literal["pass", "approved", "review", "block", "error"]

BATCH = 50
MOST_ANNOTATIONS = 4 * BATCH
SUMMARY_BYTES = 60_000
_MESSAGE = 4_000
_TITLE = 200
_ORDER: tuple[Conclusion, ...] = ("success", "neutral", "action_required", "failure")
_WEIGHT: tuple[Standing, ...] = ("pass", "approved", "review", "block", "error")
# ``observe`` never colours anything. ``advise`` shows red for what would be blocked but asks nobody;
# ``enforce`` also holds back what a person has to look at.
_CONCLUSIONS: dict[Mode, dict[Standing, Conclusion]] = {
    "observe": dict.fromkeys(_WEIGHT, "neutral"),
    "advise": {
        "pass": "success",
        "approved": "success",
        "review": "neutral",
        "block": "failure",
        "error": "failure",
    },
    "enforce": {
        "pass": "success",
        "approved": "success",
        "review": "action_required",
        "block": "failure",
        "error": "failure",
    },
}
ACTIONS = [
    {"label": "Review again", "description": "Run this review once more", "identifier": "rerun"},
    {
        "label": "Approve this head",
        "description": "Security team only, this head only",
        "identifier": "approve",
    },
]


@dataclass(frozen=True, slots=True)
class Reading:
    """One pull request's (or merge group's, ``number`` 0) view of a head: the report and what people said."""

    number: int
    base_ref: str
    mode: Mode
    report: Report
    key: str
    approvals: tuple[Approval, ...] = ()
    sampled: bool = False

    @property
    def standing(self) -> Standing:
        """The verdict after approvals and the audit sample. An ``error`` cannot be approved away."""
        name = self.report.verdict.name
        if name == "error" or (name == "pass" and not self.sampled):
            return name
        if self._approved():
            return "approved"
        return "review" if name == "pass" else name

    def _approved(self) -> bool:
        """Everything was approved: this reading of the head as a whole, or each active finding."""
        words = {approval.fingerprint for approval in self.approvals}
        if whole(self.key) in words:
            return True
        active = [f for f in self.report.findings if f.stage == "active"]
        return not self.sampled and bool(active) and all(f.fingerprint in words for f in active)

    @property
    def conclusion(self) -> Conclusion:
        """What this reading alone would make of the check."""
        return _CONCLUSIONS[self.mode][self.standing]


@dataclass(frozen=True, slots=True)
class Said:
    """A finished check run: the body to send, and the annotations, most severe first, not yet cut."""

    conclusion: Conclusion
    standing: Standing
    title: str
    summary: str
    annotations: tuple[dict[str, Any], ...]
    key: str


def whole(key: str) -> str:
    """The fingerprint of an approval of one whole reading: this head against this base under this policy."""
    return f"reading:{key}"


def compose(readings: Sequence[Reading]) -> Said:
    """One check for a head from every open pull request that has it: the worst of them speaks."""
    ranked = sorted(readings, key=_rank, reverse=True)
    worst = ranked[0]
    annotations = _annotations(worst.report)
    left = len(annotations) - MOST_ANNOTATIONS
    return Said(
        conclusion=worst.conclusion,
        standing=worst.standing,
        title=_title(worst),
        summary=_summary(ranked, left),
        annotations=annotations[:MOST_ANNOTATIONS],
        key=digest(readings),
    )


def digest(readings: Sequence[Reading]) -> str:
    """Everything a conclusion is drawn from, as one name."""
    parts = [
        f"{r.number} {r.mode} {r.key} {r.sampled} {sorted((a.fingerprint, a.login) for a in r.approvals)}"
        for r in sorted(readings, key=lambda r: r.number)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sampled(report: Report, rate: float, key: Secret, identity: str) -> bool:
    """Whether a passing training change is drawn for human review, by a keyed hash nobody can predict."""
    if not rate or report.verdict.name != "pass" or not report.training:
        return False
    drawn = hmac.new(key.reveal().encode(), identity.encode(), hashlib.sha256).digest()
    return int.from_bytes(drawn[:8], "big") < rate * 2**64


def _rank(reading: Reading) -> tuple[int, int, float]:
    verdict = reading.report.verdict
    return _ORDER.index(reading.conclusion), _WEIGHT.index(reading.standing), verdict.risk


def _title(reading: Reading) -> str:
    verdict, standing = reading.report.verdict, reading.standing
    count = wording.counted(len(wording.active(reading.report)), "finding")
    if standing == "error":
        return "Could not finish the review"
    if standing == "approved":
        return f"Approved by a person ({verdict.name}, risk {verdict.risk:.2f}, {count})"
    if reading.sampled:
        return "Drawn for review by a person (nothing found)"
    return f"{standing}: risk {verdict.risk:.2f}, {count}"


def _summary(ranked: Sequence[Reading], left: int) -> str:
    worst = ranked[0]
    parts = [f"Mode `{worst.mode}`{_MODE_WORDS[worst.mode]}"]
    if worst.sampled and worst.standing == "review":
        parts.append("Nothing was found. This change was drawn by lot for a person of the security team.")
    parts += [_approval(approval) for approval in worst.approvals]
    if len(ranked) > 1:
        views = [f"- #{r.number} onto {code(r.base_ref)}: {r.standing}" for r in ranked]
        parts.append("This head is in several open pull requests; the worst outcome counts:")
        parts.append("\n".join(views))
    if left > 0:
        parts.append(f"{wording.counted(left, 'annotation')} did not fit; the most severe are shown.")
    if worst.standing in ("review", "block"):
        parts.append(_how(worst.report.revisions.head))
    frame = "\n\n".join(parts)
    room = max(2_000, SUMMARY_BYTES - len(frame.encode()))
    return f"{frame}\n\n{markdown.render(worst.report, max_bytes=room)}"


_MODE_WORDS: dict[Mode, str] = {
    "observe": ": nothing fails.",
    "advise": ": what would be blocked shows as failed.",
    "enforce": ": the change is held back until it passes or is approved.",
}


def _approval(approval: Approval) -> str:
    what = "this head" if approval.fingerprint.startswith("reading:") else code(approval.fingerprint)
    return f"Approved by {code(approval.login)}: {what}, because {prose(clip(approval.reason, 300))}"


def _how(head: str) -> str:
    return (
        "A member of the security team who had no part in the change may answer "
        "`/trainwarden approve <fingerprint> <reason>` for one finding, or "
        f"`/trainwarden approve {head[:12]} <reason>` for this head. An approval counts for this head only."
    )


def _annotations(report: Report) -> tuple[dict[str, Any], ...]:
    order = sorted(report.findings, key=_urgency)
    return tuple([_finding(f) for f in order] + [_unread(u) for u in report.coverage.unread])


def _urgency(finding: Finding) -> tuple[bool, int, float]:
    return finding.stage != "active", -SEVERITIES.index(finding.severity), -finding.score


def _finding(finding: Finding) -> dict[str, Any]:
    level = "notice" if finding.stage == "trial" or finding.severity == "low" else "warning"
    if finding.severity in ("high", "critical") and finding.stage == "active":
        level = "failure"
    places = [f"{visible(p.path)}:{p.line} ({p.side}): {visible(p.caption)}" for p in finding.places]
    start = max(1, finding.start_line)
    annotation = {
        "path": visible(finding.path),
        "start_line": start,
        "end_line": max(start, finding.end_line),
        "annotation_level": level,
        "title": clip(visible(f"{finding.rule} ({finding.severity})"), _TITLE),
        "message": clip(visible(finding.message), _MESSAGE) or "No words.",
    }
    return annotation | ({"raw_details": clip("\n".join(places), _MESSAGE)} if places else {})


def _unread(unread: Unread) -> dict[str, Any]:
    start, end = unread.lines or (1, 1)
    return {
        "path": visible(unread.path),
        "start_line": max(1, start),
        "end_line": max(1, start, end),
        "annotation_level": "warning",
        "title": "Not read",
        "message": clip(visible(unread.reason), _MESSAGE) or "No reason given.",
    }
