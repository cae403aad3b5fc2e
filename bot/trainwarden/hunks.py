"""Two versions of a Python file go in, the hunks of code that differ come out, each with a key.

What counts is code: comments, documentation, imports, blank lines and white space within a line do not, and
indentation only relative to the hunk. So a hunk has the same key wherever it moves in its file, and
whatever stands around it. This is text work: it needs no parser and takes broken files as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

from trainwarden.model import Lines

TAB = 8
LARGEST_GAP = 1_000_000  # lines times lines between two anchors; more is taken as one hunk

_QUOTED = re.compile(
    rb"""
      \"\"\" [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* \"\"\"
    | ''' [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* '''
    | " [^"\\\r\n]* (?: \\. [^"\\\r\n]* )* "
    | ' [^'\\\r\n]* (?: \\. [^'\\\r\n]* )* '
    | \# [^\r\n]*
    """,
    re.VERBOSE | re.DOTALL,
)
_LONG = (b'"""', b"'''")
_MANY_NAMES = re.compile(rb"^[ \t]*from[ \t]+[\w.]+[ \t]+import[ \t]*\([^)]*\)", re.MULTILINE)
_IMPORT = re.compile(rb"(?:from\s+[\w.]+\s+import|import)\b")
_TOKEN = re.compile(rb"\w+|[^\w\s]")
_PREFIX = b" \t"

Key = tuple[tuple[tuple[int, bytes], ...], tuple[tuple[int, bytes], ...]]


class CodeLine(NamedTuple):
    """A line that holds code: its number, indentation in columns, tokens with a space between, and source."""

    number: int
    indent: int
    text: bytes
    source: bytes


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring code lines that were replaced, with the lines of the files they span (see ``hunks``)."""

    removed: tuple[CodeLine, ...]
    added: tuple[CodeLine, ...]
    base: Lines
    head: Lines

    @property
    def key(self) -> Key:
        """What makes two hunks the same: their tokens, and indentation relative to the leftmost line."""
        left = min(line.indent for line in (*self.removed, *self.added))
        return _relative(self.removed, left), _relative(self.added, left)

    @property
    def tokens(self) -> int:
        """Tokens of the removed and the added code."""
        return sum(line.text.count(b" ") + 1 for line in (*self.removed, *self.added))


def _relative(lines: Sequence[CodeLine], left: int) -> tuple[tuple[int, bytes], ...]:
    return tuple((line.indent - left, line.text) for line in lines)


def code_lines(data: bytes) -> list[CodeLine]:
    """The lines of a file that hold code; lines end with LF, CRLF or CR."""
    found = []
    for number, line in enumerate(_MANY_NAMES.sub(_blank, _without_comments(data)).splitlines(), 1):
        source = line.strip()
        if source and not _IMPORT.match(source):
            start = line[: len(line) - len(line.lstrip())].expandtabs(TAB)
            found.append(CodeLine(number, len(start), b" ".join(_TOKEN.findall(source)), source))
    return found


def _without_comments(data: bytes) -> bytes:
    """The file with comments and documentation blanked, every line still in its place."""
    out: list[bytes] = []
    end = 0
    for match in _QUOTED.finditer(data):
        text = match.group()
        start: int | None = match.start() if text.startswith(b"#") else None
        if text.startswith(_LONG):
            start = _own_line(data, *match.span())
        if start is not None:
            out += (data[end:start], _blank(match))
            end = match.end()
    return b"".join((*out, data[end:]))


def _own_line(data: bytes, start: int, end: int) -> int | None:
    """Where the line of a string begins, if nothing else is on its lines: it is documentation then."""
    begin = max(data.rfind(b"\n", 0, start), data.rfind(b"\r", 0, start)) + 1
    before, behind = data[begin:start], data[end : end + 200]
    alone = not before.strip(_PREFIX + b"rRuUbBfF") and behind.lstrip(_PREFIX)[:1] in (
        b"",
        b"\n",
        b"\r",
        b"#",
    )
    return begin if alone else None


def _blank(match: re.Match[bytes]) -> bytes:
    """Nothing but the line ends of what was matched."""
    return b"".join(re.findall(rb"\r\n|\r|\n", match.group()))


def hunks(before: bytes, after: bytes) -> list[Hunk]:
    """The hunks from ``before`` to ``after``.

    ``base`` and ``head`` span the hunk's lines in the files; a side without lines names the line after the
    gap.
    """
    old, new = code_lines(before), code_lines(after)
    return [
        Hunk(tuple(old[a:b]), tuple(new[c:d]), _span(old, a, b), _span(new, c, d))
        for a, b, c, d in differences(_compared(old), _compared(new))
    ]


def _compared(lines: Sequence[CodeLine]) -> list[tuple[int, bytes]]:
    return [(line.indent, line.text) for line in lines]


def _span(lines: Sequence[CodeLine], start: int, end: int) -> Lines:
    if start < end:
        return lines[start].number, lines[end - 1].number
    gap = lines[start - 1].number + 1 if start else 1
    last = lines[-1].number if lines else 1
    return min(gap, last), min(gap, last)


Items = Sequence[tuple[int, bytes]]
Opcode = tuple[int, int, int, int]


def differences(old: Items, new: Items) -> Iterator[Opcode]:
    """(start, end, start, end) of what differs: between anchors, lines that are unique in both versions.

    Anchoring (as in patience diff) keeps the cost near linear and finds the same hunks in both directions.
    """
    at = (0, 0)
    for a, c in (*_anchors(old, new), (len(old), len(new))):
        yield from _gap(old, new, at[0], a, at[1], c)
        at = (a + 1, c + 1)


def _anchors(old: Items, new: Items) -> list[tuple[int, int]]:
    """Positions of lines that occur once on either side, the longest run of them in the same order."""
    once_old, once_new = Counter(old), Counter(new)
    place = {line: position for position, line in enumerate(new) if once_new[line] == 1}
    common = [(a, place[line]) for a, line in enumerate(old) if once_old[line] == 1 and line in place]
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, (_, c) in enumerate(common):
        at = bisect_left(tails, c)
        previous.append(ends[at - 1] if at else -1)
        tails[at : at + 1], ends[at : at + 1] = [c], [index]
    chain = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(common[index])
        index = previous[index]
    return chain[::-1]


def _gap(old: Items, new: Items, a: int, b: int, c: int, d: int) -> Iterator[Opcode]:
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    if a == b or c == d or (b - a) * (d - c) > LARGEST_GAP:
        if a < b or c < d:
            yield a, b, c, d
        return
    for tag, i, j, k, m in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
        if tag != "equal":
            yield a + i, a + j, c + k, c + m
