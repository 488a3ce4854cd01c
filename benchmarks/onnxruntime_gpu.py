"""PP-OCRv4 detection, 16 photos: ONNX Runtime's CUDA provider, counted on the GPU, beside the CPU runner.

    python benchmarks/onnxruntime_gpu.py [--model FILE] [--batches 1 4 16] [--json FILE] [--write]

Both are measured in one process on one machine, each with its model loaded and a run behind it: the second of two
sessions on the same runner. Before that the GPU's histograms of a batch are compared with what the CPU counts of the
very same activations, field by field, and the activations with those of a plain session of ONNX Runtime.
benchmarks/gpu_bound.py measures memory. Needs onnxruntime-gpu and cuda-bindings.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.detector import add_arguments, model_of  # noqa: E402 - behind the path

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
    """Return how many tensors there are, which are counted otherwise than on the CPU, and how far sums are apart.

    And the tensors that have other values than a plain session of ONNX Runtime gives, which brings all to the host.
    """
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    with OnnxRuntimeRunner(model, providers=CUDA) as runner:
        name = runner.graph.inputs[0].name
        feeds = {name: images[2:6]}
        bases = {n: h.base for n, h in runner.histograms({name: images[:2]}, {})}
        seen = {name: images[2:6], **dict(runner.infer(feeds))}
        found = dict(runner.histograms(feeds, bases))
        wrong, sums = [], 0.0
        for tensor, array in seen.items():
            counted = Histogram.of(array, bases.get(tensor) or None)
            if facts(counted) != facts(found[tensor]):
                wrong.append(tensor)
            sums = max(sums, abs(counted.sum_squares - found[tensor].sum_squares) / (counted.sum_squares or 1.0))
        tap = runner._tap  # noqa: SLF001 - one session for all, whose outputs ONNX Runtime allocates
        tap.open(lean=False)
        plain = zip(tap.outputs, tap.run(feeds), strict=True)
        unlike = [tensor for tensor, array in plain if not np.array_equal(array, seen[tensor], equal_nan=True)]
        return len(seen), wrong, sums, unlike


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], help="batch sizes")
    add_arguments(parser, RESULTS)
    arguments = parser.parse_args()
    if arguments.of:
        write(json.loads(Path(arguments.of).read_text()))
        return 0
    arguments.model = model_of(arguments)
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
    n, wrong, sums, unlike = differences(arguments.model, images)
    said["tensors"], said["different"], said["sums"], said["unlike_plain"] = n, wrong, sums, unlike
    print(
        f"{n} tensors counted on {device}, {len(wrong)} other than on the CPU; sums within {sums:.1e}; {len(unlike)} "
        "tensors have other values than a plain session gives",
        flush=True,
    )
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
    if arguments.write:
        write(said)
    return 1 if wrong or unlike else 0


def plain_of(said):
    """Return a line on a plain session's values, where they were compared."""
    unlike = said.get("unlike_plain")
    return [] if unlike is None else [f"{len(unlike)} have other values than a plain session of ONNX Runtime gives."]


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
        *plain_of(said),
        "",
    ]
    RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
