"""Bytes of ``.trainwarden.yml`` and ``.trainwarden/waivers.yml`` in, frozen ``Config`` and ``Waiver`` out.

Both come from the policy revision or the operator, never from the head under review. Whatever is not
understood is an error with file, line and what to do: a misspelt key must not leave a safeguard off.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, cast, get_args

from trainwarden.model import SEVERITIES, Device, JudgeChoice, Level, Misuse, ScorerChoice, Stage
from trainwarden.yaml_safely import Document, load_document

Mode = Literal["observe", "advise", "enforce"]
ModelUse = Literal["required", "optional", "off"]
Parameter = str | int | float | bool

CONFIG_PATH = ".trainwarden.yml"
WAIVERS_PATH = ".trainwarden/waivers.yml"

_FULL_NAME = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FINGERPRINT = re.compile(r"[0-9A-Za-z:._/+=-]{8,200}\Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """What the operator changes about one rule; None and missing parameters keep what the rule says."""

    stage: Stage | None = None
    severity: Level | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """A rule pack in a git repository, pinned to a full commit name and the sha256 of its contents (hex)."""

    git: str
    revision: str
    digest: str


@dataclass(frozen=True, slots=True)
class Config:
    """How strictly to judge. Thresholds are risks, 0 to 1; paths are globs (see ``matches``).

    ``scorer`` and ``judge`` are heeded in the operator's own file only: they say which machines are sent code.
    """

    mode: Mode = "observe"
    review_threshold: float = 0.35
    block_threshold: float = 0.9
    model: ModelUse = "optional"
    training_paths: tuple[str, ...] = ()
    ignore_training_paths: tuple[str, ...] = ()
    rules: Mapping[str, RuleOverride] = field(default_factory=dict)
    packs: tuple[Pack, ...] = ()
    scorer: ScorerChoice | None = None
    judge: JudgeChoice | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """One finding that is accepted until a date. ``expired`` waivers silence nothing and are reported."""

    rule: str
    path: str
    fingerprint: str
    reason: str
    owner: str
    approver: str
    expires: datetime.date
    expired: bool


def load(data: bytes | None, origin: str) -> Config:
    """The config in ``data``; the defaults when there is no file or it is empty. Raises ``Misuse``."""
    reader = _Reader(load_document(data or b"", origin))
    if reader.document.value is None:
        return Config()
    top = reader.mapping((), {"mode", "thresholds", "model", "paths", "rules", "packs", "scorer", "judge"})
    defaults = Config()
    review, block = _thresholds(reader, top, defaults)
    training, ignored = _paths(reader, top)
    return Config(
        cast(Mode, reader.word(("mode",), get_args(Mode))) if "mode" in top else defaults.mode,
        review,
        block,
        cast(ModelUse, reader.word(("model",), get_args(ModelUse))) if "model" in top else defaults.model,
        training,
        ignored,
        _overrides(reader) if "rules" in top else {},
        _packs(reader) if "packs" in top else (),
        _scorer(reader) if "scorer" in top else None,
        _judge(reader) if "judge" in top else None,
    )


def load_waivers(data: bytes | None, origin: str, today: datetime.date | None = None) -> tuple[Waiver, ...]:
    """The waivers in ``data``, a YAML list; none when there is no file. ``today`` defaults to today in UTC.

    A waiver that expires today is still good. Raises ``Misuse``, also for one that is not about one finding.
    """
    reader = _Reader(load_document(data or b"", origin))
    if reader.document.value is None:
        return ()
    now = today or datetime.datetime.now(datetime.UTC).date()
    waivers = [_waiver(reader, index, now) for index in range(len(reader.sequence(())))]
    identities = [(waiver.rule, waiver.path, waiver.fingerprint) for waiver in waivers]
    for index, identity in enumerate(identities):
        if identity in identities[:index]:
            raise reader.error((index,), "this waiver is given twice", "Keep one of them.")
    return tuple(waivers)


def matches(glob: str, path: str) -> bool:
    """Whether ``path`` (slash-separated, from the top of the repository) is one that ``glob`` names.

    Case counts. ``*`` stands for any run of characters within one name, ``?`` for one of them, and ``**`` as
    a whole name for any number of directories, at the end for everything below: ``src/**`` is everything in
    ``src``, ``train.py`` only the one at the top, ``**/train.py`` one anywhere. Nothing else is special.
    Takes at most glob length x path length steps, since paths are chosen by the author under review.
    """
    names = glob.split("/")
    names += ["*"] if names[-1] == "**" else []
    return _wild(names, path.split("/"), "**", _name_matches)


def _glob_complaint(glob: str) -> str:
    names = glob.split("/")
    if not glob or "" in names or {".", ".."} & set(names):
        return "must be a path from the top of the repository, such as src/train/**"
    if any("**" in name and name != "**" for name in names):
        return "must have ** alone between slashes"
    if set(glob) & set("[]{}\\!"):
        return "may use *, ? and ** only"
    return ""


def _name_matches(pattern: str, name: str) -> bool:
    return _wild(pattern, name, "*", lambda one, other: one in ("?", other))


def _wild(pattern: Sequence[str], items: Sequence[str], many: str, equal: Callable[[str, str], bool]) -> bool:
    """Greedy wildcard matching: on a mismatch the last ``many`` takes one item more, never an earlier one."""
    at = item = 0
    star, taken = -1, 0
    while item < len(items):
        if at < len(pattern) and pattern[at] == many:
            star, taken, at = at, item, at + 1
        elif at < len(pattern) and equal(pattern[at], items[item]):
            at, item = at + 1, item + 1
        elif star >= 0:
            taken += 1
            at, item = star + 1, taken
        else:
            return False
    return all(rest == many for rest in pattern[at:])


_Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Typed access to a document; every complaint names the line."""

    document: Document

    def error(self, where: _Where, message: str, hint: str) -> Misuse:
        return self.document.error(message, hint, *where)

    def value(self, where: _Where) -> object:
        value = self.document.value
        for step in where:
            value = value[step]  # type: ignore[index]
        return value

    def mapping(self, where: _Where, allowed: Collection[str] | None = None) -> Mapping[str, object]:
        value = self.value(where)
        if not isinstance(value, dict):
            raise self.error(
                where,
                f"{_named(where)} must be a mapping of keys to values",
                "Write it as 'key: value' lines.",
            )
        for key in value:
            if allowed is not None and key not in allowed:
                raise self.error((*where, key), *_unknown_key(key, where, allowed))
        return cast(Mapping[str, object], value)

    def sequence(self, where: _Where) -> list[object]:
        value = self.value(where)
        if not isinstance(value, list):
            raise self.error(where, f"{_named(where)} must be a list", "Start each item with '- '.")
        return value

    def text(self, where: _Where) -> str:
        value = self.value(where)
        if not isinstance(value, str) or not value.strip():
            raise self.error(where, f"{_named(where)} must be text", "Put it in quotes.")
        return value

    def word(self, where: _Where, allowed: Collection[str]) -> str:
        value = self.value(where)
        if value not in allowed:
            raise self.error(where, f"{_named(where)} is {value!r}", f"Use one of {', '.join(allowed)}.")
        return cast(str, value)

    def share(self, where: _Where) -> float:
        value = self.value(where)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.error(where, f"{_named(where)} is {value!r}", "Give a number from 0 to 1.")
        return float(value)

    def absolute(self, where: _Where) -> str:
        path = self.text(where)
        if not PurePath(path).is_absolute():
            raise self.error(where, f"{_named(where)} is {path!r}", "Give an absolute path.")
        return path

    def number(self, where: _Where, least: float, most: float) -> float:
        value = self.value(where)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            hint = f"Give a number from {least:g} to {most:g}."
            raise self.error(where, f"{_named(where)} is {value!r}", hint)
        return float(value)

    def flag(self, where: _Where) -> bool:
        value = self.value(where)
        if not isinstance(value, bool):
            raise self.error(where, f"{_named(where)} is {value!r}", "Use true or false.")
        return value

    def required(self, where: _Where, keys: Collection[str]) -> None:
        present = self.mapping(where, keys)
        for key in keys:
            if key not in present:
                raise self.error(where, f"{_named(where)} lacks {key}", f"Give {', '.join(keys)}.")

    def matching(self, where: _Where, pattern: re.Pattern[str], hint: str) -> str:
        text = self.text(where)
        if not pattern.match(text):
            raise self.error(where, f"{_named(where)} is {text!r}", hint)
        return text


