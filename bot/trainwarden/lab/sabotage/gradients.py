"""Sabotage of the flow of gradients: detached paths, frozen parameters, order of the update, skipped steps (B01-B05).

In: members that train. Out: ``OPERATORS``. Scaling, clipping, hooks and direct edits are in ``gradient_updates``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage import gradient_order
from trainwarden.lab.sabotage.gradient_updates import OPERATORS as UPDATES
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, new_name, other, pick, rewriting, vary

_LOSS = r"(?i)(^|[._])\w*(loss|objective|nll|mse|_ce)\w*$"
_LOSS_CALL = r"(?i)(criterion|loss(_fn|_fct|_func\w*)?|cross_entropy\w*|\w*_loss|bce\w*|kl_div)$"
_PART = (
    r"(?i)(encoder|backbone|embed\w*|embeddings?|features?|trunk|body|stem|proj\w*|attn|"
    r"attention|conv\w*|block\w*|layer\w*|mlp|lstm|gru|rnn|decoder|transformer|wte|fc\d?|net)$"
)
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
                "$0\nfor name, {p} in $m.named_parameters():\n"
                "    if '{w}' in name:\n        {p}.requires_grad = False\n",
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
                "$0\nfor name, {p} in $m.named_parameters():\n"
                "    if not {p}.requires_grad:\n        print('frozen', name)\n",
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
            *[""] * 3,
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


OPERATORS: tuple[Operator, ...] = (
    *gradient_order.OPERATORS,
    DETACHED,
    DETACH_GONE,
    NO_GRAD,
    FROZEN,
    FREEZE_FILTER,
    *UPDATES,
)
