"""An image file -> upright pixels in the wanted colours, with a note of every step.

What is done is what Pillow's ``convert`` and OpenCV's ``imread`` do as well, since calibration must see what
the application feeds: an EXIF orientation is applied, an alpha channel is dropped, not blended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trtcal_widgets.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

__all__ = ["Color", "Decoded", "decode", "open_upright", "pillow"]

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
    """Return Pillow's ``Image`` module.

    Raises
    ------
    MissingDependencyError
        If Pillow is not installed.
    """
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

    Raises
    ------
    DataError
        If the file is missing, is no image, is damaged, or has pixels without an agreed range.
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

    Raises
    ------
    DataError
        If the file is missing, is no image, or is damaged.
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
