"""The table of tensors as columns: what examining found of each scale that data decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import json_number, printable
from trtcal_widgets.doctor.scales import scales_of_data
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.doctor.types import DataReport, Needed, Settling
    from trtcal_widgets.session import CalibrationSession


@dataclass(frozen=True, eq=False)
class Columns:
    """The scales in graph order: their first tensors, the row of every tensor, and what the table gets once."""

    leaders: tuple[str, ...]
    index: Mapping[str, int]
    state: Mapping[str, Any]


def build_columns(session: CalibrationSession) -> Columns:
    """Return the rows of a session's table: one per scale that data decide, no constants."""
    leaders = scales_of_data(session)
    groups = [session.group(name) for name in leaders]
    return Columns(
        leaders=leaders,
        index={member: i for i, group in enumerate(groups) for member in group},
        state={"names": [printable(name) for name in leaders], "group": [len(group) for group in groups]},
    )


def rows_of(columns: Columns, report: DataReport | None) -> dict[str, list[Any]]:
    """Return the numbers of all rows; ``settled`` is 1, 0, or -1 where it cannot be told; empty without a report."""
    if report is None:
        return {}
    by_name = {found.name: found for found in report.tensors}
    found = [by_name.get(name) for name in columns.leaders]
    return {
        "has": [int(t is not None) for t in found],
        "settled": [-1 if t is None or t.settled is None else int(t.settled) for t in found],
        "off": [None if t is None else _rounded(t.off_db) for t in found],
        "why": [_why(t, report) for t in found],
        "order": [None if t is None else _rounded(t.order.worst_db) for t in found],
        "depends": [int(t is not None and t.order.depends) for t in found],
        "need": [None if t is None else t.needed.images for t in found],
        "need_why": ["" if t is None else _needed_words(t.needed) for t in found],
    }


def _rounded(value: float) -> float | None:
    number = json_number(value)
    return None if number is None else float(f"{number:.4g}")


def _why(found: Settling | None, report: DataReport) -> str:
    if found is None:
        return "No data decide its scale."
    if found.reason:
        return printable(found.reason)
    return (
        f"Halves of the batches pick between {typeset(found.off_low)} and {typeset(found.off_high)} times "
        f"{typeset(found.amax)}; the bar is {report.bar_db:g} dB."
    )


def _needed_words(needed: Needed) -> str:
    if needed.images is None:
        return f"Cannot tell: {printable(needed.reason)}" if needed.reason else "Cannot tell."
    if needed.low is None or needed.high is None:
        return f"About {needed.images:,}."
    return f"About {needed.images:,}; between {needed.low:,} and {needed.high:,} with 80 % probability."
