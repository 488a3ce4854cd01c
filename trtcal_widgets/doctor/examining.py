"""Is the set of data enough? Everything that the recorded batches of a session say about it, in one report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import number, whole_number
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.doctor.draws import draw
from trtcal_widgets.doctor.law import bootstrap
from trtcal_widgets.doctor.scales import scales_of_data
from trtcal_widgets.doctor.settling import Setting, settle
from trtcal_widgets.doctor.types import BAR_DB, DataReport, Settling
from trtcal_widgets.doctor.warnings.finding import find_warnings
from trtcal_widgets.doctor.words import verdict
from trtcal_widgets.errors import CancelledError, SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.session import CalibrationSession


def examine(
    session: CalibrationSession,
    *,
    resamples: int = 200,
    bar_db: float = BAR_DB,
    method: str | Method | None = None,
    seed: int = 0,
    read_inputs: bool = True,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> DataReport:
    """Say whether a session's counted batches are enough data, what their order changes, and what stands out.

    The model is not run: random subsets and orders of the recorded batches show how far thresholds still move. It can
    run beside other work: the search holds no GIL, and the session is only read.

    Parameters
    ----------
    session
        With recorded batches; those that it counts are looked at.
    resamples
        How many random draws of batches; each gives every tensor a threshold in two passes and in TensorRT's one.
    bar_db
        By how much the SQNR of a tensor may be off, dB.
    method
        Which threshold is looked at; None: each tensor's own, as it was chosen.
    seed
        Of the random draws: the same seed gives the same report.
    read_inputs
        Whether the samples are read once more for the warnings about them, where the session has its data.
    progress
        Called with the number of scales done and of all, from this thread.
    cancelled
        Asked between scales; True ends it with a :exc:`~trtcal_widgets.errors.CancelledError`.

    Raises
    ------
    SessionError
        If no batch is counted.
    CancelledError
        If ``cancelled`` said so.
    UsageError
        If an argument cannot be meant.

    Examples
    --------
    >>> from trtcal_widgets import CalibrationSession, sample
    >>> from trtcal_widgets.doctor import examine
    >>> session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
    >>> session.run()
    >>> report = examine(session, resamples=40)
    >>> len(report.tensors)
    8
    """
    resamples, seed = whole_number(resamples, "resamples", 1), whole_number(seed, "a seed", 0)
    bar_db = number(bar_db, "bar_db")
    if not bar_db > 0:
        raise UsageError(f"bar_db is a number of dB greater than 0, not {bar_db:g}")
    state, status = session.state, session.status
    left = {b: session.samples.counted_in(b) for b in range(state.position) if b not in state.excluded}
    batches = tuple(b for b, (counted, recorded) in left.items() if counted or not recorded)
    if not batches:
        raise SessionError("no batch is counted, so there is nothing to examine: run the session first")
    draws = draw(len(batches), resamples, seed)
    n_samples = round(status.n_samples * len(batches) / max(status.recorded, 1))
    n_samples -= sum(left[b][1] - left[b][0] for b in batches)
    in_order = session.range_mode == "tensorrt"
    setting = Setting(draws, bootstrap(draws, seed), bar_db, n_samples / len(batches), batches, in_order)
    forced = None if method is None else Method.parse(method)
    names = scales_of_data(session)

    def stop() -> None:
        if cancelled is not None and cancelled():
            raise CancelledError("examining the data was cancelled")

    def one(name: str) -> Settling:
        stop()
        parts = [session.samples.histogram_in(name, b) or Histogram.empty() for b in batches]
        choice = session.choice(name)
        if forced is None and choice is not None and choice.amax is not None:
            return settle(name, session.group(name), "mine", float(choice.amax), parts, setting)
        picks = forced or (choice.method if choice is not None and choice.method else state.method)
        return settle(name, session.group(name), picks.label, picks, parts, setting)

    tensors: list[Settling] = []
    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            for done, found in enumerate(pool.map(one, names), 1):
                tensors.append(found)
                if progress is not None:
                    progress(done, len(names))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    warnings = find_warnings(session, batches, names, read_inputs=read_inputs, stop=stop)
    return DataReport(
        verdict=verdict(tensors, warnings, n_samples, len(batches), bar_db),
        tensors=tuple(tensors),
        warnings=warnings,
        model=session.graph.name,
        batches=batches,
        n_samples=n_samples,
        bar_db=bar_db,
        resamples=resamples,
        seed=seed,
        recorded_way="one-pass" if in_order else "two-pass",
    )
