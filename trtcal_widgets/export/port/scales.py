"""Carrying calibrated scales over to another export of the same model, whose tensors have other names.

>>> result = port_scales("old.onnx", "new.onnx", read_scale_file("calibration.cache"))  # doctest: +SKIP
>>> result.write("new.cache")  # doctest: +SKIP
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of, shown_name
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.export.port.check import contradictions
from trtcal_widgets.export.port.graph import Side
from trtcal_widgets.export.port.match import HOW, match_tensors, other_biases
from trtcal_widgets.export.port.moved import contradicted, other_functions
from trtcal_widgets.export.qdq.rows import LEAST_MATCH, match_rows
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.header import CONSTANT_ROWS_FROM, constant_row, row_of
from trtcal_widgets.formats.reading import ScaleTable, convert
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.rows import constants_of, explicit_note
from trtcal_widgets.runners.inputs import Inputs

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True)
class PortedRow:
    """A row that was carried over.

    ``old`` and ``new`` are the tensor's names in the two models, ``scale`` is amax / 127, and ``how`` says what it
    rests on (a key of ``HOW``).
    """

    old: str
    new: str
    scale: float
    how: str


@dataclass(frozen=True)
class NotPorted:
    """A row that was not carried over: the tensor's old ``name``, and why in ``message``."""

    name: str
    message: str


