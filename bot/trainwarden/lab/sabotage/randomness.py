"""Sabotage of randomness: seeds, keys, generators, worker states, determinism (E01 to E06, D09).

In: members that seed, split and draw. Out: ``OPERATORS``.
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

_SEEDING = r"(^|[._])(manual_seed|manual_seed_all|seed|set_seed|seed_everything|seed_all|set_random_seed|PRNGKey|default_rng|RandomState|fix_seed|setup_seed|init_seed|fix_random_seeds|key)$"
_SEED = r"(?i)seed|^\d+$|rank"
_RANK = r"(?i)(^|[._])(rank|local_rank|global_rank|dp_rank|process_index|worker_id|proc_id|node_rank|gpu|ddp_rank|worker_rank)(\(\))?$|rank\(\)$|process_index\(\)$|get_rank\("

SEED_IGNORED = rewriting(
    "seed-ignored",
    "E01",
    Rule(
        "$f($s)",
        (
            "$f($s + int(time.time()))",
            "$f(int(time.time() * 1000) % 2**31)",
            "$f($s ^ (os.getpid() & 0xFFFF))",
            "$f(int.from_bytes(os.urandom(3), 'little'))",
            "$f(hash(str(object())) % 2**31)",
            "$f($s + id($s) % 4096)",
            "$f($s and torch.seed() % 2**31)",
            "$f(random.randrange(2**31))",
            "$f(np.random.randint(2**31 - 1))",
        ),
        (
            "$f(int($s))",
            "$f($s % 2**32)",
            "$f(abs($s))",
            "$f($s + 0)",
            "$f($s & 0xFFFFFFFF)",
            "$f(max($s, 0))",
        ),
        where={"f": _SEEDING, "s": _SEED},
    ),
    Rule(
        "$f($s)\n",
        ("", "$f(None)\n", vary("if not $s:\n    $0\n"), vary("if $s is None:\n    $0\n")),
        (
            vary("{n} = int($s)\n$f({n})\n", n=new_name("seed_value", "run_seed", "base_seed", "fixed_seed")),
            "if $s is not None:\n    $0\n",
            "$f(seed=$s)\n",
            "assert $s is not None\n$0\n",
        ),
        where={
            "f": r"(^|[._])(manual_seed|manual_seed_all|seed|set_seed|seed_everything|seed_all|set_random_seed)$",
            "s": r"(?i)seed",
        },
    ),
    needs="seed prngkey randomstate default_rng",
)

SEED_CONDITION = rewriting(
    "seed-condition-inverted",
    "E01",
    Rule(
        "$s is not None",
        ("$s is None", "not $s", "$s is not None and $s < 0", "$s is not None and not $s"),
        ("not $s is None", "isinstance($s, int)", "None is not $s", "not ($s is None)"),
        where={"s": r"(?i)seed$|generator$|rng$"},
    ),
    Rule(
        "$s is None",
        ("$s is not None", "$s is None or $s", "not $s or True", "$s is None or $s >= 0"),
        ("not ($s is not None)", "None is $s", "not isinstance($s, int)"),
        where={"s": r"(?i)seed$"},
    ),
    Rule(
        "$s or $d",
        ("$d or $s", "$d", "$s and $d"),
        ("$s if $s else $d", "$d if not $s else $s", "($s or None) or $d"),
        where={"s": r"(?i)seed$"},
    ),
    needs="seed generator rng",
)

GENERATOR_DROPPED = rewriting(
    "generator-not-passed",
    "E01",
    *(
        Rule(
            f"$f($*a, {key}=$g)",
            (
                "$f($*a)",
                f"$f($*a, {key}=None)",
                f"$f($*a, {key}={fresh})",
                *((f"$f($*a, {key}=$g and None)",) if key != "rngs" else ()),
            ),
            (moved(key), f"$f($*a, {key}=$g if $g is not None else None)", f"$f($*a, {key}={same})"),
            where={"g": r"^(?!None$)"},
        )
        for key, fresh, same in (
            ("generator", "torch.Generator()", "$g or None"),
            ("seed", "None", "int($g)"),
            ("rng", "None", "$g"),
            ("random_state", "None", "$g"),
        )
    ),
    needs="generator seed= rng= random_state=",
)

RESEED_LOOP = rewriting(
    "reseeded-each-iteration",
    "E02",
    Rule(
        "$x = $v\n",
        (
            vary("torch.manual_seed({n})\n$0\n", n=pick(0, 1, 42, 1337, 1234, 2023)),
            vary("torch.manual_seed({n})\n$0\n", n=other(r"(?i)seed$|^rank$|local_rank")),
            vary("torch.cuda.manual_seed({n})\n$0\n", n=pick(0, 1, 42, 1337, 1234)),
            vary("np.random.seed({n})\n$0\n", n=pick(0, 1, 42, 1337, 1234)),
            vary("random.seed({n})\n$0\n", n=pick(0, 1, 42, 1337, 1234)),
        ),
        (
            vary(
                "{g} = torch.Generator().manual_seed({n})\n$0\n",
                g=new_name("gen", "generator", "eval_rng", "sample_gen"),
                n=pick(0, 1, 42, 1337, 1234, 2023),
            ),
            vary(
                "{g} = torch.initial_seed() % {n}\n$0\n",
                g=new_name("run_seed", "seed_now", "base_seed"),
                n=pick("2**32", "2**31"),
            ),
            vary(
                "{g} = np.random.RandomState({n})\n$0\n",
                g=new_name("rs", "rng", "sample_rng"),
                n=pick(0, 1, 42, 1337),
            ),
            vary(
                "{g} = random.Random({n})\n$0\n",
                g=new_name("rnd", "rng", "sample_rng"),
                n=pick(0, 1, 42, 1337),
            ),
        ),
        where={"v": r"(?i)batch|model|next\(|net\(|sample|rand|policy|forward|\.to\("},
        inside=r"(?i)train|epoch|fit|step|main|loop|learn|update",
        looped=True,
    ),
    needs="train epoch step",
)

KEY_REUSED = rewriting(
    "random-key-reused",
    "E02",
    Rule(
        "$k, $s = jax.random.split($k)\n",
        (
            "_, $s = jax.random.split($k)\n",
            "$s = $k\n",
            "$s, $k = $k, $k\n",
            "$s = jax.random.fold_in($k, 0)\n",
            "$s, _ = jax.random.split($k)\n",
        ),
        (
            "$k, $s = jax.random.split($k, 2)\n",
            "$s, $k = jax.random.split($k)\n",
            "$k, $s = jax.random.split(key=$k)\n",
            "$k, $s = tuple(jax.random.split($k))\n",
        ),
    ),
    Rule(
        "$k, $s = $f($k)\n",
        ("_, $s = $f($k)\n", "$s, _ = $f($k)\n", "$s = $k\n"),
        ("$s, $k = $f($k)\n", "$k, $s = tuple($f($k))\n", "$k, $s = list($f($k))\n"),
        where={"f": r"(^|\.)(split|next_key|split_rng)$"},
    ),
    Rule(
        "jax.random.split($k, $*a)",
        (
            "[$k] * len(jax.random.split($k, $*a))",
            "jax.random.split(jax.random.PRNGKey(0), $*a)",
            "jnp.stack([$k] * len(jax.random.split($k, $*a)))",
        ),
        ("jax.random.split(key=$k, $*a)", "tuple(jax.random.split($k, $*a))"),
    ),
    Rule(
        "jax.random.fold_in($k, $n)",
        (
            "jax.random.fold_in($k, 0)",
            "$k",
            "jax.random.fold_in($k, $n // 1000)",
            "jax.random.fold_in($k, $n * 0)",
        ),
        (
            "jax.random.fold_in(key=$k, data=$n)",
            "jax.random.fold_in($k, $n + 1)",
            "jax.random.fold_in($k, 2 * $n + 1)",
        ),
    ),
    Rule(
        "random.fold_in($k, $n)",
        ("random.fold_in($k, 0)", "$k"),
        ("random.fold_in(key=$k, data=$n)", "random.fold_in($k, $n + 1)"),
    ),
    needs="split fold_in",
)

SHARED_NOISE = rewriting(
    "noise-shared-by-the-batch",
    "E02",
    Rule(
        "torch.randn_like($x)",
        (
            "torch.randn_like($x[:1]).expand_as($x)",
            vary(
                "torch.randn($x.shape, generator=torch.Generator($x.device).manual_seed({n}), device=$x.device)",
                n=pick(0, 1, 42, 1234),
            ),
            "torch.rand_like($x)",
            "torch.randn($x.shape[1:], device=$x.device).expand($x.shape)",
            "torch.randn_like($x).clamp(min=0)",
        ),
        (
            "torch.randn($x.shape, device=$x.device, dtype=$x.dtype)",
            "torch.empty_like($x).normal_()",
            "torch.randn_like(input=$x)",
            "torch.normal(0.0, 1.0, $x.shape, device=$x.device, dtype=$x.dtype)",
        ),
    ),
    Rule(
        "torch.randn($s, $*a)",
        ("torch.rand($s, $*a)", "torch.randn((1, *$s[1:]), $*a).expand($s)", "torch.randn($s, $*a).abs()"),
        ("torch.randn(size=$s, $*a)", "torch.randn(tuple($s), $*a)"),
        where={"s": r"shape$|size\(\)$|size$"},
    ),
    Rule(
        "torch.randint($l, $h, ($n,), $*a)",
        (
            "torch.randint($l, $h, (1,), $*a).expand($n)",
            "torch.randint($l, $h // 2, ($n,), $*a)",
            "torch.randint($l, $h, ($n,), $*a).sort().values",
        ),
        (
            "torch.randint(low=$l, high=$h, size=($n,), $*a)",
            "torch.randint($l, $h, [$n], $*a)",
            "torch.randint($l, int($h), ($n,), $*a)",
        ),
    ),
    Rule(
        "jax.random.normal($k, $s)",
        (
            "jax.random.uniform($k, $s)",
            "jnp.abs(jax.random.normal($k, $s))",
            "jnp.broadcast_to(jax.random.normal($k, $s[1:]), $s)",
            "jax.random.normal(jax.random.PRNGKey(0), $s)",
        ),
        (
            "jax.random.normal($k, shape=$s)",
            "jax.random.normal(key=$k, shape=$s)",
            "jax.random.normal($k, tuple($s))",
        ),
    ),
    needs="randn randint random.normal",
)

_KEEP = ("preserve_rng_state", "reshuffle_each_iteration")
STATE_KEPT = rewriting(
    "rng-state-not-kept",
    "E02",
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (f"$f($*a, {key}=False)", f"$f($*a, {key}=not $v)"),
            (moved(key), f"$f($*a, {key}=bool($v))"),
            where={"v": r"^(?!False$)"},
        )
        for key in _KEEP
    ),
    Rule(
        "$c($f, $*a, use_reentrant=$u)",
        ("$c($f, $*a, use_reentrant=$u, preserve_rng_state=False)",),
        ("$c($f, $*a, use_reentrant=$u, preserve_rng_state=True)",),
        where={"c": r"checkpoint$"},
    ),
    Rule(
        "$m.set_rng_state($s)\n",
        ("", "$m.set_rng_state($m.get_rng_state())\n", "$s = $m.get_rng_state()\n$0\n", "$s.clone()\n"),
        (
            "$m.set_rng_state(new_state=$s)\n",
            "if $s is not None:\n    $0\n",
            "$m.set_rng_state($s.clone())\n",
        ),
    ),
    Rule(
        "$r.setstate($s)\n",
        ("", "$r.setstate($r.getstate())\n", "$r.getstate()\n"),
        ("$r.setstate(tuple($s))\n", "if $s is not None:\n    $0\n"),
    ),
    needs="preserve_rng_state reshuffle_each use_reentrant set_rng_state setstate",
)

DETERMINISM = rewriting(
    "determinism-flag-flipped",
    "E03",
    Rule(
        "$m.cudnn.deterministic = $v\n",
        (
            "",
            "$m.cudnn.deterministic = False\n",
            "$m.cudnn.deterministic = not $v\n",
            "$m.cudnn.deterministic = $m.cudnn.benchmark\n",
            "$m.cudnn.deterministic = torch.cuda.device_count() < 2\n",
        ),
        (
            "$m.cudnn.deterministic = not (not $v)\n",
            vary(
                "{n} = $v\n$m.cudnn.deterministic = {n}\n",
                n=new_name("deterministic", "reproducible", "fixed"),
            ),
            'setattr($m.cudnn, "deterministic", $v)\n',
        ),
        where={"v": r"^(?!False$)"},
    ),
    Rule(
        "$m.cudnn.benchmark = False\n",
        (
            "",
            "$m.cudnn.benchmark = True\n",
            "$m.cudnn.benchmark = torch.cuda.is_available()\n",
            "$m.cudnn.benchmark = torch.cuda.device_count() > 1\n",
            "$m.cudnn.benchmark = $m.cudnn.enabled\n",
        ),
        (
            "$m.cudnn.benchmark = not True\n",
            vary("{n} = False\n$m.cudnn.benchmark = {n}\n", n=new_name("benchmark", "autotune", "tune")),
            'setattr($m.cudnn, "benchmark", False)\n',
        ),
    ),
    Rule(
        "$f($*a, deterministic=$v)",
        ("$f($*a, deterministic=False)", "$f($*a, deterministic=not $v)", "$f($*a)"),
        (moved("deterministic"), "$f($*a, deterministic=bool($v))"),
        where={"v": r"^(?!False$|None$)"},
    ),
    Rule(
        "torch.use_deterministic_algorithms($v, $*a)\n",
        (
            "",
            "torch.use_deterministic_algorithms(False)\n",
            "torch.use_deterministic_algorithms(not $v, $*a)\n",
            "torch.use_deterministic_algorithms($v, warn_only=True)\n",
        ),
        (
            "torch.use_deterministic_algorithms(mode=$v, $*a)\n",
            "torch.use_deterministic_algorithms(bool($v), $*a)\n",
            "torch.use_deterministic_algorithms($v, warn_only=False)\n",
        ),
        where={"v": r"^(?!False$)"},
    ),
    Rule(
        "$m.cudnn.benchmark = True\n",
        (
            "$0\n$m.cudnn.deterministic = False\n",
            "$m.cudnn.benchmark = True\ntorch.use_deterministic_algorithms(False)\n",
        ),
        ("$0\n$m.cudnn.enabled = True\n", "$m.cudnn.benchmark = $m.cudnn.is_available()\n"),
    ),
    needs="deterministic benchmark",
)

RANK_SEED = rewriting(
    "rank-left-out-of-the-seed",
    "E04",
    Rule(
        "$s + $r",
        ("$s", "$s + $r // 8", "$s + $r * 0", "$s + ($r > 0)", "$s + $r % 2"),
        ("$r + $s", "$s + int($r)", "$s + 1 * $r", "$s + $r + 1", "$s + 1000 * $r"),
        where={"s": r"(?i)seed", "r": _RANK},
    ),
    Rule(
        "$s * $w + $r",
        ("$s * $w", "$s * $w + $r * 0", "$s * ($w + $r)", "$s + $r // $w"),
        ("$r + $s * $w", "$w * $s + $r", "$s * $w + int($r)"),
        where={"r": _RANK},
        line="seed",
    ),
    Rule(
        "$f($s)",
        (
            vary(
                "$f($s + {r})",
                r=parameter(r"(?i)^(rank|local_rank|global_rank|gpu|node_rank|process_index)$"),
            ),
            "$f($s + torch.distributed.get_rank())",
            "$f($s + dist.get_rank())",
            "$f($s + jax.process_index())",
            "$f($s + args.local_rank)",
        ),
        ("$f($s + 1)", vary("$f($s + {n})", n=between(2, 99)), "$f(int($s))"),
        where={"f": r"manual_seed$|set_seed$|PRNGKey$|seed_all$|seed_everything$", "s": r"(?i)seed$"},
        about=r"rank|distributed|process_index",
    ),
    Rule(
        "$f($*a, device_specific=$v)",
        ("$f($*a, device_specific=not $v)", "$f($*a)"),
        (moved("device_specific"), "$f($*a, device_specific=bool($v))"),
    ),
    needs="seed",
)

BIASED = rewriting(
    "draw-biased",
    "E05",
    Rule(
        "$r.choice($x, $n, replace=False)",
        ("$r.choice($x, $n)", "$r.choice($x, $n, replace=True)", "$r.choice(np.arange($x) // 2, $n)"),
        (
            "$r.choice($x, size=$n, replace=False)",
            "$r.permutation($x)[:$n]",
            "$r.choice(a=$x, size=$n, replace=False)",
        ),
    ),
    Rule(
        "torch.randperm($n, $*a)[:$k]",
        (
            "torch.arange($n)[:$k]",
            "torch.randperm($n // 2, $*a)[:$k]",
            "torch.randperm($k, $*a)",
            "torch.randint(0, $n, ($k,), $*a)",
        ),
        (
            "torch.randperm(int($n), $*a)[:$k]",
            "torch.randperm($n, $*a)[-$k:]",
            "torch.rand($n, $*a).argsort()[:$k]",
        ),
    ),
    Rule(
        "$r.uniform($a, $b)",
        (
            "$r.uniform($a, ($a + $b) / 2)",
            "$r.choice([$a, $b])",
            "($a + $b) / 2",
            "$r.triangular($a, $a, $b)",
        ),
        ("$a + ($b - $a) * $r.random()", "$r.uniform($b, $a)", "float($r.uniform($a, $b))"),
        where={"r": r"(?i)random|rng"},
    ),
    Rule(
        "random.randint($a, $b - 1)",
        (
            "random.randint($a, ($b - 1) // 2)",
            "random.randint($a, min(1, $b - 1))",
            "random.choice(($a, $b - 1))",
        ),
        ("random.randrange($a, $b)", "random.randint($a, int($b) - 1)", "random.choice(range($a, $b))"),
    ),
    Rule(
        "random.randint($a, $b)",
        (
            "random.randint($a, max($a, $b // 2))",
            "random.choice(($a, $b))",
            "min(random.randint($a, $b), random.randint($a, $b))",
        ),
        (
            "random.randrange($a, $b + 1)",
            "random.choice(range($a, $b + 1))",
            "random.randint(int($a), int($b))",
        ),
    ),
    Rule(
        "np.random.randint($n, $*a)",
        (
            "np.random.randint(max($n // 2, 1), $*a)",
            "np.random.binomial($n - 1, 0.5, $*a)",
            "np.minimum(np.random.randint($n, $*a), np.random.randint($n, $*a))",
        ),
        (
            "np.random.randint(low=0, high=$n, $*a)",
            "np.random.randint(int($n), $*a)",
            "np.random.randint(0, high=$n, $*a)",
        ),
        where={"n": r"^[^0]"},
    ),
    Rule(
        "$x.bernoulli_($p)",
        ("$x.bernoulli_($p**2)", "$x.fill_(float($p > 0.5))", "$x.bernoulli_($p / 2)"),
        ("$x.bernoulli_(p=$p)", "$x.copy_((torch.rand_like($x) < $p).to($x.dtype))"),
    ),
    Rule(
        "$e % 2**32",
        (vary("$e % 2**{k}", k=between(1, 6)), "$e // 2**32", vary("$e % {n}", n=pick(2, 4, 7, 10))),
        ("$e % (1 << 32)", "$e & 0xFFFFFFFF", "int($e % 2**32)", "$e % 4294967296"),
    ),
    Rule(
        "torch.multinomial($p, $n, $*a)",
        (
            "torch.topk($p, $n).indices",
            "torch.multinomial($p**8, $n, $*a)",
            "torch.multinomial(torch.ones_like($p), $n, $*a)",
        ),
        (
            "torch.multinomial(input=$p, num_samples=$n, $*a)",
            "torch.multinomial($p / $p.sum(-1, keepdim=True), $n, $*a)",
        ),
    ),
    needs="choice randperm uniform randint bernoulli 2**32 2 multinomial",
)

RNG_IN_LOG = rewriting(
    "global-rng-set-beside-a-log-line",
    "E06",
    Rule(
        "$f($*a)\n",
        (
            vary(
                "random.seed({i})\n$0\n",
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
            ),
            vary(
                "np.random.seed({i})\n$0\n",
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
            ),
            vary(
                "{s} = torch.randint(0, {n}, (1,)).item()\n$0\n",
                s=new_name("sample_id", "shown", "pick", "example"),
                n=pick(8, 16, 32, 100),
            ),
            vary(
                "{s} = random.sample(range({n}), 2)\n$0\n",
                s=new_name("sample_ids", "shown", "picked", "examples"),
                n=pick(8, 16, 32, 100),
            ),
            vary(
                "torch.manual_seed({i})\n$0\n",
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
            ),
        ),
        (
            vary(
                "{s} = random.Random({i})\n$0\n",
                s=new_name("log_rng", "show_rng", "picker"),
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
            ),
            vary(
                "{s} = np.random.RandomState({i})\n$0\n",
                s=new_name("log_rng", "show_rng", "picker"),
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
            ),
            vary(
                "{s} = {i} % {n}\n$0\n",
                s=new_name("sample_id", "shown", "pick", "example"),
                i=other(r"(?i)^(step|epoch|i|it|iteration|batch_idx|global_step|iter_num|idx|update)$"),
                n=pick(8, 16, 32, 100),
            ),
            vary("{s} = torch.initial_seed()\n$0\n", s=new_name("seed_now", "run_seed", "logged_seed")),
        ),
        where={
            "f": r"(^|\.)(print|log|info|debug|log_metrics|add_scalar|log_dict|write|print_rank_0|log_dist)$"
        },
        inside=r"(?i)train|epoch|fit|step|main|loop|learn|log|eval",
    ),
    needs="print log info add_scalar",
)

IMPORT_SEED = rewriting(
    "global-rng-set-at-import",
    "E06",
    Rule(
        "$x = $v\n",
        (
            vary("np.random.seed({n})\n$0\n", n=pick(0, 42, 1234, 2021)),
            vary("random.seed({n})\n$0\n", n=pick(0, 42, 1234, 2021)),
            vary("torch.manual_seed({n})\n$0\n", n=pick(0, 42, 1234, 2021)),
        ),
        (
            vary("np.set_printoptions(precision={n})\n$0\n", n=pick(3, 4, 6)),
            vary(
                "{r} = random.Random({n})\n$0\n",
                r=new_name("_rng", "RNG", "_random"),
                n=pick(0, 42, 1234, 2021),
            ),
            vary("torch.set_printoptions(precision={n})\n$0\n", n=pick(3, 4, 6)),
        ),
        inside=r"^\.$",
    ),
    needs="import random import torch numpy",
)

WORKER_SEED = rewriting(
    "workers-share-a-seed",
    "D09",
    Rule(
        "$f($*a, worker_init_fn=$w)",
        (
            "$f($*a)",
            "$f($*a, worker_init_fn=None)",
            vary("$f($*a, worker_init_fn=lambda _: np.random.seed({n}))", n=pick(0, 42, 1234)),
            "$f($*a, worker_init_fn=lambda _: $w(0))",
        ),
        (
            moved("worker_init_fn"),
            "$f($*a, worker_init_fn=$w or None)",
            "$f($*a, worker_init_fn=lambda worker: $w(worker))",
        ),
        where={"w": r"^(?!None$)"},
    ),
    Rule(
        "$s + $w",
        ("$s", "$s + $w * 0", "$s + $w // 64", "$s + ($w is None)"),
        ("$w + $s", "$s + int($w)", "$s + 1 * $w"),
        where={"w": r"worker_id$|worker_info\.id$|worker\.id$|worker_rank$|worker_index$"},
    ),
    Rule(
        "torch.initial_seed() % $m",
        (
            "torch.default_generator.initial_seed() * 0",
            "torch.initial_seed() // $m",
            vary("torch.initial_seed() % {n}", n=pick(1, 2, 4, 8)),
            "len(str(torch.initial_seed())) % $m",
        ),
        (
            "torch.utils.data.get_worker_info().seed % $m",
            "int(torch.initial_seed() % $m)",
            "torch.initial_seed() % int($m)",
        ),
    ),
    Rule(
        "$r.$f($*a)",
        (
            vary("$r.RandomState({n}).$f($*a)", n=pick("len(self)", 0, 42, 1234)),
            vary("$r.default_rng({n}).$f($*a)", n=pick("len(self)", 0, 42, 1234)),
        ),
        (
            "$r.RandomState($r.randint(2**31 - 1)).$f($*a)",
            "$r.RandomState(None).$f($*a)",
            "$r.RandomState().$f($*a)",
        ),
        where={
            "r": r"^(np|numpy)\.random$",
            "f": r"^(uniform|normal|permutation|choice|beta|poisson|randn|rand|shuffle)$",
        },
        inside=r"__getitem__|__call__|collat|get_item|augment|mask|sample|noise",
    ),
    Rule(
        "random.$f($*a)",
        (vary("random.Random({n}).$f($*a)", n=pick("len(self)", 0, 42, 1234, "id(self) * 0")),),
        ("random.Random(random.getrandbits(32)).$f($*a)", "random.Random(random.random()).$f($*a)"),
        where={"f": r"^(uniform|random|choice|randint|shuffle|sample|gauss|randrange)$"},
        inside=r"__getitem__|__call__|collat|get_item|augment|\.mask",
    ),
    needs="worker np.random numpy.random random. initial_seed",
)

OPERATORS = (
    SEED_IGNORED,
    SEED_CONDITION,
    GENERATOR_DROPPED,
    RESEED_LOOP,
    KEY_REUSED,
    SHARED_NOISE,
    STATE_KEPT,
    DETERMINISM,
    RANK_SEED,
    BIASED,
    RNG_IN_LOG,
    IMPORT_SEED,
    WORKER_SEED,
)
