"""Which scales of a model follow from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession


def scales_of_data(session: CalibrationSession) -> tuple[str, ...]:
    """Return the tensors, one for each scale, whose thresholds follow from the data: no constants."""
    tensors = session.graph.tensors
    leaders = dict.fromkeys(session.group(name)[0] for name in session.calibrated)
    return tuple(name for name in leaders if not tensors[name].is_fixed)
