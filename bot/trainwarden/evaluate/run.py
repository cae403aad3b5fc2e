"""Samples go in, outcomes come out: each is reviewed by a worker, or kept from an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from trainwarden.evaluate import lines
from trainwarden.evaluate.keep import Keep
from trainwarden.evaluate.sample import PYTHON, Outcome, Sample, Seen, Size
from trainwarden.git import open_source
from trainwarden.model import FilePair, Options, Request, TrainwardenError
from trainwarden.sandbox_process import REVIEW
from trainwarden.sweep import sweep

Progress = Callable[[Outcome], None]


def run(
    samples: Sequence[Sample],
    options: Options,
    jobs: int,
    keep: Keep | None = None,
    progress: Progress = lambda outcome: None,
    target: str = REVIEW,
) -> tuple[Outcome, ...]:
    """Reviews every sample that is not kept, and gives all outcomes in the order of the samples.

    A review that fails is an outcome with verdict ``error``. ``target`` is what the reviewers run.
    """
    outcomes: dict[str, Outcome] = {}
    kept = {sample.id: keep.get(sample) if keep else None for sample in samples}
    fresh = {sample.id: sample for sample in samples if kept[sample.id] is None}
    for sample in samples:
        if (known := kept[sample.id]) is not None:
            outcomes[sample.id] = Outcome(sample, *known)
    # Changes of one repository after each other: its objects are then still in the caches.
    queue = sorted(fresh.values(), key=lambda sample: sample.repo)
    requests = [replace(sample.request, id=sample.id) for sample in queue]
    with closing(sweep(requests, options, jobs, target)) as reports:
        for report in reports:
            sample = fresh[str(report.id)]
            outcome = Outcome(sample, Seen.of(report), measure_size(sample.request))
            if keep:
                keep.put(sample, outcome.seen, outcome.size)
            outcomes[sample.id] = outcome
            progress(outcome)
    return tuple(outcomes[sample.id] for sample in samples)


def measure_size(request: Request) -> Size | None:
    """The size of a change, for the trivial baselines; None when it cannot be read."""
    try:
        source = open_source(request)
    except TrainwardenError:
        return None
    with closing(source):
        try:
            return _size(pair for pair in source.pairs() if isinstance(pair, FilePair))
        except TrainwardenError:
            return None


def _size(pairs: Iterable[FilePair]) -> Size:
    added = removed = files = python = 0
    for pair in pairs:
        more, fewer = lines.moved(
            pair.before.data if pair.before else b"", pair.after.data if pair.after else b""
        )
        added, removed, files = added + more, removed + fewer, files + 1
        python += pair.path.endswith(PYTHON)
    return Size(added, removed, files, python)
