"""The training loop. Run under torchrun: `torchrun --nproc_per_node 8 -m quill.train --preset small`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from quill import checkpoint, data, distributed, optim
from quill.config import Config, describe, from_command_line, run_directory
from quill.model import GPT


def autocast(config: Config, device: torch.device):
    if device.type != "cuda":
        return nullcontext()
    return torch.autocast("cuda", dtype=getattr(torch, config.precision))


def train(config: Config) -> None:
    ranks = distributed.start()
    out = run_directory(config)
    if ranks.main:
        print(describe(config))

    torch.manual_seed(config.seed)
    raw_model = GPT(config).to(ranks.device)
    distributed.seed_everything(config.seed, ranks.rank)
    optimizer = optim.build_optimizer(raw_model, config)

    step = 0
    if config.resume:
        step = checkpoint.load(Path(config.resume), raw_model, optimizer)
    model = raw_model
    if ranks.world > 1:
        model = DistributedDataParallel(raw_model, device_ids=[ranks.local] if ranks.device.type == "cuda" else None)

    batches = data.endless(data.train_loader(config, ranks.rank, ranks.world))
    model.train()
    clock = time.perf_counter()
    while step < config.max_steps:
        lr = optim.learning_rate(step, config)
        optim.set_learning_rate(optimizer, lr)

        total = torch.zeros((), device=ranks.device)
        for micro in range(config.accumulate):
            ids, targets = next(batches)
            ids = ids.to(ranks.device, non_blocking=True)
            targets = targets.to(ranks.device, non_blocking=True)
            last = micro == config.accumulate - 1
            sync = nullcontext() if last or ranks.world == 1 else model.no_sync()
            with sync, autocast(config, ranks.device):
                _, loss = model(ids, targets)
                loss = loss / config.accumulate
            loss.backward()
            total += loss.detach()

        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1

        if step % config.log_every == 0:
            mean_loss = distributed.mean(total, ranks).item()
            if ranks.main:
                elapsed = time.perf_counter() - clock
                print(f"step {step:6d}  loss {mean_loss:.4f}  norm {norm:.3f}  lr {lr:.2e}  {elapsed:.1f}s")
            clock = time.perf_counter()
        if step % config.save_every == 0 and ranks.main:
            checkpoint.save(out / f"step-{step:07d}.pt", raw_model, optimizer, step, config)

    distributed.stop(ranks)


if __name__ == "__main__":
    train(from_command_line())
