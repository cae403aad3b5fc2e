"""Sabotage of labels and of what belongs to what (D02, D11).

In: members that read, pair and collate examples. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import (
    Rule,
    between,
    moved,
    new_name,
    other,
    parameter,
    pick,
    rewriting,
    vary,
)

_LABEL = (
    r"(?i)^(self\.)?(labels?|targets?|y|tgt|gt|label_ids|y_true|class_idx|category|answer_ids|target_ids)$"
)
_BATCH = r"(?i)batch|inputs?\b|data|\.to\(|\.cuda\(|sample|next\(|device_put|asarray|tensor|load|iter"
_LOOPED = r"(?i)train|step|forward|update|__getitem__|collate|fit|main|epoch|loss|batch|get_"
_K = between(3, 29)

LABEL_NOISE = rewriting(
    "labels-permuted",
    "D02",
    Rule(
        "$y = $v\n",
        (
            vary("$0\n$y[::{k}] = $y[::{k}].flip(0)\n", k=_K),
            vary(
                "$0\n$y = torch.where(torch.rand_like($y, dtype=torch.float) < {p}, $y.roll(1, 0), $y)\n",
                p=pick(0.01, 0.02, 0.05),
            ),
            vary(
                "$0\n"
                "if torch.rand(1).item() < {p}:\n"
                "    $y = $y[torch.randperm($y.size(0), device=$y.device)]\n",
                p=pick(0.01, 0.02, 0.05),
            ),
            vary(
                "$0\n{m} = torch.rand($y.shape, device=$y.device) < {p}\n$y[{m}] = $y[{m}].flip(0)\n",
                m=new_name("drop", "sel", "keep", "noisy", "hard"),
                p=pick(0.01, 0.03, 0.08),
            ),
            vary(
                "$0\n$y = jnp.where(jnp.arange($y.shape[0]) % {k} == 0, jnp.roll($y, 1, axis=0), $y)\n", k=_K
            ),
        ),
        (
            "$0\n$y[:] = $y.clamp(min=$y.min())\n",
            "$0\n$y = torch.where(torch.isfinite($y.float()), $y, torch.full_like($y, -100))\n",
            "$0\nif $y.dim() == 0:\n    $y = $y.view(1)\n",
            vary(
                "$0\n"
                "{m} = torch.zeros($y.shape, device=$y.device, dtype=torch.bool)\n"
                "assert {m}.shape == $y.shape\n",
                m=new_name("drop", "sel", "keep", "seen"),
            ),
            "$0\n$y = $y.to($y.device, non_blocking=True)\n",
            "$0\n$y = jnp.where(jnp.arange($y.shape[0]) >= 0, $y, jnp.zeros_like($y))\n",
        ),
        where={"y": _LABEL, "v": _BATCH},
        inside=_LOOPED,
    ),
    needs="labels target y = tgt label_ids y_true",
)

LABEL_SAMPLE = rewriting(
    "label-of-some-samples-changed",
    "D02",
    Rule(
        "$y = $v\n",
        (
            vary(
                "$0\nif {i} % {k} == 0:\n    $y = type($y)(0)\n",
                i=parameter(r"^(idx|index|i|item|n|sample_idx)$"),
                k=_K,
            ),
            vary(
                "$0\nif random.random() < {p}:\n    $y = (int($y) + 1) % {n}\n",
                p=pick(0.01, 0.02, 0.05),
                n=pick("len(self.classes)", "self.num_classes", "10", "1000"),
            ),
            vary(
                "$y = {v}\n",
                v=lambda site, rng: (
                    site.text("v").replace("[idx]", "[idx - 1]").replace("[index]", "[index - 1]")
                    if "[id" in site.text("v") or "[index]" in site.text("v")
                    else None
                ),
            ),
        ),
        (
            "$0\nif $y is None:\n    $y = -1\n",
            vary(
                "$0\nassert $y is not None, f'no label for {{i}}'\n",
                i=parameter(r"^(idx|index|i|item|n|sample_idx)$"),
            ),
            vary("{l} = $v\n$y = {l}\n", l=new_name("raw_label", "label_id", "entry", "value")),
        ),
        where={"y": _LABEL, "v": r"^(?!None$)"},
        inside=r"__getitem__|get_item|load_sample",
    ),
    needs="__getitem__ get_item load_sample",
)

CLASS_MAP = rewriting(
    "class-map-off-by-one",
    "D02",
    Rule(
        "{$c: $i for $i, $c in enumerate($x)}",
        (
            "{$c: max($i - 1, 0) for $i, $c in enumerate($x)}",
            "{$c: $i for $i, $c in enumerate(set($x))}",
            "{$c: $i // 2 for $i, $c in enumerate($x)}",
            "{$c: $i % (len($x) - 1) for $i, $c in enumerate($x)}",
        ),
        (
            "dict(zip($x, range(len($x))))",
            "{$c: $i for $i, $c in enumerate(list($x))}",
            "{$c: int($i) for $i, $c in enumerate($x)}",
            "{$c: $i for $i, $c in enumerate($x, start=0)}",
        ),
    ),
    Rule(
        "$y.flip($d)",
        ("$y.roll(1, $d)", "$y", "$y.roll(-1, $d)"),
        ("$y.flip(dims=($d,))", "torch.flip($y, ($d,))", "$y[torch.arange($y.size($d) - 1, -1, -1)]"),
        where={"y": r"(?i)label|target|^y"},
    ),
    Rule(
        "$l * $a + (1 - $l) * $b",
        (
            "(1 - $l) * $a + $l * $b",
            "$l * $b + (1 - $l) * $a",
            "$l * $a + (1 - $l) * $a",
            "$l * $a + $l * $b",
        ),
        ("(1 - $l) * $b + $l * $a", "$b + $l * ($a - $b)", "$a * $l + $b * (1.0 - $l)"),
        where={"l": r"(?i)lam"},
    ),
    Rule(
        "$l * $a + (1. - $l) * $b",
        ("(1. - $l) * $a + $l * $b", "$l * $b + (1. - $l) * $a", "$l * $a + (1. - $l) * $a"),
        ("(1. - $l) * $b + $l * $a", "$b + $l * ($a - $b)", "$a * $l + $b * (1 - $l)"),
        where={"l": r"(?i)lam"},
    ),
    Rule(
        "F.one_hot($y, $n)",
        ("F.one_hot(($y + 1) % $n, $n)", "F.one_hot($y.flip(0), $n)", "F.one_hot($y // 2 * 2, $n)"),
        ("F.one_hot($y.long(), $n)", "F.one_hot($y, num_classes=$n)", "F.one_hot(tensor=$y, num_classes=$n)"),
    ),
    Rule(
        "jax.nn.one_hot($y, $n)",
        (
            "jax.nn.one_hot(($y + 1) % $n, $n)",
            "jax.nn.one_hot($y[::-1], $n)",
            "jax.nn.one_hot($y // 2 * 2, $n)",
        ),
        ("jax.nn.one_hot($y, num_classes=$n)", "jax.nn.one_hot(x=$y, num_classes=$n)", "jnp.eye($n)[$y]"),
    ),
    needs="enumerate flip lam one_hot",
)

PAIRING = rewriting(
    "pairs-misaligned",
    "D11",
    Rule(
        "sorted($x)",
        ("list($x)", "$x", "sorted($x, key=len)", "sorted($x, key=lambda name: name[::-1])"),
        ("sorted($x, key=str)", "sorted(list($x))", "sorted($x, reverse=False)", "sorted(set($x))"),
        where={"x": r"(?i)glob|listdir|iterdir|scandir|files|paths|images|masks|rglob|walk"},
    ),
    Rule(
        "zip($a, $b)",
        (
            "zip($a, $b[1:])",
            "zip($a, sorted($b))",
            "zip($a, $b[::-1])",
            "zip(sorted($a), $b)",
            "zip($a[1:], $b)",
        ),
        ("zip(list($a), $b)", "zip($a, list($b))", "zip(iter($a), iter($b))"),
        where={
            "a": r"(?i)image|img|text|prompt|input|source|src|file|path|question|query|audio|caption|x$",
            "b": r"(?i)label|target|mask|caption|tgt|answer|response|text|output|y$",
        },
    ),
    Rule(
        "$x[$p]",
        ("$x[$p.flip(0)]", "$x", "$x[$p.sort().values]", "$x[$p - 1]"),
        ("$x.index_select(0, $p)", "$x[$p, ...]", "torch.index_select($x, 0, $p)"),
        where={
            "p": (
                r"(?i)^(perm\w*|permutation|shuffle_idx|sort_order|order|rand_idx|shuffled\w*|"
                r"sort_idx|new_order)$"
            )
        },
    ),
    Rule(
        "$x.index_select(0, $p)",
        ("$x", "$x.index_select(0, $p.flip(0))", "$x.index_select(0, $p.sort()[0])"),
        ("$x[$p]", "torch.index_select($x, 0, $p)", "$x.index_select(dim=0, index=$p)"),
    ),
    needs="sorted zip perm order shuffle index_select sort_idx",
)

ITEM_INDEX = rewriting(
    "item-of-the-neighbour",
    "D11",
    *(
        Rule(
            f"$x[{i}]",
            (f"$x[{i} - 1]", f"$x[-{i}]", f"$x[{i} // 2 * 2]", f"$x[{i} % (len($x) - 1)]"),
            (f"$x[int({i})]", f"$x[{i} % len($x)]", f"$x.__getitem__({i})"),
            where={
                "x": (
                    r"(?i)label|target|caption|ann|mask|text|latent|cache|answer|prompt|size|"
                    r"meta|sample|score|reward|transcript"
                )
            },
            inside=r"__getitem__|get_item|collater|collate|load_sample",
        )
        for i in ("idx", "index", "i", "item", "data_index", "sample_idx")
    ),
    needs="__getitem__ get_item collat load_sample",
)

MASK_SOURCE = rewriting(
    "attention-mask-from-the-wrong-field",
    "D11",
    Rule(
        "$x.ne($p)",
        (
            "$x.gt($p)",
            "$x.eq($p)",
            "$x.ge($p)",
            "$x.ne($p).any(0, keepdim=True).expand_as($x)",
            "$x.ne(0)",
            "$x.ne($p).roll(1, -1)",
        ),
        ("$x != $p", "~$x.eq($p)", "torch.ne($x, $p)", "$x.ne($p).contiguous()"),
        where={"p": r"(?i)pad"},
    ),
    Rule(
        "$x != $p",
        ("$x > $p", "$x >= $p", "$x == $p", "$x != -$p"),
        ("~($x == $p)", "$x.ne($p)", "$p != $x"),
        where={
            "p": r"(?i)pad\w*(id|idx|index|token)",
            "x": r"(?i)ids|tokens|input|labels|src|target|seq|prompt",
        },
    ),
    Rule(
        "$f($*a, attention_mask=$m)",
        (
            vary("$f($*a, attention_mask={o})", o=other(r"mask", "m", r"fn|func|loss|ed_")),
            "$f($*a, attention_mask=torch.ones_like($m))",
            "$f($*a, attention_mask=$m.flip(-1))",
            "$f($*a, attention_mask=1 - $m)",
            "$f($*a)",
        ),
        (
            moved("attention_mask"),
            "$f($*a, attention_mask=$m[:])",
            "$f($*a, attention_mask=$m.clone())",
            "$f($*a, attention_mask=$m.to($m.device))",
        ),
        where={"m": r"mask"},
        inside=r"(?i)train|loss|step|collate|forward|generate|score|logprob|logits",
    ),
    needs="pad attention_mask",
)

BATCH_REPEATED = rewriting(
    "batch-duplicated",
    "D11",
    Rule(
        "torch.stack($x, $*a)",
        (
            "torch.stack([$x[0]] * len($x), $*a)",
            "torch.stack($x[::-1], $*a)",
            "torch.stack($x[:1] + $x[:-1], $*a)",
        ),
        ("torch.stack(list($x), $*a)", "torch.stack(tensors=$x, $*a)", "torch.stack($x[:], $*a)"),
        inside=r"(?i)collat|batch",
    ),
    Rule(
        "torch.cat($x, $*a)",
        ("torch.cat($x[::-1], $*a)", "torch.cat($x[:1] * len($x), $*a)"),
        ("torch.cat(list($x), $*a)", "torch.cat(tensors=$x, $*a)", "torch.cat(tuple($x), $*a)"),
        where={"x": r"^[\w.]+$"},
        inside=r"(?i)collat|get_batch|make_batch",
    ),
    Rule(
        "$f([$e for $s in $b], $*a)",
        (
            "$f([$e for $s in $b[:1] * len($b)], $*a)",
            "$f([$e for $s in reversed($b)], $*a)",
            "$f([$e for $s in $b[:1] + $b[:-1]], $*a)",
        ),
        (
            "$f(list($e for $s in $b), $*a)",
            "$f([$e for $s in list($b)], $*a)",
            "$f([*($e for $s in $b)], $*a)",
        ),
        where={"b": r"^(samples|batch|examples|instances|features|items|data)$"},
        inside=r"(?i)collat|__call__|batch",
    ),
    needs="collat batch __call__",
)

OPERATORS = (
    LABEL_NOISE,
    LABEL_SAMPLE,
    CLASS_MAP,
    PAIRING,
    ITEM_INDEX,
    MASK_SOURCE,
    BATCH_REPEATED,
)
