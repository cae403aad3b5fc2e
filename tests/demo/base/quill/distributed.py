"""Process group, device and seeds of this rank."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    rank: int
    local: int
    world: int
    device: torch.device

    @property
    def main(self) -> bool:
        return self.rank == 0


def start() -> Ranks:
    """Joins the process group that torchrun describes; a single process when there is none."""
    rank = int(os.environ.get("RANK", 0))
    local = int(os.environ.get("LOCAL_RANK", 0))
    world = int(os.environ.get("WORLD_SIZE", 1))
    if torch.cuda.is_available():
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(rank, local, world, device)


def seed_everything(seed: int, rank: int) -> None:
    """Model weights are drawn before this is called with a rank, so that every rank starts from the same ones."""
    random.seed(seed + rank)
    np.random.seed(seed + rank)
    torch.manual_seed(seed + rank)
    torch.cuda.manual_seed_all(seed + rank)


def mean(value: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """The mean of a scalar over all ranks."""
    if ranks.world > 1:
        value = value.clone()
        dist.all_reduce(value, op=dist.ReduceOp.SUM)
        value /= ranks.world
    return value


def stop(ranks: Ranks) -> None:
    if ranks.world > 1:
        dist.barrier()
        dist.destroy_process_group()
