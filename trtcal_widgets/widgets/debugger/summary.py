"""What the debugger's panels show, made from its state: plain values, no widgets, no events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import NO_NUMBER, duration
from trtcal_widgets.common.words import count_of, printable, some_of
from trtcal_widgets.debug import goal
from trtcal_widgets.debug.given import no_scales
from trtcal_widgets.debug.search import TRYING
from trtcal_widgets.widgets.kit.formatting import decibels, exact, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.state import DebugState
    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.runners.evaluation import Score
    from trtcal_widgets.widgets.debugger.export_form import ExportForm

_WORK = {
    "run": "The comparison",
    "plan": "Scoring the plan",
    "search": "The search for a plan",
    "trial": "Trying other methods",
    "tune": "Tuning",
}


@dataclass(frozen=True)
class DebugScreen:
    """What the screen itself remembers: nothing that belongs to the session or to the debugging."""

    form: ExportForm
    auto: bool = False
    notice: str = ""
    layer: str = ""


# ---- header ------------------------------------------------------------------------------------------------------


def shell_state(debugging: AccuracyDebugging, screen: DebugScreen) -> dict[str, Any]:
    """Return what the header shows."""
    state = debugging.state
    running = state.phase == "running"
    text, kind = _status_text(debugging, state)
    lines = state.message.strip().splitlines()
    return {
        "title": printable(debugging.model.graph.name),
        "facts": _facts(debugging),
        "running": running,
        "run_label": "refresh" if state.comparison else "run",
        "run_title": "Compare FP32 with INT8 with the session's thresholds of now (r)",
        "percent": round(100 * state.done / state.total) if running and state.total else None,
        "text": text,
        "text_kind": kind,
        "stale": f"Out of date: {printable('; '.join(state.stale))}." if state.stale else "",
        "failure": "\n".join(map(printable, lines)) if state.phase == "failed" and len(lines) > 1 else "",
        "auto": screen.auto,
        "notice": screen.notice,
        "can_undo": state.can_undo,
        "can_redo": state.can_redo,
    }


def _facts(debugging: AccuracyDebugging) -> str:
    plan = debugging.evaluation.plan
    n = plan.n_batches
    batches = f" in {count_of(n, 'batch', 'batches')}" if n is not None else ""
    return printable(f"{debugging.evaluation.describe()}{batches}")


def _status_text(debugging: AccuracyDebugging, state: DebugState) -> tuple[str, str]:
    if state.phase == "running":
        return _progress(state), ""
    what = _WORK.get(state.work, "The work")
    if state.phase == "failed":
        first = state.message.strip().splitlines()[0] if state.message.strip() else "no reason was given"
        return f"{what} failed: {printable(first).rstrip(':.')}. Your session is as it was.", "error"
    if state.phase == "cancelled":
        return f"{what} was cancelled; what was complete is kept. Press {_again(state)} to go on.", "warn"
    if state.comparison is None:
        return _before(debugging), ""
    return _finished(debugging, state), ""


_STEPS = ("comparing FP32 with INT8", "ranking layers", "looking for hazards")
"""What a run does, in order; between the last two it scores the plan, where there is one."""


def _progress(state: DebugState) -> str:
    """Say what goes on, how far it is, and how long that takes: of a run the step, of a search all of it at most."""
    if state.message:
        return state.message
    most = "at most " if state.what == TRYING else ""
    step = f"step {_STEPS.index(state.what) + 1} of {len(_STEPS)}: " if state.what in _STEPS else ""
    counted = f" · {state.done:,} of {most}{state.total:,}" if state.total else ""
    whose = " for this step" if step else ""
    left = f" · {most}{duration(state.seconds_left)} left{whose}" if state.seconds_left is not None else ""
    return f"{step}{state.what or 'starting'}{counted}{left}"


def _again(state: DebugState) -> str:
    return {"search": "“find a plan”", "trial": "“try other methods”", "tune": "“tune”"}.get(
        state.work, "run" if state.comparison is None else "refresh"
    )


def _before(debugging: AccuracyDebugging) -> str:
    """Say what will happen, and how much work it is."""
    graph, n = debugging.model.graph, debugging.evaluation.plan.n_batches
    if why := no_scales(debugging.session):
        return f"{why[0].upper()}{why[1:]}. Then press run."
    batches = f"{count_of(n, 'batch', 'batches')}" if n is not None else "every batch"
    return (
        f"Run takes {batches} through the model in FP32 and in INT8, compares every tensor, then puts each layer alone "
        f"into INT8, where only what lies behind it is computed again ({count_of(len(graph.nodes), 'node')}). How long "
        "it takes shows after the first batch; the session is not changed."
    )


def _finished(debugging: AccuracyDebugging, state: DebugState) -> str:
    comparison, evaluation = state.comparison, debugging.evaluation
    assert comparison is not None
    said = ""
    if math.isnan(comparison.int8.value):
        whose = "INT8's" if comparison.int8.outputs.signal > 0 else "FP32's"
        said = (
            f" · {whose} outputs are all zero on these samples, so there is no cosine: take other samples, or judge by "
            "labels= or evaluate="
        )
    elif not (evaluation.has_labels or evaluation.evaluate):
        said = " · no labels: outputs are compared with FP32's"
    layers = f", {count_of(len(state.ranking), 'layer')}" if state.ranking is not None else ""
    samples, tensors = count_of(comparison.fp32.n_samples, "sample"), count_of(len(comparison.tensors), "tensor")
    return f"{samples}, {tensors}{layers} compared{said}"


# ---- before and after --------------------------------------------------------------------------------------------


def value_text(score: Score, value: float | None = None) -> str:
    """Return the number that decides, in its unit, set for the screen."""
    return _typeset(goal.value_text(score, value))


def loss_text(loss: float, score: Score) -> str:
    """Return a loss with its unit: percentage points for top-1."""
    return _typeset(goal.loss_text(score, loss))


def _typeset(text: str) -> str:
    return NO_NUMBER if text == "-" else text.replace("-", "−")


def _cell(key: str, score: Score, fp32: Score, target: float) -> dict[str, str]:
    if key == "goal":
        met = goal.reaches(score, goal.goal_of(fp32, target))
        title = f"loss against FP32: {loss_text(fp32.value - score.value, score)}"
        return {"key": key, "text": "yes" if met else "no", "kind": "ok" if met else "bad", "title": title}
    value = {
        "top1": score.top1,
        "top5": score.top5,
        "custom": score.custom,
        "sqnr": score.outputs.sqnr_db,
        "cosine": score.outputs.cosine,
    }[key]
    if key in ("top1", "top5"):
        text = NO_NUMBER if math.isnan(value) else f"{100 * value:.2f} %".replace("-", "−")
    elif key == "sqnr":
        text = "∞" if value == math.inf else "–" if math.isnan(value) else decibels(value)
    else:
        text = "–" if math.isnan(value) else f"{value:.5f}" if key == "cosine" else typeset(value, 4)
    return {"key": key, "text": text, "kind": "", "title": f"exactly {exact(value)}"}


_COLUMNS: Mapping[str, tuple[str, str]] = {
    "top1": ("top-1", "Share of samples whose label is the largest output"),
    "top5": ("top-5", "Share of samples whose label is among the five largest outputs"),
    "custom": ("measure", "Mean of your evaluate function over the samples"),
    "goal": ("goal", "Whether it reaches the goal"),
    "sqnr": ("SQNR", "Signal to quantisation noise ratio at the outputs, against FP32"),
    "cosine": ("cosine", "Cosine between the outputs and FP32's"),
}


def summary_state(debugging: AccuracyDebugging) -> dict[str, Any]:
    """Return what the panel of scores shows."""
    state = debugging.state
    comparison, plan = state.comparison, state.plan
    keys = _keys(debugging)
    fp32, int8 = (None, None) if comparison is None else (comparison.fp32, comparison.int8)
    rows = [
        _row("fp32", "FP32", "The model as it is", fp32, fp32, keys, state.target),
        _row("int8", "INT8, all layers", "Every layer that can be is in INT8", int8, fp32, keys, state.target),
        _row("plan", "INT8, your plan", "What the plan keeps stays in FP32", state.planned, fp32, keys,
             state.target),
    ]  # fmt: skip
    layers = () if debugging.simulation is None else debugging.simulation.layers
    text, kind = _plan_text(state, layers)
    return {
        "columns": [_column(key, fp32, state.target) for key in keys],
        "rows": rows,
        "note": "" if comparison is None else count_of(comparison.fp32.n_samples, "sample"),
        "plan": text,
        "plan_kind": kind,
        "plan_title": "\n".join(f"{printable(name)}: {why}" for name, why in plan.reasons.items()),
        "target": f"{100 * state.target:g}",
        "precision": plan.precision,
        "scales": True,
        "running": state.phase == "running",
        "ready": comparison is not None,
        "moved": len(plan.amax),
        "planned": bool(plan),
        "steps": [
            {"what": printable(step.what), "value": value_text(step.score), "accepted": step.accepted}
            for step in (() if state.search is None else state.search.steps)
        ],
    }


def _column(key: str, fp32: Score | None, target: float) -> dict[str, str]:
    label, title = _COLUMNS[key]
    if key == "goal" and fp32 is not None:
        value = value_text(fp32, goal.goal_of(fp32, target))
        label, title = f"≥ {value}", f"{title}: {_share(target)} of FP32's {value_text(fp32)}"
    return {"key": key, "label": label, "title": title}


def _share(target: float) -> str:
    return f"{100 * target:g} %"


def _keys(debugging: AccuracyDebugging) -> list[str]:
    evaluation = debugging.evaluation
    keys = ["custom"] if evaluation.evaluate is not None else []
    return [*keys, *(["top1", "top5"] if evaluation.has_labels else []), "goal", "sqnr", "cosine"]


def _row(
    key: str, label: str, title: str, score: Score | None, fp32: Score | None, keys: Sequence[str], target: float
) -> dict[str, Any]:
    known = score is not None and fp32 is not None
    if score is None or fp32 is None:
        cells = [{"key": k, "text": "–", "kind": "", "title": ""} for k in keys]
    else:
        # FP32 is not compared with itself.
        own = ("goal", "sqnr", "cosine") if key == "fp32" else ()
        blank = {"text": "", "kind": "", "title": ""}
        cells = [{"key": k, **blank} if k in own else _cell(k, score, fp32, target) for k in keys]
    return {"key": key, "label": label, "title": title, "cells": cells, "empty": not known}


def _plan_text(state: DebugState, layers: Sequence[str]) -> tuple[str, str]:
    """Say what the plan is and whether it reaches the goal that is on the screen, whoever made it."""
    plan, search, comparison = state.plan, state.search, state.comparison
    text = _what_plan(plan)
    if comparison is None:
        return (text, "") if text else ("No plan yet: press run first.", "none")
    fp32, wanted = comparison.fp32, goal.goal_of(comparison.fp32, state.target)
    shown = f"the goal of {value_text(fp32, wanted)} ({_share(state.target)} of FP32)"
    if not text:
        if goal.reaches(comparison.int8, wanted):
            return f"INT8 reaches {shown} as it is: no plan is needed.", "ok"
        return f"INT8 misses {shown}: tick layers to keep, or let a plan be found.", "none"
    if state.planned is None:
        return text, ""
    if goal.reaches(state.planned, wanted):
        return f"{text} It reaches {shown}.", "ok"
    if layers and set(plan.keep) >= set(layers):
        advice = "every layer is kept already, lower the goal"
    elif search is not None and not search.met and search.goal <= wanted:
        advice = "a search found none that reaches it: lower the goal, or keep more layers by hand"
    else:
        advice = "keep more layers, or let a plan be found"
    return f"{text} With {value_text(state.planned)} it misses {shown}: {advice}.", "warn"


def _what_plan(plan: PrecisionPlan) -> str:
    parts = []
    if plan.keep:
        names = some_of(plan.keep, 4, printable)
        parts.append(f"keep {count_of(len(plan.keep), 'layer')} in {plan.precision.upper()} ({names})")
    if plan.amax:
        moved = some_of(plan.amax, show=lambda name: f"{printable(name)} ±{typeset(plan.amax[name])}")
        parts.append(f"{count_of(len(plan.amax), 'other threshold')} ({moved})")
    return f"Plan: {', '.join(parts)}." if parts else ""
