"""The explorer's panels: each with one state down and events up, and the help that it shows."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from trtcal_widgets.common.words import count_of
from trtcal_widgets.widgets.kit.assets import script, style
from trtcal_widgets.widgets.kit.panels import Panel, ShellPanel, help_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_help = partial(help_text, page="algorithm")

HELP: Mapping[str, dict[str, str]] = MappingProxyType(
    {
        "stepper": _help(
            "Batches",
            "Each batch runs the model once and adds every tensor's values to its histogram. Going back, leaving a "
            "batch out or taking it in again needs no model run. Each bar is the largest |x| of the chosen tensor in "
            "that batch: a bar that sticks out is a batch that widens the range for all. Click a bar (or press space "
            "on it) to leave the batch out.",
            "The histogram",
        ),
        "list": _help(
            "Tensors",
            "Every tensor that gets a row in TensorRT's calibration cache, with the threshold that holds for it. The "
            "mark shows the method that picked it; a diamond is your own. SQNR says how much of the signal survives "
            "INT8: 20 dB is poor, 40 dB is good. “Disagreement” is the largest over the smallest threshold of "
            "entropy, minmax and the 99.99th percentile: where it is large, your choice matters.",
            "Choosing a threshold",
        ),
        "histogram": _help(
            "Histogram and objective",
            "Above: how many values have which |x|. The lines are the thresholds that the methods pick; the thick one "
            "holds, and you can drag it. Everything right of it (shaded) is clipped to ±amax. Below: what the method "
            "minimises, for every threshold it could pick, with its minimum marked.",
            "Thresholds",
        ),
        "numbers": _help(
            "What the threshold costs",
            "Estimated from the histogram, without running the model. Clipping noise comes from values beyond the "
            "threshold, rounding noise from the step between INT8 levels (the scale). A smaller threshold trades "
            "rounding noise for clipping noise; SQNR is the signal's power over the sum of both. Noise is a mean "
            "squared error, in the tensor's unit squared.",
            "Clipping and rounding",
        ),
        "network": help_text(
            "Network",
            "The chosen tensor in the middle, what it is made from on the left and what is made of it on the right, "
            "three steps far. Each box is a tensor with the operator that makes it and its threshold; its colour is "
            "the SQNR that the threshold leaves: below 20 dB red, below 40 dB amber, else green. A letter marks "
            "tensors that have one scale in TensorRT, dashes those that it does not calibrate, a short line at a "
            "box's side that the network goes on. Click a box, or walk with the arrow keys.",
            "The network",
            page="debugging",
        ),
        "overview": _help(
            "Ranges of all tensors",
            "Each column is a tensor, in graph order. Above the middle line the positive side (up to the largest "
            "value), below it the negative side (down to the smallest), both on a log scale. The marks are ±amax: "
            "inside a bar, values are clipped; outside, levels are wasted. Click a column to look at that tensor.",
            "Ranges",
        ),
        "weights": _help(
            "Weights by channel",
            "The layer that makes the chosen tensor, or stands a few operators before it: each bar is what the weights "
            "of one output channel reach from and to. TensorRT gives each channel a scale of its own. The band is what "
            "fewer than 8 of 127 levels would be left for if all channels shared the largest one's scale, as other "
            "tools and some layers do it; channels inside it are coloured.",
            "Shared scales",
        ),
        "signed": _help(
            "Values with their sign",
            "What is recorded are counts of |x|, which is what a symmetric range needs. For the signs of an activation "
            "the last counted batch is run once more; a weight or constant is read. The lines are ±amax: a tensor that "
            "lies on one side only leaves half of INT8's levels unused.",
            "Ranges",
        ),
        "trace": _help(
            "Thresholds as batches were added",
            "Where each method would have put the threshold after so many batches. Lines that still move want more "
            "batches; a jump shows a batch with unusual values.",
            "How many batches",
        ),
        "export": _help(
            "Export",
            "Writes a calibration cache that TensorRT reads in place of calibrating: one line per tensor with its "
            "scale (amax / 127) in hex. The header must name the TensorRT version and the calibrator class that will "
            "read it, or TensorRT calibrates again.",
            "The calibration cache",
        ),
    }
)


MOST_PICTURES = 10
"""Of a batch so many are shown: they are loaded beside the main thread, for they may be large files."""

_GAP = 2


class ExplorerShell(ShellPanel):
    """The header."""

    _esm = script("explorer/shell")
    _css = style("explorer")


class StepperPanel(Panel):
    """Run control, the strip of batches, the pictures of the last batch."""

    _esm = script("explorer/stepper")

    thumbs = traitlets.Dict({"width": 0, "height": 0, "count": 0, "label": ""}).tag(sync=True)
    pixels = traitlets.Bytes(b"").tag(sync=True)


class ListPanel(Panel):
    """The tensor list.

    ``columns`` goes once, ``rows`` where all numbers are new, ``patch`` where a few rows are.
    """

    _esm = script("explorer/tensor_list")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    patch = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    shown: tuple[Any, ...] = ()
    """The rows that the browser has."""

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


class ExportPanel(Panel):
    """The calibration cache: header, rows, preview, file."""

    _esm = script("explorer/export")


def picture_strip(pictures: Sequence[NDArray[np.uint8]]) -> tuple[bytes, int, int]:
    """Return RGBA bytes, width and height of up to ten pictures side by side; empty without pictures."""
    shown = list(pictures[:MOST_PICTURES])
    if not shown:
        return b"", 0, 0
    height = max(p.shape[0] for p in shown)
    width = sum(p.shape[1] for p in shown) + _GAP * (len(shown) - 1)
    strip = np.zeros((height, width, 4), np.uint8)
    left = 0
    for picture in shown:
        high, wide = picture.shape[:2]
        top = (height - high) // 2
        strip[top : top + high, left : left + wide, :3] = picture[..., :3]
        strip[top : top + high, left : left + wide, 3] = 255
        left += wide + _GAP
    return strip.tobytes(), width, height


def show_pictures(stepper: StepperPanel, batch: int, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Send the pictures of a batch to the browser."""
    pixels, width, height = picture_strip(pictures)
    count = min(len(pictures), MOST_PICTURES)
    stepper.pixels = pixels
    label = f"the first {count_of(count, 'image')} of batch {batch + 1}"
    stepper.thumbs = {"width": width, "height": height, "count": count, "label": label}
