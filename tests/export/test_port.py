"""Scales carried over to other exports, made by renaming, ONNX Runtime's optimiser and folding by hand."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from tests.export.helpers import arrays
from tests.support.graphs import const, node, save, value
from tests.support.minilm import minilm_model
from tests.support.models import ocr_model
from trtcal_widgets import sample
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.port import port_scales
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import ScaleTable
from trtcal_widgets.model.load import load_graph


def renamed(path, target):
    """Write the model with a new name for every tensor and none for nodes; return old name -> new name."""
    model, names = onnx.load(path), {"": ""}

    def new(name):
        return names.setdefault(name, f"tensor.{len(names)}")

    for named in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        named.name = new(named.name)
    for made in model.graph.node:
        made.name = ""
        made.input[:] = [new(name) for name in made.input]
        made.output[:] = [new(name) for name in made.output]
    del model.graph.value_info[:]
    onnx.save(model, target)
    return names


def optimised(path, target):
    """What ONNX Runtime makes of it: constants folded, batch normalisation folded, no-ops gone, defaults spelt out."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def distinct(path):
    """A cache with another scale in every row, so that each mistake shows; of a release that renames no constant."""
    names = load_graph(path).calibrated
    scales = {name: float(np.float32(1e-4 * (i + 1))) for i, name in enumerate(names)}
    return CalibrationCache.build(scales, version="8.6.1")


def by_values(path):
    """Constants of the same values may stand for each other."""
    found = {}
    for name, array in arrays(path).items():
        found.setdefault((array.tobytes(), array.shape), set()).add(name)
    return found.values()


MODELS = [
    pytest.param(sample.model_path, id="lenet"),
    pytest.param(lambda: ocr_model("det"), id="det", marks=pytest.mark.models),
    pytest.param(lambda: ocr_model("rec"), id="rec", marks=pytest.mark.models),
    pytest.param(minilm_model, id="minilm", marks=pytest.mark.models),
]


@pytest.mark.parametrize("model", MODELS)
def test_other_names_change_nothing(tmp_path, model):
    old = model()
    names = renamed(old, tmp_path / "new.onnx")
    cache = distinct(old)
    result = port_scales(old, tmp_path / "new.onnx", cache)
    assert not result.report.without
    ported = {row.old: row.new for row in result.report.ported}
    groups = load_graph(old)
    for row in result.report.ported:
        assert result.table.scales[row.new] == cache.scales[row.old]
        # A product with 1 is a copy of its factor: it may have the factor's scale.
        assert row.new == names[row.old] or row.how == "shared"
    assert len(ported) >= 0.98 * len(groups.calibrated)
    assert result.table.header == cache.header


@pytest.mark.parametrize("model", MODELS)
def test_folding_leaves_few_tensors_without_a_scale(tmp_path, model):
    old = model()
    optimised(old, tmp_path / "o.onnx")
    names = renamed(tmp_path / "o.onnx", tmp_path / "new.onnx")
    back = {new: name for name, new in names.items()}
    report = port_scales(old, tmp_path / "new.onnx", distinct(old)).report
    facts = load_graph(old)
    made = load_graph(tmp_path / "new.onnx")
    activations = [n for n in made.calibrated if made.tensors[n].kind.value != "constant"]
    assert len([n for n in report.without if n in activations]) <= 0.05 * len(activations)
    wrong = []
    for row in report.ported:
        was = back[row.new]
        same = was not in facts.tensors or was == row.old or was in facts.group_of(row.old)
        if not same and row.how not in ("constant", "shared"):
            wrong.append((row, was))
    assert not wrong  # where the optimiser kept a name, it is the tensor that was found


def bn_model(path, *, folded):
    """Conv, batch normalisation, Relu and a linear layer, in two ways of writing them."""
    rng = np.random.default_rng(11)
    w, gamma, beta, mean = (rng.normal(size=s) for s in ((4, 3, 1, 1), 4, 4, 4))
    variance, dense, bias = rng.random(4) + 0.5, rng.normal(size=(4, 2)), rng.normal(size=2)
    factor = gamma / np.sqrt(variance + 1e-5)
    if folded:
        first = [node("Conv", ["in", "fw", "fb"], ["10"]), node("Relu", ["10"], ["11"])]
        stored = [const("fw", w * factor[:, None, None, None]), const("fb", beta - mean * factor)]
        last = [node("Gemm", ["12", "g", "h"], ["14"], transB=1)]
        stored += [const("g", dense.T), const("h", bias)]
        names = ("in", "11", "12", "14", "out")
    else:
        first = [
            node("Conv", ["x", "w"], ["conv"]),
            node("BatchNormalization", ["conv", "gamma", "beta", "mean", "var"], ["bn"]),
            node("Relu", ["bn"], ["relu"]),
        ]
        stored = [
            const(n, a)
            for n, a in zip(("w", "gamma", "beta", "mean", "var"), (w, gamma, beta, mean, variance), strict=True)
        ]
        last = [node("MatMul", ["flat", "dense"], ["mm"]), node("Add", ["bias", "mm"], ["lin"])]
        stored += [const("dense", dense), const("bias", bias)]
        names = ("x", "relu", "flat", "lin", "y")
    data, relu, flat, linear, out = names
    nodes = [
        *first,
        node("GlobalAveragePool", [relu], ["gap" if not folded else "gap2"]),
        node("Flatten", ["gap" if not folded else "gap2"], [flat]),
        *last,
        node("Sigmoid", [linear], [out]),
    ]
    return save(path, nodes, [value(data, ["N", 3, 4, 4])], [value(out, None)], stored)


