"""How long ``trtcal calibrate`` takes where nothing is compiled yet, and where everything is.

Run with ``python benchmarks/first_run.py [ROUNDS]``: the bundled LeNet over its 500 images, whole commands, cold and
warm in turn, with numba's cache in a folder of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trtcal_widgets import sample
from trtcal_widgets.common.cores import available_cores


def seconds(folder: Path, cache: Path) -> float:
    """Return how long one command takes with the compiled loops in ``cache``."""
    data = Path(sample.model_path()).with_name("calibration-images-idx3-ubyte.gz")
    command = [sys.executable, "-m", "trtcal_widgets", "calibrate", str(sample.model_path()), str(data)]
    started = time.perf_counter()
    subprocess.run(
        [*command, "-o", str(folder / "calibration.cache")],
        check=True,
        capture_output=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    return time.perf_counter() - started


def main() -> None:
    """Print cold and warm times of each round, and their medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            cold.append(seconds(folder, folder / "numba"))
            seconds(folder, folder / "numba")  # the other process may have been at work until now
            warm.append(seconds(folder, folder / "numba"))
        print(f"cold {cold[-1]:.1f} s, warm {warm[-1]:.1f} s", flush=True)
    first, later = statistics.median(cold), statistics.median(warm)
    print(f"median of {rounds} on {available_cores()} cores: {first:.1f} s, {later:.1f} s: {first / later:.1f} x")


if __name__ == "__main__":
    main()
