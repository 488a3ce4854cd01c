"""A small set of samples whose thresholds do as well as those of all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SmallSet:
    """A subset of the recorded samples whose thresholds do as well, and what was tried to know that.

    Attributes
    ----------
    samples
        Places in the order of the data, from 0, growing.
    labels
        What the data call them (file names), in the same order.
    of
        How many samples there were to choose from.
    loss_db
        The largest loss of SQNR on all recorded samples with this subset's thresholds against those of all samples,
        over all tensors, measured by running the subset.
    worst
        The tensor that loses it.
    goal_db
        The loss that was allowed; None where a number of samples was asked for.
    random_db
        The same loss for random subsets of the same size, each of them run, sorted.
    better_than_random
        Whether it loses less than the median of ``random_db``; None where none was run.
    text
        What came out, honest also where chance does as well: one or two sentences.
    """

    samples: tuple[int, ...]
    labels: tuple[str, ...]
    of: int
    loss_db: float
    worst: str
    goal_db: float | None
    random_db: tuple[float, ...]
    better_than_random: bool | None
    text: str
