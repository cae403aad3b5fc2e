"""Sabotage of seeds, keys, generators and determinism (E01 to E04).

In: members that seed and split. Out: ``OPERATORS``.
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

_SEEDING = (
    r"(^|[._])(manual_seed|manual_seed_all|seed|set_seed|seed_everything|seed_all|"
    r"set_random_seed|PRNGKey|default_rng|RandomState|fix_seed|setup_seed|init_seed|"
    r"fix_random_seeds|key)$"
)
_SEED = r"(?i)seed|^\d+$|rank"
_RANK = (
    r"(?i)(^|[._])(rank|local_rank|global_rank|dp_rank|process_index|worker_id|proc_id|"
    r"node_rank|gpu|ddp_rank|worker_rank)(\(\))?$|rank\(\)$|process_index\(\)$|get_rank\("
)

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
            "f": (
                r"(^|[._])(manual_seed|manual_seed_all|seed|set_seed|seed_everything|seed_all|"
                r"set_random_seed)$"
            ),
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

OPERATORS = (
    SEED_IGNORED,
    SEED_CONDITION,
    GENERATOR_DROPPED,
    RESEED_LOOP,
    KEY_REUSED,
    DETERMINISM,
    RANK_SEED,
)
