"""Reading an ONNX file: its bytes, its hash, and what is wrong with it where something is."""

from __future__ import annotations

import hashlib
import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.errors import ModelError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_PACKED = re.compile(r"u?(?:int|float)([24])(?:_|$)")
"""Element types of two and four bits, several of which share a byte."""

_OTHER_FORMATS = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
    (0, b"PK\x03\x04", "a zip archive (a PyTorch checkpoint?); export the model to ONNX first"),
    (0, b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (0, b"\x89HDF", "an HDF5 file (a Keras model?); export the model to ONNX first"),
    (4, b"ORTM", "in ONNX Runtime's own .ort format; use the .onnx file that it was made from"),
    (4, b"TFL3", "a TensorFlow Lite model; export the model to ONNX first"),
    (0, b"ptrt", "a TensorRT engine; calibration needs the ONNX file that it was built from"),
    (0, b"ftrt", "a TensorRT engine; calibration needs the ONNX file that it was built from"),
    (0, b"TRT-", "a TensorRT calibration cache, not a model; open it with CacheViewer or `trtcal show`"),
    (0, b"<", "text that looks like a web page or XML; was the download an error page?"),
    (0, b"{", "JSON text, not a binary ONNX model"),
)


def read_proto(path: str | os.PathLike[str]) -> tuple[ModelProto, str]:
    """Parse a model file without its external data; the second is the hexadecimal SHA-256 of its bytes.

    Raises ModelError if the file is missing, unreadable, not ONNX, cut short, or has no nodes.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    path = Path(path)
    data = _read_bytes(path)
    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, RuntimeError) as error:  # protobuf's C++ backend raises RuntimeError on bad UTF-8
        raise ModelError(f"{path} {_explain_damage(data)}") from error
    if proto.ir_version <= 0 or not proto.HasField("graph"):
        raise ModelError(f"{path} {_explain_damage(data)}")
    if not proto.graph.node:
        raise ModelError(f"{path} is an ONNX file with an empty graph: there are no nodes to calibrate")
    return proto, hashlib.sha256(data).hexdigest()


def _read_bytes(path: Path) -> bytes:
    if is_folder(path, ModelError):
        found = sorted(p.name for p in path.glob("*.onnx"))[:5]
        hint = f"; it holds {', '.join(found)}" if found else ""
        raise ModelError(f"{path} is a folder; give the .onnx file itself{hint}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"there is no file {path} (looked in {path.absolute().parent})") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise ModelError(f"{path} is empty (0 bytes); was the download or the export interrupted?")
    return data


def _explain_damage(data: bytes) -> str:
    """Say why bytes are no model: another format, a file cut short, or nothing that is known."""
    for offset, magic, what in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return f"is not an ONNX model: it is {what}"
    missing = _missing_bytes(data)
    if missing:
        return (
            f"is cut short: at least {missing:,} bytes are missing after its {len(data):,}; download or export it again"
        )
    return "is not an ONNX model: its bytes are not a serialised ModelProto; export the model to ONNX again"


def _missing_bytes(data: bytes) -> int:
    """Return how many bytes the top-level fields of a ModelProto promise beyond the end, else 0."""
    position, fields = 0, 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if position < 0 or not 1 <= number <= 25 or (fields == 0 and data[0] != 0x08):
            return 0  # every known writer begins with field 1, ir_version
        fields += 1
        if wire_type == 0:
            _, position = _varint(data, position)
            if position < 0:
                return 1
        elif wire_type == 2:
            length, start = _varint(data, position)
            position = start + length
            if start < 0:
                return 1
        else:
            return 0
    return position - len(data)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a protobuf integer and the position after it, -1 where the data ends inside it."""
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    return value, -1


