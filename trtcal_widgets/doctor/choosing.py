"""A small set of samples whose thresholds do as well as those of all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count as counted
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import number, whole_number
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.common.figures import AS_GIVEN, decibels, plain
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.resampling import Resampling
from trtcal_widgets.doctor.rows import features, herded, widest_first
from trtcal_widgets.doctor.samples import Chosen, Samples
from trtcal_widgets.doctor.scales import scales_of_data
from trtcal_widgets.errors import CancelledError, SessionError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.common.files import ReadFiles
    from trtcal_widgets.core.thresholds import Method
    from trtcal_widgets.session import CalibrationSession

_GROWTH = 1.25
"""Sizes that are tried grow by this factor."""

_RANDOM_ROWS = 14
_RUNS = 3
"""Subsets of one length that are run."""

_LENGTHS = 4
"""How many longer lengths are tried by steps where running shows more loss than the records did, before each is twice
the last one; twice as many shorter ones."""


@dataclass(frozen=True)
class SmallSet:
    """A subset of the recorded samples whose thresholds do as well, and what was tried to know that.

    Attributes
    ----------
    samples
        Places in the order of the data, from 0, growing.
    labels
        The paths of their files, in the same order; empty texts where the data are no files.
    of
        How many samples there were to choose from.
    loss_db
        The largest loss of SQNR on all counted data with this subset's thresholds against the session's, over all
        scales, dB; measured by running the subset as a session of its own.
    worst
        The tensor that loses it.
    goal_db
        The loss that was allowed; None where a number of samples was asked for.
    random_db
        What random subsets of the same size lose, each of them run; sorted.
    better_than_random
        Whether ``loss_db`` is less than the median of ``random_db``; None where none was run.
    text
        What came out, honest also where chance does as well: one to three sentences.
    inputs
        The files that the session reads: :meth:`write` replaces none of them.
    """

    samples: tuple[int, ...]
    labels: tuple[str, ...]
    of: int
    loss_db: float
    worst: str
    goal_db: float | None
    random_db: tuple[float, ...]
    better_than_random: bool | None
    text: str
    inputs: ReadFiles | None = field(default=None, repr=False, compare=False)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the files' paths, one a line, as :class:`~trtcal_widgets.ImageFolder` and ``trtcal`` read them.

        Raises
        ------
        UsageError
            If the data are no files, or the name of one holds a line break.
        ExportError
            If the file cannot be written; the old one is as it was.
        """
        if not all(self.labels):
            raise UsageError("these samples come from no files, so there is no list of files: use .samples")
        broken = next((label for label in self.labels if len(label.splitlines()) != 1), None)
        if broken is not None:
            raise UsageError(f"{printable(broken)} cannot stand in a list, which has one path a line: rename the file")
        quoted = (f'"{label}"' for label in self.labels)
        write_atomic(path, ("\n".join(quoted) + "\n").encode("utf-8", "surrogateescape"), inputs=self.inputs)


