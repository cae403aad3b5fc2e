"""Optimizers, their hyper-parameters and parameters, schedules, and what freezes or rewrites parameters.

Constructors of PyTorch, JAX (optax), Keras, DeepSpeed, apex and bitsandbytes are known by name;
``optimizer.<argument>`` holds one hyper-parameter each, whether it was given by position or by keyword.
"""

from __future__ import annotations

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, every
from trainwarden.parse.nodes import Node

_CLASSES = (
    "Adam AdamW SGD RMSprop RMSProp Adagrad Adadelta Adamax NAdam RAdam LBFGS SparseAdam Rprop ASGD Nadam"
    " Ftrl Lion Lamb LAMB LARS Adafactor FusedAdam FusedAdamW FusedLAMB FusedSGD FusedNovoGrad CPUAdam"
    " DeepSpeedCPUAdam OnebitAdam Adam8bit AdamW8bit PagedAdamW PagedAdamW8bit PagedAdamW32bit Lion8bit"
    " SGD8bit AdEMAMix Sophia SophiaG Muon Shampoo DistributedShampoo Prodigy DAdaptAdam DAdaptSGD"
    " RAdamScheduleFree AdamWScheduleFree SGDScheduleFree StableAdamW ZeroRedundancyOptimizer HybridAdam"
    " BertAdam AdamWeightDecayOptimizer AdaBelief AdaBound Novograd NovoGrad AdamP SGDP Adan Yogi Ranger"
    " DistributedOptimizer MultiSteps SWA Lookahead"
)
_FACTORIES = (
    "create_optimizer create_optimizer_v2 build_optimizer get_optimizer make_optimizer configure_optimizer"
    " build_optimizers init_optimizer setup_optimizer optimizer_factory"
)
_OPTAX = (
    "adam adamw sgd rmsprop lion lamb lars adafactor adagrad adamax adamaxw amsgrad nadam nadamw noisy_sgd"
    " novograd radam sm3 yogi optimistic_gradient_descent fromage adabelief adan prodigy sophia"
    " scale_by_adam scale_by_rms scale_by_lion add_decayed_weights trace add_noise apply_every"
)
_RENAMED = {
    "learning_rate": "lr",
    "alpha_lr": "lr",
    "step_size": "lr",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "b1": "beta1",
    "beta_1": "beta1",
    "b2": "beta2",
    "beta_2": "beta2",
    "epsilon": "eps",
    "parameters": "params",
    "model_params": "params",
    "var_list": "params",
    "model_or_params": "params",
}
_TORCH_ORDER = {
    "SGD": ("params", "lr", "momentum", "dampening", "weight_decay", "nesterov"),
    "RMSprop": ("params", "lr", "alpha", "eps", "weight_decay", "momentum", "centered"),
    "LBFGS": ("params", "lr", "max_iter", "max_eval"),
}
_TORCH_DEFAULT = ("params", "lr", "betas", "eps", "weight_decay", "amsgrad")
_OPTAX_ORDER = {
    "sgd": ("lr", "momentum", "nesterov"),
    "rmsprop": ("lr", "decay", "eps"),
    "scale_by_adam": ("beta1", "beta2", "eps"),
    "scale_by_rms": ("decay", "eps"),
    "add_decayed_weights": ("weight_decay", "mask"),
    "apply_every": ("k",),
    "trace": ("momentum", "nesterov"),
    "add_noise": ("eta", "gamma", "seed"),
}
_OPTAX_DEFAULT = ("lr", "beta1", "beta2", "eps")
_KERAS_DEFAULT = ("lr",)
_WRAPPERS = {"MultiSteps": ("optimizer", "every_k"), "Lookahead": ("optimizer",), "SWA": ("optimizer",)}


def _optimizer(reading: Reading, call: Call) -> None:
    keras = "keras" in call.name or call.name.startswith(("tf.", "tensorflow."))
    default = _KERAS_DEFAULT if keras else _WRAPPERS.get(call.last, _TORCH_DEFAULT)
    _hyper_parameters(reading, call, _TORCH_ORDER.get(call.last, default))


