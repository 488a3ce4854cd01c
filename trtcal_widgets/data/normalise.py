"""Pixels -> what the model is fed: ``(pixel * scale - mean) / std``, in that order.

The arithmetic is float64 and rounded once, at the end, to the wanted dtype: that is what reproduces the golden
case cifar10-input-entropy2 bit for bit. A ``scale`` that is one over a whole number, 1/255 above all, divides
by that number, because ``pixel * (1 / 255)`` and ``pixel / 255`` are not always the same float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from trtcal_widgets.core.arguments import number
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

__all__ = ["Normalisation", "PerChannel", "normalisation"]

PerChannel: TypeAlias = "float | Sequence[float] | None"
"""One number for all channels, one for each, or None for none."""


@dataclass(frozen=True)
class Normalisation:
    """A checked ``(pixel * scale - mean) / std``; make one with :func:`normalisation`.

    Attributes
    ----------
    scale
        Factor on the pixel.
    mean, std
        One number per channel, in the order in which channels are fed (BGR order for BGR), in units after
        ``scale``; empty for none.
    dtype
        What comes out.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: np.dtype[Any]

    def apply(self, pixels: NDArray[Any], layout: Literal["NCHW", "NHWC"]) -> NDArray[Any]:
        """Normalise ``pixels`` [N,H,W,C] of any number type.

        Returns
        -------
        A new contiguous array of :attr:`dtype`, [N,C,H,W] or [N,H,W,C].
        """
        if pixels.dtype != np.uint8:
            fed = self._formula(pixels)
            return np.ascontiguousarray(fed.transpose(0, 3, 1, 2)) if layout == "NCHW" else fed
        # 256 values per channel, computed once each: exact, and faster than arithmetic on every pixel
        n, height, width, channels = pixels.shape
        tables = self._formula(np.repeat(np.arange(256)[:, None], channels, axis=1)).T.copy()
        shape = (n, channels, height, width) if layout == "NCHW" else pixels.shape
        fed = np.empty(shape, self.dtype)
        planes = fed if layout == "NCHW" else fed.transpose(0, 3, 1, 2)
        for sample, channel in np.ndindex(n, channels):
            # any mode but "raise" writes into the plane without a buffer; a byte is always a good index
            np.take(tables[channel], pixels[sample, ..., channel], out=planes[sample, channel], mode="clip")
        return fed

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
        values = values / divisor if divisor else values * self.scale
        if self.mean:
            values -= np.asarray(self.mean)
        if self.std:
            values /= np.asarray(self.std)
        return values.astype(self.dtype)


def normalisation(scale: float, mean: PerChannel, std: PerChannel, dtype: DTypeLike, *, channels: int) -> Normalisation:
    """Check the arguments and return the :class:`Normalisation`.

    Raises
    ------
    UsageError
        If a number is not finite, a divisor is 0, the count of numbers fits neither 1 nor ``channels``, or
        ``dtype`` is an integer type that would cut the normalised values off.
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
    return Normalisation(float(scale), means, stds, kind)


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
