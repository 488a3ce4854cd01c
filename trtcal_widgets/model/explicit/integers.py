"""ONNX Runtime's integer format (QOperator): the scales that its operators read and write stand in their inputs.

Which input is which is documented with the operators, ONNX's own and those of the domain ``com.microsoft``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo


@dataclass(frozen=True)
class _Layout:
    """Positions of an operator's inputs: (values, scale, zero point) of what it reads, (scale, zero point) of its own.

    ``first``: which input of the operator in floating point the first is.
    """

    reads: tuple[tuple[int, int, int], ...]
    writes: tuple[int, int]
    first: int = 0


_TWO = _Layout(((0, 1, 2), (3, 4, 5)), (6, 7))
_ONE = _Layout(((0, 1, 2),), (3, 4))
_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "QLinearConv": _TWO,
        "QLinearMatMul": _TWO,
        "QLinearAdd": _TWO,
        "QLinearMul": _TWO,
        "QGemm": _Layout(_TWO.reads, (7, 8)),
        "QLinearWhere": _Layout(((1, 2, 3), (4, 5, 6)), (7, 8), first=1),
        "QLinearSigmoid": _ONE,
        "QLinearLeakyRelu": _ONE,
        "QLinearSoftmax": _ONE,
        "QLinearReduceMean": _ONE,
        "QLinearAveragePool": _ONE,
        "QLinearGlobalAveragePool": _ONE,
    }
)

_DYNAMIC = frozenset({
    "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat",
    "ConvInteger", "MatMulInteger",
})  # fmt: skip
_OTHER = frozenset({"QGemm", "QAttention", "QEmbedLayerNormalization", "QMoE"})
_OF_NODE = re.compile(r"_quant(_\d+)?$")


@dataclass(frozen=True)
class Use:
    """One tensor of integers, with the names of its scale and zero point.

    ``reader``: node name, operator and position of the input in the model before; None where the node writes it.
    """

    values: str
    scale: str
    zero_point: str
    node: NodeInfo
    reader: tuple[str, str, int] | None


def is_integer(node: NodeInfo) -> bool:
    """Whether a node computes with integers and their scales, or makes scales while it runs."""
    return node.op_type.startswith("QLinear") or node.op_type in _OTHER or is_dynamic(node)


def is_dynamic(node: NodeInfo) -> bool:
    """Whether a node belongs to dynamic quantisation: scales are computed from the input."""
    return node.op_type in _DYNAMIC


def uses(graph: ModelGraph) -> Iterator[Use]:
    """Yield the tensors that the graph's integer operators read and write, in graph order."""
    for node in graph.nodes:
        layout = _layout(node)
        if layout is None:
            continue
        given = (*node.inputs, "", "", "")
        name, op_type = _OF_NODE.sub("", node.name), node.op_type.removeprefix("QLinear").removeprefix("Q")
        for number, (values, scale, zero) in enumerate(layout.reads):
            reader = (name, op_type, number + layout.first)
            yield Use(given[values], given[scale], given[zero], node, reader)
        scale, zero = layout.writes
        yield Use(node.outputs[0], given[scale], given[zero], node, None)


def has_integers(graph: ModelGraph) -> bool:
    """Whether a node computes with integers whose scales are among its inputs."""
    return any(_layout(node) is not None for node in graph.nodes)


def _layout(node: NodeInfo) -> _Layout | None:
    if node.op_type == "QLinearConcat":
        reads = tuple((at, at + 1, at + 2) for at in range(2, len(node.inputs) - 2, 3))
        return _Layout(reads, (0, 1))
    found = _LAYOUTS.get(node.op_type)
    needed = max(found.writes[0], *(scale for _, scale, _ in found.reads)) if found else 0
    return found if found and len(node.inputs) > needed and node.outputs else None


def channel_axis(use: Use, rank: int | None, *, transposed: bool) -> int:
    """Return the axis along which an operator's second operand has scales: output channels.

    ``rank``: of the operand, None where it is not known. ``transposed``: whether the node has ``transB``.
    """
    return 0 if use.node.op_type == "QLinearConv" or transposed else (rank or 2) - 1
