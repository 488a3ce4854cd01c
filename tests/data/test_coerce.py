import gzip

import numpy as np
import pytest
from PIL import Image

from tests.data.test_idx import idx_bytes
from trtcal_widgets.data import ArrayBatches, IdxImages, ImageFolder, IterableBatches, Source, as_source
from trtcal_widgets.errors import DataError, UsageError

IMAGES = np.zeros((6, 8, 8), np.uint8)


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez(tmp_path / "a.NPZ", x=IMAGES)
    (tmp_path / "a.NPZ.npz").rename(tmp_path / "a.NPZ")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    (tmp_path / "renamed.bin").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "notes.md").write_text("hello")
    Image.fromarray(IMAGES[0]).save(tmp_path / "one.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".", ImageFolder),
        ("a.npy", ArrayBatches),
        ("a.NPZ", ArrayBatches),
        ("train-images-idx3-ubyte.gz", IdxImages),
        ("renamed.bin", IdxImages),
    ],
)
def test_paths_by_what_they_hold(files, name, kind):
    for path in (files / name, str(files / name)):
        source = as_source(path)
        assert type(source) is kind
        assert isinstance(source, Source)
        assert source.describe()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (IMAGES, ArrayBatches),
        ({"x": IMAGES}, ArrayBatches),
        ([IMAGES, IMAGES], IterableBatches),
        (iter([IMAGES]), IterableBatches),
        (lambda: iter([IMAGES]), IterableBatches),
    ],
)
def test_objects_by_what_they_are(data, kind):
    source = as_source(data)
    assert type(source) is kind
    assert isinstance(source, Source)
    assert as_source(source) is source


def test_options_go_to_the_source_and_strangers_are_refused(files):
    assert "crop to 4x4" in as_source(files, size=(4, 4), resize="crop").describe()
    assert list(as_source(IMAGES, name="x").load(0, 1)) == ["x"]
    with pytest.raises(UsageError, match=r"size=\(4, 4\) does not go with ArrayBatches.*a\.npy"):
        as_source(files / "a.npy", size=(4, 4))
    with pytest.raises(UsageError, match=r"name='x'.*on the ArrayBatches itself"):
        as_source(as_source(IMAGES), name="x")


def test_files_that_are_no_data_say_what_is_needed(files):
    with pytest.raises(DataError, match=r"notes\.md cannot be used.*\.npz, \.npy or IDX"):
        as_source(files / "notes.md")
    with pytest.raises(DataError, match=r"one\.png.*give the folder"):
        as_source(files / "one.png")
    with pytest.raises(DataError, match="no file or folder"):
        as_source("absent")


@pytest.mark.parametrize("data", [None, 3, b"bytes", object(), ArrayBatches, ["a.png", "b.png"]])
def test_rubbish_is_refused(data):
    with pytest.raises(UsageError):
        as_source(data)
