from __future__ import annotations

import sys
import weakref

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from tests.support.graphs import INT64, const, node, save, value
from tests.support.minilm import HEAD, HEADS, HIDDEN, LAYERS, MASK_FILL, encode, minilm_model, weights
from tests.support.models import ocr_model
from trtcal_widgets.core import streams
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import DataError, MissingDependencyError, ModelError, UsageError
from trtcal_widgets.model import ort as sessions
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.runners.base import Runner
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.runners.tap import OnnxRuntimeTap

SHAPES = {"det": (1, 3, 96, 128), "rec": (2, 3, 48, 160), "cls": (2, 3, 48, 192)}


def pictures(which):
    rng = np.random.default_rng(7)
    return rng.uniform(-1, 1, SHAPES[which]).astype(np.float32)


@pytest.fixture
def small(tmp_path):
    path = save(
        tmp_path / "small.onnx",
        [
            node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"], name="relu"),
            node("Add", ["r", "k"], ["y"], name="add"),
        ],
        [value("x", ("n", 3, None, None))],
        [value("y", None)],
        [const("w", np.random.default_rng(0).standard_normal((4, 3, 3, 3))), const("k", [1.0])],
    )
    return OnnxRuntimeRunner(path)


X = np.random.default_rng(1).standard_normal((2, 3, 5, 6)).astype(np.float32)


@pytest.mark.models
@pytest.mark.parametrize("which", ["det", "rec", "cls"])
def test_every_float_tensor_of_a_real_model_once_and_in_order(which):
    x = pictures(which)
    with OnnxRuntimeRunner(ocr_model(which)) as runner:
        constants = [name for name, _ in runner.constants()]
        seen = []
        for name, array in runner.infer({"": x}):
            seen.append(name)
            assert str(array.dtype) == runner.graph.tensor(name).dtype
            static = runner.graph.tensor(name).shape
            if static is None:
                continue
            assert len(static) == array.ndim
            pairs = zip(static, array.shape, strict=True)
            assert all(dim == size for dim, size in pairs if isinstance(dim, int))
        ordered = [n for n in runner.graph.float_tensors if n not in set(constants)]
    assert seen == ordered
    assert len(seen) + len(constants) == len(runner.graph.float_tensors)


@pytest.mark.models
@pytest.mark.parametrize("which", ["cls", "rec"])
def test_optimised_tensors_are_bit_for_bit_the_unoptimised_ones(which):
    x = pictures(which)
    path = ocr_model(which)
    with OnnxRuntimeRunner(path) as fast, OnnxRuntimeRunner(path, optimization="off") as plain:
        compared = 0
        for (name, one), (same, other) in zip(fast.infer({"": x}), plain.infer({"": x}), strict=True):
            assert name == same
            assert one.tobytes() == other.tobytes(), name
            compared += 1
    assert compared > 200


@pytest.mark.models
def test_outputs_are_those_of_the_untouched_model():
    path = ocr_model("cls")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = pictures("cls")
    with OnnxRuntimeRunner(path) as runner:
        found = dict(runner.infer({"x": x}))
    for output, array in zip(session.get_outputs(), session.run(None, {"x": x}), strict=True):
        np.testing.assert_array_equal(found[output.name], array)


def layer_norm(x, key):
    w = weights()
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * w[f"{key}.weight"] + w[f"{key}.bias"]


