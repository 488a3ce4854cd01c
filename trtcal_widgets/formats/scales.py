"""Scale and amax, to the last bit: what a calibration cache stores and what it means.

``amax`` is the calibrated threshold in real units: values beyond ±amax are clipped. ``scale`` =
amax / 127 is the size of one INT8 step. TensorRT's cache holds the scale as a float32 bit pattern in
hex, so both directions are defined here once, in float32, and tested against numbers of real caches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "amax_of_scale",
    "bits_to_scale",
    "float32_text",
    "hex_to_scale",
    "scale_bits",
    "scale_of_amax",
    "scale_to_hex",
    "scales_of_amaxes",
]

_HEX = re.compile(r"[0-9a-fA-F]{1,8}")
_LARGEST = float(np.finfo(np.float32).max)


def scale_of_amax(amax: float) -> np.float32:
    """Scale that TensorRT stores for a threshold: float32(amax) / float32(127).

    The threshold is rounded to float32 first and the division is a float32 one, as TensorRT does
    (golden cases constant-sqrt2 and constant-rsqrt32).

    Parameters
    ----------
    amax
        The threshold, in real units.

    Raises
    ------
    UsageError
        If ``amax`` is negative, not finite, or too large for float32.
    """
    value = float(amax)
    if not 0 <= value <= _LARGEST:
        raise UsageError(
            f"amax must be a number from 0 to {_LARGEST:.7g} (the largest float32), not {value!r}. "
            "It is the largest |x| that INT8 keeps; the range is symmetric, so it has no sign."
        )
    return np.float32(np.float32(abs(value)) / np.float32(127))  # abs: -0.0 is 0 as well


def scales_of_amaxes(amaxes: ArrayLike) -> NDArray[np.float32]:
    """Scales of an array of thresholds (any shape), without checks: inf stays inf, NaN stays NaN."""
    with np.errstate(all="ignore"):
        return np.asarray(amaxes, dtype=np.float64).astype(np.float32) / np.float32(127)


def amax_of_scale(scale: float) -> float:
    """Threshold that a stored scale means: scale * 127, as a Python float (exact, no rounding).

    The scale is rounded to float32 first: a cache holds nothing finer.
    """
    return float(_float32(scale)) * 127.0


def scale_to_hex(scale: float) -> str:
    """Float32 bit pattern in big-endian hex as in a cache: no leading zeros, 0 is ``"0"``."""
    return f"{scale_bits(scale):x}"


def hex_to_scale(text: str) -> np.float32:
    """Scale of a cache's hex digits (1 to 8 of them); every float32 comes back bit for bit.

    Raises
    ------
    UsageError
        If ``text`` is not 1 to 8 hex digits.
    """
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise UsageError(
            f"{text!r} is not a scale in hex: expected 1 to 8 hex digits without 0x, "
            "such as 3c010a14 (the float32 bit pattern of amax / 127)."
        )
    return bits_to_scale(int(text, 16))


def scale_bits(scale: float) -> int:
    """Float32 bit pattern of a scale as an integer from 0 to 2**32 - 1."""
    return int(_float32(scale).view(np.uint32))


def bits_to_scale(bits: int) -> np.float32:
    """Scale of a float32 bit pattern (0 to 2**32 - 1)."""
    return np.uint32(bits).view(np.float32)


def float32_text(value: float) -> str:
    """Shortest decimal text that reads back as the same float32 (``0.1`` for float32(0.1))."""
    x = _float32(value)
    if not np.isfinite(x):
        return str(x)
    # Not str(x): where it turns to an exponent differs between releases of numpy.
    plain = np.format_float_positional(x, trim="0")
    return min(plain, np.format_float_scientific(x, trim="-"), key=len)


def _float32(value: float) -> np.float32:
    with np.errstate(all="ignore"):  # a too large value becomes inf, which the callers report
        return np.float32(value)
