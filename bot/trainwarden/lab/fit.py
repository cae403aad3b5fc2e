"""Fits the table of evidence: sites with signals and rules in, weights in nats out.

A site is an edit. The model is a logistic regression over sites whose weights become ``policy.Table``; rules
may only add evidence, and are drawn towards the default table where there is little to learn from. The change's
evidence is the Lehmer mean of ``policy``. Needs numpy and scipy (the lab extra).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
SABOTAGE = ("case", "undone")
"""Groups of changes that hold sabotage; every other group is honest."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One site: its signals, the default weight of each active rule on it, and whether it is the sabotage.

    ``learned``: the classifier's log-odds of its unit and of its line, where one was asked.
    """

    signals: tuple[str, ...]
    rules: tuple[tuple[str, float], ...]
    hit: bool
    learned: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One change. ``group``: ``case``, ``undone`` (sabotage), ``honest``, ``forward``, ``ordinary``."""

    name: str
    repository: str
    group: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """How strongly weights are drawn to zero (signals) and to the default table (rules), and the mean's shape."""

    signal_penalty: float = 32.0
    rule_penalty: float = 1.0
    rule_prior: float = 1.0
    least_seen: int = 6
    power: float = 1.25
    size: float = 0.2
    most_lost: float = 3.0
    honest_weight: float = 1.0


@dataclass(slots=True)
class Fitted:
    """Weights in nats. ``rules`` hold only rules that were seen to fire."""

    intercept: float = 0.0
    signals: dict[str, float] = field(default_factory=dict)
    rules: dict[str, float] = field(default_factory=dict)

    def of(self, instance: Instance) -> float:
        """The evidence of one site."""
        told = sum(self.rules.get(rule, default) for rule, default in instance.rules)
        return self.intercept + sum(self.signals.get(name, 0.0) for name in instance.signals) + told


def vocabulary(examples: Iterable[Example], least_seen: int) -> tuple[list[str], dict[str, float]]:
    """Signals seen often enough, and the rules that fired with their default weights."""
    counted: Counter[str] = Counter()
    rules: dict[str, float] = {}
    for example in examples:
        for instance in example.instances:
            counted.update(instance.signals)
            rules.update(dict(instance.rules))
    return sorted(name for name, seen in counted.items() if seen >= least_seen), rules


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """The weights that best tell sabotaged sites from all others."""
    signals, rules = vocabulary(examples, settings.least_seen)
    columns = {name: place for place, name in enumerate([*signals, *sorted(rules)])}
    matrix, labels, weights = _matrix(examples, columns, settings)
    prior = np.zeros(len(columns) + 1)
    penalty = np.full(len(columns) + 1, settings.signal_penalty)
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * (len(columns) + 1)
    for name, default in rules.items():
        place = columns[name]
        prior[place] = settings.rule_prior * default
        penalty[place] = settings.rule_penalty
        bounds[place] = (0.0, 6.0)
    penalty[-1] = 0.0
    solution = _solve(matrix, labels, weights, prior, penalty, bounds)
    found = {name: float(solution[place]) for name, place in columns.items()}
    return Fitted(
        float(solution[-1]), {name: found[name] for name in signals}, {name: found[name] for name in rules}
    )


def _matrix(
    examples: Sequence[Example], columns: dict[str, int], settings: Settings
) -> tuple[csr_matrix, Floats, Floats]:
    indices: list[int] = []
    starts, labels, weights = [0], [], []
    for example in examples:
        sabotage = example.group in SABOTAGE
        hits = sum(instance.hit for instance in example.instances) if sabotage else 0
        plain = (settings.honest_weight if example.group == "honest" else 1.0) / max(
            1, len(example.instances)
        ) ** 0.5
        for instance in example.instances:
            names = {*instance.signals, *(rule for rule, _ in instance.rules)}
            indices.extend(sorted(columns[name] for name in names if name in columns))
            starts.append(len(indices))
            labels.append(float(sabotage and instance.hit))
            weights.append(1.0 / hits if sabotage and instance.hit else plain)
    shape = (len(labels), len(columns))
    ones = np.ones(len(indices))
    matrix = csr_matrix((ones, np.array(indices), np.array(starts)), shape=shape)
    return matrix, np.array(labels), np.array(weights)


