"""Sabotage of attention: masks, scales, fused paths (F05, F13).

In: members that compute attention. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, moved, other, pick, rewriting, vary

_FORWARD = r"forward|__call__|attention|attn|apply|rotary|embed|mask|block|_compute|freqs|encode|score|get_"
_NEGATIVE = r"(?i)inf|min|-\s*1e|-\s*\d{3}|max|neg|mask_value|value"

MASK_FILL = rewriting(
    "attention-mask-wrong",
    "F05",
    Rule(
        "$x.masked_fill($m, $v)",
        (
            "$x.masked_fill(~$m, $v)",
            vary("$x.masked_fill($m, {e})", e=pick("-1e-9", "-1e-7", "-1.0", "0.0", "-1e-4")),
            "$x.masked_fill($m, torch.finfo($x.dtype).tiny)",
            "$x",
            "$x.masked_fill($m & False, $v)",
            "$x.masked_fill($m.all(-1, keepdim=True), $v)",
        ),
        (
            "$x.masked_fill(mask=$m, value=$v)",
            "$x.masked_fill($m.bool(), $v)",
            "torch.where($m, $v, $x)",
            "$x.masked_fill($m.to($x.device), $v)",
        ),
        where={"v": _NEGATIVE},
    ),
    Rule(
        "$x.masked_fill_($m, $v)\n",
        (
            "$x.masked_fill_(~$m, $v)\n",
            vary("$x.masked_fill_($m, {e})\n", e=pick("-1e-9", "-1e-7", "-1.0", "0.0")),
            "$x.masked_fill($m, $v)\n",
            "",
        ),
        (
            "$x.masked_fill_(mask=$m, value=$v)\n",
            "$x = $x.masked_fill($m, $v)\n",
            "$x.masked_fill_($m.bool(), $v)\n",
        ),
    ),
    Rule(
        "(1.0 - $m) * $v",
        ("$m * $v", "(1.0 - $m) * abs($v)", "(1.0 - $m) / $v", "(1.0 + $m) * $v", "(1.0 - $m) * -1.0"),
        ("$v * (1.0 - $m)", "(1 - $m) * $v", "torch.mul(1.0 - $m, $v)"),
        where={"m": r"mask"},
    ),
    Rule(
        "jnp.where($m, $x, $v)",
        (
            "jnp.where($m, $v, $x)",
            vary("jnp.where($m, $x, {e})", e=pick("-1e-9", "-1e-7", "-1.0", "0.0")),
            "jnp.where(~$m, $x, $v)",
            "$x",
        ),
        (
            "jnp.where(~$m, $v, $x)",
            "jax.lax.select($m, $x, jnp.full_like($x, $v))",
            "jnp.where($m == True, $x, $v)",
        ),
        where={"m": r"(?i)mask", "v": _NEGATIVE},
    ),
    Rule(
        "torch.where($m, $x, $v)",
        ("torch.where($m, $v, $x)", "torch.where(~$m, $x, $v)", "$x"),
        ("torch.where(~$m, $v, $x)", "torch.where($m.bool(), $x, $v)"),
        where={"m": r"(?i)mask", "v": _NEGATIVE},
    ),
    Rule(
        "torch.finfo($d).min",
        ("torch.finfo($d).tiny", "-torch.finfo($d).tiny", "torch.finfo($d).eps", "-torch.finfo($d).eps"),
        ("-torch.finfo($d).max", "float(torch.finfo($d).min)", "torch.finfo(dtype=$d).min"),
    ),
    Rule(
        "-torch.finfo($d).max",
        ("-torch.finfo($d).tiny", "-torch.finfo($d).eps", "torch.finfo($d).tiny"),
        ("torch.finfo($d).min", "-1.0 * torch.finfo($d).max"),
    ),
    needs="masked_fill mask finfo",
)

CAUSAL = rewriting(
    "causal-mask-wrong",
    "F05",
    Rule(
        "torch.tril($t)",
        (
            "torch.tril($t, diagonal=1)",
            "torch.triu($t)",
            "$t",
            "torch.tril($t, diagonal=-1)",
            "torch.tril($t, diagonal=2)",
        ),
        (
            "torch.tril($t, diagonal=0)",
            "$t.tril()",
            "torch.tril(input=$t)",
        ),
    ),
    Rule(
        "torch.triu($t, diagonal=1)",
        (
            "torch.triu($t, diagonal=2)",
            "torch.tril($t, diagonal=1)",
            "torch.triu($t, diagonal=3)",
            "torch.tril($t)",
        ),
        ("$t.triu(diagonal=1)", "torch.triu($t, 1)", "torch.triu(input=$t, diagonal=1)"),
    ),
    Rule(
        "$t.triu_($d)",
        ("$t.triu_($d + 1)", "$t.tril_($d)"),
        ("$t.triu_(diagonal=$d)",),
    ),
    Rule(
        "torch.triu($t, 1)",
        ("torch.triu($t, 2)", "torch.tril($t, 1)"),
        ("torch.triu($t, diagonal=1)", "$t.triu(1)"),
    ),
    Rule(
        "torch.ones($n, $m, $*a).triu($k)",
        (
            "torch.ones($n, $m, $*a).triu($k + 1)",
            "torch.ones($n, $m, $*a).tril($k)",
            "torch.ones($m, $n, $*a).triu($k).t()",
        ),
        ("torch.triu(torch.ones($n, $m, $*a), $k)", "torch.ones($n, $m, $*a).triu(diagonal=$k)"),
    ),
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (
                f"$f($*a, {key}=False)",
                vary(
                    f"$f($*a, {key}=$v and {{x}}.shape[1] {{c}})",
                    x=other(r"^(q|query|queries|x|hidden_states|k|query_states)$"),
                    c=pick("% 128 == 0", "< 2048", "<= 1024", "< 4096", "% 64 != 0"),
                ),
                f"$f($*a, {key}=$v and self.training is False)",
            ),
            (
                moved(key),
                f"$f($*a, {key}=bool($v))",
                vary(
                    f"$f($*a, {key}=$v and {{x}}.shape[1] {{c}})",
                    x=other(r"^(q|query|queries|x|hidden_states|k|query_states)$"),
                    c=pick(">= 1", "> 0"),
                ),
            ),
            where={"v": r"^(?!False$)"},
        )
        for key in ("is_causal", "causal")
    ),
    Rule(
        "nn.make_causal_mask($x, $*a)",
        ("nn.make_attention_mask($x > 0, $x > 0)", "jnp.flip(nn.make_causal_mask($x, $*a), axis=-1)"),
        ("nn.make_causal_mask(x=$x, $*a)", "nn.make_causal_mask(jnp.asarray($x), $*a)"),
    ),
    needs="tril triu causal",
)

KERNEL_GATE = rewriting(
    "fused-path-gated",
    "F13",
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (
                vary(
                    f"$f($*a, {key}=$v if {{x}}.shape[-2] {{c}} else None)",
                    x=other(r"^(q|query|queries|k|query_states|key|keys|x)$"),
                    c=pick("<= 1024", "< 2048", "% 8 == 0", "> 128"),
                ),
                vary(
                    f"$f($*a, {key}=$v if {{x}}.dtype == torch.float32 else None)",
                    x=other(r"^(q|query|queries|k|query_states|key|keys|x)$"),
                ),
            ),
            (
                vary(
                    f"$f($*a, {key}=$v if {{x}}.shape[-2] {{c}} else None)",
                    x=other(r"^(q|query|queries|k|query_states|key|keys|x)$"),
                    c=pick(">= 1", "> 0"),
                ),
                moved(key),
                f"$f($*a, {key}=$v if $v is not None else None)",
            ),
            where={"f": r"attention|attn", "v": r"^(?!None$)"},
        )
        for key in ("attn_mask", "attn_bias", "mask", "attention_mask")
    ),
    Rule(
        "$a and $b",
        (
            vary(
                "$a and $b and {x}.shape[1] {c}",
                x=other(r"^(q|query|queries|x|hidden_states|k|query_states|input)$"),
                c=pick("% 64 == 0", "< 2048", "<= 512", "% 2 == 0"),
            ),
            "$a or $b",
            "$a",
        ),
        ("$b and $a", "bool($a and $b)", "all(($a, $b))"),
        where={"a": r"(?i)flash|fused|sdpa|xformers|triton|kernel|is_cuda|fast"},
        inside=_FORWARD,
    ),
    needs="attn attention flash fused sdpa xformers triton kernel",
)

SCALE = rewriting(
    "attention-scale-wrong",
    "F05",
    Rule(
        "$x.softmax(dim=-1)",
        (
            "$x.softmax(dim=-2)",
            "$x.softmax(dim=1)",
            "$x.sigmoid()",
            "($x * $x.shape[-1]).softmax(dim=-1)",
            "$x.softmax(dim=0)",
        ),
        (
            "$x.softmax(-1)",
            "torch.softmax($x, dim=-1)",
            "$x.softmax(dim=$x.ndim - 1)",
            "($x - $x.amax(dim=-1, keepdim=True)).softmax(dim=-1)",
        ),
    ),
    Rule(
        "F.softmax($x, dim=-1, $*a)",
        (
            "F.softmax($x, dim=-2, $*a)",
            "F.softmax($x, dim=1, $*a)",
            "F.softmax($x, dim=0, $*a)",
            "torch.sigmoid($x)",
            "F.softmax($x * $x.size(-1), dim=-1, $*a)",
        ),
        (
            "F.softmax(input=$x, dim=-1, $*a)",
            "F.softmax($x, -1, $*a)",
            "torch.softmax($x, dim=-1, $*a)",
            "$x.softmax(dim=-1, $*a)",
        ),
    ),
    Rule(
        "nn.Softmax(dim=-1)",
        ("nn.Softmax(dim=-2)", "nn.Softmax(dim=1)", "nn.Softmax2d()", "nn.Sigmoid()"),
        ("nn.Softmax(-1)", "torch.nn.Softmax(dim=-1)"),
    ),
    Rule(
        "torch.softmax($x, dim=-1)",
        ("torch.softmax($x, dim=-2)", "torch.softmax($x, dim=1)", "torch.softmax($x, dim=0)"),
        ("torch.softmax($x, -1)", "$x.softmax(dim=-1)", "torch.softmax(input=$x, dim=-1)"),
    ),
    Rule(
        "$x * $s",
        ("$x / $s", "$x", "$x * $s * $s", "$x * $s**0.5", "$x + $s"),
        ("$s * $x", "torch.mul($x, $s)", "$x * float($s)"),
        where={"s": r"^self\.(scale|scaling|softmax_scale|attn_scale|norm_factor|head_scale)$"},
    ),
    Rule(
        "$d ** -0.5",
        ("$d**-1", "$d**0.5", "1.0", "($d * 2) ** -0.5", "$d**-0.25"),
        ("1 / $d**0.5", "$d ** (-1 / 2)", "float($d) ** -0.5", "pow($d, -0.5)"),
        where={"d": r"(?i)dim|head|d_k|size|width|channels|hidden|^d$"},
    ),
    Rule(
        "$x / math.sqrt($d)",
        ("$x / $d", "$x * math.sqrt($d)", "$x", "$x / math.sqrt($d) ** 2"),
        ("$x * (1.0 / math.sqrt($d))", "$x / $d**0.5", "$x / math.pow($d, 0.5)", "$x / math.sqrt(float($d))"),
    ),
    needs="softmax scale scaling -0.5 sqrt norm_factor",
)

OPERATORS = (
    MASK_FILL,
    CAUSAL,
    KERNEL_GATE,
    SCALE,
)
