import numpy as np
import pytest

from trtcal_widgets.data.thumbnails import fed_thumbnails, shrink


@pytest.mark.parametrize(
    "shape", [(2, 3, 224, 224), (2, 224, 224, 3), (2, 1, 28, 28), (2, 8, 500, 1), (1, 3, 8, 5000), (1, 3, 47, 49)]
)
def test_small_and_coloured(shape):
    for picture in fed_thumbnails({"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert max(picture.shape[:2]) <= 48
        assert min(picture.shape[:2]) >= 1


@pytest.mark.parametrize("shape", [(2, 128), (2, 64, 128), (2, 4, 16, 16), (2, 3, 7, 7), (2, 3, 8, 16, 16)])
def test_what_is_no_image_has_none(shape):
    assert fed_thumbnails({"x": np.zeros(shape, np.float32)}) == []


def test_channels_first_and_last_give_the_same_picture():
    images = np.random.default_rng(1).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    last = fed_thumbnails({"x": images})
    first = fed_thumbnails({"x": images.transpose(0, 3, 1, 2)})
    assert all(np.array_equal(a, b) for a, b in zip(last, first, strict=True))
    assert np.array_equal(last[0], images[0])  # small images of bytes are shown as they are


def test_pixels_over_255_look_like_the_pixels():
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 28, 28), dtype=np.uint8)
    (a,), (b,) = fed_thumbnails({"x": pixels}), fed_thumbnails({"x": (pixels / 255).astype(np.float32)})
    assert np.array_equal(a, b)


def test_other_ranges_are_stretched_and_nan_does_no_harm():
    image = np.linspace(-2, 3, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    (picture,) = fed_thumbnails({"x": image})
    assert (picture.min(), picture.max()) == (0, 255)
    image[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    (picture,) = fed_thumbnails({"x": image})
    assert picture.max() == 255
    (flat,) = fed_thumbnails({"x": np.full((1, 1, 8, 8), -7, np.float32)})
    assert flat.max() == 0


def test_shrinking_averages_blocks():
    image = np.arange(96 * 96, dtype=np.float64).reshape(96, 96, 1)
    small = shrink(image)
    assert small.shape == (48, 48, 1)
    assert small[0, 0, 0] == image[:2, :2].mean()
    assert small.mean() == pytest.approx(image.mean())
