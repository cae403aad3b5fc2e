"""A rule in words, always under the same headings: for ``rules show`` and the documentation.

In: a rule. Out: text (Markdown).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from trainwarden.rules.schema import Case, Rule


def describe(rule: Rule) -> str:
    """What the rule says, why it is bad, an example and what is measured."""
    sections = [
        f"# {rule.id}",
        rule.title + ".",
        f"## What it says\n\n{_what(rule)}",
        f"## Why it is bad\n\n{rule.why}",
        f"## Example\n\n{_example(rule)}",
        f"## What is measured\n\n{_measured(rule)}",
    ]
    return "\n\n".join(sections) + "\n"


def _what(rule: Rule) -> str:
    lines = [
        f"Family {rule.family}; techniques {', '.join(rule.technique)}; role {rule.role}.",
        f"Severity {rule.severity}, confidence {rule.confidence}, stage {rule.stage}.",
    ]
    if rule.requires == "any":
        lines.append("Speaks everywhere, not only in training code.")
    if rule.tests:
        lines.append("Speaks in tests as well.")
    if rule.message:
        lines.append(f'The finding reads: "{rule.message}".')
    lines += [f"Parameter `{name}`: {value} by default." for name, value in rule.parameters.items()]
    return "\n".join(lines)


def _example(rule: Rule) -> str:
    if not rule.fires:
        return "None is given."
    return "\n".join(f"```diff\n{text}```" for text in _diffs(rule.fires[0]))


def _diffs(case: Case) -> Iterable[str]:
    for path in case.before:
        before = (case.before[path] or "").splitlines(keepends=True)
        after = (case.after.get(path) or "").splitlines(keepends=True)
        lines = list(difflib.unified_diff(before, after, path, path, n=2))
        yield "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _measured(rule: Rule) -> str:
    commits, fired = rule.measured.get("commits"), rule.measured.get("fired")
    if not isinstance(commits, int) or not isinstance(fired, int) or commits <= 0:
        return "Not measured yet (`trainwarden rules noise`)."
    text = f"It fired on {fired} of {commits} ordinary commits ({1000 * fired / commits:.1f} in 1,000)."
    undone = rule.measured.get("undone")
    return text + (f" It fired on {undone} undone fixes." if isinstance(undone, int) else "")
