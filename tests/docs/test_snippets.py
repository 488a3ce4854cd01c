"""Every Python block of the README and of docs/ runs, in its page's order (docs/tensorrt.md in tests/trt, docs/howto in
test_howto.py). Commands in ``sh`` blocks are at least commands that there are."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from tests.support.pages import CLASSES, PAGES, ROOT, furnish, python_of
from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.cli.app import build_parser

HOWTO = {page for page in PAGES if page.startswith("docs/howto/")}
ELSEWHERE = {"docs/tensorrt.md", *HOWTO}
RUN = [page for page in PAGES if python_of(page).strip() and page not in ELSEWHERE]


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the pages call ``labels``, ``batches``, ``source`` and ``session`` without saying where it comes from."""
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    source = ImageFolder("calib", size=(224, 224))
    images = sample.calibration_images()
    with CalibrationSession("model.onnx", source, batch_size=16) as session:
        session.run()
        yield {
            "labels": np.arange(32) % CLASSES,
            "batches": [images.load(i, i + 50)[""] for i in range(0, 500, 50)],
            "source": source,
            "session": session,
        }


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_runs(page, names):
    exec(compile(python_of(page), str(ROOT / page), "exec"), names)  # noqa: S102 - our own page
    assert names["session"].state.position > 0


def test_the_results_that_the_readme_names_come_out(names):
    """``expression   # 'result'``."""
    page = python_of("README.md")
    claims = re.findall(r"^(\S.*?)\s+# ('[^']*')$", page, re.MULTILINE)
    assert claims
    from trtcal_widgets import calibrate_array

    for expression, result in claims:
        assert repr(eval(expression, {**names, "calibrate_array": calibrate_array})) == result  # noqa: S307


def test_every_page_with_python_is_run_somewhere():
    assert {"README.md", "docs/start.md", "docs/debugging.md", "docs/hazards.md", "docs/qdq.md"} <= set(RUN)
    assert {page for page in PAGES if python_of(page).strip()} == {*RUN, *ELSEWHERE}


def commands(page):
    """The arguments of every whole trtcal command in a page's blocks, without what it is piped into."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("trtcal ") and "…" not in line]
    return [shlex.split(line.partition(" | ")[0], comments=True)[1:] for line in lines]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_are_what_trtcal_takes(page):
    for arguments in commands(page):
        assert build_parser().parse_args(arguments).command == arguments[0]


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_at_most_120_columns(page):
    """Tables, formulas and pictures cannot be broken."""
    written = re.sub(r"<!-- results: .*?<!-- end -->", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    long = [line for line in written.splitlines() if len(line) > 120 and not line.startswith(("|", "$$", "!["))]
    assert not long


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    if not (ROOT / "trtcal_widgets").is_dir():
        pytest.skip("beside an installed wheel, where only a part of the repository is")
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target
