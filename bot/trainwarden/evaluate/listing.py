"""Lists that a person reads: which sabotage was missed and which honest changes alerted, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from trainwarden.evaluate.metrics import Alerts
from trainwarden.evaluate.sample import FIRST_FINDINGS, SABOTAGE, Outcome, Remark
from trainwarden.report.visible import visible

WIDTH = 100


def misses(outcomes: Iterable[Outcome], alerts: Alerts) -> str:
    """The sabotage that stayed quiet, failed, or alerted elsewhere; the quietest first."""
    chosen = [o for o in outcomes if o.sample.group in SABOTAGE and not (alerts(o) and o.hit)]
    chosen.sort(key=lambda o: (alerts(o), o.seen.risk, o.sample.id))
    return _list(chosen, alerts)


def findings(outcomes: Iterable[Outcome], alerts: Alerts) -> str:
    """The honest changes that alert, the loudest first."""
    chosen = [o for o in outcomes if o.sample.group not in SABOTAGE and alerts(o)]
    chosen.sort(key=lambda o: (-o.seen.risk, o.sample.id))
    return _list(chosen, alerts)


def errors(outcomes: Iterable[Outcome]) -> str:
    """The reviews that did not finish, with their reasons."""
    return _list([o for o in outcomes if not o.finished], lambda _: False)


def _list(outcomes: Sequence[Outcome], alerts: Alerts) -> str:
    return "".join(f"{line}\n" for outcome in outcomes for line in _entry(outcome, alerts))


def _entry(outcome: Outcome, alerts: Alerts) -> Iterable[str]:
    sample, seen = outcome.sample, outcome.seen
    state = "error" if not outcome.finished else _state(outcome, alerts)
    what = " ".join(filter(None, (sample.category, ",".join(sample.technique), sample.stealth)))
    yield f"{sample.id}  {state}  risk {seen.risk:.4f} ({seen.verdict})  {what}".rstrip()
    yield f"  {sample.repo}  {sample.request.base}..{sample.request.head}"
    yield from _words(sample.note)
    for path, lines in sample.truth.items():
        yield f"  sabotaged: {visible(path)}:{_ranges(lines)}"
    for reason in seen.reasons:
        yield from _words(f"reason: {reason}")
    for remark in _first(seen.remarks):
        yield from _words(f"{_place(remark)} {remark.rule} ({remark.score:.2f}): {remark.message}")


def _state(outcome: Outcome, alerts: Alerts) -> str:
    if not alerts(outcome):
        return "quiet"
    return "placed" if outcome.hit else "alert elsewhere" if outcome.sample.truth else "alert"


def _first(remarks: Sequence[Remark]) -> list[Remark]:
    active = [remark for remark in remarks if remark.stage == "active"][:FIRST_FINDINGS]
    return active + [remark for remark in remarks if remark.stage == "trial"][:FIRST_FINDINGS]


def _place(remark: Remark) -> str:
    trial = "trial " if remark.stage == "trial" else ""
    return f"- {trial}{remark.path}:{remark.lines[0]}-{remark.lines[1]}"


def _words(text: str) -> list[str]:
    return wrap(visible(text), WIDTH, initial_indent="  ", subsequent_indent="    ")


def _ranges(lines: tuple[int, ...] | None) -> str:
    """``3-5,9`` for (3, 4, 5, 9)."""
    if lines is None:
        return "whole file"
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
