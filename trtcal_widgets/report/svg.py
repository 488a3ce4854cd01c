"""The report's pictures as SVG: text stays text, colours come from the page's CSS and follow its theme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.palette import MINE, style_of
from trtcal_widgets.common.words import printable, shorten_middle, significant
from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.report.html import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

__all__ = ["Mark", "RangeBar", "css_class", "histogram_svg", "layers_svg", "overview_svg", "swatch"]

DASHES = {"solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "8 3 2 3", "longdash": "12 4"}
"""Plotly's dash names, which the palette uses, as SVG dash arrays."""

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


def css_class(label: str) -> str:
    """Return the CSS class of a method's colour: ``m-entropy``, ``m-percentile``, ``m-mine``."""
    kind = label.partition(":")[0]
    if kind[:1] == "p" and kind[1:2].isdigit():
        kind = "percentile"
    return f"m-{kind if kind in ('entropy', 'minmax', 'percentile', 'mse', 'legacy') else MINE}"


def swatch(label: str) -> Html:
    """Return a piece of the line that a method is drawn with."""
    line = tag("line", x1=1, y1=6, x2=33, y2=6, stroke_dasharray=DASHES[style_of(label).dash] or None)
    return tag(
        "svg", line, class_=f"swatch {css_class(label)}", viewBox="0 0 34 12", width=34, height=12, aria_hidden="true"
    )


def _n(value: float) -> str:
    """Return a coordinate with one decimal, none where it is whole."""
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, anchor: str = "middle", class_: str | None = None) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), text_anchor=anchor, class_=class_)


def _line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Html:
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), **attributes)


def histogram_svg(histogram: Histogram, marks: Sequence[Mark], name: str) -> Html:
    """Return |x| of a tensor on a linear axis, counts on a log axis, and the thresholds as lines.

    What lies beyond the chosen threshold is shaded: it is clipped.
    """
    width, height, left, right, top, bottom = 380, 190, 40, 10, 10, 30
    end = max([histogram.amax, *(m.amax for m in marks if m.amax < 3 * histogram.amax)], default=1.0) * 1.03 or 1.0
    counts = _columns(histogram, end)
    high = max(math.log10(max(float(counts.max(initial=1.0)), 1.0)) * 1.05, 1.0)

    def x(value: float) -> float:
        return left + (width - left - right) * value / end

    def y(count: float) -> float:
        return top + (height - top - bottom) * (1.0 - math.log10(max(count, 1.0)) / high)

    floor = height - bottom
    parts = [_y_axis(high, left, width - right, y)]
    parts += [
        join([_line(x(v), floor, x(v), floor + 4, class_="axis"), _text(x(v), floor + 15, _tick(v))])
        for v in _nice_ticks(end)
    ]
    parts.append(tag("path", d=_steps(counts, left, width - right, floor, y), class_="bars"))
    chosen = next((m.amax for m in marks if m.chosen), 0.0)
    if 0 < chosen < histogram.amax:
        box = {"x": _n(x(chosen)), "y": top, "width": _n(x(histogram.amax) - x(chosen)), "height": floor - top}
        parts.append(tag("rect", class_="clipped", **box))
    parts.append(_line(left, floor, width - right, floor, class_="axis"))
    parts += [
        _line(
            x(m.amax), top, x(m.amax), floor,
            class_=f"mark {css_class(m.label)}{' chosen' if m.chosen else ''}",
            stroke_dasharray=DASHES[style_of(m.label).dash] or None,
        )
        for m in marks if 0 < m.amax <= end
    ]  # fmt: skip
    parts.append(_text((left + width - right) / 2, height - 2, "|x|", class_="faint"))
    title = f"Histogram of {printable(name)}: {', '.join(f'{m.label} {significant(m.amax)}' for m in marks)}"
    return tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="plot", role="img", aria_label=title)


