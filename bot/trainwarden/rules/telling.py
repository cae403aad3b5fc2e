"""What differs, in words and by line: for a reader who does not know the rule that found it.

In: an edit, one of its deltas, or a shift. Out: a clause such as "``ignore_index`` of cross_entropy changed from ``-1``
to ``0``", and where on the base side the difference stands.
"""

from __future__ import annotations

import re

from trainwarden.facts.show import whole
from trainwarden.model import Fact, Shift
from trainwarden.parse.nodes import Node
from trainwarden.rules.spelling import apart, clean, spell, spell_pair
from trainwarden.view import Delta, Edit

_QUOTED = 60
_CAPTION = 80
_DELTAS = {
    "operator": "an operator changed: {before} became {after}",
    "sign": "a sign changed: {before} became {after}",
    "negated": "a condition was turned round: {before} became {after}",
    "name": "{before} was replaced by {after}",
    "callee": "{after} is called instead of {before}",
    "number": "a number changed from {before} to {after}",
    "string": "a text changed from {before} to {after}",
    "constant": "{before} became {after}",
    "argument-added": "an argument was added: {after}",
    "argument-removed": "an argument was dropped: {before}",
    "argument-swapped": "{after} stands where {before} stood",
    "operand-added": "{before} became {after}",
    "operand-removed": "a term was dropped: {before} became {after}",
    "wrapped": "{before} is now {after}",
    "unwrapped": "{before} is now only {after}",
    "index": "an index changed: {before} became {after}",
    "element-added": "an element was added: {after}",
    "element-removed": "an element was dropped: {before}",
    "replaced": "{before} was replaced by {after}",
    "unused": "nothing reads {before} any more",
    "rebound": "{after} is given another value",
    "mutated": "{after} is written to",
    "one-sided": "a neighbour of the same shape did not change along",
}
_OF_A_SLOT = {
    **dict.fromkeys(("number", "string", "constant", "name", "replaced"), "changed from {before} to {after}"),
    **dict.fromkeys(
        ("wrapped", "unwrapped", "operand-added", "operand-removed"), "was {before} and is now {after}"
    ),
}
_OF_A_CALL = {
    "argument-added": "an argument of {call} was added: {after}",
    "argument-removed": "an argument of {call} was dropped: {before}",
    "argument-swapped": "in {call}, {after} stands where {before} stood",
}
_AROUND = frozenset({"unused", "rebound", "mutated", "one-sided"})
"""Deltas about what a statement leaves behind: their nodes may stand in another statement."""
_WORD = re.compile(r"[^\W\d]\w*")
_FACTS = {
    "event.zero_grad": "the clearing of gradients",
    "event.backward": "the backward pass",
    "event.unscale": "the unscaling of gradients",
    "event.clip": "gradient clipping",
    "event.step": "the optimizer step",
    "event.scheduler_step": "the step of the schedule",
    "event.ema_step": "the update of the averaged weights",
    "event.scaler_update": "the update of the loss scale",
    "event.all_reduce": "the sum over processes",
    "event.set_epoch": "telling the sampler the epoch",
    "event.forward": "the call of the model",
    "clip.max_norm": "the bound of gradient clipping",
    "clip.value": "the bound of gradient clipping",
    "clip.norm_type": "the norm of gradient clipping",
    "clip.params": "what gradient clipping is given",
    "seed.call": "the seed",
    "seed.argument": "the seed",
    "rng.generator": "the generator's seed",
    "rng.key": "the random key's seed",
}
_PROVENANCE = re.compile(r"(\w+) (\S.*)", re.DOTALL)


# -- edits


def of_edit(edit: Edit) -> str:
    """What an edit does, told by two differences where it has some."""
    first = foremost(edit)
    told = [of_delta(delta) for delta in first]
    if edit.kind in ("changed", "moved-changed") and told:
        return "; ".join(told)
    if edit.kind == "moved":
        return f"{_quoted(spell(edit.node, _QUOTED))} runs at another place than before"
    verb = "is new" if edit.kind == "added" else "was removed"
    more = f" ({told[0]})" if told and first[0].kind != "mutated" else ""  # the statement itself shows that
    return f"{_quoted(spell(edit.node, _QUOTED))} {verb}{more}"


def foremost(edit: Edit) -> list[Delta]:
    """The two differences to tell: those in the statement itself before what it leaves behind around it."""
    return sorted(edit.deltas, key=lambda delta: delta.kind in _AROUND)[:2]


