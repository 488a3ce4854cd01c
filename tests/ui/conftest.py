from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.browser import need
from tests.ui.kernels import forked_kernels
from tests.ui.lab import Desk, jupyterlab

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
    with forked_kernels(home) as kernels, jupyterlab(root, home, kernels=kernels) as url:
        yield url, root


@pytest.fixture(scope="session")
def desk(browser, lab):
    return Desk(browser, lab[0])


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def page(desk, request):
    """A page of JupyterLab, 1280 pixels wide and with nothing open; what it reports as an error fails the test."""
    page = desk.page()
    errors: list[str] = []

    def note(error) -> None:
        errors.append(str(error))

    page.on("pageerror", note)
    yield page
    page.remove_listener("pageerror", note)
    desk.leave(in_order=not errors and not request.node.stash[FAILED])
    assert not errors
