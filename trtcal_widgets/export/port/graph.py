"""A model in a form in which two exports of it look alike.

Exporters rename tensors, fold batch normalisation into the layer before it, write a linear layer as ``Gemm`` or as
``MatMul`` and ``Add``, drop or add operators that do nothing, and move attributes to inputs. Here each of these has
one form: *steps*, which read and write tensors and carry what does not depend on names.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.errors import ModelError
from trtcal_widgets.export.port.weights import Identity, Weights, folded_weights, layer_weights
from trtcal_widgets.model.folding import computed_constants
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from onnx import AttributeProto, NodeProto

    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.model.load import OnnxModel

_NOTHING = frozenset({"Identity", "Dropout"})
_FOLDED = frozenset({"float32", "float16", "float64", "int32", "int64", "bool"})

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "Clip": ("min", "max"),
    "Pad": ("pads", "value", "axes"),
    "ReduceMax": ("axes",),
    "ReduceMean": ("axes",),
    "ReduceMin": ("axes",),
    "ReduceSum": ("axes",),
    "Slice": ("starts", "ends", "axes", "steps"),
    "Split": ("split",),
    "Squeeze": ("axes",),
    "TopK": ("k",),
    "Unsqueeze": ("axes",),
    "Upsample": ("scales",),
}
"""Inputs after the first that were attributes in older opsets."""

_NEUTRAL_OPERAND = {"Add": (0, (0, 1)), "Mul": (1, (0, 1)), "Sub": (0, (1,)), "Div": (1, (1,))}
"""Operators that do nothing with this scalar at one of these positions."""

_SMALL = 1 << 16
"""Values of a constant at most that may be one for each channel."""

_NO_MEANING = frozenset({"kernel_shape", "noop_with_empty_axes", "num_outputs", "to_ratio"})
_NEUTRAL: dict[str, Any] = {"auto_pad": "NOTSET", "group": 1, "ceil_mode": 0, "storage_order": 0, "keepdims": 1}


class Inner(NamedTuple):
    """A tensor inside a layer: what made it, by what it is multiplied to the end, and the bias that it has by then."""

    op: str
    tensor: str
    gain: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """A node, or a layer with what is folded into it.

    Attributes
    ----------
    op
        Operator, ``"Linear"`` for ``Gemm`` and ``MatMul`` with weights.
    key
        Attributes and parameters as text, without names of tensors.
    inputs
        Tensors that it reads and that depend on the input; aliases resolved.
    constants
        Digests of the constants that it reads.
    outputs
        Tensors that it writes.
    weights
        What tells the weights of a layer, with everything folded in.
    inner
        What is folded into the layer, from the first one on.
    """

    op: str
    key: str
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Identity | None = None
    inner: tuple[Inner, ...] = ()


@dataclass(eq=False)
class Side:
    """One of the two models.

    ``model``: the model. ``steps``: in topological order. ``alias``: tensor -> the tensor that it is a copy of.
    ``constants``: digest -> float constants that have a row in a cache.
    """

    model: OnnxModel
    steps: list[Step] = field(default_factory=list)
    alias: dict[str, str] = field(default_factory=dict)
    constants: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _Reader(self).read()

    @cached_property
    def readers(self) -> dict[str, list[Step]]:
        """Tensor -> the steps that read it."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                found.setdefault(name, []).append(step)
        return found

    @cached_property
    def prepared(self) -> frozenset[str]:
        """The inputs, and what is made of them before the first layer with weights."""
        found = {tensor.name for tensor in self.model.graph.inputs}
        for step in self.steps:
            if step.weights is None and step.inputs and found.issuperset(step.inputs):
                found.update(step.outputs)
        return frozenset(found)

    def root(self, name: str) -> str:
        """Return the tensor that a tensor is a copy of, itself in most cases."""
        while name in self.alias:
            name = self.alias[name]
        return name


