"""A saved notebook that is opened without a kernel, and one whose widgets live: a picture or the widget, never both."""

from __future__ import annotations

import re
import time

import pytest

from tests.ui.explorer_page import ExplorerPage
from tests.ui.lab import NotebookPage, write_notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow]

CELLS = [
    """from trtcal_widgets import *
from trtcal_widgets import sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
session.run()
CalibrationExplorer(session)""",
    "AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100, max_batches=1))",
    "CacheViewer(session.to_cache())",
]

SEEN = """() => ({
  pictures: [...document.querySelectorAll('.trtcal-static img')].filter((n) => n.offsetHeight > 100).length,
  roots: [...document.querySelectorAll('.trtcal-root')].filter((n) => n.offsetHeight > 100).length,
  text: document.querySelector('.jp-Notebook')?.innerText ?? '',
})"""


def _kept(path, notebook, *, unlike=()):
    """The three pictures in the saved notebook, the first of them not as it was."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        notebook.save()
        found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", path.read_text())
        if len(found) == 3 and found[:1] != list(unlike[:1]):
            return found
        notebook.page.wait_for_timeout(500)
    raise TimeoutError(f"{len(found)} pictures, the first is as it was")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_where_no_kernel_is_and_widgets_where_one_is(lab, page, artefacts, theme):
    page.set_viewport_size({"width": 1280, "height": 5200})
    name = f"saved-{theme}"
    write_notebook(lab[1] / f"{name}.ipynb", CELLS)
    notebook = NotebookPage(page, lab[0], f"{name}.ipynb", theme=theme)
    notebook.run_all()
    page.wait_for_function(f"() => {{ const s = ({SEEN})(); return s.roots === 3 && s.pictures === 0; }}")

    # What is done with the screens is seen in the pictures, which stay hidden while the widgets live.
    explorer = ExplorerPage(page)
    first = _kept(lab[1] / f"{name}.ipynb", notebook)
    explorer.select("ip1")
    page.get_by_test_id("tc-amax").fill("1.25")
    page.keyboard.press("Enter")
    explorer.wait_method("mine")
    last = _kept(lab[1] / f"{name}.ipynb", notebook, unlike=first)
    assert last[1:] == first[1:], "the others have not changed"
    assert page.evaluate(SEEN)["pictures"] == 0

    notebook.save()
    notebook.command("kernelmenu:shutdown")
    page.wait_for_function("() => /No Kernel|Unknown/.test(document.querySelector('#jp-main-statusbar').textContent)")
    notebook.open_again()
    page.wait_for_function(f"() => ({SEEN})().pictures === 3")
    # JupyterLab gives each widget two seconds before it says that there is none.
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output')].filter((n) => /not found/.test(n.textContent))"
        ".length === 3"
    )
    seen = page.evaluate(SEEN)
    page.screenshot(path=artefacts / f"saved-{theme}.png")
    assert "not found" not in seen["text"]
    assert "Loading" not in seen["text"]
    assert seen["text"].count("Run the cell to use it") == 3
