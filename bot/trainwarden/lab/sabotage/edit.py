"""What one honest edit is, and how a place for an edit is picked near another one.

In: nothing (the nouns of honest edits). Out: ``HonestEdit`` and ``Pick``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import libcst as cst

from trainwarden.lab.sabotage.surgery import N, Tree

SHAPES = ("deletion", "insertion", "literal", "guard", "swap", "move")
"""What an edit looks like in a diff, whatever it means."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A chooser of places: anywhere, or near a node."""

    tree: Tree
    rng: random.Random
    near: cst.CSTNode | None = None

    def __call__(self, among: Sequence[N]) -> N | None:
        """One of the nodes, one of the three nearest where a place is told; None if there is none."""
        if not among:
            return None
        if self.near is None:
            return self.rng.choice(among)
        here = self.tree.position(self.near)
        by_distance = sorted(among, key=lambda node: abs(self.tree.position(node) - here))
        return self.rng.choice(by_distance[:3])


@dataclass(frozen=True, slots=True)
class HonestEdit:
    """An edit an honest author would make: the training stays as it is, or changes in a plain, legitimate way."""

    id: str
    shape: str
    """One of ``SHAPES``."""
    edit: Callable[[Pick], cst.Module | None]
    """None where there is no place for it."""
