"""What a runner is: a model that is fed a batch and gives its tensors away, one at a time.

A runner never keeps an activation: an array that was yielded belongs to the caller, who drops it as soon as
its histogram has it. Runners are context managers: device memory and threads end with the ``with`` block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["Runner"]


@runtime_checkable
class Runner(Protocol):
    """A model whose float tensors can be seen."""

    @property
    def name(self) -> str:
        """What runs the model, for people and for saved sessions: ``"onnxruntime 1.23 CPU"``."""

    @property
    def graph(self) -> ModelGraph:
        """The model's facts."""

    def __enter__(self) -> Self:
        """Load the model (if that was not done yet) and return the runner."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free what the runner holds."""

    def constants(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield every float constant and weight: they are the same for every batch."""

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Run one batch and yield every float input and activation as (name, array), in graph order.

        Raises
        ------
        DataError
            If a feed does not fit the model's inputs by name, dtype or shape.
        """

    def histograms(
        self, feeds: Mapping[str, NDArray[np.generic]], bases: Mapping[str, float]
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch and yield (name, histogram) for every tensor of :meth:`infer`.

        ``bases[name]`` is the range R that the tensor's histogram starts from (it grows by doubling);
        a tensor that is missing there starts from the largest finite |x| of this batch.
        """

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|) for every tensor of :meth:`infer`; 0 where it has none."""
