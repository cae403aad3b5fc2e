"""The engine on facts and edits written as text: every condition, quiet first."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from rule_text import evidence, judged, lines, rule, when
from trainwarden.rules import engine
from trainwarden.rules.schema import rule_set
from trainwarden.rules.text import read_view

CLIP = "torch.nn.utils.clip_grad_norm_(p, 1.0)"
CLIP_STEP = "before m - event.clip = x @1\nbefore m - event.step = x @2\n"
F, G = "{edit: {pattern: 'f(...)'}}", "{edit: {pattern: 'g(...)'}}"
FX, GX = "{edit: {pattern: 'f($X)'}}", "{edit: {pattern: 'g($X)'}}"

QUIET = [
    # edit
    ("edit: {kind: removed, pattern: '~.step()'}", "added main @3: opt.step()"),
    ("edit: {kind: removed, pattern: '~.step()'}", "removed main @3: opt.stop()"),
    ("edit: {pattern: 'f($X)', not_pattern: 'f(1)'}", "added main @3: f(1)"),
    ("edit: {in_member: 'train*'}", "added evaluate @3: f(1)"),
    ("edit: {loop: '>=1'}", "added main @3: f(1)"),
    ("edit: {loop: 0}", "added main @3 loop=1: f(1)"),
    ("edit: {guards: [rank]}", "added main @3 guards=step: f(1)"),
    ("edit: {no_guards: [trigger]}", "added main @3 guards=clock: f(1)"),
    ("edit: {new_guards: [trigger]}", "added main @3 guards=clock: f(1)"),
    ("edit: {new_guards: [rank]}", "added main @3 guards=+clock: f(1)"),
    ("edit: {roles: [loss]}", "added main @3 roles=grad: f(1)"),
    ("edit: {kind: added, not_roles: [log]}", "added main @3 roles=log,loss: f(1)"),
    ("edit: {new_member: true}", "added main @3: f(1)"),
    ("edit: {loop_change: out}", "moved main @3 was=0 loop=1: f(1)"),
    ("edit: {statement: assert}", "added main @3: f(1)"),
    ("edit: {loses: 'f($X)'}", "changed main @3: f(1) => g(f(1))"),
    ("edit: {gains: 'f($X)'}", "changed main @3: f(1) => g(f(1))"),
    ("edit: {before: 'f($X)'}", "added main @3: f(1)"),
    ("edit: {kind: removed, gone_elsewhere: true}", "removed main @3: f(1)\nadded other @9: f(1)"),
    (
        "edit: {loses: '~.clip_grad_norm_(...)', gone_elsewhere: true}",
        f"removed main @3: {CLIP}\nfile b.py\nadded other @9: {CLIP}",
    ),
    ("edit: {from_member: setup}", "moved main @3 from=train.py:finish: f(1)"),
    ("edit: {condition_gains: [clock]}", "changed main @3: if a(): ... => if b(): ..."),
    # delta
    ("delta: {kind: sign}", "changed main @3: x = f(1) => x = f(2)\ndelta number: 1 => 2"),
    ("delta: {ratio: '>=10'}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2"),
    ("delta: {ratio: '>=10'}", "changed main @3: x = a => x = 20\ndelta number: a => 20"),
    ("delta: {sign_change: true}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2"),
    ("delta: {direction: down}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2"),
    ("delta: {near_one: true}", "changed main @3: x = y => x = y * 1\ndelta operand-added: - => 1"),
    (
        "delta: {renamed: true}",
        "changed main @3: x = math.cos(a) => x = np.cos(a)\ndelta callee: math.cos => np.cos",
    ),
    ("delta: {roles: [loss]}", "changed main @3 roles=loss: x = 1 => x = 2\ndelta number: 1 => 2"),
    ("delta: {inside: '*.clip'}", "changed main @3: x = 1 => x = 2\ndelta number inside=a.b: 1 => 2"),
    ("delta: {slot: lr}", "changed main @3: x = 1 => x = 2\ndelta number slot=eps: 1 => 2"),
    ("delta: {to: 0}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2"),
    ("delta: {to: true}", "changed main @3: x = True => x = False\ndelta constant: True => False"),
    ("delta: {from: '$X.mean()'}", "changed main @3: x = a => x = b\ndelta replaced: f(a.mean()) => b"),
    ("delta: {after: 'detach()'}", "changed main @3: x = a => x = b\ndelta wrapped: a => a.detach()"),
    # shift
    (
        "shift: {fact: optimizer.lr, ratio: '>=10'}",
        "before m o optimizer.lr = 3 @1\nafter m o optimizer.lr = 4 @1",
    ),
    ("shift: {fact: 'clip.*', to: absent}", "after m o clip.max_norm = 1 @1"),
    (
        "shift: {fact: clip.max_norm, to: absent, unless_elsewhere: true}",
        "before m o clip.max_norm = 1 @1\nfile b.py\nafter n o clip.max_norm = 1 @7",
    ),
    ("shift: {fact: a.b, from: present}", "after m o a.b = 1 @1"),
    ("shift: {fact: a.b, direction: up}", "before m o a.b = 3 @1\nafter m o a.b = 2 @1"),
    ("shift: {fact: a.b, loop_change: in}", "before m o a.b = 3 @1 loop=1\nafter m o a.b = 3 @1"),
    (
        "shift: {fact: a.b, guards_added: [trigger]}",
        "before m o a.b = 3 @1\nafter m o a.b = 3 @1 guards=config",
    ),
    ("shift: {fact: a.b, value_change: true}", "before m o a.b = 3 @1\nafter m o a.b = 3 @1 loop=1"),
    ("shift: {fact: a.b, subject: opt}", "before m o a.b = 3 @1\nafter m o a.b = 2 @1"),
    # fact, order, lost
    ("fact: {name: a.b, new: true}", "before m o a.b = 3 @1\nafter m o a.b = 3 @1"),
    ("fact: {name: a.b, value: 4}", "after m o a.b = 3 @1"),
    (
        "order: {was: [clip, step], now: [step, clip]}",
        CLIP_STEP + "after m - event.clip = x @1\nafter m - event.step = x @2",
    ),
    (
        "order: {was: [clip, step], now: [step, clip], within: loop}",
        CLIP_STEP + "after m - event.step = x @1\nafter m - event.clip = x @2",
    ),
    (
        "order: {was: [clip, step], now: [step, clip]}",
        CLIP_STEP + "after n - event.step = x @1\nafter n - event.clip = x @2",
    ),
    ("lost: {fact: mode.eval}", "before m o mode.eval = x @1\nafter n p mode.eval = y @9"),
    (
        "lost: {pattern: ['~.clip_grad_norm_(...)', '~.clip_grad_value_(...)']}",
        f"removed main @3: {CLIP}\nadded main @4: torch.nn.utils.clip_grad_value_(p, 1.0)",
    ),
    # the rest
    ("mark: {kind: bidi}", "mark homoglyph @3 x"),
    ("unread: {training: true}", "file a.py training=no\nunread 1-3 broken"),
    ("all: [{file: {path: '*.yml'}}, {edit: {kind: added}}]", "added main @3: f(1)"),
    (f"all: [{FX}, {{provenance: {{of: $X, from: [clock]}}}}]", "added main @3: f(random.random())"),
    (f"all: [{FX}, {{where: {{of: $X, is: '>=10'}}}}]", "added main @3: f(9)"),
    (f"all: [{FX}, {GX}]", "added main @3: f(a)\nadded main @4: g(b)"),
    (f"{{all: [{F}, {G}], within: member}}", "added main @3: f(a)\nadded other @4: g(b)"),
    (f"{{all: [{F}, {G}], near: 3}}", "added main @3: f(a)\nadded main @9: g(b)"),
    (f"{{all: [{F}, {G}], within: edit}}", "added main @3: f(a)\nadded main @4: g(b)"),
    (f"{{all: [{F}, {G}], within: loop}}", "added main @3 loop=1: f(a)\nadded main @4: g(b)"),
    (f"all: [{F}, {G}]", "added main @3: f(a)\nfile b.py\nadded main @4: g(b)"),
    (f"all: [{FX}, {{not: {GX}}}]", "added main @3: f(a)\nadded main @4: g(a)"),
    (f"count: {{at_least: 2, of: {F}}}", "added main @3: f(a)"),
    (
        f"count: {{at_least: 2, of: [{F}, {G}, {{mark: {{kind: bidi}}}}]}}",
        "added main @3: f(a)\nadded main @5: f(b)",
    ),
    (f"guard: {{kinds: [trigger], over: {F}}}", "added main @3 guards=clock: f(a)"),
    (f"guard: {{kinds: [trigger], over: {F}}}", "added main @3 guards=+config: f(a)"),
]
FIRING = [
    ("edit: {kind: removed, pattern: '~.step()'}", "removed main @3: opt.step()", 3),
    ("edit: {kind: [moved, changed], pattern: 'f(...)'}", "moved main @3: f(1)", 3),
    ("edit: {in_member: step}", "added Trainer.step @3: f(1)", 3),
    ("edit: {in_member: '/^Trainer/'}", "added Trainer.step @3: f(1)", 3),
    ("edit: {loop: '>=1'}", "added main @3 loop=2: f(1)", 3),
    ("edit: {guards: [trigger]}", "added main @3 guards=rank: f(1)", 3),
    ("edit: {pattern: 'f(1)', new_guards: [trigger]}", "added main @3 guards=+clock: f(1)", 3),
    ("edit: {new_guards: [trigger], kind: moved}", "moved main @3 guards=+rank: f(1)", 3),
    ("edit: {roles: [loss, grad], not_roles: [log]}", "added main @3 roles=grad: f(1)", 3),
    ("edit: {new_member: false}", "added main @3: f(1)", 3),
    ("edit: {loop_change: out}", "moved main @3 was=2 loop=1: f(1)", 3),
    ("edit: {statement: [assert, raise]}", "removed main @3: assert x", 3),
    ("edit: {loses: 'f($X)'}", "changed main @3: f(1) => f(2)", 3),
    ("edit: {gains: 'f($X)'}", "changed main @3: f(1) => f(2)", 3),
    ("edit: {before: 'f($X)', after: 'g($X)'}", "changed main @3: f(1) => g(1)", 3),
    ("edit: {kind: removed, gone_elsewhere: true}", "removed main @3: f(1)\nadded other @9: f(2)", 3),
    ("edit: {from_member: setup}", "moved main @3 from=train.py:setup: f(1)", 3),
    (
        "edit: {condition_gains: [clock]}",
        "changed main @3: if a(): ... => if a() and time.time() > 9: ...",
        3,
    ),
    ("delta: {kind: [sign, number]}", "changed main @3: x = f(1) => x = f(2)\ndelta number: 1 => 2", 3),
    ("delta: {ratio: '>=10'}", "changed main @3: x = 20 => x = 2\ndelta number: 20 => 2", 3),
    ("delta: {ratio: '>=10', kind: number}", "changed main @3: x = 1 => x = 0\ndelta number: 1 => 0", 3),
    ("delta: {sign_change: true}", "changed main @3: x = 1 => x = -2\ndelta number: 1 => -2", 3),
    ("delta: {direction: up}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2", 3),
    ("delta: {near_one: true}", "changed main @3: x = y => x = y * 1.01\ndelta operand-added: - => 1.01", 3),
    (
        "delta: {renamed: true}",
        "changed main @3: x = cos(a) => x = sin(a)\ndelta callee: np.cos => np.sin",
        3,
    ),
    (
        "delta: {renamed: false}",
        "changed main @3: x = cos(a) => x = np.cos(a)\ndelta callee: cos => np.cos",
        3,
    ),
    ("delta: {roles: [loss]}", "changed main @3: x = 1 => x = 2\ndelta number roles=loss: 1 => 2", 3),
    ("delta: {inside: clip}", "changed main @3: x = 1 => x = 2\ndelta number inside=a.clip: 1 => 2", 3),
    ("delta: {slot: [lr, '1']}", "changed main @3: x = 1 => x = 2\ndelta number slot=1: 1 => 2", 3),
    ("delta: {from: '<=1', to: 2}", "changed main @3: x = 1 => x = 2\ndelta number: 1 => 2.0", 3),
    ("delta: {to: false}", "changed main @3: x = True => x = False\ndelta constant: True => False", 3),
    ("delta: {to: torch.bfloat16}", "changed main @3: x = 1 => x = 2\ndelta name: a => torch.bfloat16", 3),
    (
        "delta: {from: '$X.mean()', to: '$X.sum()'}",
        "changed main @3: x = 1 => x = 2\ndelta callee: a.mean() => a.sum()",
        3,
    ),
    ("delta: {after: '~.detach()'}", "changed main @3: x = a => x = b\ndelta wrapped: a => f(a.detach())", 3),
    (
        "shift: {fact: optimizer.lr, ratio: '>=10'}",
        "before m o optimizer.lr = 3 @1\nafter m o optimizer.lr = 40 @2",
        2,
    ),
    (
        "shift: {fact: '*.lr', either_ratio: '>=10', direction: down}",
        "before m o optimizer.lr = 40 @1\nafter m o optimizer.lr = 3 @2",
        2,
    ),
    ("shift: {fact: 'clip.*', to: absent, unless_elsewhere: true}", "before m o clip.max_norm = 1 @1", 1),
    ("shift: {fact: a.b, from: absent, to: ['x*', 3]}", "after m o a.b = xyz @4", 4),
    ("shift: {fact: a.b, loop_change: in}", "before m o a.b = 3 @1\nafter m o a.b = 3 @1 loop=1", 1),
    (
        "shift: {fact: a.b, guards_added: [trigger]}",
        "before m o a.b = 3 @1\nafter m o a.b = 3 @1 guards=clock",
        1,
    ),
    ("shift: {fact: a.b, guards_lost: [rank]}", "before m o a.b = 3 @1 guards=rank\nafter m o a.b = 3 @1", 1),
    (
        "shift: {fact: a.b, sign_change: true, in_member: m}",
        "before m o a.b = 3 @1\nafter m o a.b = -3 @1",
        1,
    ),
    ("fact: {name: a.b, value: '>2', guards: [rank], loop: 1}", "after m o a.b = 3 @1 loop=1 guards=rank", 1),
    ("fact: {name: a.b, side: base, new: true}", "before m o a.b = 3 @5", 5),
    (
        "order: {was: [clip, step], now: [step, clip]}",
        CLIP_STEP + "after m - event.step = x @1\nafter m - event.clip = x @2",
        1,
    ),
    (
        "order: {now: [step, backward]}",
        "before m - event.backward = x @1\nafter m - event.step = x @1\nafter m - event.backward = x @2",
        1,
    ),
    (
        "lost: {fact: mode.eval}",
        "before m o mode.eval = x @1\nbefore m p mode.eval = x @2\nafter m o mode.eval = x @1",
        2,
    ),
    ("lost: {pattern: '~.clip_grad_norm_(...)'}", f"removed main @3: {CLIP}", 3),
    ("lost: {pattern: '~.clip_grad_norm_(...)'}", f"changed main @3: x = {CLIP} => x = 0", 3),
    ("mark: {kind: 'b*'}", "mark bidi @3 x", 3),
    ("unread: {reason: '*broken*'}", "unread 4-6 it is broken", 4),
    ("all: [{file: {path: train.py, status: modified}}, {edit: {kind: added}}]", "added main @3: f(1)", 3),
    ("file: {kind: python, test: false}", "added main @3: f(1)", 1),
    (f"all: [{FX}, {{provenance: {{of: $X, from: [clock]}}}}]", "added main @3: f(int(time.time()))", 3),
    (f"all: [{{provenance: {{of: $X, from: [constant]}}}}, {FX}]", "added main @3: f(-(1 + 2))", 3),
    (
        f"all: [{FX}, {{where: {{of: $X, name: 'torch.*', kind: attribute}}}}]",
        "added main @3: f(torch.float16)",
        3,
    ),
    (f"all: [{FX}, {GX}]", "added main @3: f(a)\nadded main @4: g(a)", 3),
    (f"{{all: [{F}, {G}], near: 3}}", "added main @3: f(a)\nadded main @5: g(b)", 3),
    (f"{{all: [{F}, {G}], within: edit}}", "added main @3: f(g(a))", 3),
    (f"{{all: [{F}, {G}], within: change}}", "added main @3: f(a)\nfile z.py\nadded main @4: g(b)", 3),
    (f"all: [{FX}, {{not: {GX}, within: member}}]", "added main @3: f(a)\nadded other @4: g(a)", 3),
    (
        f"all: [{F}, {{edit: {{pattern: 'g(...)'}}, within: change}}]",
        "added main @3: f(a)\nfile a.py\nadded main @4: g(b)",
        3,
    ),
    (f"count: {{at_least: 2, of: {F}}}", "added main @3: f(a)\nadded main @5: f(b)", 3),
    (
        f"count: {{at_least: 2, of: [{F}, {G}, {{mark: {{kind: bidi}}}}]}}",
        "added main @3: f(a)\nmark bidi @9 x",
        3,
    ),
    (f"guard: {{kinds: [trigger], over: {F}}}", "added main @3 guards=+clock: f(a)", 3),
    (f"guard: {{kinds: [clock], new: false, over: {F}}}", "added main @3 guards=clock: f(a)", 3),
]


@pytest.mark.parametrize(("condition", "view"), QUIET)
def test_stays_quiet(condition: str, view: str) -> None:
    """Near misses of every condition."""
    assert lines(when(_flow(condition)), view) == []


@pytest.mark.parametrize(("condition", "view", "line"), FIRING)
def test_fires(condition: str, view: str, line: int) -> None:
    """Every condition, placed on the expected line."""
    assert lines(when(_flow(condition)), view) == [line]


def _flow(condition: str) -> str:
    return condition if condition.startswith("{") else "{" + condition + "}"


def test_training_rules_are_quiet_elsewhere() -> None:
    """Files that are not training code, and tests, unless the rule says so."""
    condition = "when: {edit: {pattern: 'f(...)'}}\n"
    elsewhere, tests = "file a.py training=no\nadded m @3: f(1)", "file a.py test=yes\nadded m @3: f(1)"
    assert lines(rule(condition), elsewhere) == lines(rule(condition), tests) == []
    assert lines(rule(condition + "requires: any\n"), elsewhere) == [3]
    assert lines(rule(condition + "tests: true\n"), tests) == [3]


def test_unless_excuses_in_the_same_file_only() -> None:
    """An excuse counts where the finding is, with the same captures, unless it is widened."""
    probe = rule(
        "when: {edit: {kind: removed, pattern: 'f($X)'}}\nunless: [{edit: {kind: added, pattern: 'g($X)'}}]"
    )
    assert lines(probe, "removed m @3: f(a)\nadded m @9: g(a)") == []
    assert lines(probe, "removed m @3: f(a)\nadded m @9: g(b)") == [3]
    assert lines(probe, "removed m @3: f(a)\nfile b.py\nadded m @9: g(a)") == [3]
    wide = rule(
        "when: {edit: {kind: removed, pattern: 'f($X)'}}\n"
        "unless: [{edit: {kind: added, pattern: 'g($X)'}, within: change}]"
    )
    assert lines(wide, "removed m @3: f(a)\nfile b.py\nadded m @9: g(a)") == []


def test_scope_says_what_one_finding_is() -> None:
    """One for each edit, file or change; the other places are kept."""
    view = "added m @3: f(a)\nadded m @5: f(b)\nfile b.py\nadded m @7: f(c)"
    body = "when: {edit: {pattern: 'f(...)'}}\nscope: "
    assert [len(judged(rule(body + scope), view)) for scope in ("edit", "file", "change")] == [3, 2, 1]
    (found,) = judged(rule(body + "change"), view)
    assert [(place.path, place.line) for place in found.places] == [("train.py", 3), ("train.py", 5)]


def test_two_differences_of_one_statement_are_one_finding() -> None:
    """An edit is one place, whatever changed in it."""
    view = "changed m @3: f(1, 2) => f(3, 4)\ndelta number slot=0: 1 => 3\ndelta number slot=1: 2 => 4"
    assert lines(when("{delta: {kind: number}}"), view) == [3]


def test_a_removal_shows_the_line_it_removed() -> None:
    """On the line after the gap, with the base line beside it."""
    (found,) = judged(when("{edit: {kind: removed}}"), "removed m @8 base=11: f(1)")
    assert (found.start_line, found.side, found.member) == (8, "head", "m")
    assert [(p.line, p.side, p.caption) for p in found.places] == [(11, "base", "removed here: f(1)")]


def test_a_move_shows_where_it_came_from() -> None:
    """The old place, in the old file."""
    (found,) = judged(when("{edit: {kind: moved}}"), "moved m @8 base=2 from=old.py:setup: f(1)")
    assert [(p.path, p.line, p.side) for p in found.places] == [("old.py", 2, "base")]


def test_a_trigger_shows_its_condition() -> None:
    """The condition's line and text."""
    probe = rule(
        "when: {guard: {kinds: [trigger], over: {edit: {pattern: 'f(...)'}}}}\nmessage: '{after} if {guard}'"
    )
    (found,) = judged(probe, "added m @8 guards=+clock: f(1)")
    assert found.message == "f(1) if clock"
    assert [(p.line, p.caption) for p in found.places] == [(7, "runs only under this condition (clock)")]


