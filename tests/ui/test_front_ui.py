"""The front of time and accuracy in JupyterLab: drawn when tuning is done, a click takes a plan."""

from __future__ import annotations

import re

import pytest

from tests.ui.test_debugger_ui import SHOTS, by, open_debugger  # noqa: F401 - the fixture
from tests.ui.tidy import settle

pytestmark = [pytest.mark.ui, pytest.mark.slow]

TUNED = """\
from tests.support.recorded_device import RecordedDevice
own = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
own.run()
debugger = AccuracyDebugger(own, Evaluation(sample.test_images(), batch_size=100, max_batches=2))
debugger.run()
debugger.debugging.tune(RecordedDevice())
debugger
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_front_is_drawn_and_a_click_takes_a_plan(open_debugger, theme):  # noqa: F811 - the fixture
    from playwright.sync_api import expect

    page = open_debugger(f"front-{theme}", TUNED, theme=theme)
    front = page.locator(".tc-dbg-sqnr").first
    front.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelectorAll('.tc-dbg-sqnr .main-svg').length >= 2")
    by(page, "tc-dbg-tune").wait_for()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.locator("[data-testid=tc-debugger]").first.screenshot(path=SHOTS / f"front-{theme}.png")
    settle(page, "tc-debugger")
    plan = by(page, "tc-dbg-plan")
    assert not re.search("conv1|ip1|keep", plan.inner_text())
    x, y = page.evaluate(
        """() => {
        const plot = [...document.querySelectorAll('.js-plotly-plot')].find(
          (p) => p.data.some((t) => t.name === 'none is both faster and more accurate'));
        plot.scrollIntoView({ block: 'center' });
        const trace = plot.data.find((t) => t.name === 'none is both faster and more accurate');
        const box = plot.getBoundingClientRect(), l = plot._fullLayout;
        const at = trace.text.findIndex((words) => words.includes('click to take'));
        return [box.left + l._size.l + l.xaxis.d2p(trace.x[at]), box.top + l._size.t + l.yaxis.d2p(trace.y[at])];
        }"""
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    expect(plan).to_contain_text(re.compile("conv1|ip1|keep"))
