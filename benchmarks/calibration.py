"""Calibrating PP-OCRv4 detection at 640x640 with 16 photos: time as a multiple of the bare model run, and peak memory.

    python benchmarks/calibration.py [--rounds 3] [--images 4 8 16 32] [--skip-onnxruntime] [--cores 2] [--write]

Every measurement is a process of its own. For time it runs the bare model before and after the contender, which has its
model loaded, and the ratio is taken inside the process; contenders take turns, and the table shows the median of the
rounds. For memory it runs the contender alone, and each photo is made when it is wanted. The photos are scikit-image's
bundled pictures, the model comes from the ``rapidocr-onnxruntime`` wheel. With ``--cores`` a larger machine is measured
as if it had only so many: the process keeps to them, and every session of ONNX Runtime has as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PHOTOS = (
    "astronaut", "coffee", "chelsea", "rocket", "retina", "hubble_deep_field", "immunohistochemistry", "colorwheel",
    "camera", "coins", "moon", "page", "text", "clock", "brick", "grass", "gravel", "cell",
)  # fmt: skip
OURS = ("fetch all tensors", "one pass", "two passes")
THEIRS = ("ORT MinMax", "ORT Percentile", "ORT Entropy")
GREEDY = ("ORT Percentile", "ORT Entropy")

_FOR_WORKERS: list[str] = []
"""What this process was told and its workers have to be told too."""


class Photos:
    """Photos as the detector takes them, float32 (n, 3, size, size), made of 8-bit pictures when they are asked for."""

    def __init__(self, count: int, size: int = 640) -> None:
        self._pictures = pictures(size)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, wanted: slice) -> np.ndarray:
        chosen = [self._pictures[i % len(self._pictures)] for i in range(self._count)[wanted]]
        values = (np.stack(chosen) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        return values.transpose(0, 3, 1, 2).astype(np.float32)

    def __iter__(self):
        return (self[i : i + 1] for i in range(self._count))


def photos(count: int, size: int = 640) -> np.ndarray:
    """Return photos in one array, float32 (count, 3, size, size), repeated where there are too few."""
    return np.concatenate(list(Photos(count, size)))


def pictures(size: int) -> list[np.ndarray]:
    """Return up to 16 of scikit-image's pictures, uint8 (size, size, 3)."""
    import skimage.data
    from PIL import Image

    found = []
    for name in PHOTOS:
        try:
            pixels = np.asarray(getattr(skimage.data, name)())
        except Exception as error:  # noqa: BLE001 - not every picture comes with the package
            print(f"  ({name} is not there: {type(error).__name__})", file=sys.stderr)
            continue
        if pixels.dtype != np.uint8:
            continue
        found.append(np.asarray(Image.fromarray(pixels).convert("RGB").resize((size, size))))
        if len(found) == 16:
            break
    return found


def detector() -> Path:
    """Return the path of the detection model."""
    from tests.support.models import ocr_model

    return ocr_model("det")


