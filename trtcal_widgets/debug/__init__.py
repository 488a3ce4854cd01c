"""Finding and mending INT8 accuracy drops: simulate, rank layers, search a plan, look for hazards, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trtcal_widgets.debug.hazards.finding import Hazard, HazardLimits, find_hazards
    from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail, TensorResult
    from trtcal_widgets.debug.runs import Control
    from trtcal_widgets.debug.search import PlanSearch, SearchResult, SearchStep, scale_candidates
    from trtcal_widgets.debug.simulation import Fp8Simulation, Int8Simulation
    from trtcal_widgets.debug.tuning.results import TunePoint, TuneResult
    from trtcal_widgets.debug.tuning.search import Tuner, tune
    from trtcal_widgets.runners.evaluation import Evaluation, Score

_HOMES = {
    "ComparisonResult": "trtcal_widgets.debug.results",
    "Control": "trtcal_widgets.debug.runs",
    "Evaluation": "trtcal_widgets.runners.evaluation",
    "Fp8Simulation": "trtcal_widgets.debug.simulation",
    "Hazard": "trtcal_widgets.debug.hazards.finding",
    "HazardLimits": "trtcal_widgets.debug.hazards.finding",
    "Int8Simulation": "trtcal_widgets.debug.simulation",
    "LayerResult": "trtcal_widgets.debug.results",
    "PlanSearch": "trtcal_widgets.debug.search",
    "Score": "trtcal_widgets.runners.evaluation",
    "SearchResult": "trtcal_widgets.debug.search",
    "SearchStep": "trtcal_widgets.debug.search",
    "TensorDetail": "trtcal_widgets.debug.results",
    "TensorResult": "trtcal_widgets.debug.results",
    "TunePoint": "trtcal_widgets.debug.tuning.results",
    "TuneResult": "trtcal_widgets.debug.tuning.results",
    "Tuner": "trtcal_widgets.debug.tuning.search",
    "find_hazards": "trtcal_widgets.debug.hazards.finding",
    "scale_candidates": "trtcal_widgets.debug.search",
    "tune": "trtcal_widgets.debug.tuning.search",
}

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


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: simulating needs onnx, looking at results does not."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
