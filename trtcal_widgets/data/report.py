"""What was done to one image on its way into the model, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.data.convert import describe_array

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ImageReport", "Step"]


@dataclass(frozen=True)
class Step:
    """One thing that was done: ``Step("resized", "480x640 to 256x341, bilinear")``."""

    name: str
    detail: str


@dataclass(frozen=True, eq=False)
class ImageReport:
    """Every step from an image file to the array that is fed, and what the array holds.

    Attributes
    ----------
    path
        The image file.
    steps
        What was done, in order; the first says what the file holds.
    array
        The sample as it is fed, without the batch axis, read-only.
    original, fed
        Pictures, uint8 [height, width, 3], the longest side at most 160: the upright file, and the pixels just
        before normalisation (in true colours, also where they are fed in BGR order).
    """

    path: Path
    steps: tuple[Step, ...]
    array: NDArray[Any]
    original: NDArray[np.uint8]
    fed: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the sample, without the batch axis."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the sample."""
        return self.array.dtype

    @property
    def min(self) -> float:
        """Smallest value that is fed."""
        return float(self.array.min())

    @property
    def max(self) -> float:
        """Largest value that is fed."""
        return float(self.array.max())

    @property
    def mean(self) -> float:
        """Mean of the values that are fed, summed in float64."""
        return float(self.array.mean(dtype=np.float64))

    def __str__(self) -> str:
        lines = [str(self.path), *(f"  {step.name:<11}{step.detail}" for step in self.steps)]
        numbers = f"min {self.min:.4g}, max {self.max:.4g}, mean {self.mean:.4g}"
        return "\n".join([*lines, f"  {'fed':<11}{describe_array(self.array)}, {numbers}"])

    __repr__ = __str__
