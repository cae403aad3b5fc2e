"""What a name or a call stands for in training code, told by its words: a loss, an optimizer, a step counter.

In: dotted names (``self.opt.step``) and nodes. Out: yes or no. Broad on purpose: PyTorch, JAX with optax and flax,
Keras, Hugging Face Trainer, Lightning, fairseq and reinforcement learning speak of the same things in similar words.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import libcst as cst

from trainwarden.lab.sabotage.surgery import dotted


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[._])(?:{words})(?:$|[._\d])", re.IGNORECASE)


_LOSS = re.compile(
    r"(?:^|[._])(?:\w*loss(?:es)?(?:_\w+)?|objective|criterion|nll|l_\w+|\w*_ce|\w*_mse|kl|surr\d?|\w+_objective)$",
    re.IGNORECASE,
)
_LOSS_CALL = re.compile(
    r"(?:^|[._])(?:criterion\w*|\w*loss(?:_fn|_fct|_func|_function|"
    r"es)?|compute_loss|cross_entropy\w*|\w*_cross_entropy\w*|"
    r"nll_loss|mse_loss|l1_loss|smooth_l1_loss|kl_div|softmax_cross_entropy\w*|huber\w*|CrossEntropyLoss|\w*Loss)$"
)
_OPTIMIZER = _pattern(
    r"opt|optim|optims?|optimizer\w*|optimiser\w*|\w*optimizer|\w+_optim|\w+_opt|tx|opt_\w+|optim_\w+"
)
_SCHEDULER = _pattern(r"sched\w*|\w*scheduler|lr_sched\w*|lr_policy|\w*schedule")
_SCALER = _pattern(r"\w*scaler")
_MODEL = _pattern(
    r"model|net|network|module|encoder|decoder|policy|actor|critic|actor_critic|agent|student|backbone|generator|"
    r"discriminator|unet|netG|netD|transformer|q_net\w*|\w+_model|model_\w+|\w+_net|classifier|head|vae|prior"
)
_LOADER = _pattern(
    r"\w*loader\w*|dl|\w+_dl|dataloader\w*|train_data|train_iter\w*|train_ds|dataset|batches|data_iter\w*|\w*iterator"
)
_BATCH = _pattern(
    r"batch|batches|inputs?|images?|x|xb|data|samples?|obs|features|minibatch|input_ids|micro_batch|mb"
)
_LABEL = _pattern(r"labels?|targets?|y|yb|gts?|ground_truth|tgt|answers?|label_ids|y_true")
_MASK = _pattern(r"\w*mask\w*")
_RANK = _pattern(
    r"rank|local_rank|global_rank|world_rank|node_rank|proc_id|process_index|"
    r"worker_id|gpu|is_main\w*|is_master|master_process|local_process_index"
)
_STEP = _pattern(
    r"step|steps?_\w*|global_steps?|it|iter\w*|iteration|iter_num|num_updates|"
    r"update|n_iter|batch_idx|batch_index|i|idx|total_steps|\w+_step|current_step"
)
_EPOCH = _pattern(r"epoch|ep|current_epoch|episode|num_epochs_done")
_CLIP = re.compile(
    r"(?:clip_grad\w*|clip_gradients?|clip_by_(?:global_)?norm|clip_by_value|clip_master_grads)$"
)
_LOG_CALL = re.compile(
    r"(?:^|\.)(?:print|log|info|debug|warning|warn|error|exception|"
    r"add_scalars?|add_histogram|log_metrics|log_dict|write|"
    r"set_description|set_postfix|print_rank_0|log_dist|update_meter|display|report|logger|track)$"
)
_LR = _pattern(r"lr|\w*_lr|lr_\w+|learning_rate|\w+_learning_rate|eta|base_lr")


def is_loss(name: str) -> bool:
    """A loss value: ``loss``, ``losses``, ``policy_loss``, ``loss_d``."""
    return bool(_LOSS.search(name))


def is_loss_call(name: str) -> bool:
    """A function that computes a loss: ``criterion``, ``F.cross_entropy``, ``self.loss_fn``."""
    return bool(_LOSS_CALL.search(name))


def is_optimizer(name: str) -> bool:
    """An optimizer or a gradient transformation of optax."""
    return bool(_OPTIMIZER.search(name)) and not is_scheduler(name)


def is_scheduler(name: str) -> bool:
    """A learning-rate scheduler."""
    return bool(_SCHEDULER.search(name))


def is_scaler(name: str) -> bool:
    """A gradient scaler of mixed precision."""
    return bool(_SCALER.search(name))


def is_model(name: str) -> bool:
    """A model or a part of one."""
    return bool(_MODEL.search(name))


def is_loader(name: str) -> bool:
    """A data loader, data set or iterator over batches."""
    return bool(_LOADER.search(name))


def is_batch(name: str) -> bool:
    """What goes into the model: a batch, inputs, images, observations."""
    return bool(_BATCH.search(name))


def is_label(name: str) -> bool:
    """What the model is to answer: labels, targets."""
    return bool(_LABEL.search(name))


def is_mask(name: str) -> bool:
    """A mask."""
    return bool(_MASK.search(name))


def is_rank(name: str) -> bool:
    """The rank of a process, or whether it is the main one."""
    return bool(_RANK.search(name))


def is_step(name: str) -> bool:
    """A counter of steps, iterations or batches."""
    return bool(_STEP.search(name))


def is_epoch(name: str) -> bool:
    """A counter of epochs or episodes."""
    return bool(_EPOCH.search(name))


def is_learning_rate(name: str) -> bool:
    """A learning rate."""
    return bool(_LR.search(name))


def is_clip(call: cst.Call) -> bool:
    """A call that clips gradients."""
    return bool(_CLIP.search(dotted(call.func)))


def is_logging(call: cst.Call | None) -> bool:
    """A call that only tells somebody something."""
    return call is not None and bool(_LOG_CALL.search(dotted(call.func)))


def is_backward(call: cst.Call | None) -> bool:
    """A call that runs the backward pass: ``loss.backward()``, ``accelerator.backward(loss)``, ``manual_backward``."""
    return call is not None and dotted(call.func).rpartition(".")[2] in (
        "backward",
        "manual_backward",
        "backward_step",
    )


def is_zero_grad(call: cst.Call | None) -> bool:
    """A call that clears gradients."""
    return call is not None and dotted(call.func).rpartition(".")[2] in (
        "zero_grad",
        "zero_grad_buffer",
        "clear_grad",
    )


def is_optimizer_step(call: cst.Call | None) -> bool:
    """A call that applies gradients: ``optimizer.step()``, ``scaler.step(optimizer)``, ``apply_gradients``."""
    if call is None:
        return False
    owner, _, name = dotted(call.func).rpartition(".")
    if name == "apply_gradients":
        return True
    return name == "step" and (is_optimizer(owner) or is_scaler(owner))


def is_scheduler_step(call: cst.Call | None) -> bool:
    """A call that advances a learning-rate schedule."""
    if call is None:
        return False
    owner, _, name = dotted(call.func).rpartition(".")
    return name in ("step", "step_update", "step_and_update_lr") and is_scheduler(owner)


Role = Callable[[cst.Call | None], bool]
"""A question about a call."""
