"""What the checks of recorded data look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
        rows = [self.session.batch_amax(name)[list(self.batches)] for name in self.scales]
        return np.nan_to_num(np.array(rows, np.float64).reshape(len(self.scales), len(self.batches)))

    @cached_property
    def samples(self) -> tuple[int, ...]:
        """The samples that are counted, numbered through all recorded batches."""
        known, out = self.session.samples, self.session.samples.left_out
        return tuple(i for b in self.batches for i in known.members(b) if i not in out)

    @cached_property
    def sample_maxima(self) -> NDArray[np.float64]:
        """Largest finite |x| of each scale in each counted sample, shape (scales, samples).

        Of the scales of which it is known for every sample: of a tensor without an axis of samples it is not.
        """
        rows = [self.session.samples.amax(name)[list(self.samples)] for name in self.scales]
        table = np.array(rows, np.float64).reshape(len(self.scales), len(self.samples))
        return table[~np.isnan(table).any(axis=1)]

    def readers(self, name: str) -> Sequence[NodeInfo]:
        """Return the nodes that read a tensor."""
        return [self.graph.nodes[k] for k in self.graph.tensors[name].consumers]
