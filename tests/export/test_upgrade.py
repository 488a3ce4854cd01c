"""Models of old opsets: the Q/DQ model computes what the original does, or is refused by node."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.export.helpers import run
from tests.support.graphs import const, node, save, value
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.export.qdq import upgrade as upgrade_module
from trtcal_widgets.export.qdq.same import Difference, compare_models
from trtcal_widgets.model.load import load_model

SCALES = {"x": 0.03, "a": 0.03}
RNG = np.random.default_rng(0)
FACTORS = [(1, 1, 2, 2), (1, 1, 0.5, 0.5), (1, 1, 3, 1), (1, 1, 2, 0.5), (1, 1, 0.3, 1.7)]


def floats(*values):
    return np.array(values, np.float32)


def resizing():
    for scales in FACTORS:
        for mode in ("nearest", "linear"):
            for opset in (7, 8) if min(scales) >= 1 else ():  # an Upsample cannot shrink
                grown = node("Upsample", ["a"], ["o"], mode=mode, scales=floats(*scales).tolist())
                yield f"upsample{opset}-{mode}-{scales}", opset, grown, ()
            stored = (const("s", floats(*scales)),)
            if min(scales) >= 1:
                yield f"upsample9-{mode}-{scales}", 9, node("Upsample", ["a", "s"], ["o"], mode=mode), stored
            yield f"resize10-{mode}-{scales}", 10, node("Resize", ["a", "s"], ["o"], mode=mode), stored
        stored = (const("s", floats(*scales)), const("r", floats()))
        for place in ("half_pixel", "asymmetric", "align_corners", "tf_half_pixel_for_nn"):
            made = node("Resize", ["a", "r", "s"], ["o"], mode="nearest", coordinate_transformation_mode=place)
            yield f"resize11-{place}-{scales}", 11, made, stored


def flattening():
    for opset in (7, 9, 11, 12):
        for axis in (0, 1, 2, 3, *((-1, -2) if opset >= 11 else ())):
            for op_type in ("Softmax", "LogSoftmax", "Hardmax"):
                yield f"{op_type.lower()}{opset}-{axis}", opset, node(op_type, ["a"], ["o"], axis=axis), ()
        yield f"softmax{opset}-default", opset, node("Softmax", ["a"], ["o"]), ()


def others():
    for opset in (7, 9, 12):
        yield f"split{opset}", opset, node("Split", ["a"], ["o", "p"], axis=2, split=[3, 5]), ()
        yield f"sum{opset}", opset, node("ReduceSum", ["a"], ["o"], axes=[1, 3], keepdims=0), ()
        yield f"unsqueeze{opset}", opset, node("Unsqueeze", ["a"], ["o"], axes=[0]), ()
    yield "clip9", 9, node("Clip", ["a"], ["o"], min=-0.1, max=0.2), ()
    yield "pad10", 10, node("Pad", ["a"], ["o"], pads=[0, 0, 1, 1, 0, 0, 2, 1], mode="reflect"), ()
    for mode in ("edge", "reflect"):
        pads = node("Pad", ["a"], ["o"], pads=[0, 0, 1, 2, 0, 0, 2, 1], mode=mode, value=0.7)
        yield f"pad7-{mode}-with-a-value", 7, pads, ()
    yield "slice9", 9, node("Slice", ["a"], ["o"], axes=[2, 3], starts=[1, -5], ends=[7, 100]), ()


CASES = [pytest.param(*rest, id=name) for name, *rest in (*resizing(), *flattening(), *others())]


def old_model(path, opset, last, stored=()):
    nodes = [node("Conv", ["x", "w"], ["a"]), last]
    weights = const("w", RNG.standard_normal((4, 4, 1, 1)).astype(np.float32))
    return save(path, nodes, [value("x", ["N", 4, 8, 8])], [value("o", None)], [weights, *stored], opset=opset, ir=4)


def without_pairs(proto):
    """The same model with every Q/DQ pair taken out again."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    same, kept = {}, []
    for one in copy.graph.node:
        if one.op_type in ("QuantizeLinear", "DequantizeLinear"):
            same[one.output[0]] = same.get(one.input[0], one.input[0])
            continue
        for i, name in enumerate(one.input):
            one.input[i] = same.get(name, name)
        kept.append(one)
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy.SerializeToString()


@pytest.mark.parametrize(("opset", "last", "stored"), CASES)
def test_an_upgraded_model_computes_the_same(tmp_path, opset, last, stored):
    path = old_model(tmp_path / "m.onnx", opset, last, stored)
    result = build_qdq(path, SCALES)
    assert (result.report.opset_after, result.report.notes) == (13, ())
    for n in (3, 1):
        feeds = {"x": RNG.standard_normal((n, 4, 8, 8)).astype(np.float32)}
        before, after = run(path, feeds)["o"], run(without_pairs(result.proto), feeds)["o"]
        assert before.shape == after.shape
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


def test_an_upsample_inside_the_graph_keeps_its_tensors(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Upsample", ["a"], ["u"], mode="nearest", scales=[1.0, 1.0, 2.0, 2.0]),
        node("Conv", ["u", "w"], ["o"]),
    ]
    weights = const("w", RNG.standard_normal((4, 4, 1, 1)).astype(np.float32))
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 4, 8, 8])], [value("o", None)], [weights], opset=8, ir=4)
    result = build_qdq(path, {**SCALES, "u": 0.02})
    assert {tensor.name for tensor in result.report.quantized} == {"x", "u", "w"}
    feeds = {"x": RNG.standard_normal((2, 4, 8, 8)).astype(np.float32)}
    np.testing.assert_allclose(run(without_pairs(result.proto), feeds)["o"], run(path, feeds)["o"], rtol=0, atol=1e-6)


