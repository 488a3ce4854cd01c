"""Data in files for models whose inputs take float16."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from tests.support.graphs import const, node, save, value
from trtcal_widgets import CalibrationSession
from trtcal_widgets.data import source_for_model
from trtcal_widgets.errors import DataError
from trtcal_widgets.model.load import load_graph


@pytest.fixture
def model(tmp_path):
    weights = const("w", np.random.default_rng(0).standard_normal((4, 3, 3, 3)), np.float16)
    inputs = [value("x", ["N", 3, 16, 16], TensorProto.FLOAT16)]
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["o"])]
    return save(tmp_path / "m.onnx", nodes, inputs, [value("o", None, TensorProto.FLOAT16)], [weights])


def test_an_array_file_is_cast_and_it_is_said(model, tmp_path):
    x = np.random.default_rng(1).standard_normal((4, 3, 16, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    source = source_for_model(tmp_path / "x.npy", load_graph(model))
    assert source.describe().endswith(", as float16")
    (fed,) = source.load(0, 4).values()
    assert fed.dtype == np.float16
    np.testing.assert_array_equal(fed, x.astype(np.float16))
    with CalibrationSession(model, tmp_path / "x.npy", batch_size=2) as session:
        session.run()
        assert session.histogram("x").n_finite == x.size


def test_images_are_made_float16(model, tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(2).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    (fed,) = source_for_model(tmp_path / "images", load_graph(model)).load(0, 1).values()
    assert fed.dtype == np.float16
    np.testing.assert_allclose(fed[0], pixels.transpose(2, 0, 1) / 255, atol=1e-3)


def test_what_float16_cannot_hold_is_refused_and_infinity_goes_through(model, tmp_path):
    x = np.zeros((2, 3, 16, 16), np.float32)
    x[0, 0, 0, 0] = np.inf
    np.save(tmp_path / "x.npy", x)
    (fed,) = source_for_model(tmp_path / "x.npy", load_graph(model)).load(0, 2).values()
    assert np.isinf(fed[0, 0, 0, 0])
    x[1] = 70_000
    np.save(tmp_path / "y.npy", x)
    with pytest.raises(DataError, match=r"takes float16, and the data have 70000"):
        source_for_model(tmp_path / "y.npy", load_graph(model)).load(0, 2)


def test_a_float32_model_is_fed_as_before(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["o"])], [value("x", ["N", 3])], [value("o", None)])
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    assert "float16" not in source_for_model(tmp_path / "x.npy", load_graph(path)).describe()
