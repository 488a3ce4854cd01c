"""The extension's walk over an ONNX file finds what onnx itself finds, without reading the weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.labextension.reader import RefusedError
from trtcal_widgets import sample

DTYPES = {
    TensorProto.FLOAT: "float32", TensorProto.INT64: "int64", TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16", TensorProto.INT8: "int8", TensorProto.BOOL: "bool",
    TensorProto.INT32: "int32", TensorProto.UINT8: "uint8", TensorProto.DOUBLE: "float64",
}  # fmt: skip


def value(info):
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]
    return {"name": info.name, "dtype": DTYPES.get(tensor.elem_type, ""), "shape": shape}


def expected(model):
    graph = model.graph
    stored = {t.name for t in graph.initializer}
    return {
        "irVersion": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opsets": [{"domain": o.domain, "version": o.version} for o in model.opset_import],
        "graphName": graph.name,
        "inputs": [value(i) for i in graph.input if i.name not in stored],
        "outputs": [value(o) for o in graph.output],
        "nodes": [
            {
                "name": n.name, "opType": n.op_type, "domain": n.domain,
                "inputs": list(n.input), "outputs": list(n.output),
            }
            for n in graph.node
        ],
        "initializers": [
            {"name": t.name, "dtype": DTYPES[t.data_type], "shape": list(t.dims)} for t in graph.initializer
        ],
        "values": [value(v) for v in graph.value_info],
        "external": any(t.data_location == TensorProto.EXTERNAL for t in graph.initializer),
    }  # fmt: skip


def check(readers, path):
    found = readers.ask("onnx", path=str(path), source="x")
    assert found == expected(onnx.load(path, load_external_data=False))


def odd_model():
    weight = numpy_helper.from_array(np.arange(600_000, dtype=np.float32).reshape(600, 1000), "w")
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["inner"])], "body", [], [helper.make_tensor_value_info("inner", 1, None)]
    )
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["<b>größe</b>\n"], name="日本語"),
            helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body),
            helper.make_node("MyOp", ["", "y"], ["z", ""], domain="com.me", a=2, b=[1.5, 2.5], c="text"),
        ],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", None, 600]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [600, 1000]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT16, None)],
        [weight, helper.make_tensor("k", TensorProto.INT64, [3], [1, -2, 3])],
        value_info=[helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, "M"])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.me", 1)]
    return helper.make_model(graph, opset_imports=opsets, producer_name="me", producer_version="1.0")


def test_the_sample(readers):
    check(readers, sample.model_path())


def test_a_model_with_everything(readers, tmp_path):
    onnx.save(odd_model(), tmp_path / "odd.onnx")
    check(readers, tmp_path / "odd.onnx")


def test_external_weights(readers, tmp_path):
    path = tmp_path / "external.onnx"
    onnx.save(odd_model(), path, save_as_external_data=True, size_threshold=100)
    check(readers, path)
    assert readers.ask("onnx", path=str(path), source="x")["external"] is True


@pytest.mark.parametrize("cut", [1, 10, 100, 2_000_000, 2_400_000])
def test_models_that_end_too_early(readers, tmp_path, cut):
    path = tmp_path / "cut.onnx"
    path.write_bytes(odd_model().SerializeToString()[:-cut])
    with pytest.raises(RefusedError, match="not an ONNX model, or it is damaged"):
        readers.ask("onnx", path=str(path), source="cut.onnx")


@pytest.mark.parametrize("content", [b"", b"hello world", bytes(100), b"\xff" * 100, b"\x08\x07", b"PK\x03\x04abc"])
def test_other_files_are_refused(readers, tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="not an ONNX model, or it is damaged"):
        readers.ask("onnx", path=str(path), source="other.onnx")


def test_damage_of_any_kind_never_escapes(readers, tmp_path):
    """Bytes changed at random: an answer or a refusal, nothing else."""
    whole = onnx.load(sample.model_path(), load_external_data=False).SerializeToString()
    random = np.random.default_rng(1)
    path = tmp_path / "fuzz.onnx"
    for _ in range(200):
        data = bytearray(whole[:3000])
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(0, 256)
        path.write_bytes(bytes(data))
        refusal = readers.refusal("onnx", path=str(path), source="fuzz.onnx")
        assert refusal == "" or refusal.startswith("fuzz.onnx: this is not an ONNX model")


def test_weights_are_stepped_over(readers, tmp_path):
    """Of 64 MB of weights next to nothing is read, and neighbouring layers come with one request."""
    weights = [numpy_helper.from_array(np.ones((1024, 1024), np.float32), f"w{i}") for i in range(16)]
    nodes = [helper.make_node("MatMul", [f"x{i}", f"w{i % 16}"], [f"x{i + 1}"], name=f"n{i}") for i in range(2000)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1024]) for name in ("x0", "x2000")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph), path)
    assert path.stat().st_size > 64e6
    check(readers, path)
    cost = readers.ask("cost", path=str(path), kind="onnx")
    assert cost["read"] < 3e6
    assert cost["requests"] < 30
