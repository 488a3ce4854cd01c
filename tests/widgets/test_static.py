from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from tests.support.shared import shared_path
from trtcal_widgets import sample
from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import read_scale_file, scales_from_bytes
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.widgets.cache.still import cache_picture
from trtcal_widgets.widgets.explorer.still import explorer_picture


@pytest.fixture(scope="module")
def recorded():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=3) as session:
        session.run()
        session.update(selected="conv1")
        yield session


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_near(image, colour, reach=12):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return float((np.abs(image - wanted).max(axis=2) <= reach).mean())


def test_size_and_background(recorded):
    light, dark = (
        pixels(explorer_picture(recorded, width=800)),
        pixels(explorer_picture(recorded, width=640, dark=True)),
    )
    assert light.shape[1] == 800
    assert dark.shape[1] == 640
    assert (light[0, 0] == 255).all()
    assert (dark[0, 0] < 40).all()


@pytest.mark.parametrize("dark", [False, True])
def test_the_users_own_line_is_in_the_picture_and_only_then(recorded, dark):
    colour = METHOD_STYLES["mse"].dark if dark else METHOD_STYLES["mse"].light
    assert share_near(pixels(explorer_picture(recorded, dark=dark)), colour) > 1e-4
    before = pixels(explorer_picture(recorded, dark=dark))
    recorded.choose("conv1", amax=0.5)
    try:
        assert (pixels(explorer_picture(recorded, dark=dark)) != before).any(axis=2).mean() > 0.01
    finally:
        recorded.undo()
    assert (pixels(explorer_picture(recorded, dark=dark)) == before).all()


def test_every_tensor_has_a_picture(recorded):
    seen = set()
    for name in recorded.tensors:
        recorded.update(selected=name)
        seen.add(explorer_picture(recorded, width=500))
    recorded.update(selected="conv1")
    assert len(seen) == len(recorded.tensors)


def test_before_the_first_batch():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        assert pixels(explorer_picture(session)).min() < 100, "something is written"


@pytest.fixture
def identity_model(tmp_path):
    """A model that passes its input on, under a name of choice."""
    import onnx
    from onnx import TensorProto, helper

    def make(name):
        graph = helper.make_graph(
            [helper.make_node("Relu", [name], ["out"])],
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 4])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 4])],
        )
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        return path

    return make


@pytest.mark.parametrize(
    "name", ["$\\frac{1}{2$", "a$b$c", "層/\u0000\n\x1b[31m", "<script>alert(1)</script>", "\U0001f600", "x" * 500]
)
def test_names_are_text(identity_model, name):
    name = name.replace("\0", "")  # a protobuf string of onnx may hold it, ONNX Runtime cuts it off
    with CalibrationSession(identity_model(name), np.ones((4, 4), np.float32), batch_size=2) as session:
        session.run()
        session.update(selected=name)
        assert pixels(explorer_picture(session)).shape[2] == 3


@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan, np.inf, 3e38, 1e-40])
def test_odd_values(identity_model, fill):
    with CalibrationSession(identity_model("x"), np.full((4, 4), fill, np.float32), batch_size=2) as session:
        session.run()
        assert pixels(explorer_picture(session)).shape[2] == 3


NAMES = (
    "data/caches/diffusion.TRT-8601.cache",
    "data/caches/resnet50v2.onnxruntime-ep.json",
    "data/golden/LegacyCalibrationTable",
)


@pytest.mark.parametrize("name", NAMES)
def test_caches(name):
    cache = read_scale_file(shared_path(*name.split("/")))
    one = pixels(cache_picture(cache))
    assert share_near(one, "#6b7785") > 1e-4


def test_two_caches():
    a = read_scale_file(shared_path("data/caches/yolo11.TRT-101200.cache"))
    b = read_scale_file(shared_path("data/caches/yolov8.TRT-101401.cache"))
    both = pixels(cache_picture(a, b))
    assert share_near(both, "#c24e00") > 1e-4
    assert pixels(cache_picture(a, a)).shape == both.shape


@pytest.mark.parametrize("scales", [{"$x$": 0.0}, {"x": 1e-45}, {"x": 2.0**120, "y": 2.0**-120}])
def test_caches_without_much_to_draw(scales):
    cache = CalibrationCache.build(scales)
    for dark in (False, True):
        assert pixels(cache_picture(cache, CalibrationCache.build({"z": 1.0}), dark=dark)).shape[2] == 3
        assert pixels(cache_picture(cache, dark=dark)).shape[2] == 3


def test_rows_that_are_inf_nan_or_negative():
    table = scales_from_bytes(b"TRT-8601-EntropyCalibration2\na: 7f800000\nb: 7fc00000\nc: bf800000\nd: 0\n")
    assert pixels(cache_picture(table, table)).shape[2] == 3


def test_the_users_matplotlib_is_left_alone(recorded):
    import matplotlib as mpl

    with mpl.rc_context({"axes.grid": False, "lines.linewidth": 17.0, "figure.facecolor": "red"}):
        before = dict(mpl.rcParams)
        styled = explorer_picture(recorded)
        assert dict(mpl.rcParams) == before
    assert styled == explorer_picture(recorded)


def test_from_several_threads(recorded):
    expected = explorer_picture(recorded, width=500)
    found = []
    threads = [threading.Thread(target=lambda: found.append(explorer_picture(recorded, width=500))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


def test_an_absurd_threshold_does_not_press_the_data_to_the_left(recorded):
    def bars():
        image = pixels(explorer_picture(recorded))
        return share_near(image[150:330], "#aeb9c5")

    before = bars()
    recorded.choose("conv1", amax=1000.0)
    try:
        assert bars() > 0.8 * before
    finally:
        recorded.undo()
