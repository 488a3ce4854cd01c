"""What every export keeps, whatever it quantises to and wherever the pairs stand."""

from __future__ import annotations

import os
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.export.helpers import session
from tests.support.rtx import need_rtx
from trtcal_widgets.common import files as files_module
from trtcal_widgets.debug import Fp8Simulation, Int8Simulation
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq import PLACEMENTS, build_qdq
from trtcal_widgets.export.qdq.formats import FORMATS
from trtcal_widgets.trt.check import check_model

TYPES = {"float32": (TensorProto.FLOAT, np.float32), "float16": (TensorProto.FLOAT16, np.float16)}

every_format = pytest.mark.parametrize("kind", FORMATS)
every_placement = pytest.mark.parametrize("placement", PLACEMENTS)
every_type = pytest.mark.parametrize("dtype", TYPES)


def scales():
    return {"x": 0.03, "a": 0.05, "b": 0.04, "s": 0.06, "j": 0.06, "p": 0.05}


def model(dtype="float32", dimension="?"):
    """A residual, a Concat, an average pool and a Gemm; names that Q/DQ would like to take; open dimensions."""
    element, numpy_type = TYPES[dtype]
    random = np.random.default_rng(1)
    stored = {
        "w1": random.normal(size=(16, 16, 3, 3)) / 12,
        "w2": random.normal(size=(16, 16, 1, 1)) / 4,
        "w3": random.normal(size=(8, 32)) / 6,
        "x_scale": np.ones(1),
        "zero_point_int8": np.ones(1),
        "zero_point_fp8": np.ones(1),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"], name="x_QuantizeLinear", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["a"], name="x_dequantized"),
        helper.make_node("Conv", ["a", "w2"], ["b"], name="conv2"),
        helper.make_node("Add", ["b", "x"], ["s"], name="add"),
        helper.make_node("Concat", ["s", "a"], ["j"], name="join", axis=1),
        helper.make_node("GlobalAveragePool", ["j"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["x_quantized"], name="flat"),
        helper.make_node("Gemm", ["x_quantized", "w3"], ["y"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, [dimension, 16, dimension, dimension])],
        [helper.make_tensor_value_info("y", element, [dimension, 8])],
        [numpy_helper.from_array(array.astype(numpy_type), name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def built(tmp_path, kind, placement, dtype="float32", *, external=False):
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "model.onnx"
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 64} if external else {}
    onnx.save(model(dtype), path, **options)
    return build_qdq(path, {**scales(), "x_quantized": 0.05}, placement=placement, format=kind)


@every_format
@every_placement
@every_type
def test_names_are_unique_and_the_model_is_valid(tmp_path, kind, placement, dtype):
    result = built(tmp_path, kind, placement, dtype)
    graph = result.proto.graph
    made = [name for node in graph.node for name in node.output]
    given = [tensor.name for tensor in graph.initializer] + [info.name for info in graph.input]
    assert len({*made, *given}) == len(made) + len(given)
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {node.name for node in model().graph.node} <= set(names)
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result.proto), full_check=True)
    assert result.report.quantized


@every_format
@every_placement
def test_open_dimensions_stay_open_and_have_names_of_their_own(tmp_path, kind, placement):
    result = built(tmp_path, kind, placement)
    (x,) = result.proto.graph.input
    names = [dim.dim_param for dim in x.type.tensor_type.shape.dim if dim.dim_param]
    assert len(set(names)) == 3
    assert "?" not in names
    ran = session(result.to_bytes())
    random = np.random.default_rng(2)
    for shape in ((1, 16, 8, 8), (3, 16, 5, 12)):
        (y,) = ran.run(None, {"x": random.normal(size=shape).astype(np.float32)})
        assert y.shape == (shape[0], 8)


@every_format
@every_placement
def test_weights_beside_the_model_are_copied_and_found(tmp_path, kind, placement):
    inside = built(tmp_path / "inside", kind, placement)
    outside = built(tmp_path / "outside", kind, placement, external=True)
    target = tmp_path / "to"
    target.mkdir()
    files = outside.write(target / "q.onnx")
    assert [re.sub("[0-9a-f]{16}", "HASH", file.name) for file in files] == ["q.onnx", "q.onnx.HASH.data"]
    x = np.random.default_rng(3).normal(size=(2, 16, 6, 6)).astype(np.float32)
    before, after = (session(m).run(None, {"x": x})[0] for m in (inside.to_bytes(), target / "q.onnx"))
    np.testing.assert_array_equal(before, after)


@every_format
@pytest.mark.parametrize("external", [False, True])
def test_a_write_that_fails_leaves_the_old_model_and_nothing_else(tmp_path, kind, external, monkeypatch):
    old = built(tmp_path / "a", kind, "weights-only-inputs", external=external)
    new = built(tmp_path / "b", kind, "recommended", external=external)
    target = tmp_path / "to"
    target.mkdir()
    old.write(target / "q.onnx")
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    real = os.replace

    def fails(source, destination, *args, **kwargs):
        if str(destination).endswith("q.onnx"):
            raise OSError(28, "No space left on device")
        return real(source, destination, *args, **kwargs)

    monkeypatch.setattr(files_module.os, "replace", fails)
    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.raises(ExportError):
        new.write(target / "q.onnx")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


@every_format
@every_placement
@every_type
def test_the_builder_takes_it(tmp_path, kind, placement, dtype):
    """Weights beside the model, open dimensions, and a batch that the model was not exported with."""
    need_rtx()
    result = built(tmp_path, kind, placement, dtype, external=True)
    (path, *_) = result.write(tmp_path / "q.onnx")
    report = check_model(path, builder="rtx", shapes={"x": (2, 16, 24, 40)})
    assert report.ok, report.to_text()
    assert {one.runs_in for one in report.verdicts} == {kind}
    assert len(report.verdicts) == 3


@every_format
@every_placement
@every_type
def test_the_written_model_computes_what_the_simulation_computes(tmp_path, kind, placement, dtype):
    """To the last bit: what the debugger says of a model is said of the file that is written."""
    result = built(tmp_path, kind, placement, dtype, external=True)
    (path, *_) = result.write(tmp_path / "q.onnx")
    feeds = {"x": np.random.default_rng(2).normal(size=(2, 16, 6, 5)).astype(TYPES[dtype][1])}
    simulation = {"int8": Int8Simulation, "fp8": Fp8Simulation}[kind](
        tmp_path / "model.onnx", {**scales(), "x_quantized": 0.05}, placement=placement
    )
    simulated = simulation.tapped(simulation.proto(simulation.plan), ["y"], simulation.words).run(feeds)
    (written,) = session(path).run(["y"], feeds)
    np.testing.assert_array_equal(simulated["y"], written)
    assert np.unique(written).size > 4