def test_evidence_says_what_matched() -> None:
    """Captures, numbers and guard kinds, as plain values."""
    seen = evidence(when("{edit: {pattern: 'f($X)', guards: [rank]}}"), "added m @8 guards=rank: f(a.b)")
    assert (seen["captures"], seen["guards"], seen["edit"]) == ({"X": "a.b"}, ["rank"], "added")
    seen = evidence(
        when("{shift: {fact: a.b, ratio: '>=10'}}"), "before m o a.b = 3 @1\nafter m o a.b = 60 @1"
    )
    assert (seen["fact"], seen["before"], seen["after"], seen["ratio"]) == ("a.b", "3", "60", 20.0)


def test_parameters_fill_conditions_and_message() -> None:
    """``{name}`` in both."""
    probe = rule(
        "parameters: {most: 10}\n"
        "when: {shift: {fact: a.b, ratio: '>={most}'}}\n"
        "message: '{ratio} is over {most}'"
    )
    view = "before m o a.b = 3 @1\nafter m o a.b = 60 @1"
    assert [found.message for found in judged(probe, view)] == ["20.0 is over 10"]
    strict = replace(probe, parameters={"most": 30})
    assert lines(strict, view) == []


MESSAGES = [
    ("{before} is now {after}", "changed m @3: f(1) => f(2)", "f(1) is now f(2)"),
    ("{before} is now {after}", "removed m @3: f(1)", "f(1) is gone"),
    ("{before} became {after}", "added m @3: f(2)", "f(2) is new"),
    ("read elsewhere: {after}", "removed m @3: f(1)", "read elsewhere"),
    ("{before}{after} runs at random", "changed m @3: f(1) => f(2)", "f(2) runs at random"),
    ("{before}{after} runs at random", "removed m @3: f(1)", "f(1) runs at random"),
]


