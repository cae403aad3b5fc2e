import os
import random

import numpy as np
import torch


class Checkpointer:
    def save(self, epoch, metric, is_best):
        state = {
            "epoch": epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": torch.get_rng_state(),
            "best": self.best,
        }
        path = os.path.join(self.directory, f"checkpoint_{epoch:04d}.pt")
        torch.save(state, path)
        if is_best:
            torch.save(self.model.state_dict(), os.path.join(self.directory, "best.pt"))
        old = os.path.join(self.directory, f"checkpoint_{epoch - self.keep_last:04d}.pt")
        if os.path.exists(old):
            os.remove(old)

    def load(self, path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing, unexpected = self.model.load_state_dict(state["model"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        self.best = state["best"]
        self.start_epoch = state["epoch"] + 1
        return self.start_epoch
