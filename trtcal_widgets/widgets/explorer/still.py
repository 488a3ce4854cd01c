"""The explorer as a picture: the selected tensor's histogram, its objective, and all tensors' ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.figures import decibels, percent
from trtcal_widgets.common.palette import MINE, style_of
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.drawing.canvas import accent, name_of, plain_log_ticks, set_log_range, text_of, theme_of, to_png
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex
from trtcal_widgets.session.rows import calibrated_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trtcal_widgets.session import CalibrationSession, TensorRow

__all__ = ["draw_explorer", "explorer_picture"]


def explorer_picture(session: CalibrationSession, *, width: int = 1000, dark: bool = False) -> bytes:
    """Return what the explorer shows of the selected tensor as a PNG; without data it says so."""
    return to_png(lambda figure: draw_explorer(figure, session, dark=dark), width, 0.72, dark=dark)


_BESIDE = 1.5
"""Thresholds up to so many times the largest value are on the axis, as on the screen."""

METHODS_SHOWN = ("entropy", "minmax", "percentile", "mse")


def draw_explorer(figure: Figure, session: CalibrationSession, *, dark: bool) -> None:
    """Draw the state of a session on an empty figure; without data say so."""
    status, name = session.status, session.state.selected
    of = "" if status.n_batches is None else f" of {status.n_batches:,}"
    figure.suptitle(
        text_of(f"{session.graph.name}   ·   batch {session.state.position:,}{of}   ·   {_method_text(session)}"),
        x=0.01, y=0.985, va="top", ha="left", fontsize=10,
    )  # fmt: skip
    histogram = session.histogram(name)
    if histogram.n_finite == 0:
        axes = figure.subplots()
        axes.set_axis_off()
        why = "No batch is counted yet: run() or step() first." if not session.state.position else "It has no data."
        axes.text(0.5, 0.5, f"{name_of(name)}\n{why}", ha="center", va="center", fontsize=11)
        return
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[3.2, 1.5, 2.2])
    # A fixed layout: matplotlib's own would take as long as the drawing.
    figure.subplots_adjust(left=0.08, right=0.985, top=0.865, bottom=0.075, hspace=0.34)
    thresholds = _thresholds(session, name)
    _draw_histogram(top, session, name, thresholds, dark=dark)
    _draw_objective(middle, session, name, thresholds, dark=dark)
    middle.sharex(top)
    _draw_overview(bottom, session, dark=dark)


def _method_text(session: CalibrationSession) -> str:
    mine = len(session.state.choices)
    return f"{session.state.method.label} for all" + (f", {count_of(mine, 'choice')} of your own" if mine else "")


def _thresholds(session: CalibrationSession, name: str) -> Mapping[str, float]:
    """Label of every line -> amax, the user's own last."""
    lines = {method: session.amax(name, method) for method in METHODS_SHOWN}
    choice = session.choice(name)
    if choice is not None and choice.method is not None:
        lines.setdefault(choice.method.kind, session.amax(name))
    if choice is not None and choice.amax is not None:
        lines[MINE] = session.amax(name)
    return lines


def _draw_histogram(
    axes: Axes, session: CalibrationSession, name: str, thresholds: Mapping[str, float], *, dark: bool
) -> None:
    histogram, amax = session.histogram(name), session.amax(name)
    counts = histogram.counts.astype(np.float64)
    edges = np.linspace(0.0, histogram.range or 1.0, len(counts) + 1)
    # One absurd threshold does not press the data to the left: it stands in the legend with an arrow.
    near = [value for value in thresholds.values() if value <= _BESIDE * histogram.amax]
    shown = min(int(np.searchsorted(edges, max([histogram.amax, *near]) * 1.04)) + 1, len(counts))
    axes.stairs(counts[:shown], edges[: shown + 1], fill=True, color=accent("bars", dark=dark))
    axes.set_yscale("log")
    plain_log_ticks(axes)
    axes.set_ylim(0.7, max(counts.max(), 1.0) * 3)
    right = max([float(edges[shown]), *(value * 1.04 for value in near)])
    axes.set_xlim(0.0, right or 1.0)
    if amax < right:
        axes.axvspan(amax, right, color=accent("clipped", dark=dark), alpha=0.25, linewidth=0)
    for label, value in thresholds.items():
        style, seen = style_of(label), value <= right
        axes.axvline(
            value if seen else -1.0, color=style.color(theme_of(dark=dark)), linestyle=style.mpl_dash,
            lw=3 if label == MINE else 1.8, label=f"{label}  ±{significant(value)}{'' if seen else ' →'}",
        )  # fmt: skip
    axes.legend(loc="upper right", ncols=len(thresholds), fontsize=8)
    axes.set_ylabel("values per bin")
    cost, hexes = session.cost(name), scale_to_hex(float(scale_of_amax(amax)))
    axes.set_title(
        f"{name_of(name)}   ({text_of(session.graph.op_type(name))})\n"
        f"±{significant(amax)} chosen   scale {significant(session.scale(name))}   "
        f"0x{hexes}   SQNR {decibels(cost.sqnr_db)}   clipped {percent(cost.clipped_fraction)}\n"
        f"mean squared error: clipping {significant(cost.clip_noise)}   rounding {significant(cost.rounding_noise)}",
        loc="left", fontsize=9,
    )  # fmt: skip


