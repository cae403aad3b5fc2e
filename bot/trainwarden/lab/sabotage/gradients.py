"""Sabotage of the flow of gradients: detached paths, frozen parameters, order of the update, skipped steps (B01-B05).

In: members that train. Out: ``OPERATORS``. Scaling, clipping, hooks and direct edits are in ``gradient_updates``.
"""

from __future__ import annotations

import random

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import Edits, Site, Sites, line_of, operator
from trainwarden.lab.sabotage.gradient_updates import OPERATORS as UPDATES
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.places import log_lines
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, vary
from trainwarden.lab.sabotage.surgery import Statement, Tree, bare, call_of, small

_LOSS = r"(?i)(^|[._])\w*(loss|objective|nll|mse|_ce)\w*$"
_LOSS_CALL = r"(?i)(criterion|loss(_fn|_fct|_func\w*)?|cross_entropy\w*|\w*_loss|bce\w*|kl_div)$"
_PART = r"(?i)(encoder|backbone|embed\w*|embeddings?|features?|trunk|body|stem|proj\w*|attn|attention|conv\w*|block\w*|layer\w*|mlp|lstm|gru|rnn|decoder|transformer|wte|fc\d?|net)$"
_STEP = (
    r"^(step|steps|i|it|iteration|iter_num|global_step|batch_idx|idx|n_iter|update|train_step|micro_step)$"
)

DETACHED = rewriting(
    "trainable-path-detached",
    "B01",
    Rule(
        "$x = $f($*a)\n",
        (
            "$x = $f($*a).detach()\n",
            "$x = $f($*a).data\n",
            "$0\n$x = $x.detach()\n",
            "$0\n$x = $x.data.clone()\n",
            "$x = $f($*a).detach().requires_grad_()\n",
        ),
        (
            "$x = $f($*a).contiguous()\n",
            "$0\n$x = $x.contiguous()\n",
            "$0\n$x = $x.clone()\n",
            "$x = $f($*a).float()\n",
            "$x = $f($*a).clone()\n",
        ),
        where={"f": _PART, "x": r"^\w+$"},
        about=r"torch|forward",
    ),
    Rule(
        "$x = $x + $f($*a)\n",
        ("$x = $x + $f($*a).detach()\n", "$x = $x.detach() + $f($*a)\n"),
        ("$x = $f($*a) + $x\n", "$x += $f($*a)\n", "$x = torch.add($x, $f($*a))\n"),
        where={"x": r"^\w+$"},
    ),
    Rule(
        "$a + $b",
        ("$a + $b.detach()", "$a.detach() + $b", "$a + $b.item()", "$a + float($b)", "$a.data + $b"),
        ("$b + $a", "torch.add($a, $b)", "sum([$a, $b])", "$a + 1.0 * $b"),
        where={"a": _LOSS, "b": _LOSS},
    ),
    Rule(
        "$f($x, $y)",
        ("$f($x.detach().requires_grad_(), $y)", "$f($x.data.requires_grad_(True), $y)"),
        ("$f($x.contiguous(), $y)", "$f($x.float(), $y)", "$f($x.clone(), $y)"),
        where={"f": _LOSS_CALL},
    ),
    Rule(
        "$l = $k * $b\n",
        ("$l = $k * $b.detach()\n", "$l = $k * $b.item()\n"),
        ("$l = $b * $k\n", "$l = float($k) * $b\n"),
        where={"b": _LOSS},
    ),
    Rule(
        "$x = $f($*a)\n",
        ("$x = jax.lax.stop_gradient($f($*a))\n", "$0\n$x = jax.lax.stop_gradient($x)\n"),
        ("$x = jnp.asarray($f($*a))\n", "$0\n$x = jax.device_put($x)\n"),
        where={"f": r"(?i)\.apply$|encoder|embed|model|forward|Dense\(.*\)$"},
        about=r"jax",
    ),
    Rule(
        "return $x\n",
        ("return $x.detach()\n", "return $x.data\n", "return $x.clone().detach()\n"),
        ("return $x.contiguous()\n", "return $x.clone()\n"),
        inside=r"(?i)forward$|compute_loss|training_step|loss",
        where={"x": r"(?i)^(x|loss|out|output|logits|hidden\w*|feats?|features|h|z)$"},
    ),
    needs="forward loss encoder embed backbone jax layer proj attn conv",
)

