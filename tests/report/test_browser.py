"""The report in a real browser, opened from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.debug.hazards import find_hazards
from trtcal_widgets.report import write_report

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = sample.calibration_images()
    with CalibrationSession(sample.model_path(), data, batch_size=10, max_batches=2) as session:
        session.run()
        write_report(session, path, hazards=find_hazards(session))
    return Path(path).as_uri()


@pytest.fixture
def open_page(browser, report):
    """Open the report; afterwards nothing may have been asked of a network and nothing complained about."""
    opened = []

    def open_(**options):
        page = browser.new_page(**options)
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if r.url != report else None)
        page.goto(report)
        opened.append((page, complaints))
        return page

    yield open_
    for page, complaints in opened:
        assert complaints == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_can_be_read(open_page, scheme, width):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # WCAG AA asks for 4.5 between text and what it stands on.
    ratios = page.evaluate(
        """() => {
          const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
          const behind = (e) => {
            for (; e; e = e.parentElement) {
              const c = getComputedStyle(e).backgroundColor;
              if (!c.startsWith("rgba(0, 0, 0, 0")) return c;
            }
          };
          return [...document.querySelectorAll("h1, h2, p, li, td, th, dt, dd, .badge, .lead, small, a, summary")]
            .filter((e) => e.textContent.trim())
            .map((e) => {
              const [x, y] = [light(getComputedStyle(e).color), light(behind(e))];
              return [(Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05), e.outerHTML.slice(0, 120)];
            });
        }"""
    )
    assert len(ratios) > 50
    assert min(ratios)[0] >= 4.5, min(ratios)


def numbers(page, column):
    return page.eval_on_selector_all(
        f"#worst ~ div tbody tr td:nth-child({column})", "cells => cells.map((c) => parseFloat(c.dataset.v))"
    )


def test_a_heading_sorts_and_sorts_back(open_page):
    page = open_page()
    before = numbers(page, 7)
    assert before == sorted(before)
    heading = page.locator("#worst ~ div th").nth(6)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(page, 7) == sorted(before, reverse=True)


def test_without_scripts_nothing_is_missing(open_page, browser):
    with_scripts = open_page().locator("main").inner_text()
    page = open_page(java_script_enabled=False)
    assert page.locator("th button").count() == 0
    assert page.locator("table.sortable").count() > 0
    assert page.locator("main").inner_text() == with_scripts
