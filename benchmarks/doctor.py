"""The doctor at 16 batches, 700 tensors, 200 random draws: the time it takes, and how quick its search is.

    python benchmarks/doctor.py [--batches 16] [--tensors 700] [--resamples 200] [--methods entropy mse …]

Activations are made up: half normal and rectified values of many spreads, another spread in every batch. Each draw
gives every tensor a threshold in two passes and one in TensorRT's one pass; both are exact searches over all 1,921
candidates, for every method. The ratio is that of the search that sums every candidate to its end, as for a curve, to
the one that leaves those that cannot win, for a histogram like the last one; whether both pick the same is checked.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def session_of(n_tensors: int, n_batches: int):
    from tests.doctor.made_up import drawn_session

    def maker(k: int):
        def make(rng: np.random.Generator, _feed) -> np.ndarray:
            values = rng.standard_normal(20_000) * np.exp(0.3 * rng.standard_normal())
            return np.maximum(values - 0.2 * (k % 5), 0) if k % 3 else values * (1 + k % 7)

        return make

    return drawn_session({f"tensor_{k}": maker(k) for k in range(n_tensors)}, batches=n_batches)


def ratio(session) -> float:
    """Return how much quicker a search is that leaves candidates early than one that sums all of them."""
    from trtcal_widgets.core.histogram import combine
    from trtcal_widgets.core.searching import entropy_objective, entropy_pick

    plain, quick = [], []
    for name in session.calibrated[:40]:
        parts = [session.batch_histogram(name, b) for b in range(session.status.recorded)]
        hint = 2048
        for leave in range(min(len(parts), 6)):
            histogram = combine(parts[:leave] + parts[leave + 1 :])
            started = time.perf_counter()
            _, expected = entropy_objective(histogram.counts)
            middle = time.perf_counter()
            found = entropy_pick(histogram.counts, hint)
            quick.append(time.perf_counter() - middle)
            plain.append(middle - started)
            if found != expected:
                sys.exit(f"{name}: the quick search picked {found}, the whole one {expected}")
            hint = found
    return statistics.median(plain) / statistics.median(quick)


def main() -> None:
    from trtcal_widgets.common.cores import available_cores
    from trtcal_widgets.doctor import examine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--tensors", type=int, default=700)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--methods", nargs="+", default=["entropy", "minmax", "percentile", "mse", "legacy"])
    wanted = parser.parse_args()
    session = session_of(wanted.tensors, wanted.batches)
    print(f"{wanted.batches} batches x {wanted.tensors} tensors x {wanted.resamples} draws, two ways each:")
    for method in wanted.methods:
        examine(session_of(4, 4), resamples=10, method=method)  # compiles
        started, used = time.perf_counter(), time.process_time()
        examine(session, resamples=wanted.resamples, method=method)
        wall, cpu = time.perf_counter() - started, time.process_time() - used
        print(f"  {method}: {wall:.1f} s on {available_cores()} cores ({cpu:.1f} s of computing)")
    print(f"  the search of a histogram like the last one: {ratio(session):.1f} times as quick as one of all")


if __name__ == "__main__":
    main()
