"""Everything that the cache viewer shows, computed once: rows, what is odd about them, how two files differ.

Pure: no widget, no plot. A file of 100,000 rows takes well under a second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.cache import CalibrationCache, compare_with_names
from trtcal_widgets.core.scales import scales_of_amaxes
from trtcal_widgets.model.rows import compare_with_model
from trtcal_widgets.presentation import printable
from trtcal_widgets.widgets.cache_groups import (
    ROW_ODDITIES,
    difference_groups,
    is_about_a_row,
    name_groups,
    oddity_groups,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.formats import ScaleTable
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.widgets.cache_groups import RowGroup, Severity

    ScaleFile = CalibrationCache | ScaleTable

__all__ = ["CacheFacts", "Column", "read_facts"]


@dataclass(frozen=True, eq=False)
class Column:
    """The numbers of one file for the rows of the viewer.

    Attributes
    ----------
    amax
        float64, in the tensor's unit; NaN where the file has no such row.
    bits
        uint32 pattern of the float32 scale; 0 where the file has no such row.
    present
        Whether the file has the row.
    """

    amax: NDArray[np.float64]
    bits: NDArray[np.uint32]
    present: NDArray[np.bool_]

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """Amax / 127 as the file means it, float64; NaN where there is no row."""
        return np.where(self.present, self.bits.view(np.float32).astype(np.float64), np.nan)

    def hex(self, row: int) -> str:
        """Hex digits of a row, empty where there is none."""
        return f"{self.bits[row]:x}" if self.present[row] else ""


@dataclass(frozen=True, eq=False)
class CacheFacts:
    """A file, maybe a second one and a model, as rows.

    Rows are those of the file in its order (a repeated name has several), then tensors of the model that it lacks,
    then those that only the second file has.

    Attributes
    ----------
    file, other
        What was read.
    model_name
        Empty where no model is given.
    names
        Tensor of each row, as it is in the file.
    mine, theirs
        Numbers of the file and of the second one.
    groups
        Filters, the worst first.
    notes
        Row index -> what there is to say about it, in words.
    remarks
        (severity, text) about the file as a whole.
    """

    file: ScaleFile
    other: ScaleFile | None
    model_name: str
    names: tuple[str, ...]
    mine: Column
    theirs: Column | None
    groups: tuple[RowGroup, ...]
    notes: Mapping[int, tuple[str, ...]] = field(repr=False)
    remarks: tuple[tuple[Severity, str], ...] = ()

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Scale of the second file over that of the first, NaN where one lacks the row."""
        if self.theirs is None:
            return np.full(len(self.names), np.nan)
        with np.errstate(all="ignore"):
            return np.asarray(self.theirs.scale / self.mine.scale, np.float64)

    @cached_property
    def shown_names(self) -> tuple[str, ...]:
        """Names on one line, without control characters: what is shown and searched."""
        return tuple(map(printable, self.names))

    @cached_property
    def folded_names(self) -> tuple[str, ...]:
        """Shown names for a search without regard to case."""
        return tuple(name.casefold() for name in self.shown_names)

    @cached_property
    def severities(self) -> Mapping[int, Severity]:
        """Row index -> the worst that there is to say; rows that are fine are not in it."""
        found: dict[int, Severity] = {}
        for wanted in ("info", "warning", "error"):
            for group in self.groups:
                if group.severity == wanted and group.key in ROW_ODDITIES.keys() | {"unknown", "missing", "synthetic"}:
                    found.update(dict.fromkeys(group.rows.tolist(), group.severity))
        return found


def read_facts(file: ScaleFile, other: ScaleFile | None = None, graph: ModelGraph | None = None) -> CacheFacts:
    """Put together all there is to show.

    Parameters
    ----------
    file, other
        What ``read_scale_file`` gives.
    graph
        Facts of the model that the file is for.
    """
    own_names, own_bits, own_amax = _rows_of(file)
    present = dict.fromkeys(own_names)
    matches = compare_with_names(file, ()) if graph is None else compare_with_model(file, graph)
    missing = [name for name in matches.missing if name not in present]
    present.update(dict.fromkeys(missing))
    added = [name for name in other.scales if name not in present] if other is not None else []
    names = (*own_names, *missing, *added)
    n = len(names)
    mine = Column(_padded(own_amax, n, np.nan), _padded(own_bits, n, 0), np.arange(n) < len(own_names))
    theirs = None if other is None else _column_of(other, names)
    index = {name: row for row, name in enumerate(names)}
    notes: dict[int, list[str]] = defaultdict(list)
    groups = [
        *oddity_groups(file, index, notes),
        *name_groups(matches, graph, index, notes),
        *(difference_groups(mine, theirs) if theirs is not None else ()),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return CacheFacts(
        file=file,
        other=other,
        model_name="" if graph is None else graph.name,
        names=names,
        mine=mine,
        theirs=theirs,
        groups=tuple(sorted(groups, key=lambda group: order[group.severity])),
        notes={row: tuple(texts) for row, texts in notes.items()},
        remarks=tuple((o.severity, o.message) for o in file.oddities if not is_about_a_row(o)),
    )


def _rows_of(file: ScaleFile) -> tuple[list[str], NDArray[np.uint32], NDArray[np.float64]]:
    """Names, bits and amax of every row in file order, repeated names too."""
    if isinstance(file, CalibrationCache):
        bits = np.array([row.bits for row in file.rows], dtype=np.uint32)
        with np.errstate(all="ignore"):
            return [row.name for row in file.rows], bits, bits.view(np.float32).astype(np.float64) * 127.0
    amax = np.array(list(file.amax.values()), dtype=np.float64)
    return list(file.amax), scales_of_amaxes(amax).view(np.uint32), amax


def _column_of(file: ScaleFile, names: Sequence[str]) -> Column:
    """Numbers of a file for given names; the last row of a repeated name counts."""
    own_names, own_bits, own_amax = _rows_of(file)
    place = {name: row for row, name in enumerate(own_names)}
    rows = np.array([place.get(name, -1) for name in names], dtype=np.intp)
    present = rows >= 0
    if not own_names:
        return Column(np.full(len(names), np.nan), np.zeros(len(names), np.uint32), present)
    return Column(np.where(present, own_amax[rows], np.nan), np.where(present, own_bits[rows], np.uint32(0)), present)


def _padded(values: NDArray[Any], n: int, fill: float) -> NDArray[Any]:
    return np.concatenate([values, np.full(n - len(values), fill, values.dtype)])
