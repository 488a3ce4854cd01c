"""Tensors that follow from another one value by value: adding a scalar, scaling, clipping, Relu, reshaping.

A run that only counts need not ask the engine for them: they are made of the other tensor while it is counted, by the
same float32 operations and so to the same bits. In MobileNet-like models they are more than half of all values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.steps import Step, StepKind
from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from onnx import NodeProto

    from trtcal_widgets.model.graph import NodeInfo, TensorInfo
    from trtcal_widgets.model.load import OnnxModel

__all__ = ["derived_tensors"]

_STANDARD = ("", "ai.onnx")
_RESHAPES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_ARITHMETIC = frozenset({"Add", "Div", "Mul", "Sub"})

_READERS = frozenset(
    {
        *_RESHAPES, *_ARITHMETIC, "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "Erf",
        "GlobalAveragePool", "HardSigmoid", "MaxPool", "Relu", "Resize", "Sigmoid", "Slice", "Split", "Sqrt", "Tanh",
    }
)  # fmt: skip
"""What may read a tensor that the engine is not asked for. Others an engine may fuse with it: ONNX Runtime pulls a
scalar factor into a MatMul, which then rounds differently."""

_MOST = 8
"""Tensors that are made of one: a block of each has to stay in the caches."""


def derived_tensors(model: OnnxModel) -> dict[str, tuple[str, Step]]:
    """Return the tensors of a model that are made of one other tensor, value by value.

    Parameters
    ----------
    model
        Its stored constants are read where they have one value.

    Returns
    -------
    dict
        Tensor name -> (the tensor that is read, step), in graph order. A step's ``parent`` counts the tensors that are
        made of the one that is read, from 1 and in this order; 0 is that one itself. Only float32 activations are
        among them, and no output of the graph.
    """
    graph = model.graph
    found: dict[str, tuple[str, Step]] = {}
    made: dict[str, list[str]] = {}
    protos = {node.output[0]: node for node in model.proto.graph.node if node.output}
    for info in graph.nodes:
        if info.domain not in _STANDARD or len(info.outputs) != 1:
            continue
        tensor = graph.tensors.get(info.outputs[0])
        if tensor is None or not _may_be_left_out(model, tensor):
            continue
        step = _step(model, info, protos[tensor.name])
        if step is None:
            continue
        source, kind, first, second = step
        read, parent = source, 0
        if source in found:
            read = found[source][0]
            parent = 1 + made[read].index(source)
        siblings = made.setdefault(read, [])
        if len(siblings) < _MOST:
            siblings.append(tensor.name)
            found[tensor.name] = read, Step(parent, kind, first, second)
    return found


def _may_be_left_out(model: OnnxModel, tensor: TensorInfo) -> bool:
    nodes = model.graph.nodes
    return (
        tensor.kind is TensorKind.ACTIVATION
        and tensor.dtype == "float32"
        and not tensor.is_output
        and all(nodes[i].domain in _STANDARD and nodes[i].op_type in _READERS for i in tensor.consumers)
    )


def _step(model: OnnxModel, info: NodeInfo, node: NodeProto) -> tuple[str, StepKind, float, float] | None:
    """Return (tensor, kind, constants) of a node that works value by value on one tensor that changes; else None."""
    operands = [name for name in info.inputs if name]
    if not operands:
        return None
    x = operands[0]
    if info.op_type in _RESHAPES:
        found = (x, StepKind.SAME, 0.0, 0.0)
    elif info.op_type == "Relu":
        found = (x, StepKind.CLIP, 0.0, math.inf)
    elif info.op_type == "Clip":
        bounds = _bounds(model, info, node)
        if bounds is None:
            return None
        found = (x, StepKind.CLIP, *bounds)
    elif info.op_type in _ARITHMETIC and len(operands) == 2:
        arithmetic = _arithmetic(model, info.op_type, *operands)
        if arithmetic is None:
            return None
        found = arithmetic
    else:
        return None
    source = model.graph.tensors.get(found[0])
    changes = source is not None and source.kind in (TensorKind.INPUT, TensorKind.ACTIVATION)
    return found if changes and source is not None and source.dtype == "float32" else None


def _arithmetic(model: OnnxModel, op_type: str, a: str, b: str) -> tuple[str, StepKind, float, float] | None:
    right = _scalar(model, b)
    if right is not None:
        kinds = {"Add": StepKind.ADD, "Sub": StepKind.ADD, "Mul": StepKind.MULTIPLY, "Div": StepKind.DIVIDE}
        return a, kinds[op_type], -right if op_type == "Sub" else right, 0.0  # x - c is x + -c, to the bit
    left = _scalar(model, a)
    if left is None or op_type == "Div":
        return None
    kinds = {"Add": StepKind.ADD, "Sub": StepKind.SUBTRACT_FROM, "Mul": StepKind.MULTIPLY}
    return b, kinds[op_type], left, 0.0


def _bounds(model: OnnxModel, info: NodeInfo, node: NodeProto) -> tuple[float, float] | None:
    """Return the bounds of a Clip, which were attributes before opset 11."""
    attributes = {a.name: a.f for a in node.attribute}
    bounds = [attributes.get("min", -math.inf), attributes.get("max", math.inf)]
    for k, name in enumerate(info.inputs[1:3]):
        if name:
            bound = _scalar(model, name, finite=False)
            if bound is None:
                return None
            bounds[k] = bound
    return bounds[0], bounds[1]


def _scalar(model: OnnxModel, name: str, *, finite: bool = True) -> float | None:
    """Return a stored float32 constant of one value; None for whatever else a tensor is."""
    tensor = model.graph.tensors.get(name)
    if tensor is None or tensor.kind in (TensorKind.INPUT, TensorKind.ACTIVATION) or name not in model.constants:
        return None
    if tensor.dtype != "float32" or tensor.shape is None or any(dim != 1 for dim in tensor.shape):
        return None
    value = float(np.asarray(model.constants.read(name)).reshape(-1)[0])
    return None if math.isnan(value) or (finite and math.isinf(value)) else value
