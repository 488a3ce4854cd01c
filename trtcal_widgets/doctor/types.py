"""What the doctor finds, as frozen values: everything that a screen or a page about the data shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Columns of :attr:`Band.quantiles`."""

BAR_DB = 0.5
"""How far a tensor's SQNR may be off, in dB, unless another bar is given: a sixteenth of what a bit is worth, and about
what moving a threshold by 6 % costs or brings."""

Severity = Literal["severe", "warning", "note"]
"""``severe``: trust no number before it is mended. ``warning``: look at it. ``note``: often harmless."""

Sureness = Literal["certain", "likely", "guess"]
"""``certain``: counted. ``likely``: measured, and nothing else that we know of looks like it. ``guess``: a pattern that
right data show as well, how often is said in ``docs/calibration-data.md``."""

Way = Literal["two-pass", "one-pass"]
"""How the batches of a draw are counted: over a range that is known before, or as TensorRT does, see :class:`Band`."""


@dataclass(frozen=True, eq=False)
class Band:
    """The thresholds that random draws of the counted batches give, for growing numbers of batches.

    Two-pass: subsets over the bins that were recorded; what the session's own pick would be if these batches alone were
    counted, exact. One-pass: subsets in an order, as TensorRT counts them: the range starts from the first batch of the
    draw. That range follows exactly from the recorded maxima; the counts over its bins are only known where the
    recorded first batch comes first, and are elsewhere made from the recorded ones (``docs/calibration-data.md``).

    Attributes
    ----------
    way
        ``two-pass`` or ``one-pass``.
    sizes
        int64, shape (k,), read-only: numbers of batches, growing; the last one is all of them.
    quantiles
        float64, shape (k, 5), read-only: the picks' :data:`QUANTILES`, amax in the tensor's unit.
    draws
        int64, shape (k,), read-only: how many different draws there are behind each size.
    """

    way: Way
    sizes: NDArray[np.int64]
    quantiles: NDArray[np.float64]
    draws: NDArray[np.int64]


@dataclass(frozen=True)
class Needed:
    """How much data a tensor needs until its threshold is settled; an estimate, or the reason why there is none.

    Attributes
    ----------
    images
        The estimate, in samples; 0 where no number of samples changes the threshold. None: it cannot be told.
    low, high
        Between what it lies with 80 % probability, as far as the same law goes on; None where ``images`` is.
    exponent
        With which power of the number of batches the error falls (0.5: the textbook's); nan where it is not known.
    reason
        Why it cannot be told, a short sentence; empty where it can.
    """

    images: int | None
    low: int | None
    high: int | None
    exponent: float
    reason: str


@dataclass(frozen=True, eq=False)
class OrderEffect:
    """What a tensor's threshold would be if another batch came first, with all counted batches in TensorRT's one pass.

    The range starts from the first batch that has a value and grows by doubling; which batches come later in which
    order changes nothing (but for values that lie exactly on the edge of a range).

    Attributes
    ----------
    first
        int64, shape (n,), read-only: the counted batches, any of which could come first.
    ranges
        float64, shape (n,), read-only: R after all batches, exact; 0 where there is no value but zeros.
    picks
        float64, shape (n,), read-only: the threshold with each batch first. The one of the recorded first batch is
        exact where the session recorded in TensorRT's one pass; the others are estimates.
    recorded
        The threshold in the order that TensorRT sees: the recorded one.
    low, high
        The smallest and the largest of ``picks``.
    worst_db
        By how much the SQNR over all data differs at most between ``recorded`` and one of ``picks``, in dB.
    depends
        Whether that is more than the bar.
    """

    first: NDArray[np.int64]
    ranges: NDArray[np.float64]
    picks: NDArray[np.float64]
    recorded: float
    low: float
    high: float
    worst_db: float
    depends: bool


@dataclass(frozen=True, eq=False)
class Settling:
    """How far one tensor's threshold has settled. Thresholds are amax in the tensor's unit.

    Attributes
    ----------
    name
        The tensor: the first one of its ``group``.
    group
        The tensors that share its scale, itself included.
    method
        The label of the method that picks, or ``mine`` where the user's own value holds and no data changes it.
    amax
        The pick now, over all counted batches.
    sqnr_db
        SQNR over all counted data with it; nan where there is no value but zeros.
    two_pass, one_pass
        What draws of fewer batches would have picked.
    settled
        Whether ``off_db`` is within the bar; None where it cannot be told (too few batches).
    off_db
        How far the threshold may be off: the difference in SQNR over all data that 95 % of the halves of the batches
        stay within, dB. Halves differ from the whole as much as the whole does from the truth. Where the largest
        value of all is the threshold it is at least what five more doublings of the data would change, each by as much
        as the last one. nan: cannot be told.
    off_low, off_high
        The 5 % and 95 % quantile of the halves' picks over the pick now: 0.9 is 10 % lower. nan: cannot be told.
    needed
        How many samples it takes until it is settled.
    order
        What other orders of the batches would have given.
    reason
        Why ``settled`` cannot be told, a short sentence; empty where it can.
    """

    name: str
    group: tuple[str, ...]
    method: str
    amax: float
    sqnr_db: float
    two_pass: Band
    one_pass: Band
    settled: bool | None
    off_db: float
    off_low: float
    off_high: float
    needed: Needed
    order: OrderEffect
    reason: str = ""


