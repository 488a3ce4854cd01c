"""Carrying calibrated scales over to another export of the same model, whose tensors have other names."""

from __future__ import annotations

from trtcal_widgets.export.port.scales import NotPorted, PortedRow, PortReport, PortResult, port_scales

__all__ = ["NotPorted", "PortReport", "PortResult", "PortedRow", "port_scales"]
