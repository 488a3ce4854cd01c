"""The build panel: TensorRT's builder with a session's scales, as a form."""

from __future__ import annotations

from trtcal_widgets.widgets.build.widget import BuildPanel

__all__ = ["BuildPanel"]
