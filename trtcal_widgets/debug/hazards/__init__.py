"""What usually costs accuracy in INT8, found before an engine is built."""

from __future__ import annotations

from trtcal_widgets.debug.hazards.finding import Hazard, HazardLimits, by_kind, channel_ranges, find_hazards

__all__ = ["Hazard", "HazardLimits", "by_kind", "channel_ranges", "find_hazards"]
