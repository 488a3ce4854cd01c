"""What the browser is given: built files that need nothing beside them, from the sources that are in the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from trtcal_widgets.widgets.kit.assets import script, style

STATIC = Path(str(resources.files("trtcal_widgets.widgets") / "static"))
FRONTEND = Path(__file__).parents[2] / "frontend"
PANELS = sorted(path.relative_to(STATIC).with_suffix("").as_posix() for path in STATIC.glob("*/*.js"))
SCREENS = sorted(path.stem for path in STATIC.glob("*/*.css"))


def test_every_screen_has_its_files():
    assert SCREENS == ["build", "cache", "data", "debugger", "explorer"]
    assert {panel.partition("/")[0] for panel in PANELS} == {*SCREENS, "kit"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_module_imports_nothing_and_offers_its_widget(panel):
    text = script(panel)
    assert re.search(r"^export \{\n  \w+ as default\n\};$", text, re.MULTILINE)
    assert not re.search(r"^import\b|^export .* from|require\(", text, re.MULTILINE)
    assert set(re.findall(r"https?://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("screen", SCREENS)
def test_a_style_sheet_holds_the_kit_s_and_keeps_to_the_screens(screen):
    rules = re.sub(r"/\*.*?\*/", "", style(screen), flags=re.DOTALL)
    assert rules.lstrip().startswith(".trtcal-root {\n  --tc-fg:")
    assert "@import" not in rules
    assert "url(" not in rules
    selectors = [line for line in rules.splitlines() if line.endswith("{") and not line.startswith("@")]
    assert all(".trtcal-root" in line or line.startswith("  @") for line in selectors)


@pytest.mark.skipif(not (FRONTEND / "node_modules").exists(), reason="needs `npm --prefix frontend ci`")
def test_the_built_files_are_what_the_sources_give():
    node = shutil.which("node")
    if node is None:
        assert os.environ.get("CI") != "true", "CI must have node"
        pytest.skip("needs node")
    done = subprocess.run(
        [node, "build.mjs", "--check"], cwd=FRONTEND, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
