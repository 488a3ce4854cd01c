"""Models that people have: weights among the inputs, boxes as many as there are, sequences and maps, fixed batches."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.support.graphs import const, node, save, value
from trtcal_widgets import ArrayBatches, CalibrationSession, Evaluation
from trtcal_widgets.debug import Int8Simulation
from trtcal_widgets.debug.controller import AccuracyDebugging
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.data_shapes import comparable_outputs, data_dependent
from trtcal_widgets.model.load import load_graph

RNG = np.random.default_rng(0)


def weights(name, *shape, scale=0.3):
    return const(name, RNG.standard_normal(shape) * scale)


def images(n, *shape):
    return RNG.standard_normal((n, *shape)).astype(np.float32)


def simulated(path, x, batch_size=4):
    with CalibrationSession(path, ArrayBatches(x), batch_size=batch_size) as session:
        session.run()
        return Int8Simulation(path, session)


@pytest.fixture(params=[(3, 9), (8, 17)], ids=["IR 3", "IR 8"])
def listed(request, tmp_path):
    """Every initialiser is a graph input as well."""
    ir, opset = request.param
    return save(
        tmp_path / "m.onnx",
        [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["r"]), node("Conv", ["r", "w2"], ["o"])],
        [value("x", ["N", 3, 8, 8]), value("w", [4, 3, 3, 3]), value("w2", [2, 4, 1, 1])],
        [value("o", ["N", 2, 6, 6])],
        [weights("w", 4, 3, 3, 3), weights("w2", 2, 4, 1, 1)],
        opset=opset,
        ir=ir,
    )


def test_initialisers_among_the_inputs_are_not_fed(listed):
    x = images(8, 3, 8, 8)
    simulation = simulated(listed, x)
    evaluation = Evaluation(ArrayBatches(x), batch_size=4)
    result = simulation.compare(evaluation)
    assert set(result.tensors) == {"a", "r", "o"}
    assert 20 < result.int8.outputs.sqnr_db < 60
    assert len(simulation.isolated(evaluation)) == 2


def detector(path):
    stored = [const(f"i{i}", [i], np.int64) for i in (0, 1, 2, 3, 4, 9)]
    stored += [const("sh", [0, 9, -1], np.int64), const("ax1", [1], np.int64), const("ax2", [2], np.int64)]
    stored += [const("k", [20], np.int64), const("iou", [0.5]), const("th", [0.7]), weights("w", 9, 3, 1, 1, scale=1.0)]
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Reshape", ["a", "sh"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        node("Sigmoid", ["t"], ["p"]),
        node("Slice", ["p", "i0", "i4", "ax2"], ["boxes"]),
        node("Slice", ["r", "i4", "i9", "ax1"], ["sc"]),
        node("Sigmoid", ["sc"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "k", "iou", "th"], ["sel"]),
        node("Slice", ["sel", "i0", "i1", "ax1"], ["bi"]),
        node("Slice", ["sel", "i2", "i3", "ax1"], ["ki"]),
        node("Concat", ["bi", "ki"], ["ix"], axis=1),
        node("GatherND", ["boxes", "ix"], ["dets"]),
    ]
    return save(path, nodes, [value("x", ["N", 3, 8, 8])], [value("dets", ["K", 4])], stored)


def test_a_detector_is_judged_by_what_goes_into_its_suppression(tmp_path):
    path, x = detector(tmp_path / "m.onnx"), images(32, 3, 8, 8)
    graph = load_graph(path)
    assert data_dependent(graph) == {"sel", "bi", "ki", "ix", "dets"}
    assert comparable_outputs(graph) == ("boxes", "scores")
    simulation = simulated(path, x)
    evaluation = Evaluation(ArrayBatches(x), batch_size=4)
    result = simulation.compare(evaluation)
    assert result.skipped == ("dets",)
    assert "boxes" in result.tensors
    assert 20 < result.int8.outputs.sqnr_db < 60
    assert result.int8.outputs.n == 32 * 64 * (4 + 5)
    assert simulation.score(evaluation).outputs.sqnr_db == pytest.approx(result.int8.outputs.sqnr_db)
    with pytest.raises(ModelError, match=r"'dets' has as many values as the data wants"):
        simulation.detail("dets", evaluation)
    assert simulation.detail("boxes", evaluation).comparison.n > 0


def test_a_users_measure_sees_the_boxes(tmp_path):
    path, x = detector(tmp_path / "m.onnx"), images(32, 3, 8, 8)
    seen = []
    evaluation = Evaluation(
        ArrayBatches(x), batch_size=4, evaluate=lambda outputs, batch: seen.append(sorted(outputs)) or 0.5
    )
    with CalibrationSession(path, ArrayBatches(x), batch_size=4) as session:
        session.run()
        AccuracyDebugging(session, evaluation).run()
    assert seen
    assert all(names == ["dets"] for names in seen)


def test_sequences_inside_are_run_and_not_compared(tmp_path):
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("SplitToSequence", ["a"], ["q"], axis=1),
        node("SequenceAt", ["q", "i"], ["e"]),
        node("MatMul", ["e", "w2"], ["o"]),
    ]
    stored = [weights("w", 8, 6), const("i", 1, np.int64), weights("w2", 1, 3)]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 8])], [value("o", None)], stored)
    x = images(8, 8)
    simulation = simulated(path, x)
    evaluation = Evaluation(ArrayBatches(x), batch_size=4)
    assert set(simulation.compare(evaluation).tensors) == {"a", "e", "o"}
    layers = simulation.isolated(evaluation)
    assert {layer.tensor for layer in layers} == {"a", "o"}
    assert all(20 < layer.output_sqnr_db < 70 for layer in layers)
    whole = simulation.score(evaluation)
    kept = simulation.score(evaluation, simulation.plan.with_kept([layers[0].node]))
    assert kept.outputs.noise < whole.outputs.noise


def test_a_map_as_output_is_judged_by_what_it_is_made_of(tmp_path):
    maps = helper.make_value_info(
        "z",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        ),
    )
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Softmax", ["a"], ["s"]),
        node("ZipMap", ["s"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    path = save(
        tmp_path / "m.onnx", nodes, [value("x", ["N", 8])], [maps], [weights("w", 8, 3)], domains=["ai.onnx.ml"]
    )
    x = images(8, 8)
    seen = []
    evaluation = Evaluation(
        ArrayBatches(x), batch_size=4, evaluate=lambda outputs, batch: seen.append(outputs["z"]) or 1.0
    )
    simulation = simulated(path, x)
    score = simulation.score(evaluation)
    assert simulation.judged == ("s",)
    assert 20 < score.outputs.sqnr_db < 70
    assert all(len(maps) == 4 and set(maps[0]) == {0, 1, 2} for maps in seen)


def test_class_indices_as_output_are_judged_by_the_scores(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("ArgMax", ["a"], ["i"], axis=1)]
    outputs = [value("i", None, TensorProto.INT64)]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 8])], outputs, [weights("w", 8, 3)])
    assert comparable_outputs(load_graph(path)) == ("a",)


def fixed(path):
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("GlobalAveragePool", ["a"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "fw"], ["s"]),
    ]
    stored = [weights("w", 4, 3, 3, 3), weights("fw", 4, 5)]
    return save(path, nodes, [value("x", [8, 3, 8, 8])], [value("s", [8, 5])], stored)


@pytest.mark.parametrize("last", ["keep", "pad"])
def test_a_short_last_batch_is_filled_and_its_padding_counts_nowhere(tmp_path, last):
    """The same model with a free batch axis, on the 20 samples themselves, is what to expect."""
    path, x, labels = fixed(tmp_path / "m.onnx"), images(20, 3, 8, 8), RNG.integers(0, 5, 20)
    free = onnx.load(path)
    for info in (free.graph.input[0], free.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(free, tmp_path / "free.onnx")
    results, seen = [], []
    for model, size in ((path, 8), (tmp_path / "free.onnx", 4)):
        simulation = simulated(model, x[:16], 8)
        sizes: list[tuple[int, int]] = []
        evaluation = Evaluation(
            ArrayBatches(x), batch_size=size, labels=labels, last=last,
            evaluate=lambda outputs, batch, sizes=sizes: sizes.append(
                (len(outputs["s"]), len(next(iter(batch.feeds.values()))))
            ) or float(outputs["s"].sum()) / len(outputs["s"]),
        )  # fmt: skip
        result = simulation.compare(evaluation)
        assert result.int8.n_samples == 20
        results.append((result, simulation.score(evaluation), simulation.isolated(evaluation)))
        seen.append(sizes)
    (one, score, layers), (other, other_score, other_layers) = results
    assert set(seen[0]) == {(8, 8), (4, 4)}
    for name in one.tensors:
        assert one.tensors[name].comparison.n == other.tensors[name].comparison.n
        assert one.tensors[name].comparison.noise == pytest.approx(other.tensors[name].comparison.noise, rel=1e-9)
    for a, b in ((one.int8, other.int8), (score, other_score)):
        assert (a.top1, a.top5, a.outputs.n) == (b.top1, b.top5, b.outputs.n)
        assert a.custom == pytest.approx(b.custom, rel=1e-6)
        assert a.outputs.noise == pytest.approx(b.outputs.noise, rel=1e-9)
    assert [layer.node for layer in layers] == [layer.node for layer in other_layers]
    for a, b in zip(layers, other_layers, strict=True):
        assert a.own.n == b.own.n
        assert a.own.noise == pytest.approx(b.own.noise, rel=1e-9)
    assert [layer.loss for layer in layers] == pytest.approx([layer.loss for layer in other_layers], abs=1e-6)


NARROW = {
    "bfloat16 inside": ([("Cast", {"to": TensorProto.BFLOAT16}), ("Cast", {"to": TensorProto.FLOAT})], 17, None),
    "bfloat16 as output": ([], 17, TensorProto.BFLOAT16),
    "float8 inside": ([("Cast", {"to": TensorProto.FLOAT8E4M3FN}), ("Cast", {"to": TensorProto.FLOAT})], 19, None),
}


@pytest.mark.parametrize("kind", NARROW)
def test_types_that_numpy_does_not_have_are_run_and_judged(tmp_path, kind):
    casts, opset, out = NARROW[kind]
    nodes, last = [node("MatMul", ["x", "w"], ["a"])], "a"
    for i, (op, attributes) in enumerate(casts):
        nodes.append(node(op, [last], [f"n{i}"], **attributes))
        last = f"n{i}"
    nodes += [node("Relu", [last], ["r"]), node("MatMul", ["r", "w2"], ["o"])]
    if out:
        nodes.append(node("Cast", ["o"], ["narrow"], to=out))
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [value("x", ["N", 8])],
        [value("narrow" if out else "o", None, out or TensorProto.FLOAT)],
        [weights("w", 8, 6), weights("w2", 6, 3)],
        opset=opset,
        ir=9,
    )
    x = images(16, 8)
    with CalibrationSession(path, ArrayBatches(x), batch_size=4) as session:
        session.run()
        AccuracyDebugging(session, Evaluation(ArrayBatches(x), batch_size=4)).run()
    comparison = simulated(path, x).compare(Evaluation(ArrayBatches(x), batch_size=4))
    assert 15 < comparison.tensors["o"].comparison.sqnr_db < 80
    assert "r" in comparison.tensors
