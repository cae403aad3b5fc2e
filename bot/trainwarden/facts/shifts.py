"""Facts of both sides in, shifts out: which facts changed, appeared or disappeared.

Facts are paired on (name, scope, subject) first, then what is left on (name, subject) (moved to another
function), then on (name, scope) and on the name alone where that is unambiguous (the subject was renamed).
Within a group equal facts pair before different ones, in order, so that one of several equal facts that is
lost is one loss.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from trainwarden.model import Fact, Shift

Key = Callable[[Fact], Hashable]
Pair = tuple[Fact, Fact]


def match(before: Sequence[Fact], after: Sequence[Fact]) -> tuple[Shift, ...]:
    """The shifts, ordered by where they stand in the head; losses follow the last fact that precedes them."""
    pairs: list[Pair] = []
    lost, gained = list(before), list(after)
    for key, unique in _ROUNDS:
        found, lost, gained = _round(lost, gained, key, unique)
        pairs += found
    return _ordered(pairs, lost, gained, before, after)


def differs(before: Fact, after: Fact) -> bool:
    """Whether two paired facts say something different: value, number, loop depth or conditions."""
    return _meaning(before) != _meaning(after)


def words(fact: Fact | None, other: Fact | None) -> str | None:
    """The value for the behaviour table; where both values read the same, with what tells them apart."""
    if fact is None:
        return None
    value = fact.value or "present"
    if other is None or fact.value != other.value:
        return value
    notes = []
    if fact.loop != other.loop:
        notes.append(f"loop depth {fact.loop}")
    if fact.guards != other.guards:
        notes.append("under " + ", ".join(fact.guards) if fact.guards else "unconditional")
    if fact.number != other.number:
        notes.append(f"= {fact.number}")
    return f"{value} ({'; '.join(notes)})" if notes else value


def _meaning(fact: Fact) -> tuple[str, float | None, int, tuple[str, ...]]:
    return fact.value, fact.number, fact.loop, fact.guards


_ROUNDS: tuple[tuple[Key, bool], ...] = (
    (lambda fact: (fact.name, fact.scope, fact.subject), False),
    (lambda fact: (fact.name, fact.subject), False),
    (lambda fact: (fact.name, fact.scope), True),
    (lambda fact: fact.name, True),
)


def _round(
    lost: list[Fact], gained: list[Fact], key: Key, unique: bool
) -> tuple[list[Pair], list[Fact], list[Fact]]:
    """Pairs off what shares a key; ``unique``: only where there is one fact of that key on each side."""
    olds, news = _grouped(lost, key), _grouped(gained, key)
    pairs: list[Pair] = []
    for group, old in olds.items():
        new = news.get(group, [])
        if new and (not unique or len(old) == len(new) == 1):
            pairs += _paired(old, new)
    used_old = {id(old) for old, _ in pairs}
    used_new = {id(new) for _, new in pairs}
    return (
        pairs,
        [fact for fact in lost if id(fact) not in used_old],
        [fact for fact in gained if id(fact) not in used_new],
    )


def _grouped(facts: list[Fact], key: Key) -> dict[Hashable, list[Fact]]:
    groups: dict[Hashable, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(key(fact), []).append(fact)
    return groups


def _paired(old: list[Fact], new: list[Fact]) -> list[Pair]:
    """Equal facts first (first come, first served), then the rest in order."""
    waiting: dict[Hashable, list[Fact]] = _grouped(new, _meaning)
    pairs: list[Pair] = []
    rest: list[Fact] = []
    for fact in old:
        equal = waiting.get(_meaning(fact))
        if equal:
            pairs.append((fact, equal.pop(0)))
        else:
            rest.append(fact)
    used = {id(fact) for _, fact in pairs}
    left = [fact for fact in new if id(fact) not in used]
    return [*pairs, *zip(rest, left, strict=False)]


def _ordered(
    pairs: list[Pair], lost: list[Fact], gained: list[Fact], before: Sequence[Fact], after: Sequence[Fact]
) -> tuple[Shift, ...]:
    place_of = {id(fact): place for place, fact in enumerate(after)}
    partner = {id(old): place_of[id(new)] for old, new in pairs}
    gone = {id(fact) for fact in lost}
    ranked: list[tuple[int, int, Shift]] = []
    last = -1
    for fact in before:
        last = partner.get(id(fact), last)
        if id(fact) in gone:
            ranked.append((last, 1, Shift(fact, None)))
    ranked += [(place_of[id(fact)], 0, Shift(None, fact)) for fact in gained]
    ranked += [(place_of[id(new)], 0, Shift(old, new)) for old, new in pairs if differs(old, new)]
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(shift for *_, shift in ranked)
