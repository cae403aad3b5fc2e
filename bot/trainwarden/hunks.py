"""Two versions of a Python file go in, the hunks of code that differ come out, each with a key.

What counts is code: comments, documentation, imports, blank lines and white space within a line do not, and
indentation only relative to the hunk. So a hunk has the same key wherever it moves in its file, and
whatever stands around it. This is text work: it needs no parser and takes broken files as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, chain, compress, count
from operator import itemgetter, ne
from typing import NamedTuple, TypeVar

from trainwarden.model import Lines

TAB = 8
LARGEST_GAP = 1_000_000  # lines times lines between two anchors; more is taken as one hunk

_QUOTED = re.compile(
    rb"""
    (?: [^"'#]++ | "(?!"") [^"\\\r\n]*+ (?: \\. [^"\\\r\n]*+ )*+ " | '(?!'') [^'\\\r\n]*+ (?: \\. [^'\\\r\n]*+ )*+ ' )*+
    (?:
      ( \"\"\" [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* \"\"\"
      | \'\'\' [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* \'\'\'
      | \# [^\r\n]* )
    | ( "" | '' | . )
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)
"""Whatever is neither a comment nor a string in triple quotes, then one of these (group 1), a stray quote (group 2),
or the end."""
_TAKEN, _STRAY = 1, 2
_HASH = ord("#")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BRACKET = re.compile(rb"import[ \t]*\(")
_OPENED = re.compile(rb"^[ \t]*from[ \t]+[\w.]+[ \t]+import[ \t]*\(", re.MULTILINE)
_MANY_NAMES = re.compile(_OPENED.pattern + rb"[^)]*\)", re.MULTILINE)
_IMPORT = re.compile(rb"(?:from\s+[\w.]+\s+import|import)\b")
_TOKEN = re.compile(rb"\w+|[^\w\s]")
_PREFIX = b" \t"
_ENDS = (b"\n", b"\r")
_NEAR = 200  # bytes around a string that are looked at first
_CUT = re.compile(rb"\n[ \t]*+def ")

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
    version = _Version(data)
    return list(version.lines(0, len(version.keys)))


class _Line(NamedTuple):
    """What a line of code says wherever it stands; ``key`` is equal where indentation and tokens are."""

    key: bytes
    indent: int
    text: bytes
    source: bytes


class _Piece(NamedTuple):
    """What a piece of a file says: its lines of code with their keys, and numbers counted within the piece.

    ``height`` is how many lines it has of any kind.
    """

    keys: list[bytes]
    lines: list[_Line]
    numbers: list[int]
    height: int


class _Version:
    """A file as the keys of its lines of code; the lines themselves are put in their place when asked for."""

    def __init__(self, data: bytes) -> None:
        self._pieces = list(_pieces(data))
        self._starts = list(accumulate((len(piece.keys) for piece in self._pieces), initial=0))
        self._above = list(accumulate((piece.height for piece in self._pieces), initial=0))
        self.keys = list(chain.from_iterable(piece.keys for piece in self._pieces))

    def line(self, index: int) -> CodeLine:
        """One of the lines of code, counted from 0."""
        at = bisect_right(self._starts, index) - 1
        piece, within = self._pieces[at], index - self._starts[at]
        line = piece.lines[within]
        return CodeLine(self._above[at] + piece.numbers[within], line.indent, line.text, line.source)

    def lines(self, start: int, end: int) -> tuple[CodeLine, ...]:
        """A run of them."""
        return tuple(map(self.line, range(start, end)))

    def span(self, start: int, end: int) -> Lines:
        """The lines of the file that a run of them spans; the line after the gap where it has none."""
        if start < end:
            return self.line(start).number, self.line(end - 1).number
        gap = self.line(start - 1).number + 1 if start else 1
        last = self.line(len(self.keys) - 1).number if self.keys else 1
        return min(gap, last), min(gap, last)


def _pieces(data: bytes) -> Iterator[_Piece]:
    """A file from one ``def`` to the next, farther where a string or a bracket would be torn.

    Versions of a file share most of their pieces, so most need not be read again; in a row, pieces say what the file
    says in one.
    """
    cuts = [0, *(match.start() + 1 for match in _CUT.finditer(data)), len(data)]
    at, end = 0, len(cuts) - 1
    while at < end:
        to = at + 1
        while (piece := _piece(data[cuts[at] : cuts[to]], to == end)) is None:
            to = min(2 * to - at, end)  # twice as far: what is torn often is not read often
        yield piece
        at = to


def _piece(data: bytes, last: bool) -> _Piece | None:
    return _PIECES[data] or (_read_piece(data, last) if last else None)


def _read_piece(data: bytes, last: bool = False) -> _Piece | None:
    """The code of a piece; None if what follows may tell how to read it. Nothing follows the last one."""
    text = _without_comments(data, last)
    if text is not None and _BRACKET.search(text):
        text = _MANY_NAMES.sub(_blank, text)
        if not last and _OPENED.search(text):
            return None
    return None if text is None else _coded(text.splitlines())


def _coded(rows: Sequence[bytes]) -> _Piece:
    found = [_LINES[row] for row in rows]
    lines = list(filter(None, found))
    return _Piece([line.key for line in lines], lines, list(compress(count(1), found)), len(rows))


def _read(row: bytes) -> _Line | None:
    """A line's code, or None where it holds none."""
    code = row.lstrip()
    source = code.rstrip()
    if not source or _IMPORT.match(source):
        return None
    indent = len(row[: len(row) - len(code)].expandtabs(TAB))
    text = b" ".join(_TOKEN.findall(source))
    return _Line(b" " * indent + text, indent, text, source)


_Read = TypeVar("_Read")
_ENTRY = 64  # bytes that an entry takes for itself


class _Memory(dict[bytes, _Read]):
    """What short texts were read as; forgets them all when they become too many bytes."""

    def __init__(self, read: Callable[[bytes], _Read], longest: int, most: int) -> None:
        super().__init__()
        self._read, self._longest, self._most = read, longest, most
        self._room = most

    def __missing__(self, text: bytes) -> _Read:
        found = self._read(text)
        if len(text) <= self._longest:
            self._room -= len(text) + _ENTRY
            if self._room < 0:
                self.clear()
                self._room = self._most
            self[text] = found
        return found


# Versions of a file share most of their pieces, and what is left of them many lines with whatever was read before.
_LINES = _Memory(_read, longest=200, most=4 * 1024 * 1024)
_PIECES = _Memory(_read_piece, longest=16 * 1024, most=8 * 1024 * 1024)


def _without_comments(data: bytes, last: bool) -> bytes | None:
    """A piece with comments and documentation blanked, every line still in its place.

    None for a quote that nothing closes, unless the piece is the last: more text may close it.
    """
    out: list[bytes] = []
    end = 0
    for match in _QUOTED.finditer(data):
        if match.lastindex == _STRAY and not last:
            return None
        if match.lastindex != _TAKEN:
            continue
        first, behind = match.span(_TAKEN)
        comment = data[first] == _HASH
        start = first if comment else _own_line(data, first, behind)
        if start is not None:
            out += (data[end:start], b"" if comment else _blank(match))
            end = behind
    return b"".join((*out, data[end:]))


def _own_line(data: bytes, start: int, end: int) -> int | None:
    """Where the line of a string begins, if nothing else is on its lines: it is documentation then."""
    near = data[max(0, start - _NEAR) : start].rstrip(_PREFIX + b"rRuUbBfF")
    if near and near[-1:] not in _ENDS:
        return None  # most lines are settled here: looking for the beginning of a long one takes long
    newline = data.rfind(b"\n", 0, start)
    begin = max(newline, data.rfind(b"\r", newline + 1, start)) + 1
    before, behind = data[begin:start], data[end : end + _NEAR].lstrip(_PREFIX)
    alone = not before.strip(_PREFIX + b"rRuUbBfF") and (not behind or behind[:1] in b"\n\r#")
    return begin if alone else None


def _blank(match: re.Match[bytes]) -> bytes:
    """Nothing but the line ends of what was matched."""
    return b"".join(_LINE_END.findall(match[match.lastindex or 0]))


def hunks(before: bytes, after: bytes) -> list[Hunk]:
    """The hunks from ``before`` to ``after``.

    ``base`` and ``head`` span the hunk's lines in the files; a side without lines names the line after the
    gap.
    """
    old, new = _Version(before), _Version(after)
    return [
        Hunk(old.lines(a, b), new.lines(c, d), old.span(a, b), new.span(c, d))
        for a, b, c, d in differences(old.keys, new.keys)
    ]


Items = Sequence[Hashable]
Opcode = tuple[int, int, int, int]


def differences(old: Items, new: Items) -> Iterator[Opcode]:
    """(start, end, start, end) of what differs: between anchors, lines that are unique in both versions.

    Anchoring (as in patience diff) keeps the cost near linear and finds the same hunks in both directions.
    """
    start = common(old, new)
    if start == len(old) == len(new):
        return
    tail = common(old[start:][::-1], new[start:][::-1])
    at = (start, start)
    for a, c in _anchors(old, new, start, tail):
        if at != (a, c):
            yield from _gap(old, new, at[0], a, at[1], c)
        at = (a + 1, c + 1)
    yield from _gap(old, new, at[0], len(old), at[1], len(new), tail)


def common(old: Items, new: Items) -> int:
    """How many elements both start with."""
    return next(compress(count(), map(ne, old, new)), min(len(old), len(new)))


def _anchors(old: Items, new: Items, start: int, tail: int) -> list[tuple[int, int]]:
    """Positions of lines that occur once on either side, the longest run in the same order.

    Only between what both start and what both end with: nothing differs there.
    """
    a, c = len(old) - tail, len(new) - tail
    alone = _once(old[start:a]) & _once(new[start:c])
    if not alone:
        return []
    alone.difference_update(old[:start], old[a:])  # the same in both versions
    place = {new[at]: at for at in range(start, c) if new[at] in alone}
    return _longest([(at, place[old[at]]) for at in range(start, a) if old[at] in alone])


def _once(items: Items) -> set[Hashable]:
    return {item for item, number in Counter(items).items() if number == 1}


def _longest(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, sorted by their first, whose second rises as well."""
    if pairs == sorted(pairs, key=itemgetter(1)):
        return pairs
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


def _gap(old: Items, new: Items, a: int, b: int, c: int, d: int, tail: int = 0) -> Iterator[Opcode]:
    """What differs between two anchors. ``tail``: how many elements are known to end both."""
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    # Of the tail, what the start has not taken.
    tail = min(tail, b - a, d - c)
    b, d = b - tail, d - tail
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    if a == b or c == d or (b - a) * (d - c) > LARGEST_GAP:
        if a < b or c < d:
            yield a, b, c, d
        return
    for tag, i, j, k, m in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
        if tag != "equal":
            yield a + i, a + j, c + k, c + m
