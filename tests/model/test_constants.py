from __future__ import annotations

import gc
import weakref

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.support.graphs import const, node, save, value
from tests.support.models import ocr_model
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.folding import constant_values
from trtcal_widgets.model.load import load_model


def run_unoptimised(path, names, feeds):
    """What ONNX Runtime gives for any tensors of a model, from a copy made with onnx alone."""
    proto = onnx.load(path)
    have = {o.name for o in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), feeds), strict=True))


@pytest.mark.models
@pytest.mark.parametrize("which", ["det", "rec", "cls"])
def test_real_constants_are_what_onnx_reads(which):
    path = ocr_model(which)
    oracle = {
        each.output[0]: onnx.numpy_helper.to_array(each.attribute[0].t)
        for each in onnx.load(path).graph.node
        if each.op_type == "Constant"
    }
    seen = 0
    for name, array in constant_values(load_model(path)):
        if name in oracle:
            np.testing.assert_array_equal(array, oracle[name])
            seen += 1
    assert seen == sum(a.dtype == np.float32 for a in oracle.values())


@pytest.mark.models
def test_computed_constants_of_a_real_model():
    # The classifier reshapes 18 biases and casts constants in its graph.
    path = ocr_model("cls")
    model = load_model(path)
    values = dict(constant_values(model))
    computed = [name for name in values if name not in model.constants]
    assert len(computed) == 18
    feeds = {"x": np.zeros((1, 3, 48, 192), np.float32)}
    for name, array in run_unoptimised(path, computed, feeds).items():
        np.testing.assert_array_equal(values[name], array)


def test_every_way_to_store_a_constant(tmp_path):
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.5, -2.0]),
        helper.make_tensor("where", TensorProto.INT64, [2], [1, 5]),
        [2, 3],
    )
    path = save(
        tmp_path / "m.onnx",
        [
            node("Constant", [], ["one"], value_float=1.5),
            node("Constant", [], ["many"], value_floats=[1.0, 2.0, 3.0]),
            node("Constant", [], ["whole"], value_ints=[1, 2, 3]),
            node("Constant", [], ["tensor"], value=const("", [4.0, 5.0, 6.0])),
            node("Cast", ["whole"], ["cast"], to=1),
            node("Cast", ["brain"], ["brain32"], to=1),
            node("Cast", ["many"], ["made_brain"], to=16),
            node("Cast", ["made_brain"], ["unmade_brain"], to=1),
            node(
                "Sum",
                ["x", "one", "many", "tensor", "cast", "sparse", "half32", "brain32", "unmade_brain"],
                ["y"],
            ),
            node("Cast", ["half"], ["half32"], to=1),
        ],
        [value("x", (2, 3))],
        [value("y", (2, 3))],
        [const("half", [0.1, 0.2, 0.3], np.float16), const("brain", [1.01, 2, 3], ml_dtypes.bfloat16)],
        sparse_initializer=[sparse],
    )
    model = load_model(path)
    values = dict(constant_values(model))
    names = set(values) - {"brain", "made_brain", "sparse"}  # what ONNX Runtime cannot hand over
    for name, array in run_unoptimised(path, names, {"x": np.zeros((2, 3), np.float32)}).items():
        np.testing.assert_array_equal(values[name], array)
        assert values[name].dtype == array.dtype
    assert values["sparse"].tolist() == [[0, 1.5, 0], [0, 0, -2]]
    assert values["brain"].dtype == ml_dtypes.bfloat16
    # 1.01 to eight significant bits, whether stored so or cast in the graph
    assert float(values["brain"][0]) == 1.0078125
    np.testing.assert_array_equal(values["made_brain"], np.array([1, 2, 3], np.float32))
    assert "whole" not in values


def test_computed_constants_may_hang_on_a_subgraph(tmp_path):
    double = helper.make_graph([node("Add", ["k", "k"], ["d"])], "double", [], [value("d", (3,))])
    path = save(
        tmp_path / "m.onnx",
        [
            node("If", ["yes"], ["k2"], then_branch=double, else_branch=double),
            node("Mul", ["x", "k2"], ["y"]),
        ],
        [value("x")],
        [value("y")],
        [const("k", [1, 2, 3]), const("yes", True, bool)],
    )
    values = dict(constant_values(load_model(path)))
    np.testing.assert_array_equal(values["k2"], [2, 4, 6])


def test_old_models_list_their_constants_as_inputs(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Transpose", ["k"], ["t"]), node("MatMul", ["x", "t"], ["y"])],
        [value("x"), value("k", (2, 3))],
        [value("y", None)],
        [const("k", [[1, 2, 3], [4, 5, 6]])],
        opset=9,
        ir=3,
    )
    values = dict(constant_values(load_model(path)))
    np.testing.assert_array_equal(values["t"], values["k"].T)


def test_nothing_is_kept(tmp_path):
    stored = [const(f"k{i}", np.full(1000, i)) for i in range(5)]
    path = save(
        tmp_path / "m.onnx",
        [node("Sum", ["x", *(k.name for k in stored)], ["y"])],
        [value("x", (1000,))],
        [value("y", (1000,))],
        stored,
    )
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights", size_threshold=0)
    alive = []
    for _, array in constant_values(load_model(path)):
        alive.append(weakref.ref(array))
        del array
        gc.collect()
        assert [ref() for ref in alive] == [None] * len(alive)
    assert len(alive) == 5


def test_unknown_name_and_wrong_size(tmp_path):
    broken = const("k", [1, 2, 3])
    broken.raw_data = broken.raw_data[:-2]
    path = save(tmp_path / "m.onnx", [node("Add", ["x", "k"], ["y"])], [value("x")], [value("y")], [broken])
    model = load_model(path)
    with pytest.raises(ModelError, match="'nothing'"):
        model.constants.read("nothing")
    with pytest.raises(ModelError, match=r"'k' does not hold what its shape \(3,\) promises"):
        model.constants.read("k")