class _Reader:
    def __init__(self, side: Side) -> None:
        self.side = side
        self.graph = side.model.graph
        self.protos: dict[str, NodeProto] = {
            next((o for o in n.output if o), ""): n for n in side.model.proto.graph.node
        }
        self.digests: dict[str, str] = {}
        self.computed: dict[str, NDArray[np.generic]] = {}
        self.defaults: dict[str, dict[str, Any]] = {}

    def read(self) -> None:
        self._fold()
        taken: set[int] = set()
        for node in self.graph.nodes:
            outputs = [name for name in node.outputs if name]
            if node.index in taken or not outputs or self._fixed(outputs):
                continue
            copied = self._copied(node) if is_default_domain(node.domain) else ""
            if copied:
                self.side.alias[outputs[0]] = copied
                continue
            self.side.steps.append(self._step(node, taken))
        for tensor in self.graph.tensors.values():
            if tensor.kind is TensorKind.CONSTANT and tensor.is_float and tensor.name in self.side.model.constants:
                self.side.constants.setdefault(self._digest(tensor.name), []).append(tensor.name)

    def _fold(self) -> None:
        """Hash what one exporter stores and another one computes from stored constants."""
        tensors, stored = self.graph.tensors, self.side.model.constants
        computed = dict.fromkeys(
            name
            for node in self.graph.nodes
            if not self._fixed(filter(None, node.outputs))
            for name in node.inputs
            if name and tensors[name].is_fixed and name not in stored and tensors[name].dtype in _FOLDED
        )
        try:
            for name, array in computed_constants(self.side.model, computed):
                self.digests[name] = digest(array)
                if array.size <= _SMALL:
                    self.computed[name] = array
        except ModelError:
            self.digests.clear()  # ONNX Runtime does not know an operator: they are told by their shapes

    def _small(self, name: str) -> NDArray[np.generic] | None:
        """Return the values of a constant that may be a bias or of a normalisation; None for others."""
        shape = self.graph.tensors[name].shape
        sizes = None if shape is None else [size if isinstance(size, int) else _SMALL + 1 for size in shape]
        if name in self.side.model.constants and sizes is not None and math.prod(sizes) <= _SMALL:
            return self.side.model.constants.read(name)
        return self.computed.get(name)

    def _fixed(self, names: Iterable[str]) -> bool:
        return all(self.graph.tensors[name].is_fixed for name in names)

    def _copied(self, node: NodeInfo) -> str:
        """Return the tensor that a node hands on unchanged, ``""`` if it does anything."""
        if node.op_type in _NOTHING:
            return node.inputs[0]
        tensors = self.graph.tensors
        if node.op_type == "Cast" and tensors[node.inputs[0]].dtype == tensors[node.outputs[0]].dtype:
            return node.inputs[0]
        if node.op_type not in _NEUTRAL_OPERAND:
            return ""
        neutral, positions = _NEUTRAL_OPERAND[node.op_type]
        for position in positions:
            name, other = node.inputs[position], node.inputs[1 - position]
            if tensors[name].shape not in ((), (1,)) or name not in self.side.model.constants:
                continue
            if self.side.model.constants.read(name).reshape(-1)[0] == neutral:
                return other
        return ""

    def _step(self, node: NodeInfo, taken: set[int]) -> Step:
        layer = layer_weights(self.side.model, node, self._attributes(node), self._small)
        if layer is not None:
            return self._layer_step(node, layer, taken)
        moving, constants, parameters = [], [], {}
        names = _PARAMETERS.get(node.op_type, ())
        for position, name in enumerate(node.inputs):
            if not name:
                continue
            if not self.graph.tensors[name].is_fixed:
                moving.append(self.side.root(name))
            elif position and position <= len(names) and name in self.side.model.constants:
                parameters[names[position - 1]] = _text(self.side.model.constants.read(name).reshape(-1).tolist())
            else:
                constants.append(self._digest(name))
        key = self._key({**self._attributes(node), **parameters})
        op = node.op_type if is_default_domain(node.domain) else f"{node.domain}::{node.op_type}"
        return Step(op, key, tuple(moving), tuple(constants), tuple(filter(None, node.outputs)))

    def _layer_step(self, node: NodeInfo, layer: Weights, taken: set[int]) -> Step:
        """Fold what follows the layer and only changes it by constants into it."""
        names, layers = [node.outputs[0]], [layer]
        while following := self._following(names[-1]):
            folded = folded_weights(self.side.model, layers[-1], following, names[-1], self._small)
            if folded is None:
                break
            taken.add(following.index)
            layers.append(folded)
            names.append(following.outputs[0])
        layer = layers[-1]
        with np.errstate(all="ignore"):
            gains = [layer.gain / one.gain for one in layers[:-1]]
        inner = tuple(
            Inner(self.graph.op_type(name), name, gain, one.bias)
            for name, gain, one in zip(names[:-1], gains, layers[:-1], strict=True)
        )
        attributes = self._attributes(node)
        if layer.op == "Linear":
            attributes = {}
        data = (self.side.root(node.inputs[0]),)
        weights = layer.identity()
        constants = (weights.digest,)
        return Step(weights.op, self._key(attributes), data, constants, (names[-1],), weights, inner)

    def _following(self, name: str) -> NodeInfo | None:
        tensor = self.graph.tensors[name]
        if tensor.is_output or len(tensor.consumers) != 1:
            return None
        node = self.graph.nodes[tensor.consumers[0]]
        return node if is_default_domain(node.domain) else None

    def _attributes(self, node: NodeInfo) -> dict[str, Any]:
        proto = self.protos[next(name for name in node.outputs if name)]
        given = {attribute.name: _value(attribute) for attribute in proto.attribute}
        defaults = self._defaults(node.op_type) if is_default_domain(node.domain) else {}
        return {name: value for name, value in given.items() if name not in defaults or defaults[name] != value}

    def _defaults(self, op_type: str) -> dict[str, Any]:
        """Return the defaults of an operator's attributes: one exporter writes them down, another does not."""
        import onnx

        if op_type not in self.defaults:
            try:
                schema = onnx.defs.get_schema(op_type, self.graph.opset, "")
            except onnx.defs.SchemaError:
                self.defaults[op_type] = {}
            else:
                self.defaults[op_type] = {
                    name: _value(attribute.default_value)
                    for name, attribute in schema.attributes.items()
                    if attribute.default_value.name
                }
        return self.defaults[op_type]

    def _key(self, attributes: dict[str, Any]) -> str:
        kept = {name: value for name, value in attributes.items() if not _is_neutral(name, value)}
        return repr(sorted((name, _text(value)) for name, value in kept.items()))

    def _digest(self, name: str) -> str:
        """Return a hash of a constant's values; its shape where they cannot be computed."""
        if name not in self.digests:
            tensor = self.graph.tensors[name]
            if name in self.side.model.constants:
                self.digests[name] = digest(self.side.model.constants.read(name))
            else:
                self.digests[name] = f"computed {tensor.dtype} {tensor.shape}"
        return self.digests[name]


