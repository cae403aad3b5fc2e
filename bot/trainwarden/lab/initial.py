"""Encoded units in, a first table of token vectors out: what stands near what, factorised.

Positive pointwise mutual information of tokens within a few places, reduced by a truncated singular value decomposition
(Levy and Goldberg 2014). It costs a minute where learning the same by gradient costs an hour of two cores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import svds

from trainwarden.lab.dataset import Array, Dataset

NEAR = 5
_SMOOTH = 0.75
_SPREAD = 0.02
"""Standard deviation of the table, as of one that is drawn at random."""


def token_vectors(data: Dataset, chosen: Array, size: int, width: int, seed: int) -> npt.NDArray[np.float32]:
    """[size, width]: a vector for each token; tokens that never occur keep random ones."""
    rng = np.random.default_rng(seed)
    counts = _neighbours(data, chosen, size)
    table = rng.normal(0.0, _SPREAD, (size, width)).astype(np.float32)
    left, values, _ = svds(_information(counts), k=width, v0=rng.normal(size=size))
    vectors = left * np.sqrt(values)
    seen = np.asarray(counts.sum(1)).ravel() > 0
    table[seen] = (vectors[seen] / vectors[seen].std() * _SPREAD).astype(np.float32)
    table[0] = 0.0
    return table


def _neighbours(data: Dataset, chosen: Array, size: int) -> csr_matrix:
    starts = data.arrays["starts"].astype(np.int64)
    flat = data.arrays["ids"].astype(np.int64)
    unit = np.repeat(np.arange(len(data)), data.length)
    wanted = np.isin(unit, chosen)
    total = csr_matrix((size, size))
    for step in range(1, NEAR + 1):
        same = (unit[:-step] == unit[step:]) & wanted[:-step]
        pairs = (flat[:-step][same], flat[step:][same])
        weight = np.full(len(pairs[0]), 1.0 / step)
        total = total + coo_matrix((weight, pairs), shape=(size, size)).tocsr()
    assert starts[-1] == len(flat)
    return (total + total.T).tocsr()


def _information(counts: csr_matrix) -> csr_matrix:
    """Positive pointwise mutual information, rare contexts smoothed."""
    rows = np.asarray(counts.sum(1)).ravel()
    context = rows**_SMOOTH
    scale_rows = diags(np.divide(1.0, rows, out=np.zeros_like(rows), where=rows > 0))
    scale_columns = diags(np.divide(context.sum(), context, out=np.zeros_like(rows), where=rows > 0))
    found = (scale_rows @ counts @ scale_columns).tocsr()
    found.data = np.maximum(np.log(np.maximum(found.data, 1e-9)), 0.0)
    found.eliminate_zeros()
    return found
