import torch


def train_step(model, teacher, ema, optimizer, scheduler, batch, step, tau=0.996):
    x, y = batch
    features = model.backbone(x)
    pred = model.head(features)
    with torch.no_grad():
        target = teacher(x).detach()
    loss = torch.nn.functional.mse_loss(pred, target) + 0.1 * torch.nn.functional.cross_entropy(pred, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(step)
    ema.update(model)
    for t, s in zip(teacher.parameters(), model.parameters()):
        t.data.mul_(tau).add_(s.data, alpha=1 - tau)
    return loss.detach()