def use_cores(n: int) -> None:
    """Let this process and those that it starts have ``n`` cores, and ONNX Runtime's sessions ``n`` threads each."""
    import onnxruntime as ort

    class Options(ort.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = n  # left to itself, it has one on every core of the machine

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    ort.SessionOptions = Options


def bare_session(path: Path):
    """Return a plain ONNX Runtime session with its defaults."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Reader:
    """onnxruntime.quantization's data reader over an array."""

    def __init__(self, name: str, images: np.ndarray | Photos) -> None:
        self.feeds = ({name: images[i : i + 1]} for i in range(len(images)))

    def get_next(self):
        return next(self.feeds, None)

    def __iter__(self):
        return self.feeds


def contender(mode: str, path: Path, images: np.ndarray | Photos):
    """Return a function that loads the model, and one that then does the whole job once."""
    from trtcal_widgets import ArrayBatches, CalibrationSession, OnnxRuntimeRunner

    def fetch(runner) -> None:
        with runner:
            for i in range(len(images)):
                for _name, _array in runner.infer({"": images[i : i + 1]}):
                    pass

    def load_ours(range_mode: str):
        if isinstance(images, Photos):
            session = CalibrationSession(path, images, range_mode=range_mode)
        else:
            session = CalibrationSession(path, ArrayBatches(images), batch_size=1, range_mode=range_mode)
        session.recorder.constants()  # loads the model into ONNX Runtime
        return session

    def ours(session) -> None:
        with session:
            session.run()
            session.to_cache()

    def load_theirs(method: str):
        from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

        folder = tempfile.TemporaryDirectory()
        calibrator = create_calibrator(
            path,
            augmented_model_path=str(Path(folder.name) / "augmented.onnx"),
            calibrate_method=getattr(CalibrationMethod, method),
        )
        calibrator.set_execution_providers(["CPUExecutionProvider"])
        return calibrator, folder

    def theirs(loaded) -> None:
        calibrator, folder = loaded
        with folder:
            calibrator.collect_data(Reader(calibrator.model.graph.input[0].name, images))
            calibrator.compute_data()

    return {
        "fetch all tensors": (lambda: OnnxRuntimeRunner(path).__enter__(), fetch),
        "one pass": (lambda: load_ours("tensorrt"), ours),
        "two passes": (lambda: load_ours("two-pass"), ours),
        "ORT MinMax": (lambda: load_theirs("MinMax"), theirs),
        "ORT Percentile": (lambda: load_theirs("Percentile"), theirs),
        "ORT Entropy": (lambda: load_theirs("Entropy"), theirs),
    }[mode]


def measure(mode: str, n_images: int, *, memory: bool) -> dict[str, float]:
    """Measure one contender in this process."""
    path = detector()
    images = Photos(n_images) if memory else photos(n_images)
    session = bare_session(path)
    name = session.get_inputs()[0].name

    def bare() -> float:
        started = time.perf_counter()
        for i in range(n_images):
            session.run(None, {name: images[i : i + 1]})
        return time.perf_counter() - started

    session.run(None, {name: images[:1]})
    if memory:
        if mode == "bare":
            bare()
        else:
            del session
            load, run = contender(mode, path, images)
            run(load())
        return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    load, run = contender(mode, path, images)
    if mode in OURS:
        first_load, first_run = contender(mode, path, images[:1])
        first_run(first_load())  # numba loads its kernels
    before = bare()
    loaded = load()
    started = time.perf_counter()
    run(loaded)
    took = time.perf_counter() - started
    after = bare()
    return {"seconds": took, "bare_seconds": (before + after) / 2, "ratio": 2 * took / (before + after)}


def thresholds() -> dict[str, float]:
    """Time the threshold searches over all tensors of the detector, on all cores, from histograms that are there."""
    from concurrent.futures import ThreadPoolExecutor

    from trtcal_widgets import ArrayBatches, CalibrationSession
    from trtcal_widgets.common.cores import available_cores
    from trtcal_widgets.core.thresholds import METHODS, threshold

    with CalibrationSession(detector(), ArrayBatches(photos(2)), batch_size=1) as session:
        session.run()
        histograms = [session.histogram(name) for name in session.tensors]
    result: dict[str, float] = {"tensors": len(histograms)}
    with ThreadPoolExecutor(available_cores()) as pool:
        for label, methods in (("entropy", ["entropy"]), ("all methods", list(METHODS))):
            times = []
            for _ in range(5):
                started = time.perf_counter()
                list(pool.map(lambda h, m=methods: [threshold(h, method) for method in m], histograms))
                times.append(time.perf_counter() - started)
            result[label] = statistics.median(times)
    return result


def left_out() -> dict[str, float]:
    """Return the share of the detector's values that are made while others are counted, and so are never fetched."""
    from trtcal_widgets import OnnxRuntimeRunner
    from trtcal_widgets.model.derived import derived_tensors

    with OnnxRuntimeRunner(detector()) as runner:
        sizes = {name: array.size for name, array in runner.infer({"": photos(1)})}
        made = derived_tensors(runner.model)
    return {"tensors": len(made), "share": sum(sizes[name] for name in made) / sum(sizes.values())}


def in_process(*arguments: str) -> dict[str, float]:
    """Run this script's worker in a process of its own."""
    command = [sys.executable, __file__, *_FOR_WORKERS, "--worker", *arguments]
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(rounds: int, counts: list[int], modes: list[str]) -> str:
    """Measure everything and return the tables as Markdown."""
    from trtcal_widgets.common.cores import available_cores

    ratios: dict[str, list[float]] = {mode: [] for mode in modes}
    for number in range(rounds):
        for mode in modes:
            ratios[mode].append(in_process("time", mode, "16")["ratio"])
            print(f"round {number + 1}: {mode}: {ratios[mode][-1]:.2f}x", file=sys.stderr)
    lines = [
        f"PP-OCRv4 detection, 640x640, 16 photos; {platform.machine()}, {available_cores()} cores, "
        f"Python {platform.python_version()}, onnxruntime {__import__('onnxruntime').__version__}; "
        f"median of {rounds} interleaved rounds.",
        "",
        "| what | time, as a multiple of the bare run | " + " | ".join(f"peak MB, {n} images" for n in counts) + " |",
        "|---|---:|" + "---:|" * len(counts),
    ]
    for mode in ["bare", *modes]:
        peaks = []
        for count in counts:
            if mode in GREEDY and count > 16:
                peaks.append("not run")  # 720 MB more per image: more than this machine has
                continue
            try:
                peaks.append(f"{in_process('memory', mode, str(count))['peak_mb']:,.0f}")
            except subprocess.CalledProcessError:
                peaks.append("failed")
            print(f"memory: {mode}, {count} images: {peaks[-1]} MB", file=sys.stderr)
        ratio = "1" if mode == "bare" else f"{statistics.median(ratios[mode]):.1f}"
        lines.append(f"| {mode} | {ratio} | " + " | ".join(peaks) + " |")
    lines.append("")
    if "ORT Entropy" in modes:
        faster = [theirs / ours for ours, theirs in zip(ratios["one pass"], ratios["ORT Entropy"], strict=True)]
        listed = ", ".join(f"{value:.1f}" for value in faster)
        lines += [f"ORT Entropy takes {statistics.median(faster):.1f} times as long as one pass ({listed}).", ""]
    searched, made = in_process("thresholds"), in_process("left out")
    lines += [
        f"Thresholds of all {searched['tensors']:.0f} tensors from their histograms, {available_cores()} threads: "
        f"entropy {searched['entropy']:.2f} s, all methods {searched['all methods']:.2f} s.",
        "",
        f"{made['tensors']:.0f} activations with {100 * made['share']:.0f} % of all values are made while others are "
        "counted, and never fetched.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--skip-onnxruntime", action="store_true", help="measure only our own modes")
    parser.add_argument("--cores", type=int, help="use only so many")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/calibration.md")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cores:
        use_cores(arguments.cores)
        _FOR_WORKERS.extend(["--cores", str(arguments.cores)])
    if arguments.worker:
        kind, *rest = arguments.worker
        others = {"thresholds": thresholds, "left out": left_out}
        result = others[kind]() if kind in others else measure(rest[0], int(rest[1]), memory=kind == "memory")
        print(json.dumps(result))
        return
    modes = [*OURS, *([] if arguments.skip_onnxruntime else THEIRS)]
    text = report(arguments.rounds, arguments.images, modes)
    print(text)
    if arguments.write:
        target = ROOT / "benchmarks" / "results" / "calibration.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
