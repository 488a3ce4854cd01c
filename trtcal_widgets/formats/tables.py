"""Neighbours of TensorRT's cache: files that hold thresholds (amax) instead of hex scales.

===============  ======================================  =========================================
Format           Content                                 Who writes or reads it
===============  ======================================  =========================================
``ranges``       ``<name>:<amax>`` per line              TensorRT's sampleINT8API
``ort``          ``<name> <amax>`` per line              ONNX Runtime's ``write_calibration_table``
``json``         ``{name: [min, max]}``                  the same
``flatbuffers``  ``TrtTable{dict:[KeyValue]}``           the same; its TensorRT provider reads this one
===============  ======================================  =========================================
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.errors import CacheFormatError, UsageError
from trtcal_widgets.formats.foreign import ForeignTable, read_foreign
from trtcal_widgets.formats.header import DECIMAL, TextLines, decode_lines, line_core, quote
from trtcal_widgets.formats.json_pairs import Pairs, larger, numbers, plain
from trtcal_widgets.formats.oddities import ABSURD_BITS, Oddity, text_oddities, value_oddity
from trtcal_widgets.formats.scales import scale_to_hex, scales_of_amaxes
from trtcal_widgets.formats.summary import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trtcal_widgets.formats.detect import Format

_NO_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({})


@dataclass(frozen=True)
class ScaleTable:
    """Thresholds by tensor name, as a neighbouring file gives them; immutable.

    Attributes
    ----------
    format
        ``"ranges"``, ``"ort"``, ``"json"``, ``"flatbuffers"``, or ``"qdq"`` for a model.
    amax
        Tensor name to threshold in real units, in file order, as written (not rounded to float32).
    ranges
        Tensor name to ``(min, max)`` where the format has them (``"json"``), else empty. ``amax`` is
        then max(abs(min), abs(max)): TensorRT's ranges are symmetric.
    oddities
        Everything odd about the file, explained.
    source
        The file's name.
    """

    format: Format
    amax: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    oddities: tuple[Oddity, ...] = ()
    source: str = field(default="<bytes>", compare=False)

    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    def __post_init__(self) -> None:
        object.__setattr__(self, "amax", MappingProxyType({name: float(value) for name, value in self.amax.items()}))
        object.__setattr__(
            self,
            "ranges",
            MappingProxyType({name: (float(low), float(high)) for name, (low, high) in self.ranges.items()}),
        )

    @property
    def header(self) -> str:
        """Empty: these formats have no header line (caches do)."""
        return ""

    @cached_property
    def scales(self) -> Mapping[str, float]:
        """Tensor name to scale: float32(amax) / 127 in float32, in file order; read-only."""
        scales = scales_of_amaxes(list(self.amax.values())).tolist()
        return MappingProxyType(dict(zip(self.amax, scales, strict=True)))

    @property
    def problems(self) -> tuple[Oddity, ...]:
        """The oddities that are not harmless."""
        return tuple(oddity for oddity in self.oddities if oddity.severity != "info")

    def hex(self, name: str) -> str:
        """Hex digits that the tensor's scale has in a cache.

        Raises
        ------
        UsageError
            If the table has no row of that name.
        """
        if name not in self.amax:
            raise UsageError(f"{self.source} has no row for {quote(name)}. See .amax for its names.")
        return scale_to_hex(self.scales[name])

    def _repr_html_(self) -> str:
        return summary_of(self).html()

    def _repr_markdown_(self) -> str:
        return summary_of(self).markdown()

    def __reduce__(self) -> tuple[type[ScaleTable], tuple[Any, ...]]:
        # The read-only mappings cannot be pickled.
        fields = (self.format, dict(self.amax), dict(self.ranges), self.oddities, self.source)
        return ScaleTable, fields


def parse_text_table(data: bytes, source: str, *, kind: Format) -> ScaleTable:
    """Read ``ranges`` (split at the last ``":"``) or ``ort`` text (split at the last space).

    Raises CacheFormatError where the file or a row is not of this format; names the line and what to do.
    """
    text = decode_lines(data, source)
    separator = ":" if kind == "ranges" else " "
    pairs = []
    for number, line in enumerate(text.lines, start=1):
        row = line_core(line)
        if not row:
            continue
        name, found, value = row.rpartition(separator)
        value = value.strip(" \t")
        if not name or not found or not DECIMAL.fullmatch(value):
            shape = f"<name>{separator}<amax>"
            raise CacheFormatError(
                f"{source}, line {number}: {quote(row)} is not a row {shape} with a decimal number. Mend "
                "or remove the line. (Hex scales belong to a calibration cache, whose first line is "
                "TRT-<version>-<algorithm>.)"
            )
        pairs.append((number, name, float(value)))
    return table_from_pairs(pairs, kind=kind, source=source, text=text)


def table_from_pairs(
    pairs: Sequence[tuple[int, str, float]],
    *,
    kind: Format,
    source: str,
    ranges: Mapping[str, tuple[float, float]] = _NO_RANGES,
    text: TextLines | None = None,
) -> ScaleTable:
    """Collect rows (line or 0, name, amax) into a table and look for what is odd about them.

    The last of several rows of a name counts.
    """
    if not pairs:
        raise CacheFormatError(f"{source}: the file holds no tensors. Calibrate again.")
    oddities = [
        *([] if text is None else text_oddities(text)),
        *_value_oddities(pairs),
        *_duplicates(pairs),
        *_range_oddities(ranges),
    ]
    oddities.sort(key=lambda oddity: oddity.line)
    amax = {name: value for _, name, value in pairs}
    return ScaleTable(kind, amax, ranges, tuple(oddities), source)


def _value_oddities(pairs: Sequence[tuple[int, str, float]]) -> Iterator[Oddity]:
    amaxes = np.array([value for _, _, value in pairs], dtype=np.float64)
    scales = scales_of_amaxes(amaxes)  # inf where amax is too large for float32
    kinds = {
        "nan": np.isnan(amaxes),
        "negative": amaxes < 0,
        "inf": scales == np.inf,
        "absurd": (scales >= ABSURD_BITS.view(np.float32)) & (scales < np.inf),
        "zero": (scales == 0) & (amaxes >= 0),
        "denormal": (scales > 0) & (scales < np.finfo(np.float32).smallest_normal),
    }
    for kind, mask in kinds.items():
        for index in np.flatnonzero(mask):
            line, name, _ = pairs[int(index)]
            yield value_oddity(kind, line, name, "The amax")


def _duplicates(pairs: Sequence[tuple[int, str, float]]) -> Iterator[Oddity]:
    first: dict[str, tuple[int, float]] = {}
    for line, name, value in pairs:
        if name not in first:
            first[name] = (line, value)
            continue
        line_before, value_before = first[name]
        where = f" in line {line_before}" if line else ""
        same = value == value_before
        message = (
            f"{quote(name)} stands in the file already{where}, with {'the same' if same else 'another'} "
            "amax. The last one counts here; remove all but one."
        )
        yield Oddity("duplicate", line, name, message, "info" if same else "error")


def _range_oddities(ranges: Mapping[str, tuple[float, float]]) -> Iterator[Oddity]:
    for name, (low, high) in ranges.items():
        if low > high:
            message = f"The range of {quote(name)} has min {low!r} above max {high!r}. Check the file."
            yield Oddity("min-above-max", 0, name, message, "error")


def parse_json_table(data: bytes, source: str) -> ScaleTable:
    """Read ONNX Runtime's JSON: ``{name: [min, max]}``, or its newer nested ``TensorsData`` form; or another tool's.

    What another tool's file (:mod:`~trtcal_widgets.formats.foreign`) holds besides symmetric INT8 with one scale for a
    tensor is among the oddities, with the reason. Raises CacheFormatError if it is not JSON, or not this JSON; names
    the tensor and what to do.
    """
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        found = json.loads(text, object_pairs_hook=Pairs, parse_int=float)
    except (ValueError, RecursionError) as exc:
        raise CacheFormatError(f"{source}: this is not valid JSON: {exc}.") from exc
    foreign = read_foreign(plain(found))
    if foreign is not None:
        return _foreign_table(foreign, source)
    entries: Any = found
    if isinstance(found, Pairs) and found.get("CLS") == "TensorsData":
        entries = found.get("data")
    if not isinstance(entries, Pairs):
        raise CacheFormatError(f"{source}: expected JSON of the form {{name: [min, max]}}.")
    ranges: dict[str, tuple[float, float]] = {}
    pairs, left = [], []
    for name, value in entries.pairs:
        if entries is not found and name and _lacks_range(value):
            left.append(_left_out(name, "has no range, only mean and deviation or a histogram"))
            continue
        low, high = ranges[name] = _json_range(name, value, source)
        pairs.append((0, name, larger(low, high)))
    table = table_from_pairs(pairs, kind="json", source=source, ranges=ranges)
    if entries is not found and found.get("smooth_quant") is True:
        message = "The ranges are of a model that SmoothQuant has changed: they fit that model, not the one before."
        left.append(Oddity("smooth-quant", 0, "", message, "warning"))
    return replace(table, oddities=(*table.oddities, *left)) if left else table


def _lacks_range(value: Any) -> bool:
    return isinstance(value, Pairs) and not {"lowest", "highest"} <= dict(value.pairs).keys()


def _left_out(name: str, why: str) -> Oddity:
    return Oddity("left-out", 0, name, f"{quote(name)} {why}. It is left out.", "warning")


def _foreign_table(foreign: ForeignTable, source: str) -> ScaleTable:
    if not foreign.amax:
        first = next(iter(foreign.left_out.items()), None)
        why = f": {quote(first[0])} {first[1]}" if first else ""
        raise CacheFormatError(
            f"{source} is a file of {foreign.tool} in which nothing is symmetric INT8 with one scale per tensor{why}. "
            "Export symmetric 8-bit activations per tensor, or calibrate with trtcal calibrate."
        )
    table = table_from_pairs([(0, name, amax) for name, amax in foreign.amax.items()], kind="json", source=source)
    left = (_left_out(name, why) for name, why in foreign.left_out.items())
    return replace(table, oddities=(*table.oddities, *left))


def _json_range(name: str, value: Any, source: str) -> tuple[float, float]:
    """``(min, max)`` of one JSON entry; an empty name or another shape of value is refused."""
    low = high = None
    if isinstance(value, Pairs):
        low, high = value.get("lowest"), value.get("highest")
    elif isinstance(value, list) and len(value) == 2:
        low, high = value
    lows, highs = numbers(low), numbers(high)
    if not name or not lows or not highs:
        raise CacheFormatError(
            f"{source}: the entry {quote(name)} is not of the form name: [min, max] with numbers. "
            "A file of scales or of single numbers is not this format: write [-amax, amax]."
        )
    if len(lows) == len(highs) == 1:
        return lows[0], highs[0]
    return float(np.min(lows)), float(np.max(highs))  # NaN stays NaN


_KEY_SLOT, _VALUE_SLOT, _DICT_SLOT = 4, 6, 4  # byte offsets of the fields in their vtables


def parse_flatbuffers_table(data: bytes, source: str) -> ScaleTable:
    """Read the table that ONNX Runtime's TensorRT provider takes.

    Raises CacheFormatError if it is not such a table or is cut off.
    """
    pairs = []
    for key, value in _strings(data, source):
        name = key.decode("utf-8", "surrogateescape")
        text = value.decode("utf-8", "surrogateescape").strip()
        if not name or not DECIMAL.fullmatch(text):
            raise CacheFormatError(
                f"{source}: the value {quote(text, 40)} of tensor {quote(name)} is no decimal number, or "
                "the name is empty. Write the table again with ONNX Runtime."
            )
        pairs.append((0, name, float(text)))
    return table_from_pairs(pairs, kind="flatbuffers", source=source)


def _strings(data: bytes, source: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of every entry; raises where an offset leads outside the file."""
    from flatbuffers import number_types
    from flatbuffers.table import Table

    def checked(position: int, size: int = 4) -> int:
        if position < 0 or position + size > len(data):
            raise IndexError(position)
        return position

    def table_at(position: int) -> Any:
        table = Table(bytearray_, checked(position))
        vtable = checked(position - table.Get(number_types.SOffsetTFlags, position))
        checked(vtable, table.Get(number_types.VOffsetTFlags, vtable))
        return table

    def field(table: Any, slot: int) -> int:
        offset = table.Offset(slot)
        if not offset:
            raise IndexError(slot)
        position = checked(table.Pos + offset)
        return checked(table.Indirect(position))

    def string(table: Any, slot: int) -> bytes:
        start = field(table, slot)
        length = table.Get(number_types.UOffsetTFlags, start)
        return bytes(data[start + 4 : checked(start + 4, length) + length])

    bytearray_ = bytearray(data)
    try:
        root = table_at(int.from_bytes(data[:4], "little"))
        vector = field(root, _DICT_SLOT)
        count = root.Get(number_types.UOffsetTFlags, vector)
        checked(vector + 4, 4 * count)
        total = 0
        for at in range(vector + 4, vector + 4 + 4 * count, 4):
            entry = table_at(root.Indirect(at))
            pair = string(entry, _KEY_SLOT), string(entry, _VALUE_SLOT)
            # Crafted entries may share one long string; honest writers stay far below this.
            total += len(pair[0]) + len(pair[1])
            checked(0, total // 16)
            yield pair
    except (IndexError, struct.error, TypeError, ValueError, OverflowError) as exc:
        raise CacheFormatError(
            f"{source}: this is not a whole flatbuffers table of ONNX Runtime: it ends too early or is "
            "damaged. Copy or write it again."
        ) from exc


def write_flatbuffers_table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Table of (name, amax as decimal text), in this order."""
    import flatbuffers

    builder = flatbuffers.Builder(64 + sum(len(key) + len(value) + 40 for key, value in entries))
    offsets = []
    for key, value in entries:
        key_at, value_at = builder.CreateString(key), builder.CreateString(value)
        builder.StartObject(2)
        builder.PrependUOffsetTRelativeSlot(0, key_at, 0)
        builder.PrependUOffsetTRelativeSlot(1, value_at, 0)
        offsets.append(builder.EndObject())
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