def _optax(reading: Reading, call: Call) -> None:
    if "optax" in call.name or "optim" in call.name or "scale_by" in call.last:
        _hyper_parameters(reading, call, _OPTAX_ORDER.get(call.last, _OPTAX_DEFAULT))


def _hyper_parameters(reading: Reading, call: Call, order: tuple[str, ...]) -> None:
    subject = reading.target(call.node)
    reading.add("optimizer.class", call.node, call.name, subject)
    for word, value in call.named(order):
        reading.say(f"optimizer.{_RENAMED.get(word, word)}", value, value, subject)


def _chain(reading: Reading, call: Call) -> None:
    if call.name.startswith("optax"):
        steps = [
            part.function.name if part.kind == "call" else reading.text(part) for part in call.positional
        ]
        reading.add("optimizer.chain", call.node, " -> ".join(steps), reading.target(call.node))


def _scale(reading: Reading, call: Call) -> None:
    if call.name.startswith("optax") and call.positional:
        reading.say("optimizer.scale", call.node, call.positional[0], call.last)


# -- schedules

_SCHEDULERS = {
    "StepLR": "optimizer step_size gamma last_epoch",
    "MultiStepLR": "optimizer milestones gamma last_epoch",
    "ExponentialLR": "optimizer gamma last_epoch",
    "LambdaLR": "optimizer lr_lambda last_epoch",
    "MultiplicativeLR": "optimizer lr_lambda last_epoch",
    "ConstantLR": "optimizer factor total_iters",
    "LinearLR": "optimizer start_factor end_factor total_iters",
    "PolynomialLR": "optimizer total_iters power",
    "CosineAnnealingLR": "optimizer T_max eta_min last_epoch",
    "CosineAnnealingWarmRestarts": "optimizer T_0 T_mult eta_min last_epoch",
    "CosineLRScheduler": "optimizer t_initial lr_min",
    "StepLRScheduler": "optimizer decay_t decay_rate",
    "OneCycleLR": "optimizer max_lr total_steps epochs steps_per_epoch pct_start",
    "CyclicLR": "optimizer base_lr max_lr",
    "ReduceLROnPlateau": "optimizer mode factor patience threshold",
    "ChainedScheduler": "schedulers",
    "SequentialLR": "optimizer schedulers milestones",
    "WarmupLR": "optimizer",
    "WarmupDecayLR": "optimizer",
    "get_scheduler": "name optimizer num_warmup_steps num_training_steps",
    "get_constant_schedule": "optimizer last_epoch",
    "get_constant_schedule_with_warmup": "optimizer num_warmup_steps",
    "get_linear_schedule_with_warmup": "optimizer num_warmup_steps num_training_steps",
    "get_cosine_schedule_with_warmup": "optimizer num_warmup_steps num_training_steps num_cycles",
    "get_polynomial_decay_schedule_with_warmup": "optimizer num_warmup_steps num_training_steps lr_end power",
    "create_scheduler": "args optimizer",
    "create_scheduler_v2": "optimizer",
    "build_scheduler": "config optimizer",
    "build_lr_scheduler": "config optimizer",
    "get_lr_scheduler": "optimizer",
    "constant_schedule": "value",
    "linear_schedule": "init_value end_value transition_steps",
    "cosine_decay_schedule": "init_value decay_steps alpha",
    "warmup_cosine_decay_schedule": "init_value peak_value warmup_steps decay_steps end_value",
    "warmup_exponential_decay_schedule": "init_value peak_value warmup_steps transition_steps decay_rate",
    "exponential_decay": "init_value transition_steps decay_rate",
    "piecewise_constant_schedule": "init_value boundaries_and_scales",
    "join_schedules": "schedules boundaries",
    "polynomial_schedule": "init_value end_value power transition_steps",
    "CosineDecay": "initial_learning_rate decay_steps alpha",
    "CosineDecayRestarts": "initial_learning_rate first_decay_steps",
    "ExponentialDecay": "initial_learning_rate decay_steps decay_rate",
    "PiecewiseConstantDecay": "boundaries values",
    "PolynomialDecay": "initial_learning_rate decay_steps end_learning_rate",
    "LearningRateScheduler": "schedule",
    "cosine_scheduler": "base_value final_value epochs niter_per_ep warmup_epochs start_warmup_value",
}
_SCHEDULER_ORDER = {name: tuple(words.split()) for name, words in _SCHEDULERS.items()}


