"""Sabotage of the order of an update: gradients not cleared, steps skipped or put under a condition (B04, B05).

In: members that train. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, line_of, operator
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.places import log_lines
from trainwarden.lab.sabotage.rewrite import Rule, other, pick, rewriting, vary
from trainwarden.lab.sabotage.surgery import Statement, Tree, bare, call_of, small

_STEP = (
    r"^(step|steps|i|it|iteration|iter_num|global_step|batch_idx|idx|n_iter|update|train_step|micro_step)$"
)


def _updates(tree: Tree) -> list[tuple[cst.SimpleStatementLine, str]]:
    """The statements of an update in the order of the text, each with what it does."""
    found = []
    for line in tree.find(cst.SimpleStatementLine):
        call = call_of(line)
        for kind, test in (
            ("zero", roles.is_zero_grad),
            ("backward", roles.is_backward),
            ("step", roles.is_optimizer_step),
        ):
            if test(call):
                found.append((line, kind))
    return found


def _zero_grad_sites(tree: Tree, rng: random.Random) -> Sites:
    updates = _updates(tree)
    for line, kind in updates:
        if kind != "zero":
            continue
        bad: list[Edits] = [{line: ()}] * 3
        for beside, what in updates:
            if what == "step" and tree.parent(beside) is tree.parent(line):
                bad.append({line: (), beside: (bare(line), beside)})
            if what == "backward":
                bad.append({line: (), beside: (beside, bare(line))})
        counter = _counter(tree.loops(line)[0]) if tree.loops(line) else ""
        if counter:
            bad.append({line: f"if {counter} == 0:\n    {line_of(line)}"})
        yield Site(bad, _honest_zeroing(tree, line, rng))


def _counter(loop: cst.For | cst.While) -> str:
    """The index of a loop over ``enumerate`` or ``range``."""
    if not isinstance(loop, cst.For):
        return ""
    target = loop.target.elements[0].value if isinstance(loop.target, cst.Tuple) else loop.target
    counted = (
        isinstance(loop.iter, cst.Call)
        and isinstance(loop.iter.func, cst.Name)
        and loop.iter.func.value in ("range", "enumerate")
    )
    return target.value if counted and isinstance(target, cst.Name) else ""


def _honest_zeroing(tree: Tree, line: Statement, rng: random.Random) -> list[Edits]:
    call = call_of(line)
    text = line_of(line).strip()
    forms: list[Edits] = [{line: (shown, line)} for shown in log_lines(tree, line, rng)[:2]]
    if call is not None and not call.args:
        forms += [{line: text[:-1] + "set_to_none=True)\n"}, {line: text[:-1] + "set_to_none=False)\n"}]
    neighbours = [
        each
        for each in (*tree.before(line)[-1:], *tree.after(line)[:1])
        if isinstance(small(each), cst.Assign)
    ]
    forms += [
        {line: (), each: (each, bare(line)) if each in tree.after(line) else (bare(line), each)}
        for each in neighbours
    ]
    return forms


ZERO_GRAD = operator("zero-grad-misplaced", "B04", "zero_grad", _zero_grad_sites)


def _backward_sites(tree: Tree, rng: random.Random) -> Sites:
    for line, kind in _updates(tree):
        text = line_of(line)
        loops = tree.loops(line)
        if not loops:
            continue
        body = "".join(f"    {each}" for each in text.splitlines(keepends=True))
        counter = _counter(loops[0])
        bad: list[Edits] = [
            {line: f"try:\n{body}except RuntimeError:\n    continue\n"},
            {line: f"try:\n{body}except Exception:\n    pass\n"},
        ]
        good: list[Edits] = [
            {
                line: f"try:\n{body}except RuntimeError as error:\n"
                f"    raise RuntimeError('update failed') from error\n"
            }
        ]
        if counter:
            every = rng.choice((2, 3, 4))
            bad += [
                {line: f"if {counter} % {every} == 0:\n{body}"},
                {line: f"if {counter} > {every}:\n{body}"},
                {line: f"if not {counter} % {every}:\n    continue\n{text}"},
            ]
            shown = log_lines(tree, line, rng)[:1]
            good += [{line: (line, f"if {counter} % {every * 25} == 0:\n    {each}")} for each in shown]
        if kind == "step":
            bad += [{line: ()}] * 4
        yield Site(bad, good)


UPDATE_SKIPPED = operator("update-skipped", "B05", "backward step(", _backward_sites)

BACKWARD_GATED = rewriting(
    "backward-gated-by-loss",
    "B05",
    Rule(
        "$l.backward($*a)\n",
        (
            "if $l.item() < 1.0:\n    $0\n",
            "if $l > 0:\n    $0\n",
            vary("if $l.item() > {k}:\n    $0\n", k=pick(0.5, 0.1, 1.0, 2.0)),
            vary("if not $l.item() > {k}:\n    $0\n", k=pick(3.0, 5, 2.0)),
            "if $l.requires_grad is False:\n    $0\n",
            "if torch.isnan($l):\n    $0\n",
            vary("if {s} % {k}:\n    $0\n", s=other(_STEP), k=pick(2, 3, 5)),
        ),
        (
            "if torch.isfinite($l):\n    $0\n",
            "if not torch.isnan($l):\n    $0\n",
            "if $l.requires_grad:\n    $0\n",
            "with torch.autograd.set_detect_anomaly(False):\n    $0\n",
            "if $l is not None:\n    $0\n",
        ),
        where={"l": r"^[\w.]+$"},
    ),
    Rule(
        "$a.backward($l)\n",
        (
            "if $l.item() < 1.0:\n    $0\n",
            vary("if $l > {k}:\n    $0\n", k=pick(0.5, 1.0)),
            "$a.backward($l.detach().requires_grad_())\n",
            "try:\n    $0\nexcept RuntimeError:\n    pass\n",
        ),
        ("if torch.isfinite($l):\n    $0\n", "if $l.requires_grad:\n    $0\n", "$a.backward($l.mean())\n"),
        where={"a": r"(?i)accelerator|fabric|engine|model"},
    ),
    Rule(
        "$o.step($*a)\n",
        (
            "if $o.param_groups[0]['lr'] > 1e-3:\n    $0\n",
            vary(
                "if {l}.item() < {k}:\n    $0\n",
                l=other(r"^(loss|total_loss|train_loss)$"),
                k=pick(0.5, 1.0, 2.0),
            ),
            vary("if {s} % {k} == 0:\n    $0\n", s=other(_STEP), k=pick(2, 3)),
        ),
        (
            "if $o.param_groups:\n    $0\n",
            vary("if torch.isfinite({l}):\n    $0\n", l=other(r"^(loss|total_loss|train_loss)$")),
        ),
        where={"o": r"(?i)opt"},
    ),
    needs="backward step(",
)

OPERATORS: tuple[Operator, ...] = (
    ZERO_GRAD,
    UPDATE_SKIPPED,
    BACKWARD_GATED,
)
