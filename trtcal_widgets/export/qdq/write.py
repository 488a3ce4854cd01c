"""Writing a model file with the external data that it refers to, without loading them.

The weights of a model may be larger than memory and than protobuf's 2 GB: they are copied piece by piece into one
file beside the new model, and both files take their names only when they are complete.
"""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.errors import ExportError
from trtcal_widgets.model.files import iter_tensors
from trtcal_widgets.model.tap import MAX_PROTO_BYTES

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

__all__ = ["data_file_name", "write_model"]

_CHUNK = 1 << 22
_ALIGNMENT = 4096
"""Tensors begin at multiples of a memory page, so that runtimes can map them."""

_STAYS_INLINE = 1024
"""Bytes: smaller tensors stay in the model file, where shape inference finds them."""


def data_file_name(path: Path) -> str:
    """Name of the file that holds a model's external data."""
    return f"{path.name}.data"


def write_model(proto: ModelProto, folder: Path, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write a model, and its external data beside it.

    Parameters
    ----------
    proto
        The model; it is not changed.
    folder
        Where the external data that it refers to lie.
    path
        The file to write. External data go to ``<name>.data`` in the same folder.

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

    path = Path(path)
    external = [t for t in iter_tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL]
    if not external and proto.ByteSize() <= MAX_PROTO_BYTES:
        write_atomic(path, proto.SerializeToString())
        return (path,)
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    target = path.parent / data_file_name(path)
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        _write_data(copy, folder, temporary, target.name)
        data = copy.SerializeToString()
        temporary.replace(target)
    except OSError as error:
        raise ExportError(
            f"{target}: the weights cannot be written: {error.strerror or error}. Free some space or choose another "
            "folder"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    write_atomic(path, data)
    return (path, target)


def _write_data(copy: ModelProto, folder: Path, temporary: Path, name: str) -> None:
    import onnx

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
                _copy(source, offset, length, out)
                _refer(tensor, name, begin, length)
        for tensor in copy.graph.initializer if copy.ByteSize() > MAX_PROTO_BYTES else ():
            if len(tensor.raw_data) > _STAYS_INLINE:
                begin, length = _align(out), out.write(tensor.raw_data)
                tensor.ClearField("raw_data")
                _refer(tensor, name, begin, length)
        out.truncate(out.tell())
        out.flush()
        os.fsync(out.fileno())


def _align(out: IO[bytes]) -> int:
    return out.seek(-(-out.tell() // _ALIGNMENT) * _ALIGNMENT)


def _copy(source: IO[bytes], offset: int, length: int, out: IO[bytes]) -> None:
    """Copy a range of bytes; runs of zeros become holes of the file."""
    source.seek(offset)
    while length:
        chunk = source.read(min(length, _CHUNK))
        if not chunk:
            raise ExportError(f"{source.name} ended {length:,} bytes too early while it was copied")
        if chunk.count(0) == len(chunk):
            out.seek(len(chunk), os.SEEK_CUR)
        else:
            out.write(chunk)
        length -= len(chunk)


def _refer(tensor: TensorProto, name: str, offset: int, length: int) -> None:
    import onnx

    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", name), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
