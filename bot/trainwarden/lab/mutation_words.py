"""One statement's words in, the words after a small edit out; None where the edit does not apply.

``HARMFUL`` edits change what code does, ``HONEST`` ones do not. ``Names`` are those of the member around it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trainwarden.lab.tokens import (
    CLOSING,
    OPENING,
    arguments,
    code_places,
    is_name,
    is_number,
    operand_end,
)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a member by what they are: called or not, after a dot or not."""

    by_role: dict[tuple[bool, bool], tuple[str, ...]]

    def other(self, words: Words, place: int, rng: random.Random) -> str | None:
        """A name of the same role for the one at a place; None where there is no other."""
        choices = [name for name in self.by_role.get(_role(words, place), ()) if name != words[place]]
        return rng.choice(choices) if choices else None


def names_of(statements: Iterable[Words]) -> Names:
    """The names in some statements."""
    found: dict[tuple[bool, bool], dict[str, None]] = {}
    for words in statements:
        for place, word in enumerate(words):
            if is_name(word) and not _is_keyword_of_call(words, place):
                found.setdefault(_role(words, place), {})[word] = None
    return Names({role: tuple(names) for role, names in found.items()})


def _role(words: Words, place: int) -> tuple[bool, bool]:
    called = place + 1 < len(words) and words[place + 1] == "("
    return called, place > 0 and words[place - 1] == "."


def _is_keyword_of_call(words: Words, place: int) -> bool:
    return 0 < place < len(words) - 1 and words[place + 1] == "=" and words[place - 1] in ("(", ",")


# -- within a statement


def _places(words: Words, wanted: Callable[[int], bool], rng: random.Random) -> int | None:
    """One of the places that are code, not text between quotes."""
    found = [place for place in code_places(words) if wanted(place)]
    return rng.choice(found) if found else None


def _put(words: Words, start: int, end: int, *new: str) -> Words:
    return (*words[:start], *new, *words[end:])


def _other_name(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: is_name(words[i]) and not _is_keyword_of_call(words, i), rng)
    other = names.other(words, place, rng) if place is not None else None
    return _put(words, place, place + 1, other) if place is not None and other is not None else None


_SIGNS = {
    "+": "-*",
    "-": "+*",
    "*": "/+",
    "/": "*-",
    "//": "/",
    "**": "*",
    "<": (">", "<="),
    ">": ("<", ">="),
    "<=": (">=", "<"),
    ">=": ("<=", ">"),
    "==": ("!=", ">="),
    "!=": ("==",),
    "%": ("//",),
    "and": ("or",),
    "or": ("and",),
    "+=": ("=", "-="),
    "-=": ("+=",),
    "*=": ("=", "/="),
    "/=": ("*=", "="),
    "@": ("*",),
    "&": ("|",),
    "|": ("&",),
    "True": ("False",),
    "False": ("True",),
    "min": ("max",),
    "max": ("min",),
    "sum": ("mean",),
    "mean": ("sum",),
    "break": ("continue",),
    "continue": ("break",),
    "is": ("is not",),
    "in": ("not in",),
    "None": ("0", "False"),
    "ones": ("zeros",),
    "zeros": ("ones",),
    "train": ("eval",),
    "eval": ("train",),
    "log": ("exp",),
    "exp": ("log",),
    "argmax": ("argmin",),
    "ceil": ("floor",),
    "floor": ("ceil",),
}


def _other_sign(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: words[i] in _SIGNS and not (words[i] == "in" and words[0] == "for"), rng)
    if place is None:
        return None
    return _put(words, place, place + 1, *rng.choice(tuple(_SIGNS[words[place]])).split(" "))


def _other_number(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: is_number(words[i]), rng)
    if place is None:
        return None
    return _put(words, place, place + 1, *_number(words[place], rng))


