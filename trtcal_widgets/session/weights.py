"""Ranges of a layer's weights per output channel: TensorRT gives each channel a scale of its own.

They are measured while the weights are counted, and kept: two numbers per channel, so that a saved session has them
without its model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from numpy.typing import NDArray

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo
    from trtcal_widgets.session.session import CalibrationSession

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_PASSING = frozenset(
    {"Add", "BatchNormalization", "Clip", "HardSwish", "Identity", "LeakyRelu", "MaxPool", "Mul", "PRelu", "Relu"}
)
"""What may stand between a layer with weights and the tensor that is looked at."""

_STEPS = 4
_FEW_LEVELS = 8
_LARGEST_LEVEL = 127


@dataclass(frozen=True, eq=False)
class WeightChannels:
    """The weights behind a tensor.

    ``weight``, ``layer``, ``op_type``: the weight tensor, and the name and operator of the layer that reads it.
    ``steps``: how many operators stand between the layer and the tensor: 0 where the layer makes it. ``minimum``,
    ``maximum``: per output channel, float32, shape (channels,), in the weights' unit.
    """

    weight: str
    layer: str
    op_type: str
    steps: int
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]

    @property
    def amax(self) -> NDArray[np.float32]:
        """Largest |w| per channel: 127 times the scale that TensorRT gives it."""
        return np.maximum(np.abs(self.minimum), np.abs(self.maximum))

    @property
    def levels(self) -> NDArray[np.int64]:
        """How many of the 127 levels each channel would reach if all shared the largest one's scale."""
        amax = self.amax.astype(np.float64)
        largest = float(amax.max(initial=0.0))
        share = amax / largest if largest > 0 else np.ones_like(amax)
        return np.rint(_LARGEST_LEVEL * share).astype(np.int64)

    @property
    def starved(self) -> NDArray[np.bool_]:
        """Which channels would reach fewer than 8 levels then; a channel of zeros needs none."""
        return (self.levels < _FEW_LEVELS) & (self.amax > 0)


def output_axis(graph: ModelGraph, node: NodeInfo, shape: tuple[int, ...]) -> int | None:
    """Return the axis of a layer's weights that counts output channels; None where it cannot be told.

    Of a square Gemm it cannot: whether its weight is transposed is an attribute that the graph's facts do not hold.
    """
    if node.op_type == "Conv" and len(shape) >= 3:
        return 0
    if node.op_type == "ConvTranspose" and len(shape) >= 3:
        return 1
    if len(shape) != 2:
        return None
    if node.op_type == "MatMul":
        return 1
    made = graph.tensors.get(node.outputs[0])
    outputs = made.shape[-1] if made is not None and made.shape else None
    if shape[0] == shape[1] or outputs not in shape:
        return None
    return shape.index(outputs)


def reads_weights(node: NodeInfo) -> bool:
    """Whether a node multiplies by its second input, as a layer does by its weights."""
    return node.op_type in _WEIGHTED and is_default_domain(node.domain) and len(node.inputs) > 1


def measured(
    stream: Iterable[tuple[str, NDArray[Any]]], graph: ModelGraph, found: MutableMapping[str, NDArray[np.float32]]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Pass constants on, and note in ``found`` what each channel of a weight reaches from and to, shape (2, channels).

    Weights with NaN or infinities are left out.
    """
    readers = {node.inputs[1]: node for node in graph.nodes if reads_weights(node)}
    for name, array in stream:
        node = readers.get(name)
        axis = None if node is None or not array.size else output_axis(graph, node, array.shape)
        if axis is not None:
            others = tuple(k for k in range(array.ndim) if k != axis)
            ends = np.stack([array.min(axis=others), array.max(axis=others)]).astype(np.float32)
            if np.isfinite(ends).all():
                found[name] = ends
        yield name, array


def channels_of(session: CalibrationSession, name: str) -> WeightChannels | None:
    """Return the weights behind a tensor, per output channel; None where there are none, or none is counted yet.

    They are the tensor itself, where it is one, or those of the layer that it comes from, directly or behind operators
    that keep channels.
    """
    graph, ranges = session.graph, session.weight_ranges
    node, steps = _layer_of(graph, graph.tensor(name).name)
    if node is None or node.inputs[1] not in ranges:
        return None
    low, high = ranges[node.inputs[1]]
    return WeightChannels(node.inputs[1], node.name, node.op_type, steps, low, high)


def _layer_of(graph: ModelGraph, name: str) -> tuple[NodeInfo | None, int]:
    for k in graph.tensor(name).consumers:
        if reads_weights(graph.nodes[k]) and graph.nodes[k].inputs[1] == name:
            return graph.nodes[k], 0
    for steps in range(_STEPS):
        producer = graph.tensor(name).producer
        if producer < 0:
            break
        node = graph.nodes[producer]
        if reads_weights(node):
            return node, steps
        # Behind an Add of two layers it is neither's alone.
        made = [n for n in node.inputs if n in graph.tensors and graph.tensors[n].producer >= 0]
        if node.op_type not in _PASSING or len(made) != 1:
            break
        name = made[0]
    return None, 0


def pack(ranges: Mapping[str, NDArray[np.float32]]) -> tuple[list[list[Any]], NDArray[np.float32]]:
    """Return names with their numbers of channels, and all ranges behind each other, float32, shape (2, channels)."""
    index = [[name, int(ends.shape[1])] for name, ends in ranges.items()]
    return index, np.concatenate([np.zeros((2, 0), np.float32), *ranges.values()], axis=1)


def unpack(index: Any, packed: NDArray[np.float32], graph: ModelGraph) -> dict[str, NDArray[np.float32]]:
    """Read what :func:`pack` returned; a ValueError where that cannot be."""
    names, sizes = [name for name, _ in index], [size for _, size in index]
    fits = all(name in graph.tensors for name in names) and all(type(size) is int and size >= 0 for size in sizes)
    if not fits or packed.dtype != np.float32 or packed.shape != (2, sum(sizes)):
        raise ValueError("the ranges of weights per channel do not fit the model")
    parts = np.split(packed, np.cumsum(sizes)[:-1], axis=1) if sizes else []
    return dict(zip(names, parts, strict=True))
