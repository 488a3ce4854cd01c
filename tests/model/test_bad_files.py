from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.graphs import const, node, save, value
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.load import load_graph


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.onnx"
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
    return save(
        path,
        [node("Conv", ["x", "w"], ["c"], name="conv"), node("Relu", ["c"], ["y"])],
        [value("x", ("n", 3, 8, 8))],
        [value("y", ("n", 8, 6, 6))],
        [const("w", weights)],
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world", "not an ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"PK\x03\x04rest", "PyTorch"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"\x1c\x00\x00\x00ORTMrest", r"\.ort format"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"TRT-8601-EntropyCalibration2\nx: 3c010a14\n", "calibration cache, not a model"),
        (b"\x00" * 4096, "not an ONNX model"),
        (b"\xff" * 4096, "not an ONNX model"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, message):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load_graph(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path, good):
    with pytest.raises(ModelError, match=r"no file .*nowhere\.onnx"):
        load_graph(tmp_path / "nowhere.onnx")
    with pytest.raises(ModelError, match=r"is a folder.*good\.onnx"):
        load_graph(good.parent)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(tmp_path, good):
    path = tmp_path / "secret.onnx"
    path.write_bytes(good.read_bytes())
    path.chmod(0)
    with pytest.raises(ModelError, match="cannot be read"):
        load_graph(path)


def test_model_without_nodes(tmp_path):
    path = save(tmp_path / "nothing.onnx", [], [value("x")], [value("x")])
    with pytest.raises(ModelError, match="empty graph"):
        load_graph(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_says_so(tmp_path, good, part):
    data = good.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ModelError, match="cut short"):
        load_graph(path)


@given(data=st.data())
def test_damage_never_escapes_as_another_error(good, tmp_path_factory, data):
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    try:
        graph = load_graph(path)
    except ModelError as error:
        assert str(path) in str(error)  # noqa: PT017 - most damage is refused, some is harmless
    else:
        assert graph.nodes
