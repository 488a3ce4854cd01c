"""Finding and mending INT8 accuracy drops: simulate, rank layers, search a plan, look for hazards, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trtcal_widgets.debug.evaluation import Evaluation, Score
    from trtcal_widgets.debug.hazards import Hazard, HazardLimits, find_hazards
    from trtcal_widgets.debug.report import ReportSection, write_report
    from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail, TensorResult
    from trtcal_widgets.debug.runs import Control
    from trtcal_widgets.debug.search import PlanSearch, SearchResult, SearchStep, scale_candidates
    from trtcal_widgets.debug.simulation import Int8Simulation

_HOMES = {
    "ComparisonResult": "results",
    "Control": "runs",
    "Evaluation": "evaluation",
    "Hazard": "hazards",
    "HazardLimits": "hazards",
    "Int8Simulation": "simulation",
    "LayerResult": "results",
    "PlanSearch": "search",
    "ReportSection": "report",
    "Score": "evaluation",
    "SearchResult": "search",
    "SearchStep": "search",
    "TensorDetail": "results",
    "TensorResult": "results",
    "find_hazards": "hazards",
    "scale_candidates": "search",
    "write_report": "report",
}

__all__ = [
    "ComparisonResult",
    "Control",
    "Evaluation",
    "Hazard",
    "HazardLimits",
    "Int8Simulation",
    "LayerResult",
    "PlanSearch",
    "ReportSection",
    "Score",
    "SearchResult",
    "SearchStep",
    "TensorDetail",
    "TensorResult",
    "find_hazards",
    "scale_candidates",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: simulating needs onnx, looking at results does not."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