def _columns(histogram: Histogram, end: float) -> NDArray[np.float64]:
    """Return the counts in equal columns over [0, end)."""
    edges = np.arange(N_BINS) * (histogram.range / N_BINS if histogram.range else 1.0)
    column = np.minimum((edges / end * _COLUMNS).astype(int), _COLUMNS)
    counts = np.bincount(column, weights=histogram.counts.astype(np.float64), minlength=_COLUMNS + 1)
    return np.asarray(counts[:_COLUMNS], np.float64)


def _steps(counts: NDArray[np.float64], left: float, right: float, floor: float, y: object) -> str:
    """Return one path: a step per run of equal heights, which is what keeps 2048 bins small."""
    assert callable(y)
    width = (right - left) / len(counts)
    parts = [f"M{_n(left)} {_n(floor)}"]
    at = floor
    for k, count in enumerate(counts):
        # A single value must be seen: it stands as high as one and a half.
        new = float(y(max(count, 1.4))) if count else floor
        if abs(new - at) >= 0.1:
            parts.append(f"H{_n(left + k * width)}V{_n(new)}")
            at = new
    return "".join([*parts, f"H{_n(right)}V{_n(floor)}Z"])


def _y_axis(high: float, left: float, right: float, y: object) -> Html:
    assert callable(y)
    step = 1 if high < 5 else 2
    lines = []
    for power in range(0, int(high) + 1, step):
        at = float(y(10.0**power))
        lines.append(_line(left, at, right, at, class_="grid"))
        lines.append(_text(left - 5, at + 3.5, _power(power), "end"))
    return join(lines)


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(power: int) -> str:
    return {0: "1", 1: "10", 2: "100", -1: "0.1"}.get(power, "10" + str(power).translate(_SUPERSCRIPT))


def _nice_ticks(end: float) -> list[float]:
    """Return about five round numbers from 0 on."""
    raw = end / 4.5
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((1, 2, 2.5, 5, 10), key=lambda s: abs(s * power - raw)) * power
    return [k * step for k in range(int(end / step) + 1)]


def _tick(value: float) -> str:
    return f"{value:.4g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def overview_svg(bars: Sequence[RangeBar]) -> Html:
    """Return all tensors in graph order on a log axis: from typical to largest |x|, the threshold as a mark."""
    width, left, right, top, bottom = 1100, 52, 8, 12, 34
    height = 280
    low, high = _decades(bars)
    floor = height - bottom

    def y(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return top + (floor - top) * (1.0 - min(max(share, 0.0), 1.0))

    step = max(1, math.ceil((high - low) / 8))
    parts: list[Html | None] = []
    for power in range(low, high + 1, step):
        at = y(10.0**power)
        parts.append(_line(left, at, width - right, at, class_="grid"))
        parts.append(_text(left - 6, at + 4, _power(power), "end"))
    slot = (width - left - right) / max(len(bars), 1)
    parts += [_bar(bar, left + (k + 0.5) * slot, slot, y, 10.0**high, top) for k, bar in enumerate(bars)]
    parts.append(_line(left, floor, width - right, floor, class_="axis"))
    parts.append(_x_names([bar.name for bar in bars], left, slot, floor))
    label = f"Ranges of {len(bars)} tensors in graph order"
    return tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="plot overview", role="img", aria_label=label)


