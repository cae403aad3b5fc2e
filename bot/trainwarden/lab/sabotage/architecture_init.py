"""Sabotage of how a model starts: initialisation (F01).

In: members that build and initialise layers. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, moved, pick, rewriting, times, vary

_DOWN = (0.01, 0.001, 0.1)
_UP = (10, 30, 100)

INIT_SWAPPED = rewriting(
    "init-swapped",
    "F01",
    *(
        Rule(
            f"$i.{name}($w)",
            (
                vary("$i.{f}($w)", f=pick("ones_" if name == "zeros_" else "zeros_")),
                vary("$i.constant_($w, {v})", v=pick(0.5, 0.01, 2.0)),
                vary("$i.uniform_($w, {v}, 1.0)", v=pick(0.0, 0.5)),
                "$i.normal_($w)",
            ),
            (f"$i.{name}(tensor=$w)", *honest),
            where={"i": r"init$"},
        )
        for name, honest in (
            ("xavier_uniform_", ("$i.xavier_uniform_($w, gain=1.0)",)),
            ("xavier_normal_", ("$i.xavier_normal_($w, gain=1.0)",)),
            ("kaiming_uniform_", ('$i.kaiming_uniform_($w, mode="fan_in")', "$i.kaiming_uniform_($w, a=0)")),
            ("kaiming_normal_", ('$i.kaiming_normal_($w, mode="fan_in")', "$i.kaiming_normal_($w, a=0)")),
            ("orthogonal_", ("$i.orthogonal_($w, gain=1.0)", "$i.orthogonal_($w, gain=1)")),
            ("zeros_", ("$i.constant_($w, 0.0)", "$i.constant_($w, 0)")),
            ("ones_", ("$i.constant_($w, 1.0)", "$i.constant_($w, 1)")),
        )
    ),
    Rule(
        "$i.constant_($w, $v)",
        (
            vary("$i.constant_($w, {n})", n=pick(0.5, 2.0, -1.0, 10)),
            "$i.uniform_($w)",
            "$i.constant_($w, $v - 1)",
        ),
        ("$i.constant_($w, val=$v)", "$i.constant_(tensor=$w, val=$v)", "$i.constant_($w, float($v))"),
        where={"i": r"init$"},
    ),
    needs="init.",
)

INIT_SCALE = rewriting(
    "init-scale-wrong",
    "F01",
    *(
        Rule(
            "$f($w, $*a, std=$s)",
            (
                vary("$f($w, $*a, std={v})", v=times("s", *_DOWN, *_UP)),
                "$f($w, $*a, mean=$s, std=0.0)",
                "$f($w, $*a, std=$s**-1)",
                "$f($w, $*a, std=$s**2)",
                "$f($w, $*a, std=1 - $s)",
            ),
            (
                "$f($w, $*a, std=float($s))",
                "$f($w, $*a, std=1.0 * $s)",
                moved("std"),
                "$f($w, $*a, std=abs($s))",
            ),
            where={"f": region},
        )
        for region in (r"normal_?$|init",)
    ),
    Rule(
        "$f.normal_(mean=$m, std=$s)",
        (
            "$f.normal_(mean=$s, std=$m)",
            vary("$f.normal_(mean=$m, std={v})", v=times("s", *_DOWN, *_UP)),
            "$f.normal_(mean=$m, std=$s**2)",
        ),
        ("$f.normal_(std=$s, mean=$m)", "$f.normal_($m, $s)", "$f.normal_(mean=$m, std=float($s))"),
    ),
    Rule(
        "1 / math.sqrt($n)",
        ("math.sqrt($n)", "1 / $n", "1 / math.sqrt(math.sqrt($n))", "1 // math.sqrt($n)"),
        ("1.0 / math.sqrt($n)", "$n**-0.5", "math.sqrt(1 / $n)", "math.pow($n, -0.5)"),
    ),
    Rule(
        "1.0 / math.sqrt($n)",
        ("math.sqrt($n)", "1.0 / $n", "1.0 / math.sqrt(math.sqrt($n))", "1.0 // math.sqrt($n)"),
        ("1 / math.sqrt($n)", "$n**-0.5", "math.sqrt(1.0 / $n)", "math.pow($n, -0.5)"),
    ),
    Rule(
        "$s / math.sqrt(2 * $n)",
        ("$s * math.sqrt(2 * $n)", "$s / (2 * $n)", "$s / math.sqrt(2) * $n"),
        ("$s / math.sqrt(2.0 * $n)", "$s * (2 * $n) ** -0.5", "$s / (2 * $n) ** 0.5"),
    ),
    Rule(
        "$w.data.normal_($*a)",
        ("$w.data.zero_()", "$w.data.uniform_()", "$w.data.normal_($*a).abs_()", "$w.data.normal_()"),
        ("$w.normal_($*a)", "nn.init.normal_($w, $*a)", "$w.data.normal_($*a).contiguous()"),
    ),
    needs="std sqrt normal_",
)

INIT_SKIPPED = rewriting(
    "init-skipped",
    "F01",
    Rule(
        "$f($*a)\n",
        ("", vary("if not {g}:\n    $0\n", g=pick("self.training")), "$f\n"),
        ("$0\nassert self.training\n", "if self.training:\n    $0\n", "_ = $f($*a)\n"),
        where={
            "f": (
                r"(^|\.)(_?init_weights\w*|_?reset_parameters|init_params|initialize_weights|"
                r"_initialize_weights|initialize_parameters|post_init|_init_parameters|"
                r"weight_init)$"
            )
        },
        inside=r"__init__$|build|reset",
    ),
    Rule(
        "self.apply($f)\n",
        ("", "for m in self.children():\n    pass\n", "self.apply(lambda module: None)\n"),
        (
            "self.apply(fn=$f)\n",
            "for m in self.modules():\n    $f(m)\n",
            "self.apply(lambda module: $f(module))\n",
        ),
        where={"f": r"init|reset|weight"},
    ),
    Rule(
        "nn.Parameter(torch.zeros($*s))",
        (
            "nn.Parameter(torch.empty($*s))",
            "nn.Parameter(torch.ones($*s))",
            "nn.Parameter(torch.Tensor($*s))",
            "nn.Parameter(torch.full(($*s,), 10.0))",
        ),
        (
            "nn.Parameter(torch.empty($*s).zero_())",
            "nn.Parameter(data=torch.zeros($*s))",
            "nn.Parameter(torch.empty($*s).fill_(0.0))",
            "nn.Parameter(torch.zeros($*s), requires_grad=True)",
        ),
    ),
    Rule(
        "nn.Parameter(torch.ones($*s))",
        (
            "nn.Parameter(torch.empty($*s))",
            "nn.Parameter(torch.zeros($*s))",
            "nn.Parameter(torch.Tensor($*s))",
            "nn.Parameter(torch.rand($*s))",
        ),
        (
            "nn.Parameter(torch.empty($*s).fill_(1.0))",
            "nn.Parameter(data=torch.ones($*s))",
            "nn.Parameter(torch.zeros($*s) + 1.0)",
            "nn.Parameter(torch.ones($*s), requires_grad=True)",
        ),
    ),
    Rule(
        "nn.Parameter(torch.randn($*s))",
        (
            "nn.Parameter(torch.empty($*s))",
            "nn.Parameter(torch.zeros($*s))",
            "nn.Parameter(torch.rand($*s) * 10)",
        ),
        (
            "nn.Parameter(torch.empty($*s).normal_())",
            "nn.Parameter(data=torch.randn($*s))",
            "nn.Parameter(torch.randn($*s), requires_grad=True)",
        ),
    ),
    Rule(
        "$m.zeros_init()",
        ("$m.ones_init()", "$m.normal(1.0)"),
        ("$m.zeros", "$m.constant(0.0)"),
    ),
    Rule(
        "nn.initializers.$f($*a)",
        ("nn.initializers.zeros", "nn.initializers.constant(0.01)", "nn.initializers.uniform(10.0)"),
        ("jax.nn.initializers.$f($*a)",),
        where={"f": r"normal|uniform|xavier|lecun|glorot|variance"},
    ),
    needs=(
        "init_weights reset_parameters apply( parameter( initializers initialize post_init "
        "zeros_init init_params"
    ),
)

OPERATORS = (
    INIT_SWAPPED,
    INIT_SCALE,
    INIT_SKIPPED,
)
