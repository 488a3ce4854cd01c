"""A notebook that a program runs (nbclient, nbconvert --execute, papermill) keeps each screen as it was last seen."""

from __future__ import annotations

import re

import pytest

CELLS = [
    """from trtcal_widgets import *
from trtcal_widgets import sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
explorer = CalibrationExplorer(session)
explorer""",
    "explorer",
    "session.run()\nsession.update(selected='conv1')",
    """debugger = AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100, max_batches=1))
debugger""",
    "debugger.run()",
    """from base64 import b64encode
print(*(b64encode(widget.picture()).decode() for widget in (explorer, debugger)))""",
    "explorer.close()",
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    folder = str(tmp_path_factory.mktemp("run"))
    return NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()


def _picture(cell):
    html = next(output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {}))
    return re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)[1]


def test_every_place_has_the_last_picture(executed):
    explorer, debugger = executed.cells[5].outputs[0].text.split()
    assert _picture(executed.cells[0]) == explorer
    assert _picture(executed.cells[1]) == explorer, "shown a second time"
    assert _picture(executed.cells[3]) == debugger
    assert [o.output_type for cell in executed.cells for o in cell.outputs] == 6 * ["display_data"] + ["stream"]


def test_the_page_that_nbconvert_makes_has_them(executed):
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(executed)
    assert page.count(f"base64,{_picture(executed.cells[0])}") == 2
    assert "as it was last seen" in page
