"""Are red and blue swapped? A guess from the first convolution, where a batch normalisation remembers its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.doctor.types import DataWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.warnings.facts import Facts
    from trtcal_widgets.model.graph import NodeInfo

_MOST = 64
"""Images that are looked at."""

_FEWEST = 8
"""Colour images below which nothing is said."""

_BETTER = 1.35
"""How many times further off the given order must be than the swapped one."""

_GRAY = 0.02
"""Mean difference of red and blue over the deviation of the pixels, below which an image tells nothing."""


def swapped(facts: Facts, stop: Callable[[], None]) -> Iterator[DataWarning]:
    """Compare what the first convolution makes of both channel orders with the mean and variance of its training.

    The batch normalisation behind it stores them per channel. The misfit of an order is the divergence of the normal
    distribution of all responses from the stored one, averaged over channels.
    """
    plan, runner = facts.session.plan, facts.session.runner
    pair = _first_convolution(facts)
    if plan is None or runner is None or pair is None:
        return
    convolution, normalisation = pair
    wanted = {*convolution.inputs[1:], *normalisation.inputs[3:5]}
    arrays = {name: np.asarray(array, np.float64) for name, array in runner.constants() if name in wanted}
    if len(arrays) < len(wanted) or arrays[convolution.inputs[1]].ndim != 4:
        return
    weights = arrays[convolution.inputs[1]]
    bias = arrays[convolution.inputs[2]] if len(convolution.inputs) > 2 else np.zeros(len(weights))
    mean, variance = (arrays[name] for name in normalisation.inputs[3:5])
    if weights.shape[1] != 3 or mean.shape != (len(weights),) or variance.shape != mean.shape:
        return
    moments: list[NDArray[np.float64]] = []
    for index in facts.batches:
        stop()
        feeds = [np.asarray(a) for a in plan.load(index).feeds.values()]
        for image in (x for a in feeds if a.ndim == 4 and a.shape[1] == 3 for x in a):
            if len(moments) < _MOST and _is_colour(image):
                orders = (image, image[::-1])
                moments.append(np.stack([_responses(x.astype(np.float64), weights, bias) for x in orders]))
        if len(moments) >= _MOST:
            break
    if len(moments) < _FEWEST:
        return
    table = np.stack(moments)  # image, order, first or second moment, channel
    given, other = (_misfit(table[:, order].mean(axis=0), mean, variance) for order in range(2))
    if given > _BETTER * other:
        yield DataWarning(
            kind="swapped-channels",
            severity="warning",
            sure="guess",
            what="Red and blue may be swapped: the first layer fits its training better with the channels reversed.",
            evidence=(
                f"Behind {printable(convolution.name) or 'the first convolution'} the stored means and variances are "
                f"missed by {significant(given)} as fed and by {significant(other)} reversed (divergence per channel, "
                f"nats; {count_of(len(moments), 'colour image')})."
            ),
            mend="Compare with how the model was trained: OpenCV reads blue first (color='bgr'), PIL red first.",
            tensors=facts.inputs,
        )


def _first_convolution(facts: Facts) -> tuple[NodeInfo, NodeInfo] | None:
    """Return a convolution that reads an image input and the batch normalisation behind it."""
    for name in facts.inputs:
        for node in facts.readers(name):
            if node.op_type == "Conv" and node.inputs[0] == name:
                for behind in facts.readers(node.outputs[0]):
                    if behind.op_type == "BatchNormalization" and len(behind.inputs) >= 5:
                        return node, behind
    return None


def _is_colour(image: NDArray[Any]) -> bool:
    spread = float(image.std())
    return spread > 0 and float(np.abs(image[0] - image[2]).mean()) > _GRAY * spread


def _responses(
    image: NDArray[np.float64], weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of the responses and of their squares at every third place, shape (2, output channels)."""
    height, width = weights.shape[2:]
    patches = np.lib.stride_tricks.sliding_window_view(image, (height, width), axis=(1, 2))[:, ::3, ::3]
    flat = np.moveaxis(patches, 0, 2).reshape(-1, weights[0].size)
    made = flat @ weights.reshape(len(weights), -1).T + bias
    return np.stack([made.mean(axis=0), (made**2).mean(axis=0)])


def _misfit(moments: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    """Return KL(N(m, v) || N(mean, variance)), averaged over channels."""
    m, v = moments[0], np.maximum(moments[1] - moments[0] ** 2, 1e-12)
    trained = np.maximum(variance, 1e-12)
    return float(np.mean(0.5 * (np.log(trained / v) + (v + (m - mean) ** 2) / trained - 1.0)))
