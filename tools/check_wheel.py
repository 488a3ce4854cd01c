"""Hold a built wheel against the sources: the same files, byte for byte, none missing and none too many.

    python tools/check_wheel.py dist/trtcal_widgets-*.whl

What lies where in the wheel:

- ``trtcal_widgets/`` as it is here, without the scripts that ``widgets/static`` is built from,
- ``notebooks/`` inside the package, where ``trtcal demo`` finds them,
- the JupyterLab extension, a second time, where JupyterLab looks for it,
- the licences, and what the builder writes: name, version, dependencies, commands, and a checksum of every file.
"""

import csv
import hashlib
import shutil
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
EXTENSION = "share/jupyter/labextensions/trtcal_widgets"
LICENCES = ["LICENSE", "trtcal_widgets/sample/ATTRIBUTION.md"]
WRITTEN_BY_THE_BUILDER = {"METADATA", "RECORD", "WHEEL", "entry_points.txt"}
MADE_BY_RUNNING = {"__pycache__", "node_modules", ".ipynb_checkpoints"}
COMMANDS = "[console_scripts]\ntrtcal = trtcal_widgets.cli:main\n"


def sources(root: Path) -> list[PurePosixPath]:
    """Return the files that git keeps; without git, those that lie there and were not made by running them."""
    if shutil.which("git"):
        asked = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout:
            return [PurePosixPath(name) for name in asked.stdout.split("\0") if name]
    folders = [root / name for name in ("trtcal_widgets", "notebooks", "labextension")]
    files = [root / "LICENSE", *(path for folder in folders for path in folder.rglob("*") if path.is_file())]
    inside = [PurePosixPath(path.relative_to(root)) for path in files]
    return [path for path in inside if not MADE_BY_RUNNING & set(path.parts)]


def places(source: PurePosixPath, version: str) -> Iterator[str]:
    """Yield where a file of the sources is in the wheel."""
    data, info = f"trtcal_widgets-{version}.data/data/{EXTENSION}", f"trtcal_widgets-{version}.dist-info"
    if source.parts[0] == "trtcal_widgets" and not source.match("trtcal_widgets/widgets/*/js/*"):
        yield str(source)
    if source.parts[:2] == ("trtcal_widgets", "labextension"):
        yield f"{data}/{source.relative_to('trtcal_widgets/labextension')}"
    if str(source) == "labextension/install.json":
        yield f"{data}/install.json"
    if source.parts[0] == "notebooks":
        yield f"trtcal_widgets/{source}"
    if str(source) in LICENCES:
        yield f"{info}/licenses/{source}"


def faults(wheel: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a wheel, a line each: nothing, if it is what the sources say."""
    version = wheel.name.split("-")[1]
    expected = {place: source for source in sources(root) for place in places(source, version)}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    info = f"trtcal_widgets-{version}.dist-info/"
    found = [f"missing: {place}" for place in expected if place not in packed]
    found += [
        f"differs from {source}: {place}"
        for place, source in expected.items()
        if place in packed and packed[place] != (root / source).read_bytes()
    ]
    written = {info + name for name in WRITTEN_BY_THE_BUILDER}
    found += [f"missing: {name}" for name in written if name not in packed]
    found += [f"not one of the sources: {name}" for name in packed if name not in expected and name not in written]
    found += [f"RECORD is wrong about {name}" for name in wrongly_recorded(packed, info + "RECORD")]
    if packed.get(f"{info}entry_points.txt", b"").decode().strip() != COMMANDS.strip():
        found.append(f"{info}entry_points.txt does not make the command trtcal")
    return sorted(found)


def wrongly_recorded(packed: dict[str, bytes], record: str) -> set[str]:
    """Return the files whose checksum or size the wheel's own list has wrong: pip goes by it."""
    rows = {row[0]: row[1:] for row in csv.reader(packed.get(record, b"").decode().splitlines())}
    right = {name: [_checksum(content), str(len(content))] for name, content in packed.items()} | {record: ["", ""]}
    return {name for name in {*rows, *right} if rows.get(name) != right.get(name)}


def _checksum(content: bytes) -> str:
    return "sha256=" + urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


if __name__ == "__main__":
    (given,) = map(Path, sys.argv[1:])
    lines = faults(given)
    print(*lines, sep="\n", end="\n" if lines else "")
    if lines:
        raise SystemExit(f"{given}: {len(lines)} faults")
    print(f"{given}: every file is that of the sources")
