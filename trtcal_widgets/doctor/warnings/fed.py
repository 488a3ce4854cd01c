"""Checks of what was kept of every sample when it was fed: they need neither the model nor the data."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.figures import percent
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.doctor.types import DataWarning
from trtcal_widgets.session.keeping.sample_facts import MOST_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.doctor.warnings.facts import Facts

_ALIKE = 0.998
"""Correlation of signatures from which on two images are nearly the same: of the 8 million pairs of 4,000 digits none
reaches it."""

_BACKGROUND = 1 / 8
"""Share of an image's blocks that one value fills where it is the background: two images do not look alike for that."""

_MOST = 20_000
"""Samples that are compared with each other: their correlations are that many squared."""

_ROWS = 500
_MOST_CHECKED = 100_000
"""Pairs that are looked at again without their background."""

_DOMINANT = 0.5
"""Share of the samples from which on one class dominates, if it is also three times its even share."""

_DOMINANT_FOLDER = 0.8

_ONE_CLASS = 8
"""Samples from which on it says something that all are of one class."""

_FEWER_KINDS = 0.6
"""Share of the classes that a batch of shuffled samples would hold, below which they are sorted."""

_FEWEST_BATCHES = 4
_LISTED = 4


def _numbers(facts: Facts, places: Sequence[int] | NDArray[np.intp]) -> tuple[int, ...]:
    """Return the samples at some places among the counted ones."""
    return tuple(facts.samples[int(k)] for k in places)


def duplicates(facts: Facts) -> Iterator[DataWarning]:
    """Find samples that are fed more than once, and images that are nearly the same."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, digest in enumerate(facts.fed["digest"]):
        groups[digest.tobytes()].append(place)
    again = sorted((g for g in groups.values() if len(g) > 1), key=len, reverse=True)
    n = len(facts.fed)
    if again:
        extra = sum(len(g) - 1 for g in again)
        first = " and ".join(facts.labels[i] for i in _numbers(facts, again[0][:2]))
        yield DataWarning(
            kind="duplicates",
            severity="warning" if extra >= 0.05 * n else "note",
            sure="certain",
            what=(
                f"{count_of(extra, 'sample is', 'samples are')} fed again, bit for bit: "
                f"there {'is' if n - extra == 1 else 'are'} {count_of(n - extra, 'different one')}."
            ),
            evidence=(
                f"{count_of(n, 'sample')}, {count_of(len(again), 'of which is', 'of which are')} there more than once; "
                f"{first} are the same, as they are fed."
            ),
            mend="Take the copies out: they add weight and nothing new, and the set is smaller than it looks.",
            samples=_numbers(facts, [place for g in again for place in g]),
        )
    yield from _near_duplicates(facts, sorted(g[0] for g in groups.values()))


def _near_duplicates(facts: Facts, different: Sequence[int]) -> Iterator[DataWarning]:
    """Compare images that are not the same."""
    pictures = facts.fed["signature"].astype(np.float32)
    places = np.array([k for k in different if np.ptp(pictures[k]) > 0][:_MOST], np.intp)
    pairs = _alike(pictures[places])
    if not len(pairs):
        return
    involved = places[np.unique(pairs)]
    first = " and ".join(facts.labels[i] for i in _numbers(facts, places[pairs[0]]))
    yield DataWarning(
        kind="near-duplicates",
        severity="warning" if len(involved) >= 0.1 * len(facts.fed) else "note",
        sure="likely",
        what=f"{count_of(len(involved), 'image looks', 'images look')} nearly like another one.",
        evidence=(
            f"Among {count_of(len(places), 'different image')}: their pictures of 8 x 8 gray values correlate by more "
            f"than {_ALIKE}, also without a background that they share. {first} for one."
        ),
        mend="Frames of one film or shots of one scene say little more than one of them: keep one, add other scenes.",
        samples=_numbers(facts, involved),
    )


def _alike(pictures: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return pairs of pictures that correlate, int, shape (pairs, 2): each picture that does is in one of them."""
    table = _centred(pictures)
    background = np.array([_background(picture) for picture in pictures], bool).reshape(table.shape)
    found: list[NDArray[np.intp]] = []
    checked = 0
    for start in range(0, len(table), _ROWS):
        near = np.argwhere(table[start : start + _ROWS] @ table[start:].T > _ALIKE) + start
        near = near[near[:, 0] < near[:, 1]][: _MOST_CHECKED - checked]
        checked += len(near)
        if len(near):
            rest = ~(background[near[:, 0]] & background[near[:, 1]])
            a, b = (_centred(np.where(rest, pictures[near[:, k]], np.nan)) for k in range(2))
            found.append(near[(a * b).sum(axis=1) > _ALIKE])
    return np.concatenate(found) if found else np.zeros((0, 2), np.intp)


def _background(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which blocks are of the value that fills most of them; none where none fills many."""
    values, counts = np.unique(picture, return_counts=True)
    return np.asarray((picture == values[counts.argmax()]) & (counts.max() >= _BACKGROUND * counts.sum()), np.bool_)


def _centred(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pictures less their mean and of length 1; what is NaN does not count and is 0."""
    counted = ~np.isnan(pictures)
    mean = np.where(counted, pictures, 0).sum(axis=1, keepdims=True) / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    rest = np.where(counted, pictures - mean, 0)
    return np.asarray(rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-6), np.float32)


