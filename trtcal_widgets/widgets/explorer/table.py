"""The tensor list and the overview, as columns: what 3,000 tensors cost is counted in bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.widgets.kit.formatting import exact, plot_text, round_for_row, typeset
from trtcal_widgets.widgets.kit.network import BoxFacts, level_of, network_state, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.session import CalibrationSession, TensorRow

_MOST_SHORT = 10
_LONGEST_SHORT = 13
_AXIS_LETTERS = 69
"""Letters that stand side by side below the overview where the notebook is narrow."""

_DECADES = 6
"""How many decades the overview's log axis has at most."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Facts of every tensor that never change, one entry per tensor in graph order.

    ``places`` are those that get a row in the cache; ``labels`` and ``short_labels`` name them for Plotly; ``state`` is
    what the list gets once, ``network_rows`` the room of the network's picture.
    """

    cached: tuple[bool, ...]
    index: Mapping[str, int]
    places: NDArray[np.int32]
    labels: tuple[str, ...]
    short_labels: tuple[str, ...]
    state: Mapping[str, Any]
    network_rows: int


def build_columns(session: CalibrationSession) -> Columns:
    """Return the facts of every tensor."""
    graph, names = session.graph, session.tensors
    cached = tuple(graph.tensors[name].kind is not TensorKind.WEIGHT for name in names)
    places = np.flatnonzero(np.array(cached, dtype=bool)).astype(np.int32)
    letters = _letters([len(names[i]) for i in places[:_MOST_SHORT]])
    ops = [printable(graph.op_type(name)) for name in names]
    at = {op: k for k, op in enumerate(sorted(set(ops)))}
    return Columns(
        cached=cached,
        index={name: i for i, name in enumerate(names)},
        places=places,
        labels=tuple(plot_text(names[i]) for i in places),
        short_labels=tuple(plot_text(names[i], letters) for i in places[:_MOST_SHORT]),
        state={
            "names": [printable(name) for name in names],
            "op_names": list(at),
            "ops": [at[op] for op in ops],
            "cached": [int(c) for c in cached],
            "group": [len(graph.group_of(name)) for name in names],
        },
        network_rows=rows_of(graph),
    )


def _letters(lengths: Sequence[int]) -> int:
    """Return how many letters a name may have below its column, so that neighbours do not run into each other."""

    def fits(most: int) -> bool:
        cut = [min(length, most) for length in lengths]
        return all(a + b <= 2 * room for a, b in pairwise(cut))

    room = _AXIS_LETTERS / max(len(lengths), 1) - 0.8
    return next((most for most in range(_LONGEST_SHORT, 3, -1) if fits(most)), 3)


def row_columns(rows: Sequence[TensorRow], method_names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the rows' numbers as JSON columns; ``method`` are places in ``method_names``."""
    at = {name: k for k, name in enumerate(method_names)}
    return {
        "has": [int(row.has_data) for row in rows],
        "amax": [round_for_row(row.amax) for row in rows],
        "sqnr": [round_for_row(row.sqnr_db) for row in rows],
        "dis": [round_for_row(row.disagreement) for row in rows],
        "mine": [int(row.mine) for row in rows],
        "odd": ["; ".join(row.suspicious) for row in rows],
        "method": [at[row.method] for row in rows],
    }


def rows_network(session: CalibrationSession, rows: Sequence[TensorRow], columns: Columns) -> dict[str, Any]:
    """Return the neighbourhood of the chosen tensor, with what the rows say of each; nothing before there are rows."""

    def facts(name: str) -> BoxFacts:
        at = columns.index.get(name)
        row = rows[at] if rows and at is not None else None
        if row is None or not row.amax > 0:
            return BoxFacts()
        sqnr = "" if math.isnan(row.sqnr_db) else f", SQNR {typeset(row.sqnr_db)} dB"
        return BoxFacts(f"±{typeset(row.amax)}", level_of(row.sqnr_db), f"threshold ±{exact(row.amax)}{sqnr}")

    state = network_state(session.graph, session.state.selected, facts, columns.network_rows)
    return {**state, "note": "thresholds, coloured by SQNR" if any(box["value"] for box in state["boxes"]) else ""}


@dataclass(frozen=True, eq=False)
class Overview:
    """Ranges of the calibrated tensors in graph order, split into the two sides of a log axis.

    ``positive`` and ``negative`` are the largest value and minus the smallest (float32, nan where that side is empty),
    ``amax`` the thresholds that hold (nan without one), ``mine`` the positions of the user's own. ``places`` are
    indices in the table; ``floor`` and ``ceiling`` end the axis, ``beyond`` counts those that it does not show.
    """

    places: NDArray[np.int32]
    labels: tuple[str, ...]
    short_labels: tuple[str, ...]
    positive: NDArray[np.float32]
    negative: NDArray[np.float32]
    amax: NDArray[np.float32]
    mine: NDArray[np.int32]
    floor: float
    ceiling: float
    beyond: int


def build_overview(rows: Sequence[TensorRow], columns: Columns) -> Overview:
    """Return the ranges of all tensors that get a row in the cache."""
    shown = [rows[i] for i in columns.places.tolist()]
    maximum = np.array([row.maximum for row in shown], np.float32)
    minimum = np.array([row.minimum for row in shown], np.float32)
    amax = np.array([row.amax for row in shown], np.float32)
    amax[~(amax > 0)] = np.nan
    positive = np.where(maximum > 0, maximum, np.nan).astype(np.float32)
    negative = np.where(minimum < 0, -minimum, np.nan).astype(np.float32)
    floor, ceiling = _ends(np.concatenate([positive, negative, amax]))
    largest = np.fmax(positive, negative).astype(np.float64)  # the axis may end beyond float32
    return Overview(
        places=columns.places,
        labels=columns.labels,
        short_labels=columns.short_labels,
        positive=positive,
        negative=negative,
        amax=amax,
        mine=np.flatnonzero([row.mine for row in shown]).astype(np.int32),
        floor=floor,
        ceiling=ceiling,
        beyond=int(np.count_nonzero((largest < floor) | (largest > ceiling))),
    )


def _ends(values: NDArray[np.float32]) -> tuple[float, float]:
    """Whole decades around the values, so that the axis moves seldom.

    Where there are too many decades, the ones that hold the most values: one attention mask of -3e38 does not hide all
    other tensors.
    """
    found = np.log10(values[np.isfinite(values)].astype(np.float64))
    if not found.size:
        return 1e-2, 1e1
    top = float(np.ceil(found.max() + 0.02))
    low = float(np.floor(found.min() - 0.3))
    if top - low > _DECADES:
        tops = np.arange(low + _DECADES, top + 1)
        held = [np.count_nonzero((found >= end - _DECADES) & (found <= end)) for end in tops]
        top = float(tops[len(tops) - 1 - int(np.argmax(held[::-1]))])
        low = top - _DECADES
    return 10.0**low, 10.0**top
