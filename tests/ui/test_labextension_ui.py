"""The JupyterLab extension in JupyterLab: what a double click opens, and what the menus do. No kernel runs for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request

import pytest

from tests.ui.lab import NotebookPage, await_lab, box_of, command, jupyterlab
from trtcal_widgets import CalibrationCache, CalibrationSession, sample
from trtcal_widgets.formats.reading import convert

pytestmark = [pytest.mark.ui, pytest.mark.slow]

ROWS = 10_000
EVIL = "<img src=x onerror=window.hacked=1>"
LEGACY = "03ff00000000000003feffffde7210be9\ndata: 3c008912\nprob: 3c010a14\n"


def write_files(folder):
    """One file of each kind, under names that people give them."""
    rows = [(EVIL, "3f800000"), ("/zero", "0"), ("/mask", "7f800000"), ("/nan", "7fc00000"), ("a\u202eb\x1b: c", "1")]
    rows += [
        (f"/model.{i % 40}/layer{i}/Conv_output_0", f"{0x3C000000 + 640 * (i % 7919):x}")
        for i in range(len(rows), ROWS)
    ]
    text = "TRT-101401-EntropyCalibration2\n" + "".join(f"{name}: {digits}\n" for name, digits in rows)
    (folder / "big.cache").write_text(text)
    doubled = {f"/model.{i % 40}/layer{i}/Conv_output_0" for i in range(999, ROWS, 1000)}
    other = [(n, f"{int(d, 16) + 0x00800000:x}" if n in doubled else d) for n, d in rows]
    (folder / "doubled.cache").write_text(
        "TRT-101401-EntropyCalibration2\n" + "".join(f"{name}: {digits}\n" for name, digits in other)
    )
    (folder / "long.cache").write_text(
        "TRT-8601-EntropyCalibration2\n"
        + "".join(f"{'backbone/' * 20}layer{i}/Conv_output: 3f800000\n" for i in range(1000, 1100))
    )
    (folder / "CalibrationTable").write_text(LEGACY)
    (folder / "notes.cache").write_text("buy milk\n")
    (folder / f"{EVIL[:13]}.cache").write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run()
        session.save(folder / "mnist.trtcal")
        cache = session.to_cache(version="8.6.1")
    cache.write(folder / "mnist.cache")
    (folder / "lenet.dynamic-range.txt").write_bytes(convert(cache, "ranges"))
    (folder / "lenet.flatbuffers").write_bytes(convert(cache, "flatbuffers"))
    shutil.copy(sample.model_path(), folder / "lenet.onnx")
    (folder / "damaged.onnx").write_bytes(b"nothing of the kind")
    (folder / "cut.trtcal").write_bytes((folder / "mnist.trtcal").read_bytes()[100:])


def write_digits(folder):
    """A folder of images that fits the sample model."""
    from PIL import Image

    folder.mkdir()
    for i in range(40):
        Image.linear_gradient("L").rotate(9 * i).resize((28, 28)).save(folder / f"{i:02}.png")


@pytest.fixture(scope="session")
def served(lab):
    """The folder of the files, and JupyterLab's address."""
    root = lab[1] / "files"
    root.mkdir()
    write_files(root)
    write_digits(root / "digits")
    return lab[0], root


class Lab:
    """JupyterLab in a page, seen as its user does."""

    def __init__(self, page, url: str, folder: str = "files") -> None:
        self.page, self.url = page, url
        if folder:
            command(page, "filebrowser:open-path", {"path": folder})
            page.locator(".jp-BreadCrumbs-item", has_text=folder.rsplit("/", 1)[-1]).wait_for()
        page.wait_for_selector(".jp-DirListing-item")

    def item(self, name: str):
        return self.page.locator(".jp-FileBrowser .jp-DirListing-item").filter(
            has=self.page.locator(".jp-DirListing-itemText", has_text=re.compile(f"^{re.escape(name)}$"))
        )

    def open(self, name: str):
        self.item(name).dblclick()
        self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current", has_text=name).wait_for()

    def menu(self, name: str, *labels: str) -> None:
        """Choose from the context menu of a file."""
        self.item(name).click(button="right")
        for label in labels[:-1]:
            self.page.locator(".lm-Menu-itemLabel", has_text=label).hover()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(labels[-1])}$")).click()

    def menu_labels(self, name: str) -> list[str]:
        self.item(name).click(button="right")
        self.page.locator(".lm-Menu-itemLabel", has_text="Open With").wait_for()
        labels = self.page.locator(".lm-Menu-itemLabel >> visible=true").all_text_contents()
        self.page.keyboard.press("Escape")
        self.page.locator(".lm-Menu").wait_for(state="detached")
        return labels

    def by(self, testid: str):
        return self.page.locator(f"[data-testid={testid}] >> visible=true")

    def theme(self, name: str) -> None:
        command(self.page, "apputils:change-theme", {"theme": f"JupyterLab {name}"})
        wanted = "true" if name == "Light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached")

    def first_row(self):
        """The name at the top."""
        return self.page.locator(".trtcal-row[style*='top: 0px'] .trtcal-cell.trtcal-name >> visible=true").first

    def names(self) -> list[str]:
        """Names of the rows on screen, from the top."""
        found = self.by("trtcal-row").evaluate_all(
            "rows => rows.map(row => [parseInt(row.style.top), row.querySelector('.trtcal-name').textContent])"
        )
        return [name for _, name in sorted(found)]

    def kernels(self) -> list:
        with urllib.request.urlopen(f"{self.url}/api/kernels") as answer:  # noqa: S310 - our own server
            return json.load(answer)

    def wait_colors(self, there: tuple[int, int, int], gone: tuple[int, int, int]) -> None:
        """Wait until the picture of the ranges has a pixel of the one colour and none of the other."""
        self.page.wait_for_function(
            """(colors) => {
              const canvas = [...document.querySelectorAll('[data-testid=trtcal-ranges] canvas')]
                .find((node) => node.getClientRects().length);
              if (!canvas || canvas.width <= 300) return false;
              const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
              const has = ([r, g, b]) => {
                for (let i = 0; i < data.length; i += 4)
                  if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
                return false;
              };
              return has(colors[0]) && !has(colors[1]);
            }""",
            arg=[there, gone],
        )


