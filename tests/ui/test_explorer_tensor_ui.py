"""What the explorer shows of the chosen tensor besides its histogram: another tensor over it, signs, weights."""

from __future__ import annotations

import pytest

from tests.ui.explorer_page import ExplorerPage
from tests.ui.lab import NotebookPage, write_notebook
from tests.ui.tidy import assert_tidy

pytestmark = [pytest.mark.ui, pytest.mark.slow]

CELL = """from trtcal_widgets import CalibrationExplorer, CalibrationSession, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=4)
session.run(until=3)
session.update(selected="conv1")
CalibrationExplorer(session)"""

_PLOT = """(title) => {
  const plot = [...document.querySelectorAll('.js-plotly-plot')].find((p) => p._fullLayout.xaxis.title.text === title);
  if (!plot) return null;
  const { xaxis, yaxis, annotations } = plot._fullLayout;
  const shown = [...plot.querySelectorAll('.scatterlayer .trace, .barlayer .trace')].filter(
    (trace) => { const { width, height } = trace.getBoundingClientRect(); return Math.max(width, height) > 1; });
  return { x: [...xaxis.range], y: [...yaxis.range], drawn: shown.length,
           ticks: [plot.querySelectorAll('.xtick > text').length, plot.querySelectorAll('.ytick > text').length],
           bars: plot.querySelectorAll('.barlayer .point path').length,
           words: annotations.filter((a) => a.visible).map((a) => a.text.replaceAll('<br>', ' ')),
           traces: plot._fullData.map((t) => ({ visible: t.visible, at: [...(t.x ?? [])], n: t.y?.length ?? 0 })) };
}"""
HISTOGRAM, SIGNED, WEIGHTS = "|x|", "x", "output channel"
MOST_TICKS = 12


class TensorPage(ExplorerPage):
    """An explorer, and what is drawn in its plots."""

    def plot(self, title: str, fits: str, arg=None) -> dict:
        """Wait until a plot, by the title of its axis, is as it should be, and return what is drawn."""
        found = self.page.wait_for_function(
            f"([title, arg]) => {{ const now = ({_PLOT})(title); return now && ({fits}) && now; }}", arg=[title, arg]
        )
        return found.json_value()

    def bring(self, title: str) -> None:
        """Scroll a plot into the window, where it is drawn."""
        self.page.evaluate(
            """(title) => [...document.querySelectorAll('.js-plotly-plot')].find(
                 (p) => p._fullLayout.xaxis.title.text === title).scrollIntoView({ block: 'center' })""",
            title,
        )


@pytest.fixture
def open_tensor(lab, page):
    def open_(name, theme="light"):
        url, root = lab
        write_notebook(root / f"{name}.ipynb", [CELL])
        notebook = NotebookPage(page, url, f"{name}.ipynb", theme=theme)
        notebook.command("application:toggle-left-area")
        notebook.run_all()
        return TensorPage(page)

    return open_


