"""Checkpoints: what is saved and restored, how strictly, which one is kept, averages, resume counters."""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, bare, every, tail
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

# -- saving

_SAVES = (
    "save save_checkpoint save_model save_pretrained save_state save_weights save_file save_on_master"
    " save_on_main xser_save save_ckpt write_checkpoint savez savez_compressed sharded_save dist_save"
    " async_save save_16bit_model"
)
_SAVED = frozenset(
    {"torch.save", "numpy.save", "np.save", "numpy.savez", "flax.training.checkpoints.save_checkpoint"}
)
_NOT_A_CHECKPOINT = re.compile(
    r"fig|plt|image|img|plot|\bax\b|wav|audio|video|canvas|report|pdf|workbook|form"
)


def _save(reading: Reading, call: Call) -> None:
    words = f"{call.name} {reading.role(call.owner)}".lower()
    if call.last.startswith("save") and call.name not in _SAVED and _NOT_A_CHECKPOINT.search(words):
        return
    what = call.positional[0] if call.positional else next(iter(call.keywords.values()), None)
    contents = _dictionary(reading, what) if what is not None else None
    if contents is not None:
        reading.add("checkpoint.save", call.node, f"{{{', '.join(_keys(contents))}}}", call.name)
        _contents(reading, contents)
    else:
        reading.add("checkpoint.save", call.node, reading.arguments(call), call.name)


def _dictionary(reading: Reading, node: Node) -> Node | None:
    """The dict literal (or ``dict(...)`` call) an expression is, or that a variable was last bound to."""
    if node.kind == "name":
        bound = [value for how, value in reading.scope.bindings(normal(node.value)) if how == "value"]
        node = next((value for value in reversed(bound) if _is_dict(value)), node)
    return node if _is_dict(node) else None


def _is_dict(node: Node) -> bool:
    return node.kind == "dict" or (node.kind == "call" and node.function.name == "dict")


def _keys(contents: Node) -> list[str]:
    return [
        part.children[0].value
        if part.kind == "pair" and part.children[0].kind == "string"
        else part.value or "..."
        for part in contents.children
        if part.kind in ("pair", "keyword", "doublestar")
    ]


def _contents(reading: Reading, contents: Node) -> None:
    """The entries of a dict, once, where the dict is written."""
    if id(contents) in reading.seen:
        return
    reading.seen.add(id(contents))
    for part in contents.children:
        if part.kind == "keyword":
            reading.say("checkpoint.key", part, part.children[0], part.value)
        elif part.kind == "pair" and part.children[0].kind == "string":
            reading.say("checkpoint.key", part, part.children[1], part.children[0].value)


def _dict(reading: Reading, node: Node) -> None:
    """A dict that holds states is a checkpoint, whether it is saved here, returned or stored."""
    if any(_is_state(part) for part in node.children):
        _contents(reading, node)


def _is_state(part: Node) -> bool:
    value = part.children[-1] if part.kind == "pair" else part
    return value.kind == "call" and value.function.name.endswith(("state_dict", "get_rng_state", "get_state"))


def _assigned(reading: Reading, node: Node) -> None:
    """``checkpoint["optimizer"] = optimizer.state_dict()``."""
    value = node.children[-1]
    for target in node.children[:-1]:
        if target.kind != "subscript" or len(target.children) < 2 or target.children[1].kind != "string":
            continue
        if _is_state(value) or _is_checkpoint(reading, target.children[0]):
            reading.say("checkpoint.key", node, value, target.children[1].value)


# -- loading

_LOADS = (
    "load load_state_dict load_checkpoint from_pretrained load_weights load_model restore"
    " restore_checkpoint load_state load_from_checkpoint load_file safe_open load_ckpt load_pretrained"
    " resume_checkpoint load_state_dict_from_url load_checkpoint_and_dispatch"
    " load_state_dict_from_zero_checkpoint torch_load_file"
)
_OPTIONS = {
    "strict": "checkpoint.strict",
    "weights_only": "checkpoint.weights_only",
    "map_location": "checkpoint.map_location",
    "ignore_mismatched_sizes": "checkpoint.strict",
    "assign": "checkpoint.assign",
    "load_optimizer_states": "checkpoint.load_option",
    "load_lr_scheduler_states": "checkpoint.load_option",
    "load_module_only": "checkpoint.load_option",
    "restore_optimizer": "checkpoint.load_option",
    "check_hash": "checkpoint.load_option",
    "subfolder": "checkpoint.load_option",
    "use_safetensors": "checkpoint.load_option",
    "force_download": "checkpoint.load_option",
}
_TENSOR_LOADERS = re.compile(
    r"^(torch|flax|orbax|paddle|safetensors|tensorflow|tf|keras|jax|accelerate|transformers|fairseq)\b"
)


