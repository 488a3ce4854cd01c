"""BuildPanel in JupyterLab, below an explorer: with a stand-in for TensorRT, and without any; in both themes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.lab import NotebookPage, write_notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]

SESSION = """\
from trtcal_widgets import BuildPanel, CalibrationExplorer, CalibrationSession, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
session.run(until=8)
session.update(position=0)
"""
STAND_IN = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support.trt_fake import make_fake
from tests.support.trt_fake_base import Machine
from tests.support.trt_host_driver import HostDriver
from trtcal_widgets.gpu import memory
memory.open_driver = lambda prefer, device: HostDriver()
sys.modules["tensorrt"] = make_fake(Machine("10.16.1.11", memory.DeviceMemory(HostDriver())))
"""
MISSING = "import sys\nsys.modules['tensorrt'] = None\n"
SHOW = "CalibrationExplorer(session, panels=[BuildPanel(session, engine_path='{name}.engine')])"


def by(page, testid):
    return page.locator(f"[data-testid='{testid}']")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stepping_through_tensorrt_s_batches_below_an_explorer(lab, page, artefacts, theme):
    from playwright.sync_api import expect

    url, root = lab
    name = f"build-{theme}"
    write_notebook(root / f"{name}.ipynb", [STAND_IN + SESSION, SHOW.format(name=name)])
    page.set_viewport_size({"width": 1280, "height": 2200})
    NotebookPage(page, url, f"{name}.ipynb", theme=theme).run_all()
    panel = by(page, "tc-build")
    expect(by(page, "tc-bld-status")).to_contain_text("TensorRT will run 10 batches")
    by(page, "tc-bld-hold").check()
    by(page, "tc-bld-build").click()
    expect(by(page, "tc-bld-status")).to_contain_text("Waiting before batch 1 of 10")
    by(page, "tc-bld-step").click()
    by(page, "tc-bld-step").click()
    by(page, "tc-bld-step").click()
    expect(by(page, "tc-bld-status")).to_contain_text("Waiting before batch 4 of 10")
    # the explorer above shows the batch that TensorRT is to be given
    expect(by(page, "tc-progress")).to_contain_text("batch 4 of 10")
    by(page, "tc-explorer").screenshot(path=artefacts / f"build_waiting_{theme}.png")
    height = panel.bounding_box()["height"]
    by(page, "tc-bld-pause").click()
    expect(by(page, "tc-bld-status")).to_contain_text("The engine is built and saved")
    expect(by(page, "tc-bld-result")).to_contain_text(f"{name}.engine")
    expect(by(page, "tc-bld-note")).to_contain_text("has recorded 8 batches")
    panel.screenshot(path=artefacts / f"build_done_{theme}.png")
    assert panel.bounding_box()["height"] == pytest.approx(height, abs=1), "nothing jumps"
    assert panel.evaluate("(e) => e.scrollWidth <= e.clientWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_without_tensorrt(lab, page, artefacts, theme):
    from playwright.sync_api import expect

    url, root = lab
    name = f"missing-{theme}"
    show = f"session.run()\nBuildPanel(session, engine_path='{name}.engine')"
    write_notebook(root / f"{name}.ipynb", [MISSING + SESSION, show])
    NotebookPage(page, url, f"{name}.ipynb", theme=theme).run_all()
    expect(by(page, "tc-bld-missing-text")).to_contain_text("TensorRT is not installed")
    by(page, "tc-bld-write-qdq").click()
    expect(by(page, "tc-bld-written")).to_contain_text(f"{name}.qdq.onnx")
    by(page, "tc-build").screenshot(path=artefacts / f"build_missing_{theme}.png")
