"""A model and its weights are two files: whatever happens, every model finds its own weights."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.export.helpers import run
from trtcal_widgets import sample
from trtcal_widgets.common import files as files_module
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.export.qdq import write as qdq_write

LENET = {"data": 0.008, "pool1": 0.015, "flatten": 0.04, "relu1": 0.017}
IMAGES = {"data": np.random.default_rng(0).random((2, 1, 28, 28), np.float32)}


def model(folder, factor=1.0):
    """The bundled LeNet with external data, its weights times a factor."""
    folder.mkdir(exist_ok=True)
    proto = onnx.load(sample.model_path())
    for tensor in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(factor), tensor.name))
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return folder / "m.onnx"


def output(path):
    return run(path, IMAGES)["prob"]


@pytest.fixture
def two(tmp_path):
    return build_qdq(model(tmp_path / "one"), LENET), build_qdq(model(tmp_path / "other", 0.5), LENET)


def test_an_export_again_replaces_both_files_and_leaves_none(tmp_path, two):
    one, other = two
    first = one.write(tmp_path / "q.onnx")
    second = other.write(tmp_path / "q.onnx")
    assert first[1] != second[1]
    assert sorted(p for p in tmp_path.iterdir() if p.is_file()) == sorted(second)
    assert one.write(tmp_path / "q.onnx") == first


def test_a_renamed_or_copied_model_keeps_its_weights(tmp_path, two):
    one, other = two
    one.write(tmp_path / "q.onnx")
    before = output(tmp_path / "q.onnx")
    (tmp_path / "q.onnx").rename(tmp_path / "kept.model")
    other.write(tmp_path / "q.onnx")
    shutil.copy(tmp_path / "q.onnx", tmp_path / "copy.onnx")
    after = output(tmp_path / "q.onnx")
    one.write(tmp_path / "q.onnx")
    np.testing.assert_array_equal(output(tmp_path / "kept.model"), before)
    np.testing.assert_array_equal(output(tmp_path / "copy.onnx"), after)
    np.testing.assert_array_equal(output(tmp_path / "q.onnx"), before)


def test_foreign_data_files_are_left_alone(tmp_path, two):
    one, _ = two
    mine = tmp_path / "q.onnx.data"
    mine.write_bytes(b"somebody's weights")
    (_, data) = one.write(tmp_path / "q.onnx")
    (tmp_path / "q.onnx").unlink()
    data.write_bytes(b"not ours, in spite of its name")
    (_, other) = one.write(tmp_path / "q.onnx")
    assert mine.read_bytes() == b"somebody's weights"
    assert data.read_bytes() == b"not ours, in spite of its name"
    assert other != data
    assert output(tmp_path / "q.onnx").shape == (2, 10)


def test_the_model_that_is_read_is_not_replaced(tmp_path):
    path = model(tmp_path / "one")
    before, weights = path.read_bytes(), (path.parent / "w.bin").read_bytes()
    for name in ("m.onnx", "w.bin"):
        with pytest.raises(ExportError, match="is a file that is read"):
            build_qdq(path, LENET).write(path.parent / name)
    assert (path.read_bytes(), (path.parent / "w.bin").read_bytes()) == (before, weights)


class Killed(BaseException):
    """Stands for a kill: no handler of ours may turn it into something else."""


@pytest.mark.parametrize("nth", range(1, 4))
def test_a_kill_at_any_replacement_leaves_models_that_run(tmp_path, two, monkeypatch, nth):
    """Files are replaced, renamed and removed by three functions; the process dies before the n-th of these calls."""
    one, other = two
    one.write(tmp_path / "q.onnx")
    old, new = output(tmp_path / "q.onnx"), run(other.to_bytes(), IMAGES, other.folder)["prob"]
    calls = 0

    def dying(real):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls >= nth:
                raise Killed
            return real(*arguments)

        return call

    monkeypatch.setattr(files_module.os, "replace", dying(os.replace))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))
    with pytest.raises(Killed):
        other.write(tmp_path / "q.onnx")
    monkeypatch.undo()
    got = output(tmp_path / "q.onnx")
    assert np.array_equal(got, old) or np.array_equal(got, new)


def test_a_model_that_cannot_be_written_leaves_no_weights_behind(tmp_path, two, monkeypatch):
    one, other = two
    files = one.write(tmp_path / "q.onnx")

    def refuse(path, data):
        raise ExportError(f"{path}: cannot be written")

    monkeypatch.setattr(qdq_write, "write_atomic", refuse)
    with pytest.raises(ExportError, match=r"cannot be written"):
        other.write(tmp_path / "q.onnx")
    assert sorted(p for p in tmp_path.iterdir() if p.is_file()) == sorted(files)


def test_through_a_link_both_files_go_where_it_points(tmp_path, two):
    one, _ = two
    (tmp_path / "real").mkdir()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "real" / "q.onnx")
    (_, data) = one.write(tmp_path / "link.onnx")
    assert data.parent == tmp_path / "real"
    assert output(tmp_path / "real" / "q.onnx").shape == (2, 10)


@pytest.mark.parametrize("path", [None, 3, "", b"", "a\0b"])
def test_what_is_no_path_is_refused_in_words(path):
    with pytest.raises(ExportError, match="the path of the file to write"):
        build_qdq(sample.model_path(), LENET).write(path)


def test_a_path_of_bytes_is_one(tmp_path):
    (written,) = build_qdq(sample.model_path(), LENET).write(os.fsencode(tmp_path / "q.onnx"))
    assert written == tmp_path / "q.onnx"
    onnx.load(written)
