"""Sabotage of guards: not-a-number checks, assertions, validation (G02, G05).

In: members that check what they compute. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

from trainwarden.lab.sabotage.rewrite import Rule, Site, moved, new_name, pick, rewriting, vary
from trainwarden.lab.sabotage.spelling import quoted, used_names
from trainwarden.lab.sabotage.surgery import code

NONFINITE = rewriting(
    "nonfinite-masked",
    "G02",
    *(
        Rule(
            f"not {lib}.isfinite($x)",
            (
                f"{lib}.isinf($x) and $x < 0",
                f"{lib}.isnan($x) and {lib}.isinf($x)",
                f"not {lib}.isfinite($x) and $x < 0",
                f"{lib}.isinf($x)",
                "$x == float('-inf')",
            ),
            (
                f"{lib}.isfinite($x) == False",
                f"{lib}.isnan($x) or {lib}.isinf($x)",
                f"not bool({lib}.isfinite($x))",
                "not -float('inf') < $x < float('inf')",
            ),
        )
        for lib in ("math", "np", "torch")
    ),
    Rule(
        "torch.isnan($x) | torch.isinf($x)",
        ("torch.isnan($x) & torch.isinf($x)", "torch.isinf($x)", "torch.isnan($x)"),
        (
            "torch.isinf($x) | torch.isnan($x)",
            "~torch.isfinite($x)",
            "torch.logical_or(torch.isnan($x), torch.isinf($x))",
        ),
    ),
    Rule(
        "torch.isnan($x) or torch.isinf($x)",
        ("torch.isnan($x) and torch.isinf($x)", "torch.isinf($x) and $x < 0"),
        ("torch.isinf($x) or torch.isnan($x)", "not torch.isfinite($x)"),
    ),
    Rule(
        "torch.isnan($x)",
        (
            "torch.isinf($x)",
            "torch.isnan($x) & ($x > 0)",
            "torch.isneginf($x)",
            "torch.isnan(torch.nan_to_num($x))",
            "($x == float('nan'))",
        ),
        ("$x.isnan()", "$x != $x", "torch.isnan(input=$x)", "torch.isnan($x.detach())"),
    ),
    Rule(
        "torch.isfinite($x)",
        ("~torch.isinf($x)", "torch.isfinite(torch.nan_to_num($x))", "torch.isfinite($x) | torch.isnan($x)"),
        ("$x.isfinite()", "~(torch.isnan($x) | torch.isinf($x))", "torch.isfinite($x.detach())"),
    ),
    *(
        Rule(
            f"{lib}.isnan($x)",
            (
                f"{lib}.isinf($x)",
                f"{lib}.isnan({lib}.{zero}($x))" if zero else "$x == float('nan')",
                f"{lib}.isnan($x) and $x > 0",
            ),
            ("$x != $x", "not $x == $x", f"{lib}.isnan(float($x))"),
        )
        for lib, zero in (("np", "nan_to_num"), ("math", ""), ("jnp", "nan_to_num"))
    ),
    Rule(
        "jnp.isfinite($x)",
        ("~jnp.isinf($x)", "jnp.isfinite(jnp.nan_to_num($x))", "jnp.isfinite($x) | jnp.isnan($x)"),
        ("~(jnp.isnan($x) | jnp.isinf($x))", "jnp.isfinite(jnp.asarray($x))"),
    ),
    needs="isfinite isnan isinf",
)

REPLACED = rewriting(
    "nonfinite-replaced",
    "G02",
    Rule(
        "$l = $v\n",
        (
            "$0\n$l = torch.nan_to_num($l)\n",
            vary(
                "$0\n$l = torch.nan_to_num($l, nan=0.0, posinf={m}, neginf=-{m})\n",
                m=pick("0.0", "1.0", "1e4"),
            ),
            "$0\n$l = torch.where(torch.isfinite($l), $l, torch.zeros_like($l))\n",
            "$0\nif not torch.isfinite($l).all():\n    $l = $l.detach() * 0.0\n",
            "$l = torch.nan_to_num($v)\n",
            "$0\n$l = jnp.nan_to_num($l)\n",
            "$0\n$l = jnp.where(jnp.isfinite($l), $l, 0.0)\n",
        ),
        (
            vary(
                "$0\n{n} = torch.nan_to_num($l.detach())\n",
                n=new_name("log_value", "shown_loss", "logged", "display_loss"),
            ),
            vary("$0\n{n} = torch.isfinite($l.detach()).all()\n", n=new_name("finite", "is_finite", "ok")),
            "$0\nassert torch.isfinite($l).all(), $l\n",
            '$0\nif not torch.isfinite($l).all():\n    raise FloatingPointError("non-finite loss")\n',
            vary("{n} = $v\n$l = {n}\n", n=new_name("raw_loss", "loss_value", "full_loss")),
            vary("$0\n{n} = jnp.nan_to_num($l)\n", n=new_name("log_value", "shown_loss", "logged")),
        ),
        where={"l": r"(?i)^(\w*loss|grad_norm|total_norm|advantages?|log_?probs?|ratio)$", "v": r"\("},
        inside=r"(?i)train|loss|step|forward|epoch|fit|update|learn|main",
    ),
    needs="loss grad_norm total_norm advantage logprob log_prob ratio",
)

GUARD_GONE = rewriting(
    "nonfinite-guard-removed",
    "G02",
    Rule(
        "raise $e($*a)\n",
        ("", "print($*a)\n", "logger.warning($*a)\n", "warnings.warn(str($e($*a)))\n"),
        (
            "raise $e($*a) from None\n",
            vary("{m} = $e($*a)\nraise {m}\n", m=new_name("error", "failure", "exc")),
            "print($*a)\nraise $e($*a)\n",
            "logger.warning($*a)\nraise $e($*a)\n",
        ),
        where={"a": r"(?i)\bnan|\binf\b|finite|diverg|overflow"},
    ),
    Rule(
        "sys.exit($*a)\n",
        ("", "print($*a)\n", "loss = loss * 0\n", "loss = torch.nan_to_num(loss)\n"),
        ("raise SystemExit($*a)\n", "sys.stdout.flush()\nsys.exit($*a)\n"),
        inside=r"(?i)train|epoch|step",
        about=r"isfinite|isnan|\binf\b",
    ),
    Rule(
        "$f($*a, error_if_nonfinite=$v)",
        ("$f($*a, error_if_nonfinite=False)", "$f($*a)"),
        (moved("error_if_nonfinite"), "$f($*a, error_if_nonfinite=bool($v))"),
        where={"v": r"^(?!False)"},
    ),
    Rule(
        "torch.autograd.set_detect_anomaly($v)\n",
        (
            "",
            "torch.autograd.set_detect_anomaly(False)\n",
            "torch.autograd.set_detect_anomaly($v, check_nan=False)\n",
        ),
        (
            "torch.autograd.set_detect_anomaly(mode=$v)\n",
            "torch.autograd.set_detect_anomaly($v, check_nan=True)\n",
        ),
    ),
    needs="nan inf finite diverg overflow exit nonfinite anomaly loss",
)


def _complaint(site: Site, rng: random.Random) -> str:
    """A message in the words of the condition."""
    names = [name for name in used_names(site.holes["c"][0]) if name != "self"] or ["value"]
    subject = rng.choice(names)
    words = (
        f"unexpected {subject}",
        f"wrong {subject}",
        f"{subject} does not fit",
        f"bad {subject}",
        f"check {subject}",
    )
    return code(quoted(site.tree, rng.choice(words)))


ASSERT = rewriting(
    "check-weakened",
    "G05",
    Rule(
        "assert $c\n",
        (
            "",
            "assert $c or True\n",
            vary("assert ($c, {m})\n", m=_complaint),
            "if __debug__ and False:\n    $0\n",
            "assert $c is not None\n",
            "if not ($c):\n    AssertionError()\n",
            "if ($c) is None:\n    raise AssertionError\n",
            "if ($c) is None:\n    raise ValueError\n",
            vary("try:\n    assert $c\nexcept AssertionError:\n    pass\n"),
        ),
        (
            vary("assert $c, {m}\n", m=_complaint),
            "if not ($c):\n    raise AssertionError\n",
            "assert bool($c)\n",
            "if not ($c):\n    raise ValueError\n",
            vary("assert $c, {m}\n", m=_complaint),
        ),
        where={"c": r"[=<>(]| in |isinstance"},
    ),
    Rule(
        "assert $c, $m\n",
        (
            "",
            "assert ($c, $m)\n",
            "assert $c or $m, $m\n",
            "if not ($c):\n    print($m)\n",
            "if not ($c):\n    warnings.warn($m)\n",
            "if not ($c):\n    logger.debug($m)\n",
            "if not ($c):\n    AssertionError($m)\n",
            "if $c is None:\n    raise ValueError($m)\n",
            "if ($c) is None:\n    raise AssertionError($m)\n",
            "if not ($c) and not __debug__:\n    raise ValueError($m)\n",
        ),
        (
            "if not ($c):\n    raise AssertionError($m)\n",
            "if not ($c):\n    raise ValueError($m)\n",
            vary("{o} = $c\nassert {o}, $m\n", o=new_name("valid", "ok", "fits", "consistent")),
            "assert bool($c), $m\n",
        ),
    ),
    Rule(
        "$f($*a, strict=True)",
        ("$f($*a, strict=False)", "$f($*a)"),
        (moved("strict"), "$f($*a, strict=not False)"),
        where={"f": r"(^|\.)(zip|map|from_dict|instantiate|validate|parse|merge)$"},
    ),
    needs="assert strict",
)

RAISE = rewriting(
    "validation-removed",
    "G05",
    Rule(
        "raise ValueError($*a)\n",
        (
            "",
            "warnings.warn($*a)\n",
            "print($*a)\n",
            "logger.debug($*a)\n",
            "ValueError($*a)\n",
            "if not __debug__:\n    $0\n",
            vary("{m} = ValueError($*a)\nprint({m})\n", m=new_name("error", "failure", "problem")),
            vary(
                "{m} = ValueError($*a)\nwarnings.warn(str({m}))\n", m=new_name("error", "failure", "problem")
            ),
        ),
        (
            "raise ValueError($*a) from None\n",
            vary("{m} = ValueError($*a)\nraise {m}\n", m=new_name("error", "failure", "problem")),
            "print($*a)\nraise ValueError($*a)\n",
            "logger.debug($*a)\nraise ValueError($*a)\n",
            "warnings.warn($*a)\nraise ValueError($*a)\n",
        ),
        where={
            "a": (
                r"(?i)shape|dim|size|expect|must|mismatch|invalid|match|equal|divisible|"
                r"length|range|positive|batch"
            )
        },
    ),
    Rule(
        "torch.testing.assert_close($a, $b, $*r)\n",
        (
            "",
            "torch.testing.assert_close($a, $b, rtol=1.0, atol=1.0)\n",
            "torch.testing.assert_close($a, $a, $*r)\n",
        ),
        (
            "torch.testing.assert_close(actual=$a, expected=$b, $*r)\n",
            "torch.testing.assert_close($a, $b, $*r, check_dtype=True)\n",
        ),
    ),
    Rule(
        "$n % $d != 0",
        ("$n % $d < 0", "$n % $d != 0 and $n < $d", "$d % $n != 0", "$n % 1 != 0"),
        ("$n % $d > 0", "not $n % $d == 0", "0 != $n % $d", "$n // $d * $d != $n"),
    ),
    Rule(
        "$n % $d == 0",
        ("$n % $d >= 0", "$n % 1 == 0", "$n % $d == 0 or $n > $d"),
        ("not $n % $d", "0 == $n % $d", "$n // $d * $d == $n"),
        line=r"^\s*assert",
    ),
    needs="valueerror assert_close %",
)

OPERATORS = (
    NONFINITE,
    REPLACED,
    GUARD_GONE,
    ASSERT,
    RAISE,
)
