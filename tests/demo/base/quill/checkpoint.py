"""Everything a run needs to go on, in one file a save."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn as nn

from quill.config import Config


def save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, config: Config) -> None:
    """Writes beside the target and renames, so that a killed job leaves the old file whole."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": asdict(config),
        "rng": torch.get_rng_state(),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> int:
    """Restores model (and optimizer) in place and returns the step to go on from."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"], strict=True)
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
    return int(state["step"])


def latest(directory: Path) -> Path | None:
    """The checkpoint with the highest step, or None."""
    found = sorted(directory.glob("step-*.pt"))
    return found[-1] if found else None
