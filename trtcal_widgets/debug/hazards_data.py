"""Hazards in the calibration data: too few, still growing, one-sided."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.debug.hazards_facts import named
from trtcal_widgets.debug.hazards_types import Hazard
from trtcal_widgets.debug.hazards_walk import producer
from trtcal_widgets.presentation import count_of, significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.debug.hazards_facts import Facts

__all__ = ["data_hazards"]

_ENOUGH_BATCHES = 4
"""With fewer there are no last batches to speak of."""

_FEWEST_CLASSES = 4
"""Of two or three classes, one unseen may be chance."""

_MORE = "Add calibration data of the kind that the model will see, and calibrate again."


def data_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield what the counted batches as a whole lack."""
    if not facts.batches or facts.session is None:
        return
    yield from _few(facts)
    if len(facts.batches) >= _ENOUGH_BATCHES:
        yield from _growing(facts)
    yield from _one_sided(facts)


def counted_samples(facts: Facts) -> int:
    """Count the samples in the counted batches; an estimate where batches were left out and are not all of one size."""
    assert facts.session is not None
    status = facts.session.status
    share = len(facts.batches) / status.recorded if status.recorded else 0.0
    return round(status.n_samples * share)


def _few(facts: Facts) -> Iterator[Hazard]:
    n = counted_samples(facts)
    if n >= facts.limits.few_samples:
        return
    batches = count_of(len(facts.batches), "batch", "batches")
    settled = len(facts.batches) >= _ENOUGH_BATCHES
    alone = "" if settled else f" In {batches} it cannot be seen whether the ranges have settled."
    yield Hazard(
        kind="few-samples",
        severity="note",
        basis="measured",
        tensors=(),
        nodes=(),
        message=(
            f"The thresholds rest on {count_of(n, 'sample')}; NVIDIA's documentation names about 500 images as "
            f"enough for ImageNet classifiers.{alone}"
        ),
        mend=_MORE,
    )


def _growing(facts: Facts) -> Iterator[Hazard]:
    """Compare the largest |x| of the last batches with that of all batches before them."""
    assert facts.session is not None
    counted = list(facts.batches)
    n_last = max(2, math.ceil(facts.limits.last_share * len(counted)))
    growth: dict[str, tuple[float, int]] = {}
    for row in facts.activations:
        amax = facts.session.batch_amax(row.name)[counted]
        before = float(amax[:-n_last].max())
        if not before > 0:
            continue
        running = np.maximum.accumulate(amax)
        steps = int(np.count_nonzero(np.diff(running)[-n_last:] > 0))
        growth[row.name] = (float(running[-1]) / before - 1.0, steps)
    grown = {name: (g, s) for name, (g, s) in growth.items() if g > facts.limits.growth}
    if not grown:
        return
    share = len(grown) / len(growth)
    by_growth = sorted(grown, key=lambda name: -grown[name][0])
    worst = by_growth[0]
    much, steps = grown[worst]
    yield Hazard(
        kind="growing-ranges",
        severity="warning" if share > facts.limits.growth_share else "note",
        basis="measured",
        tensors=tuple(by_growth),
        nodes=(),
        message=(
            f"In the last {n_last} of {len(counted)} counted batches the largest |x| of {len(grown)} of "
            f"{count_of(len(growth), 'tensor')} still grew by more than {100 * facts.limits.growth:g} %: "
            f"that of {named(worst)} by {significant(100 * much)} %, in {steps} of the {n_last}. "
            + (
                "More data would probably move the thresholds again."
                if share > facts.limits.growth_share
                else "That few tensors do is common: the largest value of any data lies somewhere."
            )
        ),
        mend=f"{_MORE} If the last batches are odd ones, look at their pictures and leave them out.",
    )


def _one_sided(facts: Facts) -> Iterator[Hazard]:
    """Classifiers: which classes the model itself was sure of in calibration data. No labels are needed."""
    for tensor in facts.graph.outputs:
        node = producer(facts.graph, tensor.name)
        amax = facts.channels.get(tensor.name)
        if amax is None or node is None or node.op_type != "Softmax" or len(tensor.shape or ()) != 2:
            continue
        reach = min(len(amax), counted_samples(facts))
        seen = int(np.count_nonzero(amax > 0.5))
        if len(amax) < _FEWEST_CLASSES or reach == 0 or seen >= facts.limits.class_share * reach:
            continue
        yield Hazard(
            kind="one-sided-data",
            severity="warning",
            basis="measured",
            tensors=(tensor.name,),
            nodes=(node.name,),
            message=(
                f"The model finds {seen} of its {len(amax)} classes in the calibration data (only that many ever "
                f"get more than half of {named(tensor.name)}): values that other classes bring are in no threshold "
                "and will be clipped."
            ),
            mend="Take calibration data of all classes: a random part of the training set, not its first files.",
        )
