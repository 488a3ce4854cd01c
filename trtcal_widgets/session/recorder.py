"""The run through the batches: model in, per-batch histograms out, one whole batch at a time."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.streams import stream_histograms
from trtcal_widgets.errors import DataError, SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.store import BatchStore

__all__ = ["Recorder", "as_runner", "no_recorder"]

_SMOOTHING = 0.3
"""Weight of the newest batch in the running mean of the time per batch."""


class Recorder:
    """Records batches into a store.

    Parameters
    ----------
    runner, plan, store
        Where activations come from, which batches, and where their histograms go.
    two_pass
        Whether the ranges of all batches are found before the first histogram is made.
    on_range_pass
        Called with the number of batches that the range pass has gone through; raising stops it.
    """

    def __init__(
        self,
        runner: Runner,
        plan: BatchPlan,
        store: BatchStore,
        *,
        two_pass: bool,
        on_range_pass: Callable[[int], None],
    ) -> None:
        self.runner = runner
        self.plan = plan
        self.bases: dict[str, float] = {}
        self.n_samples = 0
        self.seconds_per_batch = 0.0
        self._store = store
        self._ranges_known = not two_pass
        self._on_range_pass = on_range_pass
        self._entered = False

    def resume(self, bases: Mapping[str, float], n_samples: int) -> None:
        """Go on behind batches that are in the store already, with the ranges that they started from."""
        self.bases = dict(bases)
        self.n_samples = n_samples
        self._ranges_known = True

    def with_store(self, store: BatchStore, on_range_pass: Callable[[int], None]) -> Recorder:
        """Return a recorder of the same model and batches that fills another store."""
        return Recorder(self.runner, self.plan, store, two_pass=not self._ranges_known, on_range_pass=on_range_pass)

    @property
    def ended(self) -> bool:
        """Whether every batch of the plan is recorded."""
        n_batches = self.plan.n_batches
        return n_batches is not None and len(self._store) >= n_batches

    def constants(self) -> dict[str, Histogram]:
        """Return the histograms of constants and weights, which no batch changes."""
        workers = available_cores()
        with ThreadPoolExecutor(workers) as pool:
            return dict(stream_histograms(self._open().constants(), {}, pool, workers))

    def record(self) -> bool:
        """Record the next batch; False where there is none.

        Raises
        ------
        DataError, ModelError
            If the batch cannot be read or run; nothing of it is kept.
        """
        from trtcal_widgets.data.plan import NoSuchBatchError

        if not self._ranges_known:
            self._find_ranges()
        index = len(self._store)
        started = time.monotonic()
        try:
            batch = self.plan.load(index)
        except NoSuchBatchError:
            return False
        found: dict[str, float] = {}

        def counted() -> Iterator[tuple[str, Histogram]]:
            for name, counts in self._open().histograms(batch.feeds, self.bases):
                if name not in self._store.index:
                    continue  # an inner tensor that a session of an older version does not know
                histogram = counts.rounded()
                if histogram.base > 0:
                    found[name] = histogram.base
                yield name, histogram

        self._store.append(counted())
        self.bases = found | self.bases
        self.n_samples += batch.n_samples
        took = time.monotonic() - started
        # The first batch also compiles and warms up; it does not speak for the others.
        weight = 1.0 if index <= 1 else _SMOOTHING
        self.seconds_per_batch += weight * (took - self.seconds_per_batch)
        return True

    def _find_ranges(self) -> None:
        """Go through all batches once for the largest |x| of every tensor."""
        from trtcal_widgets.data.plan import NoSuchBatchError

        runner = self._open()
        ranges: dict[str, float] = {}
        index = 0
        while True:
            self._on_range_pass(index)
            try:
                batch = self.plan.load(index)
            except NoSuchBatchError:
                break
            for name, amax in runner.ranges(batch.feeds):
                ranges[name] = max(ranges.get(name, 0.0), amax)
            index += 1
        if index == 0:
            raise DataError(f"{self.plan.source.describe()} gave no batch")
        self.bases = {name: amax for name, amax in ranges.items() if amax > 0}
        self._ranges_known = True

    def _open(self) -> Runner:
        if not self._entered:
            self.runner.__enter__()
            self._entered = True
        return self.runner

    def close(self) -> None:
        """Free the model, also where a comparison opened it before any batch was recorded."""
        self._entered = False
        self.runner.__exit__(None, None, None)


def as_runner(model: Any, *, threads: int | None = None, providers: Sequence[Any] | None = None) -> Runner:
    """Return a runner for a model: itself where it is one, ONNX Runtime for a path."""
    if hasattr(model, "histograms") and hasattr(model, "graph"):
        return model  # type: ignore[no-any-return]
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    if not isinstance(model, str | os.PathLike | OnnxModel):
        raise UsageError(f"a model is the path of an ONNX file, or a runner, not {kind_of(model)}")
    return OnnxRuntimeRunner(model, threads=threads, providers=providers)


def no_recorder(why: str) -> SessionError:
    """Return the error of a session that cannot run its model."""
    return SessionError(
        f"{why}: load the session with model= and source= to record more batches; "
        "what was recorded can be looked at, changed and exported without"
    )
