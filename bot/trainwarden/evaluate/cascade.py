"""Outcomes of the same changes without and with second opinions in; what these catch, and what they cost, out.

Both curves are taken at the same alert rates over the same ordinary commits, each with its own thresholds: a judge that
raises everything gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainwarden.evaluate.estimates import Rate
from trainwarden.evaluate.metrics import Evaluation, Point, level_name
from trainwarden.evaluate.sample import SABOTAGE, Outcome
from trainwarden.evaluate.text import percent, table


@dataclass(frozen=True, slots=True)
class Step:
    """Recall and placed recall of one group at one alert rate, (without, with) second opinions."""

    curve: str
    level: float
    group: str
    recall: tuple[Rate, Rate]
    placed: tuple[Rate, Rate]


@dataclass(frozen=True, slots=True)
class Spent:
    """What second opinions took over all changes. Latencies in seconds of one answer; None when none was asked for.

    ``changes``: those with a unit in the upper band; ``without``: those of them where one was not had.
    """

    changes: int
    without: int
    offered: int
    units: int
    cached: int
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    money: float
    median: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Cascade:
    """Both curves side by side, and the bill."""

    steps: tuple[Step, ...]
    spent: Spent


def cascade(without: Evaluation, judged: Evaluation, outcomes: Sequence[Outcome]) -> Cascade:
    """Compares two measurements of the same changes; ``outcomes`` are those with second opinions."""
    steps = [
        step
        for curve in without.curves
        for plain, asked in zip(without.curves[curve], judged.curves[curve], strict=True)
        for step in _steps(curve, plain, asked)
    ]
    return Cascade(tuple(steps), spent(outcomes))


def spent(outcomes: Iterable[Outcome]) -> Spent:
    """Adds up what second opinions took."""
    found = [(one, one.seen.usage) for one in outcomes]
    used = [usage for _, usage in found if usage is not None]
    asked = [one for one, usage in found if usage is not None and (usage.units or _missed(one))]
    taken = sorted(seconds for usage in used for seconds in usage.latencies)
    last = len(taken) - 1
    return Spent(
        changes=len(asked),
        without=sum(map(_missed, asked)),
        offered=sum(one.offered for one in used),
        units=sum(one.units for one in used),
        cached=sum(one.cached for one in used),
        calls=sum(one.calls for one in used),
        failed=sum(one.failed for one in used),
        tokens_in=sum(one.tokens_in for one in used),
        tokens_out=sum(one.tokens_out for one in used),
        money=sum(one.money for one in used),
        median=taken[last // 2] if taken else None,
        p95=taken[round(0.95 * last)] if taken else None,
    )


def render(found: Cascade) -> str:
    """The comparison for a terminal."""
    rows: list[Sequence[str]] = [("alert rate, group", "above", "judged", "placed", "judged")]
    for step in found.steps:
        name = f"{level_name(step.level)} {step.group}" + (" (training)" if step.curve != "all" else "")
        rows.append((name, *map(percent, (*step.recall, *step.placed))))
    parts = ["\nSecond opinions: what is caught without them and (judged) with them"]
    parts += table(rows) if found.steps else ["  no ordinary commits, so no curve: give --ordinary"]
    return "\n".join((*parts, "", *_bill(found.spent), ""))


def _steps(curve: str, plain: Point, asked: Point) -> Iterable[Step]:
    for group in (name for name in plain.placed if name in SABOTAGE):
        recall = plain.alerts[group], asked.alerts[group]
        yield Step(curve, plain.level, group, recall, (plain.placed[group], asked.placed[group]))


def _missed(outcome: Outcome) -> bool:
    """Whether the report says that a second opinion was not had."""
    return any(reason.startswith("No second opinion") for reason in outcome.seen.reasons)


def _bill(bill: Spent) -> Iterable[str]:
    share = 100 * bill.units / bill.offered if bill.offered else 0.0
    yield f"Read were {bill.units} of {bill.offered} units ({share:.1f} %), {bill.cached} of these from the cache."
    yield f"{bill.changes} changes had such a unit, {bill.without} of them one without an opinion."
    yield f"{bill.calls} calls, {bill.failed} without an answer that counts; {bill.tokens_in} tokens read,"
    yield f"{bill.tokens_out} written, cost {bill.money:.4g}."
    if bill.median is not None and bill.p95 is not None:
        yield f"An answer took {bill.median:.2f} s (median), {bill.p95:.2f} s (95 %)."
