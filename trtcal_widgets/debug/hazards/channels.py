"""Ranges per channel: what one scale per tensor hides. Streamed over batches; only one number per channel is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.session.weights import output_axis, reads_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.runners.base import Runner

_SPATIAL = frozenset({
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool",
    "InstanceNormalization", "LRN", "MaxPool", "Resize", "Upsample",
})  # fmt: skip
"""Operators whose first input and first output have their channels on axis 1, as ONNX defines them."""

_LAYOUT_CHANGES = frozenset({"Flatten", "Gather", "MatMul", "Gemm", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators behind which axis 1 is another one, or may be."""


@dataclass(frozen=True, eq=False)
class WeightRanges:
    """Ranges of one layer's weights.

    ``name``, ``node``: the weight tensor, and the index of the layer that reads it. ``outputs``: largest |w| of every
    output channel, float64, shape (outputs,): what TensorRT's per-channel scales are. ``inputs``: for every input
    channel the largest share |w| / outputs[o] that it has in any output channel, float64, shape (inputs,): 1 where it
    sets some output channel's scale, 1/127 where it hardly reaches one step.
    """

    name: str
    node: int
    outputs: NDArray[np.float64]
    inputs: NDArray[np.float64]


def channel_amax(array: Any, axis: int) -> NDArray[np.float64]:
    """Return the largest |x| per channel, NaN left out, float64, shape (channels,)."""
    x = np.asarray(array)
    other = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    if x.size == 0:
        return np.zeros(x.shape[axis])
    # fmax and fmin pass over NaN; a channel of nothing but NaN stays NaN and becomes 0.
    high = np.fmax.reduce(x, axis=other).astype(np.float64)
    low = np.fmin.reduce(x, axis=other).astype(np.float64)
    return np.asarray(np.nan_to_num(np.maximum(high, -low), nan=0.0, posinf=np.inf))


def channel_axes(graph: ModelGraph) -> dict[str, int]:
    """Return which axis holds the channels of every float activation and input that has such an axis.

    Axis 1 where a convolution, pooling or the like makes or reads the tensor, directly or through elementwise
    operators; otherwise the last one, as MatMul has it, unless its length is dynamic (a sequence, an image side).
    This is inferred from the graph: ONNX does not name axes.
    """
    first: set[str] = set()
    for node in graph.nodes:
        if node.op_type in _SPATIAL and is_default_domain(node.domain):
            first.update(node.inputs[:1])
            first.update(node.outputs[:1])
        elif node.op_type not in _LAYOUT_CHANGES and first.intersection(node.inputs):
            rank = max((_rank(graph, n) for n in node.inputs if n in first), default=0)
            first.update(n for n in node.outputs if _rank(graph, n) == rank)
    axes = {}
    for tensor in graph.tensors.values():
        if tensor.is_fixed or not tensor.is_float or tensor.shape is None or len(tensor.shape) < 2:
            continue
        axis = 1 if tensor.name in first or len(tensor.shape) == 2 else len(tensor.shape) - 1
        size = tensor.shape[axis]
        if isinstance(size, int) and size > 1:
            axes[tensor.name] = axis
    return axes


def _rank(graph: ModelGraph, name: str) -> int:
    tensor = graph.tensors.get(name)
    return -1 if tensor is None or tensor.shape is None else len(tensor.shape)


def channel_ranges(
    runner: Runner, feeds: Iterable[Mapping[str, NDArray[Any]]], names: Collection[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Run batches through a model and return the largest |x| per channel.

    Parameters
    ----------
    runner
        Runs the model.
    feeds
        Batches: input name -> array.
    names
        Tensors that are wanted; None for all that have a channel axis (see :func:`channel_axes`).

    Returns
    -------
    dict
        Name -> float64, shape (channels,), in the tensor's unit; inf where a channel had an infinity. Tensors whose
        number of channels changes between batches are left out: that axis is none of channels.
    """
    axes = channel_axes(runner.graph)
    wanted = axes.keys() if names is None else axes.keys() & frozenset(names)
    found: dict[str, NDArray[np.float64]] = {}
    changing: set[str] = set()
    for feed in feeds:
        for name, array in runner.infer(feed):
            if name not in wanted or name in changing:
                continue
            new = channel_amax(array, axes[name])
            old = found.get(name)
            if old is not None and old.shape != new.shape:
                changing.add(name)
            found[name] = new if old is None or old.shape != new.shape else np.maximum(old, new)
    return {name: amax for name, amax in found.items() if name not in changing}


def weight_ranges(graph: ModelGraph, constants: Iterable[tuple[str, NDArray[Any]]]) -> Iterator[WeightRanges]:
    """Yield the ranges of the weights of Conv, ConvTranspose, Gemm and MatMul, one array in memory at a time.

    A square Gemm is left out: whether its weight is transposed is an attribute that the graph's facts do not hold.
    """
    readers = {node.inputs[1]: node for node in graph.nodes if reads_weights(node)}
    for name, array in constants:
        node = readers.get(name)
        axis = None if node is None else output_axis(graph, node, array.shape)
        if node is None or axis is None or array.size == 0 or not np.isfinite(array).all():
            continue
        size = np.moveaxis(np.abs(np.asarray(array, np.float32)), axis, 0)
        outputs = size.reshape(len(size), -1).max(axis=1).astype(np.float64)
        per_pair = size.reshape(len(size), size.shape[1], -1).max(axis=2)
        shares = per_pair / np.where(outputs > 0, outputs, 1.0)[:, None]
        yield WeightRanges(name, node.index, outputs, shares.max(axis=0).astype(np.float64))
