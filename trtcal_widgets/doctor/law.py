"""How an error falls with more data, fitted to the errors of random subsets; and when that cannot be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.doctor.types import Needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.doctor.draws import Draws

FEWEST_TO_SETTLE = 4
"""Batches from which on halves of them say something."""

FEWEST_TO_FIT = 6
"""Batches from which on there are three sizes to fit a law to."""

_BOOTSTRAPS = 200
NEGLIGIBLE_DB = 1e-3
"""Differences that are none."""

_FLATTEST = 0.35
"""An error that falls with a smaller power of the batches does not fall as averages do: thresholds that jump between
places, as entropy's often do. On MNIST what was predicted for such tensors did not come true."""

_USUAL_POWER = 0.5
_USUAL_SPREAD = 0.15
"""What the power is before anything is seen: means of n things differ by 1/sqrt(n). Near a flat optimum it is up to 1,
where thresholds step from bin to bin it is less."""

_POWER_SPREAD = 0.35
"""How far the power that n batches show lies from the true one, times the root of n - 1: measured on data made by known
laws (tests/doctor)."""

_SMALLEST_POWER = 0.1
_WORST_FIT = 0.4
"""Root mean square of the residuals of ln(error) from which on it does not follow the law."""

FARTHEST = 30
"""How many times the present data a law is followed."""

_HUGE = 50.0
"""As a logarithm: far more batches than anybody has."""

_WIDEST = 30
"""Upper over lower end of an interval that still says something."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """What all tensors share: rows of each fitted size drawn with replacement, and how sure n batches are of a width.

    ``sizes``: which of the draws' sizes are fitted. ``rows``: for each, int64, shape (bootstraps, rows of that size).
    ``spread``: float64, shape (bootstraps,): a standard deviation that was measured on n batches over the true one,
    chi-square with n - 1 degrees of freedom. ``normal``: float64, shape (bootstraps,): standard normal.
    """

    sizes: tuple[int, ...]
    rows: tuple[NDArray[np.int64], ...]
    spread: NDArray[np.float64]
    normal: NDArray[np.float64]


def bootstrap(draws: Draws, seed: int) -> Bootstrap:
    """Draw the rows once for all tensors."""
    rng = np.random.default_rng([seed, 1])
    inner = [k for k, size in enumerate(draws.sizes) if size < draws.n]
    several = [k for k in inner if draws.sizes[k] > 1]
    sizes = tuple(several if len(several) >= 3 else inner)
    rows = tuple(rng.integers(0, draws.counts[k], (_BOOTSTRAPS, draws.counts[k])) for k in sizes)
    freedom = max(draws.n - 1, 1)
    spread = np.sqrt(rng.chisquare(freedom, _BOOTSTRAPS) / freedom)
    return Bootstrap(sizes, rows, spread, rng.standard_normal(_BOOTSTRAPS))


def needed(errors: NDArray[np.float64], draws: Draws, boot: Bootstrap, bar: float, images_per_batch: float) -> Needed:
    """Estimate how many samples it takes until 95 % of such draws are within the bar.

    The error of a subset of n of N batches against all of them is that of n batches against the truth, less what the
    two have in common: c (1/n - 1/N)^a, where it is c n^-a against the truth (for means that is the correction for
    finite populations; a is 1/2 for what is linear in the data, up to 1 at a smooth optimum). c and a are fitted to the
    root mean squares over the draws of each size, the interval is that of bootstrapped draws.

    ``errors``: float64, shape (draws,): |difference| of each draw from the whole, dB. ``draws``, ``boot``: which rows
    belong to which size; what is drawn again. ``bar``: in dB. ``images_per_batch``: samples in a batch, on average.
    """
    squares = errors**2
    found = np.array([math.sqrt(squares[draws.of_size(k)].mean()) for k in boot.sizes])
    if errors.max(initial=0.0) <= NEGLIGIBLE_DB:
        return Needed(0, 0, 0, math.nan, "")
    if draws.n < FEWEST_TO_FIT:
        batches = count_of(draws.n, "batch is", "batches are")
        return _cannot(f"{batches} too few to see how the error falls: record in {FEWEST_TO_FIT} or more")
    if not (found > 0).all():
        return _cannot("most draws agree and a few differ: no law can be fitted")
    return _fitted(errors, found, draws, boot, bar, images_per_batch)


def _fitted(
    errors: NDArray[np.float64],
    found: NDArray[np.float64],
    draws: Draws,
    boot: Bootstrap,
    bar: float,
    images_per_batch: float,
) -> Needed:
    """Fit the law to the root mean squares ``found``, and follow it down to the bar."""
    squares = errors**2
    x = np.log(1.0 / draws.sizes[list(boot.sizes)] - 1.0 / draws.n)
    weights = draws.counts[list(boot.sizes)].astype(np.float64)
    slope, level = _line(x, np.log(found)[None], weights)
    middle = float((weights * x).sum() / weights.sum())
    residual = np.log(found) - (level[0] + slope[0] * (x - middle))
    if math.sqrt(float((weights * residual**2).sum() / weights.sum())) > _WORST_FIT:
        return _cannot("the error does not fall by one law: the threshold jumps between places")
    again = [squares[draws.of_size(k)][rows].mean(axis=1) for k, rows in zip(boot.sizes, boot.rows, strict=True)]
    slopes, levels = _line(x, np.log(np.sqrt(np.maximum(np.stack(again, axis=1), 1e-300))), weights)
    if float(np.quantile(slopes, 0.5)) < _FLATTEST:
        return _cannot("the error hardly falls with more of these data")
    # n batches tell the power no better than this; that of means is known.
    spread = float(slopes.var()) + _POWER_SPREAD**2 / (draws.n - 1)
    trust = 1.0 / spread + 1.0 / _USUAL_SPREAD**2
    power = (float(slope[0]) / spread + _USUAL_POWER / _USUAL_SPREAD**2) / trust
    powers = np.maximum(power + boot.normal / math.sqrt(trust), _SMALLEST_POWER)
    # From root mean square to the 95 % that the bar is about: measured at half of the batches.
    halves = errors[draws.of_size(draws.half)]
    factor = math.log(max(float(np.quantile(halves, 0.95)), 1e-12) / math.sqrt(float((halves**2).mean()) or 1e-24))
    over = factor - math.log(bar)
    batches = math.exp(min((level[0] + over) / power - middle, _HUGE))
    ends = np.exp(np.minimum((levels - np.log(boot.spread) + over) / powers - middle, _HUGE))
    low, high = np.quantile(ends, (0.1, 0.9))
    low, high = min(float(low), batches), max(float(high), batches)
    if high > _WIDEST * low:
        return _cannot("the draws allow for anything between a few and very many samples")
    if batches > FARTHEST * draws.n:
        return _cannot(f"it would take more than {FARTHEST} times these data, too far to say")
    images, least, most = (max(math.ceil(value * images_per_batch), 1) for value in (batches, low, high))
    return Needed(images, least, most, power, "")


def _cannot(reason: str) -> Needed:
    return Needed(None, None, None, math.nan, reason)


def _line(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slopes, and values at the weighted mean of ``x``, of least squares for each row of ``y``."""
    share = weights / weights.sum()
    middle = float((share * x).sum())
    level = y @ share
    slope = ((y - level[:, None]) * (share * (x - middle))).sum(axis=1) / float((share * (x - middle) ** 2).sum())
    return slope, level
