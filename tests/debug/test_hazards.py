"""Hazards: each kind made on purpose in a small model, and none cried on a model that is fine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.common.figures import decibels
from trtcal_widgets.debug.hazards import HazardLimits, by_kind, find_hazards
from trtcal_widgets.errors import UsageError

RNG = np.random.default_rng(3)


def normal(*shape, scale=1.0):
    return (scale * RNG.standard_normal(shape)).astype(np.float32)


def record(path, data, batch_size=50, **options):
    session = CalibrationSession(path, data, batch_size=batch_size, **options)
    session.run()
    return session


def kinds(hazards):
    return set(by_kind(hazards))


def only(hazards, kind):
    found = by_kind(hazards).get(kind, [])
    assert len(found) == 1, [h.message for h in found]
    return found[0]


@pytest.fixture(scope="module")
def lenet():
    with record(sample.model_path(), sample.calibration_images()) as session:
        yield session


@pytest.fixture(scope="module")
def ones():
    """LeNet calibrated on the first ten images of the digit 1."""
    source = sample.calibration_images()
    wanted = [i for i, label in enumerate(source.labels) if label == 1][:10]
    images = np.concatenate([next(iter(source.load(i, i + 1).values())) for i in wanted])
    with record(sample.model_path(), images, batch_size=1) as session:
        yield session


def test_nothing_is_cried_on_a_well_calibrated_lenet(lenet):
    assert find_hazards(lenet) == ()


def test_ten_images_of_one_digit_are_found_out_without_labels(ones):
    found = find_hazards(ones)
    assert [h.tensors[0] for h in found if h.severity == "severe"] == ["conv1"]
    assert only(found, "one-sided-data").message.startswith("The model finds 1 of its 10 classes")
    assert "10 samples" in only(found, "few-samples").message


def test_severe_hazards_come_first_and_each_says_what_and_what_to_do(ones):
    found = find_hazards(ones)
    order = ["severe", "warning", "note"]
    assert [h.severity for h in found] == sorted((h.severity for h in found), key=order.index)
    assert all(h.message.endswith((".", ")")) and h.mend.endswith(".") for h in found)


def test_the_numbers_of_a_clipping_hazard_are_the_sessions(ones):
    hazard = next(h for h in find_hazards(ones) if h.severity == "severe")
    row = ones.row("conv1")
    assert f"{100 * row.clipped_fraction:.1f} %" in hazard.message
    assert f"SQNR {decibels(row.sqnr_db)}." in hazard.message
    ones.choose("conv1", method="minmax")
    assert "conv1" not in {h.tensors[0] for h in find_hazards(ones) if h.kind == "clipped"}
    ones.undo()


# Boxes and scores in one Concat


def head(path, stride):
    """A detection head: boxes of up to 20 strides and scores between 0 and 1, joined and reshaped on the way out."""
    return save(
        path,
        [
            node("Sigmoid", ["x"], ["scores"]),
            node("Relu", ["x"], ["positive"]),
            node("Mul", ["positive", "stride"], ["boxes"]),
            node("Concat", ["boxes", "scores"], ["joined"], axis=1, name="join"),
            node("Transpose", ["joined"], ["out"], perm=[0, 2, 1]),
        ],
        [value("x", ("N", 4, 25))],
        [value("out", ("N", 25, 8))],
        [const("stride", stride)],
    )


def test_boxes_and_scores_in_one_concat_are_measured(tmp_path):
    x = np.clip(normal(100, 4, 25, scale=2), -5, 5)
    x[0, 0, 0] = 5.0
    with record(head(tmp_path / "yolo.onnx", 128.0), x, batch_size=10) as session:
        hazard = only(find_hazards(session), "concat-ranges")
    assert (hazard.severity, hazard.basis) == ("severe", "measured")
    assert hazard.tensors[:2] == ("scores", "boxes")
    assert hazard.nodes == ("join",)
    assert "640" in hazard.message
    assert "every value of “scores” rounds to 0" in hazard.message


def test_levels_that_are_left_are_counted(tmp_path):
    x = np.clip(normal(100, 4, 25, scale=2), -5, 5)
    x[0, 0, 0] = 5.0
    with record(head(tmp_path / "yolo.onnx", 8.0), x, batch_size=10) as session:
        hazard = only(find_hazards(session), "concat-ranges")
        assert hazard.severity == "warning"
        # 40 over 127 is a step of 0.315; sigmoid(5) = 0.993 is 3.15 steps.
        assert "keeps 3 of 127 levels" in hazard.message
        assert not by_kind(find_hazards(session, limits=HazardLimits(concat_ratio=41))).get("concat-ranges")


def test_a_head_is_inferred_from_the_graph_and_cleared_by_measuring(tmp_path):
    path = head(tmp_path / "yolo.onnx", 0.2)
    hazard = only(find_hazards(path), "concat-ranges")
    assert hazard.basis == "inferred"
    assert "may be" in hazard.message
    with record(path, np.clip(normal(100, 4, 25), -5, 5), batch_size=10) as session:
        assert "concat-ranges" not in kinds(find_hazards(session))


# Masks


def attention(path, fill, op="Add"):
    """Scores with a mask before a Softmax: ``keep`` is 1 where a position counts."""
    masking = {
        "Add": [
            node("Sub", ["one", "keep"], ["gone"]),
            node("Mul", ["gone", "fill"], ["mask"]),
            node("Add", ["x", "mask"], ["masked"], name="masking"),
        ],
        "Where": [
            node("Cast", ["keep"], ["bool"], to=9),
            node("Where", ["bool", "x", "fill"], ["masked"], name="masking"),
        ],
    }[op]
    return save(
        path,
        [*masking, node("Softmax", ["masked"], ["out"], axis=-1, name="softmax")],
        [value("x", ("N", 8)), value("keep", ("N", 8))],
        [value("out", ("N", 8))],
        [const("fill", fill), const("one", 1.0)],
    )


def fed(padded):
    keep = np.ones((200, 8), np.float32)
    keep[:, 6:] = 0.0 if padded else 1.0
    return {"x": normal(200, 8), "keep": keep}


@pytest.mark.parametrize(("op", "fill"), [("Add", -1e4), ("Where", -1e4), ("Where", -np.inf), ("Add", -3.4e38)])
def test_a_mask_is_found_with_its_softmax(tmp_path, op, fill):
    path = attention(tmp_path / "attention.onnx", fill, op)
    inferred = only(find_hazards(path), "attention-mask")
    assert (inferred.basis, inferred.severity) == ("inferred", "warning")
    with record(path, fed(padded=True)) as session:
        found = find_hazards(session)
    hazard = only(found, "attention-mask")
    assert (hazard.basis, hazard.severity) == ("measured", "severe")
    assert hazard.tensors[0] == "fill"
    assert "masked" in hazard.tensors
    assert {"masking", "softmax"} <= set(hazard.nodes)
    # What follows from the mask is not reported a second time.
    assert "non-finite" not in kinds(found)
    assert not [h for h in found if h.kind in ("clipped", "disagreement") and "masked" in h.tensors]


def test_a_mask_that_calibration_never_used_is_said_so(tmp_path):
    with record(attention(tmp_path / "attention.onnx", -1e4, "Where"), fed(padded=False)) as session:
        hazard = only(find_hazards(session), "attention-mask")
    assert hazard.severity == "warning"
    assert "never used it" in hazard.message


def test_a_mild_constant_before_a_softmax_is_no_mask(tmp_path):
    assert "attention-mask" not in kinds(find_hazards(attention(tmp_path / "attention.onnx", -20.0)))


@pytest.mark.models
def test_minilm_mask_and_outlier_channels():
    """The feed-forward outputs of BERT-like models have a few outlier channels; a published observation."""
    words = ["a dog runs", "the quick brown fox jumps over the lazy dog today", "hello", "it rains again in the town"]
    with record(minilm_model(), encode(words, 12), batch_size=1) as session:
        found = find_hazards(session)
    mask = only(found, "attention-mask")
    assert mask.severity == "severe"
    assert "6 Softmax nodes" in mask.message
    spread = [h for h in found if h.kind == "channel-spread" and h.severity == "warning"]
    assert spread[0].tensors == ("/encoder/layer.0/output/dense/Add_output_0",)


@pytest.mark.models
def test_every_hazard_of_a_detector_names_what_the_model_has():
    x = RNG.uniform(-1, 1, (4, 3, 96, 96)).astype(np.float32)
    with record(ocr_model("det"), x, batch_size=1) as session:
        found = find_hazards(session)
        names = {n.name for n in session.graph.nodes}
        assert found
        for hazard in found:
            assert set(hazard.tensors) <= session.graph.tensors.keys()
            assert set(hazard.nodes) <= names


# Channels


def depthwise(path, gains):
    """A depthwise convolution whose channels have these gains, then a convolution that reads them."""
    n = len(gains)
    first = np.zeros((n, 1, 3, 3), np.float32)
    first[:, 0, 1, 1] = gains
    second = normal(4, n, 1, 1) / np.asarray(gains, np.float32)[None, :, None, None]
    return save(
        path,
        [
            node("Conv", ["x", "w1"], ["scaled"], group=n, pads=[1, 1, 1, 1], name="depthwise"),
            node("Conv", ["scaled", "w2"], ["out"], name="pointwise"),
        ],
        [value("x", ("N", n, 6, 6))],
        [value("out", ("N", 4, 6, 6))],
        [const("w1", first), const("w2", second)],
    )


def test_badly_scaled_depthwise_channels_are_counted(tmp_path):
    gains = [1.0] * 5 + [0.01, 0.001, 1e-5]
    x = np.clip(normal(120, 8, 6, 6), -2, 2)
    with record(depthwise(tmp_path / "depthwise.onnx", gains), x, batch_size=10, method="minmax") as session:
        found = find_hazards(session)
    hazard = next(h for h in found if h.tensors == ("scaled",))
    assert (hazard.kind, hazard.severity, hazard.nodes) == ("channel-spread", "warning", ("depthwise",))
    # Gains of 0.01 and less are below 1/50; below 1/254 a channel is less than half a step.
    assert "3 channels stay below 1/50" in hazard.message
    assert "2 of them round to 0" in hazard.message
    weights = {(h.kind, *h.tensors) for h in found}
    assert ("weight-output-channels", "w1", "scaled") in weights
    # The weights behind it make up for the small channels: those of the others are the tiny ones.
    assert ("weight-input-channels", "w2", "scaled") in weights


def test_even_channels_are_fine(tmp_path):
    with record(depthwise(tmp_path / "depthwise.onnx", [1.0, 0.5, 0.9, 0.7]), normal(120, 4, 6, 6), batch_size=10) as s:
        assert kinds(find_hazards(s)).isdisjoint({"channel-spread", "weight-input-channels", "weight-output-channels"})


# Single tensors


def chain(path, *nodes, stored=(), **options):
    return save(path, list(nodes), [value("x", ("N", 16))], [value("out", ("N", 16))], list(stored), **options)


def test_a_dead_branch_is_reported_once_where_it_starts(tmp_path):
    path = chain(
        tmp_path / "dead.onnx",
        node("Sub", ["x", "ten"], ["low"], name="lower"),
        node("Relu", ["low"], ["dead"], name="relu"),
        node("Mul", ["dead", "ten"], ["deader"]),
        node("Add", ["deader", "x"], ["out"]),
        stored=[const("ten", 10.0)],
    )
    with record(path, np.clip(normal(200, 16), -3, 3)) as session:
        hazard = only(find_hazards(session), "dead")
    assert (hazard.tensors, hazard.nodes) == (("dead",), ("relu",))
    assert "1 other tensor of the model" in hazard.message


def test_a_tensor_that_never_changes_is_a_note(tmp_path):
    path = chain(
        tmp_path / "constant.onnx",
        node("Mul", ["x", "nought"], ["nothing"]),
        node("Add", ["nothing", "half"], ["same"]),
        node("Add", ["same", "x"], ["out"]),
        stored=[const("nought", 0.0), const("half", 0.5)],
    )
    with record(path, normal(200, 16)) as session:
        hazard = only(find_hazards(session), "constant")
    assert (hazard.severity, hazard.tensors) == ("note", ("same",))


def test_nan_is_reported_where_it_begins(tmp_path):
    path = chain(
        tmp_path / "nan.onnx",
        node("Sqrt", ["x"], ["root"], name="root_node"),
        node("Mul", ["root", "two"], ["out"]),
        stored=[const("two", 2.0)],
    )
    with record(path, normal(200, 16)) as session:
        hazard = only(find_hazards(session), "non-finite")
    assert (hazard.severity, hazard.tensors, hazard.nodes) == ("severe", ("root",), ("root_node",))
    assert "It is the first" in hazard.message


def test_rare_large_values_make_the_methods_disagree(tmp_path):
    x = normal(2000, 16)
    x[7, 3] = 60.0
    path = chain(tmp_path / "tail.onnx", node("Relu", ["x"], ["out"]))
    with record(path, x, batch_size=100) as session:
        found = {h.tensors[0]: h for h in find_hazards(session) if h.kind == "disagreement"}
        ratio = session.row("out").minmax_amax / session.row("out").entropy
        lenient = find_hazards(session, limits=HazardLimits(disagreement=ratio * 1.01))
    assert ratio > 4
    assert "60.0" in found["out"].message
    assert "out" not in {h.tensors[0] for h in lenient if h.kind == "disagreement"}


def test_confident_answers_that_entropy_gives_up(tmp_path):
    x = normal(2000, 16, scale=0.5) - 6
    x[:, 0] = RNG.uniform(-6, 8, 2000)
    path = chain(tmp_path / "sigmoid.onnx", node("Sigmoid", ["x"], ["out"]))
    with record(path, x, batch_size=100) as session:
        hazard = only(find_hazards(session), "clipped-probabilities")
        session.choose("out", method="minmax")
        assert "clipped-probabilities" not in kinds(find_hazards(session))
    assert hazard.mend == "Choose minmax for this tensor (in Python: session.choose('out', method='minmax'))."


# The data


def amplitudes(*per_batch):
    """Batches of ten samples whose largest |x| are exactly these."""
    data = np.clip(normal(10 * len(per_batch), 16), -3, 3) / 3.1
    data[::10, 0] = 1.0
    return (data * np.repeat(per_batch, 10)[:, None]).astype(np.float32)


def relu(tmp_path):
    return chain(tmp_path / "relu.onnx", node("Relu", ["x"], ["out"]))


def test_ranges_that_still_grow_are_counted(tmp_path):
    with record(relu(tmp_path), amplitudes(1, 1, 1, 1, 1, 1, 1.5, 2), batch_size=10) as session:
        hazard = only(find_hazards(session), "growing-ranges")
        assert hazard.severity == "warning"
        assert "last 2 of 8" in hazard.message
        assert "by 100 %, in 2 of the 2" in hazard.message
        session.exclude(7)
        assert "by 50 %, in 1 of the 2" in only(find_hazards(session), "growing-ranges").message
        session.exclude(6)
        assert "growing-ranges" not in kinds(find_hazards(session))


def test_settled_ranges_and_a_little_growth_are_fine(tmp_path):
    with record(relu(tmp_path), amplitudes(2, 1, 1, 1, 1, 1, 1, 1.9), batch_size=10) as session:
        assert "growing-ranges" not in kinds(find_hazards(session))
    with record(relu(tmp_path), amplitudes(1, 1, 1, 1, 1, 1, 1, 1.05), batch_size=10) as session:
        assert "growing-ranges" not in kinds(find_hazards(session))


def test_few_batches_say_that_growth_cannot_be_seen(tmp_path):
    with record(relu(tmp_path), amplitudes(1, 5), batch_size=10) as session:
        found = find_hazards(session)
    assert "growing-ranges" not in kinds(found)
    assert "In 2 batches it cannot be seen" in only(found, "few-samples").message


# The graph


def test_a_quantised_model_is_recognised(tmp_path):
    path = chain(
        tmp_path / "qdq.onnx",
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["out"]),
        stored=[const("s", 0.1), const("z", 0, np.int8)],
    )
    hazard = only(find_hazards(path), "already-quantised")
    assert hazard.severity == "severe"
    assert "1 DequantizeLinear, 1 QuantizeLinear" in hazard.message


def test_custom_domains_are_listed(tmp_path):
    path = chain(
        tmp_path / "custom.onnx", node("Frobnicate", ["x"], ["out"], domain="acme.ops", name="f"), domains=["acme.ops"]
    )
    hazard = only(find_hazards(path), "custom-domain")
    assert hazard.nodes == ("f",)
    assert "1 acme.ops::Frobnicate" in hazard.message


def test_a_written_out_layer_norm_is_one_hazard(tmp_path):
    path = chain(
        tmp_path / "norm.onnx",
        node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        node("Sub", ["x", "mean"], ["centred"]),
        node("Pow", ["centred", "two"], ["square"]),
        node("ReduceMean", ["square"], ["variance"], axes=[-1]),
        node("Add", ["variance", "eps"], ["safe"]),
        node("Sqrt", ["safe"], ["deviation"], name="sqrt"),
        node("Div", ["centred", "deviation"], ["out"]),
        stored=[const("two", 2.0), const("eps", 1e-5)],
    )
    inferred = only(find_hazards(path), "range-stretching")
    assert (inferred.basis, inferred.severity, inferred.nodes) == ("inferred", "note", ("sqrt",))
    with record(path, normal(200, 16)) as session:
        assert only(find_hazards(session), "range-stretching").basis == "measured"


# What it is given


def test_a_graph_alone_says_what_it_could_not_look_at(lenet):
    (hazard,) = find_hazards(lenet.graph)
    assert hazard.kind == "not-checked"
    assert "weights per channel" in hazard.message


def test_a_loaded_session_with_the_models_path(ones, tmp_path):
    ones.save(tmp_path / "ones.trtcal")
    with CalibrationSession.load(tmp_path / "ones.trtcal") as loaded:
        alone = find_hazards(loaded)
        assert "weights per channel" in only(alone, "not-checked").message
        both = find_hazards(sample.model_path(), loaded)
        assert "weights per channel" not in only(both, "not-checked").message
    measured = {h.message for h in find_hazards(ones) if h.kind == "clipped"}
    assert {h.message for h in alone if h.kind == "clipped"} == measured


def test_before_the_first_batch_only_the_graph_speaks():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        assert kinds(find_hazards(session)) == {"not-checked"}


def test_a_closed_session_still_tells_what_was_recorded(tmp_path):
    session = record(relu(tmp_path), amplitudes(1, 1, 1, 1, 1, 1, 1.5, 2), batch_size=10)
    session.table()
    session.close()
    found = find_hazards(session)
    assert "growing-ranges" in kinds(found)
    assert "is closed" in only(found, "not-checked").message


def test_a_session_of_another_model_is_refused(lenet, tmp_path):
    with pytest.raises(UsageError, match=r"was recorded with lenet\.onnx"):
        find_hazards(relu(tmp_path), lenet)


@pytest.mark.parametrize("bad", [None, 3, {"graph": 1}])
def test_rubbish_is_refused(bad):
    with pytest.raises(UsageError, match="hazards are found in a session"):
        find_hazards(bad)


@pytest.mark.parametrize(("name", "bad"), [("concat_ratio", -1), ("growth", float("nan")), ("few_samples", "many")])
def test_limits_are_numbers(name, bad):
    with pytest.raises(UsageError, match=name):
        replace(HazardLimits(), **{name: bad})


def test_hostile_names_stay_on_one_line(tmp_path):
    name = '<script>alert("1")</script>\n\u202egnp'
    path = save(tmp_path / "bad.onnx", [node("Relu", ["x"], [name])], [value("x", ("N", 4))], [value(name, ("N", 4))])
    with record(path, -np.abs(normal(200, 4)) - 1) as session:
        hazard = only(find_hazards(session), "dead")
    assert hazard.tensors == (name,)
    assert "\n" not in hazard.message
    assert "\u202e" not in hazard.message


@pytest.mark.parametrize("share", [1.0, 7.5, float("inf")])
def test_the_last_batches_are_never_all_of_them(lenet, share):
    assert find_hazards(lenet, limits=HazardLimits(last_share=share)) == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channel_batches": "2"}, "channel_batches is a whole number"),
        ({"channel_batches": -1}, "channel_batches is a whole number"),
        ({"limits": {"growth": 1}}, "limits is a HazardLimits, not a dict"),
    ],
)
def test_what_is_no_limit_is_refused(lenet, options, said):
    with pytest.raises(UsageError, match=said):
        find_hazards(lenet, **options)


def test_a_range_is_not_nought_times_larger():
    with pytest.raises(UsageError, match="channel_ratio must be greater than 0"):
        HazardLimits(channel_ratio=0)
