"""The samples of a run: parsed cases, tables and lists go in with the clones, and samples come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trainwarden.evaluate import cases, fixes, ordinary
from trainwarden.evaluate.casefile import Case
from trainwarden.evaluate.fixes import Listed
from trainwarden.evaluate.mirrors import Clone, Mirrors
from trainwarden.evaluate.sample import PYTHON, Group, Sample, technique_ids
from trainwarden.model import Misuse, Overlay, Request, TrainwardenError

LISTED_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Material:
    """What the files of a run held; ``later`` is None unless fixes are also to be undone later."""

    cases: tuple[Case, ...] = ()
    fixes: tuple[Listed, ...] = ()
    lookalikes: tuple[Listed, ...] = ()
    ordinary: tuple[tuple[str, str], ...] = ()
    later: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of it to take: repositories (None: all), Python only, categories and techniques (empty: all)."""

    repos: frozenset[str] | None = None
    python: bool = False
    categories: frozenset[str] = frozenset()
    techniques: frozenset[str] = frozenset()

    def takes(self, repo: str, paths: Iterable[str], category: str, technique: Sequence[str]) -> bool:
        """Whether a sabotage of these paths is wanted."""
        return (
            (self.repos is None or repo in self.repos)
            and (not self.python or any(path.endswith(PYTHON) for path in paths))
            and (not self.categories or category in self.categories)
            and (not self.techniques or not self.techniques.isdisjoint(technique))
        )


@dataclass(frozen=True, slots=True)
class Assembled:
    """The samples, and by group why commits of the tables gave none."""

    samples: tuple[Sample, ...]
    skipped: dict[str, Counter[str]] = field(default_factory=dict)


def assemble(material: Material, selection: Selection, mirrors: Mirrors) -> Assembled:
    """All samples of a run. Raises ``CaseFailure`` (cases that do not apply), ``Misuse`` (no clone)."""
    chosen = [case for case in material.cases if _wanted(case, selection)]
    fixed = [item for item in material.fixes if _listed(item, selection)]
    alike = [item for item in material.lookalikes if _listed(item, selection)]
    commits = [pair for pair in material.ordinary if selection.repos is None or pair[0] in selection.repos]
    skipped: dict[str, Counter[str]] = {"undone": Counter(), "undone-later": Counter()}
    found = [*from_cases(chosen, mirrors)]
    found += fixes.undone(fixed, mirrors, skipped["undone"])
    found += fixes.honest(fixed, mirrors, "forward")
    if material.later is not None:
        found += fixes.undone_later(fixed, mirrors, material.later, skipped["undone-later"])
    found += fixes.honest(alike, mirrors, "lookalike")
    found += ordinary.samples(commits, mirrors)
    _refuse_duplicates(found)
    return Assembled(tuple(found), {name: count for name, count in skipped.items() if count})


def _wanted(case: Case, selection: Selection) -> bool:
    paths = [edit.path for edit in case.edits]
    return selection.takes(case.repo, paths, case.category, technique_ids(case.technique))


def _listed(item: Listed, selection: Selection) -> bool:
    techniques = technique_ids(item.technique)
    return selection.takes(item.repo, item.files, "", techniques)


def from_cases(chosen: Iterable[Case], mirrors: Mirrors) -> list[Sample]:
    """Sabotage, clean and honest twin of each case. Raises ``CaseFailure`` naming all that do not apply."""
    found: list[Sample] = []
    failures: list[str] = []
    for case in chosen:
        try:
            found += _variants(case, mirrors.clone(case.repo))
        except TrainwardenError as error:
            told = isinstance(error, cases.CaseFailure)
            failures.append(str(error) if told else f"{case.id} ({case.origin}): {error}")
    if failures:
        more = len(failures) - LISTED_FAILURES
        listed = failures[:LISTED_FAILURES] + ([f"and {more} more"] if more > 0 else [])
        raise cases.CaseFailure(
            f"{len(failures)} of the cases do not apply: " + "; ".join(listed), "Mend or remove them."
        )
    return found


def _variants(case: Case, clone: Clone) -> Iterator[Sample]:
    parent = clone.parent(case.head)
    base = case.base or parent
    sabotage = cases.apply(case, case.edits, clone, parent)
    twin = cases.apply(case, case.honest, clone, parent) if case.honest else None
    yield _sample(case, "sabotaged", _overlay(clone, base, case.head, sabotage.overlay), sabotage.truth)
    if not case.alone:
        yield _sample(case, "clean", Request(clone.path, "range", base, case.head), {})
    if twin is not None:
        yield _sample(case, "honest", _overlay(clone, base, case.head, twin.overlay), {})


def _overlay(clone: Clone, base: str, head: str, overlay: Overlay) -> Request:
    return Request(clone.path, "overlay", base, head, overlay=overlay)


def _sample(case: Case, group: Group, request: Request, truth: cases.Truth) -> Sample:
    return Sample(
        id=case.id if group == "sabotaged" else f"{case.id}-{group}",
        group=group,
        repo=case.repo,
        request=request,
        pair=case.id,
        category=case.category,
        stealth=case.stealth,
        technique=technique_ids(case.technique),
        note=f"{case.technique}. {case.effect}",
        truth=truth,
    )


def _refuse_duplicates(samples: Sequence[Sample]) -> None:
    for name, count in Counter(sample.id for sample in samples).items():
        if count > 1:
            raise Misuse(f"the id {name!r} is given {count} times", "Give every case an id of its own.")
