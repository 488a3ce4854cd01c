"""Make the pictures of docs/gallery.md: the screens in JupyterLab, on real models, light and dark.

    python tools/make_gallery.py [NAME ...]

Needs Chromium, and fetches PP-OCR's models and MiniLM (tests/support/models.py); the photographs are scikit-image's
(`pip install ".[test,benchmark]"`). Look at every picture before it is committed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.minilm import encode, minilm_model  # noqa: E402 - behind the path
from tests.support.models import ocr_model  # noqa: E402
from tests.ui.lab import CHROMIUM_FLAGS, NotebookPage, chromium_path, jupyterlab, write_notebook  # noqa: E402
from trtcal_widgets import CalibrationSession, ImageFolder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURES = ROOT / "docs" / "images" / "gallery"
PHOTOS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "page", "rocket")
THERE = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
PREPARED = "size=(480, 480), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), color='BGR'"
DETECTION = f"""\
from trtcal_widgets import CalibrationExplorer, CalibrationSession, ImageFolder
session = CalibrationSession("PP-OCRv4_det.onnx", ImageFolder("photos", {PREPARED}), batch_size=1)
session.run()
session.update(selected=CHOSEN)
CalibrationExplorer(session)
"""
CLASSIFIER = """\
from trtcal_widgets import CalibrationExplorer, CalibrationSession, ImageFolder
images = ImageFolder("lines", size=(48, 192), mean=0.5, std=0.5, color="BGR")
session = CalibrationSession("PP-OCR_cls.onnx", images, batch_size=8)
session.run()
session.update(selected="pool2d_9.tmp_0")
CalibrationExplorer(session)
"""
TRANSFORMER = """\
from trtcal_widgets import CalibrationExplorer, CalibrationSession
session = CalibrationSession("all-MiniLM-L6-v2.onnx", "sentences.npz", batch_size=8)
session.run()
session.update(selected="/encoder/layer.1/intermediate/intermediate_act_fn/Mul_1_output_0")
CalibrationExplorer(session)
"""
DEBUGGER = """\
from trtcal_widgets import AccuracyDebugger, CalibrationSession, Evaluation, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
session.run()
session.choose("pool1", amax=0.1)
debugger = AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100))
debugger.run()
debugger.debugging.find_plan()
debugger
"""
OCR_DEBUGGER = """\
import numpy as np
from trtcal_widgets import AccuracyDebugger, CalibrationSession, Evaluation, ImageFolder
prepared = {"size": (48, 192), "mean": 0.5, "std": 0.5, "color": "BGR"}
session = CalibrationSession("PP-OCR_cls.onnx", ImageFolder("lines", **prepared), batch_size=8)
session.run()
debugger = AccuracyDebugger(session, Evaluation(ImageFolder("lines", **prepared), batch_size=8))
debugger.run()
debugger
"""
DOCTOR = """\
from trtcal_widgets import CalibrationSession, DataDoctor, sample
from trtcal_widgets.doctor import examine
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=25)
session.run()
session.update(selected="conv2")
DataDoctor(session, report=examine(session))
"""
CACHES = """\
from trtcal_widgets import CacheViewer
CacheViewer("entropy.cache", other="by_hand.cache", model="PP-OCRv4_det.onnx")
"""
BUILD = """\
from tests.support.trt_fake import make_fake
from tests.support.trt_fake_base import Machine
from tests.support.trt_host_driver import HostDriver
from trtcal_widgets.gpu import memory
memory.open_driver = lambda prefer, device: HostDriver()
sys.modules["tensorrt"] = make_fake(Machine("10.16.1.11", memory.DeviceMemory(HostDriver())))
from trtcal_widgets import BuildPanel, CalibrationSession, sample
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
session.run()
BuildPanel(session, engine_path="lenet.engine")
"""


class Screen(NamedTuple):
    """What one picture shows: a cell's output, up to the height that is wanted."""

    cell: str
    part: str
    ready: str
    then: Callable[[Any], None] | None = None
    height: int = 2000


def _built(page: Any) -> None:
    page.get_by_test_id("tc-bld-build").click()
    page.get_by_text("The engine is built and saved").first.wait_for()


def _shown(chosen: str) -> str:
    return DETECTION.replace("CHOSEN", repr(chosen))


PLOTS = "document.querySelectorAll('.js-plotly-plot .main-svg').length >= 2"
SCREENS = {
    "explorer": Screen(_shown("conv2d_451.tmp_0"), "[data-testid=tc-explorer]", PLOTS),
    "network": Screen(CLASSIFIER, ".tc-net-panel", "document.querySelector('.tc-net-box')"),
    "transformer": Screen(TRANSFORMER, "[data-testid=tc-explorer]", PLOTS),
    "debugger": Screen(DEBUGGER, "[data-testid=tc-debugger]", PLOTS, height=2600),
    "debugger-ocr": Screen(OCR_DEBUGGER, "[data-testid=tc-debugger]", PLOTS, height=2600),
    "doctor": Screen(DOCTOR, ".trtcal-root", "document.querySelector('.trtcal-root')", height=2200),
    "caches": Screen(CACHES, ".trtcal-root", "document.querySelector('[data-testid=tc-cache-row]')"),
    "build": Screen(BUILD, "[data-testid=tc-build]", "document.querySelector('.trtcal-root')", _built),
}
FILES = {
    "extension-cache": "entropy.cache",
    "extension-session": "detection.trtcal",
    "extension-model": "all-MiniLM-L6-v2.onnx",
}


