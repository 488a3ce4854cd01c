"""Everything that the cache viewer shows, computed once: rows, what is odd about them, how two files differ.

Pure: no widget, no plot. A file of 100,000 rows takes well under a second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import CalibrationCache, compare_with_names
from trtcal_widgets.formats.scales import scales_of_amaxes
from trtcal_widgets.model.rows import compare_with_model, foreign_numbers, tensors_of_rows
from trtcal_widgets.widgets.kit.search import search_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.formats.reading import ScaleTable
    from trtcal_widgets.model.graph import ModelGraph

    ScaleFile = CalibrationCache | ScaleTable
    from trtcal_widgets.formats.cache import NameComparison, Oddity

Severity = Literal["info", "warning", "error"]

ROW_ODDITIES = {
    "zero": "scale 0",
    "inf": "infinite",
    "nan": "not a number",
    "negative": "negative",
    "absurd": "largest float",
    "denormal": "nearly 0",
    "duplicate": "name twice",
    "non-utf8": "name not UTF-8",
    "control-character": "control characters",
    "commented-out": "begins with #",
    "odd-digits": "unusual digits",
    "spacing": "extra spaces",
    "min-above-max": "min above max",
}
"""Kinds of oddities of rows, in the words of the chips; all others are remarks about the file."""


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows (ascending indices) that have something in common, offered as a filter; ``text`` says what it means."""

    key: str
    label: str
    severity: Severity
    text: str
    rows: NDArray[np.intp]


def _is_about_a_row(oddity: Oddity) -> bool:
    """Whether an oddity is one of a row; else it is a remark about the file."""
    return bool(oddity.name) and oddity.kind in ROW_ODDITIES


def _oddity_groups(file: ScaleFile, index: Mapping[str, int], notes: dict[int, list[str]]) -> list[RowGroup]:
    """Return one group per kind of oddity; its worst severity and its first message stand for it.

    ``index`` has the row of each name; what there is to say about a row is added to ``notes``.
    """
    lines = {row.line: i for i, row in enumerate(file.rows)} if isinstance(file, CalibrationCache) else {}
    found: dict[str, list[tuple[int, Oddity]]] = defaultdict(list)
    for oddity in filter(_is_about_a_row, file.oddities):
        row = lines.get(oddity.line, index[oddity.name])
        found[oddity.kind].append((row, oddity))
        notes[row].append(oddity.message)
    groups = []
    for kind, odd in found.items():
        severity: Severity = next((s for s in ("error", "warning") if any(o.severity == s for _, o in odd)), "info")
        first = next(o for _, o in odd if o.severity == severity)
        text = first.message if len(odd) == 1 else f"{count_of(len(odd), 'row')}. {first.message}"
        groups.append(RowGroup(kind, ROW_ODDITIES[kind], severity, text, _ascending(row for row, _ in odd)))
    return groups


def _name_groups(
    found: NameComparison, graph: ModelGraph | None, index: Mapping[str, int], notes: dict[int, list[str]]
) -> list[RowGroup]:
    """Compare rows with the model, and find names that TensorRT made up (which are known without a model too)."""
    for name, label in found.synthetic.items():
        notes[index[name]].append(f"Not a name of the model: {label}.")
    groups = []
    if found.synthetic:
        text = (
            "TensorRT or its ONNX parser made these names up, for constants and reshapes that the model file has under "
            "other names or not at all. That is normal; they only fit a network that was parsed in the same way."
        )
        groups.append(RowGroup("synthetic", "made up by TensorRT", "info", text, _rows(found.synthetic, index)))
    if graph is None:
        return groups
    if found.unknown:
        text = (
            f"{graph.name} has no tensors of these names: the file is of another model, or of another export of it. "
            "TensorRT ignores rows that it does not need."
        )
        groups.append(RowGroup("unknown", "not in the model", "warning", text, _rows(found.unknown, index)))
    if found.missing:
        text = (
            f"Tensors of {graph.name} without a row. TensorRT warns 'Missing scale and zero-point' and runs their "
            "layers in higher precision. A cache of EntropyCalibration (1) has no rows inside fused layers."
        )
        groups.append(RowGroup("missing", "missing", "warning", text, _rows(found.missing, index)))
        for name in found.missing:
            notes[index[name]].append(f"A tensor of {graph.name} that the file has no row for.")
    return groups


