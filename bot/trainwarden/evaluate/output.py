"""An ``Evaluation`` as the JSON document ``trainwarden/evaluation/1``, with every count and review."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping

from trainwarden.evaluate.cascade import Cascade
from trainwarden.evaluate.estimates import Rate
from trainwarden.evaluate.metrics import Evaluation
from trainwarden.evaluate.sample import Outcome

SCHEMA = "trainwarden/evaluation/1"
DIGITS = 6


def render(
    evaluation: Evaluation,
    outcomes: Iterable[Outcome],
    settings: Mapping[str, object],
    skipped: Mapping[str, Mapping[str, int]],
    compared: Cascade | None = None,
) -> str:
    """The document in ASCII with a final line end; numbers are rounded to six digits."""
    reviewed = list(outcomes)
    document = {
        "schema": SCHEMA,
        "tools": sorted({outcome.seen.tool for outcome in reviewed if outcome.finished}, key=str),
        "settings": dict(settings),
        "skipped": {name: dict(reasons) for name, reasons in skipped.items()},
        **{field.name: getattr(evaluation, field.name) for field in dataclasses.fields(evaluation)},
        **({"cascade": compared} if compared is not None else {}),
        "reviews": [_review(outcome) for outcome in reviewed],
    }
    return json.dumps(_plain(document), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    """Dataclasses as mappings, tuples as lists; a ``Rate`` tells its proportion as well."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"value": _plain(value.value), **plain} if isinstance(value, Rate) else plain
    return value


def _review(outcome: Outcome) -> dict[str, object]:
    sample, seen = outcome.sample, outcome.seen
    return {
        "id": sample.id,
        "group": sample.group,
        "repo": sample.repo,
        "base": sample.request.base,
        "head": sample.request.head,
        "category": sample.category,
        "stealth": sample.stealth,
        "technique": sample.technique,
        "lines": sample.truth,
        "verdict": seen.verdict,
        "risk": seen.risk,
        "training": seen.training,
        "hit": outcome.hit,
        "size": outcome.size,
        "unread": seen.unread,
        "elapsed_ms": seen.milliseconds,
        "reasons": seen.reasons,
        "findings": seen.remarks,
    }
