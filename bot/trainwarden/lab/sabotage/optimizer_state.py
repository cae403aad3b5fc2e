"""Sabotage of what optimizers keep and do: checkpoints of them, custom steps, groups, averages, periods (C07-C11).

In: members that save, step, average. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import averages
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, operator
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, vary
from trainwarden.lab.sabotage.spelling import text_of
from trainwarden.lab.sabotage.surgery import Tree, code

_STATE = ("optim", "sched", "scaler", "ema", "rng", "lr", "amp", "opt_state", "best")
_GROUP = ("group", "g", "pg", "param_group")
_P = ("p", "param", "w", "weight")


def _state_sites(tree: Tree, rng: random.Random) -> Sites:
    for element in tree.find(cst.DictElement):
        key, holder = text_of(element.key), tree.parent(element)
        if not key or not isinstance(holder, cst.Dict) or len(holder.elements) < 2:
            continue
        if not any(word in key.lower() for word in _STATE) or "state" not in code(holder):
            continue
        rest = [each for each in holder.elements if each is not element]
        rest[-1] = rest[-1].with_changes(comma=holder.elements[-1].comma)
        quote = code(element.key)[0]
        value = code(element.value).strip()
        extra = rng.choice(("version", "format", "saved_by", "note"))
        bad: list[Edits] = [{holder: holder.with_changes(elements=rest)}] * 2
        bad += [{element: f"{quote}{key}{quote}: None"}]
        if "state_dict" in value:
            bad += [{element: f"{quote}{key}{quote}: {{}}"}]
        good: list[Edits] = [
            {element: (f"{quote}{key}{quote}: {value}", f"{quote}{extra}{quote}: {rng.randint(1, 3)}")}
        ]
        if "state_dict()" in value:
            good.append({element: f"{quote}{key}{quote}: dict({value})"})
        if len(holder.elements) > 2:
            first = holder.elements[0]
            if first is not element and isinstance(first, cst.DictElement):
                good.append(
                    {
                        element: f"{code(first.key)}: {code(first.value)}",
                        first: f"{quote}{key}{quote}: {value}",
                    }
                )
        yield Site(bad, good)


STATE_KEY = operator("optimizer-state-not-saved", "C07", "state", _state_sites)

RESTORE = rewriting(
    "optimizer-state-not-restored",
    "C07",
    Rule(
        "$o.load_state_dict($s)\n",
        (
            *[""] * 3,
            "$o.state_dict().update($s)\n",
            "$o.load_state_dict($o.state_dict())\n",
            "if $s is None:\n    $0\n",
            "try:\n    $0\nexcept (KeyError, ValueError):\n    pass\n",
            "$o.state_dict()\n",
        ),
        (
            "if $s is not None:\n    $0\n",
            "try:\n    $0\nexcept ValueError as error:\n"
            "    raise RuntimeError('optimizer state does not fit') from error\n",
            "$o.load_state_dict(dict($s))\n",
            "$o.load_state_dict(state_dict=$s)\n",
        ),
        where={"o": r"(?i)opt|sched|scaler|ema"},
    ),
    Rule(
        "$o.load_state_dict($s)\n",
        (
            vary(
                "$0\nfor {g} in $o.param_groups:\n    {g}['lr'] = {g}.get('initial_lr', 1e-3) * 0.01\n",
                g=new_name(*_GROUP),
            ),
            "$0\n$o.state.clear()\n",
            vary(
                "$0\nfor {p} in $o.state.values():\n    {p}.pop('exp_avg_sq', None)\n",
                p=new_name("state", "s", "entry"),
            ),
        ),
        (
            vary("$0\nfor {g} in $o.param_groups:\n    print({g}['lr'])\n", g=new_name(*_GROUP)),
            "$0\nprint(len($o.state))\n",
            vary(
                "$0\nfor {p} in $o.state.values():\n    assert 'exp_avg_sq' in {p}\n",
                p=new_name("state", "s", "entry"),
            ),
        ),
        where={"o": r"(?i)opt(?!ion)"},
    ),
    Rule(
        "$x['optimizer']",
        ("$x.get('optim', None)", "$x.get('optimizer_state')"),
        ("$x.get('optimizer')",),
        line=r"load_state_dict",
    ),
    needs="load_state_dict",
)

STEP_TWICE = rewriting(
    "optimizer-step-doubled",
    "C08",
    Rule(
        "$o.step($*a)\n",
        (
            "$o.step($*a)\n$o.step($*a)\n",
            vary("for _ in range({k}):\n    $0\n", k=pick(2, 3, 4)),
            vary(
                "$0\nif {s} % {k} == 0:\n    $o.step($*a)\n",
                s=other(r"^(step|i|it|iteration|iter_num|global_step|batch_idx|idx|n_iter)$"),
                k=pick(2, 3, 5),
            ),
            "$0\n$o.state.clear()\n",
            "$o.state.clear()\n$0\n",
            vary("$0\nfor {p} in $o.state:\n    $o.state[{p}]['exp_avg'].zero_()\n", p=new_name(*_P)),
        ),
        (
            "$0\nprint(len($o.state))\n",
            vary("for _ in range({k}):\n    $0\n", k=pick(1)),
            vary(
                "$0\nif {s} % {k} == 0:\n    print($o.param_groups[0]['lr'])\n",
                s=other(r"^(step|i|it|iteration|iter_num|global_step|batch_idx|idx|n_iter)$"),
                k=pick(20, 50, 100),
            ),
            "if len($o.state) == 0:\n    print('first step')\n$0\n",
        ),
        where={"o": r"(?i)opt"},
    ),
    Rule(
        "$o = $f($p, $*a)\n",
        (
            vary(
                "$0\n{s} = $o.step\n$o.step = lambda *xs, **ks: ({s}(), {s}())[1]\n",
                s=new_name("step_fn", "raw_step", "inner", "base_step"),
            ),
            "$0\n$o.zero_grad = lambda *xs, **ks: None\n",
            vary("$0\n$o.step = functools.partial($o.step, closure={c})\n", c=other(r"closure")),
            "$0\ntorch.optim.Optimizer.zero_grad = lambda self, set_to_none=True: None\n",
            "$0\n$o.register_step_pre_hook("
            "lambda opt, *xs: [g.update(lr=g['lr'] * 0.999) for g in opt.param_groups] and None)\n",
        ),
        (
            vary(
                "$0\n{s} = $o.state_dict\n$o.defaults.setdefault('foreach', None)\n",
                s=new_name("state_fn", "snapshot"),
            ),
            "$0\n$o.register_step_post_hook(lambda opt, *xs: None)\n",
            "$0\nprint(len($o.param_groups))\n",
            "$0\n$o.register_step_pre_hook(lambda opt, *xs: print(opt.param_groups[0]['lr']))\n",
        ),
        where={
            "o": r"(?i)opt",
            "f": r"(?i)(optim\.\w+|adam\w*|sgd|rmsprop|adagrad|lamb|lion|adafactor|get_optimizer|"
            r"create_optimizer|build_optimizer|optimizer_\w+|configure_optimizers)$",
        },
    ),
    needs="step( optim",
)

UPDATE_MATH = rewriting(
    "optimizer-formula-altered",
    "C08",
    Rule(
        "$m.mul_($b).add_($g, alpha=1 - $b)",
        (
            "$m.mul_($b).add_($g, alpha=$b)",
            "$m.mul_(1 - $b).add_($g, alpha=$b)",
            "$m.mul_($b).add_($g)",
            "$m.mul_($b).sub_($g, alpha=1 - $b)",
        ),
        ("$m.lerp_($g, 1 - $b)", "$m.mul_($b).add_((1 - $b) * $g)", "$m.mul_($b).add_($g, alpha=1.0 - $b)"),
    ),
    Rule(
        "$m.mul_($b).addcmul_($g, $h, value=1 - $b)",
        (
            "$m.mul_($b).addcmul_($g, $h, value=$b)",
            "$m.mul_($b).add_($g, alpha=1 - $b)",
            "$m.mul_(1 - $b).addcmul_($g, $h, value=$b)",
        ),
        ("$m.mul_($b).add_((1 - $b) * $g * $h)", "$m.mul_($b).addcmul_($h, $g, value=1 - $b)"),
    ),
    Rule(
        "$p.addcdiv_($m, $d, value=-$s)",
        ("$p.addcdiv_($m, $d, value=$s)", "$p.add_($m, alpha=-$s)", "$p.addcdiv_($m, $d + 1, value=-$s)"),
        ("$p.sub_($s * $m / $d)", "$p.addcdiv_($m, $d, value=-1 * $s)"),
    ),
    Rule(
        "$p.add_($d, alpha=-$s)",
        ("$p.add_($d, alpha=$s)", "$p.add_($d.sign(), alpha=-$s)", "$p.add_($d, alpha=-$s * 0.1)"),
        ("$p.sub_($d, alpha=$s)", "$p.add_(-$s * $d)"),
    ),
    Rule(
        "1 - $b ** $t",
        ("1 + $b ** $t", "1 - $b", "1 - $b ** ($t + 1000)", "1.0"),
        ("1.0 - $b ** $t", "1 - pow($b, $t)"),
        where={"b": r"(?i)beta|b1|b2|decay"},
    ),
    Rule(
        "$v.sqrt().add_($e)",
        ("$v.add_($e)", "$v.sqrt().add_($e * 1e6)", "$v.sqrt().sqrt().add_($e)"),
        ("$v.sqrt() + $e", "torch.sqrt($v).add_($e)"),
    ),
    Rule(
        "$v.sqrt() + $e",
        ("$v + $e", "$v.sqrt() + 1.0", "($v + $e)"),
        ("$e + $v.sqrt()", "torch.sqrt($v) + $e"),
    ),
    Rule(
        "jnp.sqrt($v) + $e",
        ("$v + $e", "jnp.sqrt($v) + 1.0", "jnp.sqrt($v) - $e"),
        ("$e + jnp.sqrt($v)", "$v ** 0.5 + $e"),
    ),
    Rule(
        "$p.mul_(1 - $a * $w)", ("$p.mul_(1 + $a * $w)", "$p.mul_(1 - $w)", ""), ("$p.mul_(1.0 - $w * $a)",)
    ),
    Rule(
        "$b * $m + (1 - $b) * $g",
        ("(1 - $b) * $m + $b * $g", "$b * $m + $g", "$b * $m - (1 - $b) * $g"),
        ("(1 - $b) * $g + $b * $m", "$m * $b + $g * (1 - $b)", "$m + (1 - $b) * ($g - $m)"),
        line=r"(?i)mu\b|nu\b|exp_avg|moment|\bm\b|\bv\b",
    ),
    needs="mul_ addcdiv beta sqrt b1 b2 decay add_",
)

OPERATORS: tuple[Operator, ...] = (
    *averages.OPERATORS,
    STATE_KEY,
    RESTORE,
    STEP_TWICE,
    UPDATE_MATH,
)
