"""Reads case files: YAML bytes go in, ``Case`` values come out. Strict: unknown and repeated keys are errors.

Scalars are read as text, so that ``old: 0.1`` stays what it is, and every error names its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainwarden.model import Misuse
from trainwarden.yaml_safely import Document, YamlPath, load_document

STEALTH = ("blatant", "moderate", "subtle", "real", "evasion")

_LARGEST = 16 * 1024 * 1024  # bytes of one case file
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Insert:
    """Lines put before line ``before``; one past the last line appends."""

    path: str
    before: int
    text: str


@dataclass(frozen=True, slots=True)
class Sub:
    """The first occurrence of ``old`` in a line becomes ``new``."""

    path: str
    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Lines ``line`` to ``to``, both included, go away."""

    path: str
    line: int
    to: int


@dataclass(frozen=True, slots=True)
class Create:
    """A whole text file."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Undo:
    """The file as it was before the commit."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    """The file moves to ``to``; line edits of the old path may stand beside it."""

    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Bytes:
    """A whole file given in hex."""

    path: str
    data: bytes


Edit = Insert | Sub | Delete | Create | Undo | Rename | Bytes


@dataclass(frozen=True, slots=True)
class Case:
    """A change made by hand on a real commit. ``base`` None means the first parent of ``head``."""

    id: str
    repo: str
    head: str
    base: str | None
    category: str
    technique: str
    stealth: str
    effect: str
    edits: tuple[Edit, ...]
    honest: tuple[Edit, ...]
    unparseable: bool
    origin: str

    @property
    def alone(self) -> bool:
        """Whether the change under review is the sabotage alone, without an honest commit around it."""
        return self.base == self.head


def parse(data: bytes, origin: str) -> tuple[Case, ...]:
    """The cases of one file; ``origin`` names it in errors. Raises ``Misuse`` with file and line."""
    document = load_document(data, origin, _LARGEST, as_text=True)
    if not isinstance(document.value, list) or not document.value:
        raise Misuse(f"{origin}: no list of cases", "A case file is a YAML list of cases.")
    return tuple(_case(_Entry(document, (number,), value)) for number, value in enumerate(document.value))


class _Entry:
    """A mapping of the file that hands out each key once and complains about what is left."""

    def __init__(self, document: Document, path: YamlPath, value: object) -> None:
        if not isinstance(value, dict):
            raise document.error("a mapping is expected here", "", *path)
        self.document = document
        self.path = path
        self.values: dict[str, object] = dict(value)

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.document.origin}:{self.document.line(*self.path)}"

    def fail(self, key: str, why: str, hint: str = "") -> Misuse:
        """The error to raise about a key."""
        return self.document.error(f"{key}: {why}", hint, *self.path, key)

    def text(self, key: str) -> str:
        """A required string."""
        if key not in self.values:
            raise self.document.error(f"key {key!r} is missing", "", *self.path)
        value = self.values.pop(key)
        if not isinstance(value, str):
            raise self.fail(key, "a plain value is expected here")
        return value

    def word(self, key: str) -> str:
        """A required string that is not empty."""
        text = self.text(key)
        if not text.strip():
            raise self.fail(key, "must not be empty")
        return text

    def some(self, key: str) -> str:
        """A required string of at least one character, be it white space."""
        text = self.text(key)
        if not text:
            raise self.fail(key, "must not be empty")
        return text

    def number(self, key: str) -> int:
        """A required line number, 1 or more."""
        text = self.text(key)
        if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
            raise self.fail(key, f"{text!r} is not a line number")
        return int(text)

    def sha(self, key: str) -> str:
        """A required full object name."""
        text = self.text(key)
        if not _SHA.fullmatch(text):
            raise self.fail(key, f"{text!r} is not a full object name (40 or 64 hex digits)")
        return text

    def flag(self, key: str) -> bool:
        """An optional truth value, false when absent."""
        if key not in self.values:
            return False
        text = self.text(key)
        if text not in _WORDS:
            raise self.fail(key, f"{text!r} is neither true nor false")
        return _WORDS[text]

    def edits(self, key: str) -> tuple[Edit, ...]:
        """A list of edits, empty when the key is absent."""
        if key not in self.values:
            return ()
        values = self.values.pop(key)
        if not isinstance(values, list):
            raise self.fail(key, "a list is expected here")
        entries = (_Entry(self.document, (*self.path, key, at), value) for at, value in enumerate(values))
        return tuple(map(_edit, entries))

    def done(self, what: str, allowed: str) -> None:
        """Raises ``Misuse`` when a key was not asked for."""
        for key in self.values:
            raise self.fail(key, f"{what} has no such key", f"Allowed keys: {allowed}.")


def _case(entry: _Entry) -> Case:
    head = entry.sha("head")
    case = Case(
        id=entry.word("id"),
        repo=_repository(entry),
        head=head,
        base=entry.sha("base") if "base" in entry.values else None,
        category=entry.word("category"),
        technique=entry.word("technique"),
        stealth=_stealth(entry),
        effect=entry.word("effect"),
        edits=entry.edits("edits"),
        honest=entry.edits("honest"),
        unparseable=entry.flag("unparseable"),
        origin=entry.where,
    )
    entry.done(
        "a case", "id, repo, head, base, category, technique, stealth, effect, edits, honest, unparseable"
    )
    if not case.edits:
        raise entry.fail("edits", "at least one edit is needed")
    return case


def _repository(entry: _Entry) -> str:
    repo = entry.word("repo")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or ".." in repo:
        raise entry.fail("repo", f"{repo!r} is not owner/name")
    return repo


def _stealth(entry: _Entry) -> str:
    stealth = entry.word("stealth")
    if stealth not in STEALTH:
        raise entry.fail("stealth", f"{stealth!r} is not one of {', '.join(STEALTH)}")
    return stealth


def _delete(entry: _Entry, path: str) -> Delete:
    line = entry.number("line")
    to = entry.number("to") if "to" in entry.values else line
    if to < line:
        raise entry.fail("to", f"{to} lies before line {line}")
    return Delete(path, line, to)


def _bytes(entry: _Entry, path: str) -> Bytes:
    text = entry.text("hex")
    try:
        return Bytes(path, bytes.fromhex(text))
    except ValueError:
        raise entry.fail("hex", "not hexadecimal digits in pairs") from None


_OPS: Mapping[str, tuple[Callable[[_Entry, str], Edit], str]] = {
    "insert": (lambda e, path: Insert(path, e.number("before"), e.some("text")), "before, text"),
    "sub": (lambda e, path: Sub(path, e.number("line"), e.some("old"), e.text("new")), "line, old, new"),
    "delete": (_delete, "line, to"),
    "create": (lambda e, path: Create(path, e.text("text")), "text"),
    "undo": (lambda _, path: Undo(path), "none"),
    "rename": (lambda e, path: Rename(path, e.word("to")), "to"),
    "bytes": (_bytes, "hex"),
}


def _edit(entry: _Entry) -> Edit:
    path, op = entry.word("path"), entry.word("op")
    if op not in _OPS:
        raise entry.fail("op", f"{op!r} is not one of {', '.join(_OPS)}")
    build, keys = _OPS[op]
    edit = build(entry, path)
    entry.done(f"op {op}", f"path, op, and: {keys}")
    return edit
