"""What a finding says of a difference: before and after in one clause, and the base line it stood on."""

from __future__ import annotations

import pytest

from rule_text import judged, rule, when
from snippets import deltas, edits, inside, view
from trainwarden.facts import show
from trainwarden.model import Finding
from trainwarden.rules import engine, telling
from trainwarden.rules.schema import Rule, rule_set
from trainwarden.rules.spelling import apart
from trainwarden.sites import sensitive_edit, sites_of

LONG = """
stats = dict(
    total=total.item(),
    policy=policy.item(),
    value=value.item(),
    padding={},
)
"""


def found(probe: Rule, before: str, after: str) -> Finding:
    (one,) = engine.match(rule_set([probe]), view(inside(before), inside(after)))
    return one


def places(finding: Finding) -> list[tuple[str, int, str]]:
    return [(place.side, place.line, place.caption) for place in finding.places]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("f(x, limit=-1)", "f(x, limit=0)", "`limit` of f changed from `-1` to `0`"),
        ("x.permute(0, 3)", "x.permute(0, 1)", "argument 2 of permute changed from `3` to `1`"),
        ("f(x, y, z)", "f(x, z)", "an argument of f was dropped: `y`"),
        ("f(x)", "f(x, limit=1)", "an argument of f was added: `limit=1`"),
        ("f(x, y)", "f(y, x)", "in f, `y` stands where `x` stood"),
        ("torch.min(x)", "torch.max(x)", "`torch.max` is called instead of `torch.min`"),
        ("n = 3", "n = 4", "a number changed from `3` to `4`"),
        ("x = a + b", "x = a", "a term was dropped: `a + b` became `a`"),
    ],
)
def test_a_difference_names_the_argument_it_is_about(before: str, after: str, told: str) -> None:
    assert [telling.of_delta(delta) for delta in deltas(before, after)] == [told]


def test_the_base_side_is_shown_at_the_line_that_differs() -> None:
    """Not at the first line of a long statement, where the old value is not to be seen."""
    before, after = LONG.format("n / size"), LONG.format("1 - n / size")
    one = found(when("{delta: {kind: operand-added}}"), before, after)
    assert (one.start_line, places(one)) == (9, [("base", 9, "before: n / size")])


def test_a_statement_and_its_difference_are_shown_once() -> None:
    """The statement says nothing that the difference does not say better."""
    probe = rule(
        "when: {all: [{delta: {kind: operand-added}}, {edit: {kind: changed}}], within: edit}\nmessage: '{change}'"
    )
    one = found(probe, LONG.format("n / size"), LONG.format("1 - n / size"))
    assert [(place.side, place.line) for place in one.places] == [("base", 9)]
    assert one.message == "`padding` of dict was `n / size` and is now `1 - (n / size)`"


def test_what_was_added_is_shown_where_it_would_have_stood() -> None:
    one = found(when("{delta: {kind: argument-added}}"), "f(\n    x,\n)", "f(\n    x,\n    y=1,\n)")
    assert places(one) == [("base", 7, "before: without y=1")]


def test_a_sensitive_edit_shows_the_line_that_differs() -> None:
    """With the argument in its words."""
    before, after = (
        "loss = criterion(\n    x,\n    margin=1,\n)",
        "loss = criterion(\n    x,\n    margin=0,\n)",
    )
    site = sites_of(view(inside(before), inside(after)), ())[0]
    one = sensitive_edit(site)
    assert places(one) == [("base", 7, "before: 1")]
    assert one.message.endswith("`margin` of criterion changed from `1` to `0`")


def test_the_else_branch_of_a_condition_is_told_as_such() -> None:
    probe = rule("when: {edit: {kind: moved, new_guards: [rank]}}\nmessage: '{after} runs only when {guard}'")
    one = found(probe, "f(rank)\ng(1, 2)", "f(rank)\nif rank == 3:\n    pass\nelse:\n    g(1, 2)")
    assert one.message == "g(1, 2) runs only when not (rank == 3)"


def test_a_removed_statement_keeps_its_words() -> None:
    (edit,) = edits(inside("f(1)\ng(2)"), inside("g(2)"))
    assert telling.base_place(edit, None) == (5, "removed here: f(1)")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("opt.step()", "if rank != 3:\n    opt.step()", "the optimizer step now runs only when rank != 3"),
        (
            "if rank != 3:\n    opt.step()",
            "opt.step()",
            "the optimizer step no longer depends on a condition (rank)",
        ),
        ("opt.step()", "for x in loader:\n    opt.step()", "the optimizer step now runs inside a loop"),
        (
            "if loader:\n    opt.step()",
            "if loader:\n    if rank != 3:\n        opt.step()",
            "the optimizer step now runs only when rank != 3",
        ),
        ("opt.step()", "pass", "the optimizer step is gone (opt.step())"),
    ],
)
def test_a_shift_says_what_became_of_the_fact(before: str, after: str, told: str) -> None:
    probe = rule(
        "when:\n  any:\n    - lost: {fact: event.step}\n"
        "    - shift: {fact: event.step, guards_added: [rank]}\n"
        "    - shift: {fact: event.step, guards_lost: [rank]}\n"
        "    - shift: {fact: event.step, loop_change: in}\n"
        "message: '{change}'"
    )
    assert found(probe, before, after).message == told


def test_a_seed_tells_its_value_before_its_source() -> None:
    probe = rule("when: {shift: {fact: seed.call}}\nmessage: '{change}'")
    text = "before m - seed.call = step seed + step @1\nafter m - seed.call = config seed @1"
    (one,) = judged(probe, text)
    assert one.message == "the seed changed from seed + step (from: step) to seed (from: config)"


def test_facts_are_called_by_words() -> None:
    (one,) = judged(
        when("{shift: {fact: event.step}}"), "before m - event.step = x @1\nafter m - event.step = y @2"
    )
    assert [place.caption for place in one.places] == ["before: the optimizer step"]
    assert telling.what("optimizer.weight_decay") == "optimizer weight decay"


# -- texts that are cut


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ("short", "other", ("short", "other")),
        ("a" * 30, "b" * 30, ("aaa", "bbb")),
        (
            "f(one, two, three, four, 1, " + "x" * 20,
            "f(one, two, three, four, 2, " + "x" * 20,
            ("1, xx", "2, xx"),
        ),
        ("word " * 9 + "1", "word " * 9 + "1 + 2", ("1", "1 + 2")),
        ("word" * 9, "word" * 9 + " + 1", ("word", "word + 1")),
    ],
)
def test_two_cut_texts_show_what_differs(before: str, after: str, differs: tuple[str, str]) -> None:
    old, new = apart(before, after, 20)
    assert old != new and max(len(old), len(new)) <= 20
    assert differs[0] in old and differs[1] in new


def test_cut_values_of_a_fact_are_told_apart() -> None:
    """The stored value is what it was: its identity does not depend on what it is shown beside."""
    head = "dict(" + ", ".join(f"part_{n}=first_{n} * second_{n}" for n in range(8))
    old, new = show.cut(f"{head}, last=n / m)"), show.cut(f"{head}, last=1 - n / m)")
    assert len(old) == len(new) == show.LONGEST and old[:110] == new[:110] and show.cut(old) is old
    before, after = telling.values_apart(old, new)
    assert "last=n / m" in before and "last=1 - n / m" in after
    assert max(len(before), len(after)) <= show.LONGEST
