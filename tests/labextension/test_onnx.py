"""The extension's walk over an ONNX file finds what onnx itself finds, without reading the weights."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.labextension.reader import RefusedError
from trtcal_widgets import sample


def dtype(number):
    names = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.UNDEFINED: ""}
    return names.get(number, TensorProto.DataType.Name(number).lower())


def value(info):
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]
    return {"name": info.name, "dtype": dtype(tensor.elem_type), "shape": shape}


def described(tensor, name=None):
    """What is said of a stored tensor; of a sparse one the shape of the whole, and how many values are not zero."""
    if isinstance(tensor, onnx.SparseTensorProto):
        return {**described(tensor.values, name), "shape": list(tensor.dims)}
    location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
    return {
        "name": tensor.name if name is None else name, "dtype": dtype(tensor.data_type), "shape": list(tensor.dims),
        "values": math.prod(tensor.dims), "file": location if tensor.data_location == TensorProto.EXTERNAL else None,
    }  # fmt: skip


def held(node):
    """What the attributes of a node hold, not what is in their graphs."""
    found = []
    for a in node.attribute:
        found += [described(t) for t in (*([a.t] if a.HasField("t") else []), *a.tensors)]
        found += [
            described(t) for t in (*([a.sparse_tensor] if a.HasField("sparse_tensor") else []), *a.sparse_tensors)
        ]
        if node.op_type == "Constant" and node.domain == "":
            lists = [("float32", a.floats), ("int64", a.ints), ("string", a.strings)]
            found += [
                {"name": "", "dtype": kind, "shape": [len(v)], "values": len(v), "file": None} for kind, v in lists if v
            ]
            singles = [("float32", "f"), ("int64", "i"), ("string", "s")]
            found += [
                {"name": "", "dtype": kind, "shape": [], "values": 1, "file": None}
                for kind, field in singles
                if a.HasField(field)
            ]
    return found


def graphs_in(node):
    return [g for a in node.attribute for g in (*([a.g] if a.HasField("g") else []), *a.graphs)]


def inside(nodes):
    """Stored tensors and the number of layers within these layers."""
    tensors, count = [], 0
    for node in nodes:
        for graph in graphs_in(node):
            more, layers = inside(graph.node)
            tensors += [described(t) for t in (*graph.initializer, *graph.sparse_initializer)]
            tensors += [t for inner in graph.node for t in held(inner)] + more
            count += layers + len(graph.node)
    return tensors, count


def by_text(tensors):
    return sorted(tensors, key=str)


def last_of(found):
    """Of a name that is there twice the last one counts."""
    return list({one["name"]: one for one in found}.values())


def stored_in(graph):
    """Return stored tensors in the order of the file's fields."""
    return [*graph.initializer, *graph.sparse_initializer]


def expected(model):
    graph = model.graph
    constants = {n.output[0]: held(n)[0] for n in graph.node if n.op_type == "Constant" and n.domain == ""}
    inner, layers = inside(graph.node)
    inner += [t for n in graph.node if n.op_type != "Constant" or n.domain for t in held(n)]
    for function in model.functions:
        more, deeper = inside(function.node)
        inner += [t for n in function.node for t in held(n)] + more
        layers += len(function.node) + deeper
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
        "initializers": by_text(last_of(described(t) for t in stored_in(graph))),
        "constants": by_text([{**tensor, "name": name} for name, tensor in constants.items()]),
        "inner": by_text(inner),
        "innerNodes": layers,
        "values": last_of(value(v) for v in graph.value_info),
    }  # fmt: skip


def check(readers, path):
    found = readers.ask("onnx", path=str(path), source="x")
    for kind in ("initializers", "constants", "inner"):
        found[kind] = by_text(found[kind])
    assert found == expected(onnx.load(path, load_external_data=False))


