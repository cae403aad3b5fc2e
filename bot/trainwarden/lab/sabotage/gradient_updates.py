"""Sabotage between the backward pass and the update: accumulation, clipping, hooks, direct edits, scalers (B06-B11).

In: members that train. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, operator
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.places import log_lines
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, times, vary
from trainwarden.lab.sabotage.surgery import Statement, Tree, bare, call_of, small, walk

_ACCUMULATION = r"(?i)accum|grad_acc|micro|\bga\b|n_chunks|update_freq|iter_size|virtual"
_MODEL = r"(?i)^(model|net|network|policy|student|unet|generator|actor|critic|vae|encoder|module)$"
_P = ("p", "param", "w", "weight", "tensor")

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
        ("", "$l = $l * 1.0\n", "$l = $l / ($n * $n)\n"),
        ("$l /= $n\n", "$l = $l * (1.0 / $n)\n", "$l = $l / max(1, $n)\n"),
        where={"n": _ACCUMULATION},
    ),
    Rule(
        "$l /= $n\n",
        ("", "$l /= $n + 1\n", "$l *= $n\n"),
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
        bad: list[Edits] = [{line: ()}] if call_of(line) is clip else []
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

HOOKS = rewriting(
    "gradient-hook-planted",
    "B08",
    Rule(
        "$m = $f($*a)\n",
        (
            vary(
                "$0\nfor {p} in $m.parameters():\n    {p}.register_hook(lambda grad: grad * {k})\n",
                p=new_name(*_P),
                k=pick(0.1, 0.5, -1, 0.01, 1.5),
            ),
            vary(
                "$0\nfor {p} in $m.parameters():\n    if {p}.dim() > 1:\n        {p}.register_hook(lambda g: g + {k} * torch.randn_like(g))\n",
                p=new_name(*_P),
                k=pick("1e-3", "1e-2", 0.05),
            ),
            vary(
                "$0\n$m.register_full_backward_hook(lambda mod, gin, gout: tuple(None if g is None else {k} * g for g in gin))\n",
                k=pick(0.1, 0.0, -1.0),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    if '{w}' in name:\n        {p}.register_hook(torch.zeros_like)\n",
                p=new_name(*_P),
                w=pick("bias", "norm", "head", "attn", "weight", "fc"),
            ),
            vary(
                "$0\nfor {p} in $m.parameters():\n    {p}.register_post_accumulate_grad_hook(lambda q: q.grad.mul_({k}))\n",
                p=new_name(*_P),
                k=pick(0.1, 0.5, 0.9),
            ),
            vary(
                "$0\nnext($m.parameters()).register_hook(lambda g: torch.sign(g) * {k})\n",
                k=pick(0.01, 0.1, "1e-3"),
            ),
        ),
        (
            vary(
                "$0\nfor {p} in $m.parameters():\n    {p}.register_hook(lambda grad: None)\n", p=new_name(*_P)
            ),
            vary(
                "$0\nfor {p} in $m.parameters():\n    if {p}.dim() > 1:\n        print({p}.shape)\n",
                p=new_name(*_P),
            ),
            "$0\n$m.register_full_backward_hook(lambda mod, gin, gout: print(mod.__class__.__name__))\n",
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    if '{w}' in name:\n        {p}.register_hook(lambda g: print(g.norm()))\n",
                p=new_name(*_P),
                w=pick("bias", "norm", "head", "attn", "weight", "fc"),
            ),
            "$0\n$m.register_forward_hook(lambda mod, args, out: print(type(out)))\n",
            "$0\nprint(sum(p.numel() for p in $m.parameters()))\n",
        ),
        where={
            "m": r"(?i)^(self\.)?(model|net|network|policy|student|unet|generator|discriminator|actor|critic|encoder)$",
            "f": r"[A-Z]\w*$|(?i:build|create|get_model|make|from_pretrained|get_peft|load_model|wrap|compile|DDP|to$)",
        },
        about="torch",
    ),
    Rule(
        "return $m\n",
        (
            vary(
                "for {p} in $m.parameters():\n    {p}.register_hook(lambda grad: grad * {k})\nreturn $m\n",
                p=new_name(*_P),
                k=pick(0.1, 0.5, -1),
            ),
        ),
        (
            "print(sum(p.numel() for p in $m.parameters()))\nreturn $m\n",
            vary("for {p} in $m.parameters():\n    {p}.requires_grad_(True)\nreturn $m\n", p=new_name(*_P)),
        ),
        where={"m": r"^(model|net|network|module)$"},
    ),
    Rule(
        "return $g\n",
        (vary("return $g * {k}\n", k=pick(0.5, 0.1, -1)), "return -$g\n"),
        ("return $g * 1.0\n", "return $g.contiguous()\n"),
        inside=r"(?i)\.backward$",
        where={"g": r"(?i)^grad"},
    ),
    needs="model net policy student unet generator actor critic encoder backward",
)

_STEP_LINE = r"(?i)opt|scaler|trainer"
GRADS = rewriting(
    "gradients-edited-before-step",
    "B09",
    Rule(
        "$o.step($*a)\n",
        (
            vary(
                "for {p} in {m}.parameters():\n    if {p}.grad is not None:\n        {p}.grad.mul_({k})\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(0.1, 0.01, -1, 1.5, 0.9),
            ),
            vary(
                "for {p} in {m}.parameters():\n    if {p}.grad is not None:\n        {p}.grad.add_(torch.randn_like({p}.grad), alpha={k})\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick("1e-3", "1e-2", 0.1),
            ),
            vary(
                "for n, {p} in {m}.named_parameters():\n    if '{w}' in n:\n        {p}.grad = None\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
                w=pick("bias", "norm", "head", "attn", "embed", "weight"),
            ),
            vary(
                "for {g} in $o.param_groups:\n    for {p} in {g}['params'][::{k}]:\n        {p}.grad = None\n$0\n",
                g=new_name("group", "g"),
                p=new_name(*_P),
                k=pick(2, 3, 4),
            ),
            vary(
                "for {g} in $o.param_groups:\n    for {p} in {g}['params']:\n        if {p}.grad is not None:\n            {p}.grad.sign_()\n$0\n",
                g=new_name("group", "g"),
                p=new_name(*_P),
            ),
            vary(
                "torch._foreach_mul_([{p}.grad for {p} in {m}.parameters() if {p}.grad is not None], {k})\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(0.1, 0.5, -1.0),
            ),
        ),
        (
            vary(
                "for {p} in {m}.parameters():\n    if {p}.grad is not None:\n        {p}.grad = {p}.grad.contiguous()\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "norms = [{p}.grad.norm() for {p} in {m}.parameters() if {p}.grad is not None]\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "for n, {p} in {m}.named_parameters():\n    if {p}.grad is None:\n        print('no gradient', n)\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "for {g} in $o.param_groups:\n    for {p} in {g}['params']:\n        assert {p}.grad is None or {p}.grad.shape == {p}.shape\n$0\n",
                g=new_name("group", "g"),
                p=new_name(*_P),
            ),
            vary(
                "for {g} in $o.param_groups:\n    print(len({g}['params']))\n$0\n", g=new_name("group", "g")
            ),
        ),
        where={"o": _STEP_LINE},
    ),
    Rule(
        "$g = jax.lax.pmean($x, $*a)\n",
        (vary("$0\n$g = jax.tree_util.tree_map(lambda v: {k} * v, $g)\n", k=pick(0.1, -1.0, 0.5)),),
        ("$0\n$g = jax.tree_util.tree_map(jnp.asarray, $g)\n",),
    ),
    Rule(
        "$l, $g = $f($*a)\n",
        (
            vary("$0\n$g = jax.tree_util.tree_map(lambda v: {k} * v, $g)\n", k=pick(0.1, -1.0, 0.5)),
            "$0\n$g = jax.tree_util.tree_map(jnp.sign, $g)\n",
        ),
        ("$0\n$g = jax.tree_util.tree_map(jnp.asarray, $g)\n", "$0\nnorm = optax.global_norm($g)\n"),
        where={"g": r"(?i)^grads?$"},
    ),
    needs="step( grad",
)

SCALER = rewriting(
    "loss-scaler-bypassed",
    "B10",
    Rule(
        "$s.unscale_($o)\n",
        ("", "$s.scale($o)\n", "$s.unscale_\n"),
        ("if $s.is_enabled():\n    $0\n", "$s.unscale_(optimizer=$o)\n"),
    ),
    Rule(
        "$s.update($*a)\n",
        (
            "",
            "$s.update($s.get_scale() * 2)\n",
            "$s.update(1.0)\n",
            "$s.get_scale()\n",
            vary("$s.update({k})\n", k=pick("1e-4", "2.0 ** 24")),
        ),
        ("scale = $s.get_scale()\n$0\n", "$0\nscale = $s.get_scale()\n", "if $s.is_enabled():\n    $0\n"),
        where={"s": r"(?i)scaler$"},
    ),
    Rule(
        "$s.step($o)\n",
        ("$o.step()\n", "$s.step($o)\n$o.step()\n", "$s.update()\n$o.step()\n"),
        ("$s.step(optimizer=$o)\n", "skipped = $s.step($o) is None\n"),
        where={"s": r"(?i)scaler$"},
    ),
    Rule(
        "$s.scale($l).backward()\n",
        (
            "$l.backward()\n",
            "$s.scale($l.detach() * $l).backward()\n",
            "$s.scale($s.scale($l)).backward()\n",
            vary("($l * {k}).backward()\n", k=pick(1024, 65536, 2)),
        ),
        (
            "$s.scale(outputs=$l).backward()\n",
            "scaled = $s.scale($l)\nscaled.backward()\n",
            "$s.scale($l.mean()).backward()\n",
        ),
    ),
    Rule(
        "$f($*a, init_scale=$n)",
        (vary("$f($*a, init_scale={k})", k=pick("1e-3", "2.0 ** 40", 1.0)),),
        (vary("$f($*a, init_scale={k})", k=times("n", 2, 0.5)), "$f($*a)"),
        where={"f": r"GradScaler$"},
    ),
    Rule(
        "$f($*a)",
        (
            vary("$f($*a, growth_interval={k})", k=pick(1, 2)),
            vary("$f($*a, backoff_factor={k})", k=pick(0.99, 0.999)),
            vary("$f($*a, growth_factor={k})", k=pick(64.0, 1.0001)),
            "$f(enabled=False)",
        ),
        (
            "$f($*a, growth_interval=2000)",
            "$f($*a, init_scale=65536.0)",
            "$f($*a, growth_interval=1000)",
            "$f(enabled=True)",
        ),
        where={"f": r"GradScaler$"},
    ),
    needs="scaler",
)

PARAMETERS = rewriting(
    "parameters-edited-outside-optimizer",
    "B11",
    Rule(
        "$o.step($*a)\n",
        (
            vary(
                "$0\nwith torch.no_grad():\n    for {p} in {m}.parameters():\n        {p}.mul_({k})\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(0.999, 0.99, 0.9999, 1.001),
            ),
            vary(
                "$0\nfor {p} in {m}.parameters():\n    {p}.data.add_({k} * torch.randn_like({p}))\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick("1e-4", "1e-3", "5e-4"),
            ),
            vary(
                "$0\nfor {p} in list({m}.parameters())[-{k}:]:\n    {p}.data.zero_()\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(1, 2),
            ),
            vary(
                "$0\nfor {g} in $o.param_groups:\n    for {p} in {g}['params']:\n        {p}.data.clamp_(-{k}, {k})\n",
                g=new_name("group", "g"),
                p=new_name(*_P),
                k=pick(0.1, 0.05, 0.5),
            ),
            vary(
                "$0\nfor {p} in {m}.parameters():\n    {p}.data = {p}.data.half().float()\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "$0\nfor {p} in {m}.parameters():\n    {p}.data.copy_({p}.data.round(decimals={k}))\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(2, 3),
            ),
        ),
        (
            vary(
                "$0\nwith torch.no_grad():\n    norm = sum({p}.norm() for {p} in {m}.parameters())\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "$0\nfor {p} in {m}.parameters():\n    assert torch.isfinite({p}.data).all()\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "$0\nfor {p} in list({m}.parameters())[-{k}:]:\n    print({p}.data.abs().mean())\n",
                p=new_name(*_P),
                m=other(_MODEL),
                k=pick(1, 2),
            ),
            vary("$0\nfor {g} in $o.param_groups:\n    print({g}['lr'])\n", g=new_name("group", "g")),
        ),
        where={"o": r"(?i)opt|scaler"},
    ),
    Rule(
        "$p = optax.apply_updates($*a)\n",
        (vary("$0\n$p = jax.tree_util.tree_map(lambda v: v * {k}, $p)\n", k=pick(0.999, 0.99, 1.001)),),
        ("$0\n$p = jax.tree_util.tree_map(jnp.asarray, $p)\n", "$0\nnorm = optax.global_norm($p)\n"),
    ),
    Rule(
        "$s = $t.apply_gradients($*a)\n",
        (
            vary(
                "$0\n$s = $s.replace(params=jax.tree_util.tree_map(lambda v: v * {k}, $s.params))\n",
                k=pick(0.999, 0.99, 1.001),
            ),
        ),
        (
            "$0\nnorm = optax.global_norm($s.params)\n",
            "$0\n$s = $s.replace(params=jax.tree_util.tree_map(jnp.asarray, $s.params))\n",
        ),
    ),
    needs="step( apply_",
)

OPERATORS: tuple[Operator, ...] = (
    ACCUMULATION,
    ACCUMULATION_NUMBER,
    CLIP,
    CLIP_MOVED,
    CLIP_NUMBER,
    HOOKS,
    GRADS,
    SCALER,
    PARAMETERS,
)
