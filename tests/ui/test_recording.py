"""The explorer filmed while it is used: the recording on the README is made by this test.

It is left in ``.ci/artefacts/explorer.gif``; look at it, and copy it to ``docs/images/explorer.gif``.
"""

from __future__ import annotations

import pytest
from PIL import Image

from tests.support.pages import ROOT
from tests.ui.explorer_page import _PLACES, ExplorerPage
from tests.ui.lab import NotebookPage, write_notebook
from tests.ui.recording import Recording

pytestmark = [pytest.mark.ui, pytest.mark.slow]

LIMIT = 2_000_000
CELL = """\
from trtcal_widgets import CalibrationExplorer, CalibrationSession, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
CalibrationExplorer(session)
"""


class Hand:
    """A user's mouse, as slow as one that is to be followed."""

    def __init__(self, explorer: ExplorerPage) -> None:
        self.page = explorer.page
        self.x, self.y = 640.0, 300.0

    def move(self, x: float, y: float, pause: int = 16) -> None:
        steps = max(6, round((abs(x - self.x) + abs(y - self.y)) / 26))
        for i in range(1, steps + 1):
            self.page.mouse.move(self.x + (x - self.x) * i / steps, self.y + (y - self.y) * i / steps)
            self.page.wait_for_timeout(pause)
        self.x, self.y = x, y

    def click(self, place) -> None:
        box = place.bounding_box()
        self.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        self.page.wait_for_timeout(120)
        self.page.mouse.up()

    def rest(self, ms: int = 700) -> None:
        self.page.wait_for_timeout(ms)


def use(explorer: ExplorerPage, hand: Hand) -> None:
    """Count batches, pick a tensor, drag its line and put it back, leave a batch out."""
    page = explorer.page
    for batch in range(1, 5):
        hand.click(page.get_by_test_id("tc-forward"))
        explorer.wait_text("tc-progress", f"batch {batch} of 10")
    explorer.settle()
    hand.click(page.locator('[data-testid=tc-row]:has([title="conv1"])'))
    page.wait_for_function("() => document.querySelector('[data-testid=tc-tensor-name]').title === 'conv1'")
    explorer.settle()
    for to in (2.6, 1.1, 2.2):
        places = page.evaluate(_PLACES, to)
        hand.move(places["line"], places["y"])
        page.mouse.down()
        hand.move(places["to"], places["y"], pause=30)
        page.mouse.up()
        explorer.wait_method("mine")
        explorer.settle()
        hand.rest()
    hand.click(page.get_by_test_id("tc-batch-1"))
    page.wait_for_selector("[data-testid=tc-batch-1][data-state=out]")
    explorer.settle()
    hand.rest(1200)


def test_the_explorer_is_filmed_through_a_drag_a_pick_and_a_batch_left_out(lab, page, artefacts):
    page.set_viewport_size({"width": 1280, "height": 1000})
    write_notebook(lab[1] / "filmed.ipynb", [CELL])
    notebook = NotebookPage(page, lab[0], "filmed.ipynb")
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    explorer = ExplorerPage(page)
    page.get_by_test_id("tc-explorer").evaluate("(e) => e.scrollIntoView({block: 'start'})")
    explorer.settle()
    box = page.get_by_test_id("tc-explorer").bounding_box()
    recording = Recording(page)
    with recording.running():
        use(explorer, Hand(explorer))
    path = artefacts / "explorer.gif"
    part = (box["x"], max(0, box["y"]), box["x"] + box["width"], min(972, box["y"] + box["height"]))
    assert recording.write_gif(path, part) > 30
    assert path.stat().st_size < LIMIT
    with Image.open(path) as film:
        assert film.n_frames > 30
        first = film.convert("RGB")
        film.seek(film.n_frames - 1)
        assert film.convert("RGB").tobytes() != first.tobytes(), "something was done"


def test_the_recording_that_is_shown_is_small_and_moves():
    path = ROOT / "docs" / "images" / "explorer.gif"
    if not (ROOT / "trtcal_widgets").is_dir():
        pytest.skip("beside an installed wheel, where only a part of the repository is")
    assert path.stat().st_size < LIMIT
    with Image.open(path) as film:
        assert film.n_frames > 30
