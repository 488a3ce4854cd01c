"""What goes to the device and comes from it for each tensor: ranges in, histograms out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, SMALLEST_RANGE, Histogram
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["checked_bases", "read_histograms"]

_COLUMNS = ("base", "k", "zeros", "nans", "pos_infs", "neg_infs", "lo", "hi", "sum", "squares")
"""The fields of a tensor's state, in the order in which :func:`_histogram` takes them."""


def checked_bases(bases: Sequence[float | None] | None, n: int) -> NDArray[np.float32]:
    """Return one float32 base per tensor, 0 where it is to be found: the same as on the CPU.

    Raises
    ------
    UsageError
        If there is not one base per tensor, or one is negative or beyond float32.
    """
    given = np.zeros(n) if bases is None else np.array([b or 0.0 for b in bases], np.float64)
    if given.size != n:
        raise UsageError(f"{given.size} bases were given for {n} tensors")
    bad = np.flatnonzero(~((given >= 0) & (given <= np.finfo(np.float32).max)))
    if bad.size:
        raise UsageError(
            f"the range to start from must be a float32 and not negative, not {given[bad[0]]} (tensor {bad[0]})"
        )
    ranges = given.astype(np.float32)
    return np.where(given > 0, np.maximum(ranges, np.float32(SMALLEST_RANGE)), np.float32(0))


def read_histograms(states: NDArray[np.void], rows: NDArray[np.int64]) -> list[Histogram]:
    """Build histograms from what the device has of them.

    Parameters
    ----------
    states
        :data:`~trtcal_widgets.trt.gpu_plan.STATE`, shape (n,).
    rows
        int64, shape (n, ROW): the counters. They are copied.
    """
    # One copy for all, and views of it: one by one they take several times as long.
    counts = rows[:, :N_BINS].copy()
    edges = rows[:, N_BINS].copy()
    counts[:, -1] += edges
    counts.setflags(write=False)
    columns = [states[name].tolist() for name in _COLUMNS]
    return [_histogram(row, *values) for row, *values in zip(counts, edges.tolist(), *columns, strict=True)]


def _histogram(
    counts: NDArray[np.int64],
    edge: int,
    base: float,
    k: int,
    zeros: int,
    nans: int,
    pos_infs: int,
    neg_infs: int,
    lo: float,
    hi: float,
    total: float,
    squares: float,
) -> Histogram:
    """Build a histogram from what the device has of it; from base on, the values are those of _COLUMNS."""
    seen = lo <= hi
    return Histogram(
        base=base,
        doublings=k,
        counts=counts,
        edge=edge,
        zeros=zeros,
        nans=nans,
        pos_infs=pos_infs,
        neg_infs=neg_infs,
        minimum=lo + 0.0 if seen else 0.0,
        maximum=hi + 0.0 if seen else 0.0,
        sum_parts=(total,),
        square_parts=(squares,),
    )
