"""``CacheViewer``: look into a calibration cache, or two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import ScaleTable
from trtcal_widgets.model.explicit.table import read_scales
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.widgets.cache.binding import CacheBinding
from trtcal_widgets.widgets.cache.facts import read_facts
from trtcal_widgets.widgets.cache.ranges_view import CacheRanges
from trtcal_widgets.widgets.cache.state import screen_of, summary_state, words_of
from trtcal_widgets.widgets.cache.table import CacheTable
from trtcal_widgets.widgets.kit.box import PicturedBox, box

if TYPE_CHECKING:
    import os

    from trtcal_widgets.widgets.cache.facts import ScaleFile

    Readable = CalibrationCache | ScaleTable | str | os.PathLike[str]


class CacheViewer(PicturedBox, what="the cache viewer"):
    """Show what a calibration cache holds, what is odd about it, and how it differs from another one.

    Parameters
    ----------
    path_or_cache
        A file in any known format (TensorRT cache, legacy table, dynamic-range text, ONNX Runtime's text, JSON or
        flatbuffers), or what ``CalibrationCache.read`` or ``read_scale_file`` gives.
    other
        A second file to compare with: it is B, the first one is A, and ratios are B / A.
    model
        The ONNX model that the file is for: its path, or a ``ModelGraph``. Rows that it does not know and tensors
        that have no row are then pointed out.

    Raises
    ------
    CacheFormatError
        If a file cannot be read; names the line and what to do.
    ModelError
        If the model cannot be read.

    Examples
    --------
    >>> CacheViewer("calibration.cache", other="old.cache", model="model.onnx")  # doctest: +SKIP
    """

    binding: CacheBinding

    def __init__(
        self,
        path_or_cache: Readable,
        other: Readable | None = None,
        model: ModelGraph | str | os.PathLike[str] | None = None,
    ) -> None:
        file = _as_file(path_or_cache)
        second = None if other is None else _as_file(other)
        self.facts = read_facts(file, second, None if model is None else _as_graph(model))
        screen = screen_of(self.facts)
        self.table = CacheTable(summary=summary_state(self.facts), version=screen.version, algorithm=screen.algorithm)
        self.ranges = CacheRanges(self.facts)
        self.plots = (self.ranges,)
        plot = box(self.ranges.figure, name="tc-plot-panel")
        plot.add_class("tc-section")
        super().__init__([self.table, plot], None)
        self.binding = CacheBinding(self.facts, self.table, self.ranges, screen, self._executor)

    def select(self, row: int) -> None:
        """Choose a row by its index: 0 is the file's first; tensors that the file lacks come after its last."""
        self.table.selected = row

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return the ranges as a PNG."""
        from trtcal_widgets.widgets.cache.still import cache_picture

        return cache_picture(self.facts.file, self.facts.other, width=width, dark=dark)

    def __repr__(self) -> str:
        return words_of(self.facts)

    _words = __repr__


def _as_file(given: Readable) -> ScaleFile:
    if isinstance(given, (CalibrationCache, ScaleTable)):
        return given
    return read_scales(given)


def _as_graph(given: Any) -> ModelGraph:
    """Take a graph, anything that has one (a session, a runner), or the path of a model."""
    graph = given if isinstance(given, ModelGraph) else getattr(given, "graph", None)
    if isinstance(graph, ModelGraph):
        return graph
    from trtcal_widgets.model.load import load_graph

    return load_graph(given)
