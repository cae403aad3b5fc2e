"""The steps of a training step, in the order in which they run: zero_grad, forward, backward, clip, step ...

Facts are named ``event.<what>``; subject is the object, value the call's arguments. Order, loop depth and
guards of these facts are what the order rules read.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import (
    Call,
    CallHandler,
    Extractor,
    FactKind,
    Reading,
    bare,
    every,
    tail,
    words,
)
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

_SCHEDULER = re.compile(
    r"sched|warmup|lr_?(policy|lambda|step|decay)|(step|exponential|cosine\w*|plateau|cycle|linear|lambda)lr\b"
    r"|reducelronplateau|cosineannealing|\.get_last_lr\(\)|\.get_lr\(\)"
)
_OPTIMIZER = re.compile(
    r"opti|adam|sgd|adagrad|rmsprop|lamb|lion|lars|adafactor|muon|\.zero_grad\(\)|\bopts?\b|opt_|_opt\b"
)
_SCALER = re.compile(r"scaler|\.unscale_\(\)")
_EMA = re.compile(
    r"(^|[\s_])(ema|swa|averager|polyak)($|[\s_\d])|modelema|emamodel|averagedmodel|movingaverage"
)
_OTHER_STEPS = re.compile(
    r"\benvs?\b|_envs?\b|env_|profil|\bprof\b|simulat|game|vec_?env|tqdm|\bbar\b|pipeline|sampler|diffus|noise|world|timer"
)
_ENGINE = re.compile(r"engine|accelerator|fabric|deepspeed|booster|\.backward\(\)")

_MODEL_WORDS = words(
    "model models net network module policy actor critic generator discriminator encoder decoder student"
    " teacher unet vae transformer backbone engine learner agent classifier predictor denoiser lm gpt bert"
    " llama dit autoencoder ddp task netg netd qnet reward_model ref_model"
)
_VERBS = words(
    "build create get load make init initialize setup save prepare wrap new find register from to convert"
    " merge export train eval evaluate test run freeze compile print log update fit sync count check parse"
    " resume restore"
)


def _event(what: str, told: bool = True) -> CallHandler:
    """A handler that records the event; ``told``: with the arguments, where no other fact tells them."""
    name = f"event.{what}"

    def handle(reading: Reading, call: Call) -> None:
        subject = reading.text(call.owner) if call.owner is not None else ""
        reading.add(name, call.node, reading.arguments(call) if told else "", subject)

    return handle


_ZERO, _BACKWARD, _UNSCALE = _event("zero_grad", told=False), _event("backward"), _event("unscale")
_CLIP, _STEP, _SCHEDULE = _event("clip", told=False), _event("step"), _event("scheduler_step")
_EMA_STEP, _SCALER_UPDATE, _REDUCE = _event("ema_step"), _event("scaler_update"), _event("all_reduce")
_SET_EPOCH, _FORWARD = _event("set_epoch"), _event("forward")


def _step(reading: Reading, call: Call) -> None:
    """``.step()`` of a scheduler, an optimizer, a gradient scaler, an average or an engine; of nothing else."""
    role = reading.role(call.owner)
    if _EMA.search(role) and not _OPTIMIZER.search(role):
        _EMA_STEP(reading, call)
    elif _SCHEDULER.search(role) and not role.startswith("optim"):
        _SCHEDULE(reading, call)
    elif (
        _OPTIMIZER.search(role)
        or _SCALER.search(role)
        or _ENGINE.search(role)
        or (call.owner is not None and not call.positional and not _OTHER_STEPS.search(role))
    ):
        _STEP(reading, call)


def _scheduler_step(reading: Reading, call: Call) -> None:
    if _SCHEDULER.search(reading.role(call.owner)):
        _SCHEDULE(reading, call)


def _update(reading: Reading, call: Call) -> None:
    """``.update()``: of a gradient scaler, a moving average, or an optax optimizer (gradients to updates)."""
    role = reading.role(call.owner)
    if _SCALER.search(role):
        _SCALER_UPDATE(reading, call)
    elif _EMA.search(role):
        _EMA_STEP(reading, call)
    elif (
        re.search(r"optax|optimi[sz]er|\btx\b|\boptim?\b", f"{role} {call.name}")
        and len(call.positional) >= 2
    ):
        reading.add("event.step", call.node, reading.arguments(call), reading.text(call.owner or call.node))


def _backward(reading: Reading, call: Call) -> None:
    if call.owner is not None or call.ends("autograd.backward", "backward_fn", "backward_step"):
        _BACKWARD(reading, call)


def _gradient(reading: Reading, call: Call) -> None:
    if (
        call.name.startswith(("jax.", "torch.autograd.", "flax.", "equinox.", "nnx."))
        or "tape" in call.name.lower()
    ):
        _BACKWARD(reading, call)


def _forward(reading: Reading, node: Node) -> None:
    """A call of a model object: ``model(x)``, ``self.net(x)``, ``self(batch)``, ``model.forward(x)``."""
    function = node.function
    if function.kind == "name":
        forward = _is_model_variable(reading, function)
    elif function.kind == "attribute":
        forward = _is_model_attribute(reading, function)
    else:
        forward = False
    if forward:
        shown = ", ".join(reading.value(argument) for argument in node.children[1:])
        reading.add("event.forward", node, shown, reading.text(function))


def _is_model_variable(reading: Reading, function: Node) -> bool:
    word = normal(function.value)
    if word == "self":
        return True
    scope = reading.scope
    if not (scope.is_local(word) or word in scope.parameters or scope.bindings(word)):
        return False
    hints = scope.hints(word).lower()
    if ".parameters()" in hints or (".zero_grad()" in hints and ".step()" not in hints):
        return True
    held = function.name if scope.is_local(word) else word
    return not held.endswith("[*]") and _names_a_model(tail(bare(held)))


def _is_model_attribute(reading: Reading, function: Node) -> bool:
    word = normal(function.value).lower()
    if word in ("forward", "apply_fn", "__call__", "training_step", "compute_loss"):
        return True
    owner = function.children[0]
    if word == "apply":
        return _names_a_model(tail(bare(owner.name)))
    return owner.name in ("self", "cls", "state", "trainer", "?.trainer") and _names_a_model(word)


def _names_a_model(word: str) -> bool:
    parts = [part for part in re.split(r"[_\d]+", word) if part]
    if not parts or parts[0] in _VERBS or word.startswith(("num_", "n_")):
        return False
    return (
        parts[-1] in _MODEL_WORDS
        or word in _MODEL_WORDS
        or (parts[0] == "model" and parts[-1] in ("engine", "ddp"))
    )


_MEANINGS = {
    "zero_grad": "gradients are cleared",
    "forward": "a model is called",
    "backward": "gradients are computed (backward, value_and_grad, tape.gradient)",
    "unscale": "gradients are divided by the loss scale before they are read",
    "clip": "gradients are clipped",
    "step": "the optimizer (or scaler, or engine) updates the parameters",
    "scheduler_step": "the learning-rate schedule advances",
    "ema_step": "a moving average of the weights is updated",
    "scaler_update": "the gradient scaler adapts its scale",
    "all_reduce": "values are summed over processes",
    "set_epoch": "the sampler is told the epoch, so that each epoch has its own order",
}

EXTRACTOR = Extractor(
    name="events",
    facts=(
        *(FactKind(f"event.{what}", words, "arguments", watched=True) for what, words in _MEANINGS.items()),
        FactKind(
            "when", "the conditions under which an event, write, freeze or save happens; subject: which"
        ),
    ),
    calls={
        **every("zero_grad clear_gradients clear_grad _zero_grad_fn zero_grad_fn optimizer_zero_grad", _ZERO),
        **every("backward manual_backward _backward_fn backward_fn backward_step", _backward),
        **every("grad value_and_grad gradient vjp", _gradient),
        **every("unscale_ unscale_gradients get_unscaled_gradients", _UNSCALE),
        **every(
            "clip_grad_norm_ clip_grad_norm clip_grad_value_ clip_gradients _clip_gradients clip_by_global_norm",
            _CLIP,
        ),
        **every("step", _step),
        **every("step_update lr_step step_epoch", _scheduler_step),
        **every("apply_gradients apply_updates optimizer_step", _STEP),
        **every("update update_parameters", _update),
        **every("ema_update update_ema step_ema ema_step update_average update_moving_average", _EMA_STEP),
        **every(
            "all_reduce allreduce all_reduce_gradients allreduce_gradients pmean psum reduce_gradients",
            _REDUCE,
        ),
        **every("set_epoch _set_sampler_epoch set_sampler_epoch _set_loader_epoch", _SET_EPOCH),
    },
    kinds={"call": _forward},
)