def main(wanted: list[str]) -> None:
    """Make the pictures of these names, or all."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    # Some screens show where files are: a path that says nothing of this machine.
    root = Path(tempfile.gettempdir()) / "demo"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    os.chdir(root)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        home = Path(scratch)
        furnish(root)
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        with jupyterlab(root, home) as url:
            for name, screen in SCREENS.items():
                if not wanted or name in wanted:
                    write_notebook(root / f"{name}.ipynb", [THERE + screen.cell])
                    with page_of(browser, screen.height) as page:
                        take(page, url, name, screen)
            for name, file in FILES.items():
                if not wanted or name in wanted:
                    with page_of(browser, 800) as page:
                        open_file(page, url, name, file)
        browser.close()


@contextmanager
def page_of(browser: Any, height: int) -> Iterator[Any]:
    """Open a page of 1280 pixels and that height."""
    context = browser.new_context(viewport={"width": 1280, "height": height})
    page = context.new_page()
    page.set_default_timeout(90_000)
    yield page
    context.close()


def take(page: Any, url: str, name: str, screen: Screen) -> None:
    """Run a notebook and take its output in both themes."""
    notebook = NotebookPage(page, url, f"{name}.ipynb")
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    if page.locator("[data-mime-type$='.stderr'], [data-mime-type$='.error']").count():
        raise SystemExit(f"{name}: " + page.locator(".jp-OutputArea-output").first.inner_text()[-800:])
    page.wait_for_function(f"() => Boolean({screen.ready})")
    if screen.then:
        screen.then(page)
    for theme in ("light", "dark"):
        notebook.set_theme(theme)
        part = page.locator(screen.part).first
        part.scroll_into_view_if_needed()
        save(settled(part), f"{name}-{theme}")


def open_file(page: Any, url: str, name: str, file: str) -> None:
    """Double click a file in JupyterLab and take the whole window in both themes."""
    page.goto(f"{url}/lab/workspaces/{name}?reset")
    page.wait_for_selector(".jp-DirListing-item")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.locator(".jp-DirListing-item", has_text=file).first.dblclick()
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current", has_text=file).wait_for()
    page.get_by_test_id("trtcal-row").first.wait_for()  # the file is read
    for theme in ("Light", "Dark"):
        page.evaluate(
            "(theme) => { window.jupyterapp.commands.execute('apputils:change-theme', {theme}); }",
            f"JupyterLab {theme}",
        )
        page.wait_for_selector(f"body[data-jp-theme-light={'true' if theme == 'Light' else 'false'}]", state="attached")
        save(settled(page.locator("#main")), f"{name}-{theme.lower()}")


def settled(part: Any) -> bytes:
    """Take a picture when two looks, 700 ms apart, find the same; what blinks may do so for ten seconds."""
    before = b""
    for _ in range(15):
        now = part.screenshot(animations="disabled", caret="hide")
        if now == before:
            break
        before = now
        part.page.wait_for_timeout(700)
    return before


def save(png: bytes, name: str) -> None:
    """Write a picture small enough for a repository."""
    path = PICTURES / f"{name}.webp"
    Image.open(BytesIO(png)).convert("RGB").save(path, quality=82, method=6)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KB")


def furnish(folder: Path) -> None:
    """Write the models, photographs, caches and the session that the screens show."""
    from skimage import data

    for which, name in (("det", "PP-OCRv4_det"), ("cls", "PP-OCR_cls")):
        (folder / f"{name}.onnx").write_bytes(ocr_model(which).read_bytes())
    (folder / "all-MiniLM-L6-v2.onnx").write_bytes(minilm_model().read_bytes())
    (folder / "photos").mkdir()
    (folder / "lines").mkdir()
    for name in PHOTOS:
        picture = Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB")
        picture.save(folder / "photos" / f"{name}.png")
        for i in range(4):
            top = picture.height * i // 5
            line = picture.crop((0, top, picture.width, top + picture.height // 5))
            line.save(folder / "lines" / f"{name}{i}.png")
    subjects = ("The engine", "A small model", "Our data set", "Nobody", "The new camera", "Every batch", "The city")
    rest = (
        "is faster than before.",
        "was not tested on rainy days.",
        "needs more memory, and nobody knows why.",
        "works.",
    )
    np.savez(folder / "sentences.npz", **encode([f"{s} {r}" for s in subjects for r in rest][:24], 24))
    images = ImageFolder("photos", size=(480, 480), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), color="BGR")
    with CalibrationSession("PP-OCRv4_det.onnx", images, batch_size=1) as session:
        session.run()
        session.to_cache(version="10.16.1").write(folder / "entropy.cache")
        session.save(folder / "detection.trtcal")
        for name in session.row_names():
            if session.amax(name, "minmax") > 6 * session.amax(name):
                session.choose(name, method="percentile:99.99")
        session.to_cache(version="10.16.1").write(folder / "by_hand.cache")


if __name__ == "__main__":
    main(sys.argv[1:])
