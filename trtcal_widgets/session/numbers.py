"""What the recorded batches say: merged histograms, thresholds and table rows, computed when asked and kept.

Everything here follows from the store, the counted batches (the *view*), and the choices.
Kernels release the GIL, so that tables of hundreds of tensors use every core.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.histogram import Histogram, combine, replay
from trtcal_widgets.core.quantizer import Cost, NoiseModel, costs
from trtcal_widgets.core.thresholds import Method, ThresholdCurve, is_infinite_in_tensorrt, threshold, threshold_curve
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.keeping.searching import entropy_thresholds, percentiles
from trtcal_widgets.session.keeping.totals import Totals
from trtcal_widgets.session.rows import build_row
from trtcal_widgets.session.state import Choice, SessionState, TensorRow, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.model.graph import ModelGraph, NetworkRow
    from trtcal_widgets.session.store import BatchStore

_ENTROPY = Method("entropy")

_PERCENTILE = Method("percentile", 99.99)

_COMPARED = (_ENTROPY, Method("minmax"), _PERCENTILE)
"""Methods whose disagreement is shown: those that are cheap for every tensor after every batch."""

_TRACE_POINTS = 48
_KEPT_CURVES = 64

_KEPT_VIEWS = 4
"""Views whose thresholds, costs and rows are kept: going back and forth costs no second search."""

_TOGETHER = 64
"""Tensors whose rows one thread makes in one go."""

_FEW = 16
"""Up to so many tensors are merged one by one."""


@dataclass
class _Found:
    """What was computed for one tensor in one view. The histogram is merged when it is wanted."""

    histogram: Histogram | None = None
    amax: dict[Method, float] = field(default_factory=dict)
    cost: dict[float, Cost] = field(default_factory=dict)


class Numbers:
    """Numbers of every view; :meth:`at` gives the view that a state looks at.

    ``constants``: histograms of constants and weights, which no batch changes. ``in_order``: whether batches are
    replayed in their order (TensorRT's one pass) or combined (two passes).
    """

    def __init__(
        self, graph: ModelGraph, store: BatchStore, constants: Mapping[str, Histogram], *, in_order: bool
    ) -> None:
        self.graph = graph
        self.store = store
        self.constants = constants
        self.in_order = in_order
        self.join = replay if in_order else combine
        self.totals = Totals(store, in_order=in_order)
        self._now = View(self, ())
        self._shown: tuple[object, ...] = ()
        self._past: dict[tuple[int, ...], View] = {}
        self._lock = threading.RLock()

    def at(self, state: SessionState) -> View:
        """Return the view of a state; what was found out about the last few is kept."""
        with self._lock:
            wanted = (state.position, state.excluded, state.samples_out)
            if wanted != self._shown:
                batches = self._batches(state, state.samples_out)
                if batches != self._now.batches:
                    before = self._now
                    self._leave(before)
                    self._now = self._past.pop(batches) if batches in self._past else View(self, batches, before)
                    self._now.left = False
                self._shown = wanted
            return self._now

    def _batches(self, state: SessionState, samples_out: frozenset[int]) -> tuple[int, ...]:
        counted = (i for i in range(state.position) if i not in state.excluded)
        return self.store.keys(counted, samples_out)

    def aside(self, state: SessionState, samples_out: frozenset[int]) -> View:
        """Return a view of the counted batches without other samples than the state's; it is not kept."""
        return View(self, self._batches(state, samples_out))

    def _leave(self, view: View) -> None:
        """Keep what was found out about a view, but for its histograms, which would be many megabytes."""
        view.leave()
        if view.has_rows:
            self._past[view.batches] = view
        while len(self._past) > _KEPT_VIEWS:
            self._past.pop(next(iter(self._past)))


class View:
    """Numbers over some batches, whatever the user chose: that is told with each question."""

    def __init__(self, numbers: Numbers, batches: tuple[int, ...], before: View | None = None) -> None:
        self.batches = batches
        self._before = {} if before is None else before.entropy_picks()
        self.left = False
        self._all = numbers
        self._graph = numbers.graph
        self._found: dict[str, _Found] = {}
        self._curves: dict[tuple[str, Method], ThresholdCurve] = {}
        self._rows: dict[str, tuple[Choice | Method, TensorRow]] = {}
        self._lock = threading.RLock()

    def entropy_picks(self) -> dict[str, float]:
        """Return what entropy picked, of the tensors that it was asked for."""
        with self._lock:
            return {name: found.amax[_ENTROPY] for name, found in self._found.items() if _ENTROPY in found.amax}

    @property
    def has_rows(self) -> bool:
        """Whether there is more to keep than what is found again at once."""
        return bool(self._rows)

    @property
    def n_merged(self) -> int:
        """How many histograms are kept."""
        return sum(found.histogram is not None for found in self._found.values())

    def leave(self) -> None:
        """Let go of histograms and curves, and keep no more of those that are still being made."""
        with self._lock:
            self.left = True
            self._curves = {}
            for found in self._found.values():
                found.histogram = None

    def histogram(self, name: str) -> Histogram:
        """Return a tensor's histogram over the counted batches."""
        found = self._of(name)
        histogram = found.histogram
        if histogram is None:
            histogram = self._all.constants.get(name) or self._merged(name)
            self._keep(found, histogram)
        return histogram

    def histograms(self, names: Sequence[str]) -> list[Histogram]:
        """Return the histograms of many tensors over the counted batches, merged in one go."""
        self._merge_many(names)
        return [self.histogram(name) for name in names]

    def _of(self, name: str) -> _Found:
        found = self._found.get(name)
        if found is not None:
            return found
        with self._lock:
            return self._found.setdefault(name, _Found())

    def _keep(self, found: _Found, histogram: Histogram) -> None:
        with self._lock:
            if not self.left:
                found.histogram = histogram

    def _merged(self, name: str) -> Histogram:
        if self.batches and self._all.totals.missing(self.batches) in (0, 1):
            found = self._all.totals.take([name], self.batches)
            if found is not None:
                return found[name]
        parts = [h for i in self.batches if (h := self._all.store.get(i, name)) is not None]
        return self._all.join(parts) if parts else Histogram.empty()

    def _merge_many(self, names: Iterable[str]) -> None:
        """Merge the histograms of many tensors in one go, if there are many that are not merged yet."""
        found = {name: self._of(name) for name in names if name not in self._all.constants}
        missing = [name for name, of in found.items() if of.histogram is None]
        if len(missing) > _FEW:
            merged = self._all.totals.take(missing, self.batches)
            for name, histogram in (merged or {}).items():
                self._keep(found[name], histogram)

    def curve(self, name: str, method: Method) -> ThresholdCurve:
        """Return a method's curve for a tensor's own histogram."""
        with self._lock:
            curve = self._curves.get((name, method))
        if curve is None:
            curve = threshold_curve(self.histogram(name), method)
            with self._lock:
                while len(self._curves) >= _KEPT_CURVES:
                    self._curves.pop(next(iter(self._curves)))
                if not self.left:
                    self._curves[name, method] = curve
        return curve

    def amax(self, leader: str, choice: Choice | Method) -> float:
        """Return the threshold of a group: the user's value, or what a method picks for the leader's histogram."""
        if isinstance(choice, Choice):
            if choice.amax is not None:
                return float(np.float32(choice.amax))
            choice = choice.method or Method("entropy")
        known = self._of(leader).amax
        if choice not in known:
            known[choice] = threshold(self.histogram(leader), choice)
        return known[choice]

    @property
    def in_order(self) -> bool:
        """Whether batches were replayed in their order, as TensorRT's one pass counts."""
        return self._all.in_order

    def is_infinite(self, name: str, intent: Choice | Method) -> bool:
        """Whether TensorRT would write an infinite scale: never where the user's own value holds, or in two passes."""
        method = intent.method if isinstance(intent, Choice) else intent
        return self.in_order and method is not None and is_infinite_in_tensorrt(self.histogram(name), method)

    def _written(self, name: str, intent: Choice | Method, *, infinite: bool) -> float:
        return math.inf if infinite and self.is_infinite(name, intent) else self.amax(name, intent)

    def thresholds(self, names: Sequence[str], state: SessionState, *, infinite: bool = False) -> list[float]:
        """Return the thresholds that hold for tensors, searched on all cores; with ``infinite``, as TensorRT's are."""
        wanted = [(self._graph.group_of(name)[0], self.intent(name, state)) for name in names]
        once = dict.fromkeys(wanted)  # the members of a group share one threshold
        self._merge_many(dict.fromkeys(leader for leader, _ in once))
        with ThreadPoolExecutor(available_cores()) as pool:
            found = dict(zip(once, pool.map(lambda pair: self._written(*pair, infinite=infinite), once), strict=True))
        return [found[pair] for pair in wanted]

    def network_thresholds(
        self, rows: Sequence[NetworkRow], state: SessionState, *, shared: bool = True, infinite: bool = False
    ) -> list[float]:
        """Return the thresholds of rows of TensorRT's network, nan where a row has no data.

        Without ``shared``, a pool's output has the threshold of its own values. Stored constants of a layer (a Gemm's
        weights) are tensors there: the method for all holds for them.
        """
        wanted = [self._decides(row, state, shared=shared) for row in rows]
        once = dict.fromkeys(wanted)
        self._merge_many(dict.fromkeys(source for source, _ in once if isinstance(source, str)))
        with ThreadPoolExecutor(available_cores()) as pool:
            found = dict(
                zip(once, pool.map(lambda pair: self._network_amax(*pair, infinite=infinite), once), strict=True)
            )
        return [found[pair] for pair in wanted]

    def _decides(self, row: NetworkRow, state: SessionState, *, shared: bool) -> tuple[str | float, Choice | Method]:
        """Return what a row's threshold follows from: a tensor or a number, and a choice or a method."""
        if not row.tensor:
            return row.number, state.method
        tensor = self._graph.tensors.get(row.tensor)
        if tensor is None or tensor.kind is TensorKind.WEIGHT:
            return row.tensor, state.method
        leader = self._graph.group_of(row.tensor)[0]
        decides = leader if shared else row.own or row.tensor
        return decides, state.choices.get(leader, state.method)

    def _network_amax(self, source: str | float, intent: Choice | Method, *, infinite: bool) -> float:
        if not isinstance(source, str):
            return threshold(Histogram.of(np.array([source], np.float32)), cast("Method", intent))
        if not self.histogram(source).n_values and not isinstance(intent, Choice):
            return math.nan
        return self._written(source, intent, infinite=infinite)

    def cost(self, name: str, amax: float) -> Cost:
        """Return what a threshold costs a tensor."""
        known = self._of(name).cost
        cost = known.get(amax)
        if cost is None:
            if len(known) > _KEPT_CURVES:
                known.clear()
            cost = known[amax] = NoiseModel(self.histogram(name)).cost(amax)
        return cost

    def sqnr_range(self, name: str, amax: float) -> tuple[float, float]:
        """Return between what a threshold's SQNR lies, in dB."""
        return NoiseModel(self.histogram(name)).sqnr_range_db(amax)

    def trace(self, name: str, methods: Sequence[Method]) -> Trace:
        """Return how the thresholds of a tensor's group moved as batches were added.

        At most 48 points, none before a value.
        """
        leader, batches = self._graph.group_of(name)[0], self.batches
        if name in self._all.constants or not batches:
            return Trace(np.zeros(0, np.int64), {str(m): np.zeros(0) for m in methods})
        shown = set(np.unique(np.linspace(0, len(batches) - 1, _TRACE_POINTS).round().astype(int)).tolist())
        positions: list[int] = []
        amax: dict[str, list[float]] = {str(m): [] for m in methods}
        merged = Histogram.empty()
        for k, i in enumerate(batches):
            added = self._all.store.get(i, leader)
            if added is not None:
                merged = self._all.join([merged, added])
            if k in shown and merged.n_values:
                positions.append(i + 1)
                for m in methods:
                    amax[str(m)].append(threshold(merged, m))
        return Trace(np.array(positions, np.int64), {m: np.array(v) for m, v in amax.items()})

    def rows(self, names: Iterable[str], state: SessionState) -> list[TensorRow]:
        """Return table rows, computed on all cores."""
        names = list(names)
        missing = [name for name in names if self._kept_row(name, state) is None]
        if len(missing) > 1:
            self._merge_many(dict.fromkeys(n for name in missing for n in (name, self._graph.group_of(name)[0])))
            parts = [missing[start : start + _TOGETHER] for start in range(0, len(missing), _TOGETHER)]
            with ThreadPoolExecutor(available_cores()) as pool:
                list(pool.map(lambda part: self._make_rows(part, state), parts))
        return [self.row(name, state) for name in names]

    def pending(self, names: Iterable[str], state: SessionState) -> int:
        """Return how many table rows are not computed yet."""
        return sum(self._kept_row(name, state) is None for name in names)

    def row(self, name: str, state: SessionState) -> TensorRow:
        """Return one table row."""
        return self._kept_row(name, state) or self._make_row(name, state)

    def intent(self, name: str, state: SessionState) -> Choice | Method:
        """Return what decides a tensor's threshold: the group's choice, the default, or for weights always minmax."""
        if self._graph.tensor(name).kind is TensorKind.WEIGHT:
            return Method("minmax")
        return state.choices.get(self._graph.group_of(name)[0], state.method)

    def _kept_row(self, name: str, state: SessionState) -> TensorRow | None:
        kept = self._rows.get(name)
        return kept[1] if kept is not None and kept[0] == self.intent(name, state) else None

    def _make_row(self, name: str, state: SessionState) -> TensorRow:
        leader, intent = self._graph.group_of(name)[0], self.intent(name, state)
        compared = [self.amax(leader, m) for m in _COMPARED]
        chosen = self.amax(leader, intent)
        infinite, cost = self.is_infinite(leader, intent), self.cost(name, chosen)
        row = build_row(self._graph, name, self.histogram(name), intent, compared, chosen, cost, infinite=infinite)
        self._rows[name] = (intent, row)
        return row

    def _make_rows(self, names: Sequence[str], state: SessionState) -> None:
        """Make the rows of some tensors: searches and costs of all in one call each."""
        leaders = list(dict.fromkeys(self._graph.group_of(name)[0] for name in names))
        unknown = [name for name in leaders if _ENTROPY not in self._of(name).amax]
        like = [self._before.get(name, 0.0) for name in unknown]
        picks = entropy_thresholds([self.histogram(name) for name in unknown], like)
        for name, amax in zip(unknown, picks, strict=True):
            self._of(name).amax[_ENTROPY] = amax
        shares = [name for name in leaders if _PERCENTILE not in self._of(name).amax]
        found = percentiles([self.histogram(name) for name in shares], _PERCENTILE.share)
        for name, amax in zip(shares, found, strict=True):
            self._of(name).amax[_PERCENTILE] = amax
        chosen = [self.amax(self._graph.group_of(name)[0], self.intent(name, state)) for name in names]
        for name, cost in zip(names, costs([self.histogram(name) for name in names], chosen), strict=True):
            self._of(name).cost[cost.amax] = cost
        for name in names:
            self._make_row(name, state)
