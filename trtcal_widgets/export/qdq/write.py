"""Writing a model file with the external data that it refers to, without loading them.

The weights of a model may be larger than memory and than protobuf's 2 GB: they are copied piece by piece into one
file beside the new model. That file's name holds a hash of its content, so that no other model's weights can have it;
it is complete before the model that refers to it takes its place, in one step. Whatever happens in between, every
model in the folder finds its own weights.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from trtcal_widgets.common.arguments import to_path
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.version import __version__
from trtcal_widgets.errors import ExportError, ModelError
from trtcal_widgets.model.files import iter_tensors, read_proto
from trtcal_widgets.model.tap import MAX_PROTO_BYTES
from trtcal_widgets.runners.inputs import Inputs

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_CHUNK = 1 << 22
_ALIGNMENT = 4096
"""Tensors begin at multiples of a memory page, so that runtimes can map them."""

_NONE = Inputs()
_STAYS_INLINE = 1024
"""Bytes: smaller tensors stay in the model file, where shape inference finds them."""


_OURS, _QDQ = "trtcal_widgets", "Q/DQ"


def is_our_model(proto: ModelProto) -> bool:
    """Whether this package wrote a Q/DQ model: it says so as the producer."""
    return str(proto.producer_name) == _OURS and _QDQ in str(proto.producer_version)


def signed(proto: ModelProto) -> ModelProto:
    """Name this package as the producer of a model, beside the one before."""
    if not is_our_model(proto):
        before = " ".join(text for text in (proto.producer_name, proto.producer_version) if text)
        proto.producer_name = _OURS
        proto.producer_version = f"{__version__} {_QDQ}" + (f", from {before}" if before else "")
    return proto


def write_model(
    proto: ModelProto, folder: Path, path: str | os.PathLike[str], inputs: Inputs = _NONE
) -> tuple[Path, ...]:
    """Write a model, and its external data beside it.

    Parameters
    ----------
    proto
        The model; it is not changed.
    folder
        Where the external data that it refers to lie.
    path
        The file to write. External data go to ``<name>.<hash>.data`` in the same folder; the data file of an older
        export to the same path is removed where no model beside it refers to it.
    inputs
        Files that are read: none of them is replaced or removed.

    Returns
    -------
    tuple of Path
        The files that were written.

    Raises
    ------
    ExportError
        If a file cannot be written; nothing is left half-written.
    """
    import onnx

    path = to_path(path, "the file to write", ExportError)
    inputs.refuse(path)
    external = [t for t in iter_tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL]
    if not external and proto.ByteSize() <= MAX_PROTO_BYTES:
        write_atomic(path, proto.SerializeToString())
        return (path,)
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    real = Path(os.path.realpath(path))
    old = {name for name in _own_data_files(real) if inputs.what(real.with_name(name)) is None}
    temporary = real.with_name(f".{real.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        target = _take_name(temporary, real, _write_data(copy, folder, temporary))
    except OSError as error:
        raise ExportError(
            f"{path}: the weights cannot be written: {error.strerror or error}. Free some space or choose another "
            "folder"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    for tensor in iter_tensors(copy.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.external_data[0].value = target.name
    try:
        write_atomic(path, copy.SerializeToString())
    except ExportError:
        _remove_unused(real, {target.name} - old)
        raise
    _remove_unused(real, old - {target.name})
    return (path, target)


def _take_name(temporary: Path, model: Path, digest: str) -> Path:
    """Give the finished data file a name that no other content has."""
    target = model.with_name(f"{model.name}.{digest}.data")
    with suppress(FileNotFoundError):
        if target.stat().st_size != temporary.stat().st_size:  # not ours, whatever its name says
            target = model.with_name(f"{model.name}.{secrets.token_hex(8)}.data")
    temporary.replace(target)
    return target


def _own_data_files(model: Path) -> set[str]:
    """Return the data files that the model at this path refers to and that an export to it has made."""
    import onnx

    try:
        proto, _ = read_proto(model)
    except ModelError:
        return set()
    ours = re.compile(re.escape(model.name) + r"\.[0-9a-f]{16}\.data")
    tensors = (t for t in iter_tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL)
    locations = {entry.value for t in tensors for entry in t.external_data if entry.key == "location"}
    return {name for name in locations if ours.fullmatch(name)}


def _remove_unused(model: Path, names: set[str]) -> None:
    """Remove data files that no file beside the model refers to; one that cannot be read may refer to all."""
    for name in names:
        others = (p for p in model.parent.iterdir() if p.name not in names and p.is_file() and _may_be_a_model(p))
        with suppress(OSError):
            if not any(_mentions(other, name.encode()) for other in others):
                (model.parent / name).unlink()


def _may_be_a_model(path: Path) -> bool:
    """Whether a file begins like an ONNX model, under whatever name; weights and pictures do not."""
    with path.open("rb") as file:
        return path.suffix == ".onnx" or file.read(1) == b"\x08"


def _mentions(path: Path, name: bytes) -> bool:
    with path.open("rb") as file:
        rest = b""
        while chunk := file.read(_CHUNK):
            if name in rest + chunk:
                return True
            rest = chunk[-len(name) :]
    return False


def _write_data(copy: ModelProto, folder: Path, temporary: Path) -> str:
    """Write the data file, let the tensors refer to it by place, and return a hash of its content."""
    import onnx

    digest = hashlib.blake2b(digest_size=8)

    with ExitStack() as stack:
        out = stack.enter_context(temporary.open("xb"))
        sources: dict[str, IO[bytes]] = {}
        for tensor in iter_tensors(copy.graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entries = {entry.key: entry.value for entry in tensor.external_data}
                location = entries["location"]
                if location not in sources:
                    sources[location] = stack.enter_context((folder / location).open("rb"))
                source = sources[location]
                offset = int(entries.get("offset") or 0)
                length = int(entries.get("length") or 0) or os.fstat(source.fileno()).st_size - offset
                begin = _align(out)
                _copy(source, offset, length, out, digest)
                _refer(tensor, begin, length)
        for tensor in copy.graph.initializer if copy.ByteSize() > MAX_PROTO_BYTES else ():
            if len(tensor.raw_data) > _STAYS_INLINE:
                begin, length = _align(out), out.write(tensor.raw_data)
                digest.update(b"%d " % begin + tensor.raw_data)
                tensor.ClearField("raw_data")
                _refer(tensor, begin, length)
        out.truncate(out.tell())
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _align(out: IO[bytes]) -> int:
    return out.seek(-(-out.tell() // _ALIGNMENT) * _ALIGNMENT)


def _copy(source: IO[bytes], offset: int, length: int, out: IO[bytes], digest: hashlib.blake2b) -> None:
    """Copy a range of bytes; runs of zeros become holes of the file, which the digest knows by what is around them."""
    source.seek(offset)
    while length:
        chunk = source.read(min(length, _CHUNK))
        if not chunk:
            raise ExportError(f"{source.name} ended {length:,} bytes too early while it was copied")
        if chunk.count(0) == len(chunk):
            out.seek(len(chunk), os.SEEK_CUR)
        else:
            digest.update(b"%d " % out.tell() + chunk)
            out.write(chunk)
        length -= len(chunk)


def _refer(tensor: TensorProto, offset: int, length: int) -> None:
    """Let a tensor lie at a place of the data file, whose name comes last."""
    import onnx

    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", ""), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
