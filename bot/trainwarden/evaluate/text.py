"""An ``Evaluation`` in words and tables of 80 columns; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from trainwarden.evaluate.estimates import Pairs, Ranking, Rate
from trainwarden.evaluate.metrics import Evaluation, Point, RuleCount, Slice, level_name
from trainwarden.report.visible import clip_path

Row = Sequence[str]

DASH = "-"
NAME = 32  # columns of the name of a slice


def render(
    evaluation: Evaluation,
    by: Sequence[str] = ("category", "stealth"),
    at: str = "1%",
    skipped: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> str:
    """The report for a terminal; ``by`` names the slices to show, ``at`` the alert rate they are taken at."""
    parts = [
        _section("Reviews", _counts(evaluation)),
        _section("Listed commits that gave no review", _skipped(skipped)),
        _section("Verdicts at the configured thresholds", _verdicts(evaluation)),
        *(_section(_title(name, curve), _curve(curve)) for name, curve in evaluation.curves.items() if curve),
        _section("Ranking (AUROC, 95 % over repositories)", _rankings(evaluation.rankings)),
        _section("Twins ranked right", _twins(evaluation.pairs)),
        _section(
            "Trivial baselines (AUROC against ordinary and twins, recall of cases)", _baselines(evaluation)
        ),
    ]
    for group, dimensions in evaluation.slices.items():
        parts += [_section(f"{group} by {name}, at {at}", _slices(dimensions[name], at)) for name in by]
    times = evaluation.times
    parts.append(
        f"A review took {times.median} ms (median), {times.p95} ms (95 %), {times.longest} ms (longest).\n"
    )
    return "\n".join(part for part in parts if part)


def rules(counts: Mapping[str, RuleCount]) -> str:
    """On how many changes of each group every rule fired, and of sabotage on how many near the place."""
    rows: list[Row] = [("rule", "cases", "near", "undone", "near", "twins", "ordinary")]
    for name, count in sorted(counts.items(), key=lambda item: -sum(item[1].placed.values())):
        fired, near = count.fired, count.placed
        cells = [counts.get(group, 0) for group in ("sabotaged", "undone") for counts in (fired, near)]
        twins = sum(fired.get(group, 0) for group in ("honest", "clean", "forward", "lookalike"))
        label = name if count.stage == "active" else f"{name} (trial)"
        rows.append((label, *map(str, (*cells, twins, fired.get("ordinary", 0)))))
    return _section("Rules: changes they fired on", rows)


def percent(rate: Rate | None, interval: bool = False) -> str:
    """``12.5 % 5/40``, with ``[3-27]`` where the interval is wanted; a dash when nothing was counted."""
    if rate is None or rate.n == 0:
        return DASH
    words = f"{100 * rate.value:.1f} % {rate.k}/{rate.n}"
    return f"{words} [{100 * rate.low:.0f}-{100 * rate.high:.0f}]" if interval else words


def _section(title: str, rows: Sequence[Row]) -> str:
    if len(rows) < 2:
        return ""
    return "\n".join((title, *table(rows), ""))


def table(rows: Sequence[Row]) -> Iterable[str]:
    """Aligned lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join((f"  {first.ljust(widths[0])}", *cells)).rstrip()


def _title(name: str, curve: Sequence[Point]) -> str:
    whose = "all ordinary commits" if name == "all" else "ordinary commits that touch training code"
    key = "ordinary" if name == "all" else "ordinary-training"
    return f"At alert rates over {whose} ({curve[0].alerts[key].n})"


def _counts(evaluation: Evaluation) -> list[Row]:
    rows: list[Row] = [("group", "reviews", "errors", "with unread")]
    for name, count in evaluation.counts.items():
        rows.append((name, str(count.reviews), str(count.errors), str(count.unread)))
    return rows


def _skipped(skipped: Mapping[str, Mapping[str, int]]) -> list[Row]:
    rows: list[Row] = [("why", "commits")]
    for group, reasons in skipped.items():
        rows += [(f"{group}: {reason}", str(count)) for reason, count in reasons.items()]
    return rows


def _verdicts(evaluation: Evaluation) -> list[Row]:
    rows: list[Row] = [("group", "alert", "block", "placed")]
    for name, said in evaluation.verdicts.items():
        rows.append((name, percent(said.alert, True), percent(said.block), percent(said.placed)))
    return rows


def _curve(curve: Sequence[Point]) -> list[Row]:
    rows: list[Row] = [("alert rate, group", "above", "placed")]
    for point in curve:
        rows.append((f"{level_name(point.level)} (risk > {point.threshold:.4f})", "", ""))
        for name, rate in point.alerts.items():
            rows.append((f"  {name}", percent(rate, True), percent(point.placed.get(name), True)))
    return rows


def _rankings(rankings: Mapping[str, Ranking | None]) -> list[Row]:
    rows: list[Row] = [("positives / negatives", "AUROC", "95 %", "n")]
    for name, found in rankings.items():
        if found is not None:
            interval = f"{found.low:.3f}-{found.high:.3f}"
            rows.append((name, f"{found.value:.3f}", interval, f"{found.positives}/{found.negatives}"))
    return rows


def _twins(pairs: Mapping[str, Pairs | None]) -> list[Row]:
    rows: list[Row] = [("pair", "right", "tied", "n", "share", "95 %")]
    for name, found in pairs.items():
        if found is not None:
            share = f"{100 * found.share:.1f} %"
            interval = f"{100 * found.low:.0f}-{100 * found.high:.0f}"
            rows.append((name, str(found.right), str(found.tied), str(found.n), share, interval))
    return rows


def _baselines(evaluation: Evaluation) -> list[Row]:
    rows: list[Row] = [("score", "cases", "twins", "undone", "at 1%", "at 5%", "at 10%")]
    for name, found in evaluation.baselines.items():
        areas = [found.rankings[key] for key in ("sabotaged/ordinary", "sabotaged/honest", "undone/ordinary")]
        recall = found.recall.get("sabotaged", {})
        shares = [_share(recall.get(key)) for key in ("1%", "5%", "10%")]
        rows.append((name, *(f"{area.value:.3f}" if area else DASH for area in areas), *shares))
    return rows


def _share(rate: Rate | None) -> str:
    return f"{100 * rate.value:.1f} %" if rate else DASH


def _slices(slices: Mapping[str, Slice], at: str) -> list[Row]:
    rows: list[Row] = [("name", "n", "above", "placed")]
    for name, part in slices.items():
        shares = percent(part.recall.get(at)), percent(part.placed.get(at), True)
        rows.append((clip_path(name, NAME), str(part.n), *shares))
    return rows
