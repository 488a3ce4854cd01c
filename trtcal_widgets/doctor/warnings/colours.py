"""Red and blue that may be swapped, and pixels that may be normalised otherwise than in training.

Guesses from the first convolution, where a batch normalisation remembers its training.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.data.thumbnails import as_nhwc
from trtcal_widgets.doctor.types import DataWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.doctor.warnings.facts import Facts
    from trtcal_widgets.model.graph import NodeInfo

_MOST = 32
"""Images that are looked at."""

_FEWEST = 8
"""Colour images below which nothing is said."""

_BETTER = 2.0
"""How many times further off the given order must be than the swapped one. On photographs PP-OCR's recogniser fits the
wrong order better by up to 1.5."""

_BETTER_SCALED = 2.5
"""How many times further off the given normalisation must be than another one."""

_GRAY = 0.02
"""Mean difference of red and blue over the deviation of the pixels, below which an image tells nothing."""

_IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
_AFFINE: Mapping[str, tuple[Any, Any]] = {
    "0 to 1": (np.zeros(3), np.ones(3)),
    "-1 to 1": (np.full(3, 0.5), np.full(3, 0.5)),
    "less ImageNet's mean, over its deviation": _IMAGENET,
}
"""What pixels of 0 to 1 are often made of: less a mean, over a deviation, of each channel, red first."""


def first_layer(facts: Facts, stop: Callable[[], None]) -> Iterator[DataWarning]:
    """Compare what the first convolution makes of the images, fed otherwise, with what it made of them in training.

    The batch normalisation behind it stores mean and variance per channel. The misfit is the divergence of the normal
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

    def misfit(images: Sequence[NDArray[Any]]) -> float:
        moments = [_responses(image.astype(np.float64), weights, bias) for image in images]
        return _misfit(np.mean(moments, axis=0), mean, variance)

    images = list(islice(_images(facts, plan, stop), _MOST))
    if len(images) < _FEWEST:
        return
    given, name = misfit(images), printable(convolution.name) or "the first convolution"
    if said := _otherwise(images, given, misfit, stop):
        best, other = said
        yield DataWarning(
            kind="normalisation",
            severity="warning",
            sure="guess",
            what=f"Pixels may be normalised otherwise than in training: {best} fits the first layer better.",
            evidence=_evidence(name, given, other, best, len(images)),
            mend="Compare mean= and std= with how the model was trained.",
            tensors=facts.inputs,
        )
    colours = [image for image in images if _is_colour(image)]
    if len(colours) < _FEWEST:
        return
    given, other = misfit(colours), misfit([image[::-1] for image in colours])
    if given > _BETTER * other:
        yield DataWarning(
            kind="swapped-channels",
            severity="warning",
            sure="guess",
            what="Red and blue may be swapped: the first layer fits its training better with the channels reversed.",
            evidence=_evidence(name, given, other, "reversed", len(colours)),
            mend="Compare with how the model was trained: OpenCV reads blue first (color='BGR'), PIL red first.",
            tensors=facts.inputs,
        )


def _evidence(name: str, given: float, other: float, how: str, n: int) -> str:
    return (
        f"Behind {name} the stored means and variances are missed by {significant(given)} as fed and by "
        f"{significant(other)} {how} (divergence per channel, nats; {count_of(n, 'image')})."
    )


def _images(facts: Facts, plan: BatchPlan, stop: Callable[[], None]) -> Iterator[NDArray[Any]]:
    """Yield the images of three channels that are counted, [3,H,W]."""
    for index in facts.batches:
        stop()
        batch = plan.load(index)
        array = next((a for a in batch.by_sample().values() if as_nhwc(a) is not None and a.shape[1] == 3), None)
        if array is not None:
            yield from (array[k] for k in facts.rows(batch) if np.isfinite(array[k]).all())


def _otherwise(
    images: Sequence[NDArray[Any]], given: float, misfit: Callable[..., float], stop: Callable[[], None]
) -> tuple[str, float] | None:
    """Return how pixels could be normalised that fits much better, and its misfit; None where nothing does."""
    pixels = _as_pixels(images)
    if pixels is None:
        return None
    found: list[tuple[float, str]] = []
    for words, (mean, std) in _AFFINE.items():
        for order in (slice(None), slice(None, None, -1))[: 1 if np.ptp(mean) == 0 else 2]:  # red or blue first
            stop()
            a, b = mean[order][:, None, None], std[order][:, None, None]
            found.append((misfit([(image - a) / b for image in pixels]), words))
    other, best = min(found)
    return (best, other) if given > _BETTER_SCALED * other else None


def _as_pixels(images: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]] | None:
    """Return images as values from 0 to 1, by the range that they have; None where it is none of the usual ones."""
    low, high = min(float(i.min()) for i in images), max(float(i.max()) for i in images)
    if low >= 0.0 and 1 / 64 < high <= 1.0:
        return [np.asarray(image, np.float64) for image in images]
    if -1.0 <= low < -0.5 and high <= 1.0:
        return [np.asarray(image, np.float64) / 2 + 0.5 for image in images]
    for order in (slice(None), slice(None, None, -1)) if low < -1.0 else ():
        mean, std = (part[order][:, None, None] for part in _IMAGENET)
        pixels = [np.asarray(image, np.float64) * std + mean for image in images]
        if all(p.min() >= -0.01 and p.max() <= 1.01 for p in pixels):
            return pixels
    return None


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
