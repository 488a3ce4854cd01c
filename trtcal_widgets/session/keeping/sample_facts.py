"""What is kept of every sample beside its extremes: what it was called, and what shows that two are alike.

Hashes and numbers are of what the model is fed, after preprocessing.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.data.thumbnails import as_nhwc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch, Source

MOST_CHANNELS = 4
"""Channels whose numbers are kept."""

_SIDE = 8

_WORTH_THREADS = 1 << 21
"""Bytes of a batch from which on its samples are looked at side by side."""

FACTS = np.dtype(
    [
        ("digest", "u1", (16,)),
        ("channels", "u1"),
        ("low", "<f4", (MOST_CHANNELS,)),
        ("high", "<f4", (MOST_CHANNELS,)),
        ("mean", "<f4", (MOST_CHANNELS,)),
        ("std", "<f4", (MOST_CHANNELS,)),
        ("is_image", "u1"),
        ("signature", "u1", (_SIDE * _SIDE,)),
    ]
)
"""One sample: BLAKE2b of what is fed, smallest, largest, mean and standard deviation of the channels of its first image
(of the whole first float input where none is an image), and, for an image, its grey values averaged over 8 x 8 blocks,
from its darkest block (0) to its brightest (255)."""


class Sample(NamedTuple):
    """What a source says of a sample.

    ``name``: its file, relative to the folder; empty where it is none. ``label``: its class; -1 where that is not
    known.
    """

    name: str
    label: int


def facts_of(batch: Batch, threads: int = 1) -> NDArray[np.void]:
    """Return the facts of a batch's samples, padding left out; shape (samples,), or (0,) where they cannot be told."""
    arrays = {name: np.asarray(batch.feeds[name]) for name in sorted(batch.feeds)}
    n, own = batch.n_samples, batch.by_sample()
    if not own or batch.n_fed < n:
        return np.zeros(0, FACTS)
    shared = {name: array.tobytes() for name, array in arrays.items() if name not in own}
    facts = np.zeros(n, FACTS)
    add_numbers = _numbers_of(own)

    def add(i: int) -> None:
        digest = hashlib.blake2b(digest_size=16)
        for name in arrays:
            digest.update(shared[name] if name in shared else _bytes(own[name], i, n))
        facts["digest"][i] = np.frombuffer(digest.digest(), np.uint8)
        add_numbers(facts[i], i)

    if threads == 1 or n == 1 or sum(array.nbytes for array in arrays.values()) < _WORTH_THREADS:
        for i in range(n):
            add(i)
        return facts
    with ThreadPoolExecutor(min(threads, n)) as pool:
        list(pool.map(add, range(n)))
    return facts


def _bytes(array: NDArray[Any], i: int, n: int) -> bytes:
    """Return a sample's bytes; all that it has where a whole feed is one sample. Padding is the same rows again."""
    rows = [row.tobytes() for row in array[i::n]]
    return rows[0] if rows.count(rows[0]) == len(rows) else b"".join(rows)


def _numbers_of(arrays: Mapping[str, NDArray[Any]]) -> Callable[[np.void, int], None]:
    """Return what adds the numbers of a sample to its facts, given its place in the batch."""
    filled = [array for array in arrays.values() if array.size]
    shown = next((a for a in filled if as_nhwc(a) is not None), next((a for a in filled if a.dtype.kind == "f"), None))
    if shown is None:
        return lambda *_: None
    images = as_nhwc(shown)

    def add(fact: np.void, i: int) -> None:
        values = shown[i].reshape(-1, 1) if images is None else images[i].reshape(-1, images.shape[3])
        channels = min(values.shape[1], MOST_CHANNELS)
        fact["channels"] = channels
        with np.errstate(all="ignore"):  # NaN and inf come out as such
            for k in range(channels):
                channel = values[:, k].astype(np.float32, copy=False)
                fact["low"][k], fact["high"][k] = channel.min(), channel.max()
                fact["mean"][k] = channel.mean(dtype=np.float64)
                fact["std"][k] = channel.std(dtype=np.float64)
        if images is not None:
            fact["is_image"] = 1
            fact["signature"] = _signature(images[i])

    return add


def _signature(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the grey values of 8 x 8 blocks, uint8, shape (64,)."""
    edges = [np.linspace(0, side, _SIDE + 1).astype(int)[:-1] for side in image.shape[:2]]
    grey = np.nan_to_num(image.mean(axis=2, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    sums = np.add.reduceat(np.add.reduceat(grey, edges[0], axis=0), edges[1], axis=1)
    counts = np.outer(np.diff([*edges[0], image.shape[0]]), np.diff([*edges[1], image.shape[1]]))
    blocks = sums / counts
    span = float(np.ptp(blocks)) or 1.0
    return np.asarray(np.rint((blocks - blocks.min()) * (255 / span)).reshape(-1), np.uint8)


def samples_of(source: Source, start: int, n: int) -> tuple[Sample, ...]:
    """Return what a source says of ``n`` samples from ``start`` on; nothing where it makes batches itself."""
    if source.prebatched:
        return (Sample("", -1),) * n
    paths = tuple(getattr(source, "paths", ()))[start : start + n]
    labels = np.asarray(getattr(source, "labels", ()))[start : start + n]
    folder = getattr(source, "folder", None)
    names = [_shown(path, folder) for path in paths] + [""] * (n - len(paths))
    classes = [int(label) for label in labels] + [-1] * (n - len(labels))
    return tuple(Sample(name, label) for name, label in zip(names, classes, strict=True))


def _shown(path: Path, folder: Path | None) -> str:
    if folder is not None and path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return path.as_posix()
