"""Precision, epsilons, bounds and guards: casts, autocast, clamps, NaN checks, assertions and raises."""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, bare, every, fact_of_keyword
from trainwarden.facts.show import constant_of, cut, number
from trainwarden.parse.nodes import Node

_DTYPE = re.compile(
    r"(^|\.)(b?float\d*|half|double|int\d*|uint\d+|long|bool_?|complex\d+|float8_\w+|dtype|tf32)$"
)
_DTYPE_TEXT = re.compile(r"^(b?float|half|fp|bf|int|uint|double|tf32|mixed|16|32|64)[\w\-]*$")


def _cast(reading: Reading, call: Call) -> None:
    if call.owner is not None and not call.positional and not call.keywords:
        reading.add("precision.cast", call.node, call.last, reading.text(call.owner))


def _to(reading: Reading, call: Call) -> None:
    """``x.to(torch.float16)``, ``x.astype("float32")``, ``tf.cast(x, tf.float16)``."""
    for value in [*call.positional, *(v for k, v in call.keywords.items() if k == "dtype")]:
        name = value.name
        if _DTYPE.search(name) or (value.kind == "string" and _DTYPE_TEXT.search(value.value)):
            subject = call.owner if call.last != "cast" else call.positional[0]
            reading.add(
                "precision.cast", call.node, reading.text(value), reading.text(subject or call.node.function)
            )
            return


def _autocast(reading: Reading, call: Call) -> None:
    reading.add("precision.autocast", call.node, reading.arguments(call), call.name)


def _scaler(reading: Reading, call: Call) -> None:
    reading.add("precision.scaler", call.node, reading.arguments(call), call.name)


_KEYWORDS = {
    "dtype": "precision.dtype",
    "torch_dtype": "precision.dtype",
    "param_dtype": "precision.dtype",
    "reduce_dtype": "precision.dtype",
    "buffer_dtype": "precision.dtype",
    "compute_dtype": "precision.dtype",
    "bnb_4bit_compute_dtype": "precision.dtype",
    "mixed_precision": "precision.mode",
    "precision": "precision.mode",
    "fp16": "precision.mode",
    "bf16": "precision.mode",
    "tf32": "precision.mode",
    "fp16_full_eval": "precision.mode",
    "load_in_8bit": "precision.mode",
    "load_in_4bit": "precision.mode",
    "eps": "eps",
    "epsilon": "eps",
    "atol": "tolerance",
    "rtol": "tolerance",
    "tol": "tolerance",
}


def _keyword(reading: Reading, node: Node) -> None:
    found = fact_of_keyword(node, _KEYWORDS)
    if found is None:
        return
    name, last = found
    if last not in ("add_argument", "DataFrame") and not (name == "precision.mode" and last == "round"):
        reading.say(name, node, node.children[0], f"{bare(last)} {node.value}")


# -- epsilons and bounds


def _binary(reading: Reading, node: Node) -> None:
    """``x + 1e-8``, ``x - eps``: a small number that keeps a division or logarithm finite."""
    if node.value not in ("+", "-"):
        return
    for part, other in ((node.children[1], node.children[0]), (node.children[0], node.children[1])):
        known = constant_of(part, reading.scope)
        value = number(known, reading.scope) if known.kind == "number" else None
        if (value is not None and 0 < abs(value) < 1e-2) or re.search(r"(^|[._])eps(ilon)?$", part.name):
            reading.add("eps", node, f"{node.value} {reading.value(part)}", reading.text(other), value)
            return


_BOUNDS = {
    "clamp": ("min", "max"),
    "clamp_": ("min", "max"),
    "clip": ("min", "max"),
    "clip_": ("min", "max"),
    "clip_by_value": ("min", "max"),
    "clamp_min": ("min",),
    "clamp_min_": ("min",),
    "clamp_max": ("max",),
    "clamp_max_": ("max",),
}
_RENAMED = {"a_min": "min", "a_max": "max", "clip_value_min": "min", "clip_value_max": "max"}


def _clamp(reading: Reading, call: Call) -> None:
    if call.name.startswith("optax"):
        return
    free = call.name.startswith(("torch.", "numpy.", "np.", "jax.", "tensorflow.", "tf.", "jnp."))
    order = (
        ("input", *_BOUNDS[call.last])
        if free and not call.name.startswith("torch.Tensor")
        else _BOUNDS[call.last]
    )
    subject = call.argument("input", 0) if free else call.owner
    shown = reading.text(subject) if subject is not None else ""
    for word, value in call.named(order):
        known = _RENAMED.get(word, word)
        if known in ("min", "max"):
            reading.say(f"clamp.{known}", value, value, shown)


