"""An engine of a Q/DQ model against the INT8 simulation, tensor by tensor.

Every tensor in front of a pair is made an output of the engine. Two differences are told of each: the *accumulated* one
(engine against simulation from the model's inputs on), and the layer's *own* one: the simulation is given the engine's
tensors in front of the layer, so that what is left is what the layer itself computes otherwise.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tools.trt_run import engines


def compare_tensors(
    built: Any, batches: list[dict[str, np.ndarray]], wanted: dict[str, np.ndarray], end: float, *, run: Any = None
) -> dict[str, Any]:
    """Compare the engine of a :class:`QdqResult` with the simulation.

    ``wanted``: FP32's outputs. ``end``: when to stop, by ``time.monotonic``. ``run``: function of (model, names,
    batches) that returns each batch's tensors; TensorRT without it.
    """
    from benchmarks.placements import plain_session, sqnr, typed

    proto = built.proto
    scales = {t.name: t.scale for t in built.report.quantized if not t.is_weight}
    makes = {name: node for node in proto.graph.node for name in node.output}
    names = [name for name in scales if name in makes and makes[name].op_type != "DequantizeLinear"]
    outputs = [output.name for output in proto.graph.output]
    data = proto.SerializeToString()
    free = (run or _on_tensorrt)(data, (), batches)
    marked = (run or _on_tensorrt)(data, tuple(n for n in names if n not in outputs), batches)
    whole = plain_session(with_outputs(proto, names))
    plain = [dict(zip([*outputs], whole.run(outputs, typed(whole, feeds)), strict=True)) for feeds in batches]
    join = lambda runs: {n: np.concatenate([np.ravel(r[n]) for r in runs]) for n in outputs}  # noqa: E731
    found: dict[str, Any] = {
        "sqnr_simulated_db": sqnr(wanted, join(plain)),
        "sqnr_engine_db": sqnr(wanted, join(free)),
        "sqnr_marked_db": sqnr(wanted, join(marked)),
        "sqnr_between_db": sqnr(join(plain), join(free)),
        "batches": len(batches),
    }
    there = [name for name in names if name in marked[0]]
    cut_session = plain_session(cut(proto, there, outputs))
    rows = {}
    for feeds, engine in zip(batches, marked, strict=True):
        accumulated = dict(zip(there, whole.run(there, typed(whole, feeds)), strict=True)) if there else {}
        made = [made_name(n) for n in there] + [o for o in outputs if o not in there]
        given = {i.name: engine.get(i.name, feeds.get(i.name)) for i in cut_session.get_inputs()}
        own = dict(zip(made, cut_session.run(made, typed(cut_session, given)), strict=True))
        for name in [*there, *(o for o in outputs if o not in there)]:
            node = makes.get(name)
            row = rows.setdefault(
                name,
                {"op": node.op_type if node else "", "node": node.name if node else "", "own": [], "accumulated": []},
            )
            scale = scales.get(name)
            row["own"].append(difference(engine[name], own[made_name(name) if name in there else name], scale))
            if name in accumulated:
                row["accumulated"].append(difference(engine[name], accumulated[name], scale))
        if time.monotonic() > end:
            break
    found["tensors"] = rows
    return found


def made_name(name: str) -> str:
    """Return what the tensor that a cut model makes is called."""
    return f"{name}__made"


def cut(proto: Any, names: list[str], outputs: list[str]) -> bytes:
    """Return the model in which these tensors are inputs for whoever reads them, and are made under another name."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    graph, wanted = copy.graph, set(names)
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name in wanted:
                node.output[index] = made_name(name)
    for name in names:
        graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    del graph.output[:]
    for name in [*(made_name(n) for n in names), *(o for o in outputs if o not in wanted)]:
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    del graph.value_info[:]
    return copy.SerializeToString()


def with_outputs(proto: Any, names: list[str]) -> bytes:
    """Return the model with these tensors as outputs too."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    there = {output.name for output in copy.graph.output}
    for name in names:
        if name not in there:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return copy.SerializeToString()


def difference(engine: np.ndarray, simulated: np.ndarray, scale: float | None) -> dict[str, float]:
    """Return how far two tensors are apart: bits, INT8 codes where there is a scale, and dB."""
    a, b = np.ravel(engine).astype(np.float32), np.ravel(simulated).astype(np.float32)
    if a.shape != b.shape:
        return {"shapes": 1.0}
    gap = np.abs(a.astype(np.float64) - b)
    noise, signal = float(gap @ gap), float(b.astype(np.float64) @ b)
    row = {
        "values": int(a.size),
        "bits": int(np.count_nonzero(a.view(np.int32) != b.view(np.int32))),
        "relative": float(gap.max(initial=0.0) / max(float(np.abs(b).max(initial=0.0)), 1e-30)),
        "db": float(10 * np.log10(signal / noise)) if noise and signal else 999.0,
    }
    if scale:
        codes = [np.clip(np.rint(x / np.float32(scale)), -128, 127) for x in (a, b)]
        row["codes"] = int(np.count_nonzero(codes[0] != codes[1]))
        row["codes_max"] = int(np.abs(codes[0] - codes[1]).max(initial=0))
        row["lowest"] = int(np.count_nonzero(codes[1] == -128))
    return row


def _on_tensorrt(model: bytes, names: tuple[str, ...], batches: list[dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    plan, _, _ = engines.build(model, "explicit", batches[0], level=0, marks=names)
    with engines.opened(plan) as execution:
        return [execution.run(feeds) for feeds in batches]