def _difference_groups(mine: Column, theirs: Column) -> list[RowGroup]:
    """Compare two files row by row."""
    both = mine.present & theirs.present
    equal = both & (mine.bits == theirs.bits)
    kinds: tuple[tuple[str, str, str, NDArray[np.bool_]], ...] = (
        ("changed", "changed", "The scale differs, if only in its last bit.", both & ~equal),
        ("only-a", "only in A", "B has no row for these.", mine.present & ~theirs.present),
        ("only-b", "only in B", "A has no row for these.", theirs.present & ~mine.present),
        ("equal", "equal", "Bit for bit the same scale.", equal),
    )
    return [RowGroup(key, label, "info", text, np.flatnonzero(mask)) for key, label, text, mask in kinds if mask.any()]


def _rows(names: Any, index: Mapping[str, int]) -> NDArray[np.intp]:
    return _ascending(index[name] for name in names)


def _ascending(rows: Any) -> NDArray[np.intp]:
    return np.unique(np.fromiter(rows, dtype=np.intp))


@dataclass(frozen=True, eq=False)
class Column:
    """The numbers of one file for the rows of the viewer.

    ``amax``, float64, is NaN and ``bits``, the float32 scale as uint32, is 0 where the file has no such row.
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


@dataclass(frozen=True)
class ModelMatch:
    """How the rows of a file fit a model: how many it knows, does not know, and lacks a row for.

    ``foreign`` are among the unknown: rows with numbers that TensorRT 8 would not give this model's layers.
    """

    model: str
    known: int
    unknown: int
    missing: int
    foreign: int = 0


@dataclass(frozen=True, eq=False)
class CacheFacts:
    """A file, maybe a second one and a model, as rows.

    Rows are those of the file in its order (a repeated name has several), then tensors of the model that it lacks, then
    those that only the second file has. ``groups`` has the worst first; ``notes`` says in words what there is to say
    about a row, ``remarks`` (severity and text) about the file.
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
    match: ModelMatch | None = None

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Scale of the second file over that of the first, NaN where one lacks the row."""
        if self.theirs is None:
            return np.full(len(self.names), np.nan)
        with np.errstate(all="ignore"):
            return np.asarray(self.theirs.scale / self.mine.scale, np.float64)

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """How many float32 values the second file's scale lies above the first one's, 0 where one lacks the row."""
        if self.theirs is None:
            return np.zeros(len(self.names), np.int64)
        both = self.mine.present & self.theirs.present
        return np.where(both, _ordinals(self.theirs.bits) - _ordinals(self.mine.bits), 0)

    @cached_property
    def equal_rows(self) -> frozenset[int]:
        """Rows that both files have with the same bits."""
        return frozenset(row for group in self.groups if group.key == "equal" for row in group.rows.tolist())

    @cached_property
    def changes(self) -> Mapping[int, str]:
        """Row index -> ``changed``, ``only-a`` or ``only-b``; rows that are equal are not in it."""
        kinds = ("changed", "only-a", "only-b")
        return {row: group.key for group in self.groups if group.key in kinds for row in group.rows.tolist()}

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


def _ordinals(bits: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the places of float32 numbers among all of them in ascending order, 0 for both zeros."""
    wide = bits.astype(np.int64)
    return np.where(wide < 0x80000000, wide, 0x80000000 - wide)


def read_facts(file: ScaleFile, other: ScaleFile | None = None, graph: ModelGraph | None = None) -> CacheFacts:
    """Put together all there is to show of a file, of a second one, and of the model that it is for."""
    own_names, own_bits, own_amax = _rows_of(file)
    present = dict.fromkeys(own_names)
    matches = compare_with_names(file, ()) if graph is None else compare_with_model(file, graph)
    missing = [name for name in matches.missing if name not in present]
    present.update(dict.fromkeys(missing))
    pairs, seen = ({}, ()) if other is None or graph is None else _pairs(present, other.scales, graph)
    added = [] if other is None else [name for name in other.scales if name not in present and name not in seen]
    names = (*own_names, *missing, *added)
    n = len(names)
    mine = Column(_padded(own_amax, n, np.nan), _padded(own_bits, n, 0), np.arange(n) < len(own_names))
    theirs = None if other is None else _column_of(other, [pairs.get(name, name) for name in names])
    index = {name: row for row, name in enumerate(names)}
    notes: dict[int, list[str]] = defaultdict(list)
    for name, theirs_name in pairs.items():
        notes[index[name]].append(f"B has it as {theirs_name!r}: the same tensor of the model.")
    groups = [
        *_oddity_groups(file, index, notes),
        *_name_groups(matches, graph, index, notes),
        *(_difference_groups(mine, theirs) if theirs is not None else ()),
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
        remarks=tuple((o.severity, o.message) for o in file.oddities if not _is_about_a_row(o)),
        match=None if graph is None else _match_of(file, matches, graph),
    )


