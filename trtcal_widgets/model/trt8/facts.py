"""The rows of TensorRT 8's caches as facts of the graph: what a session keeps without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trtcal_widgets.model.graph import NetworkRow, NetworkRows
from trtcal_widgets.model.trt8.fusing import fused_tensors
from trtcal_widgets.model.trt8.inner import inner_tensors
from trtcal_widgets.model.trt8.network import Computed, OfGraph, OfNumber
from trtcal_widgets.model.trt8.parsing import parse_network
from trtcal_widgets.model.trt8.rows import NetworkTensors, resolved

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from onnx import ModelProto

    from trtcal_widgets.model.constants import ConstantReader
    from trtcal_widgets.model.inference import TensorType
    from trtcal_widgets.model.trt8.inner import InnerTensors
    from trtcal_widgets.model.trt8.network import Tensor


class Found(NamedTuple):
    """The rows, and what computes the values that no tensor of the model has."""

    rows: NetworkRows
    inner: InnerTensors


def network_rows(
    proto: ModelProto, types: Mapping[str, TensorType], constants: ConstantReader, floats: Collection[str]
) -> Found:
    """Predict the rows that TensorRT 8.6 writes for a model.

    ``proto``, ``types``, ``constants``: as for :func:`~trtcal_widgets.model.trt8.parsing.parse_network`. ``floats``:
    names of the model's tensors that are counted.
    """
    net = parse_network(proto, types, constants)
    rows: list[NetworkRow] = []
    left_out: list[tuple[str, str]] = []
    computed: dict[str, Tensor] = {}
    known = frozenset(floats)
    tensors = NetworkTensors(net)
    fused = fused_tensors(tensors)
    for entry in tensors.entries():
        source, value = resolved(entry.tensor)
        inside = id(entry.own) in fused
        joins = entry.own.layer is not None and entry.own.layer.kind == "CONCATENATION"
        if not entry.sure:
            left_out.append((_without_number(entry.name), net.unsure))
        elif isinstance(value, OfGraph) and value.name in known:
            own = resolved(entry.own)[1]
            other = own.name if isinstance(own, OfGraph) and own.name != value.name else ""
            rows.append(NetworkRow(entry.name, value.name, own=other, fused=inside, joins=joins))
        elif isinstance(value, OfNumber):
            rows.append(NetworkRow(entry.name, number=value.value, fused=inside))
        elif isinstance(value, Computed) and source.name not in types:
            computed[source.name] = source
            rows.append(NetworkRow(entry.name, source.name, fused=inside))
        else:
            left_out.append((entry.name, "its values are not those of any ONNX operator"))
    opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
    inner, failed = inner_tensors(computed, {name: t.dtype for name, t in types.items()}, opset)
    left_out += [(row.name, failed[row.tensor]) for row in rows if row.tensor in failed]
    kept = tuple(row for row in rows if row.tensor not in failed)
    return Found(NetworkRows(kept, tuple(left_out), inner.names), inner)


def _without_number(name: str) -> str:
    """``(Unnamed Layer* 12) [Shuffle]_output`` -> ``(Unnamed Layer* ?) [Shuffle]_output``."""
    before, bracket, after = name.partition(") [")
    return f"{before.rpartition(' ')[0]} ?{bracket}{after}" if bracket else name
