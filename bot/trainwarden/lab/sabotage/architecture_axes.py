"""Sabotage of positions and shapes (F06, F10).

In: members that compute positions or move axes. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, between, moved, rewriting, times, vary

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
        (
            "torch.cat(($b, $a), $*d)",
            "torch.cat([$b, $a], $*d)",
            "torch.cat(($a, $a), $*d)",
            "torch.cat(($a, $b.detach()), $*d)",
        ),
        ("torch.cat([$a, $b], $*d)", "torch.cat(tensors=($a, $b), $*d)"),
        inside=r"forward|__call__|_block|encode|embed",
    ),
    Rule(
        "torch.cat([$a, $b], $*d)",
        ("torch.cat([$b, $a], $*d)", "torch.cat([$a, $a], $*d)", "torch.cat([$a, $b.detach()], $*d)"),
        ("torch.cat(($a, $b), $*d)", "torch.cat(tensors=[$a, $b], $*d)"),
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
    ROPE,
    POSITIONS,
    AXES,
    ORDER,
)
