"""Sabotage of parameter groups, averages of weights and periods of updates (C09-C11).

In: members that step and average. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, vary

_GROUP = ("group", "g", "pg", "param_group")
_EMA = r"(?i)ema|avg|average|shadow|swa|target|teacher|polyak|momentum_encoder|key_encoder"


GROUPS = rewriting(
    "param-groups-mutated",
    "C09",
    Rule(
        "$o.step($*a)\n",
        (
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}['lr'] *= {k}\n",
                g=new_name(*_GROUP),
                k=pick(0.999, 0.9999, 1.0005, 0.99),
            ),
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}['weight_decay'] = {k}\n",
                g=new_name(*_GROUP),
                k=pick(0.5, 1.0, 0.3),
            ),
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}['lr'] = max({g}['lr'] * {k}, 1e-8)\n",
                g=new_name(*_GROUP),
                k=pick(0.99, 0.95, 0.999),
            ),
            vary("$0\n$o.param_groups[{i}]['lr'] = {k}\n", i=pick(0, -1), k=pick(0.0, "1e-7", "1e-8")),
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}['betas'] = ({k}, {j})\n",
                g=new_name(*_GROUP),
                k=pick(0.0, 0.5),
                j=pick(0.5, 0.9),
            ),
            vary(
                "$0\nif {s} > {k}:\n    $o.param_groups[0]['lr'] *= 0.5\n",
                s=other(r"^(step|epoch|it|iteration|iter_num|global_step|batch_idx|n_iter)$"),
                k=pick(100, 1000, 5),
            ),
        ),
        (
            vary("$0\nfor {g} in $o.param_groups:\n    print({g}['lr'])\n", g=new_name(*_GROUP)),
            vary("$0\nfor {g} in $o.param_groups:\n    assert {g}['lr'] >= 0\n", g=new_name(*_GROUP)),
            vary("$0\nlrs = [{g}['lr'] for {g} in $o.param_groups]\n", g=new_name(*_GROUP)),
            vary(
                "$0\nif {s} > {k}:\n    print($o.param_groups[0]['lr'])\n",
                s=other(r"^(step|epoch|it|iteration|iter_num|global_step|batch_idx|n_iter)$"),
                k=pick(100, 1000, 5),
            ),
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}.setdefault('initial_lr', {g}['lr'])\n",
                g=new_name(*_GROUP),
            ),
        ),
        where={"o": r"(?i)opt"},
    ),
    Rule(
        "$g['lr'] = $x\n",
        (
            vary("$g['lr'] = $x * {k}\n", k=pick(0.01, 0.1, 10)),
            "$g['lr'] = min($x, $g['lr'] * 0.999)\n",
            "$g['initial_lr'] = $x\n",
            *[""] * 3,
            "$g['lr'] = $g['lr']\n",
        ),
        ("$g['lr'] = float($x)\n", "$g.update(lr=$x)\n", "$g['lr'] = 1.0 * $x\n"),
    ),
    needs="step( 'lr' \"lr\"",
)

EMA = rewriting(
    "weight-average-broken",
    "C10",
    Rule(
        "$m.mul_($d).add_($p, alpha=1 - $d)",
        (
            "$m.mul_($d).add_($p, alpha=$d)",
            "$m.mul_(1 - $d).add_($p, alpha=$d)",
            "$m.mul_($d).add_($m, alpha=1 - $d)",
            "$m.copy_($p)",
        ),
        ("$m.lerp_($p, 1 - $d)", "$m.mul_($d).add_((1 - $d) * $p)", "$m.mul_($d).add_($p, alpha=1.0 - $d)"),
    ),
    Rule(
        "$d * $a + (1 - $d) * $b",
        ("(1 - $d) * $a + $d * $b", "$d * $a + (1 - $d) * $a", "$b", "$d * $a + $d * $b"),
        ("(1 - $d) * $b + $d * $a", "$a * $d + $b * (1 - $d)", "$b + $d * ($a - $b)"),
        about=_EMA,
    ),
    Rule(
        "$a * $d + $b * (1 - $d)",
        ("$a * (1 - $d) + $b * $d", "$b", "$a"),
        ("$d * $a + (1 - $d) * $b", "$b * (1 - $d) + $a * $d"),
        about=_EMA,
    ),
    Rule(
        "$a * $d + $b * (1.0 - $d)",
        ("$a * (1.0 - $d) + $b * $d", "$b", "$a"),
        ("$d * $a + (1.0 - $d) * $b", "$b * (1.0 - $d) + $a * $d"),
        about=_EMA,
    ),
    Rule(
        "$t * $p + (1 - $t) * $q",
        ("(1 - $t) * $p + $t * $q", "$p", "$q"),
        ("(1 - $t) * $q + $t * $p", "$q + $t * ($p - $q)"),
        where={"t": r"(?i)tau|polyak"},
    ),
    Rule(
        "$e.update($*a)\n",
        (
            *[""] * 3,
            vary(
                "if {s} % {k} == 0:\n    $0\n",
                s=other(r"^(step|epoch|it|iteration|iter_num|global_step|batch_idx|idx|n_iter)$"),
                k=pick(100, 1000, 500),
            ),
            "$e.store($*a)\n",
        ),
        ("if $e is not None:\n    $0\n", "with torch.no_grad():\n    $0\n"),
        where={"e": r"(?i)ema|swa|averag|shadow"},
    ),
    Rule(
        "$e.update_parameters($m)\n",
        (*[""] * 3, "$e.update_parameters($e.module)\n"),
        ("if $e is not None:\n    $0\n", "$e.update_parameters(model=$m)\n"),
    ),
    Rule(
        "$e.step($*a)\n",
        (*[""] * 3, "$e.store($*a)\n"),
        ("if $e is not None:\n    $0\n",),
        where={"e": r"(?i)ema"},
    ),
    Rule(
        "$e.restore($*a)\n",
        (*[""] * 3, "$e.store($*a)\n"),
        ("if $e is not None:\n    $0\n",),
        where={"e": r"(?i)ema|shadow"},
    ),
    Rule(
        "$e.load_state_dict($m.state_dict())\n",
        ("$m.load_state_dict($e.state_dict())\n", "", "$e.load_state_dict($e.state_dict())\n"),
        ("$e.load_state_dict(dict($m.state_dict()))\n", "with torch.no_grad():\n    $0\n"),
        where={"e": _EMA},
    ),
    Rule(
        "copy.deepcopy($m)",
        ("$m", "copy.copy($m)"),
        ("copy.deepcopy($m).eval()", "copy.deepcopy(x=$m)"),
        line=_EMA,
    ),
    needs="ema avg average shadow swa target teacher polyak tau",
)

EMA_NUMBER = named_number(
    "average-decay-literal",
    "C10",
    r"ema_(?:decay|rate|beta|mu\w*)|^(?:ema|tau|polyak|soft_tau|beta_ema|momentum_teacher|ema_decay|decay)$",
    (0.1, 0.5, 50.0),
    (0.999, 1.0002, 1.0001),
    "ema tau polyak decay momentum_teacher",
    exact=(1.0, 0.0, 0.5),
)

PERIOD = rewriting(
    "update-period-changed",
    "C11",
    Rule(
        "$s % $n == 0",
        (
            vary("$s % ($n * {k}) == 0", k=pick(10, 50, 100, 1000)),
            "$s % $n == 1",
            "$s == $n",
            "$s % $n != 0",
            "$s // $n == 0",
        ),
        ("not $s % $n", "$s % max(1, $n) == 0", "0 == $s % $n", "$s % int($n) == 0"),
        where={"n": r"(?i)target|update|sync|critic|policy|delay|freq|interval|gen|disc|n_d|copy|polyak"},
        about=r"(?i)target|critic|generator|discriminator|actor",
    ),
    needs="target critic generator discriminator actor",
)

PERIOD_NUMBER = named_number(
    "update-period-literal",
    "C11",
    r"target_(?:update|network)\w*|update_(?:freq|interval|every|period)\w*|sync_(?:freq|every|interval)|"
    r"n_critic|critic_iters|policy_(?:delay|freq)|policy_frequency|d_steps|g_steps|disc_start|copy_every",
    (50.0, 100.0, 1000.0),
    (2.0, 0.5),
    "target_ update_ sync_ critic policy_ d_steps g_steps disc copy_",
    exact=(10_000_000.0,),
)

OPERATORS: tuple[Operator, ...] = (
    GROUPS,
    EMA,
    EMA_NUMBER,
    PERIOD,
    PERIOD_NUMBER,
)
