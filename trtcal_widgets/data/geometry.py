"""Bringing images to one size: stretch, crop or letterbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Literal

from trtcal_widgets.core.arguments import number, one_of, whole_number
from trtcal_widgets.data.decode import pillow, size_text
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Geometry", "Interpolation", "Resize", "geometry"]

Resize = Literal["stretch", "crop", "letterbox"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "box", "lanczos"]

_RESIZES = ("stretch", "crop", "letterbox")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "lanczos")


@dataclass(frozen=True)
class Geometry:
    """A checked way to one size; make one with :func:`geometry`.

    Attributes
    ----------
    size
        Wanted (height, width) in pixels.
    resize
        ``stretch``, ``crop`` or ``letterbox``.
    short_side
        For ``crop``: length of the shorter side before cropping; None covers ``size`` exactly.
    interpolation
        Pillow's filter; all but nearest average when they make an image smaller.
    pad_value
        For ``letterbox``: pixel value (0 to 255) of the borders, in every channel.
    """

    size: tuple[int, int]
    resize: Resize
    short_side: int | None
    interpolation: Interpolation
    pad_value: int

    def apply(self, image: Image.Image, steps: list[tuple[str, str]]) -> Image.Image:
        """Return ``image`` with :attr:`size`; what was done is added to ``steps``."""
        if self.resize == "stretch":
            return self._scaled(image, self.size, steps)
        if self.resize == "crop":
            return self._cropped(image, steps)
        return self._letterboxed(image, steps)

    def describe(self) -> str:
        """Return the way for people: ``crop to 224x224 (short side 256, bilinear)``."""
        extra = f"short side {self.short_side}, " if self.short_side else ""
        extra = f"borders {self.pad_value}, " if self.resize == "letterbox" else extra
        height, width = self.size
        return f"{self.resize} to {height}x{width} ({extra}{self.interpolation})"

    def _scaled(self, image: Image.Image, size: tuple[int, int], steps: list[tuple[str, str]]) -> Image.Image:
        height, width = size
        if (image.height, image.width) == size:
            return image
        steps.append(("resized", f"{size_text(image)} to {height}x{width}, {self.interpolation}"))
        resampling = getattr(pillow().Resampling, self.interpolation.upper())
        return image.resize((width, height), resampling)

    def _cropped(self, image: Image.Image, steps: list[tuple[str, str]]) -> Image.Image:
        height, width = self.size
        if self.short_side is not None:  # the long side is cut down to a whole number, as torchvision does
            shorter = min(image.height, image.width)
            covering = (self.short_side * image.height // shorter, self.short_side * image.width // shorter)
        else:
            factor = max(height / image.height, width / image.width)
            covering = (max(round(image.height * factor), height), max(round(image.width * factor), width))
        scaled = self._scaled(image, covering, steps)
        top, left = round((scaled.height - height) / 2), round((scaled.width - width) / 2)
        if (scaled.height, scaled.width) == self.size:
            return scaled
        steps.append(("cropped", f"to the middle {height}x{width}: from row {top}, column {left}"))
        return scaled.crop((left, top, left + width, top + height))

    def _letterboxed(self, image: Image.Image, steps: list[tuple[str, str]]) -> Image.Image:
        height, width = self.size
        factor = min(height / image.height, width / image.width)
        inner = (
            min(max(round(image.height * factor), 1), height),
            min(max(round(image.width * factor), 1), width),
        )
        scaled = self._scaled(image, inner, steps)
        if (scaled.height, scaled.width) == self.size:
            return scaled
        top, left = (height - scaled.height) // 2, (width - scaled.width) // 2
        steps.append(("padded", f"to {height}x{width} with {self.pad_value}: image at row {top}, column {left}"))
        border = self.pad_value if len(scaled.getbands()) == 1 else (self.pad_value,) * 3
        canvas: Image.Image = pillow().new(scaled.mode, (width, height), border)
        canvas.paste(scaled, (left, top))
        return canvas


def geometry(
    size: tuple[int, int] | int | None,
    resize: Resize,
    short_side: int | None,
    interpolation: Interpolation,
    pad_value: int,
) -> Geometry | None:
    """Check the arguments and return the :class:`Geometry`; None where images keep their size.

    Raises
    ------
    UsageError
        If an argument is unknown, not positive, or contradicts another.
    """
    one_of(resize, _RESIZES, "resize")
    one_of(interpolation, _INTERPOLATIONS, "interpolation")
    if not 0 <= number(pad_value, "pad_value") <= 255:
        raise UsageError(f"pad_value is a pixel of 0 to 255, not {pad_value!r}")
    if short_side is not None:
        whole_number(short_side, "short_side", 1)
    if size is None:
        if short_side is not None:
            raise UsageError("short_side goes with resize='crop' and a size=(height, width)")
        return None
    try:
        height, width = (index(side) for side in (size if isinstance(size, Iterable) else (size, size)))
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise UsageError(f"size must be (height, width) in whole pixels, such as (224, 224), not {size!r}")
    if short_side is not None and (resize != "crop" or short_side < max(height, width)):
        raise UsageError(
            f"short_side={short_side} needs resize='crop' and must be at least the longer side of size={size}"
        )
    return Geometry((height, width), resize, short_side, interpolation, pad_value)
