"""Rows about scales: calibrators, caches, amax, sessions, plans, profiles, precisions; all on LeNet."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.trt_run.models import data_of, model_path, source_of
from tools.trt_run.table import need, row
from trtcal_widgets import CalibrationCache, CalibrationSession, Evaluation, sample, trt
from trtcal_widgets.errors import CacheFormatError, DataError, EngineError

if TYPE_CHECKING:
    from pathlib import Path

ONE, FIFTY = (1, 1, 28, 28), (50, 1, 28, 28)
PROFILE = {"data": (ONE, FIFTY, FIFTY)}


def build(**options: Any) -> trt.Engine:
    """Build LeNet at level 0; with scales that are there already, for up to 50 images."""
    if "calibrator" not in options:
        options.setdefault("profiles", PROFILE)
    return trt.build(model_path("lenet"), level=0, **options)


def calibrate(algorithm: str = "entropy2", source: Any = None, **options: Any) -> tuple[trt.Engine, Any]:
    """Calibrate LeNet and return the engine and its calibrator, closed."""
    build_options = {key: options.pop(key) for key in ("before_fusion", "control", "progress", "log") if key in options}
    images, size = source_of("lenet")
    with trt.make_calibrator(source or images, algorithm, batch_size=None if source else size, **options) as made:
        return build(calibrator=made, **build_options), made


@cache
def scales() -> CalibrationCache:
    """Return a good cache of LeNet, from a session on the CPU."""
    images, size = source_of("lenet")
    with CalibrationSession(model_path("lenet"), images, batch_size=size) as session:
        session.run()
        return session.to_cache(version=".".join(trt.features(trt.load_tensorrt()).version.split(".")[:3]))


def tested(engine: trt.Engine) -> str:
    """Run an engine on the test images beside FP32, and say how it did."""
    found = trt.compare(engine, model_path("lenet"), Evaluation(sample.test_images(), batch_size=50))
    need(found.engine.value > found.fp32.value - 0.02, f"top-1 {found.engine.value} where FP32 has {found.fp32.value}")
    tensors = ", ".join(f"{name} {one.sqnr_db:.1f} dB" for name, one in found.tensors.items())
    return f"top-1 {found.engine.value:.1%} (FP32 {found.fp32.value:.1%}), {tensors}"


def agreement(ours: CalibrationCache, theirs: CalibrationCache) -> str:
    """Count the rows of TensorRT's cache that ours has, near and to the bit."""
    both = [name for name in theirs.scales if name in ours.scales]
    bits = sum(ours.hex(name) == theirs.hex(name) for name in both)
    near = sum(bool(np.isclose(ours.scales[name], theirs.scales[name], rtol=1e-5, atol=0)) for name in both)
    more = len(ours.scales) - len(both)
    share = f"{len(both)} are ours ({near} within 1e-5, {bits} to the bit)"
    return f"of TensorRT's {len(theirs.scales)} rows {share}, {more} more"


def _calibrator_row(algorithm: str, method: str = "entropy", **options: Any) -> None:
    numbers = ", ".join(f"{key} {value}" for key, value in options.items())

    @row(f"calibrator {algorithm}{': ' + numbers if numbers else ''}")
    def run(folder: Path) -> str:
        path = folder / "c.cache"
        more = {"histogram_cache": folder / "h.bin"} if algorithm == "legacy" else {}
        engine, made = calibrate(algorithm, cache=path, **options, **more)
        need(engine.cache is not None and path.read_bytes() == engine.cache.to_bytes(), "the file is another cache")
        need(made.served == 10, f"{made.served} batches of 10")
        again = build(cache=path)
        need(again.provenance["scales"]["batches"] == 0, "TensorRT did not take its own cache back")
        images, size = source_of("lenet")
        with CalibrationSession(model_path("lenet"), images, batch_size=size, method=method) as session:
            session.run()
            ours = session.to_cache(version="8.6.0", algorithm=None if algorithm != "entropy" else "EntropyCalibration")
        words = agreement(ours, engine.cache)
        if more:
            words += f"; {more['histogram_cache'].stat().st_size:,} bytes of histograms"
        return f"`{engine.cache.header}`, taken again without data; {words}"


_calibrator_row("entropy2")
_calibrator_row("entropy")
_calibrator_row("minmax", "minmax")
_calibrator_row("legacy", "legacy:1")
_calibrator_row("legacy", "legacy:0.999,0.5", quantile=0.999, regression_cutoff=0.5)


@row("entropy calibrator before fusion")
def before_fusion(_folder: Path) -> str:
    """Every tensor has a row then."""
    engine, _ = calibrate("entropy", before_fusion=True)
    return agreement(scales(), engine.cache)