def test_a_conversion_that_changes_a_node_is_refused_by_its_name(tmp_path, monkeypatch):
    """Without what is written out here, onnx's converter gives Hardmax another meaning: that must be noticed."""
    path = old_model(tmp_path / "m.onnx", 11, node("Hardmax", ["a"], ["o"], axis=1, name="hard"))
    monkeypatch.setattr(upgrade_module, "hide_old", lambda small, opset: [])
    with pytest.raises(
        ExportError, match=r"opset 11 to 13 would give Hardmax node 'hard' another meaning.*'o' differs"
    ):
        build_qdq(path, SCALES)


def test_a_model_that_cannot_be_run_is_converted_with_a_note(tmp_path):
    """A plugin of TensorRT: ONNX Runtime does not know it, so nothing can be compared, and that is said."""
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Plugin", ["a"], ["o"], domain="com.example")]
    weights = const("w", RNG.standard_normal((4, 4, 1, 1)).astype(np.float32))
    path = save(
        tmp_path / "m.onnx", nodes, [value("x", ["N", 4, 8, 8])], [value("o", ["N", 4, 8, 8])], [weights],
        opset=9, ir=4, domains={"com.example": 1},
    )  # fmt: skip
    notes = build_qdq(path, SCALES).report.notes
    assert len(notes) == 1
    assert notes[0].startswith("the change from opset 9 to 13 could not be run beside the original: ONNX Runtime")


def test_the_comparison_names_the_first_tensor_that_differs(tmp_path):
    first = load_model(
        save(
            tmp_path / "a.onnx",
            [node("Abs", ["x"], ["b"], name="one"), node("Exp", ["b"], ["c"], name="two"), node("Neg", ["c"], ["o"])],
            [value("x", ["N", "C", 3])],
            [value("o", None)],
            [],
        )
    )
    other = onnx.ModelProto()
    other.CopyFrom(first.proto)
    assert compare_models(first.graph, first.proto, other, tmp_path) == (None, "")
    other.graph.node[1].op_type = "Sqrt"
    difference, why = compare_models(first.graph, first.proto, other, tmp_path)
    assert isinstance(difference, Difference)
    assert (difference.tensor, difference.node, difference.op_type, why) == ("c", "two", "Exp", "")


def test_integer_inputs_and_nan_are_compared_too(tmp_path):
    """log of a negative number is NaN in both; two NaN at one place are no difference."""
    model = load_model(
        save(
            tmp_path / "m.onnx",
            [node("Log", ["x"], ["l"]), node("Cast", ["i"], ["f"], to=1), node("Add", ["l", "f"], ["o"])],
            [value("x", ["N", 3]), value("i", ["N", 3], TensorProto.INT64)],
            [value("o", None)],
            [],
        )
    )
    assert compare_models(model.graph, model.proto, model.proto, tmp_path) == (None, "")


def with_branches(path, opset, inner, outputs=("t", "e")):
    """A Conv, and an If whose branches read it."""
    branches = [
        helper.make_graph([one], name, [], [value(one.output[0], None)])
        for one, name in zip(inner, outputs, strict=True)
    ]
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("ReduceMean", ["a"], ["mean"], keepdims=0),
        node("Greater", ["mean", "zero"], ["positive"]),
        node("If", ["positive"], ["o"], then_branch=branches[0], else_branch=branches[1]),
    ]
    stored = [const("w", RNG.standard_normal((4, 4, 1, 1))), const("zero", 0.0), const("s", [1, 1, 2, 2])]
    return save(path, nodes, [value("x", ["N", 4, 8, 8])], [value("o", None)], stored, opset=opset, ir=4)


@pytest.mark.parametrize("opset", [11, 12])
def test_operators_in_branches_that_took_more_types_only_are_kept(tmp_path, opset):
    inner = [node("Relu", ["a"], ["t"]), node("Mul", ["a", "a"], ["e"])]
    path = with_branches(tmp_path / "m.onnx", opset, inner)
    after = without_pairs(build_qdq(path, SCALES).proto)
    for sign in (1, -1):
        feeds = {"x": np.full((2, 4, 8, 8), sign, np.float32)}
        np.testing.assert_allclose(run(after, feeds)["o"], run(path, feeds)["o"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("opset", "inner"),
    [
        (9, [node("Upsample", ["a", "s"], ["t"]), node("Upsample", ["a", "s"], ["e"], mode="linear")]),
        (12, [node("Softmax", ["a"], ["t"], axis=1), node("Relu", ["a"], ["e"])]),
        (12, [node("Relu", ["a"], ["t"]), node("Squeeze", ["a"], ["e"])]),
        (12, [node("ReduceSum", ["a"], ["t"]), node("Relu", ["a"], ["e"])]),
        (9, [node("Clip", ["a"], ["t"], min=0.0), node("Relu", ["a"], ["e"])]),
    ],
)
def test_operators_in_branches_that_changed_are_refused_by_name(tmp_path, opset, inner):
    path = with_branches(tmp_path / "m.onnx", opset, inner)
    changed = next(one.op_type for one in inner if one.op_type != "Relu")
    with pytest.raises(ExportError, match=rf"a {changed} inside an If, Loop or Scan cannot be converted"):
        build_qdq(path, SCALES)
