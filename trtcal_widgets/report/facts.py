"""What was calibrated, with what, and how to do it again."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.version import __version__
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.debug.hazards.types import SEVERITIES
from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.formats.installed import default_version
from trtcal_widgets.report.document import tiles_of
from trtcal_widgets.report.html import Html, join, tag
from trtcal_widgets.report.page import worst_of
from trtcal_widgets.report.tables import facts_list
from trtcal_widgets.session.rows import calibrated_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.debug.hazards.types import Hazard
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.runners.evaluation import Score
    from trtcal_widgets.session import CalibrationSession

_RANGE_MODES = {
    "tensorrt": "one pass; the range starts at the first batch and doubles, as TensorRT's does",
    "two-pass": "two passes; the range is known first, so the order of batches does not matter",
}


def headline(session: CalibrationSession, when: str) -> Html:
    """Return the lines below the title: which data, which model, which file comes of it."""
    graph = session.graph
    cache = _cache(session)
    header = "" if isinstance(cache, TrtcalError) else f" · {cache.header}"
    first = f"{counted_text(session)} · {session.state.method.label} · {session.range_mode} range{header} · {when}"
    second = f"opset {graph.opset} · {printable(session.runner_name)} · trtcal_widgets {__version__} · sha256 "
    return join([tag("p", first, class_="lead"), tag("p", second, tag("code", graph.sha256), class_="lead")])


def counted(session: CalibrationSession) -> int:
    """Return how many batches the thresholds rest on."""
    return sum(i not in session.state.excluded for i in range(session.state.position))


def counted_text(session: CalibrationSession) -> str:
    """Say how much data the thresholds rest on."""
    status = session.status
    n = counted(session)
    if n == 0:
        return "no batch is counted yet"
    text = count_of(n, "batch", "batches")
    if n == status.recorded:
        return f"{count_of(status.n_samples, 'sample')} in {text}"
    return f"{text} of {status.recorded:,} recorded ({count_of(status.n_samples, 'sample')})"


def tiles(session: CalibrationSession, hazards: Sequence[Hazard], scores: Mapping[str, Score]) -> Html:
    """Return the numbers that people look for first."""
    rows = calibrated_rows(session)
    worst = worst_of(rows, 1)
    shown = [*_accuracy_tile(scores)]
    shown.append((f"{len(rows):,}", "tensors with a threshold"))
    if worst:
        shown.append((decibels(worst[0].sqnr_db), f"lowest SQNR: {printable(worst[0].name)}"))
    shown.append(_hazard_tile(hazards))
    if session.state.choices:
        shown.append((f"{len(session.state.choices):,}", "thresholds chosen by hand"))
    return tiles_of(shown)


def _hazard_tile(hazards: Sequence[Hazard]) -> tuple[str, str]:
    severe, warnings, notes = (sum(h.severity == s for h in hazards) for s in SEVERITIES)
    if severe:
        return f"{severe:,} severe", f"hazards; {count_of(warnings, 'warning')}, {count_of(notes, 'note')} besides"
    if warnings:
        return count_of(warnings, "warning"), f"no severe hazard; {count_of(notes, 'note')}"
    return "no warning", f"no severe hazard; {count_of(notes, 'note')}"


def _accuracy_tile(scores: Mapping[str, Score]) -> list[tuple[str, str]]:
    """Return the reference's accuracy against the last one's: FP32 to INT8, or to what the plan gives."""
    if len(scores) < 2:
        return []
    (first, reference), *_, (last, score) = scores.items()
    if math.isnan(reference.value):
        return []
    factor, unit = (100.0, " %") if reference.measure == "top-1" else (1.0, "")
    numbers = f"{factor * reference.value:.4g} → {factor * score.value:.4g}{unit}"
    return [(numbers, f"{reference.measure}, {first} → {last}")]


def facts_part(session: CalibrationSession) -> Html:
    """Return model, data and versions."""
    import numpy as np

    graph, state, status = session.graph, session.state, session.status
    plan = session.plan_options
    batch = f" in batches of {plan['batch_size']}" if plan.get("batch_size") else ""
    dropped = f"; {count_of(status.dropped, 'sample')} did not fill a batch and were left out" if status.dropped else ""
    groups = count_of(len(graph.groups), "group")
    total = status.n_batches
    of_all = f" of {total:,}" if total is not None and total != status.recorded else ""
    return facts_list(
        [
            *_cache_facts(session),
            ("model", printable(graph.name)),
            ("model sha256", tag("code", graph.sha256)),
            ("made by", printable(graph.metadata.get("producer", ""))),
            ("opset", printable(graph.metadata.get("opsets", "")) or str(graph.opset)),
            ("inputs", ", ".join(f"{printable(t.name)} {t.dtype}{_shape(t.shape)}" for t in graph.inputs)),
            ("outputs", ", ".join(f"{printable(t.name)} {t.dtype}{_shape(t.shape)}" for t in graph.outputs)),
            ("graph", f"{count_of(len(graph.nodes), 'node')}, {count_of(len(graph.tensors), 'tensor')}"),
            ("shared scales", f"{groups} of tensors with one scale" if graph.groups else ""),
            ("data", f"{printable(session.source_text)}{batch}{dropped}"),
            ("batches", f"{status.recorded:,}{of_all} recorded, {counted(session):,} counted"),
            ("samples", f"{status.n_samples:,}"),
            ("range", _RANGE_MODES.get(session.range_mode, session.range_mode)),
            ("method", str(state.method)),
            ("runner", printable(session.runner_name)),
            ("versions", f"trtcal_widgets {__version__}, numpy {np.__version__}"),
        ]
    )  # fmt: skip


def _shape(shape: tuple[Any, ...] | None) -> str:
    return "[" + ", ".join("?" if d is None else printable(str(d)) for d in shape) + "]" if shape is not None else ""


def _cache(session: CalibrationSession) -> CalibrationCache | TrtcalError:
    try:
        return session.to_cache()
    except TrtcalError as error:
        return error


def _cache_facts(session: CalibrationSession) -> list[tuple[str, Html | str]]:
    """Return what the calibration cache of these choices is, so that a file at hand can be told to be this one."""
    cache = _cache(session)
    if isinstance(cache, TrtcalError):
        return [("cache", f"none: {printable(str(cache))}")]
    digest = hashlib.sha256(cache.to_bytes()).hexdigest()
    rows = f", {count_of(len(cache.scales), 'row')} (for TensorRT {default_version()})"
    return [("cache", join([tag("code", cache.header), rows])), ("cache sha256", tag("code", digest))]


def reproduce_part(session: CalibrationSession) -> Html:
    """Return the lines that make the same cache again."""
    state = session.state
    options = {**session.plan_options, "range_mode": session.range_mode, "method": str(state.method)}
    given = "".join(f"\n    {key}={value!r}," for key, value in options.items() if value is not None)
    lines = [
        "from trtcal_widgets import CalibrationSession",
        "",
        f"source = ...  # {printable(session.source_text)}",
        f"session = CalibrationSession(\n    {session.graph.name!r},\n    source,{given}\n)",
        "session.run()" if state.position == session.status.recorded else f"session.seek({state.position})",
        *(f"session.exclude({i})" for i in sorted(state.excluded)),
        *(
            f"session.choose({leader!r}, {'amax' if choice.method is None else 'method'}="
            f"{choice.amax if choice.method is None else str(choice.method)!r})"
            for leader, choice in state.choices.items()
        ),
        f'session.to_cache(version="{default_version()}").write("calibration.cache")',
    ]
    words = "With the same model, data and versions these lines write the same cache: compare its sha256."
    return join([tag("p", words), tag("pre", tag("code", "\n".join(lines)))])
