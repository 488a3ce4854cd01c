"""Sums over the batches of an FP32 tensor and its INT8 twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.comparison import PairCounting, TensorComparison
from trtcal_widgets.core.merging import replay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

__all__ = ["PairSums", "add_batch"]

_TOGETHER = 1 << 20
"""Values that one thread compares in one go."""


@dataclass
class PairSums:
    """What is summed up for one tensor."""

    comparison: TensorComparison = field(default_factory=TensorComparison)
    reference: list[Histogram] = field(default_factory=list)
    tested: list[Histogram] = field(default_factory=list)

    @property
    def base(self) -> float | None:
        """The range that the next histograms start from; None: their own."""
        seen = [h.base for h in (*self.reference, *self.tested) if h.base > 0]
        return seen[0] if seen else None

    def add(self, comparison: TensorComparison, here: Histogram, there: Histogram) -> None:
        """Add a batch: the comparison, the reference's histogram and the tested one's."""
        self.comparison += comparison
        self.reference = [replay([*self.reference, here])]
        self.tested = [replay([*self.tested, there])]


def add_batch(
    sums: Mapping[str, PairSums],
    reference: dict[str, NDArray[Any]],
    quantized: dict[str, NDArray[Any]],
    pool: Executor,
) -> None:
    """Add a batch's tensors to the sums, some in one go, and drop them."""

    def work(names: list[str]) -> tuple[list[str], PairCounting]:
        pairs = [(reference.pop(n), quantized.pop(n)) for n in names]
        return names, PairCounting(pairs, [sums[n].base for n in names]).run()

    groups: list[list[str]] = []
    n_values = _TOGETHER
    for name in sums:
        if n_values >= _TOGETHER:
            groups.append([])
            n_values = 0
        groups[-1].append(name)
        n_values += reference[name].size
    for names, counted in pool.map(work, groups):
        for name, found in zip(names, counted.results(), strict=True):
            sums[name].add(*found)
