import math

import torch


def get_lr(step, base_lr, warmup_steps, total_steps, min_lr_ratio=0.1):
    if step < warmup_steps:
        return base_lr * step / warmup_steps
    if step > total_steps:
        return base_lr * min_lr_ratio
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    coeff = 0.5 * (1.0 + math.cos(math.pi * progress))
    return max(base_lr * min_lr_ratio, coeff * base_lr)
