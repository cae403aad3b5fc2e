import itertools

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR


def build_optimizer(model, critic, cfg):
    decay = [p for n, p in model.named_parameters() if p.dim() >= 2]
    no_decay = [p for n, p in model.named_parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
    base_lr = cfg.lr * cfg.batch_size / 256
    if cfg.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=base_lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
    elif cfg.optimizer == "adam":
        optimizer = torch.optim.Adam(itertools.chain(model.parameters(), critic.parameters()), lr=cfg.lr, eps=1e-8)
    else:
        optimizer = torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    scheduler = CosineAnnealingLR(optimizer, T_max=cfg.epochs, eta_min=1e-6)
    critic_scheduler = StepLR(critic_optimizer, step_size=30, gamma=0.1)
    return optimizer, critic_optimizer, scheduler, critic_scheduler
