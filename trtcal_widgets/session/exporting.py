"""From the numbers of a session to scales in a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import kind_of, one_of
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.header import (
    CONSTANT_ROWS_FROM,
    NETWORK_ROWS_BEFORE,
    NETWORK_ROWS_FROM,
    constant_row,
    parse_version,
)
from trtcal_widgets.formats.scales import scales_of_amaxes
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.rows import constants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trtcal_widgets.common.files import ReadFiles
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.session.numbers import View
    from trtcal_widgets.session.state import SessionState

_AFTER_FUSION = frozenset({"EntropyCalibration", "LegacyCalibration"})
"""Algorithms whose caches lack the rows inside fused kernels, and whose pools have scales of their own."""

_ALGORITHMS = {"entropy": "EntropyCalibration2", "minmax": "MinMaxCalibration", "legacy": "LegacyCalibration"}


def rows_to_write(graph: ModelGraph, rows: str | Iterable[str], check: Callable[[str], object]) -> tuple[str, ...]:
    """Return the tensors that ``rows`` means; ``check`` raises for a name that can have no row."""
    if isinstance(rows, str) and rows == "tensorrt":
        return graph.calibrated
    if isinstance(rows, str) and rows == "activations":
        return tuple(n for n in graph.calibrated if graph.tensors[n].kind is not TensorKind.CONSTANT)
    if isinstance(rows, str) or not np.iterable(rows):
        shown = repr(rows) if isinstance(rows, str) else kind_of(rows)
        raise UsageError(f"rows is 'tensorrt', 'activations' or a list of names, not {shown}")
    wanted = list(rows)
    for name in wanted:
        check(name)
    return tuple(dict.fromkeys(wanted))


def cache_of(
    graph: ModelGraph,
    view: View,
    state: SessionState,
    rows: str | Iterable[str],
    names: Sequence[str],
    algorithm: str | None,
    version: str,
    infinite: str,
    inputs: ReadFiles | None = None,
) -> CalibrationCache:
    """Return the scales of those tensors that have values or a choice; ``names`` are what ``rows`` means.

    ``infinite`` says what is written where TensorRT's scale is infinite: ``"finite"`` ours, ``"tensorrt"`` infinity.
    ``inputs``: files that the cache is never written in the place of.
    """
    theirs = one_of(infinite, ("finite", "tensorrt"), "infinite") == "tensorrt"
    if theirs and not view.in_order:
        raise UsageError("infinite='tensorrt' needs range_mode='tensorrt': two passes know no first batch")
    if not view.batches:
        raise SessionError(
            "no batch is counted yet, so there are no scales to export: record one first (in Python: run() or step())"
        )
    algorithm = algorithm or _ALGORITHMS.get(state.method.kind, "EntropyCalibration2")
    if has_network_rows(graph, version):
        fused, legacy = algorithm in _AFTER_FUSION, algorithm == "LegacyCalibration"
        wanted = tuple(row for row in graph.trt8.rows if not (fused and (row.fused or (legacy and row.joins))))
        if not (isinstance(rows, str) and rows == "tensorrt"):
            chosen = frozenset(names)
            wanted = tuple(row for row in wanted if (row.own or row.tensor) in chosen)
        of_rows = zip(wanted, view.network_thresholds(wanted, state, shared=not fused, infinite=theirs), strict=True)
        found = {row.name: amax for row, amax in of_rows if not math.isnan(amax)}
    else:
        counted = zip(names, view.histograms(names), strict=True)
        known = [name for name, h in counted if h.n_values or graph.group_of(name)[0] in state.choices]
        constants = frozenset(constants_of(graph)) if parse_version(version) >= CONSTANT_ROWS_FROM else frozenset()
        keys = [constant_row(name) if name in constants else name for name in known]
        found = dict(zip(keys, view.thresholds(known, state, infinite=theirs), strict=True))
    scales = {row: float(scale) for row, scale in zip(found, scales_of_amaxes(list(found.values())), strict=True)}
    numbers = state.method.legacy
    built = CalibrationCache.build(scales, algorithm=algorithm, version=version, legacy=numbers, infinite=theirs)
    return built if inputs is None else built.beside(inputs)


def has_network_rows(graph: ModelGraph, version: str) -> bool:
    """Whether a TensorRT writes the rows of :attr:`ModelGraph.trt8`."""
    return bool(graph.trt8.rows) and NETWORK_ROWS_FROM <= parse_version(version) < NETWORK_ROWS_BEFORE


def left_out(graph: ModelGraph, view: View, state: SessionState, version: str) -> tuple[tuple[str, str], ...]:
    """Return the rows that TensorRT 8.x writes and :func:`cache_of` cannot, and why."""
    if not has_network_rows(graph, version):
        return ()
    rows = graph.trt8.rows
    found = zip(rows, view.network_thresholds(rows, state), strict=True)
    empty = ((row.name, "nothing was counted for it") for row, amax in found if math.isnan(amax))
    return (*graph.trt8.left_out, *empty)