def odd_model(columns=1000):
    weight = numpy_helper.from_array(np.arange(600 * columns, dtype=np.float32).reshape(600, columns), "w")
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
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [600, columns]),
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
    text = readers.ask("stored", path=str(path))
    files = {t["file"] for t in readers.ask("onnx", path=str(path), source="x")["initializers"]} - {None}
    assert files
    assert text.startswith("600,003 values in 2 tensors: 600,000 float32, 3 int64; 1 of them in ")
    assert text.endswith(f"{files.pop()} beside the model")


def constant(output, **value):
    return helper.make_node("Constant", [], [output], **value)


def sparse(name):
    values = numpy_helper.from_array(np.array([1.5, 2.5, 3.5], np.float32), name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([0, 5, 11])), [3, 4])


def model_without_initializers(size=64):
    """Weights everywhere but where most models have them."""
    weight = numpy_helper.from_array(np.ones((size, 64), np.float32), "ignored")
    rare = [
        TensorProto(data_type=number, dims=[2, 3])
        for number in sorted(set(TensorProto.DataType.values()) - {0, TensorProto.STRING})
    ]
    deep = helper.make_graph([constant("d", value=weight)], "deep", [], [], [numpy_helper.from_array(np.ones(5), "i")])
    body = helper.make_graph(
        [helper.make_node("If", ["c"], ["o"], then_branch=deep, else_branch=deep)], "body", [], [],
        sparse_initializer=[sparse("s")],
    )  # fmt: skip
    nodes = [
        constant("w", value=weight),
        constant("sparse", sparse_value=sparse("")),
        constant("f", value_float=0.5),
        constant("fs", value_floats=[0.5, 1.5, 2.5]),
        constant("i", value_int=-3),
        constant("is", value_ints=[-1, 2**40, 3, 4]),
        constant("s", value_string="text"),
        constant("ss", value_strings=["a", "b"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"),
        helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=deep),
        helper.make_node("MyOp", ["y"], ["q"], domain="com.me", table=weight, both=[weight, weight], ints=[1, 2]),
        *(constant(f"rare{i}", value=tensor) for i, tensor in enumerate(rare)),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy"]
    function = helper.make_function(
        "com.me", "Fn", ["a"], ["b"],
        [constant("k", value=weight), helper.make_node("MatMul", ["a", "k"], ["b"])], [helper.make_opsetid("", 17)],
    )  # fmt: skip
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], sparse_initializer=[sparse("top")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.me", 1)]
    return helper.make_model(graph, functions=[function], opset_imports=opsets)


def test_weights_wherever_they_are(readers, tmp_path):
    path = tmp_path / "constants.onnx"
    model = model_without_initializers()
    onnx.save(model, path)
    check(readers, path)
    found = readers.ask("onnx", path=str(path), source="x")
    assert {t["name"]: t["values"] for t in found["constants"]}["w"] == 64 * 64
    everything = [*found["initializers"], *found["constants"], *found["inner"]]
    total = sum(t["values"] for t in everything)
    text = readers.ask("stored", path=str(path))
    assert text.startswith(f"{total:,} values in {len(everything)} tensors (")
    assert f"{len(found['constants'])} in Constant nodes, {len(found['inner'])} inside of layers): " in text
    for rare in ("float8e4m3fn", "int4", "complex128", "bfloat16"):
        assert f"6 {rare}" in text


def test_a_model_that_stores_nothing(readers, tmp_path):
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", info[:1], info[1:])
    onnx.save(helper.make_model(graph), tmp_path / "relu.onnx")
    assert readers.ask("stored", path=str(tmp_path / "relu.onnx")) == "none"


def test_a_constant_of_any_size_is_stepped_over(readers, tmp_path):
    path = tmp_path / "large.onnx"
    nodes = [constant(f"w{i}", value=numpy_helper.from_array(np.ones((1024, 1024), np.float32))) for i in range(16)]
    info = [helper.make_tensor_value_info("w0", TensorProto.FLOAT, [1024, 1024])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], info)), path)
    check(readers, path)
    assert readers.ask("cost", path=str(path), kind="onnx")["read"] < 3e6


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


