import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.shared import shared_path
from trtcal_widgets.core.calibrate import calibrate_array
from trtcal_widgets.data import ONLY_INPUT, BatchPlan, ImageFolder
from trtcal_widgets.errors import DataError, MissingDependencyError, UsageError

RNG = np.random.default_rng(7)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def noise(height, width, channels=3):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def save(folder, name, pixels, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)
    return path


def pixels_of(folder, **options):
    """What is fed, as whole pixels [N,H,W,C]."""
    options = {"scale": 1, "dtype": "uint8", "layout": "NHWC"} | options
    source = ImageFolder(folder, **options)
    return source.load(0, source.n_items())[ONLY_INPUT]


@pytest.fixture
def ten(tmp_path):
    """Ten flat 8x8 images whose grey is their number, in folders and with numbers that sort badly as text."""
    for i in range(10):
        save(tmp_path, f"{'b' if i > 4 else 'a'}/img{i + 1}.png", np.full((8, 8, 3), i, np.uint8))
    return tmp_path


def order(folder, **options):
    return pixels_of(folder, **options)[:, 0, 0, 0].tolist()


class TestNormalisation:
    def test_golden_cifar10_images_bit_for_bit(self):
        folder = shared_path("data", "golden", "cifar10-calib40")
        source = ImageFolder(folder, mean=MEAN, std=STD)
        fed = source.load(0, 39)[ONLY_INPUT]
        wanted = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in source.paths])
        wanted = ((wanted / 255.0 - np.array(MEAN)) / np.array(STD)).astype(np.float32).transpose(0, 3, 1, 2)
        assert fed.dtype == np.float32
        assert np.array_equal(fed, wanted)
        assert calibrate_array(fed[:32], "entropy").hex == "3cb1ab7d"
        assert calibrate_array(fed[:32], "minmax").hex == "3cb1a063"

    def test_channels_are_fed_in_the_order_of_mean_and_std(self, tmp_path):
        save(tmp_path, "a.png", np.full((4, 4, 3), (10, 20, 30), np.uint8))
        fed = ImageFolder(tmp_path, color="BGR", scale=1, mean=(1, 2, 3), std=(1, 2, 4)).load(0, 1)[ONLY_INPUT]
        assert fed[0, :, 0, 0].tolist() == [29.0, 9.0, 1.75]
        assert fed.shape == (1, 3, 4, 4)

    def test_layouts_hold_the_same(self, tmp_path):
        save(tmp_path, "a.png", noise(5, 7))
        first = ImageFolder(tmp_path).load(0, 1)[ONLY_INPUT]
        last = ImageFolder(tmp_path, layout="NHWC", name="x").load(0, 1)["x"]
        assert first.shape == (1, 3, 5, 7)
        assert last.shape == (1, 5, 7, 3)
        assert np.array_equal(first, last.transpose(0, 3, 1, 2))
        assert first.flags.c_contiguous


