"""What one leaves the debugger with: files, and text for other tools. Frozen values; exporters do the work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import count_of, printable, printable_lines
from trtcal_widgets.errors import ExportError, TrtcalError
from trtcal_widgets.widgets.kit.file_form import FileForm, path_to_write

if TYPE_CHECKING:
    from pathlib import Path

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.export.plan_formats import PlanArguments

_SHOWN = 20_000
"""Characters of a text that travel to the browser."""


@dataclass(frozen=True)
class ExportKind:
    """One way out: its name, what it is for, and the file that the panel suggests."""

    label: str
    what: str
    path: str


KINDS = {
    key: ExportKind(label, what, path)
    for key, label, what, path in (
        ("plan", "precision plan (JSON)",
         "Read again by trtcal and PrecisionPlan.load: kept layers, thresholds, and why.", "plan.json"),
        ("qdq", "model with Q/DQ (ONNX)",
         "For TensorRT 11 and any TensorRT from 8: scales are in the model, kept layers have no Q/DQ.",
         "model.qdq.onnx"),
        ("cache", "calibration cache",
         "For TensorRT up to 10, with the plan's thresholds. A cache cannot say that a layer is kept: build with "
         "trtexec, Polygraphy or Python for that.", "calibration.cache"),
        ("trtexec", "trtexec (TensorRT ≤ 10)", "Build an engine with the cache and the kept layers.", "build.sh"),
        ("polygraphy", "Polygraphy (TensorRT ≤ 10)", "The same with Polygraphy.", "build_polygraphy.sh"),
        ("modelopt", "ModelOpt nodes_to_exclude",
         "For NVIDIA's Model Optimizer, which makes a Q/DQ model with scales of its own.", "modelopt_exclude.py"),
        ("python", "Python (TensorRT ≤ 10)",
         "A module whose postprocess(network) sets the layers' precisions.", "precision_plan.py"),
        ("report", "report (HTML)",
         "One file without network for a colleague: accuracy, ranking, plan, hazards, histograms.", "report.html"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class ExportForm(FileForm):
    """What the user filled in."""

    path: str = KINDS["plan"].path
    kind: str = "plan"


def export_state(debugging: AccuracyDebugging, form: ExportForm) -> dict[str, Any]:
    """Return what the panel shows."""
    text = ""
    notes: tuple[str, ...] = ()
    try:
        text, notes = _text(debugging, form)
    except TrtcalError as error:
        form = replace(form, result=str(error), result_kind="error")
    if debugging.state.stale:
        notes = ("Thresholds have changed since the accuracy was measured; what is exported has the new ones.", *notes)
    return {
        **form.as_state(),
        "kinds": [[key, kind.label] for key, kind in KINDS.items()],
        "kind": form.kind,
        "what": KINDS[form.kind].what,
        "ready": debugging.session.state.position > 0,
        "text": printable_lines(text[:_SHOWN]),
        "notes": [printable(note) for note in notes],
    }


def _text(debugging: AccuracyDebugging, form: ExportForm) -> tuple[str, tuple[str, ...]]:
    """Return the text of a kind, and what its tool cannot be told; empty for files that are no text."""
    from trtcal_widgets.export import plan_formats

    plan, model = debugging.state.plan, debugging.model
    name = model.path.name
    if form.kind == "plan":
        return plan.to_json(), ()
    if form.kind == "trtexec":
        made: PlanArguments = plan_formats.trtexec_arguments(plan, model)
        options = (f"--onnx={name}", "--calib=calibration.cache", "--saveEngine=model.engine")
        return made.command("trtexec", *options), made.notes
    if form.kind == "polygraphy":
        made = plan_formats.polygraphy_arguments(plan, model)
        given = ("convert", name, "-o", "model.engine", "--calibration-cache", "calibration.cache")
        return made.command("polygraphy", *given), made.notes
    if form.kind == "modelopt":
        patterns = plan_formats.modelopt_nodes_to_exclude(plan, model)
        listed = "".join(f"    {pattern!a},\n" for pattern in patterns)
        return f"nodes_to_exclude = [\n{listed}]\n" if patterns else "nodes_to_exclude = []\n", ()
    if form.kind == "python":
        return plan_formats.python_snippet(plan, model), ()
    return "", ()


def write_export(debugging: AccuracyDebugging, form: ExportForm, *, replace: bool) -> str:
    """Write the file and return in words what was done; on an error the old file stays. A model may take long."""
    target, done = path_to_write(form.path, KINDS[form.kind].path, replace=replace)
    writer = {"qdq": _write_qdq, "cache": _write_cache, "report": _write_report}.get(form.kind)
    if writer is not None:
        said = writer(debugging, target)
    else:
        text, said = _text(debugging, form)[0], ""
        write_atomic(target, (text if text.endswith("\n") else f"{text}\n").encode())
    return f"{done} {target.absolute()}{said}"


def _write_qdq(debugging: AccuracyDebugging, target: Path) -> str:
    from trtcal_widgets.export.qdq.build import build_qdq

    if target.exists() and target.samefile(debugging.model.path):
        raise ExportError(f"{target} is the FP32 model itself: give the model with Q/DQ another name.")
    built = build_qdq(debugging.model, debugging.scales(), placement=debugging.placement, plan=debugging.state.plan)
    built.write(target)
    return f" · {built.report.summary()}"


def _write_cache(debugging: AccuracyDebugging, target: Path) -> str:
    from trtcal_widgets.export.plan_formats import cache_for_plan

    made = cache_for_plan(debugging.state.plan, debugging.session.to_cache(), debugging.model.graph)
    made.cache.write(target)
    return f" · {made.cache.header} · {count_of(len(made.cache.rows), 'row')}"


def _write_report(debugging: AccuracyDebugging, target: Path) -> str:
    from trtcal_widgets.report.writing import write_report

    state = debugging.state
    write_report(
        debugging.session, target, evaluation_result=state.comparison, ranking=state.ranking,
        plan=state.plan or None, planned=state.planned, target=state.target, hazards=state.hazards,
    )  # fmt: skip
    return ""