def _load(reading: Reading, call: Call) -> None:
    if call.last == "load" and not _loads_weights(reading, call):
        return
    if call.last == "load_state_dict":
        source = call.argument("state_dict", 0)
        reading.add(
            "checkpoint.restore", call.node, reading.text(source) if source else "", _owner(reading, call)
        )
    else:
        source = call.positional[0] if call.positional else None
        reading.add(
            "checkpoint.load",
            call.node,
            reading.text(source) if source else reading.arguments(call),
            call.name,
        )
    for word, value in call.named(("source", "strict") if call.last == "load_state_dict" else ()):
        if word in _OPTIONS:
            reading.say(
                _OPTIONS[word],
                value,
                value,
                f"{call.last} {word}" if "option" in _OPTIONS[word] else call.last,
            )


def _loads_weights(reading: Reading, call: Call) -> bool:
    words = f"{reading.role(call.owner)} {call.name}".lower()
    return bool(_TENSOR_LOADERS.search(call.name) or _CHECKPOINT.search(words) or "model" in words)


def _owner(reading: Reading, call: Call) -> str:
    return reading.text(call.owner) if call.owner is not None else ""


_CHECKPOINT = re.compile(
    r"checkpoint|ckpt|state_dict|torch\.load|(^|[\s_])state(s)?($|\s)|restored|\bresume|load_file"
)


_LOADED = re.compile(r"(^|\.)(torch\.load|load_file|load_checkpoint|restore\w*|load_state\w*)\(\)$")


def _is_checkpoint(reading: Reading, node: Node) -> bool:
    return bool(_LOADED.search(node.name) or _CHECKPOINT.search(reading.role(node)))


def _subscript(reading: Reading, node: Node) -> None:
    """A key that is read from a checkpoint, with the arithmetic around it: ``checkpoint["epoch"] + 1``."""
    key = node.children[1] if len(node.children) > 1 else None
    parent = node.parent
    if (
        key is None
        or key.kind != "string"
        or parent is None
        or (parent.kind == "assign" and node in parent.children[:-1])
    ):
        return
    if _is_checkpoint(reading, node.children[0]):
        around = parent if parent.kind == "binary" else node
        reading.add("checkpoint.read", node, reading.text(around), key.value)


def _got(reading: Reading, call: Call) -> None:
    """``checkpoint.get("step", 0)``: a missing entry is no error."""
    key = call.argument("key", 0)
    if (
        call.owner is not None
        and key is not None
        and key.kind == "string"
        and _is_checkpoint(reading, call.owner)
    ):
        reading.add("checkpoint.read", call.node, f"get({reading.arguments(call)})", key.value)


def _filtered(reading: Reading, call: Call) -> None:
    """``state_dict.pop(key)``: something of the checkpoint is thrown away."""
    if call.owner is not None and _is_checkpoint(reading, call.owner):
        reading.add("checkpoint.drop", call.node, reading.arguments(call), reading.text(call.owner))


def _hook(reading: Reading, call: Call) -> None:
    reading.add(
        "checkpoint.hook", call.node, f"{call.last}({reading.arguments(call)})", _owner(reading, call)
    )


# -- selection

_BEST = re.compile(r"best|lowest|highest|min_(val|loss)|max_(acc|score)|top_?\d?_?(acc|score)?$")


def _compare(reading: Reading, node: Node) -> None:
    left, right = node.children[0], node.children[-1]
    operator = node.value.split(" ")[0]
    if operator not in _FLIPPED:
        return
    for words in (lambda side: tail(bare(side.name)), reading.role):
        for side, other, shown in ((right, left, operator), (left, right, _FLIPPED[operator])):
            if _BEST.search(words(side)):
                compared = f"{reading.text(other)} {shown} best"
                reading.add("checkpoint.select", node, compared, reading.text(side))
                return


_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_KEYWORDS = {
    "metric_for_best_model": "select.metric",
    "greater_is_better": "select.mode",
    "load_best_model_at_end": "select.load_best",
    "save_best_only": "select.best_only",
    "save_top_k": "select.keep",
    "save_total_limit": "select.keep",
    "keep_last": "select.keep",
    "max_to_keep": "select.keep",
    "monitor": "select.metric",
    "mode": "select.mode",
    "patience": "early_stop.patience",
    "early_stopping_patience": "early_stop.patience",
    "min_delta": "early_stop.min_delta",
    "early_stopping_threshold": "early_stop.min_delta",
    "save_steps": "select.every",
    "every_n_epochs": "select.every",
    "every_n_train_steps": "select.every",
    "ema_decay": "ema.decay",
    "ema_beta": "ema.decay",
    "swa_lrs": "ema.option",
    "multi_avg_fn": "ema.option",
    "avg_fn": "ema.option",
}
_MODE_CALLS = re.compile(r"checkpoint|earlystop|early_stop|plateau|best|monitor", re.IGNORECASE)


