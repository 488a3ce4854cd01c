"""Samples that are arrays already: in memory, in a ``.npy`` or in a ``.npz`` file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.arguments import to_path
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import common_length, describe_array, input_name, ready, to_array
from trtcal_widgets.data.numpy_files import open_npy, open_npz
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayBatches"]

_UNNAMED_IN_NPZ = "arr_0"
"""What ``numpy.savez(path, array)`` calls the array that it was given without a name."""


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
        self, arrays: ArrayLike | Mapping[str, ArrayLike] | str | os.PathLike[str], *, name: str | None = None
    ) -> None:
        path = to_path(arrays, "an .npy or .npz file", DataError) if isinstance(arrays, (str, os.PathLike)) else None
        self._where = "ArrayBatches" if path is None else f"ArrayBatches {path.name}"
        self._mapped = path is not None  # read from disk here, not under the model's feet
        label = "the data" if path is None else str(path)
        self._arrays = _read(path) if path is not None else _collect(arrays)
        if not self._arrays:
            raise DataError(f"{label} holds no arrays; give one array per model input")
        if name is not None:
            self._arrays = {input_name(name): _single(self._arrays, name, label)}
        self._n = common_length(self._arrays, label)
        if self._n == 0:
            shapes = ", ".join(map(describe_array, self._arrays.values()))
            raise DataError(f"{label} holds no samples: the first axis of {shapes} is empty")

    def describe(self) -> str:
        """Return one line: file, count, and every input's dtype and shape."""
        inputs = ", ".join(
            f"{name}: {describe_array(array)}" if name else describe_array(array)
            for name, array in self._arrays.items()
        )
        return f"{self._where}, {self._n} samples: {inputs}"

    def n_items(self) -> int:
        """Return the number of samples."""
        return self._n

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples ``start`` to ``stop`` (exclusive) of every input; contiguous and read-only."""
        if start >= self._n:
            return {}
        return {name: ready(array[start:stop], copy=self._mapped) for name, array in self._arrays.items()}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return pictures of the first input that looks like images (1 or 3 channels); empty if none does."""
        return fed_thumbnails(self.load(start, stop))


def _read(path: Path) -> dict[str, NDArray[Any]]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        arrays = {ONLY_INPUT: open_npy(path)}
    elif suffix == ".npz":
        arrays = open_npz(path)
        if list(arrays) == [_UNNAMED_IN_NPZ]:
            arrays = {ONLY_INPUT: arrays[_UNNAMED_IN_NPZ]}
    else:
        raise DataError(f"{path} is neither .npy nor .npz; load it yourself and give the array")
    return {name: to_array(array, f"{path}{_named(name)}") for name, array in arrays.items()}


def _collect(arrays: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(arrays, Mapping):
        return {ONLY_INPUT: to_array(arrays, "the array")}
    for key in arrays:
        if not isinstance(key, str):
            raise UsageError(f"the keys of a mapping must be names of model inputs, not {key!r}")
    return {key: to_array(value, f"input {key!r}") for key, value in arrays.items()}


def _single(arrays: dict[str, NDArray[Any]], name: str, label: str) -> NDArray[Any]:
    if list(arrays) != [ONLY_INPUT]:
        raise UsageError(
            f"name={name!r} is for one array without a name, but {label} has names of its own: "
            f"{', '.join(map(repr, arrays))}; leave name= out or give the array that you mean"
        )
    return arrays[ONLY_INPUT]


def _named(name: str) -> str:
    return f", array {name!r}" if name else ""