def test_a_held_histogram_is_laid_over_the_next_tensor_and_let_go(open_tensor, artefacts):
    from playwright.sync_api import expect

    explorer = open_tensor("held")
    page = explorer.page
    hold, over = page.get_by_test_id("tc-hold"), page.get_by_test_id("tc-over")
    explorer.settle()
    alone = explorer.plot(HISTOGRAM, "now.drawn > 0")
    hold.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=tc-hold][aria-pressed=true]")
    explorer.settle()
    assert over.is_hidden(), "nothing lies over the tensor itself"
    explorer.select("conv2")
    over.wait_for()
    explorer.wait_text("tc-over", "conv1")
    explorer.settle()
    both = explorer.plot(HISTOGRAM, "now.traces.at(-1).visible === true && now.drawn >= 2")
    # The axis has room for both.
    assert both["x"][1] >= alone["x"][1] * 0.99
    for _ in range(2):
        page.get_by_test_id("tc-counts-linear").click()
        linear = explorer.plot(HISTOGRAM, "now.y[0] === 0 && now.traces.at(-1).visible === true")
        assert 2 <= linear["ticks"][1] <= MOST_TICKS
        page.get_by_test_id("tc-counts-log").click()
        explorer.plot(HISTOGRAM, "now.y[0] < 0")
    assert_tidy(page, "tc-explorer", (1280, 853, 800, 700), artefacts)
    page.set_viewport_size({"width": 1280, "height": 1400})
    explorer.settle()

    # What is held stays where batches come, and goes when it is pressed.
    explorer.press("tc-forward")
    explorer.wait_text("tc-progress", "batch 4 of 4")
    explorer.settle()
    assert over.is_visible()
    over.click()
    over.wait_for(state="hidden")
    explorer.plot(HISTOGRAM, "now.traces.at(-1).visible !== true")
    explorer.select("conv1")
    expect(hold).to_have_attribute("aria-pressed", "false")
    explorer.settle()
    expect(hold).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_weights_by_channel_and_values_with_their_sign(open_tensor, artefacts, theme):
    explorer = open_tensor(f"weights-{theme}", theme)
    page = explorer.page
    explorer.bring(WEIGHTS)
    explorer.settle()
    drawn = explorer.plot(WEIGHTS, "now.bars >= 20 && now.words.length === 0")
    assert sorted(at for trace in drawn["traces"] for at in trace["at"]) == list(range(20))
    explorer.wait_text("tc-note-weights", "conv1 (Conv) · 20 channels")

    empty = explorer.plot(SIGNED, "now.words.length === 1")
    assert "press “count”" in empty["words"][0]
    explorer.press("tc-act-signed")
    counted = explorer.plot(SIGNED, "now.traces[0].visible === true && now.words.length === 0 && now.drawn === 3")
    explorer.wait_text("tc-note-signed", "batch 3 alone, 50 samples")
    low, high = (counted["traces"][k]["at"][0] for k in (1, 2))
    assert low == -high
    assert counted["x"][0] < 0 < counted["x"][1]
    page.get_by_test_id("tc-amax").fill("1.5")
    page.keyboard.press("Enter")
    explorer.plot(SIGNED, "now.traces[2].at[0] === 1.5 && now.traces[1].at[0] === -1.5")

    explorer.settle()
    explorer.bring(WEIGHTS)
    page.screenshot(path=artefacts / f"explorer-tensor-{theme}.png")
    assert_tidy(page, "tc-explorer", (853, 700), artefacts)
    page.set_viewport_size({"width": 1280, "height": 1400})

    # From a layer of few channels to one of many: the axis has as many ticks as it has room for.
    assert drawn["ticks"][0] == 10
    explorer.select("ip2")
    few = explorer.plot(WEIGHTS, "now.bars === 10 && now.words.length === 0")
    assert few["ticks"][0] == 10
    explorer.select("relu1")
    many = explorer.plot(WEIGHTS, "now.bars >= 400 && now.words.length === 0")
    assert 2 <= many["ticks"][0] <= MOST_TICKS

    # No layer with weights makes the images that are fed.
    explorer.select("data")
    fed = explorer.plot(WEIGHTS, "now.words.length === 1 && now.bars === 0")
    assert "no layer with weights makes this tensor" in fed["words"][0]
    explorer.plot(SIGNED, "now.words.length === 1")
    explorer.press("tc-act-signed")
    # Pixels from 0 to 1 leave the negative half of the range empty: both ends of it are on the axis.
    explorer.plot(SIGNED, "now.words.length === 0 && now.drawn === 3 && now.x[0] < -0.9 && now.x[0] > -1.5")


def test_a_user_in_a_hurry_is_told_what_cannot_be(open_tensor):
    explorer = open_tensor("hurry")
    page = explorer.page
    page.get_by_test_id("tc-play").dblclick()
    explorer.wait_text("tc-message", "Finished")
    explorer.settle()
    amax = page.get_by_test_id("tc-amax")
    before = amax.input_value()
    for typed, words in (("<b>1</b>", "'<b>1</b>' is not a number"), ("-3", "greater than 0"), ("1e999", "not inf")):
        amax.fill(typed)
        page.keyboard.press("Enter")
        explorer.wait_text("tc-notice", words)
        # What was refused goes back to what it was.
        page.wait_for_function(
            "(before) => document.querySelector('[data-testid=tc-amax]').value === before", arg=before
        )
    page.get_by_test_id("tc-notice").locator("button").click()
    page.get_by_test_id("tc-notice").wait_for(state="hidden")

    # The line is dragged out of the plot to the left: that is no threshold, and it goes back.
    explorer.drag_line(-2.0)
    explorer.wait_text("tc-notice", "greater than 0")
    explorer.line_at(float(before))
    # To the right it stays where it was let go, and is marked at the edge.
    explorer.drag_line(9.0)
    explorer.wait_method("mine")
    explorer.settle()
    assert float(amax.input_value()) > float(before)
    assert page.locator(".js-plotly-plot b").count() == 0, "no name and no text became markup"
