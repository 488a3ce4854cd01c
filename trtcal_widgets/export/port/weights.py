"""Weights of layers in one orientation, with folded normalisation, and their fingerprints."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.model.load import OnnxModel

_TOLERANCE = 2e-3
"""Folding in another order, or in half precision, moves fingerprints by less than this share of the largest."""

_FIXED = frozenset({TensorKind.CONSTANT, TensorKind.WEIGHT})


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights as rows of output channels.

    Attributes
    ----------
    op
        ``"Conv"``, ``"ConvTranspose"`` or ``"Linear"``.
    shape
        The weights' shape as stored, ``Linear``: (outputs, inputs).
    rows
        Float32, shape (channels, values): one row per output channel.
    gain
        Float32, shape (channels,): what is multiplied to each row by what follows the layer.
    """

    op: str
    shape: tuple[int, ...]
    rows: NDArray[np.float32]
    gain: NDArray[np.float32]

    def identity(self) -> Identity:
        """Return what the weights are told by; the weights themselves need not be kept."""
        folded = np.ascontiguousarray(self.rows * self.gain[:, None])
        mixer = np.random.default_rng(2048).standard_normal(folded.shape[1:], np.float32)
        code = hashlib.sha1(folded.data, usedforsecurity=False).hexdigest()
        return Identity(self.op, self.shape, code, np.asarray(folded @ mixer))


@dataclass(frozen=True, eq=False)
class Identity:
    """What the weights of a layer are told by.

    Attributes
    ----------
    op, shape
        As in :class:`Weights`.
    digest
        Hash of the weights with what is folded in.
    fingerprint
        Float32, shape (channels,): numbers that hardly move where the weights hardly move.
    """

    op: str
    shape: tuple[int, ...]
    digest: str
    fingerprint: NDArray[np.float32]


def layer_weights(model: OnnxModel, node: NodeInfo, attributes: dict[str, Any]) -> Weights | None:
    """Return the weights of a layer, None for a node that is no layer with stored weights."""
    if not is_default_domain(node.domain) or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    if len(node.inputs) < 2 or node.inputs[1] not in model.constants:
        return None
    stored = model.constants.read(node.inputs[1])
    moving = model.graph.tensors[node.inputs[0]].kind not in _FIXED
    if not moving or stored.dtype.kind != "f" or stored.ndim < 2 or stored.size == 0:
        return None
    return _by_channel(node.op_type, stored.astype(np.float32, copy=False), attributes)


def _by_channel(op_type: str, values: NDArray[np.float32], attributes: dict[str, Any]) -> Weights | None:
    op = "Linear"
    rows: NDArray[np.float32] = np.asarray(values)
    if op_type == "Conv":
        op, rows = "Conv", values.reshape(values.shape[0], -1)
    elif op_type == "ConvTranspose":
        # Channels of several groups are interleaved: one row is enough to compare.
        grouped = int(attributes.get("group", 1)) > 1
        op = "ConvTranspose"
        rows = values.reshape(1, -1) if grouped else np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    elif values.ndim != 2 or attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0:
        return None
    elif not attributes.get("transB", 0):
        rows = values.T
    shape = rows.shape if op == "Linear" else values.shape
    return Weights(op, tuple(shape), rows, np.ones(rows.shape[0], np.float32))


def folded_weights(model: OnnxModel, layer: Weights, node: NodeInfo, data: str) -> Weights | None:
    """Return the weights with the next node folded in, None where it cannot be.

    Batch normalisation multiplies each channel; the addition of a constant changes only the bias, which is not
    compared.
    """
    if node.op_type == "BatchNormalization" and node.inputs[0] == data:
        if any(name not in model.constants for name in node.inputs[1:5]):
            return None
        gamma, _, _, variance = (model.constants.read(name).astype(np.float32) for name in node.inputs[1:5])
        proto = next(n for n in model.proto.graph.node if n.output and n.output[0] == node.outputs[0])
        epsilon = next((a.f for a in proto.attribute if a.name == "epsilon"), 1e-5)
        factor = np.asarray(gamma / np.sqrt(variance + np.float32(epsilon)))
        if factor.shape != layer.gain.shape:
            return None
        return replace(layer, gain=layer.gain * factor)
    if node.op_type == "Add" and len(node.inputs) == 2:
        other = node.inputs[1] if node.inputs[0] == data else node.inputs[0]
        tensor = model.graph.tensors[other]
        sizes = [one for one in tensor.shape or () if isinstance(one, int) and one != 1]
        if tensor.kind in _FIXED and tensor.shape is not None and sizes in ([], [layer.gain.size]):
            return replace(layer)
    return None


def same_weights(one: Identity, other: Identity) -> bool:
    """Whether two layers have the same weights, up to rounding."""
    if one.op != other.op or one.shape != other.shape:
        return False
    if one.digest == other.digest:
        return True
    size = float(max(np.abs(one.fingerprint).max(), np.abs(other.fingerprint).max()))
    return bool(np.abs(one.fingerprint - other.fingerprint).max() <= _TOLERANCE * size)
