"""A ``ChangeView`` written as text: the engine's tests need neither files nor alignment.

In: lines such as these; ``#`` starts a comment. Out: a view.

    file train.py training=no test=yes status=added old=a.py
    before main opt optimizer.lr = 3e-4 @12 loop=1 guards=rank,step
    after main opt optimizer.lr = 3e-2 @12
    removed main @12 base=11 loop=1 roles=grad: torch.nn.utils.clip_grad_norm_(p, 1.0)
    added main @13 guards=+clock: os._exit(1)
    changed main @14: x = f(1) => x = f(2)
    delta number inside=f slot=0 roles=loss: 1 => 2
    moved main @20 base=3 from=other.py:setup: loader.sampler.set_epoch(epoch)
    mark bidi @3 a control character
    unread 4-9 does not parse

A fact is ``side scope subject name = value``, the subject ``-`` when there is none. A guard kind with a
``+`` came with the change. A ``delta`` belongs to the edit before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from trainwarden.facts.shifts import match
from trainwarden.model import Fact, Lines, Unread
from trainwarden.parse import names, treesitter
from trainwarden.parse.nodes import Node
from trainwarden.rules.values import number
from trainwarden.view import ChangeView, Context, Delta, Edit, FileView, Guard, Mark

_FACT = re.compile(
    r"(?P<side>before|after) (?P<scope>\S+) (?P<subject>\S+) (?P<name>\S+) = "
    r"(?P<value>.*?) @(?P<line>\d+)(?P<rest>.*)"
)
_EDIT = re.compile(
    r"(?P<kind>added|removed|changed|moved-changed|moved) (?P<member>\S+) @(?P<rest>[^:]*(?::\S[^:]*)?): "
)
_DELTA = re.compile(r"delta (?P<kind>\S+)(?P<rest>[^:]*): ")
_ARROW = " => "


@dataclass(slots=True)
class _File:
    path: str
    options: Mapping[str, str]
    edits: list[Edit] = field(default_factory=list)
    before: list[Fact] = field(default_factory=list)
    after: list[Fact] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def view(self) -> FileView:
        options = self.options
        status = options.get("status", "modified")
        return FileView(
            self.path,
            options.get("old", self.path if status != "added" else None),
            cast(Any, options.get("kind", "python")),
            cast(Any, status),
            "base" if status == "deleted" else "head",
            options.get("training", "yes") == "yes",
            options.get("test", "no") == "yes",
            1000,
            tuple(self.edits),
            tuple(self.before),
            tuple(self.after),
            match(self.before, self.after),
            tuple(self.unread),
            tuple(self.marks),
        )


def read_view(text: str) -> ChangeView:
    """The view that some lines describe. Raises ``ValueError`` naming the line that says nothing known."""
    files = [_File("train.py", {})]
    for raw in text.splitlines():
        line = raw.split("  #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("file "):
            _, path, *options = line.split()
            files.append(_File(path, _options(options)))
        elif not _read_line(files[-1], line):
            raise ValueError(f"cannot read {raw.strip()!r}")
    views = [file.view() for file in files[0 if _says_something(files[0]) else 1 :]]
    return ChangeView(tuple(views), _counts(views, "before"), _counts(views, "after"))


def _says_something(file: _File) -> bool:
    return bool(file.edits or file.before or file.after or file.unread or file.marks)


def _counts(views: Iterable[FileView], side: str) -> Counter[str]:
    return Counter(fact.name for view in views for fact in getattr(view, side))


def _options(words: Iterable[str]) -> dict[str, str]:
    return dict(cast(tuple[str, str], tuple(word.split("=", 1))) for word in words if "=" in word)


def _lines(text: str) -> Lines:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _read_line(file: _File, line: str) -> bool:
    word = line.split()[0]
    if word in ("before", "after"):
        return _read_fact(file, line)
    if word == "delta":
        return _read_delta(file, line)
    if word == "mark":
        _, kind, place, *detail = line.split(" ", 3)
        file.marks.append(Mark(kind, int(place.lstrip("@")), "head", " ".join(detail)))
        return True
    if word == "unread":
        _, place, reason = line.split(" ", 2)
        file.unread.append(Unread(file.path, None if place == "all" else _lines(place), reason))
        return True
    return _read_edit(file, line)


# -- facts


def _read_fact(file: _File, line: str) -> bool:
    found = _FACT.fullmatch(line)
    if found is None:
        return False
    options = _options(found["rest"].split())
    facts = file.before if found["side"] == "before" else file.after
    subject = "" if found["subject"] == "-" else found["subject"]
    place, value = int(found["line"]), found["value"].strip()
    guards = tuple(filter(None, options.get("guards", "").split(",")))
    facts.append(
        Fact(
            found["name"], found["scope"], subject, value, file.path, place, place, number(value), len(facts),
            int(options.get("loop", "0")), guards,
        )
    )  # fmt: skip
    return True


# -- edits


def _read_edit(file: _File, line: str) -> bool:
    found = _EDIT.match(line)
    if found is None:
        return False
    place, *words = found["rest"].split()
    options = _options(words)
    lines = _lines(place)
    base = _lines(options["base"]) if "base" in options else None
    before, after = _sides(found["kind"], line[found.end() :])
    guards = tuple(_guard(file, kind, lines[0]) for kind in options.get("guards", "").split(",") if kind)
    roles = frozenset(filter(None, options.get("roles", "").split(",")))
    where = Context(found["member"], int(options.get("loop", "0")), guards, roles)
    old = replace(
        where, guards=tuple(g for g in guards if g.node is None), loop=int(options.get("was", where.loop))
    )
    origin = options.get("from")
    file.edits.append(
        Edit(
            cast(Any, found["kind"]), before, after, *lines, base or (lines if before is not None else None),
            old if before is not None else None, where if after is not None else None, (),
            options.get("new_member") == "yes", cast(Any, tuple(origin.split(":"))) if origin else None,
        )
    )  # fmt: skip
    return True


def _sides(kind: str, code: str) -> tuple[Node | None, Node | None]:
    if kind == "added":
        return None, statement(code)
    if kind == "removed":
        return statement(code), None
    before, _, after = code.partition(_ARROW)
    return statement(before), statement(after or before)


def _guard(file: _File, kind: str, line: int) -> Guard:
    """A guard; one with a ``+`` has a condition that is an added edit of its own."""
    if not kind.startswith("+"):
        return Guard(frozenset({kind}), None)
    condition = statement(f"if {kind[1:]}: ...")
    condition.line = condition.end_line = condition.children[0].line = max(1, line - 1)
    where = Context("", 0, (), frozenset())
    file.edits.append(Edit("added", None, condition, max(1, line - 1), max(1, line - 1), None, None, where))
    return Guard(frozenset({kind[1:]}), condition.children[0])


def statement(code: str, imports: Mapping[str, str] | None = None) -> Node:
    """One statement, lowered and resolved. Raises ``ValueError`` for code that does not parse."""
    syntax = treesitter.parse(code.strip().replace("\\n", "\n"))
    module = treesitter.lower(syntax)
    if syntax.has_error or len(module.children) != 1:
        raise ValueError(f"not one statement: {code!r}")
    names.resolve(module, dict(imports or {}), lexical=True)
    return module.children[0]


def _read_delta(file: _File, line: str) -> bool:
    found = _DELTA.match(line)
    if found is None or not file.edits:
        return False
    options = _options(found["rest"].split())
    before, _, after = line[found.end() :].partition(_ARROW)
    edit = file.edits[-1]
    delta = Delta(
        cast(Any, found["kind"]),
        _expression(before),
        _expression(after),
        options.get("inside", ""),
        options.get("slot", ""),
        frozenset(filter(None, options.get("roles", "").split(","))),
        edit.start,
    )
    file.edits[-1] = replace(edit, deltas=(*edit.deltas, delta))
    return True


def _expression(code: str) -> Node | None:
    return None if code.strip() in ("", "-") else statement(code).children[0]
