"""The bundled rules, loaded fast.

In: the directory of bundled rule files. Out: their rules. Parsing YAML takes a few milliseconds a file, so
``trainwarden rules compile`` writes what judges into ``compiled.json`` beside them. It is used only while
it carries the hash of the very files it was made from, so it can be stale but never wrong.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from trainwarden.resources import rules_dir
from trainwarden.rules.conditions import ANY_FILE, needs, with_parameters
from trainwarden.rules.schema import Rule, from_plain, read_directory, to_plain

COMPILED = "compiled.json"
_VERSION = 2


def bundled_rules(directory: Path | None = None) -> list[Rule]:
    """The bundled rules: from the compiled file when it fits, else from the rule files. Raises ``Misuse``.

    Rules from the compiled file have no cases.
    """
    where = directory or rules_dir()
    compiled = _read(where / COMPILED)
    if compiled is not None and compiled.get("sources") == sources_hash(where):
        return [from_plain(plain, origin, needs) for origin, plain, needs in compiled["rules"]]
    return read_directory(where)


def compile_rules(directory: Path) -> int:
    """Writes ``compiled.json`` for a directory of rules; returns how many there are. Raises ``Misuse``."""
    rules = read_directory(directory)
    content = {
        "version": _VERSION,
        "sources": sources_hash(directory),
        "rules": [
            [str(Path(rule.origin).relative_to(directory)), to_plain(rule), features(rule)] for rule in rules
        ],
    }
    (directory / COMPILED).write_text(
        json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n", "utf-8"
    )
    return len(rules)


def features(rule: Rule) -> list[str]:
    """What a file must have for the rule to be asked about it (``conditions.needs``), ready to be stored."""
    found = needs(with_parameters(rule.when, rule.parameters))
    return [ANY_FILE] if found is None else sorted(found)


def sources_hash(directory: Path) -> str:
    """The sha256 over names and bytes of all rule files of a directory."""
    digest = hashlib.sha256(str(_VERSION).encode())
    for path in sorted(directory.glob("*/*.yml")):
        data = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) and loaded.get("version") == _VERSION else None
