"""Sabotage of attention, positions and shapes (F05, F06, F10, and fused paths F13).

In: members that compute attention or move axes. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, between, moved, other, pick, rewriting, times, vary

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
            "torch.triu($t).transpose(-2, -1)",
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
        ("$t.triu_(diagonal=$d)", "$t.triu($d)"),
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

ROPE = rewriting(
    "rotary-wrong",
    "F06",
    Rule(
        "torch.cat((-$b, $a), dim=-1)",
        (
            "torch.cat(($b, -$a), dim=-1)",
            "torch.cat((-$a, $b), dim=-1)",
            "torch.cat((-$b, $a), dim=-2)",
            "torch.cat(($a, -$b), dim=-1)",
        ),
        (
            "torch.cat([-$b, $a], dim=-1)",
            "torch.cat((-$b, $a), -1)",
            "torch.cat((-1 * $b, $a), dim=-1)",
            "torch.concat((-$b, $a), dim=-1)",
        ),
    ),
    Rule(
        "$x * $c + $r * $s",
        ("$x * $s + $r * $c", "$x * $c - $r * $s", "$x * $c + $x * $s", "$r * $c + $x * $s"),
        ("$r * $s + $x * $c", "$c * $x + $r * $s", "torch.addcmul($r * $s, $x, $c)"),
        where={"c": r"cos", "s": r"sin"},
    ),
    Rule(
        "$b ** ($n / $d)",
        (
            "$b ** ($n // $d)",
            "$b ** ($n / (2 * $d))",
            "$b ** ($d / $n)",
            "($b / 10) ** ($n / $d)",
            "$b ** (1 - $n / $d)",
        ),
        ("$b ** ($n * (1.0 / $d))", "pow($b, $n / $d)", "$b ** ($n / float($d))"),
        where={"n": r"arange|iota"},
    ),
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (
                vary(f"$f($*a, {key}={{n}})", n=times("v", 0.01, 0.1, 10, 1.1)),
                f"$f($*a, {key}=$v // 2)",
                "$f($*a)",
            ),
            (moved(key), f"$f($*a, {key}=1 * $v)", f"$f($*a, {key}=$v or 10000)"),
            where={"v": r"^(?!None)"},
        )
        for key in ("rope_theta", "rope_base", "base", "theta", "max_period")
    ),
    Rule(
        "$t = $v\n",
        (
            vary("$t = {n}\n", n=times("v", 0.01, 0.1, 0.5, 1.5)),
            "$t = $v // 16\n",
            vary("$t = $v - {n}\n", n=between(100, 9000)),
        ),
        ("$t = 100**2\n", "$t = 1 * $v\n", "$t = int($v)\n"),
        where={"v": r"^10_?000(\.0?)?$", "t": r"(?i)base|theta|period|wavelength|temperature"},
    ),
    Rule(
        "torch.arange($a, $b, 2, $*r)",
        (
            "torch.arange($a, $b, $*r)[: $b // 2]",
            "torch.arange($a + 1, $b + 1, 2, $*r)",
            "torch.arange($a, $b, 2, $*r).flip(0)",
            "torch.arange($a, $b // 2, 1, $*r)",
        ),
        (
            "torch.arange($a, $b, step=2, $*r)",
            "torch.arange(start=$a, end=$b, step=2, $*r)",
            "2 * torch.arange($b // 2, $*r)",
        ),
        inside=r"(?i)rot|pos|sin|emb|freq|rope|init|forward",
    ),
    needs="cos sin arange theta rope base max_period cat",
)

POSITIONS = rewriting(
    "positions-shifted",
    "F06",
    Rule(
        "$p + $o",
        ("$p", "$p - $o", "$p + $o + 1", "$p + $o // 2", "$p * 0 + $o"),
        ("$o + $p", "torch.add($p, $o)", "$p + int($o)"),
        where={
            "p": r"(?i)pos|arange|seq_len|length",
            "o": r"(?i)offset|past|start_pos|cache_len|prefix|start|seen|kv_len",
        },
    ),
    Rule(
        "torch.meshgrid($h, $w, $*a)",
        (
            "torch.meshgrid($w, $h, $*a)",
            "torch.meshgrid($h, $h, $*a)",
            "torch.meshgrid($w, $w, $*a)",
            "torch.meshgrid($h.flip(0), $w, $*a)",
        ),
        (
            "torch.meshgrid(*($h, $w), $*a)",
            "torch.meshgrid([$h, $w], $*a)",
            "torch.meshgrid($h.contiguous(), $w, $*a)",
        ),
    ),
    Rule(
        "$x + self.$p",
        ("$x", "$x + self.$p.flip(1)", "$x + self.$p[:, :1]", "$x + 0.01 * self.$p", "$x + self.$p.detach()"),
        ("self.$p + $x", "torch.add($x, self.$p)", "$x.add(self.$p)"),
        where={"p": r"(?i)pos_?(emb|enc|table)|position"},
    ),
    Rule(
        "self.$p($i)",
        (
            "self.$p($i.flip(-1))",
            "self.$p($i // 2)",
            "self.$p(torch.zeros_like($i))",
            "self.$p($i * 0)",
            "self.$p(($i + 1).clamp(max=$i.max()))",
        ),
        ("self.$p($i.long())", "self.$p(input=$i)", "self.$p($i.contiguous())"),
        where={"p": r"(?i)pos\w*_?emb|wpe|position\w*", "i": r"(?i)pos"},
    ),
    Rule(
        "$a.repeat_interleave($n, $*r)",
        ("$a.repeat($n)", "$a.repeat_interleave($n, $*r).flip(0)"),
        (
            "torch.repeat_interleave($a, $n, $*r)",
            "$a.repeat_interleave(int($n), $*r)",
            "$a.repeat_interleave(repeats=$n, $*r)",
        ),
    ),
    needs="pos offset past meshgrid repeat_interleave start",
)

AXES = rewriting(
    "axes-mixed-up",
    "F10",
    Rule(
        "$x.transpose($a, $b).contiguous().view($*s)",
        ("$x.contiguous().view($*s)", "$x.view($*s)", "$x.reshape($*s)"),
        (
            "$x.transpose($a, $b).reshape($*s)",
            "$x.transpose($b, $a).contiguous().view($*s)",
            "$x.swapaxes($a, $b).reshape($*s)",
        ),
    ),
    Rule(
        "$x.transpose($a, $b).reshape($*s)",
        ("$x.reshape($*s)", "$x.contiguous().reshape($*s)"),
        (
            "$x.transpose($b, $a).reshape($*s)",
            "$x.transpose($a, $b).contiguous().view($*s)",
            "$x.swapaxes($a, $b).reshape($*s)",
        ),
    ),
    Rule(
        "$x.transpose($a, $b)",
        (
            "$x.reshape($x.shape[0], $x.shape[2], $x.shape[1], -1)",
            "$x.transpose($a, $b).flip($a)",
            "$x.view($x.transpose($a, $b).shape)",
            "$x.reshape($x.transpose($a, $b).shape)",
        ),
        (
            "$x.transpose($b, $a)",
            "$x.swapaxes($a, $b)",
            "torch.transpose($x, $a, $b)",
            "$x.transpose(dim0=$a, dim1=$b)",
        ),
        where={"a": r"^-?\d$", "b": r"^-?\d$"},
    ),
    Rule(
        "$x.permute(0, 2, 1, 3)",
        (
            "$x.permute(0, 2, 1, 3).flip(1)",
            "$x.reshape($x.size(0), $x.size(2), $x.size(1), $x.size(3))",
            "$x.contiguous().view($x.size(0), $x.size(2), $x.size(1), -1)",
        ),
        ("$x.transpose(1, 2)", "torch.permute($x, (0, 2, 1, 3))", "$x.permute((0, 2, 1, 3))"),
    ),
    Rule(
        "$x.permute(0, 2, 3, 1)",
        ("$x.permute(0, 3, 2, 1)", "$x.reshape($x.size(0), $x.size(2), $x.size(3), $x.size(1))"),
        ("$x.permute((0, 2, 3, 1))", "torch.permute($x, (0, 2, 3, 1))", "$x.movedim(1, -1)"),
    ),
    Rule(
        "$x.permute(0, 3, 1, 2)",
        ("$x.permute(0, 3, 2, 1)", "$x.reshape($x.size(0), $x.size(3), $x.size(1), $x.size(2))"),
        ("$x.permute((0, 3, 1, 2))", "torch.permute($x, (0, 3, 1, 2))", "$x.movedim(-1, 1)"),
    ),
    *(
        Rule(
            f"$x.{name}(dim={dim})",
            (f"$x.{name}(dim={other_dim})", f"$x.{name}(dim={dim}, keepdim=True)", f"$x.{name}()"),
            (f"$x.{name}({dim})", f"torch.{name}($x, dim={dim})", f"$x.{name}(dim={dim}, keepdim=False)"),
        )
        for name in ("mean", "sum")
        for dim, other_dim in ((1, 0), (-1, 0), (0, 1), (2, 1), (-1, 1))
    ),
    Rule(
        "$x.$f(1)",
        ("$x.$f(0)", "$x.$f(-1)", "$x.$f(1).mean()"),
        ("$x.$f(dim=1)", "$x.$f(axis=1)"),
        where={"f": r"^(mean|sum)$"},
    ),
    Rule(
        "$x.$f($d, keepdim=True)",
        ("$x.$f($d)", "$x.$f(0, keepdim=True)", "$x.$f()"),
        ("$x.$f(dim=$d, keepdim=True)", "$x.$f($d).unsqueeze($d)"),
        where={"f": r"^(mean|sum|norm|amax|std|var)$"},
    ),
    needs="transpose permute mean sum keepdim",
)

ORDER = rewriting(
    "parts-in-the-wrong-order",
    "F10",
    Rule(
        "$a, $b = $x.chunk(2, $*d)\n",
        (
            "$b, $a = $x.chunk(2, $*d)\n",
            "$a, $b = $x.chunk(2, dim=0)\n",
            "$a, $b = $x, $x.chunk(2, $*d)[0]\n",
        ),
        (
            "$a, $b = torch.chunk($x, 2, $*d)\n",
            "$a, $b = $x.chunk(chunks=2, $*d)\n",
            "$a, $b = tuple($x.chunk(2, $*d))\n",
        ),
    ),
    Rule(
        "$q, $k, $v = $x\n",
        ("$q, $v, $k = $x\n", "$k, $q, $v = $x\n", "$v, $k, $q = $x\n"),
        ("$q, $k, $v = tuple($x)\n", "($q, $k, $v) = $x\n", "$q, $k, $v = list($x)\n"),
        where={"q": r"^q", "k": r"^k", "v": r"^v"},
    ),
    Rule(
        "torch.cat(($a, $b), $*d)",
        ("torch.cat(($b, $a), $*d)", "torch.cat(($a, $a), $*d)", "torch.cat(($a, $b.detach()), $*d)"),
        ("torch.cat([$a, $b], $*d)", "torch.concat(($a, $b), $*d)", "torch.cat(tensors=($a, $b), $*d)"),
        inside=r"forward|__call__|_block|encode|embed",
    ),
    Rule(
        "torch.cat([$a, $b], $*d)",
        ("torch.cat([$b, $a], $*d)", "torch.cat([$a, $a], $*d)", "torch.cat([$a, $b.detach()], $*d)"),
        ("torch.cat(($a, $b), $*d)", "torch.concat([$a, $b], $*d)", "torch.cat(tensors=[$a, $b], $*d)"),
        inside=r"forward|__call__|_block|encode|embed",
    ),
    Rule(
        "$f($q, $k, $v, $*a)",
        ("$f($q, $v, $k, $*a)", "$f($k, $q, $v, $*a)", "$f($q, $k, $k, $*a)", "$f($q, $k.detach(), $v, $*a)"),
        ("$f($q, $k, value=$v, $*a)", "$f($q, $k, $v.contiguous(), $*a)", "$f($q.contiguous(), $k, $v, $*a)"),
        where={"q": r"^q\w*$", "k": r"^k\w*$", "v": r"^v\w*$", "f": r"(?i)att|sdpa"},
    ),
    Rule(
        "$q @ $k.transpose(-2, -1)",
        (
            "$k @ $q.transpose(-2, -1)",
            "$q @ $k.reshape(*$k.shape[:-2], $k.shape[-1], $k.shape[-2])",
            "$q @ $q.transpose(-2, -1)",
        ),
        ("torch.matmul($q, $k.transpose(-2, -1))", "$q @ $k.transpose(-1, -2)", "$q.matmul($k.mT)"),
    ),
    needs="chunk q k v cat",
)

OPERATORS = (
    MASK_FILL,
    CAUSAL,
    KERNEL_GATE,
    SCALE,
    ROPE,
    POSITIONS,
    AXES,
    ORDER,
)
