"""The data doctor: is the calibration set good enough, and which samples spoil it."""

from __future__ import annotations

from trtcal_widgets.widgets.data.widget import DataDoctor

__all__ = ["DataDoctor"]
