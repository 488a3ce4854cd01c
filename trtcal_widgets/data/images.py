"""A folder of image files as samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import one_of, to_path, whole_number
from trtcal_widgets.common.memory import check_room
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import input_name
from trtcal_widgets.data.files import ImageReport, Step, find_files, for_other_processes, shuffled
from trtcal_widgets.data.lists import is_list, read_list
from trtcal_widgets.data.pixels import (
    Color,
    Interpolation,
    PerChannel,
    Resize,
    decode,
    geometry,
    normalisation,
    open_upright,
    pillow,
)
from trtcal_widgets.data.plan import reading
from trtcal_widgets.data.thumbnails import THUMBNAIL_SIZE
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from PIL import Image

_REPORT_PICTURE_SIZE = 160


class ImageFolder:
    """The images of a folder, brought to one size and normalised.

    What is fed is ``(pixel * scale - mean) / std``, computed in float64 and rounded once to ``dtype``;
    :meth:`explain` shows every step on an image. An EXIF orientation is applied; alpha is dropped; palettes and
    grey become RGB (or all becomes grey); 16-bit grey is brought to 0…255.

    Parameters
    ----------
    folder
        Where the images are. They come in natural order of their paths (``img2`` before ``img10``). Or a text file
        (``.txt``, ``.lst``, ``.list``) with ``path`` or ``path label`` in each line, in its order: :attr:`labels`.
    size
        (height, width) to bring all to, or one number for both; None leaves each image as it is, and then the
        images of one batch must have one size.
    resize
        ``"stretch"`` to ``size`` without regard to proportions; ``"crop"`` the middle after scaling the image so
        that it covers ``size``; ``"letterbox"``: scale it into ``size`` and fill the borders with ``pad_value``.
    short_side
        With ``"crop"``: scale the shorter side to this first. ``size=(224, 224), short_side=256`` is the usual
        ImageNet preparation.
    interpolation
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"box"`` or ``"lanczos"``, as Pillow does them (averaging
        when it makes an image smaller, which OpenCV does not).
    pad_value
        Pixel value, 0 to 255, of letterbox borders.
    color
        ``"RGB"``, ``"BGR"`` (OpenCV's order) or ``"gray"`` (one channel).
    layout
        ``"NCHW"`` or ``"NHWC"``.
    scale, mean, std, dtype
        The normalisation. Mean and std are one number or one per channel **in the order in which channels are
        fed** (blue first for BGR), in units after ``scale``: 0…1 with the default 1/255.
    pattern
        Only files whose name matches, such as ``"*.jpg"``; None takes the usual image endings.
    recursive
        Look into the folders inside as well.
    on_error
        What to do about a file that cannot be read: ``"raise"`` names it and stops; ``"skip"`` leaves it out,
        lists it in :attr:`skipped`, and the images after it move up, so that batches stay whole.
    limit
        Use no more than this many images (those that were skipped are not counted).
    shuffle_seed
        Take the images in an order that depends on this number and on their names alone; None keeps the order.
    name
        The model input to feed; None for a model with one input.

    Raises
    ------
    DataError
        If the folder is missing or holds no image.
    UsageError
        If an argument makes no sense.
    MissingDependencyError
        If Pillow is not installed.

    Examples
    --------
    >>> source = ImageFolder(
    ...     "calib", size=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    ... )  # doctest: +SKIP
    >>> print(source.explain())  # doctest: +SKIP
    """

    prebatched = False

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        size: tuple[int, int] | int | None = None,
        resize: Resize = "stretch",
        short_side: int | None = None,
        interpolation: Interpolation = "bilinear",
        pad_value: int = 114,
        color: Color = "RGB",
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        scale: float = 1 / 255,
        mean: PerChannel = None,
        std: PerChannel = None,
        dtype: DTypeLike = np.float32,
        pattern: str | None = None,
        recursive: bool = True,
        on_error: Literal["raise", "skip"] = "raise",
        limit: int | None = None,
        shuffle_seed: int | None = None,
        name: str | None = None,
    ) -> None:
        pillow()
        _check_choices(color=color, layout=layout, on_error=on_error, limit=limit, shuffle_seed=shuffle_seed)
        self._folder = to_path(folder, "a folder of images", DataError)
        self._color = color
        self._layout = layout
        self._geometry = geometry(size, resize, short_side, interpolation, pad_value)
        channels = 1 if color == "gray" else 3
        self._normalise = normalisation(scale, mean, std, dtype, channels=channels)
        self._skips = on_error == "skip"
        self._limit = limit
        self._name = ONLY_INPUT if name is None else input_name(name)
        self._labels: dict[Path, int] = {}
        if is_list(self._folder):
            if pattern is not None:
                raise UsageError(f"pattern={pattern!r} is for a folder; {self._folder} lists its images")
            paths, self._labels = read_list(self._folder)
        else:
            paths = find_files(self._folder, pattern, recursive=recursive)
        paths = paths if shuffle_seed is None else shuffled(paths, self._folder, shuffle_seed)
        # Where files may be skipped, a file's position is settled only when all before it were read.
        self._paths: list[Path] = [] if self._skips else paths[:limit]
        self._unread: list[Path] = paths[::-1] if self._skips else []
        self._skipped: list[tuple[Path, str]] = []
        if self._skips and self._labels:
            self.check()  # labels are taken by position before the first batch

    def __getstate__(self) -> Any:
        """Return what another process reads the files with."""
        return for_other_processes(self.__dict__)

    @property
    def folder(self) -> Path:
        """The folder of the images, or that of the file that lists them."""
        return self._folder.parent if is_list(self._folder) else self._folder

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images in order; where files may be skipped, those that were read, then those still to be tried."""
        return (*self._paths, *reversed(self._unread))[: self._limit]

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files that are read: the list, where one names the images, and all images."""
        return (*((self._folder,) if is_list(self._folder) else ()), *self.paths, *(path for path, _ in self._skipped))

    @property
    def readable_anywhere(self) -> bool:
        """Whether any process can read any of the images without having read those before."""
        return not self._skips

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image, int64 [n]; empty where the images come from a folder or a list without labels."""
        return np.array([self._labels[path] for path in self.paths] if self._labels else [], np.int64)

    @property
    def skipped(self) -> tuple[tuple[Path, str], ...]:
        """Files that were left out so far, each with the reason."""
        return tuple(self._skipped)

    def describe(self) -> str:
        """Return one line: folder, count, size, colours, normalisation."""
        n = self.n_items()
        left_out = f" ({len(self._skipped)} unreadable left out)" if self._skipped else ""
        size = "own size" if self._geometry is None else self._geometry.describe()
        fed = f"{self._color} {self._layout}, {self._normalise.describe()}"
        return f"ImageFolder {self._folder}, {count_of(n, 'image')}{left_out}, {size}, {fed}"

    def n_items(self) -> int:
        """Return the number of images; with ``on_error="skip"`` it shrinks by each unreadable file that is met."""
        n = len(self._paths) + len(self._unread)
        return n if self._limit is None else min(n, self._limit)

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return images ``start`` to ``stop`` (exclusive), [n,C,H,W] or [n,H,W,C].

        Raises
        ------
        DataError
            If an image cannot be read (it is named), or the sizes differ and no ``size`` was given.
        """
        self._check_room(min(stop, self.n_items()) - start)
        images = self._settle(start, stop)
        pixels: list[NDArray[Any]] = []
        for path in self._paths[start:stop]:
            image = images.pop(path, None)
            image = self._decoded(path) if image is None else image
            try:
                pixels.append(self._pixels(image, []))
            except DataError as error:
                raise DataError(f"{path}: {error}") from error
            if pixels[-1].shape != pixels[0].shape:
                raise DataError(_sizes_differ(self._paths[start], pixels[0], path, pixels[-1]))
        if not pixels:
            return {}
        return {self._name: self._fed(np.stack(pixels))}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return the files' own pictures, uint8 [height, width, 3], the longest side at most 48."""
        self._settle(stop, stop)
        return [_thumbnail(open_upright(path)[0], THUMBNAIL_SIZE) for path in self._paths[start:stop]]

    def explain(self, index: int = 0) -> ImageReport:
        """Return what is done to image ``index``, step by step; ``print`` it.

        Raises
        ------
        DataError
            If there is no such image or it cannot be read.
        """
        self._check_room(1)
        self._settle(index + 1, index + 1)
        if not 0 <= index < len(self._paths):
            raise DataError(f"{self.describe()}: there is no image {index}")
        path = self._paths[index]
        image, steps = decode(path, self._color)
        pixels = self._pixels(image, steps)
        array = self._fed(pixels[None])[0]
        array.setflags(write=False)
        if self._color == "BGR":
            steps.append(("channels", "RGB to BGR"))
        steps.append(("normalised", f"{self._normalise.describe()}, rounded to {array.dtype}"))
        shown = np.broadcast_to(np.rint(pixels).astype(np.uint8), (*pixels.shape[:2], 3))
        return ImageReport(
            path,
            tuple(Step(name, detail) for name, detail in steps),
            array,
            _thumbnail(open_upright(path)[0], _REPORT_PICTURE_SIZE),
            _thumbnail(pillow().fromarray(shown), _REPORT_PICTURE_SIZE),
        )

    def preview(self, index: int = 0) -> str:
        """Return :meth:`explain` as text."""
        return str(self.explain(index))

    def check(self) -> tuple[tuple[Path, str], ...]:
        """Read every image once and return those that cannot be read, each with the reason.

        With ``on_error="skip"`` they are left out from then on, so the number of images is final.
        """
        if self._skips:
            while self._unread and len(self._paths) != self._limit:
                self._settle(len(self._paths) + 1, len(self._paths) + 1)
            return self.skipped
        read = ((path, self._read(path)) for path in self._paths)
        return tuple((path, found) for path, found in read if isinstance(found, str))

    def _settle(self, start: int, stop: int) -> dict[Path, Image.Image]:
        """Try files until ``stop`` images are known to be readable; return those from ``start`` on."""
        images: dict[Path, Image.Image] = {}
        stop = stop if self._limit is None else min(stop, self._limit)
        with reading(self):  # explain and check are called while a plan reads in another thread
            while self._unread and len(self._paths) < stop:
                found = self._read(self._unread[-1])
                path = self._unread.pop()  # only now: an interrupted read leaves it to be tried again
                if isinstance(found, str):
                    self._skipped.append((path, found))
                    continue
                if len(self._paths) >= start:
                    images[path] = found
                self._paths.append(path)
        return images

    def _decoded(self, path: Path) -> Image.Image:
        try:
            return decode(path, self._color).image
        except DataError as error:
            hint = "" if self._skips else "; on_error='skip' (--skip-unreadable) leaves such files out"
            raise DataError(f"{error}{hint}") from error

    def _read(self, path: Path) -> Image.Image | str:
        """Return the image, or why it cannot be read."""
        try:
            return decode(path, self._color).image
        except DataError as error:
            return str(error)

    def _pixels(self, image: Image.Image, steps: list[tuple[str, str]]) -> NDArray[Any]:
        """Return pixels [H,W,C] of 0…255 in RGB or grey, at the wanted size."""
        if self._geometry is not None:
            image = self._geometry.apply(image, steps)
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.dtype != np.uint8:  # 16-bit grey: bicubic and lanczos overshoot, which uint8 clips by itself
            pixels = pixels.clip(0, 255).repeat(1 if self._color == "gray" else 3, axis=-1)
        return pixels

    def _check_room(self, n: int) -> None:
        """Refuse sizes of which no batch fits into memory, before the system ends the process."""
        if self._geometry is not None:
            height, width = self._geometry.size
            n_bytes = n * height * width * (3 + (1 if self._color == "gray" else 3) * self._normalise.dtype.itemsize)
            what = f"{n} image{'' if n == 1 else 's'} of size={height}x{width}"
            check_room(n_bytes, what, DataError, "take a smaller size or batch_size")

    def _fed(self, pixels: NDArray[Any]) -> NDArray[Any]:
        return self._normalise.apply(pixels[..., ::-1] if self._color == "BGR" else pixels, self._layout)


def _check_choices(*, color: str, layout: str, on_error: str, limit: int | None, shuffle_seed: int | None) -> None:
    one_of(color, ("RGB", "BGR", "gray"), "color")
    one_of(layout, ("NCHW", "NHWC"), "layout")
    one_of(on_error, ("raise", "skip"), "on_error")
    if limit is not None:
        whole_number(limit, "limit (None for all images)", 1)
    if shuffle_seed is not None:
        whole_number(shuffle_seed, "shuffle_seed")


def _thumbnail(image: Any, side: int) -> NDArray[np.uint8]:
    """Return a picture of an upright image of any mode; 16-bit grey keeps its upper byte."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        image = pillow().fromarray((values / 257).clip(0, 255).astype(np.uint8))
    small = image.convert("RGBA" if image.mode in ("P", "PA") else "RGB").convert("RGB")
    small.thumbnail((side, side))
    return np.array(small)


def _sizes_differ(first: Path, a: NDArray[Any], second: Path, b: NDArray[Any]) -> str:
    return (
        f"{first} is {a.shape[0]}x{a.shape[1]} (height x width) but {second} is {b.shape[0]}x{b.shape[1]}: images of "
        "one batch must have one size. Give size=(height, width), or batch_size=1 if the model takes any size"
    )
