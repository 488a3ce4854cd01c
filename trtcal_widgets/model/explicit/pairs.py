"""The Q/DQ pairs of a model as facts, whoever put them there: this package, ONNX Runtime, ModelOpt, PPQ, an exporter.

A pair belongs to the tensor that had the values before anything was quantised, and has that tensor's name:

* an activation: what ``QuantizeLinear`` reads. Where the tool kept the name for what comes after the pair (a graph
  output), it is that name.
* a constant that is quantised in the file: the name without what the tool added to it (``_quantized``).

Several pairs of one tensor with the same scale are one pair with more readers. Operators of ONNX Runtime's integer
format (``QLinearConv`` and the like) read and write through pairs that are spelt as inputs of theirs: ``integers``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.explicit.integers import Use, channel_axis, has_integers, uses
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo
    from trtcal_widgets.model.load import OnnxModel

_ADDED = re.compile(
    r"(_quantized|_quantizelinear(_output)?|_dequantizelinear(_output)?|_dequantized|_int8|_qdq)(_\d+)?$", re.IGNORECASE
)
_INPUT_OF_OUTPUT = re.compile(r"_QuantizeLinear_Input(_\d+)?$")

LEVELS = {
    "int8": (-128.0, 127.0), "uint8": (0.0, 255.0), "int16": (-32768.0, 32767.0), "uint16": (0.0, 65535.0),
    "int4": (-8.0, 7.0), "uint4": (0.0, 15.0), "int32": (-(2.0**31), 2.0**31 - 1),
    "float8_e4m3fn": (-448.0, 448.0), "float8_e5m2": (-57344.0, 57344.0), "float4_e2m1fn": (-6.0, 6.0),
    "float8_e4m3fnuz": (-240.0, 240.0), "float8_e5m2fnuz": (-57344.0, 57344.0),
}  # fmt: skip
"""Element type of the quantised tensor -> its smallest and largest value."""


@dataclass(frozen=True, eq=False)
class QdqPair:
    """One tensor and how it is quantised.

    Attributes
    ----------
    tensor
        Its name in the model before quantisation.
    is_constant
        Whether its values are stored in the model, or computed from what is.
    dtype
        Element type after Q: ``"int8"``, ``"uint8"``, ``"float8_e4m3fn"``, ``"int32"`` (a bias), …
    scales
        Float32, shape () or (channels,), or more dimensions where it has blocks.
    zero_points
        Of the same shape, as float64; zeros where the model gives none.
    axis
        The axis of the channels, -1 where there is one scale.
    readers
        (node name, operator, position of the input) of everything that reads through the pair, in graph order.
    quantize, dequantize
        Names of its nodes, in graph order; ``quantize`` is empty where the values are stored quantised, and both are
        where an integer operator writes them and another reads them.
    place
        Index of the first node that reads through it: the place in graph order.
    """

    tensor: str
    is_constant: bool
    dtype: str
    scales: NDArray[np.float32]
    zero_points: NDArray[np.float64]
    axis: int
    readers: tuple[tuple[str, str, int], ...]
    quantize: tuple[str, ...]
    dequantize: tuple[str, ...]
    place: int

    @property
    def is_per_channel(self) -> bool:
        """Whether it has more than one scale."""
        return self.scales.size > 1

    @property
    def is_symmetric(self) -> bool:
        """Whether 0 lies in the middle: zero point 0 for a signed type, 128 for ``uint8``."""
        low, high = LEVELS.get(self.dtype, (-1.0, 1.0))
        middle = 0.0 if low < 0 else (high + 1) / 2
        return bool(np.all(self.zero_points == middle))

    @property
    def amax(self) -> float:
        """The largest |x| that it keeps, in the tensor's unit; of the widest channel. NaN for an unknown type.

        INT8 counts to 127 on both sides, as TensorRT's scales do.
        """
        if self.dtype not in LEVELS:
            return float("nan")
        low, high = LEVELS[self.dtype]
        if self.is_symmetric:
            low = -high if low < 0 else low + 1
        reach = np.maximum(np.abs(low - self.zero_points), np.abs(high - self.zero_points))
        return float(np.max(reach * self.scales.astype(np.float64), initial=0.0))


def read_pairs(model: OnnxModel) -> tuple[QdqPair, ...]:
    """Return the pairs of a model in graph order; none for a model that is not quantised.

    Raises ModelError if a scale cannot be read: it is computed from the input, or its data are missing.
    """
    reader = _Reader(model)
    found: dict[tuple[str, bytes, bytes, str, int], QdqPair] = {}
    for pair in reader.pairs():
        key = (pair.tensor, pair.scales.tobytes(), pair.zero_points.tobytes(), pair.dtype, pair.axis)
        found[key] = _joined(found[key], pair) if key in found else pair
    return tuple(sorted(found.values(), key=lambda pair: pair.place))


def _joined(first: QdqPair, second: QdqPair) -> QdqPair:
    return replace(
        first,
        readers=tuple(dict.fromkeys((*first.readers, *second.readers))),
        quantize=tuple(dict.fromkeys((*first.quantize, *second.quantize))),
        dequantize=tuple(dict.fromkeys((*first.dequantize, *second.dequantize))),
        place=min(first.place, second.place),
    )


class _Reader:
    """Walks the graph once."""

    def __init__(self, model: OnnxModel) -> None:
        self._model, self._graph = model, model.graph
        self._axes = dict(_axes(model.proto))
        self._transposed = set(_transposed(model.proto))
        self._outputs = {tensor.name for tensor in self._graph.outputs}

    def pairs(self) -> Iterator[QdqPair]:
        """Yield one pair for each ``DequantizeLinear``."""
        for node in self._graph.nodes:
            # ONNX Runtime has the types that an older opset lacks in a domain of its own.
            known = is_default_domain(node.domain) or node.domain == "com.microsoft"
            if node.op_type == "DequantizeLinear" and known and len(node.inputs) >= 2:
                yield self._pair(node)
        for use in uses(self._graph):
            if use.scale and use.values:
                yield self._pair_of(use)

    def _pair(self, node: NodeInfo) -> QdqPair:
        graph, quantized = self._graph, node.inputs[0]
        producer = graph.tensors[quantized].producer
        q = graph.nodes[producer] if producer >= 0 and graph.nodes[producer].op_type == "QuantizeLinear" else None
        source = q.inputs[0] if q else quantized
        given = node.inputs[2] if len(node.inputs) > 2 else ""
        scales, zeros = self._numbers(node.inputs[1], given, node)
        return QdqPair(
            tensor=self._original(source, node.outputs[0], stored=q is None),
            is_constant=graph.tensors[source].is_fixed,
            dtype=graph.tensors[quantized].dtype or (graph.tensors[given].dtype if given else ""),
            scales=scales,
            zero_points=zeros,
            axis=self._axis(node, quantized) if scales.size > 1 else -1,
            readers=tuple(self._readers(node.outputs[0])),
            quantize=(q.name,) if q else (),
            dequantize=(node.name,),
            place=min(graph.tensors[node.outputs[0]].consumers, default=node.index),
        )

    def _pair_of(self, use: Use) -> QdqPair:
        """Return the pair that an integer operator reads or writes through."""
        graph, node = self._graph, use.node
        info = graph.tensors[use.values]
        q = graph.nodes[info.producer] if info.producer >= 0 else None
        q = q if q is not None and q.op_type == "QuantizeLinear" else None
        source = q.inputs[0] if q else use.values
        scales, zeros = self._numbers(use.scale, use.zero_point, node)
        rank = None if info.shape is None else len(info.shape)
        axis = channel_axis(use, rank, transposed=node.outputs[0] in self._transposed)
        return QdqPair(
            tensor=_INPUT_OF_OUTPUT.sub("", source) if q else original_name(source),
            is_constant=graph.tensors[source].is_fixed,
            dtype=info.dtype or (graph.tensors[use.zero_point].dtype if use.zero_point else ""),
            scales=scales,
            zero_points=zeros,
            axis=axis if scales.size > 1 else -1,
            readers=(use.reader,) if use.reader else (),
            quantize=(q.name,) if q else (),
            dequantize=(),
            place=node.index,
        )

    def _numbers(self, scale: str, zero_point: str, node: NodeInfo) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return scales and zero points, of one shape."""
        scales = np.asarray(self._constant(scale, node), np.float32)
        scales = scales.reshape(()) if scales.size == 1 else scales
        if not zero_point:
            return scales, np.zeros(scales.shape)
        zeros = np.asarray(self._constant(zero_point, node), np.float64).reshape(-1)
        return scales, np.broadcast_to(zeros, (max(scales.size, 1),)).reshape(scales.shape)

    def _axis(self, node: NodeInfo, quantized: str) -> int:
        """Return the axis of the channels, counted from the front where the rank is known."""
        axis, shape = self._axes.get(node.outputs[0], 1), self._graph.tensors[quantized].shape
        return axis + len(shape) if axis < 0 and shape is not None else axis

    def _constant(self, name: str, node: NodeInfo) -> NDArray[np.generic]:
        """Return the values of a scale or zero point, also where nodes compute it from constants."""
        if name in self._model.constants:
            return self._model.constants.read(name)
        if self._graph.tensors[name].is_fixed:
            from trtcal_widgets.model.folding import computed_constants

            return next(array for _, array in computed_constants(self._model, [name]))
        raise ModelError(
            f"{self._graph.name}: {node.name!r} reads its scale or zero point {name!r} from a computation on the input "
            "(dynamic quantisation). TensorRT's scales are constants: quantise the model statically"
        )

    def _original(self, source: str, dequantized: str, *, stored: bool) -> str:
        if dequantized in self._outputs and (not stored or _INPUT_OF_OUTPUT.search(source)):
            return dequantized
        if not stored:
            return _INPUT_OF_OUTPUT.sub("", source)
        return original_name(source)

    def _readers(self, name: str) -> Iterator[tuple[str, str, int]]:
        for index in self._graph.tensors[name].consumers:
            node = self._graph.nodes[index]
            yield from ((node.name, node.op_type, place) for place, read in enumerate(node.inputs) if read == name)


def original_name(quantized: str) -> str:
    """Return a quantised tensor's name without what tools add to it."""
    return _ADDED.sub("", quantized) or quantized


def _axes(proto: ModelProto) -> Iterator[tuple[str, int]]:
    """Yield what each ``DequantizeLinear`` makes, with its axis; 1 is ONNX's default."""
    for node in proto.graph.node:
        if node.op_type == "DequantizeLinear" and node.output:
            yield node.output[0], next((int(a.i) for a in node.attribute if a.name == "axis"), 1)


def _transposed(proto: ModelProto) -> Iterator[str]:
    """Yield what each node with ``transB`` makes."""
    for node in proto.graph.node:
        if node.output and any(a.name == "transB" and a.i for a in node.attribute):
            yield node.output[0]


def has_pairs(graph: ModelGraph) -> bool:
    """Whether a model has a ``DequantizeLinear`` node, or an operator that computes with quantised integers."""
    return any(node.op_type == "DequantizeLinear" for node in graph.nodes) or has_integers(graph)
