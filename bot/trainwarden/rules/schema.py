"""Rule files in, a ``RuleSet`` out: loaded, checked against the grammar, overridden by the configuration.

A rule file holds words, logic and cases together (``rules/README.md``). Unknown keys are errors that name
the nearest known one, the file and the line. Conditions are kept in one canonical form (lists where several
values are allowed), which is what the digest covers and what ``conditions`` compiles.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from trainwarden.config import Config
from trainwarden.model import Level, Misuse, Role, Stage
from trainwarden.rules import grammar
from trainwarden.rules.conditions import kind_of, placed_snippets
from trainwarden.rules.grammar import Field, did_you_mean
from trainwarden.rules.patterns import pattern
from trainwarden.yaml_safely import Document, YamlPath, load_document

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "loss": "A", "gradient": "B", "optimizer": "C", "data": "D", "randomness": "E", "model": "F",
        "numerics": "G", "distributed": "H", "checkpoint": "I", "evaluation": "J", "reinforcement": "K",
        "configuration": "L", "execution": "M", "concealment": "N",
    }
)  # fmt: skip
"""Folder of rules -> family of techniques it is mostly about; a rule may name others too."""
_TECHNIQUES = {"A": 12, "B": 13, "C": 12, "D": 14, "E": 6, "F": 13, "G": 5, "H": 10, "I": 10, "J": 11,
               "K": 9, "L": 8, "M": 15, "N": 12}  # fmt: skip
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_TECHNIQUE = re.compile(r"([A-N])(\d\d)\Z")
_ALLOWED = (*grammar.RULE, *grammar.OTHER_RULE_KEYS)


@dataclass(frozen=True, slots=True)
class Case:
    """One example of a rule: files before and after (None: absent), and the head line it fires at."""

    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    line: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``when`` and ``unless`` are conditions in canonical form, parameters not yet filled in.

    ``needs``: what the compiled form knows of ``conditions.needs`` (see ``bundle``), empty when it has to be found
    out. ``origin``: the file it came from.
    """

    id: str
    family: str
    title: str
    technique: tuple[str, ...]
    role: Role
    severity: Level
    confidence: Level
    stage: Stage
    why: str
    when: Mapping[str, Any]
    unless: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    requires: Literal["training", "any"] = "training"
    tests: bool = False
    scope: Literal["edit", "file", "change"] = "edit"
    parameters: Mapping[str, object] = field(default_factory=dict)
    fires: tuple[Case, ...] = ()
    quiet: tuple[Case, ...] = ()
    measured: Mapping[str, object] = field(default_factory=dict)
    origin: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one review, sorted by id; ``digest`` is the sha256 of what judges (not of cases).

    ``notes``: what an operator should know, such as a bundled rule that a pack replaced.
    """

    rules: tuple[Rule, ...]
    digest: str
    notes: tuple[str, ...] = ()

    def find(self, name: str) -> Rule:
        """The rule of that id. Raises ``Misuse``."""
        for rule in self.rules:
            if rule.id == name:
                return rule
        ids = [rule.id for rule in self.rules]
        raise Misuse(f"no rule {name!r}{did_you_mean(name, ids)}", "`trainwarden rules list` names them all")


def load_rules(bundled: bool, directory: str | None, config: Config) -> RuleSet:
    """The bundled rules, an operator's pack on top, and the overrides of the configuration.

    Raises ``Misuse`` for a rule or an override that is not well-formed.
    """
    found: dict[str, Rule] = {rule.id: rule for rule in _bundled()} if bundled else {}
    notes = []
    for rule in read_directory(Path(directory)) if directory is not None else ():
        if rule.id in found:
            notes.append(f"rule {rule.id} of {directory} replaces the bundled one")
        found[rule.id] = rule
    for name, override in config.rules.items():
        if name not in found:
            raise Misuse(f"the configuration overrides an unknown rule {name!r}{did_you_mean(name, found)}")
        found[name] = overridden(found[name], override)
    return rule_set(found.values(), notes)


@lru_cache(maxsize=1)
def _bundled() -> tuple[Rule, ...]:
    """The rules that were installed with this program, read once a process."""
    from trainwarden.rules.bundle import bundled_rules  # reads this module

    return tuple(bundled_rules())


def rule_set(rules: Iterable[Rule], notes: Sequence[str] = ()) -> RuleSet:
    """A rule set of some rules, with its digest."""
    ordered = tuple(sorted(rules, key=lambda rule: rule.id))
    content = json.dumps([to_plain(rule) for rule in ordered], sort_keys=True, ensure_ascii=True)
    return RuleSet(ordered, hashlib.sha256(content.encode()).hexdigest(), tuple(notes))


def overridden(rule: Rule, override: Any) -> Rule:
    """The rule with another stage, severity or parameters. Raises ``Misuse`` for an unknown parameter."""
    parameters = dict(rule.parameters)
    for name, value in (override.parameters or {}).items():
        if name not in parameters:
            raise Misuse(f"rule {rule.id} has no parameter {name!r}{did_you_mean(name, parameters)}")
        parameters[name] = value
    return replace(
        rule,
        stage=override.stage or rule.stage,
        severity=override.severity or rule.severity,
        parameters=parameters,
        needs=(),
    )


def read_directory(directory: Path) -> list[Rule]:
    """Every rule file below a directory, one folder a family. Raises ``Misuse``."""
    if not directory.is_dir():
        raise Misuse(f"{directory} is not a directory of rules")
    rules = [read_file(path) for path in sorted(directory.glob("*/*.yml"))]
    ids = [rule.id for rule in rules]
    for name in ids:
        if ids.count(name) > 1:
            raise Misuse(f"two rules of {directory} are called {name}")
    return rules


def read_file(path: Path) -> Rule:
    """One rule file. Raises ``Misuse`` naming file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Misuse(f"{path}: {error.strerror or 'cannot be read'}") from None
    return read_rule(data, str(path), path.parent.name, path.stem)


