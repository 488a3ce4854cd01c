"""The examples in docstrings run; those that need files or a notebook find them in a furnished folder."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import trtcal_widgets
from tests.support.pages import CLASSES, furnish
from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import convert

NEEDS_A_GPU = ("trtcal_widgets.trt", "trtcal_widgets.gpu")


def examples():
    """Each docstring of the package with examples in it, by its name."""
    found = {}
    for info in pkgutil.walk_packages(trtcal_widgets.__path__, "trtcal_widgets."):
        if not info.name.endswith("__main__"):
            tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(info.name), info.name)
            found |= {test.name: test for test in tests if test.examples}
    return found


EXAMPLES = examples()


SECTION = re.compile(
    r"^(?:Parameters|Returns|Yields|Raises|Attributes)\n-+\n(.*?)(?=^[A-Z][\w ]+\n-+$|\Z)", re.DOTALL | re.MULTILINE
)


def test_a_section_holds_entries_and_no_sentence():
    """A sentence at the margin behind a section is shown as one more parameter of that name."""
    found, seen = [], 0
    for path in Path(trtcal_widgets.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for section in SECTION.findall(ast.get_docstring(node) or ""):
                    entries = [line for line in section.splitlines() if line and not line.startswith(" ")]
                    seen += len(entries)
                    found += [f"{path.name}: {line}" for line in entries if line.endswith((".", ":")) or len(line) > 80]
    assert found == []
    assert seen > 1000


@pytest.fixture
def names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    for name in ("old.onnx", "new.onnx"):
        shutil.copy("model.onnx", name)
    shutil.copy("theirs.cache", "old.cache")
    with open("resnet50.dynamic-range.txt", "wb") as file:  # noqa: PTH123 - as short
        file.write(convert(CalibrationCache.read("mine.cache"), "ranges"))
    for theirs, ours in (("t10k-images", "test-images"), ("t10k-labels", "test-labels")):
        path = next(sample.model_path().parent.glob(f"{ours}*"))
        shutil.copy(path, theirs + path.name.removeprefix(ours))
    images = ImageFolder("calib", size=(224, 224))
    with CalibrationSession("model.onnx", images, batch_size=32) as session:
        yield {"session": session, "images": images, "labels": np.arange(32) % CLASSES}


def is_skipped(test):
    return any(example.options.get(doctest.SKIP) for example in test.examples)


@pytest.mark.parametrize("name", [name for name, test in EXAMPLES.items() if not is_skipped(test)])
def test_an_example_gives_what_it_says(name):
    report = []
    doctest.DocTestRunner().run(EXAMPLES[name], out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", [n for n, t in EXAMPLES.items() if is_skipped(t) and not n.startswith(NEEDS_A_GPU)])
def test_an_example_that_needs_files_runs(name, names):
    globs = {**EXAMPLES[name].globs, **vars(importlib.import_module("trtcal_widgets.common.files")), **names}
    globs |= {public: getattr(trtcal_widgets, public) for public in trtcal_widgets.__all__}
    for example in EXAMPLES[name].examples:
        if example.want:
            assert repr(eval(example.source, globs)) == example.want.strip()  # noqa: S307 - our own text
        else:
            exec(compile(example.source, name, "exec"), globs)  # noqa: S102 - our own text


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith(NEEDS_A_GPU)])
def test_an_example_that_needs_tensorrt_is_python(name):
    for example in EXAMPLES[name].examples:
        compile(example.source, name, "exec")
