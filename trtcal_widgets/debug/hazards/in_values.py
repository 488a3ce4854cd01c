"""Hazards in the values of single tensors: NaN, nothing but zeros, clipped, methods that disagree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.figures import decibels, percent
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.debug.hazards.facts import named, producer
from trtcal_widgets.debug.hazards.in_graph import masked_tensors
from trtcal_widgets.debug.hazards.types import Hazard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.debug.hazards.facts import Facts
    from trtcal_widgets.debug.hazards.types import Severity
    from trtcal_widgets.session.state import TensorRow

_PROBABILITIES = frozenset({"HardSigmoid", "Sigmoid", "Softmax"})


def value_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield what is wrong with single tensors; one hazard per tensor and shared scale, the most telling one."""
    masked = {name for root, (entered, _) in masked_tensors(facts).items() for name in (root, *entered)}
    dead = {row.name for row in facts.rows.values() if row.zeros_fraction == 1.0}
    for row in facts.rows.values():
        if row.nans or (row.infs and row.name not in masked):
            yield from _non_finite(facts, row)
    for row in sorted(facts.activations, key=lambda row: math.inf if math.isnan(row.sqnr_db) else row.sqnr_db):
        if row.name in dead:
            if not _dead_before(facts, row.name, dead):
                yield _dead(facts, row, dead)
        elif row.name not in masked:
            yield from _range(facts, row)


def _range(facts: Facts, row: TensorRow) -> Iterator[Hazard]:
    limits = facts.limits
    if row.minimum == row.maximum:
        yield _constant(facts, row)
    elif row.op_type in _PROBABILITIES and row.amax < limits.probability_clip * row.minmax_amax:
        yield _probability(facts, row)
    elif row.clipped_fraction > limits.clipped_fraction:
        yield _clipped(facts, row)
    elif row.entropy > 0 and row.minmax_amax > limits.disagreement * row.entropy:
        yield _disagreement(facts, row)


def _measured(facts: Facts, row: TensorRow, kind: str, severity: Severity, message: str, mend: str) -> Hazard:
    node = producer(facts.graph, row.name)
    return Hazard(kind, severity, "measured", (row.name,), () if node is None else (node.name,), message, mend)


def _origin(facts: Facts, row: TensorRow, bad: str) -> str:
    """Say whether the tensor is the first that is bad, or was handed it."""
    node = producer(facts.graph, row.name)
    before = [n for n in (node.inputs if node else ()) if n in facts.rows and getattr(facts.rows[n], bad)]
    if before:
        return f" They come from {named(before[0])}."
    return " It is the first tensor on its way that has any." if node is not None else ""


def _non_finite(facts: Facts, row: TensorRow) -> Iterator[Hazard]:
    """Report only the tensors where they begin: what lies behind them follows from it."""
    bad = "nans" if row.nans else "infs"
    origin = _origin(facts, row, bad)
    if "come from" in origin:
        return
    words = [count_of(n, w, w) for n, w in ((row.nans, "NaN"), (row.infs, "infinities")) if n]
    message = (
        f"{named(row.name)} holds {' and '.join(words)} among its values.{origin} They are in no histogram, so "
        "the threshold does not know of them; INT8 has no code for them."
    )
    mend = (
        "Find out why in FP32 first: a division by 0, a logarithm of 0, an overflow in FP16, or an input that "
        "is not prepared as in training. Leave the batch out if it is the data."
    )
    yield _measured(facts, row, "non-finite", "severe", message, mend)


def _dead_before(facts: Facts, name: str, dead: set[str]) -> bool:
    node = producer(facts.graph, name)
    return node is not None and any(n in dead and not facts.graph.tensors[n].is_fixed for n in node.inputs)


def _dead(facts: Facts, row: TensorRow, dead: set[str]) -> Hazard:
    behind = [name for name in dead if name != row.name and not facts.graph.tensors[name].is_fixed]
    more = f" With it, {count_of(len(behind), 'other tensor')} of the model are all zero." if behind else ""
    message = (
        f"Every value of {named(row.name)} is 0 in all counted batches, so its scale is 0: TensorRT cannot "
        f"quantise with it, and a Q/DQ node must not have it.{more}"
    )
    mend = (
        "If real inputs make it come alive, the calibration data lack them: add some. If it is dead for good "
        "(a pruned branch, a mask of zeros), leave it out of the cache or keep its layer in FP16."
    )
    return _measured(facts, row, "dead", "warning", message, mend)


