"""Which batches are drawn: the same draws for every tensor, so that one table holds them all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of ``n`` batches.

    Attributes
    ----------
    n
        How many batches there are.
    sizes
        int64, shape (k,): the numbers of batches that are drawn, growing; the last one is ``n``.
    rows
        int64, shape (draws, n): batches in the order of each draw, ended by -1; draws of one size lie together. Of the
        whole set there is one row for each batch that can come first, the others behind it in their order.
    counts
        int64, shape (k,): how many rows each size has.
    half
        Which of ``sizes`` is half of the batches.
    """

    n: int
    sizes: NDArray[np.int64]
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    half: int

    def of_size(self, k: int) -> slice:
        """Return where the rows of the k-th size are."""
        start = int(self.counts[:k].sum())
        return slice(start, start + int(self.counts[k]))

    @property
    def whole(self) -> slice:
        """Where the rows of the whole set are."""
        return self.of_size(len(self.sizes) - 1)


def draw(n: int, resamples: int, seed: int) -> Draws:
    """Draw ``resamples`` subsets of n batches, each in a random order, spread over sizes that grow by doubling.

    Half of the batches is drawn twice as often as the other sizes, because most rests on it. Where there are no more
    subsets of a size than that, each is there once.
    """
    rng = np.random.default_rng(seed)
    half = max(n // 2, 1)
    doubling = [1 << k for k in range(n.bit_length()) if 1 << k < half]
    sizes = sorted({*doubling, half, max(3 * n // 4, 1), n})
    inner = [size for size in sizes if size < n]
    weights = {size: 2.0 if size == half else 1.0 for size in inner}
    wanted = {}
    left = resamples
    for place, size in enumerate(sorted(inner, key=lambda s: math.comb(n, s))):  # what the few leave goes to the many
        rest = sum(weights[s] for s in sorted(inner, key=lambda s: math.comb(n, s))[place:])
        wanted[size] = min(max(round(left * weights[size] / rest), 1), math.comb(n, size))
        left -= wanted[size]
    rows = [_of_size(n, size, wanted[size], rng) for size in inner]
    rows.append(np.array([[first, *(b for b in range(n) if b != first)] for first in range(n)], np.int64))
    counts = np.array([len(part) for part in rows], np.int64)
    return Draws(n, np.array(sizes, np.int64), np.concatenate(rows), counts, sizes.index(half))


def _of_size(n: int, size: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return different subsets, each in a random order."""
    if wanted == math.comb(n, size):
        chosen = [rng.permutation(subset) for subset in combinations(range(n), size)]
    else:
        found: dict[frozenset[int], NDArray[np.int64]] = {}
        while len(found) < wanted:
            order = rng.permutation(n)[:size]
            found.setdefault(frozenset(order.tolist()), order)
        chosen = list(found.values())
    rows = np.full((len(chosen), n), -1, np.int64)
    rows[:, :size] = chosen
    return rows
