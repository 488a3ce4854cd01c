"""How many samples a batch of named arrays holds, where not every input has them on its first axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.data.convert import describe_array
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SampleAxis = int | Mapping[str, int | None] | None | Literal["guess"]
"""The axis of the samples: of every input, or by name (None: the input has none). None: a batch is one whole feed."""


def checked_axis(axis: Any) -> SampleAxis:
    """Return what says where the samples are.

    Raises UsageError if it is neither an axis, nor axes by input name, nor None, nor ``"guess"``.
    """
    numbers = list(axis.values()) if isinstance(axis, Mapping) else [axis]
    for number in numbers:
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not (whole or number is None or (isinstance(number, str) and number == "guess")):
            raise UsageError(
                "sample_axis is an axis (0, 1, …), a dict of input name -> axis or None, None for feeds that are one "
                f"sample each, or 'guess', not {axis!r}"
            )
    return axis  # type: ignore[no-any-return]


def count_samples(
    feeds: Mapping[str, NDArray[Any]], axis: SampleAxis, what: str, wanted: int | None
) -> tuple[int, dict[str, int]]:
    """Return how many samples a batch holds, and the axis of each input that has them.

    ``feeds``: input name -> array of any number of axes. ``axis``: what the user said. ``"guess"``: the first axis, of
    the inputs that have one, where it is as long in all of them; else of those where it is as long as the batch size
    that was asked for; else the feed is one sample. ``what``: the batch, for messages. ``wanted``: the batch size that
    was asked for. Raises DataError if the user's axes are not there, or not equally long.
    """
    if axis is None:
        return 1, {}
    if axis == "guess":
        lengths = {name: len(array) for name, array in feeds.items() if array.ndim}
        if len(set(lengths.values())) == 1:
            return next(iter(lengths.values())), dict.fromkeys(lengths, 0)
        fitting = {name: 0 for name, length in lengths.items() if length == wanted}
        return (wanted, fitting) if fitting and wanted is not None else (1, {})
    by_name = axis if isinstance(axis, Mapping) else dict.fromkeys(feeds, axis)
    if strange := [name for name in by_name if name not in feeds]:
        raise DataError(
            f"sample_axis names {', '.join(map(repr, strange))}, and {what} has {', '.join(map(repr, feeds))}"
        )
    axes = {name: int(place) for name, place in by_name.items() if name in feeds and place is not None}
    lengths = {name: _length(feeds[name], place, name, what) for name, place in axes.items()}
    if not lengths:
        return 1, {}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise DataError(
                f"{what}: input {first!r} has {lengths[first]} samples on its axis {axes[first]} but input {name!r} "
                f"has {length} on its axis {axes[name]} ({describe_array(feeds[name])}); every input needs the same "
                "number"
            )
    return lengths[first], axes


def _length(array: NDArray[Any], axis: int, name: str, what: str) -> int:
    label = f"{what}, input {name!r}" if name else what
    if not array.ndim:
        raise DataError(f"{label} is a single number; an array with an axis for the samples is needed")
    if not -array.ndim <= axis < array.ndim:
        raise DataError(f"{label} is {describe_array(array)} and has no axis {axis} for samples")
    if not array.shape[axis]:
        raise DataError(f"{label} holds no samples: its shape is {array.shape}")
    return int(array.shape[axis])


def by_sample(feeds: Mapping[str, NDArray[Any]], axes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Return the inputs that have samples, their first axis the samples'.

    ``axes``: as :func:`count_samples` gives them. Where there is none the feed is one sample: all inputs, one long.
    """
    if not axes:
        return {name: a if a.ndim and len(a) == 1 else a[np.newaxis] for name, a in feeds.items()}
    return {name: np.moveaxis(feeds[name], axis, 0) for name, axis in axes.items()}


def along_samples(feeds: Mapping[str, NDArray[Any]], axis: SampleAxis, what: str) -> Mapping[str, NDArray[Any]]:
    """Return :func:`by_sample` for what the user said, or as they are for ``"guess"``; as :func:`count_samples`."""
    return feeds if axis == "guess" else by_sample(feeds, count_samples(feeds, axis, what, None)[1])