def _number(word: str, rng: random.Random) -> Words:
    try:
        value = int(word)
    except ValueError:
        return (word, rng.choice("*/"), rng.choice(("2", "10", "100")))
    choices = {str(value + 1), str(value * 2), str(value * 10), str(value // 2), "0", "1", f"{value}.5"}
    if value:
        choices |= {str(value - 1)}
    chosen = rng.choice(sorted(choices - {word}))
    return ("-", word) if value and rng.random() < 0.15 else (chosen,)


def _argument_dropped(words: Words, names: Names, rng: random.Random) -> Words | None:
    call = _call(words, rng, 1)
    if call is None:
        return None
    found = arguments(words, call)
    if len(found) == 1 and words[call] == "[":
        return None
    start, end = rng.choice(found)
    if len(found) > 1:
        start, end = (start, end + 1) if start == found[0][0] else (start - 1, end)
    return _put(words, start, end)


def _arguments_swapped(words: Words, names: Names, rng: random.Random) -> Words | None:
    call = _call(words, rng, 2)
    if call is None:
        return None
    found = arguments(words, call)
    (a, b), (c, d) = sorted(rng.sample(found, 2))
    if "=" in words[a:b] or "=" in words[c:d]:
        return None
    return (*words[:a], *words[c:d], *words[b:c], *words[a:b], *words[d:])


def _call(words: Words, rng: random.Random, least: int) -> int | None:
    """The place of an opening bracket with at least so many parts."""
    return _places(words, lambda i: words[i] in OPENING and len(arguments(words, i)) >= least, rng)


_BINARY = frozenset("+ - * / // ** @ and or & |".split())


def _operand_dropped(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: words[i] in _BINARY and i > 0 and _ends_operand(words[i - 1]), rng)
    if place is None:
        return None
    end = operand_end(words, place + 1)
    return _put(words, place, end) if end > place + 1 else None


def _ends_operand(word: str) -> bool:
    return word in CLOSING or is_number(word) or is_name(word)


def _call_unwrapped(words: Words, names: Names, rng: random.Random) -> Words | None:
    """``f(x)`` to ``x``, ``x.f(y)`` to ``x``."""
    place = _places(words, lambda i: i > 0 and words[i] == "(" and is_name(words[i - 1]) and i > 1, rng)
    if place is None:
        return None
    found = arguments(words, place)
    closing = (found[-1][1] if found else place + 1) + 1
    if words[place - 2] == ".":
        return _put(words, place - 2, closing)
    if len(found) != 1 or words[0] == "def":
        return None
    return (*words[: place - 1], *words[place + 1 : closing - 1], *words[closing:])


_METHODS = (
    "detach",
    "mean",
    "sum",
    "clone",
    "abs",
    "float",
    "half",
    "flatten",
    "squeeze",
    "item",
    "cpu",
    "copy",
)


def _call_appended(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: i > 0 and _is_value(words, i), rng)
    if place is None or words[0] in ("def", "import", "from", "for", "with") or "=" not in words[:place]:
        return None
    methods = [*_METHODS, *names.by_role.get((True, True), ())]
    return _put(words, place + 1, place + 1, ".", rng.choice(methods), "(", ")")


def _is_value(words: Words, place: int) -> bool:
    plain = is_name(words[place]) and _role(words, place) == (False, False)
    return plain and not _is_keyword_of_call(words, place)


def _negated(words: Words, names: Names, rng: random.Random) -> Words | None:
    if "not" in words:
        place = words.index("not")
        return _put(words, place, place + 1)
    if words[0] in ("if", "while", "elif", "assert") and len(words) > 1:
        return _put(words, 1, 1, "not")
    return None


def _guard_added(words: Words, names: Names, rng: random.Random) -> Words | None:
    """A condition grows by another of the member's names."""
    known = names.by_role.get((False, False), ())
    if words[0] not in ("if", "while", "elif") or not known or words[-1] != ":":
        return None
    return (*words[:-1], rng.choice(("and", "or")), *rng.choice(((), ("not",))), rng.choice(known), ":")


# -- edits that keep what code means

_COMMUTING = frozenset("+ * == != and or".split())
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _operands_exchanged(words: Words, names: Names, rng: random.Random) -> Words | None:
    place = _places(words, lambda i: words[i] in _COMMUTING or words[i] in _MIRRORED, rng)
    if place is None or place == 0 or not (is_name(words[place - 1]) or is_number(words[place - 1])):
        return None
    lone = place == 1 or words[place - 2] in ("(", "=", ",", "if", "return", "while", "[")
    end = operand_end(words, place + 1)
    if not lone or (end < len(words) and words[end] not in (")", ",", "]", ":", "if", "else")):
        return None
    sign = _MIRRORED.get(words[place], words[place])
    return (*words[: place - 1], *words[place + 1 : end], sign, words[place - 1], *words[end:])


def _augmented(words: Words, names: Names, rng: random.Random) -> Words | None:
    """``x = x + y`` and ``x += y``."""
    if len(words) > 4 and words[1] == "=" and words[2] == words[0] and words[3] in ("+", "-", "*", "/"):
        whole = operand_end(words, 4) == len(words)
        return (words[0], f"{words[3]}=", *words[4:]) if whole else None
    if len(words) > 2 and words[1] in ("+=", "-=", "*=", "/=") and operand_end(words, 2) == len(words):
        return (words[0], "=", words[0], words[1][0], *words[2:])
    return None


def _keyword_named(words: Words, names: Names, rng: random.Random) -> Words | None:
    """Two keyword arguments change places."""
    call = _call(words, rng, 2)
    found = (
        [span for span in arguments(words, call) if "=" in words[slice(*span)]] if call is not None else []
    )
    if len(found) < 2:
        return None
    (a, b), (c, d) = sorted(rng.sample(found, 2))
    return (*words[:a], *words[c:d], *words[b:c], *words[a:b], *words[d:])


Edit = Callable[[Words, Names, random.Random], Words | None]
HARMFUL: dict[str, Edit] = {
    "other-name": _other_name,
    "other-sign": _other_sign,
    "other-number": _other_number,
    "argument-dropped": _argument_dropped,
    "arguments-swapped": _arguments_swapped,
    "operand-dropped": _operand_dropped,
    "call-unwrapped": _call_unwrapped,
    "call-appended": _call_appended,
    "negated": _negated,
    "guard-added": _guard_added,
}
HONEST: dict[str, Edit] = {
    "operands-exchanged": _operands_exchanged,
    "augmented": _augmented,
    "keywords-exchanged": _keyword_named,
}
