import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trtcal_widgets.data import ONLY_INPUT, ArrayBatches, IterableBatches
from trtcal_widgets.data.arrays import open_npz
from trtcal_widgets.errors import DataError, UsageError

IMAGES = np.random.default_rng(3).normal(size=(20, 3, 16, 16)).astype(np.float32)
TOKENS = np.arange(20 * 8).reshape(20, 8)


def test_samples_of_one_array():
    source = ArrayBatches(IMAGES)
    assert source.n_items() == 20
    loaded = source.load(5, 9)
    assert list(loaded) == [ONLY_INPUT]
    assert np.array_equal(loaded[ONLY_INPUT], IMAGES[5:9])
    assert len(source.load(18, 26)[ONLY_INPUT]) == 2
    assert source.load(20, 24) == {}


def test_what_was_loaded_cannot_change_the_users_array():
    mine = IMAGES.copy()
    loaded = ArrayBatches(mine).load(0, 2)[ONLY_INPUT]
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 0
    mine[0] = 1  # the user's own stays writable


def test_mapping_keeps_names_and_a_name_goes_with_a_bare_array():
    source = ArrayBatches({"image": IMAGES, "ids": TOKENS})
    assert {k: v.shape for k, v in source.load(0, 4).items()} == {"image": (4, 3, 16, 16), "ids": (4, 8)}
    assert "image: float32[20,3,16,16], ids: int64[20,8]" in source.describe()
    assert list(ArrayBatches(IMAGES, name="data").load(0, 1)) == ["data"]
    with pytest.raises(UsageError, match="'image', 'ids'"):
        ArrayBatches({"image": IMAGES, "ids": TOKENS}, name="data")


def test_byte_order_and_strides_are_mended():
    source = ArrayBatches(IMAGES.astype(">f4").transpose(0, 2, 3, 1))
    loaded = source.load(0, 3)[ONLY_INPUT]
    assert loaded.dtype == np.dtype("=f4")
    assert loaded.flags.c_contiguous
    assert np.array_equal(loaded, IMAGES[:3].transpose(0, 2, 3, 1))


def test_bfloat16_is_a_number():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    brief = IMAGES.astype(ml_dtypes.bfloat16)
    for source in (ArrayBatches(brief), IterableBatches([brief])):
        loaded = source.load(0, 1)[ONLY_INPUT]
        assert loaded.dtype == ml_dtypes.bfloat16
        assert np.array_equal(loaded, brief[: len(loaded)])


def test_nan_and_infinity_are_data():
    odd = np.array([[np.nan, np.inf], [1, 2]], np.float32)
    assert np.array_equal(ArrayBatches(odd).load(0, 2)[ONLY_INPUT], odd, equal_nan=True)


@given(
    array=hnp.arrays(
        st.sampled_from(["f4", "f8", "f2", "i8", "u1", "?", ">f4"]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    ),
    fortran=st.booleans(),
    compressed=st.booleans(),
)
def test_files_give_what_was_saved(tmp_path_factory, array, fortran, compressed):
    folder = tmp_path_factory.mktemp("saved")
    array = np.asfortranarray(array) if fortran else array
    np.save(folder / "a.npy", array)
    (np.savez_compressed if compressed else np.savez)(folder / "a.npz", x=array, ÿ=array[:, None])
    from_npy = ArrayBatches(folder / "a.npy").load(0, len(array))[ONLY_INPUT]
    from_npz = ArrayBatches(str(folder / "a.npz")).load(0, len(array))
    for found, wanted in ((from_npy, array), (from_npz["x"], array), (from_npz["ÿ"], array[:, None])):
        assert found.dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(found, wanted, equal_nan=array.dtype.kind == "f")


def test_uncompressed_members_stay_on_disk(tmp_path):
    np.savez(tmp_path / "a.npz", IMAGES)
    (mapped,) = open_npz(tmp_path / "a.npz").values()
    assert isinstance(mapped, np.memmap)
    loaded = ArrayBatches(tmp_path / "a.npz").load(2, 4)
    assert list(loaded) == [ONLY_INPUT]  # savez calls it arr_0, the user did not
    assert not np.shares_memory(loaded[ONLY_INPUT], mapped)


def test_npy_of_version_3_with_unicode_is_read_from_an_archive(tmp_path):
    array = np.zeros(3, [("ÿ", "f4")])
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as member:
        np.lib.format.write_array(member, array, version=(3, 0))
    with pytest.raises(DataError, match=r"array 'x'.*not an array of numbers"):
        ArrayBatches(tmp_path / "a.npz")


class _Tensorish:
    """What a torch tensor on a GPU that needs a gradient looks like."""

    def __init__(self, array, *, on_cpu=False, attached=True):
        self._array, self._on_cpu, self._attached = array, on_cpu, attached

    def detach(self):
        return _Tensorish(self._array, on_cpu=self._on_cpu, attached=False)

    def cpu(self):
        return _Tensorish(self._array, on_cpu=True, attached=self._attached)

    def __array__(self, dtype=None, copy=None):
        if not self._on_cpu or self._attached:
            raise TypeError("can't convert cuda tensor that requires grad")
        return self._array


def test_tensors_are_detached_and_fetched():
    assert np.array_equal(ArrayBatches(_Tensorish(IMAGES)).load(0, 2)[ONLY_INPUT], IMAGES[:2])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "no arrays"),
        ({"a": IMAGES, "b": TOKENS[:7]}, "'a' has 20 samples.*'b' has 7"),
        (np.float32(3), "single number"),
        (np.array(["text"]), "not an array of numbers"),
        (np.array([{}, None], object), "not an array of numbers"),
        ([[1, 2], [3]], "does not become a NumPy array"),
        (IMAGES[:0], r"no samples.*float32\[0,3,16,16\]"),
        ("calib.pt", "neither .npy nor .npz"),
        ("absent.npy", "no file absent.npy"),
        ("absent.npz", "no file absent.npz"),
    ],
)
def test_unusable_arrays_are_named(given, says):
    with pytest.raises(DataError, match=says):
        ArrayBatches(given)


def test_keys_must_be_input_names():
    with pytest.raises(UsageError, match="0"):
        ArrayBatches({0: IMAGES})


def _npy_bytes(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickles_are_refused_and_never_run(tmp_path, name):
    path = tmp_path / name
    if name == "a.npy":
        path.write_bytes(_npy_bytes(np.array([print], object)))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", _npy_bytes(np.array([print], object)))
    with pytest.raises(DataError, match=r"pickled Python objects.*plain arrays"):
        ArrayBatches(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUM",
        b"hello",
        pickle.dumps([1, 2]),
        b"PK\x03\x04rest",
        _npy_bytes(IMAGES)[:200],
        _npy_bytes(IMAGES)[:60],
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        ArrayBatches(tmp_path / name)


def test_thumbnails_show_images_only():
    (picture,) = ArrayBatches({"ids": TOKENS, "image": IMAGES}).thumbnails(4, 5)
    assert picture.shape == (16, 16, 3)
    assert picture.dtype == np.uint8
    assert ArrayBatches(TOKENS).thumbnails(0, 3) == []
