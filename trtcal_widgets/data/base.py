"""What a batch source is: samples with an order, from which whole batches are cut.

A source knows *samples*; :class:`BatchPlan` (in :mod:`trtcal_widgets.data.plan`) cuts batches from it
as TensorRT does. A source whose items are already batches (an iterable, a DataLoader) says so with
``prebatched``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from trtcal_widgets.data.samples import by_sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    sample_axes
        Input name -> axis of its samples, of the inputs that have one: none where the whole feed is one sample. None:
        the first axis of every input that is as long as the batch.
    """

    index: int
    feeds: Mapping[str, NDArray[np.generic]]
    first_sample: int
    n_samples: int
    sample_axes: Mapping[str, int] | None = None

    @property
    def n_fed(self) -> int:
        """Number of samples in the feeds, padding included."""
        if self.sample_axes is not None:
            return next((self.feeds[name].shape[axis] for name, axis in self.sample_axes.items()), self.n_samples)
        lengths = [len(array) for array in self.feeds.values() if array.ndim]
        return self.n_samples if self.n_samples in lengths or not lengths else lengths[0]

    @property
    def axes(self) -> Mapping[str, int]:
        """The axis of the samples of each input that has them."""
        return dict.fromkeys(self.by_sample(), 0) if self.sample_axes is None else self.sample_axes

    @property
    def samples_first(self) -> bool:
        """Whether the first axis of tensors that have samples is theirs, as it is of the inputs."""
        axes = self.sample_axes
        if axes is None:
            return True
        return bool(axes) and all(axis in (0, -self.feeds[name].ndim) for name, axis in axes.items())

    @property
    def shared(self) -> frozenset[str]:
        """The inputs that are known to be all samples' at once."""
        return frozenset() if self.sample_axes is None else frozenset(self.feeds) - frozenset(self.sample_axes)

    def by_sample(self) -> dict[str, NDArray[np.generic]]:
        """Return the inputs that have samples, their first axis the samples'; a whole feed's are one long there."""
        arrays = {name: np.asarray(array) for name, array in self.feeds.items()}
        if self.sample_axes is None:
            return {name: array for name, array in arrays.items() if array.ndim and len(array) == self.n_fed}
        return by_sample(arrays, self.sample_axes)

    def only(self, rows: Sequence[int] | NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
        """Return the feeds with these of the samples, by their places in the batch; what has no samples as it is."""
        axes = self.axes
        return {name: np.take(a, rows, axes[name]) if name in axes else a for name, a in self.feeds.items()}

    def without_padding(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return :meth:`unpadded` of each tensor of a run on the feeds."""
        return {name: self.unpadded(value) for name, value in tensors.items()}

    def unpadded(self, value: Any) -> Any:
        """Return a tensor of a run on the feeds without what belongs to the padding.

        Cut is what is as long along its first axis as the feeds, where they have samples there; sequences and maps are
        lists of that length.
        """
        is_cut = self.n_samples < self.n_fed == _length(value) and self.samples_first
        return value[: self.n_samples] if is_cut else value


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
        """Return samples ``start`` to ``stop`` (exclusive): input name -> array of shape (samples, ...).

        Fewer come back at the end of the source; none at all is an empty mapping. :data:`ONLY_INPUT` names the only
        input of a model. A DataError where a sample cannot be read.
        """

    def thumbnails(self, start: int, stop: int) -> Sequence[NDArray[np.uint8]]:
        """Return small pictures, uint8 (height, width, 3), of samples ``start`` to ``stop``; empty without images."""


def files_read(source: Any) -> tuple[Path, ...]:
    """Return the files that a source says it reads; none where its ``reads`` is something else of its own."""
    said = getattr(source, "reads", ())
    return (
        tuple(map(Path, said)) if isinstance(said, tuple) and all(isinstance(one, str | Path) for one in said) else ()
    )
