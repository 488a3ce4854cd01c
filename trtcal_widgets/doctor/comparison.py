"""Two sets of data on one model, and the tensors in which they part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TensorDifference:
    """One tensor in two sets of data. Ranges and thresholds are in the tensor's unit.

    Attributes
    ----------
    name, group
        The tensor, the first one of those that share its scale.
    amax_a, amax_b
        The threshold that each session has for it.
    max_a, max_b
        Largest finite |x| in each.
    clipped
        Share of B's values beyond A's threshold, 0 to 1.
    clipped_own
        Share of B's values beyond B's own threshold.
    sqnr_own_db
        SQNR of B with its own threshold, dB; nan where B has no value but zeros.
    sqnr_db
        SQNR of B with A's threshold.
    divergence
        Jensen-Shannon divergence of the two histograms over common bins, 0 (equal) to 1 (nothing in common), bits.
    parts
        Whether the loss is more than the bar.
    """

    name: str
    group: tuple[str, ...]
    amax_a: float
    amax_b: float
    max_a: float
    max_b: float
    clipped: float
    clipped_own: float
    sqnr_own_db: float
    sqnr_db: float
    divergence: float
    parts: bool

    @property
    def loss_db(self) -> float:
        """How much lower B's SQNR is with A's threshold than with its own, dB; negative where it is higher."""
        return self.sqnr_own_db - self.sqnr_db


@dataclass(frozen=True, eq=False)
class CommonBins:
    """Two histograms over the same bins, for drawing one over the other.

    Attributes
    ----------
    edges
        float64, shape (n + 1,), read-only, in the tensor's unit, from 0.
    a, b
        float64, shape (n,), read-only: the share of each set's finite values in each bin, sum 1 where there is a value.
    exact
        False where a bin of one of them lay across an edge and was split evenly.
    """

    edges: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    exact: bool
