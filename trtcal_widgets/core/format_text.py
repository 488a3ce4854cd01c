"""Lines of a text file whose bytes must come back exactly, and how to show text in a message."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from trtcal_widgets.errors import CacheFormatError

__all__ = ["DECIMAL", "TextLines", "decode_lines", "line_core", "quote"]

DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
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

    Parameters
    ----------
    data
        All bytes of the file.
    source
        The file's name, for messages.

    Raises
    ------
    CacheFormatError
        If the file is empty, binary, or UTF-16.
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


def quote(text: str, limit: int = 60) -> str:
    """Text from a file as it may stand in a message: on one line, printable, shortened, in quotes."""
    if len(text) > limit:
        text = text[: limit // 2] + "…" + text[-(limit // 2) :]
    return repr(text)
