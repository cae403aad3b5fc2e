"""Operators of sabotage: what each one plants, and that its honest twin is another text of the same place."""

from __future__ import annotations

import ast
import random
from functools import cache
from pathlib import Path

import libcst as cst
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwarden.lab.sabotage import honest, modifiers, roles, spelling
from trainwarden.lab.sabotage.catalogue import OPERATORS
from trainwarden.lab.sabotage.difference import difference
from trainwarden.lab.sabotage.edit import SHAPES, Pick
from trainwarden.lab.sabotage.honest import HONEST
from trainwarden.lab.sabotage.operator import Operator, Planted
from trainwarden.lab.sabotage.plant import Planting, plantings
from trainwarden.lab.sabotage.surgery import call_of, code, dotted, statement, tree_of

MEMBERS = sorted((Path(__file__).parent / "members").glob("*.py"))
TEXTS = [member.read_text(encoding="utf-8") for member in MEMBERS]
SEEDS = 2


ENOUGH = 2
"""How many members an operator is tried on at most."""


@cache
def everything_planted() -> dict[str, list[tuple[str, int, Planted]]]:
    """What each operator plants: the text it plants in, the seed, and the pair. Member by member, which is fast."""
    found: dict[str, list[tuple[str, int, Planted]]] = {operator.id: [] for operator in OPERATORS}
    for text in TEXTS:
        module, lowered = cst.parse_module(text), text.lower()
        for operator in OPERATORS:
            mine = found[operator.id]
            if len(mine) >= ENOUGH * SEEDS or (
                operator.needs and not any(map(lowered.__contains__, operator.needs))
            ):
                continue
            made = ((seed, operator.plant(module, random.Random(seed))) for seed in range(SEEDS))
            mine += [(text, seed, planted) for seed, planted in made if planted is not None]
    return found


def planted_by(operator: Operator) -> list[tuple[str, int, Planted]]:
    """What one operator plants in the members."""
    return everything_planted()[operator.id]


@cache
def all_plantings() -> tuple[Planting, ...]:
    """Plantings of every fifth member with one seed each."""
    return tuple(
        planting
        for seed, text in enumerate(TEXTS[::5])
        for planting in plantings(text, random.Random(seed + 100))
    )


def every_operator() -> pytest.MarkDecorator:
    """One test an operator, named after it."""
    return pytest.mark.parametrize("operator", OPERATORS, ids=lambda each: f"{each.technique}-{each.id}")


QUIET = (
    "",
    "x = 1\n",
    "import os\n",
    "def nothing():\n    pass\n",
    "def one_line(): return 1\n",
    "class Empty:\n    pass\n",
    "def f(a, /, b, *, c=1, **kw): ...\n",
    "async def g():\n    async with a as b:\n        await b\n",
    "match x:\n    case 1:\n        pass\n",
    "if x: y = 1; z = 2\n",
    "lambda: (yield)\n",
    "@decorator\nclass A(B, metaclass=C):\n    '''Only words.'''\n",
    "try:\n    pass\nexcept* ValueError:\n    pass\n",
    "x = [i for i in range(10) if i if not i]\n",
    "# only a comment",
    "\tx = 1",
    "def broken(:\n",
    "print(f'{x!r:>{width}}')\n",
    "\x00",
    "\ufeffx = 1\n",
    "loss\n",
    "loss = optimizer = model\n",
    "for a in b: a.backward()\n",
    "with torch.no_grad(): optimizer.step()\n",
    "x\r\ny = 1\r\n",
)


@pytest.mark.parametrize("source", QUIET)
def test_odd_text_raises_nothing(source: str) -> None:
    for planting in plantings(source, random.Random(1)):
        ast.parse(planting.sabotaged)


def test_no_operator_is_named_twice() -> None:
    names = [operator.id for operator in OPERATORS]
    assert len(names) == len(set(names))


def test_every_technique_of_the_families_is_planted() -> None:
    families = {"A": 12, "B": 11, "C": 12}
    planted = {operator.technique for operator in OPERATORS}
    missing = {f"{letter}{n:02d}" for letter, last in families.items() for n in range(1, last + 1)} - planted
    assert not missing


