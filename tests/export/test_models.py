"""Real models: what INT8 costs LeNet, and that PP-OCR and a transformer come out whole."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.export.helpers import checked, session
from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from tests.support.shared import shared_path
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.data import IdxImages, IterableBatches
from trtcal_widgets.export.qdq import QdqBuilder, build_qdq, quantized_inputs
from trtcal_widgets.model.load import load_model


@pytest.fixture(scope="module")
def lenet():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as calibration:
        calibration.run()
        yield calibration


def top1(ran, images, labels):
    right = 0
    for start in range(0, len(images), 500):
        (prob,) = ran.run(["prob"], {"data": images[start : start + 500]})
        right += int((prob.argmax(1) == labels[start : start + 500]).sum())
    return right / len(images)


def test_lenet_loses_at_most_half_a_percent(lenet):
    folder = shared_path("data", "mnist")
    test = IdxImages(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
    images = np.concatenate([next(iter(batch.feeds.values())) for batch in _batches(test)])
    labels = np.asarray(test.labels)
    assert images.shape == (10_000, 1, 28, 28)
    fp32 = top1(session(sample.model_path()), images, labels)
    result = checked(sample.model_path(), lenet)
    int8 = top1(session(result.to_bytes()), images, labels)
    assert fp32 > 0.99
    assert fp32 - int8 <= 0.005
    assert [t.name for t in result.report.activations] == ["data", "pool1", "flatten", "relu1"]
    assert not result.report.missing


def _batches(source):
    from trtcal_widgets.data.plan import BatchPlan

    return BatchPlan(source, batch_size=500, last="keep")


def test_a_cache_and_the_session_that_it_is_from_give_the_same_model(lenet):
    from_session = build_qdq(sample.model_path(), lenet).to_bytes()
    assert build_qdq(sample.model_path(), lenet.to_cache()).to_bytes() == from_session


@pytest.mark.models
def test_paddles_dimensions_are_told_apart_and_said():
    """Height and width of the classifier are both called ``?``, which TensorRT would take for one dimension."""
    with CalibrationSession(ocr_model("cls"), page(0, (1, 3, 48, 192)), batch_size=1) as calibration:
        calibration.run()
        result = build_qdq(ocr_model("cls"), calibration)
    graph = result.proto.graph
    (x,) = graph.input
    names = [dim.dim_param for dim in x.type.tensor_type.shape.dim if dim.dim_param]
    assert names == ["x_2", "x_3"]
    infos = [*graph.input, *graph.output, *graph.value_info]
    assert "?" not in {dim.dim_param for info in infos for dim in info.type.tensor_type.shape.dim}
    assert any("dimension 2 is x_2" in note for note in result.report.notes)


def page(seed, shape):
    """Dark words on a light page, as the models see it (normalised to -1 ... 1)."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (shape[3], shape[2]), tuple(int(v) for v in rng.integers(200, 256, 3)))
    draw = ImageDraw.Draw(image)
    for line in range(max(shape[2] // 32, 1)):
        words = " ".join("".join(chr(rng.integers(97, 123)) for _ in range(6)) for _ in range(4))
        draw.text((4, 8 + 32 * line), words, fill=(20, 20, 60), font_size=24)
    array = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    assert array.shape == shape
    return array


@pytest.mark.models
@pytest.mark.parametrize(("which", "least"), [("det", 0.9), ("cls", 0.5), ("rec", 0.5)])
def test_ppocr_is_built_checked_and_run(which, least):
    path = ocr_model(which)
    shape = {"det": (1, 3, 160, 320), "cls": (1, 3, 48, 192), "rec": (1, 3, 48, 320)}[which]
    source = IterableBatches(lambda: (page(seed, shape) for seed in range(6)))
    with CalibrationSession(path, source, batch_size=1, method="minmax") as calibration:
        calibration.run()
        result = checked(path, calibration)
    report = result.report
    assert report.opset_after == 13
    wanted = quantized_inputs(load_model(path).graph)
    lacking = {name for missing in report.missing for name in missing.consumers}
    assert set(report.quantized_nodes) >= set(wanted) - lacking - {n.name for n in report.left}
    assert len(report.quantized_nodes) > 50
    feeds = {session(path).get_inputs()[0].name: page(99, shape)}
    plain = session(path).run(None, feeds)[0]
    quantised = session(result.to_bytes()).run(None, feeds)[0]
    assert quantised.shape == plain.shape
    cosine = (plain * quantised).sum() / np.linalg.norm(plain) / np.linalg.norm(quantised)
    assert cosine > least
    names = {name for node in onnx.load(path).graph.node for name in node.output}
    assert names <= {name for node in result.proto.graph.node for name in node.output}


@pytest.mark.models
def test_a_transformer_keeps_its_integer_paths_and_its_meaning():
    path = minilm_model()
    sentences = ["A man is eating food.", "Someone eats a meal.", "The stock market fell again today."]
    batches = [encode(sentences[i : i + 1], 12) for i in range(3)]
    with CalibrationSession(path, IterableBatches(lambda: iter(batches)), batch_size=1, method="minmax") as calibration:
        calibration.run()
        result = checked(path, calibration)
    report = result.report
    graph = load_model(path).graph
    assert {graph.op_type(name) for name in (t.name for t in report.activations)}.isdisjoint({"Shape", "Cast", "Erf"})
    # Six layers: query, key, value, scores, context, output, two of the feed-forward; no residuals.
    assert len(report.quantized_nodes) == 48
    feeds = encode(sentences, 12)
    plain = session(path).run(None, feeds)[0]
    quantised = session(result.to_bytes()).run(None, feeds)[0]
    plain, quantised = (x * feeds["attention_mask"][..., None] for x in (plain, quantised))
    cosine = (plain * quantised).sum() / np.linalg.norm(plain) / np.linalg.norm(quantised)
    assert cosine > 0.95


def test_a_builder_gives_what_single_builds_give(lenet):
    builder = QdqBuilder(sample.model_path(), lenet)
    for only in (None, {"conv1"}, {"ip2"}):
        again = build_qdq(sample.model_path(), lenet, only=only)
        assert builder.build(only=only).to_bytes() == again.to_bytes()
    assert load_model(sample.model_path()).proto == builder.model.proto  # the model itself is not touched
