"""What happens to gradients and parameters beside the optimizer: clipping, hooks, direct writes, detaching.

A write counts when its target's resolved name ends in ``.grad``, ``.data``, ``.weight`` or ``.bias``, or
comes from ``parameters()``; in-place methods end in an underscore.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, bare, every, words
from trainwarden.parse.nodes import Node

# -- clipping

_NORM = ("params", "max_norm", "norm_type")
_VALUE = ("params", "value")
_CLIP_ORDER = {
    "clip_grad_norm_": _NORM,
    "clip_grad_norm": _NORM,
    "clip_grad_value_": _VALUE,
    "clip_gradients": ("params", "max_norm"),
    "clip_by_global_norm": ("max_norm",),
    "clip_by_block_rms": ("value",),
    "clip": ("value",),
    "adaptive_grad_clip": ("max_norm",),
    "clip_grad_by_total_norm_": _NORM,
    "dispatch_clip_grad": ("params", "value"),
}
_RENAMED = {
    "clip_value": "value",
    "clip_val": "value",
    "gradient_clip_val": "value",
    "max_grad_norm": "max_norm",
    "parameters": "params",
    "clip_norm": "max_norm",
    "max_delta": "value",
}


def _clip(reading: Reading, call: Call) -> None:
    order = _CLIP_ORDER[call.last]
    if call.last == "clip_gradients" and "fabric" in call.name:
        order = ("params", "optimizer", "value", "max_norm")
    elif call.name.startswith(("tf.", "tensorflow.")) and call.last == "clip_by_global_norm":
        order = ("params", "max_norm")
    elif (
        "params" in order
        and call.owner is not None
        and len(call.positional) == 1
        and _bounded_by(reading, call)
    ):
        order = order[1:]
    for word, value in call.named(order):
        known = _RENAMED.get(word, word)
        name = f"clip.{known}" if known in ("max_norm", "value", "params", "norm_type") else "clip.option"
        reading.say(name, value, value, call.last if name != "clip.option" else word)


def _bounded_by(reading: Reading, call: Call) -> bool:
    """``model.clip_grad_norm_(1.0)``: the only argument is the bound, not the parameters."""
    name = call.positional[0].name
    return call.positional[0].kind == "number" or ("param" not in name and "max_norm" not in call.keywords)


def _optax_clip(reading: Reading, call: Call) -> None:
    if call.name.startswith("optax"):
        _clip(reading, call)


_CLIP_KEYWORDS = {
    "max_grad_norm": "clip.max_norm",
    "gradient_clip_val": "clip.value",
    "gradient_clip_algorithm": "clip.option",
    "gradient_clipping": "clip.max_norm",
    "clipnorm": "clip.max_norm",
    "global_clipnorm": "clip.max_norm",
    "clipvalue": "clip.value",
    "grad_clip": "clip.value",
    "clip_grad": "clip.max_norm",
}


def _keyword(reading: Reading, node: Node) -> None:
    if node.value in _CLIP_KEYWORDS and node.parent is not None and node.parent.kind == "call":
        reading.say(_CLIP_KEYWORDS[node.value], node, node.children[0], node.value)


# -- hooks


def _hook(reading: Reading, call: Call) -> None:
    if call.last == "register_hook" and (len(call.positional) > 1 or call.keywords):
        return  # a tensor takes one function; this is a trainer's list of hooks
    owner = reading.text(call.owner) if call.owner is not None else ""
    name = "hook.forward" if "forward" in call.last else "grad.hook"
    reading.add(name, call.node, f"{call.last}({reading.arguments(call)})", owner)


def _class(reading: Reading, node: Node) -> None:
    """The bases run (``bases``) of a class that defines its own gradient."""
    for base in node.children:
        if base.name.endswith(("autograd.Function", "autograd.function.Function")):
            reading.add("grad.custom", node, base.name, reading.member_name)


def _decorator(reading: Reading, node: Node) -> None:
    inner = node.children[0] if node.children else node
    if bare(inner.name).endswith(("custom_vjp", "custom_jvp", "custom_gradient")):
        reading.add("grad.custom", node, bare(inner.name), reading.member_name)


# -- direct writes

_GRAD = re.compile(r"(\.grad|\.main_grad|\.grad\.data|\.grad\._?values)(\(\))?(\[[^\]]*\])*$")
_PARAM = re.compile(
    r"(\.data|\.weight|\.bias|\.(named_)?parameters\(\)(\[\*\]|\[\.\])+|\.state_dict\(\)(\[[^\]]*\])+|\.weight\.data|\.bias\.data)"
    r"(\[[^\]]*\])*$"
)
_KEPT = words("requires_grad_ detach_ share_memory_ register_hook_ pin_memory_ retain_grad_")


def _in_place(reading: Reading, node: Node) -> None:
    """``p.grad.mul_(x)``, ``p.data.copy_(y)``, ``layer.weight.fill_(0)``: a method that ends in an underscore."""
    function = node.function
    method = function.value
    if function.kind != "attribute" or not method.endswith("_") or method.endswith("__") or method in _KEPT:
        return
    owner = function.children[0]
    name = _written(owner)
    if name:
        shown = ", ".join(reading.text(argument) for argument in node.children[1:])
        reading.add(name, node, f"{method}({shown})", reading.text(owner))


def _written(target: Node) -> str:
    whole = target.name if target.kind != "subscript" else target.children[0].name
    if _GRAD.search(whole):
        return "grad.write"
    return "param.write" if _PARAM.search(whole) else ""


def _assigned(reading: Reading, node: Node) -> None:
    operator = f"{node.value}=" if node.kind == "augassign" else "="
    for target in node.children[:-1]:
        plain_name = target.kind == "name" and node.kind == "assign"
        if plain_name or target.kind not in ("attribute", "subscript", "name"):
            continue
        name = _written(target)
        if name and not _is_layer(target, node):
            reading.add(name, node, f"{operator} {reading.value(node.children[-1])}", reading.text(target))


def _is_layer(target: Node, node: Node) -> bool:
    """``self.weight = nn.Parameter(...)`` declares a parameter, ``batch.data = x`` writes no parameter."""
    value = node.children[-1]
    declared = value.kind == "call" and value.function.name.endswith(
        ("Parameter", "param", "Variable", "Module")
    )
    return declared or (
        target.kind == "attribute" and target.value in ("weight", "bias") and node.kind == "assign"
    )


# -- detaching


def _detach(reading: Reading, call: Call) -> None:
    subject = call.owner if call.last.startswith("detach") else None
    subject = subject or (call.positional[0] if call.positional else call.owner)
    reading.add("detach", call.node, call.last, reading.text(subject) if subject is not None else "")


EXTRACTOR = Extractor(
    name="gradients",
    facts=(
        FactKind(
            "clip.max_norm", "bound on the norm of the gradients; subject: the function or keyword", "number"
        ),
        FactKind("clip.value", "bound on each gradient; subject: the function or keyword", "number"),
        FactKind("clip.params", "which parameters' gradients are clipped"),
        FactKind("clip.norm_type", "which norm is clipped", "number"),
        FactKind("clip.option", "another option of clipping; subject: which"),
        FactKind(
            "grad.hook", "a hook that sees or changes gradients; subject: on what", "call", watched=True
        ),
        FactKind("hook.forward", "a hook on the forward pass; subject: on what", "call"),
        FactKind(
            "grad.custom",
            "a function with a gradient of its own (autograd.Function, custom_vjp)",
            "dotted name",
        ),
        FactKind(
            "grad.write",
            "a gradient is written directly; subject: of what",
            "method or operator",
            watched=True,
        ),
        FactKind(
            "param.write",
            "a parameter is written outside the optimizer; subject: which",
            "method or operator",
            watched=True,
        ),
        FactKind(
            "detach",
            "gradients stop here (detach, stop_gradient); subject: of what",
            "function",
            watched=True,
        ),
    ),
    calls={
        **{name: _clip for name in _CLIP_ORDER if name not in ("clip", "clip_by_block_rms")},
        **every("clip clip_by_block_rms", _optax_clip),
        **every(
            "register_hook register_full_backward_hook register_backward_hook register_full_backward_pre_hook"
            " register_post_accumulate_grad_hook register_multi_grad_hook register_module_full_backward_hook"
            " register_forward_hook register_forward_pre_hook register_module_forward_hook"
            " register_optimizer_step_pre_hook register_optimizer_step_post_hook register_step_pre_hook"
            " register_step_post_hook",
            _hook,
        ),
        **every("detach detach_ stop_gradient", _detach),
    },
    kinds={
        "call": _in_place,
        "keyword": _keyword,
        "assign": _assigned,
        "augassign": _assigned,
        "bases": _class,
        "decorator": _decorator,
    },
)
