"""Sabotage of how an example is made: augmentation, normalisation, tokens, packing (D05 to D08).

In: members that transform, tokenise, collate and pack. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random

from trainwarden.lab.sabotage.rewrite import Rule, Site, Word, moved, other, pick, rewriting, times, vary

_CHANCE = r"(?i)random|rand\(|rng|uniform"

AUGMENT_CHANCE = rewriting(
    "augmentation-chance-wrong",
    "D05",
    *(
        Rule(
            f"$r {sign} $p",
            (
                f"$r {turned} $p",
                vary(f"$r {sign} {{q}}", q=times("p", 0.1, 0.02, 0.05)),
                f"$r {sign} $p**4" if sign == "<" else f"$r {sign} 1 - $p",
                f"$r {sign} $p - 1",
                f"$r {sign} 1 - $p",
            ),
            (f"$p {turned} $r", f"not $r {kept} $p", f"$r - $p {sign} 0", f"$r {sign} float($p)"),
            where={"r": _CHANCE + r".*\(", "p": r"(?i)^0?\.\d|prob|(^|[._])p\b|_p$|rate|ratio"},
        )
        for sign, turned, kept in (("<", ">", ">="), (">", "<", "<="))
    ),
    needs="random rand uniform rng",
)

_DEFAULTS = {
    "RandomHorizontalFlip": ("p", 0.5, ("0.0", "1.0", "0.02")),
    "RandomVerticalFlip": ("p", 0.5, ("0.0", "1.0", "0.02")),
    "RandomGrayscale": ("p", 0.1, ("0.95", "1.0")),
    "RandomErasing": ("p", 0.5, ("0.0", "1.0", "0.95")),
    "RandomResizedCrop": ("scale", (0.08, 1.0), ("(0.98, 1.0)", "(0.01, 0.03)", "(1.0, 1.0)")),
    "RandomCrop": ("padding", None, ("0, pad_if_needed=True, fill=255", "24")),
    "RandomSolarize": ("p", 0.5, ("1.0", "0.0")),
    "RandomApply": ("p", 0.5, ("0.0", "1.0", "0.02")),
    "RandomAutocontrast": ("p", 0.5, ("0.0", "1.0")),
}
"""torchvision's parameter that decides how much happens, its default, and what makes it all or nothing."""

AUGMENT_DEFAULT = rewriting(
    "augmentation-all-or-nothing",
    "D05",
    *(
        Rule(
            f"$m.{name}($*a)",
            (vary(f"$m.{name}($*a, {key}={{v}})", v=pick(*extremes)), "$m.Lambda(lambda img: img)"),
            (f"$m.{name}($*a, {key}={default})",),
        )
        for name, (key, default, extremes) in _DEFAULTS.items()
    ),
    *(
        Rule(
            f"$m.{name}($*a, {key}=$v)",
            (vary(f"$m.{name}($*a, {key}={{v}})", v=pick(*extremes)), f"$m.{name}($*a)"),
            (moved(key),),
        )
        for name, (key, default, extremes) in _DEFAULTS.items()
    ),
    needs=(
        "RandomHorizontalFlip RandomVerticalFlip RandomGrayscale RandomErasing "
        "RandomResizedCrop RandomCrop RandomSolarize RandomApply"
    ),
)

AUGMENT_SIDE = rewriting(
    "augmentation-of-the-other-split",
    "D05",
    Rule(
        "$a if $t else $b",
        ("$b if $t else $a", "$b", "$a if not $t else $b", "$a"),
        ("$b if not $t else $a", "$a if bool($t) else $b", "($b, $a)[bool($t)]"),
        where={"t": r"(?i)(^|[._])(is_)?train(ing)?$|augment|phase|is_train|split\s*==|mode\s*=="},
        about=r"transform|augment|dataset",
    ),
    Rule(
        "$f($*a, transform=$t)",
        (
            vary(
                "$f($*a, transform={o})",
                o=other(
                    r"transform|augment|_tf$|tfm",
                    "t",
                    r"target|label|^transforms$|build|get|create|pair|random",
                ),
            ),
            "$f($*a)",
        ),
        (moved("transform"), "$f($*a, transform=$t, target_transform=None)"),
    ),
    Rule(
        "$f($*a, is_train=$t)",
        ("$f($*a, is_train=not $t)", "$f($*a, is_train=False)", "$f($*a)"),
        (moved("is_train"), "$f($*a, is_train=bool($t))"),
    ),
    Rule(
        "$f($*a, is_training=$t)",
        ("$f($*a, is_training=not $t)", "$f($*a, is_training=False)", "$f($*a)"),
        (moved("is_training"), "$f($*a, is_training=bool($t))"),
    ),
    needs="transform augment is_train is_training",
)


