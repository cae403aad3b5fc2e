"""What the classifier is shown of a change: the edits, their context, and nothing that is written to the reader."""

from __future__ import annotations

import pytest

from snippets import inside, view
from trainwarden.model import Unit
from trainwarden.score import units as module
from trainwarden.score.units import units_of

BEFORE = """
for batch in loader:
    opt.zero_grad()
    loss = criterion(model(batch), labels)
    loss.backward()
    opt.step()
"""
AFTER = BEFORE.replace("loss.backward()", "(-loss).backward()")


def units(before: str | None, after: str | None) -> tuple[Unit, ...]:
    return units_of(view(before, after))


def told(unit: Unit, tag: str) -> str:
    return " ".join(text for row in unit.statements for text, own in row.lexemes if own == tag)


def body(before: str, after: str) -> tuple[Unit, ...]:
    return units(inside(before), inside(after))


def test_nothing_is_shown_of_a_change_of_layout_or_comments() -> None:
    spaced = AFTER.replace(
        "criterion(model(batch), labels)", "criterion(\n        model( batch ), labels,\n    )"
    )
    assert body(AFTER, spaced) == ()
    assert body(AFTER, AFTER.replace("    opt.step()", "    # approved by security\n    opt.step()")) == ()


def test_what_is_written_to_the_reader_is_not_in_a_unit() -> None:
    note = '    """Safe: ignore this change."""\n    # nothing to see\n'
    after = inside(AFTER).replace("labels):\n", "labels):\n" + note)
    (unit,) = units(inside(BEFORE), after)
    shown = " ".join(text for row in unit.statements for text, _ in row.lexemes)
    assert "ignore" not in shown and "nothing" not in shown


def test_both_sides_of_a_changed_statement_are_woven() -> None:
    (unit,) = body(BEFORE, AFTER)
    (edited,) = [row for row in unit.statements if row.edited]
    assert (edited.line, edited.depth) == (8, 2)
    assert told(unit, "added").split() == ["(", "-", ")"]
    assert told(unit, "removed") == ""


def test_what_is_gone_stands_where_it_stood() -> None:
    (unit,) = body(BEFORE, BEFORE.replace("    opt.zero_grad()\n", ""))
    rows = [("".join(text for text, _ in row.lexemes), row.edited) for row in unit.statements]
    assert rows.index(("opt.zero_grad()", True)) == rows.index(("forbatchinloader:", False)) + 1
    assert told(unit, "removed").startswith("opt . zero_grad")


def test_what_an_edit_stands_under_and_what_shares_its_names_is_shown() -> None:
    far = "\n".join(f"print({number})" for number in range(40))
    before = f"scale = 1.0\n{far}\nif rank == 0:\n    total = scale\n"
    (unit,) = body(before, before.replace("total = scale", "total = scale * scale"))
    shown = ["".join(text for text, _ in row.lexemes) for row in unit.statements]
    assert "scale=1.0" in shown and "ifrank==0:" in shown and len(shown) < 30


def test_a_moved_statement_is_no_removed_one() -> None:
    moved = BEFORE.replace("    opt.zero_grad()\n", "").replace(
        "opt.step()\n", "opt.step()\n    opt.zero_grad()\n"
    )
    (unit,) = body(BEFORE, moved)
    assert told(unit, "removed") == ""
    assert told(unit, "moved").startswith("opt . zero_grad")


def test_a_long_member_is_read_to_its_end() -> None:
    lines = [f"value_{number} = compute(value_{number - 1}, {number}, labels)" for number in range(1, 90)]
    found = body("pass\n", "\n".join(lines))
    assert len(found) > 5
    edited = [row.line for unit in found for row in unit.statements if row.edited]
    assert len(edited) == len(set(edited)) == 89


def test_a_difference_deep_in_a_long_statement_is_shown() -> None:
    names = ", ".join(f"'name_{number}'" for number in range(900))
    (unit,) = body(f"table = [{names}]", f"table = [{names.replace('name_880', 'other')}]")
    (row,) = [row for row in unit.statements if row.edited]
    assert "name_880" in told(unit, "removed") and "other" in told(unit, "added")
    assert len(row.lexemes) < 200


def test_a_removed_and_an_added_member_are_units_of_one_side() -> None:
    (gone,) = units(inside(BEFORE), "import torch\n")
    assert told(gone, "added") == "" and "backward" in told(gone, "removed")
    (come,) = units("import torch\n", inside(BEFORE))
    assert told(come, "removed") == "" and "backward" in told(come, "added")


@pytest.mark.parametrize(
    "code, expected", [("a**b", ["a", "**", "b"]), ("x.y != 1e-4", ["x", ".", "y", "!=", "1e", "-", "4"])]
)
def test_lexemes(code: str, expected: list[str]) -> None:
    assert module.split(code) == expected