def of_delta(delta: Delta) -> str:
    """One difference, with the argument it is about where it has one."""
    before, after = map(_quoted, sides(delta.before, delta.after, _QUOTED))
    call = delta.inside.rpartition(".")[2].removesuffix("()")
    call = call if _WORD.fullmatch(call) else ""
    slot = _slot(delta.slot, call)
    if slot and delta.kind in _OF_A_SLOT:
        template = f"{slot} {_OF_A_SLOT[delta.kind]}"
    elif call and delta.kind in _OF_A_CALL:
        template = _OF_A_CALL[delta.kind]
    else:
        template = _DELTAS[delta.kind]
    words = {"before": before, "after": after, "call": call}
    return re.sub(r"\{(before|after|call)\}", lambda found: words[found.group(1)], template)


def _slot(slot: str, call: str) -> str:
    """The argument's name, or its place in a call, as a reader would say it; "" where neither helps."""
    if slot.isdigit():
        return f"argument {int(slot) + 1} of {call}" if call else ""
    if call == "default" and slot:
        return f"the default of `{clean(slot, _QUOTED)}`"
    return (f"`{clean(slot, _QUOTED)}`" + (f" of {call}" if call else "")) if slot else ""


def sides(before: Node | None, after: Node | None, longest: int = 120) -> tuple[str, str]:
    """Both sides as code, cut so that what differs shows; "" for a side there is not."""
    if before is not None and after is not None:
        return spell_pair(before, after, longest)
    return (spell(before, longest) if before else ""), (spell(after, longest) if after else "")


def _quoted(words: str) -> str:
    return f"`{words}`" if words else "nothing"


# -- where it was


def base_place(edit: Edit, delta: Delta | None) -> tuple[int, str]:
    """The base line of a difference (of the whole edit: of its first one), and the caption of that line.

    For something that only the head has it is about the line where it would have stood.
    """
    assert edit.base_lines is not None and edit.before is not None
    first, last = edit.base_lines
    if edit.after is None:
        return first, clean(f"removed here: {spell(edit.before, _CAPTION)}")
    if edit.kind == "moved":
        return first, clean(f"moved from here: {spell(edit.before, _CAPTION)}")
    told = delta if delta is not None else next(iter(foremost(edit)), None)
    if told is None or told.kind in _AROUND:
        return first, clean(f"before: {spell_pair(edit.before, edit.after, _CAPTION)[0]}")
    if told.before is None:
        line = min(max(first, first + told.line - edit.start), last)
        words = f"before: without {sides(None, told.after, _CAPTION)[1]}"
    else:
        line = told.before.line if first <= told.before.line <= last else first
        words = f"before: {sides(told.before, told.after, _CAPTION)[0]}"
    return line, clean(words)


# -- facts


def what(name: str) -> str:
    """The name of a fact in words."""
    return _FACTS.get(name) or name.removeprefix("event.").replace(".", " ").replace("_", " ")


def values_apart(before: str, after: str, longest: int = 120) -> tuple[str, str]:
    """The values of one fact on both sides: where they were cut, cut again so that what differs shows."""
    if before == after or (whole(before) == before and whole(after) == after):
        return before, after
    return apart(whole(before), whole(after), longest)


def of_shift(shift: Shift, condition: str = "") -> str:
    """What became of a fact. ``condition``: the condition that it has come under, if it is known."""
    before, after = shift.before, shift.after
    name = what(shift.fact.name)
    if before is None or after is None:
        value = _value(shift.fact, shift.fact.value)
        told = f" ({value})" if value else ""
        return f"{name} is {'new' if before is None else 'gone'}{told}"
    return f"{name} {_became(before, after, condition)}"


def _became(before: Fact, after: Fact, condition: str) -> str:
    told = []
    gained, lost = set(after.guards) - set(before.guards), set(before.guards) - set(after.guards)
    if gained:
        told.append(
            f"now runs only when {condition}" if condition else f"came under a condition ({_listed(gained)})"
        )
    if lost:
        told.append(f"no longer depends on a condition ({_listed(lost)})")
    if after.loop != before.loop:
        told.append("now runs inside a loop" if after.loop > before.loop else "left its loop")
    if before.value != after.value and not told:
        old, new = (_value(before, value) for value in values_apart(before.value, after.value))
        told.append(f"changed from {old or 'nothing'} to {new or 'nothing'}")
    return " and ".join(told) or "changed"


def _value(fact: Fact, value: str) -> str:
    """A value in words: seeds say where they come from before they say what they are."""
    found = (
        _PROVENANCE.fullmatch(value) if fact.name.startswith(("seed.", "rng.generator", "rng.key")) else None
    )
    return f"{found.group(2)} (from: {found.group(1)})" if found else value


def _listed(kinds: set[str]) -> str:
    return ", ".join(sorted(kinds))
