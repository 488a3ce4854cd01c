"""Folders of ``.npy`` files, one sample in each."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.data import ArrayFolder, as_source
from trtcal_widgets.errors import DataError

DIGITS = sample.calibration_images().load(0, 12)[""]


def write(folder, arrays, name="s{}.npy"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, array in enumerate(arrays):
        np.save(folder / name.format(i), array)
    return folder


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
