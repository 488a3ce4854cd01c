"""How fast the GPU makes histograms, against a device-to-device copy, and whether they are the CPU's.

    python3 benchmarks/gpu_histogram.py [--write | --output FILE]

Needs an NVIDIA GPU with 8 GB free, cuda-bindings and cuda-core. Every timed case is also counted on the CPU and
compared: all integers, the extremes and the range exactly, the sums to 1e-12.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from trtcal_widgets.core.histogram import Histogram  # noqa: E402 - found by the line above
from trtcal_widgets.gpu import histogram as gpu_histogram  # noqa: E402
from trtcal_widgets.gpu.histogram import DeviceArray, GpuHistograms  # noqa: E402
from trtcal_widgets.gpu.memory import DeviceMemory, open_memory  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MIB = 1 << 20
SIZES = (64 * MIB, 256 * MIB, 1024 * MIB)
TILE = 64 * MIB
"""Bytes of each data set that are made on the host; longer arrays repeat its two halves."""

ROTATE = 512 * MIB
"""Arrays of one case are at least this many bytes together: ten times a large second-level cache."""

LEAST_ROWS = 16_384
"""Room for the counters of all repetitions, so that nothing is folded in between."""


@dataclass
class DataSet:
    """Values to count; ``first`` fills the first half of an array and ``second`` the second."""

    name: str
    first: NDArray[Any]
    second: NDArray[Any]
    base: float


def data_sets(dtype: str) -> list[DataSet]:
    """Make the data sets, TILE bytes each."""
    rng = np.random.default_rng(0)
    n = TILE // 2 // np.dtype(dtype).itemsize
    a, b = (rng.standard_normal(n, np.float32) for _ in range(2))
    top = float(max(np.abs(a).max(), np.abs(b).max()))
    equal = np.full(n, 0.7, np.float32)
    narrow = rng.uniform(1.0, 1.0004, n).astype(np.float32)
    nans = a.copy()
    nans[rng.integers(0, n, n // 1000)] = np.nan
    nans[rng.integers(0, n, n // 100_000)] = np.inf
    nans[rng.integers(0, n, n // 100_000)] = -np.inf
    made = [
        ("Gaussian", a, b, top),
        ("all equal", equal, equal, 0.7),
        ("half zero (after a ReLU)", np.maximum(a, 0), np.maximum(b, 0), top),
        ("one bin, different values", narrow, narrow, 1.5),
        ("0.1 % NaN, some infinite", nans, nans[::-1].copy(), top),
        ("ten times larger from the middle on", a, b * 10, top),
        ("a thousand times the range from the start", a * 1000, b * 1000, top),
    ]
    kind = np.dtype(dtype).type
    return [DataSet(name, x.astype(dtype), y.astype(dtype), float(kind(base))) for name, x, y, base in made]


class Timer:
    """Times queued GPU work with events."""

    def __init__(self, memory: DeviceMemory) -> None:
        from cuda.bindings import driver

        self.api = driver
        self.memory = memory
        self.delay = memory.alloc(2048 * MIB)
        with memory.current():
            self.events = [self.check(driver.cuEventCreate(0)) for _ in range(2)]

    def check(self, result: Any) -> Any:
        """Return the value of a driver call, or stop."""
        if result[0] != 0:
            raise SystemExit(f"CUDA error: {result[0]}")
        return result[1] if len(result) > 1 else None

    def seconds(
        self,
        work: Callable[[int], object],
        times: int,
        *,
        before: Callable[[], object] = lambda: None,
        samples: int = 9,
    ) -> float:
        """Return the median time of one ``work(i)``, of ``times`` in a row."""
        found = []
        for _ in range(samples):
            before()
            self.memory.synchronize()
            with self.memory.current():
                for _ in range(max(4, times)):  # keeps the GPU busy while Python queues the rest
                    self.check(self.api.cuMemsetD8Async(self.delay.ptr, 0, self.delay.nbytes, 0))
                self.check(self.api.cuEventRecord(self.events[0], 0))
                for i in range(times):
                    work(i)
                self.check(self.api.cuEventRecord(self.events[1], 0))
                self.check(self.api.cuEventSynchronize(self.events[1]))
                found.append(self.check(self.api.cuEventElapsedTime(*self.events)) / times)
        return statistics.median(found) / 1e3


class Bench:
    """One device, with room for the arrays."""

    def __init__(self, memory: DeviceMemory) -> None:
        self.memory = memory
        self.timer = Timer(memory)
        self.space = memory.alloc(4096 * MIB)
        self.tile = memory.alloc(TILE)

    def fill(self, data: DataSet, nbytes: int) -> list[DeviceArray]:
        """Lay out arrays of ``nbytes`` with this data, as many as take turns."""
        count = max(2, ROTATE // nbytes)
        half = TILE // 2
        self.memory.upload(self.tile, data.first)
        self.memory.upload(self.tile, data.second, offset=half)
        copy, check = self.timer.api.cuMemcpyDtoDAsync, self.timer.check
        with self.memory.current():
            for start in range(0, count * nbytes, half):
                second = (start % nbytes) * 2 >= nbytes
                check(copy(self.space.ptr + start, self.tile.ptr + half * second, half, 0))
        n = nbytes // data.first.itemsize
        return [DeviceArray(0, self.space.ptr + i * nbytes, n, str(data.first.dtype)) for i in range(count)]

    def copy_bandwidth(self, nbytes: int) -> float:
        """Return the bytes per second, read and written, of a device-to-device copy of ``nbytes``."""
        count = max(2, ROTATE // nbytes)
        with self.memory.alloc(nbytes * count) as target:

            def work(i: int) -> None:
                offset = (i % count) * nbytes
                where = (target.ptr + offset, self.space.ptr + offset)
                self.timer.check(self.timer.api.cuMemcpyDtoDAsync(*where, nbytes, 0))

            return 2 * nbytes / self.timer.seconds(work, repeats(nbytes))

    def case(self, data: DataSet, nbytes: int) -> tuple[float, float]:
        """Return the bytes per second of counting, and of counting and folding, after comparing with the CPU."""
        arrays = self.fill(data, nbytes)
        times = repeats(nbytes)
        # Every repetition has a slot of its own: one that was counted before has its final range already.
        lists = [[arrays[i % len(arrays)]._replace(slot=i)] for i in range(times)]
        bases = [data.base] * times
        with GpuHistograms(times, bases, memory=self.memory) as gpu:

            def fold_too(i: int) -> None:
                gpu.add(lists[i])
                gpu._settle()  # noqa: SLF001 - fetch() does this; here it is timed

            for one in lists:
                gpu.add(one)
            want = Histogram.of(np.concatenate([data.first, data.second]), data.base)
            for got in gpu.fetch():
                compare(got, want, nbytes // TILE, data.name)
            found = [
                nbytes / self.timer.seconds(work, times, before=lambda: gpu.reset(bases))
                for work in (lambda i: gpu.add(lists[i]), fold_too)
            ]
            for got in gpu.fetch():
                compare(got, want, nbytes // TILE, data.name)
        return found[0], found[1]


def repeats(nbytes: int) -> int:
    """Return how often to repeat, so that a sample takes milliseconds."""
    return max(4, min(48, 2048 * MIB // nbytes))


def compare(got: Histogram, want: Histogram, times: int, what: str) -> None:
    """Stop if a histogram is not that of the values ``times`` times over."""
    same = [
        *(getattr(got, name) == getattr(want, name) for name in ("base", "doublings", "minimum", "maximum")),
        *(getattr(got, n) == times * getattr(want, n) for n in ("edge", "zeros", "nans", "pos_infs", "neg_infs")),
        (got.counts == times * want.counts).all(),
        abs(got.total - times * want.total) <= 1e-12 * times * np.sqrt(want.sum_squares * max(1, want.n_finite)),
        abs(got.sum_squares - times * want.sum_squares) <= 1e-12 * times * want.sum_squares,
    ]
    if not all(same):
        raise SystemExit(f"{what}: the GPU's histogram is not the CPU's")


def large_arrays(bench: Bench, copies: dict[int, float]) -> list[str]:
    """Return the lines of the table of one large array at a time."""
    heads = [f"{size // MIB} MiB" for size in SIZES]
    lines = ["| data | " + " | ".join(f"{h} | % of copy | with fold" for h in heads) + " |"]
    lines.append("|---|" + "---:|---:|---:|" * len(SIZES))
    cells = (f"{copies[size] / 1e9:.0f} | 100 | " for size in SIZES)
    lines.append("| *device-to-device copy* | " + " | ".join(cells) + " |")
    for dtype in ("float32", "float16"):
        for data in data_sets(dtype):
            cells = []
            for size in SIZES:
                rate, folded = bench.case(data, size)
                cells.append(f"{rate / 1e9:.0f} | {100 * rate / copies[size]:.0f} | {100 * folded / copies[size]:.0f}")
            lines.append(f"| {dtype}, {data.name} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return lines


def many_tensors(bench: Bench, copy: float) -> list[str]:
    """Return the lines of the table of all tensors of a real model together."""
    sizes = json.loads((HERE / "pp_ocrv4_det_640_sizes.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(1)
    data = rng.standard_normal(TILE // 4, np.float32)
    data[: data.size // 2] = np.maximum(data[: data.size // 2], 0)
    where, arrays, host = 0, [], []
    for slot, n in enumerate(sizes):
        start = (slot * 977) % 4096 + (slot % 2) * data.size // 2  # every other one is half zero
        host.append(data[start : start + n])
        arrays.append(DeviceArray(slot, bench.space.ptr + where, n))
        bench.memory.upload(bench.space, host[-1], offset=where)
        where += -(-4 * n // 256) * 256
    read = 4.0 * sum(sizes)
    rows = [
        ("the bytes at the copy's bandwidth", read / copy),
        ("allowed: that and 10 %, and 1 ms", 1.1 * read / copy + 1e-3),
        *model_times(bench, arrays, host, 2.0, "ranges known"),
        *model_times(bench, arrays, host, None, "ranges to be found"),
    ]
    head = f"{len(sizes)} float32 tensors of {min(sizes)} to {max(sizes):,} elements, {read / 1e6:.0f} MB"
    return [f"| {head} | ms |", "|---|---:|", *(f"| {what} | {1e3 * seconds:.3f} |" for what, seconds in rows)]


def model_times(
    bench: Bench, arrays: list[DeviceArray], host: list[NDArray[Any]], base: float | None, what: str
) -> list[tuple[str, float]]:
    """Return what it takes to count all tensors together, in seconds."""
    memory = bench.memory
    bases = [base] * len(arrays)
    with GpuHistograms(len(arrays), bases, memory=memory) as gpu:

        def reset() -> None:
            gpu.reset(bases)
            memory.synchronize()

        def add_and_fold(_: int) -> None:
            gpu.add(arrays)
            gpu._settle()  # noqa: SLF001 - fetch() does this; here it is timed

        first = clocked(lambda: gpu.add(arrays), memory)
        for slot, got in enumerate(gpu.fetch()):
            compare(got, Histogram.of(host[slot], base), 1, f"tensor {slot}")
        device = bench.timer.seconds(lambda _: gpu.add(arrays), 1, before=reset)
        folded = bench.timer.seconds(add_and_fold, 1, before=reset)
        calls, fetches = [], []
        for _ in range(15):
            reset()
            calls.append(clocked(lambda: gpu.add(arrays), memory))
            fetches.append(clocked(gpu.fetch, memory))
    return [
        (f"{what}: counting, on the device", device),
        (f"{what}: counting and folding, on the device", folded),
        (f"{what}: add() until it is done, seen from Python", statistics.median(calls)),
        (f"{what}: the first such add(), which plans", first),
        (f"{what}: fetch() of all histograms, seen from Python", statistics.median(fetches)),
    ]


def clocked(work: Callable[[], object], memory: DeviceMemory) -> float:
    """Return the seconds that a call takes until the device is idle."""
    start = time.perf_counter()
    work()
    memory.synchronize()
    return time.perf_counter() - start


def others() -> list[str]:
    """Return lines with what PyTorch's histogram reaches on 1 GiB, if PyTorch is there."""
    try:
        import torch
    except ImportError:
        return []
    lines = ["| torch.histc of 2048 bins, 1 GiB float32, counts alone | GB/s |", "|---|---:|"]
    for data in data_sets("float32")[:3]:
        x = torch.from_numpy(np.concatenate([data.first, data.second])).cuda().repeat(1024 * MIB // TILE)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        rates = []
        for _ in range(5):
            begin.record()
            torch.histc(x, 2048, -data.base, data.base)
            end.record()
            end.synchronize()
            rates.append(4 * x.numel() / begin.elapsed_time(end) / 1e6)
        lines.append(f"| {data.name} | {statistics.median(rates):.0f} |")
        del x
    return lines


def report(memory: DeviceMemory) -> str:
    """Measure everything and return the page."""
    gpu_histogram._LEAST_ROWS = LEAST_ROWS  # noqa: SLF001 - see there
    bench = Bench(memory)
    copies = {size: bench.copy_bandwidth(size) for size in SIZES}
    device = memory.device
    major, minor = divmod(device.driver_version, 1000)
    packages = ", ".join(f"{name} {version(name)}" for name in ("cuda-bindings", "cuda-core", "numpy"))
    return "\n".join(
        [
            "# Histograms on the GPU",
            "",
            f"{device.name}, {device.multiprocessors} multiprocessors, driver for CUDA {major}.{minor // 10}; "
            f"{packages}; {dt.datetime.now(dt.timezone.utc):%Y-%m-%d}. Made by `python3 benchmarks/gpu_histogram.py "
            "--write`.",
            "",
            "Every histogram that was timed was compared with the CPU's: all counts, zeros, NaN, infinities, extremes "
            "and doublings are equal, sums agree to 1e-12.",
            "",
            "## One large array at a time",
            "",
            "GB/s between two CUDA events, of work that was queued before (Python's own time does not show), on arrays "
            "that take turns so that no cache holds them; the copy counts what it reads and writes, a histogram what "
            'it reads. "% of copy" compares with a copy of an array of the same size. "With fold" adds the kernel that '
            "brings the blocks' counts together, which runs once per `fetch()`, not per array, and takes about as "
            "long for one array as for many.",
            "",
            *large_arrays(bench, copies),
            "",
            "## All tensors of a model together",
            "",
            "The tensors of PP-OCRv4's detector at 640 x 640, constants included.",
            "",
            *many_tensors(bench, copies[SIZES[-1]]),
            "",
            *others(),
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/gpu_histogram.md")
    parser.add_argument("--output", type=Path, help="write this file")
    options = parser.parse_args()
    with open_memory() as memory:
        page = report(memory)
    print(page)
    output = HERE / "results" / "gpu_histogram.md" if options.write else options.output
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
