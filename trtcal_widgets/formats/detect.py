"""Which of the known formats a file is in, by its content: file names end in anything."""

from __future__ import annotations

import re
from typing import Literal, get_args

from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.header import DECIMAL, header_place, line_core, parse_header

Format = Literal["cache", "legacy", "ranges", "ort", "json", "flatbuffers", "qdq", "unknown"]
"""The formats: see :func:`describe_format` for what each is."""

FORMATS: tuple[Format, ...] = tuple(name for name in get_args(Format) if name != "qdq")
"""Those that the bytes of a file are recognised by; ``"qdq"`` is a model, which ``model.explicit`` reads."""

_DESCRIPTIONS: dict[str, str] = {
    "cache": "a TensorRT calibration cache",
    "legacy": "a legacy TensorRT calibration table",
    "ranges": "a dynamic-range text file (<name>:<amax>, as TensorRT's sampleINT8API reads)",
    "ort": "an ONNX Runtime calibration table in text (<name> <amax>)",
    "json": "a table of ranges or scales in JSON, ONNX Runtime's ({name: [min, max]}) or another tool's",
    "flatbuffers": "an ONNX Runtime calibration table in flatbuffers",
    "qdq": "an ONNX model with QuantizeLinear and DequantizeLinear",
    "unknown": "no calibration file that is known here",
}
_HEX8 = re.compile(r"[0-9a-fA-F]{8}")
_SAMPLE_ROWS = 50


def describe_format(name: Format) -> str:
    """Say what a format is, in words: ``"cache"`` is "a TensorRT calibration cache"."""
    return _DESCRIPTIONS[name]


def check_format(name: str) -> Format:
    """Return ``name`` if it is a known format.

    Raises UsageError otherwise; names the formats.
    """
    for known in FORMATS:
        if name == known != "unknown":
            return known
    raise UsageError(f"{name!r} is not a format. Choose one of {', '.join(FORMATS[:-1])}.")


def detect_format(data: bytes) -> Format:
    """Name the format of a file's content; never raises.

    Parameters
    ----------
    data
        The whole file (a flatbuffers table is recognised by offsets that stay inside the file).

    Returns
    -------
    Format
        ``"unknown"`` where it is none of them, among them a cache that lost its header line.
    """
    if b"\0" in data:
        return "flatbuffers" if _looks_like_flatbuffers(data) else "unknown"
    text = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    if text.lstrip()[:1] == b"{" and text.rstrip()[-1:] == b"}":
        return "json"
    lines = [line.decode("utf-8", "surrogateescape") for line in text.split(b"\n", 2)[:2]]
    header = parse_header(line_core(lines[header_place(lines) - 1]))
    if header:
        return "cache" if header.legacy is None else "legacy"
    return _detect_rows(text)


def _detect_rows(text: bytes) -> Format:
    """Tell the two header-less text formats apart by their first rows."""
    # A row of either has its number last, so a bounded beginning is enough, cut at a whole line.
    lines = text.decode("utf-8", "surrogateescape").split("\n", _SAMPLE_ROWS * 4)[: _SAMPLE_ROWS * 4]
    rows = [row for row in map(line_core, lines) if row][:_SAMPLE_ROWS]
    for name, separator in (("ranges", ":"), ("ort", " ")):
        pairs = [row.rpartition(separator) for row in rows]
        if not pairs or not all(key and DECIMAL.fullmatch(num.strip()) for key, _, num in pairs[:1]):
            continue
        # The hex digits of a cache without its header can pass for numbers (3e345678); eight of them
        # in any row say what the file really is.
        if any(_HEX8.fullmatch(value.strip()) for _, _, value in pairs):
            return "unknown"
        return check_format(name)
    return "unknown"


def _looks_like_flatbuffers(data: bytes) -> bool:
    """Whether the root table of ``TrtTable`` and its only field lie inside the file."""

    def number(at: int, size: int, *, signed: bool = False) -> int:
        if at < 0 or at + size > len(data):
            raise IndexError
        return int.from_bytes(data[at : at + size], "little", signed=signed)

    try:
        table = number(0, 4)
        vtable = table - number(table, 4, signed=True)
        field = number(vtable + 4, 2) if number(vtable, 2) >= 6 else 0
        if not field:
            return False
        vector = table + field + number(table + field, 4)
        count = number(vector, 4)
    except IndexError:
        return False
    return count > 0 and vector + 4 + 4 * count <= len(data)
