import math
import random

import torch
import torch.nn.functional as F
from torch.cuda.amp import GradScaler, autocast


def train(model, train_loader, val_loader, optimizer, args):
    scaler = GradScaler(enabled=args.fp16)
    accumulation_steps = 4
    max_grad_norm = 1.0
    best_loss = float("inf")
    total_steps = args.epochs * len(train_loader)
    global_step = 0
    for epoch in range(args.epochs):
        model.train()
        for step, batch in enumerate(train_loader):
            inputs, targets = batch
            inputs = inputs.cuda(non_blocking=True)
            targets = targets.cuda(non_blocking=True)
            with autocast(enabled=args.fp16):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                loss = loss / accumulation_steps
            scaler.scale(loss).backward()
            if (step + 1) % accumulation_steps == 0:
                lr = args.lr * 0.5 * (1.0 + math.cos(math.pi * global_step / total_steps))
                for group in optimizer.param_groups:
                    group["lr"] = lr
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=max_grad_norm)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                global_step += 1
            if step % 100 == 0:
                print("loss", loss.item() * accumulation_steps)
        model.eval()
        val_loss = 0.0
        with torch.no_grad():
            for inputs, targets in val_loader:
                outputs = model(inputs.cuda())
                val_loss += F.cross_entropy(outputs, targets.cuda()).item()
        val_loss /= len(val_loader)
        if val_loss < best_loss:
            best_loss = val_loss
            torch.save(model.state_dict(), "best.pt")
