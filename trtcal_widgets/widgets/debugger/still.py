"""The debugger as a picture: scores, SQNR along the graph, what each layer alone costs, the chosen tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.palette import INT8, LAYER_OUT, LAYER_OWN, MINE, PLAN, style_of
from trtcal_widgets.drawing.canvas import accent, name_of, plain_log_ticks, text_of, theme_of, to_png
from trtcal_widgets.widgets.debugger.detail import build_sqnr_plot, build_tensor_plot
from trtcal_widgets.widgets.debugger.summary import loss_text, value_text
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trtcal_widgets.debug.controller import AccuracyDebugging

_LAYERS = 10


def debugger_picture(debugging: AccuracyDebugging, *, width: int = 1000, dark: bool = False) -> bytes:
    """Return what the debugger shows as a PNG; before the first run it says so."""
    return to_png(lambda figure: _draw(figure, debugging, dark=dark), width, 0.72, dark=dark)


def _draw(figure: Figure, debugging: AccuracyDebugging, *, dark: bool) -> None:
    comparison = debugging.state.comparison
    title = text_of(f"{debugging.model.graph.name}   ·   {_scores(debugging)}")
    figure.suptitle(title, x=0.01, y=0.985, va="top", ha="left", fontsize=10)
    if comparison is None:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "FP32 and INT8 are not compared yet: press run.", ha="center", va="center", fontsize=11)
        return
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.05], width_ratios=[1, 1.3])
    figure.subplots_adjust(left=0.125, right=0.985, top=0.88, bottom=0.085, hspace=0.42, wspace=0.2)
    _draw_sqnr(figure.add_subplot(grid[0, :]), debugging, dark=dark)
    _draw_layers(figure.add_subplot(grid[1, 0]), debugging, dark=dark)
    _draw_tensor(figure.add_subplot(grid[1, 1]), debugging, dark=dark)


def _scores(debugging: AccuracyDebugging) -> str:
    state = debugging.state
    if state.comparison is None:
        return debugging.evaluation.describe()
    fp32 = state.comparison.fp32
    parts = [f"{fp32.measure}: FP32 {value_text(fp32)}", f"INT8 {value_text(state.comparison.int8)}"]
    if state.planned is not None:
        parts.append(f"with the plan {value_text(state.planned)}")
    old = f"\nout of date: {'; '.join(state.stale)}" if state.stale else ""
    return "   ".join(parts) + old


def _draw_sqnr(axes: Axes, debugging: AccuracyDebugging, *, dark: bool) -> None:
    plot, theme = build_sqnr_plot(debugging), theme_of(dark=dark)
    axes.plot(plot.accumulated, color=INT8[theme], marker="o", markersize=4, label="all layers in INT8")
    if plot.planned.size:
        label = f"with your plan{' (out of date)' if plot.outdated else ''}"
        axes.plot(plot.planned, "--", color=PLAN[theme], marker="o", markerfacecolor="none", markersize=6, label=label)
    axes.plot(plot.layer_x, plot.own, "s", markersize=5, color=LAYER_OWN[theme], label="alone, own output")
    axes.plot(plot.layer_x, plot.outputs, "D", markersize=5, color=LAYER_OUT[theme], label="alone, at outputs")
    axes.set_ylabel("SQNR (dB)")
    axes.set_xlim(-0.6, max(len(plot.names), 1) - 0.4)
    if len(plot.names) <= 16:
        axes.set_xticks(range(len(plot.names)), [name_of(name, 14) for name in plot.names])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False, borderaxespad=0.1)


def _draw_layers(axes: Axes, debugging: AccuracyDebugging, *, dark: bool) -> None:
    ranking = (debugging.state.ranking or ())[:_LAYERS][::-1]
    kept = set(debugging.state.plan.keep)
    places = np.arange(len(ranking))
    colors = [accent("bars" if r.node in kept else "error", dark=dark) for r in ranking]
    axes.barh(places, [max(r.loss, 0.0) for r in ranking], color=colors, height=0.6)
    for place, r in enumerate(ranking):
        axes.text(max(r.loss, 0.0), place, f" {loss_text(r.loss, r.score)}", va="center", fontsize=8)
    axes.set_yticks(places, [name_of(r.node, 18) + (" (kept)" if r.node in kept else "") for r in ranking])
    axes.margins(x=0.25)
    measure = ranking[0].score.measure if ranking else "accuracy"
    axes.set_title(f"each layer alone in INT8: loss of {measure}", loc="left", fontsize=9)
    axes.grid(visible=False, axis="y")


def _draw_tensor(axes: Axes, debugging: AccuracyDebugging, *, dark: bool) -> None:
    name = debugging.session.state.selected
    plot, theme = build_tensor_plot(debugging, name), theme_of(dark=dark)
    axes.set_title(name_of(name) + (f"   ±{typeset(plot.amax)}" if plot.amax > 0 else ""), loc="left", fontsize=9)
    if not plot.reference.n_finite:
        axes.set_axis_off()
        axes.text(0.5, 0.5, text_of(plot.note or "no finite value"), ha="center", va="center")
        return
    for histogram, color, label, fill in (
        (plot.reference, accent("bars", dark=dark), "FP32", True),
        (plot.tested, INT8[theme], "INT8", False),
    ):
        edges = np.linspace(0.0, histogram.range or 1.0, len(histogram.counts) + 1)
        axes.stairs(histogram.counts.astype(np.float64), edges, fill=fill, color=color, label=label)
    axes.set_yscale("log")
    plain_log_ticks(axes)
    axes.set_ylim(0.7, max(float(plot.reference.counts.max()), 1.0) * 3)
    end = max(plot.reference.amax, plot.tested.amax) or 1.0
    if plot.amax > 0:
        axes.axvline(plot.amax, color=style_of(MINE).color(theme), linewidth=2, label="±amax")
        end = max(end, plot.amax) if plot.amax < 3 * end else end
    axes.set_xlim(0, end * 1.03)
    axes.set_xlabel("|x|")
    axes.set_ylabel("values per bin")
    axes.legend(loc="upper right", fontsize=8)
