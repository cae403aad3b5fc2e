"""Text from a reviewed change comes in; text that is safe to show on any surface goes out.

The author of a change chooses its paths, names and code, so a report must not let them move the cursor, turn
the direction of reading, hide characters, or speak to the machine that reads a build log.
"""

from __future__ import annotations

import re
import unicodedata

# Printable for Python, yet drawn as nothing by most fonts: the blank Braille cell and default ignorables,
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_BLANK = frozenset({0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}).union(
    range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MARKS = ("Mn", "Me")
_MOST_MARKS = 2

# GitHub's and Azure's runners obey `##[command]` anywhere in a line of a log.
_RUNNER_COMMAND = re.compile(r"##(?=\[)")


def escaped(character: str) -> str:
    """The character written as Python would in a string literal: ``\\x1b``, ``\\u202e``, ``\\U000e0041``."""
    point = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def visible(text: str) -> str:
    """The text on one line, every character that is not drawn, or that moves others, written as an escape.

    Controls, bidirectional and other format characters, line separators, spaces other than U+0020, lone
    surrogates, unassigned and private characters are escaped, and combining marks beyond the second in a row.
    """
    if not (text.isascii() and text.isprintable()):
        text = _drawn(text)
    return _RUNNER_COMMAND.sub(r"#\\x23", text)


def _drawn(text: str) -> str:
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        hidden = not character.isprintable() or ord(character) in _BLANK or marks > _MOST_MARKS
        shown.append(escaped(character) if hidden else character)
    return "".join(shown)


def width(text: str) -> int:
    """Terminal columns the (visible) text takes: wide East Asian characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters of the text, followed by how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [+{len(text) - limit:,} characters]"


def clip_path(path: str, limit: int) -> str:
    """A path with its middle left out when it is longer than ``limit``; both ends tell it from others."""
    if len(path) <= limit:
        return path
    half = max(1, (limit - 5) // 2)
    return f"{path[:half]}[...]{path[-half:]}"


def wrap(text: str, columns: int) -> list[str]:
    """The (visible) text broken into lines of at most ``columns`` columns, at spaces where there are any."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) <= columns:
            line = f"{line} {word}"
            continue
        pieces = chunks(word, columns)
        lines += [line, *pieces[:-1]] if line else pieces[:-1]
        line = pieces[-1]
    return [*lines, line] if line else lines


def chunks(text: str, columns: int) -> list[str]:
    """The (visible) text in pieces of at most ``columns`` columns, cut behind a space if one is near the end.

    Joined, the pieces are the text again; empty text is one empty piece.
    """
    pieces: list[str] = []
    while width(text) > columns:
        end = _fitting(text, columns)
        soft = text.rfind(" ", end - columns // 3, end) + 1
        cut = soft if soft > 0 and text[:soft].strip() else end
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]


def _fitting(text: str, columns: int) -> int:
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > columns and index:
            return index
    return len(text)