def read_rule(data: bytes, origin: str, family: str, name: str) -> Rule:
    """A rule from the bytes of its file. Raises ``Misuse`` naming file and line."""
    document = load_document(data, origin)
    return _Reader(document).rule(family, name)


def to_plain(rule: Rule) -> dict[str, Any]:
    """What of a rule judges, as plain data: everything but cases and measurements."""
    keys = (
        "id", "family", "title", "technique", "role", "severity", "confidence", "stage", "why", "when",
        "unless", "message", "requires", "tests", "scope", "parameters",
    )  # fmt: skip
    plain = {key: getattr(rule, key) for key in keys}
    return {**plain, "technique": list(rule.technique), "unless": list(rule.unless)}


def from_plain(plain: Mapping[str, Any], origin: str, needs: Sequence[str]) -> Rule:
    """The inverse of ``to_plain``; trusts its input."""
    values = {**plain, "technique": tuple(plain["technique"]), "unless": tuple(plain["unless"])}
    return Rule(**values, origin=origin, needs=tuple(needs))


def is_id(name: str) -> bool:
    """Whether a text can name a rule: lower-case words joined by ``-``."""
    return _ID.match(name) is not None


def technique_exists(name: str) -> bool:
    """Whether a technique id is in the taxonomy (A01 to N12)."""
    match = _TECHNIQUE.match(name)
    return match is not None and 1 <= int(match.group(2)) <= _TECHNIQUES[match.group(1)]


