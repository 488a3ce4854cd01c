"""Checks that need recorded batches alone: neither the model nor the data."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.common.figures import percent
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.doctor.types import DataWarning
from trtcal_widgets.doctor.warnings.facts import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.doctor.warnings.facts import Facts

_WILD = 2.0
"""How many times the largest |x| of all others one sample or batch must reach to stand alone."""

_WILD_INPUT = 4.0
"""How many times in an input of the model: behind it layers may hold any value down."""

_WILD_AMONG = 20
"""Of so many at most one stands alone."""

_WILD_SHARE = 0.2
"""In what share of the scales."""

_STRETCHED = 4.0
"""How many times the largest |x| that is counted a range may reach; alone, a recording's reaches less than twice."""

_PER_BATCH = 10
"""Scales per batch or sample from which on one that sets no maximum is worth a word; chance leaves many so of fewer."""

_LISTED = 8
"""Idle batches or samples that are named."""

_FAR = 8.0
"""By what factor values before a batch normalisation may differ from what it was trained with. With right preprocessing
0.8 to 1.3 on PP-OCR's three models; pixels of 0 to 255 for 0 to 1 are 255."""

_SATURATING = {"Sigmoid", "HardSigmoid", "Tanh", "Clip", "HardSwish"}
_SCALING = {"Sub", "Add", "Div", "Mul", "BatchNormalization", "InstanceNormalization", "Cast", "LayerNormalization"}
_THROUGH = {"Transpose", "Reshape", "Identity", "Slice", "Gather", "Squeeze", "Unsqueeze", "Pad", "Concat", "Split"}


def not_finite(facts: Facts) -> Iterator[DataWarning]:
    """Find NaN and inf in the inputs, and NaN that comes out of finite ones."""
    results = (name for name in facts.scales if facts.graph.tensors[name].is_output)
    found = {name: facts.session.histogram(name) for name in dict.fromkeys((*facts.inputs, *results))}
    fed = [name for name in facts.inputs if found[name].nans or found[name].infs]
    named = fed or [name for name in found if found[name].nans]
    if not named:
        return
    h, name = found[named[0]], printable(named[0])
    held = f"{count_of(h.nans, 'NaN', 'NaNs')} and {count_of(h.infs, 'infinity', 'infinities')}"
    yield DataWarning(
        kind="not-finite",
        severity="severe" if fed else "warning",
        sure="certain",
        what=f"The input {name} holds {held}."
        if fed
        else f"The model makes NaN of these data: its output {name} holds {held}.",
        evidence=f"Among {h.n_values:,} values; {count_of(len(named), 'tensor has', 'tensors have')} such values.",
        mend="Look at how these samples are read and scaled: such values are counted nowhere, TensorRT's scale is inf.",
        tensors=tuple(named),
    )


def wild(facts: Facts) -> Iterator[DataWarning]:
    """Find the few samples that alone set the ranges; else a batch whose samples all do."""
    of_samples = _standing_alone(facts.sample_maxima, facts.sample_scales, facts.inputs)
    if of_samples.columns:
        samples = tuple(facts.samples[k] for k in of_samples.columns)
        out = listed([str(sample) for sample in samples], _LISTED)
        yield replace(
            _wild(
                f"{count_of(len(samples), 'sample')} alone {'sets' if len(samples) == 1 else 'set'} the ranges"
                f" ({facts.listed(samples, _LISTED)}): {'it reaches' if len(samples) == 1 else 'they reach'} more than "
                "twice what all",
                of_samples,
                facts.sample_scales,
                f"Look at {'it' if len(samples) == 1 else 'them'}. What is not what the engine will see is left out "
                f"with --leave-out of trtcal calibrate (in Python: session.samples.leave_out({out})).",
            ),
            kind="wild-samples",
            samples=samples,
            batches=tuple(dict.fromkeys(facts.session.samples.batch_of(i) for i in samples)),
        )
        return
    of_batches = _standing_alone(facts.maxima, facts.scales, facts.inputs)
    for k in of_batches.columns:
        batch = facts.batches[k]
        yield replace(
            _wild(
                f"Batch {batch + 1} alone sets the ranges: it reaches more than twice what all",
                of_batches,
                facts.scales,
                "Look at its samples. If they are not what the engine will see, take them out of the data (in Python: "
                f"session.exclude({batch})).",
            ),
            batches=(batch,),
        )