def _decades(bars: Sequence[RangeBar]) -> tuple[int, int]:
    sizes = sorted(v for bar in bars for v in (bar.largest, bar.amax) if 0 < v < math.inf)
    if not sizes:
        return -1, 1
    usual = sizes[int(0.9 * (len(sizes) - 1))]
    high = sizes[-1] if sizes[-1] < _FAR * usual else usual * 1e2
    typical = sorted(max(bar.rms, bar.largest * 1e-4) for bar in bars if 0 < bar.largest < math.inf)
    low = max(typical[len(typical) // 50], high * 1e-8)
    ends = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return ends[0], max(ends[1], ends[0] + 1)


def _bar(bar: RangeBar, x: float, slot: float, y: object, ceiling: float, top: float) -> Html | None:
    assert callable(y)
    if not 0 < bar.largest < math.inf:
        return None
    half = min(slot * 0.36, 11.0)
    upper, lower = float(y(bar.largest)), float(y(max(bar.rms, 1e-300)))
    box = tag(
        "rect", x=_n(x - half), y=_n(upper), width=_n(2 * half), height=_n(max(lower - upper, 1.0)), class_="bars"
    )
    parts: list[Html] = [tag("title", _bar_text(bar)), box]
    if bar.largest > ceiling:
        parts.append(tag("path", d=f"M{_n(x)} {_n(top - 9)}l4 7h-8z", class_="beyond"))
    if 0 < bar.amax < math.inf:
        at, reach = float(y(bar.amax)), min(max(slot * 0.48, 0.9), 14.0)
        parts.append(_line(x - reach, at, x + reach, at, class_=f"amax {css_class(bar.method)}"))
        if bar.mine:
            parts.append(tag("path", d=f"M{_n(x)} {_n(at - 5)}l5 5l-5 5l-5 -5z", class_="diamond m-mine"))
    return tag("g", *parts)


def _bar_text(bar: RangeBar) -> str:
    return (
        f"{printable(bar.name)}\nlargest |x| {significant(bar.largest)}, rms {significant(bar.rms)}\n"
        f"threshold {significant(bar.amax)} ({bar.method})"
    )


def _x_names(names: Sequence[str], left: float, slot: float, floor: float) -> Html:
    if len(names) <= 14:
        fits = max(int(slot / 6.5), 4)
        return join(
            _text(left + (k + 0.5) * slot, floor + 16, shorten_middle(printable(name), fits))
            for k, name in enumerate(names)
        )
    step = next(s for s in (5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10**6) if len(names) / s <= 14)
    ticks = [_text(left + (k - 0.5) * slot, floor + 16, str(k)) for k in range(step, len(names) + 1, step)]
    middle = left + slot * len(names) / 2
    return join([*ticks, _text(middle, floor + 31, "tensor in graph order", class_="faint")])


def layers_svg(points: Sequence[tuple[str, float]]) -> Html:
    """Return SQNR in dB of tensors in graph order: where the line falls, accuracy is lost.

    Parameters
    ----------
    points
        (name, SQNR in dB); what is not finite is left out.
    """
    width, height, left, right, top, bottom = 1100, 220, 44, 8, 12, 34
    known = [(k, name, v) for k, (name, v) in enumerate(points) if math.isfinite(v)]
    high = max(10.0 * math.ceil(max((v for _, _, v in known), default=10.0) / 10.0), 10.0)
    low = min(0.0, 10.0 * math.floor(min((v for _, _, v in known), default=0.0) / 10.0))
    slot = (width - left - right) / max(len(points), 1)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / (high - low)

    parts: list[Html | None] = []
    for k in range(round((high - low) / 10.0) + 1):
        at = y(low + 10.0 * k)
        parts.append(_line(left, at, width - right, at, class_="grid"))
        parts.append(_text(left - 6, at + 4, f"{low + 10.0 * k:g}", "end"))
    places = [(left + (k + 0.5) * slot, y(v)) for k, _, v in known]
    if places:
        parts.append(tag("path", d="M" + "L".join(f"{_n(px)} {_n(py)}" for px, py in places), class_="curve"))
    radius = min(max(slot * 0.3, 1.2), 4.0)
    for (_, name, v), (px, py) in zip(known, places, strict=True):
        hover = tag("title", f"{printable(name)}\n{significant(v)} dB")
        parts.append(tag("g", hover, tag("circle", cx=_n(px), cy=_n(py), r=_n(radius))))
    parts.append(_x_names([name for name, _ in points], left, slot, height - bottom))
    label = f"SQNR of {len(points)} tensors in graph order"
    return tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="plot overview", role="img", aria_label=label)
