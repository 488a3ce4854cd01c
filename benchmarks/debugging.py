"""INT8 debugging on real models: comparing all tensors, and ranking all layers. Ratios of one run.

    python benchmarks/debugging.py [--images 16] [--write]

Comparison: PP-OCRv4 detection, 640x640, against the two bare runs (FP32 with ONNX Runtime's defaults, Q/DQ unoptimised)
and against ``onnxruntime.quantization.qdq_loss_debug``. Ranking: PP-OCR classifier, against one whole run per layer.
Peak memory is that of a process which does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.calibration import Reader, bare_session, detector, photos  # noqa: E402 - needs the path above


def calibrated(path: Path, images: np.ndarray) -> dict[str, float]:
    """Return scales from a short calibration."""
    from trtcal_widgets import ArrayBatches, CalibrationSession

    with CalibrationSession(path, ArrayBatches(images[:2]), batch_size=1, method="minmax") as session:
        session.run()
    return dict(session.to_cache().scales)


def bare_seconds(session, images: np.ndarray) -> float:
    """Time one run over the images, one by one."""
    name = session.get_inputs()[0].name
    session.run(None, {name: images[:1]})
    started = time.perf_counter()
    for i in range(len(images)):
        session.run(None, {name: images[i : i + 1]})
    return time.perf_counter() - started


def quantised_file(path: Path, scales: dict[str, float], folder: str) -> Path:
    """Write the Q/DQ model."""
    from trtcal_widgets.export.qdq.build import build_qdq

    target = Path(folder) / "model.qdq.onnx"
    build_qdq(path, scales).write(target)
    return target


def unoptimised(path: Path):
    """Return a plain session that runs Q/DQ as it is written."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare_ours(path: Path, scales: dict[str, float], images: np.ndarray) -> None:
    from trtcal_widgets import ArrayBatches
    from trtcal_widgets.debug import Evaluation, Int8Simulation

    Int8Simulation(path, scales).compare(Evaluation(ArrayBatches(images), batch_size=1))


def compare_theirs(path: Path, qdq: Path, images: np.ndarray, folder: str) -> None:
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    saved = []
    for number, source in enumerate((path, qdq)):
        target = str(Path(folder) / f"augmented{number}.onnx")
        debug.modify_model_output_intermediate_tensors(str(source), target)
        name = onnx.load(target).graph.input[0].name
        saved.append(debug.collect_activations(target, Reader(name, images)))
    matched = debug.create_activation_matching(saved[1], saved[0])
    debug.compute_activation_error(matched)


def worker(kind: str, n_images: int) -> dict[str, float]:
    """Do one measurement in this process."""
    path = detector()
    images = photos(n_images)
    scales = calibrated(path, images)
    with tempfile.TemporaryDirectory() as folder:
        qdq = quantised_file(path, scales, folder)
        if kind == "time":
            compare_ours(path, scales, images[:1])
            result: dict[str, float] = {"fp32": 0.0, "qdq": 0.0, "ours": 0.0, "theirs": 0.0}
            fp32, int8 = bare_session(path), unoptimised(qdq)
            for _ in range(2):
                result["fp32"] += bare_seconds(fp32, images)
                result["qdq"] += bare_seconds(int8, images)
                started = time.perf_counter()
                compare_ours(path, scales, images)
                result["ours"] += time.perf_counter() - started
            del fp32, int8
            started = time.perf_counter()
            compare_theirs(path, qdq, images[:4], folder)
            result["theirs"] = (time.perf_counter() - started) * n_images / 4 * 2
            return result
        if kind == "ours":
            compare_ours(path, scales, images)
        elif kind == "theirs":
            compare_theirs(path, qdq, images, folder)
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def ranking() -> dict[str, float]:
    """Time the isolated ranking of all layers of the classifier, and the naive way, by turns."""
    from tests.support.models import ocr_model
    from trtcal_widgets import ArrayBatches
    from trtcal_widgets.debug import Evaluation, Int8Simulation

    path = ocr_model("cls")
    images = np.random.default_rng(0).standard_normal((64, 3, 48, 192)).astype(np.float32)
    scales = calibrated(path, images)
    simulation = Int8Simulation(path, scales)
    evaluation = Evaluation(ArrayBatches(images), batch_size=16)
    result = {"layers": float(len(simulation.layers)), "ours": 0.0, "naive": 0.0}
    for _ in range(3):
        started = time.perf_counter()
        simulation.isolated(evaluation)
        result["ours"] += time.perf_counter() - started
        started = time.perf_counter()
        for layer in simulation.layers:
            whole = simulation.tapped(simulation.proto(simulation.plan, frozenset({layer})), simulation.outputs, layer)
            for _batch, feeds in simulation.batches(evaluation):
                whole.run(feeds)
        result["naive"] += time.perf_counter() - started
    return result


def in_process(*arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--worker", *arguments], check=True, text=True, capture_output=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def report(n_images: int) -> str:
    times = in_process("time", str(n_images))
    bare = times["fp32"] + times["qdq"]
    rows = [
        ("the two bare runs", 1.0, in_process("bare", str(n_images))["peak_mb"]),
        ("ours: all tensors compared", times["ours"] / bare, in_process("ours", str(n_images))["peak_mb"]),
    ]
    peaks = []
    for n in (2, 4):
        peaks.append(in_process("theirs", str(n))["peak_mb"])
        print(f"theirs, {n} images: {peaks[-1]:,.0f} MB", file=sys.stderr)
    ranked = ranking()
    lines = [
        f"PP-OCRv4 detection, 640x640, {n_images} photos; {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, onnxruntime {__import__('onnxruntime').__version__}.",
        "",
        "| what | time, as a multiple of the two bare runs | peak MB |",
        "|---|---:|---:|",
        *(f"| {name} | {ratio:.1f} | {peak:,.0f} |" for name, ratio, peak in rows),
        f"| onnxruntime qdq_loss_debug (from 4 photos) | {times['theirs'] / bare:.1f} | "
        f"{peaks[0]:,.0f} for 2 photos, {peaks[1]:,.0f} for 4 |",
        "",
        f"Ranking {ranked['layers']:.0f} layers of the PP-OCR classifier, 64 images: "
        f"{ranked['naive'] / ranked['ours']:.1f} times faster than a whole run per layer.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/debugging.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(arguments.worker[0], int(arguments.worker[1]))))
        return
    text = report(arguments.images)
    print(text)
    if arguments.write:
        target = ROOT / "benchmarks" / "results" / "debugging.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
