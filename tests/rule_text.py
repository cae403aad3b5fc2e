"""Rules written in a few lines for the engine's tests."""

from __future__ import annotations

from typing import Any

from trainwarden.model import Finding
from trainwarden.rules import engine
from trainwarden.rules.schema import Rule, read_rule, rule_set
from trainwarden.rules.text import read_view

HEAD = """\
id: probe
title: probe
technique: [A01]
role: effect
severity: high
confidence: high
stage: active
why: probe
"""
CASES = "cases: {fires: [], quiet: []}\n"


def rule(body: str) -> Rule:
    """A rule from its ``when`` and whatever else matters."""
    return read_rule((HEAD + body.strip("\n") + "\n" + CASES).encode(), "probe.yml", "loss", "probe")


def when(condition: str) -> Rule:
    """A rule from one condition in YAML's flow style."""
    return rule(f"when: {condition}")


def judged(probe: Rule, view: str) -> tuple[Finding, ...]:
    """What a rule finds in a change written as text."""
    return engine.match(rule_set([probe]), read_view(view))


def lines(probe: Rule, view: str) -> list[int]:
    """The first lines of what a rule finds."""
    return [found.start_line for found in judged(probe, view)]


def evidence(probe: Rule, view: str) -> dict[str, Any]:
    """The evidence of the only finding."""
    (found,) = judged(probe, view)
    return dict(found.evidence)
