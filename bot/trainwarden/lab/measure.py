"""Encoded rows and what is said of each in; how well sabotage is told from honest edits out, with intervals.

What is said of a unit is a number: the classifier's logit, or one of two baselines that any classifier has to beat, a
bag of tokens and "it takes away more than it adds". A change is as risky as its riskiest unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack
from scipy.stats import rankdata

from trainwarden.lab.dataset import Array, Dataset

Floats = npt.NDArray[np.float64]
BALANCED = 3
"""Tokens by which a change may grow or shrink to count as balanced."""
_RESAMPLES = 400
_REMOVED, _ADDED = 2, 3


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate with its 95 % interval (bootstrap over changes or pairs) and what it was made from.

    Where there was nothing to make it from, the value is not a number.
    """

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "nothing to measure"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n = {self.count})"


_NOTHING = Figure(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Changes:
    """Units gathered into changes. ``pair`` says which sabotage and honest changes belong together."""

    risk: Floats
    label: Array
    pair: Array
    growth: Array


def auroc(positive: Floats, negative: Floats) -> float:
    """The chance that a sabotage ranks above an honest change, ties counting half. NaN where either is missing."""
    if not len(positive) or not len(negative):
        return math.nan
    ranks = rankdata(np.concatenate([positive, negative]))
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def area(positive: Floats, negative: Floats, seed: int = 0) -> Figure:
    """AUROC with its interval."""
    if not len(positive) or not len(negative):
        return _NOTHING
    rng = np.random.default_rng(seed)

    def once() -> float:
        return auroc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative)))

    return _figure(auroc(positive, negative), once, len(positive))


def pairs_right(changes: Changes, balanced: bool = False, seed: int = 0) -> Figure:
    """The share of (sabotage, honest) pairs in which the sabotage ranks higher; ties count half."""
    wins: list[float] = []
    for pair in np.unique(changes.pair):
        here = changes.pair == pair
        if balanced and np.abs(changes.growth[here & (changes.label == 1)]).max(initial=0) > BALANCED:
            continue
        bad, good = changes.risk[here & (changes.label == 1)], changes.risk[here & (changes.label == 0)]
        wins.extend(np.sign(b - g) / 2 + 0.5 for b in bad for g in good)
    if not wins:
        return _NOTHING
    rng = np.random.default_rng(seed)
    all_wins = np.array(wins)
    return _figure(all_wins.mean(), lambda: rng.choice(all_wins, len(all_wins)).mean(), len(wins))


def _figure(value: float, once: Callable[[], float], count: int) -> Figure:
    low, high = np.quantile([once() for _ in range(_RESAMPLES)], (0.025, 0.975))
    return Figure(float(value), float(low), float(high), count)


def changes(data: Dataset, risk: Floats, sabotage: Sequence[str], honest: Sequence[str]) -> Changes:
    """One entry for each change of these groups. Units of a sabotage that are honest count with it, as in a review."""
    found: dict[tuple[int, int], list[int]] = {}
    bad = set(data.of(*sabotage).tolist())
    for i in data.of(*sabotage, *honest):
        key = int(data.pair[i]), int(data.group[i])
        found.setdefault(key, []).append(int(i))
    growth = growths(data)
    rows = list(found.values())
    return Changes(
        np.array([risk[units].max() for units in rows]),
        np.array([int(units[0] in bad) for units in rows]),
        np.array([data.pair[units[0]] for units in rows]),
        np.array([growth[units].sum() for units in rows]),
    )


def growths(data: Dataset) -> Array:
    """Tokens that each unit adds, less those that it removes."""
    tags = data.arrays["tags"].astype(np.int64)
    starts = data.arrays["starts"].astype(np.int64)[:-1]
    signed = (tags == _ADDED).astype(np.int64) - (tags == _REMOVED)
    return np.add.reduceat(signed, starts) if len(starts) else np.zeros(0, np.int64)


# -- baselines


def deletes_more(data: Dataset) -> Floats:
    """Tokens removed less tokens added."""
    return -growths(data).astype(np.float64)


class BagOfTokens:
    """Logistic regression over the removed and the added tokens of a unit, each side a set."""

    def __init__(self, penalty: float = 3.0) -> None:
        self._penalty = penalty
        self._weights: Floats = np.zeros(0)

    def fit(self, sets: Sequence[Dataset]) -> BagOfTokens:
        """Learns from every row of the data sets, each class weighing the same."""
        stacked = csr_matrix(vstack([_bag(one) for one in sets]))
        labels = np.concatenate([one.label for one in sets]).astype(np.float64)
        share = labels.mean()
        weights = np.where(labels > 0, 0.5 / share, 0.5 / (1 - share))
        transposed = stacked.T.tocsr()

        def loss(w: Floats) -> tuple[float, Floats]:
            logits = stacked @ w[:-1] + w[-1]
            value = weights @ np.logaddexp(0.0, np.where(labels > 0, -logits, logits))
            slope = weights * (1 / (1 + np.exp(-logits)) - labels)
            gradient = np.append(transposed @ slope + self._penalty * w[:-1], slope.sum())
            return float(value + 0.5 * self._penalty * w[:-1] @ w[:-1]), gradient

        start = np.zeros(stacked.shape[1] + 1)
        self._weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
        return self

    def risk(self, data: Dataset) -> Floats:
        """The logit of each row."""
        return np.asarray(_bag(data) @ self._weights[:-1] + self._weights[-1])


_WIDTH = 1 << 14


def _bag(data: Dataset) -> csr_matrix:
    tags = data.arrays["tags"].astype(np.int64)
    ids = data.arrays["ids"].astype(np.int64)
    unit = np.repeat(np.arange(len(data)), data.length)
    chosen = (tags == _REMOVED) | (tags == _ADDED)
    column = ids[chosen] + np.where(tags[chosen] == _ADDED, _WIDTH, 0)
    found = csr_matrix((np.ones(len(column)), (unit[chosen], column)), shape=(len(data), 2 * _WIDTH))
    found.data[:] = 1.0
    return found
