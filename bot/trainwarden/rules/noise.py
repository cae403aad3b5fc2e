"""How often rules fire on ordinary history, and the ``measured:`` entry of a rule file.

In: rules and a repository (opened for reading only). Out: how many commits were read and on how many each
rule fired.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainwarden.git.repository import Repository
from trainwarden.git.source import open_source
from trainwarden.model import Request
from trainwarden.rules import engine
from trainwarden.rules.schema import Rule, RuleSet
from trainwarden.understand import view_of

_MEASURED = re.compile(r"^measured:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Noise:
    """``commits`` that were read, and on how many of them each rule fired at least once."""

    commits: int
    fired: Counter[str]

    def rate(self, rule: str) -> float:
        """Firings per 1,000 commits."""
        return 1000 * self.fired[rule] / self.commits if self.commits else 0.0


def measure(
    rules: RuleSet, repo: str, commits: int, progress: Callable[[int], None] = lambda done: None
) -> Noise:
    """Runs the rules over the newest non-merge first-parent commits of a repository.

    Raises ``Misuse`` when there is no repository and ``Unfinished`` when a commit cannot be read.
    """
    with Repository(repo) as repository:
        pairs = list(repository.first_parent_commits(commits, None))
    fired: Counter[str] = Counter()
    for done, (base, head) in enumerate(pairs, 1):
        fired.update(_fired(rules, repo, base, head))
        progress(done)
    return Noise(len(pairs), fired)


def _fired(rules: RuleSet, repo: str, base: str, head: str) -> set[str]:
    source = open_source(Request(repo, "range", base, head))
    try:
        view = view_of(source.pairs())
    finally:
        source.close()
    return {finding.rule for finding in engine.match(rules, view)}


def write_measured(rule: Rule, measured: Mapping[str, int]) -> None:
    """Replaces the ``measured:`` entry of a rule's file; other measurements in it are kept."""
    path = Path(rule.origin)
    values = {**rule.measured, **measured}
    line = "measured: {" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}\n"
    text = path.read_text("utf-8")
    text = text if text.endswith("\n") else text + "\n"
    found = _MEASURED.search(text)
    path.write_text(text[: found.start()] + line + text[found.end() :] if found else text + line, "utf-8")