@dataclass(frozen=True)
class PortReport(Shown):
    """What became of every row.

    Attributes
    ----------
    old_model, new_model
        File names.
    ported
        Rows of the new file, in the order of the old one.
    not_ported
        Rows of the old file that no tensor of the new model takes.
    without
        Tensors of the new model that TensorRT would calibrate and that have no row.
    """

    old_model: str
    new_model: str
    ported: tuple[PortedRow, ...]
    not_ported: tuple[NotPorted, ...]
    without: tuple[str, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows rest on each kind of match, surest first."""
        found = Counter(row.how for row in self.ported)
        return {how: found[how] for how in HOW if how in found}

    def _summary(self) -> Summary:
        lines = [f"{count:,}: {HOW[how]}" for how, count in self.counts.items()]
        if self.not_ported:
            lines.append(f"{count_of(len(self.not_ported), 'row')} of the old file not carried over")
        if self.without:
            lines.append(f"{count_of(len(self.without), 'tensor')} of the new model without a row")
        rows = tuple((row.old, row.new, HOW[row.how]) for row in self.ported[:MOST_ROWS])
        columns = (self.old_model, self.new_model, "because")
        title = f"{self.old_model} → {self.new_model}: {count_of(len(self.ported), 'tensor')}"
        return Summary(title, tuple(lines), columns, rows, left_out(len(self.ported), ".ported"))

    def to_json(self) -> str:
        """Return the report as JSON text."""
        data = asdict(self)
        for row in data["ported"]:
            row["scale"] = row["scale"] if math.isfinite(row["scale"]) else str(row["scale"])
        return json.dumps(
            {"format": "trtcal_widgets report", **data, "counts": self.counts},
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
        )

    def to_text(self) -> str:
        """Return the report for a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        total = len({row.old for row in self.ported}) + len(self.not_ported)
        yield (
            f"{shown_name(self.old_model)} -> {shown_name(self.new_model)}: "
            f"{total - len(self.not_ported)} of {total} rows carried over to {count_of(len(self.ported), 'tensor')}"
        )
        for how, count in self.counts.items():
            yield f"  {count:5d}  {HOW[how]}"
        for how in self.counts:
            yield f"\n{HOW[how]}:"
            for row in self.ported:
                if row.how == how:
                    yield f"  {shown_name(row.old)} -> {shown_name(row.new)}"
        if self.not_ported:
            yield f"\nnot carried over ({len(self.not_ported)}):"
            yield from (f"  {shown_name(row.name)}: {row.message}" for row in self.not_ported)
        if self.without:
            yield f"\ntensors of {shown_name(self.new_model)} without a row ({len(self.without)}):"
            yield from (f"  {shown_name(name)}" for name in self.without)


@dataclass(frozen=True, eq=False)
class PortResult:
    """The new file and the report.

    Attributes
    ----------
    table
        The scales by the new names, in the kind of file that the old ones were read from.
    report
        What became of every row.
    inputs
        The two models, which :meth:`write` does not replace.
    """

    table: CalibrationCache | ScaleTable
    report: PortReport
    inputs: Inputs = field(default_factory=Inputs)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def _repr_markdown_(self) -> str:
        return self.report._repr_markdown_()

    def to_bytes(self) -> bytes:
        """Content of the new file."""
        return convert(self.table, "cache" if isinstance(self.table, CalibrationCache) else self.table.format)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the new file atomically."""
        write_atomic(path, self.to_bytes(), inputs=self.inputs)


def port_scales(
    old: OnnxModel | str | os.PathLike[str],
    new: OnnxModel | str | os.PathLike[str],
    table: CalibrationCache | ScaleTable,
    *,
    force: bool = False,
) -> PortResult:
    """Carry scales over to another export of the same model.

    Parameters
    ----------
    old
        The model that was calibrated, or its path.
    new
        The new export, or its path.
    table
        The old model's scales.
    force
        Write the rows that were found even if they are less than half.

    Raises
    ------
    ExportError
        If the scales are not the old model's, or the two models have too little in common.
    ModelError
        If a model cannot be read.
    UsageError
        If the scales are something else.
    """
    if not isinstance(table, CalibrationCache | ScaleTable):
        raise UsageError(f"the scales are what read_scale_file gives (a cache or a table), not {kind_of(table)}")
    old, new = (model if isinstance(model, OnnxModel) else load_model(model) for model in (old, new))
    _check_old(table, old)
    found = match_tensors(old_side := Side(old), side := Side(new), loosely=force)
    other = _other_values(table, old_side, side, found)
    found = {name: pair for name, pair in found.items() if side.root(name) not in other}
    ported = _ported(table, found, side, constants_of(old.graph))
    ported, refused = _without_contradictions(ported, old, new)
    taken = {row.old for row in ported}
    refused |= {name: why for name, why in other.values() if name}
    lost = {**dict(_lost(table, taken, old)), **{name: why for name, why in refused.items() if name not in taken}}
    not_ported = tuple(NotPorted(name, why) for name, why in lost.items())
    without = match_rows({row.new: row.scale for row in ported}, new.graph).missing
    report = PortReport(old.graph.name, new.graph.name, ported, not_ported, without)
    _check_share(report, table, (old, new), force=force)
    return PortResult(_table(table, ported, report), report, Inputs.of((old.path, new.path)))


def _other_values(
    table: CalibrationCache | ScaleTable, old: Side, new: Side, found: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """Return what is not the old tensor, though it stands in its place: new tensor -> (old tensor, why).

    That is the result of a layer whose bias differs by more than half of its threshold, or of one that reads an input
    of which other layers say that it was shifted or scaled, and what follows from it.
    """
    wrong: dict[str, str] = {}
    for step, name, amount in other_biases(old, new, found):
        if amount > _OTHER * table.scales.get(name, 0.0) * 127.0:
            wrong[step.outputs[0]] = step.outputs[0]
    said = {**dict(other_functions(old, new, found)), **dict(contradicted(old, new, found))}
    wrong.update((name, name) for name in said)
    for step in new.steps:
        cause = next((wrong[name] for name in step.inputs if name in wrong), "")
        if cause:
            wrong.update((name, cause) for name in step.outputs if name not in wrong)
    why = "it follows from {}, a layer with the same weights and another bias in the new model"
    told = {name: said.get(cause) or why.format(shown_name(cause)) for name, cause in wrong.items()}
    return {name: (found.get(name, ("", ""))[0], reason) for name, reason in told.items()}


_OTHER = 0.5
"""Share of a threshold by which a bias may differ before the layer's result is another one."""


def _check_old(table: CalibrationCache | ScaleTable, old: OnnxModel) -> None:
    match = match_rows(table.scales, old.graph)
    real = len(match.matched) + len(match.unknown)
    if not match.matched or len(match.matched) < LEAST_MATCH * real:
        raise ExportError(
            f"{table.source}: only {len(match.matched)} of {real} rows are tensors of {old.graph.name}. Give the model "
            "that was calibrated first, then its new export"
        )


def _ported(
    table: CalibrationCache | ScaleTable,
    found: Mapping[str, tuple[str, str]],
    side: Side,
    constants: Collection[str],
) -> tuple[PortedRow, ...]:
    """Return the new rows: those found, and those that share a scale with one that was."""
    graph, scales = side.model.graph, table.scales
    row = {old: row_of(old, scales) if old in constants else old for old, _ in found.values()}
    rows = {
        new: PortedRow(row[old], new, scales[row[old]], how)
        for new, (old, how) in found.items()
        if row[old] in scales and new in graph.tensors and _is_writable(scales[row[old]])
    }
    for name in graph.calibrated:
        if name not in rows:
            mate = next((other for other in graph.relatives(name) if other in rows), "")
            if mate:
                rows[name] = PortedRow(rows[mate].old, name, rows[mate].scale, "shared")
    calibrated = set(graph.calibrated)
    order = {name: index for index, name in enumerate(scales)}
    kept = [row for row in rows.values() if row.new in calibrated]
    renamed = set(constants_of(graph)) if _has_constant_rows(table) else set()
    named = [replace(row, new=constant_row(row.new)) if row.new in renamed else row for row in kept]
    return tuple(sorted(named, key=lambda row: order[row.old]))


def _has_constant_rows(table: CalibrationCache | ScaleTable) -> bool:
    """Whether the file is for a TensorRT that calls the rows of constants ``<constant>_output``."""
    return isinstance(table, CalibrationCache) and (table.version or (0, 0, 0)) >= CONSTANT_ROWS_FROM


def _is_writable(scale: float) -> bool:
    return 0 <= scale < math.inf


_NOT_FOUND = "no tensor of the new model was found to be the same"
_MADE_UP = "TensorRT made the name up"


def _lost(table: CalibrationCache | ScaleTable, taken: set[str], old: OnnxModel) -> Iterator[tuple[str, str]]:
    match = match_rows(table.scales, old.graph)
    for name, scale in table.scales.items():
        if name in taken:
            continue
        if name in match.synthetic:
            yield name, f"{_MADE_UP}: {match.synthetic[name]}"
        elif name not in old.graph.tensors:
            yield name, f"{old.graph.name} has no tensor of this name"
        elif not _is_writable(scale):
            yield name, "its scale is infinite, negative or not a number"
        else:
            if old.graph.tensors[name].kind is TensorKind.CONSTANT:
                yield name, "a constant: the new model has none of these values left, or has them once"
                continue
            yield name, f"{_NOT_FOUND}: it may be folded into a layer there"


def _check_share(
    report: PortReport, table: CalibrationCache | ScaleTable, models: tuple[OnnxModel, OnnxModel], *, force: bool
) -> None:
    real = [name for name in table.scales if name in models[0].graph.tensors]
    taken = {row.old for row in report.ported if row.how != "name"}
    if force or len(taken) >= LEAST_MATCH * len(real):
        return
    explicit = "".join(f"{note} " for model in models if (note := explicit_note(model.graph)))
    raise ExportError(
        f"only {len(taken)} of {len(real)} rows could be carried over from {report.old_model} to {report.new_model} by "
        f"weights and structure, {100 * len(taken) / max(len(real), 1):.0f} %: are they exports of the same model with "
        f"the same weights? {_most_said(report)}{explicit}force=True (--force) writes what was found"
    )


def _most_said(report: PortReport) -> str:
    """Return the reason for which most rows were refused, as a sentence; empty where none was by evidence."""
    beside = (_NOT_FOUND, _MADE_UP)  # these say nothing of the two models, and made-up names are not counted
    said = Counter(row.message for row in report.not_ported if not row.message.startswith(beside)).most_common(1)
    return f"Of {count_of(said[0][1], 'row')}: {said[0][0]}. " if said and said[0][1] > 1 else ""


def _without_contradictions(
    ported: tuple[PortedRow, ...], old: OnnxModel, new: OnnxModel
) -> tuple[tuple[PortedRow, ...], dict[str, str]]:
    """Leave out rows that the new graph contradicts; return the others, and the old names with the reasons.

    Where the same operator makes both tensors the new graph says nothing that the old one has not said.
    """
    amax = {row.new: row.scale * 127.0 for row in ported}
    doubtful = {
        row.new
        for row in ported
        if row.old in old.graph.tensors
        and row.new in new.graph.tensors
        and old.graph.op_type(row.old) != new.graph.op_type(row.new)
    }
    wrong = {name: why for name, why in contradictions(new, amax) if name in doubtful}
    kept = tuple(row for row in ported if row.new not in wrong)
    return kept, {row.old: wrong[row.new] for row in ported if row.new in wrong}


def _table(
    table: CalibrationCache | ScaleTable, ported: tuple[PortedRow, ...], report: PortReport
) -> CalibrationCache | ScaleTable:
    if isinstance(table, ScaleTable):
        ranges = {row.new: table.ranges[row.old] for row in ported if row.old in table.ranges}
        return ScaleTable(table.format, {row.new: table.amax[row.old] for row in ported}, ranges, source=table.source)
    scales = {row.new: row.scale for row in ported}
    if not scales:
        raise ExportError(f"not one row could be carried over. {_most_said(report)}".rstrip())
    # The first line stays as it is, whatever it says.
    built = CalibrationCache.build(scales).to_bytes().split(b"\n", 1)[1]
    return CalibrationCache(table.header.encode("utf-8", "surrogateescape") + b"\n" + built, source=table.source)
