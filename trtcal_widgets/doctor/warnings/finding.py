"""All warnings about a session's data, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.doctor.warnings.colours import first_layer
from trtcal_widgets.doctor.warnings.facts import Facts
from trtcal_widgets.doctor.warnings.fed import CHECKS as FED
from trtcal_widgets.doctor.warnings.inputs import colours
from trtcal_widgets.doctor.warnings.recorded import CHECKS as RECORDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.doctor.types import DataWarning
    from trtcal_widgets.session import CalibrationSession

_RANKS = {"severe": 0, "warning": 1, "note": 2}


def find_warnings(
    session: CalibrationSession,
    batches: tuple[int, ...],
    scales: tuple[str, ...],
    *,
    read_inputs: bool,
    stop: Callable[[], None],
) -> tuple[DataWarning, ...]:
    """Look at the counted batches; with ``read_inputs`` at their samples too. ``stop`` may raise between batches."""
    facts = Facts(session, batches, scales)
    found = [warning for check in (*RECORDED, *FED) for warning in check(facts)]
    if read_inputs:
        found += [*colours(facts, stop), *first_layer(facts, stop)]
    return tuple(sorted(found, key=lambda w: _RANKS[w.severity]))
