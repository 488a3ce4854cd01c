"""The check of the wheel in CI finds what is missing, changed or too much; it is tried on a small project."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import zipfile

import pytest

from tools.check_wheel import faults

EXTENSION = "trtcal_widgets-1.0.data/data/share/jupyter/labextensions/trtcal_widgets"
INFO = "trtcal_widgets-1.0.dist-info"
SOURCES = {
    "LICENSE": b"Apache-2.0",
    "labextension/install.json": b"{}",
    "labextension/src/bytes.ts": b"export {}",
    "notebooks/01.ipynb": b"notebook",
    "trtcal_widgets/__init__.py": b"",
    "trtcal_widgets/labextension/static/style.js": b"style",
    "trtcal_widgets/sample/ATTRIBUTION.md": b"Yann LeCun",
    "trtcal_widgets/sample/images.gz": b"\x1f\x8b\x00",
    "trtcal_widgets/widgets/kit/js/dom.js": b"source of a screen",
    "trtcal_widgets/widgets/static/kit/tabs.js": b"what is built from it",
}
WHEEL = {
    "trtcal_widgets/__init__.py": b"",
    "trtcal_widgets/labextension/static/style.js": b"style",
    "trtcal_widgets/notebooks/01.ipynb": b"notebook",
    "trtcal_widgets/sample/ATTRIBUTION.md": b"Yann LeCun",
    "trtcal_widgets/sample/images.gz": b"\x1f\x8b\x00",
    "trtcal_widgets/widgets/static/kit/tabs.js": b"what is built from it",
    f"{EXTENSION}/install.json": b"{}",
    f"{EXTENSION}/static/style.js": b"style",
    f"{INFO}/METADATA": b"Name: trtcal_widgets",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0",
    f"{INFO}/entry_points.txt": b"[console_scripts]\ntrtcal = trtcal_widgets.cli:main\n",
    f"{INFO}/licenses/LICENSE": b"Apache-2.0",
    f"{INFO}/licenses/trtcal_widgets/sample/ATTRIBUTION.md": b"Yann LeCun",
}

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def checksum(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


@pytest.fixture
def project(request, tmp_path):
    """Return the folder of the project; with the parameter "git", git keeps it."""
    root = tmp_path / "project"
    for name, content in SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "trtcal_widgets" / "__pycache__").mkdir()
    if getattr(request, "param", None) == "git":
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        subprocess.run(["git", "-C", str(root), "add", *SOURCES], check=True)
    (root / "trtcal_widgets" / "__pycache__" / "module.pyc").write_bytes(b"compiled")
    return root


def wheel_of(folder, files, record=None):
    record = {**files, **(record or {})}
    rows = [f"{name},{checksum(content)},{len(content)}" for name, content in record.items()]
    path = folder / "trtcal_widgets-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{INFO}/RECORD", "\n".join([*rows, f"{INFO}/RECORD,,"]))
    return path


@pytest.mark.parametrize("project", [pytest.param("git", marks=needs_git), "no git"], indirect=True)
def test_what_the_sources_say_has_no_faults(project, tmp_path):
    assert faults(wheel_of(tmp_path, WHEEL), project) == []


@pytest.mark.parametrize("name", sorted(WHEEL))
def test_a_file_that_is_missing_is_found(project, tmp_path, name):
    assert f"missing: {name}" in faults(wheel_of(tmp_path, {n: c for n, c in WHEEL.items() if n != name}), project)


@pytest.mark.parametrize("name", sorted(name for name in WHEEL if INFO not in name or "licenses" in name))
def test_a_byte_that_differs_is_found(project, tmp_path, name):
    (said,) = faults(wheel_of(tmp_path, {**WHEEL, name: WHEEL[name] + b"\n"}), project)
    assert said.startswith("differs from ")
    assert said.endswith(f": {name}")


@pytest.mark.parametrize(
    "name", ["trtcal_widgets/left_over.py", "trtcal_widgets/widgets/kit/js/dom.js", "tests/__init__.py", f"{INFO}/x"]
)
def test_a_file_too_many_is_found(project, tmp_path, name):
    assert faults(wheel_of(tmp_path, {**WHEEL, name: b""}), project) == [f"not one of the sources: {name}"]


def test_a_list_of_files_that_is_wrong_is_found(project, tmp_path):
    name = "trtcal_widgets/sample/images.gz"
    assert faults(wheel_of(tmp_path, WHEEL, {name: b"another"}), project) == [f"RECORD is wrong about {name}"]
    assert faults(wheel_of(tmp_path, WHEEL, {"gone.py": b""}), project) == ["RECORD is wrong about gone.py"]


def test_a_wheel_without_the_command_is_found(project, tmp_path):
    name = f"{INFO}/entry_points.txt"
    assert faults(wheel_of(tmp_path, {**WHEEL, name: b"[console_scripts]\n"}), project) == [
        f"{name} does not make the command trtcal"
    ]


@needs_git
@pytest.mark.parametrize("project", ["git"], indirect=True)
def test_what_git_does_not_keep_must_not_be_in_it(tmp_path, project):
    """A file that somebody left in the package would be packed: git knows that it does not belong there."""
    (project / "trtcal_widgets" / "left_over.py").write_bytes(b"")
    found = faults(wheel_of(tmp_path, {**WHEEL, "trtcal_widgets/left_over.py": b""}), project)
    assert found == ["not one of the sources: trtcal_widgets/left_over.py"]
