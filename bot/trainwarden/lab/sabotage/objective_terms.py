"""Sabotage of what a loss is made of: operands, masks, shifts (A04, A06, A07).

In: members that compute a loss. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random
import re

import libcst as cst

from trainwarden.lab.sabotage import objective_weights
from trainwarden.lab.sabotage.forms import Sites, operator, swap, text_of
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, other, rewriting, vary
from trainwarden.lab.sabotage.spelling import used_names, variables
from trainwarden.lab.sabotage.surgery import Tree, code

_PAIRS = [
    tuple(pair.split("/"))
    for pair in (
        "chosen/rejected student/teacher pos/neg positive/negative real/fake old/new policy/ref "
        "policy/reference pred/target online/target start/end src/tgt source/target query/key "
        "mu/sigma mean/logvar image/text prev/next _a/_b curr/next states/next_states obs/next_obs "
        "values/returns logits/labels x/y anchor/positive advantages/returns "
        "attention_mask/loss_mask lower/upper 1/2 _d/_g q1/q2 state/next_state input_ids/labels"
    ).split()
]


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
            "f": r"(?i)(kl_div|kl_divergence|mse_loss|triplet\w*|margin\w*|hinge\w*|"
            r"distill\w*|contrastive\w*|bce\w*|cosine_\w+|smooth_l1_loss|huber_loss)$"
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
        (*[""] * 3, "$y[~($m)] = $v\n", "$y[$m] = 0\n", "$y[$m] = $y[$m]\n", "$y[$m][:-1] = $v\n"),
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

OPERATORS: tuple[Operator, ...] = (
    *objective_weights.OPERATORS,
    WRONG_OPERAND,
    ARGUMENTS,
    MASKED,
    MASK_FACTOR,
    SHIFT,
)
