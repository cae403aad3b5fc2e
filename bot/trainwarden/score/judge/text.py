"""A unit in, the texts a language model reads out: as it is, anonymised, and with its sides exchanged.

What is sent is written anew from lexemes: printable ASCII, one statement a line, both versions of a changed one. In the
anonymous reading every name and text that is not the language's, a library's or the field's becomes a letter and a
number, the same wherever it stands. In the other, only what speaks to the reader does (see ``words``), and prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trainwarden.model import Statement, Unit, UnitTag
from trainwarden.score.judge.words import (
    KEYWORDS,
    MOST_WORDS,
    ROLES,
    SPEAKERS,
    addressing,
    is_known,
    is_mark,
    parts,
)
from trainwarden.score.units import GAP

Kind = Literal["word", "number", "sign", "string", "gap"]

MOST_STATEMENTS = 80
"""Statements of a unit that are shown; units are shorter unless their statements are tiny."""
_LONGEST_LINE = 600
_LONGEST_NAME = 48
_LEFT_OUT = "..."
_WORD = re.compile(r"[^\W\d]\w*\Z")
_NUMBER = re.compile(
    r"(?:0[xX][0-9a-fA-F_]{1,16}|[0-9][0-9_]{0,20}\.?[0-9_]{0,20}(?:[eE][0-9]{0,4})?[jJ]?)\Z"
)
_NAME = re.compile(r"\w+")
_SAFE_TEXT = re.compile(r"[A-Za-z0-9_ ./:%=+,*-]{0,40}\Z")
_EXPONENT = re.compile(r"(\d[eE]) ([-+]) (\d)")
_PREFIXES = frozenset({"f", "b", "r", "rb", "br", "u"})
_TIGHT_AFTER = frozenset("([.@~")
_TIGHT_BEFORE = frozenset(")],.:;")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement: a whole string literal is one piece (without its quotes)."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Readings:
    """The three texts of a unit. ``swapped`` is None where nothing came or went: there are no sides to exchange.

    ``statements``: the unit's statement (its place) behind each number in the texts, from 1 on.
    ``addressed``: whether something in it speaks to the reader; it was hidden from all three.
    """

    plain: str
    anonymous: str
    swapped: str | None
    statements: tuple[int, ...]
    addressed: bool


def readings(unit: Unit) -> Readings:
    """Writes a unit for a language model. The same unit gives the same texts wherever it stands in a file."""
    shown = _shown(unit)
    statements = [unit.statements[place] for place in shown]
    hostile = _hostile(unit.member, statements)
    plain, anonymous = _Names(hostile, False), _Names(hostile, True)
    texts = [_write(unit.member, statements, names) for names in (plain, anonymous)]
    sided = any(tag in ("removed", "added") for one in statements for _, tag in one.lexemes)
    swapped = _write(unit.member, [_swap(one) for one in statements], plain) if sided else None
    return Readings(texts[0], texts[1], swapped, tuple(shown), bool(hostile))


def _shown(unit: Unit) -> list[int]:
    """The places of the statements to show: all, or those nearest to the edits."""
    edited = [place for place, one in enumerate(unit.statements) if one.edited] or [0]
    ranked = sorted(
        range(len(unit.statements)), key=lambda place: min(abs(place - other) for other in edited)
    )
    return sorted(ranked[:MOST_STATEMENTS])


def _swap(statement: Statement) -> Statement:
    other: dict[UnitTag, UnitTag] = {"removed": "added", "added": "removed"}
    return replace(statement, lexemes=tuple((text, other.get(tag, tag)) for text, tag in statement.lexemes))


# -- lexemes to pieces


def pieces(lexemes: Sequence[str]) -> Iterator[Token]:
    """Joins the lexemes of string literals; what is neither code nor inside quotes counts as text too."""
    place = 0
    while place < len(lexemes):
        text = lexemes[place]
        if text in _PREFIXES and lexemes[place + 1 : place + 2] in (["'"], ['"']):
            place += 1
        elif text in ("'", '"'):
            end = _closing(lexemes, place)
            yield Token("string", _spaced(lexemes[place + 1 : end]))
            place = end + 1
        elif text == GAP:
            yield Token("gap", text)
            place += 1
        else:
            end = _prose(lexemes, place)
            yield Token("string", _spaced(lexemes[place:end])) if end > place + 1 else _single(text)
            place = end


def _closing(lexemes: Sequence[str], start: int) -> int:
    """The place of the quote that ends a string, of the gap in it, or the end."""
    place = start + 1
    while place < len(lexemes) and lexemes[place] not in (lexemes[start], GAP):
        place += 2 if lexemes[place] == "\\" else 1
    return place - 1 if place < len(lexemes) and lexemes[place] == GAP else place


def _prose(lexemes: Sequence[str], start: int) -> int:
    """The end of a run of names with nothing between them, which code does not have; ``start`` + 1 for none."""
    end = start
    while end < len(lexemes) and _WORD.match(lexemes[end]) and lexemes[end] not in KEYWORDS:
        end += 1
    return max(end, start + 1)


def _single(text: str) -> Token:
    if _WORD.match(text):
        return Token("word", text)
    return Token("number" if text[0].isdigit() else "sign", text)


def _spaced(lexemes: Sequence[str]) -> str:
    """The text of a literal: its blanks are not in the lexemes, so words are set apart again."""
    text = ""
    for one in lexemes:
        text += f" {one}" if text and text[-1].isalnum() and one[:1].isalnum() else one
    return text


# -- what is hidden


def _hostile(member: str, statements: Sequence[Statement]) -> frozenset[str]:
    """The texts that take part in a phrase to the reader, on either side."""
    found: set[str] = set()
    for side in ("removed", "added"):
        texts = [member]
        for statement in statements:
            texts += [one.text for one in pieces(_side(statement, side)) if one.kind in ("word", "string")]
        found |= {texts[place] for place in addressing(texts)}
    return frozenset(found - KEYWORDS)


def _side(statement: Statement, other: str) -> list[str]:
    """The lexemes of one side: all but those tagged ``other``."""
    return [text for text, tag in statement.lexemes if tag != other]


class _Names:
    """What each name and text is called in one reading, the same wherever it stands."""

    def __init__(self, hostile: frozenset[str], anonymous: bool) -> None:
        self._hostile, self._anonymous = hostile, anonymous
        self._given: dict[tuple[str, str], str] = {}

    def of(self, piece: Token) -> str:
        """The ASCII that stands for a piece."""
        if piece.kind == "word":
            return piece.text if self._may_show(piece.text) else self._alias("name", piece.text)
        if piece.kind == "string":
            return (
                f'"{piece.text}"' if self._may_quote(piece.text) else f'"{self._alias("text", piece.text)}"'
            )
        if piece.kind == "number":
            return piece.text if _NUMBER.match(piece.text) else self._alias("number", piece.text)
        if piece.kind == "gap":
            return _LEFT_OUT
        return piece.text if piece.text.isascii() and piece.text.isprintable() else "?"

    def _may_show(self, name: str) -> bool:
        if name in KEYWORDS:
            return True
        if (
            name in self._hostile
            or name in SPEAKERS
            or is_mark(name)
            or not name.isascii()
            or len(name) > _LONGEST_NAME
        ):
            return False
        return is_known(name) if self._anonymous else len(parts(name)) <= 2 * MOST_WORDS

    def _may_quote(self, text: str) -> bool:
        if text in self._hostile or not _SAFE_TEXT.match(text):
            return False
        words = parts(text)
        names = _NAME.findall(text)  # whole: a mark such as im_start is two words
        if len(words) > MOST_WORDS or not ROLES.isdisjoint(words) or any(map(is_mark, (*names, *words))):
            return False
        return not self._anonymous or not text or is_known(text) or text.isdigit()

    def _alias(self, kind: str, text: str) -> str:
        if (kind, text) not in self._given:
            self._given[kind, text] = f"{kind}_{1 + sum(one == kind for one, _ in self._given)}"
        return self._given[kind, text]


# -- writing


def _write(member: str, statements: Sequence[Statement], names: _Names) -> str:
    where = " . ".join(names.of(_single(part)) for part in member.split(".") if _WORD.match(part))
    lines = [f"in {where}:" if where else "in the module:"]
    for number, statement in enumerate(statements, 1):
        indent = "    " * min(statement.depth, 12)
        for mark, lexemes in _versions(statement):
            code = join([names.of(piece) for piece in pieces(lexemes)])
            lines.append(f"{number:>3} {mark} {indent}{code[:_LONGEST_LINE]}")
    return "\n".join(lines)


def _versions(statement: Statement) -> Iterator[tuple[str, list[str]]]:
    """The lines of a statement: (mark, lexemes)."""
    tags = {tag for _, tag in statement.lexemes}
    if not tags & {"removed", "added"}:
        yield (">" if "moved" in tags else " "), _side(statement, "")
        return
    if tags != {"added"}:
        yield "-", _side(statement, "added")
    if tags != {"removed"}:
        yield "+", _side(statement, "removed")


def join(texts: Sequence[str]) -> str:
    """Code as people write it, but with blanks around angle brackets and bars: no template's mark survives."""
    line = ""
    for text in texts:
        tight = not line or line[-1] in _TIGHT_AFTER or text[0] in _TIGHT_BEFORE or _calls(line, text)
        line += "" if tight and _LEFT_OUT not in (text, line[-3:]) else " "
        line += text
    return _EXPONENT.sub(r"\1\2\3", line)


def _calls(line: str, text: str) -> bool:
    last = line.rsplit(" ", 1)[-1]
    return text in ("(", "[") and (line[-1].isalnum() or line[-1] in "_)]") and last not in KEYWORDS
