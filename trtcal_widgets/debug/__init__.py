"""Finding and mending INT8 accuracy drops: simulate, rank layers, search a plan, look for hazards, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.lazy import lazy

if TYPE_CHECKING:
    from trtcal_widgets.debug.hazards.finding import Hazard, HazardLimits, find_hazards
    from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail, TensorResult
    from trtcal_widgets.debug.runs import Control
    from trtcal_widgets.debug.search import PlanSearch, SearchResult, SearchStep, scale_candidates
    from trtcal_widgets.debug.simulation import Fp8Simulation, Int8Simulation
    from trtcal_widgets.debug.tuning.results import TunePoint, TuneResult
    from trtcal_widgets.debug.tuning.search import Tuner, tune
    from trtcal_widgets.runners.evaluation import Evaluation, Score

__all__ = [
    "ComparisonResult",
    "Control",
    "Evaluation",
    "Fp8Simulation",
    "Hazard",
    "HazardLimits",
    "Int8Simulation",
    "LayerResult",
    "PlanSearch",
    "Score",
    "SearchResult",
    "SearchStep",
    "TensorDetail",
    "TensorResult",
    "TunePoint",
    "TuneResult",
    "Tuner",
    "find_hazards",
    "scale_candidates",
    "tune",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "debug.hazards.finding": "Hazard HazardLimits find_hazards",
        "debug.results": "ComparisonResult LayerResult TensorDetail TensorResult",
        "debug.runs": "Control",
        "debug.search": "PlanSearch SearchResult SearchStep scale_candidates",
        "debug.simulation": "Fp8Simulation Int8Simulation",
        "debug.tuning.results": "TunePoint TuneResult",
        "debug.tuning.search": "Tuner tune",
        "runners.evaluation": "Evaluation Score",
    },
)
