from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from tests.support.graphs import INT64, const, node, save, value
from tests.support.minilm import encode, minilm_model
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.load import load_graph, load_model
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner


def external(name, location, shape, offset=0, length=None):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, content in entries.items():
        if content is not None:
            tensor.external_data.add(key=key, value=str(content))
    return tensor


def model_with(folder, location, **where):
    return save(
        folder / "m.onnx",
        [node("Add", ["x", "k"], ["y"])],
        [value("x")],
        [value("y")],
        [external("k", location, [3], **where)],
    )


@pytest.mark.models
def test_transformer_with_external_data_gives_what_it_gives_inline(tmp_path):
    path = tmp_path / "minilm.onnx"
    onnx.save(onnx.load(minilm_model()), path, save_as_external_data=True, location="minilm.onnx_data")
    assert path.stat().st_size < 200_000
    graph = load_graph(path)
    assert int(graph.metadata["external_bytes"]) > 90_000_000
    inline = load_model(minilm_model())
    assert list(graph.tensors) == list(inline.graph.tensors)
    feeds = encode(["external data are read by the runtime"], 12)
    with OnnxRuntimeRunner(path) as outside, OnnxRuntimeRunner(inline) as inside:
        pairs = zip(outside.infer(feeds), inside.infer(feeds), strict=True)
        for (name, one), (same, other) in pairs:
            assert name == same
            np.testing.assert_array_equal(one, other)
        for name, array in outside.constants():
            np.testing.assert_array_equal(array, inline.constants.read(name))


def test_data_may_lie_in_several_files_and_folders(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "k.bin").write_bytes(b"pad!" + np.float32([1, 2, 3]).tobytes())
    path = model_with(tmp_path, "deep/k.bin", offset=4, length=12)
    with OnnxRuntimeRunner(path) as runner:
        assert dict(runner.constants())["k"].tolist() == [1, 2, 3]
        assert dict(runner.infer({"x": np.zeros((1, 3), np.float32)}))["y"].tolist() == [[1, 2, 3]]


def test_model_is_found_from_any_working_directory(tmp_path, monkeypatch):
    (tmp_path / "k.bin").write_bytes(np.float32([1, 2, 3]).tobytes())
    model_with(tmp_path, "k.bin")
    monkeypatch.chdir(tmp_path)
    with OnnxRuntimeRunner("m.onnx") as runner:
        assert len(list(runner.infer({"x": np.zeros((1, 3), np.float32)}))) == 2


def test_missing_file_is_named(tmp_path):
    path = model_with(tmp_path, "weights.bin")
    with pytest.raises(ModelError, match=r"'weights\.bin' is missing.*'k'.*put it beside the model"):
        load_graph(path)


def test_short_file_is_named(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(8))
    path = model_with(tmp_path, "weights.bin", length=12)
    with pytest.raises(ModelError, match=r"'weights\.bin' is too short.*12 bytes.*has 8"):
        load_graph(path)


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "a/../../outside.bin", ""])
def test_files_outside_the_folder_are_refused(tmp_path, location):
    (tmp_path / "outside.bin").write_bytes(bytes(12))
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    path = model_with(folder, location, length=12)
    with pytest.raises(ModelError, match=r"refuses to open.*own folder"):
        load_graph(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_out_of_the_folder_are_refused(tmp_path):
    (tmp_path / "outside.bin").write_bytes(bytes(12))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "k.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(ModelError, match=r"is a link \(to .*outside\.bin\).*cp -rL"):
        load_graph(model_with(folder, "k.bin", length=12))


def test_nonsense_offsets_are_refused(tmp_path):
    (tmp_path / "k.bin").write_bytes(bytes(12))
    for wrong in ({"offset": -4, "length": 12}, {"offset": "many", "length": 12}, {"length": "1e3"}):
        path = model_with(tmp_path, "k.bin", **wrong)
        with pytest.raises(ModelError, match="'k'"):
            load_graph(path)


def test_more_than_two_gigabytes(tmp_path):
    """Facts, typing and a run of a model that protobuf could not hold, without reading its weights."""
    rows = 600_000
    data = tmp_path / "table.bin"
    with data.open("wb") as out:
        out.truncate(rows * 4096)  # sparse: takes no room on disk
        out.seek(4096 * (rows - 1))
        out.write(np.full(1024, 2.5, np.float32).tobytes())
    assert data.stat().st_size > 2**31
    path = save(
        tmp_path / "big.onnx",
        [
            node("Gather", ["table", "ids"], ["rows"]),
            node("Reshape", ["rows", "shape"], ["flat"]),
            node("Relu", ["flat"], ["y"]),
        ],
        [value("ids", ("batch", "length"), INT64)],
        [value("y", None)],
        [external("table", "table.bin", [rows, 1024]), const("shape", [-1, 1024], "int64")],
    )
    graph = load_graph(path)
    assert graph.metadata["external_bytes"] == str(rows * 4096)
    assert graph.tensor("rows").shape == ("batch", "length", 1024)
    assert graph.tensor("y").shape == (None, 1024)
    with OnnxRuntimeRunner(path) as runner:
        found = dict(runner.infer({"": np.array([[0, rows - 1]])}))
    assert found["y"][:, 7].tolist() == [0.0, 2.5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.onnx", "table.bin"]
