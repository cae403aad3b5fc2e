"""Encoded units in, batches of about the same length out; and the network's numbers in, scores out.

Shared by all that run the network, in this process or on a server, so that both say the same. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainwarden.model import Score, Unfinished
from trainwarden.score.artifact import Calibration, probability
from trainwarden.score.features import BAG, LONGEST, TAGS, Encoded

INPUTS = ("ids", "tags", "signals")
OUTPUTS = ("risk", "family", "lines")
FAMILIES = 15
"""Columns of ``family``: honest, then the taxonomy's letters from A."""
BUCKETS = (*(length for length in (16, 32, 48, 64, 96, 128, 160, 192, 224) if length < LONGEST), LONGEST)
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Units that run together: their places in the order asked for, and the length all are padded to."""

    places: tuple[int, ...]
    length: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The network's numbers for one batch: logits of risk, of families, and of every token."""

    risk: Sequence[float]
    family: Sequence[Sequence[float]]
    lines: Sequence[Sequence[float]]


def batches(encoded: Sequence[Encoded], largest: int) -> Iterator[Batch]:
    """Every unit once, the shortest first, at most ``largest`` of one bucket together.

    A unit that runs alone is not padded, so that neither neighbour nor padding touches its numbers; on a processor a
    batch would be faster by half at the most.
    """
    order = sorted(range(len(encoded)), key=lambda place: (len(encoded[place].ids), place))
    if largest == 1:
        yield from (Batch((place,), max(len(encoded[place].ids), _SHORTEST)) for place in order)
        return
    group: list[int] = []
    for place in order:
        if group and (len(group) == largest or _bucket(encoded[place]) != _bucket(encoded[group[0]])):
            yield Batch(tuple(group), _bucket(encoded[group[0]]))
            group = []
        group.append(place)
    if group:
        yield Batch(tuple(group), _bucket(encoded[group[0]]))


def rows(
    encoded: Sequence[Encoded], batch: Batch
) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """The tensors of a batch, in the order of ``INPUTS``, as lists of rows."""
    units = [encoded[place] for place in batch.places]
    return (
        [_padded(unit.ids, batch.length) for unit in units],
        [_padded(unit.tags, batch.length) for unit in units],
        [_padded(unit.signals, BAG) for unit in units],
    )


def scores(
    encoded: Sequence[Encoded], batch: Batch, answer: Answer, calibration: Calibration
) -> Iterator[tuple[int, Score]]:
    """The place and score of each unit of a batch. Raises ``Unfinished`` for numbers that are none."""
    for row, place in enumerate(batch.places):
        unit = encoded[place]
        tokens = answer.lines[row][: len(unit.ids)]
        families = answer.family[row]
        if not all(map(math.isfinite, (answer.risk[row], *families, *tokens))):
            raise Unfinished("the model answered with numbers that are not finite")
        logit = calibration.logit(answer.risk[row])
        likeliest = max(range(len(families)), key=families.__getitem__)
        yield place, Score(probability(logit), logit, _letter(likeliest), _lines(unit, tokens))


def _lines(unit: Encoded, tokens: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """Each edited head line with the strongest of its tokens that differ, the strongest line first."""
    strongest: dict[int, float] = {}
    for line, tag, logit in zip(unit.lines, unit.tags, tokens, strict=True):
        if line > 0 and tag > TAGS["same"]:
            strongest[line] = max(logit, strongest.get(line, logit))
    return tuple(sorted(strongest.items(), key=lambda item: (-item[1], item[0])))


def _letter(column: int) -> str:
    return chr(ord("A") + column - 1) if column else ""


def _bucket(unit: Encoded) -> int:
    return next((bucket for bucket in BUCKETS if len(unit.ids) <= bucket), len(unit.ids))


def _padded(values: Sequence[int], length: int) -> list[int]:
    return [*values, *[0] * (length - len(values))]
