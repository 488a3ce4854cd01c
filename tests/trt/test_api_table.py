"""The code against its own table of what it uses of TensorRT; no TensorRT needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import trt_api as api
from trtcal_widgets import trt
from trtcal_widgets.trt.calibration import calibrator

FILES = sorted(Path(trt.__file__).parent.rglob("*.py"))
KNOWN = {(use.owner, use.name) for use in api.USES}
CLASSES = {use.name for use in api.USES if use.kind == "class"}


def owner_of(node: ast.expr) -> str | None:
    """TensorRT's class (or module) that an expression holds, by the names that the package keeps to."""
    if isinstance(node, ast.Attribute) and owner_of(node.value) == "tensorrt":
        return node.attr
    if isinstance(node, ast.Call):
        made = owner_of(node.func)
        return made if made in CLASSES else None
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return api.HANDLES.get(name.lstrip("_"))


def uses_in(path: Path) -> list[tuple[str, str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and (owner := owner_of(node.value)):
            found.append((owner, node.attr, node.lineno))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "hasattr", "setattr")
            and (owner := owner_of(node.args[0]))
        ):
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else "<computed>"
            found.append((owner, name, node.lineno))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_uses_nothing_that_is_not_in_the_table(path):
    strange = [
        f"{path.name}:{line}: {owner}.{name}"
        for owner, name, line in uses_in(path)
        if (owner, name) not in KNOWN and name != "<computed>" and not name.startswith("__")
    ]
    assert not strange


def test_names_that_are_computed_come_from_one_dictionary():
    computed = [(path.name, owner) for path in FILES for owner, name, _ in uses_in(path) if name == "<computed>"]
    assert set(computed) == {("calibrator.py", "tensorrt")}
    assert {("tensorrt", name) for name in calibrator._CLASSES.values()} <= KNOWN


def test_the_table_has_nothing_that_is_not_used():
    used = {(owner, name) for path in FILES for owner, name, _ in uses_in(path)}
    used |= {("tensorrt", name) for name in calibrator._CLASSES.values()}
    by_tensorrt = ("callback", "inherited")
    assert [
        use
        for use in api.USES
        if (use.owner, use.name) not in used and use.kind not in by_tensorrt and not use.name.startswith("__")
    ] == []


def test_the_check_finds_what_it_is_to_find(tmp_path):
    path = tmp_path / "code.py"
    path.write_text("config.max_workspace_size = 1\ntrt.BuilderFlag.BF16\nself._network.name\ngetattr(layer, 'nope')\n")
    assert {(owner, name) for owner, name, _ in uses_in(path)} == {
        ("IBuilderConfig", "max_workspace_size"),
        ("BuilderFlag", "BF16"),
        ("tensorrt", "BuilderFlag"),
        ("INetworkDefinition", "name"),
        ("ILayer", "nope"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_tensorrt_is_not_imported_with_the_module(path):
    imported = [
        name.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import) for name in node.names
    ]
    assert not any(name.split(".")[0] in ("tensorrt", "onnx", "cuda", "pycuda") for name in imported)
