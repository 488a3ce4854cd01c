"""How far one tensor's threshold has settled, from draws of its recorded batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.core.histogram import combine, replay
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.resampling import Resampling
from trtcal_widgets.doctor.law import FARTHEST, FEWEST_TO_SETTLE, NEGLIGIBLE_DB, Bootstrap, needed
from trtcal_widgets.doctor.types import QUANTILES, Band, Needed, OrderEffect, Settling, Way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.thresholds import Method
    from trtcal_widgets.doctor.draws import Draws

_DOUBLINGS = math.log2(FARTHEST)
"""How far ahead is looked where the largest value of all is the threshold: it grows with every doubling of the data by
about as much as with the last one, and comes to no end."""

_MOST_DB = 100.0
"""A difference from an SQNR that is infinite counts as this much."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What is the same for every tensor.

    ``batches``: the counted batches' numbers. ``in_order``: whether they were recorded in TensorRT's one pass.
    """

    draws: Draws
    boot: Bootstrap
    bar_db: float
    images_per_batch: float
    batches: tuple[int, ...]
    in_order: bool


def settle(
    name: str, group: tuple[str, ...], label: str, method: Method | float, parts: Sequence[Histogram], setting: Setting
) -> Settling:
    """Examine one tensor.

    Parameters
    ----------
    name, group, label
        The tensor, those that share its scale, what the method is called.
    method
        What picks; or the user's own amax, which no data change.
    parts
        Its histogram in each counted batch.
    setting
        What is the same for every tensor.
    """
    draws = setting.draws
    whole = (replay if setting.in_order else combine)(parts)
    if isinstance(method, float):
        fixed = np.full(len(draws.rows), method)
        two, one, ranges = fixed, fixed, np.zeros(draws.n)
    else:
        resampling = Resampling(parts, in_order=setting.in_order)
        once = len(draws.rows) - draws.n + 1  # which batch comes first changes nothing in two passes
        two, _ = resampling.picks(draws.rows[:once], method, one_pass=False)
        two = np.append(two, np.repeat(two[-1:], draws.n - 1))
        one, ranges = resampling.picks(draws.rows, method, one_pass=True)
        ranges = ranges[draws.whole]
    amax = float((one if setting.in_order else two)[draws.whole][0])
    sqnr = _sqnr(whole, np.concatenate([two, one, [amax]]))
    two_db, one_db = sqnr[: len(two)], sqnr[len(two) : -1]
    errors = _differences(two_db, float(two_db[draws.whole][0]))
    order = _order(one[draws.whole], one_db[draws.whole], ranges, setting)
    halves = two[draws.of_size(draws.half)]
    can_tell = draws.n >= FEWEST_TO_SETTLE or isinstance(method, float)
    largest = _is_largest(method, whole)
    pick = float(two[draws.whole][0])
    off_db = float(np.quantile(errors[draws.of_size(draws.half)], 0.95)) if can_tell else math.nan
    if largest and can_tell:
        grown = pick + _DOUBLINGS * max(pick - float(halves.mean()), 0.0)
        off_db = max(off_db, float(_differences(_sqnr(whole, np.array([grown])), float(two_db[draws.whole][0]))[0]))
    low, high = np.quantile(halves, (0.05, 0.95)) / pick if can_tell and pick > 0 else (math.nan, math.nan)
    settled = off_db <= setting.bar_db if can_tell else None
    return Settling(
        name=name,
        group=group,
        method=label,
        amax=amax,
        sqnr_db=float(sqnr[-1]),
        two_pass=_band("two-pass", two, draws),
        one_pass=_band("one-pass", one, draws),
        settled=settled,
        off_db=off_db,
        off_low=float(low),
        off_high=float(high),
        needed=_needed(errors, setting, settled=settled, largest=largest),
        order=order,
        reason="" if can_tell else _too_few(draws.n),
    )


def _too_few(n: int) -> str:
    batches = count_of(n, "batch", "batches")
    return f"{batches} cannot be halved to see what moves: record the data in {FEWEST_TO_SETTLE} batches or more"


def _is_largest(method: Method | float, whole: Histogram) -> bool:
    """Whether a method takes the largest value of all, or one of which fewer than one lies beyond."""
    if isinstance(method, float) or method.kind in ("entropy", "mse") or method.legacy[1] < 1.0:
        return False
    return (1.0 - method.share) * whole.n_finite < 1.0


def _needed(errors: NDArray[np.float64], setting: Setting, *, settled: bool | None, largest: bool) -> Needed:
    """Return the estimate, not below what there is where that was seen not to be enough."""
    if settled is None:
        return Needed(None, None, None, math.nan, _too_few(setting.draws.n))
    if largest and errors.max(initial=0.0) > NEGLIGIBLE_DB:
        return Needed(None, None, None, math.nan, "the largest value grows with more data, by no law that is known")
    found = needed(errors, setting.draws, setting.boot, setting.bar_db, setting.images_per_batch)
    if found.images is None or found.low is None or found.high is None or settled:
        return found
    least = math.ceil((setting.draws.n + 1) * setting.images_per_batch)
    return Needed(max(found.images, least), max(found.low, least), max(found.high, least), found.exponent, "")


def _sqnr(whole: Histogram, amax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the SQNR of a histogram with each threshold, dB; nan without signal."""
    model = NoiseModel(whole)
    found, places = np.unique(amax, return_inverse=True)
    noise = model.noise(found)[:, 1:].sum(axis=1).tolist()
    sqnr = np.array([model.sqnr_db(value) for value in noise], np.float64)
    return np.asarray(sqnr[np.asarray(places, np.int64)])


def _differences(sqnr: NDArray[np.float64], own: float) -> NDArray[np.float64]:
    """Return |difference| in dB, 0 where neither has noise or there is no signal."""
    with np.errstate(invalid="ignore"):
        off = np.abs(sqnr - own)
    return np.asarray(np.minimum(np.nan_to_num(off, nan=0.0, posinf=_MOST_DB), _MOST_DB), np.float64)


def _order(
    picks: NDArray[np.float64], sqnr: NDArray[np.float64], ranges: NDArray[np.float64], setting: Setting
) -> OrderEffect:
    worst = float(_differences(sqnr, float(sqnr[0])).max())
    return OrderEffect(
        first=_frozen(np.array(setting.batches, np.int64)),
        ranges=_frozen(np.array(ranges)),
        picks=_frozen(np.array(picks)),
        recorded=float(picks[0]),
        low=float(picks.min()),
        high=float(picks.max()),
        worst_db=worst,
        depends=worst > setting.bar_db,
    )


def _band(way: Way, picks: NDArray[np.float64], draws: Draws) -> Band:
    parts = [picks[draws.of_size(k)] for k in range(len(draws.sizes))]
    counts = draws.counts.copy()
    if way == "two-pass":
        parts[-1], counts[-1] = parts[-1][:1], 1  # which one comes first changes nothing
    table = np.stack([np.quantile(part, QUANTILES) for part in parts])
    return Band(way, _frozen(draws.sizes.copy()), _frozen(table), _frozen(counts))


def _frozen(array: NDArray[np.generic]) -> NDArray:  # type: ignore[type-arg]
    array.setflags(write=False)
    return array
