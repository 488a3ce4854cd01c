"""The pictures of the last counted batch: loaded beside the main thread, for they may be large files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.thumbnails import MOST_PICTURES, picture_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.panels import StepperPanel

__all__ = ["Pictures"]


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
