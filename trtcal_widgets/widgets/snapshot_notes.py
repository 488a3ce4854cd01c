"""What to say about the chosen tensor where numbers and plots do not speak for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.session import CalibrationSession, TensorRow

__all__ = ["notes_of", "why_empty"]


def notes_of(row: TensorRow, histogram: Histogram, *, counted: bool) -> tuple[str, ...]:
    """Return what to say about this tensor before its numbers, in words."""
    notes = list(row.suspicious)
    if not row.has_data and counted:
        notes.append("no values in the counted batches: no row in the cache, unless you type an amax")
    elif row.has_data and histogram.n_finite == 0:
        notes.append("no finite value: no range to calibrate")
    if row.kind == "weight":
        notes.append("a weight: TensorRT quantises it per channel, from its own largest values; nothing to choose")
    return tuple(notes)


def why_empty(session: CalibrationSession, row: TensorRow, histogram: Histogram) -> str:
    """Say why there is no histogram to draw."""
    if not row.has_data and session.state.position:
        return "no values in the counted batches"
    if not row.has_data:
        return "no values yet: they appear with the first batch"
    if not histogram.n_finite:
        return "no finite value"
    return "every value is 0" if histogram.amax == 0.0 else ""