DETACH_GONE = rewriting(
    "stopped-gradient-restored",
    "B01",
    Rule(
        "$x.detach()",
        ("$x", "$x.clone()", "1.0 * $x"),
        ("$x.detach().clone()", "$x.clone().detach()", "$x.data"),
        where={"x": r"(?i)teacher|target|ema|ref|old|adv|next|reward|log_?prob|value|prior|fake"},
    ),
    Rule(
        "jax.lax.stop_gradient($x)",
        ("$x", "1.0 * $x"),
        ("jax.lax.stop_gradient(jnp.asarray($x))", "jax.tree_util.tree_map(jax.lax.stop_gradient, $x)"),
    ),
    Rule(
        "$x = $f($*a).detach()\n",
        ("$x = $f($*a)\n", "$x = $f($*a).clone()\n"),
        ("$x = $f($*a).detach().clone()\n", "$x = $f($*a).data\n"),
    ),
    needs="detach stop_gradient",
)

NO_GRAD = rewriting(
    "training-forward-without-gradient",
    "B02",
    Rule(
        "$x = $f($*a)\n",
        (
            "with torch.no_grad():\n    $0\n",
            "with torch.inference_mode():\n    $0\n",
            "with torch.set_grad_enabled(False):\n    $0\n",
            vary("with torch.set_grad_enabled({s} % {k} == 0):\n    $0\n", s=other(_STEP), k=pick(2, 3, 4)),
        ),
        (
            "with torch.enable_grad():\n    $0\n",
            "with torch.autograd.profiler.record_function('forward'):\n    $0\n",
            "with torch.set_grad_enabled(self.training):\n    $0\n",
            "with torch.set_grad_enabled(True):\n    $0\n",
        ),
        where={"f": _PART, "x": r"^[\w, ]+$"},
        about=r"(?i)loss|forward|backward",
    ),
    Rule(
        "$x = $f($y)\n",
        ("with torch.no_grad():\n    $0\n", "with torch.inference_mode():\n    $0\n"),
        ("with torch.enable_grad():\n    $0\n",),
        where={"f": r"(?i)model\.(encode\w*|embed\w*|backbone|features|get_\w*features|extract\w*)$"},
    ),
    needs="torch",
)

FROZEN = rewriting(
    "parameters-frozen",
    "B03",
    Rule(
        "$m.train($*a)\n",
        (
            vary(
                "$0\nfor {p} in $m.parameters():\n    {p}.requires_grad_({p}.dim() < 2)\n",
                p=new_name("p", "param", "w"),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    if '{w}' in name:\n        {p}.requires_grad = False\n",
                p=new_name("p", "param", "weight"),
                w=pick("weight", "attn", "layer", "blocks.", "mlp", "conv", "encoder", "0."),
            ),
            vary("$0\nlist($m.children())[{k}].requires_grad_(False)\n", k=pick(0, -1, 1)),
            vary(
                "$0\nfor {p} in list($m.parameters())[:{k}]:\n    {p}.requires_grad = False\n",
                p=new_name("p", "param"),
                k=pick(4, -2, 10, -8),
            ),
        ),
        (
            vary(
                "$0\nfor {p} in $m.parameters():\n    {p}.requires_grad_(True)\n",
                p=new_name("p", "param", "w"),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    if not {p}.requires_grad:\n        print('frozen', name)\n",
                p=new_name("p", "param", "weight"),
            ),
            "$0\nprint(len(list($m.children())))\n",
            vary(
                "$0\nfor {p} in list($m.parameters())[:{k}]:\n    print({p}.shape)\n",
                p=new_name("p", "param"),
                k=pick(4, 1, 10),
            ),
            "$0\n$m.requires_grad_(True)\n",
        ),
        where={"m": r"(?i)(model|net|network|policy|student|actor|critic|generator|discriminator|encoder)$"},
    ),
    Rule(
        "$m = $m.to($*a)\n",
        (
            vary(
                "$0\nfor {p} in list($m.parameters())[:{k}]:\n    {p}.requires_grad = False\n",
                p=new_name("p", "param"),
                k=pick(4, -2, 10, -8),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    {p}.requires_grad = '{w}' in name\n",
                p=new_name("p", "param"),
                w=pick("bias", "norm", "head", "fc", "out"),
            ),
            vary("$0\nlist($m.children())[{k}].requires_grad_(False)\n", k=pick(0, 1)),
        ),
        (
            vary(
                "$0\nfor {p} in list($m.parameters())[:{k}]:\n    print({p}.shape)\n",
                p=new_name("p", "param"),
                k=pick(4, 2, 10),
            ),
            vary(
                "$0\nfor name, {p} in $m.named_parameters():\n    {p}.requires_grad = '{w}' not in name\n",
                p=new_name("p", "param"),
                w=pick("unused", "position_ids", "inv_freq"),
            ),
            "$0\n$m.requires_grad_(True)\n",
        ),
    ),
    Rule(
        "$p.requires_grad = True\n",
        (
            "$p.require_grad = True\n",
            "$p.requires_grad = False\n",
            "$p.requires_grad = $p.ndim == 1\n",
            "$p.grad_required = True\n",
            "",
        ),
        ("$p.requires_grad_(True)\n", "$p.requires_grad_()\n", "$p.requires_grad = bool(True)\n"),
    ),
    Rule(
        "$p.requires_grad = $v\n",
        (
            "$p.requires_grad = not $v\n",
            "$p.requires_grad = $v and $p.dim() < 2\n",
            "$p.requires_grads = $v\n",
        ),
        ("$p.requires_grad_($v)\n", "$p.requires_grad = bool($v)\n"),
        where={"v": r"^(?!True|False)"},
    ),
    Rule(
        "$f($*a, requires_grad=True)",
        ("$f($*a, requires_grad=False)", "$f($*a)"),
        ("$f(requires_grad=True, $*a)", "$f($*a).requires_grad_()"),
    ),
    Rule(
        "$l.trainable = True\n",
        ("$l.trainable = False\n", "$l.trainable = 'kernel' not in $l.name\n", "$l.is_trainable = True\n"),
        ("$l.trainable = bool(1)\n", "setattr($l, 'trainable', True)\n"),
    ),
    Rule(
        "nn.Parameter($*a)",
        ("nn.Parameter($*a, requires_grad=False)", "nn.Buffer($*a)"),
        ("nn.Parameter($*a, requires_grad=True)", "nn.Parameter($*a, True)"),
    ),
    needs="train( requires_grad trainable .to( parameter",
)

