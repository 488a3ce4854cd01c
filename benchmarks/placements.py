"""Explicit against implicit INT8 on TensorRT up to 10 and a GPU: latency, accuracy, layers.

    python benchmarks/placements.py build MODEL LEVEL ROUNDS SECONDS FOLDER [KINDS [TAG]]
    python benchmarks/placements.py time SECONDS FOLDER [MODEL.LEVEL ...]
    python benchmarks/placements.py simulate MODEL SECONDS FOLDER

``build`` makes engines of these kinds, as often as ``ROUNDS``: implicit (calibration cache), explicit (our placement),
rules (``placement="implicit"``), map (pairs as the implicit engine of the same round ran in INT8), fp16, fp32; and one
for each ``MODEL.KIND.layers.json`` (what ``LayerPrecisions.save`` wrote) in the folder ``TRTCAL_VARIANTS``. Several
processes can build the same model: ``KINDS`` (with commas) says what, ``TAG`` tells their files apart. The engines of
a round share a timing cache, so that a kernel that two of them can have is measured once; the next round measures anew.
``time`` runs all of a model side by side. ``simulate`` compares every quantised tensor of an engine with the INT8
simulation. Each writes one JSON file. Times mean nothing with other work on the GPU: run ``time`` alone.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
# This file's own folder has a module called as one that is needed.
sys.path = [str(ROOT), *(folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks")]

from tools.trt_run import engines  # noqa: E402
from tools.trt_run.models import data_of, model_path  # noqa: E402

KINDS = ("implicit", "map", "rules", "explicit", "fp16", "fp32")


def scales_of(name, folder):
    """Return our session's cache: kept in ``TRTCAL_CACHES``, or recorded here."""
    kept = Path(os.environ.get("TRTCAL_CACHES", folder)) / f"{name}.ours.cache"
    if not kept.exists():
        from trtcal_widgets import ArrayBatches, CalibrationSession

        data, size = data_of(name)
        with CalibrationSession(model_path(name), ArrayBatches(data), batch_size=size) as session:
            session.run()
            session.to_cache(version="8.6.0").write(kept)
    return kept


