"""The tutorial notebook, opened and used as a new user does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.explorer_page import ExplorerPage
from tests.ui.lab import NotebookPage
from trtcal_widgets import CalibrationCache

pytestmark = [pytest.mark.ui, pytest.mark.slow]

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_explore_calibration.ipynb"

NOTE = """import json

def note(changed):
    line = {"changed": sorted(changed), "position": session.state.position, "amax": session.amax("conv1"),
            "excluded": sorted(session.state.excluded)}
    with open(%r, "a") as log:
        print(json.dumps(line), file=log)

unsubscribe = session.subscribe(note)"""


@pytest.fixture
def tutorial(lab, page):
    """The tutorial, run to its end, with one more cell that notes every change of the session in a file."""
    import nbformat

    url, root = lab
    folder = root / "tutorial"
    folder.mkdir()
    log = folder / "log.jsonl"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(NOTE % str(log)))
    nbformat.write(notebook, folder / NOTEBOOK.name)
    NotebookPage(page, url, f"tutorial/{NOTEBOOK.name}").run_all()
    log.touch()
    # JupyterLab lays out only what is near the window.
    page.get_by_test_id("tc-explorer").wait_for(state="attached")
    page.get_by_test_id("tc-explorer").scroll_into_view_if_needed()
    return ExplorerPage(page), folder, log


def test_the_tutorial_is_run_and_its_explorer_used(tutorial, artefacts):
    explorer, folder, log = tutorial
    page = explorer.page
    explorer.press("tc-first")
    explorer.press("tc-forward")
    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "batch 2 of 10")
    explorer.select("conv1")
    before = explorer.noted(log)[-1]["amax"]

    explorer.drop_is_one_update(2.4, log)
    page.screenshot(path=artefacts / "tutorial-dragged.png")

    explorer.undo_puts_the_line_back(before)
    explorer.leave_out(1, log)

    # The notebook's last cells wrote a cache of all batches; the explorer replaces it by one of what it shows.
    written = folder / "calibration.cache"
    assert CalibrationCache.read(written).hex("data") == "3c008912"
    old = CalibrationCache.read(written).amax["conv1"]
    explorer.press("tc-export-write")
    explorer.wait_text("tc-export-result", "Replaced")
    cache = CalibrationCache.read(written)
    assert cache.amax["conv1"] == pytest.approx(explorer.noted(log)[-1]["amax"], rel=1e-6)
    assert cache.amax["conv1"] != old
