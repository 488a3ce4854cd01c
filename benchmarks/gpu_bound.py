"""PP-OCRv4 detection on a GPU with ONNX Runtime: what a bound on its memory costs, and that it is kept.

    python benchmarks/gpu_bound.py [--model FILE] [--batches 16 4] [--bounds 4096 1024 512] [--json FILE] [--write]

Each case is a process of its own. Before it starts, nvidia-smi says how much of the card is in use; while it runs, the
process asks the driver every millisecond how much is free: the difference is all that the process has there, CUDA's own
part too. Two batches are counted, the second one is timed. Digests of all histograms are compared with those of the
whole run; ``--counted`` has the CPU count the very same values as well. Needs onnxruntime-gpu and cuda-bindings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.detector import add_arguments, model_of  # noqa: E402 - behind the path
from benchmarks.onnxruntime_gpu import CUDA, facts, photos  # noqa: E402 - behind the path

RESULTS = ROOT / "benchmarks" / "results" / "gpu_bound.md"
MIB = 1 << 20


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


def in_use():
    """Return the bytes of the card that are in use, as nvidia-smi says."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return int(said.split()[0]) * MIB


def digest(histogram):
    """Return a few letters that stand for everything that a histogram knows but its sums."""
    return hashlib.blake2b(repr(facts(histogram)).encode()).hexdigest()[:16]


def one_case(arguments):
    """Measure one batch size with one bound, and print it as JSON: in a process of its own."""
    import onnxruntime

    from trtcal_widgets.errors import TrtcalError
    from trtcal_widgets.gpu.memory import open_memory
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    size, bound = arguments.case
    images = photos()[:size]
    said = {"batch": size, "bound": bound * MIB or None, "onnxruntime": onnxruntime.__version__}
    with open_memory() as memory:
        said |= {"device": memory.device.name, "total": memory.mem_info().total, "with_context": memory.mem_info().free}
        with OnnxRuntimeRunner(arguments.model, providers=CUDA) as runner:  # loads what CUDA's libraries keep for good
            list(runner.histograms({runner.graph.inputs[0].name: images[:1]}, {}))
        said["with_libraries"] = memory.mem_info().free
        runner = OnnxRuntimeRunner(arguments.model, providers=CUDA, gpu_memory=bound * MIB or None)
        feeds = {runner.graph.inputs[0].name: images}
        try:
            with Watch(memory) as watch, runner:
                said["first"], _ = taken(runner, feeds)
                said["seconds"], found = taken(runner, feeds)
                said["seconds"] = min(said["seconds"], taken(runner, feeds)[0])
                said["pieces"] = runner._on_device.n_pieces  # noqa: SLF001 - for the table alone
                if arguments.counted:
                    said["unlike_cpu"] = unlike_cpu(runner, feeds, found)
        except TrtcalError as error:
            print(json.dumps(said | {"error": f"{type(error).__name__}: {error}", "peak": watch.peak}))
            return
        said |= {"peak": watch.peak, "after": watch.before - memory.mem_info().free}
        said["least_free"] = watch.before - watch.peak
    said["digests"] = {name: digest(h) for name, h in found.items()}
    print(json.dumps(said))


def taken(runner, feeds):
    """Return the seconds of a batch and its histograms."""
    started = time.perf_counter()
    found = dict(runner.histograms(feeds, {}))
    return time.perf_counter() - started, found


def unlike_cpu(runner, feeds, found):
    """Return the tensors of a batch whose histogram is not what the CPU counts of the values that the GPU computed."""
    from trtcal_widgets.core.streams import stream_histograms

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        counted = dict(stream_histograms(runner.infer(feeds), {}, pool, workers))
    return [name for name, h in counted.items() if facts(h) != facts(found[name])]


