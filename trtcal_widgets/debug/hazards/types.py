"""What a hazard is, and the limits from which on something is called one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Severity = Literal["severe", "warning", "note"]
"""``severe``: INT8 will lose what this tensor carries, or the scale cannot be used. ``warning``: look at it first when
accuracy drops. ``note``: often harmless, worth knowing."""

Basis = Literal["measured", "graph", "inferred"]
"""``measured``: from values that the model gave. ``graph``: a fact of the graph. ``inferred``: a pattern in the graph;
the values may turn out tame."""

SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")
"""From bad to harmless: the order in which hazards are returned."""


@dataclass(frozen=True)
class Hazard:
    """Something about a model or its calibration that often costs accuracy in INT8.

    Attributes
    ----------
    kind
        What it is, one word per check: ``concat-ranges``, ``attention-mask``, …; ``docs/hazards.md`` explains each.
    severity, basis
        How bad it is, and how it is known.
    tensors, nodes
        Names of the tensors and nodes it is about, the decisive one first; empty where it is about the data.
    message
        What was seen and why it hurts, with the numbers. Plain text, never markup; names are made printable.
    mend
        What to do about it.
    """

    kind: str
    severity: Severity
    basis: Basis
    tensors: tuple[str, ...]
    nodes: tuple[str, ...]
    message: str
    mend: str


@dataclass(frozen=True)
class HazardLimits:
    """From which number on something counts as a hazard. Every limit can be changed; none is TensorRT's own.

    Attributes
    ----------
    concat_ratio
        Largest over smallest range of a Concat's inputs. At 16 the small one keeps 127 / 16 = 8 levels of either
        sign: about 4 bits instead of 8.
    mask_value
        Size of a negative constant that reaches a Softmax from which on it is a mask, not a number: scores before
        a Softmax seldom exceed 100, masks are -1e4, -1e9 or the lowest float.
    clipped_fraction
        Share of a tensor's values beyond its threshold. TensorRT's entropy search seldom clips more than 1 %.
    probability_clip
        A Sigmoid's or Softmax's threshold below this share of its largest value: its most confident answers become
        equal.
    disagreement
        Largest |x| over the entropy threshold. At 4, choosing one over the other costs 2 of the 8 bits or clips.
    channel_ratio
        Range of the tensor over that of one of its channels. At 50 the channel keeps 127 / 50, less than 3 levels.
    channel_share
        Share of the channels that must be starved for a warning; fewer are a note.
    growth
        By how much the largest |x| may still grow in the last batches: 0.1 is 10 %, about what entropy thresholds
        move between two samples of the same data.
    growth_share
        Share of the tensors that must still be growing for a warning. In settled data the largest of n batches
        falls into the last quarter for a quarter of the tensors by chance.
    last_share
        What the last batches are: this share of the counted ones, at least two.
    few_samples
        Calibration samples below which the data are called few; NVIDIA's documentation names about 500 images as
        enough for ImageNet classifiers.
    class_share
        Share of the classes (or of the samples, where they are fewer) that calibration data must reach.
    poor_sqnr_db, lost_sqnr_db
        Signal to quantisation noise ratios in dB: below the first a tensor that clips, or a square, root or
        exponential, is a warning (8 bits that are well used give 30 to 45 dB); below the second it is severe (the
        noise has a tenth of the signal's power).
    """

    concat_ratio: float = 16.0
    mask_value: float = 1e3
    clipped_fraction: float = 0.01
    probability_clip: float = 0.9
    disagreement: float = 4.0
    channel_ratio: float = 50.0
    channel_share: float = 0.1
    growth: float = 0.1
    growth_share: float = 0.25
    last_share: float = 0.25
    few_samples: int = 100
    class_share: float = 0.3
    poor_sqnr_db: float = 25.0
    lost_sqnr_db: float = 10.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
                raise UsageError(f"the limit {limit.name} must be a number of 0 or more, not {value!r}")
        if not self.channel_ratio:
            raise UsageError("the limit channel_ratio must be greater than 0: it is how many times larger a range is")


def by_kind(hazards: Iterable[Hazard]) -> dict[str, list[Hazard]]:
    """Group hazards by kind, kinds and hazards in the order they come in: one mend per group is enough for people."""
    groups: dict[str, list[Hazard]] = {}
    for hazard in hazards:
        groups.setdefault(hazard.kind, []).append(hazard)
    return groups
