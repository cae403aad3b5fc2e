"""Sabotage of the order and the division of data: shuffling, sharding, resuming (D01, D10, D12).

In: members that build loaders, samplers and iterators. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, between, moved, other, parameter, pick, rewriting, vary

_DATA = r"dataset|dataloader|loader|sampler|collate|__getitem__|corpus|records|shard"
_RANK = (
    r"(^|[._])(rank|local_rank|global_rank|dp_rank|process_index|worker_id|shard_id|"
    r"process_id|host_id|replica_id|proc_id)\b|\.id$|rank\(\)|process_index\(\)"
)
_WORLD = (
    r"world_size|num_replicas|num_shards|num_workers|num_processes|n_ranks|dp_size|"
    r"process_count|num_hosts|nranks|replicas"
)

SHUFFLE_OFF = rewriting(
    "loader-shuffle-off",
    "D01",
    Rule(
        "$f($*a, shuffle=True)",
        (
            "$f($*a, shuffle=False)",
            "$f($*a)",
            vary("$f($*a, shuffle={flag})", flag=parameter(r"eval|test|debug|valid|determin|resume")),
        ),
        (
            moved("shuffle"),
            "$f($*a, shuffle=True, pin_memory=True)",
            "$f($*a, shuffle=True, drop_last=False)",
            "$f($*a, shuffle=True, timeout=0)",
        ),
        where={"f": r"DataLoader$"},
    ),
    Rule(
        "$f($*a, shuffle=True)",
        ("$f($*a, shuffle=False)", "$f($*a)"),
        (moved("shuffle"),),
        where={"f": r"(?i)get_\w*loader|build\w*loader|sampler|flow|split|iter|batch"},
    ),
    Rule(
        "$f($*a, shuffle=$s is None)",
        ("$f($*a, shuffle=$s is not None and $s.shuffle)", "$f($*a, shuffle=$s)", "$f($*a)"),
        ("$f($*a, shuffle=not $s)", moved("shuffle")),
        where={"f": r"(?i)loader"},
    ),
    Rule(
        "$d.shuffle($n, $*a)",
        (
            vary("$d.shuffle({k}, $*a)", k=pick(1, 2, 8)),
            "$d",
            "$d.shuffle($n, reshuffle_each_iteration=False, $*a)",
        ),
        (
            "$d.shuffle(2 * $n, $*a)",
            "$d.shuffle(buffer_size=$n, $*a)",
            "$d.shuffle($n, reshuffle_each_iteration=True, $*a)",
        ),
        where={"d": r"(?i)ds|data|set|map|batch|tfrecord", "n": r"(?i)\d{2}|buffer|size|shuffle"},
    ),
    needs="shuffle",
)

SAMPLER_EPOCH = rewriting(
    "sampler-epoch-frozen",
    "D01",
    Rule(
        "$s.set_epoch($e)\n",
        (
            "",
            "$s.set_epoch(0)\n",
            vary("$s.set_epoch({n})\n", n=other(r"start|resume|first|init|seed", "e", r"time|fn|init_")),
            vary("$s.set_epoch($e // {n})\n", n=other(r"epochs|steps|accum|total", "e")),
            vary("$s.set_epoch(min($e, {n}))\n", n=pick(0, 1)),
        ),
        (
            "$s.set_epoch(int($e))\n",
            "$s.set_epoch($e + 1)\n",
            "$s.set_epoch(epoch=$e)\n",
            'if hasattr($s, "set_epoch"):\n    $s.set_epoch($e)\n',
            vary("$s.set_epoch($e + {n})\n", n=between(2, 1000)),
        ),
    ),
    needs="set_epoch",
)

PERMUTATION = rewriting(
    "permutation-not-random",
    "D01",
    Rule(
        "torch.randperm($n, $*a)",
        (
            "torch.arange($n)",
            "torch.randint($n, ($n,), $*a)",
            "torch.randperm($n, $*a).sort().values",
            "torch.arange($n).flip(0)",
        ),
        ("torch.randperm(int($n), $*a)", "torch.randperm(n=$n, $*a)", "torch.rand($n, $*a).argsort()"),
    ),
    Rule(
        "$r.permutation($n)",
        ("np.arange($n)", "$r.randint(0, $n, $n)", "np.sort($r.permutation($n))", "$r.choice($n, $n)"),
        ("$r.choice($n, $n, replace=False)", "$r.permutation(int($n))", "np.argsort($r.random_sample($n))"),
        where={"r": r"(?i)random|rng|rs$|state", "n": r"(?i)len|num|size|n_|^n$|total|count|shape"},
    ),
    Rule(
        "$r.shuffle($x)\n",
        ("", "$r.shuffle(list($x))\n", "$x.sort()\n", "$r.shuffle($x[:1])\n"),
        ("$x[:] = $r.sample($x, len($x))\n", "$r.shuffle(x=$x)\n", "if len($x) > 1:\n    $r.shuffle($x)\n"),
        where={"r": r"(?i)random|rng|rs$|state|gen"},
    ),
    needs="randperm permutation shuffle",
)

SAMPLER_SWAPPED = rewriting(
    "sampler-sequential",
    "D01",
    Rule(
        "RandomSampler($d, $*a)",
        (
            "SequentialSampler($d)",
            "RandomSampler(range(len($d) // 2), $*a)",
            "torch.utils.data.SequentialSampler($d)",
        ),
        ("RandomSampler(data_source=$d, $*a)", "torch.utils.data.RandomSampler($d, $*a)"),
    ),
    Rule(
        "$m.RandomSampler($d, $*a)",
        ("$m.SequentialSampler($d)", "$m.RandomSampler(range(len($d) // 2), $*a)"),
        ("$m.RandomSampler(data_source=$d, $*a)", "$m.SubsetRandomSampler(range(len($d)))"),
    ),
    Rule(
        "$f($d)",
        (
            "$f($d, shuffle=False)",
            "$f($d, num_replicas=1, rank=0)",
            vary("$f($d, shuffle={n})", n=parameter(r"eval|test|debug|valid|resume")),
        ),
        ("$f($d, shuffle=True)", "$f(dataset=$d)", "$f($d, drop_last=False)"),
        where={"f": r"DistributedSampler$"},
    ),
    needs="RandomSampler DistributedSampler",
)

RANK_STRIDE = rewriting(
    "shard-stride-wrong",
    "D10",
    Rule(
        "$x[$r::$w]",
        (
            "$x[::$w]",
            "$x[$r::$w * 2]",
            "$x[: len($x) // $w]",
            "$x[$r : len($x) // $w]",
            "$x[$r - 1 :: $w + 1]",
        ),
        ("$x[$r : None : $w]", "$x[$r : len($x) : $w]", "[$x[i] for i in range($r, len($x), $w)]"),
        where={"w": _WORLD},
    ),
    Rule(
        "$x[$a:$b:$w]",
        ("$x[:$b:$w]", "$x[$a : $b // $w]", "$x[$a:$b:$w * 2]", "$x[$w:$b:$w]"),
        ("$x[$a:$b][::$w]", "$x[slice($a, $b, $w)]"),
        where={"w": _WORLD, "a": _RANK},
    ),
    Rule(
        "range($a, $b, $w)",
        ("range($b // $w)", "range($a, $b, $w * 2)", "range(0, $b, $w)", "range($a, $b // $w)"),
        ("list(range($a, $b, $w))", "range($b)[$a::$w]", "range(int($a), $b, $w)"),
        where={"w": _WORLD, "a": _RANK},
    ),
    Rule(
        "islice($x, $r, $b, $w)",
        ("islice($x, 0, $b, $w)", "islice($x, $r, $b, $w * 2)", "islice($x, $r, $b, $w + 1)"),
        ("islice(iter($x), $r, $b, $w)", "islice($x, int($r), $b, $w)"),
    ),
    needs=(
        "world_size num_replicas num_shards num_workers num_processes dp_size process_count islice replicas"
    ),
)

REPLICA_RANK = rewriting(
    "sampler-rank-wrong",
    "D10",
    Rule(
        "$f($*a, num_replicas=$w, rank=$r)",
        (
            "$f($*a, num_replicas=$w, rank=0)",
            "$f($*a, num_replicas=$w, rank=$r // 2)",
            "$f($*a, num_replicas=$w * 2, rank=$r)",
            vary(
                "$f($*a, num_replicas=$w, rank={r})",
                r=other(r"local|node|rank|group", "r", r"world|size|main|is_"),
            ),
            "$f($*a, num_replicas=$w, rank=$r % max($w // 2, 1))",
        ),
        (
            "$f($*a, rank=$r, num_replicas=$w)",
            "$f($*a, num_replicas=$w, rank=int($r))",
            "$f($*a, num_replicas=$w, rank=$r % $w)",
        ),
    ),
    Rule(
        "$d.shard(num_shards=$w, index=$i)",
        (
            "$d.shard(num_shards=$w, index=0)",
            "$d.shard(num_shards=$w * 2, index=$i)",
            "$d.shard(num_shards=$w, index=$i // 2)",
        ),
        ("$d.shard(index=$i, num_shards=$w)", "$d.shard($w, $i)", "$d.shard(num_shards=$w, index=int($i))"),
    ),
    Rule(
        "$d.shard($w, $i)",
        ("$d.shard($w, 0)", "$d.shard($w * 2, $i)", "$d.shard($w, $i // 2)"),
        ("$d.shard(num_shards=$w, index=$i)", "$d.shard($w, int($i))", "$d.shard(int($w), $i)"),
    ),
    Rule(
        "split_dataset_by_node($d, rank=$r, world_size=$w)",
        (
            "split_dataset_by_node($d, rank=0, world_size=$w)",
            "split_dataset_by_node($d, rank=$r // 2, world_size=$w)",
        ),
        (
            "split_dataset_by_node($d, world_size=$w, rank=$r)",
            "split_dataset_by_node($d, rank=int($r), world_size=$w)",
        ),
    ),
    needs="num_replicas shard split_dataset_by_node",
)

SHARD_WINDOW = rewriting(
    "shard-window-overlaps",
    "D10",
    Rule(
        "$r * $n",
        ("$r + $n", "$r * ($n - 1)", "$r * ($n // 2)", "($r // 2) * $n"),
        ("$n * $r", "int($r * $n)", "$r * int($n)"),
        where={"r": _RANK},
        about=_DATA,
    ),
    Rule(
        "($r + 1) * $n",
        ("$r + $n", "$n", "($r + 2) * $n", "$r * $n + 1"),
        ("$r * $n + $n", "$n * ($r + 1)", "(1 + $r) * $n"),
        where={"r": _RANK},
        about=_DATA,
    ),
    Rule(
        "$n // $w",
        ("$n // ($w * 2)", "$n // $w - 1", "$n // max($w - 1, 1)", "$n // $w // 2"),
        ("int($n // $w)", "$n // int($w)", "($n - $n % $w) // $w", "divmod($n, $w)[0]"),
        where={"w": _WORLD, "n": r"(?i)len|num|size|total|count|samples|length|batch"},
        about=_DATA,
    ),
    Rule(
        "math.ceil($n / $w)",
        ("math.ceil($n / ($w + 1))", "math.floor($n / $w) // 2", "math.ceil($n / $w / 2)"),
        ("-(-$n // $w)", "int(math.ceil($n / $w))", "($n + $w - 1) // $w"),
        where={"w": _WORLD},
        about=_DATA,
    ),
    needs="rank world_size num_replicas num_shards num_workers worker_id process_index",
)

RESUME_OFFSET = rewriting(
    "resume-offset-wrong",
    "D12",
    Rule(
        "$a % len($l)",
        ("$a // len($l)", "$a % (len($l) - 1)", "0 * $a", "$a % max(len($l) // 2, 1)"),
        ("int($a) % len($l)", "divmod($a, len($l))[1]", "$a - len($l) * ($a // len($l))"),
        where={
            "a": r"(?i)step|iter|update|global|seen|consumed|trained",
            "l": r"(?i)load|data|dl|iter|batch|sampler",
        },
    ),
    Rule(
        "$f($l, $n)",
        ("$f($l, $n // 2)", "$f($l, 0)", "$f($l, $n + len($l))", "$f($l, $n - 1)"),
        ("$f($l, num_batches=$n)", "$f($l, int($n))", "$f(dataloader=$l, num_batches=$n)"),
        where={"f": r"skip_first_batches$"},
    ),
    Rule(
        "islice($l, $n, None)",
        ("islice($l, 0, None)", "islice($l, $n // 2, None)", "islice($l, $n, 2 * $n)"),
        ("islice(iter($l), $n, None)", "islice($l, int($n), None)"),
    ),
    Rule(
        "itertools.islice($l, $n, None)",
        ("itertools.islice($l, 0, None)", "itertools.islice($l, $n // 2, None)"),
        ("itertools.islice(iter($l), $n, None)", "itertools.islice($l, int($n), None)"),
    ),
    Rule(
        "$c.get($k, $d)",
        ("$d", "$c.get($k, $d) * 0 + $d", "$c.get($k, $d) // 2"),
        ("$c[$k] if $k in $c else $d", "int($c.get($k, $d))"),
        where={
            "k": r"(?i)offset|itr|iteration|position|consumed|samples_seen|start_idx|batch|num_yielded|epoch",
            "c": r"(?i)state|ckpt|checkpoint",
        },
    ),
    Rule(
        "$c[$k]",
        ("0", "$c[$k] // 2", "$c[$k] + 1"),
        ("int($c[$k])", "$c.get($k, 0)", "$c.get($k) or 0"),
        where={
            "k": (
                r"(?i)offset|iterations_in_epoch|position|consumed|samples_seen|start_idx|"
                r"num_yielded|counter"
            ),
            "c": r"(?i)state|ckpt|checkpoint",
        },
        inside=r"load|resume|restore|state",
    ),
    needs="step iter skip_first_batches islice state",
)

OPERATORS = (
    SHUFFLE_OFF,
    SAMPLER_EPOCH,
    PERMUTATION,
    SAMPLER_SWAPPED,
    RANK_STRIDE,
    REPLICA_RANK,
    SHARD_WINDOW,
    RESUME_OFFSET,
)
