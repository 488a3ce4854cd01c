"""A folder of ``.npy`` or ``.npz`` files, one preprocessed sample in each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.arrays import open_arrays
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import describe_array, input_name, ready
from trtcal_widgets.data.files import each_file, find_files, for_other_processes, is_image
from trtcal_widgets.data.samples import by_sample
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray


_PATTERN = "*.np[yz]"


class ArrayFolder:
    """Samples from a folder of ``.npy`` or ``.npz`` files, in natural order (``s2`` before ``s10``).

    Folders inside are included. A ``.npz`` file holds an array for each model input, under its name.

    Parameters
    ----------
    folder
        Holds the files. The values are fed as they are.
    name
        The model input to feed, for ``.npy`` files; None for a model with one input.
    batch_axis
        Whether each array's first axis, which must be 1 long, is that of the batch already.
    sample_axis
        0: samples are stacked along a new first axis. None, for a model without an axis for samples: each file is a
        whole feed, and a batch of its own.

    Raises
    ------
    DataError
        If there is no such file, or the first one cannot be read.
    UsageError
        If ``sample_axis`` is something else, or ``name`` is given and the files have names of their own.
    """

    prebatched = False
    readable_anywhere = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        batch_axis: bool = False,
        sample_axis: Literal[0] | None = 0,
    ) -> None:
        if sample_axis is not None and (isinstance(sample_axis, bool) or sample_axis != 0):
            raise UsageError(f"sample_axis={sample_axis!r}: a folder has one sample a file: 0, or None for whole feeds")
        self._folder = Path(folder)
        self._name = ONLY_INPUT if name is None else input_name(name)
        self._batch_axis = batch_axis and sample_axis is not None
        self.sample_axis = sample_axis
        self._paths = find_files(self._folder, _PATTERN, recursive=True)
        self._first = self._sample(self._paths[0], None)
        if name is not None and list(self._first) != [self._name]:
            raise UsageError(
                f"name={name!r} is for .npy files, but those of {self._folder} have names of their own: "
                f"{', '.join(map(repr, self._first))}; leave name= out"
            )

    def __getstate__(self) -> Any:
        """Return what another process reads the files with."""
        return for_other_processes(self.__dict__)

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
        shapes = ", ".join(
            f"{name}: {describe_array(array)}" if name != self._name else describe_array(array)
            for name, array in self._first.items()
        )
        return f"ArrayFolder {self._folder}, {count_of(len(self._paths), 'sample')} of {shapes}"

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
        found = [self._sample(path, self._first) for path in paths]
        if self.sample_axis is None:
            if len(found) > 1:
                raise DataError(f"each file of {self._folder} is a whole feed (sample_axis=None): use batch_size=1")
            return {name: ready(array, copy=True) for name, array in found[0].items()}
        return {name: ready(np.stack([one[name] for one in found])) for name in self._first}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return the samples as uint8 [height, width, 3] where they are images."""
        feeds = self.load(start, stop)
        return fed_thumbnails(by_sample(feeds, {}) if self.sample_axis is None else feeds)

    def fit(self, ranks: Mapping[str, int | None]) -> None:
        """Take the arrays' first axis for that of the batch where it is 1 long and the model has as many axes as they.

        ``ranks``: axes of each input, None where the model leaves it open; under ``""``: of the one for an array
        without a name.
        """
        first = self._first
        fits = all(array.ndim and array.ndim == ranks.get(name) and len(array) == 1 for name, array in first.items())
        if fits and not self._batch_axis and self.sample_axis is not None:
            self._batch_axis = True
            self._first = {name: _without_batch(array, self._paths[0]) for name, array in first.items()}

    def _sample(self, path: Path, like: Mapping[str, NDArray[Any]] | None) -> dict[str, NDArray[Any]]:
        arrays = open_arrays(path, self._name)
        if self._batch_axis:
            arrays = {name: _without_batch(array, path) for name, array in arrays.items()}
        if like is not None and _shapes(arrays) != _shapes(like):
            raise DataError(
                f"{path} holds {_in_words(arrays)}, the files before it {_in_words(like)}: samples of one "
                "batch must be alike"
            )
        return arrays


def _without_batch(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if not array.ndim or len(array) != 1:
        raise DataError(f"{path} holds {describe_array(array)}; one sample, with a first axis of 1, is needed")
    return cast("NDArray[Any]", array[0])


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def _in_words(arrays: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} {describe_array(array)}".strip() for name, array in sorted(arrays.items()))


def holds_samples(folder: Path) -> bool:
    """Whether a folder has ``.npy`` or ``.npz`` files and no images; looks no further than the first image."""
    if not is_folder(folder, DataError):
        return False
    found = False
    for path in each_file(folder):
        if is_image(path):
            return False
        found = found or path.suffix.lower() in (".npy", ".npz")
    return found