@pytest.mark.parametrize(("template", "view", "said"), MESSAGES)
def test_a_message_speaks_of_the_sides_there_are(template: str, view: str, said: str) -> None:
    """No sentence ends in nothing."""
    (found,) = judged(rule(f"when: {{edit: {{pattern: 'f(...)'}}}}\nmessage: '{template}'"), view)
    assert found.message == said


def test_what_is_lost_is_told_by_its_statement() -> None:
    """The arguments of a call that is gone say too little."""
    probe = rule("when: {lost: {fact: event.backward}}\nmessage: 'gone: {before}'")
    view = "before m loss event.backward =  @8\nremoved m @8 base=8: loss.backward()"
    assert [found.message for found in judged(probe, view)] == ["gone: loss.backward()"]


def test_deleted_file() -> None:
    """On the base side, at the base's lines."""
    (found,) = judged(when("{edit: {kind: removed}}"), "file a.py status=deleted\nremoved m @8 base=11: f(1)")
    assert (found.path, found.side, found.start_line) == ("a.py", "base", 11)


VIEW = """
file a.py
added m @3: f(a)
removed m @5 base=6: g(b)
file b.py
changed n @7: f(1) => f(2)
delta number: 1 => 2
file c.py
before m o a.b = 3 @1
after m o a.b = 60 @1
"""


