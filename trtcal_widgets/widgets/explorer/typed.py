"""A threshold as a user types it: a number, or a scale in hex as TensorRT's cache writes it."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.scales import amax_of_scale, hex_to_scale, scale_of_amax

_PREFIXED = re.compile(r"0[xX]([0-9a-fA-F]{1,8})")
_BITS = re.compile(r"(?=.*[a-fA-F])[0-9a-fA-F]{8}")
_POWER = re.compile(r"[0-9]+[eE][0-9]{1,2}")


class Typed(NamedTuple):
    """What was typed for a tensor, and the threshold in its unit that it came to."""

    name: str
    amax: float
    text: str

    def holds(self, name: str, amax: float) -> bool:
        """Whether that is the tensor's threshold still; a session keeps it in float32."""
        with np.errstate(over="ignore"):
            return name == self.name and amax == float(np.float32(self.amax))


def threshold_of(text: str) -> float:
    """Return the threshold in a tensor's unit that a text means.

    ``0x3c008912``, and eight hex digits of which one is a letter, are the bits of a scale (amax / 127); ``12345e10`` is
    a number. A UsageError for anything else, or for a scale that no threshold in float32 has.
    """
    bits = _PREFIXED.fullmatch(text) or (None if _POWER.fullmatch(text) else _BITS.fullmatch(text))
    if bits is not None:
        return _amax_of_bits(bits[bits.lastindex or 0])
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"amax: {text!r} is not a number. Write it with a point, such as 1.25 or 3e-4, or give the scale in hex as "
            "the cache has it, such as 0x3c008912. The value before stays."
        ) from None


def _amax_of_bits(digits: str) -> float:
    scale = hex_to_scale(digits)
    if not 0 < scale < np.inf:
        raise UsageError(f"0x{digits} is the scale {float(scale):g}: a scale is finite and greater than 0.")
    near = np.float32(min(amax_of_scale(float(scale)), float(np.finfo(np.float32).max)))
    for amax in (near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))):
        if np.isfinite(amax) and scale_of_amax(float(amax)) == scale:
            return float(amax)
    there = scale_of_amax(float(near))
    raise UsageError(
        f"no threshold in float32 has the scale 0x{digits}; amax {float(near):.9g} has its neighbour "
        f"0x{int(there.view(np.uint32)):x}. Type one of these."
    )
