"""The part of a session that answers: histograms, thresholds, costs, rows, the cache."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import kind_of, number, whole_number
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.formats.header import (
    CONSTANT_ROWS_FROM,
    NETWORK_ROWS_BEFORE,
    NETWORK_ROWS_FROM,
    constant_row,
    parse_version,
)
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.rows import constants_of
from trtcal_widgets.session.base import SessionBase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.core.thresholds import ThresholdCurve
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.session.state import TensorRow, Trace

__all__ = ["Reading"]

_AFTER_FUSION = frozenset({"EntropyCalibration", "LegacyCalibration"})
"""Algorithms whose caches lack the rows inside fused kernels, and whose pools have scales of their own."""

_ALGORITHMS = {"entropy": "EntropyCalibration2", "minmax": "MinMaxCalibration"}


class Reading(SessionBase):
    """What the counted batches and the choices come to; nothing here changes the session."""

    def histogram(self, name: str) -> Histogram:
        """Return a tensor's histogram over the counted batches."""
        return self.parts.numbers.histogram(self._known(name))

    def curve(self, name: str, method: str | Method) -> ThresholdCurve:
        """Return a method's objective and pick for a tensor's own histogram."""
        return self.parts.numbers.curve(self._known(name), Method.parse(method))

    def amax(self, name: str, method: str | Method | None = None) -> float:
        """Return the threshold that holds for a tensor, or the one that a method would pick for its group.

        In the tensor's unit; float32 as a Python float. 0 before the first batch.
        """
        leader = self.graph.group_of(self._known(name))[0]
        intent = self.parts.numbers.intent(name, self._state) if method is None else Method.parse(method)
        return self.parts.numbers.amax(leader, intent)

    def scale(self, name: str) -> float:
        """Return amax / 127 in float32, as a Python float."""
        return float(scale_of_amax(self.amax(name)))

    def cost(self, name: str, amax: float | None = None) -> Cost:
        """Return what a threshold costs a tensor (the chosen one, unless another is given)."""
        return self.parts.numbers.cost(self._known(name), self.amax(name) if amax is None else number(amax, "amax"))

    def trace(self, name: str, methods: Iterable[str | Method] = ("entropy", "minmax")) -> Trace:
        """Return how the thresholds of a tensor's group moved as batches were added."""
        leader = self.graph.group_of(self._known(name))[0]
        return self.parts.numbers.trace(name, leader, [Method.parse(m) for m in methods])

    def row(self, name: str) -> TensorRow:
        """Return the numbers of one tensor."""
        return self.parts.numbers.row(self._known(name), self._state)

    def table(self) -> list[TensorRow]:
        """Return the numbers of every tensor, in graph order."""
        return self.parts.numbers.rows(self.tensors, self._state)

    def pending_rows(self) -> int:
        """Return how many rows of :meth:`table` are not computed yet: what it costs to ask for it now."""
        return self.parts.numbers.pending(self.tensors, self._state)

    def batch_amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each recorded batch, shape (recorded,)."""
        self._known(name)
        if name in self.parts.constants:
            return np.full(len(self.parts.store), self.parts.constants[name].amax)
        return self.parts.store.amax(name)

    def batch_histogram(self, name: str, batch: int) -> Histogram | None:
        """Return a tensor's histogram in one recorded batch, None where the batch did not have it."""
        if not 0 <= whole_number(batch, "a batch") < len(self.parts.store):
            raise UsageError(f"batch {batch} is not recorded; there are {len(self.parts.store)}, counted from 0")
        return self.parts.constants.get(self._known(name)) or self.parts.store.get(batch, name)

    def to_cache(
        self,
        algorithm: str | None = None,
        version: str | None = None,
        rows: str | Iterable[str] = "tensorrt",
    ) -> CalibrationCache:
        """Return the chosen scales as a TensorRT calibration cache.

        Parameters
        ----------
        algorithm
            For the header; None: MinMaxCalibration where minmax is the method for all, else EntropyCalibration2.
            For 8.x, EntropyCalibration and LegacyCalibration lack the rows that are predicted to lie inside fused
            kernels, and their pools have scales of their own, as in TensorRT's caches.
        version
            TensorRT's, for the header: ``"8.6.1"``, ``"10.16.1"``; None: the installed one's, or the last with
            calibrators. From 10 on, the row of a constant is called ``<constant>_output``, as in TensorRT's own
            caches, and rows are in graph order. For 8.x the rows are those that TensorRT 8.6 writes, by its names and
            in its order: layers without a name are counted as its ONNX parser counts them. What cannot be told is left
            out; :meth:`left_out_rows` says what and why.
        rows
            ``"tensorrt"``: inputs, activations and constants; ``"activations"``: no constants; or names.

        Raises
        ------
        SessionError
            If no batch is counted.
        ExportError
            If a name cannot stand in a cache (a line break in it).
        """
        from trtcal_widgets.formats.cache import CalibrationCache
        from trtcal_widgets.formats.installed import default_version

        version = default_version() if version is None else version
        names = self.row_names(rows)
        if not any(i not in self._state.excluded for i in range(self._state.position)):
            raise SessionError("no batch is counted yet, so there are no scales to export: run() or step() first")
        algorithm = algorithm or self._algorithm
        if self._has_network_rows(version):
            scales = self._network_scales(rows, algorithm)
            return CalibrationCache.build(scales, algorithm=algorithm, version=version)
        counted = zip(names, self.parts.numbers.histograms(names), strict=True)
        known = [name for name, histogram in counted if histogram.n_values or self.choice(name)]
        thresholds = self.parts.numbers.thresholds(known, self._state)
        constants = frozenset(constants_of(self.graph)) if parse_version(version) >= CONSTANT_ROWS_FROM else frozenset()
        rows_of = [constant_row(name) if name in constants else name for name in known]
        scales = {row: float(scale_of_amax(amax)) for row, amax in zip(rows_of, thresholds, strict=True)}
        return CalibrationCache.build(scales, algorithm=algorithm, version=version)

    @property
    def _algorithm(self) -> str:
        return _ALGORITHMS.get(self._state.method.kind, "EntropyCalibration2")

    def _has_network_rows(self, version: str) -> bool:
        return bool(self.graph.trt8.rows) and NETWORK_ROWS_FROM <= parse_version(version) < NETWORK_ROWS_BEFORE

    def _network_scales(self, rows: str | Iterable[str], algorithm: str) -> dict[str, float]:
        """Return row -> scale as TensorRT 8.6 names and orders them."""
        before_fusion = algorithm not in _AFTER_FUSION
        legacy = algorithm == "LegacyCalibration"
        wanted = self.graph.trt8.rows
        if not before_fusion:
            wanted = tuple(row for row in wanted if not (row.fused or (legacy and row.joins)))
        if not (isinstance(rows, str) and rows == "tensorrt"):
            names = frozenset(self.row_names(rows))
            wanted = tuple(row for row in wanted if (row.own or row.tensor) in names)
        thresholds = self.parts.numbers.network_thresholds(wanted, self._state, shared=before_fusion)
        found = zip(wanted, thresholds, strict=True)
        return {row.name: float(scale_of_amax(amax)) for row, amax in found if not math.isnan(amax)}

    def left_out_rows(self, version: str | None = None) -> tuple[tuple[str, str], ...]:
        """Return the rows that TensorRT 8.x writes and :meth:`to_cache` cannot: (row, why), none for other versions.

        A question mark stands for a number that is not known. ``version`` is that of :meth:`to_cache`.
        """
        from trtcal_widgets.formats.installed import default_version

        version = default_version() if version is None else version
        if not self._has_network_rows(version):
            return ()
        facts = self.graph.trt8
        found = zip(facts.rows, self.parts.numbers.network_thresholds(facts.rows, self._state), strict=True)
        empty = ((row.name, "nothing was counted for it") for row, amax in found if math.isnan(amax))
        return (*facts.left_out, *empty)

    def row_names(self, rows: str | Iterable[str] = "tensorrt") -> tuple[str, ...]:
        """Return the tensors that :meth:`to_cache` would write for ``rows``.

        Raises
        ------
        UsageError
            If ``rows`` is another word, or names a tensor that is not there or a weight.
        """
        if isinstance(rows, str) and rows == "tensorrt":
            return self.calibrated
        if isinstance(rows, str) and rows == "activations":
            return tuple(n for n in self.calibrated if self.graph.tensors[n].kind is not TensorKind.CONSTANT)
        if isinstance(rows, str) or not np.iterable(rows):
            shown = repr(rows) if isinstance(rows, str) else kind_of(rows)
            raise UsageError(f"rows is 'tensorrt', 'activations' or a list of names, not {shown}")
        wanted = list(rows)
        for name in wanted:
            self._leader(name)
        return tuple(dict.fromkeys(wanted))

    def to_torch_quantizers(self, rows: str | Iterable[str] = "activations") -> dict[str, float]:
        """Return tensor name -> amax, to start quantisation-aware training from these ranges.

        pytorch-quantization's and ModelOpt's ``TensorQuantizer`` take the value as ``quantizer.amax = amax``; which
        quantizer belongs to which ONNX tensor is known to whoever exported the model. Tensors without a usable range
        (no data, all zero) are left out.

        Parameters
        ----------
        rows
            As for :meth:`to_cache`.
        """
        names = self.row_names(rows)
        found = dict(zip(names, self.parts.numbers.thresholds(names, self._state), strict=True))
        return {name: amax for name, amax in found.items() if 0 < amax < float("inf")}
