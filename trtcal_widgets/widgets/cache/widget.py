"""``CacheViewer``: look into a calibration cache, or two side by side. Here the views are bound to each other."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from trtcal_widgets.common.words import count_of, printable, shorten_middle
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import DEFAULT_VERSION, KNOWN_ALGORITHMS, CalibrationCache, header_fits
from trtcal_widgets.formats.installed import installed_version
from trtcal_widgets.formats.reading import ScaleTable, describe_format, read_scale_file
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.widgets.cache.facts import ALL, CacheFacts, read_facts
from trtcal_widgets.widgets.cache.ranges_view import CacheRanges
from trtcal_widgets.widgets.cache.table import CacheTable

if TYPE_CHECKING:
    import os

    from trtcal_widgets.formats.cache import HeaderFit

    ScaleFile = CalibrationCache | ScaleTable
    Readable = CalibrationCache | ScaleTable | str | os.PathLike[str]

__all__ = ["CacheViewer"]

_VERSIONS = ("8.4.1", "8.5.3", "8.6.1", "10.0.1", "10.3.0", "10.9.0", "10.12.0", "10.14.1", "10.16.1", "11.0.0")
_KINDS = {"reuse": "ok", "recalibrate": "warning", "unsupported": "error"}


class CacheViewer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
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

    def __init__(
        self,
        path_or_cache: Readable,
        other: Readable | None = None,
        model: ModelGraph | str | os.PathLike[str] | None = None,
    ) -> None:
        file = _as_file(path_or_cache)
        second = None if other is None else _as_file(other)
        self.facts = read_facts(file, second, None if model is None else _as_graph(model))
        self.table = CacheTable(
            self.facts,
            summary=_summary(self.facts),
            version=_version_of(file),
            algorithm=_algorithm_of(file),
        )
        self.ranges = CacheRanges(self.facts, on_pick=self.select)
        figure = self.ranges.figure
        plot = ipywidgets.Box([figure])
        plot.add_class("tc-plot-panel").add_class("tc-section")
        super().__init__([self.table, plot])
        self.add_class("trtcal-root")
        self._bind()

    def _bind(self) -> None:
        """Connect the views: the only place where they hear of each other."""
        self.table.observe(lambda _: self.table.show_rows(), ["search", "group", "sort", "descending"])
        self.table.observe(lambda _: self._show_selected(), "selected")
        self.table.observe(lambda _: self._show_verdict(), ["version", "algorithm"])
        self.table.observe(lambda _: self._show_theme(), "theme")
        self.table.show_rows()
        self._show_verdict()

    def select(self, row: int) -> None:
        """Choose a row by its index: 0 is the file's first; tensors that the file lacks come after its last."""
        self.table.selected = row

    def _show_selected(self) -> None:
        if not -1 <= self.table.selected < len(self.facts.names):
            self.table.selected = -1
            return
        self.table.show_selected()
        self.ranges.show_selected(self.table.selected)

    def _show_theme(self) -> None:
        self.ranges.apply_theme("dark" if self.table.theme == "dark" else "light")

    def _show_verdict(self) -> None:
        file = self.facts.file
        if not isinstance(file, CalibrationCache):
            return
        try:
            fit: HeaderFit = header_fits(file, self.table.version, self.table.algorithm)
        except UsageError as error:
            self.table.verdict = {"kind": "error", "text": str(error)}
        else:
            self.table.verdict = {"kind": _KINDS[fit.verdict], "text": fit.message}

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return the ranges as a PNG."""
        from trtcal_widgets.widgets.cache.still import cache_picture

        return cache_picture(self.facts.file, self.facts.other, width=width, dark=dark)

    def _ipython_display_(self) -> None:
        from trtcal_widgets.widgets.kit.box import show_with_picture

        show_with_picture(self, "the cache viewer")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give a picture along, for where no widget can be shown: a saved notebook without a kernel, a web page."""
        self.ranges.figure.send_whole()
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["text/plain"] = repr(self)
            bundle["image/png"] = base64.b64encode(self.picture()).decode("ascii")
        return bundle

    def __repr__(self) -> str:
        facts = self.facts
        lines = [f"CacheViewer: {_title(facts.file)}, {_facts_text(facts.file)}"]
        if facts.other is not None:
            lines.append(f"compared with {_title(facts.other)}, {_facts_text(facts.other)}")
        lines += [f"  {group.label}: {len(group.rows):,}" for group in facts.groups]
        return "\n".join(lines)


def _as_file(given: Readable) -> ScaleFile:
    if isinstance(given, (CalibrationCache, ScaleTable)):
        return given
    return read_scale_file(given)


def _as_graph(given: Any) -> ModelGraph:
    """Take a graph, anything that has one (a session, a runner), or the path of a model."""
    graph = given if isinstance(given, ModelGraph) else getattr(given, "graph", None)
    if isinstance(graph, ModelGraph):
        return graph
    from trtcal_widgets.model.load import load_graph

    return load_graph(given)


def _version_of(file: ScaleFile) -> str:
    """Return the TensorRT that the verdict is about at first: the installed one, else the one that wrote the file."""
    here = installed_version()
    version = getattr(file, "version", None)
    return here or (".".join(map(str, version)) if version else DEFAULT_VERSION)


def _algorithm_of(file: ScaleFile) -> str:
    found = getattr(file, "algorithm", "")
    return found if found in KNOWN_ALGORITHMS else KNOWN_ALGORITHMS[0]


def _title(file: ScaleFile) -> str:
    return printable(Path(file.source).name or file.source)


def _facts_text(file: ScaleFile) -> str:
    if isinstance(file, CalibrationCache):
        parts = ["a legacy table" if file.legacy else printable(file.header), count_of(len(file.rows), "row")]
        if file.version:
            parts.insert(1, f"TensorRT {_version_of(file)}")
    else:
        parts = [describe_format(file.format), count_of(len(file.amax), "row")]
    return " · ".join(parts)


def _summary(facts: CacheFacts) -> dict[str, Any]:
    """Return what stays the same while the user looks around."""
    groups = [{"key": ALL, "label": "all", "count": f"{len(facts.names):,}", "severity": "", "text": ""}]
    groups += [
        {
            "key": group.key,
            "label": group.label,
            "count": f"{len(group.rows):,}",
            "severity": group.severity,
            "text": printable(group.text),
        }
        for group in facts.groups
    ]
    other = facts.other
    return {
        "title": ("A  " if other else "") + shorten_middle(_title(facts.file), 120),
        "path": printable(facts.file.source),
        "facts": _facts_text(facts.file) + (f" · model {printable(facts.model_name)}" if facts.model_name else ""),
        "other": f"B  {shorten_middle(_title(other), 120)}   {_facts_text(other)}" if other else None,
        "has_header": isinstance(facts.file, CalibrationCache),
        "versions": list(_VERSIONS),
        "algorithms": list(KNOWN_ALGORITHMS),
        "groups": groups,
        "remarks": [[severity, printable(text)] for severity, text in facts.remarks],
    }