def field(number, content):
    """A field of bytes."""
    return varint(8 * number + 2) + varint(len(content)) + content


def varint(number):
    data = b""
    number &= 2**64 - 1
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


@pytest.mark.parametrize("length", [-1, -11, -12, -(2**62), 2**62])
def test_a_length_that_leads_back_is_refused(readers, tmp_path, length):
    """A length below zero would let the walk begin anew for ever."""
    path = tmp_path / "back.onnx"
    for start in (b"", b"\x08\x07"):
        path.write_bytes(start + varint(2 * 8 + 2) + varint(length) + b"me")
        assert "not an ONNX model" in readers.refusal("onnx", path=str(path), source="back.onnx")


@pytest.mark.parametrize("key", [0, 2, -6, 8 * 2**29 + 2, 2**62 + 2])
def test_numbers_of_fields_that_protobuf_does_not_have_are_refused(readers, tmp_path, key):
    path = tmp_path / "key.onnx"
    path.write_bytes(odd_model().SerializeToString() + varint(key) + b"\0")
    assert "not an ONNX model" in readers.refusal("onnx", path=str(path), source="key.onnx")


def test_attributes_of_any_number(readers, tmp_path):
    tensors = b"".join(field(10, b"") for _ in range(200_000))
    shape = field(1, b"\1" * 200_000)
    node = field(1, field(4, b"Op") + field(5, tensors) + field(5, field(5, shape)))
    path = tmp_path / "many.onnx"
    path.write_bytes(field(7, node))
    found = readers.ask("onnx", path=str(path), source="x")
    assert len(found["inner"]) == 200_001
    assert len(found["inner"][-1]["shape"]) == 200_000


def test_names_that_begin_with_a_byte_order_mark(readers, tmp_path):
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("\ufeffx", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["\ufeffx"], ["y"])], "\ufeff", info[:1], info[1:])
    path = tmp_path / "mark.onnx"
    onnx.save(helper.make_model(graph), path)
    check(readers, path)


def test_dimensions_of_any_size(readers, tmp_path):
    path = tmp_path / "huge.onnx"
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2**31, 2**40, "N", -1, 0])]
    weight = TensorProto(name="w", data_type=1, dims=[2**31, 4])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../w.bin")
    onnx.save(helper.make_model(helper.make_graph([], "g", values, values, [weight])), path)
    check(readers, path)
    text = "8,589,934,592 values in 1 tensor: float32; in ../w.bin beside the model"
    assert readers.ask("stored", path=str(path)) == text


def test_whatever_protobuf_reads_is_read_alike(readers, tmp_path):
    """Bytes changed, cut, put twice and in other places: what onnx takes is taken, with the same in it."""
    random = np.random.default_rng(2)
    wholes = [odd_model(0).SerializeToString(), model_without_initializers(0).SerializeToString()]
    path = tmp_path / "fuzz.onnx"
    both = 0
    for _ in range(400):
        data = bytearray(wholes[random.integers(len(wholes))])
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(len(data)))
            match random.integers(4):
                case 0:
                    data[place] = random.integers(256)
                case 1:
                    del data[place : place + int(random.integers(1, 20))]
                case 2:
                    data[place:place] = data[place : place + int(random.integers(1, 60))]
                case _:
                    data[:0] = data[place:]
        path.write_bytes(bytes(data))
        both += compared(readers, path)
    assert both > 20


def compared(readers, path):
    """Whether both readers took a file, and found the same in it."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
        taken = model.HasField("graph")
        expected(model)
    except Exception:  # noqa: BLE001 - protobuf's own, whatever it is called
        return False
    refusal = readers.refusal("onnx", path=str(path), source="x")
    if not taken or "not UTF-8" in refusal:  # of names within layers only one of the two looks
        assert refusal
        return False
    check(readers, path)
    return True


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
