"""The run through the batches: model in, per-batch histograms out, one whole batch at a time."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.streams import stream_histograms
from trtcal_widgets.errors import CancelledError, DataError, SessionError, UsageError
from trtcal_widgets.session.keeping.sample_facts import facts_of, samples_of
from trtcal_widgets.session.state import Phase, RunStatus
from trtcal_widgets.session.store import pack
from trtcal_widgets.session.weights import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.keeping.sample_facts import Sample
    from trtcal_widgets.session.spread.run import SpreadRun
    from trtcal_widgets.session.store import BatchStore, Packed

_SMOOTHING = 0.3
"""Weight of the newest batch in the running mean of the time per batch."""

_AT_REST = (None, "")

_CONSTANTS: dict[int, tuple[dict[str, Histogram], dict[str, NDArray[np.float32]]]] = {}
"""Id of a runner that is alive -> the histograms of its constants, and what each channel of its weights reaches."""


class Recorder:
    """Runs a model's batches and records them into a store.

    What was recorded is in the store alone, and how a run stands follows from it: an interrupt, wherever it comes,
    leaves the last whole batch and nothing that contradicts it.

    ``runner``, ``plan``, ``store``: where activations come from, which batches, and where their histograms go.
    ``constants``: takes the histograms of constants and weights before the first batch. ``two_pass``: whether the
    ranges of all batches are found before the first histogram is made.
    """

    def __init__(
        self,
        runner: Runner,
        plan: BatchPlan,
        store: BatchStore,
        constants: dict[str, Histogram],
        weights: dict[str, NDArray[np.float32]],
        *,
        two_pass: bool,
    ) -> None:
        self.runner = runner
        self.plan = plan
        self._store = store
        self._constants = constants
        self._weights = weights
        self._two_pass = two_pass
        self._entered = False
        self._cancelled = False
        self._waits = ""  # why the run stands still, in a sentence
        self._ended_as: tuple[Phase | None, str] | None = _AT_REST
        self._ranged: int | None = None
        self._ahead: dict[int, Batch] = {}
        self._seconds_per_batch = 0.0

    @property
    def ended(self) -> bool:
        """Whether every batch of the plan is recorded."""
        n_batches = self.plan.n_batches
        return n_batches is not None and len(self._store) >= n_batches

    def cancel(self) -> None:
        """Have a run in another thread stop after its present batch."""
        self._cancelled = True

    def run(
        self,
        until: int | None,
        news: Callable[[], None],
        progress: Callable[[RunStatus], None] | None = None,
        executor: Any = None,
    ) -> None:
        """Record until there are so many batches, or no more of them; being cancelled is no error.

        ``news`` is called after every change, ``progress`` with the status after every batch. ``executor``: what
        counts the batches, see :class:`~trtcal_widgets.session.spread.pools.Pool`; None: this process.

        Raises DataError, ModelError, SessionError if a batch cannot be read or run; nothing of it is kept. It is the
        status's message, too.
        """
        self._cancelled = False
        self._waits = ""
        self._ended_as = None
        try:
            news()
            for _ in self._here(until, news) if executor is None else self._elsewhere(until, news, executor):
                news()
                if progress is not None:
                    progress(self.status(busy=True))
        except CancelledError:
            self._ended_as = ("cancelled", f"Stopped after {self._so_far()}; go on at any time.")
        except KeyboardInterrupt:
            self._ended_as = ("paused", f"Interrupted after {self._so_far()}; go on at any time.")
            raise
        except BaseException as error:
            self._ended_as = ("failed", self._failure(str(error) or type(error).__name__))
            raise
        else:
            self._ended_as = _AT_REST

    def _here(self, until: int | None, news: Callable[[], None]) -> Iterator[None]:
        """Record batch after batch in this process, and yield after each."""
        while (until is None or len(self._store) < until) and not self.ended:
            self._stop_if_cancelled()
            self._keep_constants()
            if not self._record(news):
                return
            yield

    def _elsewhere(self, until: int | None, news: Callable[[], None], executor: Any) -> Iterator[None]:
        """Record the batches that workers count, and yield after each."""
        from trtcal_widgets.core.first_run import compile_kernels
        from trtcal_widgets.session.spread.pools import Pool
        from trtcal_widgets.session.spread.run import SpreadRun

        if self.ended:
            return
        compile_kernels()  # once here, where no run has done so yet, and not in every worker
        with ExitStack() as stack:
            pool = Pool(executor, getattr(self.runner, "environments", list))
            stack.push(lambda kind, *_: pool.close(at_once=kind is not None))
            self._keep_constants()
            check, say = self._stop_if_cancelled, partial(self._say, news)
            spread = SpreadRun(self.runner, self.plan, self._store, self._ahead, pool, check, say)
            stack.callback(spread.close)
            if self._two_pass and not self._store.bases and not len(self._store):
                self._store.start_from(self._ranged_elsewhere(spread, news))
            started = time.monotonic()
            for n, _ in enumerate(spread.record(until)):
                self._seconds_per_batch = (time.monotonic() - started) / max(1, n)
                if n == 0:  # behind it workers are there and have the model
                    started = time.monotonic()
                yield

    def _say(self, news: Callable[[], None], why: str) -> None:
        """Have the status say why the run stands still; "" where it goes on."""
        if why != self._waits:
            self._waits = why
            news()

    def _ranged_elsewhere(self, spread: SpreadRun, news: Callable[[], None]) -> dict[str, float]:
        def ranged(n: int) -> None:
            self._ranged = n
            news()

        try:
            return spread.find_ranges(ranged)
        finally:
            self._ranged = None

    def _keep_constants(self) -> None:
        graph = self.runner.graph
        if not self._constants and any(graph.tensors[name].is_fixed for name in graph.float_tensors):
            self._constants.update(self.constants())

    def _failure(self, text: str) -> str:
        """Say which batch failed and why, in whole sentences."""
        n = len(self._store)
        named = text if text.lower().startswith(f"batch {n}") else f"batch {n}: {text}"
        kept = " The batches before it are kept." if n else ""
        return f"{named[:1].upper()}{named[1:].rstrip('. ')}.{kept}"

    def _so_far(self) -> str:
        n = len(self._store)
        return f"{n} whole batch{'' if n == 1 else 'es'}"

    def _stop_if_cancelled(self) -> None:
        if self._cancelled:
            raise CancelledError("cancelled")

    def status(self, *, busy: bool) -> RunStatus:
        """Return how the run stands, or how it ended; ``busy`` says whether one may be going on."""
        recorded, plan, ended = len(self._store), self.plan, self.ended
        running = busy and self._ended_as is None
        stopping = "Stopping after this batch …" if self._cancelled else self._waits
        phase, message = ("running", stopping) if running else self._ended_as or _AT_REST
        resting: Phase = "finished" if ended else "paused" if recorded else "ready"
        left = None
        if running and plan.n_batches is not None and recorded:
            left = self._seconds_per_batch * (plan.n_batches - recorded)
        ranging = self._ranged is not None and running
        return RunStatus(
            phase=phase or resting,
            recorded=recorded,
            n_batches=plan.n_batches,
            n_samples=self._store.last.n_samples,
            total_samples=plan.source.n_items() if not plan.source.prebatched else None,
            dropped=plan.dropped,
            seconds_left=left,
            message=message,
            pass_name="range pass" if ranging else "histogram pass" if self._two_pass else "",
            pass_done=self._ranged or 0 if ranging else 0,
        )

    def constants(self) -> dict[str, Histogram]:
        """Return the histograms of constants and weights, which no batch changes: they are counted once per runner."""
        runner = self.runner
        found = _CONSTANTS.get(id(runner))
        if found is None:
            workers = available_cores()
            weights: dict[str, NDArray[np.float32]] = {}
            with ThreadPoolExecutor(workers) as pool:
                stream = measured(self._open().constants(), runner.graph, weights)
                found = dict(stream_histograms(stream, {}, pool, workers)), weights
            with suppress(TypeError):  # a runner that takes no weak reference is asked anew
                finalize(runner, _CONSTANTS.pop, id(runner), None)
                _CONSTANTS[id(runner)] = found
        constants, weights = found
        self._weights.update(weights)
        return dict(constants)

    def _record(self, news: Callable[[], None]) -> bool:
        """Record the next batch; False where there is none."""
        from trtcal_widgets.data.plan import NoSuchBatchError

        if self._two_pass and not self._store.bases and not len(self._store):
            self._store.start_from(self._find_ranges(news))
        index = len(self._store)
        started = time.monotonic()
        try:
            batch = self._ahead.get(index) or self.plan.load(index)
        except NoSuchBatchError:
            return False
        with ThreadPoolExecutor(1, "trtcal-samples") as beside:
            facts = beside.submit(facts_of, batch, available_cores())  # a GPU runs the batch meanwhile
            counted = self._open().histograms(batch.feeds, self._store.bases)
            rounded = ((name, histogram.rounded()) for name, histogram in counted)
            packed = pack(self._store.index, rounded, batch, facts.result())
        self._store.append_packed(packed, batch.n_samples, self.told(batch.first_sample, batch.n_samples))
        self._ahead.pop(index, None)
        took = time.monotonic() - started
        # The first batch also compiles and warms up; it does not speak for the others.
        weight = 1.0 if index <= 1 else _SMOOTHING
        self._seconds_per_batch += weight * (took - self._seconds_per_batch)
        return True

    def told(self, start: int, n: int) -> tuple[Sample, ...]:
        """Return what the source says of some samples."""
        return samples_of(self.plan.source, start, n)

    def check_samples(self) -> None:
        """Raise UsageError if the runner counts whole batches only."""
        if not getattr(self.runner, "counts_samples", False):
            raise UsageError(
                f"{self.runner.name} counts whole batches only: leave whole batches out, or calibrate with ONNX "
                "Runtime on the CPU (leave providers= out)"
            )

    def count_without(self, index: int, out: frozenset[int]) -> Packed:
        """Count a recorded batch again without some of its samples, from the ranges that it was counted from.

        The whole batch is run, so that what is left has the bits that it had. Raises UsageError if the runner counts
        whole batches only, or samples are on another axis than the first; else as :meth:`run`.
        """
        self.check_samples()
        batch = self.plan.load(index)
        if not batch.samples_first:
            raise UsageError(
                "samples on another axis than the first cannot be told apart inside the model: leave the batch out"
            )
        kept = np.array([i % batch.n_samples not in out for i in range(batch.n_fed)])
        counted = self._open().histograms(batch.feeds, self._store.bases, kept, batch.shared)  # type: ignore[call-arg]
        return pack(self._store.index, ((name, histogram.rounded()) for name, histogram in counted))

    def _find_ranges(self, news: Callable[[], None]) -> dict[str, float]:
        """Go through all batches once for the largest |x| of every tensor."""
        from trtcal_widgets.data.plan import NoSuchBatchError

        runner = self._open()
        ranges: dict[str, float] = {}
        try:
            for index in count():
                self._stop_if_cancelled()
                self._ranged = index
                news()
                try:
                    batch = self.plan.load(index)
                except NoSuchBatchError:
                    break
                for name, amax in runner.ranges(batch.feeds):
                    ranges[name] = max(ranges.get(name, 0.0), amax)
        finally:
            self._ranged = None
        if index == 0:
            raise DataError(f"{self.plan.source.describe()} gave no batch")
        return {name: amax for name, amax in ranges.items() if amax > 0}

    def values(self, name: str, feeds: Mapping[str, NDArray[Any]] | None) -> NDArray[Any] | None:
        """Return a tensor's values in one batch, or a constant's without ``feeds``; None where it has none."""
        runner = self._open()
        stream = runner.constants() if feeds is None else runner.infer(feeds)
        return next((np.array(array) for found, array in stream if found == name), None)

    def _open(self) -> Runner:
        if not self._entered:
            self.runner.__enter__()
            self._entered = True
        return self.runner

    def close(self) -> None:
        """Free the model, also where a comparison opened it before any batch was recorded."""
        self._entered = False
        self.runner.__exit__(None, None, None)


def as_runner(
    model: Any, *, threads: int | None = None, providers: Sequence[Any] | None = None, fast: bool = False
) -> Runner:
    """Return a runner for a model: itself where it is one, ONNX Runtime for a path."""
    if hasattr(model, "histograms") and hasattr(model, "graph"):
        if fast:
            raise UsageError("fast=True is for a model that is given by its path; this runner is as it was made")
        return model  # type: ignore[no-any-return]
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    if not isinstance(model, str | os.PathLike | OnnxModel):
        raise UsageError(f"a model is the path of an ONNX file, or a runner, not {kind_of(model)}")
    return OnnxRuntimeRunner(model, threads=threads, providers=providers, fast=fast)


def no_recorder(why: str) -> SessionError:
    """Return the error of a session that cannot run its model."""
    return SessionError(
        f"{why}: load the session with model= and source= to record more batches; "
        "what was recorded can be looked at, changed and exported without"
    )
