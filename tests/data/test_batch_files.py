import struct

import numpy as np
import pytest

from trtcal_widgets.data import ONLY_INPUT, BatchFiles, BatchPlan, as_source
from trtcal_widgets.errors import DataError

SAMPLES = np.random.default_rng(5).normal(size=(12, 1, 8, 9)).astype(np.float32)


def write(folder, name, samples, labels=()):
    data = struct.pack("<4i", *samples.shape) + samples.tobytes() + np.asarray(labels, "<f4").tobytes()
    (folder / name).write_bytes(data)


@pytest.mark.parametrize("name", ["batch{}", "{}.batch", "batch{}.batch", "batch_{}"])
def test_samples_are_strung_together_over_files(tmp_path, name):
    for i, start in enumerate(range(0, 12, 5)):
        part = SAMPLES[start : start + 5]
        write(tmp_path, name.format(9 + i), part, range(start, start + len(part)))
    source = as_source(tmp_path)
    assert isinstance(source, BatchFiles)
    assert source.labels.tolist() == list(range(12))
    batches = [batch.feeds[ONLY_INPUT] for batch in BatchPlan(source, 4)]
    assert np.array_equal(np.concatenate(batches), SAMPLES)
    assert source.load(12, 14) == {}
    assert "3 files, 12 samples 1x8x9" in source.describe()
    assert len(source.thumbnails(4, 7)) == 3


def test_labels_only_where_every_file_has_them(tmp_path):
    write(tmp_path, "batch0", SAMPLES[:4], range(4))
    write(tmp_path, "batch1", SAMPLES[4:8])
    assert BatchFiles(tmp_path).labels.shape == (0,)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "must begin with four positive"),
        (lambda data: data[:12], "must begin with four positive"),
        (lambda data: data[:-4], "batch1 holds 1148 bytes after its header, but 4x1x8x9 float32 need 1152"),
        (lambda data: data + b"x", "batch1 holds 1153 bytes"),
        (lambda data: struct.pack(">4i", 4, 1, 8, 9) + data[16:], "truncated or no batch file"),
        (
            lambda data: struct.pack("<4i", 4, 1, 9, 8) + data[16:],
            r"batch1 holds images \(1, 9, 8\).*batch0 \(1, 8, 9\)",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, says):
    write(tmp_path, "batch0", SAMPLES[:4])
    write(tmp_path, "batch1", SAMPLES[4:8])
    (tmp_path / "batch1").write_bytes(damage((tmp_path / "batch1").read_bytes()))
    with pytest.raises(DataError, match=says):
        BatchFiles(tmp_path)


def test_a_missing_file_is_noticed(tmp_path):
    write(tmp_path, "batch0", SAMPLES[:4])
    write(tmp_path, "batch2", SAMPLES[4:8])
    with pytest.raises(DataError, match="after batch0 comes batch2"):
        BatchFiles(tmp_path)
    with pytest.raises(DataError, match="no batch files"):
        BatchFiles(tmp_path / "absent")
