"""Tensors that only TensorRT's network has and whose values must be computed: a Gemm before its bias, for one.

They are computed beside the model, by nodes that are added to a copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.model.trt8.network import Computed, OfGraph, OfNumber, SameAs, UnsureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import NodeProto, TensorProto

    from trtcal_widgets.model.trt8.network import Dims, Tensor

_AXES_AS_INPUT = {"ReduceSum": 13}
_AXES_AS_INPUT_OF_ALL = 18
_GEMM_WITHOUT_BIAS = 11
_SLICE_INPUTS = 10


@dataclass(frozen=True, eq=False)
class InnerTensors:
    """Nodes to add to a model.

    ``names``: the tensors that they make: TensorRT's names of them. ``reads``: tensors of the model that they read.
    ``nodes``, ``constants``: what to add.
    """

    names: tuple[str, ...] = ()
    reads: frozenset[str] = frozenset()
    nodes: Sequence[NodeProto] = ()
    constants: Sequence[TensorProto] = field(default=())


NO_INNER = InnerTensors()


def inner_tensors(
    wanted: Mapping[str, Tensor], dtypes: Mapping[str, str], opset: int
) -> tuple[InnerTensors, Mapping[str, str]]:
    """Return the nodes that compute tensors of TensorRT's network.

    ``wanted``: name -> tensor, whose value is :class:`~trtcal_widgets.model.trt8.network.Computed`. ``dtypes``: element
    types of the model's tensors, by NumPy's names: what is not float32 throughout is left out. ``opset``: the model's.
    Returns (InnerTensors, dict): the nodes, and the names that cannot be computed with the reason.
    """
    made, left_out = _Recipes(dtypes, opset), {}
    for name, tensor in wanted.items():
        failure = made.output(name, tensor)
        if failure:
            left_out[name] = failure
    names = tuple(name for name in wanted if name not in left_out)
    if not names:
        return NO_INNER, MappingProxyType(left_out)
    return InnerTensors(names, frozenset(made.reads), made.nodes, made.constants), MappingProxyType(left_out)


class _Recipes:
    """Nodes and constants so far; nothing of a recipe that fails is kept."""

    def __init__(self, dtypes: Mapping[str, str], opset: int) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.reads: set[str] = set()
        self._dtypes = dtypes
        self._opset = opset
        self._done: dict[int, str] = {}
        self._names = 0

    def output(self, name: str, tensor: Tensor) -> str:
        """Add what makes a tensor of this name, or return why that is not to be had."""
        before = len(self.nodes), len(self.constants), set(self.reads), dict(self._done)
        try:
            self._compute(tensor, name)
        except UnsureError as error:
            del self.nodes[before[0] :], self.constants[before[1] :]
            self.reads, self._done = before[2], before[3]
            return str(error)
        return ""

    def _compute(self, tensor: Tensor, name: str) -> str:
        from onnx import helper

        if id(tensor) in self._done:
            self.nodes.append(helper.make_node("Identity", [self._done[id(tensor)]], [name]))
            return name
        recipe = tensor.value
        assert isinstance(recipe, Computed)
        inputs = [self._operand(operand) for operand in recipe.inputs]
        if recipe.op_type == "Slice" and self._opset < _SLICE_INPUTS:
            raise UnsureError("its values are a slice, which opsets before 10 write in another way")
        inputs += [self._constant(np.array(values, np.int64)) for values in recipe.integers]
        attributes: dict[str, Any] = dict(recipe.attributes)
        if "axes" in attributes and self._opset >= _AXES_AS_INPUT.get(recipe.op_type, _AXES_AS_INPUT_OF_ALL):
            inputs.append(self._constant(np.asarray(attributes.pop("axes"), np.int64)))
        if recipe.op_type == "Gemm" and self._opset < _GEMM_WITHOUT_BIAS:
            inputs.append(self._constant(np.zeros(1, np.float32)))
        self.nodes.append(helper.make_node(recipe.op_type, inputs, [name], **attributes))
        self._done[id(tensor)] = name
        return name

    def _operand(self, tensor: Tensor) -> str:
        """Return the name of what a recipe reads."""
        value = tensor.value
        if isinstance(value, OfGraph):
            if self._dtypes.get(value.name) != "float32":
                raise UnsureError(f"its values are computed from {value.name!r}, which is not float32")
            self.reads.add(value.name)
            return value.name
        if isinstance(value, OfNumber):
            return self._constant(np.full(tensor.known, value.value, np.float32))
        if isinstance(value, SameAs):
            return self._moved(tensor, value.tensor)
        if isinstance(value, Computed):
            done = self._done.get(id(tensor))
            return done if done is not None else self._compute(tensor, self._free())
        raise UnsureError("its values are not those of any ONNX operator")

    def _moved(self, tensor: Tensor, source: Tensor) -> str:
        name = self._operand(source)
        new, old = tensor.known, source.known
        if _without_leading_ones(new) == _without_leading_ones(old):
            return name  # ONNX broadcasts the rest
        if (tensor.layer is not None and tensor.layer.detail) or min(new, default=0) < 0:
            raise UnsureError("its values are computed from a tensor that TensorRT transposes or reshapes")
        from onnx import helper

        out = self._free()
        self.nodes.append(helper.make_node("Reshape", [name, self._constant(np.array(new, np.int64))], [out]))
        return out

    def _free(self) -> str:
        self._names += 1
        name = f"trtcal inner {self._names}"
        return self._free() if name in self._dtypes else name

    def _constant(self, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        from onnx import numpy_helper

        name = self._free()
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def _without_leading_ones(dims: Dims) -> Dims:
    kept = 0
    while kept < len(dims) and dims[kept] == 1:
        kept += 1
    return dims[kept:]
