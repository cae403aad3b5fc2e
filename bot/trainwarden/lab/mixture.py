"""Encoded rows in, batches without end out: what is trained on, in which shares, packed by length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from trainwarden.lab.dataset import Array, Batch, Dataset

SHARES = {
    "ordinary": 0.27,
    "reversed": 0.06,
    "mined": 0.09,
    "planted": 0.32,
    "cases": 0.20,
    "mutated": 0.06,
}
"""What a batch of fine-tuning is made of, by items; a sabotage comes with its honest counterparts."""
_POOL = 4096


class Mixture:
    """Items drawn by ``SHARES``, each a sabotage with its counterparts or one unit."""

    def __init__(
        self, data: Mapping[str, Dataset], tokens: int, shares: Mapping[str, float] = SHARES
    ) -> None:
        self._data, self._tokens, self._shares = data, tokens, shares
        plain, planted = data["train-ordinary"], data["train-planted"]
        cases, mutated = data["train-cases"], data["train-mutated"]
        items: dict[str, tuple[str, list[Array]]] = {
            "ordinary": ("train-ordinary", _single(plain.of("ordinary"))),
            "reversed": ("train-ordinary", _single(plain.of("reversed"))),
            "mined": ("train-ordinary", _paired(plain, plain.of("mined"), plain.of("mined", "ordinary"))),
            "planted": (
                "train-planted",
                _paired(planted, planted.of("planted"), planted.of("planted", "twin")),
            ),
            "cases": ("train-cases", _paired(cases, np.flatnonzero(cases.label), np.arange(len(cases)))),
            "mutated": ("train-mutated", _whole_pairs(mutated)),
        }
        self._items = {name: item for name, item in items.items() if item[1] and shares.get(name)}

    def batches(self, seed: int) -> Iterator[Batch]:
        """Units of about the same length are batched together."""
        rng = np.random.default_rng(seed)
        names = list(self._items)
        weights = np.array([self._shares[name] for name in names])
        while True:
            pool: dict[str, list[Array]] = {}
            for one in rng.choice(len(names), max(_POOL // 2, self._tokens // 16), p=weights / weights.sum()):
                source, items = self._items[names[one]]
                pool.setdefault(source, []).append(items[rng.integers(len(items))])
            ready = [
                (source, group)
                for source, items in pool.items()
                for group in packed(self._data[source], items, self._tokens)
            ]
            for place in rng.permutation(len(ready)):
                source, group = ready[place]
                yield self._data[source].batch(group)


def plain_batches(data: Dataset, chosen: Array, tokens: int, seed: int) -> Iterator[Batch]:
    """Single units."""
    return _drawn(data, _single(chosen), tokens, seed)


def pair_batches(data: Dataset, tokens: int, seed: int) -> Iterator[Batch]:
    """Mutations, both directions of each in one batch."""
    return _drawn(data, _whole_pairs(data), tokens, seed)


def _drawn(data: Dataset, items: Sequence[Array], tokens: int, seed: int) -> Iterator[Batch]:
    rng = np.random.default_rng(seed)
    most = min(max(_POOL, tokens // 8), len(items))
    while True:
        pool = [items[i] for i in rng.choice(len(items), most, replace=False)]
        groups = list(packed(data, pool, tokens))
        for place in rng.permutation(len(groups)):
            yield data.batch(groups[place])


class _Stream(IterableDataset[Batch]):  # type: ignore[misc]
    """A generator of batches for worker processes, each with a seed of its own."""

    def __init__(self, make: Callable[[int], Iterator[Batch]], seed: int) -> None:
        self._make, self._seed = make, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        return self._make(self._seed + 1009 * (worker.id if worker is not None else 0))


def stream(make: Callable[[int], Iterator[Batch]], seed: int, workers: int) -> Iterator[Batch]:
    """The batches of ``make(seed)``; ``workers`` processes make them ahead, in a fixed order."""
    return iter(DataLoader(_Stream(make, seed), batch_size=None, num_workers=workers))


# -- items and groups


def _single(indices: Array) -> list[Array]:
    return [np.array([i]) for i in indices]


def _whole_pairs(data: Dataset) -> list[Array]:
    """The rows of each pair together."""
    order = np.argsort(data.pair, kind="stable")
    cuts = np.flatnonzero(np.diff(data.pair[order])) + 1
    return np.split(order, cuts) if len(order) else []


def _paired(data: Dataset, sabotage: Array, all_rows: Array) -> list[Array]:
    """For each pair one item: its sabotage and up to three of its honest units."""
    honest: dict[int, list[int]] = {}
    for i in all_rows:
        if not data.label[i]:
            honest.setdefault(int(data.pair[i]), []).append(int(i))
    return [np.array([i, *honest.get(int(data.pair[i]), ())[:3]]) for i in sabotage]


def packed(data: Dataset, items: Sequence[Array], tokens: int) -> Iterator[Array]:
    """Items sorted by length into groups of about ``tokens`` tokens, padding included."""
    ranked = sorted(items, key=lambda item: int(data.length[item].max()))
    group: list[Array] = []
    count = 0
    for item in ranked:
        longest = int(data.length[item].max())
        if group and (count + len(item)) * longest > tokens:
            yield np.concatenate(group)
            group, count = [], 0
        group.append(item)
        count += len(item)
    if group:
        yield np.concatenate(group)
