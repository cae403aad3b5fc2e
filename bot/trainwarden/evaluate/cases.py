"""Applies cases in memory: a case and its tree go in, an overlay and the sabotaged lines come out.

Nothing is written anywhere; the trees are read through ``Tree``. The line numbers of a case are those of the
file at head before any edit.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from trainwarden.evaluate import lines
from trainwarden.evaluate.casefile import Bytes, Case, Create, Delete, Edit, Insert, Rename, Sub, Undo
from trainwarden.model import FileVersion, Overlay, TrainwardenError

REGULAR = 0o100644

Truth = Mapping[str, tuple[int, ...] | None]


class CaseFailure(TrainwardenError):
    """A case that does not apply: it fails the run (exit code 1)."""

    exit_code = 1


class Tree(Protocol):
    """The files of a repository's revisions."""

    def file(self, revision: str, path: str) -> FileVersion | None:
        """The file of that path in a revision, or None. Raises ``Unfinished``, ``Misuse``."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Edits laid over the head tree, and the lines of each path that they changed (None: the whole path)."""

    overlay: Overlay
    truth: Truth


@dataclass(frozen=True, slots=True)
class _Result:
    """One edited file: the content at its new path, or None when it went away."""

    path: str
    content: tuple[int, bytes] | None
    lines: tuple[int, ...] | None


def apply(case: Case, edits: Sequence[Edit], tree: Tree, parent: str) -> Applied:
    """Applies ``edits`` to the tree of ``case.head``; ``parent`` is the head's first parent, for ``undo``.

    Raises ``CaseFailure`` naming the case and the reason.
    """
    files: dict[str, tuple[int, bytes] | None] = {}
    truth: dict[str, tuple[int, ...] | None] = {}
    for path in dict.fromkeys(edit.path for edit in edits):
        mine = [edit for edit in edits if edit.path == path]
        try:
            result = _file(path, mine, tree, case.head, parent)
            _check_syntax(case, result, tree)
        except _Refusal as error:
            raise CaseFailure(f"{case.id} ({case.origin}): {path}: {error}") from None
        if result.path != path:
            files[path] = None
        files[result.path] = result.content
        truth[result.path] = result.lines
    return Applied(Overlay(files), truth)


class _Refusal(Exception):
    """Why an edit cannot be applied."""


def _file(path: str, edits: Sequence[Edit], tree: Tree, head: str, parent: str) -> _Result:
    renames = [edit for edit in edits if isinstance(edit, Rename)]
    others = [edit for edit in edits if not isinstance(edit, Rename)]
    if len(renames) > 1:
        raise _Refusal("renamed twice")
    now = tree.file(head, path)
    content, hit = _content(others, now, tree, parent) if others else (_kept(now), None)
    if not renames:
        return _Result(path, content, hit)
    target = renames[0].to
    if tree.file(head, target) is not None:
        raise _Refusal(f"cannot be renamed to {target}, which exists")
    return _Result(target, content, hit)


def _kept(now: FileVersion | None) -> tuple[int, bytes]:
    if now is None:
        raise _Refusal("no such file at head")
    return now.mode, now.data


def _content(
    edits: Sequence[Edit], now: FileVersion | None, tree: Tree, parent: str
) -> tuple[tuple[int, bytes] | None, tuple[int, ...] | None]:
    whole = [edit for edit in edits if isinstance(edit, Create | Undo | Bytes)]
    if whole and len(edits) > 1:
        raise _Refusal("an edit of the whole file stands beside another edit of it")
    match edits[0]:
        case Bytes(data=data):
            return (REGULAR, data), (1,)
        case Create(text=text):
            data = _encoded(text)
            return (REGULAR, data), tuple(range(1, len(lines.split(data)) + 1)) or (1,)
        case Undo():
            return _undone(now, tree.file(parent, edits[0].path))
    mode, data = _kept(now)
    new, hit = edit_lines(data, edits)
    return (mode, new), hit