def _pairs(
    mine: Mapping[str, Any], theirs: Mapping[str, float], graph: ModelGraph
) -> tuple[dict[str, str], frozenset[str]]:
    """Return own name -> the second file's name where they differ and are one tensor of the model's.

    TensorRT 8 and 10 name constants and reshapes differently. A name that both files have is its own. Beside them all
    rows of the second file that are seen so: TensorRT 8 has a constant and its reshape, which have one scale.
    """
    own, others = tensors_of_rows(mine, graph), tensors_of_rows(theirs, graph)
    by_tensor = {tensor: row for row, tensor in others.items()} | {row: row for row in theirs if row not in others}
    wanted = {name: own.get(name, name) for name in mine if name not in theirs}
    pairs = {name: by_tensor[tensor] for name, tensor in wanted.items() if tensor in by_tensor}
    shown = {tensor: theirs[by_tensor[tensor]] for tensor in wanted.values() if tensor in by_tensor}
    seen = {row for row, tensor in others.items() if shown.get(tensor) == theirs[row]}
    return pairs, frozenset(seen.union(pairs.values()))


def _match_of(file: ScaleFile, found: NameComparison, graph: ModelGraph) -> ModelMatch:
    foreign = len(foreign_numbers(file.scales, graph))
    unknown = len(found.unknown) + foreign
    return ModelMatch(graph.name, len(file.scales) - unknown, unknown, len(found.missing), foreign)


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


ALL = "all"
"""Key of the filter that lets everything through."""

SORTS = ("file", "name", "amax", "other", "ratio")
"""Order of the file, name, threshold, threshold in the second file, size of the change."""


def arrange(
    facts: CacheFacts, *, search: str = "", group: str = ALL, sort: str = "file", descending: bool = False
) -> NDArray[np.intp]:
    """Return the indices of the rows to show, in their order; a UsageError where there is no such group or order.

    ``search`` is what :func:`~trtcal_widgets.widgets.kit.search.search_for` takes; ``group`` is the key of a
    :class:`RowGroup` or "all". Rows without a number come last in either direction.
    """
    return _sorted(facts, _filtered(facts, search, group), sort, descending=descending)


def _filtered(facts: CacheFacts, search: str, group: str) -> NDArray[np.intp]:
    if group == ALL:
        rows = np.arange(len(facts.names))
    else:
        found = [g.rows for g in facts.groups if g.key == group]
        if not found:
            raise UsageError(f"there are no rows of the kind {group!r}")
        rows = found[0]
    if not search.strip():
        return rows
    names, fits = facts.shown_names, search_for(search).fits
    return np.array([row for row in rows.tolist() if fits(names[row])], dtype=np.intp)


def _sorted(facts: CacheFacts, rows: NDArray[np.intp], sort: str, *, descending: bool) -> NDArray[np.intp]:
    if sort == "file":
        return rows[::-1] if descending else rows
    if sort == "name":
        names = facts.folded_names
        return np.array(sorted(rows.tolist(), key=lambda row: names[row], reverse=descending), dtype=np.intp)
    if sort == "amax":
        values = facts.mine.amax
    elif sort == "other" and facts.theirs is not None:
        values = facts.theirs.amax
    elif sort == "ratio":
        with np.errstate(all="ignore"):
            values = np.abs(np.log(facts.ratio))
    else:
        raise UsageError(f"rows are sorted by {', '.join(SORTS)}, not {sort!r}")
    chosen = values[rows]
    known = ~np.isnan(chosen)
    order = np.argsort(-chosen[known] if descending else chosen[known], kind="stable")
    return np.concatenate([rows[known][order], rows[~known]])
