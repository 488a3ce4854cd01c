"""Files of float32 numbers for inputs that take float16: exporters halve the model, nobody halves the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.data.base import ONLY_INPUT, Source
from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
