"""Any file of scales or ranges in, any other out: TensorRT's cache and its neighbours.

>>> table = read_scale_file("resnet50.dynamic-range.txt")  # doctest: +SKIP
>>> write_atomic("calibration.cache", convert(table, "cache"))  # doctest: +SKIP
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from trtcal_widgets.common.files import read_whole
from trtcal_widgets.common.words import some_of
from trtcal_widgets.errors import CacheFormatError, ExportError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.detect import (
    FORMATS,
    Format,
    check_format,
    describe_format,
    detect_format,
)
from trtcal_widgets.formats.header import decode_lines, quote
from trtcal_widgets.formats.native import writable_name
from trtcal_widgets.formats.scales import float32_text, scales_of_amaxes
from trtcal_widgets.formats.tables import (
    ScaleTable,
    parse_flatbuffers_table,
    parse_json_table,
    parse_text_table,
    write_flatbuffers_table,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = [
    "CONVERT_TARGETS",
    "FORMATS",
    "Format",
    "ScaleTable",
    "convert",
    "describe_format",
    "detect_format",
    "read_scale_file",
    "scales_from_bytes",
    "unusable_rows",
]

CONVERT_TARGETS = ("cache", "ranges", "json", "ort", "flatbuffers")
"""What :func:`convert` can write."""


def read_scale_file(path: str | os.PathLike[str], *, kind: str | None = None) -> CalibrationCache | ScaleTable:
    """Read a file of scales or ranges in any known format.

    Parameters
    ----------
    path
        The file.
    kind
        One of :data:`FORMATS`; recognised by the content where it is not given.

    Returns
    -------
    CalibrationCache or ScaleTable
        Both have ``scales``, ``amax``, ``hex(name)``, ``oddities`` and ``problems``.

    Raises
    ------
    CacheFormatError
        If the file cannot be read or is none of them; names the line and what to do.
    """
    data = read_whole(path, error=CacheFormatError, what="the calibration file")
    return scales_from_bytes(data, source=str(path), kind=kind)


def scales_from_bytes(
    data: bytes, *, source: str = "<bytes>", kind: str | None = None
) -> CalibrationCache | ScaleTable:
    """Do the same for the bytes of a file; ``source`` is its name in messages."""
    found = detect_format(data) if kind is None else check_format(kind)
    if found in ("ranges", "ort"):
        return parse_text_table(data, source, kind=found)
    if found == "json":
        return parse_json_table(data, source)
    if found == "flatbuffers":
        return parse_flatbuffers_table(data, source)
    if found == "unknown":
        decode_lines(data, source)  # says so if the file is empty, binary or UTF-16
        try:
            return CalibrationCache.from_bytes(data, source=source)  # says what is wrong with line 1
        except CacheFormatError as exc:
            others = "; ".join(describe_format(name) for name in FORMATS[1:-1])
            raise CacheFormatError(f"{exc} Nor is it any of these: {others}.") from exc
    return CalibrationCache.from_bytes(data, source=source)


def unusable_rows(table: CalibrationCache | ScaleTable) -> tuple[str, ...]:
    """Name the tensors whose threshold no other file can hold: negative, infinite, or not a number."""
    scales = scales_of_amaxes(list(table.amax.values())).tolist()
    return tuple(name for name, scale in zip(table.amax, scales, strict=True) if not 0 <= scale < math.inf)


def convert(
    table: CalibrationCache | ScaleTable,
    to: str = "cache",
    *,
    version: str | None = None,
    algorithm: str | None = None,
    skip_unusable: bool = False,
) -> bytes:
    """Content of a file in another format.

    Numbers of a table are written as they were read. A cache's amax is written as the shortest decimal
    text of its float32, so that every reader gets the same float32. (A scale that goes to amax and back
    is the same in 99 of 100 cases and else one unit in the last place off: there are fewer float32
    amax than scales.)

    Parameters
    ----------
    table
        What :func:`read_scale_file` gives.
    to
        ``"cache"``; ``"ranges"`` (``<name>:<amax>``); ``"json"`` (``{name: [min, max]}``); ``"ort"``
        (``<name> <amax>``); ``"flatbuffers"``, which ONNX Runtime's TensorRT provider reads.
    version, algorithm
        For ``"cache"``: what its header names. Where they are not given, a cache keeps its own (and all
        its bytes) and a table gets
        :func:`~trtcal_widgets.formats.installed.default_version` and EntropyCalibration2.
    skip_unusable
        Leave out the rows of :func:`unusable_rows` instead of refusing them (a cache that stays a
        cache keeps them otherwise).

    Raises
    ------
    ExportError
        For rows that the format cannot hold; names them.
    UsageError
        For an unknown format, version or algorithm.
    """
    if to not in CONVERT_TARGETS:
        raise UsageError(f"{to!r} is not a format to convert to. Choose one of {', '.join(CONVERT_TARGETS)}.")
    if to != "cache" and (version is not None or algorithm is not None):
        raise UsageError(f"version and algorithm are for the header of a cache; {to!r} has none.")
    if to == "cache" and isinstance(table, CalibrationCache):
        if skip_unusable:
            table = table.without(unusable_rows(table))
        if version is None and algorithm is None:
            return table.to_bytes()
        return table.with_header(version=version, algorithm=algorithm).to_bytes()
    names = _usable_names(table, skip=skip_unusable)
    if to == "cache":
        scales = {name: table.scales[name] for name in names}
        return CalibrationCache.build(
            scales,
            algorithm=algorithm or "EntropyCalibration2",
            version=version,
        ).to_bytes()
    return _write_table(table, names, to)


def _usable_names(table: CalibrationCache | ScaleTable, *, skip: bool) -> list[str]:
    """Names of the rows to write; raises where some cannot be, or none is left."""
    unusable = dict.fromkeys(unusable_rows(table))
    if unusable and not skip:
        raise ExportError(
            f"{table.source}: the amax of {some_of(unusable, 5, quote)} is negative, infinite or not a number, which "
            "the other format cannot hold. Set a threshold for these tensors, or leave their rows out "
            "(skip_unusable=True)."
        )
    names = [name for name in table.amax if name not in unusable]
    if not names:
        raise ExportError(f"{table.source}: no row is left to write. Calibrate first.")
    return names


def _write_table(table: CalibrationCache | ScaleTable, names: Sequence[str], to: str) -> bytes:
    is_cache = isinstance(table, CalibrationCache)
    text_of = float32_text if is_cache else repr
    if to == "json":
        ranges = {} if isinstance(table, CalibrationCache) else table.ranges
        amax = {name: float(text_of(table.amax[name])) for name in names}
        entries = {name: list(ranges.get(name, (-amax[name], amax[name]))) for name in names}
        return (json.dumps(entries) + "\n").encode("ascii")
    pairs = [
        (writable_name(name).encode("utf-8", "surrogateescape"), text_of(table.amax[name]).encode()) for name in names
    ]
    if to == "flatbuffers":
        return write_flatbuffers_table(pairs)
    separator = b":" if to == "ranges" else b" "
    data = b"".join(name + separator + value + b"\n" for name, value in pairs)
    first = parse_text_table(data[: data.index(b"\n") + 1], table.source, kind=check_format(to))
    if detect_format(data) != to or list(first.amax) != list(names[:1]):
        # For instance a first name that begins with a byte order mark or looks like a header.
        raise ExportError(
            f"{table.source}: with {quote(names[0])} in its first line the file would not be read as "
            f"{describe_format(check_format(to))}. Rename that tensor, or choose another format."
        )
    return data
