"""Rows of a scale file that have something in common: what is odd, what the model lacks, what differs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.core.cache import CalibrationCache
from trtcal_widgets.presentation import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.core.cache import NameComparison, Oddity
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.widgets.cache_facts import Column, ScaleFile

__all__ = [
    "ROW_ODDITIES",
    "RowGroup",
    "Severity",
    "difference_groups",
    "is_about_a_row",
    "name_groups",
    "oddity_groups",
]

Severity = Literal["info", "warning", "error"]

ROW_ODDITIES = {
    "zero": "scale 0",
    "inf": "infinite",
    "nan": "not a number",
    "negative": "negative",
    "denormal": "nearly 0",
    "duplicate": "name twice",
    "non-utf8": "name not UTF-8",
    "control-character": "control characters",
    "odd-digits": "unusual digits",
    "spacing": "extra spaces",
    "min-above-max": "min above max",
}
"""Kinds of oddities of rows, in the words of the chips; all others are remarks about the file."""


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows that have something in common, offered as a filter.

    Attributes
    ----------
    key, label
        For the program and for the chip.
    severity
        ``"info"``, ``"warning"`` or ``"error"``.
    text
        What it means and what to do.
    rows
        Row indices, ascending.
    """

    key: str
    label: str
    severity: Severity
    text: str
    rows: NDArray[np.intp]


def is_about_a_row(oddity: Oddity) -> bool:
    """Whether an oddity is one of a row; else it is a remark about the file."""
    return bool(oddity.name) and oddity.kind in ROW_ODDITIES


def oddity_groups(file: ScaleFile, index: Mapping[str, int], notes: dict[int, list[str]]) -> list[RowGroup]:
    """Return one group per kind of oddity; its worst severity and its first message stand for it.

    ``index`` has the row of each name; what there is to say about a row is added to ``notes``.
    """
    lines = {row.line: i for i, row in enumerate(file.rows)} if isinstance(file, CalibrationCache) else {}
    found: dict[str, list[tuple[int, Oddity]]] = defaultdict(list)
    for oddity in filter(is_about_a_row, file.oddities):
        row = lines.get(oddity.line, index[oddity.name])
        found[oddity.kind].append((row, oddity))
        notes[row].append(oddity.message)
    groups = []
    for kind, odd in found.items():
        severity: Severity = next((s for s in ("error", "warning") if any(o.severity == s for _, o in odd)), "info")
        first = next(o for _, o in odd if o.severity == severity)
        text = first.message if len(odd) == 1 else f"{count_of(len(odd), 'row')}. {first.message}"
        groups.append(RowGroup(kind, ROW_ODDITIES[kind], severity, text, _ascending(row for row, _ in odd)))
    return groups


def name_groups(
    found: NameComparison, graph: ModelGraph | None, index: Mapping[str, int], notes: dict[int, list[str]]
) -> list[RowGroup]:
    """Compare rows with the model, and find names that TensorRT made up (which are known without a model too)."""
    for name, label in found.synthetic.items():
        notes[index[name]].append(f"Not a name of the model: {label}.")
    groups = []
    if found.synthetic:
        text = (
            "TensorRT or its ONNX parser made these names up, for constants and reshapes that the model file has under "
            "other names or not at all. That is normal; they only fit a network that was parsed in the same way."
        )
        groups.append(RowGroup("synthetic", "made up by TensorRT", "info", text, _rows(found.synthetic, index)))
    if graph is None:
        return groups
    if found.unknown:
        text = (
            f"{graph.name} has no tensors of these names: the file is of another model, or of another export of it. "
            "TensorRT ignores rows that it does not need."
        )
        groups.append(RowGroup("unknown", "not in the model", "warning", text, _rows(found.unknown, index)))
    if found.missing:
        text = (
            f"Tensors of {graph.name} without a row. TensorRT warns 'Missing scale and zero-point' and runs their "
            "layers in higher precision. A cache of EntropyCalibration (1) has no rows inside fused layers."
        )
        groups.append(RowGroup("missing", "missing", "warning", text, _rows(found.missing, index)))
        for name in found.missing:
            notes[index[name]].append(f"A tensor of {graph.name} that the file has no row for.")
    return groups


def difference_groups(mine: Column, theirs: Column) -> list[RowGroup]:
    """Compare two files row by row."""
    both = mine.present & theirs.present
    equal = both & (mine.bits == theirs.bits)
    kinds: tuple[tuple[str, str, str, NDArray[np.bool_]], ...] = (
        ("changed", "changed", "The scale differs, if only in its last bit.", both & ~equal),
        ("only-a", "only in A", "B has no row for these.", mine.present & ~theirs.present),
        ("only-b", "only in B", "A has no row for these.", theirs.present & ~mine.present),
        ("equal", "equal", "Bit for bit the same scale.", equal),
    )
    return [RowGroup(key, label, "info", text, np.flatnonzero(mask)) for key, label, text, mask in kinds if mask.any()]


def _rows(names: Any, index: Mapping[str, int]) -> NDArray[np.intp]:
    return _ascending(index[name] for name in names)


def _ascending(rows: Any) -> NDArray[np.intp]:
    return np.unique(np.fromiter(rows, dtype=np.intp))
