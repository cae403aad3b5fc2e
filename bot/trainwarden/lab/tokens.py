"""Lexemes of one statement in, where its parts begin and end out. Enough for edits of code that parsed once."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

OPENING = frozenset("([{")
CLOSING = frozenset(")]}")
KEYWORDS = frozenset(keyword.kwlist) - {"None", "True", "False"}
_AFTER_OPERAND = frozenset("( [ .".split())

Span = tuple[int, int]


def is_name(word: str) -> bool:
    """Whether a lexeme is a name that the code chose, not a word of the language."""
    return (
        word.isidentifier() and word not in KEYWORDS and word not in ("None", "True", "False", "self", "cls")
    )


def is_number(word: str) -> bool:
    """Whether a lexeme is a number."""
    return word[0].isdigit()


def code_places(words: Sequence[str]) -> list[int]:
    """The places that do not lie between quotes."""
    found: list[int] = []
    quote = ""
    for place, word in enumerate(words):
        if word in ("'", '"'):
            quote = "" if quote == word else quote or word
        elif not quote:
            found.append(place)
    return found


def closing_of(words: Sequence[str], opening: int) -> int:
    """The place of the bracket that closes the one at ``opening``; the end where it is cut away."""
    depth = 0
    for place in range(opening, len(words)):
        depth += (words[place] in OPENING) - (words[place] in CLOSING)
        if depth == 0:
            return place
    return len(words)


def arguments(words: Sequence[str], opening: int) -> list[Span]:
    """The parts between a bracket and its end that commas divide, as [start, end)."""
    end = closing_of(words, opening)
    spans: list[Span] = []
    start, place = opening + 1, opening + 1
    while place < end:
        if words[place] in OPENING:
            place = closing_of(words, place)
        elif words[place] == ",":
            spans.append((start, place))
            start = place + 1
        place += 1
    spans.append((start, end))
    return [(a, b) for a, b in spans if a < b]


def operand_end(words: Sequence[str], start: int) -> int:
    """The end of the operand that begins at ``start``: a sign, a name or number, and what is called or taken of it."""
    place = start
    while place < len(words) and words[place] in ("-", "+", "not", "~"):
        place += 1
    if place >= len(words) or (words[place] in CLOSING or words[place] in KEYWORDS or words[place] in ",:="):
        return start
    place = closing_of(words, place) + 1 if words[place] in OPENING else place + 1
    while place < len(words) and words[place] in _AFTER_OPERAND:
        place = place + 2 if words[place] == "." else closing_of(words, place) + 1
    return min(place, len(words))
