"""Single samples of a session's counted batches: each run alone, or fed together as a set of its own."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import SessionError
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session import CalibrationSession

    Feeds = Mapping[str, NDArray[np.generic]]


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
        for b in self.batches:
            batch, own = self._batch(b), self._recorded.members(b)
            known = len(own) == batch.n_samples  # of files of older versions it is not known which ones they are
            counted = [k for k in range(batch.n_samples) if not known or own[k] not in self._recorded.left_out]
            self._where += [(b, k) for k in counted]
            self.places += [batch.first_sample + k for k in counted]
            self._numbers += [own[k] if known else None for k in counted]

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self._where)

    def _batch(self, index: int) -> Batch:
        if self._read is None or self._read.index != index:
            self._read = self.plan.load(index)
        return self._read

    def feeds(self, k: int) -> dict[str, NDArray[Any]]:
        """Return the k-th sample as it is fed, its first axis 1 long; what has no samples as it is."""
        b, row = self._where[k]
        batch = self._batch(b)
        fed = batch.n_fed
        return {
            name: array[row : row + 1] if array.ndim and len(array) == fed else array
            for name, array in ((name, np.asarray(a)) for name, a in batch.feeds.items())
        }

    def label(self, k: int) -> str:
        """Return the path of a sample's file; empty where it has none."""
        paths = getattr(self.plan.source, "paths", None)
        place = self.places[k]
        return str(Path(paths[place]).resolve()) if paths and place < len(paths) else ""

    def record(
        self, names: Sequence[str], bases: Mapping[str, float], done: Callable[[int], None]
    ) -> list[list[Histogram]]:
        """Return for each tensor its histogram in each sample, over the given ranges: those of the session.

        Samples that the session did not count by themselves are run alone. A model of a fixed batch size is fed each
        sample as often as that: all counts are as many times as large.
        """
        store = BatchStore(names)
        try:
            with np.errstate(all="ignore"):
                for k in range(len(self)):
                    found = self._counted(names, k) or self.runner.histograms(self._filled(self.feeds(k)), bases)
                    store.append((name, h.rounded()) for name, h in found)
                    done(k + 1)
            return [[store.get(k, name) or Histogram.empty() for k in range(len(self))] for name in names]
        finally:
            store.close()

    def _counted(self, names: Sequence[str], k: int) -> list[tuple[str, Histogram]]:
        """Return what the session has of a sample by itself; nothing where it lacks a tensor."""
        number = self._numbers[k]
        if number is None or self._repeats > 1:  # counts of all samples are equally many times as large
            return []
        found = [(name, self._recorded.histogram(name, number)) for name in names]
        known = [(name, h) for name, h in found if h is not None]
        return known if len(known) == len(found) else []

    @cached_property
    def _repeats(self) -> int:
        """How often a sample is fed at once: the model's batch size where that is fixed."""
        return next(
            (
                info.shape[0]
                for info in self.runner.graph.tensors.values()
                if info.producer < 0 and info.kind.value == "input" and info.shape and isinstance(info.shape[0], int)
            ),
            1,
        )

    def _filled(self, feeds: Feeds) -> Feeds:
        n = self._repeats
        return {name: np.repeat(a, n, 0) if n > 1 and a.ndim and len(a) == 1 else a for name, a in feeds.items()}


class Chosen:
    """Some of the samples as a source of data of its own."""

    prebatched = False

    def __init__(self, samples: Samples, chosen: Sequence[int]) -> None:
        self._samples = samples
        self._chosen = tuple(chosen)

    def describe(self) -> str:
        """Return one line."""
        return f"{count_of(len(self._chosen), 'sample')} of {self._samples.plan.source.describe()}"

    def n_items(self) -> int:
        """Return how many samples there are."""
        return len(self._chosen)

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples stacked along axis 0; none at the end."""
        feeds = [self._samples.feeds(k) for k in self._chosen[start:stop]]
        return {name: np.concatenate([f[name] for f in feeds]) for name in feeds[0]} if feeds else {}

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:  # noqa: ARG002 - none are shown
        """Return no pictures."""
        return ()