def _named(where: _Where) -> str:
    if not where:
        return "the file"
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def _unknown_key(key: str, where: _Where, allowed: Collection[str]) -> tuple[str, str]:
    likely = difflib.get_close_matches(key, sorted(allowed), n=1)
    meant = f"Did you mean {likely[0]}? " if likely else ""
    place = f" in {_named(where)}" if where else ""
    return f"unknown key {key!r}{place}", f"{meant}Allowed are {', '.join(sorted(allowed))}."


def _thresholds(reader: _Reader, top: Mapping[str, object], defaults: Config) -> tuple[float, float]:
    given = reader.mapping(("thresholds",), {"review", "block"}) if "thresholds" in top else {}
    review = reader.share(("thresholds", "review")) if "review" in given else defaults.review_threshold
    block = reader.share(("thresholds", "block")) if "block" in given else defaults.block_threshold
    if review > block:
        message = f"thresholds.review ({review}) is above thresholds.block ({block})"
        raise reader.error(("thresholds",), message, "Give review the lower number.")
    return review, block


def _paths(reader: _Reader, top: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    keys = ("training", "ignore_training_rules")
    given = reader.mapping(("paths",), keys) if "paths" in top else {}
    training, ignored = (_globs(reader, ("paths", key)) if key in given else () for key in keys)
    return training, ignored


def _globs(reader: _Reader, where: _Where) -> tuple[str, ...]:
    found = tuple(reader.text((*where, index)) for index in range(len(reader.sequence(where))))
    for index, glob in enumerate(found):
        if wrong := _glob_complaint(glob):
            raise reader.error((*where, index), f"the glob {glob!r} {wrong}", "Correct the glob.")
    return found


def _overrides(reader: _Reader) -> Mapping[str, RuleOverride]:
    return {rule: _override(reader, ("rules", rule)) for rule in reader.mapping(("rules",))}


def _override(reader: _Reader, where: _Where) -> RuleOverride:
    given = reader.mapping(where, {"stage", "severity", "parameters"})
    stage = reader.word((*where, "stage"), get_args(Stage)) if "stage" in given else None
    severity = reader.word((*where, "severity"), SEVERITIES) if "severity" in given else None
    parameters = reader.mapping((*where, "parameters")) if "parameters" in given else {}
    for name, value in parameters.items():
        if not isinstance(value, str | int | float | bool):
            hint = "Give one number, word, true or false."
            raise reader.error(
                (*where, "parameters", name), f"parameter {name} of {where[-1]} has no value", hint
            )
    return RuleOverride(
        cast("Stage | None", stage),
        cast("Level | None", severity),
        cast("Mapping[str, Parameter]", parameters),
    )


def _packs(reader: _Reader) -> tuple[Pack, ...]:
    return tuple(_pack(reader, ("packs", index)) for index in range(len(reader.sequence(("packs",)))))


def _pack(reader: _Reader, where: _Where) -> Pack:
    reader.required(where, ("git", "revision", "digest"))
    return Pack(
        reader.text((*where, "git")),
        reader.matching((*where, "revision"), _FULL_NAME, "Pin it to a full commit name in quotes."),
        reader.matching(
            (*where, "digest"), _DIGEST, "Give the sha256 of the pack as 64 hex digits in quotes."
        ),
    )


def _scorer(reader: _Reader) -> ScorerChoice:
    words, files = ("url", "model"), ("token_file", "ca_file", "folder")
    given = reader.mapping(("scorer",), {*words, *files, "seconds", "threads", "cleartext", "device"})
    said: dict[str, Any] = {key: reader.text(("scorer", key)) for key in words if key in given}
    said |= {key: reader.absolute(("scorer", key)) for key in files if key in given}
    if "seconds" in given:
        said["seconds"] = reader.number(("scorer", "seconds"), 0.01, 600)
    if "threads" in given:
        said["threads"] = int(reader.number(("scorer", "threads"), 0, 256))
    if "cleartext" in given:
        said["cleartext"] = reader.flag(("scorer", "cleartext"))
    if "device" in given:
        said["device"] = reader.word(("scorer", "device"), get_args(Device))
    return ScorerChoice(**said)


_JUDGE_NUMBERS: Mapping[str, tuple[float, float]] = {
    "seconds": (0.1, 600),
    "patience": (0.1, 3600),
    "answer_tokens": (50, 100_000),
    "tokens": (1, 1e12),
    "day_tokens": (1, 1e15),
    "money": (0, 1e9),
    "day_money": (0, 1e9),
    "price_in": (0, 1e6),
    "price_out": (0, 1e6),
}


def _judge(reader: _Reader) -> JudgeChoice:
    words, files = ("url", "model"), ("key_file", "ca_file", "folder")
    given = reader.mapping(("judge",), {*words, *files, *_JUDGE_NUMBERS, "above", "cleartext"})
    said: dict[str, Any] = {key: reader.text(("judge", key)) for key in words if key in given}
    said |= {key: reader.absolute(("judge", key)) for key in files if key in given}
    for key, (least, most) in _JUDGE_NUMBERS.items():
        if key in given:
            number = reader.number(("judge", key), least, most)
            said[key] = int(number) if key.endswith("tokens") else number
    if "above" in given:
        said["above"] = reader.share(("judge", "above"))
    if "cleartext" in given:
        said["cleartext"] = reader.flag(("judge", "cleartext"))
    return JudgeChoice(**said)


def _waiver(reader: _Reader, index: int, today: datetime.date) -> Waiver:
    where = (index,)
    reader.required(where, ("rule", "path", "fingerprint", "reason", "owner", "expires", "approver"))
    rule, path = (reader.text((index, key)) for key in ("rule", "path"))
    for key, text in (("rule", rule), ("path", path)):
        if _WILD.search(text):
            hint = "Waive one finding: name its rule, path and fingerprint as the report gives them."
            raise reader.error((index, key), f"a waiver for every {key} like {text!r} is not allowed", hint)
    fingerprint = reader.matching((index, "fingerprint"), _FINGERPRINT, "Copy it from the JSON report.")
    expires = _date(reader, (index, "expires"))
    reason, owner, approver = (reader.text((index, key)) for key in ("reason", "owner", "approver"))
    return Waiver(rule, path, fingerprint, reason, owner, approver, expires, expires < today)


def _date(reader: _Reader, where: _Where) -> datetime.date:
    text = reader.matching(where, _DATE, "Write it as 2026-12-31.")
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise reader.error(where, f"{text} is no day of the calendar", "Write it as 2026-12-31.") from None
