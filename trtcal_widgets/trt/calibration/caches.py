"""Whether a calibration cache is one for this TensorRT, this calibrator and this model: said before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import kind_of, one_of
from trtcal_widgets.common.words import count_of, some_of
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import CalibrationCache, compare_with_names, header_fits
from trtcal_widgets.formats.header import constant_row, quote, row_of
from trtcal_widgets.model.graph import ModelGraph, TensorKind
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.rows import constants_of, numbered_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

ALGORITHMS = MappingProxyType(
    {
        "entropy2": "EntropyCalibration2",
        "entropy": "EntropyCalibration",
        "minmax": "MinMaxCalibration",
        "legacy": "LegacyCalibration",
    }
)
"""This package's short names -> TensorRT's, as they stand in a cache's header."""

_OWN_SHARE = 0.5
"""Below this share of rows that are tensors of the model, a cache is taken to be another model's."""


@dataclass(frozen=True)
class CacheReport:
    """What is to be said about a cache before it is used.

    Attributes
    ----------
    source
        The file's name.
    header
        Why TensorRT would not take it (another version or algorithm); empty where it would.
    model
        Why it looks like another model's; empty where it does not, or where the model is not known.
    values
        Rows whose scale is NaN or negative, with which TensorRT 8.6.0 stops the build; empty where there are none.
    missing
        Tensors of the model without a row: TensorRT runs their layers in higher precision.
    """

    source: str
    header: str = ""
    model: str = ""
    values: str = ""
    missing: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether TensorRT would take it and it is this model's."""
        return not (self.header or self.model or self.values)

    def __str__(self) -> str:
        """Return the report in words."""
        parts = [f"{self.source}: {text}" for text in (self.header, self.model, self.values) if text]
        if self.missing:
            named = some_of(self.missing, 3, quote)
            parts.append(
                f"{self.source}: no row for {named}; TensorRT runs the layers that need one in higher precision"
            )
        return "\n".join(parts) or f"{self.source}: fits"


def check_algorithm(algorithm: str) -> str:
    """Return TensorRT's name of an algorithm.

    Raises UsageError if there is no such algorithm.
    """
    return ALGORITHMS[one_of(algorithm, tuple(ALGORITHMS), "algorithm")]


def check_cache(
    cache: CalibrationCache,
    *,
    version: str,
    algorithm: str,
    tensors: Iterable[str] = (),
    also_known: Iterable[str] = (),
    constants: Iterable[str] = (),
) -> CacheReport:
    """Compare a cache with where it is to be used.

    Parameters
    ----------
    cache
        The cache.
    version
        The TensorRT that will read it, as it calls itself.
    algorithm
        ``"entropy2"``, ``"entropy"``, ``"minmax"`` or ``"legacy"``.
    tensors
        The names that should have a row; none where the model is not known.
    also_known
        Other tensors of the model, which may have one.
    constants
        Which of ``tensors`` are constants, whose rows TensorRT 10 names ``<constant>_output``.
    """
    fit = header_fits(cache, ".".join(version.split(".")[:3]), check_algorithm(algorithm))
    wanted = tuple(tensors)
    header = "" if fit.verdict == "reuse" else fit.message
    values = _unusable(cache)
    if not wanted:
        return CacheReport(cache.source, header, values=values)
    names = compare_with_names(cache, wanted, also_known=also_known, constants=constants)
    own = len(names.matched)
    told = own + len(names.unknown)
    model = ""
    if not own or own < told * _OWN_SHARE:
        strangers = ", ".join(map(quote, names.unknown[:3])) or "made-up names only"
        model = (
            f"{own} of its {told} rows are tensors of this model (not: {strangers}), so it is another model's or "
            "another export's. `trtcal port` carries scales over between exports of one model."
        )
    return CacheReport(cache.source, header, model, values, names.missing)


def _unusable(cache: CalibrationCache) -> str:
    """Say which rows stop a build."""
    names = [oddity.name for oddity in cache.oddities if oddity.kind in ("nan", "negative")]
    if not names:
        return ""
    return (
        f"the scale of {some_of(names, 3, quote)} is NaN or negative, and TensorRT stops the build where it needs it: "
        "calibrate anew, or give these tensors an amax"
    )


