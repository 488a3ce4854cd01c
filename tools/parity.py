"""Compare this package's scales with those that TensorRT wrote, row by row, and write docs/parity.md.

    python tools/parity.py [--data ../shared/data/trt86] [--kept FOLDER] [--second FILE] [--write]

``--data`` holds what TensorRT 8.6.0 wrote for data sets, small models, LeNet and PP-OCRv4 detection. ``--kept`` is what
``tools/run_on_tensorrt.py --keep`` and ``benchmarks/tensorrt.py --keep`` made on a machine with TensorRT:
``MODEL.entropy2.cache`` beside sessions of the same batches, ``MODEL.gpu.trtcal`` with TensorRT's activations and
``MODEL.cpu.trtcal`` with ONNX Runtime's; ``MODEL.tf32.cache``, if it is there, is TensorRT's with TF32, and
``device.txt`` names the GPU. ``--second`` has rows of another release.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.trt_run.models import TITLES  # noqa: E402
from trtcal_widgets import CalibrationCache, CalibrationSession, sample  # noqa: E402
from trtcal_widgets.core import calibrate_array  # noqa: E402
from trtcal_widgets.core.rivals import NEARLY_EQUAL  # noqa: E402
from trtcal_widgets.core.thresholds import threshold, threshold_curve  # noqa: E402
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trtcal_widgets.core.histogram import Histogram

PAGE = ROOT / "docs" / "parity.md"

SAME_CANDIDATE = 1e-5
"""Scales this near are the same candidate of histograms whose ranges differ by rounding: a bin is 5e-4 of the range."""


ROUNDING = 1e-6
"""How near a maximum must be to the first batch's for rounding to decide whether it lies beyond it."""


@dataclass
class Count:
    """How many rows agree, and why the others do not."""

    rows: int = 0
    bits: int = 0
    near: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def add(self, name: str, ours: float, theirs: float, why: str = "") -> None:
        """Take in one row."""
        self.rows += 1
        if scale_to_hex(ours) == scale_to_hex(theirs):
            self.bits += 1
        elif abs(ours - theirs) <= SAME_CANDIDATE * abs(theirs):
            self.near += 1
        else:
            self.reasons[why or "another pick"] += 1
            self.named.append(name)

    def cells(self) -> str:
        """Return the cells of a table: rows, bit for bit, same candidate, different, why."""
        why = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        different = self.rows - self.bits - self.near
        share = f" ({(self.bits + self.near) / self.rows:.1%})" if self.rows and different else ""
        return f"{self.rows:,} | {self.bits:,} | {self.near:,}{share} | {different} | {why}"


def reason(histogram: Histogram, theirs: float) -> str:
    """Say why an entropy pick differs from TensorRT's scale, as far as the histogram tells."""
    curve = threshold_curve(histogram, "entropy")
    if not np.isfinite(theirs) or not curve.bin_width > 0:
        return "no values" if not curve.bin_width > 0 else "infinite in TensorRT"
    index = theirs * 127 / curve.bin_width - 0.5
    nearest = round(index)
    if abs(index - nearest) > 0.02 or not 128 <= nearest <= 2048:
        twice = theirs * 127 / (2 * curve.bin_width) - 0.5
        grown = abs(twice - round(twice)) < 0.02 and histogram.amax > (1 - ROUNDING) * 2048 * curve.bin_width
        return "a maximum that rounding takes beyond the first batch's" if grown else "no candidate of this range"
    if histogram.n_values < len(histogram.counts):
        return "fewer values than bins"
    best, other = curve.objective[curve.pick - 128], curve.objective[nearest - 128]
    if other <= best * (1 + NEARLY_EQUAL) + 1e-9:
        return "two minima, nearly equal"
    return "the next bin" if abs(nearest - curve.pick) == 1 else "another pick"


# ---- data sets -----------------------------------------------------------------------------------------------------


def datasets_of(data: Path) -> Any:
    """Load the module that makes the data sets."""
    spec = importlib.util.spec_from_file_location("trt86_datasets", data / "datasets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def set_histograms(module: Any, seed: int, names: Iterable[str]) -> dict[str, Histogram]:
    """Return the histograms of a seed's data sets (``in7``) and their Relus (``out7``)."""
    found = {}
    for name in names:
        batches = module.dataset(seed, int(name.removeprefix("in").removeprefix("out")))
        values = batches if name.startswith("in") else [np.maximum(batch, 0) for batch in batches]
        found[name] = calibrate_array(values, "minmax").histogram
    return found


def method_of(name: str) -> tuple[str, int]:
    """Return the method and the seed of a file such as ``legacy_2_0.99_0.5``."""
    algorithm, seed, *numbers = name.split("_")
    if algorithm == "legacy":
        return f"legacy:{','.join(f'{float(n):g}' for n in numbers)}", int(seed)
    return {"entropy2": "entropy"}.get(algorithm, algorithm), int(seed)


def compare_sets(module: Any, caches: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Count]]:
    """Yield (title, count) for caches of data sets by the name of their file."""
    made: dict[int, dict[str, Histogram]] = {}
    for name, rows in caches.items():
        method, seed = method_of(name)
        known = made.setdefault(seed, {})
        known |= set_histograms(module, seed, (row for row in rows if row not in known))
        count = Count()
        for row, theirs in rows.items():
            count.add(row, float(scale_of_amax(threshold(known[row], method))), theirs)
        yield f"{method}, seed {seed}", count


