"""AccuracyDebugger in JupyterLab: what a user does with it, in both themes, beside the explorer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.ui.lab import NotebookPage, await_file, write_notebook
from tests.ui.tidy import assert_tidy, settle

pytestmark = [pytest.mark.ui, pytest.mark.slow]

SHOTS = Path(__file__).resolve().parents[2] / ".ci" / "artefacts"

CASE = """\
import numpy as np
from tests.support.rescaled import write_rescaled
from trtcal_widgets import AccuracyDebugger, CalibrationExplorer, CalibrationSession, Evaluation, sample
write_rescaled("rescaled.onnx")
session = CalibrationSession("rescaled.onnx", sample.calibration_images(), batch_size=50)
session.run()
evaluation = Evaluation(sample.test_images(), batch_size=100)
"""
FAILING = """\
def evaluate(outputs, batch):
    if batch.index == 3:
        raise KeyError("my <b>measure</b> is broken")
    return 1.0

AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100, evaluate=evaluate))
"""


THERE = f"import sys\nsys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n"


COMPLETE = """() => document.querySelectorAll('[data-testid=tc-debugger] .main-svg').length >= 2
  && document.querySelector('[data-testid=tc-dbg-export-kind]') !== null
  && document.querySelector('[data-testid=tc-dbg-tensor]')?.textContent !== ''"""


def by(page, testid):
    return page.locator(f"[data-testid='{testid}']")


GATED = """\
import pathlib, time
def evaluate(outputs, batch):
    if batch.index == 4:
        pathlib.Path("at the gate").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
    return float(outputs["prob"].max(1).mean())

AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100, evaluate=evaluate))
"""


@pytest.fixture
def open_debugger(lab, page):
    """Open a notebook of one's own with the case and more cells."""

    def open_(name, *cells, theme="light", size=(1280, 2100), sidebar=False):
        write_notebook(lab[1] / f"{name}.ipynb", [THERE + CASE, *cells])
        page.set_viewport_size({"width": size[0], "height": size[1]})
        notebook = NotebookPage(page, lab[0], f"{name}.ipynb", theme=theme)
        if not sidebar:
            notebook.command("application:toggle-left-area")
        notebook.run_all()
        page.wait_for_function(COMPLETE)
        settle(page, "tc-debugger")
        return page

    return open_


def shot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.mouse.move(2, 2)
    by(page, "tc-debugger").first.screenshot(path=SHOTS / f"debugger_{name}.png")


def run(page):
    from playwright.sync_api import expect

    by(page, "tc-dbg-run").first.click()
    expect(by(page, "tc-dbg-status").first).to_contain_text("compared", timeout=120_000)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_finding_and_mending_with_the_mouse_and_the_keyboard(open_debugger, theme):
    from playwright.sync_api import expect

    page = open_debugger(f"debugger-{theme}", "AccuracyDebugger(session, evaluation)", theme=theme)
    root = by(page, "tc-debugger")
    expect(by(page, "tc-dbg-status")).to_contain_text("Run takes 10 batches")
    expect(by(page, "tc-dbg-layers-empty")).to_contain_text("Press run")
    shot(page, f"before_{theme}")

    run(page)
    expect(by(page, "tc-dbg-layer")).to_have_count(4)
    worst = by(page, "tc-dbg-layer").first
    expect(worst).to_contain_text("conv2")
    worst.click()
    expect(by(page, "tc-dbg-tensor")).to_have_text("pool1")
    expect(by(page, "tc-dbg-int8-goal")).to_have_text("no")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.js-plotly-plot')].at(-1)?._fullData?.[5]?.x?.length > 1000"
    )
    shot(page, f"found_{theme}")

    # the keyboard keeps the layer, and what that gives is measured
    by(page, "tc-dbg-rows").focus()
    page.keyboard.press(" ")
    expect(by(page, "tc-dbg-plan-goal")).to_have_text("yes", timeout=60_000)
    expect(by(page, "tc-dbg-plan")).to_contain_text("keep 1 layer in FP16 (conv2)")
    page.keyboard.press("z")
    expect(by(page, "tc-dbg-plan-goal")).to_have_text("–")
    by(page, "tc-dbg-find").click()
    expect(by(page, "tc-dbg-plan")).to_contain_text("It reaches the goal", timeout=120_000)
    by(page, "tc-dbg-export-kind").select_option("trtexec")
    expect(by(page, "tc-dbg-export-text")).to_contain_text("--layerPrecisions=conv2:fp16")
    shot(page, f"mended_{theme}")
    settle(page, "tc-debugger")
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")


