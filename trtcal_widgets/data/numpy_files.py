"""``.npy`` and ``.npz`` files as arrays that stay on disk until they are used, never with pickles."""

from __future__ import annotations

import ast
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["open_npy", "open_npz"]

_NPY_MAGIC = b"\x93NUMPY"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""A zip member's local header: signature, then the lengths of the name and of the extra field."""

_DAMAGED = (
    ValueError, EOFError, SyntaxError, KeyError, struct.error, zlib.error, zipfile.BadZipFile,
    RuntimeError, NotImplementedError,  # encrypted, or a compression that zipfile does not know
)  # fmt: skip


def open_npy(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, memory-mapped.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds pickled objects.
    """
    with _explained(path):
        with path.open("rb") as file:
            magic = file.read(len(_NPY_MAGIC))
        if not magic:
            raise DataError(f"{path} is empty (0 bytes); write it again")
        if magic != _NPY_MAGIC:  # np.load would call everything else a pickle
            hint = " but a .npz archive: rename it" if magic.startswith(b"PK") else ""
            raise DataError(f"{path} is no .npy file{hint}; it begins with {magic.hex(' ')}")
        return np.lib.format.open_memmap(path, mode="r")


def open_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a ``.npz`` file by name; uncompressed ones are memory-mapped.

    Raises
    ------
    DataError
        If the file is missing, damaged, no ``.npz`` archive, or holds pickled objects.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
        return {m.filename[: -len(".npy")]: _member(path, archive, m) for m in members}


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as stream:
        if member.compress_type == zipfile.ZIP_STORED:
            shape, fortran, dtype = _npy_header(stream)
            if not dtype.hasobject and 0 not in shape and shape:
                begins = _data_offset(path, member) + stream.tell()
                return np.memmap(path, dtype, "r", begins, shape, "F" if fortran else "C")
            stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read a ``.npy`` header of any version; the stream is left at the first number."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    (length,) = struct.unpack("<I", stream.read(4))
    header = ast.literal_eval(stream.read(length).decode("utf-8"))
    return tuple(header["shape"]), bool(header["fortran_order"]), np.dtype(header["descr"])


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Return where a stored member's bytes begin; only the local header knows, not the directory."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"member {member.filename!r} has no local header")
    return int(member.header_offset + _LOCAL_HEADER.size + name_length + extra_length)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}; check the path") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except _DAMAGED as error:
        if "pickle" in str(error).lower() or "python objects" in str(error).lower():
            raise DataError(
                f"{path} holds pickled Python objects, which are not loaded because a pickle can run any code; "
                "save plain arrays of numbers instead, without dtype=object"
            ) from error
        raise DataError(f"{path} is damaged or no NumPy file ({error}); write it again") from error
