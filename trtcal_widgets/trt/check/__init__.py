"""Whether NVIDIA's parser and builder take a model, and what they make of its Q/DQ pairs."""

from __future__ import annotations

from trtcal_widgets.trt.check.checking import check_model, check_proto
from trtcal_widgets.trt.check.layers import EngineLayer
from trtcal_widgets.trt.check.report import CheckProblem, CheckReport, LayerVerdict, PairVerdict

__all__ = [
    "CheckProblem",
    "CheckReport",
    "EngineLayer",
    "LayerVerdict",
    "PairVerdict",
    "check_model",
    "check_proto",
]
