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

    def readers(self, name: str) -> Sequence[NodeInfo]:
        """Return the nodes that read a tensor."""
        return [self.graph.nodes[k] for k in self.graph.tensors[name].consumers]
