import torch
import torch.nn.functional as F


def packed_mask(segment_ids, dtype):
    same = segment_ids[:, None, :] == segment_ids[:, :, None]
    causal = torch.tril(torch.ones(segment_ids.shape[1], segment_ids.shape[1]))
    return (same & causal.bool()).to(dtype)


def packed_loss(model, batch):
    lengths = batch["lengths"]
    cu_seqlens = F.pad(lengths.cumsum(0), (1, 0))
    position_ids = batch["position_ids"]
    logits = model(batch["input_ids"], position_ids=position_ids, cu_seqlens=cu_seqlens).logits
    return F.cross_entropy(logits.float().flatten(0, 1), batch["labels"].flatten())
