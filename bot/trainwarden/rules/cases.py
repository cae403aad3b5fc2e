"""Runs the cases of rules through the real reading and understanding.

In: rules with cases. Out: ``Outcome``s with the words of ast-grep's tests: *validated* (a quiet case stayed
quiet), *reported* (a firing case fired, at the stated line), *noisy* (a quiet case fired), *missing* (a
firing case did not). A snippet in a case counts as training code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from trainwarden.model import FilePair, FileVersion, Finding
from trainwarden.rules import engine
from trainwarden.rules.schema import Case, Rule, RuleSet, rule_set
from trainwarden.understand import view_of
from trainwarden.view import ChangeView

Result = Literal["validated", "reported", "noisy", "missing"]
FAILURES: frozenset[Result] = frozenset({"noisy", "missing"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case showed. ``number`` counts from 1 within its list; ``detail``: why it failed."""

    rule: str
    expected: Literal["fires", "quiet"]
    number: int
    result: Result
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Whether the rule and the case disagree."""
        return self.result in FAILURES


def run_cases(rules: Iterable[Rule]) -> Iterator[Outcome]:
    """The outcome of every case of every rule, each rule judged alone."""
    for rule in rules:
        alone = rule_set([rule])
        for number, case in enumerate(rule.fires, 1):
            yield _fires(rule, alone, case, number)
        for number, case in enumerate(rule.quiet, 1):
            yield _quiet(rule, alone, case, number)


def case_view(case: Case) -> ChangeView:
    """The change of a case, understood."""
    pairs = [FilePair(_version(case.before, path), _version(case.after, path)) for path in case.before]
    return view_of(pairs, training_paths=("**",))


def _version(side: Mapping[str, str | None], path: str) -> FileVersion | None:
    text = side.get(path)
    return None if text is None else FileVersion(path, 0o100644, text.encode("utf-8", "surrogatepass"))


def findings_of(rules: RuleSet, case: Case) -> tuple[Finding, ...]:
    """What some rules find in a case."""
    return engine.match(rules, case_view(case))


def _fires(rule: Rule, alone: RuleSet, case: Case, number: int) -> Outcome:
    found = findings_of(alone, case)
    if not found:
        return Outcome(rule.id, "fires", number, "missing", "nothing was found")
    if case.line is not None and not any(f.start_line <= case.line <= f.end_line for f in found):
        lines = ", ".join(f"{f.start_line}-{f.end_line}" for f in found)
        return Outcome(
            rule.id, "fires", number, "missing", f"found at line {lines}, expected line {case.line}"
        )
    return Outcome(rule.id, "fires", number, "reported")


def _quiet(rule: Rule, alone: RuleSet, case: Case, number: int) -> Outcome:
    found = findings_of(alone, case)
    if found:
        return Outcome(rule.id, "quiet", number, "noisy", f"line {found[0].start_line}: {found[0].message}")
    return Outcome(rule.id, "quiet", number, "validated")
