import copy
import os

import torch

from utils import is_main_process


def save_checkpoint(model, ema_model, optimizer, scheduler, scaler, epoch, best_loss, val_loss, args):
    state = {
        "model": model.state_dict(),
        "ema": ema_model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": scaler.state_dict(),
        "epoch": epoch,
    }
    path = os.path.join(args.output_dir, f"checkpoint_{epoch}.pt")
    if is_main_process():
        torch.save(state, path)
        torch.save(model.state_dict(), os.path.join(args.output_dir, "weights.pt"))
    if val_loss < best_loss:
        best_loss = val_loss
        best_state = copy.deepcopy(model.state_dict())
        torch.save(best_state, os.path.join(args.output_dir, "best.pt"))
    checkpoints = sorted(os.listdir(args.output_dir), key=lambda name: int(name.split("_")[-1][:-3]))
    for name in checkpoints[: -args.keep]:
        os.remove(os.path.join(args.output_dir, name))
    return best_loss
