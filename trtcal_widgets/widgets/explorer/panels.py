"""The panels that ipywidgets has no control for: small anywidgets, each with one state down and events up.

The state is a JSON trait; an event is a custom message, so that nothing echoes. A panel knows neither the session nor
another panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.widgets.kit.assets import script, style

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HELP",
    "CaptionPanel",
    "DetailPanel",
    "ExportPanel",
    "HelpText",
    "ListPanel",
    "NumbersPanel",
    "Panel",
    "ShellPanel",
    "StepperPanel",
]


@dataclass(frozen=True)
class HelpText:
    """A title, what one sees, and the section of the documentation that says more."""

    title: str
    text: str
    section: str

    def as_state(self) -> dict[str, str]:
        """Return what the front end shows."""
        return {"title": self.title, "text": self.text, "more": f"docs/algorithm.md, section “{self.section}”"}


HELP: Mapping[str, HelpText] = MappingProxyType(
    {
        "stepper": HelpText(
            "Batches",
            "Each batch runs the model once and adds every tensor's values to its histogram. Going back, leaving a "
            "batch out or taking it in again needs no model run. Each bar is the largest |x| of the chosen tensor in "
            "that batch: a bar that sticks out is a batch that widens the range for all. Click a bar (or press space "
            "on it) to leave the batch out.",
            "The histogram",
        ),
        "list": HelpText(
            "Tensors",
            "Every tensor that gets a row in TensorRT's calibration cache, with the threshold that holds for it. The "
            "mark shows the method that picked it; a diamond is your own. SQNR says how much of the signal survives "
            "INT8: 20 dB is poor, 40 dB is good. “Disagreement” is the largest over the smallest threshold of "
            "entropy, minmax and the 99.99th percentile: where it is large, your choice matters.",
            "Choosing a threshold",
        ),
        "histogram": HelpText(
            "Histogram and objective",
            "Above: how many values have which |x|. The lines are the thresholds that the methods pick; the thick one "
            "holds, and you can drag it. Everything right of it (shaded) is clipped to ±amax. Below: what the method "
            "minimises, for every threshold it could pick, with its minimum marked.",
            "Thresholds",
        ),
        "numbers": HelpText(
            "What the threshold costs",
            "Estimated from the histogram, without running the model. Clipping noise comes from values beyond the "
            "threshold, rounding noise from the step between INT8 levels (the scale). A smaller threshold trades "
            "rounding noise for clipping noise; SQNR is the signal's power over the sum of both. Noise is a mean "
            "squared error, in the tensor's unit squared.",
            "Clipping and rounding",
        ),
        "overview": HelpText(
            "Ranges of all tensors",
            "Each column is a tensor, in graph order. Above the middle line the positive side (up to the largest "
            "value), below it the negative side (down to the smallest), both on a log scale. The marks are ±amax: "
            "inside a bar, values are clipped; outside, levels are wasted. Click a column to look at that tensor.",
            "Ranges",
        ),
        "trace": HelpText(
            "Thresholds as batches were added",
            "Where each method would have put the threshold after so many batches. Lines that still move want more "
            "batches; a jump shows a batch with unusual values.",
            "How many batches",
        ),
        "export": HelpText(
            "Export",
            "Writes a calibration cache that TensorRT reads in place of calibrating: one line per tensor with its "
            "scale (amax / 127) in hex. The header must name the TensorRT version and the calibrator class that will "
            "read it, or TensorRT calibrates again.",
            "The calibration cache",
        ),
    }
)


class Panel(anywidget.AnyWidget):
    """A panel: ``state`` goes down, events come up as custom messages."""

    state = traitlets.Dict().tag(sync=True)
    help = traitlets.Dict().tag(sync=True)

    def show(self, **state: Any) -> None:
        """Send a state to the browser where it differs from the one that is there."""
        if state != self.state:
            self.state = state


class ShellPanel(Panel):
    """The header; it also reads the theme and the keyboard, and brings the style sheet."""

    _esm = script("explorer/shell")
    _css = style("explorer")

    theme = traitlets.Enum(("light", "dark"), default_value="light").tag(sync=True)
    palette = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        palette = {kind: {"light": style.light, "dark": style.dark} for kind, style in METHOD_STYLES.items()}
        super().__init__(palette=palette)


class StepperPanel(Panel):
    """Run control, the strip of batches, the pictures of the last batch."""

    _esm = script("explorer/stepper")

    thumbs = traitlets.Dict({"width": 0, "height": 0, "count": 0, "label": ""}).tag(sync=True)
    pixels = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self) -> None:
        super().__init__(help=HELP["stepper"].as_state())


class ListPanel(Panel):
    """The tensor list.

    ``columns`` goes once, ``rows`` where all numbers are new, ``patch`` where a few rows are.
    """

    _esm = script("explorer/tensor_list")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    patch = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(help=HELP["list"].as_state())

    def send_patch(self, index: list[int], values: dict[str, list[Any]], method_names: list[str]) -> None:
        """Send some rows. ``rows`` is kept up to date here without sending it, for a page that is opened later."""
        for key, column in values.items():
            kept = self.rows[key]
            for at, value in zip(index, column, strict=True):
                kept[at] = value
        self.rows["method_names"] = method_names
        self.patch = {"index": index, "method_names": method_names, **values}


class DetailPanel(Panel):
    """The chosen tensor: facts, methods, amax."""

    _esm = script("explorer/detail")

    def __init__(self) -> None:
        super().__init__(help=HELP["histogram"].as_state())


class NumbersPanel(Panel):
    """What the threshold costs."""

    _esm = script("kit/numbers")

    def __init__(self) -> None:
        super().__init__(help=HELP["numbers"].as_state())


class ExportPanel(Panel):
    """The calibration cache: header, rows, preview, file."""

    _esm = script("explorer/export")

    def __init__(self) -> None:
        super().__init__(help=HELP["export"].as_state())


class CaptionPanel(Panel):
    """A plot's title and its help."""

    _esm = script("kit/caption")

    name = traitlets.Unicode().tag(sync=True)

    def __init__(self, name: str, title: str) -> None:
        super().__init__(name=name, help=HELP[name].as_state(), state={"title": title, "note": ""})
