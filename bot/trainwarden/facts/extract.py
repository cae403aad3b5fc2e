"""The facts of one member: one walk over its nodes, every extractor listening.

In: a lowered member with resolved names. Out: its ``Fact``s in the order in which they happen when the code
runs (arguments before the call, statements from top to bottom). The registry is the tuple ``EXTRACTORS``.
"""

from __future__ import annotations

from dataclasses import replace

from trainwarden.facts import (
    architecture,
    configuration,
    data,
    distributed,
    effects,
    evaluation,
    events,
    formulas,
    gradients,
    labels,
    losses,
    numerics,
    optimization,
    randomness,
    state,
)
from trainwarden.facts.reading import (
    Call,
    CallHandler,
    Extractor,
    FactKind,
    GuardsOf,
    LoopDepth,
    NodeHandler,
    Reading,
    last_part,
)
from trainwarden.guards import guards_of, loop_depth
from trainwarden.model import Fact
from trainwarden.parse.names import Scope, is_inert
from trainwarden.parse.nodes import BLOCKS, STATEMENTS, Node

EXTRACTORS: tuple[Extractor, ...] = (
    events.EXTRACTOR,
    optimization.EXTRACTOR,
    losses.EXTRACTOR,
    formulas.EXTRACTOR,
    gradients.EXTRACTOR,
    data.EXTRACTOR,
    labels.EXTRACTOR,
    randomness.EXTRACTOR,
    state.EXTRACTOR,
    evaluation.EXTRACTOR,
    distributed.EXTRACTOR,
    effects.EXTRACTOR,
    configuration.EXTRACTOR,
    numerics.EXTRACTOR,
    architecture.EXTRACTOR,
)
CATALOGUE: tuple[FactKind, ...] = tuple(
    replace(kind, extractor=extractor.name) for extractor in EXTRACTORS for kind in extractor.facts
)
"""Every fact that can be said, with its meaning; the behaviour table and ``docs/facts.md`` read it."""
_BEFORE_ITS_PARTS = STATEMENTS | BLOCKS
_WATCHED = frozenset(kind.name for kind in CATALOGUE if kind.watched)


def extract(
    member_name: str,
    member: Node,
    scope: Scope,
    path: str,
    guards: GuardsOf = guards_of,
    loops: LoopDepth = loop_depth,
) -> tuple[Fact, ...]:
    """The facts of one member, in evaluation order. ``member`` was resolved with ``scope``."""
    reading = Reading(member_name, member, scope, path, _WATCHED, guards, loops)
    for node in _evaluated(member, []):
        for handler in _KINDS.get(node.kind, ()):
            handler(reading, node)
        if node.kind == "call":
            _called(reading, node)
    return tuple(reading.facts)


def _called(reading: Reading, node: Node) -> None:
    last = last_part(node.function.name)
    if last == "partial":
        call = Call(node, reading.scope)
        handlers = _CALLS.get(call.last, ())
    else:
        handlers = _CALLS.get(last, ())
        if not handlers:
            return
        call = Call(node, reading.scope)
    for handler in handlers:
        handler(reading, call)


_ANNOTATIONS = frozenset({"annotation", "returns"})


def _evaluated(node: Node, into: list[Node]) -> list[Node]:
    """Every node once: statements before their parts, expressions after theirs (inner calls run first).

    Without annotations that only name types.
    """
    first = node.kind in _BEFORE_ITS_PARTS
    if first:
        into.append(node)
    for child in node.children:
        if child.kind in _ANNOTATIONS and is_inert(child):
            continue
        if child.children:
            _evaluated(child, into)
        else:
            into.append(child)
    if not first:
        into.append(node)
    return into


def _calls() -> dict[str, tuple[CallHandler, ...]]:
    table: dict[str, list[CallHandler]] = {}
    for extractor in EXTRACTORS:
        for name, handler in extractor.calls.items():
            table.setdefault(name, []).append(handler)
    return {name: tuple(handlers) for name, handlers in table.items()}


def _kinds() -> dict[str, tuple[NodeHandler, ...]]:
    table: dict[str, list[NodeHandler]] = {}
    for extractor in EXTRACTORS:
        for kind, handler in extractor.kinds.items():
            table.setdefault(kind, []).append(handler)
    return {kind: tuple(handlers) for kind, handlers in table.items()}


_CALLS = _calls()
_KINDS = _kinds()


def catalogue_page() -> str:
    """``docs/facts.md``: every fact with its meaning, grouped by extractor."""
    lines = [_INTRODUCTION]
    for extractor in EXTRACTORS:
        lines.append(f"\n## {extractor.name}\n\n| fact | value | meaning |\n|---|---|---|")
        lines += [f"| `{kind.name}` | {kind.unit} | {kind.words} |" for kind in extractor.facts]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """# Facts

What Trainwarden says about training code, on either side of a change. A fact has a name, the member it stands
in (scope), a subject, a value as text, a number where the value is one, its position among the facts of the
member, its loop depth and the kinds of condition it runs under. A `*` stands for the name of an argument,
flag or field. Locals are written as what they hold: their constant, else where they come from, else `_`.

This page is generated from the extractors (`trainwarden.facts.extract.catalogue_page`)."""
