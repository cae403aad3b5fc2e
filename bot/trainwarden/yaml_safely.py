"""YAML bytes in, plain values with line numbers out; what is ambiguous or dangerous in YAML is an error.

Config, waivers, rule files and case files all come through here. The document is built from parser events,
never by a recursive composer: PyYAML's C composer overflows the stack on nested brackets, while its event
stream is a state machine, and a depth guard stops it early. Compared with ``yaml.safe_load``:

- anchors, aliases, tags, directives and several documents in one file are errors (no alias bombs), and ``<<``
  is a key like any other;
- a key given twice is an error, and keys are always text, as written;
- ``true`` and ``false`` are the only booleans, so ``on``, ``off``, ``yes`` and ``no`` stay text;
- ``1e-4`` is a number (PyYAML reads it as text), while ``010``, ``12:30:45``, ``0x10``, ``1_000``, dates,
  ``.nan`` and ``.inf`` stay text, so that nothing changes its value silently.

The scalar rules follow the core schema of YAML 1.2: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainwarden.model import Misuse

if TYPE_CHECKING:
    import yaml  # where it is needed it is imported: few reviews have any YAML to read, and it takes 20 ms

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000

YamlPath = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_NULLS = frozenset({"", "~", "null"})
_BOOLEANS = {"true": True, "false": False}
_LONGEST_NUMBER = 64


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded file: its value, and the 1-based line where each value starts, by path of keys and indices."""

    value: object
    origin: str
    lines: Mapping[YamlPath, int]

    def line(self, *path: str | int) -> int:
        """The line of the value at ``path``, or of the nearest value around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, message: str, hint: str = "", *path: str | int) -> Misuse:
        """A ``Misuse`` that names the file and the line of the value at ``path``."""
        return Misuse(f"{self.origin}:{self.line(*path)}: {message}", hint)


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence under construction; ``key`` is the mapping key that waits for its value."""

    value: dict[str, object] | list[object]
    path: YamlPath
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    origin: str
    as_text: bool = False
    stack: list[_Frame] = field(default_factory=list)
    lines: dict[YamlPath, int] = field(default_factory=dict)
    root: object = None

    def error(self, event: yaml.Event, message: str, hint: str = "") -> Misuse:
        return Misuse(f"{self.origin}:{_line(event)}: {message}", hint)

    def path_of_next(self) -> YamlPath:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            return (*frame.path, len(frame.value))
        return (*frame.path, frame.key or "")

    def place(self, event: yaml.Event, value: object) -> YamlPath:
        path = self.path_of_next()
        if len(self.lines) >= MAX_VALUES:
            raise self.error(event, f"more than {MAX_VALUES} values in one file", "Split the file.")
        self.lines[path] = _line(event)
        if not self.stack:
            self.root = value
        elif isinstance(self.stack[-1].value, list):
            self.stack[-1].value.append(value)
        else:
            frame = self.stack[-1]
            assert frame.key is not None and isinstance(frame.value, dict)
            frame.value[frame.key], frame.key = value, None
        return path

    def awaits_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def take_key(self, event: yaml.ScalarEvent) -> None:
        frame = self.stack[-1]
        assert isinstance(frame.value, dict)
        if event.value in frame.value:
            raise self.error(event, f"key {event.value!r} is given twice", "Keep one of them.")
        frame.key = event.value

    def scalar(self, event: yaml.ScalarEvent) -> None:
        if self.awaits_key():
            self.take_key(event)
        else:
            self.place(event, event.value if event.style or self.as_text else self.resolve(event))

    def open(self, event: yaml.Event, value: dict[str, object] | list[object]) -> None:
        if self.awaits_key():
            raise self.error(event, "a key must be text", "Quote it if it contains brackets.")
        if len(self.stack) >= MAX_DEPTH:
            raise self.error(event, f"nested more than {MAX_DEPTH} levels deep", "Flatten the file.")
        self.stack.append(_Frame(value, self.place(event, value)))

    def resolve(self, event: yaml.ScalarEvent) -> object:
        try:
            return resolve_scalar(event.value)
        except ValueError as error:
            raise self.error(event, str(error), "Quote it if text is meant.") from None


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """The value of a plain (unquoted) scalar. Raises ``ValueError`` for a number too long or too large."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    is_integer = _INTEGER.match(text) is not None
    if not is_integer and (_LEADING_ZERO.match(text) or not _FLOAT.match(text)):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    if is_integer:
        return int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text} is too large")
    return number


def load_document(data: bytes, origin: str, max_bytes: int = MAX_BYTES, *, as_text: bool = False) -> Document:
    """Loads one YAML document; an empty one has the value None. ``origin`` names the file in messages.

    ``as_text`` leaves every scalar as written, for files that quote source code (``old: 1e-8``, ``new: 5``).

    Raises ``Misuse`` with file, line and what to do for anything this module's rules forbid.
    """
    if not data:
        return Document(None, origin, {})
    import yaml

    builder = _Builder(origin, as_text)
    text = _decode(data, origin, max_bytes)
    for event in _events(text, origin):
        _refuse_unsafe(builder, event)
        match event:
            case yaml.ScalarEvent():
                builder.scalar(event)
            case yaml.MappingStartEvent():
                builder.open(event, {})
            case yaml.SequenceStartEvent():
                builder.open(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                builder.stack.pop()
    return Document(builder.root, origin, builder.lines)


def load_yaml(data: bytes, origin: str, max_bytes: int = MAX_BYTES, *, as_text: bool = False) -> object:
    """Like ``load_document``, for callers that need no line numbers."""
    return load_document(data, origin, max_bytes, as_text=as_text).value


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


def _decode(data: bytes, origin: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise Misuse(f"{origin}: {len(data)} bytes, more than the {max_bytes} allowed", "Split the file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Misuse(f"{origin}:{line}: not UTF-8 text", "Save the file as UTF-8.") from None


def _events(text: str, origin: str) -> Iterator[yaml.Event]:
    import yaml

    try:
        yield from yaml.parse(text, Loader=_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise Misuse(f"{origin}:{line}: not valid YAML: {problem}", "Correct the syntax.") from None


def _loader() -> type:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_unsafe(builder: _Builder, event: yaml.Event) -> None:
    import yaml

    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise builder.error(
            event, "anchors (&) and aliases (*) are not allowed", "Write the value out, or quote it."
        )
    if getattr(event, "tag", None):
        raise builder.error(event, "tags (!) are not allowed", "Remove the tag, or quote the text.")
    if isinstance(event, yaml.DocumentStartEvent):
        if event.version or event.tags:
            raise builder.error(event, "directives (%) are not allowed", "Remove the line.")
        if builder.lines:
            raise builder.error(
                event, "a second document in one file", "Remove the '---' line or split the file."
            )
