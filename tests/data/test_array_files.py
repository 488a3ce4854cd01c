"""Folders of ``.npy`` files, one sample in each."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.data import ArrayFolder, as_source
from trtcal_widgets.data.sources import source_for_model
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.model.load import load_graph

DIGITS = sample.calibration_images().load(0, 12)[""]


def write(folder, arrays, name="s{}.npy"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, array in enumerate(arrays):
        np.save(folder / name.format(i), array)
    return folder


def two_inputs(folder, left, right):
    """Write a model that adds the largest of one input to another one."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("left", left), ("right", right))]
    nodes = [
        helper.make_node("ReduceMax", ["right"], ["most"], "most"),
        helper.make_node("Add", ["left", "most"], ["sum"], "add"),
    ]
    out = helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "two", inputs, [out])
    path = folder / "two.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_samples_come_in_natural_order_and_stacked(tmp_path):
    source = as_source(write(tmp_path / "a", DIGITS))
    assert isinstance(source, ArrayFolder)
    assert source.n_items() == 12
    np.testing.assert_array_equal(source.load(0, 12)[""], DIGITS)
    np.testing.assert_array_equal(source.load(10, 20)[""], DIGITS[10:])
    assert source.load(12, 14) == {}
    assert source.thumbnails(0, 2)[0].shape == (28, 28, 3)
    assert "12 samples" in source.describe()


@pytest.mark.parametrize("with_axis", [False, True])
def test_a_session_takes_them_with_and_without_an_axis_for_the_batch(tmp_path, with_axis):
    folder = write(tmp_path / "a", DIGITS[:, np.newaxis] if with_axis else DIGITS)
    with CalibrationSession(sample.model_path(), folder, batch_size=4) as session:
        session.run()
        assert session.samples.label(10) == "s10.npy"
        with CalibrationSession(sample.model_path(), DIGITS, batch_size=4) as arrays:
            arrays.run()
            assert {n: session.amax(n) for n in session.calibrated} == {n: arrays.amax(n) for n in arrays.calibrated}


def test_what_does_not_fit_is_named(tmp_path):
    write(tmp_path / "a", [DIGITS[0], DIGITS[1][:, :9]])
    with pytest.raises(DataError, match=r"s1\.npy holds .*the files before it"):
        as_source(tmp_path / "a").load(0, 2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"x\.npy"):
        as_source(tmp_path / "b")
    with pytest.raises(DataError, match="first axis of 1"):
        ArrayFolder(write(tmp_path / "c", DIGITS[:, 0]), batch_axis=True)


def test_images_win_where_a_folder_has_both(tmp_path):
    from PIL import Image

    folder = write(tmp_path / "a", DIGITS[:1])
    Image.new("L", (28, 28)).save(folder / "x.png")
    assert type(as_source(folder)).__name__ == "ImageFolder"


def write_npz(folder, arrays):
    folder.mkdir()
    for i, named in enumerate(arrays):
        np.savez(folder / f"s{i}.npz", **named)
    return folder


@pytest.mark.parametrize("with_axis", [False, True])
def test_a_file_with_an_array_for_each_input(tmp_path, with_axis):
    """A model with two inputs: names and samples stay together, with and without an axis for the batch."""
    model = two_inputs(tmp_path, left=(None, 3), right=(None, 2))
    rng = np.random.default_rng(0)
    lead = (1,) if with_axis else ()
    arrays = [
        {"right": rng.normal(size=(*lead, 2)).astype("f"), "left": rng.normal(size=(*lead, 3)).astype("f")}
        for _ in range(11)
    ]
    source = source_for_model(write_npz(tmp_path / "a", arrays), load_graph(model))
    loaded = source.load(9, 11)
    for name in ("left", "right"):
        np.testing.assert_array_equal(loaded[name], [one[name].reshape(-1) for one in arrays[9:]])
    with CalibrationSession(model, tmp_path / "a", batch_size=5) as session:
        session.run()
        assert session.status.n_samples == 10


def test_a_model_without_an_axis_for_samples_is_fed_file_by_file(tmp_path):
    model = two_inputs(tmp_path, left=(3,), right=())
    arrays = [{"left": np.full(3, i, "f"), "right": np.float32(2)} for i in range(4)]
    folder = write_npz(tmp_path / "a", arrays)
    source = ArrayFolder(folder, sample_axis=None)
    assert source.load(2, 3)["left"].shape == (3,)
    with CalibrationSession(model, source, batch_size=1) as session:
        session.run()
        assert session.status.recorded == 4
        assert session.amax("left") >= 3
    with pytest.raises(DataError, match="batch_size=1"):
        source.load(0, 2)
    with pytest.raises(UsageError, match="sample_axis=1"):
        ArrayFolder(folder, sample_axis=1)
    with pytest.raises(UsageError, match="names of their own"):
        ArrayFolder(folder, name="left")


def test_files_with_other_inputs_are_named(tmp_path):
    folder = write_npz(tmp_path / "a", [{"a": np.zeros(3)}, {"b": np.zeros(3)}])
    with pytest.raises(DataError, match=r"s1\.npz holds b .*the files before it a"):
        as_source(folder).load(0, 2)
