"""CacheViewer in JupyterLab: what a user does with it, at 100,000 rows, in both themes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.lab import NotebookPage, write_notebook
from tests.ui.tidy import assert_tidy, settle

pytestmark = [pytest.mark.ui, pytest.mark.slow]

SHOTS = Path(__file__).resolve().parents[2] / ".ci" / "artefacts"
ROWS = 100_000
EVIL = "<img src=x onerror=window.hacked=1>"


def write_caches(folder):
    """A large cache with odd rows at its beginning, and a copy in which every thousandth scale is doubled."""
    rows = [(EVIL, "3f800000"), ("/zero", "0"), ("/mask", "7f800000")]
    rows += [(f"/model.{i % 40}/layer{i}/Conv_output_0", f"{0x3C000000 + 64 * (i % 7919):x}") for i in range(3, ROWS)]
    doubled = [
        (name, f"{int(hex_, 16) + 0x00800000:x}" if i % 1000 == 999 else hex_) for i, (name, hex_) in enumerate(rows)
    ]
    for path, content in (("a.cache", rows), ("b.cache", doubled)):
        text = "".join(f"{name}: {hex_}\n" for name, hex_ in content)
        (folder / path).write_text("TRT-8601-EntropyCalibration2\n" + text)


@pytest.fixture(scope="module")
def viewer(lab):
    """A notebook with a viewer of two large caches."""
    folder = lab[1] / "viewer"
    folder.mkdir()
    write_caches(folder)
    code = 'from trtcal_widgets import CacheViewer\nviewer = CacheViewer("a.cache", other="b.cache")\nviewer'
    write_notebook(folder / "viewer.ipynb", [code])
    return "viewer/viewer.ipynb"


def by(page, testid):
    return page.locator(f"[data-testid={testid}]")


def names(page):
    """Names of the rows on screen, from the top."""
    found = by(page, "tc-cache-row").evaluate_all(
        "rows => rows.map(row => [parseInt(row.style.top), row.querySelector('.tc-c-name').textContent])"
    )
    return [name for _, name in sorted(found)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_looking_into_a_large_cache(lab, viewer, page, theme):
    from playwright.sync_api import expect

    page.set_viewport_size({"width": 1280, "height": 1150})
    NotebookPage(page, lab[0], viewer, theme=theme).run_all()
    expect(by(page, "tc-cache-row").first).to_be_visible(timeout=60_000)

    # names are text
    settle(page, "tc-cache-viewer")
    assert names(page)[0] == EVIL
    assert page.evaluate("window.hacked") is None

    # far down in the file: the rows there are fetched, and few are in the page at a time
    by(page, "tc-cache-rows").evaluate("rows => { rows.scrollTop = 24 * 54321; }")
    expect(page.get_by_text("/model.1/layer54321/Conv_output_0", exact=True).first).to_be_visible()
    settle(page, "tc-cache-viewer")
    assert by(page, "tc-cache-row").count() < 60

    # what is odd, explained
    by(page, "tc-cache-group-inf").click()
    expect(by(page, "tc-cache-row")).to_have_count(1)
    expect(by(page, "tc-cache-group-text")).to_contain_text("attention mask")

    # the difference, largest change first; the keyboard walks through it
    by(page, "tc-cache-group-changed").click()
    expect(by(page, "tc-cache-count-shown")).to_have_text(f"{ROWS // 1000:,} of {ROWS:,} rows")
    by(page, "tc-cache-sort-ratio").click()
    by(page, "tc-cache-row").filter(has_text="layer999/").click()
    expect(by(page, "tc-cache-detail-name")).to_have_text("/model.39/layer999/Conv_output_0")
    page.keyboard.press("ArrowDown")
    expect(by(page, "tc-cache-detail-name")).to_have_text("/model.39/layer1999/Conv_output_0")
    expect(by(page, "tc-cache-detail-numbers")).to_contain_text("B / A 2.0")

    # search, from the keyboard, with a word of the name
    page.keyboard.press("/")
    expect(by(page, "tc-cache-search")).to_be_focused()
    page.keyboard.type("LAYER99999")
    expect(by(page, "tc-cache-count-shown")).to_have_text(f"1 of {ROWS:,} rows")
    page.keyboard.press("Escape")
    expect(by(page, "tc-cache-count-shown")).to_have_text(f"{ROWS // 1000:,} of {ROWS:,} rows")

    # which TensorRT would take it
    by(page, "tc-cache-version").fill("11.1")
    by(page, "tc-cache-version").press("Enter")
    expect(by(page, "tc-cache-verdict")).to_contain_text("Q/DQ")
    expect(by(page, "tc-cache-verdict")).to_have_attribute("data-kind", "error")

    # the plot is in the notebook's colours
    dark = theme == "dark"
    expect(page.locator(".trtcal-root.trtcal-dark")).to_have_count(1 if dark else 0)
    wanted = "rgb(86, 180, 233)" if dark else "rgb(0, 114, 178)"
    expect(page.locator(".scatterlayer .trace").first.locator("path").first).to_have_css("fill", wanted)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.locator(".trtcal-root").screenshot(path=SHOTS / f"cache-viewer-{theme}.png")
    assert_tidy(page, "tc-cache-viewer", (1280, 890, 850, 700, 560), SHOTS)
