"""The picture of the network in a browser: it is drawn, walked with mouse and keys, and names stay text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.ui.lab import NotebookPage, write_notebook
from tests.widgets.networks import HOSTILE

pytestmark = [pytest.mark.ui, pytest.mark.slow]

CELL = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from tests.widgets import networks
from trtcal_widgets import CalibrationExplorer
session = networks.session_of(networks.GRAPH)
session.run()
session.update(selected=CHOSEN)
CalibrationExplorer(session)
"""

_OVERLAPS = """(view) => {
  const place = (e) => e.getBoundingClientRect(), frame = (e) => place(e.querySelector('rect'));
  const nodes = [...view.querySelectorAll('.tc-net-box, .tc-net-cut')], boxes = nodes.map(frame);
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const wide = nodes.filter((e) => [...e.querySelectorAll('text')].some((t) => place(t).right > frame(e).right + 1));
  const pairs = boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => over(a, b)).map(() => `over another: ${i}`));
  const words = nodes.filter((e) => e.querySelector('.tc-net-badge')
    && over(place(e.querySelector('.tc-net-badge circle')), place(e.querySelector('.tc-net-op'))));
  return [...wide.map((e) => e.textContent), ...pairs, ...words.map((e) => `letter over words: ${e.textContent}`)];
}"""


_BRANCH = re.compile(r"^branch\d/out\n")

_ABOVE = """(view) => {
  const place = (e) => e.querySelector('rect').getBoundingClientRect();
  const boxes = [...view.querySelectorAll('[data-testid=tc-net-box]')];
  const here = place(boxes.find((e) => 'chosen' in e.dataset));
  const higher = boxes.filter((e) => Math.abs(place(e).left - here.left) < 2 && place(e).top < here.top - 2);
  const nearest = higher.reduce((a, b) => (a && place(a).top > place(b).top ? a : b), null);
  return nearest ? nearest.getAttribute('aria-label').split('\\n')[0] : '';
}"""

_SCROLLED = "(e) => { const all = []; while ((e = e.parentElement)) all.push(e.scrollTop); return all; }"


@pytest.fixture
def open_explorer(lab, page):
    def open_(name, graph, chosen, *, width=1280, theme="light"):
        page.set_viewport_size({"width": width, "height": 1500})
        cell = CELL.replace("networks.GRAPH", f"networks.{graph}").replace("CHOSEN", repr(chosen))
        write_notebook(lab[1] / f"{name}.ipynb", [cell])
        notebook = NotebookPage(page, lab[0], f"{name}.ipynb", theme=theme)
        notebook.command("application:toggle-left-area")
        notebook.run_all()
        page.locator("[data-testid=tc-net-box][data-chosen]").wait_for(timeout=60_000)
        return page

    return open_


def chosen_is(page, name):
    from playwright.sync_api import expect

    # Whatever is cut of it in its box.
    box = page.locator("[data-testid=tc-net-box][data-chosen]")
    expect(box).to_have_attribute("aria-label", re.compile(rf"^{re.escape(name)}\n"))


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 880)])
def test_walking_with_the_mouse_and_the_arrow_keys(open_explorer, artefacts, theme, width):
    from playwright.sync_api import expect

    page = open_explorer(f"network-{theme}", "inception()", "pool", width=width, theme=theme)
    view = page.locator("[data-testid=tc-net]")
    expect(page.locator("[data-testid=tc-net-box]")).to_have_count(25)
    assert view.evaluate(_OVERLAPS) == []
    view.scroll_into_view_if_needed()
    page.locator(".tc-net-panel").screenshot(path=artefacts / f"network_{theme}_{width}.png")

    page.locator("[data-testid=tc-net-box]", has_text="branch3/conv0").click()
    chosen_is(page, "branch3/conv0")
    expect(page.locator("[data-testid=tc-tensor-name]")).to_have_text("branch3/conv0")

    view.focus()
    scrolled = view.evaluate(_SCROLLED)
    page.keyboard.press("ArrowRight")
    chosen_is(page, "branch3/out")
    page.keyboard.press("ArrowRight")
    chosen_is(page, "joined")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-testid=tc-net-box][data-chosen]")).to_have_attribute("aria-label", _BRANCH)
    above = view.evaluate(_ABOVE)
    assert re.match(_BRANCH, f"{above}\n"), "there is another one above what the first key leads to"
    page.keyboard.press("ArrowRight")
    chosen_is(page, "joined")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")  # before the answer has come: it walks on from where it is
    chosen_is(page, above)
    page.keyboard.press(" ")
    expect(view).to_be_focused()
    after = view.evaluate(_SCROLLED)
    assert after == scrolled, "neither the arrows nor Space scroll the page"
    expect(page.locator("[data-testid=tc-progress]")).to_contain_text("2")


def test_names_are_text_among_3000_layers_and_long_ones_are_cut(open_explorer, artefacts):
    page = open_explorer("network-long", "long(3000)", HOSTILE)
    view = page.locator("[data-testid=tc-net]")
    assert page.evaluate("() => document.title") != "hacked"
    assert view.locator("img").count() == 0
    assert view.evaluate(_OVERLAPS) == []
    names = view.locator(".tc-net-name").all_text_contents()
    assert any("…" in name for name in names)
    assert len(set(names)) == len(names), "what tells them apart is not cut"
    view.scroll_into_view_if_needed()
    page.locator(".tc-net-panel").screenshot(path=artefacts / "network_long.png")


def test_hundreds_of_readers_are_a_few_and_a_number(open_explorer, artefacts):
    page = open_explorer("network-fan", "fan(300)", "embedding")
    view = page.locator("[data-testid=tc-net]")
    assert page.locator("[data-testid=tc-net-cut]").text_content().endswith("and 293 more")
    assert page.locator("[data-testid=tc-net-box]").count() == 9
    assert view.evaluate(_OVERLAPS) == []
    view.scroll_into_view_if_needed()
    page.locator(".tc-net-panel").screenshot(path=artefacts / "network_fan.png")
