"""The cache viewer: one calibration cache, or two side by side."""

from __future__ import annotations

from trtcal_widgets.widgets.cache.widget import CacheViewer

__all__ = ["CacheViewer"]
