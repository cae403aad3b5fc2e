"""Sabotage of the form of a loss: reductions, normalisers, activations, classes, conditions (A03, A05, A10).

In: members that compute a loss. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.rewrite import Rule, between, other, pick, rewriting, vary

_LOSS = r"(?i)(^|[._])\w*(loss|objective|nll|criterion|mse|(?<!re)cost|_ce)\w*$"
_LOSS_CALL = r"(?i)(criterion|loss(_fn|_fct|_func\w*)?|cross_entropy\w*|\w*_loss|\w*Loss|bce\w*|kl_div)$"
_STEP = (
    r"^(step|steps|i|it|iteration|iter_num|global_step|batch_idx|idx|n_iter|update|train_step|micro_step)$"
)
REDUCTION = rewriting(
    "reduction-changed",
    "A03",
    Rule(
        "$f($*a, reduction='mean')",
        ("$f($*a, reduction='sum')", "$f($*a, reduction='sum') / 2"),
        ("$f($*a)", "$f($*a, reduction='none').mean()"),
    ),
    Rule(
        "$f($*a, reduction='sum')",
        ("$f($*a, reduction='mean')", "$f($*a)"),
        ("$f($*a, reduction='none').sum()",),
    ),
    Rule(
        "$f($*a, reduction='none')",
        ("$f($*a, reduction='mean')", "$f($*a, reduction='sum')"),
        ("$f($*a, reduction='none').float()", "$f($*a, reduce=False)"),
    ),
    Rule(
        "$x.mean($*a)",
        ("$x.sum($*a)", "$x.median($*a)", "$x.amax($*a)", "$x.mean($*a) / $x.shape[0]"),
        ("torch.mean($x, $*a)", "$x.float().mean($*a)", "$x.nanmean($*a)"),
        line=r"loss|nll|objective",
        where={"x": r"^(?!torch|np|jnp|F$)"},
    ),
    Rule(
        "$x.sum($*a)",
        ("$x.mean($*a)", "$x.sum($*a) / $x.shape[0]"),
        ("torch.sum($x, $*a)", "$x.float().sum($*a)"),
        line=r"loss|nll|objective",
        where={"x": r"^(?!torch|np|jnp|F$)"},
    ),
    Rule(
        "jnp.mean($x, $*a)",
        ("jnp.sum($x, $*a)", "jnp.max($x, $*a)", "jnp.median($x, $*a)"),
        ("$x.mean($*a)", "jnp.average($x, $*a)"),
        line=r"loss|nll|objective",
    ),
    Rule("jnp.sum($x, $*a)", ("jnp.mean($x, $*a)",), ("$x.sum($*a)",), line=r"loss|nll|objective"),
    needs="loss nll objective reduction",
)

NORMALISER = rewriting(
    "normaliser-dropped",
    "A03",
    Rule(
        "$x / $n",
        (
            "$x",
            "$x / $n / $n",
            "$x / $n ** 2",
            vary("$x / ($n * {k})", k=pick(2, 4, 8, 10, 16)),
            "$x / math.sqrt($n)",
            "$x / $n ** 0.5",
        ),
        ("$x / max($n, 1)", "$x / float($n)", "1.0 / $n * $x", "$x * (1.0 / $n)", "$x / ($n + 1e-8)"),
        where={"n": r"(?i)numel|shape|size|\blen\(|count|\.sum\(|n_tok|num_|total|world|\bbs\b|\bB\b|denom"},
        line=r"loss|nll|objective|ppl|perplexity",
    ),
    Rule(
        "$l /= $n\n",
        (*[""] * 3, "$l /= $n ** 2\n", "$l *= $n\n", vary("$l /= {k}\n", k=pick(2, 10, 100))),
        ("$l = $l / $n\n", "$l /= max($n, 1)\n", "$l.div_($n)\n"),
        where={"l": _LOSS},
    ),
    needs="loss nll objective ppl",
)

ACTIVATION = rewriting(
    "activation-before-loss",
    "A05",
    Rule(
        "$f($x, $y, $*a)",
        (
            "$f($x.softmax(-1), $y, $*a)",
            "$f(F.softmax($x, dim=-1), $y, $*a)",
            "$f(torch.softmax($x, dim=1), $y, $*a)",
            "$f(torch.sigmoid($x), $y, $*a)",
            "$f($x.sigmoid(), $y, $*a)",
            "$f($x.relu(), $y, $*a)",
            "$f($x.tanh(), $y, $*a)",
            "$f($x.softmax(dim=1), $y, $*a)",
        ),
        (
            "$f($x.float(), $y, $*a)",
            "$f($x.contiguous(), $y, $*a)",
            "$f($x.to(torch.float32), $y, $*a)",
            "$f($x, $y.long(), $*a)",
            "$f($x, $y.contiguous(), $*a)",
            "$f(input=$x, target=$y, $*a)",
        ),
        where={
            "f": r"(?i)(cross_?entropy\w*|criterion|loss_fn|loss_func|loss_fct|"
            r"with_logits|nll_loss|ce_loss|bce\w*|CrossEntropyLoss\(.*\))$",
            "x": r"(?i)logit|out|pred|score|\bx\b|\by\b|hat|feat",
        },
    ),
    Rule(
        "optax.softmax_cross_entropy_with_integer_labels($x, $*a)",
        (
            "optax.softmax_cross_entropy_with_integer_labels(jax.nn.softmax($x), $*a)",
            "optax.softmax_cross_entropy_with_integer_labels(jax.nn.sigmoid($x), $*a)",
        ),
        (
            "optax.softmax_cross_entropy_with_integer_labels(logits=$x, $*a)",
            "optax.softmax_cross_entropy_with_integer_labels($x.astype(jnp.float32), $*a)",
        ),
    ),
    Rule(
        "optax.softmax_cross_entropy($x, $*a)",
        (
            "optax.softmax_cross_entropy(jax.nn.softmax($x), $*a)",
            "optax.sigmoid_binary_cross_entropy($x, $*a)",
        ),
        (
            "optax.softmax_cross_entropy(logits=$x, $*a)",
            "optax.softmax_cross_entropy($x.astype(jnp.float32), $*a)",
        ),
    ),
    needs="entropy criterion loss_f logits bce nll_loss ce_loss",
)

WRONG_LOSS = rewriting(
    "loss-class-mismatched",
    "A05",
    Rule(
        "$m.CrossEntropyLoss($*a)",
        ("$m.NLLLoss($*a)", "$m.MultiMarginLoss()", "$m.BCEWithLogitsLoss()", "$m.NLLLoss()"),
        (
            "$m.CrossEntropyLoss($*a, reduction='mean')",
            "$m.CrossEntropyLoss($*a, label_smoothing=0.0)",
            "$m.CrossEntropyLoss(label_smoothing=0.1, $*a)",
        ),
    ),
    Rule(
        "$m.BCEWithLogitsLoss($*a)",
        ("$m.BCELoss($*a)", "$m.MSELoss()", "$m.L1Loss()"),
        ("$m.BCEWithLogitsLoss($*a, reduction='mean')",),
    ),
    Rule(
        "$m.MSELoss($*a)",
        ("$m.L1Loss($*a)", "$m.CosineEmbeddingLoss()", "$m.SmoothL1Loss(beta=10.0)"),
        ("$m.MSELoss($*a, reduction='mean')", "$m.SmoothL1Loss()"),
    ),
    Rule(
        "$m.cross_entropy($x, $y, $*a)",
        (
            "$m.nll_loss($x, $y, $*a)",
            "$m.multi_margin_loss($x, $y)",
            "$m.nll_loss($m.softmax($x, dim=-1), $y, $*a)",
        ),
        (
            "$m.nll_loss($m.log_softmax($x, dim=-1), $y, $*a)",
            "$m.cross_entropy($x, $y, $*a, reduction='mean')",
            "$m.cross_entropy($x.float(), $y, $*a)",
        ),
    ),
    Rule(
        "$m.mse_loss($x, $y, $*a)",
        (
            "$m.l1_loss($x, $y, $*a)",
            "$m.smooth_l1_loss($x, $y, $*a)",
            "$m.mse_loss($x.sigmoid(), $y, $*a)",
            "$m.cosine_similarity($x, $y).mean()",
        ),
        ("$m.mse_loss($x.float(), $y, $*a)", "($x - $y).pow(2).mean()", "$m.mse_loss($y, $x, $*a)"),
    ),
    Rule(
        "$f($*a, from_logits=True)",
        ("$f($*a, from_logits=False)", "$f($*a)"),
        ("$f(from_logits=True, $*a)", "$f($*a, from_logits=True, name='loss')"),
    ),
    needs="entropy loss",
)

CONDITIONAL = rewriting(
    "step-conditional-loss",
    "A10",
    Rule(
        "$l.backward($*a)\n",
        (
            vary(
                "if {s} % {k} == 0:\n    $l = $l * {e}\n$0\n",
                s=other(_STEP),
                k=pick(7, 10, 13, 50, 97),
                e=pick(0.0, -1, 0.01, 10),
            ),
            vary(
                "if {s} > {k}:\n    $l = $l.detach() + 0.0 * $l\n$0\n", s=other(_STEP), k=pick(100, 500, 2000)
            ),
            vary("if random.random() < {p}:\n    $l = -$l\n$0\n", p=pick(0.01, 0.02, 0.05)),
            vary(
                "if torch.rand(1).item() < {p}:\n    $l = $l * {e}\n$0\n",
                p=pick(0.01, 0.05, 0.1),
                e=pick(0.0, -1.0),
            ),
            vary(
                "if {r} == {k}:\n    $l = $l * {e}\n$0\n",
                r=other(r"^(rank|local_rank|global_rank|gpu)$"),
                k=between(1, 7),
                e=pick(0.0, -1.0, 0.1),
            ),
            vary(
                "if {s} and {s} % {k} == 0:\n    $0\nelse:\n    ($l * {e}).backward($*a)\n",
                s=other(_STEP),
                k=pick(2, 3, 5),
                e=pick(0.0, 0.1),
            ),
            vary(
                "if {e} > {k}:\n    $l = $l * 0.1\n$0\n",
                e=other(r"^(epoch|ep|current_epoch)$"),
                k=pick(2, 3, 5, 10),
            ),
        ),
        (
            vary(
                "if {s} % {k} == 0:\n    print({s}, $l.item())\n$0\n", s=other(_STEP), k=pick(10, 50, 100, 97)
            ),
            vary(
                "if {s} > {k} and torch.isnan($l):\n    raise RuntimeError('loss is nan')\n$0\n",
                s=other(_STEP),
                k=pick(0, 100),
            ),
            vary("if random.random() < {p}:\n    print($l.item())\n$0\n", p=pick(0.01, 0.02)),
            vary("if torch.rand(1).item() < {p}:\n    print('loss', $l.item())\n$0\n", p=pick(0.01, 0.05)),
            vary(
                "if {r} == 0:\n    print('loss', float($l))\n$0\n",
                r=other(r"^(rank|local_rank|global_rank|gpu)$"),
            ),
            vary(
                "if {e} > {k}:\n    print({e}, $l.item())\n$0\n",
                e=other(r"^(epoch|ep|current_epoch)$"),
                k=pick(0, 2, 5),
            ),
            "if not torch.isfinite($l):\n    raise ValueError(f'loss is {$l}')\n$0\n",
        ),
    ),
    Rule(
        "$l = $f($*a)\n",
        (
            vary(
                "$0\nif {s} % {k} == 0:\n    $l = $l * {e}\n",
                s=other(_STEP),
                k=pick(7, 16, 50),
                e=pick(0.0, 0.01, -1.0),
            ),
            vary("$0\nif np.random.rand() < {p}:\n    $l = $l * {e}\n", p=pick(0.01, 0.05), e=pick(0.0, 5.0)),
            vary("$0\nif torch.rand(()) < {p}:\n    $l = 0.0 * $l\n", p=pick(0.01, 0.05, 0.1)),
            "$0\nif self.training and $l.item() < 1.0:\n    $l = $l * 0.1\n",
        ),
        (
            vary("$0\nif {s} % {k} == 0:\n    print('loss', $l)\n", s=other(_STEP), k=pick(50, 100)),
            "$0\nif torch.isnan($l).any():\n    raise RuntimeError('nan loss')\n",
            "$0\nif self.training:\n    self.last_loss = float($l)\n",
            "$0\nif $l is None:\n    raise ValueError('no loss')\n",
        ),
        where={"l": _LOSS, "f": _LOSS_CALL},
    ),
    Rule(
        "$p, $s = $f($*a)\n",
        (
            vary(
                "$0\nif {i} % {k} == 0:\n    $p = jax.tree_util.tree_map(lambda w: w * {e}, $p)\n",
                i=other(_STEP),
                k=pick(50, 100),
                e=pick(0.99, 0.5),
            ),
        ),
        (vary("$0\nif {i} % {k} == 0:\n    print({i})\n", i=other(_STEP), k=pick(50, 100)),),
        where={"p": r"params|state"},
    ),
    needs="loss backward criterion params",
)

OPERATORS: tuple[Operator, ...] = (
    REDUCTION,
    NORMALISER,
    ACTIVATION,
    WRONG_LOSS,
    CONDITIONAL,
)