def _keyword(reading: Reading, node: Node) -> None:
    name = _KEYWORDS.get(node.value)
    call = node.parent
    if name is None or call is None or call.kind != "call" or call.function.name.endswith("add_argument"):
        return
    last = call.function.name.rpartition(".")[2]
    if node.value in ("mode", "monitor", "patience") and not _MODE_CALLS.search(last):
        return
    reading.say(name, node, node.children[0], f"{last} {node.value}")


def _sorted(reading: Reading, call: Call) -> None:
    """``sorted(checkpoints, reverse=True)``: which are kept, which is the newest."""
    subject = call.owner if call.last == "sort" else call.argument("iterable", 0)
    about = (
        f"{reading.role(subject)} {subject.name.lower()} {reading.member_name.lower()}"
        if subject is not None
        else ""
    )
    if subject is not None and _ORDERED.search(about):
        options = ", ".join(f"{word}={reading.text(value)}" for word, value in call.keywords.items())
        reading.add("checkpoint.order", call.node, options or "ascending", reading.text(subject))


_ORDERED = re.compile(r"checkpoint|ckpt|best_k|snapshots|\bsaved")

# -- moving averages

_EMA_CLASSES = (
    "EMA ModelEma ModelEmaV2 ModelEmaV3 EMAModel ExponentialMovingAverage AveragedModel EMAHook EmaModel"
    " StochasticWeightAveraging"
)


def _ema(reading: Reading, call: Call) -> None:
    reading.add("ema.class", call.node, call.name, reading.target(call.node))
    for word, value in call.named(("model", "decay")):
        name = "ema.decay" if word in ("decay", "beta", "alpha", "momentum", "mu", "gamma") else "ema.option"
        reading.say(name, value, value, word if name == "ema.option" else reading.target(call.node))


EXTRACTOR = Extractor(
    name="state",
    facts=(
        FactKind(
            "checkpoint.save",
            "a checkpoint is written; subject: the function",
            "keys or arguments",
            watched=True,
        ),
        FactKind("checkpoint.key", "one entry of a checkpoint that is built or saved; subject: its key"),
        FactKind("checkpoint.load", "a checkpoint is read; subject: the function", "source"),
        FactKind(
            "checkpoint.restore",
            "a state is restored (load_state_dict); subject: of what",
            "source",
            watched=True,
        ),
        FactKind("checkpoint.read", "an entry is read from a checkpoint; subject: its key", "expression"),
        FactKind("checkpoint.drop", "entries of a checkpoint are thrown away", "arguments"),
        FactKind("checkpoint.strict", "whether missing or unexpected keys are errors", "True or False"),
        FactKind("checkpoint.weights_only", "whether only tensors are unpickled", "True or False"),
        FactKind("checkpoint.map_location", "to which device tensors are loaded"),
        FactKind("checkpoint.assign", "whether loaded tensors replace parameters", "True or False"),
        FactKind("checkpoint.load_option", "another option of loading; subject: which"),
        FactKind(
            "checkpoint.hook", "a hook that sees or changes states when they are saved or loaded", "call"
        ),
        FactKind("checkpoint.select", "a comparison with the best so far; subject: the best", "comparison"),
        FactKind("checkpoint.order", "checkpoints are sorted; subject: what is sorted", "options"),
        FactKind("select.metric", "which metric selects the checkpoint"),
        FactKind("select.mode", "whether lower or higher is better"),
        FactKind("select.load_best", "whether the best checkpoint is loaded at the end", "True or False"),
        FactKind("select.best_only", "whether only the best checkpoint is kept", "True or False"),
        FactKind("select.keep", "how many checkpoints are kept", "number"),
        FactKind("select.every", "how often checkpoints are written", "number"),
        FactKind("early_stop.patience", "how long early stopping waits", "number"),
        FactKind("early_stop.min_delta", "what counts as an improvement", "number"),
        FactKind("ema.class", "a moving average of the weights is made", "dotted name"),
        FactKind("ema.decay", "its decay", "number"),
        FactKind("ema.option", "another option of it; subject: which"),
    ),
    calls={
        **every(_SAVES, _save),
        **every(_LOADS, _load),
        **every("pop", _filtered),
        **every("get", _got),
        **every("sorted sort", _sorted),
        **every(
            "_register_state_dict_hook _register_load_state_dict_pre_hook register_state_dict_post_hook"
            " register_load_state_dict_post_hook register_load_state_dict_pre_hook"
            " register_state_dict_pre_hook",
            _hook,
        ),
        **every(_EMA_CLASSES, _ema),
    },
    kinds={
        "dict": _dict,
        "assign": _assigned,
        "subscript": _subscript,
        "compare": _compare,
        "keyword": _keyword,
    },
)
