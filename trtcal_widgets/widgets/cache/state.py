"""What the cache viewer shows: its own frozen state, and the values that its table is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import NO_NUMBER
from trtcal_widgets.common.words import count_of, printable, shorten_middle, significant
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import DEFAULT_VERSION, KNOWN_ALGORITHMS, CalibrationCache, header_fits
from trtcal_widgets.formats.installed import installed_version
from trtcal_widgets.formats.reading import describe_format
from trtcal_widgets.widgets.cache.facts import ALL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.widgets.cache.facts import CacheFacts, ModelMatch, ScaleFile

PAGE = 100
"""Rows per message, as in ``js/table.js``."""

_NAME_WIDTH = 600
"""Characters of a name in a row, more than fit on any screen; the detail below has all of them."""

_NEAR = 999
"""So many float32 values apart two scales are said to be; they are then equal to four digits."""

_VERSIONS = ("8.4.1", "8.5.3", "8.6.1", "10.0.1", "10.3.0", "10.9.0", "10.12.0", "10.14.1", "10.16.1", "11.0.0")
_AFTER_FUSION = ("EntropyCalibration", "LegacyCalibration")
"""Calibrators that have no rows inside fused kernels: a tensor without one says nothing."""

_KINDS = {"reuse": "ok", "recalibrate": "warning", "unsupported": "error"}


@dataclass(frozen=True)
class CacheScreen:
    """How one looks at a file: rows and order, the chosen row (-1 for none), the TensorRT that the verdict is about.

    ``window`` are the rows from which to which the plot shows. The table's traits have the same names.
    """

    version: str
    algorithm: str
    window: tuple[float, float]
    search: str = ""
    group: str = ALL
    sort: str = "file"
    descending: bool = False
    selected: int = -1
    notice: str = ""

    @property
    def arranged(self) -> dict[str, Any]:
        """What decides on rows and order."""
        return {"search": self.search, "group": self.group, "sort": self.sort, "descending": self.descending}


def screen_of(facts: CacheFacts) -> CacheScreen:
    """Return how one looks at a file first: all rows, and the TensorRT that is installed or wrote the file."""
    written = getattr(facts.file, "version", None)
    found = getattr(facts.file, "algorithm", "")
    return CacheScreen(
        version=installed_version() or (".".join(map(str, written)) if written else DEFAULT_VERSION),
        algorithm=found if found in KNOWN_ALGORITHMS else KNOWN_ALGORITHMS[0],
        window=(0.0, float(len(facts.names) + 1)),
    )


def verdict_state(facts: CacheFacts, screen: CacheScreen) -> dict[str, str]:
    """Return whether that TensorRT would take the file, and whether its rows are the model's, in words."""
    file = facts.file
    if not isinstance(file, CalibrationCache):
        return {"kind": "", "text": ""}
    try:
        fit = header_fits(file, screen.version, screen.algorithm)
    except UsageError as error:
        return {"kind": "error", "text": str(error)}
    kind, text = _KINDS[fit.verdict], fit.message
    if facts.match is None:
        more = " That is said of the header alone: give model= to have the rows checked too."
        return {"kind": kind, "text": text + (more if kind == "ok" else "")}
    worse, more = _match_words(facts.match, screen.algorithm)
    return {"kind": worse if kind == "ok" and worse else kind, "text": f"{text} {more}"}


def _match_words(match: ModelMatch, algorithm: str) -> tuple[str, str]:
    """Return how grave it is that rows are not the model's (empty where all are), and words."""
    rows = count_of(match.known + match.unknown, "row")
    if not match.unknown and (not match.missing or algorithm in _AFTER_FUSION):
        return "", f"Its {rows} are those of {printable(match.model)}."
    parts = []
    if match.unknown:
        numbers = f" ({match.foreign:,} by numbers that its layers do not have)" if match.foreign else ""
        parts.append(f"{match.unknown:,} of its {rows} are not of {printable(match.model)}{numbers}")
    if match.missing:
        parts.append(f"{count_of(match.missing, 'tensor')} of {printable(match.model)} have no row")
    other = 2 * match.unknown > match.known
    what = "It is of another model" if other else "But it does not fit the model"
    return "error" if other else "warning", (
        f"{what}: {'; '.join(parts)}. TensorRT looks scales up by name, and runs layers without one in FP16 or FP32."
    )


def count_text(facts: CacheFacts, order: NDArray[np.intp]) -> str:
    """Return how many rows are shown, of how many."""
    total, of = len(order), len(facts.names)
    return count_of(total, "row") if total == of else f"{total:,} of {count_of(of, 'row')}"


