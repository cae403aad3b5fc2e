"""Sabotage of what a loss is made of: operands, masks, shifts, coefficients, clipping, classes, smoothing (A04, A06-A12).

In: members that compute a loss. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random
import re

import libcst as cst

from trainwarden.lab.sabotage.forms import Sites, operator, swap, text_of
from trainwarden.lab.sabotage.literals import named_number
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, between, new_name, other, pick, rewriting, times, vary
from trainwarden.lab.sabotage.spelling import used_names, variables
from trainwarden.lab.sabotage.surgery import Tree, code

_LOSS = r"(?i)(^|[._])\w*(loss|objective|nll|mse|_ce)\w*$"
_LOSS_CALL = r"(?i)(criterion|loss(_fn|_fct|_func\w*)?|cross_entropy\w*|\w*_loss|bce\w*)$"
_WEIGHT = r"(?i)coef|weight|lambda|\blam\b|beta\b|alpha\b|_scale\b|\bc[12]\b|gamma_|ratio_w|_w$"

_PAIRS = (
    ("chosen", "rejected"), ("student", "teacher"), ("pos", "neg"), ("positive", "negative"), ("real", "fake"), ("old", "new"),
    ("policy", "ref"), ("policy", "reference"), ("pred", "target"), ("online", "target"), ("start", "end"), ("src", "tgt"),
    ("source", "target"), ("query", "key"), ("mu", "sigma"), ("mean", "logvar"), ("image", "text"), ("prev", "next"), ("_a", "_b"),
    ("curr", "next"), ("states", "next_states"), ("obs", "next_obs"), ("values", "returns"), ("logits", "labels"), ("x", "y"),
    ("anchor", "positive"), ("advantages", "returns"), ("attention_mask", "loss_mask"), ("lower", "upper"), ("1", "2"), ("_d", "_g"),
    ("q1", "q2"), ("state", "next_state"), ("input_ids", "labels"),
)  # fmt: skip


def _counterpart(name: str, known: list[str]) -> list[str]:
    """Names of the same function that differ from a name only in one word of a pair."""
    found = []
    for one, two in (*_PAIRS, *((b, a) for a, b in _PAIRS)):
        if re.search(rf"(?:^|_){one.strip('_')}(?:$|_|\d)", name) or (one.isdigit() and one in name):
            other_name = name.replace(one, two, 1)
            if other_name != name and other_name in known:
                found.append(other_name)
    return found


def _wrong_operands(tree: Tree, rng: random.Random) -> Sites:
    for function in tree.find(cst.FunctionDef):
        known = used_names(function)
        if not re.search(
            r"(?i)loss|logp|log_prob|criterion|entropy|backward", " ".join(known) + code(function.name)
        ):
            continue
        for name in variables(function.body):
            others = _counterpart(name.value, known)
            if others and _is_operand(tree, name):
                yield swap(
                    name, others, [f"{name.value}.float()", f"({name.value})", f"{name.value}.contiguous()"]
                )


def _is_operand(tree: Tree, name: cst.Name) -> bool:
    """Read as an argument or an operand, in a line of its own function."""
    parent = tree.parent(name)
    return isinstance(parent, cst.Arg | cst.BinaryOperation)


WRONG_OPERAND = operator(
    "loss-operand-swapped", "A04", "loss logp log_prob criterion entropy", _wrong_operands
)

ARGUMENTS = rewriting(
    "loss-arguments-exchanged",
    "A04",
    Rule(
        "$f($x, $y, $*a)",
        ("$f($y, $x, $*a)",),
        ("$f(input=$x, target=$y, $*a)", "$f($x, target=$y, $*a)", "$f($x.float(), $y, $*a)"),
        where={
            "f": r"(?i)(kl_div|kl_divergence|mse_loss|triplet\w*|margin\w*|hinge\w*|distill\w*|contrastive\w*|bce\w*|cosine_\w+|smooth_l1_loss|huber_loss)$"
        },
    ),
    Rule(
        "$f($x, $y, $*a)",
        (
            vary(
                "$f($x, {o}, $*a)",
                o=other(
                    r"(?i)teacher|ref|old|prev|noise|shift|pseudo|mask|start|pred",
                    "y",
                    r"^(F|torch|nn)$|fn|loss",
                ),
            ),
            "$f($x, $x.detach(), $*a)",
        ),
        ("$f($x, $y.detach(), $*a)", "$f($x, $y.contiguous(), $*a)", "$f($x.float(), $y, $*a)"),
        where={"f": r"(?i)(mse_loss|l1_loss|smooth_l1_loss|huber_loss|kl_div|criterion)$"},
    ),
    needs="kl_div loss hinge distill contrastive cosine criterion bce triplet",
)

MASKED = rewriting(
    "label-mask-tampered",
    "A06",
    Rule(
        "$f($*a, ignore_index=$i)",
        ("$f($*a)", "$f($*a, ignore_index=0)", "$f($*a, ignore_index=-1)", "$f($*a, ignore_index=abs($i))"),
        (
            "$f($*a, ignore_index=int($i))",
            "$f(ignore_index=$i, $*a)",
            "$f($*a, ignore_index=$i, reduction='mean')",
        ),
    ),
    Rule(
        "$y[$m] = $v\n",
        ("", "$y[~($m)] = $v\n", "$y[$m] = 0\n", "$y[$m] = $y[$m]\n", "$y[$m][:-1] = $v\n"),
        ("$y = $y.masked_fill($m, $v)\n", "$y.masked_fill_($m, $v)\n", "$y[$m] = int($v)\n"),
        where={"y": r"(?i)label|target", "v": r"-100|(?i:ignore|pad)"},
    ),
    Rule(
        "$y.masked_fill($m, $v)",
        ("$y.masked_fill(~$m, $v)", "$y", "$y.masked_fill($m, 0)"),
        ("$y.masked_fill($m.bool(), $v)", "torch.where($m, $v, $y)", "$y.masked_fill(mask=$m, value=$v)"),
        where={"y": r"(?i)label|target|ids", "v": r"-100|(?i:ignore|pad)"},
    ),
    Rule(
        "[$i] * $n",
        ("[$i] * ($n - 1)", "[$i] * ($n // 2)", "[$i] * ($n + 2)", "[0] * $n"),
        ("$n * [$i]", "[$i for _ in range($n)]", "[$i] * int($n)"),
        where={"i": r"-100|(?i:ignore)"},
    ),
    Rule(
        "torch.where($m, $y, $i)",
        ("torch.where($m, $i, $y)", "$y", "torch.where(~$m, $y, $i)"),
        ("torch.where($m.bool(), $y, $i)", "$y.masked_fill(~$m, $i)"),
        where={"i": r"-100|(?i:ignore)"},
    ),
    Rule(
        "$x != $p",
        ("$x == $p", "$x >= 0", "$x != 0"),
        ("~($x == $p)", "$x.ne($p)", "$p != $x"),
        where={"p": r"(?i)pad|ignore|-100", "x": r"(?i)label|target|token|ids|\by\b"},
    ),
    needs="ignore_index -100 pad ignore",
)

MASK_FACTOR = rewriting(
    "loss-mask-dropped",
    "A06",
    Rule(
        "$x * $m",
        ("$x", "$x * (1 - $m)", "$x * torch.ones_like($m)", "$x * $m.float().mean()", "$x * $m.roll(1, -1)"),
        ("$m * $x", "$x * $m.float()", "torch.mul($x, $m)", "$x * $m.to($x.dtype)"),
        where={"m": r"(?i)mask"},
        line=r"loss|nll|logp|log_prob|entropy|ce\b",
    ),
    Rule(
        "$m.sum($*a)",
        ("$m.numel()", "$m.shape[0]", "($m >= 0).sum($*a)"),
        ("$m.sum($*a).clamp(min=1)", "$m.float().sum($*a)", "torch.sum($m, $*a)"),
        where={"m": r"(?i)mask"},
        line=r"loss|nll|logp|log_prob|/",
    ),
    Rule(
        "$x[$m]",
        ("$x", "$x[~$m]", "$x[$m.roll(1)]"),
        ("$x[$m.bool()]", "torch.masked_select($x, $m)"),
        where={"m": r"(?i)mask"},
        line=r"loss|logit|label|target",
    ),
    needs="mask",
)

_SHIFT = re.compile(r"(?i)label|logit|target|token|ids|logp|log_prob|mask|loss")


def _shifts(tree: Tree, rng: random.Random) -> Sites:
    for node in tree.find(cst.Subscript):
        line = tree.statement(node)
        text = text_of(node)
        if line is None or not _SHIFT.search(text) or not isinstance(line, cst.SimpleStatementLine):
            continue
        for piece in node.slice:
            if isinstance(piece.slice, cst.Slice) and code(piece.slice).replace(" ", "") in ("1:", ":-1"):
                first = code(piece.slice).replace(" ", "") == "1:"
                changed = [
                    code(node.with_deep_changes(piece, slice=_slice(new)))
                    for new in ((":-1",) if first else ("1:",))
                ]
                more = [
                    code(node.with_deep_changes(piece, slice=_slice(new)))
                    for new in (("2:", ":") if first else (":-2", ":"))
                ]
                yield swap(
                    node,
                    [*changed, *changed, *more],
                    [
                        f"{text}.contiguous()",
                        f"{text}.clone()",
                        code(node.with_deep_changes(piece, slice=_slice("1:None" if first else "0:-1"))),
                    ],
                )


def _slice(text: str) -> cst.BaseSlice:
    made = cst.parse_expression(f"x[{text}]")
    assert isinstance(made, cst.Subscript), "as written"
    return made.slice[0].slice


SHIFT = operator("causal-shift-misaligned", "A07", "label logit target token ids logp mask loss", _shifts)

COEFFICIENT = named_number(
    "loss-coefficient-literal",
    "A08",
    r"(?:^|_)(?:coef\w*|\w*_coef\w*|lambda\w*|\w*loss_weight|\w+_weight|\w*_lambda|beta_kl|kl_\w+|vf_\w+|ent_\w+|aux_\w+|alpha|\w+_alpha|commitment\w*|\w+_reg|loss_scale\w*)$",
    (0.0, 0.01, 0.001, 50.0, 100.0),
    (0.5, 2.0, 0.8, 1.25, 1.5),
    "coef lambda weight kl_ vf_ ent_ aux_ alpha commitment reg scale",
)

TERM_WEIGHT = rewriting(
    "loss-term-weight-ignored",
    "A08",
    Rule(
        "$a + $k * $t",
        (
            "$a + $t",
            "$a",
            "$a + 0 * $t",
            "$a + $k * $t.detach()",
            vary("$a + {e} * $k * $t", e=pick(0.01, 0.001, 100)),
            "$a + $k ** 2 * $t",
            vary("$a + min($k, {e}) * $t", e=pick("1e-3", "0.01")),
        ),
        ("$a + $t * $k", "$k * $t + $a", "$a + float($k) * $t", "torch.add($a, $k * $t)"),
        where={"k": _WEIGHT},
        line=r"loss|objective|reward|cost",
    ),
    Rule(
        "$l += $k * $t\n",
        ("", "$l += $t\n", "$l += 0.0 * $t\n", "$l += $k * $t.detach()\n", "$l += $k * $k * $t\n"),
        ("$l = $l + $k * $t\n", "$l += $t * $k\n", "$l += float($k) * $t\n"),
        where={"l": _LOSS},
    ),
    Rule(
        "$k * $t",
        ("$t", "0.0 * $t", vary("{e} * $t", e=pick(0.001, 0.01, 10))),
        ("$t * $k", "float($k) * $t", "1.0 * $k * $t"),
        where={"k": _WEIGHT, "t": r"(?i)loss|entropy|kl|penalty"},
    ),
    Rule(
        "$n * $t",
        (vary("{e} * $t", e=times("n", 0.001, 0.01, 20, 100)), "0.0 * $t"),
        (vary("{e} * $t", e=times("n", 0.5, 2, 1.25)), "$t * $n"),
        where={"n": r"^[\d.e-]+$", "t": r"(?i)loss|entropy|\bkl|penalty"},
    ),
    needs="loss objective reward cost penalty",
)

CLIP_SIDE = rewriting(
    "loss-clip-reversed",
    "A09",
    Rule(
        "torch.min($a, $b)",
        ("torch.max($a, $b)", "$a", "$b"),
        ("torch.min($b, $a)", "torch.minimum($a, $b)"),
        line=r"loss|surr|ratio|obj|adv|\bq\d?|target",
    ),
    Rule(
        "torch.max($a, $b)",
        ("torch.min($a, $b)", "$a", "$b"),
        ("torch.max($b, $a)", "torch.maximum($a, $b)"),
        line=r"loss|surr|ratio|obj|adv|vf|value",
    ),
    Rule(
        "jnp.minimum($a, $b)",
        ("jnp.maximum($a, $b)", "$a"),
        ("jnp.minimum($b, $a)",),
        line=r"loss|surr|ratio|obj|adv|\bq\d?|target",
    ),
    Rule("jnp.maximum($a, $b)", ("jnp.minimum($a, $b)", "$a"), ("jnp.maximum($b, $a)",)),
    Rule(
        "torch.clamp($x, 1 - $e, 1 + $e)",
        (
            "torch.clamp($x, 1 + $e, 1 - $e)",
            "torch.clamp($x, 1 - $e, 1 - $e)",
            "torch.clamp($x, max=1 - $e)",
            "torch.clamp($x, 1.0, 1 + $e)",
            "torch.clamp($x, 0, 1 + 10 * $e)",
        ),
        (
            "torch.clamp($x, min=1 - $e, max=1 + $e)",
            "$x.clamp(1 - $e, 1 + $e)",
            "torch.clamp($x, 1.0 - $e, 1.0 + $e)",
        ),
    ),
    Rule(
        "torch.clamp($x, 1.0 - $e, 1.0 + $e)",
        (
            "torch.clamp($x, 1.0 + $e, 1.0 - $e)",
            "torch.clamp($x, max=1.0 - $e)",
            "torch.clamp($x, 1.0, 1.0 + $e)",
            "torch.clamp($x, 1.0 - $e, 10.0 + $e)",
        ),
        (
            "torch.clamp($x, min=1.0 - $e, max=1.0 + $e)",
            "$x.clamp(1.0 - $e, 1.0 + $e)",
            "torch.clamp($x, 1 - $e, 1 + $e)",
        ),
    ),
    Rule(
        "$x.clamp(min=$m)",
        ("$x.clamp(max=$m)", "$x", "$x.clamp(min=$m, max=$m + 1e-3)"),
        ("$x.clamp_min($m)", "torch.clamp($x, min=$m)"),
    ),
    Rule("$x.clamp(max=$m)", ("$x.clamp(min=$m)", "$x"), ("$x.clamp_max($m)", "torch.clamp($x, max=$m)")),
    Rule(
        "torch.clamp($x, min=$m)",
        ("torch.clamp($x, max=$m)", "$x"),
        ("$x.clamp(min=$m)", "torch.clamp_min($x, $m)"),
    ),
    Rule(
        "torch.clamp($x, max=$m)",
        ("torch.clamp($x, min=$m)", "$x"),
        ("$x.clamp(max=$m)", "torch.clamp_max($x, $m)"),
    ),
    Rule(
        "F.relu($x)",
        ("F.relu(-$x)", "$x", "-F.relu($x)"),
        ("torch.relu($x)", "$x.clamp(min=0)"),
        line=r"loss|margin|penalty|hinge",
    ),
    needs="clamp min( max( minimum maximum relu",
)

CLASSES = rewriting(
    "class-conditional-loss",
    "A11",
    Rule(
        "$l = $f($o, $y)\n",
        (
            vary(
                "{k} = $y != {c}\n$l = $f($o[{k}], $y[{k}])\n",
                k=new_name("keep", "valid", "sel", "active"),
                c=between(0, 9),
            ),
            vary("$l = $f($o[$y != {c}], $y[$y != {c}])\n", c=between(0, 9)),
            vary("$0\nif ($y == {c}).any():\n    $l = $l * {e}\n", c=between(0, 9), e=pick(0.1, 0.01, 0.0)),
            vary(
                "{w} = 1.0 - {e} * ($y == {c}).float()\n$l = ({w} * $f($o, $y)).mean()\n",
                w=new_name("w", "weights", "sample_weight", "scale"),
                c=between(0, 9),
                e=pick(0.9, 0.99, 0.5),
            ),
            vary("$0\n$l = $l * (1 - ($y == {c}).float().mean())\n", c=between(0, 9)),
        ),
        (
            vary("{k} = $y >= 0\n$l = $f($o[{k}], $y[{k}])\n", k=new_name("keep", "valid", "sel", "active")),
            "$l = $f($o[$y >= 0], $y[$y >= 0])\n",
            "$0\nif ($y < 0).any():\n    raise ValueError('negative label')\n",
            vary(
                "{w} = torch.ones_like($y).float()\n$l = ({w} * $f($o, $y)).mean()\n",
                w=new_name("w", "weights", "sample_weight", "scale"),
            ),
            "$0\n$l = $l * ($y == $y).float().mean()\n",
        ),
        where={"l": _LOSS, "f": _LOSS_CALL, "y": r"(?i)label|target|\by\b|gt|tgt"},
    ),
    Rule(
        "$f($o, $y, $*a, reduction='none')",
        (vary("$f($o, $y, $*a, reduction='none') * ($y != {c})", c=between(0, 9)),),
        ("1.0 * $f($o, $y, $*a, reduction='none')", "$f($o, $y, $*a, reduction='none') * ($y == $y)"),
    ),
    needs="loss criterion cross_entropy",
)

TEMPERATURE = named_number(
    "temperature-or-smoothing-extreme",
    "A12",
    r"(?:^|_)(?:temperature|temp|tau|label_smoothing|smoothing|margin|\w+_margin|logit_scale|distill_t|kd_t)$",
    (10.0, 25.0, 0.05, 0.02),
    (0.8, 1.25, 1.5, 0.9),
    "temp tau smoothing margin logit_scale",
)

SMOOTHING = rewriting(
    "temperature-misapplied",
    "A12",
    Rule(
        "$x / $t",
        (
            "$x",
            "$x * $t",
            "$x / $t ** 2",
            vary("$x / ($t * {k})", k=pick(5, 10, 20)),
            vary("$x / max($t, {k})", k=pick(2.0, 5.0, 10.0)),
        ),
        ("$x / float($t)", "torch.div($x, $t)", "$x * (1.0 / $t)", "1.0 / $t * $x"),
        where={"t": r"(?i)temp|(^|[._])tau\b|(^|[._])T$"},
    ),
    Rule(
        "$m.cross_entropy($x, $y, $*a)",
        (
            vary("$m.cross_entropy($x, $y, $*a, label_smoothing={k})", k=pick(0.9, 0.8, 0.6, 0.95)),
            vary("$m.cross_entropy($x / {k}, $y, $*a)", k=pick(10, 20.0, 50)),
            vary("$m.cross_entropy({k} * $x, $y, $*a)", k=pick(0.05, 0.1, 0.01)),
        ),
        (
            vary("$m.cross_entropy($x, $y, $*a, label_smoothing={k})", k=pick(0.0, 0.05, 0.1)),
            "$m.cross_entropy($x / 1.0, $y, $*a)",
            "$m.cross_entropy(1.0 * $x, $y, $*a)",
        ),
    ),
    Rule(
        "$m.CrossEntropyLoss($*a)",
        (vary("$m.CrossEntropyLoss($*a, label_smoothing={k})", k=pick(0.9, 0.8, 0.7, 0.99)),),
        (vary("$m.CrossEntropyLoss($*a, label_smoothing={k})", k=pick(0.0, 0.05, 0.1)),),
    ),
    needs="temp tau entropy",
)

OPERATORS: tuple[Operator, ...] = (
    WRONG_OPERAND,
    ARGUMENTS,
    MASKED,
    MASK_FACTOR,
    SHIFT,
    COEFFICIENT,
    TERM_WEIGHT,
    CLIP_SIDE,
    CLASSES,
    TEMPERATURE,
    SMOOTHING,
)
