"""docs/algorithm.md: what the package points to is there, and its script still makes it."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.shared import shared_path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "algorithm.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def headings(page):
    return [line.lstrip("#").strip() for line in page.splitlines() if re.match(r"##+ ", line)]


def test_every_section_that_a_help_text_names_exists():
    from trtcal_widgets.widgets.explorer.panels import HELP

    for text in HELP.values():
        named = re.fullmatch(r"docs/(\w+\.md), section “(.+)”", text["more"])
        assert named is not None, text["more"]
        assert named[2] in headings((DOCS / named[1]).read_text(encoding="utf-8"))


def test_links_within_the_page_lead_to_headings(page):
    anchors = {heading.lower().replace(" ", "-") for heading in headings(page)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors


def test_pictures_exist_and_are_small(page):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert len(pictures) == 3
    for picture in pictures:
        assert 1000 < (DOCS / picture).stat().st_size < 100_000


def test_golden_cases_that_the_page_names_exist(page):
    known = {case["id"] for case in json.loads(shared_path("data", "golden", "golden.json").read_text())}
    named = set(re.findall(r"`((?:mnist|cifar10|yolo|constant|legacy)-[a-z0-9-]+)`", page))
    assert len(named) >= 6
    assert named <= known


def test_the_script_draws_the_pictures_and_fills_in_the_numbers(page, tmp_path, monkeypatch):
    for path in DOCS.glob("*.md"):
        shutil.copy(path, tmp_path)
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "HERE", tmp_path)
    monkeypatch.setattr(script, "PAGE", tmp_path / PAGE.name)
    emptied = re.sub(r"(make_pictures\.py -->\n).*?(<!-- end -->)", r"\1\2", page, flags=re.DOTALL)
    (tmp_path / PAGE.name).write_text(emptied, encoding="utf-8")
    script.main()
    assert {path.name for path in tmp_path.glob("*.svg")} == {path.name for path in DOCS.glob("*.svg")}
    again = (tmp_path / PAGE.name).read_text(encoding="utf-8")
    # The numbers of another processor or ONNX Runtime may differ in their last digits; the rows may not.
    assert [line.split("|")[1] for line in again.splitlines() if line.startswith("|")] == [
        line.split("|")[1] for line in page.splitlines() if line.startswith("|")
    ]
    assert again.count(" dB") == page.count(" dB")