@every_operator()
def test_operator_applies_to_a_member(operator: Operator) -> None:
    assert planted_by(operator), f"{operator.id} plants in none of the members: add one that it applies to"


@every_operator()
def test_planted_text_is_python_and_new(operator: Operator) -> None:
    for text, _, planted in planted_by(operator):
        assert planted.sabotaged.code != text
        ast.parse(planted.sabotaged.code)


@every_operator()
def test_twin_is_another_text_than_both(operator: Operator) -> None:
    for text, _, planted in planted_by(operator):
        if planted.honest is not None:
            assert planted.honest.code not in (text, planted.sabotaged.code)
            ast.parse(planted.honest.code)


@every_operator()
def test_same_seed_same_text(operator: Operator) -> None:
    for text, seed, planted in planted_by(operator)[:1]:
        again = operator.plant(cst.parse_module(text), random.Random(seed))
        assert again is not None
        assert again.sabotaged.code == planted.sabotaged.code
        assert (again.honest.code if again.honest else "") == (planted.honest.code if planted.honest else "")


def test_every_planting_is_three_texts_and_says_where() -> None:
    assert len(all_plantings()) >= 200
    for planting in all_plantings():
        check(planting)


def test_same_seed_same_plantings() -> None:
    text = TEXTS[len(TEXTS) // 2]
    first = list(plantings(text, random.Random(3)))
    assert first
    assert first == list(plantings(text, random.Random(3)))


def check(planting: Planting) -> None:
    """What holds for every planting."""
    texts = (planting.before, planting.sabotaged, planting.honest)
    assert len(set(texts)) == 3, planting.operator
    for text in texts:
        ast.parse(text)
    last = len(planting.sabotaged.splitlines())
    assert planting.lines, planting.operator
    assert all(1 <= line <= last for line in planting.lines)


def test_modifiers_occur_as_often_as_they_are_meant_to() -> None:
    found = all_plantings()
    kinds = [{name.partition(":")[0] for name in planting.modifiers} for planting in found]
    shares = {
        kind: sum(kind in each for each in kinds) / len(found) for kind in ("trigger", "hidden", "combined")
    }
    assert 0.05 < shares["trigger"] < 0.25
    assert 0.12 < shares["hidden"] < 0.30
    assert 0.03 < shares["combined"] < 0.15


def test_surface_forms_vary() -> None:
    """The same operator at the same member does not write the same text again and again."""
    text = (Path(__file__).parent / "members" / "loop_plain.py").read_text(encoding="utf-8")
    module = cst.parse_module(text)
    operator = next(each for each in OPERATORS if each.id == "loss-sign-flipped")
    made = [operator.plant(module, random.Random(seed)) for seed in range(40)]
    assert len({each.sabotaged.code for each in made if each is not None}) >= 6


def test_deletions_have_honest_deletions() -> None:
    """Without them a classifier learns that what deletes is bad."""
    gone = [each for each in all_plantings() if honest.shape_of(each.before, each.sabotaged) == "deletion"]
    twins = [honest.shape_of(each.before, each.honest) for each in gone]
    assert len(gone) >= 5
    assert twins.count("deletion") / len(twins) > 0.6


@cache
def honest_texts() -> dict[str, list[str]]:
    """The members after each honest edit."""
    found: dict[str, list[str]] = {edit.id: [] for edit in HONEST}
    for text in TEXTS:
        tree = tree_of(cst.parse_module(text))
        for edit in (each for each in HONEST if len(found[each.id]) < ENOUGH * SEEDS):
            made = [honest.edited(edit, Pick(tree, random.Random(seed))) for seed in range(2)]
            found[edit.id] += [each.code for each in made if each is not None]
    return found


@pytest.mark.parametrize("edit", HONEST, ids=[edit.id for edit in HONEST])
def test_honest_edit_applies_and_parses(edit: honest.HonestEdit) -> None:
    assert edit.shape in SHAPES
    assert honest_texts()[edit.id]
    for text in honest_texts()[edit.id]:
        ast.parse(text)


def test_there_are_enough_honest_edits_of_every_shape() -> None:
    assert len(HONEST) >= 25
    assert {edit.shape for edit in HONEST} == set(SHAPES)


def test_edit_shares_what_it_does_not_touch() -> None:
    module = cst.parse_module("a = 1\nb = f(2)\nc = 3\n")
    tree = tree_of(module)
    edited = tree.replace(tree.find(cst.Call)[0], cst.Name("g"))
    assert edited.code == "a = 1\nb = g\nc = 3\n"
    assert edited.body[0] is module.body[0] and edited.body[2] is module.body[2]


def test_removing_the_last_statement_leaves_pass() -> None:
    tree = tree_of(cst.parse_module("def f():\n    g()\n"))
    assert tree.remove(tree.statement(tree.find(cst.Call)[0]) or tree.module).code == "def f():\n    pass\n"


def test_comments_stay_above_what_replaces_their_statement() -> None:
    tree = tree_of(cst.parse_module("x = 1\n# why\ny = 2\n"))
    assert tree.replace(tree.module.body[1], statement("z = 3\n")).code == "x = 1\n# why\nz = 3\n"


def test_difference_is_the_innermost_run_of_statements() -> None:
    module = cst.parse_module("def f():\n    for a in b:\n        g(a)\n        h(a)\n")
    tree = tree_of(module)
    line = tree.statement(next(call for call in tree.find(cst.Call) if dotted(call) == "h"))
    assert line is not None
    apart = difference(module, tree.remove(line))
    assert apart is not None
    assert [code(each).strip() for each in apart.old] == ["h(a)"]
    assert apart.new == ()


def test_trigger_keeps_the_old_statement_on_the_other_branch() -> None:
    source = "import torch\n\ndef f(x, step):\n    y = x + 1\n    return y\n"
    module = cst.parse_module(source)
    tree = tree_of(module)
    changed = tree.replace(tree.find(cst.Add)[0], cst.Subtract())
    made = modifiers.triggered(module, changed, random.Random(2))
    assert made is not None
    text = made[1].code
    assert "y = x - 1" in text and "y = x + 1" in text and "else:" in text
    ast.parse(text)


@pytest.mark.parametrize(
    ("style", "value", "text"),
    [
        ("1e-4", 0.001, "1e-3"),
        ("0.0001", 0.001, "0.001"),
        ("3", 30, "30"),
        ("1_000", 2000, "2_000"),
        ("-1", 0.5, "0.5"),
        ("1e5", 2e6, "2e6"),
        ("2.0", 4, "4.0"),
    ],
)
def test_numbers_keep_their_style(style: str, value: float, text: str) -> None:
    assert code(spelling.number_like(cst.parse_expression(style), value)) == text


@given(st.floats(min_value=1e-9, max_value=1e9), st.sampled_from(("1e-4", "0.1", "3", "1_000", "2.5e3")))
@settings(max_examples=100, deadline=None)
def test_numbers_keep_their_value(value: float, style: str) -> None:
    made = spelling.number(spelling.number_like(cst.parse_expression(style), value))
    assert made == pytest.approx(value, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("loss.backward()", roles.is_backward),
        ("accelerator.backward(loss)", roles.is_backward),
        ("self.manual_backward(loss)", roles.is_backward),
        ("optimizer.zero_grad()", roles.is_zero_grad),
        ("self.opt_d.step()", roles.is_optimizer_step),
        ("scaler.step(optimizer)", roles.is_optimizer_step),
        ("lr_scheduler.step()", roles.is_scheduler_step),
        ("logger.info('x')", roles.is_logging),
    ],
)
def test_roles_of_calls(text: str, role: roles.Role) -> None:
    assert role(call_of(statement(text)))


def test_a_scheduler_is_no_optimizer() -> None:
    assert not roles.is_optimizer_step(call_of(statement("scheduler.step()")))
    assert not roles.is_logging(call_of(statement("model(x)")))
