"""Two sets of data on one model, and the tensors in which they part."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import number, whole_number
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.common.figures import AS_GIVEN, decibels, percent, plain
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.doctor.scales import scales_of_data
from trtcal_widgets.doctor.types import BAR_DB
from trtcal_widgets.errors import SessionError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.session import CalibrationSession

_COARSE = 128
"""Bins for the divergence of two histograms: more of them would measure how few values there are."""


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


class DataComparison(Shown):
    """Two sets of data on one model: what the scales of the first do to the second.

    For bright against dark pictures, calibration against production, the old camera against the new one. Nothing is
    run: both sessions have recorded; each counts what it counts, and has the thresholds that were chosen in it.

    Parameters
    ----------
    session_a
        The set whose scales are used: what the engine was calibrated with.
    session_b
        The set that meets them.
    bar_db
        From which loss of SQNR on, in dB, a tensor counts as parting.

    Attributes
    ----------
    tensors
        One :class:`TensorDifference` for each scale that data decide, in graph order.

    Raises
    ------
    SessionError
        If they are of different models, or one of them counts no batch.
    UsageError
        If one is no session, or the bar is not greater than 0.

    Examples
    --------
    >>> from trtcal_widgets import CalibrationSession, DataComparison, sample
    >>> images = sample.calibration_images().load(0, 100)[""]
    >>> bright = CalibrationSession(sample.model_path(), images, batch_size=50)
    >>> dark = CalibrationSession(sample.model_path(), images / 4, batch_size=50)
    >>> bright.run(), dark.run()
    (None, None)
    >>> DataComparison(bright, dark).tensor("data").loss_db > 6
    True
    """

    def __init__(self, session_a: CalibrationSession, session_b: CalibrationSession, *, bar_db: float = BAR_DB) -> None:
        self.bar_db = number(bar_db, "bar_db")
        if not self.bar_db > 0:
            raise UsageError(f"bar_db is a number of dB greater than 0, not {self.bar_db:g}")
        for session in (session_a, session_b):
            if not hasattr(session, "histogram") or not hasattr(session, "graph"):
                raise UsageError(f"two sessions are compared, not {type(session).__name__}: load .trtcal files first")
        _check_model(session_a.graph, session_b.graph)
        for which, session in (("first", session_a), ("second", session_b)):
            if not session.state.position:
                raise SessionError(f"the {which} session counts no batch, so there is nothing to compare: run it first")
        self._a, self._b = session_a, session_b
        names = scales_of_data(session_a)
        with ThreadPoolExecutor(available_cores()) as pool:
            self.tensors: tuple[TensorDifference, ...] = tuple(pool.map(self._difference, names))

    def _difference(self, name: str) -> TensorDifference:
        a, b = self._a.histogram(name), self._b.histogram(name)
        amax_a, amax_b = self._a.amax(name), self._b.amax(name)
        model = NoiseModel(b)
        noise = model.noise(np.array([amax_a, amax_b]))
        sqnr, own = (model.sqnr_db(float(row[1:].sum())) for row in noise)
        shares = self.bins(name, _COARSE)
        loss = 0.0 if own == sqnr or math.isnan(own) or not a.n_finite else own - sqnr
        return TensorDifference(
            name=name,
            group=self._a.group(name),
            amax_a=amax_a,
            amax_b=amax_b,
            max_a=a.amax,
            max_b=b.amax,
            clipped=float(noise[0, 0]),
            clipped_own=float(noise[1, 0]),
            sqnr_own_db=own,
            sqnr_db=sqnr,
            divergence=_divergence(shares.a, shares.b),
            parts=loss > self.bar_db,
        )

    def tensor(self, name: str) -> TensorDifference:
        """Return one tensor's numbers, by its name or that of a tensor that shares its scale.

        Raises
        ------
        UsageError
            If no data decide the scale of a tensor of this name.
        """
        found = next((t for t in self.tensors if name == t.name or name in t.group), None)
        if found is None:
            raise UsageError(f"{printable(str(name))!r} is no tensor of {self._a.graph.name} whose scale data decide")
        return found

    def bins(self, name: str, n: int = 256) -> CommonBins:
        """Return both histograms over ``n`` equal bins from 0 to the larger of both ranges.

        Raises
        ------
        UsageError
            If there is no such tensor, or ``n`` is not 1 to 2048.
        """
        n = whole_number(n, "the number of bins", 1)
        if n > N_BINS:
            raise UsageError(f"there are at most {N_BINS} bins, not {n}")
        a, b = self._a.histogram(name), self._b.histogram(name)
        edges = np.linspace(0.0, max(a.range, b.range) or 1.0, n + 1)
        of_a, of_b = _shares(a, edges), _shares(b, edges)
        exact = all(h.range == 0.0 or _coincide(h, edges) for h in (a, b))
        for array in (edges, of_a, of_b):
            array.setflags(write=False)
        return CommonBins(edges, of_a, of_b, exact=exact)

    @cached_property
    def parted(self) -> tuple[TensorDifference, ...]:
        """The tensors whose loss is more than the bar, the worst first."""
        return tuple(sorted((t for t in self.tensors if t.parts), key=lambda t: -t.loss_db))

    def _summary(self) -> Summary:
        worst = sorted(self.tensors, key=lambda t: -t.loss_db if t.loss_db == t.loss_db else math.inf)
        rows = tuple(
            (t.name, significant(t.amax_a), significant(t.amax_b), percent(t.clipped), decibels(t.loss_db))
            for t in worst[:MOST_ROWS]
        )
        columns = ("tensor", "amax of the first set", "of the second", "clipped of the second", "loss")
        return Summary(self.verdict, (), columns, rows, left_out(len(worst), ".tensors"))

    @cached_property
    def verdict(self) -> str:
        """One line: whether the first set's scales do for the second."""
        total = count_of(len(self.tensors), "scale")
        if not self.parted:
            return (
                f"The first set's scales do for the second: none of {total} loses more than "
                f"{plain(self.bar_db, AS_GIVEN)} dB on it."
            )
        worst = self.parted[0]
        if worst.amax_a < worst.amax_b:
            how = f"{percent(worst.clipped)} of its values are clipped"
        else:
            how = f"its steps are {plain(worst.amax_a / max(worst.amax_b, 1e-45), 2)} times as long as its own"
        return (
            f"The first set's scales do not do for the second: {len(self.parted)} of {total} lose more than "
            f"{plain(self.bar_db, AS_GIVEN)} dB on it, {printable(worst.name)} most ({decibels(worst.loss_db)}: {how})."
        )


