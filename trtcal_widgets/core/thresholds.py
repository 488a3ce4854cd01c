"""Ways to pick amax from a histogram, each with its whole objective so that it can be drawn.

Every method looks at the same candidates, the bin indices i = 128 .. 2048 with
``amax(i) = float32(i + 0.5) * float32(R / 2048)``, which is where TensorRT's entropy calibration puts its thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.common.words import did_you_mean
from trtcal_widgets.core.discrete import alone_share, best_between
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.legacy import quantile_bin, tail_line
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.searching import entropy_objective, entropy_pick
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["FIRST_CANDIDATE", "METHODS", "Method", "ThresholdCurve", "threshold", "threshold_curve"]

FIRST_CANDIDATE = 128
"""The smallest candidate: as many bins as there are positive quantisation levels."""

_MOSTLY_ALONE = 0.5
"""Share of the values in bins that stand alone from which on the MSE pick is marked where they are not known."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Method:
    """A way to pick amax, with its parameters. :meth:`parse` reads ``"entropy"``, ``"percentile:99.99"``, ….

    Attributes
    ----------
    kind
        ``entropy``, ``minmax``, ``percentile``, ``mse`` or ``legacy``.
    parameter
        Percentile in percent, or the legacy calibrator's quantile (0 to 1); left out: the method's default. None for
        the others.
    cutoff
        The legacy calibrator's regression cutoff, 0 to 1; left out: 1, with which the quantile alone decides. None for
        the others.

    Raises
    ------
    UsageError
        If there is no such method or a parameter does not fit; the message lists what there is.
    """

    kind: str
    parameter: float | None = None
    cutoff: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in METHODS:
            raise UsageError(
                f"no method {self.kind!r}; there are {', '.join(METHODS)} (percentile:99.9 sets its percentage, "
                f"legacy:0.999,0.5 its quantile and regression cutoff){did_you_mean(self.kind, METHODS, 1)}"
            )
        spec = METHODS[self.kind]
        if self.parameter is None:
            object.__setattr__(self, "parameter", spec.default)
        elif spec.default is None:
            raise UsageError(f"method {self.kind!r} takes no parameter, so {self.parameter:g} cannot be meant")
        elif not 0 < self.parameter <= spec.upper:
            raise UsageError(
                f"the parameter of {self.kind} is greater than 0 and at most {spec.upper:g}, not {self.parameter:g}"
            )
        if self.cutoff is None:
            object.__setattr__(self, "cutoff", 1.0 if self.kind == "legacy" else None)
        elif self.kind != "legacy":
            raise UsageError(f"method {self.kind!r} takes no cutoff; legacy:0.99,0.5 has one")
        elif not 0 <= self.cutoff <= 1:
            raise UsageError(f"the regression cutoff of legacy is from 0 to 1, not {self.cutoff:g}")

    @classmethod
    def parse(cls, text: str | Method) -> Method:
        """Read a method's name, with its parameter behind a colon where it takes one: ``legacy:QUANTILE,CUTOFF`` two.

        Raises
        ------
        UsageError
            If there is no such method or a parameter does not fit; the message lists what there is.
        """
        if isinstance(text, Method):
            return text
        kind, colon, rest = str(text).strip().lower().partition(":")
        if not colon or kind not in METHODS:
            return cls(kind)
        values = [_number(word, text) for word in (rest.split(",", 1) if kind == "legacy" else [rest])]
        return cls(kind, *values)

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads: with all digits of the parameters, a cutoff of 1 left out."""
        if self.parameter is None:
            return self.kind
        cutoff = "" if self.cutoff in (None, 1.0) else f",{_digits(self.cutoff or 0.0)}"
        return f"{self.kind}:{_digits(self.parameter)}{cutoff}"

    @property
    def label(self) -> str:
        """A short name for a legend: ``p99.99`` for a percentile."""
        if self.kind == "percentile":
            return f"p{_digits(self.parameter or 0.0)}"
        return str(self)

    @property
    def share(self) -> float:
        """The share of the values that a percentile or a legacy quantile keeps, 0 to 1; 1 for the others."""
        return (100.0 if self.parameter is None else self.parameter) / (1.0 if self.kind == "legacy" else 100.0)

    @property
    def legacy(self) -> tuple[float, float]:
        """Quantile and regression cutoff, as a legacy table's header has them; 1 and 1 for other methods."""
        return (self.share, 1.0 if self.cutoff is None else self.cutoff) if self.kind == "legacy" else (1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """A method's objective over all candidates, and its pick.

    Attributes
    ----------
    method
        Which method.
    objective
        float64, shape (1921,), read-only: the value at candidate i is ``objective[i - 128]``; smaller is better;
        inf where a candidate cannot be taken.
    pick
        Index i of the chosen candidate, 128 to 2048. A method that does not choose among the bins (minmax, quantiles)
        has the nearest one here.
    amax
        The chosen threshold: float32 as a Python float, in the tensor's unit.
    bin_width
        float32(R / 2048): ``amax(i) = float32(i + 0.5) * bin_width``.
    objective_label
        What the objective is, for an axis.
    is_uncertain
        Whether another threshold may be several times better than the pick, and the histogram does not tell: for MSE
        where most values stand alone in their bins and are not known exactly.
    """

    method: Method
    objective: NDArray[np.float64]
    pick: int
    amax: float
    bin_width: float
    objective_label: str = ""
    is_uncertain: bool = False

    @property
    def candidates(self) -> NDArray[np.float64]:
        """Thresholds of the candidates, float64, shape (1921,)."""
        return _candidates(self.bin_width)


def threshold_curve(histogram: Histogram, method: str | Method = "entropy") -> ThresholdCurve:
    """Return a method's objective and pick for a histogram.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    method = Method.parse(method)
    spec = METHODS[method.kind]
    objective, pick, amax, label, is_uncertain = spec.compute(histogram, method)
    objective.setflags(write=False)
    label, amax = label or spec.objective_label, float(np.float32(amax))
    return ThresholdCurve(method, objective, pick, amax, histogram.bin_width, label, is_uncertain)


def threshold(histogram: Histogram, method: str | Method = "entropy") -> float:
    """Return the amax that a method picks: float32 as a Python float. Cheaper than the curve where it can be.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    method = Method.parse(method)
    if method.kind == "minmax":
        return float(np.float32(histogram.amax))
    if method.kind == "percentile":
        return float(np.float32(_quantile(histogram, method.share)))
    if method.kind == "entropy":
        return entropy_amax(histogram, entropy_pick(histogram.counts))
    return threshold_curve(histogram, method).amax


def is_infinite_in_tensorrt(histogram: Histogram, method: str | Method = "entropy") -> bool:
    """Whether TensorRT would write an infinite scale where :func:`threshold` is finite.

    MinMax for any infinite value, the others where the batch that sets the range has one (run on 8.6.0). The histogram
    is that of batches replayed in their order.
    """
    return histogram.infs > 0 if Method.parse(method).kind == "minmax" else histogram.has_infinite_range


def _number(word: str, text: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UsageError(f"{text!r}: {word!r} is not a number") from None


def _digits(value: float) -> str:
    """All digits that a float needs to be read back the same, and no more."""
    return np.format_float_positional(value, trim="-")


def _candidates(bin_width: float) -> NDArray[np.float64]:
    return np.asarray((np.arange(FIRST_CANDIDATE, N_BINS + 1) + 0.5) * bin_width, np.float64)


def _amax_of_index(index: int, bin_width: float) -> float:
    """TensorRT rounds to float32 at each step: index + 0.5, bin width, product. Never infinite."""
    with np.errstate(over="ignore"):
        return min(float(np.float32(index + 0.5) * np.float32(bin_width)), _FLOAT32_MAX)


def _nearest_index(amax: float, bin_width: float) -> int:
    if bin_width <= 0.0:
        return N_BINS
    return int(min(max(round(amax / bin_width - 0.5), FIRST_CANDIDATE), N_BINS))


class _Computed(NamedTuple):
    """What a method makes of a histogram; ``label`` where its objective is not the method's usual one."""

    objective: NDArray[np.float64]
    pick: int
    amax: float
    label: str = ""
    is_uncertain: bool = False


def _entropy(histogram: Histogram, _method: Method) -> _Computed:
    """TensorRT's EntropyCalibration and EntropyCalibration2: the last i with the smallest KL(P_i || Q_i).

    Bin 0 takes bin 1's count before the search, as NVIDIA's open pytorch-quantization does. Where no candidate has
    a finite divergence (nothing outside bin 0) the pick is 2048. A tensor of zeros gets 0 over any range.
    """
    objective, pick = entropy_objective(histogram.counts)
    return _Computed(objective, pick, entropy_amax(histogram, pick))


def entropy_amax(histogram: Histogram, pick: int) -> float:
    """Return the threshold of a candidate of the entropy search; 0 for a tensor of zeros."""
    return _amax_of_index(pick, histogram.bin_width) if histogram.amax else 0.0


def _clipped_share(histogram: Histogram) -> NDArray[np.float64]:
    """Return the share of the finite values beyond each candidate, linear within a bin."""
    below = np.concatenate(([0.0], np.cumsum(histogram.counts)))
    # Candidate i lies in the middle of bin i; the last one, 2048, lies beyond the last bin.
    middle = np.append((below[FIRST_CANDIDATE:-1] + below[FIRST_CANDIDATE + 1 :]) / 2.0, below[-1])
    return np.asarray((below[-1] - middle) / max(below[-1], 1.0), np.float64)


def _minmax(histogram: Histogram, _method: Method) -> _Computed:
    """MinMaxCalibration: the largest |x|. The objective is the clipped share, which it keeps at 0."""
    amax = histogram.amax
    return _Computed(_clipped_share(histogram), _nearest_index(amax, histogram.bin_width), amax)


def _quantile(histogram: Histogram, share: float) -> float:
    """Return the |x| that ``share`` of the finite values do not exceed, linear within its bin."""
    n = histogram.n_finite
    if n == 0 or share >= 1.0:
        return histogram.amax
    below = np.cumsum(histogram.counts)
    wanted = share * n
    j = int(np.searchsorted(below, wanted))
    inside = (wanted - (below[j] - histogram.counts[j])) / histogram.counts[j]
    return float(min((j + inside) * histogram.range / N_BINS, histogram.amax))


def _percentile(histogram: Histogram, method: Method) -> _Computed:
    """Keep the wanted share with the smallest amax. The objective is how far a candidate's share is off."""
    amax = _quantile(histogram, method.share)
    off = np.abs(_clipped_share(histogram) - (1.0 - method.share))
    return _Computed(off, _nearest_index(amax, histogram.bin_width), amax)


def _legacy(histogram: Histogram, method: Method) -> _Computed:
    """LegacyCalibration: the end of the line through the tail, see :func:`tail_line`, or the upper edge of a bin.

    That bin is the one in which the running share exceeds the quantile; NaN count as 0 there. The objective is how far
    the line is from 0 at a candidate, or how far the candidate's share is off.
    """
    quantile, cutoff = method.legacy
    counts = histogram.counts.copy()
    counts[0] += histogram.nans
    longest = min(2.0 * histogram.amax, _FLOAT32_MAX)
    limit = longest / (histogram.range / N_BINS) if longest else 0.0
    line = tail_line(counts, cutoff, limit)
    if line is None:
        amax = _edge_of_bin(quantile_bin(counts, quantile), histogram.bin_width) if histogram.amax else 0.0
        off = np.abs(_clipped_share(histogram) - (1.0 - quantile))
        return _Computed(off, _nearest_index(amax, histogram.bin_width), amax)
    amax = min(line.end * histogram.range / N_BINS, _FLOAT32_MAX)
    centres = np.arange(FIRST_CANDIDATE, N_BINS + 1) + 0.5
    height = np.asarray(np.abs(line.intercept + line.slope * centres), np.float64)
    return _Computed(height, _nearest_index(amax, histogram.bin_width), amax, "distance of the tail's line from 0")


def _edge_of_bin(index: int, bin_width: float) -> float:
    """Return the upper edge of a bin as TensorRT rounds it."""
    with np.errstate(over="ignore"):
        return min(float(np.float32(index + 1) * np.float32(bin_width)), _FLOAT32_MAX)


def _mse(histogram: Histogram, _method: Method) -> _Computed:
    """Take the candidate with the least clipping plus rounding noise, see :class:`~trtcal_widgets.core.NoiseModel`.

    Where the values are known exactly, thresholds between the candidates are looked at too: a 1 among zeros has no
    error at all, with the right one.
    """
    model = NoiseModel(histogram)
    candidates = _candidates(histogram.bin_width)
    noise = model.noise(candidates)
    objective = np.asarray(noise[:, 1] + noise[:, 2])
    if histogram.n_finite == 0 or histogram.amax == 0.0:
        return _Computed(objective, N_BINS, histogram.amax)
    if model.discrete is not None:
        amax = best_between(model.discrete, histogram, candidates, noise)
        return _Computed(objective, _nearest_index(amax, histogram.bin_width), amax)
    pick = int(np.argmin(objective)) + FIRST_CANDIDATE
    amax = min(_amax_of_index(pick, histogram.bin_width), histogram.amax)
    return _Computed(objective, pick, amax, is_uncertain=alone_share(histogram) > _MOSTLY_ALONE)


@dataclass(frozen=True)
class _Spec:
    """One row of :data:`METHODS`."""

    compute: Callable[[Histogram, Method], _Computed]
    objective_label: str
    help: str
    default: float | None = None
    upper: float = 1.0


METHODS: dict[str, _Spec] = {
    "entropy": _Spec(_entropy, "KL divergence", "TensorRT's EntropyCalibration2: least information lost"),
    "minmax": _Spec(_minmax, "clipped share", "TensorRT's MinMaxCalibration: nothing is clipped"),
    "percentile": _Spec(
        _percentile,
        "distance from the wanted share",
        "keep this percentage of the values",
        99.99,
        100.0,
    ),
    "mse": _Spec(_mse, "mean squared error", "least clipping plus rounding noise"),
    "legacy": _Spec(
        _legacy,
        "distance from the wanted share",
        "TensorRT's LegacyCalibration: a quantile of |x|, or where the tail's line ends (cutoff below 1)",
        0.9999,
        1.0,
    ),
}
"""All methods by name, in the order in which they are shown."""
