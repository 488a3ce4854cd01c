"""Copies of a model with more outputs, made without copying its weights.

A serialised protobuf message followed by another one parses as both merged, with repeated fields joined
end to end. So a model with more outputs is its own bytes plus a short patch: nothing is rebuilt, the graph is
the user's own to the last byte, and external data stay where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.model.trt8.inner import NO_INNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo
    from trtcal_widgets.model.trt8.inner import InnerTensors

MAX_PROTO_BYTES = 2**31 - 1
"""Protobuf's limit for one message."""


def with_outputs(
    proto: ModelProto,
    names: Iterable[str],
    *,
    as_float32: Mapping[str, str] | None = None,
    inner: InnerTensors = NO_INNER,
) -> bytes:
    """Serialise a model with more tensors marked as outputs.

    ``proto``: the model; it is not changed. External data are referred to, not read: give ONNX Runtime the folder
    (``session.model_external_initializers_file_folder_path``). ``names``: tensors to mark, in order; those that are
    outputs already must not be among them. ``as_float32``: tensor name -> name of a new output that holds its values
    cast to float32. For bfloat16, which ONNX Runtime cannot hand to NumPy; the cast is exact. ``inner``: nodes to add,
    whose results are marked too. Returns bytes: the serialised model. Raises ModelError if it would exceed protobuf's 2
    GB.
    """
    import onnx

    patch = onnx.ModelProto()
    for name in names:
        patch.graph.output.add(name=name)  # without a type: the engine infers it
    for name, alias in (as_float32 or {}).items():
        patch.graph.node.append(onnx.helper.make_node("Cast", [name], [alias], to=onnx.TensorProto.FLOAT))
        patch.graph.output.add(name=alias)
    if inner.names:
        patch.graph.node.extend(inner.nodes)
        patch.graph.initializer.extend(inner.constants)
    for name in inner.names:
        patch.graph.output.add(name=name)
    tail: bytes = patch.SerializeToString()
    if proto.ByteSize() + len(tail) > MAX_PROTO_BYTES:
        raise ModelError(
            "the model and the outputs marked in it exceed protobuf's limit of 2 GB; save its weights as "
            "external data and load that file (in Python: onnx.save(model, path, save_as_external_data=True))"
        )
    head: bytes = proto.SerializeToString()
    return head + tail


def as_float32_names(graph: ModelGraph, names: Iterable[str]) -> dict[str, str]:
    """Return a free output name for each bfloat16 tensor among the names: what ``as_float32`` takes."""
    aliases: dict[str, str] = {}
    for name in names:
        if graph.tensor(name).dtype == "bfloat16":
            alias = f"{name}:float32"
            while alias in graph.tensors or alias in aliases.values():
                alias += "_"
            aliases[name] = alias
    return aliases


def unrounded(proto: ModelProto, graph: ModelGraph) -> ModelProto:
    """Return a model without casts to float16 and back that a float32 network would only round by.

    TensorRT calibrates in float32, where such a pair of casts is nothing (run: 8.6.0): the values behind it are those
    before it. The model itself where it has no such pair; else a copy, whose casts to float16 are casts to float32.
    """
    import onnx

    names = {
        node.outputs[0]
        for node in graph.nodes
        if node.op_type == "Cast" and is_default_domain(node.domain) and _is_rounding_only(graph, node)
    }
    if not names:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in copy.graph.node:
        if node.output and node.output[0] in names:
            for attribute in node.attribute:
                if attribute.name == "to":
                    attribute.i = onnx.TensorProto.FLOAT
    declared = [info for info in copy.graph.value_info if info.name not in names]
    del copy.graph.value_info[:]
    copy.graph.value_info.extend(declared)
    return copy


def _is_rounding_only(graph: ModelGraph, node: NodeInfo) -> bool:
    """Whether a cast makes float16 of float32, and all that reads it are casts back."""
    source, rounded = graph.tensor(node.inputs[0]), graph.tensor(node.outputs[0])
    readers = [graph.nodes[i] for i in rounded.consumers]
    return (
        (source.dtype, rounded.dtype) == ("float32", "float16")
        and not rounded.is_output
        and bool(readers)
        and all(r.op_type == "Cast" and graph.tensor(r.outputs[0]).dtype == "float32" for r in readers)
    )
