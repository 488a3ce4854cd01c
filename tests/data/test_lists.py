from __future__ import annotations

import pytest
from PIL import Image

from trtcal_widgets.data import ImageFolder, as_source
from trtcal_widgets.errors import DataError, UsageError


@pytest.fixture
def where(tmp_path):
    (tmp_path / "in").mkdir()
    for i, name in enumerate(["a.png", "in/b 2.png", "in/c.png"]):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / name)
    return tmp_path


def test_images_come_in_the_order_of_the_list_with_their_labels(where):
    text = "\ufeff# mine\r\nin/b 2.png 7\r\n\r\n  a.png\t0\r\n'in/c.png' 12"
    (where / "val.txt").write_bytes(text.encode())
    source = as_source(where / "val.txt", scale=1)
    assert [path.name for path in source.paths] == ["b 2.png", "a.png", "c.png"]
    assert source.labels.tolist() == [7, 0, 12]
    assert source.load(0, 3)[""][:, 0, 0, 0].tolist() == [1, 0, 2]


def test_labels_move_with_their_images(where):
    (where / "broken.png").write_bytes(b"no image")
    (where / "val.txt").write_text("a.png 4\nbroken.png 5\nin/c.png 6\n")
    assert ImageFolder(where / "val.txt", on_error="skip").labels.tolist() == [4, 6]
    shuffled = ImageFolder(where / "val.txt", shuffle_seed=3)
    of = {"a.png": 4, "broken.png": 5, "c.png": 6}
    assert shuffled.labels.tolist() == [of[path.name] for path in shuffled.paths]


def test_labels_are_optional(where):
    (where / "calib.lst").write_text("in/b 2.png\na.png\n")
    source = ImageFolder(where / "calib.lst")
    assert [path.name for path in source.paths] == ["b 2.png", "a.png"]
    assert source.labels.shape == (0,)
    with pytest.raises(UsageError, match="pattern"):
        ImageFolder(where / "calib.lst", pattern="*.png")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "lists no image"),
        (b"# none\n", "lists no image"),
        (b"a.png 1\nin/c.png\n", "line 2: the images before have a label, this one has none"),
        (b"a.png\nin/c.png 1\n", "line 2: the images before have no label, this one has one"),
        (b"a.png\ngone.png\n", "line 2: there is no image .*gone.png"),
        (b"a.png cat\n", "line 1: there is no image .*a.png cat"),
        (b"a.png 1\na.png 2\n", "with two labels"),
        (b"\xff\xfea\0", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(where, text, said):
    (where / "val.txt").write_bytes(text)
    with pytest.raises(DataError, match=said):
        as_source(where / "val.txt")


@pytest.mark.parametrize("name", ["9" * 5000, "a\0b.png", "x/" * 3000])
def test_a_name_that_no_file_can_have_is_refused_by_its_line(tmp_path, name):
    listed = tmp_path / "l.txt"
    listed.write_text(f"# all\n{name}\n")
    with pytest.raises(DataError, match=r"l\.txt, line 2: .*cannot be looked at: ") as caught:
        ImageFolder(listed)
    assert len(str(caught.value)) < 600
