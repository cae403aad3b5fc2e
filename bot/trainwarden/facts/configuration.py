"""Settings: command-line options, fields and constants, defaults of parameters, keywords of training configurations."""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, every, words
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

# -- command line


def _argument(reading: Reading, call: Call) -> None:
    """``add_argument("--lr", type=float, default=1e-3)`` and click's and absl's relatives."""
    flag = next(
        (part.value for part in call.positional if part.kind == "string" and part.value.startswith("--")), ""
    )
    first = call.positional[0] if call.positional else None
    name = flag or (first.value if first is not None and first.kind == "string" else "")
    word = name.lstrip("-").replace("-", "_")
    if not word:
        return
    kept = {key: value for key, value in call.keywords.items() if key in _KEPT}
    default = kept.pop("default", None)
    if default is not None:
        reading.say(f"cli.{word}", call.node, default, "default")
    for key, value in kept.items():
        reading.say(f"cli.{word}", call.node, value, key)
    if default is None and not kept:
        reading.add(f"cli.{word}", call.node, "declared", "declared")


_KEPT = words("default type action choices nargs dest required const is_flag")


def _flag(reading: Reading, call: Call) -> None:
    """``flags.DEFINE_float("lr", 1e-3, "help")``."""
    if len(call.positional) >= 2 and call.positional[0].kind == "string":
        reading.say(f"cli.{call.positional[0].value}", call.node, call.positional[1], "default")


# -- fields, constants, defaults

_SKIPPED_CONSTANTS = re.compile(r"^(__\w+__|logger|log|_logger)$")
_PLAIN = frozenset({"number", "string", "constant", "tuple", "list", "dict", "unary", "binary", "set"})


def _assigned(reading: Reading, node: Node) -> None:
    """Literals bound in a class body or module, settings that are written, keys of configuration dicts."""
    target, value = node.children[0], node.children[-1]
    if value is target or (node.kind == "annassign" and len(node.children) < 3):
        return
    if target.kind == "name" and _is_top(node):
        _constant(reading, node, normal(target.value), value)
    elif value.kind in _PLAIN:
        _setting(reading, node, target, value)
    if value.kind == "dict" and _is_config_target(reading, target):
        _keys(reading, value, _spelled(reading, target))


def _setting(reading: Reading, node: Node, target: Node, value: Node) -> None:
    """``args.lr = 1e-3`` and ``config["lr"] = 1e-3``."""
    word = target.value if target.kind == "attribute" else ""
    if target.kind == "subscript" and len(target.children) > 1 and target.children[1].kind == "string":
        word = target.children[1].value
    if word and _CONFIG.search(reading.role(target.children[0])):
        reading.say(f"config.{word}", node, value, reading.text(target.children[0]))


_CONFIG = re.compile(
    r"(^|[\s_])(config|cfg|conf|args|hparams|hyperparameters|settings|flags|opts?|options|training_args)($|[\s_])"
)


def _is_config_target(reading: Reading, target: Node) -> bool:
    if target.kind not in ("name", "attribute"):
        return False
    words = f"{reading.role(target)} {target.value if target.kind == 'attribute' else ''}".lower()
    return bool(_CONFIG.search(words) or re.search(r"config|ds_config|kwargs|defaults|hparams", words))


def _spelled(reading: Reading, target: Node) -> str:
    if target.kind == "name":
        return "" if reading.scope.is_local(normal(target.value)) else normal(target.value)
    return reading.text(target)


def _keys(reading: Reading, contents: Node, subject: str, prefix: str = "", depth: int = 4) -> None:
    for pair in contents.children:
        if pair.kind != "pair" or pair.children[0].kind != "string" or depth == 0:
            continue
        key, value = prefix + pair.children[0].value, pair.children[1]
        if value.kind == "dict":
            _keys(reading, value, subject, f"{key}.", depth - 1)
        else:
            reading.say(f"config.{key}", pair, value, subject)


def _is_top(node: Node) -> bool:
    """Directly in a module or class body, or in a branch of one; not in a function, loop or ``with``."""
    return not any(above.kind in _INSIDE for above in node.ancestors())