def small_set(
    session: CalibrationSession,
    *,
    loss_db: float | None = None,
    count: int | None = None,
    random: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SmallSet:
    """Choose the fewest samples whose thresholds lose no more than ``loss_db``, or the best ``count`` of them.

    Every sample is run alone once, over the session's ranges, so that the thresholds of any subset are known; those
    that the session has counted by themselves are not run again, those that are left out are not chosen. Rows of
    samples are then cut at the same length: one that takes each time the sample that brings the tails of all tensors
    nearest to those of all samples (Welling, *Herding dynamical weights to learn*, 2009), one that takes those first
    that set the largest values, and random ones. The best beginnings are run as sessions of their own, and the one that
    then loses least is taken.

    Parameters
    ----------
    session
        With counted batches, its model and its data.
    loss_db
        How much lower the SQNR of any scale may be on all counted data, dB. Give this or ``count``.
    count
        How many samples to choose.
    random
        How many random subsets of the same size are run to compare with.
    seed
        Of the random subsets.
    progress
        Called with the samples run and their number.
    cancelled
        Asked after each sample; True ends it with a :exc:`~trtcal_widgets.errors.CancelledError`.

    Raises
    ------
    SessionError
        If no batch is counted, or the session has no model or data.
    UsageError
        If both or none of ``loss_db`` and ``count`` are given, or one cannot be meant.
    DataError, ModelError
        If a sample cannot be read or run.

    Examples
    --------
    >>> from trtcal_widgets import CalibrationSession, sample
    >>> from trtcal_widgets.doctor import small_set
    >>> session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
    >>> session.run()
    >>> len(small_set(session, count=10, random=3).samples)
    10
    """
    if (loss_db is None) == (count is None):
        raise UsageError("give either loss_db= (what may be lost) or count= (how many samples)")
    goal = None if loss_db is None else number(loss_db, "loss_db")
    if goal is not None and not goal > 0:
        raise UsageError(f"loss_db is a number of dB greater than 0, not {goal:g}")
    wanted = None if count is None else whole_number(count, "count", 1)
    random = whole_number(random, "random", 0)
    if not session.state.position:
        raise SessionError("no batch is counted, so there is nothing to choose from: run the session first")
    choosing = _Choosing(session, progress, cancelled, seed)
    n = len(choosing.samples)
    if wanted is not None and wanted > n:
        raise UsageError(
            f"there {'is' if n == 1 else 'are'} {count_of(n, 'sample')}, fewer than the {wanted} that are asked for"
        )
    size = wanted or choosing.smallest(goal or 0.0)
    chosen, lost, worst = choosing.run(size, goal)
    rng = np.random.default_rng([seed, 1])
    tried = random if len(chosen) < n else 0
    subsets = [sorted(rng.choice(n, len(chosen), replace=False).tolist()) for _ in range(tried)]
    by_chance = sorted(choosing.really(subset)[0] for subset in subsets)
    return SmallSet(
        samples=tuple(choosing.samples.places[k] for k in chosen),
        labels=tuple(choosing.samples.label(k) for k in chosen),
        of=n,
        loss_db=lost,
        worst=worst,
        goal_db=goal,
        random_db=tuple(by_chance),
        better_than_random=lost < float(np.median(by_chance)) if by_chance else None,
        text=_text(len(chosen), n, lost, worst, goal, by_chance),
        inputs=session.inputs,
    )


class _Choosing:
    """What choosing from a session's samples needs."""

    def __init__(
        self,
        session: CalibrationSession,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
        seed: int,
    ) -> None:
        self._session = session
        self.samples = Samples(session)
        self._names = [n for n in scales_of_data(session) if session.histogram(n).amax > 0]
        self._whole = [session.histogram(name) for name in self._names]
        self._amax = np.array([session.amax(name) for name in self._names])
        self._models = [NoiseModel(h) for h in self._whole]
        self._own = np.array([self._sqnr(i, a) for i, a in enumerate(self._amax)])

        def done(k: int) -> None:
            if progress is not None:
                progress(k, len(self.samples))
            stop()

        def stop() -> None:
            if cancelled is not None and cancelled():
                raise CancelledError("choosing samples was cancelled")

        self._stop = stop
        bases = {name: h.base for name, h in zip(self._names, self._whole, strict=True)}
        self._parts = self.samples.record(self._names, bases, done)
        nearest = herded(features(self._parts, self._whole))
        rng = np.random.default_rng([seed, 0])
        self._rows = [nearest, widest_first(self._parts, nearest)]
        self._rows += [rng.permutation(len(self.samples)).tolist() for _ in range(_RANDOM_ROWS)]

    def _sqnr(self, i: int, amax: float) -> float:
        noise = self._models[i].noise(np.array([amax]))[0, 1:].sum()
        return min(self._models[i].sqnr_db(float(noise)), 200.0)

    def _method(self, name: str) -> Method | None:
        choice = self._session.choice(name)
        if choice is not None and choice.amax is not None:
            return None  # the user's own threshold does not follow from samples
        return choice.method if choice is not None and choice.method else self._session.state.method

    def losses(self, subsets: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Return what each scale loses with each subset's thresholds over the session's bins, (scales, subsets)."""
        draws = np.full((len(subsets), max(map(len, subsets))), -1, np.int64)
        for row, subset in zip(draws, subsets, strict=True):
            row[: len(subset)] = subset

        def of(i: int) -> list[float]:
            method = self._method(self._names[i])
            if method is None:
                return [0.0] * len(subsets)
            amax, _ = Resampling(self._parts[i], in_order=False).picks(draws, method, one_pass=False)
            return [max(float(self._own[i]) - self._sqnr(i, a), 0.0) for a in amax.tolist()]

        with ThreadPoolExecutor(available_cores()) as pool:
            return np.array(list(pool.map(of, range(len(self._names)))), np.float64).reshape(-1, len(subsets))

    def _ranked(self, size: int) -> list[tuple[float, list[int]]]:
        """Return the beginnings of all rows with what they lose, the best first."""
        self._stop()
        subsets = [sorted(row[:size]) for row in self._rows]
        lost = self.losses(subsets).max(axis=0, initial=0.0).tolist()
        return sorted(zip(lost, subsets, strict=True))

    def smallest(self, goal: float) -> int:
        """Return the length at which some row loses no more than the goal, by halving the interval of lengths."""
        n = len(self.samples)
        sizes: list[int] = sorted({*range(1, min(n, 8) + 1), *(min(n, int(8 * _GROWTH**k)) for k in range(64)), n})
        low, high = 0, len(sizes) - 1
        while low < high:
            middle = (low + high) // 2
            if self._ranked(sizes[middle])[0][0] <= goal:
                high = middle
            else:
                low = middle + 1
        return int(sizes[high])

    def run(self, size: int, goal: float | None) -> tuple[list[int], float, str]:
        """Run the best beginnings of that length; with a goal longer ones until it is met, then shorter ones."""
        best = self._best_of(size, goal)
        if goal is None:
            return best
        for tried in counted():
            if best[1] <= goal or size == len(self.samples):
                break
            size = min(max(int(size * (_GROWTH if tried < _LENGTHS else 2)), size + 1), len(self.samples))
            best = self._best_of(size, goal)
        for _ in range(2 * _LENGTHS):
            size = min(int(size / _GROWTH), size - 1)
            shorter = self._best_of(size, goal) if size and best[1] <= goal else None
            if shorter is None or shorter[1] > goal:
                break
            best = shorter
        return best

    def _best_of(self, size: int, goal: float | None) -> tuple[list[int], float, str]:
        """Run the best beginnings of a length until one meets the goal; return the one that loses least."""
        found: list[tuple[float, str, list[int]]] = []
        for _, subset in self._ranked(size)[:_RUNS]:
            lost, worst = self.really(subset)
            found.append((lost, worst, subset))
            if goal is not None and lost <= goal:
                break
        lost, worst, subset = min(found)
        return subset, lost, worst

    def really(self, chosen: Sequence[int]) -> tuple[float, str]:
        """Run a subset as a session of its own; return what the worst scale loses, and its name."""
        self._stop()
        from trtcal_widgets.session import CalibrationSession

        session = self._session
        size, fixed = self.samples.plan.batch_size, self.samples.fixed
        if not self.samples.alike:
            size = None
        elif not fixed:
            size = min(size or 1, len(chosen))
        made = CalibrationSession(
            self.samples.runner,
            Chosen(self.samples, chosen),
            batch_size=size,
            last="pad" if size is not None and fixed else "keep",
            range_mode="two-pass" if session.range_mode == "two-pass" else "tensorrt",
            method=session.state.method,
        )
        made.run()
        made.update(choices=dict(session.state.choices))
        lost = [max(float(own) - self._sqnr(i, made.amax(n)), 0.0) for i, (n, own) in enumerate(self._owned())]
        worst = int(np.argmax(lost))
        return lost[worst], self._names[worst]

    def _owned(self) -> list[tuple[str, float]]:
        return list(zip(self._names, self._own.tolist(), strict=True))


def _text(size: int, of: int, lost: float, worst: str, goal: float | None, by_chance: Sequence[float]) -> str:
    found = f"{size} of {count_of(of, 'sample')}"
    loss = f"no scale loses more than {decibels(lost)} on all data ({printable(worst)}), as running them showed"
    if goal is not None and lost > goal:
        said = f"No smaller set was found that loses no more than {plain(goal, AS_GIVEN)} dB: with {found} {loss}."
    else:
        said = f"{found} do: {loss}." if goal is not None else f"With {found} {loss}."
    if not by_chance:
        return said
    middle = float(np.median(by_chance))
    chance = (
        f" Of {count_of(len(by_chance), 'random set')} of that size the middle one loses {decibels(middle)}, "
        f"the best {decibels(by_chance[0])}."
    )
    if lost >= middle:
        chance += " Chance does as well here: choosing brought nothing."
    return said + chance
