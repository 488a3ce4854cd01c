"""TensorRT's INT8 calibration cache: read, look into, edit and write, without losing a byte.

>>> cache = CalibrationCache.build({"data": 0.0078740157})
>>> cache.header, cache.hex("data")
('TRT-101601-EntropyCalibration2', '3c010204')

The comparisons (:func:`diff`, :func:`compare_with_names`, :func:`header_fits`) are importable from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.common.words import count_of, some_of
from trtcal_widgets.errors import CacheFormatError, ExportError, UsageError
from trtcal_widgets.formats.compare import (
    CacheDiff,
    NameComparison,
    RowChange,
    compare_with_names,
    diff,
)
from trtcal_widgets.formats.fit import HeaderFit, header_fits
from trtcal_widgets.formats.header import (
    DEFAULT_VERSION,
    KNOWN_ALGORITHMS,
    header_text,
    legacy_header_text,
    line_core,
    parse_version_int,
    quote,
    version_to_int,
)
from trtcal_widgets.formats.installed import default_version
from trtcal_widgets.formats.native import (
    CacheRow,
    NativeText,
    parse_native,
    replace_digits,
    writable_digits,
    writable_name,
)
from trtcal_widgets.formats.oddities import Oddity, native_oddities
from trtcal_widgets.formats.summary import summary_of

if TYPE_CHECKING:
    import os

    from trtcal_widgets.common.files import ReadFiles

__all__ = [
    "DEFAULT_VERSION",
    "KNOWN_ALGORITHMS",
    "CacheDiff",
    "CacheRow",
    "CalibrationCache",
    "HeaderFit",
    "NameComparison",
    "Oddity",
    "RowChange",
    "compare_with_names",
    "diff",
    "header_fits",
    "parse_version_int",
    "version_to_int",
]


@dataclass(frozen=True, repr=False)
class CalibrationCache:
    """A calibration cache (or legacy table) as an immutable value; equal where the bytes are equal.

    Parameters
    ----------
    data
        All bytes of the file. They are kept: ``to_bytes()`` gives them back whatever they hold.
    source
        The file's name, for messages.
    inputs
        Files that it was made from, which :meth:`write` does not replace.

    Raises
    ------
    CacheFormatError
        If the bytes are not a calibration cache; names the line and what to do.

    Notes
    -----
    Where a name has several rows, the last one counts (which one TensorRT takes is unverified), and
    :attr:`oddities` says so.
    """

    data: bytes
    source: str = field(default="<bytes>", compare=False)
    inputs: ReadFiles | None = field(default=None, compare=False)
    _parsed: NativeText = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.data, (bytes, bytearray, memoryview)):
            raise UsageError(
                f"A calibration cache is made from bytes, not from {type(self.data).__name__}. "
                "Use CalibrationCache.read(path) for a file."
            )
        object.__setattr__(self, "data", bytes(self.data))
        object.__setattr__(self, "_parsed", parse_native(self.data, self.source))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> CalibrationCache:
        """Read a cache file.

        Raises
        ------
        CacheFormatError
            If the file cannot be read or is not a calibration cache.
        """
        data = read_whole(path, error=CacheFormatError, what="the calibration cache")
        return cls(data, source=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str = "<bytes>") -> CalibrationCache:
        """Make a cache from the bytes of a file; ``source`` is its name in messages."""
        return cls(data, source=source)

    @classmethod
    def build(
        cls,
        scales: Mapping[str, float],
        *,
        algorithm: str = "EntropyCalibration2",
        version: str | None = None,
        legacy: tuple[float, float] | None = None,
        infinite: bool = False,
    ) -> CalibrationCache:
        """Make a new cache, rows in the order of ``scales``.

        Parameters
        ----------
        scales
            Tensor name to scale (amax / 127); rounded to float32.
        algorithm
            The calibrator that TensorRT will be given the cache with, one of :data:`KNOWN_ALGORITHMS`.
        version
            The TensorRT version that will read it, such as ``"10.16.1"``; None: the installed one's (see
            :func:`~trtcal_widgets.formats.installed.default_version`).
        legacy
            For LegacyCalibration: quantile and regression cutoff, which its header names instead of the version.
        infinite
            Whether a scale may be infinite, as TensorRT writes them too; otherwise it is refused.

        Raises
        ------
        ExportError
            For a name that a row cannot hold (empty, with a newline) or a scale that is negative or
            not finite; names the tensor.
        UsageError
            For an unknown algorithm or version.
        """
        version = default_version() if version is None else version
        if algorithm == "LegacyCalibration" and legacy is not None:
            return cls._build(legacy_header_text(*legacy, version), scales, infinite=infinite)
        return cls._build(header_text(algorithm, version), scales, infinite=infinite)

    @classmethod
    def build_legacy(
        cls, scales: Mapping[str, float], *, quantile: float, regression_cutoff: float, version: str | None = None
    ) -> CalibrationCache:
        """Make a table as TensorRT's legacy calibrator writes it: its header has two numbers and no version.

        Parameters
        ----------
        scales
            As for :meth:`build`.
        quantile, regression_cutoff
            The calibrator's, 0 to 1.
        version
            The TensorRT version that will read it; None: as for :meth:`build`. Before 8 the form is the old table's.

        Raises
        ------
        ExportError, UsageError
            As :meth:`build`, and for a number that is not from 0 to 1.
        """
        numbers = quantile, regression_cutoff
        return cls.build(scales, algorithm="LegacyCalibration", version=version, legacy=numbers)

    @classmethod
    def _build(cls, header: str, scales: Mapping[str, float], *, infinite: bool) -> CalibrationCache:
        if not isinstance(scales, Mapping):
            raise UsageError(f"scales must map tensor names to scales (a dict), not be a {type(scales).__name__}.")
        if not scales:
            raise ExportError("A cache without rows is of no use. Calibrate first, or choose rows.")
        rows = [f"{writable_name(name)}: {hex_}" for name, hex_ in writable_digits(scales, infinite=infinite).items()]
        text = "\n".join([header, *rows, ""])
        return cls(text.encode("utf-8", "surrogateescape"), source="<new cache>")

    def to_bytes(self) -> bytes:
        """Content of the file, byte for byte."""
        return self.data

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically; raises :class:`ExportError` and leaves the old one if it cannot."""
        write_atomic(path, self.data, inputs=self.inputs)

    def beside(self, inputs: ReadFiles) -> CalibrationCache:
        """Return a copy that is never written in the place of these files."""
        return replace(self, inputs=inputs)

    @property
    def header(self) -> str:
        """The header line, without its end: the first one, or the second below a blank one."""
        return self._parsed.header.text

    @property
    def version(self) -> tuple[int, int, int] | None:
        """TensorRT version of the header, ``None`` for a legacy table or an unknown number."""
        return self._parsed.header.version

    @property
    def algorithm(self) -> str:
        """Calibrator of the header, such as ``"EntropyCalibration2"``."""
        return self._parsed.header.algorithm

    @property
    def legacy(self) -> tuple[float, float] | None:
        """``(quantile, regression_cutoff)`` of a legacy table, else ``None``."""
        return self._parsed.header.legacy

    @property
    def rows(self) -> tuple[CacheRow, ...]:
        """All rows in file order, repeated names too."""
        return self._parsed.rows

    @cached_property
    def scales(self) -> Mapping[str, float]:
        """Tensor name to scale (= amax / 127, the float32 of the file), in file order; read-only."""
        values = np.array([row.bits for row in self.rows], dtype=np.uint32).view(np.float32).tolist()
        return MappingProxyType(dict(zip((row.name for row in self.rows), values, strict=True)))

    @cached_property
    def amax(self) -> Mapping[str, float]:
        """Tensor name to threshold in real units (scale times 127), in file order; read-only."""
        return MappingProxyType({name: scale * 127.0 for name, scale in self.scales.items()})

    @cached_property
    def _bits(self) -> dict[str, int]:
        return {row.name: row.bits for row in self.rows}

    def hex(self, name: str) -> str:
        """Hex digits of a tensor's scale as TensorRT writes them.

        Raises
        ------
        UsageError
            If the cache has no row of that name.
        """
        if not isinstance(name, str):
            raise UsageError(f"a tensor's name is text, not {kind_of(name)}. See .scales for the names.")
        if name not in self._bits:
            raise UsageError(f"{self.source} has no row for {quote(name)}. See .scales for its names.")
        return f"{self._bits[name]:x}"

    @cached_property
    def oddities(self) -> tuple[Oddity, ...]:
        """Everything odd about the file, in the order of its lines, explained."""
        return native_oddities(self._parsed)

    @property
    def problems(self) -> tuple[Oddity, ...]:
        """The oddities that are not harmless."""
        return tuple(oddity for oddity in self.oddities if oddity.severity != "info")

    def with_scales(self, scales: Mapping[str, float], *, add_missing: bool = False) -> CalibrationCache:
        """Return a copy with other scales; all other lines stay byte for byte, and so does the order.

        Parameters
        ----------
        scales
            Tensor name to scale. Every row of a repeated name is changed. A scale that is the row's
            already leaves the row's bytes alone.
        add_missing
            Whether names without a row are added after the last one; otherwise they are refused.

        Raises
        ------
        UsageError
            For a name without a row.
        ExportError
            For a scale that is negative or not finite, or a name that a row cannot hold.
        """
        digits = writable_digits(scales)
        missing = [name for name in digits if name not in self._bits]
        if missing and not add_missing:
            raise UsageError(
                f"{self.source} has no row for {some_of(missing, 5, quote)}. Pass add_missing=True to add rows."
            )
        lines = list(self._parsed.text.lines)
        for row in self.rows:
            new = digits.get(row.name)
            if new is not None and int(new, 16) != row.bits:
                lines[row.line - 1] = replace_digits(lines[row.line - 1], new)
        end = "\r" if lines[self._parsed.header_line - 1].endswith("\r") else ""
        last = 1 + max(index for index, line in enumerate(lines) if line_core(line))
        lines[last:last] = [f"{writable_name(name)}: {digits[name]}{end}" for name in missing]
        return self._with_lines(lines)

    def without(self, names: Iterable[str]) -> CalibrationCache:
        """Return a copy without the rows of some tensors; all other lines stay byte for byte.

        Raises
        ------
        UsageError
            For a name without a row.
        """
        dropped = dict.fromkeys(names)
        missing = [name for name in dropped if name not in self._bits]
        if missing:
            raise UsageError(f"{self.source} has no row for {some_of(missing, 5, quote)}.")
        numbers = {row.line for row in self.rows if row.name in dropped}
        lines = enumerate(self._parsed.text.lines, start=1)
        return self._with_lines([line for number, line in lines if number not in numbers])

    def with_header(self, *, algorithm: str | None = None, version: str | None = None) -> CalibrationCache:
        """Return a copy with another header; all other lines stay byte for byte.

        Parameters
        ----------
        algorithm
            Calibrator name; the present one where it is not given.
        version
            TensorRT version; the present one where it is not given.

        Raises
        ------
        UsageError
            For an unknown algorithm or version, or where the file names no version and none is given.
        """
        if version is None and self.version is None:
            raise UsageError(f"{self.source} names no TensorRT version: pass version='10.16.1' or so.")
        header = header_text(algorithm or self.algorithm, version or self.version or "")
        lines = list(self._parsed.text.lines)
        at = self._parsed.header_line - 1
        lines[at] = header + ("\r" if lines[at].endswith("\r") else "")
        return self._with_lines(lines)

    def _with_lines(self, lines: list[str]) -> CalibrationCache:
        text = type(self._parsed.text)(self._parsed.text.has_bom, tuple(lines), is_utf8=False)
        return CalibrationCache(text.to_bytes(), source=self.source, inputs=self.inputs)

    def __reduce__(self) -> tuple[type[CalibrationCache], tuple[bytes, str]]:
        # The read-only mappings cannot be pickled, and need not be.
        return CalibrationCache, (self.data, self.source)

    def _repr_html_(self) -> str:
        return summary_of(self).html()

    def _repr_markdown_(self) -> str:
        return summary_of(self).markdown()

    def __repr__(self) -> str:
        return f"<CalibrationCache {self.header}, {count_of(len(self.scales), 'tensor')}, from {self.source}>"
