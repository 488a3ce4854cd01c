"""The built extension as it is shipped: whole, small, of this version, and where JupyterLab looks for it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import trtcal_widgets
from tests.labextension.reader import BUILT

ROOT = Path(__file__).parents[2]
FACTS = json.loads((BUILT / "package.json").read_text("utf-8"))
FILES = sorted(path for path in BUILT.rglob("*") if path.is_file())


def test_it_is_of_this_version():
    assert FACTS["name"] == "trtcal_widgets"
    assert FACTS["version"] == trtcal_widgets.__version__


def test_what_it_loads_is_there():
    build = FACTS["jupyterlab"]["_build"]
    assert build["extension"] == "./extension"
    assert (BUILT / build["load"]).is_file()
    assert len(list(BUILT.glob("static/remoteEntry.*.js"))) == 1


def test_it_is_small():
    assert sum(path.stat().st_size for path in FILES if path.suffix == ".js") < 200_000


def test_nothing_of_the_machine_that_built_it_is_in_it():
    for path in FILES:
        assert not re.search(r"/(?:home|work|root|tmp|Users)/", path.read_text("utf-8")), path


def test_the_licences_of_what_it_bundles_are_with_it():
    licences = json.loads((BUILT / "static" / "third-party-licenses.json").read_text("utf-8"))
    bundled = {package["name"]: package["licenseId"] for package in licences["packages"]}
    assert bundled["fflate"] == "MIT"
    assert set(bundled.values()) <= {"MIT", "BSD-3-Clause", "Apache-2.0", "ISC"}


def test_jupyterlab_is_told_where_it_is():
    (place,) = trtcal_widgets._jupyter_labextension_paths()
    assert (Path(trtcal_widgets.__file__).parent / place["src"]).resolve() == BUILT.resolve()
    assert place["dest"] == FACTS["name"]


def test_it_asks_for_the_oldest_jupyterlab_that_the_project_supports():
    wanted = re.search(r'"jupyterlab>=(\d+\.\d+)', (ROOT / "pyproject.toml").read_text("utf-8"))[1]
    assert FACTS["dependencies"]["@jupyterlab/application"] == f"^{wanted}.0"


def test_a_wheel_brings_it_to_where_jupyterlab_looks():
    if "site-packages" not in trtcal_widgets.__file__:
        pytest.skip("the package is run from its sources")
    installed = Path(sys.prefix, "share", "jupyter", "labextensions", "trtcal_widgets")
    found = {path.relative_to(installed): path.read_bytes() for path in installed.rglob("*") if path.is_file()}
    assert json.loads(found.pop(Path("install.json")))["packageName"] == "trtcal_widgets"
    assert found == {path.relative_to(BUILT): path.read_bytes() for path in FILES}


def test_its_styles_and_those_of_the_screens_know_nothing_of_each_other():
    """Where both are on a page, what one says of a class must not reach the other."""
    classes = re.compile(r"\.((?:trtcal|tc)-[\w-]+)")
    own = {name for path in FILES if path.suffix == ".js" for name in classes.findall(path.read_text("utf-8"))}
    sheets = (Path(trtcal_widgets.__file__).parent / "widgets" / "static").rglob("*.css")
    theirs = {name for path in sheets for name in classes.findall(path.read_text("utf-8"))}
    assert len(own) > 30
    assert len(theirs) > 100
    assert not theirs & own
