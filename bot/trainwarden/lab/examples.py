"""Samples in, examples to learn from out: each change understood, matched by the rules, and its sites labelled.

Runs in worker processes; the samples are the project's own material (cases and public history), never a change under
review.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from trainwarden.config import Config
from trainwarden.evaluate import casefile, fixes, ordinary
from trainwarden.evaluate.assembly import Material, Selection, assemble
from trainwarden.evaluate.casefile import Case
from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.evaluate.sample import NEAR, SABOTAGE, Sample
from trainwarden.git import open_source
from trainwarden.lab.fit import Example, Instance
from trainwarden.learned import Key, heard, key_of
from trainwarden.model import Scorer, Unit
from trainwarden.policy import counted, default_weight
from trainwarden.rules.engine import match
from trainwarden.rules.schema import RuleSet, load_rules
from trainwarden.sandbox_child import settle
from trainwarden.score.units import units_of
from trainwarden.sites import Site, signals_at, sites_of, span
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


@dataclass(frozen=True, slots=True)
class Read:
    """One change as an example, and what a classifier needs to be asked about it later. ``keys``: of its instances."""

    example: Example
    keys: tuple[Key | None, ...]
    units: tuple[Unit, ...]

    def scored(self, scorer: Scorer) -> Example:
        """The example with the classifier's word on each instance."""
        said = heard(self.units, scorer.score(self.units))
        words = [said.get(key) if key is not None else None for key in self.keys]
        instances = tuple(
            replace(instance, learned=(word.risk, word.line) if word is not None else None)
            for instance, word in zip(self.example.instances, words, strict=True)
        )
        return replace(self.example, instances=instances)


def read_cases(files: Iterable[Path]) -> tuple[Case, ...]:
    """The cases of some files. Raises ``Misuse``."""
    return tuple(case for file in files for case in casefile.parse(file.read_bytes(), str(file)))


def read_once(cache: Path | None, material: Callable[[], Iterator[Read]]) -> list[Read]:
    """What was read before and kept in ``cache``, or else ``material``, which is kept there then."""
    if cache is not None and cache.exists():
        kept: list[Read] = pickle.loads(cache.read_bytes())
        return kept
    found = list(material())
    if cache is not None:
        cache.write_bytes(pickle.dumps(found))
    return found


def read_choose(
    cases: Sequence[Case],
    fixed: Path | None,
    commits: Path,
    mirrors: Path,
    splits: Mapping[str, str],
    jobs: int,
) -> Iterator[Read]:
    """Cases, a table of fixes and a list of ordinary commits, as far as they lie in repositories of *choose*.

    Tells its progress on standard error. Raises ``CaseFailure`` and ``Misuse``.
    """
    chosen = frozenset(name for name, split in splits.items() if split == "choose")
    material = Material(
        cases=tuple(cases),
        fixes=fixes.parse(fixed.read_bytes(), str(fixed)) if fixed is not None else (),
        ordinary=ordinary.parse(commits.read_bytes(), str(commits)),
    )
    with Mirrors(mirrors) as clones:
        samples = assemble(material, Selection(repos=chosen, python=True), clones).samples
    for done, one in enumerate(read(samples, jobs), 1):
        sys.stderr.write(f"\r{done} of {len(samples)} changes read")
        yield one
    sys.stderr.write("\n")


def read(samples: Sequence[Sample], jobs: int) -> Iterator[Read]:
    """Each sample understood, in order. Raises whatever a sample that cannot be read raises."""
    settle()  # or the garbage collector goes through all that was read again and again, and each worker with it
    with get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(read_one, samples, chunksize=8)


def read_one(sample: Sample) -> Read:
    """One change as sites with signals, rules and truth."""
    with closing(open_source(sample.request)) as source:
        view = view_of(source.pairs())
    sites = sites_of(view, match(_bundled(), view))
    instances = tuple(_instance(site, sample) for site in sites)
    example = Example(sample.id, sample.repo, _GROUPS[sample.group], instances)
    return Read(example, tuple(map(key_of, sites)), units_of(view, signals_at(sites)))


def _bundled() -> RuleSet:
    global _rules
    if _rules is None:
        _rules = load_rules(True, None, Config())
    return _rules


def _instance(site: Site, sample: Sample) -> Instance:
    fired = counted(site)
    rules = tuple(sorted((name, default_weight(finding)) for name, finding in fired.items()))
    return Instance(tuple(sorted(site.signals)), rules, sample.group in SABOTAGE and _hit(site, sample))


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
