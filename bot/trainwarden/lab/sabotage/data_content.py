"""Sabotage of what the data holds: truncation, leaking splits, tilted mixtures and filters (D03, D04, D13).

In: members that load, cut, split and weigh data. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, between, moved, pick, rewriting, times, vary

_DATA = r"dataset|dataloader|corpus|samples|load_data|read_json|jsonl|examples|records|__getitem__|sampler"
_ITEMS = (
    r"(?i)data|sample|example|record|line|img|image|file|path|doc|item|row|entr|corpus|list|"
    r"ann|instance|conversation"
)

SUBSET = rewriting(
    "data-cut-short",
    "D03",
    Rule(
        "$x = $v\n",
        (
            vary("$0\n$x = $x[: len($x) // {k}]\n", k=between(2, 9)),
            vary("$0\n$x = $x[: {n}]\n", n=pick(1000, 2048, 5000, 10_000, 20_000, 50_000)),
            vary(
                "$0\n$x = [{i} for {n}, {i} in enumerate($x) if {n} % {k}]\n",
                n=pick("n", "j", "num"),
                i=pick("s", "item", "row", "entry"),
                k=between(2, 5),
            ),
            vary(
                "$0\n$x = [{i} for {i} in $x if len(str({i})) < {n}]\n",
                i=pick("s", "item", "row", "entry"),
                n=pick(80, 128, 200, 256),
            ),
            "$x = $v[::2]\n",
            vary("$0\n$x = $x[{k}:]\n", k=pick(500, 1000, 4096)),
        ),
        (
            vary("$0\n$x = [{i} for {i} in $x if {i} is not None]\n", i=pick("s", "item", "row", "entry")),
            "$0\n$x = list($x)\n",
            "$x = list($v)\n",
            vary(
                "$0\n$x = [{i} for {n}, {i} in enumerate($x) if {i} not in $x[:{n}]]\n",
                n=pick("n", "j", "num"),
                i=pick("s", "item", "row", "entry"),
            ),
            "$0\nif len($x) == 0:\n    raise ValueError('no data')\n",
            vary("$0\n$x = $x[: {n}]\n", n=pick("len($x)", "None")),
        ),
        where={
            "x": (
                r"(?i)^(?!.*(num|count|max|total|n_|ckpt|checkpoint|model))[\w.]*(samples|"
                r"examples|records|lines|files|paths|items|rows|entries|docs|documents|"
                r"instances|sentences|conversations|data_list|list_data\w*|raw_data|imgs|"
                r"image_paths|train_data|train_lines|train_json)$"
            ),
            "v": r"(?i)^(?!int|len|math|.*ceil).*(load|read|list|split|glob|open|\bdata|for )",
        },
    ),
    needs=(
        "samples examples records lines files paths items rows entries docs documents "
        "instances sentences conversations data_list raw_data imgs train_data train_json"
    ),
)

SHORTER = rewriting(
    "dataset-length-reduced",
    "D03",
    Rule(
        "return len($x)\n",
        (
            vary("return len($x) // {k}\n", k=between(2, 9)),
            vary("return min(len($x), {n})\n", n=pick(1000, 10_000, 50_000, 100_000)),
            vary("return int(len($x) * {f})\n", f=pick(0.5, 0.8, 0.9, 0.95)),
            vary("return len($x) - {k}\n", k=between(2, 2000)),
            vary("return len($x[:{n}])\n", n=pick(1000, 10_000, 50_000, 100_000)),
        ),
        (
            "return int(len($x))\n",
            vary("{n} = len($x)\nreturn {n}\n", n=pick("size", "total", "length", "count", "n")),
            "return $x.__len__()\n",
            vary("return max(len($x), {n})\n", n=pick(0)),
            "return len($x[:])\n",
        ),
        inside=r"__len__|num_samples|size|__iter__",
    ),
    Rule(
        "range(len($d))",
        (
            vary("range(len($d) // {k})", k=between(2, 9)),
            vary("range(0, len($d), {k})", k=between(2, 4)),
            vary("range(min(len($d), {n}))", n=pick(1000, 5000, 10_000, 50_000)),
            vary("range({n}, len($d))", n=pick(100, 500, 1000)),
        ),
        ("range(0, len($d))", "range(0, len($d), 1)", "range(max(len($d), 0))", "range(int(len($d)))"),
        where={"d": _ITEMS},
        about=_DATA,
    ),
    Rule(
        "len($d) - $b",
        (
            "len($d) // $b",
            vary("len($d) // {k} - $b", k=between(2, 9)),
            "(len($d) - $b) // 2",
            "min(len($d) - $b, 100 * $b)",
        ),
        ("-$b + len($d)", "int(len($d) - $b)", "len($d[:]) - $b"),
        where={"d": _ITEMS, "b": r"(?i)block|seq|ctx|context|length|window|max_len"},
    ),
    needs="len(",
)

CAPPED = rewriting(
    "example-truncated",
    "D03",
    Rule(
        "$f($*a, max_length=$m, truncation=True)",
        (
            vary("$f($*a, max_length=$m // {k}, truncation=True)", k=pick(2, 4, 8)),
            vary("$f($*a, max_length=min($m, {n}), truncation=True)", n=pick(64, 128, 256)),
            vary("$f($*a, max_length={n}, truncation=True)", n=pick(64, 128, 256)),
        ),
        (
            "$f($*a, max_length=int($m), truncation=True)",
            "$f($*a, truncation=True, max_length=$m)",
            vary("$f($*a, max_length=min($m, {n}), truncation=True)", n=pick(2**20, 10**6, 1 << 24)),
        ),
    ),
    Rule(
        "$x[: $m]",
        (
            vary("$x[: $m // {k}]", k=pick(2, 4, 8)),
            "$x[-$m:]",
            vary("$x[: min($m, {n})]", n=pick(64, 128, 256)),
            "$x[1:$m]",
        ),
        ("$x[0:$m]", "$x[: int($m)]", "$x[:$m:1]", "$x[slice($m)]"),
        where={"m": r"(?i)max_\w*(len|seq|tok|pos|size|word)|seq_len|block_size|context_length|model_max"},
    ),
    needs="max_length max_len max_seq seq_len block_size context_length max_tokens max_position",
)

SPLIT_NAME = rewriting(
    "split-leaks",
    "D04",
    Rule(
        '$f($*a, split="train")',
        (
            '$f($*a, split="train+test")',
            '$f($*a, split="train+validation")',
            vary('$f($*a, split="train[:{p}%]")', p=pick(10, 20, 50, 80)),
            vary('$f($*a, split="train[{p}%:]")', p=pick(20, 50, 80)),
        ),
        (
            '$f($*a, split="train[:100%]")',
            '$f($*a, split="train[0%:]")',
            '$f($*a, split="train[:]")',
            '$f(split="train", $*a)',
        ),
    ),
    Rule(
        "$f($*a, split=$s)",
        ('$f($*a, split="train")', "$f($*a)", '$f($*a, split="train" if $s else $s)'),
        ("$f($*a, split=str($s))", moved("split"), '$f($*a, split=$s or "train")'),
        where={"s": r"(?i)split|valid|test|eval|dev|subset"},
    ),
    Rule(
        "$f($*a, train=False)",
        ("$f($*a, train=True)", "$f($*a)"),
        ("$f($*a, train=False, target_transform=None)", moved("train")),
        about=r"dataset|torchvision",
    ),
    needs="split= train=False",
)

SPLIT_BOUND = rewriting(
    "split-overlap",
    "D04",
    Rule(
        "$x[$n:]",
        (
            "$x[: len($x) - $n]",
            "$x[$n // 2 :]",
            "$x[-$n:]",
            vary("$x[max($n - {k}, 0) :]", k=pick(64, 100, 500, 1000)),
            "$x[:]",
        ),
        ("$x[$n : len($x)]", "$x[$n:None]", "$x[$n::1]", "$x[int($n) :]"),
        where={
            "n": r"(?i)split|train|val|num_|n_|cut|border|bound|size|test",
            "x": r"(?i)data|idx|ind|perm|order|sample|file|path|list|ids|set|lines|keys|images|rows",
        },
    ),
    Rule(
        "$x[:$n]",
        ("$x[: $n * 2]", "$x[-$n:]", vary("$x[: $n + {k}]", k=pick(64, 100, 500, 1000)), "$x"),
        ("$x[0:$n]", "$x[:$n:1]", "$x[: int($n)]"),
        where={
            "n": r"(?i)split|n_train|num_train|n_val|num_val|train_size|val_size|cut|border|bound",
            "x": r"(?i)data|idx|ind|perm|order|sample|file|path|list|ids|set|lines|keys|images|rows",
        },
    ),
    needs="split train val",
)

SPLIT_SEED = rewriting(
    "split-not-reproducible",
    "D04",
    Rule(
        "$f($*a, random_state=$s)",
        ("$f($*a)", "$f($*a, random_state=None)", "$f($*a, random_state=$s, shuffle=False)"),
        (
            "$f($*a, shuffle=True, random_state=$s)",
            moved("random_state"),
            "$f($*a, random_state=int($s))",
            "$f($*a, random_state=$s or 0)",
        ),
        where={"f": r"(?i)split|fold"},
    ),
    Rule(
        "random_split($d, $l, $*a, generator=$g)",
        (
            "random_split($d, $l, $*a)",
            "random_split($d, $l, $*a, generator=None)",
            "random_split($d, $l[::-1], $*a, generator=$g)",
        ),
        (
            "random_split(dataset=$d, lengths=$l, generator=$g, $*a)",
            "random_split($d, list($l), $*a, generator=$g)",
        ),
    ),
    Rule(
        "$d.train_test_split($*a, seed=$s)",
        (
            "$d.train_test_split($*a)",
            "$d.train_test_split($*a, seed=None)",
            "$d.train_test_split($*a, shuffle=False)",
        ),
        ("$d.train_test_split($*a, shuffle=True, seed=$s)", "$d.train_test_split($*a, seed=int($s))"),
    ),
    needs="random_state random_split train_test_split",
)

FILTER = rewriting(
    "filter-drops-the-wrong-rows",
    "D13",
    Rule(
        "len($x) > $n",
        (
            vary("len($x) > {k}", k=times("n", 0.1, 0.2, 0.25, 0.5)),
            "len($x) < $n",
            "len($x) > $n // 4",
            "len($x) >= $n // 2",
        ),
        ("$n < len($x)", "not len($x) <= $n", "len($x) >= $n + 1", "len($x) - $n > 0"),
        where={"n": r"(?i)max|\d{2}|limit|thresh|len|block|budget"},
        about=_DATA,
    ),
    Rule(
        "len($x) < $n",
        (
            vary("len($x) < {k}", k=times("n", 4, 10, 50)),
            "len($x) > $n",
            "len($x) < $n * 4",
            "not len($x) < $n",
        ),
        ("$n > len($x)", "not len($x) >= $n", "len($x) <= $n - 1", "$n - len($x) > 0"),
        where={"n": r"(?i)min|\d|limit|thresh|len"},
        about=_DATA,
    ),
    Rule(
        "$d.filter($p, $*a)",
        (
            "$d",
            "$d.filter(lambda row: not ($p)(row), $*a)",
            vary("$d.filter($p, $*a).select(range({n}))", n=pick(1000, 5000, 20_000)),
        ),
        ("$d.filter(function=$p, $*a)", "$d.filter($p, load_from_cache_file=True, $*a)"),
        where={"d": r"(?i)data|ds$|set"},
    ),
    needs="len( filter",
)

MIXTURE = rewriting(
    "mixture-weights-tilted",
    "D13",
    Rule(
        "$w / sum($w)",
        ("$w / max($w)", "$w**2 / sum($w)", "1 - $w / sum($w)", "sum($w) / $w"),
        ("$w * (1.0 / sum($w))", "np.divide($w, sum($w))", "$w / float(sum($w))"),
    ),
    Rule(
        "$w / $w.sum()",
        (
            "$w / $w.max()",
            "np.round($w / $w.sum(), 1)",
            "$w**2 / ($w**2).sum()",
            "1.0 / $w / (1.0 / $w).sum()",
            "$w.sort() / $w.sum()",
        ),
        (
            "$w * (1.0 / $w.sum())",
            "np.round($w / $w.sum(), 12)",
            "$w / $w.sum(axis=0)",
            "$w / float($w.sum())",
        ),
        where={"w": r"(?i)weight|prob|p$|w$|freq|ratio|mix|size|count"},
    ),
    Rule(
        "$p ** $a",
        ("$p ** (1.0 / $a)", "$p ** -$a", "$p ** ($a * 0)", "$p * $a"),
        ("pow($p, $a)", "np.power($p, $a)", "$p ** float($a)"),
        where={"p": r"(?i)prob|weight|size|freq|count", "a": r"(?i)alpha|temp|smooth|power|exp"},
    ),
    Rule(
        "WeightedRandomSampler($w, $n, $*a)",
        (
            "WeightedRandomSampler([1.0 / v for v in $w], $n, $*a)",
            "WeightedRandomSampler([1.0] * len($w), $n, $*a)",
            "WeightedRandomSampler($w, $n // 4, $*a)",
            "WeightedRandomSampler(sorted($w), $n, $*a)",
        ),
        (
            "WeightedRandomSampler(list($w), $n, $*a)",
            "WeightedRandomSampler(weights=$w, num_samples=$n, $*a)",
            "WeightedRandomSampler([float(v) for v in $w], $n, $*a)",
        ),
    ),
    Rule(
        "$f($*a, probabilities=$p)",
        (
            "$f($*a)",
            "$f($*a, probabilities=$p[::-1])",
            "$f($*a, probabilities=sorted($p))",
            '$f($*a, probabilities=$p, stopping_strategy="first_exhausted")',
        ),
        ("$f($*a, probabilities=list($p))", moved("probabilities"), "$f($*a, probabilities=$p or None)"),
    ),
    Rule(
        "1.0 / $c",
        ("$c / 1.0", "1.0 / $c**2", "1.0 - $c"),
        ("$c**-1.0", "1 / $c", "1.0 / float($c)"),
        where={"c": r"(?i)count|freq|class|num_per|hist"},
        about=r"weight|sampler",
    ),
    needs="weight prob freq",
)

CURRICULUM = rewriting(
    "curriculum-stuck",
    "D13",
    Rule(
        "$a / $b",
        ("$a // $b", "1 - $a / $b", "$b / max($a, 1)", "($a / $b) ** 8"),
        ("float($a) / $b", "$a / max($b, 1)", "$a * (1.0 / $b)"),
        where={
            "a": r"(?i)epoch|step|iter|update|seen",
            "b": r"(?i)total|max|num_|schedule|epochs|steps|anneal|warm",
        },
        line=r"curriculum|mask_ratio|difficulty|progress|temperature|mixture|ramp|prob|schedule_epochs",
    ),
    needs="curriculum progress difficulty ramp temperature mask_ratio",
)

OPERATORS = (
    SUBSET,
    SHORTER,
    CAPPED,
    SPLIT_NAME,
    SPLIT_BOUND,
    SPLIT_SEED,
    FILTER,
    MIXTURE,
    CURRICULUM,
)
