"""The report's pictures: a tensor's histogram, the ranges of all tensors, the errors along the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.palette import METHOD_STYLES, MINE, style_of
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.drawing.canvas import name_of, plain_log_ticks, text_of
from trtcal_widgets.drawing.svg import ink, to_svg
from trtcal_widgets.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

_COLUMNS = 240
_FAR = 1e6
"""A tensor this many times larger than nine in ten others is cut off, so that the others can be told apart."""


@dataclass(frozen=True)
class Mark:
    """A threshold in a histogram: its method's label, amax in the tensor's unit, whether it is the chosen one."""

    label: str
    amax: float
    chosen: bool


@dataclass(frozen=True)
class RangeBar:
    """One tensor in the overview; all in the tensor's unit, ``mine`` where the user chose."""

    name: str
    rms: float
    largest: float
    amax: float
    method: str
    mine: bool

    @property
    def drawable(self) -> bool:
        """Whether there is a range to be drawn on a log axis."""
        return 0 < self.largest < math.inf


def _ink_of(label: str) -> str:
    style = style_of(label)
    return ink(next(kind for kind, known in METHOD_STYLES.items() if known is style))


@cache
def method_swatch(label: str) -> Html:
    """Return a piece of the line that a method is drawn with."""

    def draw(figure: Figure) -> None:
        axes = axes_in(figure, (0, 0, 1, 1))
        axes.set_axis_off()
        axes.axhline(0.5, 0.03, 0.97, color=_ink_of(label), linestyle=style_of(label).mpl_dash, linewidth=1.6)

    return Html(to_svg(draw, 34, 12, label=f"line of {label}", kind="swatch"))