def _extremum(reading: Reading, call: Call) -> None:
    """``min(x, 1.0)``, ``torch.maximum(a, b)``: a bound by the smaller or larger of two."""
    if len(call.positional) == 2 and not call.keywords:
        of = ", ".join(map(reading.text, call.given))
        reading.add("clamp.extremum", call.node, call.last, cut(of))


def _masking(reading: Reading, call: Call) -> None:
    subject = (
        call.positional[0]
        if call.name.startswith(("torch.", "numpy.", "jax.")) and call.positional
        else call.owner
    )
    reading.add(
        "guard.nan_replaced", call.node, reading.arguments(call), reading.text(subject) if subject else ""
    )


# -- guards


def _finite(reading: Reading, call: Call) -> None:
    subject = call.positional[0] if call.positional else call.owner
    reading.add("guard.finite", call.node, call.last, reading.text(subject) if subject is not None else "")


def _assert(reading: Reading, node: Node) -> None:
    reading.say("guard.assert", node, node.children[0])


def _assert_call(reading: Reading, call: Call) -> None:
    reading.add("guard.assert", call.node, reading.arguments(call), call.last)


def _raise(reading: Reading, node: Node) -> None:
    """A raise, with the condition it stands under where that is an ``if`` of its own."""
    raised = node.children[0].function if node.children and node.children[0].kind == "call" else None
    what = (
        (raised.name or raised.value)
        if raised is not None
        else reading.text(node.children[0])
        if node.children
        else "again"
    )
    reading.add("guard.raise", node, " and ".join(reversed(_tests(reading, node))) or "always", what)


def _tests(reading: Reading, node: Node) -> list[str]:
    """The tests of the ``if`` a statement stands in, innermost first: an ``elif`` comes after what did not hold."""
    found: list[str] = []
    block = node.parent
    while block is not None and block.parent is not None and block.parent.kind == "if":
        branch = block.parent
        test = reading.value(branch.children[0])
        found.append(f"not ({test})" if block.kind == "else" else test)
        block = branch.parent if branch.parent is not None and _is_elif(branch.parent) else None
    return found


def _is_elif(block: Node) -> bool:
    return block.kind == "else" and len(block.children) == 1


def _warn_anomaly(reading: Reading, call: Call) -> None:
    reading.add("guard.anomaly", call.node, reading.arguments(call), call.last)


EXTRACTOR = Extractor(
    name="numerics",
    facts=(
        FactKind("precision.cast", "a value is cast to another type; subject: which", "type"),
        FactKind("precision.dtype", "the type a call works in; subject: callee and keyword", "type"),
        FactKind("precision.mode", "mixed precision or quantised loading; subject: callee and keyword"),
        FactKind(
            "precision.autocast", "a region runs in lower precision; subject: the function", "arguments"
        ),
        FactKind("precision.scaler", "a gradient scaler is made; subject: its class", "arguments"),
        FactKind("eps", "a small number that keeps an expression finite; subject: of what", "number"),
        FactKind("tolerance", "a tolerance of a comparison; subject: callee and keyword", "number"),
        FactKind("clamp.min", "a lower bound; subject: of what", "number"),
        FactKind("clamp.max", "an upper bound; subject: of what", "number"),
        FactKind("clamp.extremum", "the smaller or larger of two; subject: of what", "min or max"),
        FactKind("guard.nan_replaced", "NaN or infinity are replaced; subject: in what", "arguments"),
        FactKind("guard.finite", "a check for NaN or infinity; subject: of what", "function"),
        FactKind("guard.assert", "an assertion; subject: the function, for calls", "condition"),
        FactKind("guard.raise", "an error is raised; subject: which", "condition"),
        FactKind("guard.anomaly", "anomaly detection is switched", "arguments"),
    ),
    calls={
        **every("half bfloat16 float double bfloat", _cast),
        **every("to astype cast type to_dtype", _to),
        **every("autocast custom_fwd", _autocast),
        **every("GradScaler ShardedGradScaler LossScaleOptimizer DynamicLossScale", _scaler),
        **dict.fromkeys(_BOUNDS, _clamp),
        **every("min max minimum maximum", _extremum),
        **every("nan_to_num nan_to_num_", _masking),
        **every("isnan isinf isfinite is_finite check_numerics", _finite),
        **every(
            "assert_close assert_allclose allclose assert_equal assert_array_equal check_argument",
            _assert_call,
        ),
        **every("set_detect_anomaly detect_anomaly debug_nans enable_check_numerics", _warn_anomaly),
    },
    kinds={"keyword": _keyword, "binary": _binary, "assert": _assert, "raise": _raise},
)
