"""Rows about real models: their FP32 activations, calibration, Q/DQ, and dimensions that are called ``?``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from tools.trt_run.models import MODELS, TITLES, first_batch, model_path, source_of
from tools.trt_run.table import need, row
from trtcal_widgets import CalibrationSession, OnnxRuntimeRunner, trt
from trtcal_widgets.export.qdq import build_qdq


def _kept(name: str) -> Path | None:
    """Return where ``--keep`` wants a file; None without it."""
    folder = os.environ.get("TRTCAL_KEEP")
    return Path(folder) / name if folder else None


def _observed_row(name: str) -> None:
    @row(f"{TITLES[name]}: TensorRT's FP32 activations")
    def run(_folder: Path) -> str:
        path, feeds = model_path(name), first_batch(name)
        start = time.perf_counter()
        with trt.TensorRTRunner(path) as gpu, OnnxRuntimeRunner(path) as cpu:
            theirs = dict(gpu.infer(feeds))
            built = time.perf_counter() - start
            ours = dict(cpu.infer(feeds))
            both = [tensor for tensor, array in ours.items() if tensor in theirs and array.size]
            off = [_difference(theirs[tensor], ours[tensor]) for tensor in both]
            counted = dict(gpu.histograms(feeds, {}))
            need(_same_counts(counted, theirs), "the GPU counts another histogram than the CPU, of the same values")
            missing = gpu.missing
        images, size = source_of(name)
        with CalibrationSession(trt.TensorRTRunner(path), images, batch_size=size) as session:
            session.run()
            cache = session.to_cache(version="8.6.0")
            if kept := _kept(f"{name}.gpu.trtcal"):
                session.save(kept)
        return (
            f"{len(theirs)} tensors, {len(missing)} folded away; engine and first batch in {built:.0f} s; at most "
            f"{max(off):.1e} of a tensor's maximum off ONNX Runtime; counts on the GPU are the CPU's; "
            f"{len(cache.scales)} rows"
        )


def _difference(a: Any, b: Any) -> float:
    """Return the largest difference as a share of the tensor's largest value."""
    return float(np.abs(a.astype(np.float64) - b).max() / max(float(np.abs(b).max()), 1e-30))


def _same_counts(counted: dict[str, Any], arrays: dict[str, Any]) -> bool:
    from trtcal_widgets.core.histogram import Histogram

    names = [name for name in counted if name in arrays][:40]
    return all(np.array_equal(counted[name].counts, Histogram.of(arrays[name]).counts) for name in names)


def _built_row(name: str) -> None:
    @row(f"{TITLES[name]}: calibrated, Q/DQ, compared")
    def run(folder: Path) -> str:
        path = model_path(name)
        images, size = source_of(name)
        cache = _kept(f"{name}.entropy2.cache") or folder / "c.cache"
        cache.unlink(missing_ok=True)
        start = time.perf_counter()
        with trt.make_calibrator(images, batch_size=size, cache=cache) as made:
            engine = trt.build(path, calibrator=made, level=0, tf32=False)
        seconds = time.perf_counter() - start
        with CalibrationSession(path, images, batch_size=size) as session:
            session.run()
            if kept := _kept(f"{name}.cpu.trtcal"):
                session.save(kept)
            build_qdq(path, session).write(folder / "q.onnx")
            explicit = trt.build(folder / "q.onnx", profiles=_profiles(engine), level=0, tf32=False)
            said = [
                f"{kind}: {_outputs(trt.compare(one, session, images, batch_size=size, latency_runs=0))}"
                for kind, one in {"calibrated": engine, "Q/DQ": explicit}.items()
            ]
        return f"{len(engine.cache.scales)} rows in {seconds:.0f} s; {'; '.join(said)}"


def _rounded_row(name: str) -> None:
    @row(f"{TITLES[name]}: calibrated with TF32, as TensorRT does unless told otherwise")
    def run(folder: Path) -> str:
        images, size = source_of(name)
        cache = _kept(f"{name}.tf32.cache") or folder / "c.cache"
        cache.unlink(missing_ok=True)
        with trt.make_calibrator(images, batch_size=size, cache=cache) as made:
            engine = trt.build(model_path(name), calibrator=made, level=0)
        return f"{len(engine.cache.scales)} rows"


def _profiles(engine: trt.Engine) -> Any:
    """Return the shapes that an engine was built for, for another one."""
    found = engine.provenance["profiles"]
    return {name: tuple(map(tuple, shapes)) for name, shapes in found[0].items()} if found else None


def _outputs(found: trt.EngineComparison) -> str:
    """Return the SQNR of the outputs."""
    return ", ".join(f"{found.tensors[name].sqnr_db:.1f} dB" for name in found.outputs)


for _name in MODELS:
    _observed_row(_name)
for _name in MODELS[1:]:
    _built_row(_name)
    _rounded_row(_name)


@row("dimensions that are all called ?")
def placeholders(_folder: Path) -> str:
    """Paddle's exporter gives every dynamic dimension this name."""
    shape = (4, 3, 48, 192)
    engine = trt.build(model_path("cls"), int8=False, profiles={"x": shape}, level=0)
    with trt.Execution(engine) as run:
        (found,) = run.run({"x": np.zeros(shape, np.float32)}).values()
    need(found.shape == (4, 2), f"{found.shape}")
    return f"the classifier, named {engine.provenance.get('dimensions')}, runs a batch of {shape}"
