"""The page about the architecture names folders, modules and contracts that there are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.test_house import MODULES, PACKAGE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
ROOT = PAGE.parent.parent


def test_every_path_on_the_page_exists():
    if not (ROOT / "trtcal_widgets").is_dir():
        pytest.skip("beside an installed wheel, where only a part of the repository is")
    text = PAGE.read_text("utf-8")
    paths = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*/?(?:\.\w+)?)`", text)) - {"core", "formats", "common", "session"}
    paths = {path for path in paths if "/" in path}
    assert len(paths) > 35
    assert {path for path in paths if not any((base / path).exists() for base in (PACKAGE, ROOT))} == set()


def test_the_tree_has_every_folder():
    tree = PAGE.read_text("utf-8").split("```")[1]
    drawn = set(re.findall(r"([a-z_]+)/", tree))
    assert {path.parts[0] for path in MODULES if len(path.parts) > 1} <= drawn
    assert {path.parts[1] for path in MODULES if path.parts[0] == "widgets" and len(path.parts) > 2} <= drawn


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_the_tree_is_in_the_order_of_the_contract():
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["id"] == "layers")["layers"]
    names = [name.strip() for layer in layers for name in layer.split("|")]
    tree = PAGE.read_text("utf-8").split("```")[1]
    places = [re.search(rf"(?:^|\s){name}(?:/|\.py)", tree, re.MULTILINE).start() for name in names]
    assert places == sorted(places)
