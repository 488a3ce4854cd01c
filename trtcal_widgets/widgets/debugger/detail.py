"""The chosen tensor as frozen values: facts, numbers, histograms and pairs, and what other thresholds would give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.quantizer import fake_quantize
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.widgets.debugger.summary import loss_text, value_text
from trtcal_widgets.widgets.kit.formatting import decibels, exact, percent, plot_text, typeset
from trtcal_widgets.widgets.kit.network import BoxFacts, level_of, network_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.results import LayerResult, TensorResult
    from trtcal_widgets.debug.state import Trial


@dataclass(frozen=True, eq=False)
class SqnrPlot:
    """SQNR along the graph in dB, float32, nan where there is none; ``x`` are places in ``names``.

    ``accumulated``: all layers in INT8; ``planned``: with the plan, empty without one, and maybe ``outdated``. Of those
    layers that were measured alone, ``own`` is at their output, ``outputs`` at the model's; ``layer_index`` are places
    among all layers, ``layer_x`` those of their outputs.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    accumulated: NDArray[np.float32]
    planned: NDArray[np.float32]
    outdated: bool
    layer_index: tuple[int, ...]
    layer_x: tuple[int, ...]
    own: NDArray[np.float32]
    outputs: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TensorPlot:
    """Histograms of |x| of a tensor in FP32, in INT8 and of the difference, and pairs of values (float32).

    Histograms are empty where they are not known yet, ``amax`` is nan where it is not quantised; ``int8`` is what the
    next layer reads, after the tensor's own rounding; ``note`` says why there is nothing to draw.
    """

    name: str
    reference: Histogram
    tested: Histogram
    error: Histogram
    amax: float
    fp32: NDArray[np.float32]
    int8: NDArray[np.float32]
    note: str


def build_sqnr_plot(debugging: AccuracyDebugging) -> SqnrPlot:
    """Return the curves of the last run; empty ones before the first."""
    state = debugging.state
    comparison, ranking, planned = state.comparison, state.ranking, state.planned_tensors or {}
    tensors = {} if comparison is None else comparison.tensors
    place = {name: i for i, name in enumerate(tensors)}
    simulation = debugging.simulation
    layers = {} if simulation is None else {name: i for i, name in enumerate(simulation.layers)}
    shown = sorted((r for r in ranking or () if r.tensor in place), key=lambda r: place[r.tensor])
    return SqnrPlot(
        names=tuple(tensors),
        labels=tuple(plot_text(name) for name in tensors),
        accumulated=_finite([t.sqnr_db for t in tensors.values()]),
        planned=_finite([planned[name].sqnr_db for name in tensors if name in planned]),
        outdated=bool(state.stale),
        layer_index=tuple(layers[r.node] for r in shown),
        layer_x=tuple(place[r.tensor] for r in shown),
        own=_finite([r.own_sqnr_db for r in shown]),
        outputs=_finite([r.output_sqnr_db for r in shown]),
    )


def _finite(values: list[float]) -> NDArray[np.float32]:
    array = np.array(values, np.float32)
    array[~np.isfinite(array)] = np.nan
    return array


def build_tensor_plot(debugging: AccuracyDebugging, name: str) -> TensorPlot:
    """Return what is known of a tensor: histograms from the comparison at once, pairs once it was looked at."""
    state = debugging.state
    result = None if state.comparison is None else state.comparison.tensors.get(name)
    detail = state.details.get(name)
    empty, none = Histogram.empty(), np.zeros(0, np.float32)
    if result is None:
        return TensorPlot(name, empty, empty, empty, math.nan, none, none, _why_not_compared(debugging, name))
    if detail is None:
        return TensorPlot(name, result.reference, result.tested, empty, result.amax, none, none, "")
    fp32, int8 = detail.pairs[:, 0], detail.pairs[:, 1]
    if result.amax > 0:
        int8 = fake_quantize(int8, result.amax / 127.0)
    return TensorPlot(name, result.reference, result.tested, detail.error, result.amax, fp32, int8, "")


def _why_not_compared(debugging: AccuracyDebugging, name: str) -> str:
    if debugging.state.comparison is None:
        return "press run to see this tensor in FP32 and INT8"
    if debugging.session.graph.op_type(name) == "Input":
        return "an input of the model: the same for both"
    return "a weight or constant: it is not compared"


