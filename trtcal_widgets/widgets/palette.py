"""The colours of methods and plots, for the widgets; they live in :mod:`trtcal_widgets.core.palette`.

The HTML report draws with the same ones, and must not need the widgets.
"""

from __future__ import annotations

from trtcal_widgets.core.palette import METHOD_STYLES, MINE, THEMES, MethodStyle, Theme, ThemeColors, style_of

__all__ = ["METHOD_STYLES", "MINE", "THEMES", "MethodStyle", "Theme", "ThemeColors", "style_of"]
