"""An image file -> upright pixels in the wanted colours, with a note of every step.

What is done is what Pillow's ``convert`` and OpenCV's ``imread`` do as well, since calibration must see what
the application feeds: an EXIF orientation is applied, an alpha channel is dropped, not blended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from trtcal_widgets.common.arguments import number, one_of, whole_number
from trtcal_widgets.common.memory import check_room
from trtcal_widgets.errors import DataError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from PIL import Image

Color = Literal["RGB", "BGR", "gray"]

_ORIENTATION_TAG = 0x0112
_SIXTEEN_BIT = 65535


class Decoded(NamedTuple):
    """Upright pixels and how they came about.

    ``image`` has mode ``RGB``, ``L``, or ``F`` (16-bit grey on the scale of 0 to 255, with fractions).
    """

    image: Image.Image
    steps: list[tuple[str, str]]


def pillow() -> Any:
    """Return Pillow's ``Image`` module, or say what to install."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            "Reading image files needs Pillow: pip install trtcal_widgets[image]. Without it, give the images as "
            "arrays (ArrayBatches)"
        ) from error
    return Image


def decode(path: Path, color: Color) -> Decoded:
    """Read an image file and convert it to ``color``; BGR is left in RGB order here.

    Raises DataError if the file is missing, is no image, is damaged, or has pixels without an agreed range.
    """
    image, steps = open_upright(path)
    mode = "L" if color == "gray" else "RGB"
    try:
        if image.mode.startswith("I") or image.mode == "F":
            return _sixteen_bit(image, steps, path)
        if image.mode in ("P", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
        if image.mode in ("RGBA", "LA", "La", "RGBa"):
            steps.append(("alpha", "dropped, as Pillow's convert and OpenCV's imread do"))
        if image.mode != mode:
            steps.append(("colour", f"{image.mode} to {'grey (0.299 R + 0.587 G + 0.114 B)' if mode == 'L' else mode}"))
            image = image.convert(mode)
    except ValueError as error:
        raise DataError(f"{path} has colours of mode {image.mode}, which do not become {mode}: {error}") from error
    return Decoded(image, steps)


def open_upright(path: Path) -> tuple[Any, list[tuple[str, str]]]:
    """Open, load and turn an image file upright; the pixels' mode stays the file's.

    Raises DataError if the file is missing, is no image, or is damaged.
    """
    image_module = pillow()
    from PIL import ImageOps

    try:
        with image_module.open(path) as opened:
            steps = [("read", _describe(opened))]
            opened.load()
            orientation = opened.getexif().get(_ORIENTATION_TAG, 1)
            image = ImageOps.exif_transpose(opened) if orientation in range(2, 9) else opened.copy()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}; it was there when the folder was listed") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise anything on a damaged file; each is named
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is no image that can be read: {reason}") from error
    if orientation in range(2, 9):
        steps.append(("turned", f"EXIF orientation {orientation}: now {size_text(image)}"))
    return image, steps


def size_text(image: Image.Image) -> str:
    """Return ``480x640``: height, then width, as ``size=`` has them."""
    return f"{image.height}x{image.width}"


def _describe(image: Any) -> str:
    frames = getattr(image, "n_frames", 1)
    first = f", the first of {frames} frames" if frames > 1 else ""
    return f"{image.format} {size_text(image)} (height x width), mode {image.mode}{first}"