@dataclass(frozen=True)
class DataWarning:
    """Something about the data that often spoils a calibration.

    Attributes
    ----------
    kind
        One word per check: ``duplicates``, ``near-duplicates``, ``one-class``, ``one-source``, ``idle-batches``,
        ``idle-samples``, ``unscaled``, ``constant-channel``, ``swapped-channels``, …; ``docs/calibration-data.md``
        explains each.
    severity, sure
        How bad it is, and how sure.
    what
        What was found, one sentence. Plain text, never markup; names are made printable.
    evidence
        The numbers behind it.
    mend
        What to do about it.
    samples, batches, tensors
        What it is about, the worst first: places of samples in the order of the data, of batches (both from 0), names.
    """

    kind: str
    severity: Severity
    sure: Sureness
    what: str
    evidence: str
    mend: str
    samples: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Three lines, for the top of a screen. Plain text.

    Attributes
    ----------
    enough
        Whether the set is enough by the bar; None where that cannot be told.
    amount
        Is it enough data: yes, no, or cannot be told, and how much would be.
    order
        Does the result depend on the order of the batches.
    cause
        What stands out in the data: the worst warning, and how many more there are.
    """

    enough: bool | None
    amount: str
    order: str
    cause: str

    @property
    def lines(self) -> tuple[str, str, str]:
        """The three lines."""
        return self.amount, self.order, self.cause


@dataclass(frozen=True, eq=False)
class DataReport(Shown):
    """What :func:`~trtcal_widgets.doctor.examine` found out about a session's data.

    Attributes
    ----------
    verdict
        Three lines.
    tensors
        One entry for each scale that data decide, in graph order; tensors that share a scale are one entry.
    warnings
        The worst first.
    model
        The model's file name.
    batches
        The counted batches, in the order in which they were counted (from 0).
    n_samples
        Samples in them.
    bar_db
        By what ``settled`` and ``depends`` were decided, dB.
    resamples, seed
        How many draws were asked for, and from which state of the random numbers.
    recorded_way
        How the session recorded: ``one-pass`` is TensorRT's.
    """

    verdict: Verdict
    tensors: tuple[Settling, ...]
    warnings: tuple[DataWarning, ...]
    model: str
    batches: tuple[int, ...]
    n_samples: int
    bar_db: float
    resamples: int
    seed: int
    recorded_way: Way

    def _summary(self) -> Summary:
        found = [(f"{w.severity} · {w.sure}", w.what, w.mend) for w in self.warnings[:MOST_ROWS]]
        return Summary(
            f"{self.model}: {count_of(self.n_samples, 'sample')} of calibration data",
            self.verdict.lines,
            ("weight", "what stands out", "what to do"),
            tuple(found),
            left_out(len(self.warnings), ".warnings"),
        )

    def tensor(self, name: str) -> Settling | None:
        """Return the entry of a tensor or of the group that it is in; None where no data decide its scale."""
        return next((t for t in self.tensors if name == t.name or name in t.group), None)

    @property
    def unsettled(self) -> tuple[Settling, ...]:
        """The tensors that have not settled, the worst first."""
        return tuple(sorted((t for t in self.tensors if t.settled is False), key=lambda t: -t.off_db))

    @property
    def unknown(self) -> tuple[Settling, ...]:
        """The tensors of which it cannot be told."""
        return tuple(t for t in self.tensors if t.settled is None)

    @property
    def order_dependent(self) -> tuple[Settling, ...]:
        """The tensors whose threshold depends on which batch comes first, the worst first."""
        return tuple(sorted((t for t in self.tensors if t.order.depends), key=lambda t: -t.order.worst_db))

    @property
    def needed(self) -> Needed:
        """What the tensor needs that needs most; that of a tensor of which it cannot be told, where there is one."""
        open_ = [t.needed for t in self.tensors if t.settled is not True]
        unknown = [n for n in open_ if n.images is None]
        if unknown:
            return unknown[0]
        worst = max((t.needed for t in self.tensors if t.needed.images is not None), key=_images, default=None)
        return worst or Needed(None, None, None, float("nan"), "no scale depends on the data")


def _images(needed: Needed) -> int:
    return needed.images or 0


@dataclass(frozen=True)
class Gate:
    """Whether a set of data passes a bar, for scripts and CI.

    Attributes
    ----------
    passed
        Whether it does; what cannot be told does not pass.
    text
        Why, in one sentence.
    failing
        The tensors that fail it, the worst first.
    warnings
        The warnings that fail it.
    """

    passed: bool
    text: str
    failing: tuple[str, ...] = ()
    warnings: tuple[DataWarning, ...] = ()
