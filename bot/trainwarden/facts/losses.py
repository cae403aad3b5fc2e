"""The objective: which loss, on what, how it is reduced, weighted, signed, scaled and masked.

Loss functions are known by name; a criterion object held in a variable or attribute is known by where it
comes from.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, every
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

_CLASSES = (
    "CrossEntropyLoss NLLLoss MSELoss L1Loss SmoothL1Loss HuberLoss BCELoss BCEWithLogitsLoss KLDivLoss"
    " CTCLoss PoissonNLLLoss GaussianNLLLoss CosineEmbeddingLoss TripletMarginLoss"
    " TripletMarginWithDistanceLoss MarginRankingLoss HingeEmbeddingLoss MultiMarginLoss"
    " MultiLabelMarginLoss MultiLabelSoftMarginLoss SoftMarginLoss SoftTargetCrossEntropy"
    " LabelSmoothingCrossEntropy LabelSmoother BinaryCrossEntropy FocalLoss AsymmetricLoss DistillationLoss"
    " CategoricalCrossentropy SparseCategoricalCrossentropy BinaryCrossentropy MeanSquaredError"
    " MeanAbsoluteError Huber KLDivergence CosineSimilarity Hinge LpLoss InfoNCE DiceLoss JsdCrossEntropy"
    " DINOLoss"
)
_FUNCTIONS = (
    "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy"
    " binary_cross_entropy_with_logits kl_div ctc_loss cosine_embedding_loss triplet_margin_loss"
    " margin_ranking_loss hinge_embedding_loss poisson_nll_loss gaussian_nll_loss soft_margin_loss"
    " sigmoid_focal_loss softmax_cross_entropy softmax_cross_entropy_with_integer_labels"
    " sigmoid_binary_cross_entropy l2_loss safe_softmax_cross_entropy softmax_cross_entropy_with_logits"
    " sparse_softmax_cross_entropy_with_logits sigmoid_cross_entropy_with_logits"
    " sparse_categorical_crossentropy categorical_crossentropy binary_crossentropy mean_squared_error"
    " mean_absolute_error log_cosh ctc_loss_with_forward_probs label_smoothed_nll_loss"
    " vocab_parallel_cross_entropy fixed_cross_entropy ForCausalLMLoss"
)
_OPTIONS = {
    "reduction": "loss.reduction",
    "size_average": "loss.reduction",
    "reduce": "loss.reduction",
    "label_smoothing": "loss.label_smoothing",
    "smoothing": "loss.label_smoothing",
    "ignore_index": "loss.ignore_index",
    "weight": "loss.weight",
    "pos_weight": "loss.weight",
    "class_weight": "loss.weight",
    "sample_weight": "loss.weight",
    "from_logits": "loss.from_logits",
    "temperature": "loss.temperature",
    "num_items_in_batch": "loss.normaliser",
}
_POSITIONS = ("input", "target")


def _class(reading: Reading, call: Call) -> None:
    reading.add("loss.class", call.node, call.name, reading.target(call.node))
    _options(reading, call, call.last)


def _function(reading: Reading, call: Call) -> None:
    _called(reading, call, call.name)


def _criterion(reading: Reading, call: Call) -> None:
    _called(reading, call, call.name.removesuffix("()"))


def _called(reading: Reading, call: Call, name: str) -> None:
    operands = [value for word, value in call.named(_POSITIONS) if word not in _OPTIONS]
    reading.add("loss.call", call.node, ", ".join(map(reading.text, operands)), name)
    _options(reading, call, name.rpartition(".")[2])


def _options(reading: Reading, call: Call, subject: str) -> None:
    for word, value in call.keywords.items():
        if word in _OPTIONS:
            reading.say(_OPTIONS[word], value, value, subject)


_LOSS_WORD = re.compile(
    r"(^|_)(loss|losses|criterion|objective|nll|bce|mse|ce)(_fn|_func|_function)?(\d+)?$|^(loss|criterion)_"
)
_LOSS_HINT = re.compile(
    r"\.backward\(\)|(^|[\s_])(loss|criterion|cross_?entropy|nll_loss)(es)?\b|\wloss(\(\))?(\s|$)"
)
_NOT_A_LOSS = re.compile(r"scale|scaler|meter|logger|log_|history|weight|coef|names?$|avg|average")


def _unknown_criterion(reading: Reading, node: Node) -> None:
    """``criterion(a, b)``, ``self.loss_fn(a, b)``, ``compute_loss(...)``: a loss by its word, not by a known class."""
    function = node.function
    last = function.name.rpartition(".")[2]
    if last.removesuffix("()") in _KNOWN or len(node.children) < 2:
        return
    word = last.removesuffix("()").lower()
    if function.kind == "name" and reading.scope.is_local(normal(function.value)) and not last.endswith("()"):
        return
    if _LOSS_WORD.search(word) and not _NOT_A_LOSS.search(word):
        call = Call(node, reading.scope)
        _called(reading, call, call.name.removesuffix("()"))


def _is_loss(reading: Reading, node: Node) -> bool:
    """Whether an expression stands for a loss: by attribute, parameter, key, or for a local by provenance and use."""
    if node.kind in ("binary", "unary", "number", "compare"):
        return False
    words = reading.role(node)
    return bool(_LOSS_HINT.search(words) or _LOSS_WORD.search(words)) and not _NOT_A_LOSS.search(words)


def _binary(reading: Reading, node: Node) -> None:
    left, right = node.children[:2]
    if node.value in ("*", "/", "//"):
        for part, other in ((left, right), (right, left)):
            if _is_loss(reading, part) and not _is_loss(reading, other):
                operator = (
                    node.value if part is left else f"{node.value} (as divisor)" if node.value != "*" else "*"
                )
                reading.add("loss.scale", node, f"{operator} {reading.value(other)}", reading.text(part))
                return
    elif node.value in ("+", "-") and (_is_loss(reading, left) or _is_loss(reading, right)):
        reading.add("loss.term", node, f"{reading.value(left)} {node.value} {reading.value(right)}")


def _augmented(reading: Reading, node: Node) -> None:
    target, value = node.children[:2]
    if _is_loss(reading, target) and not _is_logged(reading, node):
        name = "loss.scale" if node.value in ("*", "/", "//") else "loss.term"
        reading.add(name, node, f"{node.value}= {reading.value(value)}", reading.text(target))


def _is_logged(reading: Reading, node: Node) -> bool:
    """``total += loss.item()`` keeps a running sum to be printed; it is not part of the objective."""
    return any(
        inner.kind == "attribute" and inner.value in ("item", "detach") for inner in node.children[1].walk()
    )


def _unary(reading: Reading, node: Node) -> None:
    inner = node.children[0]
    if node.value == "-" and _is_loss(reading, inner):
        reading.add("loss.sign", node, "-", reading.text(inner))


# -- reductions, shifts, masks


def _reduced(reading: Reading, call: Call) -> None:
    if call.owner is not None and _is_loss(reading, call.owner):
        shown = f".{call.last}({reading.arguments(call)})"
        reading.add("loss.reduction", call.node, shown, reading.text(call.owner))


def _slice(reading: Reading, node: Node) -> None:
    """``[..., :-1]`` or ``[..., 1:]``: the shift between what is seen and what is predicted."""
    owner = node.parent
    if owner is None:
        return
    owner = owner if owner.kind == "subscript" else owner.parent
    low, high = node.children[0], node.children[1]
    one, all_but_one = low.kind == "number" and low.value == "1", high.kind == "number" and high.value == "-1"
    if owner is not None and owner.kind == "subscript" and (one or all_but_one):
        reading.add("sequence.shift", owner, reading.text(node), reading.text(owner.children[0]))


_KNOWN = frozenset(f"{_CLASSES} {_FUNCTIONS}".split())

EXTRACTOR = Extractor(
    name="losses",
    facts=(
        FactKind("loss.class", "the class of the criterion", "dotted name"),
        FactKind("loss.call", "what the loss is computed from; subject: the loss function", "arguments"),
        FactKind("loss.reduction", "how the loss is reduced (mean, sum, none, .mean(), .sum())"),
        FactKind("loss.label_smoothing", "label smoothing", "number"),
        FactKind("loss.ignore_index", "the label that does not count", "number"),
        FactKind("loss.weight", "weights of classes or samples in the loss"),
        FactKind("loss.from_logits", "whether the loss expects logits", "True or False"),
        FactKind("loss.temperature", "temperature of the loss", "number"),
        FactKind("loss.normaliser", "what the loss is divided by"),
        FactKind("loss.sign", "the loss is negated", "sign"),
        FactKind("loss.scale", "the loss is multiplied or divided", "operator and factor"),
        FactKind("loss.term", "terms are added to or subtracted from the loss"),
        FactKind(
            "sequence.shift",
            "a slice that shifts a sequence by one ([1:] or [:-1]); subject: of what",
            "slice",
        ),
    ),
    calls={
        **every(_CLASSES, _class),
        **every(_FUNCTIONS, _function),
        **every(" ".join(f"{name}()" for name in _CLASSES.split()), _criterion),
        **every("mean sum nanmean", _reduced),
    },
    kinds={
        "call": _unknown_criterion,
        "binary": _binary,
        "augassign": _augmented,
        "unary": _unary,
        "slice": _slice,
    },
)
