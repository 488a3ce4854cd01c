"""What takes more memory than there is costs a message, not the process."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets import ArrayBatches, ImageFolder
from trtcal_widgets.common.memory import check_room, memory_size
from trtcal_widgets.data import BatchPlan, as_source
from trtcal_widgets.errors import DataError, UsageError


def test_the_system_says_how_much_there_is():
    assert 1 << 28 < memory_size() < 1 << 50
    check_room(memory_size(), "all of it", DataError, "-")
    with pytest.raises(DataError, match=r"more does not fit in memory .* GB, and this machine has .* GB.: take less"):
        check_room(memory_size() + 1, "more", DataError, "take less")


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, shape in (("a", (16, 16, 3)), ("b", (1, 3000, 3))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"size": 99_999, "dtype": "float32"}, "2 images of size=99999x99999"),
        ({"size": (4000, 4000), "resize": "crop"}, "b.png: an image of 1x3000, scaled to 4000x12000000"),
        ({"size": 8, "resize": "crop", "short_side": 400_000}, "a.png: an image of 16x16, scaled to 400000x400000"),
    ],
)
def test_images_of_impossible_sizes_are_refused_before_they_are_made(pictures, options, why):
    with pytest.raises(DataError, match=why):
        ImageFolder(pictures, **options).load(0, 2)


def test_a_batch_that_padding_blows_up_is_refused():
    plan = BatchPlan(ArrayBatches(np.zeros((2, 3, 16, 16), np.float32)), batch_size=10**9, last="pad")
    with pytest.raises(DataError, match=r"a batch of 1000000000 samples .* GB.: lower batch_size"):
        plan.load(0)


def test_an_empty_path_is_not_the_folder_that_one_is_in(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    with pytest.raises(DataError, match="this text is empty"):
        as_source("")


@pytest.mark.parametrize(
    "options", [{"std": 1e-45}, {"scale": 1e300, "std": 1e-300}, {"scale": 300, "dtype": "float16"}]
)
def test_a_normalisation_beyond_the_type_is_refused(pictures, options):
    with pytest.raises(UsageError, match="cannot hold: check scale, mean and std"):
        ImageFolder(pictures, **options)
