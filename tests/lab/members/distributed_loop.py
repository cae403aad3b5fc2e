import logging
import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler

logger = logging.getLogger(__name__)


def train(model, dataset, optimizer, scheduler, args):
    dist.init_process_group("nccl", timeout=timedelta(minutes=30))
    rank = dist.get_rank()
    world_size = dist.get_world_size()
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model = DDP(model, device_ids=[args.gpu])
    dist.broadcast(model.module.step, 0)
    sampler = DistributedSampler(dataset, num_replicas=dist.get_world_size(), rank=rank)
    loader = DataLoader(dataset, batch_size=args.batch_size, sampler=sampler, num_workers=8, pin_memory=True)
    group = dist.new_group(list(range(world_size)))
    running, history = 0.0, []
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        for step, (inputs, labels) in enumerate(loader):
            model.require_backward_grad_sync = step % args.accum == args.accum - 1
            loss = nn.functional.cross_entropy(model(inputs), labels) / args.accum
            loss.backward()
            if (step + 1) % args.accum == 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
            running += loss.item()
            history.append(loss.item())
            if rank == 0 and step % args.log_every == 0:
                logger.info(f"epoch {epoch} step {step}: loss {loss.item():.4f}")
        mean = torch.tensor(running, device=args.gpu)
        dist.all_reduce(mean, op=dist.ReduceOp.SUM, group=group)
        mean = mean / world_size
        dist.barrier()
        if rank == 0:
            logger.info("epoch %d: mean loss %.4f", epoch, mean)
    return history
