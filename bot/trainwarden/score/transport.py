"""What a client of an inference server can do, and how it fails. Types only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainwarden.model import Unfinished


class Failure(Unfinished):
    """A server did not give an answer that can be used. ``again``: whether asking once more may help."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of an answer, flattened row by row."""

    datatype: str
    shape: tuple[int, ...]
    data: Sequence[float]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a server says of a model: its versions (may be empty), and the data type of each input and output."""

    versions: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class Transport(Protocol):
    """One connection to one model on one server. Every call raises ``Failure``, or ``Misuse`` for a wrong choice."""

    def metadata(self, seconds: float) -> Metadata:
        """Asks what is served, within so many seconds."""

    def infer(
        self, tensors: Mapping[str, Sequence[Sequence[int]]], request_id: str, seconds: float
    ) -> Mapping[str, Tensor]:
        """Runs int64 matrices through the model and returns the output tensors by name."""

    def close(self) -> None:
        """Hangs up. Idempotent."""
