"""The session: which batches, which tensor, which choice; undo; save and load."""

from trtcal_widgets.session.session import CalibrationSession
from trtcal_widgets.session.state import Choice, RunStatus, SessionState, TensorRow, Trace

__all__ = ["CalibrationSession", "Choice", "RunStatus", "SessionState", "TensorRow", "Trace"]
