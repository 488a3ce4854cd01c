"""Samples that are arrays already: in memory, in a ``.npy`` or in a ``.npz`` file."""

from __future__ import annotations

import ast
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import to_path
from trtcal_widgets.common.damage import check_expansion, damage_as
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import common_length, describe_array, input_name, ready, to_array
from trtcal_widgets.data.samples import SampleAxis, by_sample, checked_axis, count_samples
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

_NPY_MAGIC = b"\x93NUMPY"
_UNCOMPRESSED = "An honest one can be written uncompressed (np.savez): it is then read from the disk, piece by piece"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""A zip member's local header: signature, then the lengths of the name and of the extra field."""


def open_npy(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, memory-mapped.

    Raises DataError if the file is missing, damaged, or holds pickled objects.
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

    Raises DataError if the file is missing, damaged, no ``.npz`` archive, or holds pickled objects.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
        return {m.filename[: -len(".npy")]: _member(path, archive, m) for m in members}


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    check_expansion(path, member.file_size, f"array {member.filename!r}", DataError, advice=_UNCOMPRESSED)
    with archive.open(member) as stream:
        if member.compress_type == zipfile.ZIP_STORED:
            shape, fortran, dtype = _npy_header(stream)
            if not dtype.hasobject and 0 not in shape and shape:
                begins = _data_offset(path, member) + stream.tell()
                return np.memmap(path, dtype, "r", begins, shape, "F" if fortran else "C")
            stream.seek(0)
        shape, _, dtype = _npy_header(stream)
        if dtype.hasobject:
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)  # which says why not
        promised = stream.tell() + math.prod(shape) * dtype.itemsize
        if promised != member.file_size:
            raise DataError(
                f"{path}: the header of {member.filename!r} promises {promised:,} bytes, and the archive says that it "
                f"has {member.file_size:,}: it is damaged; write it again"
            )
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
    except DataError:
        raise
    except Exception as error:
        if "pickle" in str(error).lower() or "python objects" in str(error).lower():
            raise DataError(
                f"{path} holds pickled Python objects, which are not loaded because a pickle can run any code; "
                "save plain arrays of numbers instead (in Python: without dtype=object)"
            ) from error
        with damage_as(DataError, f"{path} is damaged or no NumPy file", "Write it again"):
            raise


_UNNAMED_IN_NPZ = "arr_0"
"""What ``numpy.savez(path, array)`` calls the array that it was given without a name."""


