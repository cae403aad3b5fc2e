"""Sabotage of one member: every operator that applies plants once, alone or made harder to see.

In: the text of a mini module (imports and one member), a random generator. Out: ``Planting``s, lazily.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from trainwarden.lab.sabotage import honest, modifiers
from trainwarden.lab.sabotage.catalogue import OPERATORS
from trainwarden.lab.sabotage.operator import Operator, Planted

_TRIGGER, _HIDDEN, _COMBINED = 0.20, 0.25, 0.10
_TRIES = 12
"""How many operators are tried as the second of a pair."""


@dataclass(frozen=True, slots=True)
class Planting:
    """One member three times: as it was, sabotaged, and honestly edited at the same place."""

    operator: str
    technique: str
    modifiers: tuple[str, ...]
    """Such as ``hidden:local-renamed``, ``trigger:step``, ``combined:loss-sign-flipped``, ``twin:logging-added``."""
    before: str
    """The member as it was; for some deletions with one more superfluous line, which the twin deletes."""
    sabotaged: str
    honest: str
    lines: tuple[int, ...]
    """Lines of ``sabotaged`` that the operator changed, from 1; for a deletion the line after the gap."""


@dataclass(frozen=True, slots=True)
class _Act:
    """The state of a planting while modifiers change it."""

    before: cst.Module
    sabotaged: cst.Module
    honest: cst.Module | None
    modifiers: tuple[str, ...]


def plantings(
    source: str, rng: random.Random, *, operators: Sequence[Operator] = OPERATORS
) -> Iterator[Planting]:
    """One planting for each operator that applies, in random order; nothing for a text that does not parse."""
    try:
        module = cst.parse_module(source)
    except (cst.ParserSyntaxError, ValueError, RecursionError):
        return
    lowered = source.lower()
    usable = [each for each in operators if not each.needs or any(word in lowered for word in each.needs)]
    for operator in rng.sample(usable, len(usable)):
        planting = _planting(source, module, operator, usable, rng)
        if planting is not None:
            yield planting


def _planting(
    source: str, module: cst.Module, operator: Operator, usable: Sequence[Operator], rng: random.Random
) -> Planting | None:
    """A single act; None where the operator does not apply or something cannot be spelt."""
    try:
        act = _acted(module, operator, rng)
        if act is None:
            return None
        act = _triggered(_combined(act, usable, rng), rng)
        base, sabotaged = act.before.code, act.sabotaged.code
        start, act = _with_twin(source, act, base, sabotaged, rng)
        base, sabotaged = act.before.code, act.sabotaged.code
        twin = act.honest.code if act.honest is not None else ""
        ast.parse(sabotaged)
        ast.parse(twin)
    except (SyntaxError, cst.ParserSyntaxError, RecursionError):
        return None
    if not twin or sabotaged in (start, base, twin) or twin in (start, base):
        return None
    lines = honest.touched_lines(base, sabotaged)
    return Planting(operator.id, operator.technique, act.modifiers, start, sabotaged, twin, lines)


def _acted(module: cst.Module, operator: Operator, rng: random.Random) -> _Act | None:
    names: tuple[str, ...] = ()
    before = module
    planted = _plant(operator, module, rng)
    if planted is not None and rng.random() < _HIDDEN:
        found, disguised = honest.disguised(module, rng, 3)
        again = _plant(operator, disguised, rng) if found else None
        if again is not None:
            names, before, planted = tuple(f"hidden:{name}" for name in found), disguised, again
    return _Act(before, planted.sabotaged, planted.honest, names) if planted is not None else None


def _plant(operator: Operator, module: cst.Module, rng: random.Random) -> Planted | None:
    try:
        return operator.plant(module, rng)
    except (cst.CSTValidationError, cst.ParserSyntaxError):
        return None


def _combined(act: _Act, usable: Sequence[Operator], rng: random.Random) -> _Act:
    if rng.random() >= _COMBINED:
        return act
    for other in rng.sample(usable, min(_TRIES, len(usable))):
        second = _plant(other, act.sabotaged, rng)
        if second is not None:
            beside = _plant(other, act.honest, rng) if act.honest is not None else None
            twin = beside.honest if beside is not None and beside.honest is not None else act.honest
            return _Act(act.before, second.sabotaged, twin, (*act.modifiers, f"combined:{other.id}"))
    return act


def _triggered(act: _Act, rng: random.Random) -> _Act:
    if rng.random() >= _TRIGGER:
        return act
    made = modifiers.triggered(act.before, act.sabotaged, rng)
    if made is None:
        return act
    return _Act(act.before, made[1], None, (*act.modifiers, f"trigger:{made[0]}"))


def _with_twin(source: str, act: _Act, base: str, sabotaged: str, rng: random.Random) -> tuple[str, _Act]:
    """The text to begin with, and the act with an honest twin of the same shape."""
    shape = honest.shape_of(base, sabotaged)
    twin = act.honest.code if act.honest is not None else base
    if shape == "deletion" and base == source and (twin == base or honest.shape_of(base, twin) != shape):
        made = honest.deletion_twin(act.before, act.sabotaged, rng)
        if made is not None:
            return made[0].code, _Act(made[0], made[1], act.before, (*act.modifiers, "twin:line-deleted"))
    if twin not in (base, sabotaged):
        return source, act
    found = honest.twin(act.before, act.sabotaged, rng, shape)
    if found is None:
        return source, act
    return source, _Act(act.before, act.sabotaged, found[1], (*act.modifiers, f"twin:{found[0]}"))
