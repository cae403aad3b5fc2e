"""A report comes in; a SARIF 2.1.0 log goes out, for code scanning and other collectors of findings.

Specification: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html, and what GitHub reads
of it: https://docs.github.com/code-security/code-scanning (SARIF support).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from trainwarden.model import Finding, Level, Place, Report, Unread
from trainwarden.report import wording
from trainwarden.report.json import dumps, plain
from trainwarden.report.visible import clip, visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RuleTexts = Mapping[str, tuple[str, str, str]]
"""Rule id -> title, why it matters (one paragraph), help (Markdown)."""

_LEVELS: dict[Level, str] = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
# The score GitHub sorts and filters security results by, 0 to 10, in the bands of CVSS 3.1.
_SECURITY: dict[Level, str] = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0"}
_MESSAGE_LIMIT = 4_000
_EMBEDDED_LINK = re.compile(r"\]\s*\(")

Tree = dict[str, object]


def render(report: Report, *, rule_texts: RuleTexts | None = None) -> str:
    """The log as ASCII JSON ending in a newline; ``rule_texts`` fills the help of the rules that fired."""
    rules = list(dict.fromkeys(finding.rule for finding in report.findings))
    log: Tree = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, rules, rule_texts or {})]}
    return dumps(plain(log))


def _run(report: Report, rules: list[str], texts: RuleTexts) -> Tree:
    index = {rule: position for position, rule in enumerate(rules)}
    samples = {finding.rule: finding for finding in reversed(report.findings)}
    driver: Tree = {
        "name": "Trainwarden",
        "version": visible(report.tool.version),
        "rules": [_rule(samples[rule], texts.get(rule)) for rule in rules],
        "notifications": [_NOT_READ, _NOT_FINISHED],
        "properties": {"rules": report.tool.rules, "model": report.tool.model},
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": "trainwarden/"},
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index[finding.rule]) for finding in report.findings],
        "properties": _properties(report),
    }


_NOT_READ: Tree = {
    "id": "not-read",
    "shortDescription": {"text": "Something changed that was not analysed"},
    "defaultConfiguration": {"level": "warning"},
}
_NOT_FINISHED: Tree = {
    "id": "not-finished",
    "shortDescription": {"text": "The review could not be finished"},
    "defaultConfiguration": {"level": "error"},
}


def _properties(report: Report) -> Tree:
    coverage = report.coverage
    return {
        "verdict": report.verdict.name,
        "risk": report.verdict.risk,
        "reasons": [_text(reason) for reason in report.verdict.reasons],
        "base": report.revisions.base,
        "head": report.revisions.head,
        "policy": report.revisions.policy,
        "changed": coverage.changed,
        "read": coverage.read,
        "elapsedMilliseconds": int(report.elapsed_ms),
    }


def _rule(finding: Finding, texts: tuple[str, str, str] | None) -> Tree:
    told = (finding.rule, f"A rule of the family {finding.family}.", f"trainwarden rules show {finding.rule}")
    title, why, help_text = texts or told
    tags = [finding.family, finding.role, *finding.technique]
    properties: Tree = {"precision": finding.confidence, "problem.severity": _problem(finding)}
    if finding.stage == "active":
        tags.insert(0, "security")
        properties["security-severity"] = _SECURITY[finding.severity]
    properties["tags"] = list(dict.fromkeys(visible(tag) for tag in tags))
    return {
        "id": _name(finding.rule),
        "shortDescription": {"text": _text(title)},
        "fullDescription": {"text": _text(why)},
        "help": {"text": _text(help_text), "markdown": _lines(help_text)},
        "defaultConfiguration": {"level": _level(finding)},
        "properties": properties,
    }


def _level(finding: Finding) -> str:
    return "note" if finding.stage == "trial" else _LEVELS[finding.severity]


def _problem(finding: Finding) -> str:
    return {"note": "recommendation"}.get(_level(finding), _level(finding))


def _result(finding: Finding, index: int) -> Tree:
    result: Tree = {
        "ruleId": _name(finding.rule),
        "ruleIndex": index,
        "level": _level(finding),
        "message": {"text": _text(finding.message)},
        "locations": [_location(finding.path, (finding.start_line, finding.end_line), finding.member)],
        "rank": round(min(max(finding.score, 0.0), 1.0) * 100, 4),
        "properties": {
            "family": finding.family,
            "technique": list(finding.technique),
            "role": finding.role,
            "severity": finding.severity,
            "confidence": finding.confidence,
            "stage": finding.stage,
            "side": finding.side,
            "score": finding.score,
            "evidence": dict(finding.evidence),
        },
    }
    if finding.places:
        result["relatedLocations"] = [
            _related(number, place) for number, place in enumerate(finding.places, 1)
        ]
    if finding.fingerprint:
        result["partialFingerprints"] = {"trainwarden/v1": finding.fingerprint}
    return result


def _related(number: int, place: Place) -> Tree:
    caption = f"before: {place.caption}" if place.side == "base" else place.caption
    location = _location(place.path, (place.line, place.line))
    return {"id": number, **location, "message": {"text": _text(caption)}}


def _location(path: str, lines: tuple[int, int] | None, member: str = "") -> Tree:
    physical: Tree = {"artifactLocation": {"uri": uri(path), "uriBaseId": "%SRCROOT%"}}
    if lines:
        start = max(1, lines[0])
        physical["region"] = {"startLine": start, "endLine": max(start, lines[1])}
    location: Tree = {"physicalLocation": physical}
    if member:
        location["logicalLocations"] = [{"fullyQualifiedName": clip(visible(member), 500)}]
    return location


def _invocation(report: Report) -> Tree:
    notifications = [_not_read(unread) for unread in report.coverage.unread]
    finished = report.verdict.name != "error"
    if not finished:
        reasons = " ".join(report.verdict.reasons) or wording.sentence(report)
        notifications.insert(0, _notification("not-finished", "error", reasons))
    return {"executionSuccessful": finished, "toolExecutionNotifications": notifications}


def _not_read(unread: Unread) -> Tree:
    notification = _notification("not-read", "warning", f"Not read: {unread.reason}")
    return {**notification, "locations": [_location(unread.path, unread.lines)]}


def _notification(name: str, level: str, text: str) -> Tree:
    return {"descriptor": {"id": name}, "level": level, "message": {"text": _text(text)}}


def _name(rule: str) -> str:
    return visible(rule) or "unnamed"


def _text(text: str) -> str:
    """A plain-text message: visible, and without the links that SARIF allows even there (3.11.6)."""
    shown = clip(visible(text), _MESSAGE_LIMIT)
    if not _EMBEDDED_LINK.search(shown):
        return shown or "(no text)"
    return re.sub(r"([\\\[\]])", r"\\\1", shown)


def _lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


def uri(path: str) -> str:
    """The repository path as a relative URI reference (RFC 3986), every byte but the unreserved ones encoded.

    Bytes that are not UTF-8 stay themselves; a leading slash is encoded to keep the reference relative.
    """
    try:
        data = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = path.encode("utf-8", "surrogatepass")
    encoded = quote(data, safe="/")
    return "%2F" + encoded[1:] if encoded.startswith("/") else encoded
