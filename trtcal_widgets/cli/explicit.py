"""Q/DQ models as tables on a terminal: the pairs of one, and of two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.text_tables import Column, table_lines
from trtcal_widgets.common.words import count_of, json_number, printable, significant, some_of
from trtcal_widgets.formats.scales import scale_to_hex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.model.explicit.compare import PairChange, PairsDiff
    from trtcal_widgets.model.explicit.pairs import QdqPair


def pair_lines(pairs: Sequence[QdqPair]) -> Iterator[str]:
    """Yield a table of pairs, constants apart."""
    for title, own in (
        ("activations", [pair for pair in pairs if not pair.is_constant]),
        ("constants", [pair for pair in pairs if pair.is_constant]),
    ):
        if own:
            columns = [
                Column("type", [pair.dtype for pair in own], is_number=False),
                Column("scales", [_scales(pair) for pair in own], is_number=False),
                Column("±amax", [significant(pair.amax) for pair in own]),
                Column("hex", [scale_to_hex(float(np.max(pair.scales))) if pair.scales.size else "" for pair in own]),
                Column("zero point", [_zero(pair) for pair in own]),
                Column("read by", [_readers(pair) for pair in own], is_number=False),
            ]
            yield from table_lines([pair.tensor for pair in own], columns, title=title)
            yield ""


def _scales(pair: QdqPair) -> str:
    return f"{pair.scales.size} on axis {pair.axis}" if pair.is_per_channel else "1"


def _zero(pair: QdqPair) -> str:
    values = np.unique(pair.zero_points)
    return f"{values[0]:g}" if values.size == 1 else f"{values[0]:g} to {values[-1]:g}" if values.size else ""


def _readers(pair: QdqPair) -> str:
    names = list(dict.fromkeys(name for name, *_ in pair.readers))
    return some_of(names, 2, printable)


def pairs_summary(pairs: Sequence[QdqPair]) -> str:
    """Return the counts in words."""
    constants = [pair for pair in pairs if pair.is_constant]
    per_channel = sum(pair.is_per_channel for pair in constants)
    return (
        f"{count_of(len(pairs) - len(constants), 'activation')}, {count_of(len(constants), 'constant')} "
        f"({per_channel:,} of them per channel)"
    )


def diff_lines(found: PairsDiff, a: str, b: str) -> Iterator[str]:
    """Yield what differs between two models, in graph order."""
    yield f"A  {printable(a)}"
    yield f"B  {printable(b)}"
    yield (
        f"{count_of(len(found.changed), 'tensor')} quantised differently, {len(found.only_in_a):,} only in A, "
        f"{len(found.only_in_b):,} only in B, {len(found.equal):,} equal"
    )
    if found.changed:
        yield ""
        yield from _changed_lines(found.changed)
    for label, pairs in (("A", found.only_in_a), ("B", found.only_in_b)):
        if pairs:
            yield ""
            columns = [
                Column("type", [pair.dtype for pair in pairs], is_number=False),
                Column("scales", [_scales(pair) for pair in pairs], is_number=False),
                Column("±amax", [significant(pair.amax) for pair in pairs]),
                Column("read by", [_readers(pair) for pair in pairs], is_number=False),
            ]
            yield from table_lines([pair.tensor for pair in pairs], columns, title=f"quantised only in {label}")


def _changed_lines(changed: Sequence[PairChange]) -> Iterator[str]:
    pairs = [(one.a, one.b) for one in changed]
    columns = [
        Column("A ±amax", [significant(one.a.amax) for one in changed]),
        Column("B ±amax", [significant(one.b.amax) for one in changed]),
        Column("B / A", [_ratio(one.ratio) for one in changed]),
        Column("what differs", [_what(one) for one in changed], is_number=False),
    ]
    names = [a.tensor if a.tensor == b.tensor else f"{a.tensor} (B: {b.tensor})" for a, b in pairs]
    return table_lines(names, columns, title="quantised differently, in graph order")


def _ratio(ratio: float) -> str:
    text = significant(ratio)
    return f"1 {ratio - 1:+.1e}" if text == "1.00" and ratio != 1 else text


def _what(one: PairChange) -> str:
    words = {
        "type": f"{one.a.dtype} and {one.b.dtype}",
        "zero point": f"zero point {_zero(one.a)} and {_zero(one.b)}",
        "readers": "; ".join(
            f"only in {label}: {some_of(names, 2, printable)}"
            for label, names in (("A", one.only_a), ("B", one.only_b))
            if names
        ),
    }
    return ", ".join(words.get(what, what) for what in one.what)


def pair_json(pair: QdqPair) -> dict[str, Any]:
    """Return a pair as plain values; a number that JSON cannot hold is null."""
    return {
        "name": pair.tensor,
        "constant": pair.is_constant,
        "type": pair.dtype,
        "axis": pair.axis if pair.is_per_channel else None,
        "scales": [float(value) for value in pair.scales.reshape(-1)],
        "zero_point": sorted({float(value) for value in pair.zero_points.reshape(-1)}),
        "amax": json_number(pair.amax),
        "read_by": [{"node": name, "operator": op_type, "input": place} for name, op_type, place in pair.readers],
    }


def diff_json(found: PairsDiff, a: str, b: str) -> dict[str, Any]:
    """Return a comparison as plain values."""
    return {
        "a": {"file": a},
        "b": {"file": b},
        "same": found.same,
        "changed": [
            {
                "name": one.a.tensor,
                "name_b": one.b.tensor,
                "ratio": json_number(one.ratio),
                "what": list(one.what),
                "readers_only_in_a": list(one.only_a),
                "readers_only_in_b": list(one.only_b),
                "a": pair_json(one.a),
                "b": pair_json(one.b),
            }
            for one in found.changed
        ],
        "only_in_a": [pair_json(pair) for pair in found.only_in_a],
        "only_in_b": [pair_json(pair) for pair in found.only_in_b],
        "equal": len(found.equal),
    }
