"""A folder of images comes as the model's input wants it, from Python as from the command line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.data import array_files, as_source, source_for_model, sources
from trtcal_widgets.data.idx import read_idx
from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.graph import ModelGraph, TensorInfo, TensorKind

MODEL = sample.model_path()
IDX = MODEL.with_name("calibration-images-idx3-ubyte.gz")


def graph_with(*shapes):
    tensors = {
        f"in{i}": TensorInfo(f"in{i}", TensorKind.INPUT, "float32", shape, -1, ()) for i, shape in enumerate(shapes)
    }
    return ModelGraph("model.onnx", "0" * 64, 17, tensors, ())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of several sizes, one of them in colour."""
    where = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    for i, shape in enumerate([(9, 7, 3), (8, 8, 3), (6, 12)]):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(where / f"{i}.png")
    return where


@pytest.mark.parametrize(
    ("shape", "fed"),
    [
        (("batch", 3, 10, 12), (3, 3, 10, 12)),
        (("batch", 1, 10, 12), (3, 1, 10, 12)),
        ((4, 10, 12, 3), (3, 10, 12, 3)),
        ((None, 10, 12, 1), (3, 10, 12, 1)),
    ],
)
def test_size_layout_and_channels_are_the_inputs(folder, shape, fed):
    assert source_for_model(folder, graph_with(shape)).load(0, 3)[""].shape == fed


def test_what_the_user_says_wins(folder):
    source = source_for_model(folder, graph_with((1, 3, 10, 12)), size=(5, 6), color="gray", layout="NHWC")
    assert source.load(0, 1)[""].shape == (1, 5, 6, 1)


@pytest.mark.parametrize("graph", [graph_with(None), graph_with((1, 77)), graph_with((1, 1, 8, 8), (1, 1, 8, 8))])
def test_an_input_that_says_nothing_leaves_images_as_they_are(folder, graph):
    assert source_for_model(folder, graph).load(0, 1)[""].shape == (1, 3, 9, 7)


def test_one_of_several_inputs_is_named(folder):
    graph = graph_with((1, 8), (1, 1, 4, 5))
    assert source_for_model(folder, graph, input_name="in1").load(0, 2)["in1"].shape == (2, 1, 4, 5)
    with pytest.raises(UsageError, match="'in0', 'in1'; did you mean"):
        source_for_model(folder, graph, input_name="in3")


def test_a_tensor_that_is_no_input_is_refused(folder):
    from trtcal_widgets.model.load import load_graph

    with pytest.raises(UsageError, match=r"'conv1' is no input of lenet\.onnx, which has 'data'"):
        source_for_model(folder, load_graph(MODEL), input_name="conv1")


def test_everything_but_a_folder_of_images_is_as_source(folder):
    graph = graph_with((1, 1, 4, 5))
    array = np.zeros((2, 3, 8, 8), np.float32)
    assert source_for_model(array, graph).describe() == as_source(array).describe()
    made = ImageFolder(folder, size=8)
    assert source_for_model(made, graph) is made


def test_a_session_of_a_folder_is_a_session_of_its_pixels(tmp_path):
    for i, image in enumerate(read_idx(IDX)[:40]):
        Image.fromarray(np.stack([image] * 3, -1)).save(tmp_path / f"img{i}.png")  # colour files of gray pictures
    caches = []
    for source in (str(tmp_path), tmp_path, (read_idx(IDX)[:40, None] * (1 / 255)).astype(np.float32)):
        with CalibrationSession(MODEL, source, batch_size=20) as session:
            session.run()
            caches.append(session.to_cache())
    assert caches[0] == caches[1] == caches[2]


@pytest.mark.parametrize("kind", ["images", "arrays"])
def test_a_folder_is_looked_through_once_to_tell_what_it_holds(tmp_path, folder, monkeypatch, kind):
    if kind == "arrays":
        for i in range(3):
            np.save(tmp_path / f"{i}.npy", np.ones((1, 4, 4), np.float32))
        folder = tmp_path
    seen = []
    real = sources.holds_samples
    monkeypatch.setattr(sources, "holds_samples", lambda path: seen.append(path) or real(path))
    source_for_model(folder, graph_with(("batch", 1, 4, 4)))
    assert len(seen) == 1


def test_images_are_told_by_the_first_one(folder, monkeypatch):
    """A million images are not listed to tell that they are no arrays."""
    asked = []
    real = array_files.is_image
    monkeypatch.setattr(array_files, "is_image", lambda path: asked.append(path) or real(path))
    assert not array_files.holds_samples(folder)
    assert len(asked) == 1


def test_a_model_that_takes_bytes_is_fed_pixels_as_they_are(folder):
    tensor = TensorInfo("in0", TensorKind.INPUT, "uint8", ("batch", 3, 10, 12), -1, ())
    graph = ModelGraph("model.onnx", "0" * 64, 17, {"in0": tensor}, ())
    part = next(iter(source_for_model(folder, graph).load(0, 2).values()))
    assert part.dtype == np.uint8
    assert part.max() > 100
