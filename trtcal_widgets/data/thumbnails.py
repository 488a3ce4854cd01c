"""Small pictures of what a model is fed, for the strip under the stepper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

THUMBNAIL_SIZE = 48
"""Longest side of a thumbnail in pixels."""

_SMALLEST_IMAGE = 8
"""Arrays with a shorter side are features, not pictures."""

_DIMMEST_PIXELS = 32
"""A sample whose largest value is below this does not hold pixels of 0 to 255."""


def fed_thumbnails(feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Return a picture per sample of the first input that looks like images.

    ``feeds``: input name -> array with samples on the first axis. Images are [N,1|3,H,W] or [N,H,W,1|3], H and W at
    least 8. Pictures are uint8 [height, width, 3], the longest side at most 48; none where nothing looks like images.
    Values in 0…1 or 0…255 are shown as they are, others stretched from the sample's smallest to its largest.
    """
    for array in feeds.values():
        images = as_nhwc(array)
        if images is not None:
            return [_picture(image) for image in images]
    return []


def shrink(image: NDArray[Any]) -> NDArray[Any]:
    """Return [H,W,C] averaged over square blocks so that the longest side is at most 48 pixels."""
    height, width = image.shape[:2]
    block = -(-max(height, width) // THUMBNAIL_SIZE)
    if block <= 1:
        return image
    rows, columns = max(height // block, 1), max(width // block, 1)
    tall, wide = min(block, height), min(block, width)
    cut = image[: rows * tall, : columns * wide]
    blocks: NDArray[Any] = cut.reshape(rows, tall, columns, wide, -1).mean(axis=(1, 3), dtype=np.float64)
    return blocks


def as_nhwc(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return what looks like images with the channels last, shape (n, h, w, 1 or 3); None for anything else."""
    if array.ndim != 4 or array.dtype.kind not in "iuf":
        return None
    if array.shape[1] in (1, 3) and min(array.shape[2:]) >= _SMALLEST_IMAGE:
        return np.moveaxis(array, 1, 3)
    if array.shape[3] in (1, 3) and min(array.shape[1:3]) >= _SMALLEST_IMAGE:
        return array
    return None


def _picture(image: NDArray[Any]) -> NDArray[np.uint8]:
    step = max(max(image.shape[:2]) // (2 * THUMBNAIL_SIZE), 1)
    image = image[::step, ::step]  # most pixels of a large image never matter at 48
    finite = np.nan_to_num(image.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and high <= 1 and image.dtype.kind == "f":
        low, high = 0.0, 1.0
    elif low >= 0 and _DIMMEST_PIXELS <= high <= 255:
        low, high = 0.0, 255.0
    span = high - low if high > low else 1.0
    small = np.rint((shrink(finite) - low) * (255 / span)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(small, (*small.shape[:2], 3)))