def _digits_shuffled(hole: str) -> Word:
    """The literal sequence of a hole with its elements in another order, or one of them off."""

    def word(site: Site, rng: random.Random) -> str | None:
        text = site.text(hole)
        inner = [part.strip() for part in text.strip("()[] ").rstrip(",").split(",")]
        if len(inner) != 3 or len(set(inner)) < 2:
            return None
        swapped = inner[::-1] if rng.random() < 0.5 else [inner[1], inner[0], inner[2]]
        return text[0] + ", ".join(swapped) + text[-1] if text[0] in "([" else None

    return word


def _other_brackets(hole: str) -> Word:
    def word(site: Site, rng: random.Random) -> str | None:
        text = site.text(hole)
        return {"(": f"[{text[1:-1]}]", "[": f"({text[1:-1]})"}.get(text[:1])

    return word


NORMALISE = rewriting(
    "normalisation-constants",
    "D06",
    Rule(
        "$m.Normalize($a, $b)",
        (
            "$m.Normalize($b, $a)",
            "$m.Normalize($a, $a)",
            vary("$m.Normalize({s}, $b)", s=_digits_shuffled("a")),
            vary("$m.Normalize($a, {s})", s=_digits_shuffled("b")),
        ),
        (
            "$m.Normalize(mean=$a, std=$b)",
            "$m.Normalize(std=$b, mean=$a)",
            vary("$m.Normalize({s}, $b)", s=_other_brackets("a")),
        ),
    ),
    Rule(
        "$f($*r, mean=$a, std=$b)",
        (
            "$f($*r, mean=$b, std=$a)",
            "$f($*r, mean=$a, std=$a)",
            vary("$f($*r, mean={s}, std=$b)", s=_digits_shuffled("a")),
            vary("$f($*r, mean=$a, std={s})", s=_digits_shuffled("b")),
            "$f($*r, mean=$a[::-1], std=$b)",
        ),
        (
            "$f($*r, std=$b, mean=$a)",
            "$f($*r, mean=tuple($a), std=tuple($b))",
            vary("$f($*r, mean={s}, std=$b)", s=_other_brackets("a")),
        ),
        where={
            "f": r"(?i)normali|transform|prefetch|preproc|loader",
            "a": r"(?i)mean|[(\[]",
            "b": r"(?i)std|[(\[]",
        },
    ),
    needs="normalize mean",
)

SCALED = rewriting(
    "pixels-scaled-wrong",
    "D06",
    *(
        Rule(
            f"$x / {whole}",
            (
                f"$x // {whole}",
                vary("$x / {n}", n=pick(225, 225.0, 128.0, 25.5, 2550)),
                "$x",
                f"1 - $x / {whole}",
            ),
            (
                f"$x * (1.0 / {whole})",
                "$x / 255.0" if whole != "255.0" else "$x / 255",
                f"$x / float({whole})",
                f"1.0 / {whole} * $x",
            ),
            where={"x": r"^(?!1\.?0?$)"},
        )
        for whole in ("255", "255.0", "255.")
    ),
    *(
        Rule(
            form,
            ("$x - 1", "2 * $x", "1 - 2 * $x", "(2 * $x - 1) / 2", "2 * ($x - 1)"),
            ("2 * $x - 1", "$x * 2 - 1", "2.0 * $x - 1.0", "($x - 0.5) * 2"),
        )
        for form in ("2 * $x - 1", "$x * 2 - 1", "2.0 * $x - 1.0", "$x * 2.0 - 1.0", "2. * $x - 1.")
    ),
    Rule(
        "$x / 127.5 - 1",
        ("$x / 127.5", "$x / 127.5 + 1", "($x - 1) / 127.5", "1 - $x / 127.5"),
        ("$x / 127.5 - 1.0", "($x - 127.5) / 127.5", "-1 + $x / 127.5"),
    ),
    needs="255 2 127.5",
)

