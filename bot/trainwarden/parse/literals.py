"""Literals as values, whichever parser found them: numbers, strings and the text of f-strings."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

_ESCAPE = re.compile(
    r"\\(\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\})"
)
_PREFIX = re.compile(r"[A-Za-z]*")


@lru_cache(maxsize=4096)
def canonical_number(text: str) -> str:
    """One spelling for a number: ``1e-4``, ``0.0001`` and ``1_0e-5`` are the same."""
    try:
        return repr(ast.literal_eval(text.replace("_", "").lower().removesuffix("l")))
    except (ValueError, SyntaxError, MemoryError):
        return text


@lru_cache(maxsize=4096)
def string_value(text: str) -> tuple[str, str]:
    """(kind, value) of a plain string or bytes literal, escapes decoded where that is possible."""
    prefix = prefix_of(text)
    kind = "bytes" if "b" in prefix else "string"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        return kind, text[len(prefix) :].strip("'\"")
    return kind, value.decode("latin-1") if isinstance(value, bytes) else str(value)


def prefix_of(text: str) -> str:
    """The letters before the quotes of a literal, in lower case."""
    match = _PREFIX.match(text)
    return match.group().lower() if match else ""


@lru_cache(maxsize=4096)
def fragment_value(text: str, prefix: str) -> str:
    """The text between the interpolations of an f-string: doubled braces and, unless raw, escapes decoded."""
    pieces = [piece.replace("{{", "{").replace("}}", "}") for piece in _outside_escapes(text)]
    if "r" in prefix:
        return text.replace("{{", "{").replace("}}", "}")
    escapes = [_decoded(match.group()) for match in _ESCAPE.finditer(text)]
    return "".join(piece + escape for piece, escape in zip(pieces, [*escapes, ""], strict=True))


def _outside_escapes(text: str) -> list[str]:
    ends = [0]
    starts = []
    for match in _ESCAPE.finditer(text):
        starts.append(match.start())
        ends.append(match.end())
    starts.append(len(text))
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def _decoded(escape: str) -> str:
    try:
        return str(ast.literal_eval(f'"""{escape}"""'))
    except (ValueError, SyntaxError):
        return escape
