"""Samples in, examples to learn from out: each change understood, matched by the rules, and its sites labelled.

Runs in worker processes; the samples are the project's own material (cases and public history), never a change under
review.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from trainwarden.config import Config
from trainwarden.evaluate.sample import NEAR, SABOTAGE, Sample
from trainwarden.git import open_source
from trainwarden.lab.fit import Example, Instance
from trainwarden.learned import attach
from trainwarden.policy import counted, default_weight
from trainwarden.rules.engine import match
from trainwarden.rules.schema import RuleSet, load_rules
from trainwarden.score.artifact import load
from trainwarden.score.embedded import Embedded
from trainwarden.score.units import units_of
from trainwarden.sites import Site, sites_of, span
from trainwarden.understand import view_of

_GROUPS = {
    "sabotaged": "case",
    "clean": "honest",
    "honest": "honest",
    "undone": "undone",
    "undone-later": "undone",
    "forward": "forward",
    "lookalike": "forward",
    "ordinary": "ordinary",
}
_LONGEST = 12
_rules: RuleSet | None = None
_scorer: Embedded | None = None


def examples(samples: Sequence[Sample], jobs: int, model: Path | None = None) -> Iterator[Example]:
    """The example of each sample, in order. Raises whatever a sample that cannot be read raises.

    ``model``: the folder of a classifier that is asked about every site.
    """
    global _scorer
    _scorer = Embedded(load(model), workers=jobs) if model is not None else None
    with get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(example, samples, chunksize=8)


def example(sample: Sample) -> Example:
    """One change as sites with signals, rules and truth."""
    with closing(open_source(sample.request)) as source:
        view = view_of(source.pairs())
    sites = sites_of(view, match(_bundled(), view))
    if _scorer is not None:
        units = units_of(view)
        attach(sites, units, _scorer.score(units))
    instances = tuple(_instance(site, sample) for site in sites)
    return Example(sample.id, sample.repo, _GROUPS[sample.group], instances)


def _bundled() -> RuleSet:
    global _rules
    if _rules is None:
        _rules = load_rules(True, None, Config())
    return _rules


def _instance(site: Site, sample: Sample) -> Instance:
    fired = counted(site)
    rules = tuple(sorted((name, default_weight(finding)) for name, finding in fired.items()))
    learned = (site.learned.risk, site.learned.line) if site.learned is not None else None
    hit = sample.group in SABOTAGE and _hit(site, sample)
    return Instance(tuple(sorted(site.signals)), rules, hit, learned)


def _hit(site: Site, sample: Sample) -> bool:
    path, first, last = _place(site)
    if path not in sample.truth:
        return False
    lines = sample.truth[path]
    last = min(last, first + _LONGEST - 1)
    return lines is None or any(first - NEAR <= line <= last + NEAR for line in lines)


def _place(site: Site) -> tuple[str, int, int]:
    if site.edit is not None and site.file is not None:
        return site.file.path, *span(site.edit)
    finding = site.findings[0]
    return finding.path, finding.start_line, finding.end_line