class TestKindsOfImages:
    def test_exif_orientation_is_applied(self, tmp_path):
        upright = noise(8, 6)
        for orientation, stored in (
            (1, upright),
            (3, upright[::-1, ::-1]),
            (6, np.rot90(upright)),
            (8, np.rot90(upright, -1)),
        ):
            exif = Image.Exif()
            exif[0x0112] = orientation
            save(tmp_path, f"{orientation}.png", np.ascontiguousarray(stored), exif=exif)
        assert all(np.array_equal(found, upright) for found in pixels_of(tmp_path))
        assert "EXIF orientation 6: now 8x6" in ImageFolder(tmp_path).preview(2)

    def test_alpha_is_dropped_not_blended(self, tmp_path):
        rgba = noise(6, 6, 4)
        save(tmp_path, "rgba.png", rgba)
        assert np.array_equal(pixels_of(tmp_path)[0], rgba[..., :3])
        assert "alpha" in ImageFolder(tmp_path).preview()

    @pytest.mark.parametrize("transparency", [None, 1, bytes([0, 128, 255, 255])])
    def test_palettes_become_their_colours(self, tmp_path, transparency):
        colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]], np.uint8)
        indices = RNG.integers(0, 4, (6, 6), dtype=np.uint8)
        image = Image.new("P", (6, 6))
        image.putpalette(colours.ravel().tolist())
        image.frombytes(indices.tobytes())
        options = {} if transparency is None else {"transparency": transparency}
        save(tmp_path, "p.png", image, **options)
        assert np.array_equal(pixels_of(tmp_path)[0], colours[indices])

    def test_grey_becomes_three_equal_channels_or_stays_one(self, tmp_path):
        grey = noise(6, 6, 1)
        save(tmp_path, "g.png", grey)
        assert np.array_equal(pixels_of(tmp_path)[0], np.repeat(grey[..., None], 3, -1))
        assert np.array_equal(pixels_of(tmp_path, color="gray")[0, ..., 0], grey)

    def test_colour_becomes_grey_by_the_video_weights(self, tmp_path):
        rgb = noise(16, 16)
        save(tmp_path, "c.png", rgb)
        wanted = rgb.astype(float) @ (0.299, 0.587, 0.114)
        assert np.abs(pixels_of(tmp_path, color="gray")[0, ..., 0] - wanted).max() <= 0.51

    @pytest.mark.parametrize("color", ["gray", "RGB"])
    def test_sixteen_bit_grey_keeps_its_precision(self, tmp_path, color):
        deep = np.array([[0, 1, 257, 32768, 65535]], np.uint16)
        save(tmp_path, "deep.png", deep)
        fed = ImageFolder(tmp_path, scale=1, color=color).load(0, 1)[ONLY_INPUT]
        assert fed.shape == (1, 1 if color == "gray" else 3, 1, 5)
        assert np.allclose(fed[0], deep / 257, rtol=1e-6)
        assert fed[0, -1, 0, -1] == 255
        assert "65535 becomes 255" in ImageFolder(tmp_path).preview()
        assert ImageFolder(tmp_path).thumbnails(0, 1)[0][0, :, 0].tolist() == [0, 0, 1, 127, 255]

    def test_black_and_white_cmyk_and_gif_are_read(self, tmp_path):
        save(tmp_path, "1.png", Image.new("1", (4, 4), 1))
        save(tmp_path, "2.jpg", Image.new("CMYK", (4, 4), (0, 0, 0, 0)), quality=100)
        save(tmp_path, "3.gif", Image.new("L", (4, 4), 255), save_all=True, append_images=[Image.new("L", (4, 4), 0)])
        assert pixels_of(tmp_path).min() >= 254
        assert "the first of 2 frames" in ImageFolder(tmp_path).preview(2)

    def test_pixels_without_an_agreed_range_are_refused(self, tmp_path):
        save(tmp_path, "f.tiff", np.ones((4, 4), np.float32))
        save(tmp_path, "i.tiff", np.ones((4, 4), np.int32))
        for i, kind in ((0, "floats"), (1, "32-bit integers")):
            with pytest.raises(DataError, match=f"{kind}, whose range nothing says"):
                ImageFolder(tmp_path).load(i, i + 1)


class TestGeometry:
    @pytest.fixture
    def wide(self, tmp_path):
        self.image = Image.fromarray(noise(60, 90))
        self.image.save(tmp_path / "wide.png")
        return tmp_path

    def test_stretch(self, wide):
        wanted = np.asarray(self.image.resize((40, 30), Image.Resampling.BICUBIC))
        assert np.array_equal(pixels_of(wide, size=(30, 40), interpolation="bicubic")[0], wanted)

    def test_crop_takes_the_middle_of_what_covers(self, wide):
        # 60x90 covers 30x30 as 30x45; 15 columns are too many, 7.5 on each side, and round(7.5) is 8
        wanted = np.asarray(self.image.resize((45, 30), Image.Resampling.BILINEAR))[:, 8:38]
        assert np.array_equal(pixels_of(wide, size=30, resize="crop")[0], wanted)

    def test_crop_after_a_short_side_is_the_imagenet_preparation(self, wide):
        # Resize(32) makes 32x48 of 60x90; CenterCrop(28) takes rows 2 to 30 and columns 10 to 38
        wanted = np.asarray(self.image.resize((48, 32), Image.Resampling.BILINEAR))[2:30, 10:38]
        assert np.array_equal(pixels_of(wide, size=(28, 28), resize="crop", short_side=32)[0], wanted)

    def test_letterbox_keeps_the_proportions_and_fills_the_borders(self, wide):
        found = pixels_of(wide, size=(50, 45), resize="letterbox", pad_value=77)[0]
        wanted = np.asarray(self.image.resize((45, 30), Image.Resampling.BILINEAR))
        assert np.array_equal(found[10:40], wanted)
        assert (found[:10] == 77).all()
        assert (found[40:] == 77).all()

    @pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (299, 2), (33, 33)])
    def test_every_shape_comes_out_with_the_size(self, tmp_path, resize, shape):
        save(tmp_path, "a.png", noise(*shape, 3).reshape(*shape, 3))
        save(tmp_path, "b.png", (noise(*shape, 1).reshape(shape) * np.uint16(256)).astype(np.uint16))
        assert pixels_of(tmp_path, size=(32, 20), resize=resize, interpolation="lanczos").shape == (2, 32, 20, 3)

    def test_sizes_may_differ_between_batches_but_not_within_one(self, tmp_path):
        save(tmp_path, "a.png", noise(8, 8))
        save(tmp_path, "b.png", noise(8, 9))
        source = ImageFolder(tmp_path)
        assert [b.feeds[ONLY_INPUT].shape for b in BatchPlan(source, 1)] == [(1, 3, 8, 8), (1, 3, 8, 9)]
        with pytest.raises(DataError, match=r"a\.png is 8x8.*b\.png is 8x9.*size=\(height, width\)"):
            source.load(0, 2)


