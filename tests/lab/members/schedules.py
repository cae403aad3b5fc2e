import math
from functools import partial

import torch


def make_schedules(optimizer, base_lrs, warmup_steps, max_steps, boundaries=None, history=None):
    if history is None:
        history = []
    schedules = []
    for index, base_lr in enumerate(base_lrs):
        schedules.append(lambda step, base_lr=base_lr: base_lr * min(1.0, step / max(1, warmup_steps)))
        for offset in range(3):
            history.append(base_lr * offset)
    total = max(warmup_steps, max_steps)
    cycles = math.ceil(total / max(1, warmup_steps))
    scale = 0.5 * total
    scale = scale / (cycles + 1e-8)
    lr_lambda = partial(min, scale)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, schedules), history, lr_lambda