_INSIDE = frozenset({"function", "lambda", "for", "while", "with"})


def _constant(reading: Reading, node: Node, word: str, value: Node) -> None:
    if _SKIPPED_CONSTANTS.search(word):
        return
    name = "const" if reading.member_name == "<module>" else "config"
    if value.kind in _PLAIN:
        if value.kind != "dict" or not _is_config_word(word):
            reading.say(f"{name}.{word}", node, value, "" if name == "const" else reading.member_name)
    elif value.kind == "call" and value.function.name.rpartition(".")[2] in ("field", "Field"):
        default = Call(value, reading.scope)
        chosen = default.keywords.get("default") or default.keywords.get("default_factory")
        chosen = chosen or (default.positional[0] if default.positional else None)
        if chosen is not None:
            reading.say(f"{name}.{word}", node, chosen, "" if name == "const" else reading.member_name)


def _is_config_word(word: str) -> bool:
    return bool(_CONFIG.search(word.lower()) or "config" in word.lower())


def _parameter(reading: Reading, node: Node) -> None:
    """The default of a parameter of the member itself (not of lambdas)."""
    default = node.child("default")
    params = node.parent
    if default is None or params is None or params.parent is None or params.parent.kind != "function":
        return
    value = default.children[0]
    if value.kind != "constant" or value.value != "None":
        reading.say(f"default.{normal(node.value)}", node, value, params.parent.value)


# -- training configurations given as calls

_CONFIG_CALLS = re.compile(
    r"(Arguments|Config|Trainer|TrainingArgs|Strategy|Plugin|Settings|Options|Args|Recipe|HParams|Namespace|ConfigDict)$"
    r"|^(dict|SimpleNamespace|create|merge|OmegaConf)$"
)


def _keyword(reading: Reading, node: Node) -> None:
    call = node.parent
    if call is None or call.kind != "call":
        return
    last = call.function.name.rpartition(".")[2]
    if (_CONFIG_CALLS.search(last) and (last != "dict" or node.value in _HYPER_PARAMETERS)) or (
        node.value in _LIMITS and last != "add_argument"
    ):
        reading.say(f"config.{normal(node.value)}", node, node.children[0], last)


_HYPER_PARAMETERS = words(
    "lr learning_rate weight_decay momentum epochs num_epochs max_steps warmup_steps dropout"
    " hidden_size num_layers num_heads vocab_size gradient_accumulation_steps per_device_train_batch_size"
    ""
)
_LIMITS = words(
    "max_steps max_epochs num_train_epochs epochs max_iters total_steps gradient_accumulation_steps"
    " accumulate_grad_batches accumulation_steps steps_per_epoch validation_steps fast_dev_run"
    " limit_test_batches val_check_interval check_val_every_n_epoch warmup_steps warmup_ratio eval_steps"
    " max_train_steps"
)

# -- launching


def _compile(reading: Reading, call: Call) -> None:
    """Keras: ``model.compile(optimizer=..., loss=..., metrics=...)``; ``torch.compile(model, backend=...)``."""
    if call.owner is None or call.name in ("re.compile", "builtins.compile", "ast.compile"):
        return
    for word, value in call.keywords.items():
        reading.say(f"config.{word}", value, value, "compile")


EXTRACTOR = Extractor(
    name="configuration",
    facts=(
        FactKind("cli.*", "a command-line option by its name; subject: default, type, action, choices ..."),
        FactKind(
            "config.*",
            "a setting by its name: field of a class, keyword of a configuration, key of a config dict",
        ),
        FactKind("const.*", "a constant at module level by its name"),
        FactKind("default.*", "the default of a parameter by its name; subject: the function"),
    ),
    calls={
        **every("add_argument option add_arg", _argument),
        **every(
            "DEFINE_float DEFINE_integer DEFINE_string DEFINE_bool DEFINE_boolean DEFINE_enum DEFINE_list",
            _flag,
        ),
        **every("compile", _compile),
    },
    kinds={"assign": _assigned, "annassign": _assigned, "param": _parameter, "keyword": _keyword},
)
