"""PP-OCRv4 detection, 16 photos: ONNX Runtime's CUDA provider, counted on the GPU, beside the CPU runner.

    python benchmarks/onnxruntime_gpu.py [--model FILE] [--batches 1 4 16] [--json FILE] [--write]

Both are measured in one process on one machine, each with its model loaded and a run behind it: the second of two
sessions on the same runner. Then the GPU's histograms of a batch are compared with what the CPU counts of the very same
activations, field by field, and the peak of the device's memory (what the driver says is gone, looked at every
millisecond) is shown for batches of several sizes: run as a whole, in pieces whose tensors have less room, and on a
device that something else has filled but for a rest. Needs onnxruntime-gpu and cuda-bindings.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RESULTS = ROOT / "benchmarks" / "results" / "onnxruntime_gpu.md"
CUDA = ["CUDAExecutionProvider"]


def photos():
    """Return 16 photos as the detector takes them, float32 (16, 3, 640, 640)."""
    if os.environ.get("TRTCAL_PICTURES"):
        found = np.load(os.environ["TRTCAL_PICTURES"])["pictures"]
    else:
        from benchmarks.calibration import pictures

        found = np.stack(pictures(640)[:16])
    values = (found / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2).astype(np.float32))


class Watch:
    """The most device memory in use while a block runs, in bytes, beyond what was in use before it."""

    def __init__(self, memory):
        self._memory = memory
        self._stop = threading.Event()
        self.before = self._least = memory.mem_info().free

    def _look(self):
        while not self._stop.wait(0.001):
            self._least = min(self._least, self._memory.mem_info().free)

    def __enter__(self):
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()
        self.peak = self.before - min(self._least, self._memory.mem_info().free)


def timed(model, images, batch_size, **options):
    """Return seconds of the first session (model loaded in it) and of the second one, and the second's amax."""
    from trtcal_widgets import CalibrationSession
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    seconds = []
    runner = OnnxRuntimeRunner(model, **options)
    for _ in range(2):
        session = CalibrationSession(runner, images, batch_size=batch_size)
        started = time.perf_counter()
        session.run()
        seconds.append(time.perf_counter() - started)
    amax = session.to_cache().amax
    runner.close()
    return (*seconds, amax)


def facts(h):
    return h.base, h.doublings, h.counts.tobytes(), h.edge, h.tallies, h.minimum, h.maximum


def differences(model, images):
    """Return how many tensors there are, which differ, and the largest difference of a sum, relative."""
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    with OnnxRuntimeRunner(model, providers=CUDA) as runner:
        name = runner.graph.inputs[0].name
        bases = {n: h.base for n, h in runner.histograms({name: images[:2]}, {})}
        tap, seen = runner._tap, {name: images[2:6]}  # noqa: SLF001 - the very values that are counted
        inner = tap.run_in_place

        def copied(values, outputs, *how, **more):
            found = inner(values, outputs, *how, **more)
            seen.update((output, value.numpy()) for output, value in zip(outputs, found, strict=True))
            return found

        tap.run_in_place = copied
        found = dict(runner.histograms({name: images[2:6]}, bases))
        tap.run_in_place = inner
        wrong, sums = [], 0.0
        for tensor, array in seen.items():
            counted = Histogram.of(array, bases.get(tensor) or None)
            if facts(counted) != facts(found[tensor]):
                wrong.append(tensor)
            sums = max(sums, abs(counted.sum_squares - found[tensor].sum_squares) / (counted.sum_squares or 1.0))
        second = runner.infer({name: images[2:6]})
        again = sum(not np.array_equal(array, seen[tensor], equal_nan=True) for tensor, array in second)
        print(f"run a second time, {again} tensors have other values", flush=True)
        return len(seen), wrong, sums


def peaks(model, images, batches):
    """Return (batch size, peak device memory in bytes, seconds of a batch) for batches of several sizes."""
    from trtcal_widgets.gpu.memory import open_memory
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    rows = []
    with open_memory() as memory:
        for size in batches:
            with Watch(memory) as watch, OnnxRuntimeRunner(model, providers=CUDA) as runner:
                name = runner.graph.inputs[0].name
                list(runner.histograms({name: images[:size]}, {}))
                started = time.perf_counter()
                list(runner.histograms({name: images[:size]}, {}))
                took = time.perf_counter() - started
            rows.append((size, watch.peak, took))
    return rows