def axes_in(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Return axes over this share of the figure (left, bottom, width, height), with little around them."""
    axes = figure.add_axes(box)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(ink("faint"))
    axes.grid(visible=False, axis="x")
    axes.tick_params(length=0)
    return axes


_BESIDE = 1.5
"""Thresholds up to so many times the largest value are on the axis; those beyond are named at its edge."""


def histogram_picture(histogram: Histogram, marks: Sequence[Mark], name: str) -> Html:
    """Return |x| of a tensor on a linear axis, counts on a log axis, and the thresholds as lines.

    What lies beyond the chosen threshold is shaded: it is clipped.
    """
    near = (m.amax for m in marks if m.amax <= _BESIDE * histogram.amax)
    end = max([histogram.amax, *near], default=1.0) * 1.03 or 1.0
    counts = _columns(histogram, end)
    chosen = next((m.amax for m in marks if m.chosen), 0.0)

    def draw(figure: Figure) -> None:
        axes = axes_in(figure, (0.105, 0.16, 0.87, 0.79))
        # A single value must be seen: it stands as high as one and a half.
        heights = np.where(counts > 0, np.maximum(counts, 1.4), 1.0)
        axes.stairs(heights, np.linspace(0.0, end, _COLUMNS + 1), baseline=1.0, fill=True, color=ink("bars"))
        axes.set_yscale("log")
        axes.set_ylim(1.0, max(float(counts.max(initial=1.0)), 9.0) ** 1.05)
        axes.set_xlim(0.0, end)
        plain_log_ticks(axes)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("|x|", color=ink("faint"), labelpad=0)
        if 0 < chosen < histogram.amax:
            axes.axvspan(chosen, histogram.amax, color=ink("clip"), linewidth=0)
        off = [mark for mark in marks if mark.amax > end]
        for k, mark in enumerate(off):
            axes.text(
                0.99, 0.97 - 0.1 * k, text_of(f"{mark.label} {significant(mark.amax)} →"), transform=axes.transAxes,
                ha="right", va="top", fontsize=8, color=_ink_of(mark.label),
            )  # fmt: skip
        for mark in marks:
            if 0 < mark.amax <= end:
                dash, width = style_of(mark.label).mpl_dash, 3.0 if mark.chosen else 1.6
                axes.axvline(mark.amax, color=_ink_of(mark.label), linestyle=dash, linewidth=width)

    label = f"Histogram of {printable(name)}: {', '.join(f'{m.label} {significant(m.amax)}' for m in marks)}"
    return Html(to_svg(draw, 380, 190, label=label))


def _columns(histogram: Histogram, end: float) -> NDArray[np.float64]:
    """Return the counts in equal columns over [0, end)."""
    edges = np.arange(N_BINS) * (histogram.range / N_BINS if histogram.range else 1.0)
    column = np.minimum((edges / end * _COLUMNS).astype(int), _COLUMNS)
    counts = np.bincount(column, weights=histogram.counts.astype(np.float64), minlength=_COLUMNS + 1)
    return np.asarray(counts[:_COLUMNS], np.float64)


def overview_picture(bars: Sequence[RangeBar]) -> Html:
    """Return all tensors in graph order on a log axis: from typical to largest |x|, the threshold as a mark."""
    from matplotlib.collections import LineCollection, PolyCollection

    low, high = _decades(bars)
    half = min(0.36, 11.0 * max(len(bars), 1) / 1040)
    shown = [(k, bar) for k, bar in enumerate(bars) if bar.drawable]
    marked = [(k, bar) for k, bar in shown if 0 < bar.amax < math.inf]

    def draw(figure: Figure) -> None:
        axes = axes_in(figure, (0.047, 0.13, 0.945, 0.83))
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        plain_log_ticks(axes)

        def add(made: LineCollection | PolyCollection, which: Sequence[tuple[int, RangeBar]]) -> None:
            made.set_urls([str(k) for k, _ in which])
            made.set_clip_on(False)
            axes.add_collection(made, autolim=False)

        corners = [(k, *np.clip((max(bar.rms, 1e-300), bar.largest), low, high)) for k, bar in shown]
        boxes = [[(k - half, a), (k + half, a), (k + half, b), (k - half, b)] for k, a, b in corners]
        add(PolyCollection(boxes, facecolors=ink("bars"), linewidths=0), shown)
        reach = min(0.48, 14.0 * max(len(bars), 1) / 1040)
        at = [(k, float(np.clip(bar.amax, low, high))) for k, bar in marked]
        lines = [[(k - reach, y), (k + reach, y)] for k, y in at]
        add(LineCollection(lines, colors=[_ink_of(bar.method) for _, bar in marked], linewidths=2.4), marked)
        beyond = [k for k, bar in shown if bar.largest > high]
        axes.plot(beyond, [high] * len(beyond), "^", color=ink("severe"), markersize=7, clip_on=False)
        mine = [(k, y) for (k, y), (_, bar) in zip(at, marked, strict=True) if bar.mine]
        axes.plot(*np.reshape(mine, (-1, 2)).T, "D", color=ink(MINE), mec=ink("page"), markersize=7, clip_on=False)
        _name_tensors(axes, [bar.name for bar in bars])

    label = f"Ranges of {count_of(len(bars), 'tensor')} in graph order"
    return Html(to_svg(draw, 1100, 280, label=label, hover=[_bar_text(bar) for bar in bars], kind="plot overview"))


def _decades(bars: Sequence[RangeBar]) -> tuple[float, float]:
    """Return the powers of ten between which bars are drawn."""
    sizes = sorted(v for bar in bars for v in (bar.largest, bar.amax) if 0 < v < math.inf)
    if not sizes:
        return 0.1, 10.0
    usual = sizes[int(0.9 * (len(sizes) - 1))]
    high = sizes[-1] if sizes[-1] < _FAR * usual else usual * 1e2
    typical = sorted(max(bar.rms, bar.largest * 1e-4) for bar in bars if bar.drawable)
    low = max(typical[len(typical) // 50], high * 1e-8)
    ends = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return 10.0 ** ends[0], 10.0 ** max(ends[1], ends[0] + 1)


def _bar_text(bar: RangeBar) -> str:
    return (
        f"{printable(bar.name)}\nlargest |x| {significant(bar.largest)}, rms {significant(bar.rms)}\n"
        f"threshold {significant(bar.amax)} ({bar.method})"
    )


def _name_tensors(axes: Axes, names: Sequence[str]) -> None:
    """Name the places along the x axis, or number them where there are many."""
    axes.set_xlim(-0.5, max(len(names), 1) - 0.5)
    if len(names) <= 14:
        fits = max(int(1040 / max(len(names), 1) / 7), 4)
        axes.set_xticks(range(len(names)), [name_of(name, fits) for name in names])
        return
    step = next(s for s in (5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10**6) if len(names) / s <= 14)
    numbers = range(step, len(names) + 1, step)
    axes.set_xticks([k - 1 for k in numbers], [str(k) for k in numbers])
    axes.set_xlabel("tensor in graph order", color=ink("faint"), labelpad=0)


def layers_picture(points: Sequence[tuple[str, float]]) -> Html:
    """Return SQNR in dB of tensors in graph order: where the line falls, accuracy is lost.

    ``points``: (name, SQNR in dB); what is not finite is left out.
    """
    known = [(k, value) for k, (_, value) in enumerate(points) if math.isfinite(value)]
    places, values = [k for k, _ in known], [value for _, value in known]
    high = max(10.0 * math.ceil(max(values, default=10.0) / 10.0), 10.0)
    low = min(0.0, 10.0 * math.floor(min(values, default=0.0) / 10.0))

    def draw(figure: Figure) -> None:
        axes = axes_in(figure, (0.04, 0.16, 0.952, 0.79))
        axes.set_ylim(low, high)
        axes.locator_params(axis="y", nbins=7, steps=[1, 2, 5, 10])
        axes.plot(places, values, color=ink("bars"), linewidth=1, clip_on=False)
        size = 2 * min(max(1040 / max(len(points), 1) * 0.3, 1.2), 4.0)
        dots = axes.scatter(places, values, s=size**2, color=ink("link"), linewidths=0, clip_on=False, zorder=3)
        dots.set_urls([str(k) for k in places])
        _name_tensors(axes, [name for name, _ in points])

    hover = [f"{printable(name)}\n{decibels(value)}" for name, value in points]
    label = f"SQNR of {count_of(len(points), 'tensor')} in graph order"
    return Html(to_svg(draw, 1100, 220, label=label, hover=hover, kind="plot overview"))
