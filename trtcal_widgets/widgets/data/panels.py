"""The data doctor's panels: each with one state down and events up, and the help that it shows."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import traitlets

from trtcal_widgets.widgets.kit.assets import script, style
from trtcal_widgets.widgets.kit.panels import Panel, ShellPanel, help_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_help = partial(help_text, page="calibration-data")

HELP: Mapping[str, dict[str, str]] = MappingProxyType(
    {
        "verdict": _help(
            "Is it good enough?",
            "Three lines: whether there are enough data for thresholds that more data would not move, whether the "
            "order of the batches decides something, and what stands out among the samples. All of it comes from what "
            "was recorded: neither the model nor the images are needed.",
            "The screen",
        ),
        "samples": _help(
            "Samples",
            "One mark per sample (per batch where nothing is known of samples), in the order in which they were fed: "
            "the largest |x| that it brings to the chosen tensor. The dashed line is the threshold; what is above it "
            "is clipped. A coloured mark with a triangle stands out. Click one, or walk with ← and →; untick “counted” "
            "(or press x) to leave it out of every threshold. + and - look closer.",
            "The screen",
        ),
        "tensors": _help(
            "Tensors",
            "“May be off” is how far a tensor's SQNR may be from what endless data would give, in dB: it is how much "
            "the halves of your batches differ. “Order” is how far it moves with the batch that TensorRT happens to "
            "see first, for its range starts there. “Images” is how many it would take; a question mark where that "
            "cannot be told.",
            "The screen",
        ),
        "band": _help(
            "Threshold over the number of batches",
            "Where random draws of so many of your batches would have put the threshold: the wide band holds 90 % of "
            "them, the narrow one half, the line is the middle. A band that narrows to the right is a threshold that "
            "settles. Two-pass: the bins are known before. One-pass: as TensorRT counts, where the first batch of a "
            "draw sets the range. The dashes at the right end are all batches in other orders.",
            "The screen",
        ),
        "blame": _help(
            "Who sets the range",
            "The samples with the largest |x| in the chosen tensor, and whose values they are that lie beyond the "
            "threshold. “Without it?” runs that one sample again and takes its values away: exact, and for all "
            "tensors at once. It needs the model and the data.",
            "The screen",
        ),
        "warnings": _help(
            "What stands out",
            "Patterns in the data that often spoil a calibration: duplicates, one class that dominates, preprocessing "
            "that looks wrong, batches that changed nothing. Each says how sure it is and what to do.",
            "The screen",
        ),
    }
)


class DataShell(ShellPanel):
    """The header and the verdict."""

    _esm = script("data/shell")
    _css = style("data")


class SamplesPanel(Panel):
    """The strip of samples.

    ``facts`` goes once, ``values`` (float32, one per sample, nan where there is none) with every tensor.
    """

    _esm = script("data/samples")

    facts = traitlets.Dict().tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)


class TensorsPanel(Panel):
    """The table of tensors: ``columns`` goes once, ``rows`` with every report."""

    _esm = script("data/tensors")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)


class BlamePanel(Panel):
    """The samples that set the chosen tensor's range."""

    _esm = script("data/blame")


class WarningsPanel(Panel):
    """What stands out in the data."""

    _esm = script("data/warnings")
