"""The smallest change that brings accuracy back: better scales first, then layers in higher precision.

The search is greedy on two roads, better scales before layers, and layers alone; of the plans that reach the goal the
one that keeps fewest layers is taken. Each is then tested: what the goal is met without is taken back, until taking any
one layer or scale back misses it. Every score it asks for is remembered, in a file if one is given, so that a cancelled
search goes on where it stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder, whole_number
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.debug.goal import checked_target, goal_of, loss_text, reaches, value_text
from trtcal_widgets.debug.remembered import plain_score, score_of
from trtcal_widgets.debug.runs import Control
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.debug.results import LayerResult
    from trtcal_widgets.debug.simulation import QdqSimulation
    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.runners.evaluation import Evaluation, Score
    from trtcal_widgets.session import CalibrationSession

METHODS = ("entropy", "minmax", "percentile:99.99", "percentile:99.9", "mse")
"""Methods that are tried for the scales of the worst layers."""

TRYING = "trying plans"
"""What the search reports to be doing, with how many plans it has tried and how many there are at most."""

_FACTORS = (0.5, 0.7, 0.85, 1.2, 1.5, 2.0)
"""Steps of the search for amax around the best method's value."""

Candidates = Callable[[str], Mapping[str, float]]
"""Tensor name -> label -> amax that may be tried."""


@dataclass(frozen=True)
class SearchStep:
    """One thing that was tried.

    Attributes
    ----------
    what
        In words: ``"ip1 calibrated with minmax"``, ``"conv1 kept in FP16"``.
    score
        Of the outputs with it.
    accepted
        Whether the search went on with it.
    """

    what: str
    score: Score
    accepted: bool


@dataclass(frozen=True)
class SearchResult(Shown):
    """What a search came to.

    Attributes
    ----------
    plan
        The plan: empty where INT8 was good enough.
    fp32, before, after
        Scores of FP32, of all-INT8, and with the plan.
    goal
        The value that :attr:`after` was to reach.
    steps
        Everything that was tried, in order.
    """

    plan: PrecisionPlan
    fp32: Score
    before: Score
    after: Score
    goal: float
    steps: tuple[SearchStep, ...]

    def _summary(self) -> Summary:
        scores = ", ".join(
            f"{name} {value_text(score)}"
            for name, score in (("FP32", self.fp32), ("all INT8", self.before), ("with the plan", self.after))
        )
        kept, scales = len(self.plan.keep), len(self.plan.amax)
        lines = (
            f"{self.fp32.measure}: {scores}; the goal of {value_text(self.fp32, self.goal)} is "
            + ("met" if self.met else "not met"),
            f"The plan keeps {count_of(kept, 'layer')} and changes {count_of(scales, 'scale')}.",
        )
        rows = tuple(
            (step.what, value_text(step.score), "yes" if step.accepted else "no") for step in self.steps[-MOST_ROWS:]
        )
        more = left_out(len(self.steps), ".steps, before these")
        return Summary("Search of a plan", lines, ("tried", self.fp32.measure, "taken"), rows, more)

    @property
    def met(self) -> bool:
        """Whether the plan reaches the goal."""
        return reaches(self.after, self.goal)


def scale_candidates(session: CalibrationSession, methods: Sequence[str] = METHODS) -> Candidates:
    """Return what the search may try for a tensor: the thresholds that the session's methods pick."""

    def candidates(name: str) -> Mapping[str, float]:
        found = {str(method): session.amax(name, method) for method in methods}
        return {label: amax for label, amax in found.items() if 0 < amax < math.inf}

    return candidates


