"""Two small files in, the units between them out: what serving does with a change, without facts and rules.

Tests hold it to the same units that ``understand.view_of`` gives.
"""

from __future__ import annotations

from trainwarden.edits.compare import compare
from trainwarden.edits.moves import LineMap, RawFile, resolve_moves
from trainwarden.model import Side, Unit
from trainwarden.parse import agree
from trainwarden.score.units import lexemes, units_of, walk
from trainwarden.training import is_test
from trainwarden.view import ChangeView, FileStatus, FileView


def units_between(before: str | None, after: str | None, path: str, training: bool) -> tuple[Unit, ...]:
    """The units of one file's change. ``training``: what its whole file was; a small file may not tell."""
    old = agree.read(before) if before is not None else None
    new = agree.read(after) if after is not None else None
    raw = compare(path, old, new)
    lines = LineMap(_lines(before), _lines(after)) if before is not None and after is not None else None
    (edits,) = resolve_moves([RawFile(path, raw, lines)])
    status: FileStatus = "added" if before is None else "deleted" if after is None else "modified"
    side: Side = "base" if after is None else "head"
    view = FileView(
        path, path, "python", status, side, training, is_test(path), len(_lines(after)), tuple(edits)
    )
    return units_of(ChangeView((view,)))


def statements_of(code: str, path: str, member: str) -> list[tuple[int, list[str]]]:
    """The statements of one member of a small file: how deep each stands, and its lexemes. Empty where it has none."""
    (edits,) = resolve_moves([RawFile(path, compare(path, None, agree.read(code)), None)])
    for edit in edits:
        if edit.context.member == member and edit.after is not None:
            return [(depth, lexemes(node)) for node, depth in walk(edit.after.root)]
    return []


def _lines(text: str | None) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
