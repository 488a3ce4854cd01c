"""Who sets the chosen tensor's range, and what stands out in the data: panels in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.widgets.kit.formatting import percent, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.types import DataReport, DataWarning
    from trtcal_widgets.widgets.data.marks import Marks
    from trtcal_widgets.widgets.data.state import Without
    from trtcal_widgets.widgets.data.table import Columns

_SHOWN = 8
_LISTED = 12

_MOVES = 0.01
"""A change of a threshold by more than this share is one to speak of."""


def largest(values: NDArray[np.float32]) -> list[int]:
    """Return the marks with the largest values, the largest first; those left out stay where they were."""
    known = np.flatnonzero(values >= 0)
    order = known[np.argsort(-values[known], kind="stable")]
    return [int(mark) for mark in order[:_SHOWN]]


def blame_state(
    marks: Marks,
    values: NDArray[np.float32],
    *,
    amax: float,
    selected: int,
    shares: Mapping[int, float],
    without: Mapping[int, tuple[str, str]],
    can_ask: bool,
    note: str,
) -> dict[str, Any]:
    """Return the panel's state.

    ``values``: of every mark in the chosen tensor; ``amax`` its threshold; ``shares``: whose share of all values beyond
    it; ``without``: what changes without a mark, in words, and their kind.
    """
    out = marks.out()
    entries = []
    for mark in largest(values):
        words, kind = without.get(mark, ("", ""))
        value = float(values[mark])
        entries.append(
            {
                "sample": mark,
                "name": printable(marks.names[mark]) or f"{marks.unit} {mark + 1:,}",
                "facts": _facts(marks, mark, value, amax, shares.get(mark)),
                "without": words,
                "without_kind": kind,
                "can_ask": can_ask and not words,
                "out": mark in out,
            }
        )
    return {
        "entries": entries,
        "note": note,
        "selected": selected,
        "pictures": marks.pictures,
        "can_leave_out": True,
        "empty": "No batch is counted yet." if not marks.n else "Nothing is known of this tensor.",
    }


def without_words(found: Without | str | None, leader: str, columns: Columns) -> tuple[str, str]:
    """Return what changes without a sample, in words, and their kind: nothing, or ``warn``."""
    if found is None:
        return "without it: its batch is run again …", ""
    if isinstance(found, str):
        return printable(found), "warn"
    changes = {name: then / now - 1 for name in columns.leaders for now, then in [found[name]] if now > 0}
    moved = {name: change for name, change in changes.items() if abs(change) > _MOVES}
    here = changes.get(leader, 0.0)
    words = f"without it ±{typeset(found[leader][1])} ({here:+.1%})" if here else "without it the same threshold"
    if moved:
        most = max(moved, key=lambda name: abs(moved[name]))
        words += (
            f"; {len(moved):,} of {len(changes):,} scales move by more than {percent(_MOVES)}, "
            f"{printable(most)} most ({moved[most]:+.1%})"
        )
    return words, "warn" if abs(here) > _MOVES else ""


def _facts(marks: Marks, mark: int, value: float, amax: float, share: float | None) -> str:
    parts = [f"{marks.unit} {mark + 1:,}"] if marks.names[mark] else []
    parts.append(f"largest |x| {typeset(value)}")
    if amax > 0 and value > amax and math.isfinite(value):
        parts.append(f"{typeset(value / amax)} times the threshold")
    if share is not None:
        parts.append(f"{percent(share)} of all that is clipped")
    return " · ".join(parts)


def warnings_state(report: DataReport | None, marks: Marks, empty: str) -> dict[str, Any]:
    """Return the panel's state; ``empty`` is said where there is no warning."""
    warnings: Sequence[DataWarning] = () if report is None else report.warnings
    return {"warnings": [_warning(warning, marks) for warning in warnings], "empty": empty}


def _warning(warning: DataWarning, marks: Marks) -> dict[str, Any]:
    places = warning.samples if marks.unit == "sample" else warning.batches
    shown = [
        [mark, printable(marks.names[mark]) or f"{marks.unit} {mark + 1:,}"]
        for mark in places[:_LISTED]
        if 0 <= mark < marks.n
    ]
    return {
        "severity": warning.severity,
        "sure": warning.sure,
        "what": printable(warning.what),
        "evidence": printable(warning.evidence),
        "mend": printable(warning.mend),
        "marks": shown,
        "unit": "samples" if marks.unit == "sample" else "batches",
        "tensors": [[name, printable(name)] for name in warning.tensors[:_LISTED]],
    }
