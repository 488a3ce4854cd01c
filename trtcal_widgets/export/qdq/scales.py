"""From the rows of a cache, a file or a session to one usable scale per tensor, or the reason why there is none."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.export.qdq.formats import INT8
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.model.explicit.table import read_scales

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trtcal_widgets.export.qdq.formats import QdqFormat
    from trtcal_widgets.model.graph import ModelGraph

BadScale = Literal["zero", "inf", "nan", "negative", "too-small"]

BAD_SCALES: Mapping[str, str] = {
    "zero": "the scale is 0: the tensor was zero on all calibration data, and Q divides by the scale",
    "inf": "the scale is infinite: the calibration data gave infinities there",
    "nan": "the scale is not a number: the calibration data gave NaN there",
    "negative": "the scale is negative, which no calibrator writes",
    "too-small": "the scale is too small for the element type: the tensor is practically zero",
}

_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Found:
    """A tensor's scale: ``value`` is usable if ``problem`` is empty; ``source`` says where it is from."""

    value: float
    problem: BadScale | Literal["", "none"] = ""
    source: str = ""

    @property
    def usable(self) -> bool:
        """Whether Q/DQ can be made with it."""
        return not self.problem


def rows_of(scales: Any) -> dict[str, float]:
    """Return tensor name -> scale for whatever has scales.

    ``scales``: a mapping; the path of a calibration cache, of another file of scales or ranges, or of a Q/DQ model; a
    :class:`CalibrationCache`, a :class:`ScaleTable` or anything else with ``scales``; or a session, whose chosen
    thresholds of all tensors with data are taken. Raises CacheFormatError if a file cannot be read; UsageError if it is
    none of them, or a value is no number.
    """
    if isinstance(scales, (str, os.PathLike)):
        scales = read_scales(scales)
    if hasattr(scales, "calibrated") and hasattr(scales, "to_cache"):  # a session
        scales = {name: scales.scale(name) for name in scales.calibrated if scales.histogram(name).n_finite}
    mapping = getattr(scales, "scales", scales)
    if not hasattr(mapping, "items"):
        raise UsageError(
            "scales are a mapping from tensor name to scale, the path of a cache or another file of scales, what "
            f"read_scale_file gives, or a session, not {kind_of(scales)}"
        )
    try:
        return {str(name): float(value) for name, value in mapping.items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"a scale is not a number: {error}") from error


def bad_scale(scale: float, dtype: str = "float32") -> BadScale | Literal[""]:
    """Say why Q cannot divide by a scale, ``""`` if it can."""
    if not 0 < scale < math.inf:
        if math.isnan(scale):
            return "nan"
        return "zero" if scale == 0 else "inf" if scale > 0 else "negative"
    if dtype == "float16":
        with np.errstate(all="ignore"):
            half = float(np.float16(scale))
        if math.isinf(half):
            return "inf"
        return "too-small" if abs(half - scale) > 0.01 * scale else ""
    return "too-small" if scale < _SMALLEST else ""


def shared_amax(graph: ModelGraph, amax: Mapping[str, float]) -> dict[str, float]:
    """Return a plan's thresholds for every tensor of the groups that its names are in.

    Raises ExportError if the model has no tensor of a name.
    """
    unknown = [name for name in amax if name not in graph.tensors]
    if unknown:
        raise ExportError(
            f"the plan sets amax of {unknown[0]!r}{' and others' if len(unknown) > 1 else ''}, which {graph.name} does "
            "not have. Was the plan made for another model, or was the model exported again? See `trtcal port`"
        )
    groups = {name: value for own, value in amax.items() for name in graph.group_of(own)}
    return {**groups, **amax}


class ScaleSource:
    """Looks up the scale of a tensor: the plan's, its own row, or a row of a tensor that its values come from or go to.

    ``rows``: tensor name -> INT8 scale, as :func:`rows_of` gives them. ``amax``: thresholds that replace the rows.
    ``format``: what the scales that it gives are for. ``bounds``: amax of tensors whose operator says it.
    """

    def __init__(
        self,
        graph: ModelGraph,
        rows: Mapping[str, float],
        amax: Mapping[str, float],
        format: QdqFormat = INT8,  # noqa: A002 - what users call it
        bounds: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._graph = graph
        self._bounds = bounds
        self._of_int8 = format.of_int8
        self._rows = rows
        self._amax = amax
        self.used: set[str] = set()
        """Rows that a scale was taken from."""

    def find(self, name: str, dtype: str = "float32") -> Found:
        """Return a tensor's own scale."""
        if name in self._amax:
            value = self._in_format(float(scale_of_amax(self._amax[name])))
            return Found(value, bad_scale(value, dtype), "amax of the plan")
        if name in self._bounds:
            bound = self._bounds[name]
            return Found(self._in_format(float(scale_of_amax(bound))), "", f"the operator's own range, up to {bound:g}")
        if name in self._rows:
            return self._row(name, dtype, "")
        for other in self._graph.relatives(name) if name in self._graph.tensors else ():
            if other in self._rows:
                return self._row(other, dtype, f"row of {other!r}, which holds its values")
        return Found(math.nan, "none")

    def _row(self, name: str, dtype: str, source: str) -> Found:
        value = self._in_format(float(np.float32(self._rows[name])))
        problem = bad_scale(value, dtype)
        if not problem:
            self.used.add(name)
        return Found(value, problem, source)

    def _in_format(self, scale: float) -> float:
        """Return the scale that stands for the same amax in the wanted format."""
        return scale if self._of_int8 == 1.0 else float(np.float32(scale * self._of_int8))

    def is_override(self, name: str) -> bool:
        """Whether the plan sets the tensor's threshold."""
        return name in self._amax


def joined_scale(
    group: Iterable[str], source: ScaleSource, constants: Mapping[str, float], outputs: Collection[str], dtype: str
) -> Found:
    """Return the one scale of the tensors that a ``Concat`` joins: the largest, so that none is clipped more.

    ``constants``: scales of the constants among them. ``outputs``: those that a ``Concat`` makes: the calibration of
    its output covers all of its inputs. What comes back is not usable where an input has no usable scale and the output
    has none either. An input whose scale is 0 needs none of its own: it was zero.
    """
    names = sorted(group)
    found = {
        name: Found(constants[name], bad_scale(constants[name], dtype))
        if name in constants
        else source.find(name, dtype)
        for name in names
    }
    overridden = [found[name].value for name in names if source.is_override(name) and found[name].usable]
    usable = [one.value for one in found.values() if one.usable]
    if overridden:
        return Found(max(overridden), "", "amax of the plan, shared by a Concat")
    covered = any(found[name].usable for name in outputs)
    lacking = [one for one in found.values() if not one.usable and one.problem != "zero"]
    if not usable or (lacking and not covered):
        return Found(math.nan, lacking[0].problem if lacking else "zero")
    return Found(max(usable), "", "shared by the tensors of a Concat")
