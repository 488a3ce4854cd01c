"""The kernels of a first run, compiled by two processes: this one takes one half, and finds the other in numba's cache.

A kernel is compiled once for a machine and kept on disk. Until then a run waits for every one of them, and numba
compiles on one core alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from trtcal_widgets.common.collecting import uncollected
from trtcal_widgets.core.counting import Counting
from trtcal_widgets.core.histogram import Histogram, replay
from trtcal_widgets.core.kernels import families
from trtcal_widgets.core.packed import RECORD, encode, histogram_of, record_of
from trtcal_widgets.core.quantizer import costs
from trtcal_widgets.core.searching import quantile_places
from trtcal_widgets.core.thresholds import Method, threshold


def is_first() -> bool:
    """Whether no run has compiled the kernels for this machine yet, and what is compiled can be kept."""
    try:
        cache: Any = families.look_through._cache  # type: ignore[attr-defined]  # noqa: SLF001 - numba tells it nowhere else
        folder, name = Path(cache.cache_path), cache._impl.filename_base  # noqa: SLF001
    except (AttributeError, TypeError):  # no cache, or another numba's: nothing is lost but the second core
        return False
    return not any(folder.glob(f"{name}*.nbi"))


def compile_kernels() -> None:
    """Compile what a run needs, half of it in another process, where :func:`is_first`; else nothing is to be done.

    Nobody waits for the other process: a kernel that it has not made when it is needed is compiled here as well.
    """
    if not is_first():
        return
    if sys.executable:
        with contextlib.suppress(OSError):
            other = subprocess.Popen(  # noqa: S603 - this Python, this module
                [sys.executable, "-m", __name__],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            threading.Thread(
                target=other.wait, name="trtcal-first-run", daemon=True
            ).start()  # nobody else waits for it
    with uncollected():  # numba keeps nearly all that it makes: a tenth of the time
        _compile_here()


def _compile_here() -> None:
    """Call what counts, which is needed first, and what is needed last: the other process is at the rest by then."""
    Counting([np.ones(1, np.float32)], [1.0]).run()
    histogram = _histogram()
    costs([histogram], [0.5])
    quantile_places(histogram.counts[np.newaxis], np.ones(1))


def _histogram() -> Histogram:
    """Return a histogram of three values."""
    counts = np.zeros(2048, np.int64)
    counts[[0, 3]] = 2, 1
    return Histogram.assemble(1.0, 0, counts, 0, (1, 0, 0, 0), (0.0, 0.5), (0.5,), (0.25,), 3)


def _compile_elsewhere() -> None:
    """Call what else a run needs, in the order in which it needs it."""
    histogram = _histogram()
    itemsize, block = encode(histogram.counts)
    record = np.array([record_of(histogram, itemsize, 0, len(block))], RECORD)
    again = histogram_of(record[0], block)
    longer = Histogram.assemble(1.0, 1, histogram.counts, 0, (1, 0, 0, 0), (0.0, 1.5), (1.5,), (2.25,), 3)
    merged = replay([again, longer])
    threshold(merged, Method("entropy"))


if __name__ == "__main__":
    with uncollected():
        _compile_elsewhere()
