"""Values of a tensor with their sign. Counts of |x| are recorded: one batch is run again, or a weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.session.session import CalibrationSession

_BINS = 401


@dataclass(frozen=True, eq=False)
class SignedCounts:
    """How many of a tensor's values lie where.

    ``name``: the tensor. ``counts``: int64, shape (bins,): equal bins from ``low`` to ``high``, in the tensor's unit;
    without NaN and infinities. ``low``, ``high``: both ends: the smallest and the largest value. ``words``: what was
    counted: ``"batch 3 alone, 50 samples"``.
    """

    name: str
    counts: NDArray[np.int64]
    low: float
    high: float
    words: str


def signed_counts(session: CalibrationSession, name: str) -> SignedCounts:
    """Count a tensor's values with their sign: all of a weight or constant, else those of the last counted batch.

    The model runs that batch once more; nothing of the session changes.

    Raises SessionError without the model, while it runs, before the first batch, or where the tensor has no finite
    value; DataError if the batch cannot be read again.
    """
    tensor = session.graph.tensor(name)
    if session.recorder is None or session.plan is None:
        raise SessionError(
            f"{name}: values with their sign need the model and the data, for what is recorded are counts of |x|: load "
            "the session with model= and source="
        )
    if session.status.phase == "running":
        raise SessionError("the model runs already: pause it, or wait for its end, to see values with their sign")
    if tensor.is_fixed:
        return _counted(name, session.recorder.values(name, None), "all values")
    if not session.state.position:
        raise SessionError("no batch is counted yet: count one to see its values with their sign")
    batch = session.state.position - 1
    loaded = session.plan.load(batch)
    words = f"batch {batch + 1} alone, {count_of(loaded.n_samples, 'sample')}"
    return _counted(name, session.recorder.values(name, loaded.feeds), words)


def _counted(name: str, values: NDArray[Any] | None, words: str) -> SignedCounts:
    x = np.zeros(0) if values is None else np.asarray(values, np.float64).ravel()
    x = x[np.isfinite(x)]
    if not x.size:
        raise SessionError(f"{name} has no finite value in {words}")
    low, high = float(x.min()), float(x.max())
    if low == high:
        room = abs(low) / 100 or 1.0
        low, high = low - room, high + room
    counts, _ = np.histogram(x, bins=_BINS, range=(low, high))
    return SignedCounts(name, counts.astype(np.int64), low, high, words)