def test_a_double_click_opens_each_kind_without_a_kernel(served, page, artefacts):
    from playwright.sync_api import expect

    lab = Lab(page, served[0])
    before = len(lab.kernels())
    for name, what, rows in [
        ("mnist.cache", "TensorRT calibration cache · EntropyCalibration2 · TensorRT 8.6.1", "data"),
        ("CalibrationTable", "Legacy TensorRT calibration table · LegacyCalibration · quantile 1", "data"),
        ("lenet.dynamic-range.txt", "Dynamic-range text file", "data"),
        ("lenet.flatbuffers", "ONNX Runtime calibration table in flatbuffers", "data"),
        ("mnist.trtcal", "Calibration session · 10 tensors", "data"),
        ("lenet.onnx", "ONNX model · 9 layers", "conv1"),
    ]:
        lab.open(name)
        expect(page.locator(".trtcal-title >> visible=true")).to_contain_text(what)
        expect(page.locator(".trtcal-title >> visible=true")).to_contain_text(name)
        expect(lab.first_row()).to_have_text(rows)
    lab.by("trtcal-row").nth(1).click()
    page.screenshot(path=artefacts / "labextension-onnx-light.png")
    lab.open("mnist.trtcal")
    expect(lab.by("trtcal-summary")).to_contain_text("10 batches of 50, 500 samples")
    lab.by("trtcal-row").filter(has_text="conv1").click()
    expect(lab.by("trtcal-details")).to_contain_text("One scale for conv1, pool1")
    expect(page.locator(".trtcal-bar >> visible=true")).to_have_count(10)
    page.screenshot(path=artefacts / "labextension-session-light.png")
    assert len(lab.kernels()) == before

    # what is none of them is said, and opens in the editor
    lab.open("notes.cache")
    expect(lab.by("trtcal-refusal")).to_contain_text("is not the header of a calibration cache")
    lab.by("trtcal-open-editor").click()
    expect(page.locator(".jp-FileEditor >> visible=true")).to_contain_text("buy milk")
    lab.open("damaged.onnx")
    expect(lab.by("trtcal-refusal")).to_contain_text("this is not an ONNX model, or it is damaged")
    lab.open("cut.trtcal")
    expect(lab.by("trtcal-refusal")).to_contain_text("this is not a saved session, or it is damaged")


def test_nothing_goes_on_from_a_file_that_cannot_be_shown(served, page):
    """Neither a comparison nor a notebook whose first cell fails: the reason is said at once."""
    from playwright.sync_api import expect

    url, root = served
    lab = Lab(page, url)
    lab.open("notes.cache")
    expect(lab.by("trtcal-refusal")).to_be_visible()
    for label in ("Compare with…", "Open in a notebook"):
        page.locator(".jp-Toolbar-item >> visible=true").get_by_text(label).click()
        expect(page.locator(".jp-Dialog")).to_contain_text("is not the header of a calibration cache")
        page.locator(".jp-Dialog-footer button").click()
        expect(page.locator(".jp-Dialog")).to_have_count(0)
    lab.menu("damaged.onnx", "Calibrate for TensorRT…")
    expect(page.locator(".jp-Dialog")).to_contain_text("damaged.onnx: this is not an ONNX model, or it is damaged")
    page.locator(".jp-Dialog-footer button").click()
    assert not list(root.glob("*notes*.ipynb")) + list(root.glob("*damaged*.ipynb"))


