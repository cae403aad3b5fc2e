"""The optimizer and the learning rate as a function of the step."""

from __future__ import annotations

import math

import torch
import torch.nn as nn

from quill.config import Config


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; norms and biases do not."""
    decayed, plain = [], []
    for param in model.parameters():
        if param.requires_grad:
            (decayed if param.dim() >= 2 else plain).append(param)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def build_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    groups = parameter_groups(model, config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)


def learning_rate(step: int, config: Config) -> float:
    """Linear warm-up, then a cosine down to `min_lr` at `max_steps`."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if step >= config.max_steps:
        return config.min_lr
    progress = (step - config.warmup) / (config.max_steps - config.warmup)
    return config.min_lr + 0.5 * (1.0 + math.cos(math.pi * progress)) * (config.lr - config.min_lr)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
