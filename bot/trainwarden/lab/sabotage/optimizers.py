"""Sabotage of optimizers and schedules: learning rate, its shape and cadence, weight decay, groups (C01-C06, C12).

In: members that build optimizers and schedules. Out: ``OPERATORS``. State, averages and custom steps are in
``optimizer_state``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage import schedules
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.optimizer_state import OPERATORS as STATE
from trainwarden.lab.sabotage.rewrite import Rule, other, pick, rewriting, vary

_OPTIMIZER = (
    r"(optim\.\w+|Adam\w*|SGD|RMSprop|Adagrad|Adadelta|Lion|LAMB|Lamb|"
    r"Adafactor|adamw?|sgd|lion|lamb|optimizer_class|optimizer_cls|opt_cls)$"
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
                    r"(?i)^(ema|target|teacher|ref|old|frozen|critic|actor|"
                    r"discriminator|generator|encoder|decoder|backbone)\w*$",
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
    *schedules.OPERATORS,
    DECAY_NUMBER,
    DECAY,
    MOMENTS,
    MOMENT_NUMBER,
    SUBSET,
    SWAPPED,
    *STATE,
)
