"""The files that a run reads, so that no output takes the place of one.

A model is read with its external data, a folder with the samples in it, a list with the images that it names. What an
output would replace is told by the file itself, not by its name: links, hard links and other spellings are the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.words import printable
from trtcal_widgets.data.batch_files import is_batch_file
from trtcal_widgets.data.files import each_file, is_image
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
        files = tuple(Path(path) for source in sources for path in getattr(source, "reads", ()))
        return cls(tuple(Path(path) for path in paths if path), files)

    def looked_up(self) -> Inputs:
        """Return these, with every file that is there looked for once: for a command with several outputs."""
        return replace(self, found=self._known())

    def _known(self) -> Mapping[tuple[int, int], str]:
        """Return device and number of every file that is read, and what it is."""
        if self.found is not None:
            return self.found
        found: dict[tuple[int, int], str] = {}
        for path, what in self._each():
            identity = _identity(path)
            if identity:
                found.setdefault(identity, what)
        return found

    def _each(self) -> Iterator[tuple[Path, str]]:
        for path in self.paths:
            yield path, ""
        yield from ((path, "") for path in self.files)
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


def _behind(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that are read with a file or folder."""
    shown = printable(str(path))
    if path.is_dir():
        for file in each_file(path):
            if is_image(file) or file.suffix.lower() == ".npy" or is_batch_file(file):
                yield file, f"one of the samples in {shown}"
    elif path.suffix.lower() in LIST_SUFFIXES:
        yield from ((file, f"listed in {shown}") for file in listed_files(path))
    elif path.is_file() and path.suffix.lower() not in (".npy", ".npz"):
        yield from ((file, f"external data of {shown}") for file in external_locations(path))