class PlanSearch:
    """Looks for a small plan that reaches a wanted accuracy.

    Parameters
    ----------
    simulation
        The model in INT8 as calibrated. Its own plan is where the search starts.
    evaluation
        The batches, and how outputs are judged.
    target
        Share of FP32's value to reach, 0 to 1; see :func:`~.goal.goal_of`.
    precision
        What kept layers are to run in.
    candidates
        Thresholds that may be tried, see :func:`scale_candidates`; None: scales stay as they are.
    worst
        For how many of the worst layers scales are improved.
    ranking
        The simulation's isolated ranking on this evaluation, where it is known already.
    state
        A JSON file in which every score is remembered; a search that was cancelled goes on from it.
    control
        Progress and cancelling.

    Raises
    ------
    UsageError
        If the target is no share, ``worst`` no number of layers, or the precision neither ``"fp16"`` nor ``"fp32"``.
    SessionError
        If ``state`` is something else, or the state of another search.
    """

    def __init__(
        self,
        simulation: QdqSimulation,
        evaluation: Evaluation,
        *,
        target: float = 0.99,
        precision: str = "fp16",
        candidates: Candidates | None = None,
        worst: int = 4,
        ranking: Sequence[LayerResult] | None = None,
        state: str | os.PathLike[str] | None = None,
        control: Control | None = None,
    ) -> None:
        self._simulation = simulation
        self._evaluation = evaluation
        self._target = checked_target(target)
        self._start = replace(simulation.plan, precision=precision, model_sha256=simulation.graph.sha256)  # type: ignore[arg-type]
        self._candidates = candidates
        self._worst = whole_number(worst, "worst", 0)
        self._control = control or Control()
        self._memory = _Memory(None if state is None else Path(state), simulation, evaluation)
        self._steps: list[SearchStep] = []
        self._tried = self._most = 0
        self.ranking: list[LayerResult] = list(ranking or ())

    def run(self) -> SearchResult:
        """Search, and return the plan with the scores that justify it.

        Raises
        ------
        CancelledError
            If the control was cancelled. With ``state`` the next search goes on from there.
        """
        self._steps, self._tried, self._most = [], 0, 0
        fp32 = self._simulation.reference_score(self._evaluation, control=self._control)
        goal = goal_of(fp32, self._target)
        before = self._score(self._start)
        plan, score = self._start, before
        if not reaches(score, goal):
            self.ranking = self._rank()
            self._most = self._most_trials()
            plan, score = min(self._roads(before, goal), key=self._cost(goal))
        return SearchResult(plan, fp32, before, score, goal, tuple(self._steps))

    def _roads(self, before: Score, goal: float) -> Iterator[tuple[PrecisionPlan, Score]]:
        """Improve scales, and keep layers where that is not enough; where it was not, keep layers without it too."""
        improved, score = self._improve_scales(self._start, before, goal)
        yield self._roll_back(*self._keep_layers(improved, score, self.ranking, goal), goal)
        if improved.amax != self._start.amax and not reaches(score, goal):
            yield self._roll_back(*self._keep_layers(self._start, before, self.ranking, goal), goal)
        else:
            yield self._start, before

    def _cost(self, goal: float) -> Callable[[tuple[PrecisionPlan, Score]], tuple[Any, ...]]:
        """Order plans: those that reach the goal first, then by kept layers, changed scales, and the score."""

        def cost(found: tuple[PrecisionPlan, Score]) -> tuple[Any, ...]:
            plan, score = found
            missed = not reaches(score, goal)
            worse = tuple(-part for part in _key(score))
            return (missed, worse) if missed else (missed, len(plan.keep), len(plan.amax), worse)

        return cost

    def _rank(self) -> list[LayerResult]:
        found = self.ranking or self._simulation.isolated(self._evaluation, control=self._control)
        return [layer for layer in found if layer.node not in self._start.keep]

    def _score(self, plan: PrecisionPlan) -> Score:
        known = self._memory.get(plan)
        if known is None:
            known = self._simulation.score(self._evaluation, plan, control=Control(self._report))
            self._memory.put(plan, known)
        self._tried += bool(self._most)
        return known

    def _report(self, done: int, total: int, what: str) -> None:
        """Tell how many plans were tried; before that, how far the run is with which all are compared."""
        if self._most:
            done, total, what = min(self._tried, self._most), self._most, TRYING
        self._control.report(done, total, what)

    def _most_trials(self) -> int:
        """Return how many plans are tried at most, until none is left to take back more than once."""
        names = self._names_to_improve()
        methods = sum(len(self._candidates(name)) for name in names) if self._candidates else 0
        return methods + len(names) * len(_FACTORS) + 3 * len(self.ranking) + len(names)

    def _try(
        self, plan: PrecisionPlan, score: Score, name: str, amax: float, label: str
    ) -> tuple[PrecisionPlan, Score]:
        """Go on with another threshold for a tensor if it scores better."""
        tried = plan.with_amax({name: amax}, f"scale of {label}")
        new = self._score(tried)
        better = _key(new) > _key(score)
        self._steps.append(SearchStep(f"{name} with {label}", new, better))
        return (tried, new) if better else (plan, score)

    def _names_to_improve(self) -> list[str]:
        """Return what flows into the worst layers and has a scale; nothing where scales stay as they are."""
        simulation = self._simulation
        into = (name for layer in self.ranking[: self._worst] for name in simulation.placed[layer.node])
        worst = dict.fromkeys(into if self._candidates is not None else ())
        return [name for name in worst if name in simulation.quantized and name in simulation.scales]

    def _improve_scales(self, plan: PrecisionPlan, score: Score, goal: float) -> tuple[PrecisionPlan, Score]:
        """Try other methods, then values around the best, for what flows into the worst layers."""
        if self._candidates is None:
            return plan, score
        names = self._names_to_improve()
        for name in names:
            for label, amax in self._candidates(name).items():
                if reaches(score, goal):
                    return plan, score
                plan, score = self._try(plan, score, name, amax, label)
        for name in names:
            centre = plan.amax.get(name, self._simulation.scales[name] * 127.0)
            for factor in _FACTORS:
                if reaches(score, goal):
                    return plan, score
                amax = centre * factor
                label = f"amax {significant(amax)}"
                plan, score = self._try(plan, score, name, amax, label)
        return plan, score

    def _keep_layers(
        self, plan: PrecisionPlan, score: Score, ranking: Sequence[LayerResult], goal: float
    ) -> tuple[PrecisionPlan, Score]:
        """Keep one layer after the other in higher precision, the most harmful first."""
        for layer in ranking:
            if reaches(score, goal):
                break
            reason = f"alone in {self._simulation.words} it costs {loss_text(layer.score, layer.loss)}"
            plan = plan.with_kept([layer.node], reason)
            score = self._score(plan)
            self._steps.append(SearchStep(f"{layer.node} kept in {plan.precision.upper()}", score, accepted=True))
        return plan, score

    def _roll_back(self, plan: PrecisionPlan, score: Score, goal: float) -> tuple[PrecisionPlan, Score]:
        """Take back what the goal is met without, until no one thing is left of which that is so.

        Kept layers come first, the last one first: a scale costs nothing at run time.
        """
        while reaches(score, goal):
            for tried, what in self._without_one(plan):
                new = self._score(tried)
                enough = reaches(new, goal)
                self._steps.append(SearchStep(what, new, enough))
                if enough:
                    plan, score = tried, new
                    break
            else:
                break
        return plan, score

    def _without_one(self, plan: PrecisionPlan) -> Iterator[tuple[PrecisionPlan, str]]:
        for node in reversed(plan.keep):
            if node not in self._start.keep:
                yield plan.without([node]), f"{node} in {self._simulation.words} again"
        for name in plan.amax:
            if name not in self._start.amax:
                yield plan.without_amax([name]), f"{name} with its calibrated scale again"


