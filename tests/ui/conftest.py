from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.browser import need
from tests.ui.lab import jupyterlab

pytest.register_assert_rewrite("tests.ui.explorer_page", "tests.ui.tidy")

ARTEFACTS = Path(__file__).parents[2] / ".ci" / "artefacts"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab, started once: its address and the folder that it serves."""
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab")
    root, home = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("home")
    with jupyterlab(root, home) as url:
        yield url, root


@pytest.fixture
def page(browser):
    """A page of 1280 pixels; what the page reports as an error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    page.set_default_timeout(60_000)  # two files run at a time, and each test has a kernel to start
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
