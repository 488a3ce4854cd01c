"""What the build panel shows, as plain values: made anew from the run and the form, drawn by the front end."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import duration
from trtcal_widgets.common.words import count_of, printable, printable_lines
from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.widgets.build.form import ALGORITHMS, FOLLOWS, MODES, BuildForm, qdq_path, targets
from trtcal_widgets.widgets.build.job import SEVERITIES, is_over
from trtcal_widgets.widgets.kit.file_form import is_there
from trtcal_widgets.widgets.kit.panels import help_text

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.trt.control import Progress
    from trtcal_widgets.trt.log import LogLine
    from trtcal_widgets.trt.versions import Features
    from trtcal_widgets.widgets.build.form import Job
    from trtcal_widgets.widgets.build.job import BuildRun


def status_words(job: Job, screen: BuildScreen, run: BuildRun | None, why_not: str) -> tuple[str, str]:
    """Return how the build stands, and ``info``, ``ok``, ``warn`` or ``error``.

    ``why_not`` says why the form's mode cannot be had; empty where it can.
    """
    if screen.missing:
        return "", "info"
    if run is not None and run.running:
        return _running(run), "info"
    if run is None or run.form != screen.form:
        return (f"Not possible: {why_not}.", "warn") if why_not else (_plan_in_words(job, screen.form), "info")
    if run.engine is not None:
        again = " Building again takes the cache and runs no batch." if _has_cache(run.form) else ""
        return f"The engine is built and saved ({duration(run.seconds)}).{again}", "ok"
    if run.cancelled:
        why = str(run.error)
        return f"Cancelled after {duration(run.seconds)}. {why[:1].upper()}{why[1:]}.", "warn"
    return f"The build failed after {duration(run.seconds)}; the reason is below.", "error"


def _plan_in_words(job: Job, form: BuildForm) -> str:
    if form.mode == "calibrate":
        session = job.session
        assert session is not None
        if _has_cache(form):
            return (
                f"{form.cache.strip()} is there already: TensorRT takes its scales and runs no batch. Empty the field "
                "or name another file to calibrate anew."
            )
        return _batches_in_words(session)
    if form.mode == "session":
        assert job.session is not None
        mine = len(job.session.state.choices)
        own = f", {mine} of them your own choice" if mine else ""
        return f"TensorRT will take the scales of this session{own}, and run no batch."
    if form.mode == "qdq":
        name = (_targets(form) or [Path("the Q/DQ model")])[-1].name
        return f"Writes {name} with the scales of this session, and builds that: the way that TensorRT 11 needs."
    return "TensorRT will build the model as the call said."


def _batches_in_words(session: CalibrationSession) -> str:
    n = session.plan.n_batches if session.plan else None
    out = sum(n is None or index < n for index in session.state.excluded)
    left_out = f" without the {out:,} that the session leaves out," if out else ""
    batches = count_of(n - out, "batch", "batches") if n else "the batches"
    return f"TensorRT will run {batches}{left_out} and find the scales itself."


def _has_cache(form: BuildForm) -> bool:
    return form.mode == "calibrate" and is_there(form.cache)


def _running(run: BuildRun) -> str:
    at = run.calibration
    if run.control.cancelled:
        return "Stopping at TensorRT's next step …"
    if at is not None and not is_over(at) and not _later(run):
        of = f" of {at.total:,}" if at.total else ""
        batch = f"batch {at.done + 1:,}{of}"
        if run.control.holding:
            return f"Waiting before {batch}: step lets this one through, continue all."
        return f"TensorRT runs {batch}" + ("; it will wait after that." if run.control.paused else ".")
    names = [p.phase for p in run.ordered() if not (p.finished or is_over(p))]
    return f"TensorRT works: {_phase_name(names[-1])}." if names else "Starting …"


def _phase_name(phase: str) -> str:
    own = {"Parse": "read the model", "Calibrate": "calibrate", "Build": "build", "Write Q/DQ": "write the Q/DQ model"}
    return printable(own.get(phase, phase))


def _later(run: BuildRun) -> bool:
    """Whether another phase began after the calibration."""
    names = [p.phase for p in run.ordered()]
    return any(name not in ("Build", "Parse") for name in names[names.index("Calibrate") + 1 :])


def error_words(run: BuildRun | None) -> str:
    """Return what ended the build; empty where nothing did but the user."""
    if run is None or run.error is None or run.cancelled:
        return ""
    error = run.error
    if isinstance(error, TrtcalError):
        return str(error)
    return (
        f"{type(error).__name__}: {error}\nThis came from the data, from TensorRT, or is a fault of trtcal_widgets; "
        "the kernel's log has the details."
    )


HELP = help_text(
    "TensorRT",
    "Builds an engine in a thread of its own. Where TensorRT calibrates, you can pause it before a batch, let "
    "batches through one by one, and watch them: the session counts the batch that TensorRT is given, and an explorer "
    "of the session shows it. The histograms are those of the session's own runner on the same batch, because "
    "TensorRT does not hand out its own.",
    "In the notebook",
    "tensorrt",
)

_INSTALL = (
    ("pip install 'tensorrt<11'", "calibrators, caches, layer precisions"),
    ("pip install tensorrt", "TensorRT 11: INT8 from Q/DQ models only"),
)
_SHOWN_LINES = 300
_SHOWN_TEXT = 500
_SHOWN_PHASES = 12
_SHOWN_BATCHES = 200


@dataclass(frozen=True)
class BuildScreen:
    """What is on the screen besides the run; ``missing`` says why there is no TensorRT, ``least`` which lines show."""

    form: BuildForm
    has: Features | None = None
    missing: str = ""
    least: str = "info"
    notice: str = ""


def build_state(job: Job, screen: BuildScreen, run: BuildRun | None) -> dict[str, Any]:
    """Return everything but the log."""
    form = screen.form
    running = run is not None and run.running
    why_not = job.why_not(form.mode, screen.has)
    text, kind = status_words(job, screen, run, why_not)
    return {
        "title": f"TensorRT {screen.has.version}" if screen.has else "TensorRT is not installed",
        "model": printable(job.model.name),
        "missing": printable_lines(screen.missing),
        "install": [list(pair) for pair in _INSTALL] if screen.missing else [],
        "files": _files(job, form) if screen.missing else [],
        "written": printable_lines(form.result),
        "written_kind": form.result_kind,
        "form": {key: value for key, value in asdict(form).items() if not key.startswith("result")},
        "modes": [[key, MODES[key], job.why_not(key, screen.has)] for key in job.modes],
        "algorithms": [list(pair) for pair in ALGORITHMS.items()],
        "follows": [list(pair) for pair in FOLLOWS.items()],
        "exists": [path.name for path in _targets(form) if os.path.lexists(path)],
        "can_build": screen.has is not None and not running and not why_not,
        "running": running,
        "paused": running and run is not None and run.control.paused,
        "holding": running and run is not None and run.control.holding,
        "steppable": form.mode in ("calibrate", "given"),
        "text": printable_lines(text),
        "text_kind": kind,
        "note": printable_lines(run.note if run else ""),
        "notice": printable_lines(screen.notice),
        "error": printable_lines(error_words(run)),
        "batches": _batches(run),
        "phases": _phases(run),
        "result": _result(run),
    }  # fmt: skip


def _targets(form: BuildForm) -> tuple[Path, ...]:
    """Return the files that a build writes over; none where the form does not say where."""
    try:
        return targets(form)
    except TrtcalError:
        return ()


def _files(job: Job, form: BuildForm) -> list[dict[str, Any]]:
    """Return the files that can be written for a machine that has TensorRT."""
    if job.session is None:
        return []
    engine = targets(BuildForm(path=form.path or "model.engine"))[0]
    why_not = "" if job.counted else "count a batch first: there are no scales yet"
    return [
        {"kind": kind, "label": label, "path": path.name, "exists": os.path.lexists(path), "why_not": why_not}
        for kind, label, path in (
            ("qdq", "Q/DQ model, for TensorRT 10 and 11", qdq_path(engine)),
            ("cache", "calibration cache, for TensorRT up to 10", engine.with_suffix(".cache")),
        )
    ]


def _batches(run: BuildRun | None) -> dict[str, Any]:
    at = run.calibration if run is not None else None
    if run is None or at is None:
        return {"total": 0, "done": 0, "at": -1}
    shown = min(at.total or at.done + 1, _SHOWN_BATCHES)
    here = at.done if run.running and not is_over(at) else -1
    return {"total": shown, "done": min(at.done, shown), "at": here, "more": max(at.total - shown, 0)}


def _phases(run: BuildRun | None) -> list[dict[str, Any]]:
    """Return the phases: all of the outermost, and of the inner ones those that go on, then the newest."""
    if run is None:
        return []
    found = run.ordered()
    keep = {p.phase for p in found if not p.parent or not p.finished}
    for p in reversed(found):
        if len(keep) < _SHOWN_PHASES:
            keep.add(p.phase)
    return [_phase(p, run) for p in found if p.phase in keep][-_SHOWN_PHASES:]


def _phase(p: Progress, run: BuildRun) -> dict[str, Any]:
    done = p.finished or is_over(p) or (p.phase == "Parse" and len(run.phases) > 1) or run.engine is not None
    percent = 100 if done else round(100 * p.done / p.total) if p.total else None
    steps = f"{p.done:,} of {p.total:,}" if p.total else ("done" if done else "")
    return {
        "name": _phase_name(p.phase),
        "inner": bool(p.parent),
        "percent": percent,
        "steps": steps,
        "state": "done" if done else "going" if run.running else "stopped",
    }


def _result(run: BuildRun | None) -> list[list[str]]:
    if run is None or run.engine is None:
        return []
    engine, facts = run.engine, run.engine.provenance
    device = facts.get("device") or {}
    made_for = f"TensorRT {engine.tensorrt}" + (f" · {device['name']}" if device else "")
    warnings = len(facts.get("warnings", ()))
    rows = [
        ["engine", str(run.paths[0].absolute()), f"{len(engine.data):,} bytes · sha256 {engine.sha256}"],
        ["size", _size(len(engine.data)), f"{len(engine.data):,} bytes"],
        ["made from", run.paths[1].name, str(run.paths[1].absolute())],
        ["for", made_for, "Engines cannot be carried to another release or kind of GPU"],
        ["cache", _cache_words(run), run.form.cache],
        ["warnings", str(warnings), "in the log below"],
    ]  # fmt: skip
    return [[label, printable(value), printable(title)] for label, value, title in rows]


def _cache_words(run: BuildRun) -> str:
    assert run.engine is not None
    cache = run.engine.cache
    if cache is None:
        return {"session": "the session's scales", "qdq": "none: scales are in the model"}.get(
            run.form.mode, "not made"
        )
    where = run.form.cache.strip() or "kept in memory: panel.engine.cache"
    return f"{where} · {count_of(len(cache.rows), 'row')} · {cache.header}"


def _size(n: int) -> str:
    return f"{n / 2**20:.1f} MiB" if n >= 2**20 else f"{n / 2**10:.1f} KiB" if n >= 2**10 else f"{n} bytes"


def log_state(screen: BuildScreen, run: BuildRun | None) -> dict[str, Any]:
    """Return the last lines of TensorRT's log, as text, and how many there are of each severity."""
    lines: list[LogLine] = [] if run is None else run.lines(screen.least, _SHOWN_LINES)
    counts = [0] * len(SEVERITIES) if run is None else [run.counts[name] for name in SEVERITIES]
    total = sum(counts[: SEVERITIES.index(screen.least) + 1])
    note = f"last {len(lines)} of {total:,} lines" if total > len(lines) else count_of(total, "line")
    return {
        "least": screen.least,
        "note": note if run is not None else "",
        "errors": counts[0] + counts[1],
        "warnings": counts[2],
        "lines": [[line.severity, f"{line.seconds:.2f}", _cut(printable_lines(line.text))] for line in lines],
    }


def _cut(text: str) -> str:
    return (
        text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]} … ({len(text):,} characters, whole in panel.log)"
    )


def summary(job: Job, screen: BuildScreen, run: BuildRun | None) -> str:
    """Return the panel as text, for where no widget can live."""
    state = build_state(job, screen, run)
    lines = [f"BuildPanel · {state['title']} · {state['model']}", state["missing"]]
    if screen.missing:
        lines += [f"  {command}   ({what})" for command, what in state["install"]]
    lines += [state["text"], state["note"], state["error"]]
    lines += [f"  {label}: {value}" for label, value, _ in state["result"]]
    return "\n".join(line for line in lines if line)
