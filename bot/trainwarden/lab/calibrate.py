"""``python -m trainwarden.lab.calibrate``: cases, fixes and ordinary commits in, ``rules/evidence.json`` out.

Learns only from the repositories of the *choose* split. Prints what the table achieves on repositories that were held
out (six folds of whole repositories), then fits on all of them and sets slope and offset so that 1 % of the ordinary
commits reach the review threshold and 0.05 % the block threshold. Ordinary commits without Python count there, too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab.examples import read_cases, read_choose, read_once
from trainwarden.lab.fit import Example, Fitted, Floats, Held, Settings, cross_validated, fit, recall
from trainwarden.resources import rules_dir
from trainwarden.rules.noise import write_measured
from trainwarden.rules.schema import read_directory

LEVELS = (0.01, 0.02, 0.05, 0.10)
REVIEW, BLOCK = 0.35, 0.9
Anchor = tuple[float, float]
"""The log-odds of a risk, and the share of ordinary commits that are to reach it."""


def log_odds(risk: float) -> float:
    """The log-odds of a risk between 0 and 1."""
    return math.log(risk / (1 - risk))


ANCHORS: tuple[Anchor, Anchor] = ((log_odds(REVIEW), 0.01), (log_odds(BLOCK), 0.0005))
"""At most one ordinary commit in a thousand may be blocked: half of that is aimed at, for repositories not seen."""
FEW = 20
"""So many commits tell a rate well enough."""
HISTORY = {"fix-undone": 2.3}
"""Nats of what the past says, which is not read here. On the choose split: 99 of 105 undone fixes against 19 of
2,000 ordinary commits; taken for a tenth of all sabotage, ln(0.1 * 0.94 / 0.0095)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrates and writes the table. Exit code 0; errors are raised."""
    arguments = _parser().parse_args(argv)
    learned = _examples(arguments)
    settings = Settings()
    _tell(Counter(example.group for example in learned))
    held = cross_validated(learned, settings)
    for line in figures(learned, held):
        sys.stdout.write(line + "\n")
    fitted = _at_least_default(fit(learned, settings), learned)
    table = _table(fitted, settings, held.totals[[e.group == "ordinary" for e in learned]])
    if arguments.write_measured:
        _write_measured(learned)
    out = Path(arguments.out)
    table |= fitted_elsewhere(out)
    out.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def fitted_elsewhere(table: Path) -> dict[str, object]:
    """What ``lab.join`` wrote into a table that is about to be replaced: kept, until that is fitted again, too."""
    if not table.exists():
        return {}
    known = json.loads(table.read_bytes())
    return {name: known[name] for name in ("learned", "upper") if name in known}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainwarden.lab.calibrate", description=__doc__)
    parser.add_argument("--cases", nargs="+", default=[], type=Path, metavar="FILE")
    parser.add_argument("--fixes", type=Path, metavar="FILE")
    parser.add_argument("--ordinary", required=True, type=Path, metavar="FILE")
    parser.add_argument("--mirrors", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--repos", required=True, type=Path, metavar="FILE", help="owner/name and split, tab-separated"
    )
    parser.add_argument("--write-measured", action="store_true", help="into the rule files, too")
    parser.add_argument("--cache", type=Path, help="keep what was read here, and use it when it is there")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default="rules/evidence.json", metavar="FILE")
    return parser


def _examples(arguments: argparse.Namespace) -> list[Example]:
    splits = parse_splits(arguments.repos.read_bytes(), str(arguments.repos))
    listed = (arguments.fixes, arguments.ordinary, arguments.mirrors)
    cases = read_cases(arguments.cases)
    read = read_once(arguments.cache, lambda: read_choose(cases, *listed, splits, arguments.jobs))
    return [one.example for one in read]


def _write_measured(learned: Sequence[Example]) -> None:
    """``measured:`` of every rule: ordinary commits it fired on, cases and undone fixes in which it was placed."""
    told: dict[str, Counter[str]] = {group: Counter() for group in ("ordinary", "case", "undone")}
    for example in learned:
        if example.group in told:
            told[example.group].update(_fired(example, placed=example.group != "ordinary"))
    commits = sum(example.group == "ordinary" for example in learned)
    for rule in read_directory(rules_dir()):
        fired, cases, undone = (told[group][rule.id] for group in ("ordinary", "case", "undone"))
        write_measured(rule, {"commits": commits, "fired": fired, "cases": cases, "undone": undone})


def _fired(example: Example, placed: bool) -> set[str]:
    return {rule for i in example.instances if i.hit or not placed for rule, _ in i.rules}


def _at_least_default(fitted: Fitted, learned: Sequence[Example]) -> Fitted:
    """A rule that no ordinary commit ever set off keeps its default weight: nothing was said against it."""
    defaults = {rule: weight for e in learned for i in e.instances for rule, weight in i.rules}
    noisy = {rule for e in learned if e.group == "ordinary" for rule in _fired(e, placed=False)}
    kept = {
        rule: weight if rule in noisy else max(weight, defaults[rule])
        for rule, weight in fitted.rules.items()
    }
    return Fitted(fitted.intercept, fitted.signals, kept)


def _tell(groups: Counter[str]) -> None:
    sys.stdout.write(", ".join(f"{count} {name}" for name, count in sorted(groups.items())) + "\n")


def figures(learned: Sequence[Example], held: Held) -> list[str]:
    groups = ("case", "undone", "honest", "forward")
    lines = ["alerts  " + "".join(f"{group:>16}" for group in groups)]
    for level in LEVELS:
        cells = []
        for group in groups:
            caught, placed = recall(learned, held, group, level)
            cells.append(f"{100 * caught:6.1f} /{100 * placed:5.1f} %")
        lines.append(f"{100 * level:4.0f} %  " + "".join(f"{cell:>16}" for cell in cells))
    return lines


def _table(fitted: Fitted, settings: Settings, ordinary_totals: Floats) -> dict[str, object]:
    slope, offset = risk_scale(ordinary_totals)
    return {
        "schema": "trainwarden/evidence/1",
        "intercept": round(fitted.intercept, 4),
        "signals": {name: round(weight, 3) for name, weight in fitted.signals.items() if abs(weight) >= 0.02},
        "rules": {name: round(weight, 3) for name, weight in fitted.rules.items()} | HISTORY,
        "power": settings.power,
        "size": settings.size,
        "most_lost": settings.most_lost,
        "slope": round(slope, 4),
        "offset": round(offset, 4),
    }


def risk_scale(ordinary_totals: Floats, anchors: tuple[Anchor, Anchor] = ANCHORS) -> tuple[float, float]:
    """Slope and offset under which ordinary commits reach two log-odds at their rates.

    Where the two lie too close to each other for a slope, the first one holds.
    """
    ranked = np.sort(ordinary_totals)[::-1]
    (odds, here), (other, there) = ((odds, _reached(ranked, rate)) for odds, rate in anchors)
    slope = (other - odds) / math.copysign(max(abs(there - here), 0.25), other - odds)
    return slope, odds - slope * here


def _reached(ranked: Floats, rate: float) -> float:
    """The total that a share of commits reaches.

    A handful of commits is no estimate: where it would be one, the hundredth at the top is taken to fall off
    exponentially, at the rate of its mean.
    """
    place = int(rate * len(ranked))
    hundredth = len(ranked) // 100
    if place >= FEW or hundredth < FEW:
        return float(ranked[place])
    start = float(ranked[hundredth])
    excess = float(np.mean(ranked[:hundredth])) - start
    return start + excess * math.log(0.01 / rate)


if __name__ == "__main__":
    raise SystemExit(main())
