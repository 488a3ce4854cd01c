"""The views of a debugger: panels and plots, and how they stand on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.widgets.debugger.front_view import FrontView
from trtcal_widgets.widgets.debugger.panels import (
    HELP,
    DebugDetailPanel,
    DebugExportPanel,
    DebugHazardsPanel,
    DebugLayersPanel,
    DebugShell,
    DebugSummaryPanel,
)
from trtcal_widgets.widgets.debugger.sqnr_view import SqnrView
from trtcal_widgets.widgets.debugger.tensor_view import TensorView
from trtcal_widgets.widgets.kit.box import box
from trtcal_widgets.widgets.kit.panels import NetworkPanel, NumbersPanel

if TYPE_CHECKING:
    import ipywidgets


class DebugViews:
    """The views of one debugger."""

    def __init__(self) -> None:
        self.shell = DebugShell()
        self.summary = DebugSummaryPanel(help=HELP["summary"])
        self.layers = DebugLayersPanel(help=HELP["layers"])
        self.front = FrontView()
        self.front_box = box(self.front.figure, name="tc-dbg-sqnr")
        self.sqnr = SqnrView()
        self.network = NetworkPanel(help=HELP["network"])
        self.detail = DebugDetailPanel(help=HELP["detail"])
        self.tensor = TensorView()
        self.numbers = NumbersPanel(help=HELP["detail"])
        self.hazards = DebugHazardsPanel(help=HELP["hazards"])
        self.export = DebugExportPanel(help=HELP["export"])
        self.panels = (
            self.shell, self.summary, self.layers, self.network, self.detail, self.numbers, self.hazards, self.export,
        )  # fmt: skip
        self.plots = (self.sqnr, self.tensor, self.front)

    def arranged(self) -> list[ipywidgets.Widget]:
        """Return them as they stand on the page."""
        return [
            self.shell,
            box(self.summary, self.layers, name="tc-dbg-top"),
            self.front_box,
            box(self.sqnr.figure, name="tc-dbg-sqnr"),
            self.network,
            box(self.detail, self.tensor.figure, self.numbers, name="tc-dbg-tensor"),
            box(self.hazards, self.export, name="tc-dbg-bottom"),
        ]
