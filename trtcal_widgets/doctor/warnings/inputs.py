"""Checks that read the samples as they are fed: where the session has its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.thumbnails import as_nhwc
from trtcal_widgets.doctor.types import DataWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.warnings.facts import Facts

_SIDE = 16
"""Pixels along each side of the pictures of channels that are compared."""

_SAME = 0.9999
"""Correlation of the pictures of two channels from which on they are one."""

_INTERLEAVED = 0.7
"""How far neighbours may differ that lie three places apart, over those that lie next to each other."""


def colours(facts: Facts, stop: Callable[[], None]) -> Iterator[DataWarning]:
    """Find gray pictures in three channels, and images whose bytes were taken for planes. ``stop`` may raise."""
    plan = facts.session.plan
    if plan is None:
        return
    gray = interleaved = n = 0
    for index in facts.batches:
        stop()
        batch = plan.load(index)
        seen = ((array, as_nhwc(array)) for array in batch.by_sample().values())
        fed = next(((array, images) for array, images in seen if images is not None and images.shape[3] == 3), None)
        if fed is None:
            return
        array, images = fed
        for k in facts.rows(batch):
            n += 1
            gray += _is_gray(images[k])
            interleaved += array.shape[1] == 3 and _is_interleaved(array[k])
    if n and interleaved >= 0.5 * n:
        yield DataWarning(
            kind="interleaved",
            severity="severe",
            sure="likely",
            what=f"{interleaved:,} of {count_of(n, 'image')} have their colours side by side, not in planes.",
            evidence=(
                "Along a line every third value is like the one before it, and neighbours are not: pixels of height x "
                "width x channel that were given another shape, not another order."
            ),
            mend="Transpose, do not reshape (in Python: image.transpose(2, 0, 1) for channels first).",
            tensors=facts.inputs,
        )
    elif gray and gray >= 0.5 * n:
        yield DataWarning(
            kind="gray-images",
            severity="note",
            sure="certain",
            what=f"{gray:,} of {count_of(n, 'image')} are gray: their three channels show one picture.",
            evidence=f"The channels' small pictures correlate by more than {_SAME}.",
            mend="Right where the engine will see gray images; if it will see colours, calibrate with colours.",
        )


def _is_gray(image: NDArray[Any]) -> bool:
    """Whether the channels of [H,W,3] are one picture, each with a mean and a scale of its own."""
    pixels = np.asarray(image, np.float64)
    edges = [np.linspace(0, side, min(_SIDE, side) + 1).astype(int)[:-1] for side in pixels.shape[:2]]
    flat = np.add.reduceat(np.add.reduceat(pixels, edges[0], axis=0), edges[1], axis=1).reshape(-1, 3).T
    with np.errstate(all="ignore"):  # NaN and inf are no gray
        flat = flat - flat.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(flat, axis=1)
        flat = flat / norms[:, None]
        return bool(norms.all() and (flat @ flat.T > _SAME).all())


def _is_interleaved(image: NDArray[Any]) -> bool:
    """Whether every third value along the lines of [3,H,W] belongs together more than neighbours do."""
    lines = np.asarray(image, np.float64).reshape(-1, image.shape[-1])
    with np.errstate(all="ignore"):
        third, next_ = (float(np.abs(lines[:, k:] - lines[:, :-k]).mean()) for k in (3, 1))
    return third < _INTERLEAVED * next_
