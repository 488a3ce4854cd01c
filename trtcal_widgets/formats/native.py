"""TensorRT's own cache text: cut into rows without losing a byte.

One row is ``<name>: <hex>``. Names hold anything, ``": "`` too, so a row is split at its LAST ``": "``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.errors import CacheFormatError, ExportError
from trtcal_widgets.formats.detect import Format, describe_format, detect_format
from trtcal_widgets.formats.header import (
    COMMENT,
    DECIMAL,
    CacheHeader,
    TextLines,
    decode_lines,
    header_place,
    line_core,
    parse_header,
    quote,
)
from trtcal_widgets.formats.scales import bits_to_scale

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,8}")


class CacheRow(NamedTuple):
    """One row of a cache: 1-based line number, tensor name, float32 bits, digits as written."""

    line: int
    name: str
    bits: int
    digits: str

    @property
    def scale(self) -> float:
        """The stored scale: amax / 127."""
        return float(bits_to_scale(self.bits))


@dataclass(frozen=True)
class NativeText:
    """A parsed cache: its lines as they are, its header (1-based line), its rows in file order, its comments' lines."""

    text: TextLines
    header: CacheHeader
    header_line: int
    rows: tuple[CacheRow, ...]
    comments: tuple[int, ...]


def parse_native(data: bytes, source: str) -> NativeText:
    """Parse a calibration cache or a legacy table.

    What TensorRT 8.6.0 was seen to take is read: one blank line before the header, lines that begin with ``#``, ``0x``
    before hex digits. A line that begins with ``#`` and is a row as well is one: names hold anything.

    Raises CacheFormatError where the file or a row is not of this format; names line and text, and says what to do.
    """
    if detect_format(data) == "flatbuffers":
        raise CacheFormatError(_other_format("flatbuffers", source))
    text = decode_lines(data, source)
    header_line = header_place(text.lines)
    header = parse_header(line_core(text.lines[header_line - 1]))
    if header is None:
        raise CacheFormatError(_no_header(data, text, header_line, source))
    is_hex = _HEX.fullmatch
    rows: list[CacheRow] = []
    comments: list[int] = []
    for number, line in enumerate(text.lines[header_line:], start=header_line + 1):
        row = line_core(line)
        if not row:
            continue
        at = row.rfind(": ")
        digits = row[at + 2 :].lstrip(" \t")
        if at >= 1 and is_hex(digits):
            rows.append(CacheRow(number, row[:at], int(digits, 16), digits))
        elif row.startswith(COMMENT):
            comments.append(number)
        else:
            raise CacheFormatError(f"{source}, line {number}: {_bad_row(row)}")
    return NativeText(text, header, header_line, tuple(rows), tuple(comments))


def replace_digits(line: str, digits: str) -> str:
    """Put other hex digits into a row's line; name, spaces and line end stay as they are."""
    row = line_core(line)
    head = row[: len(row) - len(row[row.rfind(": ") + 2 :].lstrip(" \t"))]
    return head + digits + line[len(row) :]


def writable_digits(scales: Mapping[str, float], *, infinite: bool = False) -> dict[str, str]:
    """Hex digits by name of scales that may be written (infinity where allowed), or say which tensor's may not."""
    values = np.fromiter(map(_number, scales.values()), dtype=np.float64, count=len(scales))
    with np.errstate(all="ignore"):
        stored = np.abs(values).astype(np.float32)  # abs: a negative zero would become 80000000
    usable = (values >= 0) & ((stored < np.inf) | (infinite & np.isposinf(values)))
    if not usable.all():
        name, scale = list(scales.items())[int(np.argmin(usable))]
        raise ExportError(
            f"The scale {scale!r} of tensor {quote(str(name))} cannot be written to a cache: it must be a "
            "finite float32 and not negative. Set a threshold for the tensor or leave it out."
        )
    digits = (f"{bits:x}" for bits in stored.view(np.uint32).tolist())
    return dict(zip(scales, digits, strict=True))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def writable_name(name: str) -> str:
    """Return the name if a row of the cache gives it back, or say why it does not."""
    if not isinstance(name, str) or not name:
        raise ExportError(f"A row needs a tensor name, not {name!r}. Name the tensor in the model.")
    if any(character in name for character in "\n\r\0"):
        raise ExportError(
            f"The tensor name {quote(name)} holds a line break or NUL, which a file with one row per "
            "line cannot hold. Rename the tensor in the model or leave it out."
        )
    try:
        kept = name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == name
    except UnicodeEncodeError:
        kept = False
    if not kept:
        raise ExportError(
            f"The tensor name {quote(name)} is no valid text in UTF-8. Rename the tensor in the model or leave it out."
        )
    return name


def _other_format(found: Format, source: str) -> str:
    return (
        f"{source}: this is not a calibration cache; it looks like {describe_format(found)}. "
        "Read it with read_scale_file, or turn it into a cache with trtcal convert --to cache."
    )


def _no_header(data: bytes, text: TextLines, line: int, source: str) -> str:
    """Explain a file that has no header where it belongs, in this 1-based line."""
    found = detect_format(data)
    if found != "unknown":
        return _other_format(found, source)
    first = line_core(text.lines[line - 1])
    if "\r" in first:
        return f"{source}: the lines end with CR alone (old Mac line ends). Save the file with LF line ends."
    if not first:
        return (
            f"{source}, line {line}: the line is blank. Remove it: of blank lines before the header TensorRT is known "
            "to take one."
        )
    if first.startswith(COMMENT) and any(parse_header(line_core(other)) for other in text.lines[line:]):
        return (
            f"{source}, line {line}: a comment stands before the header. Move it below the header line or remove it: "
            "that TensorRT takes such a file is not known."
        )
    name, separator, digits = first.rpartition(": ")
    if name and separator and _HEX.fullmatch(digits):
        return (
            f"{source}, line {line}: {quote(first)} is a row, but the header line is missing. Put the line "
            "back that says which TensorRT made the file, such as TRT-8601-EntropyCalibration2."
        )
    return (
        f"{source}, line {line}: {quote(first)} is not the header of a calibration cache. Expected "
        "TRT-<version>-<algorithm>, such as TRT-8601-EntropyCalibration2. Check that this is the file "
        "that TensorRT's calibrator wrote."
    )


def _bad_row(row: str) -> str:
    """Explain a row that cannot be read."""
    name, separator, value = row.rpartition(": ")
    if not separator:
        name, colon, value = row.rpartition(":")
        if colon and DECIMAL.fullmatch(value):
            return (
                f"{quote(row)} is a decimal number, as in a dynamic-range text file, under the header "
                "of a cache. Remove the header line and read the file with read_scale_file or trtcal "
                "convert, or write the scale (amax / 127) in hex."
            )
        return f"{quote(row)} has no ': ' between a tensor name and its scale. Mend or remove the line."
    if not name:
        return f"{quote(row)} has no tensor name before the ': '. Write the name or remove the line."
    value = value.lstrip(" \t")
    if re.fullmatch(r"[0-9a-fA-F]{9,}", value):
        reason = f"has {len(value)} hex digits, but a float32 scale has at most 8"
    elif not value:
        reason = "has no scale after the name; a scale of zero is written as 0"
    elif DECIMAL.fullmatch(value):
        reason = "is a decimal number"
    else:
        reason = "is not hex"
    return (
        f"the scale {quote(value, 40)} of tensor {quote(name)} {reason}. Expected 1 to 8 hex digits: the "
        "float32 bit pattern of amax / 127, such as 3c010a14. Mend or remove the line."
    )
