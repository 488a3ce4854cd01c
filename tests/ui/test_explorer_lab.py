"""The explorer in JupyterLab, used with mouse and keyboard."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.ui.explorer_page import PLOT, ExplorerPage
from tests.ui.lab import NotebookPage, write_notebook
from tests.ui.tidy import assert_tidy
from trtcal_widgets import CalibrationCache

pytestmark = [pytest.mark.ui, pytest.mark.slow]

CELLS = [
    """import json
from trtcal_widgets import CalibrationExplorer, CalibrationSession, sample

session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)

def note(changed):
    line = {"changed": sorted(changed), "selected": session.state.selected, "position": session.state.position,
            "excluded": sorted(session.state.excluded), "amax": session.amax(session.state.selected)}
    with open(LOG, "a") as log:
        print(json.dumps(line), file=log)

session.subscribe(note)
explorer = CalibrationExplorer(session)
explorer"""
]


@pytest.fixture
def opened(lab, page, request):
    """A notebook with an explorer, run; and the file in which its kernel notes every change."""
    url, root = lab
    name = request.node.name.replace("[", "_").rstrip("]")
    log = root / f"{name}.jsonl"
    log.unlink(missing_ok=True)
    write_notebook(root / f"{name}.ipynb", [f"LOG = {str(log)!r}", *CELLS])
    notebook = NotebookPage(page, url, f"{name}.ipynb")
    notebook.run_all()
    return notebook, ExplorerPage(page), log


def test_a_user_steps_drags_undoes_excludes_and_exports(opened, lab, artefacts):
    _, explorer, log = opened
    page = explorer.page
    explorer.settle()
    page.screenshot(path=artefacts / "explorer-1280-light-ready.png")
    assert "Nothing is counted yet" in explorer.text("tc-message")

    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "batch 1 of 10")
    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "100 of 500 images")
    explorer.select("conv1")
    before = explorer.noted(log)[-1]["amax"]

    explorer.drop_is_one_update(2.4, log)
    page.screenshot(path=artefacts / "explorer-1280-light-dragged.png")

    explorer.undo_puts_the_line_back(before)
    assert explorer.noted(log)[-1]["amax"] == before

    explorer.leave_out(1, log)

    page.locator("[data-testid=tc-export-preview-box] summary").click()
    explorer.wait_text("tc-export-preview", "TRT-101601-EntropyCalibration2")
    explorer.press("tc-export-write")
    explorer.wait_text("tc-export-result", "Wrote")
    cache = CalibrationCache.read(lab[1] / "calibration.cache")
    assert cache.amax["conv1"] == pytest.approx(explorer.noted(log)[-1]["amax"], rel=1e-6)
    explorer.wait_text("tc-export-write", "replace")
    page.screenshot(path=artefacts / "explorer-1280-light-exported.png")


def test_the_keyboard_is_enough(opened):
    from playwright.sync_api import expect

    _, explorer, log = opened
    page = explorer.page
    sources = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.map((cell) => cell.source)"
    cells = page.evaluate(sources)
    page.get_by_test_id("tc-explorer").focus()
    page.keyboard.press("ArrowRight")
    explorer.wait_text("tc-progress", "batch 1 of 10")
    page.keyboard.press("ArrowRight")
    explorer.wait_text("tc-progress", "batch 2 of 10")
    page.keyboard.press("ArrowLeft")
    explorer.wait_text("tc-progress", "batch 1 of 10")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-tensor-name]').title === 'conv1'")
    page.keyboard.press("/")
    expect(page.get_by_test_id("tc-search")).to_be_focused()
    page.keyboard.type("ip2")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-testid=tc-tensor-name]').title === 'ip2'")
    page.get_by_test_id("tc-amax").fill("3.25")
    page.keyboard.press("Enter")
    explorer.wait_method("mine")
    assert explorer.noted(log)[-1]["amax"] == 3.25
    # JupyterLab's own keys (x cuts the cell, arrows go to another) did not hear any of this, wherever the focus is.
    for part in ("tc-explorer", "tc-rows", "tc-net", "tc-hold", "tc-export-write"):
        page.get_by_test_id(part).focus()
        for key in ("x", "a", "d", "d", "ArrowDown", "Escape"):
            page.keyboard.press(key)
            expect(page.locator("[data-testid=tc-explorer]:focus-within")).to_have_count(1)
    explorer.settle()
    assert page.evaluate(sources) == cells


def test_what_a_screen_does_not_use_reaches_jupyterlab(opened):
    """Ctrl+S and other combinations, wherever the focus is; its own and those that edit a text stay its own."""
    from playwright.sync_api import expect

    _, explorer, _ = opened
    page = explorer.page
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    explorer.settle()
    sources = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.map((cell) => cell.source)"
    cells = page.evaluate(sources)
    page.evaluate("""() => {
      window.ran = [];
      const { commands } = window.jupyterapp;
      commands.commandExecuted.connect((_, { id }) => window.ran.push(id));
    }""")
    heard = "(id) => window.ran.includes(id)"
    for part in ("tc-explorer", "tc-rows", "tc-net", "tc-hold", "tc-slider", "tc-method", "tc-search", "tc-amax"):
        page.get_by_test_id(part).focus()
        page.evaluate("() => { window.ran.length = 0; }")
        page.keyboard.press("Control+s")
        page.wait_for_function(heard, arg="docmanager:save")
        page.keyboard.press("Control+b")
        page.wait_for_function(heard, arg="application:toggle-left-area")
        page.keyboard.press("Control+b")
        expect(page.get_by_test_id(part)).to_be_focused()
    # in a field they mark, copy, cut, paste and undo its text; no cell is marked for the x that follows
    for key in ("Control+a", "Control+x", "Control+v", "Control+z", "Control+Backspace"):
        page.keyboard.press(key)
    page.get_by_test_id("tc-hold").focus()
    page.keyboard.press("x")
    assert page.evaluate(sources) == cells
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.selectedCells.length") == 1

    # its own are its own, on the slider too
    page.get_by_test_id("tc-method").select_option("minmax")
    explorer.wait_method("minmax")
    page.get_by_test_id("tc-slider").focus()
    page.evaluate("() => { window.ran.length = 0; }")
    page.keyboard.press("Control+z")
    explorer.wait_method("")
    page.keyboard.press("Control+y")
    explorer.wait_method("minmax")
    assert page.evaluate("() => window.ran.filter((id) => /undo|redo/.test(id))") == []


@pytest.mark.parametrize("width", [1280, 1920])
def test_it_fits_and_follows_the_dark_theme(opened, artefacts, width):
    notebook, explorer, _ = opened
    page = explorer.page
    page.set_viewport_size({"width": width, "height": 1400})
    explorer.settle()
    explorer.press("tc-play")
    explorer.wait_text("tc-message", "Finished")
    explorer.select("conv1")
    explorer.drag_line(2.4)
    explorer.wait_method("mine")
    explorer.settle()
    page.screenshot(path=artefacts / f"explorer-{width}-light-finished.png")
    notebook.set_theme("dark")
    page.wait_for_selector("[data-testid=tc-explorer].trtcal-dark")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.js-plotly-plot')].every((p) => p._fullLayout.font.color === '#e6e8eb')"
    )
    explorer.settle()
    page.screenshot(path=artefacts / f"explorer-{width}-dark-finished.png")
    overflow = page.evaluate(
        "() => ((n) => n.scrollWidth - n.clientWidth)(document.querySelector('.jp-WindowedPanel-outer, .jp-Notebook'))"
    )
    assert overflow <= 0
    root = page.evaluate("() => ((n) => n.scrollWidth - n.clientWidth)(document.querySelector('.trtcal-root'))")
    assert root <= 0
    notebook.set_theme("light")


def test_what_changes_while_the_mouse_is_down_takes_no_click_away(opened):
    _, explorer, log = opened
    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "batch 1 of 10")
    explorer.select("conv1")
    chip = explorer.page.get_by_test_id("tc-mark-minmax")
    before = chip.text_content()
    chip.hover()
    explorer.page.mouse.down()
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_noted(log, position=2)
    explorer.settle()
    explorer.page.mouse.up()
    explorer.wait_method("minmax")
    explorer.wait_text("tc-progress", "batch 2 of 10")
    assert chip.text_content() != before, "else nothing was drawn anew"


def test_a_page_that_is_opened_again_shows_the_present_state(opened, lab, artefacts):
    notebook, explorer, log = opened
    page = explorer.page
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    explorer.select("conv1")
    explorer.drag_line(2.4)
    explorer.wait_method("mine")
    amax = explorer.noted(log)[-1]["amax"]
    notebook.save()
    notebook.open_again()
    again = ExplorerPage(page)
    again.line_at(amax)
    page.wait_for_function("(v) => Number(document.querySelector('[data-testid=tc-amax]').value) === v", arg=amax)
    page.locator(".trtcal-static").wait_for(state="hidden")

    notebook.command("kernelmenu:shutdown")
    page.wait_for_function("() => /No Kernel|Unknown/.test(document.querySelector('#jp-main-statusbar').textContent)")
    notebook.open_again()
    page.locator(".trtcal-static").wait_for()
    page.screenshot(path=artefacts / "explorer-without-kernel.png")


_AXES = (
    f"() => {{ const plot = {PLOT};"
    """
  const { left, top, width, height } = plot.querySelector('.nsewdrag').getBoundingClientRect();
  const { xaxis, yaxis } = plot._fullLayout;
  return { x: [...xaxis.range], y: [...yaxis.range], at: [left + 0.3 * width, top + 0.4 * height] };
}"""
)


def test_a_plot_that_comes_while_the_kernel_works_is_whole_in_the_end(lab, page):
    """What the kernel said before the plot was there is not lost, also where it answers later than one waits for it."""
    url, root = lab
    busy = "session.step()\nimport time\nfor _ in range(12):\n    time.sleep(0.5)\nsession.step()"
    name = "busy.ipynb"
    write_notebook(root / name, [f"LOG = {str(root / 'busy.jsonl')!r}", *CELLS, busy])
    NotebookPage(page, url, name).run_all()
    page.wait_for_function(
        """() => {
          const plots = [...document.querySelectorAll('.js-plotly-plot')];
          const marked = plots.filter((p) => p._fullLayout?.shapes?.[0]?.type === 'line');
          return marked.length && marked.every(({ data }) => data[0].line?.color && data[8].x?.length > 1000
            && data.slice(2, 6).every(({ x }) => x?.length === 2 && x[0] > 0.9 && x[0] === x[1]));
        }"""
    )


def test_the_plot_is_zoomed_and_moved_and_comes_back(opened):
    _, explorer, _ = opened
    page, mouse = explorer.page, explorer.page.mouse
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    explorer.show_plot()
    explorer.settle()
    whole = page.evaluate(_AXES)
    (left, right), at = whole["x"], whole["at"]

    def axes(fits: str):
        page.wait_for_function(f"(whole) => {{ const now = ({_AXES})(); return {fits}; }}", arg=whole)
        explorer.settle()  # several events may be on their way: of the last one's axes it is true as well
        now = page.evaluate(f"(whole) => {{ const now = ({_AXES})(); return {{ fits: {fits}, ...now }}; }}", whole)
        assert now["fits"]
        return now

    # The wheel is for the page until the pointer has been moved over the plot; then it zooms along x, around it.
    mouse.move(at[0] - 20, at[1])
    mouse.move(*at)
    for _ in range(4):
        mouse.wheel(0, -120)
    near = axes("now.x[1] - now.x[0] < 0.8 * (whole.x[1] - whole.x[0])")
    assert left < near["x"][0] < left + 0.3 * (right - left) < near["x"][1] < right
    assert near["y"] == whole["y"]
    assert near["at"] == at, "the page has not moved"

    page.keyboard.down("Shift")
    mouse.down()
    mouse.move(at[0] - 50, at[1], steps=5)
    mouse.up()
    page.keyboard.up("Shift")
    moved = axes(f"now.x[0] > {near['x'][0]} * 1.02")
    assert moved["x"][1] - moved["x"][0] == pytest.approx(near["x"][1] - near["x"][0])

    mouse.move(*at)
    mouse.down()
    mouse.move(at[0] + 60, at[1] + 50, steps=5)
    mouse.up()
    axes(f"now.x[1] - now.x[0] < 0.5 * {moved['x'][1] - moved['x'][0]} && now.y[1] < whole.y[1]")
    explorer.double_click(*at)
    axes("JSON.stringify([now.x, now.y]) === JSON.stringify([whole.x, whole.y])")
    # The kernel knows as well: what it draws next does not bring the zoom back.
    # While batches came the axis was kept from the batch before; for a tensor chosen anew it is fitted anew.
    explorer.select("conv1")
    explorer.select("data")
    axes("now.x[0] === 0 && Math.abs(now.x[1] / whole.x[1] - 1) < 0.01 && now.y[1] === whole.y[1]")


def test_help_closes_search_takes_patterns_and_undo_has_its_usual_keys(opened):
    from playwright.sync_api import expect

    _, explorer, _ = opened
    page = explorer.page
    keys = page.get_by_test_id("tc-keys")
    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "batch 1 of 10")
    for close in (lambda: page.keyboard.press("Escape"), lambda: explorer.press("tc-message")):
        keys.locator("summary").click()
        expect(keys).to_have_attribute("open", "")
        close()
        expect(keys).not_to_have_attribute("open", re.compile(".*"))

    shown = page.locator("[data-testid=tc-row] .tc-name")
    search = page.get_by_test_id("tc-search")
    search.fill("*1")
    expect(shown).to_have_text(["conv1", "pool1", "ip1", "relu1"])
    search.fill("re:^(conv|ip)\\d$")
    expect(shown).to_have_text(["conv1", "conv2", "ip1", "ip2"])
    search.fill("re:(")
    expect(shown).to_have_count(0)
    expect(page.get_by_test_id("tc-list-empty")).to_contain_text("Not a regular expression")
    search.fill("")

    page.get_by_test_id("tc-method").select_option("minmax")
    explorer.wait_method("minmax")
    page.get_by_test_id("tc-explorer").focus()
    page.keyboard.press("ControlOrMeta+z")
    explorer.wait_method("")
    page.keyboard.press("ControlOrMeta+Shift+z")
    explorer.wait_method("minmax")


def test_nothing_is_cut_in_a_narrow_window(opened, artefacts):
    _, explorer, _ = opened
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    assert_tidy(explorer.page, "tc-explorer", (1280, 890, 850, 700), artefacts)


_LABELS_OVER = """() => {
  const plots = [...document.querySelectorAll('.js-plotly-plot')];
  const plot = plots.find((p) => p._fullLayout?.shapes?.[0]?.type === 'line');
  const edge = plot.getBoundingClientRect();
  const labels = [...plot.querySelectorAll('.infolayer > .annotation')].filter((node) => node.textContent);
  const boxes = labels.map((node) => [node.textContent, node.getBoundingClientRect()]);
  const beyond = ([, a]) => a.left < edge.left - 1 || a.right > edge.right + 1;
  const found = boxes.filter(beyond).map(([text]) => `cut: ${text}`);
  boxes.forEach(([text, a], k) => boxes.slice(k + 1).forEach(([other, b]) => {
    const over = Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
    if (over) found.push(`${text} | ${other}`);
  }));
  return boxes.length < 4 ? ['labels are missing'] : found;
}"""


def test_the_labels_of_thresholds_are_not_over_each_other(opened, artefacts):
    """The kernel lays them out for a plot of 480 pixels; here are narrower ones, saved as they are seen."""
    _, explorer, _ = opened
    page = explorer.page
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    for width in (1280, 850, 700):
        page.set_viewport_size({"width": width, "height": 1400})
        for name in ("conv1", "conv2", "ip1", "prob"):
            explorer.select(name)
            explorer.settle()
            page.wait_for_function(f"() => ({_LABELS_OVER})().length === 0")
    explorer.select("conv1")
    explorer.settle()
    page.screenshot(path=artefacts / "labels-narrow.png")


def test_a_plot_is_saved_as_it_is_seen(opened, artefacts):
    _, explorer, _ = opened
    page = explorer.page
    explorer.press("tc-last")
    explorer.wait_text("tc-message", "Finished")
    explorer.select("conv1")
    amax = page.get_by_test_id("tc-amax")
    amax.fill("1000")
    amax.press("Enter")
    explorer.wait_text("tc-notes", "times the largest value")
    explorer.settle()
    page.screenshot(path=artefacts / "explorer-threshold-off-the-plot.png")
    plot = page.locator("[data-testid=tc-figure]").first
    plot.scroll_into_view_if_needed()
    plot.hover()
    for kind in ("png", "svg"):
        with page.expect_download() as download:
            plot.get_by_test_id(f"tc-save-{kind}").click()
        assert download.value.suggested_filename == f"histogram_of_conv1.{kind}"
        download.value.save_as(artefacts / f"saved-plot.{kind}")
    with Image.open(artefacts / "saved-plot.png") as picture:
        assert picture.width == 2 * round(plot.bounding_box()["width"])
        assert picture.convert("RGBA").getpixel((0, 0))[3] == 255, "a background of its own"
    words = (artefacts / "saved-plot.svg").read_text("utf-8")
    assert "histogram of conv1" in words
    assert "mine 1000 →" in words