def debug_network(debugging: AccuracyDebugging, name: str, rows: int) -> dict[str, Any]:
    """Return the neighbourhood of a tensor with the SQNR of each: with the plan where there is one that is known."""
    state = debugging.state
    measured: Mapping[str, Any] = state.planned_tensors or (
        {} if state.comparison is None else state.comparison.tensors
    )

    def facts(tensor: str) -> BoxFacts:
        sqnr = measured[tensor].sqnr_db if tensor in measured else math.nan
        if math.isnan(sqnr):
            return BoxFacts()
        text = "∞ dB" if sqnr == math.inf else decibels(sqnr)
        return BoxFacts(text, level_of(sqnr), f"accumulated SQNR {text}")

    note = "accumulated SQNR with your plan" if state.planned_tensors else "accumulated SQNR, all layers in INT8"
    return {**network_state(debugging.session.graph, name, facts, rows), "note": note if measured else ""}


# ---- words and numbers -------------------------------------------------------------------------------------------


def detail_state(debugging: AccuracyDebugging, name: str, layer: str) -> dict[str, Any]:
    """Return what the panel of the chosen tensor shows."""
    state, simulation = debugging.state, debugging.simulation
    inputs = () if simulation is None or not layer else simulation.placed[layer]
    can_try, why = _can_try(debugging, name)
    return {
        "name": name,
        "shown": printable(name),
        "facts": _facts(debugging, name),
        "inputs_label": f"{printable(layer)} quantises" if inputs else "",
        "inputs": [{"name": n, "shown": printable(n), "title": printable(n), "current": n == name} for n in inputs],
        "can_try": can_try,
        "try_title": "Score each method's threshold for this tensor on the evaluation data, everything else as it is",
        "why": why,
        "trials": _trials(debugging, name),
        "advice": _advice(debugging, name),
        "revision": state.revision if state.phase == "running" and state.work == "trial" else 0,
    }


def _facts(debugging: AccuracyDebugging, name: str) -> str:
    graph = debugging.session.graph
    info = graph.tensors[name]
    maker = graph.nodes[info.producer] if info.producer >= 0 else None
    made = f"made by {printable(maker.name)} ({printable(maker.op_type)})" if maker is not None else graph.op_type(name)
    shape = ", ".join(str(d) for d in info.shape) if info.shape is not None else "?"
    readers = [printable(graph.nodes[i].name) for i in info.consumers]
    read = f" · read by {', '.join(readers[:3])}{' …' if len(readers) > 3 else ''}" if readers else ""
    return f"{made}{read} · {info.dtype}[{shape}]"


def _can_try(debugging: AccuracyDebugging, name: str) -> tuple[bool, str]:
    state = debugging.state
    if state.comparison is None:
        return False, ""
    names = debugging.quantized_with(name)
    if not names:
        return False, "not quantised by itself: its threshold changes nothing"
    simulation, kept = debugging.simulation, set(state.plan.keep)
    assert simulation is not None
    if all(node in kept for node, inputs in simulation.placed.items() if set(names) & set(inputs)):
        return False, "every layer that would quantise it is kept: its threshold changes nothing"
    return state.phase != "running", ""


def _trials(debugging: AccuracyDebugging, name: str) -> list[dict[str, Any]]:
    state, session = debugging.state, debugging.session
    trials = trials_of(debugging, name)
    if not trials or state.comparison is None:
        return []
    best, now, fp32 = max(map(_worth, trials)), session.amax(name), state.comparison.fp32
    differ = any(_worth(trial) != best for trial in trials)
    return [
        {
            "method": trial.method,
            "label": Method.parse(trial.method).label,
            "amax": f"±{typeset(trial.amax)}",
            "value": value_text(trial.score),
            "sqnr": decibels(trial.score.outputs.sqnr_db) if math.isfinite(trial.score.outputs.sqnr_db) else "",
            "best": differ and _worth(trial) == best,
            "chosen": trial.amax == now,
            "title": f"{trial.method}: amax {exact(trial.amax)}, "
            f"loss against FP32 {loss_text(fp32.value - trial.score.value, trial.score)}",
        }
        for trial in trials
    ]


