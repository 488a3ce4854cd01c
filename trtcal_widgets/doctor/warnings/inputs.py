"""Checks that read the samples as they are fed: where the session has its data."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.figures import percent
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.doctor.types import DataWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.warnings.facts import Facts

_SIDE = 16
"""Pixels along each side of a signature."""

_ALIKE = 0.998
"""Correlation of signatures from which on two images are nearly the same."""

_MOST = 4000
"""Samples that are compared with each other: their correlations are that many squared."""

_DOMINANT = 0.5
"""Share of the samples from which on one class dominates, if it is also three times its even share."""

_DOMINANT_FOLDER = 0.8


@dataclass
class Seen:
    """What was seen of the samples of the counted batches, in their order.

    ``places``: of the samples in the source. ``hashes``: of all their inputs. ``signatures``: small pictures, or None
    where the input is no image. ``low``, ``high``: of each channel; ``gray``: whether all channels show one picture.
    """

    places: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    signatures: list[NDArray[np.float32] | None] = field(default_factory=list)
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    gray: list[bool] = field(default_factory=list)


def look(facts: Facts, stop: Callable[[], None]) -> Seen | None:
    """Read the samples of the counted batches once; None where the session has no data. ``stop`` may raise."""
    plan = facts.session.plan
    if plan is None:
        return None
    seen = Seen()
    for index in facts.batches:
        stop()
        batch = plan.load(index)
        arrays = [np.asarray(a) for a in batch.feeds.values() if getattr(a, "ndim", 0) and len(a) == batch.n_fed]
        image = next((a for a in arrays if _channel_axis(a.shape) is not None), None)
        for k in range(batch.n_samples):
            seen.places.append(batch.first_sample + k)
            seen.hashes.append(_hash(arrays, k))
            seen.signatures.append(None if image is None else _look_at(image[k], seen))
    return seen


def _hash(arrays: Sequence[NDArray[Any]], k: int) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array[k]).tobytes())
    return digest.digest()


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of the channels of a batch of images, None where it is none."""
    if len(shape) != 4:
        return None
    if shape[1] in (1, 3, 4) and min(shape[2:]) >= 8:
        return 1
    return 3 if shape[3] in (1, 3, 4) and min(shape[1:3]) >= 8 else None


def _look_at(image: NDArray[Any], seen: Seen) -> NDArray[np.float32]:
    """Add an image's channels to what was seen; return its signature, centred and of length 1."""
    pixels = np.asarray(image, np.float32)
    pixels = pixels if _channel_axis((1, *pixels.shape)) == 1 else np.moveaxis(pixels, -1, 0)
    flat = pixels.reshape(len(pixels), -1)
    low, high = flat.min(axis=1).astype(np.float64), flat.max(axis=1).astype(np.float64)
    seen.low = low if seen.low is None or len(seen.low) != len(low) else np.minimum(seen.low, low)
    seen.high = high if seen.high is None or len(seen.high) != len(high) else np.maximum(seen.high, high)
    height, width = pixels.shape[1:]
    rows = np.linspace(0, height, min(_SIDE, height) + 1).astype(int)
    columns = np.linspace(0, width, min(_SIDE, width) + 1).astype(int)
    small = np.add.reduceat(np.add.reduceat(pixels, rows[:-1], axis=1), columns[:-1], axis=2)
    small = small / (np.diff(rows)[:, None] * np.diff(columns)[None])
    seen.gray.append(len(pixels) == 3 and _same_pictures(small))
    signature = (small - small.mean()).ravel()
    length = float(np.linalg.norm(signature))
    return np.asarray(signature / length if length > 0 else signature, np.float32)


def _same_pictures(channels: NDArray[Any]) -> bool:
    """Whether the channels are one picture, each with a mean and a scale of its own."""
    flat = channels.reshape(len(channels), -1) - channels.mean(axis=(1, 2))[:, None]
    norms = np.linalg.norm(flat, axis=1)
    if not norms.all():
        return False
    flat = flat / norms[:, None]
    return bool((flat @ flat.T > 0.9999).all())