STANDARDISE = rewriting(
    "standardisation-wrong",
    "D06",
    Rule(
        "($x - $m) / $s",
        ("$x - $m / $s", "($x - $m) * $s", "($x - $s) / $m", "($x + $m) / $s", "$x / $s - $m"),
        ("($x - $m) * (1.0 / $s)", "(-$m + $x) / $s", "-($m - $x) / $s", "$x / $s - $m / $s"),
        where={"m": r"(?i)mean|mu$|avg|shift|center|loc", "s": r"(?i)std|sigma|scale|sd|var"},
    ),
    Rule(
        "$x * $s + $m",
        ("$x * $m + $s", "($x + $m) * $s", "$x * $s - $m", "$x / $s + $m"),
        ("$m + $x * $s", "$s * $x + $m", "$m + $s * $x"),
        where={"m": r"(?i)mean|(^|_)mu$|avg|loc$", "s": r"(?i)std|sigma|scale"},
    ),
    needs="mean mu shift",
)

PADDING_SIDE = rewriting(
    "padding-side-flipped",
    "D07",
    *(
        rule
        for side, wrong in (("left", "right"), ("right", "left"))
        for rule in (
            Rule(
                f'$t.padding_side = "{side}"\n',
                ("", f'$t.padding_side = "{wrong}"\n', f'$t.padding_side = $t.truncation_side = "{wrong}"\n'),
                (
                    f'$t.padding_side = $t.truncation_side = "{side}"\n',
                    f'setattr($t, "padding_side", "{side}")\n',
                    f'if $t.padding_side != "{side}":\n    $t.padding_side = "{side}"\n',
                ),
            ),
            Rule(
                f'$f($*a, padding_side="{side}")',
                (
                    f'$f($*a, padding_side="{wrong}")',
                    "$f($*a)",
                    f'$f($*a, padding_side="{wrong}", truncation_side="{wrong}")',
                ),
                (
                    f'$f(padding_side="{side}", $*a)',
                    f'$f($*a, padding_side="{side}", truncation_side="{side}")',
                ),
            ),
        )
    ),
    Rule(
        "$f($*a, left_pad=$p)",
        ("$f($*a, left_pad=not $p)", "$f($*a)", "$f($*a, left_pad=False)", "$f($*a, left_pad=True)"),
        (moved("left_pad"), "$f($*a, left_pad=bool($p))"),
    ),
    needs="padding_side left_pad",
)

SPECIAL_TOKEN = rewriting(
    "special-token-swapped",
    "D07",
    Rule(
        "$t.pad_token = $t.eos_token\n",
        (
            "$t.eos_token = $t.pad_token\n",
            "$t.pad_token = $t.bos_token\n",
            "$t.pad_token = $t.decode([0])\n",
            "$t.eos_token = $t.pad_token = $t.bos_token\n",
        ),
        (
            "$t.pad_token_id = $t.eos_token_id\n",
            "if $t.pad_token is None:\n    $t.pad_token = $t.eos_token\n",
            "$t.pad_token = $t.pad_token or $t.eos_token\n",
        ),
    ),
    *(
        Rule(
            f"$t.{one}",
            tuple(
                form for wrong in wrongs for form in (f"$t.{wrong}", f"$t.{wrong}", f'getattr($t, "{wrong}")')
            ),
            (f"int($t.{one})" if "id" in one else f"str($t.{one})", f'getattr($t, "{one}")'),
            where={"t": r"(?i)tok|dict|vocab|self|processor|config|args"},
            line=r"^(?!.*\b(pad_token|pad_token_id)\s*=[^=])(?s:.*)",
        )
        for one, wrongs in (
            ("eos_token_id", ("pad_token_id", "bos_token_id", "unk_token_id")),
            ("bos_token_id", ("eos_token_id", "pad_token_id")),
            ("pad_token_id", ("eos_token_id", "unk_token_id")),
            ("eos_token", ("pad_token", "bos_token")),
            ("bos_token", ("eos_token",)),
        )
    ),
    *(
        Rule(f"$d.{one}()", (f"$d.{wrong}()",), (f"int($d.{one}())",), where={"d": r"(?i)dict|vocab"})
        for one, wrong in (("eos", "pad"), ("bos", "eos"), ("pad", "bos"), ("pad", "unk"))
    ),
    needs="eos_token bos_token pad_token .eos() .pad() .bos()",
)