def bert(feeds):
    """BERT as its paper has it, in float64 NumPy, from the checkpoint's own names; every layer's output."""
    from math import erf

    w = {name: array.astype(np.float64) for name, array in weights().items()}

    def linear(x, key):
        return x @ w[f"{key}.weight"].T + w[f"{key}.bias"]

    ids, mask = feeds["input_ids"], feeds["attention_mask"]
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.token_type_embeddings.weight"][feeds["token_type_ids"]]
    x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = layer_norm(x, "embeddings.LayerNorm")
    batch, length = ids.shape
    layers = []
    for i in range(LAYERS):
        key = f"encoder.layer.{i}"

        def heads(part, x=x, key=key):
            flat = linear(x, f"{key}.attention.self.{part}")
            return flat.reshape(batch, length, HEADS, HEAD).swapaxes(1, 2)

        scores = heads("query") @ heads("key").swapaxes(2, 3) / HEAD**0.5
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        context = (shares @ heads("value")).swapaxes(1, 2).reshape(batch, length, HIDDEN)
        x = layer_norm(x + linear(context, f"{key}.attention.output.dense"), f"{key}.attention.output.LayerNorm")
        inner = linear(x, f"{key}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / 2**0.5))
        x = layer_norm(x + linear(inner, f"{key}.output.dense"), f"{key}.output.LayerNorm")
        layers.append(x)
    return layers


@pytest.mark.models
def test_transformer_computes_what_bert_computes():
    feeds = encode(["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."], 16)
    with OnnxRuntimeRunner(minilm_model()) as runner:
        found = dict(runner.infer(feeds))
    assert set(feeds).isdisjoint(found)  # integers have no range
    layers = bert(feeds)
    kept = feeds["attention_mask"].astype(bool)
    for i, expected in enumerate(layers[:-1]):
        name = f"/encoder/layer.{i}/output/LayerNorm/LayerNormalization_output_0"
        np.testing.assert_allclose(found[name][kept], expected[kept], atol=2e-5)
    last = found["last_hidden_state"]
    np.testing.assert_allclose(last[kept], layers[-1][kept], atol=2e-5)
    assert found["/Mul_output_0"].min() == np.float32(MASK_FILL)
    # Mean pooling gives this model's published similarities: 0.7553 for the first two sentences.
    pooled = (last * kept[..., None]).sum(1) / kept.sum(1, keepdims=True)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    assert pooled[0] @ pooled[1] == pytest.approx(0.7553, abs=1e-3)
    assert abs(pooled[0] @ pooled[2]) < 0.2


@pytest.mark.models
def test_int32_token_ids_are_taken():
    feeds = {name: ids.astype(np.int32) for name, ids in encode(["hello"], 6).items()}
    with OnnxRuntimeRunner(minilm_model()) as runner:
        assert dict(runner.infer(feeds))["last_hidden_state"].shape == (1, 6, HIDDEN)


def test_each_array_is_given_away(small):
    with small as runner:
        alive = []
        for _, array in runner.infer({"": X.copy()}):
            assert [ref() for ref in alive] == [None] * len(alive)
            alive.append(weakref.ref(array))
            del array
    assert len(alive) == 4
    assert [ref() for ref in alive] == [None] * len(alive)


def test_histograms_hold_few_arrays_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_PART", 10_000)  # as if these were large: each is a group of its own
    path = save(
        tmp_path / "deep.onnx",
        [node("Neg", [f"t{i}"], [f"t{i + 1}"]) for i in range(40)],
        [value("t0", (None,))],
        [value("t40", (None,))],
    )
    alive: list[weakref.ref] = []
    most = 0

    def watched(stream, *arguments):
        def pairs():
            nonlocal most
            for name, array in stream:
                alive.append(weakref.ref(array))
                most = max(most, sum(ref() is not None for ref in alive))
                pair = (name, array)
                del array
                yield pair
                del pair

        return streams.stream_histograms(pairs(), *arguments)

    monkeypatch.setattr("trtcal_widgets.runners.onnxruntime.stream_histograms", watched)
    with OnnxRuntimeRunner(path, threads=2) as runner:
        names = [name for name, _ in runner.histograms({"": np.ones(10_000, np.float32)}, {})]
    assert len(alive) == 41
    assert names == [f"t{i}" for i in range(41)]
    assert most <= 4 * 2 + 2  # the input, which is the caller's, lives on
    assert sum(ref() is not None for ref in alive) == 0


def test_histograms_are_those_of_the_arrays(small):
    bases = {"x": 0.5, "r": 8.0}
    with small as runner:
        arrays = dict(runner.infer({"": X}))
        found = dict(runner.histograms({"": X}, bases))
    assert list(found) == ["x", "c", "r", "y"]
    for name, array in arrays.items():
        expected = Histogram.of(array, bases.get(name))
        assert found[name].base == expected.base
        assert found[name].doublings == expected.doublings
        np.testing.assert_array_equal(found[name].counts, expected.counts)
        assert found[name].total == expected.total
    assert found["x"].base == 0.5


def assert_same(found, expected, name):
    for field in ("base", "doublings", "edge", "zeros", "nans", "pos_infs", "neg_infs", "minimum", "maximum"):
        assert getattr(found, field) == getattr(expected, field), (name, field)
    np.testing.assert_array_equal(found.counts, expected.counts, err_msg=name)
    assert found.total == pytest.approx(expected.total, rel=1e-12, abs=1e-9), name
    assert found.sum_squares == pytest.approx(expected.sum_squares, rel=1e-12), name


@pytest.mark.models
@pytest.mark.parametrize("which", ["det", "rec", "cls", "transformer"])
@pytest.mark.parametrize("optimization", ["off", "extended"])
def test_tensors_that_never_leave_the_engine_are_counted_to_the_same_bits(which, optimization):
    """A third to two thirds of these models' values are made while others are counted."""
    if which == "transformer":
        path, feeds = minilm_model(), encode(["quantised to eight bits", "a shorter one"], 12)
    else:
        path, feeds = ocr_model(which), {"": pictures(which)}
    with OnnxRuntimeRunner(path, optimization=optimization) as runner:
        arrays = dict(runner.infer(feeds))
        first = dict(runner.histograms(feeds, {}))
        bases = {name: histogram.base / 3 for name, histogram in first.items()}  # those double twice
        second = dict(runner.histograms(feeds, bases))
        ranges = dict(runner.ranges(feeds))
    made = derived_tensors(runner.model)
    assert len(made) >= 20
    assert set(made) < set(arrays)
    assert set(arrays) == set(first) == set(second) == set(ranges)
    for name, array in arrays.items():
        assert_same(first[name], Histogram.of(array), name)
        assert_same(second[name], Histogram.of(array, bases[name]), name)
        assert ranges[name] == amax_of(array), name


def chain(tmp_path, *steps, shape=(None,)):
    """A Neg, which has to be read, and operators behind it on scalars."""
    names = ["n", *(f"s{k}" for k in range(len(steps)))]
    nodes = [node("Neg", ["x"], ["n"])]
    for k, (op, *constants) in enumerate(steps):
        nodes.append(node(op, [names[k], *(f"c{k}_{i}" for i in range(len(constants)))], [names[k + 1]]))
    stored = [const(f"c{k}_{i}", c) for k, (_, *cs) in enumerate(steps) for i, c in enumerate(cs)]
    nodes.append(node("Sigmoid", [names[-1]], ["y"]))
    return save(tmp_path / "chain.onnx", nodes, [value("x", shape)], [value("y", None)], stored)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -0.0, 3e38])
