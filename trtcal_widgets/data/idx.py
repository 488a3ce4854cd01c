"""IDX files, the format of MNIST, with or without gzip.

The format (http://yann.lecun.com/exdb/mnist): two zero bytes, a type byte, the number of axes, then each axis
as a big-endian uint32, then the numbers, big-endian, the last axis running fastest.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import numpy as np

from trtcal_widgets.common.arguments import one_of, to_path, whole_number
from trtcal_widgets.common.damage import check_expansion, damage_as, most_expanded
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import describe_array, input_name
from trtcal_widgets.data.pixels import PerChannel, normalisation
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    import os

    from numpy.typing import DTypeLike, NDArray

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_AXES = 32
_UNZIP = "Fetch it again, or unpack it and give the unpacked file"


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class IdxImages:
    """Images (and labels) from IDX files, as MNIST and its relatives are distributed.

    Parameters
    ----------
    images
        IDX file of 3 axes [N,H,W] or 4 axes ([N,C,H,W] where the second axis is 1 or 3, else [N,H,W,C]), of any
        of the format's number types; gzip is recognised by its content, not by the file's name.
    labels
        IDX file of 1 axis with one label per image, where there is one.
    scale, mean, std, dtype
        What is fed: ``(pixel * scale - mean) / std`` in float64, then rounded to ``dtype``. Mean and std are one
        number or one per channel.
    layout
        ``"NCHW"`` or ``"NHWC"``: what is fed.
    offset, limit
        Take ``limit`` images from position ``offset`` on; None takes all that follow.
    name
        The model input to feed; None for a model with one input.

    Raises
    ------
    DataError
        If a file is missing, no IDX file, truncated, longer than its header says, or if the number of labels is
        not the number of images.
    UsageError
        If an argument makes no sense.

    Examples
    --------
    >>> source = IdxImages("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")  # doctest: +SKIP
    >>> source.load(0, 32)[""].shape  # doctest: +SKIP
    (32, 1, 28, 28)
    """

    prebatched = False

    def __init__(
        self,
        images: str | os.PathLike[str],
        labels: str | os.PathLike[str] | None = None,
        *,
        scale: float = 1 / 255,
        mean: PerChannel = None,
        std: PerChannel = None,
        dtype: DTypeLike = np.float32,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        offset: int = 0,
        limit: int | None = None,
        name: str | None = None,
    ) -> None:
        one_of(layout, ("NCHW", "NHWC"), "layout")
        offset = whole_number(offset, "offset", 0)
        limit = None if limit is None else whole_number(limit, "limit (None for all)", 1)
        self._path = to_path(images, "an IDX file of images", DataError)
        self.reads = (self._path, *(() if labels is None else (to_path(labels, "an IDX file of labels", DataError),)))
        self._layout = layout
        self._name = ONLY_INPUT if name is None else input_name(name)
        pixels = _as_nhwc(read_idx(self._path), self._path)
        if offset >= len(pixels):
            raise DataError(
                f"{self._path} holds {count_of(len(pixels), 'image')}: offset={offset} leaves none; lower it"
            )
        chosen = slice(offset, None if limit is None else offset + limit)
        self._pixels = pixels[chosen]
        self._labels = _read_labels(labels, len(pixels), self._path)[chosen]
        self._normalise = normalisation(scale, mean, std, dtype, channels=pixels.shape[-1])

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image, int64 [n], read-only; empty where no labels were given."""
        return self._labels

    def describe(self) -> str:
        """Return one line: file, count, shape and normalisation."""
        n, *rest = self._pixels.shape
        shape = "x".join(map(str, rest))
        return f"IdxImages {self._path.name}, {count_of(n, 'image')} {shape} (HWC), fed {self._normalise.describe()}"

    def n_items(self) -> int:
        """Return the number of images."""
        return len(self._pixels)

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return images ``start`` to ``stop`` (exclusive), normalised, [n,C,H,W] or [n,H,W,C]."""
        pixels = self._pixels[start:stop]
        if not len(pixels):
            return {}
        return {self._name: self._normalise.apply(pixels, self._layout)}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return the images as uint8 [height, width, 3], the longest side at most 48."""
        return fed_thumbnails({self._name: self._pixels[start:stop]})


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, gzipped or not.

    Returns the array as the file's header describes it, in the machine's byte order, read-only. A file of bytes that
    is not gzipped is memory-mapped. Raises DataError if the file is missing, no IDX file, truncated, or longer than its
    header says.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if zipped else file
            header = _read_header(stream, path)
            array = _read_values(stream, header, path, mapped=not zipped)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged or truncated gzip file ({error}); fetch it again") from error
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}; check the path") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    array.setflags(write=False)
    return array


