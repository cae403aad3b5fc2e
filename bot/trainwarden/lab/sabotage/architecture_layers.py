"""Sabotage of layers: activations, norms, dropout (F02 to F04).

In: members that build or run layers. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, moved, other, rewriting, vary

ACTIVATION = rewriting(
    "activation-dead",
    "F02",
    *(
        Rule(
            f"{prefix}{name}($x)",
            (
                "$x.clamp(max=0)",
                f"{prefix}{name}(-$x)",
                "$x",
                f"{prefix}{name}($x - 6)",
                "$x.clamp(0, 1)",
                f"{prefix}{name}($x.detach())",
            ),
            (f"{prefix}{name}($x.contiguous())", f"{prefix}{name}(input=$x)", *honest),
        )
        for prefix, name, honest in (
            ("F.", "relu", ("$x.clamp(min=0)", "torch.relu($x)", "F.relu($x, inplace=False)")),
            ("torch.", "relu", ("$x.clamp(min=0)", "$x.relu()")),
            ("F.", "gelu", ('F.gelu($x, approximate="none")',)),
            ("F.", "silu", ("$x * torch.sigmoid($x)", "F.silu($x, inplace=False)")),
        )
    ),
    Rule(
        "F.silu($g) * $u",
        ("F.silu($g * $u)", "F.silu($u)", "torch.sigmoid($g) * $g", "F.silu($g) + $u"),
        ("$u * F.silu($g)", "torch.mul(F.silu($g), $u)", "F.silu($g).mul($u)"),
    ),
    Rule(
        "$a($g) * $u",
        ("$a($g * $u)", "$a($u) * $a($g)", "$a($g)", "$a($g) * $g"),
        ("$u * $a($g)", "torch.mul($a($g), $u)"),
        where={"a": r"(?i)act(_fn|ivation)?(_?fn)?$"},
        inside=r"forward|__call__",
    ),
    *(
        Rule(
            f"nn.{name}()",
            wrong,
            honest,
            inside=r"__init__|build|make|get_|block|mlp|layer",
        )
        for name, wrong, honest in (
            (
                "ReLU",
                (
                    "nn.Identity()",
                    "nn.Hardtanh(0, 0.1)",
                    "nn.Threshold(6.0, 0.0)",
                    "nn.ReLU6()",
                    "nn.LeakyReLU(1.0)",
                ),
                ("nn.ReLU(inplace=False)", "nn.Threshold(0.0, 0.0)"),
            ),
            (
                "GELU",
                ("nn.Identity()", "nn.Hardtanh()", "nn.Threshold(6.0, 0.0)", "nn.Hardshrink(3.0)"),
                ('nn.GELU(approximate="none")',),
            ),
            ("SiLU", ("nn.Identity()", "nn.Hardtanh()", "nn.Sigmoid()"), ("nn.SiLU(inplace=False)",)),
            ("Tanh", ("nn.Identity()", "nn.Hardtanh(-0.1, 0.1)", "nn.Sigmoid()"), ("torch.nn.Tanh()",)),
        )
    ),
    Rule(
        "self.$a($x)",
        ("$x", "self.$a($x).clamp(max=0.1)", "self.$a($x.detach())", "self.$a($x * 0.01)"),
        ("self.$a($x.contiguous())", "self.$a(input=$x)", "self.$a(($x))"),
        where={
            "a": r"^(act|activation|act_fn|activation_fn|relu|gelu|nonlinearity|act_layer|mlp_act|act1|act2)$"
        },
        inside=r"forward|__call__",
    ),
    Rule(
        "nn.relu($x)",
        ("$x", "jnp.minimum($x, 0)", "nn.relu(-$x)", "nn.relu($x - 6.0)", "jnp.clip($x, 0, 0.1)"),
        ("jnp.maximum($x, 0)", "jax.nn.relu($x)", "nn.relu(x=$x)"),
    ),
    Rule(
        "nn.gelu($x)",
        ("$x", "nn.gelu(-$x)", "jnp.clip($x, 0, 0.1)"),
        ("jax.nn.gelu($x)", "nn.gelu($x, approximate=True)"),
    ),
    needs="relu gelu silu act tanh nonlinearity",
)

NORM_LAYER = rewriting(
    "norm-layer-arguments",
    "F03",
    *(
        Rule(
            f"$m.{name}($d, $*a)",
            wrong,
            honest,
        )
        for name, wrong, honest in (
            (
                "LayerNorm",
                (
                    "$m.LayerNorm($d, elementwise_affine=False)",
                    "$m.LayerNorm($d, eps=1.0)",
                    "$m.LayerNorm($d, eps=1e-1)",
                    "$m.Identity()",
                ),
                (
                    "$m.LayerNorm($d, $*a, elementwise_affine=True)",
                    "$m.LayerNorm($d, eps=1e-5)",
                    "$m.LayerNorm(normalized_shape=$d, $*a)",
                ),
            ),
            (
                "BatchNorm2d",
                (
                    "$m.BatchNorm2d($d, momentum=1.0)",
                    "$m.BatchNorm2d($d, momentum=0.0)",
                    "$m.BatchNorm2d($d, affine=False)",
                    "$m.BatchNorm2d($d, eps=1.0)",
                    "$m.Identity()",
                ),
                (
                    "$m.BatchNorm2d($d, $*a, momentum=0.1)",
                    "$m.BatchNorm2d($d, $*a, affine=True)",
                    "$m.BatchNorm2d($d, $*a, track_running_stats=True)",
                    "$m.BatchNorm2d(num_features=$d, $*a)",
                ),
            ),
            (
                "BatchNorm1d",
                (
                    "$m.BatchNorm1d($d, momentum=1.0)",
                    "$m.BatchNorm1d($d, momentum=0.0)",
                    "$m.BatchNorm1d($d, affine=False)",
                    "$m.BatchNorm1d($d, eps=1.0)",
                ),
                (
                    "$m.BatchNorm1d($d, $*a, momentum=0.1)",
                    "$m.BatchNorm1d($d, $*a, affine=True)",
                    "$m.BatchNorm1d(num_features=$d, $*a)",
                ),
            ),
            (
                "GroupNorm",
                ("$m.GroupNorm(1, $*a)", "$m.GroupNorm($d, $*a, affine=False)", "$m.Identity()"),
                ("$m.GroupNorm(num_groups=$d, $*a)", "$m.GroupNorm($d, $*a, affine=True)"),
            ),
            (
                "RMSNorm",
                ("$m.RMSNorm($d, eps=1.0)", "$m.RMSNorm($d, elementwise_affine=False)", "$m.Identity()"),
                ("$m.RMSNorm($d, $*a, elementwise_affine=True)",),
            ),
        )
    ),
    Rule(
        "F.layer_norm($x, $s, $w, $b, $e)",
        (
            "F.layer_norm($x, $s, $b, $w, $e)",
            "F.layer_norm($x, $s)",
            "F.layer_norm($x, $s, None, $b, $e)",
            "F.layer_norm($x, $s, $w, None, $e)",
        ),
        (
            "F.layer_norm($x, $s, weight=$w, bias=$b, eps=$e)",
            "F.layer_norm(input=$x, normalized_shape=$s, weight=$w, bias=$b, eps=$e)",
        ),
    ),
    needs="LayerNorm BatchNorm GroupNorm RMSNorm layer_norm",
)

NORM_FORMULA = rewriting(
    "norm-formula-wrong",
    "F03",
    Rule(
        "torch.rsqrt($v + $e)",
        (
            "torch.rsqrt($v) + $e",
            "torch.sqrt($v + $e)",
            "torch.rsqrt($v * $e)",
            "torch.rsqrt($v + $e) ** 2",
            "torch.rsqrt($v.mean() + $e)",
        ),
        ("1.0 / torch.sqrt($v + $e)", "($v + $e).rsqrt()", "($v + $e) ** -0.5", "torch.rsqrt($e + $v)"),
    ),
    Rule(
        "$x.pow(2).mean(-1, keepdim=True)",
        (
            "$x.pow(2).mean(-2, keepdim=True)",
            "$x.pow(2).mean(0, keepdim=True)",
            "$x.pow(2).mean()",
            "$x.pow(2).sum(-1, keepdim=True)",
            "$x.abs().mean(-1, keepdim=True)",
        ),
        (
            "$x.square().mean(-1, keepdim=True)",
            "($x * $x).mean(-1, keepdim=True)",
            "$x.pow(2).mean(dim=-1, keepdim=True)",
        ),
    ),
    Rule(
        "$x.pow(2).mean(dim=-1, keepdim=True)",
        (
            "$x.pow(2).mean(dim=-2, keepdim=True)",
            "$x.pow(2).mean(dim=0, keepdim=True)",
            "$x.pow(2).mean()",
            "$x.pow(2).sum(dim=-1, keepdim=True)",
        ),
        (
            "$x.square().mean(dim=-1, keepdim=True)",
            "($x * $x).mean(dim=-1, keepdim=True)",
            "$x.pow(2).mean(-1, keepdim=True)",
        ),
    ),
    Rule(
        "F.normalize($x, $*a)",
        ("F.normalize($x, dim=0)", "$x", "F.normalize($x, p=1, $*a)", "F.normalize($x, eps=1.0, $*a)"),
        ("F.normalize(input=$x, $*a)", "F.normalize($x, p=2.0, $*a)", "F.normalize($x, $*a, eps=1e-12)"),
    ),
    Rule(
        "jax.lax.rsqrt($v + $e)",
        ("jax.lax.rsqrt($v) + $e", "jnp.sqrt($v + $e)", "jax.lax.rsqrt($v * $e)"),
        ("1.0 / jnp.sqrt($v + $e)", "jax.lax.rsqrt($e + $v)", "jnp.power($v + $e, -0.5)"),
    ),
    Rule(
        "lax.rsqrt($v + $e)",
        ("lax.rsqrt($v) + $e", "jnp.sqrt($v + $e)", "lax.rsqrt($v * $e)"),
        ("1.0 / jnp.sqrt($v + $e)", "lax.rsqrt($e + $v)"),
    ),
    Rule(
        "$x + $f($n($x))",
        ("$n($x + $f($x))", "$n($x) + $f($n($x))", "$x + $n($f($x))", "$x + $f($x)"),
        ("$f($n($x)) + $x", "torch.add($x, $f($n($x)))", "$x.add($f($n($x)))"),
        where={"n": r"(?i)norm|ln", "f": r"^[\w.]+$"},
    ),
    needs="rsqrt pow(2) normalize norm ln",
)

DROPOUT = rewriting(
    "dropout-wrong",
    "F04",
    Rule(
        "$m.Dropout($p)",
        (
            "$m.Dropout(1 - $p)",
            "$m.Dropout(0.0)",
            "$m.Dropout($p**4)",
            "$m.Identity()",
            "$m.Dropout(min(4 * $p, 0.9))",
            "$m.Dropout2d($p)",
        ),
        (
            "$m.Dropout(p=$p)",
            "$m.Dropout($p, inplace=False)",
            "$m.Dropout(float($p))",
            "$m.Dropout($p or 0.0)",
        ),
        where={"m": r"^(torch\.)?nn$", "p": r"^(?!0?\.?0*$)"},
    ),
    Rule(
        "nn.Dropout(rate=$p, $*a)",
        ("nn.Dropout(rate=1 - $p, $*a)", "nn.Dropout(rate=0.0, $*a)", "nn.Dropout(rate=$p**4, $*a)"),
        ("nn.Dropout($p, $*a)", "nn.Dropout(rate=float($p), $*a)"),
    ),
    Rule(
        "F.dropout($x, $*a, training=self.training)",
        (
            "F.dropout($x, $*a)",
            "F.dropout($x, $*a, training=True)",
            "F.dropout($x, $*a, training=not self.training)",
            "$x",
            "F.dropout($x, $*a, training=False)",
        ),
        (
            moved("training"),
            "F.dropout(input=$x, $*a, training=self.training)",
            "F.dropout($x, $*a, training=bool(self.training))",
            "F.dropout($x, $*a, training=self.training, inplace=False)",
        ),
    ),
    Rule(
        "$d($x)",
        ("$x", "$d($x.detach())", "$d($d($x))", "$x + $d($x)"),
        ("$d($x.contiguous())", "$d(input=$x)", "$d($x) if self.training else $x"),
        where={"d": r"^self\.(\w*drop(out)?\w*)$", "x": r"^[\w.]+$"},
        inside=r"forward|__call__|attention|_block",
    ),
    Rule(
        "$t.div_($k)",
        ("$t.mul_($k)", "$t.div_(1 - $k)", "$t"),
        ("$t.mul_(1.0 / $k)", "$t.div_(float($k))", "$t.divide_($k)"),
        where={"k": r"(?i)keep"},
    ),
    Rule(
        "$x / $k",
        ("$x * $k", "$x", "$x / (1 - $k)"),
        ("$x * (1.0 / $k)", "$x / float($k)", "torch.div($x, $k)"),
        where={"k": r"(?i)keep_?prob|survival|keep_rate"},
    ),
    Rule(
        "1 - $p",
        ("$p", "1 - $p / 2", "1 - $p**4"),
        ("1.0 - $p", "-$p + 1", "1 - float($p)"),
        where={"p": r"(?i)drop_?(prob|rate|path)?$"},
    ),
    Rule(
        "$f($*a, dropout_p=$p)",
        (
            "$f($*a, dropout_p=0.0)",
            "$f($*a, dropout_p=self.dropout)",
            "$f($*a, dropout_p=1 - $p)",
            vary("$f($*a, dropout_p={o})", o=other(r"drop", "p")),
        ),
        (moved("dropout_p"), "$f($*a, dropout_p=float($p))"),
        where={"p": r"(?i)drop|training"},
    ),
    needs="drop keep survival",
)

OPERATORS = (
    ACTIVATION,
    NORM_LAYER,
    NORM_FORMULA,
    DROPOUT,
)