def _key(score: Score) -> tuple[float, float]:
    """Compare by the value that decides, then by closeness to FP32."""
    sqnr = score.outputs.sqnr_db
    return score.value, -math.inf if math.isnan(sqnr) else sqnr


class _Memory:
    """Scores by plan, in a JSON file where one is given."""

    def __init__(self, path: Path | None, simulation: QdqSimulation, evaluation: Evaluation) -> None:
        self._path = path
        scales = sorted((name, float(scale)) for name, scale in simulation.scales.items())
        self._subject = {
            "model_sha256": simulation.graph.sha256,
            "placement": _placement_key(simulation.placement),
            **({} if simulation.format == "int8" else {"format": simulation.format}),
            "scales": _digest(scales),
            "evaluation": evaluation.describe(),
            "batches": evaluation.plan.n_batches,
        }
        self._scores: dict[str, Score] = {}
        if path is not None and is_folder(path, SessionError) is not None:
            self._scores = self._read(path)

    def _read(self, path: Path) -> dict[str, Score]:
        data = read_whole(path, error=SessionError, what="the state of a plan search")
        with damage_as(SessionError, f"{path} is not the state of a plan search", "Give another file name"):
            found: Any = json.loads(data)
            subject = found["subject"]
            scores = {str(key): score_of(entry) for key, entry in found["scores"].items()}
        if subject != self._subject:
            raise SessionError(
                f"{path} is the state of another search (other model, scales or evaluation data): "
                "delete it, or give another file name"
            )
        return scores

    def get(self, plan: PrecisionPlan) -> Score | None:
        return self._scores.get(_plan_key(plan))

    def put(self, plan: PrecisionPlan, score: Score) -> None:
        self._scores[_plan_key(plan)] = score
        if self._path is not None:
            scores = {key: plain_score(value) for key, value in self._scores.items()}
            write_atomic(self._path, json.dumps({"subject": self._subject, "scores": scores}, indent=1).encode())


def _plan_key(plan: PrecisionPlan) -> str:
    return json.dumps([sorted(plan.keep), sorted(plan.amax.items())])


def _placement_key(placement: Any) -> str:
    return placement if isinstance(placement, str) else _digest(placement.to_json())


def _digest(value: Any) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
