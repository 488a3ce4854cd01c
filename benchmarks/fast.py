"""What ``fast=True`` gains and what it moves: time beside the bare model, and entropy thresholds that change.

    python benchmarks/fast.py [--rounds 3] [--write]

PP-OCRv4's three models with pieces of scikit-image's pictures, MiniLM with sentences, as ``tools/trt_run`` feeds them.
A threshold is the same where it is bit for bit, the same candidate where it is within 1e-5, and moved where the search
takes another bin. Times are of the detector: bare run, exact and fast take turns in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path = [str(ROOT), *(folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks")]

from benchmarks.calibration import bare_session  # noqa: E402
from tools.trt_run.models import TITLES, data_of, model_path, source_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fast.md"
MODELS = ("cls", "rec", "det", "minilm")


def thresholds(name: str, *, fast: bool) -> dict[str, float]:
    """Return the amax of every calibrated tensor."""
    from trtcal_widgets import CalibrationSession

    source, size = source_of(name)
    with CalibrationSession(model_path(name), source, batch_size=size, fast=fast) as session:
        session.run()
        return {tensor: session.amax(tensor) for tensor in session.calibrated}


def moved(name: str) -> str:
    """Return a line of the table: how many thresholds are the same, the same candidate, and moved."""
    exact, fast = thresholds(name, fast=False), thresholds(name, fast=True)
    equal = sum(exact[tensor] == fast[tensor] for tensor in exact)
    near = sum(abs(exact[tensor] - fast[tensor]) <= 1e-5 * abs(exact[tensor]) for tensor in exact)
    ratios = [fast[t] / exact[t] for t in exact if abs(exact[t] - fast[t]) > 1e-5 * abs(exact[t]) and exact[t]]
    furthest = max((max(r, 1 / r) for r in ratios), default=1.0)
    rest = len(exact) - near
    counts = f"{len(exact)} | {equal} | {near - equal} | {rest} ({rest / len(exact):.1%})"
    return f"| {TITLES[name]} | {counts} | {furthest:.2f} |"


def times(rounds: int, range_mode: str) -> dict[bool, float]:
    """Return exact's and fast's time over 8 photos, as multiples of the bare run's."""
    from trtcal_widgets import ArrayBatches, CalibrationSession

    photos = data_of("det")[0][:8]
    bare = bare_session(model_path("det"))
    name = bare.get_inputs()[0].name

    def run_bare() -> float:
        started = time.perf_counter()
        for i in range(len(photos)):
            bare.run(None, {name: photos[i : i + 1]})
        return time.perf_counter() - started

    ratios: dict[bool, list[float]] = {False: [], True: []}
    run_bare()
    for number in range(rounds + 1):
        for fast in (False, True):
            session = CalibrationSession(
                model_path("det"), ArrayBatches(photos), batch_size=1, range_mode=range_mode, fast=fast
            )
            session.recorder.constants()  # loads the model into ONNX Runtime
            before = run_bare()
            with session:
                started = time.perf_counter()
                session.run()
                session.to_cache()
                took = time.perf_counter() - started
            ratio = 2 * took / (before + run_bare())
            if number:  # in the first round numba loads its kernels
                ratios[fast].append(ratio)
                print(f"round {number}: {range_mode}, fast={fast}: {ratio:.2f}x", file=sys.stderr, flush=True)
    return {fast: statistics.median(found) for fast, found in ratios.items()}


def main() -> None:
    """Print both tables."""
    import onnxruntime as ort

    from trtcal_widgets.common.cores import available_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/fast.md")
    given = parser.parse_args()
    lines = [
        f"onnxruntime {ort.__version__}, {available_cores()} cores.",
        "",
        "| model | entropy thresholds | bit for bit | same candidate | moved | furthest, as a factor |",
        "|---|---:|---:|---:|---:|---:|",
        *map(moved, MODELS),
        "",
        "| PP-OCRv4 detection, 8 photos, as a multiple of the bare run | exact | fast |",
        "|---|---:|---:|",
    ]
    for title, mode in (("one pass", "tensorrt"), ("two passes", "two-pass")):
        found = times(given.rounds, mode)
        lines.append(f"| {title} | {found[False]:.1f} | {found[True]:.1f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
