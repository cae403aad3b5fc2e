"""Sabotage of optimizers and schedules: learning rate, its shape and cadence, weight decay, groups (C01-C06, C12).

In: members that build optimizers and schedules. Out: ``OPERATORS``. State, averages and custom steps are in
``optimizer_state``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, operator
from trainwarden.lab.sabotage.gradient_updates import around
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.optimizer_state import OPERATORS as STATE
from trainwarden.lab.sabotage.rewrite import Rule, other, pick, rewriting, vary
from trainwarden.lab.sabotage.surgery import Tree, bare, call_of

_OPTIMIZER = r"(optim\.\w+|Adam\w*|SGD|RMSprop|Adagrad|Adadelta|Lion|LAMB|Lamb|Adafactor|adamw?|sgd|lion|lamb|optimizer_class|optimizer_cls|opt_cls)$"
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
    r"warmup_?(?:steps|iters|epochs|ratio|frac\w*|updates)?$|warmup|lr_decay_iters|decay_steps|lr_decay_steps|final_lr_ratio|min_lr_ratio|lr_decay$",
    (0.01, 20.0, 50.0, 100.0),
    (0.5, 2.0, 1.5),
    "warmup decay ratio",
)


def _scheduler_sites(tree: Tree, rng: random.Random) -> Sites:
    for line in tree.find(cst.SimpleStatementLine):
        call = call_of(line)
        if not roles.is_scheduler_step(call):
            continue
        bad: list[Edits] = [{line: ()}, {line: (line, _copy(line))}]
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

DECAY_NUMBER = named_number(
    "weight-decay-literal",
    "C04",
    r"weight_decay|^wd$|l2_reg|l2_lambda",
    (100.0, 50.0, 0.0, 1000.0),
    (0.5, 2.0, 0.1),
    "weight_decay wd l2_",
    exact=(0.9, 1.0, 10.0),
)

DECAY = rewriting(
    "weight-decay-grouping-wrong",
    "C04",
    Rule(
        "$f($*a, weight_decay=$w)",
        (
            "$f($*a, weight_decay=0.0)",
            vary("$f($*a, weight_decay={k})", k=pick(1.0, 0.5, 10, 0.0)),
            "$f($*a)",
            vary("$f($*a, weight_decay=$w * {k})", k=pick(100, 50, 1000.0)),
            "$f($*a, weight_decay=-$w)",
        ),
        (
            "$f($*a, weight_decay=float($w))",
            "$f(weight_decay=$w, $*a)",
            "$f($*a, weight_decay=1.0 * $w)",
            "$f($*a, weight_decay=$w, foreach=None)",
        ),
    ),
    Rule(
        "not any($x in $n for $x in $l)",
        ("any($x in $n for $x in $l)", "all($x in $n for $x in $l)", "$n not in $l"),
        ("all($x not in $n for $x in $l)", "not any($n.find($x) >= 0 for $x in $l)"),
        about=r"decay",
    ),
    Rule(
        "any($x in $n for $x in $l)",
        (
            "not any($x in $n for $x in $l)",
            "all($x in $n for $x in $l)",
            "$n in $l",
            "any($n in $x for $x in $l)",
        ),
        (
            "any([$x in $n for $x in $l])",
            "sum($x in $n for $x in $l) > 0",
            "any($n.find($x) >= 0 for $x in $l)",
        ),
        about=r"decay",
    ),
    Rule(
        "$l = ['bias', $*r]\n",
        ("$l = []\n", "$l = ['biases']\n", "$l = ['weight']\n", "$l = ['Bias', $*r]\n"),
        ("$l = [$*r, 'bias']\n", "$l = list(['bias', $*r])\n", "$l = ['bias', $*r, 'rotary_freqs']\n"),
        where={"l": r"(?i)decay"},
    ),
    Rule(
        "$p.dim() >= 2",
        ("$p.dim() < 2", "$p.dim() >= 0", "$p.dim() > 4"),
        ("$p.ndim >= 2", "$p.dim() > 1", "len($p.shape) >= 2"),
        about=r"decay",
    ),
    Rule(
        "$p.dim() < 2",
        ("$p.dim() >= 2", "$p.dim() < 0", "$p.dim() < 5"),
        ("$p.ndim < 2", "$p.dim() <= 1"),
        about=r"decay",
    ),
    Rule(
        "$p.ndim <= 1",
        ("$p.ndim > 1", "$p.ndim <= 4", "$p.ndim < 0"),
        ("$p.ndim < 2", "len($p.shape) <= 1"),
        about=r"decay",
    ),
    Rule(
        "len($p.shape) == 1", ("len($p.shape) != 1", "len($p.shape) == 0"), ("$p.ndim == 1",), about=r"decay"
    ),
    Rule(
        "{'params': $p, 'weight_decay': 0.0}",
        ("{'params': $p, 'weight_decay': 1.0}", "{'params': $p}", "{'params': $p, 'weight_decay': 0.5}"),
        (
            "dict(params=$p, weight_decay=0.0)",
            "{'weight_decay': 0.0, 'params': $p}",
            "{'params': list($p), 'weight_decay': 0.0}",
        ),
    ),
    Rule(
        "{'params': $p, 'weight_decay': $w}",
        (
            "{'params': $p, 'weight_decay': 0.0}",
            "{'params': $p, 'weight_decay': 100 * $w}",
            "{'params': $p, 'weight_decays': $w}",
        ),
        (
            "dict(params=$p, weight_decay=$w)",
            "{'weight_decay': $w, 'params': $p}",
            "{'params': list($p), 'weight_decay': $w}",
        ),
    ),
    needs="decay",
)

MOMENTS = rewriting(
    "optimizer-moments-altered",
    "C05",
    Rule(
        "$f($*a, betas=($b, $c))",
        (
            "$f($*a, betas=($c, $b))",
            vary("$f($*a, betas=($b, {k}))", k=pick(0.5, 0.1, 0.9, 0.99999)),
            vary("$f($*a, betas=({k}, $c))", k=pick(0.0, 0.1, 0.9999)),
            "$f($*a, betas=($b, $b))",
        ),
        ("$f($*a)", "$f(betas=($b, $c), $*a)", vary("$f($*a, betas=($b, {k}))", k=pick(0.95, 0.98, 0.999))),
    ),
    Rule(
        "$f($*a, betas=$b)",
        (
            vary("$f($*a, betas=({j}, {k}))", j=pick(0.0, 0.5, 0.99), k=pick(0.5, 0.1, 0.9)),
            "$f($*a, betas=$b[::-1])",
        ),
        ("$f(betas=$b, $*a)", "$f($*a, betas=tuple($b))"),
        where={"b": r"^[\w.\[\]'\"]+$"},
    ),
    Rule(
        "$f($*a, eps=$e)",
        (vary("$f($*a, eps={k})", k=pick("1e-1", "1.0", "1e-2", "1e-3")),),
        (vary("$f($*a, eps={k})", k=pick("1e-8", "1e-7", "1e-6")), "$f(eps=$e, $*a)"),
        where={"f": _OPTIMIZER},
    ),
    Rule(
        "$f($*a, lr=$x)",
        (
            vary("$f($*a, lr=$x, eps={k})", k=pick("0.1", "1.0", "1e-2")),
            vary("$f($*a, lr=$x, betas=({j}, {k}))", j=pick(0.0, 0.5, 0.99), k=pick(0.5, 0.1, 0.9)),
        ),
        (
            vary("$f($*a, lr=$x, eps={k})", k=pick("1e-8", "1e-7")),
            vary("$f($*a, lr=$x, betas=(0.9, {k}))", k=pick(0.999, 0.98, 0.95)),
        ),
        where={"f": r"Adam\w*$|adamw?$"},
    ),
    Rule(
        "$f($*a, momentum=$m)",
        (
            vary("$f($*a, momentum={k})", k=pick(0.0, 0.999, 0.1, 0.9999)),
            "$f($*a, momentum=1 - $m)",
            "$f($*a)",
        ),
        (vary("$f($*a, momentum={k})", k=pick(0.9, 0.95, 0.85)), "$f(momentum=$m, $*a)"),
        where={"f": _OPTIMIZER},
    ),
    Rule("$f($*a, b1=$b)", (vary("$f($*a, b1={k})", k=pick(0.0, 0.1, 0.9999)),), ("$f(b1=$b, $*a)",)),
    Rule(
        "$f($*a, b2=$b)",
        (vary("$f($*a, b2={k})", k=pick(0.5, 0.1)),),
        ("$f(b2=$b, $*a)", vary("$f($*a, b2={k})", k=pick(0.95, 0.98))),
    ),
    needs="betas eps momentum b1 b2 adam lr",
)

MOMENT_NUMBER = named_number(
    "moment-default-literal",
    "C05",
    r"^(?:adam_)?(?:beta_?[12]|eps|epsilon|momentum|betas|adam_epsilon)$",
    (0.1, 0.5, 1e4, 1e6),
    (0.98, 1.01),
    "beta eps momentum",
)

SUBSET = rewriting(
    "optimizer-given-a-subset",
    "C06",
    Rule(
        "$f($m.parameters(), $*a)",
        (
            vary("$f(list($m.parameters())[{k}:], $*a)", k=pick(-1, -2, 4, 10)),
            vary(
                "$f([p for n, p in $m.named_parameters() if '{w}' in n], $*a)",
                w=pick("bias", "norm", "head", "weight", "fc", "out"),
            ),
            "$f((p for p in $m.parameters() if p.dim() > 1), $*a)",
            "$f([p for p in $m.parameters() if p.dim() < 2], $*a)",
            vary(
                "$f({x}.parameters(), $*a)",
                x=other(
                    r"(?i)^(ema|target|teacher|ref|old|frozen|critic|actor|discriminator|generator|encoder|decoder|backbone)\w*$",
                    "m",
                ),
            ),
            "$f(copy.deepcopy($m).parameters(), $*a)",
            "$f(list($m.children())[-1].parameters(), $*a)",
        ),
        (
            "$f(filter(lambda p: p.requires_grad, $m.parameters()), $*a)",
            "$f([p for p in $m.parameters() if p.requires_grad], $*a)",
            "$f(list($m.parameters()), $*a)",
            "$f((p for _, p in $m.named_parameters()), $*a)",
            "$f([{'params': $m.parameters()}], $*a)",
            "$f(params=$m.parameters(), $*a)",
        ),
        where={"f": _OPTIMIZER},
    ),
    Rule(
        "$f($p, $*a)",
        ("$f(list($p)[:-2], $*a)", "$f(list($p)[1:], $*a)", "$f($p[:1], $*a)", "$f($p[-1:], $*a)"),
        ("$f(list($p), $*a)", "$f(params=$p, $*a)", "$f([*$p], $*a)"),
        where={"f": _OPTIMIZER, "p": r"(?i)^\w*(params|parameters|groups|weights)\w*$"},
    ),
    Rule(
        "[$p for $p in $m.parameters() if $p.requires_grad]",
        (
            "[$p for $p in $m.parameters() if not $p.requires_grad]",
            "[$p for $p in $m.parameters() if $p.requires_grad][1:]",
            "[$p for $p in $m.parameters() if $p.requires_grad and $p.ndim > 1]",
        ),
        (
            "list(filter(lambda v: v.requires_grad, $m.parameters()))",
            "[$p for _, $p in $m.named_parameters() if $p.requires_grad]",
        ),
    ),
    Rule(
        "$o.param_groups[$i]",
        ("$o.param_groups[-1]", "$o.param_groups[$i - 1]", "$o.param_groups[-$i]"),
        ("($o.param_groups[$i])", "list($o.param_groups)[$i]"),
        line=r"=",
    ),
    Rule(
        "itertools.chain($a, $b)",
        ("$a", "$b", "itertools.chain($a, $a)"),
        ("itertools.chain(*[$a, $b])", "[*$a, *$b]"),
        where={"a": r"param", "b": r"param"},
    ),
    Rule(
        "list($a) + list($b)",
        ("list($a)", "list($b)", "list($a) + list($a)"),
        ("[*$a, *$b]", "list($b) + list($a)"),
        where={"a": r"param", "b": r"param"},
    ),
    needs="parameters params param_groups",
)

SWAPPED = rewriting(
    "optimizer-class-swapped",
    "C12",
    Rule(
        "$o.AdamW($*a)",
        ("$o.Adam($*a)", "$o.Adagrad($*a)", "$o.SGD($*a)", "$o.Adamax($*a)", "$o.RAdam($*a)"),
        ("$o.AdamW($*a, fused=True)", "$o.AdamW($*a, foreach=True)", "$o.AdamW($*a, amsgrad=False)"),
    ),
    Rule(
        "$o.Adam($*a)",
        ("$o.SGD($*a)", "$o.Adadelta($*a)", "$o.Adagrad($*a)", "$o.Rprop($*a)", "$o.SparseAdam($*a)"),
        ("$o.AdamW($*a, weight_decay=0.0)", "$o.Adam($*a, foreach=True)", "$o.Adam($*a, amsgrad=False)"),
    ),
    Rule(
        "$o.SGD($*a)",
        ("$o.Adagrad($*a)", "$o.ASGD($*a)", "$o.Rprop($*a)"),
        ("$o.SGD($*a, foreach=True)", "$o.SGD($*a, dampening=0)"),
    ),
    Rule(
        "AdamW($*a)",
        ("Adam($*a)", "SGD($*a)", "torch.optim.Adagrad($*a)"),
        ("AdamW($*a, foreach=True)", "torch.optim.AdamW($*a)"),
    ),
    Rule(
        "optax.adamw($x, $*a)",
        ("optax.adagrad($x)", "optax.sgd($x)", "optax.noisy_sgd($x)", "optax.sm3($x)"),
        ("optax.adamw(learning_rate=$x, $*a)", "optax.chain(optax.adamw($x, $*a))"),
    ),
    Rule(
        "optax.adam($x, $*a)",
        ("optax.sgd($x)", "optax.adagrad($x)", "optax.noisy_sgd($x)"),
        ("optax.adam(learning_rate=$x, $*a)", "optax.chain(optax.adam($x, $*a))"),
    ),
    Rule(
        "optax.sgd($*a)",
        ("optax.sign_sgd($*a)", "optax.noisy_sgd($*a)", "optax.adagrad($*a)"),
        ("optax.chain(optax.sgd($*a))",),
    ),
    Rule(
        "$f($*a, nesterov=$n)",
        ("$f($*a)", "$f($*a, nesterov=False)"),
        ("$f(nesterov=$n, $*a)", "$f($*a, nesterov=bool($n))"),
    ),
    Rule(
        "optax.chain($a, $b)",
        ("optax.chain($b, $a)", "optax.chain($b)", "$a"),
        ("optax.chain(*[$a, $b])", "optax.chain($a, optax.identity(), $b)"),
    ),
    Rule(
        "optax.chain($a, $b, $*r)",
        ("optax.chain($b, $*r)", "optax.chain($a, $*r)", "optax.chain($b, $a, $*r)"),
        ("optax.chain(*[$a, $b, $*r])", "optax.chain($a, optax.identity(), $b, $*r)"),
    ),
    needs="adam sgd nesterov optax",
)

OPERATORS: tuple[Operator, ...] = (
    LR_NUMBER,
    LR_VALUE,
    SCHEDULE_SHAPE,
    SCHEDULE_LENGTH,
    WARMUP_NUMBER,
    SCHEDULER_STEP,
    SCHEDULER_BINDING,
    DECAY_NUMBER,
    DECAY,
    MOMENTS,
    MOMENT_NUMBER,
    SUBSET,
    SWAPPED,
    *STATE,
)
