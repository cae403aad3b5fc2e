"""The grammar as a JSON Schema, for editors: ``rules/schema.json`` is its text, held equal by a test.

Source: JSON Schema 2020-12, https://json-schema.org/draft/2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainwarden.rules import grammar
from trainwarden.rules.grammar import Field

_CONDITION = {"$ref": "#/$defs/condition"}
_WITHIN: dict[str, Any] = {
    "enum": list(grammar.WITHIN),
    "description": "Where to look, from the place found first.",
}


def schema_text() -> str:
    """``rules/schema.json``."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema of one rule file."""
    properties = _properties(grammar.RULE)
    properties["parameters"] = {"type": "object", "additionalProperties": {"type": ["number", "string"]}}
    properties["when"] = _CONDITION
    properties["unless"] = {"anyOf": [_CONDITION, {"type": "array", "items": _CONDITION}]}
    properties["cases"] = _cases()
    properties["measured"] = {"type": "object", "description": "Written by `trainwarden rules noise`."}
    required = [key for key, field in grammar.RULE.items() if field.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trainwarden rule",
        "type": "object",
        "additionalProperties": False,
        "required": [*required, "when", "cases"],
        "properties": properties,
        "$defs": {"condition": {"anyOf": [_one(name) for name in (*grammar.COMBINATIONS, *grammar.LEAVES)]}},
    }


def _properties(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {key: {**field.schema, "description": field.words} for key, field in fields.items()}


def _closed(fields: Mapping[str, Field], **more: Any) -> dict[str, Any]:
    required = [key for key, field in fields.items() if field.required] + sorted(more)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {**_properties(fields), **more},
        **({"required": required} if required else {}),
    }


def _one(name: str) -> dict[str, Any]:
    """A condition that starts with one word."""
    body = _body(name)
    extra: dict[str, Any] = {"within": _WITHIN}
    if name == "all":
        extra["near"] = {"type": "integer", "minimum": 0, "description": "At most so many lines apart."}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name],
        "properties": {name: body, **extra},
    }


def _body(name: str) -> dict[str, Any]:
    many = {"type": "array", "items": _CONDITION, "minItems": 1}
    if name in ("all", "any"):
        return {**many, "description": grammar.COMBINATIONS[name]}
    if name == "not":
        return {**_CONDITION, "description": grammar.COMBINATIONS[name]}
    if name == "count":
        least = {"type": "integer", "minimum": 1}
        body = _closed({}, at_least=least, of={"anyOf": [_CONDITION, many]})
        return {**body, "description": grammar.COMBINATIONS[name]}
    if name == "guard":
        body = _closed(grammar.GUARD, over=_CONDITION)
        return {**body, "description": grammar.COMBINATIONS[name]}
    fields, words = grammar.LEAVES[name]
    return {**_closed(fields), "minProperties": 1, "description": words}


def _cases() -> dict[str, Any]:
    source = {"type": ["string", "null"]}
    sides = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"before": source, "after": source},
    }
    case = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "before": source,
            "after": source,
            "line": {"type": "integer", "minimum": 1},
            "path": {"type": "string"},
            "files": {"type": "object", "additionalProperties": sides},
            "note": {"type": "string"},
            "test": {"type": "boolean"},
        },
    }
    several = {"type": "array", "items": case, "minItems": 2}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["fires", "quiet"],
        "properties": {"fires": several, "quiet": several},
    }
