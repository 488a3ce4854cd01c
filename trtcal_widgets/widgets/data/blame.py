"""Who sets the chosen tensor's range, and what stands out in the data: panels in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.types import DataReport, DataWarning
    from trtcal_widgets.widgets.data.marks import Marks

_SHOWN = 8
_LISTED = 12


def largest(values: NDArray[np.float32], out: frozenset[int]) -> list[int]:
    """Return the marks with the largest values, the largest first; those left out stay where they were."""
    del out
    known = np.flatnonzero(values >= 0)
    order = known[np.argsort(-values[known], kind="stable")]
    return [int(mark) for mark in order[:_SHOWN]]


def blame_state(
    marks: Marks,
    values: NDArray[np.float32],
    *,
    amax: float,
    selected: int,
    note: str,
) -> dict[str, Any]:
    """Return the panel's state.

    ``values``: of every mark in the chosen tensor; ``amax`` its threshold.
    """
    out = marks.out()
    entries = []
    for mark in largest(values, out):
        value = float(values[mark])
        entries.append(
            {
                "sample": mark,
                "name": printable(marks.names[mark]) or f"{marks.unit} {mark + 1:,}",
                "facts": _facts(marks, mark, value, amax),
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


def _facts(marks: Marks, mark: int, value: float, amax: float) -> str:
    parts = [f"{marks.unit} {mark + 1:,}"] if marks.names[mark] else []
    parts.append(f"largest |x| {typeset(value)}")
    if amax > 0 and value > amax and math.isfinite(value):
        parts.append(f"{typeset(value / amax)} times the threshold")
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
