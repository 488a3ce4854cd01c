"""What the documentation site is made from. CI builds it, strictly; here is what needs no mkdocs."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import trtcal_widgets
from tests.support.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"
PACKAGE = Path(trtcal_widgets.__file__).parent
# Documented as names of `trtcal_widgets`, as the page about the command line, or said to be inner by the page that
# describes them.
ELSEWHERE = {"trtcal_widgets", "trtcal_widgets.cli", "trtcal_widgets.export.qdq.passes.implicit"}


def documented():
    """What the reference pages have described: the names behind ``:::``."""
    pages = [path.read_text("utf-8") for path in REFERENCE.glob("*.md")]
    return {name for page in pages for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}


def public_packages():
    """Each package that lists public names, but for the screens, whose names are in ``trtcal_widgets``."""
    for path in PACKAGE.rglob("__init__.py"):
        name = ".".join(["trtcal_widgets", *path.relative_to(PACKAGE).parent.parts])
        listed = any(
            isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "__all__"
            for line in ast.parse(path.read_text("utf-8")).body
        )
        if listed and not name.startswith("trtcal_widgets.widgets"):
            yield name


def test_every_package_with_public_names_is_in_the_reference():
    assert set(public_packages()) - ELSEWHERE <= documented()


def test_every_screen_is_in_the_reference():
    screens = {path.parent.name for path in PACKAGE.glob("widgets/*/widget.py")}
    public = [name.rpartition(".")[2] for name in documented() if name.count(".") == 1]
    values = [getattr(trtcal_widgets, name) for name in public if name in trtcal_widgets.__all__]
    homes = {value.__module__ for value in values if not inspect.ismodule(value)}
    assert {f"trtcal_widgets.widgets.{screen}.widget" for screen in screens} == homes


def test_the_first_page_of_the_reference_lists_what_a_notebook_imports():
    table = (REFERENCE / "index.md").read_text("utf-8")
    assert {name for name in trtcal_widgets.__all__ if f"`{name}`" not in table} == {"__version__"}


def test_every_page_is_in_the_navigation():
    if not (ROOT / "mkdocs.yml").exists():
        pytest.skip("beside an installed wheel, where only a part of the repository is")
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = set(re.findall(r"(\S+\.md)$", navigation, re.MULTILINE))
    assert pages <= named
