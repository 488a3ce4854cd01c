"""The data doctor as a picture: its verdict, the samples, and how the chosen tensor's threshold settles."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.palette import DRAWS
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.drawing.canvas import accent, name_of, text_of, theme_of, to_png
from trtcal_widgets.widgets.data.marks import marks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trtcal_widgets.doctor.types import DataReport, Settling
    from trtcal_widgets.session import CalibrationSession

_LETTERS = 128


def data_picture(
    session: CalibrationSession, report: DataReport | None, *, width: int = 1000, dark: bool = False
) -> bytes:
    """Return what the data doctor shows of the selected tensor as a PNG; without a report it says so."""
    return to_png(lambda figure: draw_data(figure, session, report, dark=dark), width, 0.62, dark=dark)


def draw_data(figure: Figure, session: CalibrationSession, report: DataReport | None, *, dark: bool) -> None:
    """Draw on an empty figure."""
    said = ("The data are not examined yet.",) if report is None else report.verdict.lines
    lines = [part for line in said for part in wrap(line, _LETTERS)]
    samples, batches = session.status.n_samples, session.status.recorded
    facts = f"{count_of(samples, 'sample')} in {count_of(batches, 'batch', 'batches')}"
    heading = f"{session.graph.name}   ·   {facts}"
    figure.text(0.012, 0.985, text_of(heading), va="top", ha="left", fontsize=10, fontweight="bold")
    figure.text(0.012, 0.94, text_of("\n".join(lines)), va="top", ha="left", fontsize=9, linespacing=1.35)
    leader = session.group(session.state.selected)[0]
    found = None if report is None else report.tensor(leader)
    top = 0.90 - 0.036 * len(lines)
    strip, band = figure.subplots(2, 1, height_ratios=[2, 3])
    figure.subplots_adjust(left=0.08, right=0.985, top=top - 0.04, bottom=0.085, hspace=0.42)
    _draw_marks(strip, session, leader, dark=dark)
    _draw_band(band, found, dark=dark)


def _draw_marks(axes: Axes, session: CalibrationSession, leader: str, *, dark: bool) -> None:
    marks, amax = marks_of(session), session.amax(leader)
    values = marks.values(leader)
    out = np.zeros(marks.n, bool)
    out[list(marks.out())] = True
    at = np.arange(1, marks.n + 1)
    width = float(np.clip(600 / max(marks.n, 1), 0.5, 12))
    for chosen, colour in ((~out, accent("bars", dark=dark)), (out, accent("other", dark=dark))):
        if chosen.any():
            axes.vlines(at[chosen], 0, np.nan_to_num(values[chosen]), color=colour, linewidth=width)
    axes.axhline(amax, color=accent("selected", dark=dark), linestyle="--", linewidth=1.2)
    axes.set_xlim(0.2, max(marks.n, 1) + 0.8)
    axes.set_ylim(0, None)
    axes.set_ylabel("largest |x|")
    left = f", {int(out.sum())} left out" if out.any() else ""
    axes.set_title(
        f"{name_of(leader)}: each {marks.unit}'s largest |x|; dashed: the threshold ±{significant(amax)}{left}",
        loc="left", fontsize=9,
    )  # fmt: skip


def _draw_band(axes: Axes, found: Settling | None, *, dark: bool) -> None:
    if found is None or not len(found.two_pass.sizes):
        axes.set_axis_off()
        why = "Not examined yet: DataDoctor(session).examine()" if found is None else found.reason
        axes.text(0.5, 0.5, text_of(why), ha="center", va="center")
        return
    for band, dash in ((found.two_pass, "-"), (found.one_pass, "--")):
        colour = DRAWS[band.way][theme_of(dark=dark)]
        q = band.quantiles
        axes.fill_between(band.sizes, q[:, 0], q[:, 4], color=colour, alpha=0.14, linewidth=0)
        axes.fill_between(band.sizes, q[:, 1], q[:, 3], color=colour, alpha=0.2, linewidth=0)
        axes.plot(band.sizes, q[:, 2], color=colour, linestyle=dash, marker="o", markersize=3, label=band.way)
    axes.axhline(found.amax, color=accent("data", dark=dark), linestyle=":", linewidth=1, label="now")
    axes.set_xlabel("batches in the draw")
    axes.set_ylabel("amax")
    axes.set_title("where random draws of the batches put the threshold: 90 %, half, and the middle of them",
                   loc="left", fontsize=9)  # fmt: skip
    axes.legend(loc="best", fontsize=8, frameon=False, ncols=3)
