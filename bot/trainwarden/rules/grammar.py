"""The language of rule files as data: every key, what may stand there, and what it means.

One table serves three readers: ``schema`` checks rule files with it, ``json_schema`` prints it for editors,
and ``rules/README.md`` is held to it by a test. A ``Field`` checks one value and returns it in canonical
form (a list where several are allowed), or raises ``ValueError`` with words for the author.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from trainwarden.model import CONFIDENCES, SEVERITIES, FileKind, Role, Stage
from trainwarden.parse.nodes import STATEMENTS
from trainwarden.rules.values import check_glob, comparison
from trainwarden.view import TRIGGERS, DeltaKind, EditKind, FileStatus, GuardKind

WITHIN = ("edit", "member", "loop", "file", "change")
SOURCES = (
    "clock", "host", "user", "rank", "world", "step", "environment", "random", "file", "network", "config",
    "constant", "parameter",
)  # fmt: skip
STATEMENT_KINDS = tuple(sorted(STATEMENTS | {"params", "decorator", "handler", "case"}))

Check = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """What may stand behind a key: how it is checked, its JSON Schema and one sentence about it."""

    check: Check
    schema: Mapping[str, object]
    words: str
    required: bool = False


def _expect(value: object, kind: type | tuple[type, ...], words: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"expected {words}, not {value!r}")
    return value


def text(words: str, required: bool = False) -> Field:
    """Any non-empty text."""

    def check(value: object) -> str:
        found = str(_expect(value, str, "text")).strip()
        if not found:
            raise ValueError("expected text, not nothing")
        return found

    return Field(check, {"type": "string", "minLength": 1}, words, required)


def flag(words: str) -> Field:
    """``true`` or ``false``."""
    return Field(lambda value: _expect(value, bool, "true or false"), {"type": "boolean"}, words)


def choice(allowed: Iterable[str], words: str, required: bool = False) -> Field:
    """One of some words."""
    options = tuple(allowed)
    return Field(lambda value: _one_of(value, options), {"enum": list(options)}, words, required)


def _one_of(value: object, options: tuple[str, ...]) -> str:
    if value not in options:
        raise ValueError(f"{value!r} is not one of {', '.join(options)}{did_you_mean(value, options)}")
    return str(value)


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when an allowed word is close, else nothing."""
    close = difflib.get_close_matches(str(word), list(options), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def many(field: Field, words: str = "") -> Field:
    """One value or a list of them; always a list in canonical form."""

    def check(value: object) -> list[Any]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise ValueError("expected at least one value")
        return [field.check(one) for one in values]

    schema = {"anyOf": [field.schema, {"type": "array", "items": field.schema, "minItems": 1}]}
    return Field(check, schema, words or field.words, field.required)


def choices(allowed: Iterable[str], words: str, required: bool = False) -> Field:
    """One or several of some words."""
    return many(choice(allowed, words, required))


def texts(words: str, required: bool = False) -> Field:
    """One text or several."""
    return many(text(words, required))


def like(words: str, required: bool = False) -> Field:
    """Globs (``train*``) or regular expressions between slashes."""

    def check(value: object) -> str:
        found = str(_expect(value, str, "a glob or /regular expression/"))
        check_glob(found)
        return found

    return many(Field(check, {"type": "string", "minLength": 1}, words, required))


def compared(words: str) -> Field:
    """A comparison with a number, possibly with parameters in it: ``">={ratio}"``."""

    def check(value: object) -> str:
        found = str(_expect(value, (str, int, float), "a comparison such as '>=10'"))
        comparison(_WITHOUT_PARAMETERS.sub("1", found))
        return found

    return Field(check, {"type": ["string", "number"]}, words)


def values(words: str) -> Field:
    """Wanted values: numbers, constants, comparisons, globs; patterns where they hold ``$`` or ``(``."""

    def check(value: object) -> object:
        if isinstance(value, bool) or value is None:
            return value
        found = _expect(value, (str, int, float), "a number, text, true, false or null")
        if isinstance(found, str):
            check_glob(found)
        return found

    schema = {"type": ["string", "number", "boolean", "null"]}
    return many(Field(check, schema, words))


def snippets(words: str) -> Field:
    """Code patterns, one or several; each is compiled when the rules are checked."""
    return many(Field(lambda value: str(_expect(value, str, "a code pattern")), {"type": "string"}, words))


def guard_kinds(words: str, required: bool = False) -> Field:
    """Guard kinds; ``trigger`` stands for all kinds that make a trigger."""
    allowed = (*get_args(GuardKind), "trigger")
    inner = choices(allowed, words, required)

    def check(value: object) -> list[str]:
        found = inner.check(value)
        return sorted(set().union(*(TRIGGERS if kind == "trigger" else {kind} for kind in found)))

    return Field(check, inner.schema, words, required)


_WITHOUT_PARAMETERS = re.compile(r"\{[A-Za-z_]\w*\}")

CONTEXT: dict[str, Field] = {
    "in_member": like("The function or method it stands in; `step` is also like `Trainer.step`."),
    "loop": compared('How many loops surround it: `0`, `">=1"`.'),
    "guards": guard_kinds(
        "It runs under a condition of one of these kinds (`trigger`: any kind of trigger)."
    ),
    "no_guards": guard_kinds("It runs under no condition of these kinds."),
    "new_guards": guard_kinds("It runs under a condition of these kinds that it did not have before."),
    "lost_guards": guard_kinds("It ran under a condition of these kinds and no longer does."),
    "roles": texts("What the code is about, any of: loss, grad, optimizer, label, checkpoint ..."),
    "not_roles": texts("None of these roles."),
    "new_member": flag("Whether the whole function is new (or gone)."),
    "loop_change": choice(("in", "out"), "It moved into a deeper loop, or out of one."),
    "condition_gains": choices(
        SOURCES, "The test of this `if` or `while` draws on one of these and did not before."
    ),
    "statement": choices(
        STATEMENT_KINDS, "The kind of statement, such as `assert`, `raise`, `return`, `if`."
    ),
}
EDIT: dict[str, Field] = {
    "kind": choices(get_args(EditKind), "Which kinds of edit; any when left out."),
    "pattern": snippets("The statement contains this code (the head's side; the base's for removals)."),
    "not_pattern": snippets("The statement contains none of these."),
    "before": snippets("The statement contained this code in the base."),
    "after": snippets("The statement contains this code in the head."),
    "loses": snippets("The statement contained this code in the base and does not in the head."),
    "gains": snippets("The statement contains this code in the head and did not in the base."),
    "gone_elsewhere": flag("What was removed does not come back anywhere in the change."),
    "from_member": like("The function it was moved from."),
    **CONTEXT,
}
DELTA: dict[str, Field] = {
    "kind": choices(get_args(DeltaKind), "Which kinds of difference; any when left out."),
    "before": snippets("The old expression contains this code."),
    "after": snippets("The new expression contains this code."),
    "from": values("The old expression is exactly this: a value, a name or a pattern."),
    "to": values("The new expression is exactly this."),
    "inside": like("The resolved name of the call or attribute it is an argument of."),
    "slot": like("Which argument: the keyword, or the position from 0."),
    "ratio": compared("How many times larger one number is than the other, whichever is larger."),
    "direction": choice(("up", "down"), "Whether the number grew or shrank."),
    "sign_change": flag("The number changed its sign."),
    "near_one": flag("The number that came (or the ratio) lies within 0.9 and 1.1 without being 1."),
    "renamed": flag("The last part of the name is another one; `math.cos` and `numpy.cos` share it."),
    **CONTEXT,
}
SHIFT: dict[str, Field] = {
    "fact": like("The name of the fact: `optimizer.lr`, `clip.*`.", required=True),
    "from": values("Its value in the base; `absent` and `present` are understood."),
    "to": values("Its value in the head; `absent` and `present` are understood."),
    "ratio": compared('The number of the head divided by that of the base, in size: `">=10"`, `"<=0.1"`.'),
    "either_ratio": compared("The larger number divided by the smaller."),
    "direction": choice(("up", "down"), "Whether the number grew or shrank."),
    "sign_change": flag("The number changed its sign."),
    "value_change": flag("The value itself differs (and not only loop or guards)."),
    "subject": like("Of what: the optimizer's or variable's name."),
    "in_member": CONTEXT["in_member"],
    "loop": CONTEXT["loop"],
    "loop_change": CONTEXT["loop_change"],
    "guards": CONTEXT["guards"],
    "no_guards": CONTEXT["no_guards"],
    "guards_added": guard_kinds("Conditions of these kinds came to dominate it."),
    "guards_lost": guard_kinds("Conditions of these kinds no longer dominate it."),
    "unless_elsewhere": flag("Not when a fact of that name appears elsewhere in the change instead."),
}
FACT: dict[str, Field] = {
    "name": like("The name of the fact.", required=True),
    "side": choice(("head", "base"), "Which side says it; the head when left out."),
    "value": values("Its value."),
    "subject": SHIFT["subject"],
    "guards": CONTEXT["guards"],
    "no_guards": CONTEXT["no_guards"],
    "loop": CONTEXT["loop"],
    "in_member": CONTEXT["in_member"],
    "new": flag("The other side does not say it."),
}
ORDER: dict[str, Field] = {
    "was": texts("Events in the order they had in the base: `[clip, step]`. Left out: any order."),
    "now": texts("Events in the order they have in the head: `[step, clip]`."),
    "within": choice(
        ("loop", "member"), "Count only events inside a loop, or all of the function (default)."
    ),
    "in_member": CONTEXT["in_member"],
}
LOST: dict[str, Field] = {
    "fact": like("There are fewer facts of this name after the change than before."),
    "pattern": snippets("There is less code like this after the change than before."),
    "in_member": CONTEXT["in_member"],
    "new_member": CONTEXT["new_member"],
}
MARK: dict[str, Field] = {
    "kind": like(
        "The kind of mark: bidi, invisible, homoglyph, far-right, suppression, parse-error ...", True
    ),
    "side": choice(("head", "base"), "Which side shows it."),
}
FILE: dict[str, Field] = {
    "kind": choices(get_args(FileKind), "The kind of file."),
    "path": like("The path of the file from the root of the repository."),
    "old_path": like("The path it had in the base."),
    "status": choices(get_args(FileStatus), "What happened to the file."),
    "test": flag("Whether it is a test."),
    "training": flag("Whether it is training code."),
}
UNREAD: dict[str, Field] = {
    "reason": like("Why it could not be read."),
    "path": FILE["path"],
    "training": FILE["training"],
}
PROVENANCE: dict[str, Field] = {
    "of": text("The metavariable: `$X`.", required=True),
    "from": choices(SOURCES, "Where its value comes from, any of these.", required=True),
}
WHERE: dict[str, Field] = {
    "of": text("The metavariable: `$X`.", required=True),
    "is": values("Its code is this value or like this glob, comparison or /regular expression/."),
    "name": like("Its resolved name is like this: `torch.optim.*`."),
    "kind": texts("Its kind of node: number, string, call, name, attribute, constant ..."),
}
LEAVES: dict[str, tuple[dict[str, Field], str]] = {
    "edit": (EDIT, "A statement was added, removed, changed or moved."),
    "delta": (DELTA, "The smallest difference inside a changed statement."),
    "shift": (SHIFT, "A fact differs between base and head."),
    "fact": (FACT, "A fact that one side states."),
    "order": (ORDER, "The order of training events (facts `event.*`) of a function changed."),
    "lost": (LOST, "Something is there less often after the whole change than before."),
    "mark": (MARK, "Something about the text itself: bidirectional controls, look-alike letters."),
    "file": (FILE, "What kind of file it is and what happened to it."),
    "unread": (UNREAD, "A part of the change that could not be read."),
    "provenance": (PROVENANCE, "Where the value of a captured metavariable comes from."),
    "where": (WHERE, "A test of what a metavariable captured."),
}
GUARD: dict[str, Field] = {
    "kinds": guard_kinds(
        "The kinds of condition; `trigger` stands for all that make a trigger.", required=True
    ),
    "new": flag("Whether the condition came with the change (default), or may be an old one."),
}
COMBINATIONS = {
    "all": "All of the conditions hold, in the same file unless `within` says otherwise.",
    "any": "At least one of the conditions holds; each one that does is a place.",
    "not": "The condition does not hold.",
    "count": "`of` a list: so many of its conditions hold; `of` one condition: in so many places.",
    "guard": "A condition of these `kinds` dominates what `over` finds.",
}
RULE: dict[str, Field] = {
    "id": text("The name of the bad pattern; equal to the file name.", True),
    "title": text("One line for the report.", True),
    "technique": texts("Techniques of the taxonomy: `B07`.", True),
    "role": choice(get_args(Role), "What it shows: harm, when it strikes, or how it hides.", True),
    "severity": choice(SEVERITIES, "How bad it is when it is true.", True),
    "confidence": choice(CONFIDENCES, "How often it is true when it fires.", True),
    "stage": choice(get_args(Stage), "`trial`: shown, never counted.", True),
    "why": text("Two or three sentences for the reviewer.", True),
    "message": text("The finding in words; `{X}` is what `$X` captured. The title when left out."),
    "requires": choice(("training", "any"), "Quiet outside training code (default), or everywhere."),
    "tests": flag("Whether it also speaks in test files (default: no)."),
    "scope": choice(("edit", "file", "change"), "One finding for each edit (default), file or change."),
}
OTHER_RULE_KEYS = ("parameters", "when", "unless", "cases", "measured")
CASE_KEYS = ("before", "after", "line", "path", "files", "note", "test")