DLA_ALGORITHM = "EntropyCalibration2"
"""The only calibrator whose caches DLA takes."""


@dataclass(frozen=True)
class MergeReport:
    """What merging did.

    Attributes
    ----------
    replaced
        Name -> (scale before, scale after) of rows that changed.
    same
        Rows that both had with the same bits.
    added
        Rows that only the other cache had.
    kept
        Rows of the base that were not touched.
    absent
        Names that were asked for and that the other cache has no row for.
    notes
        What the user should know, in sentences.
    """

    replaced: Mapping[str, tuple[float, float]]
    same: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]
    absent: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Return the report in words."""
        counts = (
            f"rows: {len(self.replaced)} replaced, {len(self.same)} the same in both, {len(self.added)} added, "
            f"{len(self.kept)} kept as they were"
        )
        lines = [counts, *self.notes]
        if self.absent:
            lines.insert(1, f"no row to take for {some_of(self.absent, 3, quote)}")
        return "\n".join(lines)


def merge_caches(
    base: CalibrationCache | str | os.PathLike[str],
    other: CalibrationCache | str | os.PathLike[str],
    names: Iterable[str] | Mapping[str, str] | None = None,
) -> tuple[CalibrationCache, MergeReport]:
    """Take rows of another cache into this one: a backbone's into that of a model which contains it, for instance.

    Parameters
    ----------
    base
        The cache that is changed (a copy of it), or its path. Its header and the order of its rows stay.
    other
        The cache that rows are taken from, or its path.
    names
        The rows to take: names, or ``{name in other: name in base}`` where the larger model calls them differently.
        None takes every row of ``other``. A constant's ONNX name stands for its row in TensorRT 10,
        ``<constant>_output``.

    Returns
    -------
    (CalibrationCache, MergeReport)
        The merged cache, new rows last, and what was done.

    Raises
    ------
    UsageError
        If nothing can be taken.
    ExportError
        If a scale to take is inf or NaN.
    """
    base, other = _read(base), _read(other)
    pairs = _pairs(names, other)
    taken = dict(_taken(other.scales, pairs))
    absent = tuple(old for old in pairs if not row_of(old, other.scales))
    if not taken:
        raise UsageError(
            f"{other.source} has none of the {len(pairs)} rows to take ({some_of(absent, 3, quote)}); its own names "
            f"begin with {some_of(other.scales, 3, quote)}. Where names differ, pass {{name in it: name in "
            f"{base.source}}}"
        )
    merged = base.with_scales(taken, add_missing=True)
    report = MergeReport(
        replaced={
            n: (base.scales[n], merged.scales[n]) for n in taken if n in base.scales and _changed(n, base, merged)
        },
        same=tuple(n for n in taken if n in base.scales and not _changed(n, base, merged)),
        added=tuple(n for n in taken if n not in base.scales),
        kept=tuple(n for n in base.scales if n not in taken),
        absent=absent,
        notes=tuple(_notes(base, other)),
    )
    return merged, report


def _pairs(names: Iterable[str] | Mapping[str, str] | None, other: CalibrationCache) -> dict[str, str]:
    if isinstance(names, str):
        raise UsageError(f"names must be a list of rows, or a dict, not a text: names=[{names!r}]")
    if names is not None and not isinstance(names, Iterable):
        raise UsageError(f"names must be a list of rows, or a dict, not {kind_of(names)}")
    if isinstance(names, Mapping):
        pairs = list(names.items())
    else:
        pairs = [(name, name) for name in (other.scales if names is None else names)]
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        raise UsageError("names must be texts: of rows to take, or {name in the other cache: name in this one}")
    if not pairs:
        raise UsageError("names= is empty, so there is nothing to take; leave it out to take every row")
    return dict(pairs)


def _taken(other: Mapping[str, float], pairs: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """Yield (row of the merged cache, scale) for every pair that the other cache has a row for."""
    for old, new in pairs.items():
        row = row_of(old, other)
        if row:
            yield new if row == old else constant_row(new), other[row]


def _read(cache: CalibrationCache | str | os.PathLike[str]) -> CalibrationCache:
    return cache if isinstance(cache, CalibrationCache) else CalibrationCache.read(cache)


def _changed(name: str, before: CalibrationCache, after: CalibrationCache) -> bool:
    return before.hex(name) != after.hex(name)


def _notes(base: CalibrationCache, other: CalibrationCache) -> Iterable[str]:
    if base.algorithm != other.algorithm:
        yield (
            f"{base.source} is {base.algorithm} and {other.source} is {other.algorithm}: scales mean the same in both, "
            f"and the header stays {base.header}"
        )
    yield (
        "TensorRT does not calibrate when it takes a cache: tensors without a row have no scale, and it runs the "
        "layers that need one in higher precision (it warns 'Missing scale and zero-point')."
    )


@dataclass(frozen=True)
class DlaReport:
    """Whether a cache is enough for DLA, which takes EntropyCalibration2 only and needs a scale on every tensor.

    Attributes
    ----------
    missing
        Inputs and activations without a row.
    missing_constants
        Constants without a row; TensorRT may fold them.
    unusable
        Name -> why its scale cannot be used.
    algorithm
        The cache's algorithm, where it is not the one that DLA takes; else empty.
    """

    missing: tuple[str, ...]
    missing_constants: tuple[str, ...]
    unusable: Mapping[str, str]
    algorithm: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is in DLA's way."""
        return not (self.missing or self.unusable or self.algorithm)

    def __str__(self) -> str:
        """Return the report in words."""
        lines = []
        if self.algorithm:
            lines.append(f"DLA takes caches of {DLA_ALGORITHM} only; this one is {self.algorithm}: calibrate anew")
        if self.missing:
            lines.append(
                f"{count_of(len(self.missing), 'tensor has', 'tensors have')} no scale: "
                f"{some_of(self.missing, 3, quote)}. Their layers leave DLA"
            )
        if self.unusable:
            first = [f"{quote(name)} ({why})" for name, why in list(self.unusable.items())[:3]]
            lines.append(f"{count_of(len(self.unusable), 'scale')} cannot be used: {', '.join(first)}")
        if self.missing_constants:
            constants = count_of(len(self.missing_constants), "constant has", "constants have")
            lines.append(f"{constants} no row: {some_of(self.missing_constants, 3, quote)}")
        return "\n".join(lines) or "every tensor that DLA needs has a scale"