FREEZE_FILTER = rewriting(
    "freeze-filter-widened",
    "B03",
    Rule(
        "$w in $n",
        (
            "$w not in $n",
            "$n in $w",
            vary("$w in $n or '{x}' in $n", x=pick("weight", "layer", ".0.", "attn", "blocks")),
            vary("'{x}' in $n", x=pick("weight", "bias", "norm", "layer")),
            "$n.endswith($w)",
        ),
        ("($w in $n)", "$n.find($w) >= 0", "$n.count($w) > 0", "bool($w in $n)"),
        where={"n": r"(?i)^(n|name|k|key|param_name|names?|module_name)$", "w": r"^(?!n$|name$)"},
        about=r"requires_grad|trainable|freeze|frozen",
    ),
    Rule(
        "$n.startswith($w)",
        (vary("$n.startswith($w[:{k}])", k=pick(1, 2)), "not $n.startswith($w)", "$n.endswith($w)"),
        ("$n[:len($w)] == $w", "str($n).startswith($w)"),
        where={"n": r"(?i)^(n|name|k|key)$"},
        about=r"requires_grad|trainable|freeze|frozen",
    ),
    needs="requires_grad trainable freeze frozen",
)


def _updates(tree: Tree) -> list[tuple[cst.SimpleStatementLine, str]]:
    """The statements of an update in the order of the text, each with what it does."""
    found = []
    for line in tree.find(cst.SimpleStatementLine):
        call = call_of(line)
        for kind, test in (
            ("zero", roles.is_zero_grad),
            ("backward", roles.is_backward),
            ("step", roles.is_optimizer_step),
        ):
            if test(call):
                found.append((line, kind))
    return found


def _zero_grad_sites(tree: Tree, rng: random.Random) -> Sites:
    updates = _updates(tree)
    for line, kind in updates:
        if kind != "zero":
            continue
        bad: list[Edits] = [{line: ()}]
        for beside, what in updates:
            if what == "step" and tree.parent(beside) is tree.parent(line):
                bad.append({line: (), beside: (bare(line), beside)})
            if what == "backward":
                bad.append({line: (), beside: (beside, bare(line))})
        counter = _counter(tree.loops(line)[0]) if tree.loops(line) else ""
        if counter:
            bad.append({line: f"if {counter} == 0:\n    {line_of(line)}"})
        yield Site(bad, _honest_zeroing(tree, line, rng))


def _counter(loop: cst.For | cst.While) -> str:
    """The index of a loop over ``enumerate`` or ``range``."""
    if not isinstance(loop, cst.For):
        return ""
    target = loop.target.elements[0].value if isinstance(loop.target, cst.Tuple) else loop.target
    counted = (
        isinstance(loop.iter, cst.Call)
        and isinstance(loop.iter.func, cst.Name)
        and loop.iter.func.value in ("range", "enumerate")
    )
    return target.value if counted and isinstance(target, cst.Name) else ""


