"""What ``rules check`` asks beyond the grammar: a rule that loads can still be unable to fire.

In: rules. Out: complaints in words, each about one rule. Every check is a small function; the registry is
``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwarden.facts.extract import CATALOGUE
from trainwarden.roles import ROLE_WORDS
from trainwarden.rules.conditions import kind_of, snippets_of, with_parameters
from trainwarden.rules.findings import BUILT_IN, slots
from trainwarden.rules.grammar import LEAVES, did_you_mean
from trainwarden.rules.patterns import pattern
from trainwarden.rules.schema import FAMILIES, Rule, conditions
from trainwarden.rules.values import globs

LEAST_CASES = 2


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one rule, in words."""

    rule: str
    origin: str
    words: str


def complaints(rules: Sequence[Rule]) -> Iterator[Complaint]:
    """Everything wrong with some rules."""
    for rule in rules:
        for check in CHECKS:
            for words in check(rule):
                yield Complaint(rule.id, rule.origin, words)
    yield from _twins(rules)


def _cases(rule: Rule) -> Iterator[str]:
    for name, cases in (("fires", rule.fires), ("quiet", rule.quiet)):
        if len(cases) < LEAST_CASES:
            yield f"has {len(cases)} {name} cases; {LEAST_CASES} are needed"
    seen: list[object] = []
    for case in (*rule.fires, *rule.quiet):
        if case.before == case.after:
            yield "has a case in which nothing changes"
        if (case.before, case.after) in seen:
            yield "has the same case twice"
        seen.append((case.before, case.after))


def _family(rule: Rule) -> Iterator[str]:
    if rule.family not in FAMILIES:
        yield f"lies in the unknown family {rule.family!r}{did_you_mean(rule.family, FAMILIES)}"


def _captured(rule: Rule) -> frozenset[str]:
    """The metavariables that patterns of ``when`` capture."""
    found: set[str] = set()
    for spec in conditions(rule):
        for text in snippets_of(spec):
            found |= pattern(text).metavariables
    return frozenset(found)


def _metavariables(rule: Rule) -> Iterator[str]:
    captured = _captured(rule)
    for spec in conditions(rule):
        kind = kind_of(spec)
        if kind in ("where", "provenance"):
            name = spec[kind]["of"].lstrip("$")
            if name not in captured:
                yield f"asks about ${name}, which no pattern captures{did_you_mean(name, captured)}"


def _message(rule: Rule) -> Iterator[str]:
    known = _captured(rule) | BUILT_IN | set(rule.parameters)
    for name in slots(rule.message):
        if name not in known:
            yield f"names {{{name}}} in its message, which nothing fills{did_you_mean(name, known)}"


def _parameters(rule: Rule) -> Iterator[str]:
    for part in (rule.when, *rule.unless):
        filled = str(with_parameters(part, dict.fromkeys(rule.parameters, 1)))
        for name in slots(filled):
            yield f"uses the parameter {{{name}}}, which it does not declare"
    used = {name for part in (rule.when, *rule.unless) for name in slots(str(part))}
    for name in rule.parameters:
        if name in BUILT_IN:
            yield f"calls a parameter {name!r}, which means something else in messages"
        if name not in used and name not in slots(rule.message):
            yield f"declares the parameter {name!r} and does not use it"


def _roles(rule: Rule) -> Iterator[str]:
    for spec in conditions(rule):
        kind = kind_of(spec)
        for key in ("roles", "not_roles") if kind in LEAVES else ():
            for word in spec[kind].get(key, ()):
                if word not in ROLE_WORDS:
                    yield f"asks for the role {word!r}, which nothing has{did_you_mean(word, ROLE_WORDS)}"


def _facts(rule: Rule) -> Iterator[str]:
    names = [kind.name for kind in CATALOGUE]
    for spec in conditions(rule):
        kind = kind_of(spec)
        key = {"shift": "fact", "lost": "fact", "fact": "name"}.get(kind)
        wanted = spec[kind].get(key, ()) if key is not None else _events(spec, kind)
        for word in wanted:
            if not any(_can_meet(word, name) for name in names):
                yield f"asks for the fact {word!r}, which nothing states{did_you_mean(word, names)}"


def _events(spec: Mapping[str, Any], kind: str) -> list[str]:
    if kind != "order":
        return []
    return ["event." + word for key in ("was", "now") for word in spec[kind].get(key, ())]


def _can_meet(wanted: str, name: str) -> bool:
    """Whether a fact called ``name`` (possibly ending in ``*``) can be like ``wanted``."""
    if wanted.startswith("/"):
        return True
    if name.endswith("*"):
        start = name[:-1].lower()
        fixed = wanted.lower().split("*")[0].split("?")[0]
        return fixed.startswith(start) or start.startswith(fixed)
    return globs([wanted])(name)


def _twins(rules: Sequence[Rule]) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    for rule in rules:
        key = str((rule.when, rule.unless))
        if key in seen:
            yield Complaint(rule.id, rule.origin, f"has the same conditions as {seen[key]}")
        seen[key] = rule.id


CHECKS: tuple[Callable[[Rule], Iterator[str]], ...] = (
    _cases,
    _family,
    _metavariables,
    _message,
    _parameters,
    _roles,
    _facts,
)