def test_odd_values_are_counted_as_the_engine_has_them(tmp_path, odd):
    path = chain(tmp_path, ("Mul", 1e3), ("Add", -1.0), ("Clip", -2.0, 6.0), ("Relu",), ("Div", 0.0))
    x = np.random.default_rng(4).standard_normal(70_001).astype(np.float32)
    feeds = {"": np.concatenate([x, np.float32([odd])])}
    with OnnxRuntimeRunner(path, threads=2) as runner:
        arrays = dict(runner.infer(feeds))
        for _ in range(2):
            found = dict(runner.histograms(feeds, {}))
            ranges = dict(runner.ranges(feeds))
            assert set(found) == set(ranges) == set(arrays)
            for name, array in arrays.items():
                assert_same(found[name], Histogram.of(array), name)
                assert ranges[name] == amax_of(array), name


def test_a_run_that_only_counts_leaves_most_tensors_in_the_engine(tmp_path, monkeypatch):
    asked = []
    run = OnnxRuntimeTap.run

    def counted(self, feeds, more=()):
        asked.append(self.outputs)
        return run(self, feeds, more)

    monkeypatch.setattr(OnnxRuntimeTap, "run", counted)
    path = chain(tmp_path, ("Add", 3.0), ("Clip", 0.0, 6.0), ("Div", 6.0))
    x = np.linspace(-4, 4, 100, dtype=np.float32)
    with OnnxRuntimeRunner(path) as runner:
        list(runner.histograms({"": x}, {}))
        list(runner.ranges({"": x}))
        list(runner.infer({"": x}))
        list(runner.histograms({"": np.full(4, np.nan, np.float32)}, {}))
        list(runner.histograms({"": x}, {}))
    everything = ["n", "s0", "s1", "s2", "y"]
    # A NaN is clipped: the batch runs again, and from then on all is read.
    assert asked == [["n", "y"], ["n", "y"], everything, ["n", "y"], everything, everything]
    asked.clear()
    with OnnxRuntimeRunner(path, optimization="all") as runner:
        list(runner.histograms({"": x}, {}))
    assert asked == [everything]  # results of this level depend on which tensors are asked for


