"""First line of a calibration cache: which TensorRT and which calibrator made it."""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.errors import CacheFormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
_LEGACY_8 = re.compile(r"0 ([0-9a-fA-F]{16}) ([0-9a-fA-F]{16})")
_SPACED_FROM = (8, 0, 0)
"""TensorRT version from which a legacy table's header has spaces: seen with 8.6.0, assumed from 8.0 on."""
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class CacheHeader:
    """What the first line says.

    ``text``: the line itself, without line end. ``version``: ``(major, minor, patch)`` of the TensorRT that wrote the
    file; ``None`` where there is none. ``algorithm``: ``"EntropyCalibration2"`` and so on, as written in the file.
    ``legacy``: ``(quantile, regression_cutoff)`` of a legacy table, else ``None``.
    """

    text: str
    version: Version | None
    algorithm: str
    legacy: tuple[float, float] | None = None


def parse_header(text: str) -> CacheHeader | None:
    """Header of a cache from its first line, or ``None`` if the line is no header.

    The legacy table's first line is two doubles in hex run together. The one file that is known
    (golden/LegacyCalibrationTable) has a ``0`` before them; what it means is not documented (perhaps
    the number of the algorithm), so it is accepted with and without. TensorRT 8.6.0 writes ``0``, the cutoff and the
    quantile with spaces between them (run).
    """
    match = _HEADER.fullmatch(text)
    if match:
        return CacheHeader(text, _version_or_none(match[1]), match[2])
    match = _LEGACY.fullmatch(text)
    if match:
        quantile, cutoff = (struct.unpack(">d", bytes.fromhex(digits))[0] for digits in match.groups())
        return CacheHeader(text, None, "LegacyCalibration", (quantile, cutoff))
    match = _LEGACY_8.fullmatch(text)
    if match:
        cutoff, quantile = (struct.unpack(">d", bytes.fromhex(digits))[0] for digits in match.groups())
        return CacheHeader(text, None, "LegacyCalibration", (quantile, cutoff))
    return None


def header_text(algorithm: str, version: str | Version) -> str:
    """First line of a new cache, such as ``TRT-101601-EntropyCalibration2``.

    Raises UsageError for an algorithm that no TensorRT has, or a version without calibrators.
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


def legacy_header_text(quantile: float, regression_cutoff: float, version: str | Version) -> str:
    """First line of a legacy table: ``0``, then both numbers as doubles in big-endian hex.

    As TensorRT 8.6.0 writes it (run): cutoff and quantile with spaces before them. For versions before 8 as the one old
    table has it: quantile and cutoff run together.

    Raises UsageError if a number is not in [0, 1], or for a version without calibrators.
    """
    header_text("LegacyCalibration", version)
    for name, value in (("quantile", quantile), ("regression_cutoff", regression_cutoff)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} must be a number from 0 to 1, not {value!r}.")
    # + 0.0: a negative zero would be written with its sign
    first, second = (struct.pack(">d", value + 0.0).hex() for value in (quantile, regression_cutoff))
    return f"0{first}{second}" if parse_version(version) < _SPACED_FROM else f"0 {second} {first}"


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

    Raises UsageError if it is neither.
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


COMMENT = "#"
"""What a line below a cache's header begins with that is no row: TensorRT 8.6.0 takes a file that has one (run)."""

DECIMAL = re.compile(
    r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?(?:inf(?:inity)?|nan)",
    re.IGNORECASE | re.ASCII,  # else a Turkish i passes for the one of inf
)
"""A decimal number as C++ and Python both read it (Python's ``float`` alone would take ``1_0``)."""


@dataclass(frozen=True)
class TextLines:
    r"""A text file cut at its newlines.

    Attributes
    ----------
    has_bom
        Whether the file starts with a UTF-8 byte order mark (not part of the first line).
    lines
        The lines without ``"\n"`` but with the ``"\r"`` of Windows line ends. Bytes that are not
        UTF-8 are lone surrogates, as Python's ``surrogateescape`` makes them. The last line is empty
        where the file ends with a newline.
    is_utf8
        Whether all bytes are UTF-8.
    """

    has_bom: bool
    lines: tuple[str, ...]
    is_utf8: bool

    def to_bytes(self) -> bytes:
        """Exactly the bytes that the lines came from."""
        body = "\n".join(self.lines).encode("utf-8", "surrogateescape")
        return codecs.BOM_UTF8 + body if self.has_bom else body


