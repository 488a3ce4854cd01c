"""Debugging as an object with a state: run, keep layers, try thresholds, look for a plan. No toolkit is in here.

Slow methods are synchronous and may be called from a worker thread; one works at a time, the others wait. The state is
frozen, and subscribers hear of each change once. The session stays the only place where thresholds live.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.debug.given import check_given, model_of, no_scales
from trtcal_widgets.debug.goal import checked_target
from trtcal_widgets.debug.hazards.finding import find_hazards
from trtcal_widgets.debug.search import METHODS, PlanSearch, SearchResult, scale_candidates
from trtcal_widgets.debug.simulation import Int8Simulation
from trtcal_widgets.debug.state import NO_TRIALS, Basis, DebugState, Trial, Worker, basis_of, differences
from trtcal_widgets.debug.tuning.search import device_or_none, tune
from trtcal_widgets.errors import ModelError, SessionError, UsageError
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.session import Choice

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from trtcal_widgets.core.comparison import TensorComparison
    from trtcal_widgets.debug.results import TensorDetail
    from trtcal_widgets.debug.runs import Control
    from trtcal_widgets.debug.tuning.results import TuneResult
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.runners.evaluation import Evaluation, Score
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.trt.measuring.device import MeasuringDevice

__all__ = ["AccuracyDebugging"]

_KEPT_DETAILS = 24
_SCALES = frozenset({"position", "excluded", "method", "choices"})
"""What of a session's state the scales follow from."""