def test_the_order_of_files_and_rules_changes_nothing() -> None:
    """Every permutation gives the same findings in the same order."""
    probes = [
        when("{edit: {kind: [added, changed]}}"),
        replace(when("{shift: {fact: a.b}}"), id="shifty"),
        replace(rule("when: {edit: {kind: removed}}\nscope: change"), id="gone"),
    ]
    view = read_view(VIEW)
    expected = engine.match(rule_set(probes), view)
    assert len(expected) == 4
    for files in itertools.permutations(view.files):
        for rules in itertools.permutations(probes):
            assert engine.match(rule_set(rules), replace(view, files=files)) == expected


def test_fingerprints_do_not_know_lines() -> None:
    """The same code elsewhere in the file is the same finding; other code is not."""
    probe = when("{edit: {kind: added}}")

    def fingerprint(view: str) -> str:
        (found,) = judged(probe, view)
        return found.fingerprint

    assert fingerprint("added m @3: f(a)") == fingerprint("added m @90: f(a)")
    assert fingerprint("added m @3: f(a)") != fingerprint("added m @3: f(b)")
    assert fingerprint("added m @3: f(a)") != fingerprint("file b.py\nadded m @3: f(a)")


def test_many_places_are_one_rule_speaking_often() -> None:
    """A flood of decoys neither hides a later place from a joined condition nor floods the report."""
    flood = "\n".join(f"added m @{n}: f({n})" for n in range(1, 400))
    joined = when("{all: [{edit: {pattern: 'f($X)'}}, {edit: {pattern: 'g($X)'}}]}")
    assert lines(joined, flood + "\nadded m @900: f(z)\nadded m @901: g(z)") == [900]
    assert len(judged(when("{edit: {pattern: 'f($X)'}}"), flood)) == engine.MOST_FINDINGS