def in_pieces(model, images, batches, rooms, left):
    """Yield figures of a batch run as a whole, in pieces of some room, and where so many bytes are left on the device.

    Each is a warm second run of a runner of its own; ``different``: tensors whose histogram is not the whole run's.
    """
    from trtcal_widgets.gpu.memory import open_memory
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    with open_memory() as memory:
        for size in batches:
            whole = None
            for room, rest in [(None, None), *((room, None) for room in rooms), (None, left)]:
                filled = None if rest is None else memory.alloc(max(1, memory.mem_info().free - rest))
                runner = OnnxRuntimeRunner(model, providers=CUDA, gpu_memory=room)
                with Watch(memory) as watch, runner:
                    feeds = {runner.graph.inputs[0].name: images[:size]}
                    started = time.perf_counter()
                    list(runner.histograms(feeds, {}))
                    first = time.perf_counter() - started
                    started = time.perf_counter()
                    found = {name: facts(h) for name, h in runner.histograms(feeds, {})}
                    took = time.perf_counter() - started
                    pieces = runner._on_device.n_pieces  # noqa: SLF001 - for the table alone
                after = watch.before - memory.mem_info().free
                if filled is not None:
                    filled.free()
                whole = whole or found
                different = [name for name in whole if found.get(name) != whole[name]]
                yield {
                    "batch": size, "room": room, "left": rest, "pieces": pieces, "peak": watch.peak, "after": after,
                    "first": first, "seconds": took, "different": different,
                }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="path of the detector; default: from the wheel")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], help="batch sizes")
    parser.add_argument("--rooms", type=int, nargs="+", default=[4096, 1024], help="MiB of tensors in pieces")
    parser.add_argument("--left", type=int, default=6144, help="MiB that are free where the device is filled")
    parser.add_argument("--only-pieces", action="store_true", help="measure whole and in pieces, nothing else")
    parser.add_argument("--json", help="write the figures here as they come")
    parser.add_argument(
        "--of", metavar="FILE", nargs="+", help="write what --json kept on other machines; pieces are those of the last"
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if arguments.of:
        said, *more = (json.loads(Path(file).read_text()) for file in arguments.of)
        for other in more:
            said |= {"pieces": other["pieces"], "pieces_on": f"{other['device']}, ONNX Runtime {other['onnxruntime']}"}
        write(said)
        return 0
    if arguments.model is None:
        from tests.support.models import ocr_model

        arguments.model = str(ocr_model("det"))
    from trtcal_widgets.gpu.memory import open_memory

    with open_memory() as memory:
        device = memory.device.name
    import onnxruntime

    said = {"device": device, "cores": os.cpu_count(), "onnxruntime": onnxruntime.__version__, "rows": []}
    said["platform"] = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"

    def keep():
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(said, indent=1))

    images = photos()
    if arguments.only_pieces:
        return 1 if measure_pieces(arguments, images, said, keep) else 0
    n, wrong, sums = differences(arguments.model, images)
    said["tensors"], said["different"], said["sums"] = n, wrong, sums
    print(f"{n} tensors counted on {device}, {len(wrong)} other than on the CPU; sums within {sums:.1e}", flush=True)
    keep()
    for size in arguments.batches:
        first, warm, amax = timed(arguments.model, images, size, providers=CUDA)
        print(f"batch size {size}: GPU {warm:.3f} s (first {first:.2f} s)", flush=True)
        first_cpu, warm_cpu, cpu_amax = timed(arguments.model, images, size)
        ratios = np.array([amax[k] / cpu_amax[k] for k in amax if cpu_amax.get(k, 0) > 0])
        row = {"batch": size, "gpu": warm, "gpu_first": first, "cpu": warm_cpu, "cpu_first": first_cpu}
        row |= {
            "faster": warm_cpu / warm,
            "amax_within": float(np.abs(ratios - 1).max()),
            "median": float(np.median(np.abs(ratios - 1))),
        }
        said["rows"].append(row)
        print(f"  CPU {warm_cpu:.2f} s (first {first_cpu:.2f} s): {warm_cpu / warm:.1f} x", flush=True)
        keep()
    said["peaks"] = peaks(arguments.model, images, arguments.batches)
    for size, peak, took in said["peaks"]:
        print(f"batch size {size}: peak {peak / 2**20:.0f} MiB, {took:.3f} s a batch", flush=True)
    keep()
    wrong += measure_pieces(arguments, images, said, keep)
    if arguments.write:
        write(said)
    return 1 if wrong else 0


