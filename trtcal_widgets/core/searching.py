"""The entropy search over one histogram or many, and quantiles of many."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.core.kernels import searching as _searching
from trtcal_widgets.core.kernels.resampling import quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.kernels.searching import Scratch

_N_CANDIDATES = N_BINS - _searching.N_LEVELS + 1
_NONE = np.empty((0, _N_CANDIDATES))

_local = threading.local()


def room() -> Scratch:
    """Return this thread's room for searches."""
    kept: Scratch | None = getattr(_local, "room", None)
    if kept is None:
        kept = _local.room = _searching.scratch()
    return kept


def entropy_pick(counts: NDArray[np.int64], hint: int = N_BINS) -> int:
    """Return the candidate that TensorRT's entropy search takes for counts of shape (2048,).

    ``hint``: a candidate that may be good, 128 to 2048; it changes the time alone.
    """
    return int(entropy_picks(counts[np.newaxis], np.array([hint], np.int64))[0])


def entropy_picks(counts: NDArray[np.int64], hints: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same of many, in one call without the GIL: counts of shape (n, 2048), hints of shape (n,)."""
    picks = np.empty(len(counts), np.int64)
    _searching.entropy_picks(_writable(counts), hints, room(), picks, _NONE)
    return picks


def entropy_objective(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
    """Return the divergence of every candidate, float64, shape (1921,), and the pick."""
    picks, objective = np.empty(1, np.int64), np.empty((1, _N_CANDIDATES))
    _searching.entropy_picks(_writable(counts[np.newaxis]), np.array([N_BINS], np.int64), room(), picks, objective)
    return objective[0], int(picks[0])


def quantile_places(counts: NDArray[np.int64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the running sum of each row of counts, shape (n, 2048), comes to ``wanted``, in bins; shape (n,)."""
    places = np.empty(len(counts))
    quantiles(_writable(counts), wanted, places)
    return places


def _writable(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts as the kernel is compiled for: it would be compiled once more for those that are read-only."""
    return counts if counts.flags.writeable else counts.copy()
