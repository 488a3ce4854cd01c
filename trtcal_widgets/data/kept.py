"""The batches of a plan without those that the user leaves out, for whoever takes them one after the other."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.data.base import Batch, Source
    from trtcal_widgets.data.plan import BatchPlan

__all__ = ["KeptBatches"]


class KeptBatches:
    """Some batches of a plan, counted anew from 0; each batch still says its place in the plan (``Batch.index``).

    Parameters
    ----------
    plan
        The batches.
    left_out
        Places in the plan, from 0, that are passed over.

    Raises
    ------
    UsageError
        If none is left.
    """

    def __init__(self, plan: BatchPlan, left_out: Iterable[int] = ()) -> None:
        self.plan = plan
        self.left_out = tuple(sorted(set(left_out)))
        if self.n_batches == 0:
            raise UsageError(
                f"all {len(self.left_out)} batches of {plan.source.describe()} are left out: include one at least"
            )

    @property
    def source(self) -> Source:
        """Where the samples come from."""
        return self.plan.source

    @property
    def batch_size(self) -> int | None:
        """Samples per whole batch; None while not known."""
        return self.plan.batch_size

    @property
    def dropped(self) -> int:
        """Samples that do not fill the plan's last batch; those of batches that are left out are not among them."""
        return self.plan.dropped

    @property
    def n_batches(self) -> int | None:
        """How many batches are kept; None while the plan does not know its own number."""
        n = self.plan.n_batches
        return None if n is None else n - sum(index < n for index in self.left_out)

    def load(self, position: int) -> Batch:
        """Load the kept batch number ``position``, from 0; see :meth:`BatchPlan.load`.

        Raises
        ------
        NoSuchBatchError
            If fewer are kept.
        DataError
            As :meth:`BatchPlan.load`.
        """
        places = (index for index in count() if index not in self.left_out)
        return self.plan.load(next(islice(places, position, None)))
