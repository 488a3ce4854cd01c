"""How a build stands, in words: what it will do, what it does, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.widgets.build_panel_form import targets
from trtcal_widgets.widgets.build_panel_job import is_over
from trtcal_widgets.widgets.formatting import duration
from trtcal_widgets.widgets.typed_path import is_there

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.build_panel_form import BuildForm, Job
    from trtcal_widgets.widgets.build_panel_job import BuildRun
    from trtcal_widgets.widgets.build_panel_state import BuildScreen

__all__ = ["error_words", "status_words"]


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
        return f"Cancelled after {duration(run.seconds)}. {run.error}.", "warn"
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
        name = _qdq_name(form)
        return f"Writes {name} with the scales of this session, and builds that: the way that TensorRT 11 needs."
    return "TensorRT will build the model as the call said."


def _batches_in_words(session: CalibrationSession) -> str:
    n = session.plan.n_batches if session.plan else None
    out = sum(n is None or index < n for index in session.state.excluded)
    left_out = f" without the {out:,} that the session leaves out," if out else ""
    return f"TensorRT will run {f'{n - out:,}' if n else 'the'} batches{left_out} and find the scales itself."


def _has_cache(form: BuildForm) -> bool:
    return form.mode == "calibrate" and is_there(form.cache)


def _qdq_name(form: BuildForm) -> str:
    try:
        return targets(form)[-1].name
    except TrtcalError:
        return "the Q/DQ model"


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
    names = [p.phase for p in run.ordered() if not p.finished]
    return f"TensorRT works: {names[-1]}." if names else "Starting …"


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
