"""The rows of a scale file against a model's tensors."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from trtcal_widgets.formats.compare import compare_with_names
from trtcal_widgets.formats.header import constant_row
from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trtcal_widgets.formats.compare import NameComparison, ScaleFile
    from trtcal_widgets.model.graph import ModelGraph, NetworkRow

EXPLICIT_OPS = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})
"""Operators that make a network explicitly quantised, in ONNX's own domain and in others' (com.microsoft)."""

_NUMBERED = re.compile(r"\(Unnamed Layer\* \d+\) ")


def constants_of(graph: ModelGraph) -> tuple[str, ...]:
    """Return the constants that TensorRT calibrates (see :mod:`~trtcal_widgets.model.kinds`), under a name of its own.

    A constant is not among them where another tensor of the model has the name of its row
    (:func:`~trtcal_widgets.formats.header.constant_row`): that row is the other tensor's.
    """
    return tuple(
        name
        for name in graph.calibrated
        if graph.tensors[name].kind is TensorKind.CONSTANT and constant_row(name) not in graph.tensors
    )


def explicit_note(graph: ModelGraph) -> str:
    """Say that TensorRT takes no calibration cache for a model, because it has Q/DQ nodes; empty where it takes one."""
    pairs = [n for n in graph.nodes if n.op_type in EXPLICIT_OPS]
    if not pairs:
        return ""
    counts = Counter(node.op_type for node in pairs)
    listed = ", ".join(f"{count:,} {op_type}" for op_type, count in sorted(counts.items()))
    return (
        f"{graph.name} is quantised already ({listed}): TensorRT takes the scales from these nodes and ignores a "
        "calibration cache. Build the engine from this model without a cache, or calibrate the FP32 model that it was "
        "made from."
    )


def compare_with_model(file: ScaleFile, graph: ModelGraph) -> NameComparison:
    """Match the rows of a file with a model's tensors; a constant may have its row under the name of TensorRT 10 or 8.

    ``file``: a calibration cache or another file of scales.
    """
    numbered = numbered_rows(file.scales, graph)
    own = {row.name for row in graph.trt8.rows}
    held = {row.own or row.tensor for row in numbered}
    return compare_with_names(
        file,
        # TensorRT 8 has no row for a tensor that a shuffle which does nothing makes, for one.
        [name for name in graph.calibrated if not numbered or (name in own and name not in held)],
        also_known=graph.tensors,
        constants=constants_of(graph),
        layers=[node.name for node in graph.nodes],
        described={row.name: _described(row, graph) for row in numbered},
    )


def numbered_rows(names: Collection[str], graph: ModelGraph) -> tuple[NetworkRow, ...]:
    """Return the rows of TensorRT 8 among names that no tensor of the model has: ``(Unnamed Layer* 12) …``.

    None where a numbered row is there that TensorRT 8.6 would not write: then the numbers are another network's.
    """
    predicted = {row.name: row for row in graph.trt8.rows if row.name not in graph.tensors}
    numbered = [name for name in names if _NUMBERED.match(name) and name not in graph.tensors]
    if not all(name in predicted for name in numbered):
        return ()
    return tuple(predicted[name] for name in numbered)


def tensors_of_rows(names: Collection[str], graph: ModelGraph) -> dict[str, str]:
    """Return row -> tensor of the model for rows that stand for one under another name, in TensorRT 8 or in 10.

    ``(Unnamed Layer* 12) [Constant]_output`` and ``<constant>_output`` are both the constant's.
    """
    found = {row.name: row.own or row.tensor for row in numbered_rows(names, graph)}
    for name in (name for name, tensor in graph.tensors.items() if tensor.is_fixed):
        row = constant_row(name)
        if row in names and row not in graph.tensors:
            found[row] = name
    return {row: tensor for row, tensor in found.items() if tensor}


def foreign_numbers(names: Collection[str], graph: ModelGraph) -> tuple[str, ...]:
    """Return the numbered rows of TensorRT 8 where their numbers are not those of this model's network."""
    if not graph.trt8.rows or numbered_rows(names, graph):
        return ()
    return tuple(name for name in names if _NUMBERED.match(name) and name not in graph.tensors)


def with_tensor_names(scales: Mapping[str, float], graph: ModelGraph) -> dict[str, float]:
    """Return scales with those added that a tensor has in TensorRT 8 under a number only: a softmax's output."""
    found = dict(scales)
    for row in numbered_rows(scales, graph):
        name = row.own or row.tensor
        if name in graph.tensors and graph.tensors[name].kind is not TensorKind.WEIGHT:
            found.setdefault(name, scales[row.name])
    return found


def _described(row: NetworkRow, graph: ModelGraph) -> str:
    layer = row.name.partition("[")[2].partition("]")[0]
    name = row.own or row.tensor
    if not name:
        return f"the number {row.number:g}, which the ONNX parser writes down itself (TensorRT 8)"
    tensor = graph.tensors.get(name)
    if tensor is None:
        return f"what a {layer} layer makes inside an operator of the model (TensorRT 8)"
    if tensor.is_fixed:
        return f"the constant {name!r}, as a {layer} layer (TensorRT 8)"
    return f"the values of {name!r}, as a {layer} layer (TensorRT 8)"
