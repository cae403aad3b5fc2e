"""A member's statements in, small random edits of it out: what breaks code anywhere, beside edits that keep it whole.

The operators of ``lab.sabotage`` know training; there is a finite number of them, and a classifier learns to know them.
These edits know nothing: a name for another, an operator, a number, an argument, an order, a line too few. Taken
forward an edit spoils code that somebody found good; taken back it mends it. Both are read, so that neither shape nor
size nor words tell which is which, only what belongs together in code (Allamanis et al. 2021, self-supervised bug
detection). Edits that keep the meaning are honest both ways.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from trainwarden.lab.mutation_words import HARMFUL, HONEST, Names, Words, names_of
from trainwarden.model import Unit
from trainwarden.score.units import LONGEST_CONTEXT, Lexemes, Row, groups, nest, within, woven


@dataclass(frozen=True, slots=True)
class Slot:
    """One statement of a member on both sides; None where a side lacks it. ``moved``: its place differs."""

    depth: int
    before: Words | None
    after: Words | None
    moved: bool = False

    @property
    def edited(self) -> bool:
        """Whether an edit lies in it."""
        return self.moved or self.before != self.after


Slots = tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A member on both sides of a small edit. ``harmful``: forward it spoils, backward it mends."""

    kind: str
    harmful: bool
    forward: Slots
    backward: Slots

    def unit(self, path: str, member: str, forward: bool) -> Unit | None:
        """The first unit of one direction; None where nothing of the edit is visible."""
        rows = [_row(place, slot) for place, slot in enumerate(self.forward if forward else self.backward, 1)]
        nest(rows)
        edited = [place for place, row in enumerate(rows) if any(tag != "same" for _, tag in row.lexemes)]
        for group in groups(rows, edited):
            return Unit(path, member, within(rows, group))
        return None


def _row(line: int, slot: Slot) -> Row:
    return Row(slot.depth, line, _lexemes(slot))


def _lexemes(slot: Slot) -> Lexemes:
    if slot.moved:
        return tuple((text, "moved") for text in slot.after or slot.before or ())
    if slot.before is None:
        return tuple((text, "added") for text in slot.after or ())
    if slot.after is None:
        return tuple((text, "removed") for text in slot.before)
    if slot.before == slot.after:
        return tuple((text, "same") for text in slot.after)[:LONGEST_CONTEXT]
    return woven(slot.before, slot.after)


def mutations(statements: Sequence[tuple[int, Sequence[str]]], rng: random.Random) -> Iterator[Mutation]:
    """Without end, edits of one member, drawn by kind; ends when ``_PATIENCE`` draws in a row did not apply."""
    member = tuple(Slot(depth, tuple(words), tuple(words)) for depth, words in statements)
    failed = 0
    while failed < _PATIENCE and len(member) > 1:
        made = _draw(member, rng)
        failed = failed + 1 if made is None else 0
        if made is not None:
            yield made


_PATIENCE = 30


def _draw(member: Slots, rng: random.Random) -> Mutation | None:
    kind = rng.choices(_NAMES, _WEIGHTS)[0]
    if kind in _ORDERS:
        return _ORDERS[kind](member, rng)
    if kind in _WHOLE:
        return _whole(kind, member, rng)
    place = _worthy(member, rng)
    words = member[place].after or ()
    changed = (HARMFUL | HONEST)[kind](words, _names(member), rng)
    if changed is None or changed == words:
        return None
    forward = (*member[:place], replace(member[place], after=changed), *member[place + 1 :])
    return _both_ways(kind, kind not in HONEST, forward)


_TALK = frozenset("print logger logging log warnings raise parser rank_zero_info pass".split())


def _worthy(member: Slots, rng: random.Random) -> int:
    """The place of a statement that does something, where a few draws find one."""
    for _ in range(4):
        place = rng.randrange(1, len(member))
        words = member[place].after or ("pass",)
        if words and words[0] not in _TALK and "add_argument" not in words[:4]:
            break
    return place