def iter_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield every tensor stored in a graph: initialisers and attributes, subgraphs included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    for subgraph in subgraphs(node):
        yield from iter_tensors(subgraph)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that a node holds: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def external_locations(path: Path) -> Iterator[Path]:
    """Yield the files in which a model's tensors are stored, once each; none where it is no model."""
    import onnx

    with path.open("rb") as file:
        if path.suffix != ".onnx" and file.read(1) != b"\x08":  # every known writer begins with ir_version
            return
    try:
        proto, _ = read_proto(path)
    except ModelError:
        return
    stored = (t for t in iter_tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL)
    names = dict.fromkeys(entry.value for t in stored for entry in t.external_data if entry.key == "location")
    yield from (path.parent / name for name in names)


def check_external_data(proto: ModelProto, path: Path) -> int:
    """Check that every external tensor's bytes are there.

    ``proto``: the model, read without its external data. ``path``: where it was read from: external data lie relative
    to its folder. Returns how many bytes of tensor data lie outside the model file. Raises ModelError if a data file
    is missing, too short, or named outside the model's folder.
    """
    import onnx

    sizes: dict[str, int] = {}
    total = 0
    for tensor in iter_tensors(proto.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in sizes:
            sizes[location] = _external_file_size(path, location, tensor.name)
        offset, length = _extent(tensor, entries, path)
        total += length
        if offset + length > sizes[location]:
            raise ModelError(
                f"{path}: the external data file {location!r} is too short: tensor {tensor.name!r} needs "
                f"{offset + length:,} bytes of it and it has {sizes[location]:,}; copy it again from where "
                "the model is from"
            )
    return total


def _extent(tensor: TensorProto, entries: dict[str, str], path: Path) -> tuple[int, int]:
    """Return where in its data file a tensor begins, and how many bytes it takes."""
    needed = _stored_bytes(tensor)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or needed)
    except ValueError:
        offset = length = -1
    if offset < 0 or length < needed:
        raise ModelError(
            f"{path}: tensor {tensor.name!r} of shape {tuple(tensor.dims)} takes {needed:,} bytes, and the model says "
            f"offset {entries.get('offset')!r}, length {entries.get('length')!r} for its external data; export "
            "it again"
        )
    return offset, length


def _stored_bytes(tensor: TensorProto) -> int:
    from onnx import helper

    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, ValueError, TypeError):
        return 0  # a type newer than this onnx: what it takes is not known
    packed = _PACKED.match(str(dtype.name))
    bits = int(packed[1]) if packed else 8 * int(dtype.itemsize)
    count: int = prod(tensor.dims)
    return -(-count * bits // 8)


def _external_file_size(path: Path, location: str, tensor: str) -> int:
    """Return the size of a data file that onnx agrees to open: a regular file inside the model's folder."""
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor

    file = path.parent / location
    inside = location and not Path(location).is_absolute() and ".." not in Path(location).parts
    if inside and is_folder(file, ModelError) is None:
        raise ModelError(
            f"{path}: the external data file {location!r} is missing (tensor {tensor!r} is stored in it); "
            f"put it beside the model, at {file}"
        )
    if file.is_symlink():  # onnx before 1.21 would follow it out of the folder
        raise ModelError(
            f"{path}: the external data file {location!r} is a link (to {file.resolve()}), which ONNX's readers "
            "refuse; copy the model's folder with the links followed (cp -rL)"
        )
    # Where a location may point is onnx's rule, so ask it by reading one byte.
    probe = onnx.TensorProto(name=tensor, data_type=onnx.TensorProto.UINT8, dims=[1])
    probe.data_location = onnx.TensorProto.EXTERNAL
    probe.external_data.add(key="location", value=location)
    probe.external_data.add(key="length", value="1")
    try:
        load_external_data_for_tensor(probe, str(path.parent))
        return file.stat().st_size
    except (onnx.checker.ValidationError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(
            f"{path}: onnx refuses to open {location!r}, where tensor {tensor!r} is stored: {error}; "
            "external data must be a regular file in the model's own folder"
        ) from error
