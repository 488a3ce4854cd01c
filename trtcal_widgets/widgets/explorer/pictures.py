"""The pictures of the last counted batch: loaded beside the main thread, for they may be large files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.explorer.panels import StepperPanel

__all__ = ["MOST_PICTURES", "Pictures", "picture_strip"]

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


class Pictures:
    """What is known about the pictures of a session's batches.

    Attributes
    ----------
    unit
        What a sample is called: ``images`` once there was a picture.
    """

    def __init__(self, session: CalibrationSession) -> None:
        self._session = session
        self._shown = -1
        self.unit = "samples"

    def wanted(self, batch: int) -> bool:
        """Whether the pictures of a batch are still to be loaded."""
        return self._session.plan is not None and batch != self._shown

    def load(self, batch: int) -> Sequence[NDArray[np.uint8]]:
        """Return the first pictures of a batch; only as many samples as are shown are read where that is possible."""
        plan = self._session.plan
        if plan is None:
            return []
        return plan.thumbnails(batch, MOST_PICTURES)

    def show(self, stepper: StepperPanel, batch: int, pictures: Sequence[Any]) -> None:
        """Send pictures to the browser."""
        self._shown = batch
        if pictures:
            self.unit = "images"
        pixels, width, height = picture_strip(pictures)
        count = min(len(pictures), MOST_PICTURES)
        label = f"the first {count} images of batch {batch + 1}"
        stepper.pixels = pixels
        stepper.thumbs = {"width": width, "height": height, "count": count, "label": label}
