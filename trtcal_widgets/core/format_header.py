"""First line of a calibration cache: which TensorRT and which calibrator made it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from trtcal_widgets.errors import UsageError

__all__ = [
    "DEFAULT_VERSION",
    "KNOWN_ALGORITHMS",
    "CacheHeader",
    "header_text",
    "legacy_header_text",
    "parse_header",
    "parse_version",
    "parse_version_int",
    "version_to_int",
]

KNOWN_ALGORITHMS = (
    "EntropyCalibration2",
    "MinMaxCalibration",
    "EntropyCalibration",
    "LegacyCalibration",
)
"""Algorithm names of TensorRT's four calibrator classes (the first two are the ones in use)."""

DEFAULT_VERSION = "10.16.1"
"""The last TensorRT release line with calibrators; TensorRT 11 has none."""

_HEADER = re.compile(r"TRT-([^-\s:]*)-([^\s:]+)")
_LEGACY = re.compile(r"0?([0-9a-fA-F]{16})([0-9a-fA-F]{16})")
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class CacheHeader:
    """What the first line says.

    Attributes
    ----------
    text
        The line itself, without line end.
    version
        ``(major, minor, patch)`` of the TensorRT that wrote the file; ``None`` where there is none.
    algorithm
        ``"EntropyCalibration2"`` and so on, as written in the file.
    legacy
        ``(quantile, regression_cutoff)`` of a legacy table, else ``None``.
    """

    text: str
    version: Version | None
    algorithm: str
    legacy: tuple[float, float] | None = None


def parse_header(text: str) -> CacheHeader | None:
    """Header of a cache from its first line, or ``None`` if the line is no header.

    The legacy table's first line is two doubles in hex run together. The one file that is known
    (golden/LegacyCalibrationTable) has a ``0`` before them; what it means is not documented (perhaps
    the number of the algorithm), so it is accepted with and without.
    """
    match = _HEADER.fullmatch(text)
    if match:
        return CacheHeader(text, _version_or_none(match[1]), match[2])
    match = _LEGACY.fullmatch(text)
    if match:
        quantile, cutoff = (struct.unpack(">d", bytes.fromhex(digits))[0] for digits in match.groups())
        return CacheHeader(text, None, "LegacyCalibration", (quantile, cutoff))
    return None


def header_text(algorithm: str, version: str | Version) -> str:
    """First line of a new cache, such as ``TRT-101601-EntropyCalibration2``.

    Raises
    ------
    UsageError
        For an algorithm that no TensorRT has, or a version without calibrators.
    """
    if algorithm not in KNOWN_ALGORITHMS:
        raise UsageError(
            f"{algorithm!r} is not the name of a TensorRT calibrator. Choose one of {', '.join(KNOWN_ALGORITHMS)}."
        )
    number = version_to_int(version)
    if parse_version_int(number)[0] >= 11:
        raise UsageError(
            f"TensorRT {version} has no calibrators and reads no calibration cache. Choose a version "
            "up to 10, or export an explicit Q/DQ ONNX model, which TensorRT 11 takes."
        )
    return f"TRT-{number}-{algorithm}"


def legacy_header_text(quantile: float, regression_cutoff: float) -> str:
    """First line of a legacy table: ``0``, then both numbers as doubles in big-endian hex.

    Raises
    ------
    UsageError
        If a number is not in [0, 1].
    """
    for name, value in (("quantile", quantile), ("regression_cutoff", regression_cutoff)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} must be a number from 0 to 1, not {value!r}.")
    # + 0.0: a negative zero would be written with its sign
    return "0" + struct.pack(">dd", quantile + 0.0, regression_cutoff + 0.0).hex()


def version_to_int(version: str | Version) -> int:
    """Turn a TensorRT version into the number that stands for it in a header.

    Up to TensorRT 9 it is M·1000 + m·100 + p in four digits (8.6.1 is 8601), from TensorRT 10 on
    M·10000 + m·100 + p in six (10.16.1 is 101601).

    Parameters
    ----------
    version
        ``"10.16.1"``, ``"8.6"``, ``"10.16.1.11"`` (the build number is left out) or a tuple of three.

    Raises
    ------
    UsageError
        If it is no version, or one that the digits cannot hold.
    """
    major, minor, patch = parse_version(version)
    if not 1 <= major <= 99 or patch > 99 or minor > (9 if major < 10 else 99):
        raise UsageError(f"{version!r} is not a TensorRT version that a cache header can hold.")
    return major * 1000 + minor * 100 + patch if major < 10 else major * 10000 + minor * 100 + patch


def parse_version_int(number: int) -> Version:
    """``(major, minor, patch)`` of the number in a header: 8601 is (8, 6, 1), 101601 is (10, 16, 1).

    Raises
    ------
    UsageError
        If the number has neither four nor six digits.
    """
    if 1000 <= number <= 9999:
        return number // 1000, number // 100 % 10, number % 100
    if 100000 <= number <= 999999:
        return number // 10000, number // 100 % 100, number % 100
    raise UsageError(
        f"{number} is not a TensorRT version as in a cache header: expected four digits "
        "(8601 for 8.6.1) or six (101601 for 10.16.1)."
    )


def parse_version(version: str | Version) -> Version:
    """``(major, minor, patch)`` of a version as text (``"10.16.1"``) or as a tuple of three.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if isinstance(version, tuple) and len(version) == 3 and all(isinstance(n, int) for n in version):
        numbers = list(version)
    elif isinstance(version, str) and _VERSION.fullmatch(version.strip()):
        numbers = [int(part) for part in version.strip().split(".")]
    else:
        raise UsageError(f"{version!r} is not a TensorRT version; write it like '10.16.1'.")
    major, minor, patch = [*numbers, 0][:3]
    return major, minor, patch


def _version_or_none(digits: str) -> Version | None:
    if not re.fullmatch(r"[1-9][0-9]{3}(?:[0-9]{2})?", digits):
        return None
    return parse_version_int(int(digits))