def _draw_objective(
    axes: Axes, session: CalibrationSession, name: str, thresholds: Mapping[str, float], *, dark: bool
) -> None:
    """Draw the objective of the method in use, or entropy's where the threshold is the user's own."""
    choice = session.choice(name)
    method = session.state.method if choice is None else choice.method
    curve = session.curve(session.group(name)[0], method or "entropy")
    style = style_of(str(curve.method))
    finite = np.isfinite(curve.objective)
    axes.plot(curve.candidates[finite], curve.objective[finite], color=style.color(theme_of(dark=dark)), linewidth=1.5)
    if finite.any() and 0 <= curve.pick - 128 < len(finite) and finite[curve.pick - 128]:
        axes.plot(
            [curve.candidates[curve.pick - 128]], [curve.objective[curve.pick - 128]],
            marker=style.mpl_marker, markersize=7, color=style.color(theme_of(dark=dark)),
        )  # fmt: skip
    else:
        axes.set_title("no candidate can be told from another", loc="left", fontsize=8)
    for label, value in thresholds.items():
        line = style_of(label)
        axes.axvline(value, color=line.color(theme_of(dark=dark)), linestyle=line.mpl_dash, linewidth=1, alpha=0.7)
    axes.set_ylabel(curve.objective_label)
    axes.set_xlabel("|x|, the tensor's unit")


def _draw_overview(axes: Axes, session: CalibrationSession, *, dark: bool) -> None:
    """Draw max |x| of every tensor as a bar and its chosen threshold as a mark, in graph order."""
    rows = [row for row in calibrated_rows(session) if row.has_data]
    position = np.arange(len(rows))
    largest = np.array([row.minmax_amax for row in rows])
    chosen = np.array([row.amax for row in rows])
    set_log_range(axes, np.concatenate([largest, chosen]))
    floor = axes.get_ylim()[0]
    axes.vlines(
        position, floor, np.maximum(largest, floor), color=accent("bars", dark=dark), linewidth=_bar_width(rows)
    )
    for label in dict.fromkeys(row.method for row in rows):
        style = style_of(label)
        has = np.array([row.method == label for row in rows])
        axes.plot(
            position[has], np.maximum(chosen[has], floor), linestyle="none", marker=style.mpl_marker,
            markersize=5 if len(rows) < 200 else 3, color=style.color(theme_of(dark=dark)), label=f"±amax by {label}",
        )  # fmt: skip
    selected = [i for i, row in enumerate(rows) if row.name == session.state.selected]
    for i in selected:
        axes.axvspan(i - 0.5, i + 0.5, color=accent("selected", dark=dark), alpha=0.3, linewidth=0)
    axes.set_xlim(-0.8, len(rows) - 0.2)
    axes.set_ylabel("max |x| and ±amax")
    axes.set_xlabel("tensors in graph order")
    if len(rows) <= 16:
        axes.set_xticks(position, [name_of(row.name, 14) for row in rows])
    axes.grid(visible=False, axis="x")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, frameon=False, fontsize=8, ncols=4)


def _bar_width(rows: list[TensorRow]) -> float:
    return float(np.clip(500 / max(len(rows), 1), 0.4, 14))
