"""Every Q/DQ export of the tests, parsed and built by NVIDIA's builder: once each, in one process a group."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.support.inspected import recorded_text
from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from tests.support.rtx import need_rtx
from tests.support.trt86 import operators
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.data import IterableBatches
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.model.load import load_graph

WITHOUT_SITES = {"add_inputs", "gru", "lstm"}


@pytest.fixture(autouse=True)
def _builder():
    need_rtx()


@pytest.mark.parametrize("part", range(4))
def test_every_operator_of_8_6_with_the_scales_that_it_wrote(part):
    """In four parts, so that they are spread over the workers."""
    cases = list(operators())[part::4]
    assert len(cases) > 25
    refused = {}
    for case in cases:
        try:
            result = build_qdq(case.path, case.rows("entropy2"))
        except ExportError:
            assert case.path.stem in WITHOUT_SITES
            continue
        report = result.check(builder="rtx")
        if not report.ok:
            refused[case.path.stem] = report.to_text()
        assert report.verdicts or not any(tensor.is_weight for tensor in result.report.quantized), (
            f"{case.path.stem}: no layer is told of"
        )
    assert not refused


@pytest.mark.parametrize("opset", range(13, 26))
def test_lenet_in_every_opset_from_13(opset, tmp_path):
    proto = onnx.version_converter.convert_version(onnx.load(sample.model_path()), opset)
    onnx.save(proto, tmp_path / "lenet.onnx")
    report = build_qdq(tmp_path / "lenet.onnx", {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}).check(
        builder="rtx"
    )
    assert [one.runs_in for one in report.verdicts] == ["int8"] * 4


def calibrated(path, batches):
    with CalibrationSession(path, IterableBatches(lambda: iter(batches)), batch_size=1, method="minmax") as session:
        session.run()
        return build_qdq(path, session)


@pytest.mark.models
@pytest.mark.parametrize(
    ("which", "shape", "least", "fallen"),
    [("cls", (1, 3, 48, 192), 50, 0), ("det", (1, 3, 64, 64), 60, 2), ("rec", (1, 3, 48, 320), 50, 0)],
)
def test_ppocr(which, shape, least, fallen):
    random = np.random.default_rng(0)
    result = calibrated(ocr_model(which), [random.uniform(-1, 1, shape).astype(np.float32)])
    report = result.check(builder="rtx", shapes={result.proto.graph.input[0].name: shape})
    assert report.ok
    in_int8 = [one for one in report.verdicts if one.runs_in == "int8"]
    assert len(in_int8) >= least
    assert {one.op_type for one in report.fell_back} <= {"ConvTranspose"}
    assert len(report.fell_back) == fallen


@pytest.mark.models
def test_a_transformer_and_its_attention():
    result = calibrated(minilm_model(), [encode(["A man is eating food."], 12)])
    report = result.check(builder="rtx")
    assert report.ok
    assert not report.fell_back
    attention = [one for one in report.verdicts if "Softmax" in " ".join(one.fused)]
    assert {one.runs_in for one in attention} == {"int8"}
    fates = {pair.tensor: pair.fate for pair in report.pairs if "Softmax" in pair.tensor}
    assert set(fates.values()) == {"inside"}


def test_pairs_that_follow_an_implicit_engine():
    """By the rules, and as the recorded engines of 8.6.0 ran in INT8: pools and joins included."""
    refused, followed = {}, 0
    for case in (operator for operator in operators() if operator.facts["engine"]):
        ran = LayerPrecisions.from_inspector(recorded_text(case.facts["engine"]), load_graph(case.path))
        placements = ["implicit", ran] if ran.int8_reads else ["implicit"]
        for placement in placements:
            try:
                result = build_qdq(case.path, case.rows("entropy2"), placement=placement)
            except ExportError:
                assert case.path.stem in WITHOUT_SITES
                continue
            followed += placement is ran and bool(result.report.quantized)
            report = result.check(builder="rtx")
            if not report.ok:
                refused[case.path.stem] = report.to_text()
    assert not refused
    assert followed >= 6
