"""Units in, what the classifier reads out: token ids, edit tags, signals and lines. Shared by training and serving.

The vocabulary is a byte-level BPE (trained by ``trainwarden.lab.corpus``); it is applied here lexeme by lexeme, so
that no tokeniser library is needed at review time. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from trainwarden.model import Misuse, Statement, Unit, UnitTag
from trainwarden.score.units import split

LONGEST = 192
"""Tokens of a unit; context gives way to edits."""
BAG = 48
"""Signals of a unit that are read."""
TAGS: Mapping[UnitTag, int] = {"same": 1, "removed": 2, "added": 3, "moved": 4}
PAD, UNKNOWN, START, BREAK, MASK = range(5)
DEPTHS = 8
"""Special tokens: padding, unknown, start, break, mask, then a context and an edited statement's start by depth."""
SPECIAL = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(f"[{kind}{depth}]" for kind in ("C", "E") for depth in range(DEPTHS)),
)
_LONGEST_LEXEME = 48
_PATH_PARTS = 3


@dataclass(frozen=True, slots=True)
class Encoded:
    """One unit as numbers. ``lines``: the head line of each token, 0 where none (context, header)."""

    ids: tuple[int, ...]
    tags: tuple[int, ...]
    lines: tuple[int, ...]
    signals: tuple[int, ...]


class Encoder:
    """Encodes units with one vocabulary. Build it from the artefact's ``tokenizer.json`` and ``signals.json``."""

    def __init__(self, tokenizer: bytes, signals: bytes) -> None:
        """Raises ``Misuse`` when the files are not a vocabulary and a list of signals."""
        try:
            model = json.loads(tokenizer)["model"]
            self._vocabulary: dict[str, int] = model["vocab"]
            merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
            self._ranks = {pair: rank for rank, pair in enumerate(merges)}
            self._signals = {name: place for place, name in enumerate(json.loads(signals), 1)}
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise Misuse(f"the classifier's vocabulary cannot be read: {wrong!r}") from wrong
        self._pieces = lru_cache(maxsize=50_000)(self._tokenize)

    def encode(self, unit: Unit) -> Encoded:
        """One unit as numbers, at most ``LONGEST`` tokens."""
        header = [START, *self._words(_path(unit.path)), BREAK, *self._words(unit.member), BREAK][
            : LONGEST // 4
        ]
        rows = [self._statement(statement) for statement in unit.statements]
        kept = _kept(rows, [statement.edited for statement in unit.statements], LONGEST - len(header))
        ids, tags, lines = header, [1] * len(header), [0] * len(header)
        for place in kept:
            row, statement = rows[place], unit.statements[place]
            ids.extend(token for token, _ in row)
            tags.extend(tag for _, tag in row)
            lines.extend([statement.line if statement.edited else 0] * len(row))
        bag = sorted(self._signals[name] for name in unit.signals if name in self._signals)[:BAG]
        return Encoded(tuple(ids[:LONGEST]), tuple(tags[:LONGEST]), tuple(lines[:LONGEST]), tuple(bag))

    def tokens(self, lexeme: str) -> tuple[int, ...]:
        """The ids of one lexeme."""
        return self._pieces(lexeme[:_LONGEST_LEXEME])

    def _words(self, code: str) -> Iterator[int]:
        for lexeme in split(code):
            yield from self.tokens(lexeme)

    def _statement(self, statement: Statement) -> list[tuple[int, int]]:
        start = len(SPECIAL) - (DEPTHS if statement.edited else 2 * DEPTHS) + min(statement.depth, DEPTHS - 1)
        row = [(start, 1)]
        for text, tag in statement.lexemes:
            row.extend((token, TAGS[tag]) for token in self.tokens(text))
        return row

    def _tokenize(self, lexeme: str) -> tuple[int, ...]:
        parts = [_BYTES[byte] for byte in lexeme.encode("utf-8", "replace")]
        while len(parts) > 1:
            ranked = [(self._ranks.get(pair, _NEVER), i) for i, pair in enumerate(pairwise(parts))]
            rank, _ = min(ranked)
            if rank == _NEVER:
                break
            parts = _merged(parts, ranked, rank)
        return tuple(self._vocabulary.get(part, UNKNOWN) for part in parts)


_NEVER = 1 << 30


def _merged(parts: Sequence[str], ranked: Sequence[tuple[int, int]], rank: int) -> list[str]:
    """Joins every pair of that rank, from the left, as BPE does."""
    found: list[str] = []
    i = 0
    while i < len(parts):
        if i < len(ranked) and ranked[i][0] == rank:
            found.append(parts[i] + parts[i + 1])
            i += 2
        else:
            found.append(parts[i])
            i += 1
    return found


def _kept(rows: Sequence[Sequence[object]], edited: Sequence[bool], room: int) -> list[int]:
    """Edited statements first, then context by nearness to them, as far as there is room; in their order."""
    own = [place for place, is_edited in enumerate(edited) if is_edited]
    nearness = sorted(range(len(rows)), key=lambda i: (min((abs(i - j) for j in own), default=0), i))
    kept = []
    for place in [*own, *(i for i in nearness if not edited[i])]:
        room -= len(rows[place])
        if room < 0 and not edited[place]:
            break
        kept.append(place)
    return sorted(kept)


def _path(path: str) -> str:
    return " / ".join(path.split("/")[-_PATH_PARTS:])


def _byte_alphabet() -> dict[int, str]:
    """The printable character that stands for each byte in a byte-level vocabulary (the GPT-2 convention)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {byte: chr(byte) for byte in printable}
    alphabet.update({byte: chr(256 + place) for place, byte in enumerate(rest)})
    return alphabet


_BYTES = _byte_alphabet()