def test_fast_leaves_them_in_the_engine_too_and_says_so(tmp_path, monkeypatch):
    asked = []
    run = OnnxRuntimeTap.run
    monkeypatch.setattr(OnnxRuntimeTap, "run", lambda s, f, more=(): asked.append(s.outputs) or run(s, f, more))
    path = chain(tmp_path, ("Add", 3.0), ("Clip", 0.0, 6.0), ("Div", 6.0))
    x = np.linspace(-4, 4, 100, dtype=np.float32)
    with OnnxRuntimeRunner(path, fast=True) as runner:
        found = dict(runner.histograms({"": x}, {}))
        assert runner.name.endswith(", fast")
    assert asked == [["n", "y"]]
    np.testing.assert_allclose(found["s2"].amax, min(7.0, 6.0) / 6, rtol=1e-6)
    with pytest.raises(UsageError, match="optimization='basic' cannot be meant as well"):
        OnnxRuntimeRunner(path, fast=True, optimization="basic")


@pytest.mark.models
def test_fast_is_off_by_less_than_is_said():
    """Of the classifier: 2.4e-5 of amax, the most that was seen, stands in the documentation."""
    path, feeds = ocr_model("cls"), {"": pictures("cls")}
    with OnnxRuntimeRunner(path) as exact, OnnxRuntimeRunner(path, fast=True) as fast:
        wanted, found = dict(exact.histograms(feeds, {})), dict(fast.histograms(feeds, {}))
    assert set(wanted) == set(found)
    off = [abs(found[name].amax - h.amax) / h.amax for name, h in wanted.items() if h.amax]
    assert 0 < max(off) < 2.4e-5


@pytest.mark.parametrize("base", [None, 0.0, 0.3, 100.0])
def test_large_tensors_are_counted_in_parts_with_the_same_result(tmp_path, base):
    path = save(tmp_path / "m.onnx", [node("Neg", ["x"], ["y"])], [value("x", (None,))], [value("y", (None,))])
    x = np.random.default_rng(3).standard_normal((1 << 21) + 17).astype(np.float32)
    x[1_500_000] = 0.6  # the upper edge of a range that doubled once from 0.3
    bases = {} if base is None else {"x": base, "y": base}
    with OnnxRuntimeRunner(path, threads=2) as runner:
        found = dict(runner.histograms({"x": x}, bases))
    for name, array in (("x", x), ("y", -x)):
        expected = Histogram.of(array, base)
        np.testing.assert_array_equal(found[name].counts, expected.counts)
        assert (found[name].base, found[name].doublings) == (expected.base, expected.doublings)
        assert (found[name].minimum, found[name].maximum) == (expected.minimum, expected.maximum)
        assert found[name].sum_squares == pytest.approx(expected.sum_squares, rel=1e-12)