def test_an_evaluate_that_raises_is_shown_with_its_traceback(open_debugger):
    from playwright.sync_api import expect

    page = open_debugger("failing", FAILING)
    by(page, "tc-dbg-run").click()
    failure = by(page, "tc-dbg-failure")
    expect(failure).to_contain_text("KeyError", timeout=60_000)
    expect(failure).to_contain_text("my <b>measure</b> is broken")
    expect(by(page, "tc-dbg-run")).to_be_enabled()
    shot(page, "failed")


def test_running_is_shown_and_can_be_cancelled_and_begun_again(open_debugger, lab):
    from playwright.sync_api import expect

    page = open_debugger("gated", GATED)
    by(page, "tc-dbg-run").click()
    # The run stands still there until it is let go: what is shown of it cannot have passed before it is looked at.
    await_file(page, lab[1] / "at the gate")
    # Not every step of the progress is shown: the last one before the gate may have come too soon after another.
    expect(by(page, "tc-dbg-status")).to_contain_text(re.compile("[0-4] of 10"), timeout=60_000)
    expect(by(page, "tc-dbg-run")).to_be_disabled()
    shot(page, "running")
    by(page, "tc-dbg-cancel").click()
    expect(by(page, "tc-dbg-status")).to_have_text("Stopping at the next step …")
    (lab[1] / "go").touch()
    expect(by(page, "tc-dbg-status")).to_contain_text("cancelled", timeout=60_000)
    by(page, "tc-dbg-rows").focus()
    page.keyboard.press("r")
    expect(by(page, "tc-dbg-layer")).to_have_count(4, timeout=60_000)
    # A measure of one's own, two kinds of accuracy and what a plan gives: all columns fit beside the layers.
    page.keyboard.press(" ")
    expect(by(page, "tc-dbg-plan-cosine")).not_to_have_text("–", timeout=60_000)
    settle(page, "tc-debugger")
    assert by(page, "tc-dbg-scores").evaluate(
        "table => table.scrollWidth <= table.parentElement.clientWidth && table.rows[0].cells.length === 7"
    )
    shot(page, "measure")


def test_linked_with_the_explorer_through_the_session(open_debugger):
    from playwright.sync_api import expect

    page = open_debugger(
        "both", "AccuracyDebugger(session, evaluation)", "CalibrationExplorer(session)", size=(1280, 2900), sidebar=True
    )
    run(page)
    # a tensor that is chosen here is chosen there, and the other way round
    by(page, "tc-dbg-layer").filter(has_text="ip2").click()
    explorer = by(page, "tc-explorer")
    expect(explorer.locator("[data-testid=tc-row][aria-selected=true]")).to_contain_text("relu1")
    explorer.locator("[data-testid=tc-row]", has_text="pool1").first.click()
    expect(by(page, "tc-dbg-tensor")).to_have_text("pool1")
    expect(page.locator("[data-testid=tc-dbg-layer][aria-selected=true]")).to_contain_text("conv2")
    # a threshold that changes there puts the results here out of date; undoing it makes them good again
    explorer.locator("button.tc-method", has_text="minmax").first.click()
    expect(by(page, "tc-dbg-stale")).to_contain_text("another threshold for")
    shot(page, "stale")
    by(page, "tc-undo").click()
    expect(by(page, "tc-dbg-stale")).to_be_hidden()
    explorer.locator("button.tc-method", has_text="minmax").first.click()
    before = by(page, "tc-dbg-int8-top1").inner_text()
    by(page, "tc-dbg-refresh").click()
    expect(by(page, "tc-dbg-stale")).to_be_hidden(timeout=60_000)
    expect(by(page, "tc-dbg-int8-top1")).not_to_have_text(before, timeout=60_000)


