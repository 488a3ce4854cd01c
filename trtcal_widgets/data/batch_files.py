"""The binary batch files of NVIDIA's TensorRT INT8 samples, named ``batch0`` or ``0.batch`` and counted on.

The format, as the README of sampleINT8 gives it: four 32-bit integers N, C, H, W, then N·C·H·W 32-bit floats,
preprocessed already; the sample's reader takes N more floats as labels where they follow. Little-endian, as all
machines that TensorRT runs on.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import ready
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

_NAME = re.compile(r"(?:batch_?(\d+)|(?:batch_?)?(\d+)\.batch)", re.IGNORECASE)
_HEADER_BYTES = 16


class _File(NamedTuple):
    """A batch file: its images [N,C,H,W], memory-mapped, and its labels [N] or []."""

    images: NDArray[np.float32]
    labels: NDArray[np.float32]


class BatchFiles:
    """Samples from a folder of TensorRT sample batch files, in the order of their numbers.

    The files' own batches do not matter: samples are strung together and cut anew, as the sample's batch stream
    does. The values are fed as they are.

    Parameters
    ----------
    folder
        Holds files named ``batch0``, ``batch1``, … or ``0.batch``, ``1.batch``, …, counted without a gap.
    name
        The model input to feed; None for a model with one input.

    Raises
    ------
    DataError
        If there are no such files, one is missing in between, truncated, or of another shape than the first.
    """

    prebatched = False

    def __init__(self, folder: str | os.PathLike[str], *, name: str | None = None) -> None:
        self._folder = Path(folder)
        self._name = ONLY_INPUT if name is None else name
        paths = find_batch_files(self._folder)
        if not paths:
            raise DataError(f"{self._folder} holds no batch files; they are named batch0, batch1, … or 0.batch, …")
        self._paths = tuple(paths)
        self._files = [_open(path) for path in paths]
        shape = self._files[0].images.shape[1:]
        for path, file in zip(paths, self._files, strict=True):
            if file.images.shape[1:] != shape:
                raise DataError(
                    f"{path} holds images {file.images.shape[1:]} (C, H, W) but {paths[0]} {shape}: they must be alike"
                )
        self._ends = np.cumsum([len(file.images) for file in self._files])

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files that are read."""
        return self._paths

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each sample, int64 [n], read-only; empty unless every file has labels."""
        complete = all(len(file.labels) for file in self._files)
        parts = [file.labels for file in self._files] if complete else [np.empty(0)]
        labels = np.concatenate(parts).astype(np.int64)
        labels.setflags(write=False)
        return labels

    def describe(self) -> str:
        """Return one line: folder, number of files and samples, shape."""
        shape = "x".join(map(str, self._files[0].images.shape[1:]))
        files, samples = count_of(len(self._files), "file"), count_of(self.n_items(), "sample")
        return f"BatchFiles {self._folder}, {files}, {samples} {shape} (CHW)"

    def n_items(self) -> int:
        """Return the number of samples in all files."""
        return int(self._ends[-1])

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples ``start`` to ``stop`` (exclusive), float32 [n,C,H,W]."""
        parts = []
        for file, end in zip(self._files, self._ends.tolist(), strict=True):
            first = end - len(file.images)
            parts.append(file.images[max(start - first, 0) : max(stop - first, 0)])
        samples = np.concatenate(parts)
        return {self._name: ready(samples)} if len(samples) else {}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return the samples as uint8 [height, width, 3] where they have 1 or 3 channels."""
        return fed_thumbnails(self.load(start, stop))


def find_batch_files(folder: Path) -> list[Path]:
    """Return the batch files of a folder by number; empty where there are none.

    Raises DataError if a number is missing between the first and the last, or occurs twice.
    """
    if not is_folder(folder, DataError):
        return []
    numbered = sorted(
        (int(match[1] or match[2]), path)
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name)) and path.is_file()
    )
    for (number, path), (following, next_path) in pairwise(numbered):
        if following != number + 1:
            raise DataError(
                f"{folder}: after {path.name} comes {next_path.name}; batch files are counted without a gap"
            )
    return [path for _, path in numbered]


def is_batch_file(path: PurePath) -> bool:
    """Whether a file has the name of a batch file."""
    return _NAME.fullmatch(path.name) is not None


def _open(path: Path) -> _File:
    try:
        size = path.stat().st_size
        header = np.fromfile(path, "<i4", 4)
        if len(header) < 4 or header.min() < 1:
            raise DataError(
                f"{path} is no batch file: it must begin with four positive little-endian 32-bit integers N, C, H, W"
            )
        n, *image = header.tolist()
        floats, rest = divmod(size - _HEADER_BYTES, 4)
        values = n * math.prod(image)
        if rest or floats not in (values, values + n):
            raise DataError(
                f"{path} holds {size - _HEADER_BYTES} bytes after its header, but {n}x{'x'.join(map(str, image))} "
                f"float32 need {4 * values}, or {4 * (values + n)} with labels: it is truncated or no batch file"
            )
        images = np.memmap(path, "<f4", "r", _HEADER_BYTES, (n, *image))
        return _File(images, np.fromfile(path, "<f4", offset=_HEADER_BYTES + 4 * values))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
