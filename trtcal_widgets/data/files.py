"""Which image files a folder holds, in an order that is the same everywhere."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import is_folder, kind_of
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.convert import describe_array
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset(
    {
        ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga",
        ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""Endings, in lower case, of what is taken for an image where no pattern is given."""


def find_files(folder: Path, pattern: str | None, *, recursive: bool) -> list[Path]:
    """Return the image files in ``folder``, in natural order (``img2`` before ``img10``).

    ``folder``: where to look. Links to folders are followed, each folder is visited once. ``pattern``: shell pattern
    that a file's name (or, where it holds a ``/``, its path in the folder) must match, without regard to case:
    ``"*.jpg"``, ``"cats/*"``; None takes the usual image endings. Names that begin with a dot are left out.
    ``recursive``: whether to look into the folders inside. Raises DataError if the folder is missing, unreadable, or
    holds no such file; it says what the folder does hold.
    """
    if not isinstance(pattern, (str, type(None))):
        raise UsageError(f"pattern is text such as '*.jpg', not {kind_of(pattern)}")
    found_there = is_folder(folder, DataError)
    if found_there is None:
        raise DataError(f"There is no folder {folder}; check the path")
    if not found_there:
        raise DataError(
            f"{folder} is a file, not a folder of images; give the folder that holds it, or a .txt that lists images"
        )
    found, others = _walk(folder, pattern, recursive=recursive)
    if not found:
        raise DataError(_nothing_found(folder, pattern, others, recursive=recursive))
    return sorted(found, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def shuffled(paths: list[Path], folder: Path, seed: int) -> list[Path]:
    """Return ``paths`` in an order that depends on ``seed`` and on each file's name alone.

    Unlike a random generator's permutation it is the same in every version of Python and NumPy, and adding a
    file leaves the order of the others as it was.
    """

    def key(path: Path) -> bytes:
        name = (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
        return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()

    return sorted(paths, key=key)


def for_other_processes(state: Any) -> Any:
    """Return what an object has with its paths absolute, for ``__getstate__``: others have another working folder."""
    if isinstance(state, Path):
        return state if state.is_absolute() else state.absolute()
    if isinstance(state, dict):
        return {for_other_processes(key): for_other_processes(value) for key, value in state.items()}
    if isinstance(state, list):
        return [for_other_processes(one) for one in state]
    return tuple(map(for_other_processes, state)) if type(state) is tuple else state


def _walk(folder: Path, pattern: str | None, *, recursive: bool) -> tuple[list[Path], list[Path]]:
    found: list[Path] = []
    others: list[Path] = []
    for path in each_file(folder, recursive=recursive):
        (found if _matches(path.relative_to(folder), pattern) else others).append(path)
    return found, others


def is_image(path: PurePath) -> bool:
    """Whether a file's ending is that of an image which can be read here."""
    return _matches(path, None)


def each_file(folder: Path, *, recursive: bool = True) -> Iterator[Path]:
    """Yield the files of a folder one by one, hidden ones left out; links are followed, each folder is visited once.

    Raises DataError if a folder cannot be read.
    """
    visited: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _matches(path: PurePath, pattern: str | None) -> bool:
    if pattern is None:
        return path.suffix.lower() in IMAGE_SUFFIXES or (path.suffix.lower() == ".avif" and _reads_avif())
    text = path.as_posix() if "/" in pattern else path.name
    return fnmatch.fnmatchcase(text.lower(), pattern.lower())


@cache
def _reads_avif() -> bool:
    """Whether this Pillow was built with a decoder for AVIF."""
    from PIL import Image

    Image.init()
    return "AVIF" in Image.OPEN


def _unreadable(error: OSError) -> None:
    raise DataError(f"The folder {error.filename} cannot be read: {error.strerror}") from error


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: runs of digits compare as numbers, the rest as text without regard to case."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(p), "") if i % 2 else (1, 0, p.lower()) for i, p in enumerate(parts)], name


def _nothing_found(folder: Path, pattern: str | None, others: list[Path], *, recursive: bool) -> str:
    wanted = f"files that match {pattern!r}" if pattern else "images"
    inside = "" if recursive else "; it was not searched inside its folders (recursive=False)"
    if not others:
        return f"{folder} holds no {wanted}: it is empty{inside}"
    few = ", ".join(path.name for path in others[:3])
    more = ", …" if len(others) > 3 else ""
    hint = (
        "change the pattern"
        if pattern
        else "arrays and IDX files are given themselves (in Python: pattern='*.ext' takes other endings)"
    )
    return f"{folder} holds no {wanted}, but {count_of(len(others), 'other file')} ({few}{more}); {hint}{inside}"


@dataclass(frozen=True)
class Step:
    """One thing that was done: ``Step("resized", "480x640 to 256x341, bilinear")``."""

    name: str
    detail: str


@dataclass(frozen=True, eq=False)
class ImageReport:
    """Every step from an image file to the array that is fed, and what the array holds.

    Attributes
    ----------
    path
        The image file.
    steps
        What was done, in order; the first says what the file holds.
    array
        The sample as it is fed, without the batch axis, read-only.
    original, fed
        Pictures, uint8 [height, width, 3], the longest side at most 160: the upright file, and the pixels just
        before normalisation (in true colours, also where they are fed in BGR order).
    """

    path: Path
    steps: tuple[Step, ...]
    array: NDArray[Any]
    original: NDArray[np.uint8]
    fed: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the sample, without the batch axis."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the sample."""
        return self.array.dtype

    @property
    def min(self) -> float:
        """Smallest value that is fed."""
        return float(self.array.min())

    @property
    def max(self) -> float:
        """Largest value that is fed."""
        return float(self.array.max())

    @property
    def mean(self) -> float:
        """Mean of the values that are fed, summed in float64."""
        return float(self.array.mean(dtype=np.float64))

    def __str__(self) -> str:
        lines = [str(self.path), *(f"  {step.name:<11}{step.detail}" for step in self.steps)]
        numbers = f"min {self.min:.4g}, max {self.max:.4g}, mean {self.mean:.4g}"
        return "\n".join([*lines, f"  {'fed':<11}{describe_array(self.array)}, {numbers}"])

    __repr__ = __str__
