import torch
import torch.nn as nn
import torch.nn.functional as F


def train_one_epoch(model, loader, optimizer, scheduler, device, epoch, log_every=50):
    model.train()
    criterion = nn.CrossEntropyLoss()
    total_loss = 0.0
    correct = 0
    for step, (images, labels) in enumerate(loader):
        images = images.to(device)
        labels = labels.to(device)
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        total_loss += loss.item()
        correct += (logits.argmax(dim=1) == labels).sum().item()
        if step % log_every == 0:
            print(f"epoch {epoch} step {step} loss {loss.item():.4f}")
    return total_loss / len(loader), correct / len(loader.dataset)
