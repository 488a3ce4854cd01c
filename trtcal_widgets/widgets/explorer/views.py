"""The views of an explorer: panels and plots, and how they stand on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.widgets.explorer.histogram_view import HistogramView
from trtcal_widgets.widgets.explorer.overview_view import OverviewView
from trtcal_widgets.widgets.explorer.panels import (
    HELP,
    DetailPanel,
    ExplorerShell,
    ExportPanel,
    ListPanel,
    StepperPanel,
)
from trtcal_widgets.widgets.explorer.signed_view import SignedView
from trtcal_widgets.widgets.explorer.trace_view import TraceView
from trtcal_widgets.widgets.explorer.weights_view import WeightsView
from trtcal_widgets.widgets.kit.box import box
from trtcal_widgets.widgets.kit.panels import CaptionPanel, NetworkPanel, NumbersPanel

if TYPE_CHECKING:
    import ipywidgets


class Views:
    """The views of one explorer."""

    def __init__(self, n_calibrated: int) -> None:
        self.shell = ExplorerShell()
        self.stepper = StepperPanel(help=HELP["stepper"])
        self.tensors = ListPanel(help=HELP["list"])
        self.detail = DetailPanel(help=HELP["histogram"])
        self.histogram = HistogramView()
        self.numbers = NumbersPanel(help=HELP["numbers"])
        self.network = NetworkPanel(help=HELP["network"])
        self.overview = OverviewView(n_calibrated)
        self.overview_caption = CaptionPanel(name="overview", help=HELP["overview"])
        self.trace = TraceView()
        self.trace_caption = CaptionPanel(name="trace", help=HELP["trace"])
        self.weights = WeightsView()
        self.weights_caption = CaptionPanel(name="weights", help=HELP["weights"])
        self.signed = SignedView()
        self.signed_caption = CaptionPanel(name="signed", help=HELP["signed"])
        self.export = ExportPanel(help=HELP["export"])
        self.panels = (
            self.shell,
            self.stepper,
            self.tensors,
            self.detail,
            self.numbers,
            self.network,
            self.export,
            self.signed_caption,
        )
        self.plots = (self.histogram, self.overview, self.trace, self.weights, self.signed)

    def arranged(self) -> list[ipywidgets.Widget]:
        """Return those below the header as they stand on the page."""
        detail = box(self.detail, self.histogram.figure, self.numbers, name="tc-main-detail")
        overview = box(self.overview_caption, self.overview.figure, name="tc-plot-panel")
        trace = box(self.trace_caption, self.trace.figure, name="tc-plot-panel")
        weights = box(self.weights_caption, self.weights.figure, name="tc-plot-panel")
        signed = box(self.signed_caption, self.signed.figure, name="tc-plot-panel")
        return [
            self.stepper,
            box(self.tensors, detail, name="tc-main"),
            self.network,
            box(overview, trace, name="tc-below"),
            box(weights, signed, name="tc-below"),
            self.export,
        ]