def check_dla(
    graph: ModelGraph | str | os.PathLike[str], cache: CalibrationCache | str | os.PathLike[str]
) -> DlaReport:
    """Check that every tensor that DLA needs has a usable scale.

    Parameters
    ----------
    graph
        The model's facts, or its path.
    cache
        Its calibration cache, or the path of one.
    """
    cache = _read(cache)
    if not isinstance(graph, ModelGraph):
        graph = load_graph(graph)
    constants = frozenset(constants_of(graph))
    rows = {n: row_of(n, cache.scales) if n in constants else n for n in graph.calibrated}
    if numbered_rows(cache.scales, graph):  # TensorRT 8: its own names, of every tensor that its network has
        rows = {row.name: row.name for row in graph.trt8.rows}
        made = {t.name for t in graph.tensors.values() if t.kind in (TensorKind.INPUT, TensorKind.ACTIVATION)}
        constants = frozenset(row.name for row in graph.trt8.rows if row.tensor in graph.tensors.keys() - made)
    without = [name for name, row in rows.items() if row not in cache.scales]
    return DlaReport(
        missing=tuple(name for name in without if name not in constants),
        missing_constants=tuple(name for name in without if name in constants),
        unusable={n: w for n, r in rows.items() if r in cache.scales and (w := _why_unusable(cache.scales[r]))},
        algorithm="" if cache.algorithm == DLA_ALGORITHM else cache.algorithm,
    )


def _why_unusable(scale: float) -> str:
    if math.isnan(scale):
        return "NaN"
    if math.isinf(scale):
        return "infinite: the tensor held an infinity"
    if scale <= 0:
        return "0: the tensor held only zeros" if scale == 0 else "negative"
    return ""
