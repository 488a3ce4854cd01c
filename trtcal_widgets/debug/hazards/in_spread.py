"""Channels of very different size under one scale, in activations and in weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.debug.hazards.facts import named, producer
from trtcal_widgets.debug.hazards.types import Hazard, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trtcal_widgets.debug.hazards.channels import WeightRanges
    from trtcal_widgets.debug.hazards.facts import Facts

_QUANTISED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Layers whose inputs are quantised; a residual Add is the other place where a scale per tensor bites."""

_NOISE = 2.0**-20
"""A channel this much smaller than the tensor is dead: a sum in float32 hardly notices it."""

_HALF_STEP = 254.0
"""A range this many times larger than a channel's has steps of which the channel does not reach half of one."""


def spread_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield activations, then weights, whose channels differ too much."""
    found: list[tuple[float, Hazard]] = []
    for row in facts.activations:
        amax = facts.channels.get(row.name)
        if amax is not None and 0 < row.amax < np.inf and any(_is_quantised(facts, name) for name in row.group):
            found.extend(_activation(facts, row.name, amax, row.amax))
    yield from (hazard for _, hazard in sorted(found, key=lambda pair: -pair[0]))
    for weight in facts.weights:
        yield from _inputs(facts, weight)
        yield from _outputs(facts, weight)


def _is_quantised(facts: Facts, name: str) -> bool:
    """Whether a layer reads the tensor as INT8, in the placement that TensorRT wants."""
    for index in facts.graph.tensors[name].consumers:
        node = facts.graph.nodes[index]
        if node.op_type in _QUANTISED:
            return True
        if node.op_type == "Add" and all(n in facts.rows and n not in facts.constants for n in node.inputs):
            return True
    return False


def _activation(facts: Facts, name: str, channels: NDArray[np.float64], amax: float) -> Iterator[tuple[float, Hazard]]:
    """Compare each channel with the tensor's one threshold; dead channels have nothing to lose."""
    alive = channels[(channels > _NOISE * amax) & np.isfinite(channels)]
    starved = alive[alive < amax / facts.limits.channel_ratio]
    if not starved.size:
        return
    silent = int(np.count_nonzero(starved * _HALF_STEP < amax))
    lost = f"; {silent} of them {'rounds' if silent == 1 else 'round'} to 0 altogether" if silent else ""
    dead = len(channels) - alive.size
    apart = f" ({dead} more are dead.)" if dead else ""
    node = producer(facts.graph, name)
    many = starved.size > facts.limits.channel_share * alive.size
    yield (
        starved.size / alive.size,
        Hazard(
            kind="channel-spread",
            severity="warning" if many else "note",
            basis="measured",
            tensors=(name,),
            nodes=() if node is None else (node.name,),
            message=(
                f"{named(name)} has one threshold, {significant(amax)}, for {count_of(alive.size, 'channel')} whose "
                f"largest values go from {significant(alive.min())} to {significant(alive.max())}. "
                f"{count_of(starved.size, 'channel stays', 'channels stay')} below 1/{facts.limits.channel_ratio:g} "
                f"of the threshold: less than {significant(127 / facts.limits.channel_ratio)} of 127 levels for such "
                f"a channel{lost}.{apart}"
            ),
            mend=(
                "Even the channels out in the model before calibrating (cross-layer equalisation: scale a channel "
                "here and divide it out of the next layer's weights), or keep the layers that read this tensor in "
                "FP16. Small channels that matter little need nothing: compare FP32 with INT8 first."
            ),
        ),
    )


def _inputs(facts: Facts, weight: WeightRanges) -> Iterator[Hazard]:
    """Input channels whose weights are tiny beside the others': harmful where their activations are large."""
    shares = weight.inputs
    starved = (shares > _NOISE) & (shares < 1.0 / facts.limits.channel_ratio)
    if len(shares) < 2 or not starved.any():
        return
    node = facts.graph.nodes[weight.node]
    read = facts.channels.get(node.inputs[0])
    known = read is not None and read.shape == shares.shape and bool(np.isfinite(read).all())
    message = (
        f"Of the {len(shares)} input channels of {named(weight.name)}, {int(starved.sum())} "
        f"{'has' if starved.sum() == 1 else 'have'} weights below "
        f"1/{facts.limits.channel_ratio:g} of the largest in every output channel: one step in 127 is "
        "about as large as they are."
    )
    matters = False
    if known:
        assert read is not None
        weighed = shares * read
        part = float(weighed[starved].max() / weighed.max()) if weighed.max() > 0 else 0.0
        matters = part > facts.limits.channel_share
        message += (
            f" Their activations in {named(node.inputs[0])} are large enough to carry up to {significant(part)} of "
            "what the strongest channel carries."
            if matters
            else " Their activations are small as well, so little is lost."
        )
    severity: Severity = "warning" if matters else "note"
    tensors = (weight.name, node.inputs[0])
    mend = (
        "Move the size from the activations into the weights (SmoothQuant, cross-layer equalisation) and "
        "calibrate again, or keep the layer in FP16."
    )
    yield Hazard("weight-input-channels", severity, "measured", tensors, (node.name,), message, mend)


def _outputs(facts: Facts, weight: WeightRanges) -> Iterator[Hazard]:
    """Output channels of very different size: fine for per-channel weights, a warning about the layer's output."""
    alive = weight.outputs[weight.outputs > _NOISE * weight.outputs.max(initial=0.0)]
    if alive.size < 2 or alive.max() <= facts.limits.channel_ratio * alive.min():
        return
    node = facts.graph.nodes[weight.node]
    tensors = (weight.name, node.outputs[0])
    message = (
        f"The {len(weight.outputs)} output channels of {named(weight.name)} have largest weights from "
        f"{significant(float(alive.min()))} to {significant(float(alive.max()))}; the channels of "
        f"{named(node.outputs[0])} may differ as much."
    )
    mend = (
        "Nothing where weights have a scale per channel, as TensorRT's have; folded batch normalisations leave "
        "such weights. Tools with one scale per weight tensor lose the small channels. Look for a hazard of the "
        "output's channels."
    )
    yield Hazard("weight-output-channels", "note", "measured", tensors, (node.name,), message, mend)
