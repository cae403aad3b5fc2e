"""Measures: outcomes go in, an ``Evaluation`` comes out. Pure; every proportion carries its counts.

Two conventions. A sabotage whose review failed was not caught, so it stays in the denominator of recall; an
honest change whose review failed is neither alert nor quiet, so it leaves the denominator and is counted as
an error. At an alert rate of x %, the threshold is taken from the ordinary commits and an alert is a risk
strictly above it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trainwarden.evaluate import estimates
from trainwarden.evaluate.estimates import Pairs, Ranking, Rate, wilson
from trainwarden.evaluate.sample import GROUPS, SABOTAGE, Group, Outcome, Remark, points_at
from trainwarden.model import Stage

LEVELS = (0.01, 0.02, 0.05, 0.10)
DIMENSIONS = ("category", "stealth", "technique", "repository")
TRAINING = "ordinary-training"

Score = Callable[[Outcome], float]
Alerts = Callable[[Outcome], bool]


@dataclass(frozen=True, slots=True)
class Count:
    """How many reviews a group has, how many failed, and how many left something unread."""

    reviews: int
    errors: int
    unread: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the configured thresholds say of a group; ``placed`` is None for honest groups."""

    alert: Rate
    block: Rate
    placed: Rate | None


@dataclass(frozen=True, slots=True)
class Point:
    """One alert rate: its threshold, the share of each group above it, and how much of it is placed."""

    level: float
    threshold: float
    alerts: Mapping[str, Rate]
    placed: Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class Slice:
    """One category, stealth, technique or repository: (placed) recall at the verdict and each level."""

    n: int
    recall: Mapping[str, Rate]
    placed: Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a trivial score reaches on the same changes."""

    rankings: Mapping[str, Ranking | None]
    pairs: Mapping[str, Pairs | None]
    recall: Mapping[str, Mapping[str, Rate]]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """On how many changes of each group a rule fired, and on how many it pointed at the sabotage."""

    stage: Stage
    fired: Mapping[str, int]
    placed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds a review took, by the reviewer's own clock."""

    median: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured. Curves are keyed by the ordinary commits they are drawn over."""

    counts: Mapping[str, Count]
    verdicts: Mapping[str, Verdicts]
    curves: Mapping[str, tuple[Point, ...]]
    rankings: Mapping[str, Ranking | None]
    pairs: Mapping[str, Pairs | None]
    slices: Mapping[str, Mapping[str, Mapping[str, Slice]]]
    baselines: Mapping[str, Baseline]
    rules: Mapping[str, RuleCount]
    times: Times


def measure(outcomes: Sequence[Outcome]) -> Evaluation:
    """All measures over the outcomes of one run."""
    groups = _grouped(outcomes)
    ordinary = {"all": groups["ordinary"], "training": groups[TRAINING]}
    curves = {name: _curve(commits, groups) for name, commits in ordinary.items()}
    return Evaluation(
        counts={name: _count(group) for name, group in groups.items() if group},
        verdicts={name: _verdicts(name, group) for name, group in groups.items() if group},
        curves=curves,
        rankings=_rankings(groups, risk),
        pairs=_pairs(groups, risk),
        slices=_slices(groups, curves["all"]),
        baselines={name: _baseline(groups, score) for name, score in BASELINES.items()},
        rules=_rules(outcomes),
        times=_times(outcomes),
    )


def risk(outcome: Outcome) -> float:
    """The score that is measured: the report's risk."""
    return outcome.seen.risk


def above(limit: float, score: Score = risk) -> Alerts:
    """Whether a finished review scores above a threshold."""
    return lambda outcome: outcome.finished and score(outcome) > limit


