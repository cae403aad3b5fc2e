"""``python -m trainwarden.lab.page``: the JSON of two evaluations in (without and with history), Markdown tables out.

The tables of docs/evaluation.md are made by it, so that no figure is typed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_GROUPS = {
    "sabotaged": "cases",
    "undone": "fixes undone",
    "undone-later": "fixes undone 100 commits later",
    "clean": "carriers of the cases",
    "honest": "honest twins",
    "forward": "fixes forward",
    "lookalike": "look-alikes",
    "ordinary": "ordinary commits",
    "ordinary-training": "of these, touching training code",
}
_SABOTAGE = ("sabotaged", "undone", "undone-later")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables for each named evaluation. Exit code 0."""
    for name in sys.argv[1:] if arguments is None else arguments:
        evaluation = json.loads(Path(name).read_bytes())
        history = not evaluation["settings"].get("no_history", False)
        title = "With history" if history else "Without history"
        sys.stdout.write(f"## {title}\n\n" + "\n".join(page(evaluation)) + "\n")
    return 0


def page(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The tables of one evaluation."""
    yield from _counts(evaluation)
    for scope, words in (("all", "all ordinary commits"), ("training", "those that touch training code")):
        yield f"Thresholds from {words}; recall / placed recall of sabotage, alerts on honest changes:\n"
        yield from _curve(evaluation["curves"][scope])
    yield "At the configured thresholds (`review` at 0.35, `block` at 0.9):\n"
    yield from _verdicts(evaluation["verdicts"])
    yield from _rankings(evaluation)


def _counts(evaluation: Mapping[str, Any]) -> Iterator[str]:
    counts = evaluation["counts"]
    told = [f"{counts[group]['reviews']} {words}" for group, words in _GROUPS.items() if group in counts]
    errors = sum(count["errors"] for group, count in counts.items() if group != "ordinary-training")
    times = evaluation["times"]
    yield f"{', '.join(told)}. Reviews that ended in `error`: {errors}. Median review {times['median']} ms.\n"


def _curve(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    groups = [group for group in _GROUPS if group in points[0]["alerts"]]
    yield "| | " + " | ".join(f"{100 * point['level']:g} %" for point in points) + " |"
    yield "|---|" + "---|" * len(points)
    for group in groups:
        yield f"| {_GROUPS[group]} | " + " | ".join(_cell(point, group) for point in points) + " |"
    yield ""


def _cell(point: Mapping[str, Any], group: str) -> str:
    alerts = point["alerts"][group]
    if group not in _SABOTAGE:
        return _rate(alerts)
    placed = point["placed"][group]
    return (
        f"{_share(alerts)} / **{_share(placed)}** [{100 * placed['low']:.0f} to {100 * placed['high']:.0f}]"
    )


def _rate(rate: Mapping[str, Any]) -> str:
    return f"{_share(rate)} ({rate['k']}/{rate['n']})"


def _share(rate: Mapping[str, Any]) -> str:
    return f"{100 * rate['value']:.1f} %"


def _verdicts(verdicts: Mapping[str, Any]) -> Iterator[str]:
    yield "| | alerts | blocks | placed |"
    yield "|---|---|---|---|"
    for group, words in _GROUPS.items():
        if group in verdicts:
            one = verdicts[group]
            placed = _rate(one["placed"]) if one["placed"] else ""
            yield f"| {words} | {_rate(one['alert'])} | {_rate(one['block'])} | {placed} |"
    yield ""


def _rankings(evaluation: Mapping[str, Any]) -> Iterator[str]:
    yield "| ranking | AUROC | pairs ranked right | removes more than it adds | smallest first |"
    yield "|---|---|---|---|---|"
    baselines = evaluation["baselines"]
    for name, found in evaluation["rankings"].items():
        pairs = evaluation["pairs"].get(name)
        peers = [
            baselines[one]["rankings"].get(name) for one in ("removes more than it adds", "smallest first")
        ]
        cells = [_auroc(found), f"{100 * pairs['share']:.0f} %" if pairs else "", *map(_auroc, peers)]
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""


def _auroc(found: Mapping[str, Any] | None) -> str:
    return f"{found['value']:.2f} [{found['low']:.2f} to {found['high']:.2f}]" if found else ""


if __name__ == "__main__":
    raise SystemExit(main())
