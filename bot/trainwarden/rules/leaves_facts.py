"""The conditions about facts: ``shift``, ``fact``, ``order`` and ``lost`` for facts.

In: a leaf of a rule in canonical form (``grammar.SHIFT`` ...). Out: a condition over the facts and shifts
of the files in its region. A fact that is gone is placed on the first surviving head line after the gap it
left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainwarden.facts.show import whole
from trainwarden.model import Fact, Shift
from trainwarden.rules import telling
from trainwarden.rules.fingerprint import fact_key
from trainwarden.rules.hits import Ask, Condition, Hit, Site
from trainwarden.rules.index import FileIndex
from trainwarden.rules.spelling import clean, spell
from trainwarden.rules.values import Scalar, comparison, globs, member_globs, ratio, ratio_either_way, wanted

Spec = Mapping[str, Any]
FactTest = Callable[[Fact], bool]
ShiftTest = Callable[[Shift], bool]


# -- places


def fact_site(file: FileIndex, fact: Fact, side: str, other: Fact | None = None) -> Site:
    """Where a fact is shown. ``other``: the same fact on the base side, if it has one there."""
    edit = file.edit_of(fact, side)
    members = frozenset({fact.scope}) | (edit.members if edit is not None else frozenset())
    base = (other.line, other.end_line) if other is not None else None
    lines = (fact.line, fact.end_line)
    if side == "base":
        base = lines
        if file.view.side == "head":
            lines = _after_gap(file, fact, edit.edit.start if edit is not None else None)
    code = fact_key(other if side == "head" else fact, fact if side == "head" else None)
    words = telling.what(fact.name)
    caption = f"{words}: {fact.value}" if fact.value else words
    return Site(file, file.view.side, *lines, caption, members, fact.loop, edit, base, fact, code)


def _after_gap(file: FileIndex, fact: Fact, start: int | None) -> tuple[int, int]:
    """The head line where something that only the base has would stand: by its edit, or the nearest."""
    if start is not None:
        return start, start
    placed = [e.edit for e in file.edits if e.edit.base_lines is not None]
    nearest = min(placed, default=None, key=lambda e: abs((e.base_lines or (0, 0))[0] - fact.line))
    line = fact.line
    if nearest is not None and nearest.base_lines is not None:
        line = nearest.start + fact.line - nearest.base_lines[0]
    line = max(1, min(line, max(1, file.view.head_lines)))
    return line, line


# -- shift


def shift_leaf(spec: Spec, label: str) -> Condition:
    """Facts that differ between the sides, by name, values, numbers, loop and conditions."""
    named = globs(spec["fact"])
    tests = _shift_tests(spec)
    net = spec.get("unless_elsewhere", False)

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for shift in file.view.shifts:
                if not named(shift.fact.name) or not all(test(shift) for test in tests):
                    continue
                if net and _elsewhere(ask, shift):
                    continue
                side = "head" if shift.after is not None else "base"
                site = fact_site(file, shift.fact, side, shift.before if side == "head" else None)
                if ask.region.holds(site):
                    yield Hit(
                        (site,), ask.captures, (_shift_evidence(label, shift, _condition(file, shift)),)
                    )

    return hits


def _condition(file: FileIndex, shift: Shift) -> str:
    """The conditions that a fact has come under, as the facts of the file tell them; "" where they do not."""
    if shift.before is None or shift.after is None:
        return ""
    old, now = _conditions(file.view.before, shift.before), _conditions(file.view.after, shift.after)
    return clean(_AND.join([one for one in now if one not in old] or now))


_AND = " and "


def _conditions(facts: Sequence[Fact], fact: Fact) -> list[str]:
    told = (one for one in facts if one.name == "when" and one.line == fact.line)
    mine = (one.value for one in told if (one.scope, one.subject) == (fact.scope, fact.name))
    found = whole(next(mine, ""))
    return found.split(_AND) if found else []


def _elsewhere(ask: Ask, shift: Shift) -> bool:
    balance = ask.change.fact_balance(shift.fact.name)
    if shift.after is None:
        return balance >= 0
    return shift.before is None and balance <= 0


def _shift_tests(spec: Spec) -> list[ShiftTest]:
    return [make(spec[key]) for key, make in _SHIFT_TESTS.items() if key in spec]


def _side_test(values: Sequence[Scalar], of: Callable[[Shift], Fact | None]) -> ShiftTest:
    plain = wanted([value for value in values if value not in ("absent", "present")])
    absent, present = "absent" in values, "present" in values

    def test(shift: Shift) -> bool:
        fact = of(shift)
        if fact is None:
            return absent
        return present or plain(fact.value, fact.number)

    return test


def _numbers(shift: Shift) -> tuple[float, float] | None:
    if shift.before is None or shift.after is None:
        return None
    before, after = shift.before.number, shift.after.number
    return None if before is None or after is None or before == after else (before, after)


def _number_test(judge: Callable[[float, float], bool]) -> ShiftTest:
    return lambda shift: (pair := _numbers(shift)) is not None and judge(*pair)


def _ratio(wanted_ratio: str) -> ShiftTest:
    compare = comparison(wanted_ratio)
    return _number_test(lambda before, after: compare(ratio(before, after)))


def _either_ratio(wanted_ratio: str) -> ShiftTest:
    compare = comparison(wanted_ratio)
    return _number_test(lambda before, after: compare(ratio_either_way(before, after)))


def _direction(way: str) -> ShiftTest:
    return _number_test(lambda before, after: (after > before) is (way == "up"))


def _sign_change(yes: bool) -> ShiftTest:
    return _number_test(lambda before, after: (before * after < 0) is yes)


def _value_change(yes: bool) -> ShiftTest:
    def test(shift: Shift) -> bool:
        if shift.before is None or shift.after is None:
            return yes
        same = (shift.before.value, shift.before.number) == (shift.after.value, shift.after.number)
        return same is not yes

    return test


def _loop_change(way: str) -> ShiftTest:
    def test(shift: Shift) -> bool:
        if shift.before is None or shift.after is None:
            return False
        return shift.after.loop > shift.before.loop if way == "in" else shift.after.loop < shift.before.loop

    return test


def _guard_change(gained: bool) -> Callable[[Sequence[str]], ShiftTest]:
    def make(kinds: Sequence[str]) -> ShiftTest:
        asked = frozenset(kinds)

        def test(shift: Shift) -> bool:
            if shift.before is None or shift.after is None:
                return False
            before, after = frozenset(shift.before.guards), frozenset(shift.after.guards)
            return bool((after - before if gained else before - after) & asked)

        return test

    return make


def _of_fact(make: Callable[[Any], FactTest]) -> Callable[[Any], ShiftTest]:
    def wrapped(value: Any) -> ShiftTest:
        test = make(value)
        return lambda shift: test(shift.fact)

    return wrapped


def _subject(patterns: Sequence[str]) -> FactTest:
    like = globs(patterns)
    return lambda fact: like(fact.subject)


def _in_member(patterns: Sequence[str]) -> FactTest:
    like = member_globs(patterns)
    return lambda fact: like(fact.scope)


def _loop(text: str) -> FactTest:
    compare = comparison(text)
    return lambda fact: compare(fact.loop)


def _guards(kinds: Sequence[str]) -> FactTest:
    asked = frozenset(kinds)
    return lambda fact: not asked.isdisjoint(fact.guards)


def _no_guards(kinds: Sequence[str]) -> FactTest:
    asked = frozenset(kinds)
    return lambda fact: asked.isdisjoint(fact.guards)


def _value(values: Sequence[Scalar]) -> FactTest:
    plain = wanted(values)
    return lambda fact: plain(fact.value, fact.number)


_FACT_TESTS: dict[str, Callable[[Any], FactTest]] = {
    "subject": _subject,
    "in_member": _in_member,
    "loop": _loop,
    "guards": _guards,
    "no_guards": _no_guards,
}
_SHIFT_TESTS: dict[str, Callable[[Any], ShiftTest]] = {
    "from": lambda values: _side_test(values, lambda shift: shift.before),
    "to": lambda values: _side_test(values, lambda shift: shift.after),
    "ratio": _ratio,
    "either_ratio": _either_ratio,
    "direction": _direction,
    "sign_change": _sign_change,
    "value_change": _value_change,
    "loop_change": _loop_change,
    "guards_added": _guard_change(True),
    "guards_lost": _guard_change(False),
    **{key: _of_fact(make) for key, make in _FACT_TESTS.items()},
}


def _shift_evidence(label: str, shift: Shift, condition: str = "") -> dict[str, object]:
    found: dict[str, object] = {"condition": label, "fact": shift.fact.name, "subject": shift.fact.subject}
    found["before"], found["after"] = _sides(shift)
    found["change"] = telling.of_shift(shift, condition)
    pair = _numbers(shift)
    if pair is not None:
        times = ratio(*pair)
        found["ratio"] = round(times, 6) if times != float("inf") else "infinite"
    guards = list(shift.fact.guards)
    if shift.before is not None and shift.after is not None:
        guards = sorted(set(shift.after.guards) - set(shift.before.guards)) or guards
    if guards:
        found["guards"] = guards
    return found


def _sides(shift: Shift) -> tuple[str, str]:
    if shift.before is None or shift.after is None:
        before, after = (one.value if one is not None else "absent" for one in (shift.before, shift.after))
        return before, after
    return telling.values_apart(shift.before.value, shift.after.value)


# -- fact


def fact_leaf(spec: Spec, label: str) -> Condition:
    """Facts that one side states."""
    named = globs(spec["name"])
    side = spec.get("side", "head")
    tests = [make(spec[key]) for key, make in _FACT_TESTS.items() if key in spec]
    if "value" in spec:
        tests.append(_value(spec["value"]))
    new = spec.get("new")

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for fact in file.view.after if side == "head" else file.view.before:
                if named(fact.name) and all(test(fact) for test in tests):
                    site = fact_site(file, fact, side)
                    if ask.region.holds(site) and (new is None or _is_new(file, fact, side) is new):
                        evidence = {"condition": label, "fact": fact.name, "value": fact.value}
                        yield Hit((site,), ask.captures, (evidence,))

    return hits


def _is_new(file: FileIndex, fact: Fact, side: str) -> bool:
    """Whether the fact is one half of a shift: the other side does not say it, or says it differently."""
    return any((shift.after if side == "head" else shift.before) is fact for shift in file.view.shifts)


# -- order


def order_leaf(spec: Spec, label: str) -> Condition:
    """Functions in which training events came in one order before and come in another now."""
    was, now = list(spec.get("was", ())), list(spec.get("now", ()))
    in_loop = spec.get("within") == "loop"
    like = member_globs(spec["in_member"]) if "in_member" in spec else None

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            before, after = _events(file.view.before, in_loop), _events(file.view.after, in_loop)
            for scope, events in after.items():
                if scope not in before or (like is not None and not like(scope)):
                    continue
                if _follows(before[scope], was) is None or (was and _follows(events, was) is not None):
                    continue
                found = _follows(events, now)
                if found is None or (now and _follows(before[scope], now) is not None):
                    continue
                yield from _order_hits(ask, file, found or events[:1], label)

    return hits


def _order_hits(ask: Ask, file: FileIndex, found: Sequence[Fact], label: str) -> Iterator[Hit]:
    sites = [fact_site(file, fact, "head") for fact in found]
    sites.sort(key=lambda site: site.edit is None)  # the statement that was touched comes first
    if sites and ask.region.holds(sites[0]):
        names = [fact.name.removeprefix("event.") for fact in found]
        change = "the order of the step is now: " + ", then ".join(telling.what(fact.name) for fact in found)
        yield Hit(tuple(sites), ask.captures, ({"condition": label, "order": names, "change": change},))


def _events(facts: Sequence[Fact], in_loop: bool) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.name.startswith("event.") and (fact.loop > 0 or not in_loop):
            found.setdefault(fact.scope, []).append(fact)
    for events in found.values():
        events.sort(key=lambda fact: fact.order)
    return found


def _follows(events: Sequence[Fact], names: Sequence[str]) -> list[Fact] | None:
    """The first event of each name when they come in this order, else None."""
    found: list[Fact] = []
    for name in names:
        like = globs(["event." + name])
        place = next((i for i, fact in enumerate(events) if like(fact.name)), None)
        if place is None or (found and events[place].order <= found[-1].order):
            return None
        found.append(events[place])
    return found


# -- lost


def lost_fact_leaf(spec: Spec, label: str) -> Condition:
    """Facts of the base that are gone, where the whole change has fewer of that name than before."""
    named = globs(spec["fact"])
    like = member_globs(spec["in_member"]) if "in_member" in spec else None

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files if ask.change.facts_like(named) < 0 else ():
            for shift in file.view.shifts:
                fact = shift.before
                if fact is None or shift.after is not None or not named(fact.name):
                    continue
                if like is not None and not like(fact.scope):
                    continue
                site = fact_site(file, fact, "base")
                if ask.region.holds(site):
                    yield Hit((site,), ask.captures, (_lost_evidence(label, shift, site),))

    return hits


def _lost_evidence(label: str, shift: Shift, site: Site) -> dict[str, object]:
    """What is lost is told by its statement: the arguments of ``backward()`` say nothing."""
    found = _shift_evidence(label, shift)
    edit = site.edit.edit if site.edit is not None else None
    if edit is not None and edit.before is not None:
        found["before"] = spell(edit.before)
    found["after"] = ""
    found["change"] = f"{telling.what(shift.fact.name)} is gone"
    if edit is not None and edit.before is not None:
        found["change"] = f"{telling.what(shift.fact.name)} is gone ({found['before']})"
    return found
