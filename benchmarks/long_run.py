"""Long runs: memory over 20,000 images, and what 4,001 tensors x 200 batches take on disk, in memory and in saving.

    python benchmarks/long_run.py [--images 20000] [--tensors 4001] [--batches 200] [--workers 2] [--write]

The first part calibrates the bundled LeNet on as many images (its own 500, again and again, with noise) and prints the
resident memory of the process as it goes, without workers and with. The second records a chain of small layers and
measures the temporary file for each tensor and batch, and how much memory saving takes beyond what is there.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RESULTS = ROOT / "benchmarks" / "results" / "long_run.md"


def resident():
    """Return this process's resident memory in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 1e6


class Peak:
    """The most resident memory in MB while a block runs."""

    def __enter__(self):
        self.most, self._stop = resident(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self):
        while not self._stop.wait(0.005):
            self.most = max(self.most, resident())

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()


class Images:
    """The sample's images, again and again, each time with other noise: float32 (n, 1, 28, 28), made when wanted."""

    prebatched = False
    readable_anywhere = True

    def __init__(self, n):
        from trtcal_widgets import sample

        self._n = n
        self._images = sample.calibration_images().load(0, 500)[""]

    def describe(self):
        return f"{self._n} images"

    def n_items(self):
        return self._n

    def load(self, start, stop):
        chosen = np.arange(start, min(stop, self._n))
        if not len(chosen):
            return {}
        noise = np.random.default_rng(start).normal(0, 0.05, (len(chosen), 1, 28, 28))
        return {"data": (self._images[chosen % 500] + noise).astype(np.float32)}

    def thumbnails(self, start, stop):  # noqa: ARG002 - a source has it
        return ()


def flat(n, workers):
    """Calibrate and return (images done, MB) along the way, and the seconds."""
    from trtcal_widgets import CalibrationSession, sample

    seen = []
    with CalibrationSession(sample.model_path(), Images(n), batch_size=20, threads=1) as session:

        def look(status):
            if status.recorded % (n // 20 // 10) == 0:
                seen.append((status.n_samples, resident()))
                print(f"  {status.n_samples:,} images: {seen[-1][1]:.0f} MB", flush=True)

        started = time.perf_counter()
        session.run(progress=look, executor=workers)
        took = time.perf_counter() - started
        session.to_cache()
    return seen, took


def chain(path, n):
    """Write a model of n activations of 16 x 64 values: sums, products, activations in turn."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    nodes, weights, last = [], [], "x"
    for i in range(n - 1):
        out = f"t{i}" if i < n - 2 else "y"
        if i % 3 == 0:
            weights.append(numpy_helper.from_array(rng.normal(0, 0.125, (64, 64)).astype(np.float32), f"w{i}"))
            nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [out]))
        else:
            nodes.append(helper.make_node("Tanh" if i % 3 == 1 else "Erf", [last], [out]))
        last = out
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "chain", [value("x", TensorProto.FLOAT, ["n", 64])], [value("y", TensorProto.FLOAT, ["n", 64])], weights
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def many(n_tensors, n_batches):
    """Record many tensors in many batches, save; return what that took."""
    from trtcal_widgets import CalibrationSession
    from trtcal_widgets.core.packed import RECORD

    with tempfile.TemporaryDirectory() as folder:
        chain(Path(folder) / "chain.onnx", n_tensors)
        data = np.random.default_rng(2).normal(0, 1, (64 * n_batches, 64)).astype(np.float32)
        with CalibrationSession(Path(folder) / "chain.onnx", data, batch_size=64) as session:
            session.run(until=1)
            before = resident()
            started = time.perf_counter()
            session.run()
            took = time.perf_counter() - started
            session.close()
            gc.collect()
            recorded = resident()
            store = session._store  # noqa: SLF001 - the size of its file
            cells = sum(int(records["present"].sum()) for records in store.records())
            spooled = store.last.end + len(store) * len(store.index) * RECORD.itemsize
            saved = Path(folder) / "s.trtcal"
            started = time.perf_counter()
            with Peak() as peak:
                session.save(saved)
            return {
                "cells": cells,
                "spooled": spooled,
                "grown": recorded - before,
                "took": took,
                "saving": time.perf_counter() - started,
                "beyond": peak.most - recorded,
                "file": saved.stat().st_size,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--tensors", type=int, default=4001)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    runs = {}
    for workers in (None, arguments.workers):
        print(f"{arguments.images:,} images, {workers or 'no'} workers", flush=True)
        runs[workers] = flat(arguments.images, workers)
    found = many(arguments.tensors, arguments.batches)
    print(
        f"{arguments.tensors:,} tensors x {arguments.batches} batches in {found['took']:.0f} s: temporary files "
        f"{found['spooled'] / 1e6:.0f} MB, {found['spooled'] / found['cells']:.0f} bytes a tensor and batch; memory "
        f"grew by {found['grown']:.0f} MB; saved in {found['saving']:.1f} s, {found['file'] / 1e6:.0f} MB, with "
        f"{found['beyond']:.0f} MB of memory beyond what was there"
    )
    if arguments.write:
        write(runs, found, arguments)


def write(runs, found, arguments):
    lines = [
        "# Long runs",
        "",
        f"`python benchmarks/long_run.py --write` on {platform.system()} {platform.machine()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}.",
        "",
        f"LeNet, {arguments.images:,} images in batches of 20: resident memory of the session's process, in MB.",
        "",
        "| images | " + " | ".join(f"{w} workers" if w else "no workers" for w in runs) + " |",
        "|---|" + "---|" * len(runs),
    ]
    seen = [run for run, _ in runs.values()]
    lines += [
        f"| {row[0][0]:,} | " + " | ".join(f"{mb:.0f}" for _, mb in row) + " |" for row in zip(*seen, strict=True)
    ]
    lines += [
        "| seconds | " + " | ".join(f"{took:.0f}" for _, took in runs.values()) + " |",
        "",
        f"{arguments.tensors:,} tensors x {arguments.batches} batches of 64 x 64 values, recorded in "
        f"{found['took']:.0f} s:",
        "",
        f"- temporary files {found['spooled'] / 1e6:.0f} MB: {found['spooled'] / found['cells']:.0f} bytes a tensor "
        "and batch",
        f"- memory grew by {found['grown']:.0f} MB",
        f"- saved in {found['saving']:.1f} s to {found['file'] / 1e6:.0f} MB, with {found['beyond']:.0f} MB of memory "
        "beyond "
        "what was there",
        "",
    ]
    RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
