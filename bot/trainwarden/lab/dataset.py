"""Labelled units in, tensors out: rows encoded once into flat arrays, and batches padded to what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainwarden.lab.rows import Row
from trainwarden.score.features import BAG, Encoder

COLD, HOT, UNKNOWN = 0, 1, 2
_VAGUE = frozenset({"mined", "undone", "undone-later"})
"""Groups whose sabotage is known by its commit only: which of its lines carry it is not."""
GROUPS = (
    "ordinary",
    "reversed",
    "mined",
    "planted",
    "twin",
    "sabotaged",
    "clean",
    "honest",
    "undone",
    "forward",
    "spoilt",
    "mended",
    "kept",
)
Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of some units: [batch, length] except ``signals`` [batch, bag]; ``label`` and ``family`` [batch].

    ``hot``: 1 where a token lies in a sabotaged statement, 2 where that is not known. ``family``: -1 unknown.
    """

    ids: Tensor
    tags: Tensor
    signals: Tensor
    hot: Tensor
    label: Tensor
    family: Tensor
    pair: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in Batch.__slots__))


class Dataset:
    """Encoded rows. ``meta`` keeps what measuring needs: group, repository, pair, technique, operator of each."""

    def __init__(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        self.arrays = arrays
        self.label: Array = arrays["label"].astype(np.int64)
        self.length: Array = np.asarray(np.diff(arrays["starts"].astype(np.int64)), np.int64)
        self.group: Array = arrays["group"].astype(np.int64)
        self.pair: Array = arrays["pair"].astype(np.int64)
        self.meta: npt.NDArray[np.str_] = arrays["meta"].astype(np.str_)
        """[rows, 4]: repository, pair, technique, operator."""

    def __len__(self) -> int:
        return len(self.label)

    def of(self, *groups: str) -> Array:
        """The indices of the rows of some groups."""
        wanted = [GROUPS.index(group) for group in groups]
        return np.flatnonzero(np.isin(self.group, wanted))

    def batch(self, chosen: Sequence[int] | Array) -> Batch:
        """Some rows as one batch, padded to a multiple of 32 tokens."""
        picked = np.asarray(chosen)
        length = int(-(-self.length[picked].max() // 32) * 32)
        plain = (
            *(self._padded(name, "starts", picked, length) for name in ("ids", "tags")),
            self._padded("signals", "bags", picked, BAG),
            self._padded("hot", "starts", picked, length),
            self.label[picked],
            self.arrays["family"][picked].astype(np.int64),
            self.pair[picked],
        )
        return Batch(*(torch.from_numpy(one) for one in plain))

    def _padded(self, name: str, bounds: str, picked: Array, width: int) -> Array:
        """[rows, width] of a flat array whose rows begin and end at ``bounds``, zeros behind."""
        flat, starts = self.arrays[name], self.arrays[bounds].astype(np.int64)
        first, last = starts[picked], starts[picked + 1]
        places = first[:, None] + np.arange(width)
        inside = places < last[:, None]
        if not len(flat):
            return np.zeros(places.shape, np.int64)
        return np.where(inside, flat[np.minimum(places, len(flat) - 1)], 0).astype(np.int64)

    def save(self, path: Path) -> None:
        """Writes it as one file."""
        np.savez_compressed(path, **self.arrays)  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: Sequence[Dataset]) -> Dataset:
        """Several as one; pairs of different parts stay apart."""
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for name in parts[0].arrays:
            found = [part.arrays[name] for part in parts]
            if name in ("starts", "bags"):
                flat = "ids" if name == "starts" else "signals"
                ends = np.cumsum([0, *(len(part.arrays[flat]) for part in parts)])
                found = [one[:-1].astype(np.int64) + end for one, end in zip(found, ends, strict=False)]
                found.append(ends[-1:])
            elif name == "pair":
                most = np.cumsum([0, *(int(one.max(initial=-1)) + 1 for one in found)])
                found = [one.astype(np.int64) + start for one, start in zip(found, most, strict=False)]
            arrays[name] = np.concatenate(found)
        return cls(arrays)

    @classmethod
    def load(cls, path: Path) -> Dataset:
        """Reads what ``save`` wrote."""
        with np.load(path) as stored:
            return cls({name: stored[name] for name in stored.files})


def encode(rows: Iterable[Row], encoder: Encoder) -> Dataset:
    """Encodes rows; those of which nothing is edited (a unit cut away) do not occur."""
    ids: list[int] = []
    tags: list[int] = []
    hot: list[int] = []
    signals: list[int] = []
    starts, bags = [0], [0]
    label, family, group, pair, meta = [], [], [], [], []
    pairs: dict[str, int] = {}
    for row in rows:
        one = encoder.encode(row.unit)
        ids.extend(one.ids)
        tags.extend(one.tags)
        hot.extend(_hot(row, one.lines))
        signals.extend(one.signals)
        starts.append(len(ids))
        bags.append(len(signals))
        label.append(row.label)
        family.append(_family(row))
        group.append(GROUPS.index(row.group))
        pair.append(pairs.setdefault(f"{row.repo} {row.pair}", len(pairs)))
        meta.append((row.repo, row.pair, row.technique, row.operator))
    arrays = {
        "ids": np.asarray(ids, np.uint16),
        "tags": np.asarray(tags, np.uint8),
        "hot": np.asarray(hot, np.uint8),
        "signals": np.asarray(signals, np.uint16),
        "starts": np.asarray(starts, np.int64),
        "bags": np.asarray(bags, np.int64),
        "label": np.asarray(label, np.int8),
        "family": np.asarray(family, np.int8),
        "group": np.asarray(group, np.int8),
        "pair": np.asarray(pair, np.int64),
        "meta": np.asarray(meta, np.str_).reshape(-1, 4),
    }
    return Dataset(arrays)  # type: ignore[arg-type]


def _hot(row: Row, lines: Sequence[int]) -> Iterator[int]:
    hot = set(row.hot)
    for line in lines:
        if row.label and row.group in _VAGUE and line:
            yield UNKNOWN
        else:
            yield HOT if row.label and line in hot else COLD


def _family(row: Row) -> int:
    if not row.label:
        return 0
    return ord(row.technique[0]) - ord("A") + 1 if row.technique else -1