def test_nan_inf_and_empty_tensors_come_through(small):
    bad = X.copy()
    bad[0, 0, 0, 0], bad[1, 1, 1, 1] = np.nan, -np.inf
    with small as runner:
        found = dict(runner.histograms({"": bad}, {}))
        assert (found["x"].nans, found["x"].neg_infs) == (1, 1)
        assert found["c"].nans > 1
        empty = dict(runner.infer({"": X[:0]}))
        assert empty["c"].shape == (0, 4, 5, 6)
        assert {h.n_values for _, h in runner.histograms({"": X[:0]}, {})} == {0}


def test_several_inputs_and_types(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Cast", ["h"], ["h32"], to=1),
            node("Cast", ["d"], ["d32"], to=1),
            node("Cast", ["b"], ["b32"], to=1),
            node("Cast", ["i"], ["i32"], to=1),
            node("Sum", ["h32", "d32", "b32", "i32"], ["y"]),
            node("Cast", ["y"], ["brain"], to=16),
        ],
        [
            value("h", (3,), TensorProto.FLOAT16),
            value("d", (3,), TensorProto.DOUBLE),
            value("b", (3,), TensorProto.BFLOAT16),
            value("i", (3,), INT64),
        ],
        [value("y", (3,)), value("brain", (3,), TensorProto.BFLOAT16)],
    )
    import ml_dtypes

    x = np.array([1, 2, 3])
    feeds = {"h": x.astype(np.float16), "d": x * 1.0, "b": x.astype(ml_dtypes.bfloat16), "i": x}
    with OnnxRuntimeRunner(path) as runner:
        found = dict(runner.infer(feeds))
        counted = dict(runner.histograms(feeds, {}))
    assert list(found) == ["h", "d", "b", "h32", "d32", "b32", "i32", "y", "brain"]
    assert found["y"].tolist() == found["brain"].tolist() == [4, 8, 12]
    # TensorRT adds two tensors at a time: these sums no node of the model makes.
    partial = {"(Unnamed Layer* 4) [ElementWise]_output": 6.0, "(Unnamed Layer* 5) [ElementWise]_output": 9.0}
    assert {name: h.amax for name, h in counted.items()} == partial | {
        name: 12.0 if name in ("y", "brain") else 3.0 for name in found
    }


def test_subgraph_outputs_are_seen_and_inner_tensors_left_alone(tmp_path):
    body = onnx.helper.make_graph(
        [
            node("Identity", ["go"], ["on"]),
            node("Add", ["carried", "x"], ["next"]),
        ],
        "body",
        [value("i", (), INT64), value("go", (), TensorProto.BOOL), value("carried")],
        [value("on", (), TensorProto.BOOL), value("next")],
    )
    path = save(
        tmp_path / "loop.onnx",
        [node("Relu", ["x"], ["r"]), node("Loop", ["trips", "", "r"], ["y"], body=body)],
        [value("x")],
        [value("y")],
        [const("trips", 3, "int64")],
    )
    with OnnxRuntimeRunner(path) as runner:
        found = dict(runner.infer({"": np.ones((1, 3), np.float32)}))
    assert found["y"].tolist() == [[4, 4, 4]]
    assert list(found) == ["x", "r", "y"]


def test_runner_contract(small):
    assert isinstance(small, Runner)
    assert small.name == f"onnxruntime {ort.__version__} CPU"
    assert OnnxRuntimeRunner(small.model).graph is small.graph


def test_closed_runner_says_so_and_opens_again(small):
    with small as runner:
        before = dict(runner.infer({"": X}))
    for use in (lambda: runner.infer({"": X}), lambda: runner.histograms({"": X}, {})):
        with pytest.raises(UsageError, match=r"small\.onnx is closed; use it inside its `with`"):
            use()
    with runner:
        np.testing.assert_array_equal(dict(runner.infer({"": X}))["y"], before["y"])


def test_without_with_it_opens_on_first_use(small):
    assert len(list(small.infer({"": X}))) == 4
    small.close()


def test_feeds_are_checked_at_the_call_not_at_the_first_tensor(small):
    with small as runner, pytest.raises(DataError, match="axis 1 is 4, not 3"):
        runner.infer({"": np.zeros((1, 4, 8, 8), np.float32)})


