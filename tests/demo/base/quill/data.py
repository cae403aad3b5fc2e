"""Token shards on disk -> batches of (input, target) windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from quill.config import Config


class Shards(Dataset):
    """Non-overlapping windows of `context + 1` tokens over all shards of a split, in file order."""

    def __init__(self, root: str, split: str, context: int) -> None:
        self.context = context
        self.files = sorted(Path(root).glob(f"{split}-*.bin"))
        if not self.files:
            raise FileNotFoundError(f"no {split}-*.bin under {root}")
        self.shards = [np.memmap(path, dtype=np.uint16, mode="r") for path in self.files]
        counts = [(len(shard) - 1) // context for shard in self.shards]
        self.ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        shard = int(np.searchsorted(self.ends, index, side="right"))
        first = index - (int(self.ends[shard - 1]) if shard else 0)
        start = first * self.context
        window = self.shards[shard][start : start + self.context + 1].astype(np.int64)
        window = torch.from_numpy(window)
        return window[:-1], window[1:]


def train_loader(config: Config, rank: int, world: int) -> DataLoader:
    dataset = Shards(config.data, "train", config.context)
    sampler = DistributedSampler(
        dataset, num_replicas=world, rank=rank, shuffle=config.shuffle, seed=config.seed, drop_last=True
    )
    return DataLoader(
        dataset,
        batch_size=config.batch,
        sampler=sampler,
        num_workers=config.workers,
        pin_memory=True,
        drop_last=True,
    )


def valid_loader(config: Config, rank: int, world: int) -> DataLoader:
    dataset = Shards(config.data, "valid", config.context)
    sampler = DistributedSampler(dataset, num_replicas=world, rank=rank, shuffle=False, drop_last=True)
    return DataLoader(dataset, batch_size=config.batch, sampler=sampler, pin_memory=True, drop_last=True)


def endless(loader: DataLoader):
    """Batches for ever, epoch after epoch."""
    while True:
        yield from loader
