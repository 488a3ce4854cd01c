"""The files that a run reads, so that no output takes the place of one.

A model is read with its external data, a folder with the samples in it, a list with the images that it names. What an
output would replace is told by the file itself, not by its name: links, hard links and other spellings are the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.words import printable
from trtcal_widgets.data.base import files_read
from trtcal_widgets.data.batch_files import is_batch_file
from trtcal_widgets.data.files import is_image
from trtcal_widgets.data.lists import LIST_SUFFIXES, listed_files
from trtcal_widgets.errors import DataError, ExportError, TrtcalError
from trtcal_widgets.model.files import external_locations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes
    ----------
    paths
        Models, data, lists, sessions, as they were named; what is read with them is found when it is needed.
    files
        Further files, each of them read by itself.
    found
        What :meth:`looked_up` has found; None: it is looked for whenever it is asked for, as files come and go.
    """

    paths: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    found: Mapping[tuple[int, int], str] | None = None

    @classmethod
    def of(cls, paths: Iterable[Any], *sources: Any) -> Inputs:
        """Return the inputs of a run: whatever paths (None for what is not given), and batch sources."""
        files = tuple(path for source in sources for path in files_read(source))
        return cls(tuple(Path(path) for path in paths if path), files)

    def looked_up(self) -> Inputs:
        """Return these, with every file that is there looked for once: for a command with several outputs."""
        return replace(self, found=self._known())

    @cached_property
    def absent(self) -> frozenset[str]:
        """Where the files would be that are named and not there."""
        return frozenset(place_of(path) for path in self.paths if not os.path.lexists(path))

    def _known(self) -> Mapping[tuple[int, int], str]:
        """Return device and number of every file that is read, and what it is."""
        if self.found is not None:
            return self.found
        found: dict[tuple[int, int], str] = {}
        for identity, what in self._each():
            if identity:
                found.setdefault(identity, what)
        return found

    def _each(self) -> Iterator[tuple[tuple[int, int] | None, str]]:
        yield from ((_identity(path), "") for path in (*self.paths, *self.files))
        for path in self.paths:
            try:
                with damage_as(DataError, f"{path} cannot be read", ""):
                    yield from _behind(path)
            except TrtcalError:  # noqa: PERF203
                continue  # what reads it says so

    def what(self, path: str | os.PathLike[str]) -> str | None:
        """Return how a file that is there is read, empty where by its own name; None where it is not read."""
        identity = _identity(path)
        return self._known().get(identity) if identity else None

    def refuse(self, path: str | os.PathLike[str], advice: str = "Choose another name", also: str = "") -> None:
        """Raise ExportError where writing to ``path`` would replace a file that is read; it says which one that is.

        ``advice``: what to do; ``also``: what else is said of it.
        """
        what = self.what(path)
        if what is not None:
            raise ExportError(
                f"{printable(os.fspath(path))} is a file that is read{f' ({what})' if what else ''}{also}. {advice}."
            )


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - through links
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def place_of(path: str | os.PathLike[str]) -> str:
    """Return where a file would be, links followed; in small letters where its folder takes capitals for the same."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):  # a name that no file can have
        return os.fspath(path)
    folder = os.path.dirname(real)  # noqa: PTH120
    return real.casefold() if _takes_capitals_alike(folder) else real


@lru_cache(maxsize=1024)
def _takes_capitals_alike(folder: str) -> bool:
    try:
        return folder.swapcase() != folder and os.path.samefile(folder, folder.swapcase())  # noqa: PTH121
    except OSError:
        return False


def _behind(path: Path) -> Iterator[tuple[tuple[int, int] | None, str]]:
    """Yield device and number of the files that are read with a file or folder, and what they are."""
    shown = printable(str(path))
    if path.is_dir():
        what = f"one of the samples in {shown}"
        yield from ((identity, what) for identity in _samples(str(path), set()))
    elif path.suffix.lower() in LIST_SUFFIXES:
        yield from ((_identity(file), f"listed in {shown}") for file in listed_files(path))
    elif path.is_file() and path.suffix.lower() not in (".npy", ".npz"):
        yield from ((_identity(file), f"external data of {shown}") for file in external_locations(path))


def _samples(folder: str, visited: set[tuple[int, int] | None]) -> Iterator[tuple[int, int] | None]:
    """Yield the samples of a folder: a scan tells their numbers, and only links are looked at one by one."""
    own = _identity(folder)
    if own is None or own in visited:
        return
    visited.add(own)
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a folder that cannot be looked into: those beside it are looked at all the same
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _samples(entry.path, visited)
        elif _is_sample(entry.name):
            yield _identity(entry.path) if entry.is_symlink() or os.name == "nt" else (own[0], entry.inode())


def _is_sample(name: str) -> bool:
    path = PurePath(name)
    return path.suffix.lower() == ".npy" or is_image(path) or is_batch_file(path)
