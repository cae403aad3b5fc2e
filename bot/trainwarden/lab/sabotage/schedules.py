"""Sabotage of learning rates and their schedules: size, shape, length, cadence, binding (C01-C03).

In: members that build and step schedules. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, operator
from trainwarden.lab.sabotage.gradient_updates import around
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, other, pick, rewriting, vary
from trainwarden.lab.sabotage.surgery import Tree, bare, call_of

_OPTIMIZER = (
    r"(optim\.\w+|Adam\w*|SGD|RMSprop|Adagrad|Adadelta|Lion|LAMB|Lamb|"
    r"Adafactor|adamw?|sgd|lion|lamb|optimizer_class|optimizer_cls|opt_cls)$"
)
_SCHEDULE = r"(?i)sched|warm_?up|\blr|_lr|cosine|anneal|decay"

LR_NUMBER = named_number(
    "learning-rate-literal",
    "C01",
    r"^(?:lr|\w+_lr|lr_\w+|learning_rate|\w*_learning_rate|base_lr|eta|step_size|learningrate)$",
    (0.01, 0.03, 0.001, 30.0, 100.0),
    (0.5, 2.0, 0.8, 1.25, 1.5, 3.0),
    "lr learning_rate eta step_size",
)

LR_VALUE = rewriting(
    "learning-rate-not-the-configured",
    "C01",
    Rule(
        "$f($*a, lr=$x)",
        (
            vary("$f($*a, lr={k})", k=pick("1e-6", "1e-7", "0.1", "3e-2", "1e-8", "5e-6")),
            vary("$f($*a, lr=$x * {k})", k=pick(0.01, 0.1, 100, 30.0)),
            "$f($*a, lr=$x ** 2)",
            "$f($*a)",
            "$f($*a, lr=min($x, 1e-6))",
        ),
        (
            "$f($*a, lr=float($x))",
            "$f(lr=$x, $*a)",
            "$f($*a, lr=1.0 * $x)",
            "$f($*a, lr=$x * 0.9)",
            "$f($*a, lr=$x, foreach=None)",
        ),
        where={"f": _OPTIMIZER, "x": r"[A-Za-z]"},
    ),
    Rule(
        "$x * $n",
        ("$x", "$x / $n", "$x * $n * $n", "$x * $n ** 2"),
        ("$n * $x", "$x * float($n)", "1.0 * $x * $n"),
        where={
            "x": r"(?i)(^|[._])(lr|base_lr|learning_rate|blr)$",
            "n": r"(?i)world|batch|accum|gpus|devices|ngpu|size",
        },
    ),
    Rule(
        "$x / $n",
        ("$x", "$x * $n", "$x / $n ** 2"),
        ("$x * (1 / $n)", "$x / float($n)"),
        where={"x": r"(?i)batch", "n": r"256|512|\d{2}|base"},
        line=r"lr|learning",
    ),
    Rule(
        "$f($p, $x)",
        (vary("$f($p, {k})", k=pick("1e-6", "0.5", "1e-7")), "$f($p, $x * 0.01)", "$f($p)"),
        ("$f($p, lr=$x)", "$f($p, float($x))", "$f(params=$p, lr=$x)"),
        where={"f": _OPTIMIZER, "x": r"(?i)lr|learning"},
    ),
    Rule(
        "$f(learning_rate=$x, $*a)",
        (
            vary("$f(learning_rate={k}, $*a)", k=pick("1e-6", "0.3", "1e-7")),
            "$f(learning_rate=$x * 1e-2, $*a)",
        ),
        ("$f(learning_rate=1.0 * $x, $*a)", "$f($*a, learning_rate=$x)"),
        where={"x": r"[A-Za-z]"},
    ),
    needs="lr learning_rate",
)

SCHEDULE_SHAPE = rewriting(
    "schedule-shape-broken",
    "C02",
    Rule(
        "math.cos($x)",
        (
            "math.sin($x)",
            "math.cos(2 * $x)",
            "math.cos($x) ** 2",
            "abs(math.cos($x))",
            "-math.cos($x)",
            "math.cos($x / 2)",
        ),
        ("np.cos($x)", "math.cos(1.0 * $x)", "math.sin(math.pi / 2 - $x)"),
        about=_SCHEDULE,
    ),
    Rule(
        "np.cos($x)",
        ("np.sin($x)", "np.cos(2 * $x)", "-np.cos($x)"),
        ("math.cos($x)", "np.cos(1.0 * $x)"),
        about=_SCHEDULE,
    ),
    Rule(
        "1.0 + math.cos($x)",
        ("1.0 - math.cos($x)", "math.cos($x)"),
        ("math.cos($x) + 1.0", "1 + math.cos($x)"),
    ),
    Rule(
        "1 + math.cos($x)", ("1 - math.cos($x)", "math.cos($x)"), ("math.cos($x) + 1", "1.0 + math.cos($x)")
    ),
    Rule(
        "$s < $w",
        ("$s > $w", vary("$s < $w * {k}", k=pick(10, 50, 100)), "$s <= 0", "$w < 0"),
        ("$w > $s", "not $s >= $w", "int($s) < $w"),
        where={"w": r"(?i)warm"},
    ),
    Rule(
        "$s / $w",
        (
            vary("$s / ($w * {k})", k=pick(5, 10, 20)),
            "($s / $w) ** 4",
            "1.0 - $s / $w",
            "$w / max($s, 1)",
            "$s // $w",
        ),
        ("$s / max(1, $w)", "float($s) / $w", "$s * (1.0 / $w)"),
        where={"w": r"(?i)warm"},
    ),
    Rule(
        "float($s) / float(max(1, $w))",
        (
            vary("float($s) / float(max(1, $w * {k}))", k=pick(5, 10, 50)),
            "1.0 - float($s) / float(max(1, $w))",
            "float($s // max(1, $w))",
        ),
        ("$s / max(1, $w)", "float($s) / max(1, $w)", "float($s) / float(max($w, 1))"),
    ),
    Rule(
        "max($a, $b)",
        ("min($a, $b)", "$a"),
        ("max($b, $a)", "np.maximum($a, $b)"),
        line=r"lr|return|decay|progress",
        about=_SCHEDULE,
        where={"a": r"(?i)lr|0\.|min|decay|progress|float", "b": r"[a-z(]"},
    ),
    Rule(
        "min($a, $b)",
        ("max($a, $b)", "$a"),
        ("min($b, $a)",),
        line=r"lr|decay|progress|ratio|scale|warm",
        about=_SCHEDULE,
    ),
    needs="cos( warm decay sched min( max(",
)

SCHEDULE_LENGTH = rewriting(
    "schedule-length-wrong",
    "C02",
    *(
        Rule(
            f"$f($*a, {name}=$t)",
            (
                f"$f($*a, {name}=$t * 10)",
                f"$f($*a, {name}=max(1, $t // 10))",
                f"$f($*a, {name}=$t ** 2)",
                vary(f"$f($*a, {name}={{k}})", k=pick(10, 100, 10_000_000)),
                f"$f($*a, {name}=$t // 2)",
            ),
            (
                f"$f($*a, {name}=int($t))",
                f"$f({name}=$t, $*a)",
                f"$f($*a, {name}=max(1, $t))",
                f"$f($*a, {name}=$t + 1)",
            ),
        )
        for name in (
            "T_max",
            "num_training_steps",
            "num_warmup_steps",
            "total_steps",
            "decay_steps",
            "warmup_steps",
            "transition_steps",
            "T_0",
            "total_iters",
            "max_iters",
            "T_mult",
            "warmup_epochs",
            "max_steps",
        )
    ),
    Rule(
        "$f($o, $t)",
        ("$f($o, $t * 10)", "$f($o, 10)", "$f($o, $t // 4)"),
        ("$f($o, int($t))", "$f($o, T_max=$t)", "$f(optimizer=$o, T_max=$t)"),
        where={"f": r"CosineAnnealingLR$"},
    ),
    Rule(
        "$f($*a, eta_min=$m)",
        ("$f($*a, eta_min=$m + 1e-2)", "$f($*a, eta_min=0.1)", "$f($*a, eta_min=10 * $m)"),
        ("$f($*a, eta_min=float($m))", "$f(eta_min=$m, $*a)"),
    ),
    Rule(
        "$f($*a, gamma=$g)",
        ("$f($*a, gamma=1.0)", "$f($*a, gamma=1 / $g)", "$f($*a, gamma=$g ** 4)", "$f($*a, gamma=1.01)"),
        ("$f($*a, gamma=float($g))", "$f(gamma=$g, $*a)"),
        where={"f": r"LR$"},
    ),
    needs="t_max steps t_0 total_iters max_iters t_mult warmup cosineannealing eta_min gamma",
)

WARMUP_NUMBER = named_number(
    "warmup-or-decay-steps-literal",
    "C02",
    r"warmup_?(?:steps|iters|epochs|ratio|frac\w*|updates)?$|warmup|lr_decay_iters|"
    r"decay_steps|lr_decay_steps|final_lr_ratio|min_lr_ratio|lr_decay$",
    (0.01, 20.0, 50.0, 100.0),
    (0.5, 2.0, 1.5),
    "warmup decay ratio",
)


def _scheduler_sites(tree: Tree, rng: random.Random) -> Sites:
    for line in tree.find(cst.SimpleStatementLine):
        call = call_of(line)
        if not roles.is_scheduler_step(call):
            continue
        bad: list[Edits] = [*[{line: ()}] * 3, {line: (line, _copy(line))}]
        loops = tree.loops(line)
        for inner in tree.find(cst.SimpleStatementLine):
            if inner is not line and (
                roles.is_optimizer_step(call_of(inner)) or roles.is_backward(call_of(inner))
            ):
                if len(tree.loops(inner)) != len(loops):
                    bad += [{line: (), inner: (inner, bare(line))}] * 2
                elif tree.parent(inner) is tree.parent(line):
                    bad.append({line: (), inner: (bare(line), inner)})
        if loops and isinstance(tree.parent(loops[0]), cst.IndentedBlock | cst.Module):
            bad.append(
                {line: (), loops[0]: (loops[0], bare(line))}
                if not tree.within(line, loops[0])
                else {line: ()}
            )
        yield Site(bad, around(tree, line, rng))


def _copy(line: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    return bare(line).deep_clone()


SCHEDULER_STEP = operator("scheduler-cadence-wrong", "C03", "sched", _scheduler_sites)

SCHEDULER_BINDING = rewriting(
    "scheduler-bound-to-wrong-object",
    "C03",
    Rule(
        "$s = $f($o, $*a)\n",
        (
            vary(
                "$s = $f({x}, $*a)\n",
                x=other(
                    r"(?i)opt", "o", r"(?i)sched|option|config|cls|class|fn|get_|optim$|create|build|state"
                ),
            ),
            "$s = $f(copy.deepcopy($o), $*a)\n",
            "$s = $f(type($o)($o.param_groups), $*a)\n",
        ),
        ("$s = $f(optimizer=$o, $*a)\n", "$0\nprint($s)\n", "$s = $f($o, $*a, last_epoch=-1)\n"),
        where={"f": r"(?i)(LR|scheduler\w*|schedule\w*|_sched)$", "o": r"(?i)opt"},
    ),
    Rule(
        "$s.step($e)\n",
        ("$s.step(0)\n", "$s.step($e // 2)\n", "$s.step(-$e)\n", "$s.step()\n"),
        ("$s.step(int($e))\n", "$s.step(epoch=$e)\n"),
        where={"s": r"(?i)sched"},
    ),
    Rule(
        "$a * $b",
        ("$a", "$b", "$a // $b", "$a + $b"),
        ("$b * $a", "int($a * $b)"),
        line=r"total_steps|num_training_steps|max_steps|total_iters|t_total|num_update_steps",
        where={"a": r"(?i)epoch|len\(|steps", "b": r"(?i)epoch|len\(|steps|iters"},
    ),
    Rule(
        "$a // $b",
        ("$a", "$a * $b", "$a // ($b * $b)"),
        ("int($a / $b)", "$a // max(1, $b)"),
        line=r"total_steps|num_training_steps|max_steps|total_iters|t_total|num_update_steps|steps_per_epoch",
    ),
    needs="sched total_steps num_training_steps max_steps total_iters steps",
)

OPERATORS: tuple[Operator, ...] = (
    LR_NUMBER,
    LR_VALUE,
    SCHEDULE_SHAPE,
    SCHEDULE_LENGTH,
    WARMUP_NUMBER,
    SCHEDULER_STEP,
    SCHEDULER_BINDING,
)
