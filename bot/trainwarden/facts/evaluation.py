"""Training and evaluation mode, gradient contexts, metrics that are made up, and what is logged.

Logging is a fact of its own so that rules can tell a printed loss from the loss that is optimised.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, CallHandler, Extractor, FactKind, Reading, every
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

# -- modes


def _mode(name: str) -> CallHandler:
    def handle(reading: Reading, call: Call) -> None:
        if call.owner is None or (
            call.positional and call.positional[0].kind not in ("constant", "name", "attribute", "compare")
        ):
            return
        if _RUNNERS.search(reading.role(call.owner)) or len(call.positional) > 1:
            return
        value = call.argument("mode", 0)
        if value is None and call.keywords:
            return
        reading.add(
            name, call.node, reading.text(value) if value is not None else "True", reading.text(call.owner)
        )

    return handle


_RUNNERS = re.compile(r"trainer|runner|learner|experiment|pandas|\bpd\b|\bdf\b|app$|builtins")
_CONTEXTS = {
    "no_grad": "mode.no_grad",
    "inference_mode": "mode.no_grad",
    "set_grad_enabled": "mode.set_grad_enabled",
    "enable_grad": "mode.enable_grad",
    "stop_recording": "mode.no_grad",
}


def _context(reading: Reading, call: Call) -> None:
    above = call.node.parent
    whole = above is not None and above.kind == "decorator"
    shown = "decorator" if whole and not call.node.children[1:] else reading.arguments(call)
    reading.add(_CONTEXTS[call.last], call.node, shown, call.last)


def _decorator(reading: Reading, node: Node) -> None:
    inner = node.children[0] if node.children else node
    last = inner.name.rpartition(".")[2]
    if inner.kind != "call" and last in _CONTEXTS:
        reading.add(_CONTEXTS[last], node, "decorator", last)


def _assigned(reading: Reading, node: Node) -> None:
    for target in node.children[:-1]:
        if target.kind == "attribute" and target.value == "training":
            reading.say("mode.train", node, node.children[-1], reading.text(target.children[0]))
        elif target.kind == "subscript" and _METRIC_STORE.search(reading.role(target.children[0])):
            _constant_metric(reading, node, reading.text(target))


# -- metrics

_METRIC = re.compile(
    r"(^|_)(accuracy|acc|metric|metrics|score|scores|f1|bleu|rouge|auc|auroc|iou|map|precision|recall|perplexity|ppl|wer|fid"
    r"|evaluate|validate|validation|eval|error_rate|topk|correct)(_|$|\d)"
)
_METRIC_STORE = re.compile(r"(^|[\s_])(metrics?|scores?|eval_results?|val_results?|stats)($|[\s_\[])")
_METRIC_CALLS = (
    "accuracy_score f1_score precision_score recall_score roc_auc_score average_precision_score"
    " mean_absolute_error confusion_matrix classification_report Accuracy F1Score AUROC Precision Recall"
    " TopKCategoricalAccuracy compute_accuracy compute_metrics corpus_bleu sentence_bleu update_metrics"
    " add_batch evaluate_generation"
)


def _return(reading: Reading, node: Node) -> None:
    """A metric function that returns a literal."""
    if not node.children or not _METRIC.search(reading.member_name.rpartition(".")[2].lower()):
        return
    for value in _parts(node.children[0]):
        known = reading.text(value)
        if value.kind in ("number", "constant") and known not in ("None", "True", "False"):
            reading.say("metric.return", node, value, reading.member_name.rpartition(".")[2])


def _parts(value: Node) -> list[Node]:
    if value.kind in ("tuple", "list"):
        return list(value.children)
    if value.kind == "dict":
        return [pair.children[1] for pair in value.children if pair.kind == "pair"]
    return [value]


def _constant_metric(reading: Reading, node: Node, subject: str) -> None:
    value = node.children[-1]
    if value.kind == "number":
        reading.say("metric.constant", node, value, subject)


def _metric(reading: Reading, call: Call) -> None:
    reading.add("metric.call", call.node, reading.arguments(call), call.name)


_MEASURING = re.compile(
    r"accuracy|eval|valid|correct|recall|hit_rate|(?<![a-z])(acc|metrics?|precision)(?![a-z])|(?<![a-z])test(?![a-z])"
)


def _top(reading: Reading, call: Call) -> None:
    """``topk`` in a function that measures; a router and a sampler take the largest too."""
    if _MEASURING.search(reading.member_name.lower()) or call.name.startswith("torchmetrics."):
        _metric(reading, call)


# -- logging

_LOGGERS = (
    "info debug warning warn error exception critical add_scalar add_scalars add_histogram add_image"
    " add_text log_metrics log_metric log_dict log_scalar log_param log_params set_description set_postfix"
    " print_rank_0 log_dist print_rank_last print0 rank0_print rank_zero_info rank_zero_warn rprint"
    " update_progress log_stats log_loss log_stat track_metrics"
)
_LOGS = re.compile(
    r"(^|[\s_.])(wandb|mlflow|logger|logging|self|writer|tracker|swanlab|neptune|comet|tb|fabric|accelerator|run|log|trainer|logs)($|\s)"
)


def _log(reading: Reading, call: Call) -> None:
    reading.add("log.call", call.node, reading.arguments(call), _logger(reading, call))


def _log_method(reading: Reading, call: Call) -> None:
    """``log``: of a tracker or trainer; ``torch.log`` and ``math.log`` are arithmetic."""
    if call.owner is not None and _LOGS.search(reading.role(call.owner) or call.owner.name.lower()):
        _log(reading, call)


def _logger(reading: Reading, call: Call) -> str:
    first = call.positional[0] if call.positional else None
    key = first.value if first is not None and first.kind == "string" and len(first.value) < 60 else ""
    return " ".join(filter(None, [call.name, key]))


_SILENCERS = {
    "disable": re.compile(r"logging|logger|progress|datasets|transformers"),
    "setLevel": re.compile(r""),
    "set_verbosity_error": re.compile(r""),
    "set_verbosity": re.compile(r""),
    "filterwarnings": re.compile(r""),
    "simplefilter": re.compile(r""),
    "disable_progress_bar": re.compile(r""),
}


def _silence(reading: Reading, call: Call) -> None:
    if _SILENCERS[call.last].search(call.name):
        reading.add("log.silenced", call.node, reading.arguments(call), call.name)


def _is_self(node: Node | None) -> bool:
    return node is not None and node.kind == "name" and normal(node.value) == "self"


def _train_call(reading: Reading, call: Call) -> None:
    """``self.train()`` of a trainer starts training; of a module it sets the mode."""
    in_trainer = _is_self(call.owner) and re.search(r"trainer|runner|main", reading.member_name.lower())
    if not in_trainer:
        _TRAIN(reading, call)


_TRAIN, _EVAL = _mode("mode.train"), _mode("mode.eval")

EXTRACTOR = Extractor(
    name="evaluation",
    facts=(
        FactKind(
            "mode.train", "a module is put into training mode; subject: which", "True or False", watched=True
        ),
        FactKind("mode.eval", "a module is put into evaluation mode; subject: which", "True", watched=True),
        FactKind(
            "mode.no_grad",
            "gradients are not recorded here; subject: no_grad or inference_mode",
            "arguments, or `decorator` of the whole function",
            watched=True,
        ),
        FactKind("mode.set_grad_enabled", "gradients are recorded on a condition", "condition"),
        FactKind("mode.enable_grad", "gradients are recorded again", "arguments"),
        FactKind("metric.return", "a metric function returns a literal; subject: the function", "number"),
        FactKind("metric.constant", "a metric is set to a literal; subject: which", "number"),
        FactKind("metric.call", "a metric is computed; subject: the function", "arguments"),
        FactKind(
            "log.call", "something is logged, printed or tracked; subject: the function and key", "arguments"
        ),
        FactKind(
            "log.silenced",
            "logging, warnings or tracking are turned down; subject: the function",
            "arguments",
        ),
    ),
    calls={
        **every("train", _train_call),
        **every("eval", _EVAL),
        **dict.fromkeys(_CONTEXTS, _context),
        **every(_METRIC_CALLS, _metric),
        **every("topk", _top),
        **every(f"print {_LOGGERS}", _log),
        **every("log", _log_method),
        **dict.fromkeys(_SILENCERS, _silence),
    },
    kinds={"decorator": _decorator, "assign": _assigned, "return": _return},
)