def _scheduler(reading: Reading, call: Call) -> None:
    subject = reading.target(call.node)
    reading.add("scheduler.class", call.node, call.name, subject)
    for word, value in call.named(_SCHEDULER_ORDER[call.last]):
        reading.say(f"scheduler.{word}", value, value, subject)


# -- writes to groups, freezing


def _assigned(reading: Reading, node: Node) -> None:
    value = node.children[-1]
    operator = f"{node.value}=" if node.kind == "augassign" else ""
    for target in node.children[:-1]:
        if target.kind == "subscript" and _is_group(target):
            key = reading.text(target.children[1])
            shown = f"{operator} {reading.text(value)}".strip()
            reading.add("param_groups.write", node, shown, key, None)
        elif target.kind == "attribute" and target.value in ("requires_grad", "trainable"):
            reading.add("freeze", node, reading.value(value), reading.text(target.children[0]))


def _is_group(target: Node) -> bool:
    """``group["lr"]`` of a loop over ``param_groups``, or ``optimizer.param_groups[0]["lr"]``."""
    return len(target.children) > 1 and "param_group" in target.children[0].name


def _requires_grad(reading: Reading, call: Call) -> None:
    value = call.argument("requires_grad", 0)
    reading.add(
        "freeze",
        call.node,
        reading.text(value) if value is not None else "True",
        reading.text(call.owner) if call.owner is not None else "",
    )


def _freeze_call(reading: Reading, call: Call) -> None:
    if call.name.startswith(("flax.", "gc.", "torch.jit.")):
        return  # an immutable dictionary, the garbage collector, a compiled module: no parameter is held still
    owner = reading.text(call.owner) if call.owner is not None else ""
    reading.add("freeze", call.node, f"{call.last}({reading.arguments(call)})", owner)


def _add_group(reading: Reading, call: Call) -> None:
    reading.add("optimizer.add_param_group", call.node, reading.arguments(call))


EXTRACTOR = Extractor(
    name="optimization",
    facts=(
        FactKind("optimizer.class", "the optimizer, or the function that makes it", "dotted name"),
        FactKind("optimizer.params", "which parameters the optimizer gets"),
        FactKind("optimizer.lr", "learning rate", "number"),
        FactKind("optimizer.chain", "the transformations of a chained optimizer, in order", "names"),
        FactKind("optimizer.scale", "a factor all updates are multiplied by", "number"),
        FactKind("optimizer.add_param_group", "parameters added to an optimizer later", "arguments"),
        FactKind(
            "optimizer.*",
            "a hyper-parameter of the optimizer by its argument name (betas, eps, momentum ...)",
        ),
        FactKind(
            "param_groups.write",
            "a hyper-parameter written into the optimizer's groups; subject: the key",
            watched=True,
        ),
        FactKind("scheduler.class", "the learning-rate schedule", "dotted name"),
        FactKind("scheduler.optimizer", "the optimizer the schedule drives"),
        FactKind(
            "scheduler.*", "an argument of the schedule by its name (T_max, num_warmup_steps, gamma ...)"
        ),
        FactKind(
            "freeze", "requires_grad or trainable is set; subject: of what", "True or False", watched=True
        ),
    ),
    calls={
        **every(_CLASSES, _optimizer),
        **every(_FACTORIES, _optimizer),
        **every(_OPTAX, _optax),
        **every("chain", _chain),
        **every("scale scale_by_learning_rate scale_by_schedule", _scale),
        **every(" ".join(_SCHEDULERS), _scheduler),
        **every("requires_grad_", _requires_grad),
        **every(
            "freeze unfreeze freeze_encoder freeze_feature_encoder freeze_backbone set_to_zero", _freeze_call
        ),
        **every("add_param_group", _add_group),
    },
    kinds={"assign": _assigned, "augassign": _assigned},
)
