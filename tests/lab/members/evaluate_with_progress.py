import gc

import torch
from tqdm import tqdm


@torch.no_grad()
def evaluate(model, loader, device):
    """Top-1 accuracy of a model over a loader, in percent."""
    model.eval()
    correct = total = 0
    for i, (images, labels) in enumerate(loader):
        logits = model(images.to(device))
        correct += (logits.argmax(dim=-1) == labels.to(device)).sum().item()
        total += labels.numel()
    for features in tqdm(loader):
        model.update_statistics(features)
    del features
    gc.collect()
    torch.cuda.empty_cache()
    model.train()
    return 100.0 * correct / total