class _Reader:
    """Checks one document; every complaint names the line."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def error(self, message: str, path: YamlPath, hint: str = "") -> Misuse:
        return self.document.error(message, hint, *path)

    def mapping(self, value: object, path: YamlPath, allowed: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"{_at(path)} must be a mapping with {', '.join(allowed[:6])} ...", path)
        for key in value:
            if key not in allowed:
                words = f"unknown key {key!r} in {_at(path)}{did_you_mean(key, allowed)}"
                raise self.error(words, (*path, key), "Allowed: " + ", ".join(allowed))
        return value

    def fields(self, value: dict[str, Any], path: YamlPath, fields: Mapping[str, Field]) -> dict[str, Any]:
        found = {}
        for key, one in fields.items():
            if key in value:
                found[key] = self.checked(one.check, value[key], (*path, key))
            elif one.required:
                raise self.error(f"{_at(path)} lacks {key!r}", path, one.words)
        return found

    def checked(self, check: Callable[[object], Any], value: object, path: YamlPath) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise self.error(f"{_at(path)}: {error}", path) from None

    def rule(self, family: str, name: str) -> Rule:
        root = self.mapping(self.document.value, (), _ALLOWED)
        words = self.fields(root, (), grammar.RULE)
        self._identity(words, family, name)
        for key in ("when", "cases"):
            if key not in root:
                raise self.error(f"the rule lacks {key!r}", ())
        cases = self.mapping(root["cases"], ("cases",), ("fires", "quiet"))
        unless = root.get("unless", [])
        unless = unless if isinstance(unless, list) else [unless]
        return Rule(
            **{**words, "technique": tuple(words["technique"])},
            family=family,
            when=self.condition(root["when"], ("when",)),
            unless=tuple(self.condition(part, ("unless", place)) for place, part in enumerate(unless)),
            parameters=self._parameters(root.get("parameters", {})),
            fires=self.cases(cases.get("fires", []), ("cases", "fires")),
            quiet=self.cases(cases.get("quiet", []), ("cases", "quiet")),
            measured=self._plain_mapping(root.get("measured", {}), ("measured",)),
            origin=self.document.origin,
        )

    def _identity(self, words: Mapping[str, Any], family: str, name: str) -> None:
        if words["id"] != name:
            raise self.error(f"id {words['id']!r} is not the file name {name!r}", ("id",))
        if not is_id(name):
            raise self.error(f"id {name!r} is not lower-case words joined by '-'", ("id",))
        for technique in words["technique"]:
            if not technique_exists(technique):
                raise self.error(f"no technique {technique!r} in the taxonomy (A01 to N12)", ("technique",))

    def _parameters(self, value: object) -> dict[str, object]:
        found = self._plain_mapping(value, ("parameters",))
        for key, inner in found.items():
            if not isinstance(inner, (int, float, str)) or not key.isidentifier():
                raise self.error(f"parameter {key!r} must be a number or text", ("parameters", key))
        return found

    def _plain_mapping(self, value: object, path: YamlPath) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.error(f"{_at(path)} must be a mapping", path)
        return cast(dict[str, object], value)

    # -- conditions

    def condition(self, value: object, path: YamlPath) -> dict[str, Any]:
        """One condition in canonical form."""
        words = (*grammar.COMBINATIONS, *grammar.LEAVES)
        found = self.mapping(value, path, (*words, "within", "near"))
        kinds = [key for key in found if key not in ("within", "near")]
        if len(kinds) != 1:
            raise self.error(f"{_at(path)} must hold exactly one of {', '.join(words)}", path)
        made = {kinds[0]: self._body(kinds[0], found[kinds[0]], (*path, kinds[0]))}
        if "within" in found:
            made["within"] = self.checked(
                grammar.choice(grammar.WITHIN, "").check, found["within"], (*path, "within")
            )
            if kinds[0] in grammar.LEAVES or kinds[0] == "guard":
                return {"any": [{kinds[0]: made[kinds[0]]}], "within": made["within"]}
        if "near" in found:
            if kinds[0] != "all" or not isinstance(found["near"], int) or found["near"] < 0:
                raise self.error(
                    "'near' is a number of lines beside 'all'", (*path, "near"), "all: [...], near: 10"
                )
            made["near"] = found["near"]
        return made

    def _body(self, kind: str, value: object, path: YamlPath) -> Any:
        if kind in ("all", "any"):
            if not isinstance(value, list) or not value:
                raise self.error(f"{_at(path)} must be a list of conditions", path)
            return [self.condition(part, (*path, place)) for place, part in enumerate(value)]
        if kind == "not":
            return self.condition(value, path)
        if kind == "count":
            return self._count(value, path)
        if kind == "guard":
            return self._guard(value, path)
        return self._leaf(kind, value, path)

    def _count(self, value: object, path: YamlPath) -> dict[str, Any]:
        found = self.mapping(value, path, ("at_least", "of"))
        least, of = found.get("at_least"), found.get("of")
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            raise self.error(f"{_at(path)} needs 'at_least', a number from 1", path)
        if isinstance(of, list):
            parts = [self.condition(part, (*path, "of", place)) for place, part in enumerate(of)]
            return {"at_least": least, "of": parts}
        return {"at_least": least, "of": self.condition(of, (*path, "of"))}

    def _guard(self, value: object, path: YamlPath) -> dict[str, Any]:
        found = self.mapping(value, path, ("kinds", "over", "new"))
        made = self.fields(found, path, grammar.GUARD)
        return {**made, "over": self.condition(found.get("over"), (*path, "over"))}

    def _leaf(self, kind: str, value: object, path: YamlPath) -> dict[str, Any]:
        fields, words = grammar.LEAVES[kind]
        found = self.fields(self.mapping(value, path, tuple(fields)), path, fields)
        if not found:
            raise self.error(f"{_at(path)} is empty", path, words)
        for key, place, snippet in placed_snippets(kind, found):
            self._snippet(snippet, (*path, key, place))
        if kind == "lost" and ("fact" in found) is ("pattern" in found):
            raise self.error("'lost' needs either 'fact' or 'pattern'", path)
        return found

    def _snippet(self, text: str, path: YamlPath) -> None:
        try:
            pattern(text)
        except Misuse as error:
            raise self.error(str(error), path, error.hint) from None

    # -- cases

    def cases(self, value: object, path: YamlPath) -> tuple[Case, ...]:
        if not isinstance(value, list):
            raise self.error(f"{_at(path)} must be a list of cases", path)
        return tuple(self._case(case, (*path, place)) for place, case in enumerate(value))

    def _case(self, value: object, path: YamlPath) -> Case:
        found = self.mapping(value, path, grammar.CASE_KEYS)
        sides = self._sides(found, path)
        for name, (before, after) in sides.items():
            if before is None and after is None:
                raise self.error(f"{_at(path)}: {name} has neither 'before' nor 'after'", path)
        line = found.get("line")
        if line is not None and (not isinstance(line, int) or line < 1):
            raise self.error(f"{_at(path)}: 'line' is a line number of the head", path)
        befores = {place: side[0] for place, side in sides.items()}
        afters = {place: side[1] for place, side in sides.items()}
        return Case(befores, afters, line, str(found.get("note", "")))

    def _sides(self, found: dict[str, Any], path: YamlPath) -> dict[str, tuple[str | None, str | None]]:
        if "files" not in found:
            name = found.get("path", "tests/test_train.py" if found.get("test") else "train.py")
            return {str(name): (_source(found.get("before")), _source(found.get("after")))}
        files = found["files"]
        if not isinstance(files, dict) or not files or "before" in found or "after" in found:
            raise self.error("'files' maps paths to {before, after}", path)
        sides = {}
        for name, inner in files.items():
            texts = self.mapping(inner, (*path, "files", name), ("before", "after"))
            sides[name] = (_source(texts.get("before")), _source(texts.get("after")))
        return sides


def _source(text: object) -> str | None:
    """The text of a file in a case; nothing and an empty text mean that the file is absent."""
    return None if text is None or text == "" else str(text)


def _at(path: YamlPath) -> str:
    return ".".join(str(part) for part in path) or "the rule"


def conditions(rule: Rule) -> Iterable[Mapping[str, Any]]:
    """Every condition of a rule, nested ones included."""
    waiting = [rule.when, *rule.unless]
    while waiting:
        spec = waiting.pop()
        yield spec
        waiting.extend(_inside(spec))


def _inside(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    kind = kind_of(spec)
    body = spec[kind]
    below = {"all": body, "any": body, "not": [body]}.get(kind)
    if kind in ("count", "guard"):
        below = body["of" if kind == "count" else "over"]
    return below if isinstance(below, list) else [below] if below is not None else []
