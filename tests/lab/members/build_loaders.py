import random

import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler, random_split


def seed_worker(worker_id):
    worker_seed = torch.initial_seed() % 2**32
    np.random.seed(worker_seed + worker_id)
    random.seed(worker_seed)


def build_loaders(dataset, args, seed=None):
    if seed is not None:
        torch.manual_seed(seed)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    n_val = int(0.1 * len(dataset))
    split = torch.Generator().manual_seed(args.seed)
    train_set, val_set = random_split(dataset, [len(dataset) - n_val, n_val], generator=split)
    weights = np.array([args.weights[c] for c in dataset.targets])
    weights = weights / weights.sum()
    sampler = WeightedRandomSampler(weights, len(weights)) if args.balanced else RandomSampler(train_set)
    train_loader = DataLoader(
        train_set, batch_size=args.batch_size, sampler=sampler, worker_init_fn=seed_worker
    )
    val_loader = DataLoader(val_set, batch_size=args.batch_size, shuffle=False)
    return train_loader, val_loader
