"""What the debugger's panels show, made from its state: plain values, no widgets, no events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.widgets.kit.formatting import duration, exact, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.search import SearchStep
    from trtcal_widgets.debug.state import DebugState
    from trtcal_widgets.runners.evaluation import Score
    from trtcal_widgets.widgets.debugger.export_form import ExportForm

_WORK = {
    "run": "The comparison",
    "plan": "Scoring the plan",
    "search": "The search for a plan",
    "trial": "Trying other methods",
}


@dataclass(frozen=True)
class DebugScreen:
    """What the screen itself remembers: nothing that belongs to the session or to the debugging."""

    form: ExportForm
    auto: bool = False
    notice: str = ""
    layer: str = ""
    target: float = 0.99


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
        left = f" · {duration(state.seconds_left)} left" if state.seconds_left is not None else ""
        counted = f" · {state.done:,} of {state.total:,}" if state.total else ""
        return f"{state.what or 'starting'}{counted}{left}", ""
    what = _WORK.get(state.work, "The work")
    if state.phase == "failed":
        first = state.message.strip().splitlines()[0] if state.message.strip() else "no reason was given"
        return f"{what} failed: {printable(first).rstrip(':.')}. Your session is as it was.", "error"
    if state.phase == "cancelled":
        return f"{what} was cancelled; what was complete is kept. Press {_again(state)} to go on.", "warn"
    if state.comparison is None:
        return _before(debugging), ""
    return _finished(debugging, state), ""


def _again(state: DebugState) -> str:
    return {"search": "“find a plan”", "trial": "“try other methods”"}.get(
        state.work, "run" if state.comparison is None else "refresh"
    )


def _before(debugging: AccuracyDebugging) -> str:
    """Say what will happen, and how much work it is."""
    graph, n = debugging.model.graph, debugging.evaluation.plan.n_batches
    position = debugging.session.state.position
    if not position:
        return "The session has counted no batch yet, so there are no thresholds. Calibrate first, then press run."
    batches = f"{count_of(n, 'batch', 'batches')}" if n is not None else "every batch"
    return (
        f"Run takes {batches} through the model in FP32 and in INT8, compares every tensor, then puts each layer alone "
        f"into INT8, where only what lies behind it is computed again ({len(graph.nodes):,} nodes). How long it takes "
        "shows after the first batch; the session is not changed."
    )


def _finished(debugging: AccuracyDebugging, state: DebugState) -> str:
    comparison, evaluation = state.comparison, debugging.evaluation
    assert comparison is not None
    said = ""
    if math.isnan(comparison.int8.value):
        whose = "INT8's" if comparison.int8.outputs.signal > 0 else "FP32's"
        said = (
            f" · {whose} outputs are all zero on these samples, so there is no cosine: take others, or judge by "
            "labels= or evaluate="
        )
    elif not (evaluation.has_labels or evaluation.evaluate):
        said = " · no labels: outputs are compared with FP32's"
    layers = f", {count_of(len(state.ranking), 'layer')}" if state.ranking is not None else ""
    samples, tensors = count_of(comparison.fp32.n_samples, "sample"), count_of(len(comparison.tensors), "tensor")
    return f"{samples}, {tensors}{layers} compared{said}"


# ---- before and after --------------------------------------------------------------------------------------------


def value_text(score: Score, value: float | None = None) -> str:
    """Return the number that decides, in its unit."""
    shown = score.value if value is None else value
    if score.measure == "top-1":
        return _percent(shown)
    return f"{shown:.5f}" if score.measure == "output cosine" else typeset(shown, 4)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f} %".replace("-", "−")


def _cell(key: str, score: Score, fp32: Score) -> dict[str, str]:
    if key == "within":
        within = score.value >= 0.99 * fp32.value
        title = f"loss against FP32: {loss_text(fp32.value - score.value, score)}"
        return {"key": key, "text": "yes" if within else "no", "kind": "ok" if within else "bad", "title": title}
    value = {
        "top1": score.top1,
        "top5": score.top5,
        "custom": score.custom,
        "sqnr": score.outputs.sqnr_db,
        "cosine": score.outputs.cosine,
    }[key]
    if key in ("top1", "top5"):
        text = _percent(value)
    elif key == "sqnr":
        text = "∞" if value == math.inf else "–" if math.isnan(value) else f"{value:.1f} dB".replace("-", "−")
    else:
        text = "–" if math.isnan(value) else f"{value:.5f}" if key == "cosine" else typeset(value, 4)
    return {"key": key, "text": text, "kind": "", "title": f"exactly {exact(value)}"}


def loss_text(loss: float, score: Score) -> str:
    """Return a loss in the unit of what decides: percentage points for top-1."""
    if math.isnan(loss):
        return "–"
    if score.measure == "top-1":
        return f"{100 * loss:+.2f} pt".replace("-", "−")
    if abs(loss) < 1e-9:
        return "0"
    return ("+" if loss > 0 else "") + typeset(loss)


_COLUMNS: Mapping[str, tuple[str, str]] = {
    "top1": ("top-1", "Share of samples whose label is the largest output"),
    "top5": ("top-5", "Share of samples whose label is among the five largest outputs"),
    "custom": ("your measure", "Mean of your evaluate function over the samples"),
    "within": ("within 1 %", "Whether at least 99 % of FP32's accuracy is kept"),
    "sqnr": ("SQNR", "Signal to quantisation noise ratio at the outputs, against FP32"),
    "cosine": ("cosine", "Cosine between the outputs and FP32's"),
}


def summary_state(debugging: AccuracyDebugging, screen: DebugScreen) -> dict[str, Any]:
    """Return what the panel of scores shows."""
    state = debugging.state
    comparison, plan = state.comparison, state.plan
    keys = _keys(debugging)
    fp32, int8 = (None, None) if comparison is None else (comparison.fp32, comparison.int8)
    rows = [
        _row("fp32", "FP32", "The model as it is", fp32, fp32, keys),
        _row("int8", "INT8, all layers", "Every layer that can be is in INT8", int8, fp32, keys),
        _row("plan", "INT8 with your plan", "What the plan keeps stays in FP32", state.planned, fp32, keys),
    ]
    text, kind = _plan_text(state)
    return {
        "columns": [{"key": key, "label": _COLUMNS[key][0], "title": _COLUMNS[key][1]} for key in keys],
        "rows": rows,
        "note": "" if comparison is None else count_of(comparison.fp32.n_samples, "sample"),
        "plan": text,
        "plan_kind": kind,
        "plan_title": "\n".join(f"{printable(name)}: {why}" for name, why in plan.reasons.items()),
        "target": f"{100 * screen.target:g}",
        "precision": plan.precision,
        "scales": True,
        "running": state.phase == "running",
        "ready": comparison is not None,
        "moved": len(plan.amax),
        "planned": bool(plan),
        "steps": [_step(step) for step in (() if state.search is None else state.search.steps)],
    }


def _keys(debugging: AccuracyDebugging) -> list[str]:
    evaluation = debugging.evaluation
    keys = ["custom"] if evaluation.evaluate is not None else []
    return [*keys, *(["top1", "top5"] if evaluation.has_labels else []), "within", "sqnr", "cosine"]


def _row(
    key: str, label: str, title: str, score: Score | None, fp32: Score | None, keys: Sequence[str]
) -> dict[str, Any]:
    known = score is not None and fp32 is not None
    if score is None or fp32 is None:
        cells = [{"key": k, "text": "–", "kind": "", "title": ""} for k in keys]
    else:
        # FP32 is not compared with itself.
        own = ("within", "sqnr", "cosine") if key == "fp32" else ()
        blank = {"text": "", "kind": "", "title": ""}
        cells = [{"key": k, **blank} if k in own else _cell(k, score, fp32) for k in keys]
    return {"key": key, "label": label, "title": title, "cells": cells, "empty": not known}


def _step(step: SearchStep) -> str:
    return f"{'✓' if step.accepted else '·'} {printable(step.what)}: {value_text(step.score)}"


def _plan_text(state: DebugState) -> tuple[str, str]:
    plan, search = state.plan, state.search
    parts = []
    if plan.keep:
        shown = ", ".join(printable(name) for name in plan.keep[:4]) + _more(len(plan.keep) - 4)
        parts.append(f"keep {count_of(len(plan.keep), 'layer')} in {plan.precision.upper()} ({shown})")
    if plan.amax:
        moved = [f"{printable(n)} ±{typeset(v)}" for n, v in list(plan.amax.items())[:3]]
        shown = ", ".join(moved) + _more(len(plan.amax) - 3)
        parts.append(f"{count_of(len(plan.amax), 'other threshold')} ({shown})")
    text = "Plan: " + ", ".join(parts) + "." if parts else ""
    if search is None or search.plan != plan:
        return (text, "") if text else ("No plan yet: tick layers to keep, or let one be found.", "none")
    goal = value_text(search.fp32, search.goal)
    if not search.met:
        advice = f"It does not reach the goal of {goal}: lower the goal, or look at the evaluation data."
        return f"{text} {advice}".strip(), "warn"
    as_it_is = f"INT8 reaches the goal of {goal} as it is: no plan is needed."
    return f"{text} It reaches the goal of {goal}." if text else as_it_is, "ok"


def _more(n: int) -> str:
    return f" and {n} more" if n > 0 else ""
