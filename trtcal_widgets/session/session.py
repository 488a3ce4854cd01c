"""The session: what the notebook, the command line and TensorRT's calibrators work with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import number, one_of, whole_number
from trtcal_widgets.common.closing import Closing
from trtcal_widgets.core.thresholds import Method, ThresholdCurve
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.formats.installed import default_version
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.session.exporting import cache_of, left_out, rows_to_write
from trtcal_widgets.session.merging import load_or_merge, ranges_of
from trtcal_widgets.session.parts import Parts, new_parts, plan_of
from trtcal_widgets.session.persist import save_session
from trtcal_widgets.session.recorder import as_runner, no_recorder
from trtcal_widgets.session.samples import Samples
from trtcal_widgets.session.state import Choice, RunStatus, SessionState, TensorRow, Trace
from trtcal_widgets.session.subscribers import Subscribers
from trtcal_widgets.session.summary import frame_of, html_of, markdown_of, words_of
from trtcal_widgets.session.weights import channels_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.numbers import View

    _Path = str | os.PathLike[str]
    _Progress = Callable[[RunStatus], None]


class CalibrationSession(Closing):
    """A model, its calibration data, what was recorded so far and what the user chose.

    Every change of the user's intent goes through :meth:`update`, which makes a new frozen :attr:`state` and tells the
    subscribers once. Histograms of every batch are kept: going back, leaving one out or another method never run it.

    Parameters
    ----------
    model
        Path of an ONNX file, or a :class:`~trtcal_widgets.runners.base.Runner`.
    source
        The calibration data: a source of :mod:`trtcal_widgets.data`, or anything that
        :func:`~trtcal_widgets.data.as_source` takes (an array, a folder of images, a DataLoader, …). Images of a
        folder given by its path alone come in the size, layout and number of channels of the model's input, as
        ``trtcal calibrate`` feeds them; :class:`~trtcal_widgets.ImageFolder` says all of that itself.
    batch_size, max_batches
        Samples per batch, None for data that comes in batches; use no more batches than this.
    last
        What becomes of samples that do not fill a batch: ``"drop"`` (TensorRT's way), ``"pad"`` or ``"keep"``.
    range_mode
        ``"tensorrt"``: one pass, ranges double from the first batch's; ``"two-pass"``: ranges first, in any order.
    method
        For every tensor that the user does not choose for: see :class:`~trtcal_widgets.core.thresholds.Method`.
    threads, providers, fast
        For ONNX Runtime, where ``model`` is a path; see :class:`~trtcal_widgets.OnnxRuntimeRunner`.
    range_from
        A saved session of this model, whose ranges histograms start from: :meth:`load` can merge both.

    Attributes
    ----------
    graph, tensors, calibrated
        The model's facts; names of its floating-point tensors in graph order, and of all but the weights among them.
    recorder, runner, plan
        What runs the batches, the model, the batches: the session's to close; None where it was loaded without them.
    runner_name, source_text, range_mode, plan_options, weight_ranges, inputs
        What ran the model and where data came from, in words; how batches were cut; ranges per channel; files read.
    samples
        Single samples: what they reach, and leaving them out; see :class:`~trtcal_widgets.session.samples.Samples`.

    Raises
    ------
    ModelError, DataError, UsageError
        If the model or the data cannot be used; says why and what to do. Methods that take a tensor's ``name`` (in the
        ONNX file; amax is in that tensor's unit): a ModelError where there is none, a UsageError if it has no range.

    Examples
    --------
    >>> from trtcal_widgets import CalibrationSession, sample
    >>> session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
    >>> session.run()
    >>> session.to_cache().hex("data")
    '3c008912'
    """

    def __init__(
        self,
        model: _Path | Runner,
        source: Any,
        *,
        batch_size: int | None = None,
        last: Literal["drop", "pad", "keep"] = "drop",
        max_batches: int | None = None,
        range_mode: Literal["tensorrt", "two-pass"] = "tensorrt",
        method: str | Method = "entropy",
        threads: int | None = None,
        providers: Sequence[Any] | None = None,
        fast: bool = False,
        range_from: _Path | None = None,
    ) -> None:
        one_of(range_mode, ("tensorrt", "two-pass"), "range_mode")
        runner = as_runner(model, threads=threads, providers=providers, fast=fast)
        plan = plan_of(runner, source, batch_size=batch_size, last=last, max_batches=max_batches)
        ranges, state = ranges_of(range_from, runner.graph, range_mode), SessionState(method=Method.parse(method))
        self._assemble(new_parts(runner, plan, range_mode, state, ranges, () if range_from is None else (range_from,)))

    def _assemble(self, parts: Parts) -> None:
        self._parts = parts
        self.graph, self.range_mode, self.recorder = parts.graph, parts.range_mode, parts.recorder
        self.tensors, self.calibrated = parts.graph.float_tensors, parts.graph.calibrated
        self.plan: BatchPlan | None = parts.recorder.plan if parts.recorder else None
        self.runner: Runner | None = parts.recorder.runner if parts.recorder else None
        self.runner_name, self.source_text = parts.origin.runner_name, parts.origin.source_text
        self.plan_options = parts.origin.plan_options
        self._store, self._choices, self.weight_ranges = parts.store, parts.choices, parts.weights
        self._busy, self._numbers = threading.Lock(), parts.numbers()
        self.samples = Samples(parts, self._numbers, self._busy, self.update)
        self._subscribers, self.inputs = Subscribers(self.state, self.status), parts.inputs()

    @property
    def state(self) -> SessionState:
        """The user's intent: frozen; change it with :meth:`update` or the methods that call it."""
        return self._choices.state

    @property
    def status(self) -> RunStatus:
        """How the run through the batches stands."""
        return self.recorder.status(busy=self._busy.locked()) if self.recorder else self._parts.rest

    def group(self, name: str) -> tuple[str, ...]:
        """Return the tensors that share this tensor's scale, itself included; the first one's histogram decides."""
        return self.graph.group_of(name)

    def subscribe(self, callback: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Have ``callback(changed)`` called once per change, with the names of what changed.

        Fields of :class:`SessionState`, ``status``, ``data`` (histograms); from any thread. Returns what ends it.
        """
        return self._subscribers.add(callback)

    def _tell(self) -> None:
        self._subscribers.tell(self.state, self.status)

    def _changed(self) -> None:
        self._numbers.at(self.state)  # lets go of the histograms of the view before
        self._tell()

    # Running the batches; an interrupted run keeps the last whole batch
    def step(self) -> bool:
        """Count one more batch: a recorded one, or else :meth:`run` the next one. False at the end."""
        before = len(self._store)
        if self.state.position < before:
            self.update(position=self.state.position + 1)
            return True
        self._record(until=before + 1)
        return len(self._store) > before

    def back(self) -> bool:
        """Count one batch fewer; False at the start. The batch stays recorded."""
        before = self.state.position
        self.update(position=max(before - 1, 0))
        return before > 0

    def seek(self, position: int) -> None:
        """Count exactly the first ``position`` batches; run those not recorded. A UsageError where there are fewer."""
        n_batches, position = self.status.n_batches, whole_number(position, "a position")
        if position < 0 or (n_batches is not None and position > n_batches):
            raise UsageError(f"there are 0 to {n_batches} batches to count, not {position}")
        if position > len(self._store):
            self._record(until=position)
        self._move(position)

    def run(self, until: int | None = None, progress: _Progress | None = None, executor: Any = None) -> None:
        """Record every batch (or up to ``until``) and count them all; ``progress`` is called after each.

        ``executor``: one of :mod:`concurrent.futures`, a Dask client or a number of processes counts them, to the same
        bits (docs/many-machines.md). DataError, ModelError or SessionError if a batch cannot be read or run; the
        batches before it are kept. A :exc:`KeyboardInterrupt` goes through, and leaves the last whole batch as well.
        """
        self._record(None if until is None else whole_number(until, "until", 0), progress, executor)
        self._move(len(self._store) if until is None else until)

    def cancel(self) -> None:
        """Have a run in another thread stop after its present batch."""
        if self.recorder:
            self.recorder.cancel()

    def _move(self, position: int) -> None:
        if min(position, len(self._store)) != self.state.position:
            self.update(position=min(position, len(self._store)))

    def _record(self, until: int | None, *how: Any) -> None:
        if self.recorder is None:
            raise no_recorder("this session was loaded without its model and data")
        if self._busy.locked():
            raise SessionError("a run is going on already; cancel it or wait for its end")
        try:
            # On one line: between two, an interrupt that a tracer makes would leave the lock locked.
            with self._busy: self.recorder.run(until, self._tell, *how)  # noqa: E701  # fmt: skip
        finally:
            self._tell()

    # Deciding; every decision can be undone, and none runs the model
    def update(self, **change: Any) -> None:
        """Change the intent: fields of :class:`SessionState`. A UsageError where one cannot be."""
        self._choices.change(self.status.n_batches, **change)
        self._changed()

    def exclude(self, batch: int) -> None:
        """Leave a batch out of the histograms (from 0). The model is not run again."""
        self.update(excluded=self.state.excluded | {whole_number(batch, "a batch")})

    def include(self, batch: int) -> None:
        """Count a batch again."""
        self.update(excluded=self.state.excluded - {whole_number(batch, "a batch")})

    def choose(self, name: str, *, method: str | Method | None = None, amax: float | None = None) -> None:
        """Choose a method, or a threshold of your own > 0, for a tensor (no weight) and all that share its scale."""
        parsed = None if method is None else Method.parse(method)
        choice = Choice(parsed, None if amax is None else number(amax, "amax"))
        self.update(choices={**self.state.choices, self._choices.leader(name): choice})

    def choose_all(self, method: str | Method) -> None:
        """Choose the method for every tensor; choices of single tensors go (undo brings them back)."""
        self.update(method=method, choices={})

    def reset(self, name: str | None = None) -> None:
        """Forget the choice for a tensor's group, or all choices."""
        leader = None if name is None else self._choices.leader(name)
        kept = {} if leader is None else {key: c for key, c in self.state.choices.items() if key != leader}
        self.update(choices=kept)

    def choice(self, name: str) -> Choice | None:
        """Return what the user chose for a tensor's group, if anything."""
        return self.state.choices.get(self.group(name)[0])

    def is_mine(self, name: str) -> bool:
        """Whether the user chose for this tensor's group."""
        return self.choice(name) is not None

    can_undo = property(lambda self: self._choices.can_undo, doc="Whether there is a decision to take back.")
    can_redo = property(lambda self: self._choices.can_redo, doc="Whether a decision was taken back.")

    def undo(self) -> None:
        """Take the last decision back: a choice, the method for all, or an excluded batch."""
        self._choices.undo()
        self._changed()

    def redo(self) -> None:
        """Make the decision again that was taken back last."""
        self._choices.redo()
        self._changed()

    # What the counted batches and the choices come to; nothing here changes the session
    @property
    def _view(self) -> View:
        return self._numbers.at(self.state)

    def histogram(self, name: str) -> Histogram:
        """Return a tensor's histogram over the counted batches."""
        return self._view.histogram(self._choices.known(name))

    def curve(self, name: str, method: str | Method) -> ThresholdCurve:
        """Return a method's objective and pick for a tensor's own histogram."""
        return self._view.curve(self._choices.known(name), Method.parse(method))

    def amax(self, name: str, method: str | Method | None = None) -> float:
        """Return the threshold in use for a tensor, or the one that a method would pick; 0 before the first batch."""
        leader, view = self.group(self._choices.known(name))[0], self._view
        return view.amax(leader, view.intent(name, self.state) if method is None else Method.parse(method))

    def scale(self, name: str) -> float:
        """Return amax / 127 in float32, as a Python float."""
        return float(scale_of_amax(self.amax(name)))

    def cost(self, name: str, amax: float | None = None) -> Cost:
        """Return what a threshold costs a tensor (the chosen one, unless another is given)."""
        return self._view.cost(self._choices.known(name), self.amax(name) if amax is None else number(amax, "amax"))

    def sqnr_range(self, name: str) -> tuple[float, float]:
        """Return the least and the largest SQNR (dB) that the chosen threshold can have, as the bins leave it open."""
        return self._view.sqnr_range(self._choices.known(name), self.amax(name))

    def trace(self, name: str, methods: Iterable[str | Method] = ("entropy", "minmax")) -> Trace:
        """Return how the thresholds of a tensor's group moved as batches were added, by method."""
        return self._view.trace(self._choices.known(name), [Method.parse(m) for m in methods])

    def row(self, name: str) -> TensorRow:
        """Return the numbers of one tensor."""
        return self._view.row(self._choices.known(name), self.state)

    def table(self) -> list[TensorRow]:
        """Return the numbers of every tensor, in graph order."""
        return self._view.rows(self.tensors, self.state)

    def pending_rows(self) -> int:
        """Return how many rows of :meth:`table` are not computed yet: what it costs to ask for it now."""
        return self._view.pending(self.tensors, self.state)

    def batch_amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each recorded batch, shape (recorded,)."""
        fixed = self._parts.constants.get(self._choices.known(name))
        return self._store.amax(name) if fixed is None else np.full(len(self._store), fixed.amax)

    def batch_histogram(self, name: str, batch: int) -> Histogram | None:
        """Return a tensor's histogram in a recorded batch (else a UsageError), None where the batch did not have it."""
        if not 0 <= whole_number(batch, "a batch") < len(self._store):
            raise UsageError(f"batch {batch} is not recorded; there are {len(self._store)}, counted from 0")
        return self._parts.constants.get(self._choices.known(name)) or self._store.get(batch, name)

    def thumbnails(self, batch: int) -> list[NDArray[np.uint8]]:
        """Return small pictures of a batch's samples, uint8 (h, w, 3); none where they are not images."""
        index = whole_number(batch, "a batch", 0)
        return list(self.plan.thumbnails(index)) if self.plan else []

    # Leaving with files
    def to_cache(
        self,
        algorithm: str | None = None,
        version: str | None = None,
        rows: str | Iterable[str] = "tensorrt",
        infinite: Literal["finite", "tensorrt"] = "finite",
    ) -> CalibrationCache:
        """Return TensorRT's calibration cache; a SessionError without a batch, an ExportError for names it cannot have.

        Parameters
        ----------
        algorithm
            For the header; None: MinMaxCalibration or LegacyCalibration where minmax or legacy is the method for all,
            else EntropyCalibration2. For 8.x, EntropyCalibration and LegacyCalibration lack the rows in fused kernels.
        version
            TensorRT's, for the header: ``"8.6.1"``; None: the installed one's, or the last with calibrators. Rows have
            its names (constants from 10 on ``<constant>_output``) and, for 8.x, its order; see :meth:`left_out_rows`.
        rows
            ``"tensorrt"``: inputs, activations and constants; ``"activations"``: no constants; or names.
        infinite
            Where TensorRT's scale is infinite: ``"finite"`` writes ours, ``"tensorrt"`` infinity.
        """
        names, version = self.row_names(rows), default_version() if version is None else version
        return cache_of(self.graph, self._view, self.state, rows, names, algorithm, version, infinite, self.inputs)

    def left_out_rows(self, version: str | None = None) -> tuple[tuple[str, str], ...]:
        """Return (row, why) for what TensorRT 8.x writes and :meth:`to_cache` cannot; ``?`` is an unknown number."""
        return left_out(self.graph, self._view, self.state, default_version() if version is None else version)

    def row_names(self, rows: str | Iterable[str] = "tensorrt") -> tuple[str, ...]:
        """Return the tensors that :meth:`to_cache` would write for ``rows``; a UsageError where one can have no row."""
        return rows_to_write(self.graph, rows, self._choices.leader)

    def to_torch_quantizers(self, rows: str | Iterable[str] = "activations") -> dict[str, float]:
        """Return tensor name -> amax, to start quantisation-aware training from these ranges.

        pytorch-quantization and ModelOpt take it as ``quantizer.amax = amax``; tensors without a range are left out.
        """
        names = self.row_names(rows)
        found = zip(names, self._view.thresholds(names, self.state), strict=True)
        return {name: amax for name, amax in found if 0 < amax < float("inf")}

    to_frame, weight_channels, _repr_html_, _repr_markdown_ = frame_of, channels_of, html_of, markdown_of

    def save(self, path: _Path) -> None:
        """Write everything that was recorded and chosen to one file (numpy arrays and JSON in a zip), atomically."""
        save_session(self._parts, self.status, path)

    @classmethod
    def load(
        cls, path: _Path | Sequence[_Path], model: _Path | Runner | None = None, source: Any = None, **options: Any
    ) -> CalibrationSession:
        """Read what :meth:`save` wrote.

        Without ``model`` and ``source`` it can be looked at, changed and exported; with both, more can be recorded.
        ``options``: the constructor's. Several files of one R (``range_from``) become one session, batches in order.
        A SessionError where ``path`` is damaged, of a newer release, or files cannot be merged.
        """
        session = cls.__new__(cls)
        CalibrationSession._assemble(session, load_or_merge(path, model, source, options))
        return session

    def close(self) -> None:
        """Free the model. What was recorded can still be looked at, changed and exported; a step opens it again."""
        if self.recorder is not None:
            self.recorder.close()

    def __repr__(self) -> str:
        return f"<CalibrationSession {self.graph.name}: {', '.join(words_of(self))}>"
