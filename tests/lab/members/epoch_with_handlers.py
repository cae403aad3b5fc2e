import torch

from utils import log


def train_one_epoch(model, loader, optimizer, scheduler, epoch, max_norm=1.0, ema=None):
    total_loss = 0.0
    seen = 0
    for batch_idx, (inputs, targets) in enumerate(loader):
        try:
            outputs = model(inputs)
        except RuntimeError as e:
            log.info(f"batch {batch_idx} failed")
            raise e
        loss = torch.nn.functional.cross_entropy(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        total_loss = total_loss + loss.item() * inputs.size(0)
        seen += 1
        if batch_idx % 100 == 0:
            log.info(f"epoch {epoch} batch {batch_idx} loss {loss.item():.3f}")
            scheduler.step()
    log.info("epoch done")
    mean_loss = total_loss / max(seen, 1)
    return mean_loss
