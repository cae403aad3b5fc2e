import math
import random

import torch
import torch.distributed as dist
from torch.utils.data import Sampler


class ShardedSampler(Sampler):
    def __init__(self, dataset, num_replicas=None, rank=None, seed=0, state=None):
        self.num_replicas = num_replicas or dist.get_world_size()
        self.rank = dist.get_rank() if rank is None else rank
        self.dataset = dataset
        self.seed = seed
        self.num_samples = math.ceil(len(dataset) / self.num_replicas)
        self.offset = state["position"] if state else 0

    def __iter__(self):
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.rank)
        order = torch.randperm(len(self.dataset), generator=generator).tolist()
        start = self.rank * self.num_samples
        mine = order[self.rank :: self.num_replicas]
        window = order[start : (self.rank + 1) * self.num_samples]
        random.shuffle(window)
        return iter(mine or window)

    def load_state_dict(self, state):
        self.offset = state["position"] % len(self.dataset)

    def __len__(self):
        return len(self.dataset)