class AccuracyDebugging(Worker):
    """Where a session's scales lose accuracy, and a plan against it.

    Parameters
    ----------
    session
        The calibrated session. Its thresholds are used as they are when :meth:`run` is called; when they change
        later, :attr:`state` says that the results are out of date.
    evaluation
        The batches, and how outputs are judged.
    model
        The session's ONNX model, where the session was loaded without one: its path, or the loaded model.
    placement, threads
        As for :class:`~trtcal_widgets.debug.simulation.Int8Simulation`.
    target
        As for :meth:`aim`.

    Raises
    ------
    UsageError
        If there is no model, or what was given is no session or no evaluation.
    ModelError
        If the model is not the one that the session was calibrated with.
    """

    def __init__(
        self,
        session: CalibrationSession,
        evaluation: Evaluation,
        model: str | os.PathLike[str] | OnnxModel | None = None,
        *,
        placement: str = "recommended",
        threads: int | None = None,
        target: float = 0.99,
    ) -> None:
        check_given(session, evaluation)
        self.session = session
        self.evaluation = evaluation
        self.model = model_of(session, model)
        self.placement = placement
        self._threads = threads
        super().__init__(DebugState(plan=PrecisionPlan(model_sha256=self.model.graph.sha256)))
        self.aim(target)
        self._simulation: Int8Simulation | None = None
        self._basis: Basis | None = None
        self._scores: dict[str, Score] = {}
        self._planned_tensors: dict[str, Mapping[str, TensorComparison]] = {}
        self._trials: dict[str, Mapping[str, tuple[Trial, ...]]] = {}
        self._unsubscribe = session.subscribe(self._session_changed)

    # ---- state ------------------------------------------------------------------------------------------------

    @property
    def simulation(self) -> Int8Simulation | None:
        """What the results were made with; None before the first run."""
        return self._simulation

    def _session_changed(self, changed: frozenset[str]) -> None:
        if changed & _SCALES and self._basis is not None:
            stale = differences(self.session, self._basis)
            if stale != self._state.stale:
                self._commit(stale=stale)

    # ---- slow work --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Compare FP32 with INT8, rank the layers, score the plan if there is one, look for hazards.

        Results are in :attr:`state` as soon as there are some. The old ones stay where it is cancelled or fails
        before that.

        Raises
        ------
        SessionError
            If no batch is counted yet: there are no scales.
        CancelledError, DataError, ModelError, EvaluationError
            As it ended; :attr:`state` says the same.
        """
        with self._working("run") as control:
            basis = basis_of(self.session)
            scales = self.scales()
            simulation = Int8Simulation(self.model, scales, placement=self.placement, threads=self._threads)
            comparison = simulation.compare(self.evaluation, control=control)
            with self._lock:
                self._simulation, self._basis = simulation, basis
                self._scores, self._planned_tensors, self._trials = {}, {}, {}
            stale = differences(self.session, basis)
            self._commit(
                comparison=comparison, ranking=None, hazards=None, planned=None, planned_tensors=None, stale=stale,
                trials=NO_TRIALS, details=MappingProxyType({}), search=None, tuned=None,
            )  # fmt: skip
            self._commit(ranking=tuple(simulation.isolated(self.evaluation, control=control)))
            self._score_now(simulation, control)
            control.report(0, 0, "looking for hazards")
            self._commit(hazards=find_hazards(self.model, self.session, channel_batches=2))

    def score_plan(self) -> Score | None:
        """Score the plan of the moment, then compare every tensor with it, from what lies downstream of its changes.

        Returns None for a plan that changes nothing, and where another change of the plan came in between.
        """
        simulation = self._ready()
        known = self._known_results()
        if None not in known.values() or not self._state.plan:
            self._commit(**known)
            return self._state.planned
        with self._working("plan") as control:
            self._score_now(simulation, control)
        return self._state.planned

    def find_plan(
        self, target: float | None = None, *, precision: Literal["fp16", "fp32"] = "fp16", scales: bool = True
    ) -> SearchResult:
        """Look for a small plan that reaches a share of FP32's accuracy; it replaces the plan of the moment.

        Parameters
        ----------
        target
            Share of FP32's value, 0 to 1, from now on the goal of :attr:`state`; None: the goal that it has.
        precision
            What kept layers run in.
        scales
            Whether other thresholds are tried before layers are kept.
        """
        simulation = self._ready()
        if target is not None:
            self.aim(target)
        candidates = scale_candidates(self.session) if scales else None
        with self._working("search") as control:
            search = PlanSearch(
                simulation,
                self.evaluation,
                target=self._state.target,
                precision=precision,
                candidates=candidates,
                ranking=self.state.ranking,
                control=control,
            )
            result = search.run()
            self._scores[_key(result.plan)] = result.after
            self._replace_plan(result.plan, search=result)
            self._score_now(simulation, control)
        return result

    def tune(self, device: MeasuringDevice | None = None, **options: Any) -> TuneResult:
        """Measure what layers gain in INT8 and set it against what they cost; the result is in :attr:`state`.

        ``device``: what measures; None: this machine's GPU with TensorRT, and accuracy alone where there is none.
        ``options``: as for :func:`~trtcal_widgets.debug.tune`: ``precision``, ``variants``, ``journal``.
        """
        simulation = self._ready()
        losses = {layer.node: layer.loss for layer in self._state.ranking or ()}
        with self._working("tune") as control, device_or_none(device, self.evaluation) as measuring:
            result = tune(simulation, self.evaluation, device=measuring, losses=losses, control=control, **options)
            self._commit(tuned=result)
        return result

    def try_methods(self, name: str, methods: Sequence[str] = METHODS) -> tuple[Trial, ...]:
        """Score what each method's threshold for a tensor would give, everything else as it is.

        The plan is that of the moment in which it begins; trials with another one are shown when that is taken again.

        Raises
        ------
        UsageError
            If nothing in the INT8 model is quantised with this tensor's scale.
        """
        simulation = self._ready()
        names = self.quantized_with(name)
        if not names:
            raise UsageError(f"{name!r} is not quantised in this model, so its threshold changes nothing")
        with self._working("trial") as control:
            trials: list[Trial] = []
            plan = self._state.plan
            for method in methods:
                amax = self.session.amax(name, method)
                control.report(len(trials), len(methods), f"trying {method}")
                if 0 < amax < math.inf:
                    tried = plan.with_amax(dict.fromkeys(names, amax))
                    trials.append(Trial(method, amax, simulation.score(self.evaluation, tried, control=control)))
            key = _key(plan)
            self._trials[key] = MappingProxyType({**self._trials.get(key, NO_TRIALS), name: tuple(trials)})
            self._commit(trials=self._known_results()["trials"])
        return tuple(trials)

    def look_at(self, name: str) -> TensorDetail:
        """Look closer at a tensor: its errors, and pairs of values.

        Raises
        ------
        ModelError
            If it is no floating-point activation or input of the model.
        """
        self._ready()
        known = self._state.details.get(name)
        if known is not None:
            return known
        with self._slow:  # nothing else writes details, or makes another simulation
            simulation = self._ready()
            detail = simulation.detail(name, self.evaluation)
            kept = dict(list(self._state.details.items())[1 - _KEPT_DETAILS :])
            self._commit(details=MappingProxyType({**kept, name: detail}))
        return detail

    # ---- deciding: fast; whoever asks for it has the plan scored afterwards -----------------------------------

    def keep(self, nodes: str | Iterable[str], kept: bool = True) -> None:
        """Keep layers in higher precision, or quantise them again; :meth:`score_plan` then says what it gives.

        Raises
        ------
        ModelError
            If the model has no such layer.
        """
        names = [nodes] if isinstance(nodes, str) else list(nodes)
        known = {node.name for node in self.model.graph.nodes}
        for name in names:
            if name not in known:
                raise ModelError(f"{self.model.graph.name} has no layer {name!r}")
        plan = self._state.plan
        self.set_plan(plan.with_kept(names, "kept by hand") if kept else plan.without(names))

    def aim(self, target: float) -> None:
        """Set the goal: a share of FP32's value, greater than 0 and at most 1.

        Raises
        ------
        UsageError
            If it is no such share.
        """
        self._commit(target=checked_target(target))

    def set_plan(self, plan: PrecisionPlan) -> None:
        """Take another plan.

        Raises
        ------
        ModelError
            If it names layers that the model does not have.
        """
        plan.nodes(self.model.graph)
        self._replace_plan(plan)

    def undo(self) -> None:
        """Go back to the plan before."""
        if self._past:
            self._future.append(self._state.plan)
            self._show_plan(self._past.pop())

    def redo(self) -> None:
        """Take the plan again that was taken back last."""
        if self._future:
            self._past.append(self._state.plan)
            self._show_plan(self._future.pop())

    def use_method(self, name: str, method: str) -> None:
        """Choose a method for a tensor in the session. The results are out of date then, until :meth:`run`."""
        self.session.choose(name, method=method)
        gone = self.session.group(name)
        plan = self._state.plan
        if set(gone) & set(plan.amax):
            self._replace_plan(plan.without_amax(gone))

    def adopt_scales(self) -> None:
        """Move the plan's thresholds into the session, where the explorer shows them and caches are written from."""
        plan = self._state.plan
        moved = {self.session.group(name)[0]: Choice(amax=amax) for name, amax in plan.amax.items()}
        if moved:
            self.session.update(choices={**self.session.state.choices, **moved})
            self._replace_plan(plan.without_amax(plan.amax))

    def quantized_with(self, name: str) -> tuple[str, ...]:
        """Return the tensors that the INT8 model quantises with this tensor's scale."""
        simulation = self._simulation
        return () if simulation is None else tuple(n for n in self.session.group(name) if n in simulation.quantized)

    def close(self) -> None:
        """Stop listening to the session, and stop what is under way."""
        self._unsubscribe()
        self.cancel()

    # ---- parts ------------------------------------------------------------------------------------------------

    def _ready(self) -> Int8Simulation:
        if self._simulation is None:
            raise SessionError("nothing is compared yet: run() first (in the widget: run)")
        return self._simulation

    def scales(self) -> dict[str, float]:
        """Return the session's scales of now, by tensor.

        Raises
        ------
        SessionError
            If no batch is counted yet.
        """
        session = self.session
        if why := no_scales(session):
            raise SessionError(why)
        names = session.row_names()
        return {name: session.scale(name) for name in names if session.histogram(name).n_values or session.choice(name)}

    def _replace_plan(self, plan: PrecisionPlan, **change: Any) -> None:
        if plan != self._state.plan:
            self._past.append(self._state.plan)
            self._future.clear()
            self._show_plan(plan, **change)
        elif change:
            self._commit(**change)

    def _show_plan(self, plan: PrecisionPlan, **change: Any) -> None:
        """Take a plan; a score of another one that is under way is of no use any more."""
        control = self._control
        if control is not None and self._state.work == "plan":
            self._superseded = control
            control.cancel()
        self._commit(plan=plan, **self._known_results(plan), **change)

    def _known_results(self, plan: PrecisionPlan | None = None) -> dict[str, Any]:
        """Return what is known of a plan, by default of that of the moment: fields of the state."""
        plan = self._state.plan if plan is None else plan
        key = _key(plan)
        scored = key if plan else ""  # without a plan there is nothing but INT8 itself
        return {
            "planned": self._scores.get(scored),
            "planned_tensors": self._planned_tensors.get(scored),
            "trials": self._trials.get(key, NO_TRIALS),
        }

    def _score_now(self, simulation: Int8Simulation, control: Control) -> None:
        """Find out what is not known yet of the plan of the moment: first the score, which is what decides."""
        plan, comparison = self._state.plan, self._state.comparison
        if not plan or comparison is None:
            return
        key = _key(plan)
        if key not in self._scores:
            self._scores[key] = simulation.score(self.evaluation, plan, control=control)
        if self._state.plan == plan:
            self._commit(**self._known_results(plan))
        if key not in self._planned_tensors:
            before = {name: result.comparison for name, result in comparison.tensors.items()}
            found = simulation.compare_plan(self.evaluation, plan, before, control=control)
            self._planned_tensors[key] = MappingProxyType(found)
        if self._state.plan == plan:
            self._commit(**self._known_results(plan))


def _key(plan: PrecisionPlan) -> str:
    return repr((sorted(plan.keep), sorted(plan.amax.items())))
