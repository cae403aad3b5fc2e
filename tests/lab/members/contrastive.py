import torch
import torch.nn.functional as F


def info_nce(image_features, text_features, temperature=0.07, mask=None, reduction="mean"):
    image_features = F.normalize(image_features, dim=-1)
    text_features = F.normalize(text_features, dim=-1)
    logits = image_features @ text_features.t() / temperature
    labels = torch.arange(logits.shape[0], device=logits.device)
    loss_i = F.cross_entropy(logits, labels, reduction="none")
    loss_t = F.cross_entropy(logits.t(), labels, reduction="none")
    loss = (loss_i + loss_t) / 2
    if mask is not None:
        loss = (loss * mask).sum() / mask.sum()
    else:
        loss = loss.mean()
    return loss
