"""What is odd about a scale file, told in a user's words: nothing is mended silently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trtcal_widgets.formats.header import COMMENT, KNOWN_ALGORITHMS, line_core, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trtcal_widgets.formats.header import TextLines
    from trtcal_widgets.formats.native import CacheRow, NativeText

Severity = Literal["info", "warning", "error"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")

ABSURD_BITS = np.float32(0.999 * float(np.finfo(np.float32).max) / 127).view(np.uint32)
"""From here on a scale belongs to an amax within 0.1 % of the largest float32."""

_VALUES: dict[str, tuple[Severity, str]] = {
    "zero": (
        "warning",
        (
            "is 0: the tensor was zero on all calibration data. TensorRT writes such rows itself, but "
            "they cannot become Q/DQ. If the tensor should have values, calibrate with other data."
        ),
    ),
    "inf": (
        "error",
        (
            "is infinite: the calibration data or a constant held infinity (an attention mask, for "
            "instance). INT8 keeps nothing of this tensor; calibrate again without infinities or set "
            "a threshold for it."
        ),
    ),
    "nan": (
        "error",
        (
            "is not a number: the calibration data produced NaN there. Find the layer that makes NaN "
            "and calibrate again, or set a threshold for it."
        ),
    ),
    "negative": (
        "error",
        (
            "is negative, which no calibrator writes (a range is symmetric and has no sign). Check what "
            "wrote the file. ONNX Runtime's tool writes the larger end of the range instead of the "
            "larger |end|, so that tensors that are never positive come out negative: use its JSON file."
        ),
    ),
    "absurd": (
        "error",
        (
            "belongs to the largest number of float32, which an operator makes of NaN or of an overflow, or a mask "
            "holds. INT8 keeps nothing of this tensor; look at what computes it, or set a threshold for it."
        ),
    ),
    "denormal": (
        "warning",
        (
            "is so small that float32 holds it with few digits (denormal): the tensor is practically "
            "zero. TensorRT may treat it as 0; what it does is unverified."
        ),
    ),
}


@dataclass(frozen=True)
class Oddity:
    """One odd thing in a file.

    Attributes
    ----------
    kind
        A short fixed word to group by: ``"duplicate"``, ``"zero"``, ``"inf"``, ``"nan"``, ``"negative"``,
        ``"absurd"``, ``"denormal"``, ``"crlf"``, ``"bom"``, ``"non-utf8"``, ``"control-character"``,
        ``"no-final-newline"``, ``"blank-line"``, ``"comment"``, ``"commented-out"``, ``"spacing"``, ``"odd-digits"``,
        ``"no-rows"``, ``"unknown-algorithm"``, ``"unknown-version"``, ``"min-above-max"``, ``"legacy-numbers"``,
        ``"left-out"``.
    line
        1-based line number; 0 where it is about the whole file or the format has no lines.
    name
        The tensor it is about; empty where it is about no tensor. Arbitrary text, never markup.
    message
        What it is and what to do. Printable.
    severity
        ``"info"`` (harmless), ``"warning"`` (may matter) or ``"error"`` (the row or file is wrong).
    """

    kind: str
    line: int
    name: str
    message: str
    severity: Severity = "warning"


def native_oddities(parsed: NativeText) -> tuple[Oddity, ...]:
    """Everything odd about a calibration cache, in the order of its lines."""
    found = [
        *text_oddities(parsed.text, header_line=parsed.header_line),
        *_header_oddities(parsed),
        *_value_oddities(parsed.rows),
        *_name_oddities(parsed.rows, is_utf8=parsed.text.is_utf8),
        *_duplicates(parsed.rows),
        *_comments(parsed),
        *_writing_oddities(parsed),
    ]
    return tuple(sorted(found, key=lambda oddity: oddity.line))


def text_oddities(text: TextLines, *, header_line: int = 0) -> Iterator[Oddity]:
    """Oddities of a text file as a whole: BOM, line ends, blank lines; ``header_line`` is 0 where it has no header."""
    lines = text.lines
    if text.has_bom:
        message = (
            "The file starts with a UTF-8 byte order mark, which editors on Windows add. TensorRT 8.6.0 "
            "ignores such a file without a word (run): save it as UTF-8 without BOM."
        )
        yield Oddity("bom", 1, "", message)
    crlf = sum(line.endswith("\r") for line in lines)
    if crlf:
        ends = len(lines) - (not lines[-1])
        message = (
            f"{crlf} of {ends} lines end with CR LF (Windows line ends). TensorRT 8.6.0 reads them right "
            "(run); of other releases that is not known: save the file with LF line ends."
        )
        yield Oddity("crlf", 0, "", message)
    if lines[-1]:
        message = "The last line has no newline at its end, as TensorRT writes it. Harmless here."
        yield Oddity("no-final-newline", len(lines), "", message, "info")
    last = max((i for i, line in enumerate(lines) if line_core(line)), default=0)
    for index in (i for i, line in enumerate(lines[:last]) if not line_core(line)):
        message = (
            "A blank line stands before the header. TensorRT 8.6.0 takes such a cache (run); of other releases that is "
            "not known: remove the line."
            if index + 1 < header_line
            else "A blank line stands between rows. Whether TensorRT reads the rows after it is unverified: remove it."
        )
        yield Oddity("blank-line", index + 1, "", message)


def value_oddity(kind: str, line: int, name: str, subject: str) -> Oddity:
    """Oddity of a number (``kind`` as in :attr:`Oddity.kind`); ``subject`` is "The scale" or so."""
    severity, message = _VALUES[kind]
    return Oddity(kind, line, name, f"{subject} of {quote(name)} {message}", severity)


def _header_oddities(parsed: NativeText) -> Iterator[Oddity]:
    header = parsed.header
    if not parsed.rows:
        message = "The file has a header but no rows. Calibrate again, or check what cut it off."
        yield Oddity("no-rows", 0, "", message, "error")
    if header.algorithm not in KNOWN_ALGORITHMS:
        message = (
            f"No TensorRT calibrator is called {quote(header.algorithm)} "
            f"({', '.join(KNOWN_ALGORITHMS)} are). TensorRT would probably calibrate again: correct the header."
        )
        yield Oddity("unknown-algorithm", parsed.header_line, "", message)
    if header.legacy is not None:
        if not all(0 <= value <= 1 for value in header.legacy):
            message = (
                f"The header's quantile {header.legacy[0]!r} and regression cutoff "
                f"{header.legacy[1]!r} should both be from 0 to 1. Check what wrote the file."
            )
            yield Oddity("legacy-numbers", parsed.header_line, "", message)
    elif header.version is None:
        message = (
            f"{quote(header.text)} holds no TensorRT version that is known: four digits (8601 for 8.6.1) "
            "or six (101601 for 10.16.1). TensorRT would probably calibrate again: correct the header."
        )
        yield Oddity("unknown-version", parsed.header_line, "", message)


def _value_oddities(rows: tuple[CacheRow, ...]) -> Iterator[Oddity]:
    bits = np.array([row.bits for row in rows], dtype=np.uint32)
    magnitude = bits & np.uint32(0x7FFFFFFF)
    kinds = {
        "zero": bits == 0,
        "denormal": (bits != 0) & (bits < 0x00800000),
        "absurd": (bits >= ABSURD_BITS) & (bits < 0x7F800000),
        "inf": bits == 0x7F800000,
        "nan": magnitude > 0x7F800000,
        "negative": (bits >= 0x80000000) & (magnitude <= 0x7F800000),
    }
    for kind, mask in kinds.items():
        for index in np.flatnonzero(mask):
            yield value_oddity(kind, rows[index].line, rows[index].name, "The scale")


def _name_oddities(rows: tuple[CacheRow, ...], *, is_utf8: bool) -> Iterator[Oddity]:
    for row in rows:
        if not is_utf8 and _NOT_UTF8.search(row.name):
            message = (
                f"The name {quote(row.name)} is not UTF-8. Its bytes are kept, but a model's tensor names "
                "are UTF-8, so it matches none of them: check the encoding of the file."
            )
            yield Oddity("non-utf8", row.line, row.name, message)
        if _CONTROL.search(row.name):
            message = (
                f"The name {quote(row.name)} holds control characters (a tab or a carriage return, for "
                "instance). Check that it is the name in the model."
            )
            yield Oddity("control-character", row.line, row.name, message)


def _duplicates(rows: Iterable[CacheRow]) -> Iterator[Oddity]:
    first: dict[str, CacheRow] = {}
    for row in rows:
        before = first.setdefault(row.name, row)
        if before is row:
            continue
        same = before.bits == row.bits
        which = "with the same scale" if same else "with another scale"
        message = (
            f"{quote(row.name)} stands in line {before.line} already, {which}. The last row counts here; "
            "which one TensorRT takes is unverified: remove all but one."
        )
        yield Oddity("duplicate", row.line, row.name, message, "info" if same else "error")


def _comments(parsed: NativeText) -> Iterator[Oddity]:
    for number in parsed.comments:
        message = (
            f"The line is a comment: {quote(line_core(parsed.text.lines[number - 1]))}. TensorRT 8.6.0 takes a cache "
            "that holds one (run); of other releases that is not known: remove the line if they are to read it."
        )
        yield Oddity("comment", number, "", message)
    for row in parsed.rows:
        if row.name.startswith(COMMENT):
            message = (
                f"{quote(row.name)} begins with # as a comment does, and is read as the name of a tensor, which may "
                "hold anything. If the row was to be left out, remove the line."
            )
            yield Oddity("commented-out", row.line, row.name, message)


def _writing_oddities(parsed: NativeText) -> Iterator[Oddity]:
    """Rows that mean the same to us but are not written as TensorRT writes them."""
    for row in parsed.rows:
        digits = f"{row.bits:x}"
        if row.digits != digits:
            message = (
                f"The scale of {quote(row.name)} is written {row.digits}; TensorRT writes {digits} (small "
                "letters, no leading zeros, no 0x). The number is the same."
            )
            yield Oddity("odd-digits", row.line, row.name, message, "info")
        line = parsed.text.lines[row.line - 1]
        if len(line.rstrip("\r")) != len(row.name) + 2 + len(row.digits):
            message = (
                f"The row of {quote(row.name)} has extra spaces around its scale. Whether TensorRT reads "
                "it is unverified: remove them."
            )
            yield Oddity("spacing", row.line, row.name, message)
    first = parsed.text.lines[parsed.header_line - 1].rstrip("\r")
    if first != parsed.header.text:
        message = "The header line ends with spaces. TensorRT may not know it then: remove them."
        yield Oddity("spacing", parsed.header_line, "", message)
