import itertools
import math

import numpy as np
import torch
from sklearn.metrics import f1_score


@torch.no_grad()
def evaluate(model, val_loader, train_loader, criterion, accelerator, args):
    model.eval()
    correct, total, total_loss = 0, 0, 0.0
    preds_all, labels_all = [], []
    for images, labels in val_loader:
        outputs = model(images)
        loss = criterion(outputs, labels)
        preds = outputs.argmax(dim=1)
        preds, labels = accelerator.gather_for_metrics((preds, labels))
        correct += (preds == labels).sum().item()
        total += labels.size(0)
        total_loss += loss.item()
        preds_all.extend(preds.tolist())
        labels_all.extend(labels.tolist())
    assert total > 0, "nothing was evaluated"
    accuracy = correct / total
    f1 = f1_score(labels_all, preds_all, average="macro")
    mean_loss = total_loss / len(val_loader)
    if not math.isfinite(mean_loss):
        raise ValueError(f"loss is {mean_loss}")
    model.train()
    print(f"accuracy {100 * accuracy:.2f} f1 {f1:.3f} perplexity {math.exp(mean_loss):.3f}")
    return accuracy
