"""Odd tensors and early states in the browser: nothing jumps, nothing is cut off, nothing runs into its neighbour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.explorer_page import ExplorerPage
from tests.ui.lab import NotebookPage, write_notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
CELL = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets import CalibrationExplorer
odd = np.random.default_rng(0).standard_normal(400).astype(np.float32)
odd[:7], odd[7:9] = np.nan, np.inf
names = ["images", "all_zero", "empty", "has_nan_inf", "only_nan", "constant", "enormous", "usual", "another"]
special = {{"all_zero": np.zeros(400, np.float32), "empty": np.zeros(0, np.float32), "has_nan_inf": odd,
           "only_nan": np.full(400, np.nan, np.float32), "constant": np.full(400, 2.5, np.float32),
           "enormous": np.full(400, -3e38, np.float32)}}
session = synthetic_session(names=names, special=special, groups=(("usual", "another"),))
CalibrationExplorer(session)
"""

PLACES = """() => ['tc-note-overview', 'tc-export-write', 'tc-rows']
  .map((id) => document.querySelector(`[data-testid=${id}]`))
  .concat([...document.querySelectorAll('.trtcal-root .js-plotly-plot')])
  .filter(Boolean).map((n) => Math.round(n.getBoundingClientRect().top))"""
CUT = """() => ((n) => n.scrollWidth > n.clientWidth || n.scrollHeight > n.clientHeight)
  (document.querySelector('[data-testid=tc-message]'))"""
STICKING_OUT = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => {
  const box = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('.annotation-text')].filter((n) => {
    const words = n.getBoundingClientRect();
    return words.width && (words.left < box.left || words.right > box.right);
  }).map((n) => n.textContent);
})"""
COLLIDING = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => {
  const boxes = [...plot.querySelectorAll('.xtick text')].map((n) => n.getBoundingClientRect()).filter((b) => b.width);
  boxes.sort((a, b) => a.left - b.left);
  return boxes.slice(1).map((b, i) => boxes[i].right - b.left).filter((overlap) => overlap > 0);
})"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_jumps_is_cut_off_or_collides(lab, page, artefacts, theme):
    name = f"states-{theme}"
    write_notebook(lab[1] / f"{name}.ipynb", [CELL])
    NotebookPage(page, lab[0], f"{name}.ipynb", theme=theme).run_all()
    explorer = ExplorerPage(page)
    explorer.settle()
    assert not page.evaluate(CUT), "what to do before the first batch"
    before = page.evaluate(PLACES)
    assert len(before) >= 5
    assert page.evaluate(STICKING_OUT) == []

    explorer.press("tc-play")
    explorer.wait_text("tc-message", "Finished")
    for tensor in ("all_zero", "empty", "only_nan", "constant", "enormous", "usual", "has_nan_inf"):
        explorer.select(tensor)
        explorer.settle()
        assert page.evaluate(PLACES) == before, f"{tensor} moved something"
        page.screenshot(path=artefacts / f"states-{tensor}-{theme}.png")
    assert page.evaluate(COLLIDING) == []
    explorer.wait_text("tc-note-overview", "1 off the axis")