def page_of(facts: CacheFacts, order: NDArray[np.intp], number: int) -> list[list[Any]]:
    """Return one page of the rows in an order, as the browser takes them."""
    return [_row(facts, int(row)) for row in order[number * PAGE : (number + 1) * PAGE]]


def _row(facts: CacheFacts, row: int) -> list[Any]:
    place = f"{row + 1:,}" if facts.mine.present[row] else NO_NUMBER
    cells = [
        row,
        place,
        shorten_middle(facts.shown_names[row], _NAME_WIDTH),
        _number(facts.mine.amax[row]),
        _number(facts.mine.scale[row]),
        facts.mine.hex(row) or NO_NUMBER,
        facts.severities.get(row, ""),
    ]
    if facts.theirs is not None:
        cells += [
            _number(facts.theirs.amax[row]),
            facts.theirs.hex(row) or NO_NUMBER,
            _change(facts, row),
            facts.changes.get(row, ""),
        ]
    return cells


def _change(facts: CacheFacts, row: int) -> str:
    """Return B over A; where they are near, how many float32 values lie between them (ulp)."""
    steps = int(facts.steps[row])
    if steps and abs(steps) <= _NEAR:
        return f"{steps:+d} ulp".replace("-", "\u2212")
    return "=" if row in facts.equal_rows else _number(facts.ratio[row])


def _number(value: float) -> str:
    return NO_NUMBER if math.isnan(value) else significant(float(value))


def detail_state(facts: CacheFacts, row: int) -> dict[str, Any]:
    """Return the exact numbers of a row; nothing for none."""
    if row < 0:
        return {}
    numbers = []
    for label, column in (("A " if facts.theirs else "", facts.mine), ("B ", facts.theirs)):
        if column is not None and column.present[row]:
            numbers += [
                [f"{label}±amax", repr(float(column.amax[row]))],
                [f"{label}scale", repr(float(column.scale[row]))],
                [f"{label}hex", column.hex(row)],
            ]
    if not math.isnan(facts.ratio[row]):
        numbers.append(["B / A", repr(float(facts.ratio[row]))])
    if steps := int(facts.steps[row]):
        numbers.append(["B \u2212 A", f"{steps:+,} ulp"])
    return {
        "name": facts.shown_names[row],
        "numbers": numbers,
        "notes": [printable(n) for n in facts.notes.get(row, ())],
    }


def _title(file: ScaleFile) -> str:
    return printable(Path(file.source).name or file.source)


def _facts_text(file: ScaleFile) -> str:
    if isinstance(file, CalibrationCache):
        parts = ["a legacy table" if file.legacy else printable(file.header), count_of(len(file.rows), "row")]
        if file.version:
            parts.insert(1, f"TensorRT {'.'.join(map(str, file.version))}")
    else:
        parts = [describe_format(file.format), count_of(len(file.amax), "row")]
    return " · ".join(parts)


def summary_state(facts: CacheFacts) -> dict[str, Any]:
    """Return what stays the same while the user looks around."""
    groups = [{"key": ALL, "label": "all", "count": f"{len(facts.names):,}", "severity": "", "text": ""}]
    groups += [
        {
            "key": group.key,
            "label": group.label,
            "count": f"{len(group.rows):,}",
            "severity": group.severity,
            "text": printable(group.text),
        }
        for group in facts.groups
    ]
    other = facts.other
    return {
        "title": ("A  " if other else "") + shorten_middle(_title(facts.file), 120),
        "path": printable(facts.file.source),
        "facts": _facts_text(facts.file) + (f" · model {printable(facts.model_name)}" if facts.model_name else ""),
        "other": f"B  {shorten_middle(_title(other), 120)}   {_facts_text(other)}" if other else None,
        "has_header": isinstance(facts.file, CalibrationCache),
        "versions": list(_VERSIONS),
        "algorithms": list(KNOWN_ALGORITHMS),
        "groups": groups,
        "remarks": [[severity, printable(text)] for severity, text in facts.remarks],
    }


def words_of(facts: CacheFacts) -> str:
    """Return the viewer as text, for where no widget can live."""
    lines = [f"CacheViewer: {_title(facts.file)}, {_facts_text(facts.file)}"]
    if facts.other is not None:
        lines.append(f"compared with {_title(facts.other)}, {_facts_text(facts.other)}")
    return "\n".join([*lines, *(f"  {group.label}: {len(group.rows):,}" for group in facts.groups)])
