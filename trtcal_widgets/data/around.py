"""Sources made of other sources: cast to float16, or side by side for several inputs.

Exporters halve the model, nobody halves the data: files of float32 numbers are cast for inputs that take float16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.data.base import ONLY_INPUT, Source, files_read
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trtcal_widgets.model.graph import ModelGraph

_WIDER = frozenset({"float32", "float64"})


def halved(source: Source, graph: ModelGraph) -> Source:
    """Return a source whose wider floats become float16 where the model takes that; the source itself elsewhere."""
    names = {tensor.name for tensor in graph.inputs if tensor.dtype == "float16"}
    if len(graph.inputs) == 1 and names:
        names.add(ONLY_INPUT)
    return _Halved(source, frozenset(names)) if names else source


class _Halved(Source):
    """Another source, some of whose inputs are cast to float16."""

    def __init__(self, source: Source, names: frozenset[str]) -> None:
        self._source, self._names = source, names
        self.prebatched = source.prebatched

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled there is no source yet
            raise AttributeError(name)
        return getattr(self._source, name)

    def describe(self) -> str:
        return f"{self._source.describe()}, as float16"

    def n_items(self) -> int | None:
        return self._source.n_items()

    def load(self, start: int, stop: int) -> Mapping[str, NDArray[np.generic]]:
        return {name: self._cast(name, array) for name, array in self._source.load(start, stop).items()}

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:
        return self._source.thumbnails(start, stop)

    def _cast(self, name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
        if name not in self._names or array.dtype.name not in _WIDER:
            return array
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float16)
        lost = np.isinf(narrow) & ~np.isinf(array)
        if lost.any():
            which = f"input {name!r}" if name else "the input"
            largest = float(np.max(np.abs(array[lost].astype(np.float64))))
            raise DataError(
                f"{which} takes float16, and the data have {largest:.6g}, beyond its largest number 65504. Scale the "
                "data as the model was trained, or use the float32 model"
            )
        return narrow


class NamedSources(Source):
    """Several sources side by side: sample ``i`` is sample ``i`` of each.

    ``sources``: input name -> source of single samples that feeds one input. Samples are called, and shown, as those of
    the first one. Raises DataError if they do not hold the same number of samples; UsageError if one makes batches
    itself or leaves out what it cannot read: the others would not fit it.
    """

    prebatched = False

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)
        for name, source in self._sources.items():
            if source.prebatched:
                raise UsageError(
                    f"the data of input {name!r} ({source.describe()}) come in batches: give samples for each of the "
                    "inputs, or batches that are dicts of all of them"
                )
            if not getattr(source, "readable_anywhere", True):
                raise UsageError(
                    f"the data of input {name!r} ({source.describe()}) leave out what cannot be read "
                    "(on_error='skip'), and the samples of the other inputs would be those of others: take the bad "
                    "files out of all folders instead"
                )
        counts = {name: source.n_items() for name, source in self._sources.items()}
        if len(set(counts.values())) > 1:
            raise DataError(
                f"the inputs have different numbers of samples: "
                f"{', '.join(f'{name!r} {count:,}' for name, count in counts.items())}. Each sample needs all of them"
            )

    def __getattr__(self, name: str) -> Any:
        """Return what else the first source has: the paths, folder and labels of its samples."""
        if name.startswith("_") or name not in ("paths", "folder", "labels"):
            raise AttributeError(name)
        return getattr(next(iter(self._sources.values())), name)

    @property
    def readable_anywhere(self) -> bool:
        """Whether any process can read any of the samples."""
        return all(getattr(source, "readable_anywhere", False) for source in self._sources.values())

    @property
    def in_order(self) -> bool:
        """Whether one of the sources is read in order: going back is a new start there."""
        return any(getattr(source, "in_order", False) for source in self._sources.values())

    def describe(self) -> str:
        """Return one line: every input with its source."""
        return "; ".join(f"{name}: {source.describe()}" for name, source in self._sources.items())

    def n_items(self) -> int | None:
        """Return the number of samples, which is that of each source."""
        return next(iter(self._sources.values())).n_items()

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files that the sources read."""
        return tuple(path for source in self._sources.values() for path in files_read(source))

    @property
    def skipped(self) -> Sequence[tuple[Path, str]]:
        """None: nothing is left out."""
        return ()

    def load(self, start: int, stop: int) -> Mapping[str, NDArray[np.generic]]:
        """Return samples ``start`` to ``stop`` (exclusive) of every input."""
        feeds: dict[str, NDArray[np.generic]] = {}
        for name, source in self._sources.items():
            part = source.load(start, stop)
            if set(part) - {name, ONLY_INPUT}:
                others = ", ".join(map(repr, part))
                raise DataError(f"the data of input {name!r} ({source.describe()}) have names of their own: {others}")
            feeds.update((name, array) for array in part.values())
        return feeds

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:
        """Return pictures of the first source's samples."""
        return next(iter(self._sources.values())).thumbnails(start, stop)
