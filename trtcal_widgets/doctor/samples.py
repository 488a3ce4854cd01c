"""Single samples of a session's counted batches: each run alone, or fed together as a set of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import SessionError
from trtcal_widgets.runners.feeds import fitted, fixed_sizes
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.data.samples import SampleAxis
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session import CalibrationSession


class Samples:
    """The counted samples of a session, by their place in the data: none that is left out.

    Raises SessionError where the session has no model or no data.
    """

    prebatched = False

    def __init__(self, session: CalibrationSession) -> None:
        state = session.state
        if session.plan is None or session.runner is None:
            raise SessionError(
                "choosing samples runs them one by one, and this session was loaded without its model and data: "
                "CalibrationSession.load(path, model=…, source=…)"
            )
        self.plan: BatchPlan = session.plan
        self.runner: Runner = session.runner
        self.batches = tuple(b for b in range(state.position) if b not in state.excluded)
        self.places: list[int] = []
        self._recorded = session.samples
        self._numbers: list[int | None] = []
        self._where: list[tuple[int, int]] = []
        self._read: Batch | None = None
        self._kinds: set[object] = set()
        for b in self.batches:
            batch, own = self._batch(b), self._recorded.members(b)
            known = len(own) == batch.n_samples  # of files of older versions it is not known which ones they are
            counted = [k for k in range(batch.n_samples) if not known or own[k] not in self._recorded.left_out]
            self._where += [(b, k) for k in counted]
            self.places += [batch.first_sample + k for k in counted]
            self._kinds.add(_kind(batch))
            self._numbers += [own[k] if known else None for k in counted]

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self._where)

    def _batch(self, index: int) -> Batch:
        if self._read is None or self._read.index != index:
            self._read = self.plan.load(index)
        return self._read

    def alone(self, k: int) -> Batch:
        """Return the k-th sample as a batch; what has no samples is as in the batch that it was counted in."""
        b, row = self._where[k]
        batch = self._batch(b)
        return replace(batch, feeds=batch.only([row]), first_sample=self.places[k], n_samples=1)

    @property
    def alike(self) -> bool:
        """Whether any of them can be fed together: none is a whole feed, all have the shape and what they share."""
        return len(self._kinds) == 1 and None not in self._kinds

    @property
    def fixed(self) -> bool:
        """Whether the model takes batches of one size only."""
        return bool(self._fixed_sizes)

    @cached_property
    def _fixed_sizes(self) -> dict[str, int]:
        return fixed_sizes(self.runner.graph, self.alone(0).sample_axes)

    def label(self, k: int) -> str:
        """Return the path of a sample's file; empty where it has none."""
        paths = getattr(self.plan.source, "paths", None)
        place = self.places[k]
        return str(Path(paths[place]).resolve()) if paths and place < len(paths) else ""

    def record(
        self, names: Sequence[str], bases: Mapping[str, float], done: Callable[[int], None]
    ) -> list[list[Histogram]]:
        """Return for each tensor its histogram in each sample, over the given ranges: those of the session.

        Samples that the session did not count by themselves are run alone. A model with a fixed batch size is fed each
        sample as often as that: all counts are as many times as large.
        """
        store = BatchStore(names)
        try:
            with np.errstate(all="ignore"):
                for k in range(len(self)):
                    found = self._counted(names, k) or self.runner.histograms(self.fed(k), bases)
                    store.append((name, h.rounded()) for name, h in found)
                    done(k + 1)
            return [[store.get(k, name) or Histogram.empty() for k in range(len(self))] for name in names]
        finally:
            store.close()

    def _counted(self, names: Sequence[str], k: int) -> list[tuple[str, Histogram]]:
        """Return what the session has of a sample by itself; nothing where it lacks a tensor."""
        number = self._numbers[k]
        if number is None or self._fills_up:  # counts of all samples are equally many times as large
            return []
        found = [(name, self._recorded.histogram(name, number)) for name in names]
        known = [(name, h) for name, h in found if h is not None]
        return known if len(known) == len(found) else []

    @property
    def _fills_up(self) -> bool:
        """Whether the model takes no sample alone."""
        return any(n > 1 for n in self._fixed_sizes.values())

    def fed(self, k: int) -> Mapping[str, NDArray[Any]]:
        """Return what is fed to run the k-th sample alone."""
        return fitted(self.runner.graph, self.alone(k)).feeds


def _kind(batch: Batch) -> object:
    """Return what samples must have in common to be fed together; None where the batch is one whole feed."""
    own = batch.by_sample()
    if batch.sample_axes is not None and not batch.sample_axes:
        return None
    arrays = ((name, np.asarray(array)) for name, array in sorted(batch.feeds.items()))
    return tuple((n, own[n].shape[1:] if n in own else (a.shape, a.tobytes()), a.dtype.str) for n, a in arrays)


class Chosen:
    """Some of the samples as a source of data of its own: where they are not alike, each is a batch."""

    def __init__(self, samples: Samples, chosen: Sequence[int]) -> None:
        self._samples = samples
        self._chosen = tuple(chosen)
        self.prebatched = not samples.alike
        one = samples.alone(self._chosen[0])
        self._axes = one.axes
        self.sample_axis: SampleAxis = None
        if not self.prebatched:
            self.sample_axis = "guess" if one.sample_axes is None else {**dict.fromkeys(one.feeds), **one.axes}

    def describe(self) -> str:
        """Return one line."""
        return f"{count_of(len(self._chosen), 'sample')} of {self._samples.plan.source.describe()}"

    def n_items(self) -> int:
        """Return how many samples there are."""
        return len(self._chosen)

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples side by side, along their axis; none at the end."""
        if self.prebatched:
            return dict(self._samples.fed(self._chosen[start])) if start < len(self._chosen) else {}
        feeds = [self._samples.alone(k).feeds for k in self._chosen[start:stop]]
        if not feeds:
            return {}
        axes = self._axes
        return {n: np.concatenate([f[n] for f in feeds], axes[n]) if n in axes else a for n, a in feeds[0].items()}

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:  # noqa: ARG002 - none are shown
        """Return no pictures."""
        return ()