def trials_of(debugging: AccuracyDebugging, name: str) -> tuple[Trial, ...]:
    """Return what was tried for the scale of a tensor, through whichever tensor that has it."""
    trials = debugging.state.trials
    return next((trials[n] for n in (name, *debugging.session.group(name)) if n in trials), ())


def best_trial(debugging: AccuracyDebugging, name: str) -> Trial | None:
    """Return the threshold that was tried for a tensor with more accuracy than the one in use; None without any."""
    state = debugging.state
    trials = trials_of(debugging, name)
    if not trials or state.comparison is None:
        return None
    now = debugging.session.amax(name)
    present = next((trial.score for trial in trials if trial.amax == now), state.planned or state.comparison.int8)
    best = max(trials, key=_worth)
    return best if best.score.value > present.value else None


def _advice(debugging: AccuracyDebugging, name: str) -> str:
    """Say what to do with what was tried: nothing where the threshold in use is as good as any."""
    if best_trial(debugging, name) is not None:
        return "click one to use it in the session"
    return "none is better than the one in use"


def _worth(trial: Trial) -> tuple[float, float]:
    """Order by the value that decides, then by closeness to FP32."""
    sqnr = trial.score.outputs.sqnr_db
    return trial.score.value, -math.inf if math.isnan(sqnr) else sqnr


def number_cells(debugging: AccuracyDebugging, name: str, layer: str) -> list[dict[str, str]]:
    """Return the numbers under the plots."""
    state = debugging.state
    result = None if state.comparison is None else state.comparison.tensors.get(name)
    values = {} if result is None else _values(debugging, name, result)
    ranked = next((r for r in state.ranking or () if r.node == layer), None)
    return [*(_cell(key, *_NUMBERS[key], values.get(key, math.nan)) for key in _NUMBERS), _layer_cell(ranked)]


_NUMBERS = {
    "accumulated": ("accumulated", "dB", "SQNR before this tensor's own rounding: what all layers in front have lost"),
    "rounding": ("own rounding", "dB", "SQNR of quantising this tensor alone, from the calibration histogram"),
    "amax": ("amax", "", "Threshold that the run used; a dash where the tensor is not quantised"),
    "clipped": ("clipped", "%", "Share of the FP32 values beyond ±amax, on the evaluation data"),
    "cosine": ("cosine", "1", "Cosine between FP32 and INT8"),
    "kl": ("KL", "nat", "KL divergence between the distributions of |x| in FP32 and INT8"),
    "max": ("max error", "", "Largest difference, in the tensor's unit"),
    "mean": ("mean error", "", "Mean absolute difference, in the tensor's unit"),
}
"""Key -> label, unit, and what it is."""


def _values(debugging: AccuracyDebugging, name: str, result: TensorResult) -> dict[str, float]:
    session, comparison = debugging.session, result.comparison
    rounded = result.amax > 0 and session.histogram(name).n_finite > 0
    return {
        "accumulated": result.sqnr_db,
        "rounding": session.cost(name, result.amax).sqnr_db if rounded else math.nan,
        "amax": result.amax,
        "clipped": result.clipped_fraction,
        "cosine": result.cosine,
        "kl": result.kl,
        "max": comparison.max_error,
        "mean": comparison.mean_error,
    }


def _layer_cell(ranked: LayerResult | None) -> dict[str, str]:
    text, whole, help_text = "–", "–", "What the layer alone in INT8 costs"
    if ranked is not None:
        # The column of layers calls it “loss, measure”; all of it would not fit here.
        text, whole = loss_text(ranked.loss, ranked.score).replace("of your measure", "of measure"), exact(ranked.loss)
        help_text = f"What {printable(ranked.node)} alone in INT8 costs of {ranked.score.measure}"
    return {"key": "loss", "label": "layer's loss", "text": text, "exact": whole, "help": help_text}


def _cell(key: str, label: str, unit: str, help_text: str, value: float) -> dict[str, str]:
    if math.isnan(value):
        text = "–"
    elif unit == "dB":
        text = "∞" if value == math.inf else decibels(value)
    elif unit == "%":
        text = percent(value)
    elif unit == "1":
        text = f"{value:.5f}"
    else:
        text = f"{typeset(value)} {unit}".strip()
    return {"key": key, "label": label, "text": text, "exact": exact(value), "help": help_text}
