"""Family K: returns, ratios, rewards and targets of reinforcement learning, wrong beside right.

In: the trees of members. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.rewrite import Rule, other, rewriting, vary

ABOUT_RL = (
    r"reward|advantage|returns|replay|policy|gae|gamma|rollout|episode|q_net|target_q|ref_log|old_log|bellman"
)


_DONE = r"(?i)done|termin|mask|nonterminal|trunc|finish|not_?end|discount"


_VALUE = r"(?i)val|\bv\b|next_q|q_|_q\b|boot|target"


_DONE_MASK = rewriting(
    "done-mask-lost",
    "K01",
    Rule(
        "$x * (1 - $done)",
        ("$x", "$x * $done"),
        ("(1 - $done) * $x", "$x * (1.0 - $done)", "$x - $x * $done"),
        where={"done": _DONE},
        about=ABOUT_RL,
    ),
    Rule(
        "$x * (1.0 - $done)",
        ("$x", "$x * $done"),
        ("(1.0 - $done) * $x", "$x * (1 - $done)", "$x - $x * $done"),
        where={"done": _DONE},
        about=ABOUT_RL,
    ),
    Rule(
        "$x * ~$done",
        ("$x * $done", "$x"),
        ("~$done * $x", "$x * (~$done)"),
        where={"done": _DONE},
        about=ABOUT_RL,
    ),
    Rule(
        "$g * $v * $mask",
        ("$g * $v", "$g * $v * (1 - $mask)"),
        ("$mask * $g * $v", "$g * ($v * $mask)", "$v * $g * $mask"),
        where={"mask": _DONE},
        about=ABOUT_RL,
    ),
    Rule(
        "$v if $test else 0.0",
        ("$v", "$v if $test else $v.mean()", "0.0 if $test else $v"),
        ("0.0 if not $test else $v", "$v if $test else 0"),
        where={"v": _VALUE},
        about=ABOUT_RL,
    ),
    needs="done mask termin",
)


_INDEX = rewriting(
    "bootstrap-index-shifted",
    "K01",
    Rule(
        "$v[$t + 1]",
        ("$v[$t]", "$v[$t - 1]"),
        ("$v[1 + $t]", "$v[($t + 1)]"),
        where={"v": _VALUE + "|done|mask"},
        about=ABOUT_RL,
    ),
    Rule(
        "$v[:, $t + 1]",
        ("$v[:, $t]", "$v[:, $t - 1]"),
        ("$v[:, 1 + $t]", "$v[:, ($t + 1)]"),
        where={"v": _VALUE},
        about=ABOUT_RL,
    ),
    Rule(
        "$v[1:]",
        ("$v[:-1]",),
        ("$v[1 :]", "$v[1:len($v)]"),
        where={"v": _VALUE + "|rewards?$|dones?$"},
        about=ABOUT_RL,
    ),
    Rule("$v[:, 1:]", ("$v[:, :-1]",), ("$v[:, 1 :]", "$v[:, 1:None]"), where={"v": _VALUE}, about=ABOUT_RL),
    Rule(
        "$v[:-1]",
        ("$v[1:]",),
        ("$v[: len($v) - 1]", "$v[:-1:]"),
        where={"v": _VALUE + "|rewards?$"},
        about=ABOUT_RL,
    ),
    Rule(
        "reversed(range($n))",
        ("range($n)", "reversed(range(1, $n))", "reversed(range($n - 1))"),
        ("range($n - 1, -1, -1)", "range($n)[::-1]", "reversed(range(0, $n))"),
        about=ABOUT_RL,
    ),
    Rule(
        "$list.insert(0, $r)\n",
        ("$list.append($r)",),
        ("$list[:0] = [$r]", "$list[0:0] = [$r]"),
        about=ABOUT_RL,
    ),
    Rule("$list.appendleft($r)\n", ("$list.append($r)",), ("$list.extendleft([$r])",), about=ABOUT_RL),
    Rule(
        "$list[::-1]",
        ("$list[:]", "sorted($list)"),
        ("list(reversed($list))", "$list[::-1][:]"),
        about=r"advant|gae|returns",
    ),
    needs="value return advantage reward gae",
)


_DISCOUNT = rewriting(
    "discount-wrong",
    "K01",
    Rule(
        "$gamma * $lam * $last",
        ("$gamma * $last", "$lam * $last", "$gamma * $lam * $lam * $last", "$gamma * $gamma * $lam * $last"),
        ("$last * $gamma * $lam", "$gamma * ($lam * $last)", "$lam * $gamma * $last"),
        where={"gamma": r"(?i)gamma|discount", "lam": r"(?i)lam|tau"},
    ),
    Rule(
        "$r + $gamma * $next",
        ("$r - $gamma * $next", "$r + $next", "$gamma * ($r + $next)", "$r + $gamma * $gamma * $next"),
        ("$gamma * $next + $r", "$r + $next * $gamma"),
        where={"gamma": r"(?i)gamma|discount"},
    ),
    Rule(
        "$gamma * $next + $r",
        ("$gamma * $next - $r", "$next + $r", "$gamma * ($next + $r)"),
        ("$r + $gamma * $next", "$next * $gamma + $r"),
        where={"gamma": r"(?i)gamma|discount"},
    ),
    Rule(
        "$adv + $values",
        ("$adv", "$adv - $values", "$adv + $values.mean()"),
        ("$values + $adv", "torch.add($adv, $values)"),
        where={"adv": r"(?i)adv|gae", "values": _VALUE},
    ),
    needs="gamma discount gae adv",
)


_REF = r"(?i)ref"


_LOGP = r"(?i)log_?p|logits|lp\b|log_?ratio"


_KL = rewriting(
    "reference-or-kl-wrong",
    "K02",
    Rule(
        "$new - $ref",
        ("$ref - $new", "($new - $ref).abs()", "$new - $new.detach()"),
        ("torch.sub($new, $ref)", "-($ref - $new)", "$new + (-$ref)"),
        where={"ref": _REF + ".*" + _LOGP[4:], "new": _LOGP},
    ),
    Rule(
        "$new - $ref",
        ("$ref - $new", "$new - $new.detach()"),
        ("torch.sub($new, $ref)", "-($ref - $new)"),
        where={"ref": r"(?i)log.*ref", "new": _LOGP},
    ),
    Rule(
        "$x - $coef * $kl",
        ("$x + $coef * $kl", "$x", "$x - $coef * $coef * $kl", "$x - $coef * $kl.detach() * 0"),
        ("$x - $kl * $coef", "-$coef * $kl + $x"),
        where={"coef": r"(?i)kl|beta", "kl": r"(?i)kl"},
    ),
    Rule(
        "$x + $coef * $kl",
        ("$x - $coef * $kl", "$x", "$x + $coef * $kl.detach()"),
        ("$coef * $kl + $x", "$x + $kl * $coef"),
        where={"coef": r"(?i)kl|beta", "kl": r"(?i)kl"},
    ),
    Rule(
        "-$coef * $kl",
        ("$coef * $kl", "-$coef * $kl ** 2"),
        ("$coef * -$kl", "-($coef * $kl)", "-$kl * $coef"),
        where={"coef": r"(?i)kl|beta", "kl": r"(?i)kl|log_?ratio"},
    ),
    Rule(
        "copy.deepcopy($model)",
        ("$model", "copy.copy($model)"),
        ("copy.deepcopy(x=$model)", "copy.deepcopy($model).eval()"),
        about=r"ref_model|reference|target|old_policy",
    ),
    Rule(
        "deepcopy($model)",
        ("$model",),
        ("deepcopy(x=$model)", "deepcopy($model).eval()"),
        about=r"ref_model|reference|target|old_policy",
    ),
    Rule(
        "$ref($*args)",
        (vary("{model}($*args)", model=other(r"^(?:model|policy|actor|policy_model|actor_model)$", "ref")),),
        ("$ref.forward($*args)",),
        where={"ref": r"(?i)^[\w.]*ref(?:erence)?_?(?:model|policy)$"},
    ),
    needs="ref kl beta target",
)


_RATIO = rewriting(
    "importance-ratio-wrong",
    "K03",
    Rule(
        "$new - $old",
        ("$new - $new.detach()", "$old - $new", "$new.detach() - $old"),
        ("torch.sub($new, $old)", "-$old + $new", "$new + (-$old)"),
        where={"old": r"(?i)old|prev|behav|sampl|rollout", "new": _LOGP},
    ),
    Rule(
        "torch.exp($new - $old)",
        ("torch.exp($new - $new.detach())", "torch.exp($old - $new)", "torch.exp($new - $old).detach()"),
        ("($new - $old).exp()", "torch.exp(input=$new - $old)", "torch.exp(-$old + $new)"),
        where={"new": _LOGP},
    ),
    Rule(
        "torch.min($a, $b)",
        ("torch.max($a, $b)", "$a", "0.5 * ($a + $b)"),
        ("torch.min($b, $a)", "torch.minimum($a, $b)"),
        about=r"ratio|surr|clip",
    ),
    Rule(
        "torch.max($a, $b)",
        ("torch.min($a, $b)", "$a", "0.5 * ($a + $b)"),
        ("torch.max($b, $a)", "torch.maximum($a, $b)"),
        about=r"ratio|surr|clip",
    ),
    Rule(
        "torch.clamp($r, 1.0 - $eps, 1.0 + $eps)",
        ("torch.clamp($r, 1.0 - $eps)", "torch.clamp($r, 1.0, 1.0 + $eps)", "torch.clamp($r, -$eps, $eps)"),
        ("torch.clamp($r, min=1.0 - $eps, max=1.0 + $eps)", "$r.clamp(1.0 - $eps, 1.0 + $eps)"),
    ),
    Rule(
        "torch.clamp($r, 1 - $eps, 1 + $eps)",
        ("torch.clamp($r, 1 - $eps)", "torch.clamp($r, 1, 1 + $eps)", "torch.clamp($r, $eps, 1 - $eps)"),
        ("torch.clamp($r, min=1 - $eps, max=1 + $eps)", "$r.clamp(1 - $eps, 1 + $eps)"),
    ),
    Rule(
        "($adv - $adv.mean()) / ($adv.std() + $eps)",
        (
            "($adv - $adv.mean()) / $adv.std() ** 2",
            "$adv / ($adv.abs().mean() + $eps)",
            "($adv - $adv.min()) / ($adv.std() + $eps)",
            "($adv - $adv.mean()).abs() / ($adv.std() + $eps)",
        ),
        ("($adv - $adv.mean()) / $adv.std().clamp(min=$eps)", "$adv.sub($adv.mean()) / ($adv.std() + $eps)"),
    ),
    Rule(
        "-$adv * $ratio",
        ("$adv * $ratio", "-$adv.abs() * $ratio", "-$adv.detach().mean() * $ratio"),
        ("-($adv * $ratio)", "-$ratio * $adv", "$ratio * -$adv"),
        where={"adv": r"(?i)adv"},
    ),
    needs="old ratio adv surr clamp exp",
)


OPERATORS = (
    _DONE_MASK,
    _INDEX,
    _DISCOUNT,
    _KL,
    _RATIO,
)