def decode_lines(data: bytes, source: str) -> TextLines:
    """Cut a text file into lines, or say why it is no text file.

    Raises CacheFormatError if the file is empty, binary, or UTF-16.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CacheFormatError(
            f"{source}: the file is UTF-16 text (Windows programs call it 'Unicode'). Save it again as UTF-8 or ANSI."
        )
    if data.startswith(b"PK\x03\x04"):
        raise CacheFormatError(
            f"{source}: this is a zip file, such as a saved session, not a calibration table. Read a session with "
            "CalibrationSession.load or `trtcal report`; its to_cache() makes the cache."
        )
    if b"\0" in data:
        raise CacheFormatError(
            f"{source}: this is a binary file, not a calibration table in text. "
            "Check that it is not an ONNX model or a TensorRT engine."
        )
    has_bom = data.startswith(codecs.BOM_UTF8)
    body = data[3:] if has_bom else data
    if not body.strip():
        raise CacheFormatError(f"{source}: the file is empty. Calibrate again, or check the path.")
    try:
        text, is_utf8 = body.decode("utf-8"), True
    except UnicodeDecodeError:
        text, is_utf8 = body.decode("utf-8", "surrogateescape"), False
    return TextLines(has_bom, tuple(text.split("\n")), is_utf8)


def line_core(line: str) -> str:
    r"""Strip a line's ``"\r"`` and the spaces at its end."""
    return line.removesuffix("\r").rstrip(" \t")


def header_place(lines: Sequence[str]) -> int:
    """1-based number of the line where a cache's header belongs: the first, or below one blank line.

    TensorRT 8.6.0 takes a cache whose first line is blank (run); of more blank lines nothing is known.
    """
    return 1 if line_core(lines[0]) or len(lines) == 1 else 2


def quote(text: str, limit: int = 60) -> str:
    """Text from a file as it may stand in a message: on one line, printable, shortened, in quotes."""
    if len(text) > limit:
        text = text[: limit // 2] + "…" + text[-(limit // 2) :]
    return repr(text)


CONSTANT_ROWS_FROM = (10, 0, 0)
"""TensorRT version from which constants have rows by :func:`constant_row`: seen from 10.12 on, assumed from 10.0 on."""

NETWORK_ROWS_FROM, NETWORK_ROWS_BEFORE = (8, 0, 0), (9, 0, 0)
"""TensorRT versions whose rows :mod:`trtcal_widgets.model.trt8` predicts: run with 8.6.0, assumed for the others."""

_SUFFIX = "_output"

_SYNTHETIC = (
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[Constant\]_output(?:_\d+)?"),
        "a constant that the ONNX parser added as a layer (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[Shuffle\]_output(?:_\d+)?"),
        "a reshape or transpose that the ONNX parser added (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[[^\]]+\]_output(?:_\d+)?"),
        "the output of a layer that has no name in the model (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed ITensor\* \d+\)"),
        "a tensor that has no name in the model (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"ONNXTRT_Broadcast(?:_\d+)?_output"),
        "a reshape that the ONNX parser added so that shapes broadcast (TensorRT 10)",
    ),
    (
        re.compile(r"ONNXTRT_ShapeShuffle(?:_\d+)?_output"),
        "a reshape of a shape tensor that the ONNX parser added (TensorRT 10)",
    ),
    (
        re.compile(r"ONNXTRT_\w+_output"),
        "the output of a layer that the ONNX parser added (TensorRT 10)",
    ),
    (
        re.compile(r"tmp_refittable_weight(?:_\d+)?_output"),
        "a weight that the ONNX parser passed on as a constant layer (TensorRT 10)",
    ),
)


def constant_row(name: str) -> str:
    """Return the name of the row that TensorRT 10 has for a constant of the model."""
    return name + _SUFFIX


def row_of(name: str, rows: Collection[str]) -> str:
    """Return the name of the row that a tensor has: its own, or a constant's in TensorRT 10; ``""`` for none."""
    return name if name in rows else constant_row(name) if constant_row(name) in rows else ""


def synthetic_label(name: str, model_names: frozenset[str] = frozenset(), layers: frozenset[str] = frozenset()) -> str:
    """Say what a name is that TensorRT made up, or ``""`` for a name of no known pattern.

    ``model_names``: all tensor names of the model: with them, ``<constant>_output`` is recognised. ``layers``: all node
    names of the model: with them, ``<node>_output`` is recognised.
    """
    for pattern, label in _SYNTHETIC:
        if pattern.fullmatch(name):
            return label
    before = name[: -len(_SUFFIX)] if name.endswith(_SUFFIX) else ""
    if before in model_names:
        return "the constant of that name without _output, as a layer (TensorRT 10)"
    if before in layers:
        return "what the layer of that name without _output makes before the ONNX parser reshapes it (TensorRT 10)"
    return ""
