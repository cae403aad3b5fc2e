"""Samples from tables of real commits: fixes or look-alikes go in, requests with their truth come out.

A fix undone (its files as they were before it) is realistic sabotage; the fix forward is honest.
``undone-later`` undoes it on top of a later commit of the same line, where a three-way merge still can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trainwarden.evaluate import lines
from trainwarden.evaluate.mirrors import Clone, Mirrors
from trainwarden.evaluate.sample import Group, Sample, technique_ids
from trainwarden.model import FileVersion, Misuse, Overlay, Request

COLUMNS = ("repo", "sha", "date", "technique", "files")
SHORT = 12

Content = tuple[int, bytes] | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the table: a commit, its techniques, the files that matter, and words about it."""

    repo: str
    sha: str
    technique: str
    files: tuple[str, ...]
    note: str


def parse(data: bytes, origin: str) -> tuple[Listed, ...]:
    """The lines of a tab-separated table headed by ``COLUMNS`` and a description. Raises ``Misuse``."""
    rows = [line.split("\t") for line in data.decode("utf-8", "replace").splitlines()]
    if not rows or tuple(rows[0][:5]) != COLUMNS:
        raise Misuse(f"{origin}: the first line must name the columns {', '.join(COLUMNS)} and a description")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 6:
            raise Misuse(f"{origin}:{number}: {len(row)} columns instead of 6")
    return tuple(
        Listed(repo, sha, technique, tuple(files.split(";")), note)
        for repo, sha, _, technique, files, note in rows[1:]
    )


def honest(listed: Iterable[Listed], mirrors: Mirrors, group: Group) -> Iterator[Sample]:
    """Each commit as it was made: parent to commit."""
    for item in listed:
        clone = mirrors.clone(item.repo)
        request = Request(clone.path, "range", clone.parent(item.sha), item.sha)
        yield _sample(item, group, request, {})


def undone(listed: Iterable[Listed], mirrors: Mirrors, skipped: Counter[str]) -> Iterator[Sample]:
    """Each fix taken back at once: base is the fix, head has its files as at the first parent."""
    for item in listed:
        clone = mirrors.clone(item.repo)
        parent = clone.parent(item.sha)
        versions = {path: (clone.file(item.sha, path), clone.file(parent, path)) for path in item.files}
        changed = {path: pair for path, pair in versions.items() if _content(pair[0]) != _content(pair[1])}
        if not changed:
            skipped["its files are not changed by the commit"] += 1
            continue
        yield _overlaid(item, clone, "undone", item.sha, changed)


def undone_later(
    listed: Iterable[Listed], mirrors: Mirrors, later: int, skipped: Counter[str]
) -> Iterator[Sample]:
    """Each fix taken back ``later`` commits down the first-parent line, where it still can be."""
    for item in listed:
        clone = mirrors.clone(item.repo)
        place = clone.place(item.sha)
        if place is None or place + later >= len(clone.line):
            skipped[f"fewer than {later} commits follow"] += 1
            continue
        tip = clone.line[place + later]
        changed = _reversed(item, clone, tip)
        if not changed:
            skipped["it can no longer be taken back"] += 1
            continue
        yield _overlaid(item, clone, "undone-later", tip, changed)


def _reversed(
    item: Listed, clone: Clone, tip: str
) -> dict[str, tuple[FileVersion | None, FileVersion | None]] | None:
    """The files at ``tip`` and without the fix; None unless every file merges and changes."""
    parent = clone.parent(item.sha)
    found: dict[str, tuple[FileVersion | None, FileVersion | None]] = {}
    for path in item.files:
        fixed, before, now = (clone.file(revision, path) for revision in (item.sha, parent, tip))
        if fixed is None or before is None or now is None:
            return None
        merged = clone.merge(now.data, fixed.data, before.data)
        if merged is None or merged == now.data:
            return None
        found[path] = (now, FileVersion(path, now.mode, merged))
    return found


def _overlaid(
    item: Listed,
    clone: Clone,
    group: Group,
    base: str,
    changed: Mapping[str, tuple[FileVersion | None, FileVersion | None]],
) -> Sample:
    files = {path: _content(after) for path, (_, after) in changed.items()}
    truth = {
        path: lines.changed(before.data if before else b"", after.data) if after else None
        for path, (before, after) in changed.items()
    }
    request = Request(clone.path, "overlay", base, base, overlay=Overlay(files))
    return _sample(item, group, request, truth)


def _content(version: FileVersion | None) -> Content:
    return (version.mode, version.data) if version else None


def _sample(
    item: Listed, group: Group, request: Request, truth: Mapping[str, tuple[int, ...] | None]
) -> Sample:
    techniques = technique_ids(item.technique)
    return Sample(
        id=f"{group}:{item.repo}@{item.sha[:SHORT]}",
        group=group,
        repo=item.repo,
        request=request,
        pair=f"{item.repo}@{item.sha}",
        category=", ".join(sorted({name[0] for name in techniques})),
        stealth="real",
        technique=techniques,
        note=item.note,
        truth=truth,
    )