# ---- models --------------------------------------------------------------------------------------------------------


def compare_session(session: CalibrationSession, cache: CalibrationCache) -> Count:
    """Compare a session's choices with TensorRT's cache, row by row of the cache."""
    ours = session.to_cache(cache.algorithm, "8.6.0").scales
    count = Count()
    for row, theirs in cache.scales.items():
        if row not in ours:
            count.add(row, float("nan"), theirs, "no row of ours")
            continue
        histogram = session.histogram(row) if row in session.graph.tensors else None
        entropy = str(session.state.method) == "entropy" and histogram is not None
        count.add(row, ours[row], theirs, reason(histogram, theirs) if entropy and histogram is not None else "")
    return count


def compare_lenet(data: Path) -> Iterator[tuple[str, Count]]:
    """Yield the bundled LeNet with each of the four calibrators."""
    methods = {"entropy2": "entropy", "minmax": "minmax", "entropy": "entropy", "legacy": "legacy:1,1"}
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run()
        for algorithm, method in methods.items():
            session.choose_all(method)
            cache = CalibrationCache.read(data / "models" / f"lenet.{algorithm}.cache")
            yield f"LeNet, {cache.algorithm}, ONNX Runtime's activations", compare_session(session, cache)


def compare_detector(data: Path) -> Iterator[tuple[str, Count]]:
    """Yield PP-OCRv4 detection with six photos, where scikit-image and the model can be had."""
    import skimage.data
    from PIL import Image

    from tests.support.models import ocr_model

    names = ("astronaut", "coffee", "chelsea", "rocket", "camera", "page")
    photos = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in names]
    values = np.stack([np.asarray(photo.resize((640, 640), Image.Resampling.BILINEAR)) for photo in photos])
    batches = ((values / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2).astype(np.float32)
    cache = CalibrationCache.read(data / "models" / "det.entropy2.cache")
    with CalibrationSession(ocr_model("det"), np.ascontiguousarray(batches), batch_size=1) as session:
        session.run()
        yield (
            f"PP-OCRv4 detection, 6 photos, {cache.algorithm}, ONNX Runtime's activations",
            compare_session(session, cache),
        )


def compare_operators() -> Iterator[tuple[str, Count]]:
    """Yield the small models together, one count for each calibrator."""
    from tests.support.trt86 import operators

    counts = {name: Count() for name in ("EntropyCalibration2", "MinMaxCalibration", "EntropyCalibration")}
    short = {"EntropyCalibration2": "entropy2", "MinMaxCalibration": "minmax", "EntropyCalibration": "entropy"}
    n = 0
    for case in operators():
        n += 1
        with CalibrationSession(case.path, case.feeds(), threads=2) as session:
            session.run()
            for name, count in counts.items():
                session.choose_all("minmax" if name == "MinMaxCalibration" else "entropy")
                ours = session.to_cache(name, "8.6.0").scales
                for row, theirs in case.rows(short[name]).items():
                    why = "" if row in ours else "no row of ours"
                    count.add(f"{case.path.stem}: {row}", ours.get(row, float("nan")), theirs, why)
    for name, count in counts.items():
        yield f"{n} small models, {name}", count


def compare_kept(folder: Path) -> Iterator[tuple[str, Count]]:
    """Yield real models with TensorRT's own activations and with ONNX Runtime's."""
    for name, title in TITLES.items():
        path = folder / f"{name}.entropy2.cache"
        if not path.exists():
            continue
        cache = CalibrationCache.read(path)
        for kind, words in (("gpu", "TensorRT's activations"), ("cpu", "ONNX Runtime's activations")):
            recorded = folder / f"{name}.{kind}.trtcal"
            if recorded.exists():
                with CalibrationSession.load(recorded) as session:
                    yield f"{title}, {cache.algorithm}, {words}", compare_session(session, cache)
        rounded = folder / f"{name}.tf32.cache"
        if rounded.exists():
            yield f"{title}, {cache.algorithm}, TensorRT itself with TF32", compare_caches(rounded, cache)


def compare_caches(path: Path, cache: CalibrationCache) -> Count:
    """Compare another cache of TensorRT's with its cache, row by row of the latter."""
    other = CalibrationCache.read(path).scales
    count = Count()
    for row, theirs in cache.scales.items():
        count.add(row, other.get(row, float("nan")), theirs, "TF32" if row in other else "no row")
    return count


# ---- a second release, and the page --------------------------------------------------------------------------------


def second_release(module: Any, data: Path, path: Path) -> list[str]:
    """Return the lines about another release: against this package and against 8.6.0."""
    kept = json.loads(path.read_text("utf-8"))
    version = kept["version"]
    lines = [f"## TensorRT {version}", "", *_HEAD_SECOND]
    caches = {name: _rows(found["cache"]) for name, found in kept["histograms"].items() if found["cache"]}
    for (title, count), (name, rows) in zip(compare_sets(module, caches), caches.items(), strict=True):
        first = _rows((data / "histograms" / f"{name}.cache").read_text("utf-8"))
        same = sum(first[row] == value for row, value in rows.items())
        lines.append(f"| {title} | {count.cells()} | {same:,} of {len(rows):,} |")
    lines += ["", *_operators_again(data, kept["operators"])]
    taken = {head: "ignored" if found["batches"] else "taken" for head, found in kept.get("headers", {}).items()}
    if taken:
        lines += ["", f"Headers: {', '.join(f'`TRT-{head}-…` {word}' for head, word in taken.items())}."]
    return [*lines, ""]


def _operators_again(data: Path, kept: Mapping[str, Any]) -> list[str]:
    """Return a line about the small models' rows in both releases."""
    n, same, total, order = 0, 0, 0, 0
    for name, found in kept.items():
        if not found.get("entropy2", {}).get("cache"):
            continue
        first = _rows(json.loads((data / "operators" / f"{name}.json").read_text("utf-8"))["entropy2"]["cache"])
        rows = _rows(found["entropy2"]["cache"])
        n += 1
        order += list(rows) == list(first)
        total += len(first)
        same += sum(abs(rows.get(row, np.inf) - value) <= SAME_CANDIDATE * value for row, value in first.items())
    if not n:
        return []
    return [
        f"{n} small models, EntropyCalibration2: {order} have the rows of 8.6.0 under the same names in the same "
        f"order; {same} of its {total} rows have its value (1e-5)."
    ]


def _rows(text: str) -> dict[str, float]:
    return dict(CalibrationCache.from_bytes(text.encode()).scales)


_HEAD = [
    "| data | rows | bit for bit | same candidate | different | why |",
    "| --- | ---: | ---: | ---: | ---: | --- |",
]
_HEAD_SECOND = [
    "| data | rows | bit for bit | same candidate | different | why | the same as 8.6.0 |",
    "| --- | ---: | ---: | ---: | ---: | --- | ---: |",
]

_REAL = """\
What TensorRT 8.6.0 wrote on an {device} with 16 photographs, crops of these, or 32 sentences. *TensorRT itself with
TF32*: the same calibration where TF32 is allowed, as it is unless told otherwise (`trt.build(..., tf32=False)`),
against the one without: TensorRT calibrates in FP32 either way.
"""

_INTRODUCTION = """\
# Equal to TensorRT, row for row

<!-- Written by tools/parity.py. Do not edit: run it again. -->
What TensorRT 8.6.0 wrote on an H100 (TF32 off, builder's level 0), against this package. *Bit for bit*: the same
float32 scale. *Same candidate*: within 1e-5, the same bin of a range that differs by the rounding of an activation.
*Two minima, nearly equal*: TensorRT took another bin, whose divergence is at most 0.2 % above that of ours:
rounding decides, and either pick is as good. *Fewer values than bins*: one value in the bin beside decides. *A maximum
that rounding takes beyond the first batch's*: bins become twice as wide where a later batch goes beyond the first, and
here its maximum is the same number but for its last bit.
"""


def _wrapped(line: str) -> str:
    """Break a long line of text; tables and whole paragraphs stay as they are."""
    if line.startswith("|") or "\n" in line or len(line) <= 118:
        return line
    return textwrap.fill(line, 118, subsequent_indent="  " * line.startswith("- "), break_long_words=False)


def main() -> None:
    """Compare and print, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "trt86")
    parser.add_argument("--kept", type=Path, help="folder of caches and sessions from a machine with TensorRT")
    parser.add_argument("--second", type=Path, help="JSON with rows of another release")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    module = datasets_of(given.data)
    files = sorted((given.data / "histograms").glob("*.cache"))
    sets = compare_sets(module, {path.stem: dict(CalibrationCache.read(path).scales) for path in files})
    parts = {
        "Data sets: 20 distributions, 8 ways of growing": sets,
        "Models": (*compare_operators(), *compare_lenet(given.data), *compare_detector(given.data)),
        "Real models": compare_kept(given.kept) if given.kept else (),
    }
    lines = [_INTRODUCTION]
    for title, found in parts.items():
        counted = list(found)
        if not counted:
            continue
        lines += [f"## {title}", ""]
        if title == "Real models":
            lines += [_REAL.format(device=(given.kept / "device.txt").read_text("utf-8").strip())]
        lines += [*_HEAD, *(f"| {name} | {count.cells()} |" for name, count in counted), ""]
        named = [
            f"{name}: {', '.join(f'`{row}`' for row in count.named[:8])}" for name, count in counted if count.named
        ]
        if named:
            lines += ["Different rows (up to eight each):", "", *(f"- {text}" for text in named), ""]
    if given.second:
        lines += second_release(module, given.data, given.second)
    text = "\n".join(_wrapped(line) for line in lines)
    print(text)
    if given.write:
        PAGE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
