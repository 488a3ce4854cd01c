"""Calibrating PP-OCRv4 detection with 16 photos: TensorRT's own calibrator beside sessions, on one machine in one run.

    python benchmarks/tensorrt.py [--write] [--keep FOLDER]

TensorRT's times are those of its log (batches, post-processing, both) and of the whole build at level 0. A session runs
with TensorRT's FP32 activations (``TensorRTRunner``: engine, batches counted on the GPU, scales), with ONNX Runtime's
CUDA provider (counted on the GPU too) and with ONNX Runtime on the CPU. Needs TensorRT up to 10 and a GPU. The CUDA
provider needs onnxruntime-gpu, which no environment has beside onnxruntime: ``TRTCAL_ORT_GPU`` names a folder with its
package in ``site`` and the CUDA libraries in ``lib``. ``--keep`` keeps TensorRT's cache and both sessions for
``tools/parity.py``; ``TRTCAL_PICTURES`` names an .npz with ``pictures`` where scikit-image is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# This file is called as the module that it needs: its own folder must not be looked in.
sys.path = [str(ROOT), *(folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks")]

from tools.trt_run.models import model_path, source_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "tensorrt.md"
CUDA = "ONNX Runtime's CUDA provider"
_SECONDS = re.compile(r"([0-9.eE+-]+) seconds")


def logged(lines, words):
    """Return the sum of the seconds in TensorRT's lines that have these words; None where there is no such line."""
    found = [_SECONDS.search(line.text) for line in lines if words in line.text]
    seconds = [float(match[1]) for match in found if match]
    return sum(seconds) if seconds else None


def theirs(keep):
    """Calibrate with TensorRT's own calibrator; return (what, seconds) and the cache."""
    from trtcal_widgets import trt

    images, size = source_of("det")
    start = time.perf_counter()
    with trt.make_calibrator(images, batch_size=size) as made:
        engine = trt.build(model_path("det"), calibrator=made, level=0, tf32=False)
    whole = time.perf_counter() - start
    if keep:
        engine.cache.write(keep / "det.entropy2.cache")
    times = [
        ("TensorRT's calibrator: batches", logged(engine.log, "Calibrated batch")),
        ("TensorRT's calibrator: post-processing", logged(engine.log, "Post Processing")),
        ("TensorRT's calibrator: calibration, from its log", logged(engine.log, "Calibration completed")),
        ("TensorRT's calibrator: calibration and INT8 engine, from outside", whole),
    ]
    return times, engine.cache


def ours(make_runner, title, keep):
    """Calibrate with a session; return (what, seconds) and the cache."""
    from trtcal_widgets import CalibrationSession

    images, size = source_of("det")
    start = time.perf_counter()
    with CalibrationSession(make_runner(), images, batch_size=size) as session:
        session.step()
        first = time.perf_counter() - start
        session.run()
        ran = time.perf_counter() - start
        cache = session.to_cache(version="8.6.0")
        whole = time.perf_counter() - start
        if keep:
            session.save(keep)
    return [
        (f"session, {title}: until the first batch is counted", first),
        (f"session, {title}: the other 15 batches", ran - first),
        (f"session, {title}: scales", whole - ran),
        (f"session, {title}: all", whole),
    ], cache


def apart(folder):
    """Calibrate with the CUDA provider in a process of its own; return (what, seconds) and the cache."""
    from trtcal_widgets import CalibrationCache

    environment = dict(os.environ)
    for variable, more in (("PYTHONPATH", "site"), ("LD_LIBRARY_PATH", "lib")):
        environment[variable] = os.pathsep.join([str(folder / more), environment.get(variable, "")])
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, str(Path(__file__).resolve()), "--cuda", made]
        subprocess.run(command, env=environment, check=True)
        times = json.loads(Path(made, "times.json").read_text("utf-8"))
        return [tuple(row) for row in times], CalibrationCache.read(Path(made, "det.cache"))


def on_cuda(folder):
    """Calibrate with the CUDA provider in this process; write times and cache to a folder."""
    from trtcal_widgets import OnnxRuntimeRunner

    times, cache = ours(lambda: OnnxRuntimeRunner(model_path("det"), providers=["CUDAExecutionProvider"]), CUDA, None)
    cache.write(folder / "det.cache")
    (folder / "times.json").write_text(json.dumps(times), encoding="utf-8")


def main():
    """Run them all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--keep", type=Path, help="folder for the cache and the sessions")
    parser.add_argument("--cuda", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cuda:
        on_cuda(given.cuda)
        return
    keep = given.keep
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    from trtcal_widgets import OnnxRuntimeRunner, trt

    with trt.open_memory() as memory:
        device = memory.device.name
    model_path("det")
    source_of("det")
    rows, cache = theirs(keep)
    print(rows, flush=True)
    again = dict(rows)["TensorRT's calibrator: calibration, from its log"]
    caches = {}
    for title, runner, name in (
        ("TensorRT's activations", lambda: trt.TensorRTRunner(model_path("det")), "det.gpu.trtcal"),
        ("ONNX Runtime on the CPU", lambda: OnnxRuntimeRunner(model_path("det")), "det.cpu.trtcal"),
    ):
        times, caches[title] = ours(runner, title, keep and keep / name)
        rows += times
        print(times, flush=True)
    if folder := os.environ.get("TRTCAL_ORT_GPU"):
        times, caches[CUDA] = apart(Path(folder))
        rows += times
        print(times, flush=True)
    version = trt.features(trt.load_tensorrt()).version
    lines = [
        f"TensorRT {version}, {device}, {os.cpu_count()} cores, {platform.machine()}; one run.",
        "",
        "| what | seconds | TensorRT's calibration is as many times as long |",
        "|---|---:|---:|",
    ]
    for what, seconds in rows:
        times_ours = f"{again / seconds:.1f}" if seconds and again and what.endswith(": all") else ""
        lines.append(f"| {what} | {'not logged' if seconds is None else f'{seconds:.2f}'} | {times_ours} |")
    lines += ["", f"TensorRT's cache has {len(cache.scales)} rows."]
    for title, made in caches.items():
        both = [name for name in cache.scales if name in made.scales]
        near = sum(abs(made.scales[name] - cache.scales[name]) <= 1e-5 * cache.scales[name] for name in both)
        lines.append(f"With {title}, {near} of the {len(both)} rows with a name of both are within 1e-5 of it.")
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if given.write:
        RESULTS.write_text("# TensorRT's own calibrator beside a session\n\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
