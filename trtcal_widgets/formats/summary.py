"""A scale file as what a notebook shows where one is the last line of a cell."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from trtcal_widgets.common.summary import Summary
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.formats.detect import describe_format
from trtcal_widgets.formats.scales import scale_to_hex

if TYPE_CHECKING:
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.formats.tables import ScaleTable

_ROWS = 10


def summary_of(file: CalibrationCache | ScaleTable) -> Summary:
    """Return what a file is, what is wrong with it, and its first rows."""
    kind = file.header or describe_format(file.format if hasattr(file, "format") else "cache")
    problems = len(file.problems)
    lines = [f"{kind}, {count_of(len(file.amax), 'tensor')}"]
    if problems:
        lines.append(f"{count_of(problems, 'problem')}, the first: {file.problems[0].message}")
    rows = tuple(
        (name, f"±{significant(amax)}", significant(file.scales[name]), scale_to_hex(file.scales[name]))
        for name, amax in islice(file.amax.items(), _ROWS)
    )
    left = len(file.amax) - len(rows)
    more = f"{count_of(left, 'more row')}: CacheViewer(…) shows all." if left else ""
    return Summary(file.source, tuple(lines), ("tensor", "amax", "scale", "hex"), rows, more)