_PLACES = """() => [...document.querySelectorAll(
  '[data-testid=tc-dbg-layer], .tc-dbg-top, .tc-dbg-sqnr, .tc-dbg-tensor',
)].map((e) => e.getBoundingClientRect().top)"""
LONG_NAMES = """\
import onnx
model = onnx.load("rescaled.onnx")
for node in model.graph.node:
    node.name = f"/backbone/stages.0/blocks.11/attention/{node.name}/projection/{node.op_type}"
onnx.save(model, "long.onnx")
session = CalibrationSession("long.onnx", sample.calibration_images(), batch_size=100)
session.run()
AccuracyDebugger(session, evaluation)
"""
_SCROLLED = (
    "() => [...document.querySelectorAll('*')].filter((e) => e.scrollTop).map((e) => [e.className, e.scrollTop])"
)


def test_a_tick_moves_nothing_and_keeps_the_focus(open_debugger):
    from playwright.sync_api import expect

    page = open_debugger("ticks", "AccuracyDebugger(session, evaluation)", size=(1280, 800))
    run(page)
    for width in (1280, 850):
        page.set_viewport_size({"width": width, "height": 800})
        rows, box = by(page, "tc-dbg-rows"), by(page, "tc-dbg-keep").first
        rows.scroll_into_view_if_needed()
        # JupyterLab scrolls to a cell that is clicked for the first time.
        by(page, "tc-dbg-status").click()
        rows.focus()
        settle(page, "tc-debugger")
        before = page.evaluate(_PLACES), page.evaluate(_SCROLLED)
        box.click()
        expect(by(page, "tc-dbg-plan-goal")).not_to_have_text("–", timeout=60_000)
        expect(box).to_be_focused()
        settle(page, "tc-debugger")
        assert (page.evaluate(_PLACES), page.evaluate(_SCROLLED)) == before
        page.keyboard.press(" ")
        expect(box).not_to_be_checked()
        expect(by(page, "tc-dbg-plan-goal")).to_have_text("–")
        by(page, "tc-debugger").evaluate("root => root.focus({ preventScroll: true })")
        page.keyboard.press(" ")
        settle(page, "tc-debugger")
        expect(box).not_to_be_checked()
        assert (page.evaluate(_PLACES), page.evaluate(_SCROLLED)) == before
    page.set_viewport_size({"width": 1280, "height": 800})
    # A button that is switched off while it works has the focus again when it is done.
    find = by(page, "tc-dbg-find")
    find.focus()
    settle(page, "tc-debugger")
    before = page.evaluate(_SCROLLED)
    page.keyboard.press("Enter")
    expect(by(page, "tc-dbg-plan")).to_contain_text("It reaches the goal", timeout=120_000)
    expect(find).to_be_focused(timeout=60_000)
    settle(page, "tc-debugger")
    assert page.evaluate(_SCROLLED) == before
    by(page, "tc-dbg-steps").locator("summary").click()
    steps = by(page, "tc-dbg-steps").locator("li")
    assert 0 < steps.locator("xpath=self::*[@data-accepted]").count() < steps.count()
    assert_tidy(page, "tc-debugger", (1280, 890, 850, 700, 560), SHOTS)


def test_long_names_in_a_plan_move_nothing_either(open_debugger):
    from playwright.sync_api import expect

    page = open_debugger("long-names", LONG_NAMES, size=(1280, 800))
    run(page)
    by(page, "tc-dbg-rows").scroll_into_view_if_needed()
    by(page, "tc-dbg-status").click()
    for width in (1280, 850):
        page.set_viewport_size({"width": width, "height": 800})
        before = None
        for k in range(4):
            by(page, "tc-dbg-keep").nth(k).click()
            kept = f"keep {k + 1} layer" if width == 1280 else f"keep {3 - k} layer" if k < 3 else "INT8 misses"
            expect(by(page, "tc-dbg-plan")).to_contain_text(kept, timeout=60_000)
            expect(by(page, "tc-dbg-plan")).to_contain_text("goal", timeout=60_000)
            settle(page, "tc-debugger")
            places = page.evaluate(_PLACES)
            assert places == (before or places)
            before = places
    assert_tidy(page, "tc-debugger", (1280, 850, 560), SHOTS)
