"""Two versions of a Python file go in, the hunks of code that differ come out, each with a key.

What counts is code: comments, documentation, imports, blank lines and white space within a line do not, and
indentation only relative to the hunk. So a hunk has the same key wherever it moves in its file, and
whatever stands around it. This is text work: it needs no parser and takes broken files as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from trainwarden.model import Lines

TAB = 8
LONGEST_KEPT = 200  # bytes of a line whose tokens are remembered
LARGEST_KEPT = 256 * 1024  # bytes of a version whose lines are remembered
LARGEST_GAP = 1_000_000  # lines times lines between two anchors; more is taken as one hunk

_QUOTED = re.compile(
    rb"""
    (?: [^"'#]++ | "(?!"") [^"\\\r\n]*+ (?: \\. [^"\\\r\n]*+ )*+ " | '(?!'') [^'\\\r\n]*+ (?: \\. [^'\\\r\n]*+ )*+ ' )*+
    (?:
      ( \"\"\" [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* \"\"\"
      | \'\'\' [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* \'\'\'
      | \# [^\r\n]* )
    | "" | '' | . | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)
"""Whatever is neither a comment nor a string in triple quotes, then one of these (group 1) or a stray quote."""
_HASH = ord("#")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BRACKET = re.compile(rb"import[ \t]*\(")
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
    return [CodeLine(number, line.indent, line.text, line.source) for number, line in _numbered(data)]


class _Line(NamedTuple):
    """What a line of code says wherever it stands; ``key`` is equal where indentation and tokens are."""

    key: bytes
    indent: int
    text: bytes
    source: bytes


_Numbered = Sequence[tuple[int, _Line]]


def _numbered(data: bytes) -> _Numbered:
    return _known_version(data) if len(data) <= LARGEST_KEPT else _read_version(data)


def _read_version(data: bytes) -> _Numbered:
    text = _without_comments(data)
    if _BRACKET.search(text):
        text = _MANY_NAMES.sub(_blank, text)
    rows = text.splitlines()
    read = _remembered if max(map(len, rows), default=0) <= LONGEST_KEPT else _read
    return [(number, line) for number, row in enumerate(rows, 1) if (line := read(row)) is not None]


def _read(row: bytes) -> _Line | None:
    """A line's code, or None where it holds none."""
    source = row.strip()
    if not source or _IMPORT.match(source):
        return None
    indent = len(row[: len(row) - len(row.lstrip())].expandtabs(TAB))
    text = b" ".join(_TOKEN.findall(source))
    return _Line(b"%d %b" % (indent, text), indent, text, source)


# The versions of a file that are compared with each other share most of their lines.
_remembered = lru_cache(maxsize=2**15)(_read)


# What one fix of a file left behind is often what the next one found, and what a change under review starts from.
_known_version = lru_cache(maxsize=16)(_read_version)


def _without_comments(data: bytes) -> bytes:
    """The file with comments and documentation blanked, every line still in its place."""
    out: list[bytes] = []
    end = 0
    for match in _QUOTED.finditer(data):
        first, last = match.span(1)
        if first < 0:
            continue
        comment = data[first] == _HASH
        start = first if comment else _own_line(data, first, last)
        if start is not None:
            out += (data[end:start], b"" if comment else _blank(match))
            end = last
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
    return b"".join(_LINE_END.findall(match[match.lastindex or 0]))


def hunks(before: bytes, after: bytes) -> list[Hunk]:
    """The hunks from ``before`` to ``after``.

    ``base`` and ``head`` span the hunk's lines in the files; a side without lines names the line after the
    gap.
    """
    old, new = _numbered(before), _numbered(after)
    found = differences([line.key for _, line in old], [line.key for _, line in new])
    return [
        Hunk(_placed(old[a:b]), _placed(new[c:d]), _span(old, a, b), _span(new, c, d)) for a, b, c, d in found
    ]


def _placed(lines: _Numbered) -> tuple[CodeLine, ...]:
    return tuple(CodeLine(number, line.indent, line.text, line.source) for number, line in lines)


def _span(lines: _Numbered, start: int, end: int) -> Lines:
    if start < end:
        return lines[start][0], lines[end - 1][0]
    gap = lines[start - 1][0] + 1 if start else 1
    last = lines[-1][0] if lines else 1
    return min(gap, last), min(gap, last)


Items = Sequence[Hashable]
Opcode = tuple[int, int, int, int]


def differences(old: Items, new: Items) -> Iterator[Opcode]:
    """(start, end, start, end) of what differs: between anchors, lines that are unique in both versions.

    Anchoring (as in patience diff) keeps the cost near linear and finds the same hunks in both directions.
    """
    start = common(old, new)
    if start == len(old) == len(new):
        return
    at = (start, start)
    for a, c in _anchors(old, new, start):
        yield from _gap(old, new, at[0], a, at[1], c)
        at = (a + 1, c + 1)


def common(old: Iterable[Hashable], new: Iterable[Hashable]) -> int:
    """How many elements both start with."""
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _anchors(old: Items, new: Items, start: int) -> list[tuple[int, int]]:
    """Positions behind ``start`` of lines that occur once on either side, the longest run in the same order.

    Of the lines that both end with, which are in every longest run, the first is enough: nothing differs behind it.
    Where there is none, the last entry is the end of both.
    """
    tail = min(common(reversed(old), reversed(new)), min(len(old), len(new)) - start)
    a, c = len(old) - tail, len(new) - tail
    once_old, once_new = Counter(old), Counter(new)
    place = {new[at]: at for at in range(start, c) if once_new[new[at]] == 1}
    shared = [(at, place[old[at]]) for at in range(start, a) if once_old[old[at]] == 1 and old[at] in place]
    unique = (n for n in range(tail) if once_old[old[a + n]] == 1 == once_new[old[a + n]])
    first = next(unique, tail)
    return [*_longest(shared), (a + first, c + first)]


def _longest(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, sorted by their first, whose second rises as well."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, (_, c) in enumerate(pairs):
        at = bisect_left(tails, c)
        previous.append(ends[at - 1] if at else -1)
        tails[at : at + 1], ends[at : at + 1] = [c], [index]
    chain = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(pairs[index])
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
