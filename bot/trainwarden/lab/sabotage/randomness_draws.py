"""Sabotage of what is drawn and of the states it is drawn from (E02, E05, E06, D09).

In: members that draw, save states, log and start workers. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import (
    Rule,
    between,
    moved,
    new_name,
    other,
    pick,
    rewriting,
    vary,
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
                "{s} = torch.initial_seed()\ntorch.manual_seed({s})\n$0\n",
                s=new_name("seed_now", "run_seed", "logged_seed"),
            ),
            "torch.manual_seed(torch.initial_seed())\n$0\n",
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
            vary(
                "{s} = torch.randint(0, {n}, (1,), generator=torch.Generator()).item()\n$0\n",
                s=new_name("sample_id", "shown", "pick", "example"),
                n=pick(8, 16, 32, 100),
            ),
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
    SHARED_NOISE,
    STATE_KEPT,
    BIASED,
    RNG_IN_LOG,
    IMPORT_SEED,
    WORKER_SEED,
)
