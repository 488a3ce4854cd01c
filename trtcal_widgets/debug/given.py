"""What is given to be debugged: a session, an evaluation, and the model that belongs to them."""

from __future__ import annotations

from typing import Any

from trtcal_widgets.errors import ModelError, UsageError
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.runners.evaluation import Evaluation
from trtcal_widgets.session import CalibrationSession


def check_given(session: Any, evaluation: Any) -> None:
    """Refuse anything but a session and an evaluation, in this order."""
    if not isinstance(session, CalibrationSession):
        raise UsageError(
            f"the first argument is a CalibrationSession, not {type(session).__name__}: "
            'CalibrationSession("model.onnx", images, batch_size=32)'
        )
    if not isinstance(evaluation, Evaluation):
        raise UsageError(
            f"the second argument is an Evaluation, not {type(evaluation).__name__}: "
            "Evaluation(test_images, batch_size=100, labels=labels)"
        )


def no_scales(session: CalibrationSession) -> str:
    """Say why a session has no scales yet and what to do about it; empty where it has some."""
    state, recorded = session.state, session.status.recorded
    if any(i not in state.excluded for i in range(state.position)):
        return ""
    why = "no calibration batch is counted, so there are no scales"
    if state.position:
        return f"{why}: all are left out. Take one in again: session.include(0), or a click on its bar in the explorer"
    if recorded:
        return f"{why}: the session stands before its first one. Go on: session.update(position={recorded})"
    if session.plan is None or session.runner is None:
        return f"{why}: nothing was recorded. Load the session with its model and data, and run it: session.run()"
    return f"{why}: run the session first (session.run(), or play in the explorer)"


def model_of(session: CalibrationSession, given: Any) -> OnnxModel:
    """Return the session's ONNX model, by default the one that it runs; a ModelError for that of another session."""
    model: Any = given
    if given is None:
        model = getattr(session.runner, "model", None)
    elif not isinstance(given, OnnxModel):
        model = load_model(given)
    if not isinstance(model, OnnxModel):
        raise UsageError("this session has no ONNX model at hand: pass its path, model='model.onnx'")
    if model.graph.sha256 != session.graph.sha256:
        raise ModelError(f"{model.graph.name} is not the model that the session was calibrated with: the files differ")
    return model
