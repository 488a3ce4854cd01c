"""Single samples of the recorded batches: what they are called, what they set, and what changes without them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import whole_number
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.session.keeping.sample_facts import samples_of
from trtcal_widgets.session.recorder import no_recorder
from trtcal_widgets.session.store import NO_FACTS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.session.numbers import Numbers, View
    from trtcal_widgets.session.parts import Parts
    from trtcal_widgets.session.state import SessionState

    Which = int | str | os.PathLike[str]


@dataclass(frozen=True)
class Blame:
    """A sample that reaches far in a tensor.

    Attributes
    ----------
    sample
        Its number, from 0.
    label
        What it is called.
    amax
        Largest |x| of the tensor in it, in the tensor's unit.
    left_out
        Whether it is left out.
    beyond, share
        How many of its values are beyond the threshold, and which share of all values there they are, of all counted
        samples; None where it was not counted by itself yet: :meth:`Samples.count` does that.
    """

    sample: int
    label: str
    amax: float
    left_out: bool
    beyond: int | None
    share: float | None


class Samples:
    """The samples of a session's recorded batches, numbered from 0 in the order in which they were recorded.

    Everything but :meth:`count`, and leaving out a sample that was never counted by itself, works without the model.
    """

    def __init__(self, parts: Parts, numbers: Numbers, busy: threading.Lock, update: Callable[..., None]) -> None:
        self._parts, self._store, self._numbers = parts, parts.store, numbers
        self._busy, self._update = busy, update

    def __len__(self) -> int:
        """Return how many samples are recorded."""
        return self._store.last.n_samples

    @property
    def left_out(self) -> frozenset[int]:
        """The samples that are left out."""
        return self._parts.choices.state.samples_out

    def batch_of(self, sample: int) -> int:
        """Return the batch that a sample is in; a UsageError where there is no such sample."""
        return self._where(sample)[0]

    def place_of(self, sample: int) -> int:
        """Return a sample's place in its batch, from 0."""
        return self._where(sample)[1]

    def members(self, batch: int) -> range:
        """Return which samples are in a recorded batch."""
        return self._store.samples_in(batch)

    def _where(self, sample: int) -> tuple[int, int]:
        """Return the batch that a sample is in, and its place in it."""
        number = self._checked(sample)
        batch = bisect_right(self._store.recorded(), number, key=attrgetter("n_samples"))
        return batch, number - self._store.samples_in(batch).start

    def label(self, sample: int) -> str:
        """Return what a sample is called: its file within the folder, or ``"sample 17"``, counted from 1 for people."""
        batch, place = self._where(sample)
        told = self._store.recorded()[batch].told
        return (told[place].name if place < len(told) else "") or _numbered(sample)

    def labels(self) -> list[str]:
        """Return :meth:`label` of every sample."""
        return [name or _numbered(i) for i, name in enumerate(self.files())]

    def files(self) -> list[str]:
        """Return the file of every sample within the folder; empty texts where it has none."""
        names: list[str] = []
        for batch, told in self._told():
            names += [told[i].name if i < len(told) else "" for i in range(len(self._store.samples_in(batch)))]
        return names

    def _told(self) -> Iterable[tuple[int, Any]]:
        return enumerate(batch.told for batch in self._store.recorded())

    def classes(self) -> NDArray[np.int64]:
        """Return the class of every sample, shape (samples,); -1 where the source does not know it."""
        found = np.full(len(self), -1, np.int64)
        for batch, told in self._told():
            own = self._store.samples_in(batch)
            found[own.start : own.start + len(told)] = [one.label for one in told][: len(own)]
        return found

    def facts(self) -> NDArray[np.void]:
        """Return what is known of every sample's input, shape (samples,) or (0,) where nothing is known of one.

        See :data:`~trtcal_widgets.session.keeping.sample_facts.FACTS`.
        """
        recorded = self._store.recorded()
        if not recorded or any(len(b.facts) != len(self._store.samples_in(i)) for i, b in enumerate(recorded)):
            return NO_FACTS
        return np.concatenate([batch.facts for batch in recorded])

    def extremes(self, name: str) -> NDArray[np.float32]:
        """Return smallest and largest finite value of a tensor in every sample, float32, shape (samples, 2).

        NaN where it is not known: older files, tensors without an axis of samples, batches counted by TensorRT.
        """
        return self._store.extremes(self._known(name))

    def amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in every sample, shape (samples,); NaN where it is not known."""
        extremes = self.extremes(name).astype(np.float64)
        return np.maximum(-extremes[:, 0], extremes[:, 1])

    def counted_in(self, batch: int) -> tuple[int, int]:
        """Return how many samples of a recorded batch are not left out, and how many it has."""
        own = self._store.samples_in(batch)
        return len(own) - sum(sample in own for sample in self.left_out), len(own)

    def maxima(self, names: Iterable[str], batches: Iterable[int]) -> NDArray[np.float64]:
        """Return the largest finite |x| of tensors in recorded batches without the samples that are left out.

        Shape (tensors, batches); nan where a batch did not have the tensor, or every sample of it is left out.
        """
        keys = [self._store.keys((batch,), self.left_out) for batch in batches]
        kept = [place for place, key in enumerate(keys) if key]
        rows = [self._store.amax(self._known(name), [keys[place][0] for place in kept]) for name in names]
        found = np.full((len(rows), len(keys)), np.nan)
        if rows:
            found[:, kept] = rows
        return found

    def histogram_in(self, name: str, batch: int) -> Histogram | None:
        """Return a tensor's histogram in a recorded batch without the samples that are left out.

        None where the batch did not have the tensor, or every sample of it is left out.
        """
        keys = self._store.keys((batch,), self.left_out)
        return self._store.get(keys[0], self._known(name)) if keys else None

    def thumbnail(self, sample: int) -> NDArray[np.uint8] | None:
        """Return a small picture of a sample, uint8 (h, w, 3); None where it is no image, or the data are not here."""
        batch, place = self._where(sample)
        if self._parts.recorder is None:
            return None
        pictures = self._parts.recorder.plan.thumbnails(batch)
        return pictures[place] if place < len(pictures) else None

    def blame(self, name: str, top: int = 8) -> list[Blame]:
        """Return the samples that reach furthest in a tensor, the furthest first; none where it is not known."""
        amax = self.amax(name)
        known = np.flatnonzero(~np.isnan(amax))
        order = known[np.argsort(-amax[known], kind="stable")][: whole_number(top, "top", 0)]
        return [self._blamed(name, int(sample), float(amax[sample])) for sample in order]

    def _blamed(self, name: str, sample: int, amax: float) -> Blame:
        beyond = share = None
        own = self.histogram(name, sample)
        if own is not None:
            limit = self._view.amax(self._parts.graph.group_of(name)[0], self._view.intent(name, self._state))
            beyond = own.n_beyond(limit)
            total = self._view.histogram(name).n_beyond(limit)
            share = 0.0 if sample in self.left_out or not total else beyond / total
        return Blame(sample, self.label(sample), amax, sample in self.left_out, beyond, share)

    def histogram(self, name: str, sample: int) -> Histogram | None:
        """Return a tensor's histogram in one sample; None where that was not counted by itself: see :meth:`count`."""
        batch, place = self._where(sample)
        self._known(name)
        own = self._store.samples_in(batch)
        if len(own) == 1:
            return self._store.get(batch, name)
        others = frozenset(range(len(own))) - {place}
        for k, one in enumerate(self._store.without()):
            if (one.batch, one.samples) == (batch, others):
                return self._store.get(-k - 1, name)
        return None

    def without(self, sample: Which) -> dict[str, tuple[float, float]]:
        """Return tensor -> (threshold now, threshold without the sample), for every tensor that is calibrated.

        Its batch is run again without it where that was not done yet. In one pass the range that histograms start
        from stays the one that was recorded, also where the sample is in the first batch; in two passes that of all.
        """
        number = self.find(sample)
        with_it, without_it = self.left_out - {number}, self.left_out | {number}
        self._count(without_it)
        found = []
        for out in (with_it, without_it):
            self._count(out)
            view = self._numbers.aside(self._state, out)
            names = self._parts.graph.calibrated
            found.append(dict(zip(names, view.thresholds(names, self._state), strict=True)))
        return {name: (found[0][name], found[1][name]) for name in found[0]}

    def count(self, *samples: Which) -> None:
        """Count samples by themselves, each with a run of its batch: :meth:`blame` then knows their share."""
        for number in self._found(samples):
            batch, place = self._where(number)
            others = frozenset(range(len(self._store.samples_in(batch)))) - {place}
            self._count_batch(batch, others)

    def find(self, sample: Which) -> int:
        """Return the number of a sample given by its number, its label, or the path or name of its file."""
        return next(self._found((sample,)))

    def _found(self, samples: Iterable[Which]) -> Iterator[int]:
        names: _Names | None = None
        for sample in samples:
            if isinstance(sample, str | os.PathLike):
                names = names or _Names(self.labels())
                yield names.find(os.fspath(sample))
            else:
                yield self._checked(sample)

    def expect(self, *samples: Which) -> None:
        """Refuse what :meth:`leave_out` will not take once all batches are recorded, before the first one is.

        Nothing is refused where it cannot be told yet: without the data, or where these do not say how many they are.

        Raises
        ------
        UsageError
            If a name will be that of no sample or of several, a number that of none, no sample would be left, or a
            batch would have to be counted without some of its samples by what counts whole batches only.
        """
        recorder = self._parts.recorder
        if recorder is None or recorder.plan.n_samples is None:
            return
        plan, n = recorder.plan, recorder.plan.n_samples
        names = _Names([one.name or _numbered(i) for i, one in enumerate(samples_of(plan.source, 0, n))], "")
        out = {
            names.find(os.fspath(sample)) if isinstance(sample, str | os.PathLike) else _in_range(sample, n)
            for sample in samples
        }
        if len(out) == n:
            raise UsageError(f"all {n} samples would be left out: nothing is left to calibrate with")
        size = plan.batch_size
        if size is None:
            return
        touched = Counter(i // size for i in out)
        if any(k < min(size, n - batch * size) for batch, k in touched.items()):
            recorder.check_samples()

    def leave_out(self, *samples: Which) -> None:
        """Leave samples out of the histograms; undo brings them back.

        Where a batch is left without some samples for the first time, it is run again without them: a SessionError
        where the session has no model at hand.
        """
        self.choose(self.left_out | set(self._found(samples)))

    def bring_back(self, *samples: Which) -> None:
        """Count samples again that were left out; all of them where none is named."""
        self.choose(self.left_out - set(self._found(samples)) if samples else frozenset())

    def choose(self, left_out: Collection[int]) -> None:
        """Leave exactly these samples out."""
        out = frozenset(map(self._checked, left_out))
        self._count(out)
        self._update(samples_out=out)

    def _count(self, out: frozenset[int]) -> None:
        """Have every batch counted without the samples that are left out of it."""
        for batch in range(len(self._store)):
            own = self._store.samples_in(batch)
            self._count_batch(batch, frozenset(i - own.start for i in out if i in own))

    def _count_batch(self, batch: int, out: frozenset[int]) -> None:
        known = any((one.batch, one.samples) == (batch, out) for one in self._store.without())
        if known or not out or len(out) == len(self._store.samples_in(batch)):
            return
        recorder = self._parts.recorder
        if recorder is None:
            raise no_recorder(f"what batch {batch} is without some of its samples was not counted before")
        if self._busy.locked():
            raise SessionError("a run is going on already; cancel it or wait for its end")
        with self._busy:
            self._store.append_without(batch, out, recorder.count_without(batch, out))

    @property
    def _state(self) -> SessionState:
        return self._parts.choices.state

    @property
    def _view(self) -> View:
        return self._numbers.at(self._state)

    def _known(self, name: str) -> str:
        self._parts.choices.known(name)
        return name

    def _checked(self, sample: Any) -> int:
        return _in_range(sample, len(self))


class _Names:
    """What samples are called, by what they may be asked for."""

    def __init__(self, names: list[str], recorded: str = "recorded ") -> None:
        self._names, self._recorded = names, recorded
        self._exact: dict[str, list[int]] = {}
        self._by_last: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            self._exact.setdefault(name, []).append(i)
            self._by_last.setdefault(PurePath(name).name, []).append(i)

    def find(self, wanted: str) -> int:
        """Return the number of the one sample that a label, or the end of a path, names."""
        found = self._exact.get(wanted, [])
        if not found:
            parts = PurePath(wanted).parts
            ours = [(i, PurePath(self._names[i]).parts) for i in self._by_last.get(PurePath(wanted).name, ())]
            longest = max((len(own) for _, own in ours if parts[-len(own) :] == own), default=0)
            # calib/b/0.png is b/0.png, not 0.png; without such a one a path may be the end of a name
            found = [i for i, own in ours if len(own) == longest and parts[-len(own) :] == own]
            found = found or [i for i, own in ours if own[-len(parts) :] == parts]
        if len(found) != 1:
            several = f"{len(found)} samples are called so: {', '.join(self._names[i] for i in found[:3])}"
            some = f"; they are {', '.join(map(repr, self._names[:3]))}, …" if len(self._names) > 3 else ""
            none = f"no {self._recorded}sample is called so{some}"
            raise UsageError(f"{wanted!r} names no sample: {several if found else none}")
        return found[0]


def _numbered(sample: int) -> str:
    """Return what a sample without a file is called, counted from 1 for people."""
    return f"sample {sample + 1}"


def _in_range(sample: Any, n: int) -> int:
    number = whole_number(sample, "a sample")
    if not 0 <= number < n:
        raise UsageError(f"sample {number} is not recorded; there are {n}, counted from 0")
    return number