class TestFolder:
    def test_natural_order_through_the_folders(self, ten):
        assert order(ten) == list(range(10))

    def test_pattern_recursion_limit(self, ten):
        assert order(ten, pattern="IMG1*.PNG") == [0, 9]
        assert order(ten, pattern="b/*") == [5, 6, 7, 8, 9]
        assert order(ten / "a", recursive=False, limit=2) == [0, 1]
        with pytest.raises(DataError, match="recursive=False"):
            ImageFolder(ten, recursive=False)

    def test_shuffling_depends_on_names_alone(self, ten):
        shuffled = order(ten, shuffle_seed=1)
        assert sorted(shuffled) == list(range(10))
        assert shuffled != list(range(10))
        assert shuffled == order(ten, shuffle_seed=1) != order(ten, shuffle_seed=2)
        (ten / "a" / "img3.png").unlink()
        assert order(ten, shuffle_seed=1) == [i for i in shuffled if i != 2]

    def test_hidden_files_and_other_files_are_not_images(self, ten):
        shutil.copy(ten / "a" / "img1.png", ten / "a" / "._img1.png")
        shutil.copytree(ten / "a", ten / ".ipynb_checkpoints")
        (ten / "a" / "labels.txt").write_text("0")
        assert order(ten) == list(range(10))

    @pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
    def test_links_are_followed_once(self, ten):
        (ten / "b" / "loop").symlink_to(ten)
        (ten / "c").symlink_to(ten / "a")
        assert sorted(order(ten)) == list(range(10))

    def test_missing_and_empty_folders_say_what_is_there(self, tmp_path):
        with pytest.raises(DataError, match="no folder"):
            ImageFolder(tmp_path / "absent")
        with pytest.raises(DataError, match="it is empty"):
            ImageFolder(tmp_path)
        (tmp_path / "notes.md").write_text("x")
        with pytest.raises(DataError, match=r"1 other file \(notes\.md\)"):
            ImageFolder(tmp_path)
        with pytest.raises(DataError, match=r"no files that match '\*\.jpg'.*change the pattern"):
            ImageFolder(tmp_path, pattern="*.jpg")
        with pytest.raises(DataError, match="is a file"):
            ImageFolder(tmp_path / "notes.md")


