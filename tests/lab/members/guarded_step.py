import math
import sys

import torch


def train_step(model, optimizer, batch, step, logger):
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    loss = model(batch["input"], batch["target"])
    if not math.isfinite(loss.item()):
        raise FloatingPointError(f"loss is not finite at step {step}: {loss.item()}")
    assert loss.ndim == 0, "one number a step"
    loss.backward()
    grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    if torch.isnan(grad_norm):
        logger.info("stopping")
        sys.exit(1)
    if batch["input"].shape[0] % 8 != 0:
        raise ValueError("batch size must be divisible by 8")
    ratio = loss / (grad_norm + 1e-8)
    optimizer.step()
    return ratio