def blank_images(facts: Facts) -> Iterator[DataWarning]:
    """Find images that are one number from end to end, and channels that are in all of them."""
    images = np.flatnonzero(facts.fed["is_image"] > 0)
    shown = facts.fed[images]
    if len(images) < 2 or len(set(shown["channels"].tolist())) != 1:
        return
    n = min(int(shown["channels"][0]), MOST_CHANNELS)
    low, high = shown["low"][:, :n], shown["high"][:, :n]
    if flat := [c for c in range(n) if low[:, c].min() == high[:, c].max()]:
        yield DataWarning(
            kind="constant-channel",
            severity="severe",
            sure="certain",
            what=f"Channel {', '.join(map(str, flat))} of the images is one number everywhere, in every sample.",
            evidence=f"In {count_of(len(images), 'image')} it is {low[0, flat[0]]:g} from end to end.",
            mend="Look at how the images are decoded and which axis holds the channels.",
        )
    blank = _numbers(facts, images[(low == high).all(axis=1)])
    if blank and len(flat) < n:
        yield DataWarning(
            kind="blank-images",
            severity="warning",
            sure="certain",
            what=(
                f"{len(blank):,} of {count_of(len(images), 'image')} "
                f"{'is' if len(blank) == 1 else 'are'} blank: {facts.listed(blank, _LISTED)}."
            ),
            evidence="Each of their channels is one number from end to end, as it is fed.",
            mend="Look at whether they are read as they should be; what is really blank says nothing: leave it out.",
            samples=blank,
        )


def dominance(facts: Facts) -> Iterator[DataWarning]:
    """Find one class or one folder that most samples come from, and batches that are sorted by them."""
    files, classes = facts.session.samples.files(), facts.session.samples.classes()
    labels = [int(classes[i]) for i in facts.samples]
    folders = [str(PurePath(files[i]).parent) for i in facts.samples if files[i]]
    n = len(labels)
    if labels and min(labels) >= 0:
        label, most = Counter(labels).most_common(1)[0]
        kinds, share = max(len(set(labels)), 1), most / n
        if kinds == 1 and n >= _ONE_CLASS and (known := _classes_of_model(facts)) > 1:
            yield _dominant("one-class", f"class {label}", n, n, f"the model tells {known:,} apart")
        elif kinds > 1 and share >= _DOMINANT and share >= min(3.0 / kinds, 0.9):
            yield _dominant("one-class", f"class {label}", most, n, f"{kinds} classes are known")
    if folders:
        folder, most = Counter(folders).most_common(1)[0]
        kinds = len(set(folders))
        if kinds > 1 and most >= _DOMINANT_FOLDER * n:
            others = f"{count_of(kinds - 1, 'other folder holds', 'other folders hold')} the rest"
            yield _dominant("one-source", f"the folder {folder}", most, n, others)
    yield from _sorted(facts, labels, "class", "classes") if labels and min(labels) >= 0 else ()
    yield from _sorted(facts, folders, "folder", "folders") if len(folders) == n else ()


def _classes_of_model(facts: Facts) -> int:
    """Return how many classes the model tells apart: the columns of an output of two axes; 0 where there is none."""
    shapes = [t.shape for t in facts.graph.tensors.values() if t.is_output and t.is_float and t.shape is not None]
    return max((shape[1] for shape in shapes if len(shape) == 2 and isinstance(shape[1], int)), default=0)


def _dominant(kind: str, who: str, most: int, of: int, more: str) -> DataWarning:
    return DataWarning(
        kind=kind,
        severity="warning",
        sure="certain",
        what=f"{percent(most / of)} of the samples are of {printable(who)}.",
        evidence=f"{most:,} of {of:,}; {more}.",
        mend="Ranges follow what is seen most: take samples in the proportions of production, or as many of each.",
    )


def _sorted(facts: Facts, kinds: Sequence[object], one: str, many: str) -> Iterator[DataWarning]:
    """Say whether batches hold far fewer classes or folders than batches of shuffled samples would."""
    shares = np.array(list(Counter(kinds).values())) / max(len(kinds), 1)
    place = {sample: k for k, sample in enumerate(facts.samples)}
    batches = [[kinds[place[i]] for i in facts.session.samples.members(b) if i in place] for b in facts.batches]
    held = sum(len(set(batch)) for batch in batches)
    expected = float(sum((1.0 - (1.0 - shares) ** len(batch)).sum() for batch in batches))
    if len(batches) < _FEWEST_BATCHES or len(shares) < 2 or held > _FEWER_KINDS * expected:
        return
    yield DataWarning(
        kind="sorted",
        severity="note",
        sure="likely",
        what=f"The samples come sorted by {one}: each batch holds few of {len(shares):,} {many}.",
        evidence=(
            f"{significant(held / len(batches), 2)} of them on average; shuffled ones would hold "
            f"{significant(expected / len(batches), 2)}."
        ),
        mend=(
            "Shuffle them (in Python: shuffle_seed= of ImageFolder): TensorRT's range starts from the first batch, a "
            "run that stops early has seen few of them, and how far thresholds may be off is overstated here."
        ),
    )


CHECKS = (blank_images, dominance, duplicates)