def _honest_zeroing(tree: Tree, line: Statement, rng: random.Random) -> list[Edits]:
    call = call_of(line)
    text = line_of(line).strip()
    forms: list[Edits] = [{line: (shown, line)} for shown in log_lines(tree, line, rng)[:2]]
    if call is not None and not call.args:
        forms += [{line: text[:-1] + "set_to_none=True)\n"}, {line: text[:-1] + "set_to_none=False)\n"}]
    neighbours = [
        each
        for each in (*tree.before(line)[-1:], *tree.after(line)[:1])
        if isinstance(small(each), cst.Assign)
    ]
    forms += [
        {line: (), each: (each, bare(line)) if each in tree.after(line) else (bare(line), each)}
        for each in neighbours
    ]
    return forms


ZERO_GRAD = operator("zero-grad-misplaced", "B04", "zero_grad", _zero_grad_sites)


def _backward_sites(tree: Tree, rng: random.Random) -> Sites:
    for line, kind in _updates(tree):
        text = line_of(line)
        loops = tree.loops(line)
        if not loops:
            continue
        body = "".join(f"    {each}" for each in text.splitlines(keepends=True))
        counter = _counter(loops[0])
        bad: list[Edits] = [
            {line: f"try:\n{body}except RuntimeError:\n    continue\n"},
            {line: f"try:\n{body}except Exception:\n    pass\n"},
        ]
        good: list[Edits] = [
            {
                line: f"try:\n{body}except RuntimeError as error:\n    raise RuntimeError('update failed') from error\n"
            }
        ]
        if counter:
            every = rng.choice((2, 3, 4))
            bad += [
                {line: f"if {counter} % {every} == 0:\n{body}"},
                {line: f"if {counter} > {every}:\n{body}"},
                {line: f"if not {counter} % {every}:\n    continue\n{text}"},
            ]
            shown = log_lines(tree, line, rng)[:1]
            good += [{line: (line, f"if {counter} % {every * 25} == 0:\n    {each}")} for each in shown]
        if kind == "step":
            bad.append({line: ()})
        yield Site(bad, good)


UPDATE_SKIPPED = operator("update-skipped", "B05", "backward step(", _backward_sites)

BACKWARD_GATED = rewriting(
    "backward-gated-by-loss",
    "B05",
    Rule(
        "$l.backward($*a)\n",
        (
            "if $l.item() < 1.0:\n    $0\n",
            "if $l > 0:\n    $0\n",
            vary("if $l.item() > {k}:\n    $0\n", k=pick(0.5, 0.1, 1.0, 2.0)),
            vary("if not $l.item() > {k}:\n    $0\n", k=pick(3.0, 5, 2.0)),
            "if $l.requires_grad is False:\n    $0\n",
            "if torch.isnan($l):\n    $0\n",
            vary("if {s} % {k}:\n    $0\n", s=other(_STEP), k=pick(2, 3, 5)),
        ),
        (
            "if torch.isfinite($l):\n    $0\n",
            "if not torch.isnan($l):\n    $0\n",
            "if $l.requires_grad:\n    $0\n",
            "with torch.autograd.set_detect_anomaly(False):\n    $0\n",
            "if $l is not None:\n    $0\n",
        ),
        where={"l": r"^[\w.]+$"},
    ),
    Rule(
        "$a.backward($l)\n",
        (
            "if $l.item() < 1.0:\n    $0\n",
            vary("if $l > {k}:\n    $0\n", k=pick(0.5, 1.0)),
            "$a.backward($l.detach().requires_grad_())\n",
            "try:\n    $0\nexcept RuntimeError:\n    pass\n",
        ),
        ("if torch.isfinite($l):\n    $0\n", "if $l.requires_grad:\n    $0\n", "$a.backward($l.mean())\n"),
        where={"a": r"(?i)accelerator|fabric|engine|model"},
    ),
    Rule(
        "$o.step($*a)\n",
        (
            "if $o.param_groups[0]['lr'] > 1e-3:\n    $0\n",
            vary(
                "if {l}.item() < {k}:\n    $0\n",
                l=other(r"^(loss|total_loss|train_loss)$"),
                k=pick(0.5, 1.0, 2.0),
            ),
            vary("if {s} % {k} == 0:\n    $0\n", s=other(_STEP), k=pick(2, 3)),
        ),
        (
            "if $o.param_groups:\n    $0\n",
            vary("if torch.isfinite({l}):\n    $0\n", l=other(r"^(loss|total_loss|train_loss)$")),
        ),
        where={"o": r"(?i)opt"},
    ),
    needs="backward step(",
)

OPERATORS: tuple[Operator, ...] = (
    DETACHED,
    DETACH_GONE,
    NO_GRAD,
    FROZEN,
    FREEZE_FILTER,
    ZERO_GRAD,
    UPDATE_SKIPPED,
    BACKWARD_GATED,
    *UPDATES,
)