def test_what_is_done_stays_when_the_file_is_written_anew(served, page):
    """The focus and the place in a text, what is in view, and the TensorRT that was asked about."""
    from playwright.sync_api import expect

    url, root = served
    head, path = "TRT-8601-EntropyCalibration2\n", root / "growing.cache"
    rows = [f"layer{i}: 3f800000\n" for i in range(400)]
    path.write_text(head + "".join(rows[:300]))
    lab = Lab(page, url)
    lab.open("growing.cache")
    lab.by("trtcal-version").select_option("10.3.0")
    lab.by("trtcal-search").click()
    page.keyboard.type("layr")
    page.keyboard.press("ArrowLeft")
    path.write_text(head + "".join(rows[:350]))
    os.utime(path, (2e9, 2e9))
    expect(lab.by("trtcal-count")).to_have_text("0 of 350 rows")
    page.keyboard.type("e")
    expect(lab.by("trtcal-search")).to_have_value("layer")
    expect(lab.by("trtcal-count")).to_have_text("350 rows")
    expect(lab.by("trtcal-version")).to_have_value("10.3.0")
    expect(lab.by("trtcal-verdict")).to_contain_text("it was written by TensorRT 8.6.1")
    lab.by("trtcal-body").evaluate("body => { body.scrollTop = 24 * 200; }")
    expect(page.get_by_text("layer200", exact=True).first).to_be_visible()
    path.write_text(head + "".join(rows))
    os.utime(path, (2e9 + 1, 2e9 + 1))
    expect(lab.by("trtcal-count")).to_have_text("400 rows")
    assert lab.by("trtcal-body").evaluate("body => body.scrollTop") == 24 * 200

    # a part of the picture that is looked at closer stays; where it ends before that part, all of it is shown
    picture = lab.by("trtcal-ranges")
    box = box_of(picture)
    for edge, button in ((0.5, page.mouse.down), (0.6, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * edge, box["y"] + box["height"] / 2)
        button()
    closer = drawn(picture)
    path.write_text(head + "".join(rows[:399]))
    os.utime(path, (2e9 + 2, 2e9 + 2))
    expect(lab.by("trtcal-count")).to_have_text("399 rows")
    assert drawn(picture) == closer
    path.write_text(head + "".join(rows[:100]))
    os.utime(path, (2e9 + 3, 2e9 + 3))
    expect(lab.by("trtcal-count")).to_have_text("100 rows")
    assert drawn(picture) != closer
    whole = drawn(picture)
    picture.dblclick()
    assert drawn(picture) == whole
    path.write_text(head + "".join(rows))
    os.utime(path, (2e9 + 4, 2e9 + 4))
    expect(lab.by("trtcal-count")).to_have_text("400 rows")

    # a row that was chosen in a search is in view when the search ends
    lab.by("trtcal-search").fill("layer377")
    lab.by("trtcal-row").click()
    lab.by("trtcal-search").fill("")
    expect(page.locator(".trtcal-row[aria-selected=true] >> visible=true")).to_be_in_viewport()


def drawn(picture):
    """The picture of the ranges as it stands there some frames later."""
    return picture.evaluate(
        """async (node) => {
          for (let i = 0; i < 3; i += 1) await new Promise((done) => requestAnimationFrame(done));
          return node.querySelector('canvas').toDataURL();
        }"""
    )


def test_more_rows_than_a_browser_lays_out(served, page):
    """The last ones are there too, and what is clicked is what is seen."""
    from playwright.sync_api import expect

    url, root = served
    n = 600_000
    (root / "huge.cache").write_text("TRT-8601-EntropyCalibration2\n" + "".join(f"{i}: 3f800000\n" for i in range(n)))
    lab = Lab(page, url)
    lab.open("huge.cache")
    expect(lab.by("trtcal-count")).to_have_text(f"{n:,} rows", timeout=120_000)
    body = lab.by("trtcal-body")
    body.evaluate("body => { body.scrollTop = body.scrollHeight; }")
    last = page.locator(".trtcal-row >> visible=true").filter(has_text=re.compile(rf"^{n}{n - 1}"))
    expect(last).to_be_in_viewport(ratio=0.9)
    last.click()
    expect(lab.by("trtcal-details")).to_contain_text(str(n - 1))
    body.focus()
    page.keyboard.press("ArrowUp")
    expect(lab.by("trtcal-details")).to_contain_text(str(n - 2))
    page.keyboard.press("Home")
    expect(page.locator(".trtcal-row[aria-selected=true] >> visible=true")).to_be_in_viewport()
    expect(lab.by("trtcal-details")).to_contain_text("0")
    (root / "huge.cache").unlink()


def test_names_are_copied_as_they_are_and_long_ones_are_shown_short(served, page):
    from playwright.sync_api import expect

    url, root = served
    (root / "names.cache").write_text(
        "TRT-8601-EntropyCalibration2\na\u202eb\x1b: c: 1\n" + "x" * 100_000 + "end: 7fc00000\n"
    )
    lab = Lab(page, url)
    lab.open("names.cache")
    # the old way to copy is what plain http leaves
    page.evaluate(
        """() => {
          Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true });
          document.addEventListener('copy', () => { window.copied = document.activeElement.value; }, { once: true });
        }"""
    )
    lab.by("trtcal-row").first.click()
    expect(lab.by("trtcal-details")).to_contain_text(r"a\u202eb\x1b: c")
    page.get_by_role("button", name="Copy the name").click()
    expect(lab.by("trtcal-details")).to_contain_text("Copied")
    assert page.evaluate("() => window.copied") == "a\u202eb\x1b: c"
    page.evaluate("() => { delete navigator.clipboard; }")
    text = lab.by("trtcal-row").nth(1).locator(".trtcal-cell.trtcal-name").text_content()
    assert len(text) < 500
    assert text.endswith("xend")

    # a row that is not a number is drawn at the edge, and can be pointed at there
    box = box_of(lab.by("trtcal-ranges"))
    page.mouse.click(box["x"] + 62 + 0.75 * (box["width"] - 76), box["y"] + 27)
    expect(lab.by("trtcal-details")).to_contain_text("7fc00000")


def test_what_other_tools_write(served, page):
    from playwright.sync_api import expect

    from tests.formats.test_foreign import PPQ

    url, root = served
    (root / "resnet.v2").mkdir()
    (root / "resnet.v2" / "ppq.encodings").write_text(json.dumps(PPQ))
    shutil.copy(root / "CalibrationTable", root / "resnet.v2")
    lab = Lab(page, url, "files/resnet.v2")
    assert "View as Calibration File" in lab.menu_labels("CalibrationTable")  # for all that a folder has a dot
    lab.menu("ppq.encodings", "View as Calibration File")
    expect(lab.by("trtcal-count")).to_have_text("2 rows")
    expect(lab.by("trtcal-remarks")).to_contain_text("'w' has 2 scales: one per channel. It is left out.")
    expect(lab.by("trtcal-remarks").get_by_text("is dynamic")).to_have_count(0)
    lab.by("trtcal-more-left-out").click()
    expect(lab.by("trtcal-remarks").get_by_text("'dynamic' is dynamic")).to_be_visible()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_file_of_ten_thousand_rows(served, page, artefacts, theme):
    from playwright.sync_api import expect

    lab = Lab(page, served[0])
    lab.theme(theme)
    lab.open("big.cache")
    expect(lab.by("trtcal-count")).to_have_text(f"{ROWS:,} rows")

    # names are text, invisible characters are written out
    expect(lab.first_row()).to_have_text(EVIL)
    assert lab.names()[4] == r"a\u202eb\x1b: c"
    assert page.evaluate("window.hacked") is None
    assert page.locator(".trtcal-viewer img").count() == 0

    # few rows are in the page at a time, wherever one looks
    lab.by("trtcal-body").evaluate("body => { body.scrollTop = 24 * 5432; }")
    expect(page.get_by_text("/model.32/layer5432/Conv_output_0", exact=False).first).to_be_visible()
    assert lab.by("trtcal-row").count() < 80

    # what is odd is marked, filtered and explained; TensorRT 8 would ignore the file
    expect(lab.by("trtcal-remarks")).to_contain_text("its version has six digits (101401")
    lab.by("trtcal-group-inf").click()
    expect(lab.by("trtcal-row")).to_have_count(1)
    expect(lab.by("trtcal-group-text")).to_contain_text("attention mask")
    expect(lab.by("trtcal-row")).to_have_attribute("data-kind", "error")
    lab.by("trtcal-group-inf").click()

    # keyboard: search, walk, sort
    lab.by("trtcal-body").focus()
    page.keyboard.press("/")
    expect(lab.by("trtcal-search")).to_be_focused()
    page.keyboard.type("*LAYER999*conv*")
    expect(lab.by("trtcal-count")).to_have_text(f"11 of {ROWS:,} rows")
    page.keyboard.press("ArrowDown")
    expect(lab.by("trtcal-body")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(lab.by("trtcal-details")).to_contain_text("/model.30/layer9990/Conv_output_0")
    lab.by("trtcal-search").fill("")
    lab.by("trtcal-body").focus()
    page.keyboard.press("End")
    expect(lab.by("trtcal-details")).to_contain_text(f"layer{ROWS - 1}/")
    lab.by("trtcal-sort-amax").click()  # the chosen row stays in view
    expect(page.locator(".trtcal-row[aria-selected=true] >> visible=true")).to_contain_text(f"layer{ROWS - 1}/")
    lab.by("trtcal-body").focus()
    page.keyboard.press("Home")
    expect(lab.by("trtcal-details")).to_contain_text("/mask")

    # the picture follows theme and choice
    dark = theme == "Dark"
    in_light, in_dark = (0, 114, 178), (86, 180, 233)
    lab.wait_colors(*((in_dark, in_light) if dark else (in_light, in_dark)))
    lab.by("trtcal-row").nth(1).click()
    page.screenshot(path=artefacts / f"labextension-cache-{theme.lower()}.png")

    # the theme changes while it is open
    lab.theme("Light" if dark else "Dark")
    expect(lab.by("trtcal-ranges")).to_be_visible()
    page.wait_for_function(
        "wanted => getComputedStyle(document.querySelector('.trtcal-viewer')).getPropertyValue('--trtcal-a') == wanted",
        arg="#0072b2" if dark else "#56b4e9",
    )
    lab.wait_colors(*((in_light, in_dark) if dark else (in_dark, in_light)))


def test_two_files_and_a_notebook_of_them(served, page, artefacts):
    from playwright.sync_api import expect

    url, root = served
    lab = Lab(page, url)
    lab.open("big.cache")
    page.locator(".jp-Toolbar-item >> visible=true").get_by_text("Compare with…").click()
    dialog = page.locator(".jp-Open-Dialog")
    dialog.locator(".jp-DirListing-item", has_text="doubled.cache").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(lab.by("trtcal-title-b")).to_contain_text("doubled.cache")
    lab.by("trtcal-group-changed").click()
    expect(lab.by("trtcal-count")).to_have_text(f"10 of {ROWS:,} rows")
    lab.by("trtcal-sort-ratio").click()
    lab.by("trtcal-row").first.click()
    expect(lab.by("trtcal-details")).to_contain_text("B / A 2.0")
    page.screenshot(path=artefacts / "labextension-compare-light.png")

    page.locator(".jp-Toolbar-item >> visible=true").get_by_text("Open in a notebook").click()
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    notebook = json.loads((root / "big.ipynb").read_text())
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "".join(code[0]).endswith("CacheViewer('big.cache', other='doubled.cache')")

    lab.open("big.cache")
    lab.by("trtcal-end-comparison").click()
    expect(lab.by("trtcal-title-b")).to_have_count(0)

    # two files that are chosen in the file browser
    lab.item("mnist.cache").click()
    lab.item("CalibrationTable").click(modifiers=["Control"])
    lab.menu("mnist.cache", "Compare Calibration Files")
    expect(lab.by("trtcal-title-b")).to_be_visible()


def make_as_wide(lab: Lab, width: int, *, narrow: bool) -> None:
    """Make the view as wide as it takes for the table: how narrow a window JupyterLab fills depends on what is open.

    A view that becomes too high for its pane takes some room for a scroll bar, and the table hears of its width a
    little after it has it.
    """
    lab.by("trtcal-table").wait_for()
    lab.page.wait_for_function(
        """([width, narrow]) => {
          const table = [...document.querySelectorAll('.trtcal-table')].find(node => node.clientWidth > 0);
          const viewer = table.closest('.trtcal-viewer'), beside = viewer.offsetWidth - table.clientWidth;
          if (table.clientWidth !== width) viewer.style.maxWidth = `${width + beside}px`;
          return table.clientWidth === width && table.classList.contains('trtcal-narrow') === narrow;
        }""",
        arg=[width, narrow],
    )


@pytest.mark.parametrize("width", [300, 370, 400, 560, 900])
def test_narrow_panes(served, page, artefacts, width):
    """Nothing scrolls sideways, names and numbers of every kind of file can be read, and the head stays above them."""
    from playwright.sync_api import expect

    page.set_viewport_size({"width": 1400, "height": 800})
    lab = Lab(page, served[0])
    for name in ("big.cache", "mnist.trtcal", "lenet.onnx"):
        lab.open(name)
        narrow = width < 540 if name == "big.cache" else width < 700 if name == "mnist.trtcal" else width < 600
        make_as_wide(lab, width, narrow=narrow)
        row = lab.by("trtcal-row").nth(5)
        expect(row).to_be_visible()
        cut = page.locator(".trtcal-viewer >> visible=true").evaluate(
            """root => [...root.querySelectorAll('.trtcal-number, .trtcal-mono, dd, .trtcal-head')]
                .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
        )
        assert cut == []
        for box in ("trtcal-viewer", "trtcal-table", "trtcal-body"):
            overflow = page.locator(f".{box} >> visible=true").evaluate("box => box.scrollWidth - box.clientWidth")
            assert overflow <= 0, box
        heights = page.locator(".trtcal-body >> visible=true").evaluate("body => body.clientHeight")
        assert heights >= 120
    lab.open("big.cache")
    lab.by("trtcal-row").nth(5).click()
    name = page.locator(".trtcal-row[aria-selected=true] >> visible=true").locator(".trtcal-name")
    expect(name.locator(".trtcal-name-tail")).to_have_text("/Conv_output_0")
    assert name.locator(".trtcal-name-head").evaluate("node => node.clientWidth") > 40
    page.screenshot(path=artefacts / f"labextension-narrow-{width}.png")

    # of a name that has no room its middle goes: the end, which tells it from its neighbours, can be read
    lab.open("long.cache")
    make_as_wide(lab, width, narrow=width < 540)
    tail = lab.by("trtcal-row").nth(7).locator(".trtcal-name-tail")
    ends = tail.evaluate(
        """(tail) => {
          const range = document.createRange(), { length } = tail.textContent;
          range.setStart(tail.firstChild, length - 21);
          range.setEnd(tail.firstChild, length);
          const [text, box] = [range.getBoundingClientRect(), tail.getBoundingClientRect()];
          return [range.toString(), text.left - box.left, box.right - text.right];
        }"""
    )
    assert ends[0] == "layer1007/Conv_output"
    assert min(ends[1:]) > -1


def test_a_row_that_is_drawn_anew_while_it_is_clicked_is_chosen(served, page):
    """A table that is laid out or scrolled between the press and the release takes no click away."""
    lab = Lab(page, served[0])
    lab.open("big.cache")
    row = lab.by("trtcal-row").nth(5)
    row.hover()
    page.mouse.down()
    lab.by("trtcal-body").evaluate("body => body.dispatchEvent(new Event('scroll'))")
    page.mouse.up()
    page.locator(".trtcal-row[aria-selected=true] >> visible=true").wait_for()
    assert row.get_attribute("aria-selected") == "true"


def test_a_file_that_is_read_again_while_a_row_is_clicked(served, page):
    """The new rows, or two lines for each in a narrow pane, come after the click."""
    from playwright.sync_api import expect

    path = served[1] / "clicked.cache"
    path.write_text("TRT-8601-EntropyCalibration2\n" + "".join(f"row{i}: 3f800000\n" for i in range(20)))
    lab = Lab(page, served[0])
    lab.open("clicked.cache")
    lab.by("trtcal-row").nth(5).hover(position={"x": 60, "y": 8})
    page.mouse.down()
    path.write_text("TRT-8601-EntropyCalibration2\n" + "".join(f"row{i}: 3f800000\n" for i in range(30)))
    with page.expect_response(lambda answer: "clicked.cache" in answer.url):
        page.locator("[data-jp-item-name=reload] >> visible=true").locator("jp-button").dispatch_event("click")
    lab.by("trtcal-table").evaluate("table => { table.style.maxWidth = '330px'; }")
    page.wait_for_timeout(700)  # what would come now, comes
    assert lab.by("trtcal-row").count() == 20
    assert "trtcal-narrow" not in lab.by("trtcal-table").get_attribute("class")
    page.mouse.up()
    expect(lab.by("trtcal-count")).to_have_text("30 rows")
    expect(page.locator(".trtcal-row[aria-selected=true] >> visible=true")).to_contain_text("row5")


def test_a_file_that_changes_and_names_that_attack(served, page):
    from playwright.sync_api import expect

    url, root = served
    path = root / "changing.cache"
    path.write_text("TRT-8601-EntropyCalibration2\nbefore: 3f800000\n")
    lab = Lab(page, url)
    lab.open("changing.cache")
    expect(lab.by("trtcal-row")).to_contain_text("before")
    path.write_text("TRT-8601-EntropyCalibration2\nafter: 3f800000\nand more: 0\n")
    page.locator("[data-jp-item-name=reload] >> visible=true").click()
    expect(lab.by("trtcal-row")).to_have_count(2)
    expect(lab.first_row()).to_have_text("after")

    # whoever looks at a file need not ask: what was searched and chosen stays
    lab.by("trtcal-search").fill("a*")
    lab.by("trtcal-row").filter(has_text="and more").click()
    path.write_text("TRT-8601-EntropyCalibration2\nlater: 3f800000\nand more: 1\nalso: 1\n")
    os.utime(path, (2e9, 2e9))  # a clock that stands still for a second must not decide
    expect(lab.by("trtcal-count")).to_have_text("2 of 3 rows")
    expect(page.locator(".trtcal-row[aria-selected=true] >> visible=true")).to_contain_text("and more")

    # and of one that is gone it is said, with what was read last
    path.rename(root / "moved.cache")
    expect(lab.by("trtcal-gone")).to_contain_text("changing.cache was deleted, moved or renamed")
    expect(lab.by("trtcal-row")).to_have_count(2)
    page.locator("[data-jp-item-name=reload] >> visible=true").click()
    expect(lab.by("trtcal-refusal")).to_contain_text("changing.cache: there is no such file")
    (root / "moved.cache").rename(path)
    expect(lab.by("trtcal-row")).to_have_count(2)

    lab.open(f"{EVIL[:13]}.cache")
    expect(page.locator(".trtcal-title >> visible=true")).to_contain_text(f"{EVIL[:13]}.cache")
    assert page.locator(".trtcal-viewer img").count() == 0


_LAYOUT = "(await (await fetch('/lab/api/workspaces/desk')).text())"


def test_the_second_file_of_a_comparison_is_watched_as_the_first(served, page):
    from playwright.sync_api import expect

    url, root = served
    folder = root / "pair"
    folder.mkdir()
    first, second = folder / "a.cache", folder / "b.cache"
    head = "TRT-8601-EntropyCalibration2\n"
    first.write_text(head + "x: 3f800000\ny: 3f800000\n")
    second.write_text(head + "x: 3f800000\ny: 40000000\n")
    lab = Lab(page, url, "files/pair")
    lab.item("a.cache").click()
    lab.item("b.cache").click(modifiers=["Control"])
    lab.menu("a.cache", "Compare Calibration Files")
    expect(lab.by("trtcal-group-changed")).to_contain_text("1")

    later = iter(range(10))

    def write(path, text):
        path.write_text(text)
        os.utime(path, (2e9 + next(later),) * 2)  # a clock that stands still for a second must not decide

    # it is written anew: what was searched and chosen stays
    lab.by("trtcal-search").fill("y")
    lab.by("trtcal-row").first.click()
    write(second, head + "x: 40000000\ny: 40400000\n")
    expect(lab.by("trtcal-group-changed")).to_contain_text("2")
    expect(lab.by("trtcal-details")).to_contain_text("B / A 3.0")
    expect(lab.by("trtcal-gone")).to_be_hidden()

    # for a moment it is no cache, while it is written: that is said, what was read stays, no dialog comes up
    write(second, "TRT-86")
    expect(lab.by("trtcal-gone")).to_contain_text("b.cache, line 1")
    expect(lab.by("trtcal-gone")).to_contain_text("was read before")
    expect(lab.by("trtcal-details")).to_contain_text("B / A 3.0")
    write(second, head + "y: 3f000000\n")
    expect(lab.by("trtcal-details")).to_contain_text("B / A 0.5")
    expect(lab.by("trtcal-gone")).to_be_hidden()

    # the first one changes while the second one is gone
    second.rename(folder / "away")
    expect(lab.by("trtcal-gone")).to_contain_text("b.cache was deleted, moved or renamed")
    write(first, head + "y: 3f000000\n")
    expect(lab.by("trtcal-details")).to_contain_text("B / A 1.0")
    expect(lab.by("trtcal-gone")).to_contain_text("b.cache was deleted, moved or renamed")
    first.rename(folder / "away too")
    expect(lab.by("trtcal-gone")).to_contain_text("a.cache and b.cache were deleted")
    (folder / "away too").rename(first)
    (folder / "away").rename(second)
    expect(lab.by("trtcal-gone")).to_be_hidden()
    assert page.locator(".jp-Dialog").count() == 0

    # when the page is loaded again, both are there
    page.wait_for_function(
        "async () => (await (await fetch('/lab/api/workspaces/desk')).text()).includes('pair/b.cache')"
    )
    page.reload()
    await_lab(page)
    expect(lab.by("trtcal-title-b")).to_contain_text("b.cache")
    expect(lab.by("trtcal-title-a")).to_contain_text("a.cache")

    # what is gone by then is forgotten without a word
    gone = folder / "gone.cache"
    gone.write_text(head + "x: 3f800000\n")
    command(page, "filebrowser:open-path", {"path": "files/pair"})
    lab.open("gone.cache")
    page.wait_for_function(f"async () => {_LAYOUT}.includes('pair/gone.cache')")
    lab.open("a.cache")  # JupyterLab itself complains of the file in the page's address
    gone.unlink()
    page.reload()
    await_lab(page)
    page.wait_for_function(f"async () => !{_LAYOUT}.includes('pair/gone.cache')")
    assert page.locator(".jp-Dialog").count() == 0
    expect(lab.by("trtcal-title-b")).to_contain_text("b.cache")

    # renamed in JupyterLab it is followed; replaced by a file that is no calibration file, it is read no more
    command(page, "filebrowser:go-to-path", {"path": "files/pair"})
    page.evaluate("() => window.jupyterapp.serviceManager.contents.rename('files/pair/b.cache', 'files/pair/c.cache')")
    expect(lab.by("trtcal-title-b")).to_contain_text("c.cache")
    expect(lab.by("trtcal-gone")).to_be_hidden()
    lab.by("trtcal-end-comparison").click()
    expect(lab.by("trtcal-title-b")).to_have_count(0)
    lab.by("trtcal-search").fill("")
    (folder / "c.cache").unlink()
    write(first, head + "z: 1\n")
    expect(lab.first_row()).to_have_text("z")
    expect(lab.by("trtcal-gone")).to_be_hidden()


def test_a_viewer_writes_nothing(served, page):
    """Neither the file (whose content JupyterLab never had) nor a checkpoint, a copy of a whole model."""
    from playwright.sync_api import expect

    url, root = served
    folder = root / "untouched"
    folder.mkdir()
    for name in ("mnist.cache", "lenet.onnx", "mnist.trtcal"):
        shutil.copy(root / name, folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    lab = Lab(page, url, "files/untouched")
    for name in before:
        lab.open(name)
        expect(page.locator(".trtcal-title >> visible=true")).to_contain_text(name)
        page.keyboard.press("Control+s")
        page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
        expect(page.locator(".jp-Dialog")).to_contain_text("read-only")
        page.keyboard.press("Escape")
        expect(page.locator(".jp-Dialog")).to_have_count(0)
    # asking for a file's checkpoints makes their folder; nothing is in it
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_plain_text_stays_plain_text(served, page):
    from playwright.sync_api import expect

    lab = Lab(page, served[0])
    lab.menu("CalibrationTable", "Open With", "Editor")
    expect(page.locator(".jp-FileEditor >> visible=true")).to_contain_text("data: 3c008912")
    assert "Calibrate for TensorRT…" not in lab.menu_labels("mnist.cache")
    assert {"Calibrate for TensorRT…", "Show Layers"} <= set(lab.menu_labels("lenet.onnx"))
    assert "View as Calibration File" not in lab.menu_labels("lenet.onnx")


def test_calibrating_a_model_from_its_menu(served, page):
    from playwright.sync_api import expect

    url, root = served
    lab = Lab(page, url)
    lab.menu("lenet.onnx", "Calibrate for TensorRT…")
    page.locator(".jp-Open-Dialog .jp-DirListing-item", has_text="digits").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(page.locator(".trtcal-form")).to_contain_text("data float32[N,1,28,28]")
    lab.by("trtcal-batch-size").fill("20")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    assert (root / "calibrate-lenet.ipynb").is_file()
    assert not (root / "lenet.cache").exists()

    notebook = NotebookPage.__new__(NotebookPage)
    notebook.page = page
    notebook.run_all()
    expect(page.locator(".trtcal-root").first).to_be_visible(timeout=60_000)
    cache = CalibrationCache.read(root / "lenet.cache")
    assert cache.header == "TRT-8601-EntropyCalibration2"
    with CalibrationSession(root / "lenet.onnx", root / "digits", batch_size=20) as session:
        session.run()
        assert dict(cache.scales) == dict(session.to_cache(version="8.6.1").scales)
    with CalibrationSession.load(root / "lenet.trtcal") as saved:
        assert saved.status.recorded == 2


def test_launcher_and_palette(served, page):
    from playwright.sync_api import expect

    lab = Lab(page, served[0])
    page.locator(".jp-LauncherCard", has_text="Calibrate a model for TensorRT").click()
    dialog = page.locator(".jp-Open-Dialog")
    expect(dialog.locator(".jp-DirListing-item", has_text="lenet.onnx")).to_be_visible()
    expect(dialog.locator(".jp-DirListing-item", has_text="mnist.cache")).to_have_count(0)
    page.locator(".jp-Dialog .jp-mod-reject").click()
    page.evaluate("() => { window.jupyterapp.commands.execute('apputils:activate-command-palette'); }")
    page.keyboard.type("tensorrt calibration layers")
    page.locator(".lm-CommandPalette-item", has_text="Show the Layers of an ONNX Model").first.click()
    dialog.locator(".jp-DirListing-item", has_text="lenet.onnx").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(lab.by("trtcal-onnx")).to_contain_text("9 layers")


def test_without_the_extension(tmp_path, browser):
    from playwright.sync_api import expect

    root = tmp_path / "work"
    root.mkdir()
    (root / "CalibrationTable").write_text(LEGACY)
    (tmp_path / "home").mkdir()
    with jupyterlab(root, tmp_path / "home", extension=False) as url:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{url}/lab")
        await_lab(page)
        lab = Lab(page, url, "")
        assert page.evaluate("() => window.jupyterapp.commands.hasCommand('trtcal:calibrate')") is False
        lab.open("CalibrationTable")
        expect(page.locator(".jp-FileEditor >> visible=true")).to_contain_text("data: 3c008912")
        assert errors == []
        page.close()
