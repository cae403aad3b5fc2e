"""File pairs in, a ``ChangeView`` out: kinds, members, edits, facts, shifts and marks of a whole change.

Nothing is judged here. Whatever cannot be read becomes ``Unread``; nothing is dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trainwarden.config import matches
from trainwarden.edits.compare import Side, compare
from trainwarden.edits.moves import LineMap, RawFile, resolve_moves
from trainwarden.facts.extract import extract
from trainwarden.facts.shifts import match
from trainwarden.marks import marks
from trainwarden.model import Fact, FileKind, FilePair, FileVersion, Lines, Unread
from trainwarden.parse import agree, outline
from trainwarden.parse.source import Refusal, decode_python, kind_of
from trainwarden.training import is_test, speaks_of_training
from trainwarden.view import ChangeView, Edit, FileStatus, FileView, Mark

_MOST_CHECKED = 1500
"""Changed lines of a file that are read a second time; libcst, if it has to, takes about 10 ms for a hundred."""


@dataclass(slots=True)
class _Open:
    """A file on its way: what is known before moves are resolved."""

    pair: FilePair
    kind: FileKind
    training: bool
    test: bool
    head_lines: int = 0
    raw: RawFile | None = None
    unread: list[Unread] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def view_of(
    items: Iterable[FilePair | Unread],
    training_paths: Sequence[str] = (),
    ignored_paths: Sequence[str] = (),
    breadcrumb: Callable[[str], None] = lambda path: None,
) -> ChangeView:
    """Understands a change. ``breadcrumb`` is told each path before it is read, and "" after the last."""
    files: list[_Open] = []
    views: list[FileView] = []
    for item in items:
        if isinstance(item, Unread):
            views.append(_unread_view(item))
            continue
        breadcrumb(item.path)
        files.append(_open(item, training_paths, ignored_paths))
    files.sort(key=lambda file: file.pair.path)
    ready = [file.raw for file in files if file.raw is not None]
    edits = iter(resolve_moves(ready, breadcrumb))
    for file in files:
        breadcrumb(file.pair.path)
        views.append(_close(file, next(edits) if file.raw is not None else []))
    breadcrumb("")
    views.sort(key=lambda view: view.path)
    return ChangeView(tuple(views), _counts(views, "before"), _counts(views, "after"))


def untie(view: ChangeView) -> None:
    """Lets go of the trees behind the edits of a view that nobody will read again.

    Parents and children hold each other, and the garbage collector takes twenty times as long to find that out as
    the trees take to be freed without it.
    """
    edits = [edit for file in view.files for edit in file.edits]
    sides = [node for edit in edits for node in (edit.before, edit.after) if node is not None]
    for root in {id(root): root for root in (node.root for node in sides)}.values():
        root.untie()


def _counts(views: Iterable[FileView], side: str) -> Counter[str]:
    return Counter(fact.name for view in views for fact in getattr(view, side))


def _unread_view(item: Unread) -> FileView:
    kind: FileKind = kind_of(item.path, 0o100644, b"")
    training = kind == "python" and not is_test(item.path)
    return FileView(
        item.path, None, kind, "modified", "head", training, is_test(item.path), 0, unread=(item,)
    )


def _open(pair: FilePair, training_paths: Sequence[str], ignored_paths: Sequence[str]) -> _Open:
    versions = [version for version in (pair.after, pair.before) if version is not None]
    kinds = [kind_of(version.path, version.mode, version.data) for version in versions]
    # Renaming a file to another kind, or into a folder of tests, must not take it out of sight.
    kind: FileKind = "python" if "python" in kinds else kinds[0]
    file = _Open(pair, kind, False, all(is_test(version.path) for version in versions))
    if kind == "python":
        _read_python(file)
        ignored = any(matches(glob, pair.path) for glob in ignored_paths)
        named = any(matches(glob, pair.path) for glob in training_paths)
        file.training = named or (file.training and not ignored)
    else:
        file.unread.append(Unread(pair.path, None, f"{kind} files are not analysed yet"))
    return file


def _read_python(file: _Open) -> None:
    before, after = _decoded(file, file.pair.before), _decoded(file, file.pair.after)
    file.training = any(text is not None and speaks_of_training(text) for text in (before, after))
    if file.unread:  # one side refused: nothing can be said about the difference
        file.training = True
        return
    old = agree.read(before) if before is not None else None
    new = agree.read(after) if after is not None else None
    edits = compare(file.pair.path, old, new)
    base_lines, head_lines = _lines(before), _lines(after)
    lines = LineMap(base_lines, head_lines) if before is not None and after is not None else None
    fresh = lines.new_lines() if lines is not None else range(1, len(head_lines) + 1)
    file.head_lines = len(head_lines)
    file.marks.extend(marks(head_lines, fresh))
    file.unread.extend(edits.unread)
    if new is not None:
        _broken(file, old, new, set(fresh))
        file.marks.extend(_disagreements(old, new, head_lines))
    file.raw = RawFile(file.pair.path, edits, lines)


def _disagreements(old: outline.Outline | None, new: outline.Outline, lines: Sequence[str]) -> Iterator[Mark]:
    """Changed members that the two parsers understand differently: code that may be meant to be read two ways."""
    if new.errors or new.lines > agree.MOST_LINES:
        return
    known = old.members if old is not None else {}
    budget = _MOST_CHECKED
    for name, member in new.members.items():
        before = known.get(name)
        if before is not None and before.raw == member.raw:
            continue
        budget -= member.end_line - member.line + 1
        if budget < 0:
            return
        keep = {s.text or b"" for s in before.syntaxes} if before is not None else set()
        for found in agree.check(member, lines, keep):
            yield Mark("parser-disagreement", found.line, "head", found.detail)


def _lines(text: str | None) -> list[str]:
    """The lines of a text; the line end of the last one does not begin another."""
    return text.removesuffix("\n").split("\n") if text else []


def _decoded(file: _Open, version: FileVersion | None) -> str | None:
    if version is None:
        return None
    text = decode_python(version.data)
    if isinstance(text, Refusal):
        file.unread.append(Unread(file.pair.path, None, text.reason))
        return None
    return text.text


def _broken(file: _Open, old: outline.Outline | None, new: outline.Outline, fresh: set[int]) -> None:
    """Changed lines that do not parse are ``Unread``; a file that parsed before is marked as well."""
    for first, last in new.errors:
        touched = [line for line in fresh if first <= line <= last]
        if touched:
            span: Lines = (min(touched), max(touched))
            file.unread.append(Unread(file.pair.path, span, "does not parse as Python"))
            if old is None or not old.errors:
                file.marks.append(Mark("parse-error", span[0], "head", "does not parse as Python"))


def _close(file: _Open, edits: Sequence[Edit]) -> FileView:
    before = _facts(file.raw.edits.members_before) if file.raw else ()
    after = _facts(file.raw.edits.members_after) if file.raw else ()
    pair = file.pair
    return FileView(
        pair.path,
        pair.before.path if pair.before else None,
        file.kind,
        _status(pair),
        "base" if pair.after is None else "head",
        file.training,
        file.test,
        file.head_lines,
        tuple(edits),
        before,
        after,
        match(before, after),
        tuple(file.unread),
        tuple(file.marks),
    )


def _status(pair: FilePair) -> FileStatus:
    if pair.before is None or pair.copied:
        return "added"
    if pair.after is None:
        return "deleted"
    return "renamed" if pair.before.path != pair.after.path else "modified"


def _facts(members: Iterable[Side]) -> tuple[Fact, ...]:
    return tuple(fact for side in members for fact in extract(side.name, side.node, side.scope, side.path))
