"""Proportions, thresholds and ranking quality with 95 % intervals: plain numbers go in, estimates come out.

Changes of one repository resemble each other, so intervals of rankings and of recall at an alert rate come
from a bootstrap that draws whole repositories; single proportions carry Wilson's interval.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Z = 1.959964  # two-sided 95 %
ROUNDS = 1000
SEED = 20_250_101
FEWEST_CLUSTERS = 3  # with fewer repositories, drawing repositories says nothing

Scored = tuple[str, float]  # repository, score
Draw = Mapping[str, int]  # repository -> how often it was drawn


@dataclass(frozen=True, slots=True)
class Rate:
    """``k`` of ``n`` with the ends of a 95 % interval; all zero when ``n`` is."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The proportion, 0 when nothing was counted."""
        return self.k / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """The area under the ROC curve: how often a positive outranks a negative, ties counting half."""

    value: float
    low: float
    high: float
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Of two twins, how often the sabotage got the higher score; ``share`` counts a tie as half."""

    right: int
    tied: int
    n: int
    share: float
    low: float
    high: float


def wilson(k: int, n: int) -> Rate:
    """Wilson's score interval (1927), which stays sane at 0 and n."""
    if n == 0:
        return Rate(0, 0, 0.0, 0.0)
    share = k / n
    middle = share + Z * Z / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return Rate(k, n, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def threshold(scores: Sequence[float], level: float) -> float:
    """The smallest threshold with at most a ``level`` share of ``scores`` strictly above it.

    Raises ``ValueError`` when there are no scores.
    """
    if not scores:
        raise ValueError("no scores to take a quantile of")
    ordered = sorted(scores, reverse=True)
    return ordered[min(int(level * len(ordered) + 1e-9), len(ordered) - 1)]


def draws(clusters: Sequence[str], rounds: int = ROUNDS, seed: int = SEED) -> Iterator[Draw]:
    """The bootstrap: each round draws as many repositories as there are, with replacement."""
    generator = random.Random(seed)
    names = sorted(set(clusters))
    for _ in range(rounds):
        yield Counter(generator.choices(names, k=len(names)))


def percentiles(values: Sequence[float], fallback: tuple[float, float]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile, or ``fallback`` when there are no values."""
    if not values:
        return fallback
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.025 * last)], ordered[round(0.975 * last)]


def auroc(positives: Sequence[Scored], negatives: Sequence[Scored]) -> Ranking | None:
    """AUROC with an interval over repositories; None when one side is empty."""
    if not positives or not negatives:
        return None
    left, right = by_cluster(positives), by_cluster(negatives)
    wins = {(one, other): _wins(left[one], right[other]) for one in left for other in right}
    value = sum(wins.values()) / (len(positives) * len(negatives))
    names = sorted(left.keys() | right.keys())
    sampled = []
    for draw in draws(names) if len(names) >= FEWEST_CLUSTERS else ():
        ours = [(name, draw[name]) for name in draw if name in left]
        theirs = [(name, draw[name]) for name in draw if name in right]
        total = sum(m * len(left[a]) for a, m in ours) * sum(n * len(right[b]) for b, n in theirs)
        if total:
            sampled.append(sum(m * n * wins[a, b] for a, m in ours for b, n in theirs) / total)
    low, high = percentiles(sampled, (0.0, 1.0))
    return Ranking(value, low, high, len(positives), len(negatives))


def pairs(twins: Sequence[tuple[str, float, float]]) -> Pairs | None:
    """``twins`` are (repository, score of the sabotage, score of its honest twin); None without any."""
    if not twins:
        return None
    points: dict[str, list[float]] = {}
    for name, sabotage, honest in twins:
        points.setdefault(name, []).append(_point(sabotage, honest))
    every = [point for group in points.values() for point in group]
    sampled = []
    for draw in draws(list(points)) if len(points) >= FEWEST_CLUSTERS else ():
        count = sum(m * len(points[name]) for name, m in draw.items())
        sampled.append(sum(m * sum(points[name]) for name, m in draw.items()) / count)
    share = sum(every) / len(every)
    low, high = percentiles(sampled, (0.0, 1.0))
    return Pairs(every.count(1.0), every.count(0.5), len(every), share, low, high)


def _point(sabotage: float, honest: float) -> float:
    return 0.5 if sabotage == honest else float(sabotage > honest)


def by_cluster(scored: Sequence[Scored]) -> dict[str, list[float]]:
    """The sorted scores of each repository."""
    groups: dict[str, list[float]] = {}
    for name, score in scored:
        groups.setdefault(name, []).append(score)
    return {name: sorted(scores) for name, scores in groups.items()}


def _wins(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """How many (positive, negative) pairs are ranked right, ties counting half; ``negatives`` are sorted."""
    return sum((bisect_left(negatives, score) + bisect_right(negatives, score)) / 2 for score in positives)


def recall_intervals(
    groups: Sequence[Sequence[Scored]],
    totals: Sequence[Mapping[str, int]],
    ordinary: Sequence[Scored],
    level: float,
) -> list[tuple[float, float] | None]:
    """Intervals of the share of each group above the threshold that ``level`` of the ordinary commits exceed.

    ``totals`` counts what the share is of, by repository (it may exceed the scored ones: errors are not
    caught). Each round draws repositories, takes the threshold anew from their ordinary commits and counts.
    None for a group without enough repositories.
    """
    ranked = sorted(ordinary, key=lambda item: item[1], reverse=True)
    counts = Counter(name for name, _ in ordinary)
    sorted_groups = [by_cluster(group) for group in groups]
    names = sorted(counts.keys() | {name for total in totals for name in total})
    if len(names) < FEWEST_CLUSTERS:
        return [None for _ in groups]
    sampled: list[list[float]] = [[] for _ in groups]
    for draw in draws(names):
        limit = _drawn_threshold(ranked, counts, draw, level)
        for values, group, total in zip(sampled, sorted_groups, totals, strict=True):
            size = sum(m * total.get(name, 0) for name, m in draw.items())
            if size and limit is not None:
                caught = sum(m * _above(group.get(name, ()), limit) for name, m in draw.items())
                values.append(caught / size)
    return [percentiles(values, (0.0, 1.0)) if values else None for values in sampled]


def _drawn_threshold(
    ranked: Sequence[Scored], counts: Mapping[str, int], draw: Draw, level: float
) -> float | None:
    allowed = int(level * sum(m * counts.get(name, 0) for name, m in draw.items()) + 1e-9)
    seen = 0
    for name, score in ranked:
        seen += draw.get(name, 0)
        if seen > allowed:
            return score
    return None


def _above(scores: Sequence[float], limit: float) -> int:
    return len(scores) - bisect_right(scores, limit)
