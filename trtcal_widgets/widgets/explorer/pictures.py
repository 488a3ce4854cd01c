"""The pictures of the last counted batch: loaded beside the main thread, for they may be large files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.widgets.explorer.panels import StepperPanel

MOST_PICTURES = 10
_GAP = 2


def picture_strip(pictures: Sequence[NDArray[np.uint8]]) -> tuple[bytes, int, int]:
    """Return RGBA bytes, width and height of up to ten pictures side by side; empty without pictures."""
    shown = list(pictures[:MOST_PICTURES])
    if not shown:
        return b"", 0, 0
    height = max(p.shape[0] for p in shown)
    width = sum(p.shape[1] for p in shown) + _GAP * (len(shown) - 1)
    strip = np.zeros((height, width, 4), np.uint8)
    left = 0
    for picture in shown:
        high, wide = picture.shape[:2]
        top = (height - high) // 2
        strip[top : top + high, left : left + wide, :3] = picture[..., :3]
        strip[top : top + high, left : left + wide, 3] = 255
        left += wide + _GAP
    return strip.tobytes(), width, height


def show_pictures(stepper: StepperPanel, batch: int, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Send the pictures of a batch to the browser."""
    pixels, width, height = picture_strip(pictures)
    count = min(len(pictures), MOST_PICTURES)
    stepper.pixels = pixels
    label = f"the first {count} images of batch {batch + 1}"
    stepper.thumbs = {"width": width, "height": height, "count": count, "label": label}
