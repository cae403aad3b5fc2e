"""Which code and which attacks are for learning, which for choosing, which only for measuring.

Repositories come with a split of their own (*choose* or *report*); of *choose*, a few are kept from training to fit
what stands on the model's scores (``tune``). Of attacks, whole families and a fifth of the other operators are held
out. What is held out is decided by hashes of names, so that nobody picked it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

Split = Literal["train", "tune", "report"]

HELD_OUT_FAMILIES = frozenset({"M", "G"})
"""The first two letters of the taxonomy by the sha256 of the letter."""
_OPERATORS_HELD_OUT = 0.2
_TUNE = 0.1


def share(name: str) -> float:
    """A number in [0, 1) that a name always gets."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8]) / 2**64


def split_of(repo: str, listed: Mapping[str, str]) -> Split:
    """The split of a repository (``owner/name``) by the corpus' own list. Raises ``KeyError`` for a stranger."""
    if listed[repo] == "report":
        return "report"
    return "tune" if share(repo) < _TUNE else "train"


def held_out(technique: str, operator: str = "") -> bool:
    """Whether an attack is kept for measuring: by its family, or by its operator."""
    return technique[:1] in HELD_OUT_FAMILIES or (operator != "" and share(operator) < _OPERATORS_HELD_OUT)
