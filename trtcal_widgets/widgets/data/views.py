"""The views of a data doctor: panels and plots, and how they stand on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.widgets.data.band_view import BandView
from trtcal_widgets.widgets.data.panels import HELP, BlamePanel, DataShell, SamplesPanel, TensorsPanel, WarningsPanel
from trtcal_widgets.widgets.kit.box import box
from trtcal_widgets.widgets.kit.panels import CaptionPanel

if TYPE_CHECKING:
    import ipywidgets


class DataViews:
    """The views of one data doctor."""

    def __init__(self) -> None:
        self.shell = DataShell(help=HELP["verdict"])
        self.samples = SamplesPanel(help=HELP["samples"])
        self.tensors = TensorsPanel(help=HELP["tensors"])
        self.band = BandView()
        self.band_caption = CaptionPanel(name="data-band", help=HELP["band"])
        self.blame = BlamePanel(help=HELP["blame"])
        self.warnings = WarningsPanel(help=HELP["warnings"])
        self.panels = (self.shell, self.samples, self.tensors, self.blame, self.warnings)
        self.plots = (self.band,)

    def arranged(self) -> list[ipywidgets.Widget]:
        """Return them as they stand on the page."""
        return [
            self.shell,
            self.samples,
            box(self.tensors, box(self.band_caption, self.band.figure, name="tc-data-band"), name="tc-data-middle"),
            box(self.blame, self.warnings, name="tc-data-bottom"),
        ]
