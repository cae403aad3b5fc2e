"""Every generic honest edit there is, and the twin of a sabotaged member when its operator knows none.

In: a member, the same member with sabotage. Out: the member with an honest edit near that place, of the same shape.
"""

from __future__ import annotations

import difflib
import random
import re

import libcst as cst

from trainwarden.lab.sabotage.difference import difference
from trainwarden.lab.sabotage.edit import HonestEdit, Pick
from trainwarden.lab.sabotage.honest_control import CONTROL_EDITS
from trainwarden.lab.sabotage.honest_expressions import EXPRESSION_EDITS
from trainwarden.lab.sabotage.honest_names import NAME_EDITS
from trainwarden.lab.sabotage.honest_statements import STATEMENT_EDITS, is_text, superfluous_line
from trainwarden.lab.sabotage.surgery import statements, tree_of

HONEST: tuple[HonestEdit, ...] = STATEMENT_EDITS + NAME_EDITS + EXPRESSION_EDITS + CONTROL_EDITS
"""All of them."""

_LITERAL = re.compile(r"\d[\d_.]*(?:[eE][+-]?\d+)?|\"[^\"]*\"|'[^']*'|\b(?:True|False|None)\b")
_HEADER = re.compile(r"\s*(?:if|elif|else|with|try|except|while)\b.*:\s*(?:#.*)?$")


def shape_of(before: str, after: str) -> str:
    """The shape of the difference of two texts: one of ``SHAPES``."""
    gone, come = changed_lines(before, after)
    if not come:
        return "deletion"
    if any(_HEADER.match(line) for line in come) and not any(_HEADER.match(line) for line in gone):
        return "guard"
    if sorted(map(str.strip, gone)) == sorted(map(str.strip, come)):
        return "move"
    if not gone:
        return "insertion"
    return "literal" if [*map(_blanked, gone)] == [*map(_blanked, come)] else "swap"


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that are only in the first text, and those that are only in the second."""
    old, new = before.splitlines(), after.splitlines()
    gone: list[str] = []
    come: list[str] = []
    for tag, start, end, first, last in _opcodes(old, new):
        if tag != "equal":
            gone += old[start:end]
            come += new[first:last]
    return gone, come


def touched_lines(before: str, after: str) -> tuple[int, ...]:
    """The lines of the second text (from 1) that changed; for lines that are gone, the one after the gap."""
    old, new = before.splitlines(), after.splitlines()
    found: list[int] = []
    for tag, _, _, first, last in _opcodes(old, new):
        if tag == "delete":
            found.append(min(first + 1, len(new)))
        elif tag != "equal":
            found += range(first + 1, last + 1)
    return tuple(dict.fromkeys(line for line in found if line > 0))


def _opcodes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """The difference of two texts, without looking at what they share at both ends (members can be long)."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    matcher = difflib.SequenceMatcher(
        None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False
    )
    return [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in matcher.get_opcodes()]


def _blanked(line: str) -> str:
    return _LITERAL.sub("0", line)


def twin(
    before: cst.Module, sabotaged: cst.Module, rng: random.Random, shape: str
) -> tuple[str, cst.Module] | None:
    """The name of an honest edit and the member with it: near the sabotage, of this shape if any applies."""
    apart = difference(before, sabotaged)
    pick = Pick(tree_of(before), rng, apart.anchor if apart is not None else None)
    for edit in _in_order(rng, shape):
        made = edited(edit, pick)
        if made is not None and made.code != sabotaged.code:
            return edit.id, made
    return None


def deletion_twin(
    before: cst.Module, sabotaged: cst.Module, rng: random.Random
) -> tuple[cst.Module, cst.Module] | None:
    """Both members with one more line near the sabotage that only tells somebody something.

    Few members hold a line that may be deleted honestly. With that line in both of them, the member as it was is what
    an honest author leaves behind who deletes it: the twin of a deletion is a deletion.
    """
    apart = difference(before, sabotaged)
    if apart is None or apart.anchor is None:
        return None
    tree, other = tree_of(before), tree_of(sabotaged)
    home = tree.function(apart.anchor)
    kept = set(other.nodes)
    lines = [
        each for each in tree.find(cst.SimpleStatementLine) if each in kept and tree.function(each) is home
    ]
    pick = Pick(tree, rng, apart.anchor)
    place = pick([each for each in lines if not is_text(each)])
    if place is None or home is None:
        return None
    line = superfluous_line(pick, place)
    return (
        (tree.insert_before(place, *statements(line)), other.insert_before(place, *statements(line)))
        if line
        else None
    )


def _in_order(rng: random.Random, shape: str) -> list[HonestEdit]:
    edits = rng.sample(HONEST, len(HONEST))
    near = {"literal": "swap", "move": "swap", "deletion": "move"}.get(shape, "insertion")
    return sorted(edits, key=lambda edit: (edit.shape != shape, edit.shape != near))


def edited(edit: HonestEdit, pick: Pick) -> cst.Module | None:
    """The member after an honest edit; None where it does not apply, cannot be spelt or changes nothing."""
    try:
        made = edit.edit(pick)
    except (cst.CSTValidationError, cst.ParserSyntaxError):
        return None
    return made if made is not None and made.code != pick.tree.module.code else None


def disguised(module: cst.Module, rng: random.Random, most: int) -> tuple[tuple[str, ...], cst.Module]:
    """The member after one to ``most`` honest edits anywhere in it, with their names; fewer where few apply."""
    names: list[str] = []
    for _ in range(rng.randint(1, most)):
        for edit in rng.sample(HONEST, 6):
            made = edited(edit, Pick(tree_of(module), rng))
            if made is not None:
                names.append(edit.id)
                module = made
                break
    return tuple(names), module
