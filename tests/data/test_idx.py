import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.shared import shared_path
from trtcal_widgets.data import ONLY_INPUT, IdxImages
from trtcal_widgets.data.idx import looks_like_idx, read_idx
from trtcal_widgets.errors import DataError, UsageError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    """An IDX file as the format's page describes it."""
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", side) for side in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def pair(tmp_path):
    """Six 4x5 images and their labels, gzipped and plain."""
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx_bytes(images)))
    (tmp_path / "images").write_bytes(idx_bytes(images))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    (tmp_path / "labels").write_bytes(idx_bytes(labels))
    return tmp_path, images, labels


@given(
    array=hnp.arrays(st.sampled_from(list(CODES)), hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)),
    zipped=st.booleans(),
)
def test_every_type_of_the_format_is_read(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "some-file"
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    assert looks_like_idx(path)
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
    assert not found.flags.writeable


def test_real_mnist():
    folder = shared_path("data", "mnist")
    source = IdxImages(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
    assert source.n_items() == 10_000
    assert source.labels[:5].tolist() == [7, 2, 1, 0, 4]
    fed = source.load(0, 100)[ONLY_INPUT]
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16 : 16 + 78400]
    assert np.array_equal(fed, np.frombuffer(raw, np.uint8).reshape(100, 1, 28, 28) / np.float32(255))
    assert (fed.dtype, fed.min(), fed.max()) == (np.float32, 0, 1)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_labels_offset_and_limit(pair, suffix):
    folder, images, _ = pair
    source = IdxImages(folder / f"images{suffix}", folder / f"labels{suffix}", scale=1, offset=1, limit=3, name="x")
    assert source.n_items() == 3
    assert source.labels.tolist() == [1, 2, 3]
    assert np.array_equal(source.load(1, 9)["x"], images[2:4, None])
    assert source.load(3, 5) == {}
    assert source.thumbnails(0, 1) == []  # 4x5 is too small for a picture


def test_channels_first_and_last(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (2, 9, 8, 3), dtype=np.uint8)
    (tmp_path / "last").write_bytes(idx_bytes(images))
    (tmp_path / "first").write_bytes(idx_bytes(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))
    options = {"mean": (1, 2, 3), "scale": 1, "layout": "NHWC"}
    wanted = images - np.array([1, 2, 3], np.float32)
    for name in ("last", "first"):
        source = IdxImages(tmp_path / name, **options)
        assert np.array_equal(source.load(0, 2)[ONLY_INPUT], wanted)
        assert np.array_equal(source.thumbnails(1, 2)[0], images[1])


def test_no_labels_are_no_labels(pair):
    folder, *_ = pair
    assert IdxImages(folder / "images").labels.shape == (0,)


def header(code=8, *shape, magic=b"\0\0"):
    return magic + bytes([code, len(shape)]) + b"".join(struct.pack(">I", side) for side in shape)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\0\0\x08", "not an IDX file"),
        (b"P5 28 28 255 ...", "not an IDX file: it begins with 50 35 20 32"),
        (header(0x0A, 1), "not an IDX file"),
        (header(8, 5, 28, 28)[:9], "ends within its header of 16 bytes"),
        (header(8, 5, 28, 28) + bytes(5 * 28 * 28 - 1), "says 5x28x28, 3920 bytes, but 3919 follow"),
        (header(8, 5, 28, 28) + bytes(5 * 28 * 28 + 1), "longer than the 5x28x28"),
        (header(8, 4_000_000_000, 60_000, 60_000) + bytes(10), "but 10 follow"),
        (header(8, 0, 28, 28), "holds no images"),
        (header(8, 3) + bytes(3), "looks like the labels: pass it as labels="),
        (header(8, 3, 3) + bytes(9), r"uint8\[3,3\]; images need 3 axes"),
    ],
)
def test_damaged_images_are_named(tmp_path, content, says, zipped):
    path = tmp_path / "damaged-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=f"damaged-idx3-ubyte.*{says}"):
        IdxImages(path)


def test_damaged_gzip_is_named(pair):
    folder, *_ = pair
    whole = (folder / "images.gz").read_bytes()
    for content in (whole[:-12], whole[:5], whole[:20] + b"????" + whole[24:]):
        (folder / "images.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"images\.gz"):
            IdxImages(folder / "images.gz")


def test_labels_must_fit(pair):
    folder, _, labels = pair
    (folder / "five").write_bytes(idx_bytes(labels[:5]))
    with pytest.raises(DataError, match=r"five holds 5 labels but .*images 6 images"):
        IdxImages(folder / "images", folder / "five")
    with pytest.raises(DataError, match="labels need one axis"):
        IdxImages(folder / "images", folder / "images")
    with pytest.raises(DataError, match="no file"):
        IdxImages(folder / "images", folder / "absent")


def test_nonsense_is_refused(pair):
    folder, *_ = pair
    for options in ({"layout": "HWC"}, {"offset": -1}, {"limit": 0}, {"mean": (1, 2, 3)}):
        with pytest.raises(UsageError):
            IdxImages(folder / "images", **options)
    with pytest.raises(DataError, match="offset=6 leaves none"):
        IdxImages(folder / "images", offset=6)


def test_no_values_in_a_shape_that_no_array_can_have(tmp_path):
    """Found by the fuzzer: the product of the other sizes is beyond what NumPy can count."""
    sizes = (2, 4, 4, 66051, 67438087, 134810112, 0, 0)
    (tmp_path / "x.idx").write_bytes(b"\0\0\x08" + bytes([len(sizes)]) + struct.pack(">8I", *sizes))
    with pytest.raises(DataError, match=r"x\.idx: its header says 2x4x4x66051.*which no array can have"):
        read_idx(tmp_path / "x.idx")
