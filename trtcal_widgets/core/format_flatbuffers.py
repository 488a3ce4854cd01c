"""ONNX Runtime's flatbuffers table: ``table KeyValue{key; value;} table TrtTable{dict:[KeyValue];}``.

Both are strings; the value is the amax as decimal text. The ``flatbuffers`` package does the decoding;
it trusts its input, so every offset is checked here before it is followed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.format_tables import ScaleTable, table_from_pairs
from trtcal_widgets.core.format_text import DECIMAL, quote
from trtcal_widgets.errors import CacheFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_flatbuffers_table", "write_flatbuffers_table"]

_KEY_SLOT, _VALUE_SLOT, _DICT_SLOT = 4, 6, 4  # byte offsets of the fields in their vtables


def parse_flatbuffers_table(data: bytes, source: str) -> ScaleTable:
    """Read the table that ONNX Runtime's TensorRT provider takes.

    Raises
    ------
    CacheFormatError
        If it is not such a table or is cut off.
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