def measure_pieces(arguments, images, said, keep):
    """Measure batches run in pieces, and return the tensors that are counted otherwise."""
    said["pieces"] = []
    rooms = [room << 20 for room in arguments.rooms]
    for row in in_pieces(arguments.model, images, arguments.batches, rooms, arguments.left << 20):
        said["pieces"].append(row)
        keep()
        print(
            f"batch size {row['batch']}, {how(row)}: {row['pieces']} pieces, peak {row['peak'] / 2**20:.0f} MiB, "
            f"{row['seconds']:.3f} s (first {row['first']:.2f} s), {len(row['different'])} tensors differ, "
            f"{row['after'] / 2**20:.0f} MiB kept",
            flush=True,
        )
    return [name for row in said["pieces"] for name in row["different"]]


def how(row):
    """Return how a batch was run, in words."""
    if row.get("how"):
        return row["how"]
    if row["left"]:
        return f"{row['left'] / 2**20:.0f} MiB free"
    return f"at most {row['room'] / 2**20:.0f} MiB" if row["room"] else "whole"


def peaks_of(said):
    """Return the peaks by batch size; a file of the first version has one, for four photos."""
    return said.get("peaks") or [(4, said["memory"][0][1], said["memory"][0][3])]


def pieces_of(said):
    """Return the lines on batches that are run in pieces."""
    rows = said.get("pieces", [])
    if not rows:
        return []
    different = sum(len(row["different"]) for row in rows)
    where = said.get("pieces_on") or f"{said['device']}, ONNX Runtime {said['onnxruntime']}"
    return [
        f"Whole, in pieces (`gpu_memory`), and on a device that is full but for a rest; warm; on {where}:",
        "",
        "| batch size | run | pieces | peak of GPU memory | time |",
        "|---|---|---|---|---|",
        *(
            f"| {r['batch']} | {how(r)} | {r['pieces']} | {r['peak'] / 2**20:.0f} MiB | {r['seconds']:.3f} s |"
            for r in rows
        ),
        "",
        f"In pieces {different} histograms are other than those of the whole run. Each session has about 150 MiB of "
        "its own, and convolutions need a workspace: that is why many small pieces take more than the whole. "
        "`gpu_memory` chooses what takes least.",
        "",
    ]


def write(said):
    rows = sorted(said["rows"], key=lambda row: row["batch"])
    lines = [
        "# ONNX Runtime's CUDA provider",
        "",
        f"`python benchmarks/onnxruntime_gpu.py --write` on {said['device']}, {said['cores']} cores; "
        f"{said['platform']}, ONNX Runtime {said['onnxruntime']}. PP-OCRv4 detection, 16 photos at 640x640, "
        "models loaded.",
        "",
        "| batch size | GPU | CPU | times as fast |",
        "|---|---|---|---|",
        *(f"| {r['batch']} | {r['gpu']:.3f} s | {r['cpu']:.2f} s | {r['faster']:.1f} |" for r in rows),
        "",
        f"{said['tensors']} tensors counted on the GPU, {len(said['different'])} with other counts, extremes or ranges "
        f"than the CPU counts of the same activations; sums of squares within {said['sums']:.1e}.",
        "",
        *(
            f"At batch size {size} the peak of GPU memory is {peak / 2**20:.0f} MiB."
            for size, peak, _ in peaks_of(said)
        ),
        "",
        *pieces_of(said),
    ]
    RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
