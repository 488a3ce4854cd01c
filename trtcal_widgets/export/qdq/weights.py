"""Scales of weights: symmetric INT8 per output channel, from the weights' own maxima.

One weight is looked at a time, and external data are mapped, not read: a model of any size fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.model.load import OnnxModel

PER_TENSOR = -1
"""In place of an axis: one scale for the whole tensor."""

_TINY = np.float32(np.finfo(np.float32).tiny)


def weight_axis(node: NodeInfo, position: int, rank: int, *, transposed: bool) -> int:
    """Return the axis of a weight that has one scale per output channel, or :data:`PER_TENSOR`.

    ``position``: which of its inputs the weight is; as the first operand of a product it gets one scale. ``rank``: the
    weight's number of dimensions. ``transposed``: whether a ``Gemm`` has ``transB``.
    """
    if position != 1:
        return PER_TENSOR
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm":
        return 0 if transposed else 1
    if node.op_type == "MatMul" and rank >= 2:
        return rank - 1
    return PER_TENSOR


class WeightScales:
    """Scales of a model's constants, computed once each; ``levels``: what their largest value becomes."""

    def __init__(self, model: OnnxModel, levels: float = 127.0) -> None:
        self._model = model
        self._levels = np.float32(levels)
        self._known: dict[tuple[str, int], NDArray[np.float32] | str] = {}
        self._dense = {tensor.name: tensor for tensor in model.proto.graph.initializer}
        self._transposed: dict[str, bool] | None = None

    def axis(self, node: NodeInfo, position: int) -> int:
        """Return the axis of the scales of a node's constant input."""
        shape = self._model.graph.tensors[node.inputs[position]].shape
        rank = len(shape) if shape is not None else self._values(node.inputs[position]).ndim
        transposed = node.op_type == "Gemm" and self._is_transposed(node)
        return weight_axis(node, position, rank, transposed=transposed)

    def _is_transposed(self, node: NodeInfo) -> bool:
        if self._transposed is None:
            nodes = self._model.proto.graph.node
            self._transposed = {n.output[0]: _trans_b(n) for n in nodes if n.op_type == "Gemm"}
        return self._transposed[node.outputs[0]]

    def scales(self, name: str, axis: int) -> NDArray[np.float32] | str:
        """Return the scales, shape (channels,) or () per tensor, or why there are none.

        A channel of zeros has scale 1: it quantises to zeros with any.

        Raises ModelError if its data cannot be read.
        """
        if (name, axis) not in self._known:
            self._known[name, axis] = _scales_of(self._amax(name, axis), self._levels)
        return self._known[name, axis]

    def _amax(self, name: str, axis: int) -> NDArray[np.float32]:
        values = self._values(name)
        if values.ndim == 0 or axis == PER_TENSOR:
            values = values.reshape(1, -1)
            return np.asarray(_amax_of_rows(values)[0])
        # One channel at a time keeps the temporaries small where a channel is contiguous.
        return _amax_of_rows(np.moveaxis(values, axis, 0))

    def _values(self, name: str) -> NDArray[np.generic]:
        mapped = self._mapped(name)
        if mapped is not None:
            return mapped
        if name in self._model.constants:
            return self._model.constants.read(name)
        from trtcal_widgets.model.folding import computed_constants

        return next(array for _, array in computed_constants(self._model, [name]))

    def _mapped(self, name: str) -> NDArray[np.generic] | None:
        """Return an external float tensor as a map of its file, None for any other."""
        import onnx

        tensor = self._dense.get(name)
        if tensor is None or tensor.data_location != onnx.TensorProto.EXTERNAL:
            return None
        dtype = {onnx.TensorProto.FLOAT: "<f4", onnx.TensorProto.FLOAT16: "<f2"}.get(tensor.data_type)
        if dtype is None or 0 in tensor.dims:
            return None
        return _map_external(tensor, dtype, self._model)


def _map_external(tensor: TensorProto, dtype: str, model: OnnxModel) -> NDArray[np.generic]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    file = model.path.parent / entries["location"]
    try:
        return np.memmap(file, dtype, "r", int(entries.get("offset") or 0), tuple(tensor.dims))
    except (OSError, ValueError) as error:
        raise ModelError(f"the external data of tensor {tensor.name!r} cannot be read from {file}: {error}") from error


def _amax_of_rows(rows: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the largest |x| of each row, float32; NaN where there is one."""
    axes = tuple(range(1, rows.ndim))
    if rows.size == 0:
        return np.zeros(rows.shape[0], np.float32)
    with np.errstate(all="ignore"):
        highest, lowest = rows.max(axis=axes), rows.min(axis=axes)
        amax: NDArray[np.float32] = np.maximum(highest.astype(np.float32), -lowest.astype(np.float32))
        return amax


def _scales_of(amax: NDArray[np.float32], levels: np.float32) -> NDArray[np.float32] | str:
    if not np.isfinite(amax).all():
        return "its values are not all finite"
    scales = np.asarray(amax / levels)
    return np.where(scales < _TINY, np.float32(1), scales)


def _trans_b(node: NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