def open_arrays(path: Path, unnamed: str = ONLY_INPUT) -> dict[str, NDArray[Any]]:
    """Return the arrays of a ``.npy`` or ``.npz`` file by input name; one without a name feeds ``unnamed``.

    Raises DataError as :func:`open_npy` and :func:`open_npz` do, and if the file is named otherwise or holds no arrays.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz"):
        raise DataError(f"{path} is neither .npy nor .npz; load it yourself and give the array")
    arrays = {_UNNAMED_IN_NPZ: open_npy(path)} if suffix == ".npy" else open_npz(path)
    if not arrays:
        raise DataError(f"{path} holds no arrays; give one array per model input")
    return {unnamed: arrays[_UNNAMED_IN_NPZ]} if list(arrays) == [_UNNAMED_IN_NPZ] else arrays


class ArrayBatches:
    """Samples along the first axis of one array, or of one array per model input.

    The arrays are fed as they are: nothing is scaled or converted, NaN and infinity are let through (they are
    counted later).

    Parameters
    ----------
    arrays
        An array (or anything with ``__array__``), a mapping of input name to array, or the path of a ``.npy`` or
        ``.npz`` file. ``.npy`` files and the uncompressed members of ``.npz`` files are memory-mapped, so they
        may be larger than memory. Pickled objects are refused.
    name
        The model input to feed, for a single array; None for a model with one input. The arrays of a mapping or
        a ``.npz`` file carry their names.
    sample_axis
        Where the samples are: an axis of all arrays (1 for time-major sequences), a dict of input name -> axis, None
        for an input that has none (the states of an LSTM, a sampling rate); or None: the arrays are one feed, and
        one sample.

    Raises
    ------
    DataError
        If there are no arrays or samples, an array holds no numbers, the first axes differ, or the file cannot
        be read.
    UsageError
        If ``name`` is given where the arrays have names of their own.

    Examples
    --------
    >>> import numpy as np
    >>> source = ArrayBatches(np.zeros((500, 3, 224, 224), np.float32))
    >>> source.describe()
    'ArrayBatches, 500 samples: float32[500,3,224,224]'
    """

    prebatched = False

    def __init__(
        self,
        arrays: ArrayLike | Mapping[str, ArrayLike] | str | os.PathLike[str],
        *,
        name: str | None = None,
        sample_axis: SampleAxis = 0,
    ) -> None:
        self.sample_axis = checked_axis(sample_axis)
        least = 1 if sample_axis == 0 else 0
        path = to_path(arrays, "an .npy or .npz file", DataError) if isinstance(arrays, (str, os.PathLike)) else None
        self.reads = () if path is None else (path,)
        self._where = "ArrayBatches" if path is None else f"ArrayBatches {path.name}"
        self._mapped = path is not None  # read from disk here, not under the model's feet
        label = "the data" if path is None else str(path)
        self._arrays = _read(path, least) if path is not None else _collect(arrays, least)
        if not self._arrays:
            raise DataError(f"{label} holds no arrays; give one array per model input")
        if name is not None:
            self._arrays = {input_name(name): _single(self._arrays, name, label)}
        if isinstance(self.sample_axis, Mapping) and (strange := set(self.sample_axis) - set(self._arrays)):
            raise UsageError(
                f"sample_axis names {', '.join(map(repr, sorted(strange)))}, and {label} has "
                f"{', '.join(map(repr, self._arrays))}"
            )
        if self.sample_axis == 0:
            self._n = common_length(self._arrays, label)
            self._axes = dict.fromkeys(self._arrays, 0)
        else:
            self._n, self._axes = count_samples(self._arrays, self.sample_axis, label, None)
        if self._n == 0:
            shapes = ", ".join(map(describe_array, self._arrays.values()))
            raise DataError(f"{label} holds no samples: the first axis of {shapes} is empty")

    def describe(self) -> str:
        """Return one line: file, count, and every input's dtype and shape."""
        inputs = ", ".join(
            f"{name}: {describe_array(array)}" if name else describe_array(array)
            for name, array in self._arrays.items()
        )
        return f"{self._where}, {count_of(self._n, 'sample')}: {inputs}"

    def n_items(self) -> int:
        """Return the number of samples."""
        return self._n

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples ``start`` to ``stop`` (exclusive) of every input; contiguous and read-only."""
        if start >= self._n:
            return {}
        return {name: ready(self._part(name, start, stop), copy=self._mapped) for name in self._arrays}

    def _part(self, name: str, start: int, stop: int) -> NDArray[Any]:
        array = self._arrays[name]
        if name not in self._axes:
            return array
        return array[(slice(None),) * (self._axes[name] % array.ndim) + (slice(start, stop),)]

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return pictures of the first input that looks like images (1 or 3 channels); empty if none does."""
        return fed_thumbnails(by_sample(self.load(start, stop), self._axes))


def _read(path: Path, least: int) -> dict[str, NDArray[Any]]:
    arrays = open_arrays(path)
    named = {name: f"{path}, array {name!r}" if name else str(path) for name in arrays}
    return {name: to_array(array, named[name], least_axes=least) for name, array in arrays.items()}


def _collect(arrays: Any, least: int) -> dict[str, NDArray[Any]]:
    if not isinstance(arrays, Mapping):
        return {ONLY_INPUT: to_array(arrays, "the array", least_axes=least)}
    for key in arrays:
        if not isinstance(key, str):
            raise UsageError(f"the keys of a mapping must be names of model inputs, not {key!r}")
    return {key: to_array(value, f"input {key!r}", least_axes=least) for key, value in arrays.items()}


def _single(arrays: dict[str, NDArray[Any]], name: str, label: str) -> NDArray[Any]:
    if list(arrays) != [ONLY_INPUT]:
        raise UsageError(
            f"name={name!r} is for one array without a name, but {label} has names of its own: "
            f"{', '.join(map(repr, arrays))}; leave name= out or give the array that you mean"
        )
    return arrays[ONLY_INPUT]
