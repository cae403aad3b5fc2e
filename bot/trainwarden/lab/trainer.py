"""Modules and batches in, trained modules out: optimizer, schedule, precision, averaged weights, checkpoints."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from trainwarden.lab.dataset import Batch

SAVE_EVERY = 250
_LOOK_EVERY = 25
"""Steps between looks at the loss; each waits for the device."""
_KEPT = 0.995
"""What the averaged weights keep of themselves each step of the second half (Polyak and Juditsky 1992)."""


class Trainer:
    """One phase of a run. A broken phase goes on from its checkpoint in ``out``."""

    def __init__(
        self, name: str, modules: nn.Module, steps: int, rate: float, decay: float, out: Path
    ) -> None:
        self._name, self._modules, self._steps, self._rate = name, modules, steps, rate
        self._file = out / f"{name}.checkpoint"
        decayed = [p for p in modules.parameters() if p.ndim > 1]
        plain = [p for p in modules.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
        on_gpu = next(modules.parameters()).is_cuda
        self._optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=on_gpu)
        self.averaged = AveragedModel(modules, multi_avg_fn=get_ema_multi_avg_fn(_KEPT))
        self.step = 0
        self.curve: list[tuple[int, float]] = []
        self._resume()

    def run(
        self,
        batches: Iterator[Sequence[Batch]],
        of_batches: Callable[..., Tensor],
        device: torch.device,
    ) -> None:
        """Trains to the last step. A loss that is not finite stops the run: it would spoil the rest."""
        if self.step >= self._steps:
            return
        for _ in range(self.step):
            next(batches)
        bar = tqdm(total=self._steps, initial=self.step, desc=self._name, mininterval=10, file=sys.stderr)
        total, average = torch.zeros((), device=device), math.nan
        while self.step < self._steps:
            total += self._one(next(batches), of_batches, device)
            if self.step % _LOOK_EVERY == 0 or self.step == self._steps:
                average = self._looked(total / ((self.step - 1) % _LOOK_EVERY + 1), average)
                total.zero_()
                bar.update(self.step - bar.n)
                bar.set_postfix(loss=f"{average:.3f}", refresh=False)
            if self.step % SAVE_EVERY == 0 or self.step == self._steps:
                self.curve.append((self.step, round(average, 4)))
                self._save()
        bar.close()

    def _one(
        self, batches: Sequence[Batch], of_batches: Callable[..., Tensor], device: torch.device
    ) -> Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * _schedule(self.step / self._steps)
        with torch.autocast(device.type, torch.bfloat16):
            value = of_batches(*(batch.to(device) for batch in batches))
        value.backward()
        nn.utils.clip_grad_norm_(self._modules.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if 2 * self.step <= self._steps:
            self.averaged.n_averaged.zero_()  # a copy, until half of the steps are done
        self.averaged.update_parameters(self._modules)
        self.step += 1
        return value.detach()

    def _looked(self, mean: Tensor, average: float) -> float:
        value = float(mean)
        if not math.isfinite(value):
            raise FloatingPointError(f"{self._name}: the loss is {value} before step {self.step}")
        return value if math.isnan(average) else 0.6 * average + 0.4 * value

    def _save(self) -> None:
        state = {
            "modules": self._modules.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = self._file.with_suffix(".partial")
        torch.save({**state, "step": self.step, "curve": self.curve}, partial)
        partial.rename(self._file)

    def _resume(self) -> None:
        if self._file.exists():
            state = torch.load(self._file, map_location="cpu", weights_only=True)
            self._modules.load_state_dict(state["modules"])
            self.averaged.load_state_dict(state["averaged"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self.curve = state["step"], [(int(a), float(b)) for a, b in state["curve"]]


def _schedule(done: float) -> float:
    """A short warm-up, then a half cosine down to a twentieth."""
    return min(done / 0.03, 1.0) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
