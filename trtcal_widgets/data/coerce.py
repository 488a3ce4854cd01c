"""Whatever a user has at hand -> the source that fits it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.data.arrays import ArrayBatches
from trtcal_widgets.data.base import Source
from trtcal_widgets.data.batch_files import BatchFiles, find_batch_files
from trtcal_widgets.data.files import IMAGE_SUFFIXES
from trtcal_widgets.data.idx import IdxImages, looks_like_idx
from trtcal_widgets.data.images import ImageFolder
from trtcal_widgets.data.iterables import IterableBatches
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_source"]


def as_source(data: Any, **options: Any) -> Source:
    """Return ``data`` as a batch source.

    Parameters
    ----------
    data
        A source (returned as it is); the path of a folder of images or of TensorRT sample batch files, of a
        ``.npy``, ``.npz`` or IDX file; an array or tensor; a mapping of input name to array; or an iterable of
        batches.
    **options
        Passed on to the source that fits: see :class:`ImageFolder`, :class:`IdxImages`, :class:`ArrayBatches`,
        :class:`BatchFiles` and :class:`IterableBatches`. An option that the source does not have is an error.

    Raises
    ------
    DataError
        If a path is missing or holds nothing that can be read.
    UsageError
        If ``data`` is nothing of the above, or an option does not fit it.
    """
    if isinstance(data, type):
        raise UsageError(f"{data.__name__} is a class; give an object of it")
    if isinstance(data, Source):
        if options:
            raise UsageError(f"{_keywords(options)}: set this on the {type(data).__name__} itself")
        return data
    make = _maker_of_path(Path(data)) if isinstance(data, (str, os.PathLike)) else _maker(data)
    known = inspect.signature(make).parameters
    strange = {key: value for key, value in options.items() if key not in known}
    if strange:
        raise UsageError(f"{_keywords(strange)} does not go with {make.__name__}, which is what {_short(data)} needs")
    source: Source = make(data, **options)
    return source


def _maker_of_path(path: Path) -> Callable[..., Source]:
    suffix = path.suffix.lower()
    if path.is_dir():
        return BatchFiles if find_batch_files(path) else ImageFolder
    if not path.exists():
        raise DataError(f"There is no file or folder {path}; check the path")
    if suffix in (".npy", ".npz"):
        return ArrayBatches
    if looks_like_idx(path):
        return IdxImages
    hint = "an image: give the folder that holds the images" if suffix in IMAGE_SUFFIXES else "none of them"
    raise DataError(
        f"{path} cannot be used as calibration data: a folder of images, a .npz, .npy or IDX file is needed, and it "
        f"is {hint}"
    )


def _maker(data: Any) -> Callable[..., Source]:
    if isinstance(data, Mapping) or hasattr(data, "__array__"):
        return ArrayBatches
    if data is None or isinstance(data, (int, float, bytes)):
        raise UsageError(
            f"{_short(data)} is no calibration data; give arrays, a folder of images, a .npz, .npy or IDX file, or "
            "an iterable of batches"
        )
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (str, os.PathLike)):
        raise UsageError(f"a {type(data).__name__} of paths is not read; give the folder (ImageFolder has pattern=)")
    return IterableBatches


def _keywords(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def _short(data: Any) -> str:
    return repr(str(data)) if isinstance(data, (str, os.PathLike)) else f"an object of type {type(data).__name__}"