def test_folded_batch_norm_and_gemm_are_recognised(tmp_path):
    old = bn_model(tmp_path / "old.onnx", folded=False)
    new = bn_model(tmp_path / "new.onnx", folded=True)
    names = [n for n in load_graph(old).calibrated if n not in ("dense", "bias")]
    cache = CalibrationCache.build({name: 0.01 * (i + 1) for i, name in enumerate(names)})
    report = port_scales(old, new, cache).report
    found = {row.new: row.old for row in report.ported}
    assert found == {"in": "x", "10": "bn", "11": "relu", "gap2": "gap", "12": "flat", "14": "lin", "out": "y"}
    assert {row.name for row in report.not_ported} == {"conv", "mm"}
    assert not report.without
    assert "folded into a layer" in report.to_text()
    data = json.loads(report.to_json())
    assert sum(data["counts"].values()) == len(data["ported"])


def test_other_weights_are_another_model(tmp_path):
    old, new = tmp_path / "old.onnx", tmp_path / "new.onnx"
    nodes = [node("Gemm", ["x", "a"], ["h"]), node("Relu", ["h"], ["r"]), node("Gemm", ["r", "b"], ["y"])]
    for path, seed in ((old, 1), (new, 2)):
        rng = np.random.default_rng(seed)
        stored = [const("a", rng.normal(size=(3, 3))), const("b", rng.normal(size=(3, 3)))]
        save(path, nodes, [value("x")], [value("y")], stored)
    names = renamed(new, tmp_path / "other.onnx")
    cache = distinct(old)
    with pytest.raises(ExportError, match=r"only \d of 4 rows could be carried over.*same weights"):
        port_scales(old, tmp_path / "other.onnx", cache)
    made_up = {f"(Unnamed Layer* {i}) [Constant]_output": 0.5 for i in range(9)}
    with pytest.raises(ExportError, match="of 4 rows") as refused:
        port_scales(old, tmp_path / "other.onnx", CalibrationCache.build({**cache.scales, **made_up}))
    assert "made the name up" not in str(refused.value), "these are not counted, and say nothing of the two models"
    report = port_scales(old, tmp_path / "other.onnx", cache, force=True).report
    assert {(row.old, row.new, row.how) for row in report.ported} == {("x", names["x"], "input")}


def test_twins_with_the_same_shapes_are_told_apart_by_their_weights(tmp_path):
    rng = np.random.default_rng(5)
    stored = [const(name, rng.normal(size=(4, 4))) for name in ("a", "b", "c")]
    nodes = [node("MatMul", ["x", w], [f"h{w}"]) for w in "abc"] + [node("Sum", ["ha", "hb", "hc"], ["y"])]
    old = save(tmp_path / "old.onnx", nodes, [value("x", ["N", 4])], [value("y", None)], stored)
    swapped = [nodes[2], nodes[0], nodes[1], nodes[3]]
    other = save(tmp_path / "mid.onnx", swapped, [value("x", ["N", 4])], [value("y", None)], stored[::-1])
    names = renamed(other, tmp_path / "new.onnx")
    report = port_scales(old, tmp_path / "new.onnx", distinct(old)).report
    assert {row.old: row.new for row in report.ported} == {n: names[n] for n in load_graph(old).calibrated}


def test_rows_that_cannot_be_carried_are_listed(tmp_path):
    renamed(sample.model_path(), tmp_path / "new.onnx")
    text = b"TRT-8601-EntropyCalibration2\ndata: 3c008912\npool1: 7f800000\n"
    text += b"relu1: 3c000000\nip1: 3c000000\nip2: 3c000000\n"
    cache = CalibrationCache(text + b"ghost: 3c000000\n(Unnamed Layer* 3) [Constant]_output: 3c000000\n")
    result = port_scales(sample.model_path(), tmp_path / "new.onnx", cache)
    why = {row.name: row.message for row in result.report.not_ported}
    assert set(why) == {"pool1", "ghost", "(Unnamed Layer* 3) [Constant]_output"}
    assert "infinite" in why["pool1"]
    assert result.to_bytes().startswith(b"TRT-8601-EntropyCalibration2\n")


def test_the_wrong_way_round_is_refused(tmp_path):
    renamed(sample.model_path(), tmp_path / "new.onnx")
    with pytest.raises(ExportError, match="model that was calibrated first"):
        port_scales(tmp_path / "new.onnx", sample.model_path(), distinct(sample.model_path()))


def test_a_table_of_ranges_stays_one(tmp_path):
    names = renamed(sample.model_path(), tmp_path / "new.onnx")
    table = ScaleTable("json", {"data": 1.0, "ip1": 3.0}, {"data": (0.0, 1.0), "ip1": (-3.0, 2.0)})
    result = port_scales(sample.model_path(), tmp_path / "new.onnx", table)
    assert json.loads(result.to_bytes()) == {names["data"]: [0.0, 1.0], names["ip1"]: [-3.0, 2.0]}
