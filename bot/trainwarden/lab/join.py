"""``python -m trainwarden.lab.join``: how the classifier's word adds to the evidence of signals and rules.

In: cases, fixes and ordinary commits of the *tune* split, which the classifier never saw, and the table's own fit on
the *train* split, so that neither side knows the answers. Out: ``learned`` of ``rules/evidence.json``: four weights, no
factor negative, and the scale that puts the thresholds at their rates of ordinary commits.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab.calibrate import REVIEW, figures, log_odds, risk_scale
from trainwarden.lab.examples import Read, read_cases, read_choose, read_once
from trainwarden.lab.fit import SABOTAGE, Example, Fitted, Floats, Held, Instance, Settings, fit, total
from trainwarden.lab.splits import held_out, split_of
from trainwarden.policy import Join, cut
from trainwarden.score.artifact import load
from trainwarden.score.embedded import Embedded

_TWIN = re.compile(r"-(honest|clean)\Z")
PRIOR = np.array([0.8, 0.5, 0.2])
"""Where weights are drawn to, and how strongly: signals and rules at almost their own worth."""
_PENALTY = 2.0
ALONE = np.array([1.0, 0.0, 0.0, 0.0])
"""Signals and rules without the classifier."""
REVIEWED = 0.005
"""The share of ordinary commits that this reading alone may send to review: the rules' own come beside it."""
AGREED = 0.05
"""The share of ordinary commits at which both readings are to give the same risk. Below the threshold of review a risk
orders what passes; were one reading's risks smaller throughout, it would have no say there."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One change's sites, in columns: named evidence, the classifier's two numbers (0 where it was silent), hits."""

    group: str
    columns: Floats
    spoken: Floats
    hits: Floats


def parts(example: Example, fitted: Fitted) -> Parts:
    """The evidence of an example's sites before it is joined."""
    rows = [_row(instance, fitted) for instance in example.instances]
    spoken = [float(instance.learned is not None) for instance in example.instances]
    hits = [float(instance.hit) for instance in example.instances]
    return Parts(example.group, np.array(rows).reshape(-1, 3), np.array(spoken), np.array(hits))


def _row(instance: Instance, fitted: Fitted) -> tuple[float, float, float]:
    risk, line = instance.learned or (0.0, 0.0)
    return fitted.of(instance), cut(risk), cut(line)


def fit_join(changes: Sequence[Parts]) -> Floats:
    """[named, risk, line, intercept]: a logistic regression over sites the classifier spoke of."""
    rows, labels, weights = [], [], []
    for change in changes:
        sabotage = change.group in SABOTAGE
        count, hit = len(change.hits), change.hits.sum()
        for row, spoken, is_hit in zip(change.columns, change.spoken, change.hits, strict=True):
            if spoken:
                rows.append(row)
                labels.append(float(sabotage and is_hit))
                weights.append(1.0 / hit if sabotage and is_hit else 1.0 / count**0.5)
    x, y, w = np.array(rows), np.array(labels), np.array(weights)

    def loss(solution: Floats) -> tuple[float, Floats]:
        logits = x @ solution[:3] + solution[3]
        off = solution[:3] - PRIOR
        value = w @ np.logaddexp(0.0, np.where(y > 0, -logits, logits)) + 0.5 * _PENALTY * off @ off
        slope = w * (1 / (1 + np.exp(-logits)) - y)
        return float(value), np.append(x.T @ slope + _PENALTY * off, slope.sum())

    start = np.append(PRIOR, 0.0)
    bounds = [(0.0, None)] * 3 + [(None, None)]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def evidence(change: Parts, weights: Floats) -> Floats:
    """The evidence of each site, as ``policy`` adds it up: where the classifier was silent, the named one alone."""
    joined = change.columns @ weights[:3] + weights[3]
    return np.asarray(np.where(change.spoken > 0, joined, change.columns[:, 0]))


def held(changes: Sequence[Parts], weights: Floats, settings: Settings) -> Held:
    """Totals and placement of changes under some weights."""
    sites = [evidence(change, weights) for change in changes]
    placed = [
        bool(change.hits[np.argsort(-one)[:5]].any()) if len(one) else False
        for change, one in zip(changes, sites, strict=True)
    ]
    return Held(np.array([total(one, settings) for one in sites]), np.array(placed))


def join_scale(
    ordinary: Sequence[Parts], weights: Floats, rules: tuple[float, float], settings: Settings
) -> tuple[float, float]:
    """Slope and offset of the joined reading. ``rules``: those of signals and rules alone."""
    named = np.sort(held(ordinary, ALONE, settings).totals)[::-1]
    agreed = rules[0] * float(named[int(AGREED * len(named))]) + rules[1]
    anchors = (log_odds(REVIEW), REVIEWED), (agreed, AGREED)
    return risk_scale(held(ordinary, weights, settings).totals, anchors)


def main(argv: Sequence[str] | None = None) -> int:
    """Fits the join and writes it into the table. Exit code 0; errors are raised."""
    options = _arguments(argv)
    splits = parse_splits(options.repos.read_bytes(), str(options.repos))
    settings = Settings()
    reads = _read(options, splits)
    if options.model is None:
        return 0
    with closing(Embedded(load(options.model))) as scorer:
        tune = [one.scored(scorer) for one in reads if split_of(one.example.repository, splits) == "tune"]
    train = [one.example for one in reads if split_of(one.example.repository, splits) == "train"]
    fitted = fit(train, settings)
    changes = [parts(example, fitted) for example in tune]
    weights = fit_join(changes)
    for name, chosen in (
        ("rules", ALONE),
        ("model", weights * [0, 1, 1, 1]),
        ("both", weights),
    ):
        sys.stdout.write(f"{name}\n" + "\n".join(figures(tune, held(changes, chosen, settings))) + "\n")
    table = json.loads(options.table.read_bytes())
    shipped = Fitted(table["intercept"], table["signals"], table["rules"])
    ordinary = [parts(example, shipped) for example in tune if example.group == "ordinary"]
    scale = join_scale(ordinary, weights, (table["slope"], table["offset"]), settings)
    join = Join(*(round(float(one), 4) for one in (*weights, *scale)))
    sys.stdout.write(f"{join}\n")
    table["learned"] = {name: getattr(join, name) for name in Join.__slots__}
    options.table.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _read(options: argparse.Namespace, splits: Mapping[str, str]) -> list[Read]:
    """The material without the attacks that were kept from the classifier."""
    cases = read_cases(options.cases)
    listed = (options.fixes, options.ordinary, options.mirrors)
    found = read_once(options.cache, lambda: read_choose(cases, *listed, splits, options.jobs))
    kept_back = {case.id for case in cases if held_out(case.technique)}
    return [one for one in found if _TWIN.sub("", one.example.name) not in kept_back]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainwarden.lab.join", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="folder of the classifier; without one, only --cache is made"
    )
    parser.add_argument("--cases", type=Path, nargs="+", default=[])
    parser.add_argument("--fixes", type=Path)
    parser.add_argument("--ordinary", type=Path, required=True, help="lines of: owner/name sha")
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--table", type=Path, default=Path("rules/evidence.json"))
    parser.add_argument("--cache", type=Path, help="what `lab.calibrate --cache` kept, or is to be kept here")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args(argv)


if __name__ == "__main__":
    # Through the module's own name: what is kept must not say that it is of ``__main__``.
    from trainwarden.lab.join import main as run

    sys.exit(run())
