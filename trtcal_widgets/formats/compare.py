"""Scale files side by side, and against a model's tensor names.

Pure functions over anything that has ``header`` and ``scales``: caches and the neighbouring tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.formats.header import row_of, synthetic_label
from trtcal_widgets.formats.scales import scale_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ScaleFile(Protocol):
    """What caches and neighbouring tables have in common."""

    @property
    def header(self) -> str:
        """First line of a cache, ``""`` for a format without one."""

    @property
    def scales(self) -> Mapping[str, float]:
        """Tensor name to scale (amax / 127), in file order."""


@dataclass(frozen=True)
class RowChange:
    """A tensor that both files have, with different scales.

    Attributes
    ----------
    name
        The tensor.
    scale_a, scale_b
        Its scale in either file.
    ratio
        scale_b / scale_a (equally the ratio of the amax); inf where only ``scale_a`` is 0, NaN where
        it means nothing (``scale_a`` infinite, a NaN in play).
    ulps
        How many float32 values lie between the two: 1 is a rounding difference. -1 where a NaN is in
        play.
    """

    name: str
    scale_a: float
    scale_b: float
    ratio: float
    ulps: int


@dataclass(frozen=True)
class CacheDiff(Shown):
    """How two files differ; names in the order of ``a`` (``only_in_b``: of ``b``).

    Attributes
    ----------
    only_in_a, only_in_b
        Tensors that the other file has no row for.
    changed
        Tensors with different scales.
    equal
        Tensors with bit-equal scales.
    header_a, header_b
        The header lines.
    order_differs
        Whether the tensors that both files have stand in different orders.
    """

    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    changed: tuple[RowChange, ...]
    equal: tuple[str, ...]
    header_a: str
    header_b: str
    order_differs: bool

    def _summary(self) -> Summary:
        lines = [
            f"{len(self.equal):,} equal, {len(self.changed):,} changed, {len(self.only_in_a):,} in the first alone, "
            f"{len(self.only_in_b):,} in the second alone"
        ]
        if self.header_differs:
            lines.append(f"Headers: {self.header_a} | {self.header_b}")
        if self.order_differs:
            lines.append("The rows stand in different orders.")
        rows = tuple(
            (row.name, f"{row.scale_a:.6g}", f"{row.scale_b:.6g}", f"{row.ratio:.4g}", f"{row.ulps:,}")
            for row in self.changed[:MOST_ROWS]
        )
        columns = ("tensor", "scale of the first", "of the second", "ratio", "float32 values apart")
        return Summary("Two files of scales", tuple(lines), columns, rows, left_out(len(self.changed), ".changed"))

    @property
    def header_differs(self) -> bool:
        """Whether the first lines differ."""
        return self.header_a != self.header_b

    @property
    def same_scales(self) -> bool:
        """Whether both files have the same tensors with the same scales, in whatever order."""
        return not (self.only_in_a or self.only_in_b or self.changed)

    @property
    def same(self) -> bool:
        """Whether nothing differs: neither tensors, scales, header nor order."""
        return self.same_scales and not self.header_differs and not self.order_differs


@dataclass(frozen=True)
class NameComparison:
    """Rows of a file against the tensor names of a model, in file order (``missing``: as given).

    Attributes
    ----------
    matched
        Rows that are tensors of the model.
    synthetic
        Rows that TensorRT or its ONNX parser made up, with what they are, in words.
    unknown
        All other rows: another model, another export of it, or a misspelling.
    missing
        Tensors without a row. TensorRT warns "Missing scale and zero-point" and runs their layers in
        higher precision.
    """

    matched: tuple[str, ...]
    synthetic: Mapping[str, str]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


def diff(a: ScaleFile, b: ScaleFile) -> CacheDiff:
    """Compare two files; scales are compared bit for bit (two NaN of the same bits are equal)."""
    scales_a, scales_b = a.scales, b.scales
    common = [name for name in scales_a if name in scales_b]
    values_a, values_b = (
        np.array([scales[name] for name in common], dtype=np.float32) for scales in (scales_a, scales_b)
    )
    same = (values_a.view(np.uint32) == values_b.view(np.uint32)).tolist()
    return CacheDiff(
        only_in_a=tuple(name for name in scales_a if name not in scales_b),
        only_in_b=tuple(name for name in scales_b if name not in scales_a),
        changed=tuple(
            _change(name, scales_a[name], scales_b[name]) for name, equal in zip(common, same, strict=True) if not equal
        ),
        equal=tuple(name for name, equal in zip(common, same, strict=True) if equal),
        header_a=a.header,
        header_b=b.header,
        order_differs=common != [name for name in scales_b if name in scales_a],
    )


def _change(name: str, scale_a: float, scale_b: float) -> RowChange:
    if math.isnan(scale_a) or math.isnan(scale_b):
        return RowChange(name, scale_a, scale_b, math.nan, -1)
    if scale_a == 0:
        ratio = math.nan if scale_b == 0 else math.copysign(math.inf, scale_b)
    else:
        ratio = scale_b / scale_a if math.isfinite(scale_a) else math.nan
    return RowChange(name, scale_a, scale_b, ratio, abs(_ordinal(scale_b) - _ordinal(scale_a)))


def _ordinal(scale: float) -> int:
    """Place of a float32 among all float32 values in ascending order, 0 for both zeros."""
    bits = scale_bits(scale)
    return bits if bits < 0x80000000 else 0x80000000 - bits


def compare_with_names(
    cache: ScaleFile,
    names: Iterable[str],
    *,
    also_known: Iterable[str] = (),
    constants: Iterable[str] = (),
    layers: Iterable[str] = (),
    described: Mapping[str, str] | None = None,
) -> NameComparison:
    """Match the rows of a file with a model's tensors.

    Parameters
    ----------
    cache
        The file.
    names
        The tensors that should have a row.
    also_known
        Other tensors of the model (weights, shapes): a row for them is matched, none is missed.
    constants
        Which of ``names`` are constants: none is missed that has its row under TensorRT 10's name.
    layers
        Names of the model's nodes, which TensorRT 10 names some inner tensors after.
    described
        What rows are whose names TensorRT made up, where that is known of this model.
    """
    wanted = tuple(dict.fromkeys(names))
    known = frozenset(wanted).union(also_known)
    rows = cache.scales
    nodes = frozenset(layers) - {""}
    words = described or {}
    labels = {n: words.get(n) or synthetic_label(n, known, nodes) for n in rows if n not in known}
    there = {name for name in constants if row_of(name, rows)}
    return NameComparison(
        matched=tuple(name for name in rows if name in known),
        synthetic={name: label for name, label in labels.items() if label},
        unknown=tuple(name for name, label in labels.items() if not label),
        missing=tuple(name for name in wanted if name not in rows and name not in there),
    )