def _constant(facts: Facts, row: TensorRow) -> Hazard:
    message = (
        f"Every value of {named(row.name)} is {significant(row.maximum)} in all counted batches, although it is "
        "computed from an input. One level out of 127 is used; that is exact here, but other inputs may differ."
    )
    mend = "Check that the input it hangs on varies in the calibration data; leave it where it is meant so."
    return _measured(facts, row, "constant", "note", message, mend)


def _probability(facts: Facts, row: TensorRow) -> Hazard:
    message = (
        f"{named(row.name)} comes from a {row.op_type} and reaches {significant(row.minmax_amax)}, but its "
        f"threshold ({row.method}) is {significant(row.amax)}: all answers above it become equal. "
        "Where large ones are rare beside many small ones, the search gives them up."
    )
    mend = f"Choose minmax for this tensor (in Python: session.choose({row.name!r}, method='minmax'))."
    return _measured(facts, row, "clipped-probabilities", "warning", message, mend)


def _clipped(facts: Facts, row: TensorRow) -> Hazard:
    limits = facts.limits
    ratio = row.minmax_amax / row.amax if row.amax > 0 else math.inf
    others = [method for method in ("mse", "minmax") if method != row.method]
    severity: Severity = "note"
    if row.sqnr_db < limits.poor_sqnr_db:
        severity = "severe" if row.sqnr_db < limits.lost_sqnr_db else "warning"
    message = (
        f"The threshold of {named(row.name)} ({row.method}, {significant(row.amax)}) clips "
        f"{percent(row.clipped_fraction)} of its values, which reach up to "
        f"{significant(row.minmax_amax)}, {significant(ratio)} times as far. SQNR {decibels(row.sqnr_db)}."
    )
    mend = (
        f"Try {' or '.join(others)} for it, and compare what each costs; keep the clipping only where the accuracy "
        f"does not suffer (in Python: session.choose({row.name!r}, method={others[0]!r}))."
    )
    return _measured(facts, row, "clipped", severity, message, mend)


def _disagreement(facts: Facts, row: TensorRow) -> Hazard:
    ratio = row.minmax_amax / row.entropy
    message = (
        f"For {named(row.name)} minmax says {significant(row.minmax_amax)} and entropy {significant(row.entropy)}, "
        f"{significant(ratio)} times less. With minmax all smaller values share {max(round(127 / ratio), 1)} of "
        "127 levels; with entropy the few larger ones are cut off."
    )
    mend = (
        "Which is worse, only accuracy tells. Look at the histogram: if the large values come from odd samples, "
        "exclude these; if they carry meaning (outlier channels of a transformer, confident scores), keep the "
        f"layer in FP16{'' if row.method == 'minmax' else ' or choose minmax'}."
    )
    return _measured(
        facts, row, "disagreement", "warning" if ratio > 2 * facts.limits.disagreement else "note", message, mend
    )


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
    message = (
        f"The thresholds rest on {count_of(n, 'sample')}; NVIDIA's documentation names about 500 images as "
        f"enough for ImageNet classifiers.{alone}"
    )
    yield Hazard("few-samples", "note", "measured", (), (), message, _MORE)


def _growing(facts: Facts) -> Iterator[Hazard]:
    """Compare the largest |x| of the last batches with that of all batches before them."""
    assert facts.session is not None
    counted = list(facts.batches)
    n_last = min(max(2, math.ceil(min(facts.limits.last_share, 1.0) * len(counted))), len(counted) - 1)
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
    severity: Severity = "warning" if share > facts.limits.growth_share else "note"
    message = (
        f"In the last {n_last} of {len(counted)} counted batches the largest |x| of {len(grown)} of "
        f"{count_of(len(growth), 'tensor')} still grew by more than {100 * facts.limits.growth:g} %: "
        f"that of {named(worst)} by {percent(much)}, in {steps} of the {n_last}. "
        + (
            "More data would probably move the thresholds again."
            if share > facts.limits.growth_share
            else "That few tensors do is common: the largest value of any data lies somewhere."
        )
    )
    mend = f"{_MORE} If the last batches are odd ones, look at them and leave them out."
    yield Hazard("growing-ranges", severity, "measured", tuple(by_growth), (), message, mend)


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
        message = (
            f"The model finds {seen} of its {len(amax)} classes in the calibration data (only that many ever "
            f"get more than half of {named(tensor.name)}): values that other classes bring are in no threshold "
            "and will be clipped."
        )
        mend = "Take calibration data of all classes: a random part of the training set, not its first files."
        yield Hazard("one-sided-data", "warning", "measured", (tensor.name,), (node.name,), message, mend)
