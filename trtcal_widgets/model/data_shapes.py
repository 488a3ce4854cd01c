"""Tensors whose shape depends on the values of others: what is compared between two runs must not be among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

NO_ARRAYS = frozenset({"sequence", "seq", "map", "optional", "sparse_tensor"})
"""What stands for the element type of a tensor that is none: a sequence, a map."""


def has_numpy_type(dtype: str) -> bool:
    """Whether ONNX Runtime hands a tensor of this element type to NumPy: not sequences, nor the narrow types."""
    return dtype not in NO_ARRAYS and not dtype.startswith(_NARROW)


_NARROW = ("bfloat16", "float8", "float4", "int4", "uint4", "int2", "uint2")

_SHAPED_BY_DATA = frozenset({"NonMaxSuppression", "NonZero", "Unique", "Compress", "StringSplit"})
"""Operators whose number of results depends on the data; the order of what follows depends on it too."""


def data_dependent(graph: ModelGraph) -> frozenset[str]:
    """Return the tensors behind an operator whose number of results depends on the data.

    Between FP32 and INT8 they may differ in shape, and where they do not, element i is another box or word.
    """
    found: set[str] = set()
    for node in graph.nodes:
        starts = node.op_type in _SHAPED_BY_DATA and is_default_domain(node.domain)
        if starts or any(name in found for name in node.inputs):
            found.update(name for name in node.outputs if name)
    return frozenset(found)


def comparable_outputs(graph: ModelGraph) -> tuple[str, ...]:
    """Return the floating-point tensors by which the outputs of two runs are compared.

    The outputs themselves; instead of one whose shape depends on the data, the activations that enter the part of the
    network where it does (for a detector: boxes and scores before the suppression of boxes); instead of integers,
    sequences and maps, the activations that they are made of.

    In graph order.
    """
    moving = data_dependent(graph)
    chosen = {tensor.name for tensor in graph.outputs if tensor.is_float and tensor.name not in moving}
    stack = [tensor.name for tensor in graph.outputs if tensor.name not in chosen]
    seen = set(stack)
    while stack:
        producer = graph.tensor(stack.pop()).producer
        for name in graph.nodes[producer].inputs if producer >= 0 else ():
            if name in seen or not name or name not in graph.tensors:
                continue
            seen.add(name)
            if name not in moving and _is_activation(graph.tensor(name)):
                chosen.add(name)
            else:
                stack.append(name)
    return tuple(name for name in graph.tensors if name in chosen)


def _is_activation(tensor: TensorInfo) -> bool:
    return tensor.is_float and tensor.kind is TensorKind.ACTIVATION
