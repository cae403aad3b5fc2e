"""A finding and the report's source lines come in; the few a reviewer needs, before and after, go out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trainwarden.model import Excerpt, Finding, Place, Side
from trainwarden.report.visible import clip, visible

CONTEXT = 2
"""Unmarked lines shown on either side of a marked one."""

MOST_ROWS = 12
MOST_VIEWS = 4
MARKED_LIMIT = 600
CONTEXT_LIMIT = 160
_LONGEST_LINE = 100_000

# Code pushed out of sight by spaces must come back into sight.
_WIDE_GAP = re.compile(r"(?<=\S) {16,}(?=\S)|^ {60,}")


@dataclass(frozen=True, slots=True)
class Row:
    """One source line, safe to show; ``captions`` are words about it."""

    number: int
    text: str
    marked: bool
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """Lines of one file on one side; ``left_out`` counts marked lines that did not fit."""

    path: str
    side: Side
    rows: tuple[Row, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown for a finding: views, the base side first, and the places that no view shows."""

    views: tuple[View, ...]
    places: tuple[Place, ...]


class Excerpts:
    """The report's excerpts, ready to be asked for the lines of a finding."""

    def __init__(self, excerpts: Iterable[Excerpt]) -> None:
        self._by_file: dict[tuple[str, Side], list[Excerpt]] = {}
        for excerpt in excerpts:
            self._by_file.setdefault((excerpt.path, excerpt.side), []).append(excerpt)

    def of(self, finding: Finding) -> Display:
        """The lines of the finding itself and those around its places, where the report carries them."""
        views = [view for excerpt in self._chosen(finding) if (view := _view(excerpt, finding)).rows]
        shown = {(view.path, view.side, row.number) for view in views for row in view.rows}
        places = tuple(place for place in finding.places if (place.path, place.side, place.line) not in shown)
        views.sort(key=lambda view: view.side == "head")
        return Display(tuple(views), places)

    def _chosen(self, finding: Finding) -> list[Excerpt]:
        chosen: list[Excerpt] = []
        spots = [(finding.path, finding.side, finding.start_line)]
        spots += [(place.path, place.side, place.line) for place in finding.places]
        for path, side, line in spots:
            excerpt = self._covering(path, side, line)
            if excerpt is not None and excerpt not in chosen:
                chosen.append(excerpt)
        return chosen[:MOST_VIEWS]

    def _covering(self, path: str, side: Side, line: int) -> Excerpt | None:
        candidates = self._by_file.get((path, side), [])
        return next((e for e in candidates if e.first <= line < e.first + len(e.lines)), None)


def _view(excerpt: Excerpt, finding: Finding) -> View:
    captions = _captions(excerpt, finding)
    last = excerpt.first + len(excerpt.lines) - 1
    marked = {line for line in captions if excerpt.first <= line <= last}
    if (excerpt.path, excerpt.side) == (finding.path, finding.side):
        start, end = max(finding.start_line, excerpt.first), min(finding.end_line, last)
        marked.update(range(start, max(start, end) + 1) if start <= last else ())
    kept = _kept(marked, excerpt.first, last)
    texts = _dedented([_readable(excerpt.lines[number - excerpt.first]) for number in kept])
    rows = tuple(
        _row(number, text, number in marked, captions.get(number, ()))
        for number, text in zip(kept, texts, strict=True)
    )
    return View(excerpt.path, excerpt.side, rows, len(marked.difference(kept)))


def _captions(excerpt: Excerpt, finding: Finding) -> dict[int, tuple[str, ...]]:
    captions: dict[int, tuple[str, ...]] = {}
    for place in finding.places:
        if (place.path, place.side) == (excerpt.path, excerpt.side):
            captions[place.line] = (*captions.get(place.line, ()), visible(place.caption))
    return captions


def _kept(marked: set[int], first: int, last: int) -> list[int]:
    """The marked lines with their context, cut at ``MOST_ROWS``, whatever the length of a finding."""
    kept: list[int] = []
    for line in sorted(marked):
        for near in range(max(first, line - CONTEXT), min(last, line + CONTEXT) + 1):
            if not kept or near > kept[-1]:
                kept.append(near)
        if len(kept) >= MOST_ROWS:
            break
    return kept[:MOST_ROWS]


def _readable(line: str) -> str:
    # Cut before anything else touches a line of megabytes.
    cut = f" [line of {len(line):,} characters]" if len(line) > _LONGEST_LINE else ""
    text = line[:_LONGEST_LINE].rstrip("\r\n").expandtabs(4).rstrip(" ") + cut
    return _WIDE_GAP.sub(lambda gap: f" [{len(gap.group()):,} spaces] ", text)


def _dedented(lines: list[str]) -> list[str]:
    depths = [len(line) - len(line.lstrip(" ")) for line in lines if line]
    shallowest = min(depths, default=0)
    return [line[shallowest:] for line in lines]


def _row(number: int, text: str, marked: bool, captions: tuple[str, ...]) -> Row:
    limit = MARKED_LIMIT if marked else CONTEXT_LIMIT
    return Row(number, clip(visible(text), limit), marked, captions)