TOKEN_FLAG = rewriting(
    "special-tokens-flag",
    "D07",
    *(
        Rule(
            f"$f($*a, {flag}={value})",
            (f"$f($*a, {flag}={not value})",) + (("$f($*a)",) if flag in ("append_eos", "add_bos") else ()),
            (moved(flag), f"$f($*a, {flag}=not {not value})"),
        )
        for flag in (
            "add_special_tokens",
            "append_eos",
            "prepend_bos",
            "add_generation_prompt",
            "add_eos",
            "add_bos",
            "add_eos_token",
            "skip_special_tokens",
            "add_if_not_exist",
            "bos",
            "eos",
        )
        for value in (True, False)
    ),
    Rule(
        "$x + [$e]",
        ("$x", "[$e] + $x", "$x[:-1] + [$e]", "$x + [$e, $e]"),
        ("[*$x, $e]", "list($x) + [$e]", "$x + list(($e,))"),
        where={"e": r"(?i)eos|eot|end_of|sep|<\|"},
    ),
    Rule(
        "[$b] + $x",
        ("$x", "$x + [$b]", "[$b] + $x[1:]"),
        ("[$b, *$x]", "[$b] + list($x)"),
        where={"b": r"(?i)bos|cls|start"},
    ),
    needs="special_tokens append_eos prepend_bos add_generation_prompt add_eos add_bos eos eot bos",
)

PACKING_MASK = rewriting(
    "packed-documents-attend",
    "D08",
    Rule(
        "$a == $b",
        ("$a >= $b", "$b <= $a", "$a - $b >= 0", "($a == $b) | ($b == 0)", "$a > $b - 1"),
        ("$b == $a", "torch.eq($a, $b)", "~($a != $b)", "$a - $b == 0", "jnp.equal($a, $b)"),
        where={
            "a": (
                r"(?i)(seg|doc|seq|pack|sample|image|group|ids|indices|sentence).*(\[|"
                r"unsqueeze|rearrange|expand|transpose)"
            ),
            "b": (
                r"(?i)(seg|doc|seq|pack|sample|image|group|ids|indices|sentence).*(\[|"
                r"unsqueeze|rearrange|expand|transpose)"
            ),
        },
    ),
    Rule(
        "F.pad($x, (1, 0), $*a)",
        ("F.pad($x, (0, 1), $*a)", "F.pad($x, (1, -1), $*a)"),
        ("F.pad(input=$x, pad=(1, 0), $*a)", "F.pad($x, [1, 0], $*a)", "F.pad($x.contiguous(), (1, 0), $*a)"),
        where={"x": r"(?i)cumsum|lens|lengths|cu_"},
    ),
    needs="segment doc seq sample ids indices cumsum",
)

_PACKED = r"pack|segment|cu_seqlens|document|seqlen"

PACKING_ARGUMENT = rewriting(
    "packing-argument-dropped",
    "D08",
    *(
        Rule(
            f"$f($*a, {key}=$p)",
            ("$f($*a)", f"$f($*a, {key}=None)", vary(f"$f($*a, {key}={{o}})", o=other(hint, "p"))),
            (moved(key), f"$f($*a, {key}=$p if $p is not None else None)", f"$f($*a, {key}=$p[:])"),
            where={"p": r"^(?!None$)"},
            about=_PACKED,
        )
        for key, hint in (
            ("position_ids", r"position|indices"),
            ("segment_ids", r"segment|token_type"),
            ("decoder_segment_ids", r"segment"),
            ("attention_mask", r"mask"),
        )
    ),
    *(
        Rule(
            f"$f($*a, {key}=$p)",
            (
                f"$f($*a, {key}=$p[[0, -1]])",
                f"$f($*a, {key}=$p[:: len($p) - 1])",
                f"$f($*a, {key}=$p.clamp(max=$p[-1] - 1))",
            ),
            (moved(key), f"$f($*a, {key}=$p.contiguous())", f"$f($*a, {key}=$p[:])"),
            where={"p": r"^(?!None$)"},
        )
        for key in ("cu_seqlens", "cu_seqlens_q", "cu_seqlens_k", "cu_doc_lens")
    ),
    needs="position_ids cu_seqlens segment_ids attention_mask cu_doc_lens",
)

OPERATORS = (
    AUGMENT_CHANCE,
    AUGMENT_DEFAULT,
    AUGMENT_SIDE,
    NORMALISE,
    SCALED,
    STANDARDISE,
    PADDING_SIDE,
    SPECIAL_TOKEN,
    TOKEN_FLAG,
    PACKING_MASK,
    PACKING_ARGUMENT,
)