def looks_like_idx(path: Path) -> bool:
    """Return whether a readable file begins like an IDX file, gzipped or not; its name does not matter."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start[:2] == _GZIP_MAGIC:
                file.seek(0)
                start = gzip.GzipFile(fileobj=file).read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in _TYPES and 0 < start[3] <= _MAX_AXES


def _read_header(stream: IO[bytes], path: Path) -> _Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 0 < magic[3] <= _MAX_AXES:
        raise DataError(
            f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}, where two zero bytes, a "
            "number type (08, 09, 0b, 0c, 0d or 0e) and the number of axes belong"
        )
    axes = magic[3]
    raw = stream.read(4 * axes)
    if len(raw) < 4 * axes:
        raise DataError(f"{path} ends within its header of {4 + 4 * axes} bytes; fetch it again")
    return _Header(np.dtype(_TYPES[magic[2]]), struct.unpack(f">{axes}I", raw))


def _read_values(stream: IO[bytes], header: _Header, path: Path, *, mapped: bool) -> NDArray[Any]:
    wanted = math.prod(header.shape) * header.dtype.itemsize
    begins = 4 + 4 * len(header.shape)
    text = "x".join(map(str, header.shape))
    if mapped:
        found = path.stat().st_size - begins
    else:
        limit = most_expanded(path)
        raw = _read_at_most(stream, min(wanted, limit) + 1)
        found = len(raw)
        if wanted > limit < found:
            check_expansion(
                path, wanted, f"what its header says, {'x'.join(map(str, header.shape))},", DataError, advice=_UNZIP
            )
    text = "x".join(map(str, header.shape))
    if found < wanted:
        raise DataError(
            f"{path} is truncated: its header says {text}, {wanted} bytes, but {found} follow; fetch it again"
        )
    if found > wanted:
        raise DataError(f"{path} is longer than the {text} of its header: it is damaged or no IDX file")
    with damage_as(DataError, f"{path}: its header says {text}, which no array can have", "Fetch it again"):
        if mapped and wanted:
            array: NDArray[Any] = np.memmap(path, header.dtype, "r", begins, header.shape)
        else:
            array = np.frombuffer(b"" if mapped else raw, header.dtype).reshape(header.shape)
    return array if header.dtype.isnative else array.astype(header.dtype.newbyteorder("="))


def _read_at_most(stream: IO[bytes], size: int) -> bytes:
    """Read up to ``size`` bytes in pieces: a header that lies cannot make us ask for all memory at once."""
    pieces = []
    while size > 0 and (piece := stream.read(min(size, 1 << 24))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _as_nhwc(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if array.ndim == 3:
        images = array[..., None]
    elif array.ndim == 4 and array.shape[1] in (1, 3):
        images = np.moveaxis(array, 1, 3)
    elif array.ndim == 4:
        images = array
    else:
        hint = "; it looks like the labels: pass it as labels=" if array.ndim == 1 else ""
        raise DataError(f"{path} holds {describe_array(array)}; images need 3 axes (N, height, width) or 4{hint}")
    if not images.size:
        raise DataError(f"{path} holds no images: its header says {describe_array(array)}")
    return images


def _read_labels(path: str | os.PathLike[str] | None, count: int, images: Path) -> NDArray[np.int64]:
    if path is None:
        labels = np.empty(0, np.int64)
    else:
        found = read_idx(to_path(path, "an IDX file of labels", DataError))
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise DataError(f"{path} holds {describe_array(found)}; labels need one axis of whole numbers")
        if len(found) != count:
            raise DataError(
                f"{path} holds {count_of(len(found), 'label')} but {images} {count_of(count, 'image')}; they do not "
                "belong together"
            )
        labels = found.astype(np.int64)
    labels.setflags(write=False)
    return labels
