"""Element types and shapes of every tensor, found without the model's weights.

Both inference engines work on a *skeleton*: the graph with every large constant turned into an input of the
same type and shape. It is small whatever the model's size, so protobuf's 2 GB limit is never met.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from trtcal_widgets.model.constants import constant_tensor, external_to_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from onnx import ModelProto, TensorProto, ValueInfoProto

    from trtcal_widgets.model.graph import Dim

_NO_NAME = re.compile(r"\?|-\d+|unk__\d+")

_SMALL = 1024
"""Constants up to this many elements stay in the skeleton: shapes are computed from them."""


class TensorType(NamedTuple):
    """Element type (NumPy's name, ``""`` where unknown) and shape (None where the rank is unknown)."""

    dtype: str
    shape: tuple[Dim, ...] | None


UNKNOWN = TensorType("", None)


def infer_types(proto: ModelProto, folder: Path) -> dict[str, TensorType]:
    """Find the type and shape of every tensor of the main graph.

    ``proto``: the model, read without its external data. What comes back is tensor name -> type, by ONNX's shape
    inference, and where that leaves an element type unknown, by ONNX Runtime's. A tensor that neither can type (behind
    an operator of an unknown domain) is missing.
    """
    small = skeleton(proto, folder)
    types = _by_onnx(small)
    wanted = [name for node in proto.graph.node for name in node.output if name and name not in types]
    if wanted:
        types.update(_by_onnxruntime(small, folder, wanted))
    return types


def skeleton(proto: ModelProto, folder: Path) -> ModelProto:
    """Return a copy of a model without its large constants, which become graph inputs."""
    import onnx

    small = onnx.ModelProto(ir_version=proto.ir_version)
    small.opset_import.extend(proto.opset_import)
    small.functions.extend(proto.functions)
    graph = small.graph
    graph.name = proto.graph.name
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    graph.sparse_initializer.extend(proto.graph.sparse_initializer)
    listed = {info.name for info in graph.input}
    for tensor in proto.graph.initializer:
        if prod(tensor.dims) <= _SMALL:
            graph.initializer.append(external_to_raw(tensor, folder))
        elif tensor.name not in listed:
            graph.input.append(_as_input(tensor, tensor.name))
    for node in proto.graph.node:
        value = constant_tensor(node)
        if value is not None and prod(value.dims) > _SMALL:
            graph.input.append(_as_input(value, node.output[0]))
        else:
            graph.node.append(node)
    return small


def _as_input(tensor: TensorProto, name: str) -> ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))


def _by_onnx(small: ModelProto) -> dict[str, TensorType]:
    import onnx

    inferred = small
    for data_prop in (True, False):
        try:
            inferred = onnx.shape_inference.infer_shapes(small, data_prop=data_prop)
            break
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            continue  # what the file itself states is used, and ONNX Runtime is asked for the rest
    graph = inferred.graph
    types = {tensor.name: _stored_type(tensor) for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        types[sparse.values.name] = _stored_type(sparse.values)._replace(shape=tuple(sparse.dims))
    for info in (*graph.input, *graph.value_info, *graph.output):
        found = _declared_type(info)
        if found.dtype:
            types[info.name] = found
    return types


def _stored_type(tensor: TensorProto) -> TensorType:
    return TensorType(dtype_name(tensor.data_type), tuple(tensor.dims))


def dtype_name(elem_type: int) -> str:
    """Return NumPy's name of an ONNX element type; ``""`` for the undefined one."""
    import onnx

    if elem_type == onnx.TensorProto.UNDEFINED:
        return ""
    if elem_type == onnx.TensorProto.STRING:
        return "string"
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)
    except (KeyError, ValueError):
        return f"onnx type {elem_type}"


def _declared_type(info: ValueInfoProto) -> TensorType:
    kind = info.type.WhichOneof("value")
    if kind is None:
        return UNKNOWN
    if kind != "tensor_type":
        return TensorType(kind.removesuffix("_type"), None)
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorType(dtype_name(tensor.elem_type), None)
    dims = (_dim(d.dim_value if d.HasField("dim_value") else d.dim_param) for d in tensor.shape.dim)
    return TensorType(dtype_name(tensor.elem_type), tuple(dims))


def _dim(value: int | str | None) -> Dim:
    """Clean a dimension: Paddle writes -1 and ``"?"`` for "any", shape inference ``"unk__7"``; no names."""
    if isinstance(value, int):
        return value if value >= 0 else None
    # A damaged file's text can come back as bytes.
    return value if isinstance(value, str) and value and not _NO_NAME.fullmatch(value) else None


_ORT_DTYPES = {"float": "float32", "double": "float64"}


def _by_onnxruntime(small: ModelProto, folder: Path, wanted: Iterable[str]) -> Mapping[str, TensorType]:
    """Ask ONNX Runtime for the types of the tensors that are left; nothing where it cannot load the graph."""
    from trtcal_widgets.errors import ModelError
    from trtcal_widgets.model.ort import open_session
    from trtcal_widgets.model.tap import with_outputs

    have = {info.name for info in small.graph.output}
    data = with_outputs(small, [name for name in wanted if name not in have])
    try:
        session = open_session(data, folder, name="the model")
    except ModelError:
        return {}  # an operator or a version that this ONNX Runtime does not know
    return {output.name: _ort_type(output.type, output.shape) for output in session.get_outputs()}


def _ort_type(text: str, shape: list[int | str | None] | None) -> TensorType:
    if text.startswith("tensor(") and text.endswith(")"):
        name = text[7:-1]
        return TensorType(_ORT_DTYPES.get(name, name), tuple(_dim(d) for d in shape or ()))
    return TensorType(text.split("(", maxsplit=1)[0].replace("seq", "sequence"), None)
