"""Sabotage of gradients and parameters themselves: hooks, direct edits, scalers (B08-B11).

In: members that train. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, times, vary

_MODEL = r"(?i)^(model|net|network|policy|student|unet|generator|actor|critic|vae|encoder|module)$"
_P = ("p", "param", "w", "weight", "tensor")

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
                "$0\nfor {p} in $m.parameters():\n    if {p}.dim() > 1:\n"
                "        {p}.register_hook(lambda g: g + {k} * torch.randn_like(g))\n",
                p=new_name(*_P),
                k=pick("1e-3", "1e-2", 0.05),
            ),
            vary(
                "$0\n$m.register_full_backward_hook("
                "lambda mod, gin, gout: tuple(None if g is None else {k} * g for g in gin))\n",
                k=pick(0.1, 0.0, -1.0),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n"
                "    if '{w}' in name:\n        {p}.register_hook(torch.zeros_like)\n",
                p=new_name(*_P),
                w=pick("bias", "norm", "head", "attn", "weight", "fc"),
            ),
            vary(
                "$0\nfor {p} in $m.parameters():\n"
                "    {p}.register_post_accumulate_grad_hook(lambda q: q.grad.mul_({k}))\n",
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
                "$0\nfor name, {p} in $m.named_parameters():\n    if '{w}' in name:\n"
                "        {p}.register_hook(lambda g: print(g.norm()))\n",
                p=new_name(*_P),
                w=pick("bias", "norm", "head", "attn", "weight", "fc"),
            ),
            "$0\n$m.register_forward_hook(lambda mod, args, out: print(type(out)))\n",
            "$0\nprint(sum(p.numel() for p in $m.parameters()))\n",
        ),
        where={
            "m": r"(?i)^(self\.)?(model|net|network|policy|student|"
            r"unet|generator|discriminator|actor|critic|encoder)$",
            "f": r"[A-Z]\w*$|(?i:build|create|get_model|make|"
            r"from_pretrained|get_peft|load_model|wrap|compile|DDP|to$)",
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
                "for {p} in {m}.parameters():\n    if {p}.grad is not None:\n"
                "        {p}.grad.add_(torch.randn_like({p}.grad), alpha={k})\n$0\n",
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
                "for {g} in $o.param_groups:\n    for {p} in {g}['params']:\n"
                "        if {p}.grad is not None:\n            {p}.grad.sign_()\n$0\n",
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
                "for {p} in {m}.parameters():\n    if {p}.grad is not None:\n"
                "        {p}.grad = {p}.grad.contiguous()\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "norms = [{p}.grad.norm() for {p} in {m}.parameters() if {p}.grad is not None]\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "for n, {p} in {m}.named_parameters():\n"
                "    if {p}.grad is None:\n        print('no gradient', n)\n$0\n",
                p=new_name(*_P),
                m=other(_MODEL),
            ),
            vary(
                "for {g} in $o.param_groups:\n    for {p} in {g}['params']:\n"
                "        assert {p}.grad is None or {p}.grad.shape == {p}.shape\n$0\n",
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
        (*[""] * 3, "$s.scale($o)\n", "$s.unscale_\n"),
        ("if $s.is_enabled():\n    $0\n", "$s.unscale_(optimizer=$o)\n"),
    ),
    Rule(
        "$s.update($*a)\n",
        (
            *[""] * 3,
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
                "$0\nfor {g} in $o.param_groups:\n    for {p} in {g}['params']:\n"
                "        {p}.data.clamp_(-{k}, {k})\n",
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
    HOOKS,
    GRADS,
    SCALER,
    PARAMETERS,
)
