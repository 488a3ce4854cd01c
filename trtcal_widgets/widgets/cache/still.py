"""A cache, or two, as a picture: thresholds in the order of the file on a log axis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of, shorten_middle
from trtcal_widgets.drawing.canvas import accent, plain_log_ticks, set_log_range, text_of, to_png

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trtcal_widgets.widgets.cache.facts import ScaleFile


def cache_picture(cache: ScaleFile, other: ScaleFile | None = None, *, width: int = 1000, dark: bool = False) -> bytes:
    """Return the thresholds of a cache, in the order of the file, as a PNG; of two caches, both and their ratio."""
    aspect = 0.42 if other is None else 0.6
    return to_png(lambda figure: draw_cache(figure, cache, other, dark=dark), width, aspect, dark=dark)


def draw_cache(figure: Figure, cache: ScaleFile, other: ScaleFile | None, *, dark: bool) -> None:
    """Draw one file, or two over each other and their ratio, on an empty figure."""
    figure.suptitle(text_of(_cache_title(cache, other)), x=0.01, y=0.985, va="top", ha="left", fontsize=10)
    amax = np.array(list(cache.amax.values()), dtype=np.float64)
    figure.subplots_adjust(left=0.08, right=0.985, top=0.9, bottom=0.12 if other is None else 0.085, hspace=0.08)
    if other is None:
        _draw_ranges(figure.subplots(), {"±amax": (np.arange(len(amax)), amax)}, dark=dark)
        return
    place = {name: i for i, name in enumerate(cache.amax)}
    added = [name for name in other.amax if name not in place]
    place.update((name, len(place) + i) for i, name in enumerate(added))
    x_other = np.array([place[name] for name in other.amax])
    amax_other = np.array(list(other.amax.values()), dtype=np.float64)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1.2])
    _draw_ranges(top, {"A ±amax": (np.arange(len(amax)), amax), "B ±amax": (x_other, amax_other)}, dark=dark)
    top.set_xlabel("")
    both = [name for name in cache.amax if name in other.amax]
    with np.errstate(all="ignore"):
        ratio = np.array([other.scales[name] for name in both]) / np.array([cache.scales[name] for name in both])
    _draw_ratio(bottom, np.array([place[name] for name in both]), ratio, dark=dark)


def _cache_title(cache: ScaleFile, other: ScaleFile | None) -> str:
    def one(file: ScaleFile) -> str:
        parts = [shorten_middle(Path(file.source).name, 60), file.header, count_of(len(file.amax), "tensor")]
        return "   ·   ".join(part for part in parts if part)

    return one(cache) if other is None else f"A  {one(cache)}\nB  {one(other)}"


def _draw_ranges(axes: Axes, series: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], *, dark: bool) -> None:
    """Draw thresholds on a log axis; what has no place there stands at its lower or upper edge, said in the legend."""
    set_log_range(axes, np.concatenate([values for _, values in series.values()]))
    floor, ceiling = axes.get_ylim()
    looks = (("data", "o"), ("other", "D"))
    for (label, (x, values)), (look, marker) in zip(series.items(), looks, strict=False):
        drawable = (values >= floor) & (values <= ceiling)
        size = 3 if len(values) < 1000 else 1.5
        colour = accent(look, dark=dark)
        axes.plot(
            x[drawable], values[drawable], linestyle="none", marker=marker, markersize=size, color=colour, label=label
        )
        for edge, mark, odd, what in (
            (floor, "v", values <= 0, "zero or negative"),
            (floor, "v", (values > 0) & (values < floor), "far below"),
            (ceiling, "^", np.isfinite(values) & (values > ceiling), "far above"),
            (ceiling, "^", ~np.isfinite(values), "infinite or not a number"),
        ):
            if odd.any():
                axes.plot(
                    x[odd], np.full(odd.sum(), edge), linestyle="none", marker=mark, markersize=6, clip_on=False,
                    color=accent("error", dark=dark), label=f"{label}: {odd.sum():,} {what}",
                )  # fmt: skip
    axes.set_ylabel("±amax")
    axes.set_xlabel("rows in the order of the file")
    axes.legend(loc="best", fontsize=8)


def _draw_ratio(axes: Axes, x: NDArray[Any], ratio: NDArray[np.float64], *, dark: bool) -> None:
    drawable = (ratio > 0) & np.isfinite(ratio)
    axes.axhline(1.0, color=accent("data", dark=dark), linewidth=1)
    axes.plot(
        x[drawable], ratio[drawable], linestyle="none", marker="D", markersize=3, color=accent("other", dark=dark)
    )
    largest = float(np.exp(np.abs(np.log(ratio[drawable])).max(initial=0.0)))
    axes.set_yscale("log")
    plain_log_ticks(axes)
    axes.set_ylim(1 / max(largest * 1.2, 1.5), max(largest * 1.2, 1.5))
    axes.set_ylabel("B / A")
    axes.set_xlabel("rows of A in the order of the file, then those only in B")
