"""What the classifier is trained for: losses over a batch, and the two games of pre-training (PyTorch)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainwarden.lab.dataset import HOT, UNKNOWN, Batch
from trainwarden.lab.network import Classifier
from trainwarden.score.features import MASK, SPECIAL

_MASKED, _MASKED_EDITED = 0.12, 0.25
_PAIRS, _LINES, _FAMILY = 0.7, 0.4, 0.15
_UNTOLD = 0.25
"""The share of units whose signals are hidden while training."""


class Guesser(nn.Module):
    """Heads for pre-training, thrown away afterwards: the hidden token, and which way the change went."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        width = classifier.shape.width
        self.shape = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(classifier.shape.vocabulary))
        self.way = nn.Linear(2 * width, 1)


def pretraining_loss(model: Classifier, guesser: Guesser, batch: Batch, rng: torch.Generator) -> Tensor:
    """Masked tokens, most of them in edits (Devlin et al. 2019), and whether both sides were exchanged.

    The signals say what was added and removed, so they are left out. ``rng`` lives on the batch's device.
    """
    device = batch.ids.device
    turned = torch.rand(len(batch.label), generator=rng, device=device) < 0.5
    tags = _turn(batch.tags, turned)
    chance = torch.rand(batch.ids.shape, generator=rng, device=device)
    plain = batch.ids >= len(SPECIAL)
    hidden = plain & (chance < torch.where(tags > 1, _MASKED_EDITED, _MASKED))
    ids = torch.where(hidden, MASK, batch.ids)
    x = model.encoder(ids, tags, torch.zeros_like(batch.signals))
    guess = guesser.norm(functional.gelu(guesser.shape(x[hidden])))
    logits = functional.linear(guess, model.encoder.tokens.weight, guesser.bias)
    words = functional.cross_entropy(logits.float(), batch.ids[hidden])
    edited = (tags > 1).to(x.dtype).unsqueeze(-1)
    mean = (x * edited).sum(1) / (edited.sum(1) + 1e-4)
    way = guesser.way(torch.cat([x[:, 0], mean], -1)).squeeze(-1).float()
    return words + functional.binary_cross_entropy_with_logits(way, turned.float())


def _turn(tags: Tensor, turned: Tensor) -> Tensor:
    """Exchanges removed (2) and added (3) in the units that are turned."""
    swapped = torch.where(tags == 2, 3, torch.where(tags == 3, 2, tags))
    return torch.where(turned.unsqueeze(1), swapped, tags)


def loss(model: nn.Module, batch: Batch, smoothing: float = 0.02) -> Tensor:
    """Risk by unit and between pairs, risk by line, family.

    Some units lose their signals: the classifier must read, not look up.
    """
    told = torch.rand(len(batch.label), 1, device=batch.signals.device) >= _UNTOLD
    risk, family, lines = model(batch.ids, batch.tags, batch.signals * told)
    risk, family, lines = risk.float(), family.float(), lines.float()
    target = batch.label.float() * (1 - 2 * smoothing) + smoothing
    total = functional.binary_cross_entropy_with_logits(risk, target)
    total = total + _PAIRS * _ranking(risk, batch)
    weighed = ((batch.tags > 1) & (batch.hot != UNKNOWN)).float()
    by_line = functional.binary_cross_entropy_with_logits(
        lines, (batch.hot == HOT).float(), weighed, reduction="sum"
    )
    total = total + _LINES * by_line / weighed.sum().clamp(min=1)
    known = (batch.family >= 0).float()
    by_family = functional.cross_entropy(family, batch.family.clamp(min=0), reduction="none")
    return total + _FAMILY * (by_family * known).sum() / known.sum().clamp(min=1)


def _ranking(risk: Tensor, batch: Batch) -> Tensor:
    """Sabotage above the honest edits of its own pair, which differ in little else."""
    same = batch.pair.unsqueeze(0) == batch.pair.unsqueeze(1)
    above = same & (batch.label.unsqueeze(1) > batch.label.unsqueeze(0))
    gaps = risk.unsqueeze(1) - risk.unsqueeze(0)
    return (functional.softplus(-gaps) * above).sum() / above.sum().clamp(min=1)
