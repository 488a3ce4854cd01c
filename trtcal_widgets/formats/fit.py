"""Whether a TensorRT takes a calibration cache as it is, instead of calibrating again.

What was run, on 8.6.0: a cache is taken where its version has exactly four digits, whichever they are, and its
algorithm is the calibrator's own. Any other is ignored without a warning: TensorRT calibrates anew and does not even
write the new cache. Releases from 10 on were not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from trtcal_widgets.formats.header import parse_version, version_to_int

if TYPE_CHECKING:
    from trtcal_widgets.formats.oddities import Oddity

FOUR_DIGITS_BELOW = 10
"""Releases before this major version write and take four digits (8601), later ones six (101601)."""


class CacheWithHeader(Protocol):
    """A file whose header names a TensorRT version and a calibrator."""

    @property
    def header(self) -> str:
        """First line."""

    @property
    def version(self) -> tuple[int, int, int] | None:
        """TensorRT version, if the header names one."""

    @property
    def algorithm(self) -> str:
        """Calibrator."""

    @property
    def legacy(self) -> tuple[float, float] | None:
        """The two numbers of a legacy table, which has no version."""

    @property
    def oddities(self) -> tuple[Oddity, ...]:
        """What is odd about the file."""


@dataclass(frozen=True)
class HeaderFit:
    """Whether a TensorRT would reuse a cache.

    Attributes
    ----------
    verdict
        ``"reuse"``, ``"recalibrate"``, or ``"unsupported"`` (TensorRT 11 and later read no cache).
    message
        The reason, what is unverified about it, and what to do.
    """

    verdict: Literal["reuse", "recalibrate", "unsupported"]
    message: str


def header_fits(cache: CacheWithHeader, version: str, algorithm: str) -> HeaderFit:
    """Whether a TensorRT would take this cache instead of calibrating again, as far as is known.

    Parameters
    ----------
    cache
        The cache.
    version
        The TensorRT version that is to read it, such as ``"10.16.1"``.
    algorithm
        The calibrator class that it is given with, such as ``"EntropyCalibration2"``.

    Raises
    ------
    UsageError
        If ``version`` is no version.
    """
    wanted = parse_version(version)
    if wanted[0] >= 11:
        return HeaderFit(
            "unsupported",
            f"TensorRT {version} has no calibrators and reads no calibration cache: export an explicit "
            "Q/DQ ONNX model from these scales instead.",
        )
    if wanted[0] < FOUR_DIGITS_BELOW:
        return _four_digits(cache, version, algorithm)
    return _six_digits(cache, version, algorithm)


def _four_digits(cache: CacheWithHeader, version: str, algorithm: str) -> HeaderFit:
    """Return what 8.6.0 was seen to do; other releases before 10 are taken to do the same."""
    reasons = []
    mend = f"`trtcal convert --to cache --trt-version {version}` (in Python: cache.with_header(version={version!r}))"
    if cache.legacy is None and (cache.version is None or cache.version[0] >= FOUR_DIGITS_BELOW):
        reasons.append(_digits(cache))
    if cache.legacy is not None and not cache.header.startswith("0 "):
        reasons.append("it is a legacy table of an older form, with which nothing was run")
    if cache.algorithm != algorithm:
        reasons.append(f"it was made with {cache.algorithm} and is to be read with {algorithm}")
    kinds = {oddity.kind for oddity in cache.oddities}
    if "bom" in kinds:
        reasons.append("it starts with a byte order mark")
        mend = "save it as UTF-8 without one"
    if "no-rows" in kinds:
        reasons.append("it has no rows")
        mend = "calibrate anew"
    if reasons:
        return HeaderFit(
            "recalibrate",
            f"TensorRT {version} would ignore this file without a word and calibrate again: {'; '.join(reasons)}. "
            f"To have its scales used all the same: {mend}.",
        )
    what = "a legacy table" if cache.legacy else f"a version of four digits ({version_to_int(cache.version or '')})"
    return HeaderFit(
        "reuse",
        f"TensorRT {version} takes it: {what} and the calibrator's own algorithm ({algorithm}). That is what 8.6.0 "
        "was seen to do.",
    )


def _digits(cache: CacheWithHeader) -> str:
    if cache.version is None:
        return f"its header {cache.header!r} has no version of four digits, such as 8601"
    number = version_to_int(cache.version)
    return f"its version has six digits ({number}, TensorRT {'.'.join(map(str, cache.version))})"


def _six_digits(cache: CacheWithHeader, version: str, algorithm: str) -> HeaderFit:
    """Return what is expected of TensorRT 10, which was not run."""
    wanted = parse_version(version)
    reasons = []
    if cache.version is None:
        reasons.append(f"the header {cache.header!r} names no TensorRT version that is known")
    elif cache.version != wanted:
        was, now = (".".join(map(str, numbers)) for numbers in (cache.version, wanted))
        reasons.append(f"it was written by TensorRT {was} and is to be read by {now}")
    if cache.algorithm != algorithm:
        reasons.append(f"it was made with {cache.algorithm} and is to be read with {algorithm}")
    if not reasons:
        return HeaderFit("reuse", f"Version and calibrator are those of TensorRT {version} with {algorithm}.")
    return HeaderFit(
        "recalibrate",
        f"TensorRT will probably calibrate again: {' and '.join(reasons)}. How strict each release is "
        "about this is unverified; users report that a cache is accepted once its header line is "
        "changed, which keeps the scales of the other version or method.",
    )
