"""What is said about the data: every sentence of the verdict and the gate, in one place. Plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trtcal_widgets.common.arguments import number, one_of
from trtcal_widgets.common.figures import AS_GIVEN, decibels, percent, plain
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.doctor.types import Gate, Verdict
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.doctor.types import DataReport, DataWarning, Settling


def verdict(
    tensors: Sequence[Settling], warnings: Sequence[DataWarning], n_samples: int, n_batches: int, bar_db: float
) -> Verdict:
    """Return three lines: how much, in which order, and what stands out."""
    unknown = [t for t in tensors if t.settled is None]
    open_ = sorted((t for t in tensors if t.settled is False), key=lambda t: -t.off_db)
    severe = any(w.severity == "severe" for w in warnings)
    enough = None if unknown or not tensors else not open_ and not severe
    return Verdict(
        enough=enough,
        amount=_amount(tensors, unknown, open_, n_samples, n_batches, bar_db),
        order=_order(tensors, n_batches, bar_db),
        cause=_cause(warnings),
    )


def _amount(
    tensors: Sequence[Settling],
    unknown: Sequence[Settling],
    open_: Sequence[Settling],
    n_samples: int,
    n_batches: int,
    bar_db: float,
) -> str:
    data = f"{count_of(n_samples, 'sample')} in {count_of(n_batches, 'batch', 'batches')}"
    if not tensors:
        return "No scale of this model follows from the data."
    if unknown:
        return f"Cannot tell whether it is enough data ({data}): {unknown[0].reason}."
    scales = count_of(len(tensors), "scale")
    if not open_:
        worst = max(tensors, key=lambda t: t.off_db)
        return (
            f"Enough data: with {data}, all {scales} have settled to within {plain(bar_db, AS_GIVEN)} dB "
            f"(the worst, {printable(worst.name)}: {decibels(worst.off_db)})."
        )
    head = (
        f"Not enough data: with {data}, {len(open_):,} of {scales} may be off by more than {plain(bar_db, AS_GIVEN)} "
        f"dB, {printable(open_[0].name)} by {decibels(open_[0].off_db)}"
    )
    return f"{head}; {needed_text(open_)}."


def needed_text(open_: Sequence[Settling]) -> str:
    """Say how many samples the tensors that have not settled need."""
    known = [t.needed for t in open_ if t.needed.images is not None]
    unknown = len(open_) - len(known)
    if not known:
        return f"how many samples would be enough cannot be told ({open_[0].needed.reason})"
    most = max(known, key=lambda n: n.images or 0)
    number = f"about {most.images:,} samples would be enough (between {most.low:,} and {most.high:,})"
    return f"for {len(known)} of them {number}, for {unknown} it cannot be told" if unknown else number


def _order(tensors: Sequence[Settling], n_batches: int, bar_db: float) -> str:
    if n_batches < 2:
        return "One batch has no order."
    moved = sorted((t for t in tensors if t.order.depends), key=lambda t: -t.order.worst_db)
    if not moved:
        return (
            f"The order of the batches matters little: whichever came first, TensorRT's one pass would move "
            f"no scale by more than {plain(bar_db, AS_GIVEN)} dB."
        )
    worst = moved[0].order
    return (
        f"{count_of(len(moved), 'scale depends', 'scales depend')} on which batch TensorRT sees first, "
        f"{printable(moved[0].name)} most: from {significant(worst.low)} to {significant(worst.high)}, "
        f"{decibels(worst.worst_db)}."
    )


def _cause(warnings: Sequence[DataWarning]) -> str:
    if not warnings:
        return "Nothing stands out in the data."
    more = f" ({count_of(len(warnings) - 1, 'more warning')})" if len(warnings) > 1 else ""
    return f"{warnings[0].what}{more}"


def enough(
    report: DataReport,
    bar_db: float | None = None,
    *,
    share: float = 1.0,
    warnings: Literal["severe", "warning", "none"] = "severe",
) -> Gate:
    """Say whether a set of data passes a bar: for scripts, and CI, where what cannot be told does not pass.

    Parameters
    ----------
    report
        What :func:`~trtcal_widgets.doctor.examine` returned.
    bar_db
        By how much the SQNR of a scale may be off, dB; None: the report's own.
    share
        Share of the scales that must be within it, 0 to 1.
    warnings
        Which warnings fail as well: severe ones, warnings too, or none.

    Raises
    ------
    UsageError
        If an argument cannot be meant.
    """
    bar_db = report.bar_db if bar_db is None else number(bar_db, "bar_db")
    share = number(share, "share")
    one_of(warnings, ("severe", "warning", "none"), "warnings")
    if not (bar_db > 0 and 0 <= share <= 1):
        raise UsageError(f"bar_db is greater than 0 and share from 0 to 1, not {bar_db:g} and {share:g}")
    failing = sorted((t for t in report.tensors if not t.off_db <= bar_db), key=_worst_first)
    counted = {"severe": ("severe",), "warning": ("severe", "warning"), "none": ()}[warnings]
    named = tuple(w for w in report.warnings if w.severity in counted)
    passed = len(report.tensors) - len(failing) >= share * len(report.tensors) and not named
    return Gate(passed, _gate_text(report, failing, named, bar_db, share), tuple(t.name for t in failing), named)


def _worst_first(tensor: Settling) -> float:
    return -tensor.off_db if tensor.settled is not None else float("-inf")


def _gate_text(
    report: DataReport, failing: Sequence[Settling], named: Sequence[DataWarning], bar_db: float, share: float
) -> str:
    total = count_of(len(report.tensors), "scale")
    if failing and failing[0].settled is None:
        said = f"it cannot be told whether the data are enough: {failing[0].reason}"
    elif failing:
        worst = failing[0]
        said = (
            f"{len(failing)} of {total} may be off by more than {plain(bar_db, AS_GIVEN)} dB "
            f"({printable(worst.name)}: {decibels(worst.off_db)})"
        )
        said += f"; {percent(share, AS_GIVEN)} must be within it" if share < 1 else ""
    else:
        said = f"all {total} are within {plain(bar_db, AS_GIVEN)} dB"
    return f"{said}; {named[0].what}" if named else said