def _solve(
    matrix: csr_matrix,
    labels: Floats,
    weights: Floats,
    prior: Floats,
    penalty: Floats,
    bounds: Sequence[tuple[float | None, float | None]],
) -> Floats:
    transposed = matrix.T.tocsr()

    def loss(solution: Floats) -> tuple[float, Floats]:
        logits = matrix @ solution[:-1] + solution[-1]
        signed = np.where(labels > 0, -logits, logits)
        off = solution - prior
        value = float(weights @ np.logaddexp(0.0, signed) + 0.5 * (penalty * off) @ off)
        slope = weights * (1.0 / (1.0 + np.exp(-logits)) - labels)
        gradient = np.append(transposed @ slope, slope.sum()) + penalty * off
        return value, gradient

    start = prior.copy()
    start[-1] = -4.0
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return np.asarray(found.x)


def totals(examples: Sequence[Example], fitted: Fitted, settings: Settings) -> Floats:
    """The evidence of each change, as ``policy`` adds it up; changes without a site have minus infinity."""
    return np.array([total(np.array([fitted.of(i) for i in e.instances]), settings) for e in examples])


def total(evidence: Floats, settings: Settings) -> float:
    if not len(evidence):
        return float("-inf")
    upper = np.logaddexp.reduce(settings.power * evidence)
    lower = np.logaddexp.reduce((settings.power - 1) * evidence)
    mean = upper - lower - settings.size * np.log(len(evidence))
    return float(max(mean, evidence.max() - settings.most_lost))


def placed(example: Example, fitted: Fitted, first: int = 5) -> bool:
    """Whether one of the weightiest sites is the sabotage."""
    ranked = sorted(example.instances, key=fitted.of, reverse=True)[:first]
    return any(instance.hit for instance in ranked)


def folds(examples: Sequence[Example], count: int = 6) -> list[list[int]]:
    """Indices of the examples of each fold: whole repositories, balanced by the number of examples."""
    sizes = Counter(example.repository for example in examples)
    bins: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        bins.sort(key=lambda one: (one[0], one[1]))
        bins[0] = (bins[0][0] + size, [*bins[0][1], name])
    where = {name: place for place, (_, names) in enumerate(bins) for name in names}
    chosen: list[list[int]] = [[] for _ in range(count)]
    for place, example in enumerate(examples):
        chosen[where[example.repository]].append(place)
    return chosen


@dataclass(frozen=True, slots=True)
class Held:
    """Figures on repositories that were held out: evidence and placement of each example, in their order."""

    totals: Floats
    placed: NDArray[np.bool_]


def cross_validated(examples: Sequence[Example], settings: Settings) -> Held:
    """Every repository judged by weights that were fitted without it."""
    scores = np.full(len(examples), -np.inf)
    found = np.zeros(len(examples), dtype=bool)
    for held in folds(examples):
        out = set(held)
        fitted = fit([e for place, e in enumerate(examples) if place not in out], settings)
        scores[held] = totals([examples[place] for place in held], fitted, settings)
        found[held] = [placed(examples[place], fitted) for place in held]
    return Held(scores, found)


def recall(examples: Sequence[Example], held: Held, group: str, level: float) -> tuple[float, float]:
    """(recall, placed recall) of a group at the threshold that alerts on ``level`` of the ordinary changes."""
    ordinary = np.sort(held.totals[[e.group == "ordinary" for e in examples]])[::-1]
    limit = ordinary[int(level * len(ordinary))]
    chosen = np.array([e.group == group for e in examples])
    alerts = held.totals > limit
    return float(alerts[chosen].mean()), float((alerts & held.placed)[chosen].mean())