def _wild(reaches: str, alone: _Alone, scales: Sequence[str], mend: str) -> DataWarning:
    worst = alone.rows[0]
    return DataWarning(
        kind="wild-batch",
        severity="warning",
        sure="certain",
        what=f"{reaches} others do.",
        evidence=(
            f"In {len(alone.rows)} of {count_of(len(scales), 'scale')}; in {printable(scales[worst])} "
            f"{significant(alone.reached[worst])} against {significant(alone.others[worst])}."
        ),
        mend=mend,
        tensors=tuple(scales[i] for i in alone.rows),
    )


class _Alone(NamedTuple):
    """What alone sets the ranges.

    ``columns``: which do, those of most rows first. ``rows``: in which they do, the furthest first. ``reached``,
    ``others``: of every row the least that one of them reaches, and the most that any other one does.
    """

    columns: list[int]
    rows: list[int]
    reached: NDArray[np.float64]
    others: NDArray[np.float64]


def _standing_alone(maxima: NDArray[np.float64], scales: Sequence[str], inputs: Sequence[str]) -> _Alone:
    """Return which columns reach more than twice what all others do, in a fifth of the scales or more.

    Or four times in an input. Several may: one in twenty at most, or they would be what the data are like.
    """
    n_rows, n = maxima.shape
    few = max(n // _WILD_AMONG, 1)
    if n_rows == 0 or n < 3:
        return _Alone([], [], np.zeros(0), np.zeros(0))
    order = np.argpartition(maxima, n - few - 1, axis=1)[:, n - few - 1 :]
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(maxima, order, 1), axis=1, kind="stable"), 1)
    top = np.take_along_axis(maxima, order, 1)
    gap = (top[:, :-1] > _WILD * top[:, 1:]) & (top[:, 1:] > 0)
    how_many = np.where(gap.any(axis=1), few - gap[:, ::-1].argmax(axis=1), 0)
    at = np.maximum(how_many, 1)[:, None]
    reached, others = (np.take_along_axis(top, place, 1)[:, 0] for place in (at - 1, at))
    times = np.zeros(n)
    for row in map(int, np.flatnonzero(how_many)):
        enough = scales[row] in inputs and reached[row] > _WILD_INPUT * others[row]
        times[order[row, : how_many[row]]] += n_rows if enough else 1
    columns = [int(k) for k in np.argsort(-times, kind="stable") if times[k] >= max(_WILD_SHARE * n_rows, 1)]
    mine = [int(i) for i in np.flatnonzero(how_many) if set(columns) & set(order[i, : how_many[i]].tolist())]
    return _Alone(columns, sorted(mine, key=lambda i: -reached[i] / others[i]), reached, others)


def stretched_ranges(facts: Facts) -> Iterator[DataWarning]:
    """Find ranges that only what is left out by now has set: the bins stay as wide as it made them."""
    state = facts.session.state
    if not state.samples_out and not any(batch in state.excluded for batch in range(state.position)):
        return
    histograms = {name: facts.session.histogram(name) for name in facts.scales}
    times = {name: h.range / h.amax for name, h in histograms.items() if h.amax > 0}
    worst = sorted((name for name in times if times[name] > _STRETCHED), key=lambda name: -times[name])
    if worst:
        h = histograms[worst[0]]
        yield DataWarning(
            kind="stretched-range",
            severity="warning",
            sure="certain",
            what=(
                f"What is left out still sets the range of {count_of(len(worst), 'scale')}: with bins that wide their "
                "thresholds are not those of a recording without it."
            ),
            evidence=(
                f"In {printable(worst[0])} the range reaches {significant(h.range)}, the values that are counted "
                f"{significant(h.amax)}; entropy and MSE find no threshold below {significant(h.range / 16)}."
            ),
            mend="Take it out of the data and record them anew: ranges are found while batches are recorded.",
            tensors=tuple(worst),
        )


def idle_batches(facts: Facts) -> Iterator[DataWarning]:
    """Find batches that set the largest value of no tensor."""
    found, n_moving = _leads_nowhere(facts.maxima)
    if idle := tuple(facts.batches[k] for k in found):
        named = listed([str(batch + 1) for batch in idle], _LISTED)
        yield replace(_idle("batch", "batches", len(idle), named, n_moving, len(facts.batches)), batches=idle)


