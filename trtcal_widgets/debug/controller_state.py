"""What a debugging session is at one moment, as frozen values: where the work stands, what it found, the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from trtcal_widgets.model.plan import PrecisionPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.core.comparison import TensorComparison
    from trtcal_widgets.core.thresholds import Method
    from trtcal_widgets.debug.evaluation import Score
    from trtcal_widgets.debug.hazards import Hazard
    from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail
    from trtcal_widgets.debug.search import SearchResult
    from trtcal_widgets.session import CalibrationSession, Choice

__all__ = ["Basis", "DebugState", "Phase", "Trial", "basis_of", "differences"]

Phase = Literal["ready", "running", "finished", "cancelled", "failed"]

_NAMED = 3


@dataclass(frozen=True)
class Trial:
    """What a threshold of one method would make of the outputs.

    Attributes
    ----------
    method
        As :class:`~trtcal_widgets.core.thresholds.Method` reads it: ``"percentile:99.9"``.
    amax
        What the method picks for the tensor, in its unit.
    score
        With that threshold and the plan of the moment.
    """

    method: str
    amax: float
    score: Score


@dataclass(frozen=True)
class Basis:
    """What the scales follow from: results that were made with another basis are out of date."""

    position: int
    excluded: frozenset[int]
    method: Method
    choices: Mapping[str, Choice]


def basis_of(session: CalibrationSession) -> Basis:
    """Return what the session's scales follow from now."""
    state = session.state
    return Basis(state.position, state.excluded, state.method, MappingProxyType(dict(state.choices)))


def differences(session: CalibrationSession, then: Basis) -> tuple[str, ...]:
    """Return in words what is not as it was; empty where the scales are the same."""
    now = basis_of(session)
    found = []
    if then.position != now.position:
        found.append(f"{now.position:,} batches are counted, {then.position:,} were")
    if then.excluded != now.excluded:
        found.append("other batches are left out")
    if then.method != now.method:
        found.append(f"the method for all is {now.method.label}, it was {then.method.label}")
    leaders = [n for n in {**then.choices, **now.choices} if then.choices.get(n) != now.choices.get(n)]
    moved = [name for leader in leaders for name in session.group(leader)]
    if moved:
        more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
        found.append(f"another threshold for {', '.join(moved[:_NAMED])}{more}")
    return tuple(found)


@dataclass(frozen=True, eq=False)
class DebugState:
    """Where the work stands and what it found. Every change makes a new one.

    Attributes
    ----------
    phase
        ``ready`` before the first run; then as the last piece of work ended, or ``running``.
    work
        Which piece: ``run``, ``plan``, ``search``, ``trial`` or ``detail``; empty before the first.
    done, total, what, seconds_left
        Its progress: units, words, and an estimate where one can be made.
    message
        How it ended, and what to do now: plain text, the traceback of a failed ``evaluate`` included.
    comparison, ranking, hazards
        Results of a run; None until it got so far. The ranking has the worst layer first.
    plan, planned
        The plan of the moment, and the score with it; None while it is not known.
    planned_tensors
        Tensor -> its errors with the plan: everything in front of it in INT8 but for what the plan keeps. None where
        there is no plan, and while it is not known.
    trials
        Tensor -> what other methods would give.
    details
        Tensor -> a closer look, for the tensors that were looked at last.
    search
        What the last search came to.
    stale
        Why the results are out of date, in words; empty where they are not.
    can_undo, can_redo
        Whether there is a plan before or after this one.
    revision
        Grows with every change.
    """

    phase: Phase = "ready"
    work: str = ""
    done: int = 0
    total: int = 0
    what: str = ""
    seconds_left: float | None = None
    message: str = ""
    comparison: ComparisonResult | None = None
    ranking: tuple[LayerResult, ...] | None = None
    hazards: tuple[Hazard, ...] | None = None
    plan: PrecisionPlan = field(default_factory=PrecisionPlan)
    planned: Score | None = None
    planned_tensors: Mapping[str, TensorComparison] | None = None
    trials: Mapping[str, tuple[Trial, ...]] = field(default_factory=lambda: MappingProxyType({}))
    details: Mapping[str, TensorDetail] = field(default_factory=lambda: MappingProxyType({}))
    search: SearchResult | None = None
    stale: tuple[str, ...] = ()
    can_undo: bool = False
    can_redo: bool = False
    revision: int = 0
