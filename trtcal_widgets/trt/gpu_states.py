"""What goes to the device and comes from it for each tensor: ranges in, histograms out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.counting import starting_ranges
from trtcal_widgets.core.histogram import N_BINS, Histogram
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
    if bases is None:
        return np.zeros(n, np.float32)
    if len(bases) != n:
        raise UsageError(f"{len(bases)} bases were given for {n} tensors")
    return starting_ranges(bases).astype(np.float32)


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