@pytest.fixture
def damaged(ten):
    """The ten images with three that cannot be read: empty, no image, truncated."""
    (ten / "a" / "img2.png").write_bytes(b"")
    (ten / "a" / "img4.png").write_text("<html>not found</html>")
    whole = save(ten, "b/img7.png", noise(64, 64)).read_bytes()
    (ten / "b" / "img7.png").write_bytes(whole[: len(whole) // 2])
    return ten


class TestUnreadableImages:
    def test_one_is_named_and_stops(self, damaged):
        plan = BatchPlan(ImageFolder(damaged), 1)
        plan.load(0)
        with pytest.raises(DataError, match=r"img2\.png is no image that can be read"):
            plan.load(1)
        with pytest.raises(DataError, match=r"img7\.png.*truncated.*; on_error='skip' \(--skip-unreadable\)"):
            plan.load(6)
        assert [path.name for path, _ in ImageFolder(damaged).check()] == ["img2.png", "img4.png", "img7.png"]

    @pytest.mark.parametrize("visit", [[0, 1, 2], [2, 1, 0], [1, 2, 0, 1]])
    def test_skipping_moves_the_others_up_whatever_the_order_of_reading(self, damaged, visit):
        source = ImageFolder(damaged, on_error="skip", scale=1)
        plan = BatchPlan(source, 3, last="keep")
        found = {i: plan.load(i).feeds[ONLY_INPUT][:, 0, 0, 0].tolist() for i in visit}
        assert found == {0: [0, 2, 4], 1: [5, 7, 8], 2: [9]}
        assert [(path.name, path.name in why) for path, why in source.skipped] == [
            ("img2.png", True), ("img4.png", True), ("img7.png", True),
        ]  # fmt: skip
        assert plan.n_batches == 3
        assert source.n_items() == 7
        assert "7 images (3 unreadable left out)" in source.describe()

    def test_whole_batches_stay_whole(self, damaged):
        plan = BatchPlan(ImageFolder(damaged, on_error="skip"), 5)
        assert plan.n_batches == 2  # nothing is known yet
        assert [batch.n_samples for batch in plan] == [5]
        assert (plan.n_batches, plan.dropped) == (1, 2)

    def test_check_settles_the_count_before_a_run(self, damaged):
        source = ImageFolder(damaged, on_error="skip")
        assert len(source.check()) == 3
        assert source.n_items() == 7

    def test_the_limit_counts_good_images(self, damaged):
        source = ImageFolder(damaged, on_error="skip", limit=4, scale=1)
        assert source.load(0, 9)[ONLY_INPUT][:, 0, 0, 0].tolist() == [0, 2, 4, 5]
        assert source.n_items() == len(source.paths) == 4
        assert len(source.check()) == 2

    def test_nothing_readable_is_an_error_that_says_so(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(b"x")
        with pytest.raises(DataError, match=r"0 images \(1 unreadable left out\).*no samples"):
            list(BatchPlan(ImageFolder(tmp_path, on_error="skip"), 1))

    def test_a_file_that_vanishes_is_named(self, ten):
        source = ImageFolder(ten)
        (ten / "a" / "img1.png").unlink()
        with pytest.raises(DataError, match=r"img1\.png; it was there"):
            source.load(0, 1)


class TestExplanation:
    def test_every_step_and_what_comes_out(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        save(tmp_path, "cat.jpg", noise(60, 90), exif=exif, quality=95)
        source = ImageFolder(tmp_path, size=(28, 28), resize="crop", short_side=32, color="BGR", mean=MEAN, std=STD)
        report = source.explain()
        assert [step.name for step in report.steps] == [
            "read",
            "turned",
            "resized",
            "cropped",
            "channels",
            "normalised",
        ]
        assert report.steps[0].detail == "JPEG 60x90 (height x width), mode RGB"
        assert report.steps[2].detail == "90x60 to 48x32, bilinear"
        fed = source.load(0, 1)[ONLY_INPUT][0]
        assert np.array_equal(report.array, fed)
        assert (report.shape, report.dtype) == ((3, 28, 28), np.float32)
        assert (report.min, report.max) == (fed.min(), fed.max())
        assert report.mean == pytest.approx(fed.mean(dtype=np.float64))
        text = str(report)
        assert text == source.preview()
        assert text.startswith(str(tmp_path / "cat.jpg"))
        assert "float32[3,28,28], min " in text
        assert report.original.shape == (90, 60, 3)
        assert report.fed.shape == (28, 28, 3)

    def test_an_untouched_image_says_little(self, tmp_path):
        pixels = noise(8, 8)
        save(tmp_path, "a.png", pixels)
        report = ImageFolder(tmp_path).explain()
        assert [step.name for step in report.steps] == ["read", "normalised"]
        assert np.array_equal(report.fed, pixels)
        with pytest.raises(DataError, match="no image 1"):
            ImageFolder(tmp_path).explain(1)

    def test_skipping_explains_the_first_that_can_be_read(self, damaged):
        assert ImageFolder(damaged, on_error="skip").explain(1).path.name == "img3.png"


def test_thumbnails_show_the_file_not_what_is_fed(tmp_path):
    save(tmp_path, "a.png", np.full((96, 192, 3), (250, 0, 0), np.uint8))
    (picture,) = ImageFolder(tmp_path, size=(8, 8), color="BGR", mean=9, std=0.1).thumbnails(0, 1)
    assert picture.shape == (24, 48, 3)
    assert picture[0, 0].tolist() == [250, 0, 0]


def test_without_pillow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"pip install trtcal_widgets\[image\].*ArrayBatches"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"size": (0, 4)}, {"size": "224"}, {"size": (1, 2, 3)}, {"size": 2.5}, {"resize": "fit"}, {"short_side": 9},
        {"size": 8, "short_side": 9}, {"size": 8, "resize": "crop", "short_side": 7}, {"interpolation": "cubic"},
        {"pad_value": 256}, {"color": "grey"}, {"layout": "CHW"}, {"on_error": "ignore"}, {"limit": 0},
        {"color": "gray", "std": (1, 2, 3)}, {"dtype": "uint8"}, {"mean": (1, 2)},
    ],
)  # fmt: skip
def test_nonsense_is_refused(ten, options):
    with pytest.raises(UsageError):
        ImageFolder(ten, **options)


def test_avif_is_taken_where_pillow_reads_it(tmp_path, monkeypatch):
    Image.init()
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow writes no AVIF")
    Image.new("RGB", (8, 6), (200, 10, 10)).save(tmp_path / "a.AVIF", format="AVIF", quality=100)
    Image.new("RGB", (8, 6)).save(tmp_path / "b.png")
    source = ImageFolder(tmp_path, scale=1)
    assert [path.name for path in source.paths] == ["a.AVIF", "b.png"]
    np.testing.assert_allclose(source.load(0, 1)[""][0, :, 3, 3], [200, 10, 10], atol=4)
    monkeypatch.setattr("trtcal_widgets.data.files._reads_avif", lambda: False)
    assert [path.name for path in ImageFolder(tmp_path).paths] == ["b.png"]
