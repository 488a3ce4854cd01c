"""The calibration explorer: one screen over a calibration session."""

from __future__ import annotations

from trtcal_widgets.widgets.explorer.widget import CalibrationExplorer

__all__ = ["CalibrationExplorer"]
