"""The source lines a reader needs beside the findings: a few around each place, cut from the files as they were read.

In: findings and file pairs. Out: ``model.Excerpt``s, at most ``MOST`` findings deep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from trainwarden.model import Excerpt, FilePair, FileVersion, Finding, Side
from trainwarden.parse.source import Refusal, decode_python

MOST = 12
_AROUND = 2
_LONGEST = 12
_WIDEST = 400


def excerpts_of(findings: Sequence[Finding], pairs: Iterable[FilePair]) -> tuple[Excerpt, ...]:
    """Excerpts for the first findings, each place once."""
    versions = {("base", p.before.path): p.before for p in pairs if p.before is not None}
    versions |= {("head", p.after.path): p.after for p in pairs if p.after is not None}
    lines: dict[tuple[Side, str], list[str]] = {}
    found: dict[tuple[str, Side, int, int], Excerpt] = {}
    for path, side, first, last in _wanted(findings[:MOST]):
        key = (side, path)
        if key not in lines:
            lines[key] = _lines(versions.get(key))
        start, end = max(1, first - _AROUND), min(len(lines[key]), last + _AROUND)
        if start <= end:
            kept = tuple(line[:_WIDEST] for line in lines[key][start - 1 : end])
            found.setdefault((path, side, start, end), Excerpt(path, side, start, kept))
    return tuple(found.values())


def _wanted(findings: Iterable[Finding]) -> Iterator[tuple[str, Side, int, int]]:
    for finding in findings:
        last = min(finding.end_line, finding.start_line + _LONGEST - 1)
        yield finding.path, finding.side, finding.start_line, last
        for place in finding.places[:4]:
            yield place.path, place.side, place.line, place.line


def _lines(version: FileVersion | None) -> list[str]:
    if version is None:
        return []
    text = decode_python(version.data)
    if isinstance(text, Refusal):
        return []
    return text.text.split("\n")