def test_failing_node_is_named_with_what_it_was_fed(tmp_path):
    path = save(
        tmp_path / "fixed.onnx",
        [node("Reshape", ["x", "s"], ["y"], name="/head/Reshape")],
        [value("x", (None, 4))],
        [value("y", None)],
        [const("s", [8, 2], "int64")],
    )
    with OnnxRuntimeRunner(path) as runner:
        assert len(list(runner.infer({"": np.zeros((4, 4), np.float32)}))) == 2
        with pytest.raises(
            ModelError,
            match=r"fixed\.onnx: Reshape node '/head/Reshape' failed: .*Fed: 'x' float32 \(3, 4\).*size is fixed",
        ) as caught:
            runner.infer({"": np.zeros((3, 4), np.float32)})
        assert "onnxruntime_src" not in str(caught.value)
        assert len(list(runner.infer({"": np.zeros((4, 4), np.float32)}))) == 2  # still usable


@pytest.mark.models
def test_foreign_token_ids_are_a_data_error():
    feeds = encode(["hello"], 6)
    feeds["input_ids"] = feeds["input_ids"] + 40_000
    with (
        OnnxRuntimeRunner(minilm_model()) as runner,
        pytest.raises(DataError, match=r"word_embeddings/Gather'.*index.*vocabulary"),
    ):
        runner.infer(feeds)


def test_out_of_memory_asks_for_a_smaller_batch(tmp_path):
    path = save(
        tmp_path / "huge.onnx",
        [node("Expand", ["x", "s"], ["y"])],
        [value("x", (None,))],
        [value("y", None)],
        [const("s", [10**6, 10**6, 1000, 1], "int64")],
    )
    with OnnxRuntimeRunner(path) as runner, pytest.raises(ModelError, match="smaller batch_size"):
        runner.infer({"": np.zeros(1, np.float32)})


def test_operators_that_onnxruntime_lacks(tmp_path, capfd):
    path = save(
        tmp_path / "plugin.onnx",
        [node("EfficientNMS_TRT", ["x"], ["y"], domain="my.plugins")],
        [value("x")],
        [value("y")],
        domains=["my.plugins"],
    )
    runner = OnnxRuntimeRunner(path)  # its facts are there
    with pytest.raises(ModelError, match=r"plugin\.onnx: .*EfficientNMS_TRT.*TensorRT plugin"), runner:
        pass
    assert capfd.readouterr() == ("", "")  # nothing is printed beside what is raised


@pytest.mark.parametrize("domain", ["", "TRT"])
@pytest.mark.parametrize("op_type", ["EfficientNMS_TRT", "CropAndResize", "MadeUp_TRT"])
@pytest.mark.parametrize("inputs", [["x"], ["x", "x"]])  # a schema without a kernel, or that does not fit
def test_tensorrt_plugins_are_called_so_in_any_domain(tmp_path, domain, op_type, inputs):
    nodes = [node(op_type, inputs, ["y"], domain=domain)]
    path = save(tmp_path / "p.onnx", nodes, [value("x")], [value("y")], domains=[domain] if domain else [])
    said = (
        rf"does not take p\.onnx: {op_type} is a TensorRT plugin, which only TensorRT can compute\. Cut the model off"
    )
    with pytest.raises(ModelError, match=said), OnnxRuntimeRunner(path):
        pass


def test_other_unknown_operators_are_no_plugins(tmp_path):
    path = save(tmp_path / "p.onnx", [node("Frobnicate", ["x"], ["y"])], [value("x")], [value("y")])
    said = "Frobnicate.*an operator that ONNX Runtime does not know"
    with pytest.raises(ModelError, match=said), OnnxRuntimeRunner(path):
        pass