def _undone(
    now: FileVersion | None, then: FileVersion | None
) -> tuple[tuple[int, bytes] | None, tuple[int, ...] | None]:
    if now == then:
        raise _Refusal("the commit did not change the file, nothing to undo")
    if then is None:
        return None, None
    return (then.mode, then.data), lines.changed(now.data if now else b"", then.data)


def edit_lines(data: bytes, edits: Sequence[Edit]) -> tuple[bytes, tuple[int, ...]]:
    """The file after line edits, and the numbers of the lines that are new, replaced, or follow a removal."""
    old = lines.split(data)
    inserts, subs, gone = _by_line(old, edits)
    out: list[bytes] = []
    hit: set[int] = set()
    for number in range(1, len(old) + 2):
        for text in inserts.get(number, ()):
            _append(out, text)
            hit.add(len(out))
        if number > len(old):
            break
        if number in gone:
            hit.add(len(out) + 1)
            continue
        body = lines.split(_replace(number, old[number - 1], subs.get(number, [])))
        if number in subs:
            hit.update(range(len(out) + 1, len(out) + max(1, len(body)) + 1))
        out.extend(body)
    last = max(1, len(out))
    return b"".join(out), tuple(sorted({min(line, last) for line in hit}))


def _append(out: list[bytes], text: bytes) -> None:
    if out and not out[-1].endswith((b"\n", b"\r")):
        out[-1] += b"\n"
    out.append(text)


def _by_line(
    old: Sequence[bytes], edits: Sequence[Edit]
) -> tuple[dict[int, list[bytes]], dict[int, list[Sub]], set[int]]:
    inserts: dict[int, list[bytes]] = {}
    subs: dict[int, list[Sub]] = {}
    gone: set[int] = set()
    for edit in edits:
        match edit:
            case Insert(before=before, text=text):
                _within(before, len(old) + 1)
                data = _encoded(text)
                data += b"" if data.endswith((b"\n", b"\r")) else b"\n"
                inserts.setdefault(before, []).extend(lines.split(data))
            case Sub(line=line):
                _within(line, len(old))
                subs.setdefault(line, []).append(edit)
            case Delete(line=line, to=to):
                _within(to, len(old))
                removed = set(range(line, to + 1))
                if removed & gone:
                    raise _Refusal(f"line {min(removed & gone)} is deleted twice")
                gone |= removed
    for line in sorted(gone & subs.keys()):
        raise _Refusal(f"line {line} is both changed and deleted")
    return inserts, subs, gone


def _within(line: int, last: int) -> None:
    if line > last:
        raise _Refusal(f"line {line} lies behind line {last}, the last one possible")


def _replace(number: int, line: bytes, subs: Sequence[Sub]) -> bytes:
    """All substitutions of a line, each looked for in the line as it was."""
    spans = []
    for sub in subs:
        old, new = _encoded(sub.old), _encoded(sub.new)
        start = line.find(old)
        if start < 0:
            raise _Refusal(
                f"line {number} does not hold {sub.old!r}: {line.strip().decode(errors='replace')!r}"
            )
        if old == new:
            raise _Refusal(f"the substitution in line {number} changes nothing")
        spans.append((start, start + len(old), new))
    spans.sort(reverse=True)
    for (start, _, _), (_, end, _) in pairwise(spans):
        if end > start:
            raise _Refusal(f"substitutions overlap in line {number}")
    for start, end, new in spans:
        line = line[:start] + new + line[end:]
    return line


def _encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate of a YAML escape becomes the broken bytes its author wanted."""
    return text.encode("utf-8", "surrogatepass")


def _check_syntax(case: Case, result: _Result, tree: Tree) -> None:
    """Refuses a Python file that parsed before the edit and no longer does, unless the case says so."""
    if case.unparseable or result.content is None or not result.path.endswith(".py"):
        return
    wrong = _syntax_error(result.content[1])
    now = tree.file(case.head, result.path) if wrong else None
    if wrong and (now is None or _syntax_error(now.data) is None):
        raise _Refusal(f"no longer parses: {wrong}")


def _syntax_error(data: bytes) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return str(error) or type(error).__name__
    return None
