"""Rules and a change in, findings out. Pure: no I/O, no clock, and no dependence on the order of files.

Each rule is asked only about files that have one of the features it needs. What it finds becomes findings:
one for an edit, a file or the change, as the rule's ``scope`` says, with the evidence, captioned places and
a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from trainwarden.model import Finding
from trainwarden.rules.conditions import ANY_FILE, Needs, compile_condition, needs, with_parameters
from trainwarden.rules.findings import finding, merged
from trainwarden.rules.hits import Ask, Condition, Hit, Region, first
from trainwarden.rules.index import ChangeIndex, FileIndex
from trainwarden.rules.leaves_other import file_site
from trainwarden.rules.schema import Rule, RuleSet
from trainwarden.view import ChangeView

MOST_FINDINGS = 20
"""Findings of one rule in one file; what comes after is told as further places of the last one."""


class Program:
    """A rule ready to run. Its closures are made when it is first asked."""

    __slots__ = ("_unless", "_when", "needs", "rule", "whole_change")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.needs = _needs(rule)
        self.whole_change = rule.scope == "change" or rule.when.get("within") == "change"
        self._when: Condition | None = None
        self._unless: list[tuple[Condition, str]] = []

    def run(self, change: ChangeIndex) -> list[Hit]:
        """Every hit of the rule that nothing in ``unless`` excuses."""
        files = [file for file in change.files_with(self.needs) if self._concerns(file)]
        if not files:
            return []
        found = []
        for region in self._regions(change, files):
            ask = Ask(change, region, {})
            for hit in first(self.when(ask)):
                placed = hit if hit.sites else Hit((file_site(region.files[0]),), hit.captures, hit.evidence)
                if self._concerns(placed.sites[0].file) and not self._excused(ask, placed):
                    found.append(placed)
        return found

    def _regions(self, change: ChangeIndex, files: Sequence[FileIndex]) -> Iterator[Region]:
        if self.whole_change:
            yield Region(change.files, "change")
        else:
            for file in files:
                yield Region((file,), "file")

    def _concerns(self, file: FileIndex) -> bool:
        view = file.view
        return (self.rule.requires == "any" or view.training) and (self.rule.tests or not view.test)

    def _excused(self, ask: Ask, hit: Hit) -> bool:
        return any(
            next(condition(ask.given(hit).within(within, hit.sites[0])), None) is not None
            for condition, within in self._unless
        )

    @property
    def when(self) -> Condition:
        """The compiled condition."""
        if self._when is None:
            rule = self.rule
            filled = [with_parameters(part, rule.parameters) for part in (rule.when, *rule.unless)]
            self._when = compile_condition(filled[0])
            self._unless = [(compile_condition(part), part.get("within", "file")) for part in filled[1:]]
        return self._when


def _needs(rule: Rule) -> Needs:
    if not rule.needs:
        return needs(with_parameters(rule.when, rule.parameters))
    return None if ANY_FILE in rule.needs else frozenset(rule.needs)


_PROGRAMS: dict[str, tuple[Program, ...]] = {}


def programs(rules: RuleSet) -> tuple[Program, ...]:
    """The programs of a rule set, made once for each digest."""
    made = _PROGRAMS.get(rules.digest)
    if made is None:
        _PROGRAMS.clear()
        made = _PROGRAMS[rules.digest] = tuple(Program(rule) for rule in rules.rules)
    return made


def match(rules: RuleSet, view: ChangeView) -> tuple[Finding, ...]:
    """The findings of all rules on a change, sorted by path, line and rule.

    ``evidence_weight`` and ``score`` are left to the policy.
    """
    ordered = replace(view, files=tuple(sorted(view.files, key=lambda file: (file.path, file.side))))
    change = ChangeIndex(ordered)
    found: list[Finding] = []
    for program in programs(rules):
        found.extend(_findings(program.rule, program.run(change)))
    change.forget()
    return tuple(sorted(found, key=_order))


def _order(found: Finding) -> tuple[str, int, int, str, str]:
    return found.path, found.start_line, found.end_line, found.rule, found.fingerprint


def _findings(rule: Rule, hits: Iterable[Hit]) -> Iterator[Finding]:
    """One finding for each edit, file or change; hits at the same place are one."""
    groups: dict[object, list[Hit]] = {}
    for hit in sorted(hits, key=lambda hit: hit.sites[0].key):
        groups.setdefault(_group(rule, hit), []).append(hit)
    by_file: dict[int, list[list[Hit]]] = {}
    for group in groups.values():
        by_file.setdefault(group[0].sites[0].file.place, []).append(group)
    for several in by_file.values():
        kept, rest = several[: MOST_FINDINGS - 1], several[MOST_FINDINGS - 1 :]
        yield from (finding(rule, merged(group)) for group in kept)
        if rest:
            yield finding(rule, merged([hit for group in rest for hit in group]))


def _group(rule: Rule, hit: Hit) -> object:
    site = hit.sites[0]
    if rule.scope == "change":
        return "change"
    if rule.scope == "file":
        return site.file.place
    return (site.file.place, id(site.edit)) if site.edit is not None else site.key
