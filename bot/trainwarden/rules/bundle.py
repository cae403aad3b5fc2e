"""The bundled rules, loaded fast.

In: the directory of bundled rule files. Out: their rules. Parsing YAML takes a few milliseconds a file, so
``trainwarden rules compile`` writes what judges into ``compiled.json`` beside them. It is used only while
it carries the hashes of the very files it was made from, and of the program that made it, so it can be stale
but never wrong. Only the directory that was installed with this program, or its own checkout, is looked at:
nothing of a repository under review can get there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainwarden.resources import rules_dir
from trainwarden.rules.conditions import ANY_FILE, needs, snippets_of, with_parameters
from trainwarden.rules.patterns import Outline, pattern, remember
from trainwarden.rules.schema import Rule, conditions, from_plain, read_directory, to_plain

COMPILED = "compiled.json"
_VERSION = 4
_PACKAGE = Path(__file__).resolve().parents[1]
_ENGINE = ("rules/*.py", "parse/*.py", "yaml_safely.py")
"""What a compiled form depends on besides the rule files."""


def bundled_rules(directory: Path | None = None) -> list[Rule]:
    """The bundled rules: from the compiled file when it fits, else from the rule files. Raises ``Misuse``.

    Rules from the compiled file have no cases.
    """
    where = directory or rules_dir()
    compiled = _read(where / COMPILED)
    if compiled is not None and (compiled["engine"], compiled["sources"]) == (
        engine_hash(),
        sources_hash(where),
    ):
        remember({text: _outline(*told) for text, told in compiled["patterns"].items()})
        return [from_plain(plain, origin, needs) for origin, plain, needs in compiled["rules"]]
    return read_directory(where)


def compile_rules(directory: Path) -> int:
    """Writes ``compiled.json`` for a directory of rules; returns how many there are. Raises ``Misuse``."""
    rules = read_directory(directory)
    content = {
        "version": _VERSION,
        "engine": engine_hash(),
        "sources": sources_hash(directory),
        "rules": [
            [str(Path(rule.origin).relative_to(directory)), to_plain(rule), features(rule)] for rule in rules
        ],
        "patterns": {text: _told(pattern(text).outline) for text in sorted(_snippets(rules))},
    }
    # Keys stay in the order of the rule files: the words of the evidence follow it.
    (directory / COMPILED).write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")
    return len(rules)


def features(rule: Rule) -> list[str]:
    """What a file must have for the rule to be asked about it (``conditions.needs``), ready to be stored."""
    found = needs(with_parameters(rule.when, rule.parameters))
    return [ANY_FILE] if found is None else sorted(found)


def _snippets(rules: Iterable[Rule]) -> set[str]:
    return {text for rule in rules for spec in conditions(rule) for text in snippets_of(spec)}


def _told(outline: Outline) -> list[list[str] | None]:
    kinds = sorted(outline.kinds) if outline.kinds is not None else None
    return [kinds, sorted(outline.words), sorted(outline.metavariables)]


def _outline(kinds: list[str] | None, words: list[str], metavariables: list[str]) -> Outline:
    where = frozenset(kinds) if kinds is not None else None
    return Outline(where, frozenset(words), frozenset(metavariables))


def sources_hash(directory: Path) -> str:
    """The sha256 over names and bytes of all rule files of a directory."""
    return _hash(sorted(directory.glob("*/*.yml")))


def engine_hash() -> str:
    """The sha256 over names and bytes of the modules that read and compile rules."""
    return _hash(sorted(path for pattern in _ENGINE for path in _PACKAGE.glob(pattern)))


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(str(_VERSION).encode())
    for path in paths:
        data = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(loaded, dict) and loaded.get("version") == _VERSION
    return loaded if known and {"engine", "sources", "rules", "patterns"} <= loaded.keys() else None
