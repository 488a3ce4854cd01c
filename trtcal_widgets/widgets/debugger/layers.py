"""The layers as the debugger's panel shows them: JSON columns and plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import json_number, printable
from trtcal_widgets.debug.goal import loss_unit
from trtcal_widgets.widgets.debugger.summary import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.results import LayerResult
    from trtcal_widgets.session import CalibrationSession

_MUCH_LOSS = 0.01
"""Share of FP32's value from which on a layer's own loss is marked."""

_INFINITE_DB = 300.0
"""What stands for infinity where JSON has none; the list shows ∞."""


def layer_columns(debugging: AccuracyDebugging) -> dict[str, Any]:
    """Return the facts of every layer that INT8 reaches, in graph order; empty before the first run."""
    simulation = debugging.simulation
    if simulation is None:
        return {}
    nodes = {node.name: node for node in simulation.graph.nodes}
    return {
        "names": [printable(name) for name in simulation.layers],
        "ops": [printable(nodes[name].op_type) for name in simulation.layers],
        "inputs": [", ".join(map(printable, simulation.placed[name])) or "its weights" for name in simulation.layers],
    }


def layer_rows(layers: Sequence[str], ranking: Sequence[LayerResult] | None, fp32_value: float) -> dict[str, Any]:
    """Return the layers' numbers as JSON columns; None where a layer was not measured."""
    if ranking is None:
        return {}
    by_name = {result.node: (rank, result) for rank, result in enumerate(ranking)}
    found = [by_name.get(name) for name in layers]
    return {
        "loss_unit": loss_unit(ranking[0].score) if ranking else "",
        "loss": [None if f is None else json_number(f[1].loss) for f in found],
        "loss_text": ["–" if f is None else _number(f[1]) for f in found],
        "loss_kind": ["bad" if f is not None and f[1].loss > _MUCH_LOSS * abs(fp32_value) else "" for f in found],
        "rank": [None if f is None else f[0] for f in found],
        "out": [None if f is None else _db(f[1].output_sqnr_db) for f in found],
        "own": [None if f is None else _db(f[1].own_sqnr_db) for f in found],
        "cos": [None if f is None else json_number(f[1].own.cosine) for f in found],
    }


def _number(result: LayerResult) -> str:
    """Return the loss without its unit, which is in the column's head."""
    return loss_text(result.loss, result.score).removesuffix(f" {loss_unit(result.score)}")


def _db(value: float) -> float | None:
    """Return dB for JSON: without noise a value that is shown as infinite, without signal nothing."""
    return None if math.isnan(value) else max(-_INFINITE_DB, min(value, _INFINITE_DB))


def layer_of(debugging: AccuracyDebugging, tensor: str, preferred: str) -> str:
    """Return the layer that a tensor stands for: the one that quantises it, else the one that makes it, else "".

    ``preferred`` is taken where it has to do with the tensor: one tensor may go into many layers.
    """
    simulation = debugging.simulation
    if simulation is None:
        return ""
    info = simulation.graph.tensors[tensor]
    readers = [simulation.graph.nodes[i].name for i in info.consumers]
    near = [name for name in readers if tensor in simulation.placed.get(name, ())]
    if info.producer >= 0:
        near.append(simulation.graph.nodes[info.producer].name)
    near = [name for name in near if name in simulation.placed]
    return preferred if preferred in near else next(iter(near), "")


def worst_input(debugging: AccuracyDebugging, layer: str) -> str:
    """Return which tensor to look at for a layer: of its quantised inputs the one that its scale serves worst.

    Of the inputs without data none is worse than another; a layer that quantises no input stands for its output.
    """
    simulation, session = debugging.simulation, debugging.session
    assert simulation is not None
    inputs = [name for name in simulation.placed[layer] if session.histogram(name).n_finite]
    if inputs:
        return min(inputs, key=lambda name: _own_sqnr(session, name))
    node = next(n for n in simulation.graph.nodes if n.name == layer)
    return next(name for name in node.outputs if name)


def _own_sqnr(session: CalibrationSession, name: str) -> float:
    sqnr = session.cost(name).sqnr_db if session.amax(name) > 0 else math.inf
    return math.inf if math.isnan(sqnr) else sqnr
