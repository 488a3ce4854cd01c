"""Reports of data that are made up: of any session, at once, with every kind of finding in them."""

from __future__ import annotations

import math

import numpy as np

from trtcal_widgets.doctor.types import Band, DataReport, DataWarning, Needed, OrderEffect, Settling, Verdict
from trtcal_widgets.errors import CancelledError


def made_up_band(way: str, amax: float, n: int, spread: float) -> Band:
    """Draws that lie around ``amax``, the closer the more batches there are."""
    sizes = np.arange(1, n + 1)
    width = spread * np.sqrt((n - sizes) / (n * sizes) + (0.0 if way == "two-pass" else 0.04))
    quantiles = amax * (1 + np.array([-1.6, -0.7, 0.0, 0.7, 1.6]) * width[:, None])
    return Band(way, sizes, quantiles, np.full(n, 200))


def made_up_settling(session, name: str, place: int, bar_db: float) -> Settling:
    """Every third tensor settled, every third not, and of every third it cannot be told."""
    amax, n = session.amax(name) or 1.0, max(session.state.position, 1)
    settled = (True, False, None)[place % 3]
    off = {True: 0.3 * bar_db, False: (2 + place % 7) * bar_db, None: math.nan}[settled]
    needed = Needed(1200 + place, 800, 2900, 0.5, "")
    if settled is None:
        needed = Needed(None, None, None, math.nan, "too few batches")
    return Settling(
        name=name,
        group=session.group(name),
        method="entropy",
        amax=amax,
        sqnr_db=35.0,
        two_pass=made_up_band("two-pass", amax, n, 0.3),
        one_pass=made_up_band("one-pass", amax, n, 0.4),
        settled=settled,
        off_db=off,
        off_low=0.93,
        off_high=1.06,
        needed=needed,
        order=made_up_orders(amax, n, place),
        reason="" if settled is not None else "2 batches are too few to tell; record at least 4",
    )


def made_up_orders(amax: float, n: int, place: int) -> OrderEffect:
    """Every fifth tensor depends on the order."""
    picks = amax * (1 + 0.1 * np.sin(np.arange(n) + place))
    depends = place % 5 == 0
    ends = float(picks.min()), float(picks.max())
    return OrderEffect(np.arange(n), np.full(n, 2 * amax), picks, amax, *ends, 1.2 if depends else 0.1, depends)


WARNINGS = (
    DataWarning(
        kind="duplicates",
        severity="severe",
        sure="certain",
        what="12 samples are the same as another one.",
        evidence="samples 3 and 7, 4 and 9 …",
        mend="Take each image once.",
        samples=(3, 7, 4, 9),
    ),
    DataWarning(
        kind="swapped-channels",
        severity="warning",
        sure="guess",
        what="The first convolution answers more to BGR <b>than</b> to RGB.",
        evidence="1.32 times the response",
        mend="Check color= of the images.",
        tensors=("conv1",),
    ),
    DataWarning(
        kind="idle-batches",
        severity="note",
        sure="certain",
        what="3 batches raised no tensor's maximum.",
        evidence="batches 2, 3 and 4",
        mend="They can be left out.",
        batches=(2, 3),
    ),
)


def made_up_report(
    session, *, bar_db: float = 0.5, progress=None, cancelled=lambda: False, warnings=WARNINGS
) -> DataReport:
    """What ``examine`` could have said about a session, with the same arguments."""
    leaders = list(dict.fromkeys(session.group(name)[0] for name in session.calibrated))
    for k in range(4):
        if cancelled():
            raise CancelledError("cancelled")
        if progress is not None:
            progress(k, 4)
    return DataReport(
        verdict=Verdict(
            enough=False,
            amount="Not enough: 4 of 12 scales may be off by more than 0.5 dB; about 1,200 images would do.",
            order="The order of the batches decides 3 scales, by 1.2 dB at most.",
            cause="12 samples are the same as another one, and 2 more warnings.",
        ),
        tensors=tuple(made_up_settling(session, name, k, bar_db) for k, name in enumerate(leaders)),
        warnings=tuple(warnings),
        model=session.graph.name,
        batches=tuple(range(session.state.position)),
        n_samples=session.status.n_samples,
        bar_db=bar_db,
        resamples=200,
        seed=0,
        recorded_way="one-pass",
    )
