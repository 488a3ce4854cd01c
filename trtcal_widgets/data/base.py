"""What a batch source is: samples with an order, from which whole batches are cut.

A source knows *samples*; :class:`BatchPlan` (in :mod:`trtcal_widgets.data.plan`) cuts batches from it
as TensorRT does. A source whose items are already batches (an iterable, a DataLoader) says so with
``prebatched``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ONLY_INPUT", "Batch", "Source"]

ONLY_INPUT = ""
"""Key of :attr:`Batch.feeds` for an array that was given without a name: the model's only input."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch as it is fed to the model.

    Attributes
    ----------
    index
        Position of the batch in the plan, from 0.
    feeds
        Input name -> array, first axis = samples. :data:`ONLY_INPUT` stands for "the only input".
    first_sample
        Position in the source of the first sample of this batch.
    n_samples
        Number of real samples in the batch; padding is not counted.
    """

    index: int
    feeds: Mapping[str, NDArray[np.generic]]
    first_sample: int
    n_samples: int

    @property
    def n_fed(self) -> int:
        """Number of samples in the feeds, padding included."""
        lengths = [len(array) for array in self.feeds.values() if array.ndim]
        return self.n_samples if self.n_samples in lengths or not lengths else lengths[0]

    def without_padding(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return tensors of a run on the feeds without what belongs to the padding.

        Cut is what is as long along its first axis as the feeds; sequences and maps are lists of that length.
        """
        n, fed = self.n_samples, self.n_fed
        if n >= fed:
            return dict(tensors)
        return {name: value[:n] if _length(value) == fed else value for name, value in tensors.items()}


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) or (hasattr(value, "ndim") and value.ndim) else -1


@runtime_checkable
class Source(Protocol):
    """Samples in a fixed order.

    One that reads files may say so with ``reads``, a tuple of their paths: what a run writes replaces none of them.
    """

    prebatched: bool
    """Whether an item is a whole batch already (its first axis is the batch)."""

    def describe(self) -> str:
        """Return one line for people: ``"ImageFolder calib/, 500 images"``."""

    def n_items(self) -> int | None:
        """Return how many samples (or, when prebatched, batches) there are; None while unknown."""

    def load(self, start: int, stop: int) -> Mapping[str, NDArray[np.generic]]:
        """Return samples ``start`` to ``stop`` (exclusive) stacked along axis 0.

        Fewer come back at the end of the source; none at all is an empty mapping.
        """

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:
        """Return small pictures (height, width, 3) of the samples; empty where they are not images."""


def files_read(source: Any) -> tuple[Path, ...]:
    """Return the files that a source says it reads; none where its ``reads`` is something else of its own."""
    said = getattr(source, "reads", ())
    return (
        tuple(map(Path, said)) if isinstance(said, tuple) and all(isinstance(one, str | Path) for one in said) else ()
    )
