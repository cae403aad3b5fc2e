"""Compiles the ``when`` and ``unless`` of a rule: from plain data to closures, and to what they need.

In: conditions in canonical form (checked by ``schema``). Out: a ``Condition``, and the features of which a
file must have at least one for the condition to hold in it (None: any file), so that most rules are never
asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from trainwarden.rules.combine import all_of, any_of, count_conditions, count_places, guarded, none_of
from trainwarden.rules.hits import Condition
from trainwarden.rules.leaves_code import delta_leaf, edit_leaf, lost_pattern_leaf
from trainwarden.rules.leaves_facts import fact_leaf, lost_fact_leaf, order_leaf, shift_leaf
from trainwarden.rules.leaves_other import file_leaf, mark_leaf, provenance_leaf, unread_leaf, where_leaf
from trainwarden.rules.numbers import is_snippet
from trainwarden.rules.patterns import Pattern, pattern
from trainwarden.view import DeltaKind

Spec = Mapping[str, Any]
Needs = frozenset[str] | None
ANY_FILE = "any"
"""Stands for needs of None where they are stored."""
SNIPPET_KEYS = ("pattern", "not_pattern", "before", "after", "loses", "gains")
_FILTERS = ("where", "provenance", "not", "file")
_PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\}")


def compile_condition(spec: Spec) -> Condition:
    """The closure of one condition."""
    kind = kind_of(spec)
    if kind == "all":
        parts = sorted(spec["all"], key=lambda part: _rank(part))
        return all_of([compile_condition(part) for part in parts], spec.get("within"), spec.get("near"))
    if kind == "any":
        return any_of([compile_condition(part) for part in spec["any"]], spec.get("within"))
    if kind == "not":
        return none_of(compile_condition(spec["not"]), spec.get("within"))
    if kind == "count":
        return _count(spec["count"], spec.get("within"))
    if kind == "guard":
        guard = spec["guard"]
        return guarded(frozenset(guard["kinds"]), compile_condition(guard["over"]), guard.get("new", True))
    return _LEAVES[kind](spec[kind], label(spec))


def kind_of(spec: Spec) -> str:
    """The word a condition starts with."""
    return next(key for key in spec if key not in ("within", "near"))


def snippets_of(spec: Spec) -> Iterator[str]:
    """The texts of the patterns of one condition; not of those it holds."""
    kind = kind_of(spec)
    if kind in _LEAVES:
        yield from (text for _, _, text in placed_snippets(kind, spec[kind]))


def placed_snippets(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """The patterns among the fields of a condition, each with its field and its place there."""
    for key in SNIPPET_KEYS:
        yield from ((key, place, text) for place, text in enumerate(fields.get(key, ())))
    for key in ("from", "to") if kind == "delta" else ():
        values = enumerate(fields.get(key, ()))
        yield from ((key, place, str(value)) for place, value in values if is_snippet(value))


def _rank(spec: Spec) -> int:
    """Conditions that make captures come before those that only filter; ``file`` is cheap and comes first."""
    kind = kind_of(spec)
    if kind == "file":
        return 0
    return 1 + (_FILTERS.index(kind) + 1 if kind in _FILTERS else 0)


def _count(spec: Spec, within: str | None) -> Condition:
    of = spec["of"]
    if isinstance(of, list):
        return count_conditions([compile_condition(part) for part in of], spec["at_least"], within)
    return count_places(compile_condition(of), spec["at_least"], within)


def _lost(spec: Spec, words: str) -> Condition:
    return lost_fact_leaf(spec, words) if "fact" in spec else lost_pattern_leaf(spec, words)


_LEAVES: dict[str, Callable[[Spec, str], Condition]] = {
    "edit": edit_leaf,
    "delta": delta_leaf,
    "shift": shift_leaf,
    "fact": fact_leaf,
    "order": order_leaf,
    "lost": _lost,
    "mark": mark_leaf,
    "file": file_leaf,
    "unread": unread_leaf,
    "provenance": provenance_leaf,
    "where": where_leaf,
}


def label(spec: Spec) -> str:
    """A condition in one line, for the evidence: ``edit kind=removed pattern=torch.manual_seed(...)``."""
    kind = kind_of(spec)
    words = [kind]
    for key, value in spec[kind].items():
        shown = "|".join(map(str, value)) if isinstance(value, list) else str(value)
        words.append(f"{key}={shown}")
    text = " ".join(words)
    return text if len(text) <= 160 else text[:159] + "…"


# -- parameters


def with_parameters(spec: Any, parameters: Mapping[str, object], key: str = "") -> Any:
    """The conditions with ``{name}`` replaced by that parameter, everywhere but in code patterns."""
    if isinstance(spec, dict):
        return {inner: with_parameters(value, parameters, inner) for inner, value in spec.items()}
    if isinstance(spec, list):
        return [with_parameters(value, parameters, key) for value in spec]
    if isinstance(spec, str) and key not in SNIPPET_KEYS and "{" in spec:
        return _PARAMETER.sub(lambda m: str(parameters.get(m.group(1), m.group())), spec)
    return spec


# -- what a condition needs


def needs(spec: Spec) -> Needs:
    """Features of which a file must have one for the condition to hold there; None when any file may do.

    A part that looks beyond its file (``within: change``) says nothing about the file itself.
    """
    kind = kind_of(spec)
    if kind == "all":
        return _best([needs(part) for part in spec["all"] if part.get("within") != "change"])
    if kind == "any":
        return _union([None if part.get("within") == "change" else needs(part) for part in spec["any"]])
    if kind == "count":
        of = spec["count"]["of"]
        return _union([needs(part) for part in of]) if isinstance(of, list) else needs(of)
    if kind == "guard":
        return needs(spec["guard"]["over"])
    finder = _NEEDS.get(kind)
    return finder(spec[kind]) if finder else None


def _best(options: Sequence[Needs]) -> Needs:
    """The most telling of several necessary sets: words before kinds, few before many."""
    known = [option for option in options if option is not None]
    return min(known, default=None, key=lambda option: (min(map(_dullness, option), default=0), len(option)))


def _dullness(feature: str) -> int:
    return "wfFmMude".index(feature[0]) if feature[0] in "wfFmMude" else 9


def _union(options: Sequence[Needs]) -> Needs:
    found: frozenset[str] = frozenset()
    for option in options:
        if option is None:
            return None
        found |= option
    return found


def _of_patterns(spec: Spec, *keys: str) -> Needs:
    for key in keys:
        words = [_word(pattern(text)) for text in spec.get(key, ())]
        if words and all(words):
            return frozenset(f"w:{word}" for word in words)
    return None


def _word(one: Pattern) -> str:
    """The word of a pattern that is least common, guessed by its length."""
    return max(one.words, default="", key=lambda word: (len(word), word))


def _edit_needs(spec: Spec) -> Needs:
    by_code = _of_patterns(spec, "loses", "gains", "pattern", "before", "after")
    if by_code is not None:
        return by_code
    kinds = spec.get("kind", ("added", "removed", "changed", "moved", "moved-changed"))
    return frozenset(f"e:{kind}" for kind in kinds)


def _delta_needs(spec: Spec) -> Needs:
    return frozenset(f"d:{kind}" for kind in spec.get("kind", get_args(DeltaKind)))


def _fact_needs(patterns: Sequence[str]) -> Needs:
    """``f:`` with the name, or with its beginning and a star where the rest is open."""
    found = set()
    for text in patterns:
        start = re.split(r"[*?\[]", text)[0]
        if text.startswith("/") or not start:
            return frozenset({"F:"})
        found.add(f"f:{text.lower()}" if start == text else f"f:{start.lower()}*")
    return frozenset(found)


def _lost_needs(spec: Spec) -> Needs:
    if "fact" in spec:
        return _fact_needs(spec["fact"])
    return _of_patterns(spec, "pattern") or frozenset({"e:removed", "e:changed", "e:moved-changed"})


_NEEDS: dict[str, Callable[[Spec], Needs]] = {
    "edit": _edit_needs,
    "delta": _delta_needs,
    "shift": lambda spec: _fact_needs(spec["fact"]),
    "fact": lambda spec: _fact_needs(spec["name"]),
    "order": lambda spec: frozenset({"f:event.*"}),
    "lost": _lost_needs,
    "mark": lambda spec: frozenset({"M:"}),
    "unread": lambda spec: frozenset({"u:"}),
}
