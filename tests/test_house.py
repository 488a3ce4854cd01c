"""The shape of the package, as docs/architecture.md describes it. What may import what is checked by import-linter."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import trtcal_widgets

PACKAGE = Path(trtcal_widgets.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
HOOKS = {"observe", "on_change", "on_click", "on_msg", "on_trait_change", "subscribe"}


def hooks_in(path):
    calls = (node for node in ast.walk(ast.parse((PACKAGE / path).read_text("utf-8"))) if isinstance(node, ast.Call))
    return {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)} & HOOKS


def test_a_module_has_at_most_400_lines():
    lengths = {str(path): len((PACKAGE / path).read_text("utf-8").splitlines()) for path in MODULES}
    assert {path: n for path, n in lengths.items() if n > 400} == {}


def test_a_folder_has_at_most_16_modules():
    folders = Counter(str(path.parent) for path in MODULES if path.name != "__init__.py")
    assert {folder: n for folder, n in folders.items() if n > 16} == {}


def test_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in MODULES}
    assert {str(folder) for folder in folders if not (PACKAGE / folder / "__init__.py").is_file()} == set()


def test_screens_listen_in_their_binding_only():
    may = {path for path in MODULES if path.match("widgets/*/binding.py") or path.match("widgets/kit/boundary.py")}
    assert len(may) >= 5, "four screens and the kit"
    assert {path.as_posix() for path in MODULES if path.parts[0] == "widgets" and hooks_in(path)} <= set(
        map(Path.as_posix, may)
    )
    assert hooks_in(Path("widgets/kit/boundary.py")) == HOOKS - {"on_trait_change"}


def test_nothing_below_the_screens_knows_widget_events():
    below = [path for path in MODULES if path.parts[0] not in {"cli", "widgets"}]
    assert {path.as_posix() for path in below if hooks_in(path) - {"subscribe"}} == set()
