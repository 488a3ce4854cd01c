"""What each panel shows, in a user's words: one place, so that the words can be read in one go."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HELP", "HelpText"]


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
