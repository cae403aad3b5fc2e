"""Encoded units in, how fast an engine runs them out: units a second and latencies by batch and length."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from trainwarden.model import Statement, Unit, UnitTag
from trainwarden.score.artifact import Artifact
from trainwarden.score.batches import Batch
from trainwarden.score.embedded import Embedded, Runner
from trainwarden.score.features import Encoded

WARM_UP = 3
LEAST_RUNS = 20
_WORDS = tuple(
    "loss optimizer step grad clip seed batch lr model data epoch zero sum 0.1 3e-4 ( ) = . ,".split()
)
Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that runs the network. ``prepare`` takes units of one length and returns what runs them once."""

    name: str
    prepare: Callable[[Sequence[Encoded]], Run]


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell of the table. Latencies are milliseconds of one batch."""

    engine: str
    batch: int
    length: int
    units_per_second: float
    p50: float
    p95: float
    p99: float


def random_units(count: int) -> tuple[Unit, ...]:
    """Units of random words, the same each time: for a machine without a repository at hand."""
    rng = random.Random(count)
    return tuple(Unit(f"src/module_{place}.py", "Trainer.step", _statements(rng)) for place in range(count))


def _statements(rng: random.Random) -> tuple[Statement, ...]:
    tags: tuple[UnitTag, ...] = ("same", "removed", "added")
    return tuple(
        Statement(
            tuple((rng.choice(_WORDS), rng.choice(tags)) for _ in range(rng.randint(3, 14))), 1, line, True
        )
        for line in range(1, rng.randint(2, 16))
    )


def embedded_engine(artifact: Artifact, runner: Runner) -> Engine:
    """The session of this process, with everything that stands between encoded units and numbers."""

    def prepare(units: Sequence[Encoded]) -> Run:
        batch = Batch(tuple(range(len(units))), len(units[0].ids))
        return lambda: runner.run(units, batch)

    return Engine(f"onnxruntime {runner.device} {runner.precision}", prepare)


def grid(
    engine: Engine, pool: Sequence[Encoded], batches: Sequence[int], lengths: Sequence[int], seconds: float
) -> Iterator[Measured]:
    """Every batch size at every length, each for about so many seconds."""
    for length in lengths:
        units = [_of_length(unit, length) for unit in pool]
        for batch in batches:
            chosen = [units[place % len(units)] for place in range(batch)]
            yield measure(engine.name, engine.prepare(chosen), batch, length, seconds)


def measure(name: str, run: Run, batch: int, length: int, seconds: float) -> Measured:
    """Runs until the time is up, and often enough for a percentile to mean something."""
    for _ in range(WARM_UP):
        run()
    times: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(times) < LEAST_RUNS:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return Measured(name, batch, length, batch * len(times) / sum(times), *_milliseconds(times))


def as_served(scorer: Embedded, changes: Sequence[Sequence[Encoded]]) -> Measured:
    """Whole changes as a review scores them: latencies are those of a change, units a second over all of them."""
    for change in changes[:WARM_UP]:
        scorer.score_encoded(change)
    times = []
    for change in changes:
        before = time.perf_counter()
        scorer.score_encoded(change)
        times.append(time.perf_counter() - before)
    units = [unit for change in changes for unit in change]
    median = round(statistics.median(len(unit.ids) for unit in units))
    share = round(len(units) / len(changes))
    return Measured(
        "as served, a change at a time", share, median, len(units) / sum(times), *_milliseconds(times)
    )


def _milliseconds(times: Sequence[float]) -> tuple[float, float, float]:
    """The 50th, 95th and 99th of a hundred."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return 1000 * cuts[49], 1000 * cuts[94], 1000 * cuts[98]


def _of_length(unit: Encoded, length: int) -> Encoded:
    """The unit cut, or repeated, to so many tokens."""
    times = -(-length // len(unit.ids))
    ids, tags, lines = ((values * times)[:length] for values in (unit.ids, unit.tags, unit.lines))
    return replace(unit, ids=ids, tags=tags, lines=lines)