def digest(array: NDArray[np.generic]) -> str:
    """Return a hash of an array's values and shape; the float types hash alike where the values are alike.

    The narrow types of ml_dtypes (bfloat16, float8, int4) are of NumPy's kind V and have no buffer.
    """
    if array.dtype.kind == "V":
        array = array.astype(np.int8 if "int" in array.dtype.name else np.float32)
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    if array.dtype == object:
        return repr(array.tolist())
    found = hashlib.sha1(np.ascontiguousarray(array).data, usedforsecurity=False)
    return f"{found.hexdigest()} {array.dtype.kind} {array.shape}"


def _value(attribute: AttributeProto) -> Any:
    import onnx

    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return digest(onnx.numpy_helper.to_array(value)) if not value.external_data else "external"
    if isinstance(value, onnx.GraphProto):
        return sorted(node.op_type for node in value.node)
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _is_neutral(name: str, value: Any) -> bool:
    if name in _NO_MEANING or (name in _NEUTRAL and value == _NEUTRAL[name]):
        return True
    if name in ("strides", "dilations"):
        return all(one == 1 for one in value)
    return name in ("pads", "output_padding") and not isinstance(value, str) and not any(value)


def _text(value: Any) -> str:
    """Return numbers so that 1, 1.0 and [1] are one text."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_text(one) for one in value) + "]"
    if isinstance(value, (int, float)):
        return f"{float(value):.6g}"
    return str(value)
