"""What a layer computes, in one orientation and with what is folded into it: weights, bias, and their fingerprints."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.model.load import OnnxModel

    Reader = Callable[[str], NDArray[np.generic] | None]

_TOLERANCE = 2e-3
"""Folding in another order, or in half precision, moves fingerprints by less than this share of the largest."""


_SETTLED = 8 * _TOLERANCE
"""Share of a number by which two that are to be proportional may differ at most: the fit moves both a little."""

_MOST_PREPARED = 16
"""Channels of an image at most: preprocessing moves such inputs, each channel by its own mean."""


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
    bias
        Float32, shape (output channels,): what is added, with all that follows folded in.
    """

    op: str
    shape: tuple[int, ...]
    rows: NDArray[np.float32]
    gain: NDArray[np.float32]
    bias: NDArray[np.float32]

    def identity(self) -> Identity:
        """Return what the layer is told by; the weights themselves need not be kept."""
        folded = np.ascontiguousarray(self.rows * self.gain[:, None])
        mixer = np.random.default_rng(2048).standard_normal(folded.shape[1:], np.float32)
        bias = np.ascontiguousarray(self.bias + np.float32(0))  # -0.0 adds what 0.0 adds
        code = hashlib.sha1(folded.data, usedforsecurity=False)
        code.update(bias.data)
        size = float(np.sqrt(np.einsum("ij,ij->i", folded, folded).max(initial=0.0)))
        return Identity(
            self.op, self.shape, code.hexdigest(), np.asarray(folded @ mixer), bias, size, self._responses(folded)
        )

    def _responses(self, folded: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what each output channel changes by where all values of an input channel, or all, change by 1."""
        n_channels = self.shape[1] if self.op == "Conv" and len(self.shape) > 2 else 0
        if 1 < n_channels <= _MOST_PREPARED:
            return np.asarray(folded.reshape(len(folded), n_channels, -1).sum(axis=2))
        return np.asarray(folded.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Identity:
    """What a layer is told by.

    Attributes
    ----------
    op, shape
        As in :class:`Weights`.
    digest
        Hash of weights and bias with what is folded in.
    fingerprint
        Float32, shape (channels,): numbers that hardly move where the weights hardly move.
    bias
        As in :class:`Weights`.
    size
        The longest of the rows: what a bias is small or large against.
    responses
        Float32, shape (channels, k): what the output changes by where an input channel, or all of them (k = 1), do
        by 1.
    """

    op: str
    shape: tuple[int, ...]
    digest: str
    fingerprint: NDArray[np.float32]
    bias: NDArray[np.float32]
    size: float
    responses: NDArray[np.float32]

    @cached_property
    def head(self) -> float:
        """The first number of the fingerprint: where it differs by much, so do the weights."""
        return float(self.fingerprint.flat[0]) if self.fingerprint.size else 0.0

    @cached_property
    def peak(self) -> float:
        """The largest |number| of the fingerprint."""
        return float(np.abs(self.fingerprint).max(initial=0.0))

    @cached_property
    def direction(self) -> tuple[int, int, int, float]:
        """Column of the largest response, its row and the next one, and how large that one is against it."""
        sizes = np.abs(self.responses)
        if sizes.shape[0] < 2 or not sizes.max() > 0:
            return 0, 0, 0, 1.0
        row, column = (int(i) for i in np.unravel_index(int(sizes.argmax()), sizes.shape))
        second = (row + 1) % sizes.shape[0]
        return column, row, second, float(self.responses[second, column] / self.responses[row, column])


def layer_weights(model: OnnxModel, node: NodeInfo, attributes: dict[str, Any], read: Reader) -> Weights | None:
    """Return the weights of a layer, None for a node that is no layer with stored weights.

    ``read`` gives the values of a small constant, None where they are not known.
    """
    if not is_default_domain(node.domain) or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    if len(node.inputs) < 2 or node.inputs[1] not in model.constants:
        return None
    stored = model.constants.read(node.inputs[1])
    moving = not model.graph.tensors[node.inputs[0]].is_fixed
    if not moving or stored.dtype.kind != "f" or stored.ndim < 2 or stored.size == 0:
        return None
    layer = _by_channel(node.op_type, stored.astype(np.float32, copy=False), attributes)
    if layer is None or len(node.inputs) < 3 or not node.inputs[2]:
        return layer
    added = read(node.inputs[2])
    bias = None if added is None else per_channel(layer, added, own=True)
    return None if bias is None else replace(layer, bias=bias * np.float32(attributes.get("beta", 1.0)))


def _by_channel(op_type: str, values: NDArray[np.float32], attributes: dict[str, Any]) -> Weights | None:
    op, group = "Linear", int(attributes.get("group", 1))
    rows: NDArray[np.float32] = np.asarray(values)
    n_outputs = 0
    if op_type == "Conv":
        op, rows = "Conv", values.reshape(values.shape[0], -1)
    elif op_type == "ConvTranspose":
        # Channels of several groups are interleaved: one row is enough to compare.
        op, n_outputs = "ConvTranspose", values.shape[1] * group
        rows = values.reshape(1, -1) if group > 1 else np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    elif values.ndim != 2 or attributes.get("transA", 0):
        return None
    elif not attributes.get("transB", 0):
        rows = values.T
    shape = rows.shape if op == "Linear" else values.shape
    gain = np.full(rows.shape[0], attributes.get("alpha", 1.0), np.float32)
    return Weights(op, tuple(shape), rows, gain, np.zeros(n_outputs or rows.shape[0], np.float32))


def per_channel(layer: Weights, values: NDArray[np.generic], *, own: bool = False) -> NDArray[np.float32] | None:
    """Return what a constant adds to, or multiplies, each output channel of a layer; None where it does something else.

    ``own``: it is the layer's own bias, whose only axis is that of the channels; else it is broadcast to the output.
    """
    if values.dtype.kind not in "fV":  # bfloat16 is of kind V
        return None
    n = layer.bias.size
    found = values.astype(np.float32)
    if found.size == 1:
        return np.full(n, found.reshape(-1)[0], np.float32)
    from_end = 1 if layer.op == "Linear" or own else len(layer.shape) - 1
    if found.size != n or found.ndim < from_end or found.shape[-from_end] != n:
        return None
    return found.reshape(-1)


def folded_weights(model: OnnxModel, layer: Weights, node: NodeInfo, data: str, read: Reader) -> Weights | None:
    """Return the layer with the next node folded in, None where it cannot be.

    Batch normalisation, and the addition, subtraction, multiplication or division of a constant for each channel.
    """
    if node.op_type == "BatchNormalization" and node.inputs[0] == data:
        return _with_normalisation(model, layer, node, read)
    if node.op_type not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return None
    first = node.inputs[0] == data
    other = node.inputs[1] if first else node.inputs[0]
    if other == data or not model.graph.tensors[other].is_fixed or not (first or node.op_type in ("Add", "Mul")):
        return None
    values = read(other)
    found = None if values is None else per_channel(layer, values)
    return None if found is None else _with_arithmetic(layer, node.op_type, found)


def _with_arithmetic(layer: Weights, op_type: str, found: NDArray[np.float32]) -> Weights | None:
    if op_type in ("Add", "Sub"):
        return replace(layer, bias=layer.bias + (found if op_type == "Add" else -found))
    if layer.gain.size != layer.bias.size or (op_type == "Div" and not found.all()):
        return None
    factor = found if op_type == "Mul" else np.asarray(1 / found, np.float32)
    return replace(layer, gain=layer.gain * factor, bias=layer.bias * factor)


def _with_normalisation(model: OnnxModel, layer: Weights, node: NodeInfo, read: Reader) -> Weights | None:
    parameters = [read(name) for name in node.inputs[1:5]]
    known = [np.asarray(one, np.float32) for one in parameters if one is not None and one.dtype.kind in "fV"]
    if len(known) < 4 or any(one.shape != layer.gain.shape for one in known) or layer.gain.size != layer.bias.size:
        return None
    gamma, beta, mean, variance = known
    proto = next(n for n in model.proto.graph.node if n.output and n.output[0] == node.outputs[0])
    epsilon = next((a.f for a in proto.attribute if a.name == "epsilon"), 1e-5)
    factor = np.asarray(gamma / np.sqrt(variance + np.float32(epsilon)))
    return replace(layer, gain=layer.gain * factor, bias=(layer.bias - mean) * factor + beta)


def same_weights(one: Identity, other: Identity) -> bool:
    """Whether two layers have the same weights, up to rounding; see :func:`same_bias` for the rest."""
    if one.op != other.op or one.shape != other.shape:
        return False
    if one.digest == other.digest:
        return True
    size = max(one.peak, other.peak)
    if abs(one.head - other.head) > _TOLERANCE * size:  # the same test on one number, which settles most
        return False
    return is_near(one.fingerprint, other.fingerprint, size)


def widest(identities: Iterable[Identity]) -> float:
    """Return by how much :attr:`Identity.head` may differ between any of these that have the same weights."""
    return _TOLERANCE * max((one.peak for one in identities), default=0.0)


def same_bias(one: Identity, other: Identity) -> bool:
    """Whether two layers with the same weights add the same, up to rounding."""
    return one.digest == other.digest or is_near(one.bias, other.bias, _bias_size(one, other))


def is_shifted(one: Identity, other: Identity) -> bool:
    """Whether the biases of two layers with the same weights differ as a shift of the input makes them differ.

    That is where a mean that was subtracted before the layer is folded into its bias: W (x - m) + b = W x + (b - W m).
    With as many unknown means as outputs any bias could come of one, which shows nothing.
    """
    if same_bias(one, other) or one.responses.shape[0] != one.bias.size:
        return False
    moved = (other.bias - one.bias).astype(np.float64)
    for responses in (one.responses.sum(axis=1, keepdims=True), one.responses):
        if responses.shape[0] > responses.shape[1]:
            mean = np.linalg.lstsq(responses.astype(np.float64), moved, rcond=None)[0]
            if is_near(responses @ mean, moved, _bias_size(one, other)):
                return True
    return False


def is_scaled(one: Identity, other: Identity) -> bool:
    """Whether the weights differ by a factor for each input channel, as where a scale of the input is folded in."""
    if one.op != other.op or one.shape != other.shape or one.responses.shape[0] < 2:
        return False
    column, row, second, ratio = other.direction
    first = float(one.responses[row, column])
    # Columns are multiples of each other: on the largest number and one beside it, which settles most.
    if abs(float(one.responses[second, column]) - ratio * first) > _SETTLED * abs(first):
        return False
    a, b = one.responses.astype(np.float64), other.responses.astype(np.float64)
    with np.errstate(all="ignore"):
        factors = (a * b).sum(axis=0) / (a * a).sum(axis=0)
    return bool(np.isfinite(factors).all()) and is_near(a * factors, b, float(np.abs(b).max(initial=0.0)))


def _bias_size(one: Identity, other: Identity) -> float:
    return float(max(np.abs(one.bias).max(), np.abs(other.bias).max(), one.size, other.size))


def is_near(a: NDArray[Any], b: NDArray[Any], size: float) -> bool:
    """Whether two arrays are the same up to rounding, of numbers of this size."""
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0.0) <= _TOLERANCE * size)
