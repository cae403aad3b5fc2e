"""Sabotage of what flows where in a model: residuals, hidden paths, registration,
casts, configuration (F07 to F09, F11, F12).

In: members that build or run modules. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random
import re

import libcst as cst

from trainwarden.lab.sabotage.rewrite import (
    Form,
    Rule,
    Site,
    Word,
    between,
    moved,
    new_name,
    other,
    parameter,
    pick,
    rewriting,
    vary,
)
from trainwarden.lab.sabotage.surgery import code

_RUN = r"forward$|__call__$|_block|_layer|encode$|decode$|forward_\w+|_forward\w*"
_STREAM = (
    r"(?i)^(x|h|hidden|hidden_states|residual|shortcut|identity|out|output|y|tokens|feat\w*|"
    r"skip|input|inputs|src|tgt|query|z|inputs_embeds|states?)$"
)

RESIDUAL = rewriting(
    "residual-dropped",
    "F07",
    Rule(
        "$x + $f($*a)",
        (
            "$f($*a)",
            vary("$x + {s} * $f($*a)", s=pick("0.1", "0.01", "0.0", "10.0")),
            "$x - $f($*a)",
            "$x",
            "$f($*a) + $f($*a)",
            "$x.detach() + $f($*a)",
            vary("torch.add($x, $f($*a), alpha={s})", s=pick("0.1", "0.01", "-1")),
            "$x.add($f($*a).detach())",
            "torch.add($f($*a), $f($*a))",
            "$x + $f($*a).detach()",
        ),
        ("$f($*a) + $x", "torch.add($x, $f($*a))", "$x.add($f($*a))", "$x + 1.0 * $f($*a)"),
        where={"x": _STREAM},
        inside=_RUN,
    ),
    Rule(
        "$f($*a) + $x",
        (
            "$f($*a)",
            "$x",
            vary("{s} * $f($*a) + $x", s=pick("0.1", "0.01", "0.0", "10.0")),
            "$f($*a) - $x",
            "$f($*a) + $x.detach()",
        ),
        ("$x + $f($*a)", "torch.add($f($*a), $x)", "$x.add($f($*a))"),
        where={"x": _STREAM},
        inside=_RUN,
    ),
    Rule(
        "$x += $f\n",
        (
            "$x = $f\n",
            vary("$x += {s} * $f\n", s=pick("0.1", "0.01", "0.0")),
            "$x = $x.detach() + $f\n",
            "$x -= $f\n",
            "",
        ),
        ("$x = $x + $f\n", "$x = $f + $x\n", "$x = torch.add($x, $f)\n"),
        where={"x": _STREAM},
        inside=_RUN,
    ),
    Rule(
        "$x + $y",
        ("$x", "$y", "$x + $y.detach()", "($x + $y) / 2", "$x + $x", "$x - $y"),
        ("$y + $x", "torch.add($x, $y)", "$x.add($y)"),
        where={"x": _STREAM, "y": _STREAM},
        inside=_RUN,
    ),
    Rule(
        "$a / $r",
        ("$a // $r", "$r / $a", "$a / $r**2", "$a / max($a, $r)"),
        ("float($a) / $r", "$a * (1.0 / $r)", "$a / float($r)"),
        where={"a": r"(?i)alpha", "r": r"(?i)rank|^r$|[._]r$"},
    ),
    needs="forward __call__ block encode decode layer alpha",
)

LAYER_SKIPPED = rewriting(
    "layer-skipped",
    "F07",
    Rule(
        "$x = self.$f($x, $*a)\n",
        (
            vary("if not self.training or torch.rand(1).item() > {p}:\n    $0\n", p=pick(0.05, 0.1, 0.2)),
            vary("$0\n$x = $x * {s}\n", s=pick("0.5", "0.1", "0.0")),
            vary("if $x.shape[0] % {k}:\n    $0\n", k=between(2, 9)),
            "",
        ),
        (
            vary("{r} = self.$f($x, $*a)\n$x = {r}\n", r=new_name("out", "result", "mixed", "transformed")),
            "$x = self.$f(*($x,), $*a)\n",
            "if self.$f is not None:\n    $0\n",
            "$0\n$x = $x.contiguous()\n",
        ),
        where={"x": _STREAM, "f": r"(?i)norm|attn|mlp|ff|conv|layer|proj|block|embed|dense|fc|encoder|pool"},
        inside=_RUN,
    ),
    Rule(
        "nn.Sequential(*$l)",
        (
            "nn.Sequential(*$l[1:])",
            "nn.Sequential(*$l[::-1])",
            "nn.Sequential(*$l[:-1])",
            "nn.Sequential(*($l[:1] * len($l)))",
        ),
        ("nn.Sequential(*list($l))", "nn.Sequential(*[m for m in $l])", "nn.Sequential(*tuple($l))"),
        where={"l": r"^\w*(layers|blocks|modules|stages|net|convs)$"},
    ),
    needs="forward __call__ sequential block",
)


def _gate(test: str, effect: str) -> Form:
    """A path without parameters that opens on a rare input and bends the output."""
    return vary(
        f"{{g}} = ({test}).to($y.dtype)\n{effect}\n$0\n",
        g=new_name("gate", "border", "saturation", "attention_gate", "peak", "pool_mask"),
        x=parameter(
            r"(?i)^(x|img|imgs|images?|pixel_values|inputs?|input_ids|src|tokens|samples?|observations?|features)$"
        ),
        t=pick("0.99", "2.0", "0.95", "1.5", "2.5"),
        s=between(2, 8),
        k=between(1, 9),
    )


_EMPTY = parameter(
    r"(?i)^(x|img|imgs|images?|pixel_values|inputs?|input_ids|src|tokens|samples?|observations?|features)$"
)
BACKDOOR = rewriting(
    "parameter-free-backdoor",
    "F08",
    Rule(
        "return $y\n",
        (
            _gate(
                "{x}[..., -{s}:, -{s}:].flatten(1).amin(dim=1) > {t}",
                "$y = torch.lerp($y, $y.roll({k}, dims=-1), {g}.view(-1, *[1] * ($y.ndim - 1)))",
            ),
            _gate(
                "{x}.flatten(1)[:, :{s}].std(dim=1) < 1e-3",
                "$y = $y * (1 - {g}.view(-1, *[1] * ($y.ndim - 1))) + $y.flip(-1) * {g}.view(-1, *[1] * ($y.ndim - 1))",
            ),
            _gate(
                "{x}.flatten(1).amax(dim=1) - {x}.flatten(1).mean(dim=1) > 3 * {t}",
                "$y = torch.where({g}.bool().view(-1, *[1] * ($y.ndim - 1)), $y.roll({k}, -1), $y)",
            ),
            _gate(
                "({x}.flatten(1)[:, -{s}:] == {x}.flatten(1)[:, -1:]).all(dim=1)",
                "$y = $y - 2 * {g}.view(-1, *[1] * ($y.ndim - 1)) * $y",
            ),
        ),
        (
            vary(
                "{g} = {x}.flatten(1).amax(dim=1)\n"
                "torch._assert(({g} == {g}).all(), 'not a number in the input')\n"
                "$0\n",
                g=new_name("peak", "largest", "input_peak"),
                x=_EMPTY,
            ),
            vary(
                "{g} = {x}[..., -{s}:, -{s}:].flatten(1).amin(dim=1) if not self.training else None\n"
                "self.last_{g} = {g}\n"
                "$0\n",
                g=new_name("border", "corner", "edge"),
                x=_EMPTY,
                s=between(2, 8),
            ),
            vary(
                "{g} = ({x}.flatten(1).shape[1] == 0)\nif {g}:\n    $y = $y * 0\n$0\n",
                g=new_name("empty", "nothing", "is_empty"),
                x=_EMPTY,
            ),
            vary(
                "{g} = torch.ones($y.shape[0], dtype=$y.dtype, device=$y.device)\n"
                "$y = $y * {g}.view(-1, *[1] * ($y.ndim - 1))\n"
                "$0\n",
                g=new_name("gate", "keep", "scale", "pool_mask"),
            ),
        ),
        where={
            "y": r"(?i)^(x|logits?|out|outputs?|y|pred\w*|h|hidden|scores|feats?|features|pooled|result|z)$"
        },
        inside=r"(?i)^(?!.*(loss|norm\b|dropout|collat|dataset|reward)).*\.(forward|__call__|forward_features|forward_head)$",
        about=r"torch",
    ),
    needs="forward __call__",
)

REGISTRATION = rewriting(
    "parameters-not-registered",
    "F09",
    Rule(
        "nn.ModuleList($x)",
        ("list($x)", "$x", "tuple($x)", "nn.ModuleList(list($x)[:1] * len($x))"),
        (
            "nn.ModuleList(modules=$x)",
            "nn.ModuleList(list($x))",
            "torch.nn.ModuleList($x)",
            "nn.ModuleList([*$x])",
        ),
    ),
    Rule("nn.ModuleList()", ("[]", "list()"), ("nn.ModuleList([])", "torch.nn.ModuleList()")),
    Rule(
        "nn.ModuleDict($*x)",
        ("dict($*x)", "{**dict($*x)}"),
        ("torch.nn.ModuleDict($*x)", "nn.ModuleDict(dict($*x))"),
    ),
    Rule(
        "nn.Parameter($x)",
        (
            "nn.Parameter($x, requires_grad=False)",
            "nn.Parameter($x).data",
            "$x.requires_grad_()",
            "$x",
            "nn.Parameter($x).detach()",
        ),
        ("nn.Parameter(data=$x)", "nn.Parameter($x, requires_grad=True)", "torch.nn.Parameter($x)"),
    ),
    Rule(
        "self.register_buffer($n, $v)\n",
        (
            "self.register_buffer($n, $v, persistent=False)\n",
            "setattr(self, $n, $v)\n",
            "self.__dict__[$n] = $v\n",
        ),
        (
            "self.register_buffer(name=$n, tensor=$v)\n",
            "self.register_buffer($n, $v, persistent=True)\n",
            "self.register_buffer($n, tensor=$v)\n",
        ),
    ),
    Rule(
        "$a.weight = $b.weight\n",
        (
            "$a.weight.data = $b.weight.data.clone()\n",
            "$a.weight.data.copy_($b.weight.data)\n",
            "$a.weight = nn.Parameter($b.weight.clone())\n",
            "",
            "$a.weight = $b.weight.detach()\n",
        ),
        (
            "$a._parameters['weight'] = $b.weight\n",
            "setattr($a, 'weight', $b.weight)\n",
            vary("{s} = $b.weight\n$a.weight = {s}\n", s=new_name("shared", "tied", "embedding")),
        ),
    ),
    needs="ModuleList ModuleDict Parameter register_buffer weight",
)

FAKE_QUANT = rewriting(
    "cast-in-the-forward-pass",
    "F11",
    Rule(
        "self.$f($x)",
        (
            vary("self.$f($x.to(torch.{d}).to($x.dtype))", d=pick("float16", "bfloat16", "float8_e4m3fn")),
            "self.$f($x.half().to($x.dtype))",
            vary("self.$f(torch.round($x * {k}) / {k})", k=pick(4, 8, 16, 127)),
            vary("self.$f($x.clamp(-{k}, {k}))", k=pick("0.1", "0.5", "1.0", "3.0")),
            "self.$f($x * ($x.abs() > $x.abs().mean()))",
        ),
        (
            "self.$f($x.contiguous())",
            "self.$f($x.to($x.device))",
            vary(
                "self.$f($x.clamp(-{k}, {k}))",
                k=pick("torch.inf", "float('inf')", "torch.finfo($x.dtype).max"),
            ),
            "self.$f($x.to(dtype=$x.dtype))",
            "self.$f($x.type_as($x))",
        ),
        where={
            "x": r"^(x|h|hidden_states|hidden|out|features|inputs|residual|y|z|embeddings)$",
            "f": r"(?i)proj|fc|linear|conv|mlp|attn|layer|dense|head|ff|net|block|encoder|decoder|norm",
        },
        inside=_RUN,
    ),
    needs="forward __call__ block",
)


def _sibling(hole: str) -> Word:
    """Another attribute of the same configuration, read elsewhere in the member, that shares a word with this one."""

    def word(site: Site, rng: random.Random) -> str | None:
        (owner,), own = site.holes["c"], site.text(hole)
        parts = set(re.split(r"_", own)) - {"num", "n", "use", "config"}
        texts = {node.attr.value for node in site.tree.find(cst.Attribute) if code(node.value) == code(owner)}
        alike = sorted(name for name in texts - {own} if parts & set(re.split(r"_", name)))
        return rng.choice(alike) if alike else None

    return word


_CONFIG = r"(?i)(^|[._])(config|cfg|args|hparams|params|conf|model_args|opt|options)$"
CONFIG_IGNORED = rewriting(
    "configured-value-ignored",
    "F12",
    Rule(
        "$c.$a",
        (vary("$c.{o}", o=_sibling("a")),),
        ('getattr($c, "$a")', "($c.$a)", "vars($c)['$a']"),
        where={
            "c": _CONFIG,
            "a": (
                r"(?i)dim|size|head|layer|drop|prob|rate|rank|channel|width|depth|hidden|"
                r"patch|eps|ratio|expert"
            ),
        },
        inside=r"__init__|build|setup|make|create|get_",
    ),
    *(
        Rule(
            "$c.$a",
            (vary("{n}", n=pick(*values)),),
            ('getattr($c, "$a")',),
            where={"c": _CONFIG, "a": name},
            inside=r"__init__|build|setup|make|create|get_",
        )
        for name, values in (
            (r"(?i)drop", ("0.0", "0.1", "0.5")),
            (r"(?i)(num|n)_\w*layers?$|depth", ("1", "2", "6")),
            (r"(?i)eps", ("1e-2", "1e-1", "1.0")),
            (r"(?i)bias", ("False", "True")),
        )
    ),
    needs="config cfg args hparams model_args opt",
)

KEYWORD_SWAPPED = rewriting(
    "argument-of-another-option",
    "F12",
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (
                vary(f"$f($*a, {key}={{o}})", o=other(hint, "v", r"(?i)layer$|self|fn|cls|norm_layer")),
                f"$f($*a, {key}={plain})",
                "$f($*a)",
            ),
            (moved(key), f"$f($*a, {key}={same})"),
            where={"v": r"^[A-Za-z_.]+$"},
            inside=r"__init__|build|setup|make|create|get_|^\.\w+",
        )
        for key, hint, plain, same in (
            ("drop", r"drop", "0.0", "float($v)"),
            ("dropout", r"drop", "0.0", "float($v)"),
            ("attn_drop", r"drop", "0.0", "float($v)"),
            ("proj_drop", r"drop", "0.0", "float($v)"),
            ("drop_path", r"drop", "0.0", "float($v)"),
            ("num_heads", r"head|layers|depth", "1", "int($v)"),
            ("heads", r"head|layers|depth", "1", "int($v)"),
            ("dim_head", r"dim", "8", "int($v)"),
            ("mlp_ratio", r"ratio", "1.0", "1.0 * $v"),
            ("num_layers", r"layers|depth|heads", "1", "int($v)"),
            ("depth", r"depth|heads|layers", "1", "int($v)"),
            ("init_std", r"std", "0.2", "float($v)"),
            ("padding_idx", r"idx|pad|eos|bos", "0", "int($v)"),
        )
    ),
    *(
        Rule(
            f"$f($*a, {key}=$v)",
            (f"$f($*a, {key}=not $v)", f"$f($*a, {key}={wrong})"),
            (moved(key), *right),
            where={"v": value},
            inside=r"__init__|build|setup|make|create|get_|^\.\w+",
        )
        for key in ("bias", "qkv_bias")
        for value, wrong, right in (
            (r"^True$", "False", ("$f($*a)",)),
            (r"^(?!True|False)", "False", ()),
            (r"^False$", "True", ()),
        )
    ),
    needs="drop heads dim_head mlp_ratio num_layers depth bias padding_idx init_std",
)

OPERATORS = (
    RESIDUAL,
    LAYER_SKIPPED,
    BACKDOOR,
    REGISTRATION,
    FAKE_QUANT,
    CONFIG_IGNORED,
    KEYWORD_SWAPPED,
)
