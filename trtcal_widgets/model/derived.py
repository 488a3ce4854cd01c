"""Tensors that follow from another one value by value: adding a scalar, scaling, clipping, Relu, reshaping.

Sums and products of such tensors belong to them too: a hard swish is x * clip(x + 3, 0, 6) / 6.

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

_STANDARD = ("", "ai.onnx")
_RESHAPES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_WITH_SCALAR = {"Add": StepKind.ADD, "Sub": StepKind.ADD, "Mul": StepKind.MULTIPLY, "Div": StepKind.DIVIDE}
_SCALAR_FIRST = {"Add": StepKind.ADD, "Sub": StepKind.SUBTRACT_FROM, "Mul": StepKind.MULTIPLY}
_OF_TWO = {"Add": StepKind.ADD_TENSORS, "Sub": StepKind.SUBTRACT_TENSORS, "Mul": StepKind.MULTIPLY_TENSORS}
_CHANGES = (TensorKind.INPUT, TensorKind.ACTIVATION)
_ARITHMETIC = frozenset(_WITH_SCALAR)

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
    """Return the tensors that are made of one other tensor, value by value: name -> (the tensor that is read, step).

    In graph order; stored constants are read where they have one value. A step's ``parent`` counts the tensors that are
    made of the one that is read, from 1 and in this order; 0 is that one itself. Only float32 activations are among
    them, and no output of the graph.
    """
    search = _Search(model)
    for node in model.graph.nodes:
        search.visit(node)
    return search.found


class _Search:
    """What was found so far, going through the nodes in graph order."""

    def __init__(self, model: OnnxModel) -> None:
        self.found: dict[str, tuple[str, Step]] = {}
        self._model = model
        self._protos = {node.output[0]: node for node in model.proto.graph.node if node.output}
        self._made: dict[str, list[str]] = {}
        self._reshaped: set[str] = set()

    def visit(self, node: NodeInfo) -> None:
        """Find out about the tensor that a node makes."""
        if node.domain not in _STANDARD or len(node.outputs) != 1:
            return
        tensor = self._model.graph.tensors.get(node.outputs[0])
        made = self._step(node) if tensor is not None and _may_be_left_out(self._model, tensor) else None
        if tensor is None or made is None:
            return
        read, step = made
        siblings = self._made.setdefault(read, [])
        if len(siblings) < _MOST:
            siblings.append(tensor.name)
            self.found[tensor.name] = read, step
            if node.op_type in _RESHAPES or (step.parent and siblings[step.parent - 1] in self._reshaped):
                self._reshaped.add(tensor.name)

    def _place(self, name: str) -> tuple[str, int] | None:
        """Return the tensor to read for a tensor that changes, and which of those made of it this one is; else None."""
        tensor = self._model.graph.tensors.get(name)
        if tensor is None or tensor.kind not in _CHANGES or tensor.dtype != "float32":
            return None
        if name not in self.found:
            return name, 0
        read = self.found[name][0]
        return read, 1 + self._made[read].index(name)

    def _step(self, node: NodeInfo) -> tuple[str, Step] | None:
        """Return the tensor to read and the step of a node that works value by value; None for other nodes."""
        operands = [name for name in node.inputs if name]
        if node.op_type in _ARITHMETIC and len(operands) == 2:
            a, b = operands
            return self._with_scalar(node.op_type, a, b) or self._of_two(node.op_type, a, b)
        place = self._place(operands[0]) if operands else None
        if place is None:
            return None
        read, parent = place
        if node.op_type in _RESHAPES:
            return read, Step(parent, StepKind.SAME)
        if node.op_type == "Relu":
            return read, Step(parent, StepKind.CLIP, 0.0, math.inf)
        bounds = _bounds(self._model, node, self._protos[node.outputs[0]]) if node.op_type == "Clip" else None
        return None if bounds is None else (read, Step(parent, StepKind.CLIP, *bounds))

    def _with_scalar(self, op_type: str, a: str, b: str) -> tuple[str, Step] | None:
        left, right = _scalar(self._model, a), _scalar(self._model, b)
        place = self._place(b if right is None else a)
        if place is None:
            return None
        read, parent = place
        if right is not None:
            constant = -right if op_type == "Sub" else right  # x - c is x + -c, to the bit
            return read, Step(parent, _WITH_SCALAR[op_type], constant)
        if left is None or op_type not in _SCALAR_FIRST:
            return None
        return read, Step(parent, _SCALAR_FIRST[op_type], left)

    def _of_two(self, op_type: str, a: str, b: str) -> tuple[str, Step] | None:
        """Return the step for two tensors that are made of one, value by value in the same order."""
        one, two = self._place(a), self._place(b)
        if one is None or two is None or one[0] != two[0] or op_type not in _OF_TWO or {a, b} & self._reshaped:
            return None
        return one[0], Step(one[1], _OF_TWO[op_type], other=two[1])


def _may_be_left_out(model: OnnxModel, tensor: TensorInfo) -> bool:
    nodes = model.graph.nodes
    return (
        tensor.kind is TensorKind.ACTIVATION
        and tensor.dtype == "float32"
        and not tensor.is_output
        and tensor.name not in model.inner.reads
        and all(nodes[i].domain in _STANDARD and nodes[i].op_type in _READERS for i in tensor.consumers)
    )


def _bounds(model: OnnxModel, node: NodeInfo, proto: NodeProto) -> tuple[float, float] | None:
    """Return the bounds of a Clip, which were attributes before opset 11."""
    attributes = {a.name: a.f for a in proto.attribute}
    bounds = [attributes.get("min", -math.inf), attributes.get("max", math.inf)]
    for k, name in enumerate(node.inputs[1:3]):
        if name:
            bound = _scalar(model, name, finite=False)
            if bound is None:
                return None
            bounds[k] = bound
    return bounds[0], bounds[1]


def _scalar(model: OnnxModel, name: str, *, finite: bool = True) -> float | None:
    """Return a stored float32 constant of one value; None for whatever else a tensor is."""
    tensor = model.graph.tensors.get(name)
    if tensor is None or tensor.kind in _CHANGES or name not in model.constants:
        return None
    if tensor.dtype != "float32" or tensor.shape is None or any(dim != 1 for dim in tensor.shape):
        return None
    value = float(np.asarray(model.constants.read(name)).reshape(-1)[0])
    return None if math.isnan(value) or (finite and math.isinf(value)) else value
