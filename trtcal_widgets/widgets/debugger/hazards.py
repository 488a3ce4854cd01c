"""The hazards as the debugger's panel shows them, with what was measured of them here: advice gives way to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import printable
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.widgets.debugger.detail import best_trial, trials_of
from trtcal_widgets.widgets.debugger.summary import loss_text, value_text

if TYPE_CHECKING:
    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.hazards.types import Hazard

_ABOUT_A_THRESHOLD = frozenset({"clipped", "clipped-probabilities", "disagreement"})
"""Kinds whose mend is another threshold for the tensor."""


def hazards_state(debugging: AccuracyDebugging) -> dict[str, Any]:
    """Return the hazards, severe ones first."""
    hazards = debugging.state.hazards
    known = debugging.session.graph.tensors
    items = [
        {
            "kind": hazard.kind,
            "severity": hazard.severity,
            "basis": hazard.basis,
            "message": printable(hazard.message),
            "mend": printable(_measured_mend(debugging, hazard) or hazard.mend),
            "cost": printable(_cost(debugging, hazard)),
            "tensors": [
                {"name": n, "shown": printable(n)} for n in hazard.tensors[:3] if n in known and known[n].is_float
            ],
        }
        for hazard in hazards or ()
    ]
    empty = (
        "Looked for at the end of a run." if hazards is None else "None found. That is no proof that INT8 is harmless."
    )
    return {"items": items, "note": f"{len(items)}" if items else "", "empty": empty}


def _measured_mend(debugging: AccuracyDebugging, hazard: Hazard) -> str:
    """Return what is known here of a threshold that a hazard is about; empty where its own words hold."""
    if hazard.kind not in _ABOUT_A_THRESHOLD or not hazard.tensors or debugging.simulation is None:
        return ""
    name = hazard.tensors[0]
    if not debugging.quantized_with(name):
        return (
            "Here nothing is quantised with this tensor's scale: another threshold changes nothing in a model with "
            "Q/DQ. A calibration cache has it; there it counts where TensorRT runs the next layer in INT8."
        )
    trials = trials_of(debugging, name)
    if not trials:
        return ""
    best = best_trial(debugging, name)
    if best is None:
        tried = max(trials, key=lambda trial: trial.score.value)
        return (
            f"Other thresholds were tried: none is better than the one in use ({value_text(tried.score)} at best). "
            "Leave it as it is; keep the layers that read it if they lose accuracy."
        )
    return (
        f"Of the thresholds that were tried {Method.parse(best.method).label} is best, {value_text(best.score)}: "
        "choose it above."
    )


def _cost(debugging: AccuracyDebugging, hazard: Hazard) -> str:
    """Say what the layers that quantise a hazard's first tensor were measured to lose; empty where none was."""
    simulation, ranking = debugging.simulation, debugging.state.ranking
    if simulation is None or not ranking or not hazard.tensors:
        return ""
    with_it = set(debugging.quantized_with(hazard.tensors[0]))
    readers = [r for r in ranking if with_it & set(simulation.placed.get(r.node, ()))]
    if not readers:
        return ""
    worst = max(readers, key=lambda result: result.loss)
    lost = loss_text(worst.loss, worst.score).lstrip("+")
    return f"Measured: {worst.node}, alone in INT8, loses {lost}."
