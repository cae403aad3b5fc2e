"""``trainwarden rules``: list, show, check, test, new, noise, schema, compile."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from trainwarden.config import Config
from trainwarden.model import Misuse
from trainwarden.resources import rules_dir
from trainwarden.rules.schema import FAMILIES, Rule, load_rules, read_directory, rule_set, to_plain

EPILOG = """\
exit codes:
  0 fine   1 `check` or `test` found something wrong   2 misuse   3 could not finish

examples:
  trainwarden rules list --family gradient
  trainwarden rules show gradient-clip-removed
  trainwarden rules new my-rule --family data --rules my-rules
  trainwarden rules test my-rule --rules my-rules
  trainwarden rules noise --repo ../model --commits 500 --rule my-rule --rules my-rules --write

rules/README.md explains how to write rules.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions of ``rules`` and their arguments."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True, title="actions")
    for name, (words, declare, _) in ACTIONS.items():
        action = actions.add_parser(name, help=words, description=words.capitalize() + ".")
        action.add_argument("--rules", metavar="DIR", help="a directory of rules (default: the bundled ones)")
        declare(action)


def run(arguments: argparse.Namespace) -> int:
    """Carries out the chosen action. Returns the exit code."""
    return ACTIONS[arguments.action][2](arguments)


def _directory(arguments: argparse.Namespace) -> Path:
    return Path(arguments.rules) if arguments.rules is not None else rules_dir()


def _chosen(arguments: argparse.Namespace) -> list[Rule]:
    """The rules of the directory, or those named. Raises ``Misuse`` for a name that is not there."""
    rules = read_directory(_directory(arguments))
    if not rules:
        raise Misuse(f"{_directory(arguments)} holds no rules", "rules lie in DIR/<family>/<id>.yml")
    named = rule_set(rules)
    return [named.find(name) for name in arguments.names] if arguments.names else rules


def _say(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


# -- what can be done


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="ID", help="only these rules")


def _declare_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", choices=sorted(FAMILIES), help="only rules of this family")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _list(arguments: argparse.Namespace) -> int:
    chosen = arguments.rules
    rules = [
        rule
        for rule in load_rules(chosen is None, chosen, Config()).rules
        if arguments.family in (None, rule.family)
    ]
    if arguments.format == "json":
        _say(json.dumps([to_plain(rule) for rule in rules], indent=1))
        return 0
    width = max((len(rule.id) for rule in rules), default=0)
    for rule in sorted(rules, key=lambda rule: (rule.family, rule.id)):
        _say(f"{rule.family:<14} {rule.id:<{width}} {rule.severity:<8} {rule.stage:<6} {rule.title}")
    return 0


def _declare_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs=1, metavar="ID")


def _show(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.describe import describe

    for rule in _chosen(arguments):
        _say(describe(rule))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.lint import complaints

    rules = _chosen(arguments)
    found = list(complaints(rules))
    for complaint in found:
        _say(f"{complaint.origin}: {complaint.rule} {complaint.words}")
    _say(f"{len(rules)} rules checked, {len(found)} complaints")
    return 1 if found else 0


def _test(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.cases import run_cases

    rules = _chosen(arguments)
    outcomes = list(run_cases(rules))
    for outcome in outcomes:
        if outcome.failed:
            _say(f"{outcome.result}: {outcome.rule} {outcome.expected} {outcome.number}: {outcome.detail}")
    bare = [rule.id for rule in rules if not rule.fires or not rule.quiet]
    for name in bare:
        _say(f"missing: {name} has no firing or no quiet case")
    counts: Counter[str] = Counter(outcome.result for outcome in outcomes)
    words = ", ".join(f"{counts[word]} {word}" for word in ("reported", "validated", "noisy", "missing"))
    _say(f"{len(rules)} rules, {len(outcomes)} cases: {words}")
    return 1 if bare or any(outcome.failed for outcome in outcomes) else 0


def _declare_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="ID", help="the name of the bad pattern: gradient-clip-removed")
    parser.add_argument("--family", choices=sorted(FAMILIES), required=True)


def _new(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.scaffold import write_rule

    _say(str(write_rule(_directory(arguments), arguments.name, arguments.family)))
    return 0


def _declare_noise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repo", required=True, metavar="DIR", help="a repository with ordinary history")
    parser.add_argument("--commits", type=int, default=500, metavar="N", help="newest commits (default: 500)")
    parser.add_argument("--rule", dest="names", action="append", default=[], metavar="ID")
    parser.add_argument("--write", action="store_true", help="write `measured:` into the rule files")


def _noise(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.noise import measure, write_measured

    rules = _chosen(arguments)
    noise = measure(rule_set(rules), arguments.repo, arguments.commits)
    for rule in sorted(rules, key=lambda rule: (-noise.fired[rule.id], rule.id)):
        _say(f"{noise.rate(rule.id):7.1f} in 1,000 {noise.fired[rule.id]:>6} {rule.id}")
        if arguments.write and noise.commits:
            write_measured(rule, {"commits": noise.commits, "fired": noise.fired[rule.id]})
    _say(f"{noise.commits} commits")
    return 0


def _nothing(parser: argparse.ArgumentParser) -> None:
    """An action without arguments of its own."""


def _schema(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.json_schema import schema_text

    _say(schema_text())
    return 0


def _compile(arguments: argparse.Namespace) -> int:
    from trainwarden.rules.bundle import compile_rules

    _say(f"{compile_rules(_directory(arguments))} rules compiled")
    return 0


Declare = Callable[[argparse.ArgumentParser], None]
ACTIONS: dict[str, tuple[str, Declare, Callable[[argparse.Namespace], int]]] = {
    "list": ("name the rules", _declare_list, _list),
    "show": ("explain one rule", _declare_show, _show),
    "check": ("check that rules are well-formed and can fire", _names, _check),
    "test": ("run the cases of rules", _names, _test),
    "new": ("write the beginning of a new rule", _declare_new, _new),
    "noise": ("count how often rules fire on ordinary history", _declare_noise, _noise),
    "schema": ("print the JSON Schema of rule files", _nothing, _schema),
    "compile": ("write the compiled form of a directory of rules", _nothing, _compile),
}


def actions() -> Sequence[str]:
    """The words that may follow ``trainwarden rules``."""
    return tuple(ACTIONS)
