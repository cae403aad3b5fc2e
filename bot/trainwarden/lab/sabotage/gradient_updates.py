"""Sabotage between the backward pass and the update: accumulation, clipping, hooks, direct edits, scalers (B06-B11).

In: members that train. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import gradient_edits, roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, operator
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.places import log_lines
from trainwarden.lab.sabotage.rewrite import Rule, pick, rewriting, vary
from trainwarden.lab.sabotage.surgery import Statement, Tree, bare, call_of, small, walk

_ACCUMULATION = r"(?i)accum|grad_acc|micro|\bga\b|n_chunks|update_freq|iter_size|virtual"
ACCUMULATION = rewriting(
    "accumulation-scale-wrong",
    "B06",
    Rule(
        "$l / $n",
        ("$l", "$l / ($n + 1)", "$l / $n ** 2", "$l / max($n - 1, 1)", "$l * $n", "$l / $n / $n"),
        ("$l / float($n)", "$l / max($n, 1)", "$l * (1.0 / $n)", "torch.div($l, $n)"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$l = $l / $n\n",
        (*[""] * 3, "$l = $l * 1.0\n", "$l = $l / ($n * $n)\n"),
        ("$l /= $n\n", "$l = $l * (1.0 / $n)\n", "$l = $l / max(1, $n)\n"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$l /= $n\n",
        (*[""] * 3, "$l /= $n + 1\n", "$l *= $n\n"),
        ("$l = $l / $n\n", "$l /= max(1, $n)\n", "$l /= float($n)\n"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$i % $n == 0",
        (
            "$i % $n == 1",
            "$i % ($n + 1) == 0",
            "$i % $n != 0",
            "$i // $n == 0",
            "$i % ($n * $n) == 0",
            "$i % $n == $n - 2",
        ),
        ("not $i % $n", "$i % max(1, $n) == 0", "0 == $i % $n", "not ($i % $n)"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$i % $n != 0",
        ("$i % $n == 0", "$i % ($n + 1) != 0", "$i % $n > 1"),
        ("$i % $n > 0", "bool($i % $n)", "$i % $n"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$i == $n - 1",
        ("$i == $n", "$i == 0", "$i == $n - 2"),
        ("$i + 1 == $n", "$n - 1 == $i"),
        where={"n": _ACCUMULATION},
    ),
    needs="accum grad_acc micro n_chunks update_freq iter_size",
)

ACCUMULATION_NUMBER = named_number(
    "accumulation-count-literal",
    "B06",
    r"accum\w*steps|accumulate_grad|grad_accum|gradient_accumulation|update_freq|iter_size",
    (8.0, 16.0, 64.0),
    (2.0, 0.5),
    "accum update_freq iter_size",
)

CLIP = rewriting(
    "clipping-disabled",
    "B07",
    Rule(
        "$f($p, $n, $*a)",
        (
            vary("$f($p, $n * {k}, $*a)", k=pick(100, 1000, "1e4", "1e-3", "1e-4")),
            vary("$f($p, {k})", k=pick("1e9", "1e-6", "float('inf')", "1e6", "1e-8", "0.0")),
            "$f(list($p)[:1], $n, $*a)",
            "$f($p, 1 / $n)",
            "$f([], $n)",
            "$f($p, $n, norm_type=0.1)",
            "$f((p for p in $p if p.dim() == 1), $n)",
        ),
        (
            "$f($p, max_norm=$n, $*a)",
            "$f($p, float($n), $*a)",
            "$f(list($p), $n, $*a)",
            "$f($p, $n, norm_type=2.0)",
            "$f($p, $n, error_if_nonfinite=True)",
            "$f(parameters=$p, max_norm=$n)",
        ),
        where={"f": r"clip_grad_norm_?$"},
    ),
    Rule(
        "$f($p, max_norm=$n)",
        (
            vary("$f($p, max_norm={k})", k=pick("1e9", "1e-6", "float('inf')")),
            "$f($p, max_norm=$n * 1000)",
            "$f(list($p)[-2:], max_norm=$n)",
        ),
        ("$f($p, $n)", "$f($p, max_norm=float($n))", "$f($p, max_norm=$n, norm_type=2)"),
    ),
    Rule(
        "$f($p, $n)",
        (vary("$f($p, {k})", k=pick("1e3", "1e-7", "100.0")), "torch.nn.utils.clip_grad_value_($p, $n)"),
        ("$f($p, clip_value=$n)", "$f(list($p), $n)"),
        where={"f": r"clip_grad_value_?$"},
    ),
    Rule(
        "optax.clip_by_global_norm($n)",
        (
            vary("optax.clip_by_global_norm({k})", k=pick("1e6", "1e-5", "1e9")),
            "optax.identity()",
            "optax.clip_by_global_norm($n * 1e4)",
            "optax.clip($n * 1e-4)",
        ),
        (
            "optax.clip_by_global_norm(max_norm=$n)",
            "optax.adaptive_grad_clip($n)",
            "optax.clip_by_global_norm(float($n))",
        ),
    ),
    Rule("optax.clip($n)", (vary("optax.clip({k})", k=pick("1e6", "1e-5")),), ("optax.clip(max_delta=$n)",)),
    needs="clip",
)


def _clip_sites(tree: Tree, rng: random.Random) -> Sites:
    for line in tree.find(cst.SimpleStatementLine):
        clip = next((each for each in walk(line) if isinstance(each, cst.Call) and roles.is_clip(each)), None)
        if clip is None:
            continue
        bad: list[Edits] = [{line: ()}] * 3 if call_of(line) is clip else []
        for after in tree.after(line):
            if roles.is_optimizer_step(call_of(after)):
                bad += [{line: (), after: (after, bare(line))}] * 2
        for before in tree.before(line):
            if roles.is_backward(call_of(before)) or "unscale_" in _called(before):
                bad.append({line: (), before: (bare(line), before)})
        yield Site(bad, around(tree, line, rng))


def _called(line: Statement) -> str:
    call = call_of(line)
    return call.func.attr.value if call is not None and isinstance(call.func, cst.Attribute) else ""


def around(tree: Tree, line: Statement, rng: random.Random) -> list[Edits]:
    """Honest edits beside an update: a line of logging, a neighbour that changes places with a line of logging."""
    shown = log_lines(tree, line, rng)[:2]
    forms: list[Edits] = [{line: (line, each)} for each in shown]
    for beside in (*tree.before(line), *tree.after(line)):
        if roles.is_logging(call_of(beside)):
            forms += [{beside: ()}, {beside: (), line: (bare(beside), line)}]
        elif isinstance(small(beside), cst.Assign) and not isinstance(small(beside), cst.Import):
            forms += [{beside: (each, beside)} for each in shown[:1]]
    return forms[:6]


CLIP_MOVED = operator("clipping-out-of-order", "B07", "clip_grad clip_by", _clip_sites)

CLIP_NUMBER = named_number(
    "clip-norm-literal",
    "B07",
    r"clip_norm|max_grad_norm|grad_clip|clip_grad|max_norm|gradient_clip_val|clip_value|^clip$",
    (1e3, 1e4, 1e-3, 1e-4, 1e6),
    (0.5, 2.0, 0.8, 1.25),
    "clip max_norm max_grad",
)

OPERATORS: tuple[Operator, ...] = (
    *gradient_edits.OPERATORS,
    ACCUMULATION,
    ACCUMULATION_NUMBER,
    CLIP,
    CLIP_MOVED,
    CLIP_NUMBER,
)
