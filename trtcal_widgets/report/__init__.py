"""The report: one HTML file of a calibration, for people without a notebook."""

from __future__ import annotations

from trtcal_widgets.report.writing import AsReportSection, ReportSection, render_report, write_report

__all__ = ["AsReportSection", "ReportSection", "render_report", "write_report"]
