"""A session as a table for pandas, and as what a notebook shows where one is the last line of a cell."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.summary import Summary
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.errors import MissingDependencyError
from trtcal_widgets.formats.scales import scale_to_hex, scales_of_amaxes
from trtcal_widgets.session.rows import calibrated_rows

if TYPE_CHECKING:
    from trtcal_widgets.session.session import CalibrationSession
    from trtcal_widgets.session.state import TensorRow

_WORST = 10


def frame_of(session: CalibrationSession) -> Any:
    """Return one row per tensor, in graph order, as a pandas DataFrame; tensor names are its index.

    Columns are those of :class:`~trtcal_widgets.session.state.TensorRow` (ranges and ``amax`` in the tensor's unit),
    and ``scale`` and ``hex`` as the calibration cache has them; NaN and empty where there are no data. ``group`` is the
    tensor whose histogram decides, ``suspicious`` one text.

    Raises MissingDependencyError without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError(
            "session.to_frame() needs pandas: pip install 'trtcal_widgets[pandas]'. Without it, session.table() has "
            "the same rows."
        ) from error
    rows = session.table()
    scales = scales_of_amaxes([row.amax for row in rows]).tolist()
    made = [_record(row, scale) for row, scale in zip(rows, scales, strict=True)]
    return pd.DataFrame(made, index=pd.Index([row.name for row in rows], name="tensor", dtype=object))


def _record(row: TensorRow, scale: float) -> dict[str, Any]:
    values = asdict(row)
    del values["name"]
    hexes = scale_to_hex(scale) if math.isfinite(scale) else ""
    together = {"group": row.group[0], "suspicious": "; ".join(row.suspicious), "scale": scale, "hex": hexes}
    return {**values, **together}


def html_of(session: CalibrationSession) -> str:
    """Return what a notebook shows of a session."""
    return _summary(session).html()


def markdown_of(session: CalibrationSession) -> str:
    """Return the same as Markdown."""
    return _summary(session).markdown()


def words_of(session: CalibrationSession) -> tuple[str, str]:
    """Return its size and its progress, such as ``("12 tensors", "1 of 10 batches counted")``."""
    counted, of = session.state.position, session.status.n_batches
    before, number = ("", counted) if of is None else (f"{counted:,} of ", of)
    tensors = count_of(len(session.calibrated), "tensor")
    return tensors, f"{before}{count_of(number, 'batch', 'batches')} counted"


def _summary(session: CalibrationSession) -> Summary:
    state = session.state
    tensors, batches = words_of(session)
    left_out = sum(1 for batch in state.excluded if batch < state.position)
    lines = [
        f"{tensors} to calibrate, {session.source_text or 'a saved session'}, {session.runner_name}",
        batches + (f", {left_out} left out" if left_out else ""),
        f"{state.method.label} for all"
        + (f", {count_of(len(state.choices), 'choice')} of your own" if state.choices else ""),
    ]
    rows = [row for row in calibrated_rows(session) if row.has_data] if state.position else []
    worst = sorted((row for row in rows if row.sqnr_db == row.sqnr_db), key=lambda row: row.sqnr_db)[:_WORST]
    shown = tuple(
        (row.name, row.op_type, f"±{significant(row.amax)}", row.method, decibels(row.sqnr_db, column=True))
        for row in worst
    )
    more = ""
    if len(rows) > len(worst):
        more = f"The lowest SQNR first; {count_of(len(rows) - len(worst), 'more tensor')} in session.table()."
    columns = ("tensor", "made by", "amax", "method", "SQNR")
    return Summary(session.graph.name, tuple(lines), columns, shown, more)