def _grouped(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {name: [] for name in GROUPS}
    for outcome in outcomes:
        groups[outcome.sample.group].append(outcome)
    groups[TRAINING] = [outcome for outcome in groups["ordinary"] if outcome.seen.training]
    return groups


def _count(group: Sequence[Outcome]) -> Count:
    errors = sum(not outcome.finished for outcome in group)
    return Count(len(group), errors, sum(outcome.seen.unread > 0 for outcome in group))


def rate(name: str, group: Sequence[Outcome], alerts: Alerts) -> Rate:
    """The share of a group that alerts, with the denominator that suits the group."""
    counted = group if name in SABOTAGE else [outcome for outcome in group if outcome.finished]
    return wilson(sum(map(alerts, counted)), len(counted))


def placed(alerts: Alerts) -> Alerts:
    """An alert that also points at the sabotage."""
    return lambda outcome: alerts(outcome) and outcome.hit


def configured(outcome: Outcome) -> bool:
    """Whether the configured thresholds alert."""
    return outcome.alert


def _verdicts(name: str, group: Sequence[Outcome]) -> Verdicts:
    return Verdicts(
        rate(name, group, configured),
        rate(name, group, lambda outcome: outcome.seen.verdict == "block"),
        rate(name, group, placed(configured)) if name in SABOTAGE else None,
    )


def _curve(ordinary: Sequence[Outcome], groups: Mapping[str, Sequence[Outcome]]) -> tuple[Point, ...]:
    finished = [outcome for outcome in ordinary if outcome.finished]
    if not finished:
        return ()
    return tuple(_point(level, finished, groups) for level in LEVELS)


def _point(level: float, ordinary: Sequence[Outcome], groups: Mapping[str, Sequence[Outcome]]) -> Point:
    limit = estimates.threshold([risk(outcome) for outcome in ordinary], level)
    alerts = {name: rate(name, group, above(limit)) for name, group in groups.items() if group}
    sabotage = [name for name in alerts if name in SABOTAGE]
    hits = {name: rate(name, groups[name], placed(above(limit))) for name in sabotage}
    intervals = _intervals(level, ordinary, [groups[name] for name in sabotage])
    for name, caught, pointed in zip(sabotage, intervals[::2], intervals[1::2], strict=True):
        alerts[name] = _with(alerts[name], caught)
        hits[name] = _with(hits[name], pointed)
    return Point(level, limit, alerts, hits)


def _with(rate: Rate, interval: tuple[float, float] | None) -> Rate:
    return replace(rate, low=interval[0], high=interval[1]) if interval else rate


def _intervals(
    level: float, ordinary: Sequence[Outcome], groups: Sequence[Sequence[Outcome]]
) -> list[tuple[float, float] | None]:
    """Bootstrap intervals over repositories: for each group that of recall, then that of placed recall."""
    scored, totals = [], []
    for group in groups:
        finished = [outcome for outcome in group if outcome.finished]
        scored += [_scored(finished, risk), _scored([outcome for outcome in finished if outcome.hit], risk)]
        totals += [Counter(outcome.sample.repo for outcome in group)] * 2
    return estimates.recall_intervals(scored, totals, _scored(ordinary, risk), level)


def _scored(group: Iterable[Outcome], score: Score) -> list[estimates.Scored]:
    return [(outcome.sample.repo, score(outcome)) for outcome in group if outcome.finished]


RANKED: tuple[tuple[Group, str], ...] = (
    ("sabotaged", "ordinary"),
    ("sabotaged", TRAINING),
    ("sabotaged", "honest"),
    ("undone", "ordinary"),
    ("undone", TRAINING),
    ("undone", "forward"),
    ("undone", "lookalike"),
    ("undone-later", "ordinary"),
    ("undone-later", TRAINING),
)
TWINS: tuple[tuple[Group, Group], ...] = (("sabotaged", "honest"), ("undone", "forward"))


def _rankings(groups: Mapping[str, Sequence[Outcome]], score: Score) -> dict[str, Ranking | None]:
    return {
        f"{one}/{other}": estimates.auroc(_scored(groups[one], score), _scored(groups[other], score))
        for one, other in RANKED
    }


def _pairs(groups: Mapping[str, Sequence[Outcome]], score: Score) -> dict[str, Pairs | None]:
    found = {}
    for one, other in TWINS:
        twins = {outcome.sample.pair: outcome for outcome in groups[other] if outcome.finished}
        found[f"{one}/{other}"] = estimates.pairs(
            [
                (outcome.sample.repo, score(outcome), score(twins[outcome.sample.pair]))
                for outcome in groups[one]
                if outcome.finished and outcome.sample.pair in twins
            ]
        )
    return found


def _names(outcome: Outcome, dimension: str) -> tuple[str, ...]:
    sample = outcome.sample
    match dimension:
        case "technique":
            return sample.technique or ("none",)
        case "repository":
            return (sample.repo,)
        case "stealth":
            return (sample.stealth or "none",)
    return (sample.category or "none",)


def _slices(
    groups: Mapping[str, Sequence[Outcome]], curve: Sequence[Point]
) -> dict[str, dict[str, dict[str, Slice]]]:
    """group -> dimension -> name -> slice. A change of two techniques counts in both."""
    ways: dict[str, Alerts] = {"verdict": configured}
    ways |= {level_name(point.level): above(point.threshold) for point in curve}
    return {
        name: {dimension: _cut(name, groups[name], dimension, ways) for dimension in DIMENSIONS}
        for name in sorted(SABOTAGE)
        if groups[name]
    }


def _cut(
    group: str, outcomes: Sequence[Outcome], dimension: str, ways: Mapping[str, Alerts]
) -> dict[str, Slice]:
    members: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name in _names(outcome, dimension):
            members.setdefault(name, []).append(outcome)
    return {
        name: Slice(
            len(part),
            {way: rate(group, part, alerts) for way, alerts in ways.items()},
            {way: rate(group, part, placed(alerts)) for way, alerts in ways.items()},
        )
        for name, part in sorted(members.items())
    }


def level_name(level: float) -> str:
    """How an alert rate is written as a key: ``"1%"``."""
    return f"{level * 100:g}%"


def _moved(outcome: Outcome) -> tuple[int, int]:
    return (outcome.size.added, outcome.size.removed) if outcome.size else (0, 0)


def _removes_more(outcome: Outcome) -> float:
    added, removed = _moved(outcome)
    return float(removed > added)


def _net_removal(outcome: Outcome) -> float:
    added, removed = _moved(outcome)
    return float(removed - added)


def _largest(outcome: Outcome) -> float:
    return float(sum(_moved(outcome)))


def _smallest(outcome: Outcome) -> float:
    return -_largest(outcome)


def _random(outcome: Outcome) -> float:
    return random.Random(outcome.sample.id).random()


BASELINES: Mapping[str, Score] = {
    "removes more than it adds": _removes_more,
    "net removal": _net_removal,
    "largest first": _largest,
    "smallest first": _smallest,
    "random": _random,
}


def _baseline(groups: Mapping[str, Sequence[Outcome]], score: Score) -> Baseline:
    known = {
        name: [outcome for outcome in group if outcome.finished and outcome.size is not None]
        for name, group in groups.items()
    }
    scores = [score(outcome) for outcome in known["ordinary"]]
    limits = {level_name(level): estimates.threshold(scores, level) for level in LEVELS} if scores else {}
    recall = {
        name: {level: rate(name, known[name], above(limit, score)) for level, limit in limits.items()}
        for name in sorted(SABOTAGE)
        if known[name]
    }
    return Baseline(_rankings(known, score), _pairs(known, score), recall)


def _rules(outcomes: Iterable[Outcome]) -> dict[str, RuleCount]:
    stages: dict[str, Stage] = {}
    fired: dict[str, Counter[str]] = {}
    hits: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        by_rule: dict[str, list[Remark]] = {}
        for remark in outcome.seen.remarks:
            by_rule.setdefault(remark.rule, []).append(remark)
        for rule, remarks in by_rule.items():
            stages[rule] = remarks[0].stage
            fired.setdefault(rule, Counter())[outcome.sample.group] += 1
            near = any(points_at(outcome.sample.truth, (replace(r, stage="active"),)) for r in remarks)
            hits.setdefault(rule, Counter())[outcome.sample.group] += near
    return {
        rule: RuleCount(stages[rule], dict(fired[rule]), {name: k for name, k in hits[rule].items() if k})
        for rule in sorted(stages)
    }


def _times(outcomes: Sequence[Outcome]) -> Times:
    taken = sorted(outcome.seen.milliseconds for outcome in outcomes if outcome.finished) or [0]
    last = len(taken) - 1
    return Times(taken[last // 2], taken[round(0.95 * last)], taken[last])
