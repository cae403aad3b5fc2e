"""Arithmetic that has a meaning by where it stands: in functions named after losses, schedules, masks, metrics.

Also the conditions of a training loop that are arithmetic: every how many steps something happens, and when it ends.
"""

from __future__ import annotations

import re
from functools import lru_cache

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, every, tail
from trainwarden.parse.nodes import Node

_FORMULAS = (
    ("loss.formula", re.compile(r"loss|criterion|objective|diverg|kl_|_kl\b|entropy|contrastive")),
    (
        "scheduler.formula",
        re.compile(
            r"(^|_)lr(_|$)|learning_rate|sched|warmup|anneal|cosine(?!_?(sim|dist))|polynomial|cooldown"
        ),
    ),
    ("mask.formula", re.compile(r"mask|causal|attn_bias|cu_seqlens|position_ids")),
    (
        "reward.formula",
        re.compile(
            r"reward|advantage|(^|_)gae|discount|td_error|bootstrap"
            r"|(?<![a-z])returns(?![a-z])|(?<!and)_return$|(^|_)return_(to_go|rms|mean|std|norm)"
        ),
    ),
    (
        "metric.formula",
        re.compile(
            r"accuracy|(?<![a-z])metric|score|bleu|rouge|(?<!mixed_)precision|recall|perplexity|error_rate|topk"
            r"|(?<![a-z])(acc|f1|auc|(mean|[mgdc])?iou|ppl)(?![a-z])"
        ),
    ),
    (
        "data.formula",
        re.compile(
            r"__getitem__|__iter__|sampler|(^|_)indices|batch_sizes?($|_)|mixture"
            r"|^(?!.*(checkpoint|ckpt|save|state|param|model|module|tensor|weight|optim|fsdp|grad)).*shard"
            r"|^_*((get|compute|make|calc|calculate|normali[sz]e)_)?weights($|_for)"
            r"|(sampl\w*|class|data\w*|example|mix\w*|balanc\w*|source|domain|blend\w*|task|prob\w*)_weights"
        ),
    ),
    ("clip.formula", re.compile(r"clip")),
    ("seed.formula", re.compile(r"seed")),
    ("limit", re.compile(r"limit_reached|(^|_)(is_)?done$|should_stop|max_\w*reached|early_stop")),
    ("update.formula", re.compile(r"^(step|update|_single_tensor_\w+|apply_gradients?|_?update_\w*|ema_update)$")),
)  # fmt: skip
_CLASSES = (
    ("loss.formula", re.compile(r"loss|criterion", re.IGNORECASE)),
    ("scheduler.formula", re.compile(r"lr$|schedul|warmup", re.IGNORECASE)),
    ("metric.formula", re.compile(r"metric|accuracy|evaluator", re.IGNORECASE)),
    ("data.formula", re.compile(r"sampler|mixture|blend", re.IGNORECASE)),
)
_UPDATES = re.compile(
    r"optim|adam|sgd|lion|lamb|lars|muon|sophia|shampoo|momentum|ema\b|averag", re.IGNORECASE
)
_ARITHMETIC = frozenset({"binary", "unary", "ternary", "compare"})
_NOT_COMPUTED = frozenset({"string", "fstring", "lambda"})


@lru_cache(maxsize=1024)
def _role_of(member_name: str) -> str:
    """The formula fact of a member, by its own name, else by that of its class; "" for others."""
    owner, _, name = member_name.split("#")[0].rpartition(".")
    for fact, pattern in _FORMULAS:
        if pattern.search(name.lower()):
            own = fact != "update.formula" or bool(_UPDATES.search(owner) or name.startswith("_single"))
            if own:
                return fact
    if name.startswith("__") and name != "__call__":
        return ""
    return next((fact for fact, pattern in _CLASSES if pattern.search(owner.rpartition(".")[2])), "")


def _computed(reading: Reading, node: Node) -> None:
    """What is returned or bound, where it is computed by operators."""
    fact = _role_of(reading.member_name)
    if not fact or not node.children or (node.kind == "assign" and len(node.children) < 2):
        return
    value = node.children[-1]
    if node.kind == "augassign":
        reading.add(fact, node, f"{reading.text(node.children[0])} {node.value}= {reading.value(value)}")
    elif _has_arithmetic(value):
        reading.say(fact, node, value, "return" if node.kind == "return" else reading.target(value))


def _has_arithmetic(value: Node) -> bool:
    """Operators at the top of an expression, or in the arguments of the calls and items that make it up."""
    if value.kind in _ARITHMETIC:
        return value.kind != "binary" or value.children[0].kind not in _NOT_COMPUTED
    if value.kind in ("call", "tuple", "list", "keyword", "subscript", "slice", "attribute", "await"):
        return any(map(_has_arithmetic, value.children))
    return False


def _in_place(reading: Reading, node: Node) -> None:
    """``exp_avg.mul_(beta1).add_(grad)`` in an optimizer: the update rule itself."""
    call = node.children[0]
    if call.kind == "call" and call.function.kind == "attribute" and call.function.value.endswith("_"):
        fact = _role_of(reading.member_name)
        if fact == "update.formula":
            reading.say(fact, node, call, call.function.value)


# -- conditions

_STEPS = re.compile(
    r"step|iter|epoch|batch|update|counter\(\)|window|micro|accum|interval|freq|every|period", re.IGNORECASE
)
_LIMIT = re.compile(
    r"max_(train_)?(steps|iters|iterations|epochs|updates|duration|tokens|time)|(num|n)_(train_)?(epochs|steps|iters|updates)|total_(steps|iters)"
    r"|stop_(step|iter|epoch)|patience|time_limit|train_iters|end_(epoch|step)"
)


def _compare(reading: Reading, node: Node) -> None:
    """``step % n == 0`` and ``step >= max_steps``."""
    for part in node.children:
        if part.kind == "binary" and part.value == "%" and _STEPS.search(reading.text(part)):
            reading.add("cadence", node, reading.value(node))
            return
    if any(_LIMIT.search(f"{tail(part.name)} {reading.role(part)}") for part in node.children):
        reading.add("limit", node, reading.value(node))


def _cadence_call(reading: Reading, call: Call) -> None:
    reading.add("cadence", call.node, f"{call.last}({reading.arguments(call)})")


EXTRACTOR = Extractor(
    name="formulas",
    facts=(
        FactKind("loss.formula", "arithmetic in a function or class named after a loss"),
        FactKind("scheduler.formula", "arithmetic in a function or class named after a schedule"),
        FactKind("mask.formula", "arithmetic in a function named after masks or positions"),
        FactKind("reward.formula", "arithmetic in a function named after rewards, returns or advantages"),
        FactKind("metric.formula", "arithmetic in a function or class named after a metric"),
        FactKind("clip.formula", "arithmetic in a function named after clipping"),
        FactKind("seed.formula", "arithmetic in a function named after seeds"),
        FactKind("data.formula", "arithmetic in a function or class that orders, shards or mixes data"),
        FactKind("update.formula", "arithmetic of an optimizer's or average's own update"),
        FactKind("cadence", "every how many steps something happens", "condition"),
        FactKind("limit", "a comparison that tells whether training has gone on long enough", "condition"),
    ),
    calls={
        **every("is_accumulation_boundary is_gradient_accumulation_boundary should_accumulate", _cadence_call)
    },
    kinds={
        "return": _computed,
        "assign": _computed,
        "augassign": _computed,
        "expr": _in_place,
        "compare": _compare,
    },
)