def idle_samples(facts: Facts) -> Iterator[DataWarning]:
    """Find samples that set the largest value of no tensor, from the extremes that are recorded of each."""
    if not facts.samples or any(len(facts.session.samples.members(b)) < 2 for b in facts.batches):
        return  # batches of one sample are what idle_batches speaks of
    found, n_moving = _leads_nowhere(facts.sample_maxima)
    if idle := tuple(facts.samples[k] for k in found):
        named = facts.listed(idle, _LISTED)
        yield replace(_idle("sample", "samples", len(idle), named, n_moving, len(facts.samples)), samples=idle)


def _idle(one: str, many: str, n_idle: int, named: str, n_moving: int, n: int) -> DataWarning:
    return DataWarning(
        kind=f"idle-{many}",
        severity="note",
        sure="certain",
        what=f"{count_of(n_idle, f'{one} raises', f'{many} raise')} no maximum anywhere: {named}.",
        evidence=(
            f"Of {n_moving} scales that differ between {many} a {one} sets {significant(n_moving / n)} on average; "
            "these set none."
        ),
        mend=(
            "Their values still count in the histograms. For minmax they change nothing; if they look like the others, "
            "put more varied samples in their place."
        ),
    )


def _leads_nowhere(maxima: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return which columns are the largest of no row, and the number of rows that differ between columns.

    None where there are too few rows to say: by chance alone some would lead nowhere.
    """
    n_scales, n = maxima.shape
    if n < 4 or n_scales < _PER_BATCH * n:
        return [], 0
    moving = maxima[maxima.max(axis=1) > maxima.min(axis=1)]
    leads = (moving >= moving.max(axis=1, initial=0.0)[:, None]).sum(axis=0)
    return np.flatnonzero(leads == 0).tolist(), len(moving)


def repeated_batches(facts: Facts) -> Iterator[DataWarning]:
    """Find batches whose inputs have the same counts and the same sums."""
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for batch in facts.batches:
        found = [facts.session.samples.histogram_in(name, batch) for name in facts.inputs]
        if any(h is not None and h.minimum < h.maximum for h in found):
            groups[tuple(_mark(h) for h in found if h is not None)].append(batch)
    again = [group for group in groups.values() if len(group) > 1]
    if again:
        extra = sum(len(group) - 1 for group in again)
        first = " and ".join(str(batch + 1) for batch in again[0][:2])
        yield DataWarning(
            kind="repeated-batches",
            severity="warning",
            sure="likely",
            what=f"{count_of(extra, 'batch is', 'batches are')} fed more than once: {first} have the same inputs.",
            evidence="All 2,048 counts, the extremes and the sums of squares of their inputs are the same.",
            mend="Take the repeated ones out: they add weight, and nothing new.",
            batches=tuple(b for group in again for b in group),
        )


def _mark(h: Histogram) -> tuple[object, ...]:
    return h.base, h.doublings, h.counts.tobytes(), h.minimum, h.maximum, h.total, h.sum_squares


def constant_inputs(facts: Facts) -> Iterator[DataWarning]:
    """Find inputs that are one number everywhere."""
    for name in facts.inputs:
        h = facts.session.histogram(name)
        if h.n_finite > 1 and h.minimum == h.maximum and len(facts.inputs) == 1:
            yield DataWarning(
                kind="constant-input",
                severity="severe",
                sure="certain",
                what=f"The input {printable(name)} is {significant(h.minimum)} everywhere, in every sample.",
                evidence=f"{h.n_finite:,} values, all the same.",
                mend="Look at how the data are read: nothing of them reaches the model.",
                tensors=(name,),
            )


def wrong_scale(facts: Facts) -> Iterator[DataWarning]:
    """Find values that the first layers were not trained with: pixels of 0 to 255 for 0 to 1, or scaled twice."""
    found = _against_normalisation(facts)
    if found is not None:
        yield found
        return
    for name in facts.inputs:
        h = facts.session.histogram(name)
        pixels = 64.0 < h.maximum <= 255.0 and h.minimum >= 0.0
        tiny = 0.0 < h.amax <= 1.0 / 64.0
        shape = facts.graph.tensors[name].shape
        if not (pixels or tiny) or _is_scaled_inside(facts, name) or shape is None or len(shape) != 4:
            continue
        stuck = _saturated(facts)
        if pixels:
            what = f"The input {printable(name)} has values from 0 to {significant(h.maximum)}, as pixels in a file."
            mend = "Most models expect 0 to 1, or pixels less a mean and divided by a deviation: see the model's page."
        else:
            what = f"The input {printable(name)} has no value beyond {significant(h.amax)}: scaled twice?"
            mend = "Pixels that are divided by 255 twice look like this. Look at how the model was trained."
        evidence = f"Mean {significant(h.mean)}, and nothing before the first layer scales it."
        evidence += f" {percent(stuck[1])} of {printable(stuck[0])} are at its limit." if stuck and pixels else ""
        yield DataWarning(
            kind="unscaled" if pixels else "scaled-twice",
            severity="warning",
            sure="likely" if stuck and pixels else "guess",
            what=what,
            evidence=evidence,
            mend=mend,
            tensors=(name, *((stuck[0],) if stuck and pixels else ())),
        )


def _against_normalisation(facts: Facts) -> DataWarning | None:
    """Compare the values before the first batch normalisation with the mean and variance it was trained with.

    Their root mean square is sqrt(mean over channels of variance + mean²); the constants' histograms hold the sums.
    """
    for node in facts.graph.nodes:
        if node.op_type != "BatchNormalization" or len(node.inputs) < 5:
            continue
        name, means, variances = node.inputs[0], node.inputs[3], node.inputs[4]
        try:
            h, mean, variance = (facts.session.histogram(n) for n in (name, means, variances))
        except Exception:  # noqa: BLE001, S112 - a tensor that is no float constant of this model
            continue
        if not (mean.n_finite and variance.n_finite and h.n_finite):
            continue
        expected = math.sqrt(max((variance.total + mean.sum_squares) / variance.n_finite, 0.0))
        if expected == 0.0 or h.rms == 0.0:
            continue
        ratio = h.rms / expected
        if 1.0 / _FAR <= ratio <= _FAR:
            return None
        times, size = significant(max(ratio, 1 / ratio), 2), "as large as" if ratio > 1 else "smaller than"
        pixels = " Pixels from 0 to 255 where 0 to 1 are expected give about 255." if ratio > 50 else ""
        return DataWarning(
            kind="unscaled" if ratio > 1 else "scaled-twice",
            severity="severe",
            sure="likely",
            what=f"The first layers see values {times} times {size} those they were trained with: wrong preprocessing?",
            evidence=(
                f"Before {printable(node.name) or 'the first batch normalisation'} the root mean square is "
                f"{significant(h.rms)}; its stored mean and variance say {significant(expected)}.{pixels}"
            ),
            mend="Feed what the model was trained with: the same scale, mean and deviation.",
            tensors=(name, *facts.inputs),
        )
    return None


def _is_scaled_inside(facts: Facts, name: str) -> bool:
    """Whether the graph itself scales or shifts an input before the first layer."""
    seen, waiting = set(), [name]
    while waiting:
        for node in facts.readers(waiting.pop()):
            if node.op_type in _SCALING:
                return True
            if node.op_type in _THROUGH and node.index not in seen:
                seen.add(node.index)
                waiting += [out for out in node.outputs if out in facts.graph.tensors]
    return False


def _saturated(facts: Facts) -> tuple[str, float] | None:
    """Return the first of the early limited activations most of whose values are at the limit, and their share."""
    early = [node for node in facts.graph.nodes if node.op_type in _SATURATING][:4]
    for node in early:
        if node.outputs[0] not in facts.session.calibrated:
            continue
        h = facts.session.histogram(node.outputs[0])
        if h.n_finite and h.amax:
            limit = int(h.amax / h.bin_width * 0.995)
            share = float(h.counts[min(limit, len(h.counts) - 1) :].sum()) / h.n_finite
            if share > 0.5 and h.minimum < h.maximum:
                return node.outputs[0], share
    return None


CHECKS = (
    not_finite,
    constant_inputs,
    wrong_scale,
    wild,
    stretched_ranges,
    repeated_batches,
    idle_batches,
    idle_samples,
)
