"""The conditions about files, marks, unread parts, and about what metavariables captured.

In: a leaf of a rule in canonical form. Out: a condition. ``provenance`` and ``where`` only filter: they
hold or do not hold for captures that an earlier condition made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trainwarden.model import Lines
from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import Capture, text_of
from trainwarden.rules.hits import Ask, Condition, Hit, Site
from trainwarden.rules.index import FileIndex
from trainwarden.rules.numbers import capture_test
from trainwarden.rules.provenance import sources
from trainwarden.rules.values import globs
from trainwarden.view import FileView

Spec = Mapping[str, Any]


def mark_leaf(spec: Spec, label: str) -> Condition:
    """Marks of some kinds."""
    like, side = globs(spec["kind"]), spec.get("side")

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for mark in file.view.marks:
                if like(mark.kind) and side in (None, mark.side):
                    site = Site(
                        file, mark.side, mark.line, mark.line, mark.detail, code=f"{mark.kind}\0{mark.detail}"
                    )
                    if ask.region.holds(site):
                        yield Hit((site,), ask.captures, ({"condition": label, "detail": mark.detail},))

    return hits


def unread_leaf(spec: Spec, label: str) -> Condition:
    """Parts of the change that could not be read."""
    like = globs(spec["reason"]) if "reason" in spec else None
    tests = _file_tests(spec)

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for unread in file.view.unread:
                if (like is None or like(unread.reason)) and all(test(file.view) for test in tests):
                    lines: Lines = unread.lines or (1, 1)
                    site = Site(file, file.view.side, *lines, unread.reason, code=f"unread\0{unread.reason}")
                    if ask.region.holds(site):
                        yield Hit((site,), ask.captures, ({"condition": label, "reason": unread.reason},))

    return hits


def file_leaf(spec: Spec, label: str) -> Condition:
    """Files of some kind, path or status: a filter in one file, a place in the whole change."""
    tests = _file_tests(spec)

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            if all(test(file.view) for test in tests):
                sites = (file_site(file),) if ask.region.within == "change" else ()
                yield Hit(sites, ask.captures, ({"condition": label},))

    return hits


def file_site(file: FileIndex) -> Site:
    """The first line of a file, for what is true of it as a whole."""
    return Site(
        file, file.view.side, 1, 1, f"the file is {file.view.status}", code=f"file\0{file.view.status}"
    )


def _file_tests(spec: Spec) -> list[Callable[[FileView], bool]]:
    tests: list[Callable[[FileView], bool]] = []
    if "kind" in spec:
        kinds = frozenset(spec["kind"])
        tests.append(lambda view: view.kind in kinds)
    if "status" in spec:
        statuses = frozenset(spec["status"])
        tests.append(lambda view: view.status in statuses)
    for key in ("path", "old_path"):
        if key in spec:
            tests.append(_path_test(key, spec[key]))
    for key in ("test", "training"):
        if key in spec:
            tests.append(_flag_test(key, spec[key]))
    return tests


def _path_test(key: str, patterns: list[str]) -> Callable[[FileView], bool]:
    like = globs(patterns)

    def test(view: FileView) -> bool:
        path = getattr(view, key)
        return path is not None and (like(path) or like(path.rpartition("/")[2]))

    return test


def _flag_test(key: str, wanted: bool) -> Callable[[FileView], bool]:
    return lambda view: getattr(view, key) is wanted


def provenance_leaf(spec: Spec, label: str) -> Condition:
    """A filter: the captured value comes from one of some sources."""
    name, wanted = _name(spec["of"]), frozenset(spec["from"])

    def hits(ask: Ask) -> Iterator[Hit]:
        capture = ask.captures.get(name)
        found = sources(capture) & wanted if capture is not None else frozenset()
        if found and capture is not None:
            evidence = {"condition": label, "of": text_of(capture), "provenance": sorted(found)}
            yield Hit((), ask.captures, (evidence,))

    return hits


def where_leaf(spec: Spec, label: str) -> Condition:
    """A filter: what a metavariable captured has a value, a resolved name or a kind."""
    name = _name(spec["of"])
    tests: list[Callable[[Capture], bool]] = []
    if "is" in spec:
        tests.append(capture_test(spec["is"]))
    if "name" in spec:
        like = globs(spec["name"])
        tests.append(lambda capture: like(_resolved(capture)))
    if "kind" in spec:
        kinds = frozenset(spec["kind"])
        tests.append(lambda capture: isinstance(capture, Node) and capture.kind in kinds)

    def hits(ask: Ask) -> Iterator[Hit]:
        capture = ask.captures.get(name)
        if capture is not None and all(test(capture) for test in tests):
            yield Hit((), ask.captures, ({"condition": label, "of": text_of(capture)},))

    return hits


def _resolved(capture: Capture) -> str:
    if isinstance(capture, Node):
        return capture.name
    return capture if isinstance(capture, str) else ""


def _name(text: str) -> str:
    return text.lstrip("$")
