"""Copies of a model with more outputs, made without copying its weights.

A serialised protobuf message followed by another one parses as both merged, with repeated fields joined
end to end. So a model with more outputs is its own bytes plus a short patch: nothing is rebuilt, the graph is
the user's own to the last byte, and external data stay where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["MAX_PROTO_BYTES", "as_float32_names", "with_outputs"]

MAX_PROTO_BYTES = 2**31 - 1
"""Protobuf's limit for one message."""


def with_outputs(proto: ModelProto, names: Iterable[str], *, as_float32: Mapping[str, str] | None = None) -> bytes:
    """Serialise a model with more tensors marked as outputs.

    Parameters
    ----------
    proto
        The model; it is not changed. External data are referred to, not read: give ONNX Runtime the folder
        (``session.model_external_initializers_file_folder_path``).
    names
        Tensors to mark, in order; those that are outputs already must not be among them.
    as_float32
        Tensor name -> name of a new output that holds its values cast to float32. For bfloat16, which
        ONNX Runtime cannot hand to NumPy; the cast is exact.

    Returns
    -------
    bytes
        The serialised model.

    Raises
    ------
    ModelError
        If it would exceed protobuf's 2 GB.
    """
    import onnx

    patch = onnx.ModelProto()
    for name in names:
        patch.graph.output.add(name=name)  # without a type: the engine infers it
    for name, alias in (as_float32 or {}).items():
        patch.graph.node.append(onnx.helper.make_node("Cast", [name], [alias], to=onnx.TensorProto.FLOAT))
        patch.graph.output.add(name=alias)
    tail: bytes = patch.SerializeToString()
    if proto.ByteSize() + len(tail) > MAX_PROTO_BYTES:
        raise ModelError(
            "the model and the outputs marked in it exceed protobuf's limit of 2 GB; save its weights as "
            "external data (onnx.save(model, path, save_as_external_data=True)) and load that file"
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
