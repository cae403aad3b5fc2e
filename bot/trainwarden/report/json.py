"""A report comes in; the JSON contract ``trainwarden/report/1`` goes out, and back.

Not every JSON reader takes a lone surrogate (a byte of a path that is not UTF-8, or one in a source literal).
It is written as U+FFFD followed by its four hexadecimal digits in braces: the byte E9 of a Latin-1 path, in
Python U+DCE9, becomes ``U+FFFD {dce9}`` without the space. ``from_dict`` turns it back, so nothing is lost;
U+FFFD in the change itself followed by such braces is written ``U+FFFD {fffd}`` for the same reason.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Never, TypeVar

from trainwarden.model import (
    CONFIDENCES,
    SEVERITIES,
    Behaviour,
    Coverage,
    Excerpt,
    Finding,
    Misuse,
    Place,
    Report,
    Revisions,
    Role,
    Side,
    Stage,
    Tool,
    Unread,
    Usage,
    Verdict,
    VerdictName,
)

SCHEMA = "trainwarden/report/1"

_VERDICTS: tuple[VerdictName, ...] = ("pass", "review", "block", "error")
_ROLES: tuple[Role, ...] = ("effect", "trigger", "concealment")
_STAGES: tuple[Stage, ...] = ("active", "trial")
_SIDES: tuple[Side, ...] = ("base", "head")
_SURROGATE = re.compile("[\ud800-\udfff]|\ufffd(?=\\{[0-9a-f]{4}\\})")
_WRITTEN_SURROGATE = re.compile("\ufffd\\{([0-9a-f]{4})\\}")
_USAGE = ("offered", "units", "cached", "calls", "failed", "tokens_in", "tokens_out")
_DEEPEST = 20

T = TypeVar("T", bound=str)


def render(report: Report, *, indent: int | None = 2) -> str:
    """The report as ASCII JSON ending in a newline; ``indent=None`` puts it on one line (for JSON lines)."""
    return dumps(to_dict(report), indent)


def dumps(tree: object, indent: int | None = 2) -> str:
    """ASCII JSON with a final newline that no build log takes for a command.

    Runners obey ``##[command]`` anywhere in a line; written with an escape, it is the same value.
    """
    text = json.dumps(tree, indent=indent, ensure_ascii=True, allow_nan=False)
    return text.replace("##[", "#\\u0023[") + "\n"


def to_dict(report: Report, private: bool = False) -> dict[str, object]:
    """The contract as plain data with its keys in order.

    ``private`` adds what only our own processes exchange (keys with an underscore): excerpts, whether
    training code was touched, and the member and weight of each finding.
    """
    tree: dict[str, object] = {
        "schema": SCHEMA,
        "id": report.id,
        "tool": {"version": report.tool.version, "rules": report.tool.rules, "model": report.tool.model},
        "change": _change(report.revisions),
        "verdict": report.verdict.name,
        "risk": report.verdict.risk,
        "reasons": list(report.verdict.reasons),
        "findings": [_finding(finding, private) for finding in report.findings],
        "behaviour": [_behaviour(row) for row in report.behaviour],
        "coverage": _coverage(report.coverage),
        "elapsed_ms": int(report.elapsed_ms),
    }
    if private:
        tree["_training"] = report.training
        tree["_usage"] = dataclasses.asdict(report.usage) if report.usage is not None else None
        tree["_excerpts"] = [_excerpt(excerpt) for excerpt in report.excerpts]
    return {key: plain(value) for key, value in tree.items()}


def _change(revisions: Revisions) -> dict[str, object]:
    return {"base": revisions.base, "head": revisions.head, "policy": revisions.policy}


def _finding(finding: Finding, private: bool) -> dict[str, object]:
    tree: dict[str, object] = {
        "rule": finding.rule,
        "family": finding.family,
        "technique": list(finding.technique),
        "role": finding.role,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "stage": finding.stage,
        "path": finding.path,
        "side": finding.side,
        "start_line": finding.start_line,
        "end_line": finding.end_line,
        "message": finding.message,
        "places": [_place(place) for place in finding.places],
        "evidence": dict(finding.evidence),
        "fingerprint": finding.fingerprint,
        "score": finding.score,
    }
    if private:
        tree |= {"_member": finding.member, "_weight": finding.evidence_weight}
    return tree


def _place(place: Place) -> dict[str, object]:
    return {"path": place.path, "line": place.line, "side": place.side, "caption": place.caption}


def _behaviour(row: Behaviour) -> dict[str, object]:
    return {
        "fact": row.fact,
        "scope": row.scope,
        "subject": row.subject,
        "before": row.before,
        "after": row.after,
        "path": row.path,
        "line": row.line,
    }


def _coverage(coverage: Coverage) -> dict[str, object]:
    unread = [
        {"path": item.path, "lines": list(item.lines) if item.lines else None, "reason": item.reason}
        for item in coverage.unread
    ]
    return {"changed": coverage.changed, "read": coverage.read, "unread": unread}


def _excerpt(excerpt: Excerpt) -> dict[str, object]:
    return {
        "path": excerpt.path,
        "side": excerpt.side,
        "first": excerpt.first,
        "lines": list(excerpt.lines),
    }


def plain(value: object, depth: int = 0) -> object:
    """The value in types JSON has, whatever a rule put into its evidence.

    Lone surrogates are written as the module says; numbers JSON cannot hold become text (integers beyond 64
    bits as hexadecimal), sets sorted lists, anything else its ``str``; 20 levels down only ``...`` is left.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 64 else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (Mapping, set, frozenset, list, tuple)) and depth == _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {_written(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    return _written(value if isinstance(value, str) else str(value))


def _written(text: str) -> str:
    return _SURROGATE.sub(lambda found: f"\ufffd{{{ord(found.group()):04x}}}", text)


def _restored(value: object, depth: int = 0) -> object:
    if isinstance(value, str):
        return _WRITTEN_SURROGATE.sub(lambda found: chr(int(found.group(1), 16)), value)
    if depth > 2 * _DEEPEST:
        raise Misuse("report: nested too deeply")
    if isinstance(value, Mapping):
        return {_restored(key): _restored(item, depth + 1) for key, item in value.items()}
    return [_restored(item, depth + 1) for item in value] if isinstance(value, list) else value


def from_dict(data: Mapping[str, object]) -> Report:
    """The report that ``to_dict`` wrote, with or without private keys. Raises ``Misuse`` on anything else."""
    fields = _Fields(_restored(data), "report")
    if fields.get("schema") != SCHEMA:
        raise Misuse(f"not a report of schema {SCHEMA}")
    tool, change = fields.inner("tool"), fields.inner("change")
    return Report(
        id=fields.optional_text("id"),
        tool=Tool(tool.text("version"), tool.text("rules"), tool.optional_text("model")),
        revisions=Revisions(change.text("base"), change.text("head"), change.text("policy")),
        verdict=Verdict(fields.one_of("verdict", _VERDICTS), fields.number("risk"), fields.texts("reasons")),
        findings=tuple(_read_finding(item) for item in fields.each("findings")),
        behaviour=tuple(_read_behaviour(item) for item in fields.each("behaviour")),
        coverage=_read_coverage(fields.inner("coverage")),
        elapsed_ms=fields.count("elapsed_ms"),
        training=fields.get("_training") is True,
        excerpts=tuple(_read_excerpt(item) for item in fields.each("_excerpts", required=False)),
        usage=_read_usage(fields.inner("_usage")) if fields.get("_usage") is not None else None,
    )


class _Fields:
    """A JSON object read with types: getters raise ``Misuse`` naming the key that is missing or wrong."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, Mapping):
            raise Misuse(f"report: {name} is not an object")
        self._values: Mapping[object, object] = value
        self._name = name

    def get(self, key: str) -> object:
        return self._values.get(key)

    def text(self, key: str) -> str:
        value = self.get(key)
        return value if isinstance(value, str) else self._refuse(key)

    def optional_text(self, key: str) -> str | None:
        return None if self.get(key) is None else self.text(key)

    def number(self, key: str) -> float:
        value = self.get(key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if fits else self._refuse(key)  # type: ignore[arg-type]

    def count(self, key: str) -> int:
        value = self.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else self._refuse(key)

    def one_of(self, key: str, allowed: tuple[T, ...]) -> T:
        found = next((name for name in allowed if name == self.get(key)), None)
        return found if found is not None else self._refuse(key)

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._list(key)
        return tuple(item if isinstance(item, str) else self._refuse(key) for item in items)

    def numbers(self, key: str) -> tuple[float, ...]:
        items = self._list(key)
        return tuple(float(item) if isinstance(item, float) else self._refuse(key) for item in items)

    def inner(self, key: str) -> _Fields:
        return _Fields(self.get(key), f"{self._name}.{key}")

    def each(self, key: str, required: bool = True) -> Iterator[_Fields]:
        if required or key in self._values:
            yield from (_Fields(item, f"{self._name}.{key}") for item in self._list(key))

    def mapping(self, key: str) -> dict[str, object]:
        return {str(name): value for name, value in self.inner(key)._values.items()}

    def lines(self, key: str) -> tuple[int, int] | None:
        if self.get(key) is None:
            return None
        first, last = self._list(key) if len(self._list(key)) == 2 else self._refuse(key)
        return (first, last) if isinstance(first, int) and isinstance(last, int) else self._refuse(key)

    def _list(self, key: str) -> list[object]:
        value = self.get(key)
        return value if isinstance(value, list) else self._refuse(key)

    def _refuse(self, key: str) -> Never:
        raise Misuse(f"report: {self._name}.{key} is missing or of the wrong type")


def _read_finding(fields: _Fields) -> Finding:
    private = fields.get("_weight") is not None
    return Finding(
        rule=fields.text("rule"),
        family=fields.text("family"),
        technique=fields.texts("technique"),
        role=fields.one_of("role", _ROLES),
        severity=fields.one_of("severity", SEVERITIES),
        confidence=fields.one_of("confidence", CONFIDENCES),
        stage=fields.one_of("stage", _STAGES),
        path=fields.text("path"),
        side=fields.one_of("side", _SIDES),
        start_line=fields.count("start_line"),
        end_line=fields.count("end_line"),
        message=fields.text("message"),
        member=fields.text("_member") if private else "",
        places=tuple(_read_place(item) for item in fields.each("places")),
        evidence=fields.mapping("evidence"),
        fingerprint=fields.text("fingerprint"),
        evidence_weight=fields.number("_weight") if private else 0.0,
        score=fields.number("score"),
    )


def _read_place(fields: _Fields) -> Place:
    side = fields.one_of("side", _SIDES)
    return Place(fields.text("path"), fields.count("line"), side, fields.text("caption"))


def _read_behaviour(fields: _Fields) -> Behaviour:
    return Behaviour(
        fact=fields.text("fact"),
        scope=fields.text("scope"),
        subject=fields.text("subject"),
        before=fields.optional_text("before"),
        after=fields.optional_text("after"),
        path=fields.text("path"),
        line=fields.count("line"),
    )


def _read_coverage(fields: _Fields) -> Coverage:
    unread = tuple(
        Unread(item.text("path"), item.lines("lines"), item.text("reason")) for item in fields.each("unread")
    )
    return Coverage(fields.count("changed"), fields.count("read"), unread)


def _read_usage(fields: _Fields) -> Usage:
    counts = {name: fields.count(name) for name in _USAGE}
    return Usage(**counts, money=fields.number("money"), latencies=fields.numbers("latencies"))


def _read_excerpt(fields: _Fields) -> Excerpt:
    side = fields.one_of("side", _SIDES)
    return Excerpt(fields.text("path"), side, fields.count("first"), fields.texts("lines"))