def run_case(arguments, size, bound, *, counted):
    """Run a case in a process of its own and return what it says, with all that it had on the card at most."""
    command = [sys.executable, __file__, "--model", arguments.model, "--case", str(size), str(bound)]
    before = in_use()
    try:
        done = subprocess.run(
            command + ["--counted"] * counted, capture_output=True, text=True, timeout=arguments.timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"batch": size, "bound": bound * MIB or None, "error": f"no answer within {arguments.timeout} s"}
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"batch": size, "bound": bound * MIB or None, "error": done.stderr[-1500:]}
    if "least_free" in said:
        said["process"] = said["total"] - said["least_free"] - before
        said["context"] = said["total"] - said["with_libraries"] - before
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 4], help="batch sizes")
    parser.add_argument("--bounds", type=int, nargs="+", default=[4096, 1024, 512], help="MiB that a batch may take")
    parser.add_argument(
        "--counted", action="store_true", help="have the CPU count the values of the smallest batch too"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one case")
    parser.add_argument("--case", type=int, nargs=2, metavar=("BATCH", "MIB"), help=argparse.SUPPRESS)
    add_arguments(parser, RESULTS)
    arguments = parser.parse_args()
    if arguments.of:
        write(json.loads(Path(arguments.of).read_text()))
        return 0
    arguments.model = model_of(arguments)
    if arguments.case:
        one_case(arguments)
        return 0
    rows, wrong = [], 0
    for size in arguments.batches:
        whole = None
        for bound in (0, *arguments.bounds):
            counted = arguments.counted and size == min(arguments.batches) and bound in (0, min(arguments.bounds))
            row = run_case(arguments, size, bound, counted=counted)
            digests = row.pop("digests", {})
            whole = whole or digests
            row["different"] = [name for name in digests if digests[name] != whole.get(name)]
            row["tensors"] = len(digests)
            wrong += len(row["different"]) + len(row.get("unlike_cpu", []))
            rows.append(row)
            print(line(row), flush=True)
            if arguments.json:
                Path(arguments.json).write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1))
    if arguments.write:
        write({"cores": os.cpu_count(), "rows": rows})
    return 1 if wrong else 0


def how(row):
    """Return how a batch was run, in words."""
    return f"at most {row['bound'] / MIB:.0f} MiB" if row["bound"] else "whole"


def line(row):
    """Return a row in words."""
    start = f"batch size {row['batch']}, {how(row)}: "
    if "error" in row:
        return start + row["error"]
    counted = f", {len(row['unlike_cpu'])} other than the CPU counts" if "unlike_cpu" in row else ""
    return (
        f"{start}{row['pieces']} pieces, peak {row['peak'] / MIB:.0f} MiB beside CUDA's {row['context'] / MIB:.0f}, "
        f"{row['seconds']:.3f} s (first {row['first']:.2f} s), {len(row['different'])} of {row['tensors']} tensors "
        f"differ{counted}"
    )


def write(said):
    """Write the page of results."""
    rows = said["rows"]
    counted = [row for row in rows if "unlike_cpu" in row]
    first = next(row for row in rows if "device" in row)
    lines = [
        "# A bound on the GPU's memory",
        "",
        f"`python benchmarks/gpu_bound.py{' --counted' if counted else ''} --write` on {first['device']}, "
        f"{said['cores']} cores; ONNX Runtime "
        f"{first['onnxruntime']}. PP-OCRv4 detection at 640x640, all tensors counted; each row a process of its own, "
        "warm.",
        "",
        "| batch size | `gpu_memory` | pieces | peak beside CUDA's own | whole process | time |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['batch']} | {how(row)} | refused: {row['error']} | | | |")
        else:
            lines.append(
                f"| {row['batch']} | {how(row)} | {row['pieces']} | {row['peak'] / MIB:.0f} MiB | "
                f"{row['process'] / MIB:.0f} MiB | {row['seconds']:.3f} s |"
            )
    different = sum(len(row["different"]) for row in rows)
    lines += ["", f"{different} histograms in pieces are other than those of the whole run."]
    if counted:
        unlike = sum(len(row["unlike_cpu"]) for row in counted)
        lines[-1] += f" {unlike} are other than what the CPU counts of the same values ({len(counted)} rows looked at)."
    RESULTS.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    sys.exit(main())