def _check_model(a: ModelGraph, b: ModelGraph) -> None:
    """Refuse two models, saying how they differ."""
    if a.sha256 == b.sha256:
        return
    files = f"{a.name} (sha256 {a.sha256[:12]}…) and {b.name} (sha256 {b.sha256[:12]}…)"
    only = [name for name in a.calibrated if name not in b.tensors] + [
        name for name in b.calibrated if name not in a.tensors
    ]
    if only:
        raise SessionError(
            f"the sessions are of different models, {files}: {printable(only[0])} is in one of them only. "
            "Two sets of data are compared on one model"
        )
    raise SessionError(
        f"the sessions are of different files, {files}. Their tensors have the same names, but other weights give "
        "other ranges, whatever the data: record both sets with the same file"
    )


def _shares(histogram: Histogram, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the values in each bin, each recorded bin's values evenly spread over it."""
    n = histogram.n_finite + histogram.clamped
    if n == 0:
        return np.zeros(len(edges) - 1)
    if histogram.range == 0.0:
        return np.append(1.0, np.zeros(len(edges) - 2))
    below = np.concatenate(([0.0], np.cumsum(histogram.counts)))
    places = edges * (N_BINS / histogram.range)
    return np.diff(np.interp(places, np.arange(N_BINS + 1.0), below)) / n


def _coincide(histogram: Histogram, edges: NDArray[np.float64]) -> bool:
    """Whether each edge within the histogram's range is one of its own."""
    places = edges[edges <= histogram.range] * (N_BINS / histogram.range)
    return bool((places == np.rint(places)).all())


def _divergence(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the Jensen-Shannon divergence of two distributions in bits (Lin, IEEE Trans. Inf. Theory 37, 1991)."""
    if not (a.any() and b.any()):
        return 0.0 if a.any() == b.any() else 1.0
    middle = (a + b) / 2.0
    parts = [p[p > 0] * np.log2(p[p > 0] / middle[p > 0]) for p in (a, b)]
    return float(min(max(sum(part.sum() for part in parts) / 2.0, 0.0), 1.0))