@row("caches of other headers: error, use, recalibrate")
def headers(folder: Path) -> str:
    """What becomes of each, and what is in the file afterwards."""
    said = []
    for version, algorithm in (
        ("8.5.3", "EntropyCalibration2"),
        ("10.3.0", "EntropyCalibration2"),
        ("8.6.0", "MinMaxCalibration"),
    ):
        for stale in ("error", "use", "recalibrate"):
            path = folder / f"{version}{algorithm}{stale}.cache"
            scales().with_header(version=version, algorithm=algorithm).write(path)
            try:
                _, made = calibrate(cache=path, stale=stale)
                then = CalibrationCache.read(path).header
                said.append(f"{version} {algorithm[:6]} {stale}: {made.served} batches, file {then}")
            except CacheFormatError:
                said.append(f"{version} {algorithm[:6]} {stale}: refused")
    return "; ".join(said)


@row("amax alone, and over a cache")
def amax(_folder: Path) -> str:
    """Ranges set by hand."""
    alone = build(amax={name: value for name, value in scales().amax.items() if "Unnamed" not in name})
    over = build(cache=scales(), amax={"conv1": 0.2})
    return f"alone: {tested(alone)}; conv1 changed in a cache: {tested(over)}"


@row("scales of a session; batches that it leaves out")
def of_a_session(_folder: Path) -> str:
    """The explorer's choices in an engine, and in TensorRT's own calibration."""
    images, size = source_of("lenet")
    with CalibrationSession(model_path("lenet"), images, batch_size=size) as session:
        session.run()
        words = tested(build(session=session))
        session.exclude(3)
        with trt.make_calibrator(session) as made:
            engine = build(calibrator=made)
        need(made.served == 9, f"{made.served} batches of 9")
        return f"{words}; 9 of 10 batches: {agreement(session.to_cache(version='8.6.0'), engine.cache)}"


@row("plan: layers kept in FP32 and FP16")
def plan(_folder: Path) -> str:
    """Layer precisions, obeyed and preferred."""
    from trtcal_widgets.model.load import load_graph
    from trtcal_widgets.model.plan import PrecisionPlan

    nodes = [node.name for node in load_graph(model_path("lenet")).nodes]
    said = []
    for precision in ("fp32", "fp16"):
        for constraints in ("obey", "prefer"):
            keep = PrecisionPlan(keep=(nodes[0], nodes[2]), precision=precision)
            engine = build(cache=scales(), plan=keep, constraints=constraints)
            layers = engine.provenance["plan"]["layers"]
            need(all(layers.values()), f"nodes without a layer: {layers}")
            said.append(f"{precision} {constraints}: {tested(engine)}")
    return "; ".join(said)


@row("debug tensors")
def debug(_folder: Path) -> str:
    """Inner tensors of an INT8 engine against FP32."""
    engine = build(cache=scales(), debug=["conv1", "pool1", "relu1"])
    return f"as {engine.provenance['debug']['kind']}: {tested(engine)}"


@row("profiles and dynamic batch sizes")
def profiles(_folder: Path) -> str:
    """One engine, batches of several sizes, and one that is too large."""
    images, _ = data_of("lenet")
    engine = build(cache=scales(), profiles={"data": (ONE, (8, 1, 28, 28), (32, 1, 28, 28))})
    with trt.Execution(engine) as run:
        whole = run.run({"data": images[:32]})["prob"]
        for n in (1, 5, 32):
            part = run.run({"data": images[:n]})["prob"]
            need(part.shape == (n, 10) and np.abs(part - whole[:n]).max() < 0.1, f"batch of {n} differs")
        try:
            run.run({"data": images[:40]})
            need(condition=False, why="a batch of 40 was taken")
        except DataError:
            pass
    build(cache=scales(), profiles=[{"data": ONE}, PROFILE])
    return "batches of 1, 5 and 32 give the same; 40 is refused; two profiles build"


@row("FP16, TF32, no INT8")
def precisions(_folder: Path) -> str:
    """Flags of the builder."""
    cases = {
        "INT8 and FP16": {"cache": scales(), "fp16": True},
        "FP16": {"int8": False, "fp16": True},
        "TF32": {"int8": False},
        "FP32": {"int8": False, "tf32": False},
    }
    return "; ".join(f"{name}: {tested(build(**options))}" for name, options in cases.items())


@row("Q/DQ model")
def explicit(folder: Path) -> str:
    """The scales in the model."""
    from trtcal_widgets.export.qdq import build_qdq

    path = folder / "q.onnx"
    build_qdq(model_path("lenet"), scales()).write(path)
    engine = trt.build(path, profiles=PROFILE, level=0)
    return f"strongly typed: {engine.provenance['settings']['strongly_typed']}; {tested(engine)}"


@row("save, load, and a damaged file")
def files(folder: Path) -> str:
    """Engines on disk."""
    engine = build(int8=False)
    engine.save(folder / "m.engine")
    words = tested(trt.Engine.load(folder / "m.engine"))
    (folder / "bad.engine").write_bytes(engine.data[:5000])
    try:
        trt.Execution(folder / "bad.engine")
    except EngineError:
        return f"{words}; the damaged one is refused"
    raise AssertionError("a damaged engine was taken")
