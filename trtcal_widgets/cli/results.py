"""The table of a session: what was chosen for every tensor and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.figures import decibels, percent
from trtcal_widgets.common.text_tables import Column, table_lines, wrap
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.session import CalibrationSession


def session_table(session: CalibrationSession) -> Iterator[str]:
    """Yield the lines of a table with one row per tensor that has a cache row."""
    from trtcal_widgets.session.rows import calibrated_rows

    rows = calibrated_rows(session)
    hexes = [scale_to_hex(float(scale_of_amax(row.amax))) if row.amax >= 0 else "" for row in rows]
    columns = [
        Column("made by", [printable(row.op_type) for row in rows], is_number=False),
        Column("method", [row.method for row in rows], is_number=False),
        Column("±amax", [significant(row.amax) for row in rows]),
        Column("max |x|", [significant(row.minmax_amax) for row in rows]),
        Column("clipped", [percent(row.clipped_fraction) for row in rows]),
        Column("SQNR", [decibels(row.sqnr_db, column=True) for row in rows]),
        Column("hex", hexes),
    ]
    return table_lines([row.name for row in rows], columns)


def warning_lines(session: CalibrationSession, limit: int = 10) -> Iterator[str]:
    """Yield what is suspicious about tensors, at most ``limit`` of them; those with absurd scales come first."""
    from trtcal_widgets.session.rows import calibrated_rows

    suspects = sorted((row for row in calibrated_rows(session) if row.suspicious), key=lambda row: not row.absurd)
    if suspects:
        yield "worth a look:"
    for row in suspects[:limit]:
        yield from wrap(f"{printable(row.name)}: {'; '.join(row.suspicious)}", "  ")
    if len(suspects) > limit:
        yield f"  … and {len(suspects) - limit:,} more"


def left_out_lines(session: CalibrationSession, version: str | None, limit: int = 10) -> Iterator[str]:
    """Yield which rows TensorRT writes and our cache lacks, at most ``limit`` of them, and why."""
    left_out = session.left_out_rows(version)
    if not left_out:
        return
    yield f"left out, for TensorRT 8.x writes {count_of(len(left_out), 'row')} more that cannot be told from the model:"
    for name, why in left_out[:limit]:
        yield from wrap(f"{printable(name)}: {printable(why)}", "  ")
    if len(left_out) > limit:
        yield f"  … and {len(left_out) - limit:,} more"