def _both_ways(kind: str, harmful: bool, forward: Slots) -> Mutation:
    backward = tuple(replace(slot, before=slot.after, after=slot.before) for slot in forward)
    return Mutation(kind, harmful, forward, backward)


def _names(member: Slots) -> Names:
    return names_of(slot.after or () for slot in member)


# -- whole statements


def _block_end(member: Slots, place: int) -> int:
    """The place after a statement and all that stands under it."""
    end = place + 1
    while end < len(member) and member[end].depth > member[place].depth:
        end += 1
    return end


def _whole(kind: str, member: Slots, rng: random.Random) -> Mutation | None:
    place = _worthy(member, rng)
    end = _block_end(member, place)
    if end - place > _LARGEST_BLOCK:
        return None
    return _both_ways(kind, kind != "logged", _WHOLE[kind](member, place, end, rng))


_LARGEST_BLOCK = 4


def _deleted(member: Slots, place: int, end: int, rng: random.Random) -> Slots:
    gone = (replace(slot, after=None) for slot in member[place:end])
    return (*member[:place], *gone, *member[end:])


def _repeated(member: Slots, place: int, end: int, rng: random.Random) -> Slots:
    again = (replace(slot, before=None) for slot in member[place:end])
    return (*member[:end], *again, *member[end:])


def _logged(member: Slots, place: int, end: int, rng: random.Random) -> Slots:
    known = _names(member).by_role.get((False, False), ("step",))
    call = rng.choice(
        (("print",), ("logger", ".", "info"), ("logger", ".", "debug"), ("logging", ".", "info"))
    )
    line = (*call, "(", "'", rng.choice(known), "'", ",", rng.choice(known), ")")
    return (*member[:place], Slot(member[place].depth, None, line), *member[place:])


def _swapped(member: Slots, rng: random.Random) -> Mutation | None:
    """A statement goes behind its next neighbour of the same depth."""
    place = _worthy(member, rng)
    middle = _block_end(member, place)
    if middle >= len(member) or member[middle].depth != member[place].depth:
        return None
    end = _block_end(member, middle)
    if end - place > _LARGEST_BLOCK:
        return None
    moved = tuple(replace(slot, moved=True) for slot in member[place:middle])
    forward = (*member[:place], *member[middle:end], *moved, *member[end:])
    backward = (*member[:place], *moved, *member[middle:])
    return Mutation("swapped", True, forward, backward)


def _dedented(member: Slots, rng: random.Random) -> Mutation | None:
    """The last statement of a block leaves it, or the one behind a block goes into it."""
    place = _worthy(member, rng)
    inner, outer = member[place], member[place].depth
    if _block_end(member, place) != place + 1 or member[place - 1].depth < inner.depth:
        return None
    last = place + 1 == len(member) or member[place + 1].depth < inner.depth
    if last and inner.depth > 1:
        outer = inner.depth - 1
    elif member[place - 1].depth > inner.depth:
        outer = inner.depth + 1
    if outer == inner.depth:
        return None
    sides = [
        (*member[:place], replace(inner, depth=depth, moved=True), *member[place + 1 :])
        for depth in (outer, inner.depth)
    ]
    return Mutation("dedented", True, sides[0], sides[1])


_WHOLE: dict[str, Callable[[Slots, int, int, random.Random], Slots]] = {
    "deleted": _deleted,
    "repeated": _repeated,
    "logged": _logged,
}
_ORDERS: dict[str, Callable[[Slots, random.Random], Mutation | None]] = {
    "swapped": _swapped,
    "dedented": _dedented,
}
_SHARES = {
    "other-name": 5.0,
    "deleted": 3.0,
    "other-sign": 3.0,
    "swapped": 2.0,
    "logged": 0.4,
    "repeated": 0.5,
}
_NAMES = (*HARMFUL, *HONEST, *_WHOLE, *_ORDERS)
_WEIGHTS = tuple(_SHARES.get(name, 1.5) for name in _NAMES)
