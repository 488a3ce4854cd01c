"""The accuracy debugger: one screen over a session and an evaluation."""

from __future__ import annotations

from trtcal_widgets.widgets.debugger.widget import AccuracyDebugger

__all__ = ["AccuracyDebugger"]
