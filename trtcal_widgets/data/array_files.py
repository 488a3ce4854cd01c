"""A folder of ``.npy`` files, one preprocessed sample in each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.arrays import open_npy
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import describe_array, input_name, ready
from trtcal_widgets.data.files import each_file, find_files, is_image
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


class ArrayFolder:
    """Samples from a folder of ``.npy`` files, in natural order (``s2`` before ``s10``), folders inside included.

    Parameters
    ----------
    folder
        Holds the files. The values are fed as they are.
    name
        The model input to feed; None for a model with one input.
    batch_axis
        Whether each file's first axis, which must be 1 long, is that of the batch already.

    Raises
    ------
    DataError
        If there is no such file, or the first one cannot be read.
    """

    prebatched = False
    readable_anywhere = True

    def __init__(self, folder: str | os.PathLike[str], *, name: str | None = None, batch_axis: bool = False) -> None:
        self._folder = Path(folder)
        self._name = ONLY_INPUT if name is None else input_name(name)
        self._batch_axis = batch_axis
        self._paths = find_files(self._folder, "*.npy", recursive=True)
        self._first = self._sample(self._paths[0], None)

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self._folder

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files in order."""
        return tuple(self._paths)

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files that are read."""
        return self.paths

    def describe(self) -> str:
        """Return one line: folder, number of files, what each holds."""
        return f"ArrayFolder {self._folder}, {count_of(len(self._paths), 'sample')} of {describe_array(self._first)}"

    def n_items(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples ``start`` to ``stop`` (exclusive) stacked along a first axis.

        Raises DataError if a file cannot be read, or holds another shape or dtype than the first one.
        """
        paths = self._paths[start:stop]
        if not paths:
            return {}
        return {self._name: ready(np.stack([self._sample(path, self._first) for path in paths]))}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return the samples as uint8 [height, width, 3] where they are images."""
        return fed_thumbnails(self.load(start, stop))

    def _sample(self, path: Path, like: NDArray[Any] | None) -> NDArray[Any]:
        array = open_npy(path)
        if self._batch_axis:
            if not array.ndim or len(array) != 1:
                raise DataError(f"{path} holds {describe_array(array)}; one sample, with a first axis of 1, is needed")
            array = array[0]
        if like is not None and (array.shape, array.dtype) != (like.shape, like.dtype):
            raise DataError(
                f"{path} holds {describe_array(array)}, the files before it {describe_array(like)}: samples of one "
                "batch must be alike"
            )
        return array


def holds_samples(folder: Path) -> bool:
    """Whether a folder has ``.npy`` files and no images; looks no further than the first image."""
    if not is_folder(folder, DataError):
        return False
    found = False
    for path in each_file(folder):
        if is_image(path):
            return False
        found = found or path.suffix.lower() == ".npy"
    return found


def has_batch_axis(folder: Path, rank: int) -> bool:
    """Whether the first file has as many axes as a model's input, the first of them 1 long."""
    array = open_npy(find_files(folder, "*.npy", recursive=True)[0])
    return array.ndim == rank and len(array) == 1