def batches_of(name, graph):
    """Return up to four batches as feeds."""
    data, size = data_of(name)
    if name == "lenet":
        size = 32
    if not isinstance(data, dict):
        data = {graph.inputs[0].name: data}
    count = min(4, len(next(iter(data.values()))) // size)
    return [{key: value[i * size : (i + 1) * size] for key, value in data.items()} for i in range(count)]


def float_bytes(name):
    """Return the FP32 model, its dimensions named."""
    import onnx

    from trtcal_widgets.model.dimensions import name_dimensions

    proto = onnx.load(model_path(name))
    name_dimensions(proto)
    return proto.SerializeToString()


def reference(name, batches):
    """Return FP32's outputs of all batches, by ONNX Runtime without optimisations."""
    session = plain_session(float_bytes(name))
    names = [output.name for output in session.get_outputs()]
    found = [session.run(names, typed(session, feeds)) for feeds in batches]
    return {n: np.concatenate([np.ravel(run[i]) for run in found]) for i, n in enumerate(names)}


def plain_session(model):
    """Return a session that computes what the model says and nothing else."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def typed(session, feeds):
    """Return feeds in the types that the model declares."""
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32}
    return {i.name: feeds[i.name].astype(types[i.type], copy=False) for i in session.get_inputs()}


def sqnr(wanted, found):
    """Return the signal to noise ratio over all outputs, in dB."""
    signal = noise = 0.0
    for name, values in wanted.items():
        a, b = values.astype(np.float64), found[name].astype(np.float64)
        signal, noise = signal + float(a @ a), noise + float((a - b) @ (a - b))
    return float(10 * np.log10(signal / noise)) if noise else float("inf")


def variants(name):
    """Return further placements to measure: kind -> file."""
    files = Path(os.environ.get("TRTCAL_VARIANTS", "no variants")).glob(f"{name}.*.layers.json")
    return {file.name.split(".")[1]: file for file in sorted(files)}


def quantised(name, model, scales, kinds):
    """Return the models of the kinds that need no engine first, ``fp`` among them, and what failed."""
    from trtcal_widgets.export.qdq.build import QdqBuilder

    models, failed = {"fp": float_bytes(name)}, {}
    for kind, placement in {"explicit": "recommended", "rules": "implicit", **variants(name)}.items():
        if kind not in kinds:
            continue
        try:
            models[kind] = QdqBuilder(model, scales, placement=placement).build().to_bytes()
        except Exception as error:  # noqa: BLE001 - what fails is told, the rest goes on
            failed[kind] = repr(error)
    return models, failed


def build(name, level, rounds, seconds, folder, kinds=KINDS, tag=""):
    """Build engines of all kinds; write what each says of itself."""
    from trtcal_widgets.export.qdq.build import QdqBuilder
    from trtcal_widgets.model.engine.precisions import LayerPrecisions
    from trtcal_widgets.model.load import load_model

    end = time.monotonic() + seconds
    model = load_model(model_path(name))
    graph, batches = model.graph, batches_of(name, model.graph)
    scales, feeds = scales_of(name, folder), batches[0]
    target = folder / ".".join(["build", name, str(level), *([tag] if tag else []), "json.gz"])
    found = {"model": name, "level": level, "engines": {}, "batch": len(next(iter(feeds.values())))}
    wanted = reference(name, batches)
    models, failed = quantised(name, model, scales, kinds)
    found |= failed

    def one(kind, key):
        nonlocal timing
        told = found["engines"][key] = {}
        source = models.get(kind.removesuffix("_fp16"), models["fp"])
        plan, timing, more = engines.build(source, kind, feeds, level=level, cache=scales.read_bytes(), timing=timing)
        told.update(more)
        (folder / f"{name}.{level}.{key}.plan").write_bytes(plan)
        with engines.opened(plan) as execution:
            told["inspector"] = engines.inspected(execution)
            ran = [execution.run(batch) for batch in batches]
            outputs = {n: np.concatenate([np.ravel(run[n]) for run in ran]) for n in wanted}
            told["sqnr_db"] = sqnr(wanted, outputs)
        if kind.startswith("implicit"):
            suffix = kind.removeprefix("implicit")
            ran = LayerPrecisions.from_inspector(told["inspector"], graph)
            told["int8"] = list(ran.int8)
            built = QdqBuilder(model, scales, placement=ran).build()
            models["map" + suffix] = built.to_bytes()
            told["pairs"] = len(built.report.quantized)

    for number in range(rounds):
        timing = b""
        for kind in kinds:
            if time.monotonic() > end:
                break
            if number and kind in ("fp16", "fp32"):
                continue
            key = f"{kind}.{tag}{number}"
            try:
                one(kind, key)
            except Exception:  # noqa: BLE001
                found["engines"][key]["error"] = traceback.format_exc()[-1500:]
            told = found["engines"][key]
            print(
                name,
                level,
                kind,
                number,
                told.get("seconds"),
                told.get("sqnr_db"),
                told.get("error", "")[-200:],
                flush=True,
            )
            target.write_bytes(gzip.compress(json.dumps(found).encode()))


def time_all(seconds, folder, subjects):
    """Run all engines of each model and level side by side."""
    from trtcal_widgets.model.load import load_graph

    end = time.monotonic() + seconds
    target = folder / f"times.{'_'.join(subjects) or 'all'}.json"
    found = {}
    for subject in subjects or sorted({".".join(p.name.split(".")[:2]) for p in folder.glob("*.plan")}):
        feeds = batches_of(subject.split(".")[0], load_graph(model_path(subject.split(".")[0])))[0]
        plans = sorted(folder.glob(f"{subject}.*.plan"))
        running = {p.name.removesuffix(".plan"): engines.opened(p.read_bytes()) for p in plans}
        rounds, graphs = {key: [] for key in running}, {key: [] for key in running}
        for number in range(10):
            for key, execution in running.items():
                taken = execution.latency(feeds, runs=30, warmup=10 if number == 0 else 2).median
                try:
                    graphs[key].append(engines.graph_latency(execution, feeds))
                except (RuntimeError, OSError) as error:
                    print(key, error, flush=True)
                if number:
                    rounds[key].append(taken)
            if number > 2 and time.monotonic() > end:
                break
        for key, execution in running.items():
            found[key] = {"host_ms": float(np.median(rounds[key])), "rounds": rounds[key], "graphs": graphs[key]}
            found[key]["ms"] = float(np.median(graphs[key] or rounds[key]))
            found[key]["layers"] = engines.layer_times(execution, feeds)
            print(f"{key:32s} {found[key]['ms']:.4f} ms, on the host {found[key]['host_ms']:.4f}", flush=True)
            target.write_text(json.dumps(found))
        for execution in running.values():
            execution.close()


def simulate(name, seconds, folder):
    """Compare an engine with the simulation, tensor by tensor."""
    from tools.trt_run.simulated import compare_tensors
    from trtcal_widgets.export.qdq.build import QdqBuilder
    from trtcal_widgets.model.load import load_model

    model = load_model(model_path(name))
    batches = batches_of(name, model.graph)[:2]
    built = QdqBuilder(model, scales_of(name, folder)).build()
    found = compare_tensors(built, batches, reference(name, batches), time.monotonic() + seconds)
    (folder / f"simulated.{name}.json").write_text(json.dumps(found))
    print(name, {key: value for key, value in found.items() if not isinstance(value, (list, dict))}, flush=True)


def main(arguments):
    """Do one of the three."""
    what, *rest = arguments
    if what == "build":
        name, level, rounds, seconds, folder, *more = rest
        kinds = tuple(more[0].split(",")) if more else (*KINDS, *variants(name))
        build(name, int(level), int(rounds), float(seconds), Path(folder), kinds, "".join(more[1:]))
    elif what == "time":
        time_all(float(rest[0]), Path(rest[1]), rest[2:])
    else:
        simulate(rest[0], float(rest[1]), Path(rest[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
