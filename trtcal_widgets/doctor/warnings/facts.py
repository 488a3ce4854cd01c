"""What the checks of recorded data look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo
    from trtcal_widgets.session import CalibrationSession


@dataclass(frozen=True, eq=False)
class Facts:
    """A session and the batches that it counts. ``scales``: the tensors, one for each scale that data decide."""

    session: CalibrationSession
    batches: tuple[int, ...]
    scales: tuple[str, ...]

    @property
    def graph(self) -> ModelGraph:
        """The model's facts."""
        return self.session.graph

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The floating-point inputs of the model."""
        return tuple(n for n in self.session.calibrated if self.graph.tensors[n].kind is TensorKind.INPUT)

    @cached_property
    def maxima(self) -> NDArray[np.float64]:
        """Largest finite |x| of each scale in each counted batch, shape (scales, batches); 0 without values."""
        return np.nan_to_num(self.session.samples.maxima(self.scales, self.batches))

    @cached_property
    def samples(self) -> tuple[int, ...]:
        """The samples that are counted, numbered through all recorded batches."""
        known, out = self.session.samples, self.session.samples.left_out
        return tuple(i for b in self.batches for i in known.members(b) if i not in out)

    @cached_property
    def _of_samples(self) -> dict[str, NDArray[np.float64]]:
        """The largest finite |x| of every counted sample, of the scales of which all are known."""
        picked, amax = list(self.samples), self.session.samples.amax
        rows = ((name, amax(name)[picked]) for name in self.scales if picked)
        return {name: row for name, row in rows if not np.isnan(row).any()}

    @property
    def sample_scales(self) -> tuple[str, ...]:
        """The scales of which every counted sample's extremes are known: a tensor needs an axis of samples for that."""
        return tuple(self._of_samples)

    @cached_property
    def sample_maxima(self) -> NDArray[np.float64]:
        """Largest finite |x| of each of :attr:`sample_scales` in each counted sample, shape (scales, samples)."""
        return np.array([*self._of_samples.values()]).reshape(len(self._of_samples), len(self.samples))

    @cached_property
    def fed(self) -> NDArray[np.void]:
        """What was kept of each counted sample's input, shape (samples,); (0,) where nothing was.

        See :data:`~trtcal_widgets.session.keeping.sample_facts.FACTS`.
        """
        found = self.session.samples.facts()
        return found[list(self.samples)] if len(found) else found

    @cached_property
    def _counted(self) -> frozenset[int]:
        return frozenset(self.samples)

    def rows(self, batch: Batch) -> list[int]:
        """Return the places in a batch of its counted samples: of all where files do not tell which ones they are."""
        own = self.session.samples.members(batch.index)
        known = len(own) == batch.n_samples
        return [k for k in range(batch.n_samples) if not known or own[k] in self._counted]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each recorded sample is called, printable."""
        return tuple(printable(label) for label in self.session.samples.labels())

    def listed(self, samples: Sequence[int], most: int) -> str:
        """Return what the first so many of some samples are called."""
        return listed([self.labels[i] for i in samples[: most + 1]], most)

    def readers(self, name: str) -> Sequence[NodeInfo]:
        """Return the nodes that read a tensor."""
        return [self.graph.nodes[k] for k in self.graph.tensors[name].consumers]


def listed(names: Sequence[str], most: int) -> str:
    """Return the first so many names, and an ellipsis where there are more."""
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])
