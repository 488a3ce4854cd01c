"""DataDoctor in JupyterLab: what a user does with it, in both themes, with many tensors and marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.lab import NotebookPage, box_of, write_notebook
from tests.ui.tidy import assert_tidy, settle

pytestmark = [pytest.mark.ui, pytest.mark.slow]

THERE = f"import sys\nsys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n"
EVIL = "<img src=x onerror=window.hacked=1>"

REAL = """\
from trtcal_widgets import CalibrationSession, DataDoctor, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
session.run()
DataDoctor(session)
"""

SPOILT = """\
from trtcal_widgets import ArrayBatches, CalibrationSession, DataDoctor, sample
images = sample.calibration_images().load(0, 200)[""].copy()
images[50:58] = images[3]
images[120] = 8 * images[120]
session = CalibrationSession(sample.model_path(), ArrayBatches(images), batch_size=20)
session.run()
DataDoctor(session)
"""

MANY = f"""\
from tests.widgets.reports import made_up_report
from tests.widgets.synthetic import OPS, synthetic_session
from trtcal_widgets import DataDoctor
names = [f"backbone/stage{{k // 50}}/block{{k % 50}}/{{OPS[k % 5]}}_{{k}}:0" for k in range(3000)]
names[1] = {EVIL!r}
session = synthetic_session(names=names, batches=4)
session.run()
DataDoctor(session, report=made_up_report(session))
"""

TABBED = """\
from trtcal_widgets import CalibrationExplorer, CalibrationSession, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
session.run()
CalibrationExplorer(session)
"""


def open_page(lab, page, name, cell, theme="light"):
    write_notebook(lab[1] / f"{name}.ipynb", [THERE + cell])
    notebook = NotebookPage(page, lab[0], f"{name}.ipynb", theme=theme)
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    return notebook


def wait_text(page, testid, part):
    page.wait_for_function(
        "([id, part]) => document.querySelector(`[data-testid=${id}]`)?.textContent.includes(part)", arg=[testid, part]
    )


def drawn(page):
    """How often the strip was drawn."""
    return int(page.evaluate("document.querySelector('[data-drawn]')?.dataset.drawn ?? '0'"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_user_reads_the_verdict_and_leaves_a_mark_out(lab, page, artefacts, theme):
    open_page(lab, page, f"data-{theme}", REAL, theme)
    wait_text(page, "tc-data-status", "scales examined")
    page.wait_for_function("() => document.querySelectorAll('[data-testid=tc-data-verdict] li').length === 3")
    page.wait_for_function("() => document.querySelectorAll('[data-testid=tc-data] .main-svg').length >= 2")
    page.screenshot(path=artefacts / f"data-doctor-{theme}.png")

    # with the keyboard alone: a tensor, a mark, out, and back
    page.get_by_test_id("tc-data").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-data-row][aria-selected=true]')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-data-count-it]').checked")
    page.keyboard.press("x")
    wait_text(page, "tc-data-samples-note", "1 ")
    page.wait_for_function("() => !document.querySelector('[data-testid=tc-data-count-it]').checked")
    wait_text(page, "tc-data-status", "Something changed since")
    page.screenshot(path=artefacts / f"data-doctor-{theme}-left-out.png")
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-data-count-it]').checked")
    wait_text(page, "tc-data-status", "scales examined")

    # the mouse: what is under it, and a click
    settle(page, "tc-data")
    box = box_of(page.get_by_test_id("tc-data-strip"))
    assert page.get_by_test_id("tc-data-sample-name").inner_text() == "sample 1"
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.wait_for_selector("[data-testid=tc-data-hover]", state="visible")
    page.mouse.click(box["x"] + 80, box["y"] + 60)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=tc-data-sample-name]').textContent != 'sample 1'"
    )
    # one of those that set the range: chosen by a click, and what changes without it
    page.get_by_test_id("tc-data-culprit").first.locator(".tc-data-link").click()
    page.wait_for_selector("[data-testid=tc-data-culprit][data-current]", state="attached")
    page.get_by_test_id("tc-data-ask").first.click()
    wait_text(page, "tc-data-without", "without it ")
    page.screenshot(path=artefacts / f"data-doctor-{theme}-without.png")
    page.mouse.move(box["x"] + 80, box["y"] - 60)
    page.wait_for_selector("[data-testid=tc-data-hover]", state="hidden")
    assert_tidy(page, "tc-data", (1280, 1000, 853), artefacts if theme == "light" else None)


def test_what_a_warning_names_is_a_click_away(lab, page, artefacts):
    """One image fed nine times, and one eight times as bright, whose facts are read to their end."""
    open_page(lab, page, "data-spoilt", SPOILT)
    warnings = page.get_by_test_id("tc-data-warning")
    warnings.filter(has_text="8 samples are fed again").locator("button", has_text="sample 54").click()
    wait_text(page, "tc-data-sample-name", "sample 54")
    warnings.filter(has_text="alone sets the ranges").locator("button", has_text="relu1").click()
    wait_text(page, "tc-data-blame-note", "relu1")
    culprit = page.get_by_test_id("tc-data-culprit").first
    culprit.locator(".tc-data-link").click()
    page.get_by_test_id("tc-data-ask").first.click()
    wait_text(page, "tc-data-without", "without it ")
    settle(page, "tc-data")
    words = culprit.locator(".tc-data-culprit-words > div")
    assert not any(words.evaluate_all("all => all.map(e => e.scrollWidth > e.clientWidth + 1)"))
    page.screenshot(path=artefacts / "data-doctor-warnings.png")


def test_three_thousand_tensors(lab, page, artefacts):
    open_page(lab, page, "data-many", MANY)
    wait_text(page, "tc-data-count", "3,000")
    settle(page, "tc-data")
    assert page.evaluate("document.querySelectorAll('[data-testid=tc-data-row]').length") < 60
    assert page.evaluate("window.hacked") is None
    wait_text(page, "tc-data-only-unsettled", "1,000")
    page.get_by_test_id("tc-data-only-unsettled").click()
    wait_text(page, "tc-data-count", "1,000 of 3,000")
    page.get_by_test_id("tc-data-sort-order").click()
    page.get_by_test_id("tc-data").focus()
    page.keyboard.press("/")
    page.wait_for_function("() => document.activeElement.dataset.testid === 'tc-data-search'")
    page.keyboard.type("stage7/")
    # Of the 50 tensors of that stage, those that are not settled.
    page.wait_for_function(
        "() => /^1[67] of 3,000/.test(document.querySelector('[data-testid=tc-data-count]').textContent)"
    )
    page.keyboard.press("Enter")
    wait_text(page, "tc-note-data-band", "stage7/")
    # moving over the strip asks the kernel for nothing but pictures, and draws once per frame
    settle(page, "tc-data")
    before = drawn(page)
    box = box_of(page.get_by_test_id("tc-data-strip"))
    for x in range(60, 180, 4):
        page.mouse.move(box["x"] + x, box["y"] + 60)
    page.wait_for_function("(n) => Number(document.querySelector('[data-drawn]').dataset.drawn) > n", arg=before)
    settle(page, "tc-data")
    assert drawn(page) - before <= 31
    page.screenshot(path=artefacts / "data-doctor-3000.png")


def test_as_a_tab_of_the_explorer(lab, page, artefacts):
    open_page(lab, page, "data-tab", TABBED)
    page.get_by_test_id("tc-explorer").wait_for()
    page.get_by_test_id("tc-tab-data").click()
    wait_text(page, "tc-data-status", "scales examined")
    assert page.get_by_test_id("tc-stepper").is_hidden()
    assert page.get_by_test_id("tc-data-title").is_hidden()
    page.wait_for_function("() => document.querySelectorAll('[data-testid=tc-data] .main-svg').length >= 2")
    page.screenshot(path=artefacts / "data-doctor-tab.png")
    # arrows belong to the page that is open, and the tabs are walked with them too
    page.get_by_test_id("tc-data").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-data-row][aria-selected=true]')")
    page.get_by_test_id("tc-tab-data").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_test_id("tc-stepper").wait_for()
    assert page.get_by_test_id("tc-data").is_hidden()
    assert "batch 10 of 10" in page.get_by_test_id("tc-progress").inner_text()
