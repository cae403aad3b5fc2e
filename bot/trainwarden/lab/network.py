"""The classifier: a small encoder over a unit's tokens and tags, with its signals beside them (PyTorch).

In: ``ids`` and ``tags`` [batch, length], ``signals`` [batch, bag], all int64 with 0 for padding. Out: ``risk`` [batch],
a logit; ``family`` [batch, 15], logits (0 honest, 1 to 14 the taxonomy's letters); ``lines`` [batch, length], a logit a
token. Pre-normalised transformer blocks (Vaswani et al. 2017; Xiong et al. 2020); the signals enter as a bag, as in the
wide part of wide and deep models (Cheng et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainwarden.score.features import LONGEST

FAMILIES = 15


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the classifier. ``signals``: how many names there are, without the padding."""

    vocabulary: int
    signals: int
    width: int = 192
    depth: int = 4
    heads: int = 3
    inner: int = 576
    dropout: float = 0.1


class Block(nn.Module):
    """Self-attention and a two-layer network, each behind a normalisation and a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before = nn.LayerNorm(shape.width)
        self.mix = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.between = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, shape.inner)
        self.down = nn.Linear(shape.inner, shape.width)
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [batch, length, width]; bias [batch, 1, 1, length], added to the attention's logits."""
        batch, length, width = x.shape
        mixed = self.mix(self.before(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        x = x + self.drop(self.out(seen.transpose(1, 2).reshape(batch, length, width)))
        return x + self.drop(self.down(functional.gelu(self.up(self.between(x)))))


class Encoder(nn.Module):
    """Tokens, tags, places and signals to one vector a token; the first stands for the unit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width, padding_idx=0)
        self.tags = nn.Embedding(5, shape.width, padding_idx=0)
        self.places = nn.Embedding(LONGEST, shape.width)
        self.signals = nn.Embedding(shape.signals + 1, shape.width, padding_idx=0)
        self.drop = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.last = nn.LayerNorm(shape.width)
        for table in (self.tokens, self.tags, self.places, self.signals):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, ids: Tensor, tags: Tensor, signals: Tensor) -> Tensor:
        """[batch, length, width]."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.tokens(ids) + self.tags(tags) + self.places(places)
        told = (self.signals(signals) * (signals > 0).unsqueeze(-1)).sum(1, keepdim=True)
        first = (places == 0).to(x.dtype).view(1, -1, 1)
        x = self.drop(x + told * first)
        bias = ((ids == 0).to(x.dtype) * -1e4).view(ids.shape[0], 1, 1, ids.shape[1])
        for block in self.blocks:
            x = block(x, bias)
        hidden: Tensor = self.last(x)
        return hidden


class Classifier(nn.Module):
    """Risk, family and risk by token of a unit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.token = nn.Linear(shape.width, 1)
        self.pool = nn.Linear(3 * shape.width, shape.width)
        self.risk = nn.Linear(shape.width, 1)
        self.wide = nn.Embedding(shape.signals + 1, 1, padding_idx=0)
        self.family = nn.Linear(shape.width, FAMILIES)
        self.drop = nn.Dropout(shape.dropout)
        nn.init.zeros_(self.wide.weight)

    def forward(self, ids: Tensor, tags: Tensor, signals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """risk [batch], family [batch, 15], lines [batch, length]."""
        x = self.encoder(ids, tags, signals)
        lines = self.token(x).squeeze(-1)
        edited = (tags > 1).to(x.dtype)
        weight = (lines.clamp(-8, 8).exp() * edited).unsqueeze(-1)
        focus = (x * weight).sum(1) / (weight.sum(1) + 1e-4)
        mean = (x * edited.unsqueeze(-1)).sum(1) / (edited.sum(1, keepdim=True) + 1e-4)
        pooled = self.drop(functional.gelu(self.pool(torch.cat([x[:, 0], focus, mean], -1))))
        wide = (self.wide(signals).squeeze(-1) * (signals > 0)).sum(1)
        return self.risk(pooled).squeeze(-1) + wide, self.family(pooled), lines
