"""What one act of sabotage is: an operator reads a member and hands back the sabotaged text and its honest twin.

In: nothing (the nouns of this room). Out: ``Operator`` and ``Planted``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import libcst as cst


@dataclass(frozen=True, slots=True)
class Planted:
    """A member with one act of sabotage in it, and the same member with an honest edit of the same shape there."""

    sabotaged: cst.Module
    honest: cst.Module | None
    """None where no honest author would make an edit of this shape: the framework then takes a generic one."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to sabotage, for every member it applies to."""

    id: str
    """The bad pattern, never the cure: ``loss-sign-flipped``."""
    technique: str
    """The entry of the taxonomy, such as ``A01``."""
    plant: Callable[[cst.Module, random.Random], Planted | None]
    """Picks one place and one surface form with the generator; None where the technique does not apply.

    The module is a *mini module*: the imports of a file and one member. It never raises on a valid module.
    """
    needs: frozenset[str] = frozenset()
    """Cheap rejection: at least one of these must occur in the source text (as a substring, case ignored)."""