def duplicates(facts: Facts, seen: Seen) -> Iterator[DataWarning]:
    """Find samples that are fed more than once, and images that are nearly the same."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, mark in zip(seen.places, seen.hashes, strict=True):
        groups[mark].append(place)
    again = sorted((g for g in groups.values() if len(g) > 1), key=len, reverse=True)
    n = len(seen.places)
    if again:
        extra = sum(len(g) - 1 for g in again)
        yield DataWarning(
            kind="duplicates",
            severity="warning" if extra >= 0.05 * n else "note",
            sure="certain",
            what=(
                f"{count_of(extra, 'sample is', 'samples are')} fed again, bit for bit: "
                f"there are {n - extra:,} different ones."
            ),
            evidence=(
                f"{count_of(n, 'sample')}, {count_of(len(again), 'of which is', 'of which are')} there more than once; "
                f"{_named(facts, *again[0][:2])} are the same, as they are fed."
            ),
            mend="Take the copies out: they add weight and nothing new, and the set is smaller than it looks.",
            samples=tuple(place for g in again for place in g),
        )
    yield from _near_duplicates(facts, seen, {place for g in groups.values() for place in g[1:]})


def _named(facts: Facts, first: int, second: int) -> str:
    """Name two samples by their files, or counted from 1."""
    known = facts.session.samples
    return " and ".join(printable(known.label(i)) if i < len(known) else f"sample {i + 1:,}" for i in (first, second))


def _near_duplicates(facts: Facts, seen: Seen, copies: set[int]) -> Iterator[DataWarning]:
    kept = [
        (place, s)
        for place, s in zip(seen.places, seen.signatures, strict=True)
        if s is not None and place not in copies and s.any()
    ][:_MOST]
    if len(kept) < 2 or len({s.size for _, s in kept}) > 1:
        return
    table = np.stack([s for _, s in kept])
    places = [place for place, _ in kept]
    pairs: list[tuple[float, int, int]] = []
    for k in range(len(kept) - 1):
        alike = table[k + 1 :] @ table[k]
        pairs += [(float(alike[j]), places[k], places[k + 1 + int(j)]) for j in np.flatnonzero(alike > _ALIKE)]
    if not pairs:
        return
    pairs.sort(reverse=True)
    involved = tuple(dict.fromkeys(place for _, a, b in pairs for place in (a, b)))
    yield DataWarning(
        kind="near-duplicates",
        severity="warning" if len(involved) >= 0.1 * len(seen.places) else "note",
        sure="likely",
        what=f"{count_of(len(involved), 'image looks', 'images look')} nearly like another one.",
        evidence=(
            f"{count_of(len(pairs), 'pair')} of {count_of(len(kept), 'image')} whose {_SIDE} x {_SIDE} pictures "
            f"correlate by more than {_ALIKE}; most: {_named(facts, *pairs[0][1:])}, {pairs[0][0]:.5f}."
        ),
        mend="Frames of one film or shots of one scene say little more than one of them: keep one, add other scenes.",
        samples=involved,
    )


def channels(seen: Seen) -> Iterator[DataWarning]:
    """Find channels without a picture, and gray pictures in three channels."""
    if seen.low is not None and seen.high is not None and len(seen.places) > 1:
        flat = [int(c) for c in np.flatnonzero(seen.low == seen.high)]
        if flat:
            which = ", ".join(map(str, flat))
            yield DataWarning(
                kind="constant-channel",
                severity="severe",
                sure="certain",
                what=f"Channel {which} of the images is one number everywhere, in every sample.",
                evidence=f"In {count_of(len(seen.places), 'image')} it is {seen.low[flat[0]]:g} from end to end.",
                mend="Look at how the images are decoded and which axis holds the channels.",
            )
    gray = sum(seen.gray)
    if gray and gray >= 0.5 * len(seen.places) and len(seen.gray) == len(seen.places):
        yield DataWarning(
            kind="gray-images",
            severity="note",
            sure="certain",
            what=f"{gray} of {count_of(len(seen.places), 'image')} are gray: their three channels show one picture.",
            evidence="The channels' small pictures correlate by more than 0.9999.",
            mend="Right where the engine will see gray images; if it will see colours, calibrate with colours.",
        )


def dominance(facts: Facts, seen: Seen) -> Iterator[DataWarning]:
    """Find one class or one folder that most samples come from."""
    source: Any = getattr(facts.session.plan, "source", None)
    labels = np.asarray(getattr(source, "labels", None) if getattr(source, "labels", None) is not None else [])
    if labels.ndim == 1 and labels.size and max(seen.places) < labels.size:
        counts = Counter(labels[seen.places].tolist())
        (label, most), kinds = counts.most_common(1)[0], len(set(labels.tolist()))
        share = most / len(seen.places)
        if kinds > 1 and share >= _DOMINANT and share >= min(3.0 / kinds, 0.9):
            yield _dominant("one-class", f"class {label}", share, most, len(seen.places), f"{kinds} classes are known")
    paths = getattr(source, "paths", None)
    if paths and max(seen.places) < len(paths):
        folders = Counter(str(Path(paths[place]).parent) for place in seen.places)
        (folder, most), share = folders.most_common(1)[0], folders.most_common(1)[0][1] / len(seen.places)
        if len(folders) > 1 and share >= _DOMINANT_FOLDER:
            others = f"{count_of(len(folders) - 1, 'other folder')} hold the rest"
            yield _dominant("one-source", f"the folder {folder}", share, most, len(seen.places), others)


def _dominant(kind: str, who: str, share: float, most: int, of: int, more: str) -> DataWarning:
    return DataWarning(
        kind=kind,
        severity="warning",
        sure="certain",
        what=f"{percent(share)} of the samples are of {printable(who)}.",
        evidence=f"{most} of {of}; {more}.",
        mend="Ranges follow what is seen most: take samples in the proportions of production, or as many of each.",
    )


def from_inputs(facts: Facts, seen: Seen | None) -> list[DataWarning]:
    """Return what the samples show."""
    if seen is None or not seen.places:
        return []
    return [*channels(seen), *dominance(facts, seen), *duplicates(facts, seen)]