def _sixteen_bit(image: Any, steps: list[tuple[str, str]], path: Path) -> Decoded:
    """Scale 16-bit grey so that 65535 becomes 255, keeping its fractions; repeated to RGB after resizing."""
    is_sixteen = image.mode.startswith("I;16") or (image.mode == "I" and path.suffix.lower() == ".png")
    if not is_sixteen:
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise DataError(
            f"{path} has pixels that are {kind}, whose range nothing says: convert it to 8 or 16 bits, or load "
            "the images yourself and give arrays (ArrayBatches)"
        )
    steps.append(("depth", f"16-bit grey divided by {_SIXTEEN_BIT // 255}: 65535 becomes 255"))
    import numpy as np

    values = np.asarray(image).astype(np.float32) / np.float32(_SIXTEEN_BIT // 255)
    return Decoded(pillow().fromarray(values), steps)


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
        what = f"an image of {size_text(image)}, scaled to {height}x{width},"
        check_room(3 * height * width, what, DataError, "take a smaller size, or leave the image out")
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

    Raises UsageError if an argument is unknown, not positive, or contradicts another.
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


PerChannel: TypeAlias = "float | Sequence[float] | None"
"""One number for all channels, one for each, or None for none."""


@dataclass(frozen=True)
class Normalisation:
    """A checked ``(pixel * scale - mean) / std``; make one with :func:`normalisation`.

    ``scale``: factor on the pixel. ``mean``, ``std``: one number per channel, in the order in which channels are fed
    (BGR order for BGR), in units after ``scale``; empty for none. ``dtype``: what comes out.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: np.dtype[Any]

    def apply(self, pixels: NDArray[Any], layout: Literal["NCHW", "NHWC"]) -> NDArray[Any]:
        """Normalise ``pixels`` [N,H,W,C] of any number type.

        Returns a new contiguous array of :attr:`dtype`, [N,C,H,W] or [N,H,W,C].
        """
        if pixels.dtype != np.uint8:
            fed = self._formula(pixels)
            return np.ascontiguousarray(fed.transpose(0, 3, 1, 2)) if layout == "NCHW" else fed
        # 256 values per channel, computed once each: exact, and faster than arithmetic on every pixel
        n, height, width, channels = pixels.shape
        tables = self.tables(channels)
        shape = (n, channels, height, width) if layout == "NCHW" else pixels.shape
        fed = np.empty(shape, self.dtype)
        planes = fed if layout == "NCHW" else fed.transpose(0, 3, 1, 2)
        for sample, channel in np.ndindex(n, channels):
            # any mode but "raise" writes into the plane without a buffer; a byte is always a good index
            np.take(tables[channel], pixels[sample, ..., channel], out=planes[sample, channel], mode="clip")
        return fed

    def tables(self, channels: int) -> NDArray[Any]:
        """Return what each of the 256 values of a pixel becomes, [channels, 256]."""
        return self._formula(np.repeat(np.arange(256)[:, None], channels, axis=1)).T.copy()

    def describe(self) -> str:
        """Return the arithmetic for people: ``(pixel / 255 - (0.485, …)) / (0.229, …)``."""
        text = "pixel"
        if self.scale != 1:
            divisor = _whole_divisor(self.scale)
            text += f" / {divisor}" if divisor else f" * {self.scale:g}"
        if self.mean:
            text = f"{text} - {_numbers(self.mean)}"
        if self.std:
            text = f"({text}) / {_numbers(self.std)}" if text != "pixel" else f"{text} / {_numbers(self.std)}"
        return text

    def _formula(self, pixels: NDArray[Any]) -> NDArray[Any]:
        divisor = _whole_divisor(self.scale)
        values = pixels.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # it is checked once
            values = values / divisor if divisor else values * self.scale
            if self.mean:
                values -= np.asarray(self.mean)
            if self.std:
                values /= np.asarray(self.std)
            return values.astype(self.dtype)


def normalisation(scale: float, mean: PerChannel, std: PerChannel, dtype: DTypeLike, *, channels: int) -> Normalisation:
    """Check the arguments and return the :class:`Normalisation`.

    Raises UsageError if a number is not finite, a divisor is 0, the count of numbers fits neither 1 nor ``channels``,
    or ``dtype`` is an integer type that would cut the normalised values off.
    """
    if not np.isfinite(number(scale, "scale")) or scale == 0:
        raise UsageError(f"scale must be a number other than 0, not {scale!r}; 1/255 maps pixels to 0…1")
    means = _per_channel("mean", mean, channels)
    stds = _per_channel("std", std, channels)
    if any(value == 0 for value in stds):
        raise UsageError(f"std divides, so it must not hold a 0: {std!r}")
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise UsageError(f"dtype={dtype!r} is not a NumPy type; use 'float32', 'float16' or 'uint8'") from error
    if kind.kind not in "fiu":
        raise UsageError(f"dtype={kind} cannot hold pixels; use 'float32', 'float16' or 'uint8'")
    if kind.kind in "iu" and (scale != 1 or means or stds or kind.itemsize * 8 - (kind.kind == "i") < 8):
        raise UsageError(
            f"dtype={kind} holds whole pixels of 0 to 255 or nothing: use it with scale=1, without mean and std, "
            "as uint8 or wider; or leave dtype at float32"
        )
    made = Normalisation(float(scale), means, stds, kind)
    if not np.isfinite(made.tables(channels)).all():
        raise UsageError(
            f"{made.describe()} makes numbers of pixels that {kind} cannot hold: check scale, mean and std"
        )
    return made


def _per_channel(what: str, given: PerChannel, channels: int) -> tuple[float, ...]:
    if given is None:
        return ()
    if np.iscomplexobj(given):
        raise UsageError(f"{what} must be a number or one number per channel, not {given!r}")
    try:
        values = tuple(float(v) for v in np.atleast_1d(np.asarray(given, np.float64)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} must be a number or one number per channel, not {given!r}") from error
    if len(values) not in (1, channels):
        raise UsageError(
            f"{what}={given!r} has {len(values)} numbers, but the images are fed with {channels} "
            f"channel{'s' if channels > 1 else ''}"
        )
    if not all(np.isfinite(values)):
        raise UsageError(f"{what}={given!r} must be finite numbers")
    return values


def _whole_divisor(scale: float) -> int:
    """Return n where ``scale`` is the float64 1/n for a whole n > 1, else 0."""
    n = round(1 / scale) if abs(scale) < 1 else 0
    return n if n > 1 and 1 / n == scale else 0


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"({', '.join(f'{v:g}' for v in values)})"