def test_invalid_models_and_versions(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x", "x"], ["y"])], [value("x")], [value("y")])
    with pytest.raises(ModelError, match=r"does not take m\.onnx.*Relu"), OnnxRuntimeRunner(path):
        pass
    path = save(tmp_path / "ir.onnx", [node("Relu", ["x"], ["y"])], [value("x")], [value("y")], ir=99)
    with pytest.raises(ModelError, match="Upgrade onnxruntime"), OnnxRuntimeRunner(path):
        pass


def test_arguments_that_cannot_be_meant(small):
    path = small.model.path
    with pytest.raises(UsageError, match="'fast' is unknown; choose one of off, basic, extended"):
        OnnxRuntimeRunner(path, optimization="fast")
    with pytest.raises(UsageError, match=r"threads .* at least 1, not 0"):
        OnnxRuntimeRunner(path, threads=0)
    with pytest.raises(MissingDependencyError, match=r"no QuantumExecutionProvider \(it has .*CPU"):
        OnnxRuntimeRunner(path, providers="QuantumExecutionProvider").__enter__()


def test_libraries_of_cuda_are_found_where_pip_puts_them_and_what_is_missing_is_said(small, monkeypatch, capsys):
    asked = []

    def preload(**options):
        asked.append(options)
        print("Failed to load", "libcublasLt.so.13: no such file")  # noqa: T201 - as ONNX Runtime does
        print("Please follow a page to install CUDA.")  # noqa: T201
        sys.stdout.write("of another thread\n")

    real = ort.InferenceSession

    def without_cuda(model, options, providers, **_):
        return real(model, options, providers=["CPUExecutionProvider"])

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "preload_dlls", preload, raising=False)
    monkeypatch.setattr(ort, "get_available_providers", lambda: both)
    monkeypatch.setattr(ort, "InferenceSession", without_cuda)
    sessions._loaded.cache_clear()
    try:
        with OnnxRuntimeRunner(small.model):
            assert asked == []
        for _ in range(2):
            with pytest.raises(
                MissingDependencyError,
                match=r"^CUDAExecutionProvider could not start .* stderr\. Failed to load libcublasLt\.so\.13: no such",
            ):
                OnnxRuntimeRunner(small.model, providers="CUDAExecutionProvider").__enter__()
    finally:
        sessions._loaded.cache_clear()
    assert asked == [{"msvc": False}]
    assert capsys.readouterr().out == "of another thread\n"


def test_providers_may_have_options(small):
    runner = OnnxRuntimeRunner(small.model, providers=[("CPUExecutionProvider", {})], optimization="all")
    with runner:
        assert runner.name.endswith(" CPU")
        assert len(list(runner.infer({"": X}))) == 4


def test_the_models_folder_is_never_written_to(small, tmp_path):
    before = sorted(tmp_path.iterdir())
    with small as runner:
        list(runner.histograms({"": X}, {}))
        list(runner.constants())
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("attributes", [{}, {"score_threshold": 0.1}, {"class_agnostic": 0, "score_threshold": 0.1}])
def test_a_plugin_whose_schema_the_model_does_not_fit_is_called_a_plugin(tmp_path, attributes):
    """ONNX Runtime knows the signature of some, of another release perhaps, and complains of attributes first."""
    nodes = [node("Relu", ["x"], ["a"]), node("EfficientNMS_TRT", ["a", "a"], ["n", "b", "s", "c"], **attributes)]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 8, 4])], [value("b", None)])
    runner = OnnxRuntimeRunner(path)
    with pytest.raises(ModelError, match="EfficientNMS_TRT is a TensorRT plugin"), runner:
        pass


def test_nodes_of_one_name_are_run_all_the_same(tmp_path):
    """TensorRT takes them, ONNX allows them, and a node is told by its place."""
    nodes = [node("Relu", ["x"], ["a"], name="same"), node("Abs", ["a"], ["y"], name="same")]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 3])], [value("y", None)])
    with OnnxRuntimeRunner(path) as runner:
        found = dict(runner.infer({"x": np.array([[-1, 2, 3]], np.float32)}))
    np.testing.assert_array_equal(found["y"], [[0, 2, 3]])
    assert len({one.name for one in runner.graph.nodes}) == 2
