"""The pictures of docs/gallery.md: each in both themes, none too many, all small enough for a repository."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.support.pages import ROOT

FOLDER = ROOT / "docs" / "images" / "gallery"
PAGE = (ROOT / "docs" / "gallery.md").read_text("utf-8")


def test_every_picture_is_shown_in_its_theme():
    shown = re.findall(r"\(images/gallery/([\w-]+)-(light|dark)\.webp#gh-(light|dark)-mode-only\)", PAGE)
    assert all(of == wanted for _, of, wanted in shown)
    assert {f"{name}-{theme}.webp" for name, theme, _ in shown} == {path.name for path in FOLDER.iterdir()}
    names = {name for name, _, _ in shown}
    assert len(shown) == 2 * len(names) >= 20


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_500_000


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*-dark.webp")))
def test_dark_pictures_are_dark(name):
    dark, light = (Image.open(FOLDER / file).convert("L") for file in (name, name.replace("-dark.", "-light.")))
    assert dark.size == light.size
    assert sum(dark.resize((8, 8)).tobytes()) < 64 * 90 < 64 * 190 < sum(light.resize((8, 8)).tobytes())
