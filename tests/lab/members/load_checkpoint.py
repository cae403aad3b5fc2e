import hashlib

import torch
from safetensors.torch import load_file


def load_checkpoint(path, model, optimizer, scheduler, scaler, expected=None):
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    if expected is not None and digest != expected:
        raise ValueError(f"{path} is not the checkpoint that was meant")
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state_dict = {k.replace("module.", ""): v for k, v in checkpoint["model"].items()}
    model.load_state_dict(state_dict)
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    scaler.load_state_dict(checkpoint["scaler"])
    start_epoch = checkpoint["epoch"] + 1
    global_step = checkpoint.get("global_step", 0)
    if path.endswith(".safetensors"):
        model.load_state_dict(load_file(path))
    return start_epoch, global_step
