"""Text files that list images, with or without labels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.files import read_whole
from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
"""Endings, in lower case, of what is taken for a list of images."""


def is_list(path: Path) -> bool:
    """Whether a path is a file that is taken for a list of images."""
    return path.suffix.lower() in LIST_SUFFIXES and is_folder(path, DataError) is False


def read_list(path: Path) -> tuple[list[Path], dict[Path, int]]:
    """Return the images that a file lists, and the label of each; no labels where it has none.

    One image a line, ``path`` or ``path label``; a path is relative to the list's folder, and in quotes where its end
    would pass for a label. Empty lines and those that begin with ``#`` are left out; a byte order mark and any ends of
    lines are taken.

    Raises DataError if the file cannot be read, lists no image, lists one that is missing, or has labels on some lines
    only; the line is named.
    """
    try:
        text = read_whole(path, error=DataError, what="the list of images").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no list of images: byte {error.start} is not UTF-8 text") from error
    images: list[Path] = []
    there: dict[str, Path] = {}
    labels: list[int | None] = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        image, label = _entry(path, number, entry, there)
        images.append(image)
        labels.append(label)
        if (label is None) != (labels[0] is None):
            have, lack = ("a label", "none") if labels[0] is not None else ("no label", "one")
            raise DataError(f"{path}, line {number}: the images before have {have}, this one has {lack}")
    if not images:
        raise DataError(f"{path} lists no image: write one path a line, and its class index behind it where it has one")
    known = [label for label in labels if label is not None]
    if known and len(set(zip(images, known, strict=True))) > len(set(images)):
        first = dict(zip(reversed(images), reversed(known), strict=True))
        twice = next(image for image, label in zip(images, known, strict=True) if label != first[image])
        raise DataError(f"{path} lists {twice} with two labels")
    return images, dict(zip(images, known, strict=True)) if known else {}


def listed_files(path: Path) -> Iterator[str]:
    """Yield where the files would be that a list may name, whatever is wrong with it."""
    folder = str(path.parent)
    text = read_whole(path, error=DataError, what="the list of images").decode("utf-8-sig", "replace")
    for line in dict.fromkeys(text.splitlines()):
        entry = line.strip()
        for name in dict.fromkeys((entry, _split(entry)[0])) if entry and not entry.startswith("#") else ():
            yield os.path.join(folder, name)  # noqa: PTH118 - of a Path it takes five times as long


def _split(entry: str) -> tuple[str, int | None]:
    """Return the name and the label of a line."""
    if entry[0] in "\"'":
        end = entry.find(entry[0], 1)
        rest = entry[end + 1 :].strip()
        if end > 0 and (not rest or _is_label(rest)):
            return entry[1:end], int(rest) if rest else None
        return entry, None
    before, _, last = entry.replace("\t", " ").rpartition(" ")
    if before.strip() and _is_label(last):
        return entry[: len(before)].strip(), int(last)
    return entry, None


def _entry(path: Path, number: int, entry: str, there: dict[str, Path]) -> tuple[Path, int | None]:
    """Return the image and the label of a line; ``there`` grows by the images that were looked for and found."""
    name, label = _split(entry)
    if name in there:
        return there[name], label
    image = path.parent / name
    try:
        is_file = is_folder(image, DataError) is False
    except DataError as error:
        raise DataError(f"{path}, line {number}: {error}") from error
    if not is_file:
        raise DataError(
            f"{path}, line {number}: there is no image {image}; paths are relative to the list's folder, and only a "
            "class index may stand behind one"
        )
    there[name] = image
    return image, label


def _is_label(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
