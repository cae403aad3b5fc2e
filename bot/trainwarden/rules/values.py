"""Small tests a rule puts to text and numbers: comparisons, globs, wanted values.

In: what a rule file says (``">=10"``, ``"*.lr"``, ``[0, "/none/"]``). Out: functions from a value to a yes
or no, compiled once. Text that is compared comes from the change, so it is cut to ``LONGEST`` characters
first.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

LONGEST = 400
MOST_KNOWN = 512
"""Answers that a test of names keeps."""
Scalar = str | int | float | bool | None
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(>=|<=|!=|==|>|<)?\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*\Z")


def number(text: str) -> float | None:
    """The number a piece of code or config text is, or None (``nan`` is none)."""
    try:
        found = float(text.replace("_", ""))
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found


def comparison(text: str | float) -> Callable[[float], bool]:
    """``">=10"``, ``"<0.5"``, ``"3"`` or ``3`` as a test of a number. Raises ``ValueError``."""
    match = _COMPARISON.match(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a comparison such as '>=10' or '0'")
    compare, wanted = _OPERATORS[match.group(1) or "=="], float(match.group(2))
    return lambda found: compare(found, wanted)


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> Callable[[str], bool]:
    if _is_expression(pattern):
        inner = pattern[1:-1]
        return lambda text: _expression(inner).search(text[:LONGEST]) is not None
    if not any(mark in pattern for mark in "*?["):
        wanted = pattern.lower()
        return lambda text: text.lower() == wanted
    core = pattern.strip("*")
    if any(mark in core for mark in "*?[") or not core.isascii():
        return lambda text: _translated(pattern).match(text[:LONGEST]) is not None
    return _open(pattern, core.lower())


def _is_expression(pattern: str) -> bool:
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


@lru_cache(maxsize=4096)
def _expression(text: str) -> re.Pattern[str]:
    """Compiled when a name is first asked about: a review needs a tenth of those in the rules."""
    return re.compile(text, re.IGNORECASE)


def check_glob(pattern: str) -> None:
    """Raises ``ValueError`` where a ``/regular expression/`` is none."""
    try:
        if _is_expression(pattern):
            _expression(pattern[1:-1])
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None


@lru_cache(maxsize=4096)
def _translated(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern), re.IGNORECASE)


def _open(pattern: str, core: str) -> Callable[[str], bool]:
    """A glob with stars at its ends only. Most are, and need no regular expression but for letters beyond ASCII."""
    start, end = pattern.startswith("*"), pattern.endswith("*")

    def test(text: str) -> bool:
        if not text.isascii():
            return _translated(pattern).match(text[:LONGEST]) is not None
        text = text[:LONGEST].lower()
        if start:
            return core in text if end else text.endswith(core)
        return text.startswith(core)

    return test


def globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text is like one of some globs (``train*``) or ``/regular expressions/``, in any case.

    What is asked later raises ``re.error`` for a bad expression; ``check_glob`` says so at once.
    """
    tests = [_glob(pattern) for pattern in patterns]
    known: dict[str, bool] = {}

    def like(text: str) -> bool:
        """Names are asked about again and again, by edits of one member and facts of one kind."""
        found = known.get(text)
        if found is None:
            found = any(test(text) for test in tests)
            if len(text) <= LONGEST:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                known[text] = found
        return found

    return like


def member_globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Like ``globs``, for qualified names: ``train_step`` is also like ``Trainer.train_step``."""
    like = globs(patterns)
    return lambda name: like(name) or like(name.rpartition(".")[2])


def wanted(values: Iterable[Scalar]) -> Callable[[str, float | None], bool]:
    """A test of (text, number): one of some values, or like a glob, comparison or regular expression."""
    tests = [_wanted(value) for value in values]
    return lambda text, found: any(test(text, found) for test in tests)


def _wanted(value: Scalar) -> Callable[[str, float | None], bool]:
    if value is None or isinstance(value, bool):
        constant = str(value)
        return lambda text, found: text == constant
    if isinstance(value, (int, float)):
        amount = float(value)
        return lambda text, found: found is not None and found == amount
    if value[:1] in "<>=!" and _COMPARISON.match(value):
        compare = comparison(value)
        return lambda text, found: found is not None and compare(found)
    like, exact = _glob(value), number(value)
    return lambda text, found: like(text) or (exact is not None and found == exact)


def ratio(before: float, after: float) -> float:
    """How many times larger ``after`` is than ``before`` in size; infinite when one of them is nought."""
    if before == after:
        return 1.0
    return math.inf if before == 0 else abs(after / before)


def ratio_either_way(before: float, after: float) -> float:
    """The ratio of the larger to the smaller in size: 10 for 1 -> 10 and for 10 -> 1."""
    times = ratio(before, after)
    return math.inf if times == 0 else max(times, 1 / times)
