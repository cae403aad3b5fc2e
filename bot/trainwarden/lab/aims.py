"""Measured figures in, a table out of how they stand to what a classifier of this kind is meant to reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_UNITS, _ABOVE, _CASES, _PAIRS, _BALANCED = 0.90, 0.10, 0.80, 0.75, 0.70
_READER = "classifier"
_BASELINES = ("bag of tokens", "removes more than it adds")


@dataclass(frozen=True, slots=True)
class Bars:
    """AUROC, share of pairs ranked right, and the same of pairs of about equal size, by who says it."""

    area: Mapping[str, float]
    pairs: Mapping[str, float]
    balanced: Mapping[str, float]

    @property
    def lead(self) -> float:
        """AUROC above the better of the baselines."""
        return self.area[_READER] - max(self.area[name] for name in _BASELINES)


def against_the_marks(units: Bars, fixes: Bars, cases: Bars) -> str:
    """The section of the card, in Markdown."""
    marks = [
        ("operators held out against ordinary edits: AUROC", _UNITS, units.area[_READER]),
        ("fixes undone against forward: AUROC above the better baseline", _ABOVE, fixes.lead),
        ("fixes undone against forward: balanced pairs right", _BALANCED, fixes.balanced[_READER]),
        ("cases against honest twins: AUROC", _CASES, cases.area[_READER]),
        ("cases against honest twins: AUROC above the better baseline", _ABOVE, cases.lead),
        ("cases against honest twins: pairs right", _PAIRS, cases.pairs[_READER]),
    ]
    lines = ["## Against the marks\n", "| | aimed at | found | |", "|---|---|---|---|"]
    for name, aim, found in marks:
        lines.append(f"| {name} | {aim:.2f} | {_state(aim, found)} |")
    return "\n".join(lines) + "\n"


def _state(aim: float, found: float) -> str:
    if math.isnan(found):
        return "- | nothing to measure"
    return f"{found:.2f} | {'reached' if found >= aim else 'missed'}"
