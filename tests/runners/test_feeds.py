from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.errors import DataError
from trtcal_widgets.model.graph import ModelGraph, TensorInfo, TensorKind
from trtcal_widgets.runners.feeds import check_feeds, describe_input


def graph(*inputs):
    tensors = {name: TensorInfo(name, TensorKind.INPUT, dtype, shape, -1, ()) for name, dtype, shape in inputs}
    return ModelGraph("net.onnx", "0" * 64, 17, tensors, ())


IMAGES = graph(("images", "float32", ("batch", 3, 8, 6)))
TOKENS = graph(("ids", "int64", ("b", "s")), ("mask", "int64", ("b", "s")))


def images(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def test_what_fits_is_passed_on_uncopied():
    x = images(2, 3, 8, 6)
    assert check_feeds(IMAGES, {"images": x})["images"] is x
    assert check_feeds(IMAGES, {ONLY_INPUT: x})["images"] is x


def test_order_is_the_models():
    ids = np.ones((1, 4), np.int64)
    assert list(check_feeds(TOKENS, {"mask": ids, "ids": ids})) == ["ids", "mask"]


def test_unsuited_memory_layout_is_copied():
    x = np.asfortranarray(np.random.default_rng(0).random((2, 3, 8, 6), np.float32))
    given_to_model = check_feeds(IMAGES, {"images": x})["images"]
    assert given_to_model.flags.c_contiguous
    np.testing.assert_array_equal(given_to_model, x)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"data": images(1, 3, 8, 6)}, r"misses 'images' and has 'data', .*takes 'images' float32 \(batch, 3, 8, 6\)"),
        ({"images": images(1, 3, 8, 6), "label": images(1)}, r"has 'label', .*leave it out"),
        ({}, r"misses 'images'"),
        ({"images": images(1, 8, 6, 3)}, r"NHWC.*x\.transpose\(0, 3, 1, 2\)"),
        ({"images": images(3, 8, 6)}, r"has 4 axes, the batch \(3, 8, 6\) has 3; is the batch axis missing"),
        ({"images": images(1, 3, 9, 6)}, r"axis 2 is 9, not 8"),
        ({"images": images(1, 1, 8, 6)}, r"axis 1 is 1, not 3; for a folder of images: .*color='RGB'"),
        ({"images": images(1, 1, 8, 7)}, r"axis 1 is 1, not 3, axis 3 is 7, not 6"),
        ({"images": images(1, 3, 8, 6, dtype=np.uint8)}, r"\(x / 255\)\.astype\('float32'\)"),
        ({"images": images(1, 3, 8, 6, dtype=bool)}, r"takes float32, the batch has bool"),
        ({"images": images(1, 3, 8, 6, dtype=np.complex64)}, r"takes float32, the batch has complex64"),
        ({"images": np.array([images(3), images(4)], dtype=object)}, r"stack them to one array"),
        ({"images": np.full((1, 3, 8, 6), 1e300)}, r"finite float64 values beyond 3\.4e\+38"),
    ],
)
def test_what_does_not_fit_an_image_model(feeds, message):
    with pytest.raises(DataError, match=message):
        check_feeds(IMAGES, feeds)


def test_nchw_for_a_model_that_takes_nhwc():
    model = graph(("images", "float32", (None, 8, 6, 3)))
    with pytest.raises(DataError, match=r"NCHW and the model takes NHWC: x\.transpose\(0, 2, 3, 1\)"):
        check_feeds(model, {"": images(1, 3, 8, 6)})


def test_fixed_batch_size_is_said():
    with pytest.raises(DataError, match="use batch_size=4"):
        check_feeds(graph(("x", "float32", (4, 3))), {"": images(2, 3)})


def test_one_array_for_two_inputs():
    with pytest.raises(DataError, match=r"has 2 inputs: 'ids' int64 \(b, s\); 'mask'.*\{'ids': …, 'mask': …\}"):
        check_feeds(TOKENS, {ONLY_INPUT: np.ones((1, 4), np.int64)})


def test_floats_are_not_made_into_token_ids():
    x = np.ones((1, 4))
    with pytest.raises(DataError, match=r"token ids, pass x\.astype\('int64'\)"):
        check_feeds(TOKENS, {"ids": x, "mask": x})


def test_bfloat16_and_float16_are_asked_for():
    with pytest.raises(DataError, match=r"ml_dtypes\.bfloat16"):
        check_feeds(graph(("x", "bfloat16", (None,))), {"": images(3)})
    with pytest.raises(DataError, match=r"x\.astype\('float16'\)"):
        check_feeds(graph(("x", "float16", (None,))), {"": images(3)})


@pytest.mark.parametrize(
    ("got", "wanted"),
    [("float64", "float32"), ("float16", "float32"), ("int32", "int64"), ("uint8", "int32")],
)
def test_harmless_casts_are_made(got, wanted):
    x = np.array([[1, 2, 100]], got)
    cast = check_feeds(graph(("x", wanted, (None, 3))), {"": x})["x"]
    assert cast.dtype == wanted
    np.testing.assert_array_equal(cast, x)


def test_nan_and_inf_are_the_histograms_business():
    x = np.array([np.nan, np.inf, 1.0])
    cast = check_feeds(graph(("x", "float32", (3,))), {"": x})["x"]
    np.testing.assert_array_equal(cast, x.astype(np.float32))


@given(hnp.arrays(st.sampled_from([np.int64, np.int32, np.uint32]), hnp.array_shapes(max_dims=2)))
def test_integers_survive_or_are_refused(x):
    model = graph(("x", "int32", None))
    fits = x.size == 0 or (int(x.min()) >= -(2**31) and int(x.max()) < 2**31)
    if x.dtype == np.uint32:
        with pytest.raises(DataError, match="uint32"):
            check_feeds(model, {"": x})
    elif fits:
        np.testing.assert_array_equal(check_feeds(model, {"": x})["x"], x)
    else:
        with pytest.raises(DataError, match="do not fit in it"):
            check_feeds(model, {"": x})


def test_scalars_and_empty_batches_pass():
    assert check_feeds(graph(("x", "float32", ())), {"": np.float32(3)})["x"].shape == ()
    assert check_feeds(graph(("x", "float32", ())), {"": np.float64(3)})["x"].shape == ()
    assert check_feeds(IMAGES, {"": images(0, 3, 8, 6)})["images"].shape == (0, 3, 8, 6)


def test_inputs_are_described():
    (x,) = graph(("x\n<b>", "float32", (None, "n", 3))).inputs
    assert describe_input(x) == r"'x\n<b>' float32 (any, n, 3)"
    (x,) = graph(("x", "int64", None)).inputs
    assert describe_input(x) == "'x' int64 of any shape"
    (x,) = graph(("x", "int64", ("n",))).inputs
    assert describe_input(x) == "'x' int64 (n,)"


def test_a_sequence_is_not_asked_for_as_a_type_of_numpy():
    with pytest.raises(DataError, match="takes sequence, the batch has float32; batches hold arrays"):
        check_feeds(graph(("q", "sequence", None)), {"q": np.zeros((2, 3), np.float32)})
