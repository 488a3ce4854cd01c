"""Run everything in ``trtcal_widgets.trt`` on the TensorRT and the GPU of this machine, and print a table.

    python tools/run_on_tensorrt.py [--jobs 2] [--only WORDS ...] [--limit 120] [--json FILE] [--keep FOLDER]

Each row is a process of its own, so that a crash costs one row. Engines are built at level 0. The public models come
from PyPI wheels, the pictures from scikit-image (``TRTCAL_PICTURES`` names an .npz with ``pictures`` instead).
``--keep`` keeps what the rows of models make, TensorRT's caches and the sessions that were recorded with TensorRT's own
activations, for ``tools/parity.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.trt_run import lenet_rows, model_rows, running_rows  # noqa: E402, F401 - each fills the table
from tools.trt_run.table import ALONE, ROWS  # noqa: E402
from trtcal_widgets import trt  # noqa: E402

_MARK = "ROW "


def run_here(title: str) -> dict[str, Any]:
    """Run one row in this process."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = {"works": True, "seen": ROWS[title](Path(folder))}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the row has to say
            found = {"works": False, "seen": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    return {"title": title, **found, "seconds": round(time.perf_counter() - start, 1)}


def run_apart(title: str, limit: float) -> dict[str, Any]:
    """Run one row in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, str(Path(__file__).resolve()), "--row", title]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        lines = [line.removeprefix(_MARK) for line in done.stdout.splitlines() if line.startswith(_MARK)]
        if lines:
            return json.loads(lines[-1])
        said = f"the process ended with {done.returncode}: {(done.stdout + done.stderr)[-400:]}"
    except subprocess.TimeoutExpired:
        said = f"not over after {limit:.0f} s"
    seconds = round(time.perf_counter() - start, 1)
    return {"title": title, "works": False, "seen": said, "seconds": seconds}


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table."""
    lines = ["| what | on this engine | seen |", "| --- | --- | --- |"]
    for found in rows:
        seen = " ".join(found["seen"].replace("|", "\\|").split())
        lines.append(f"| {found['title']} | {'works' if found['works'] else '**does not**'} | {seen[:600]} |")
    return "\n".join(lines)


def wanted(words: list[str]) -> list[str]:
    """Return the titles that have one of these words in them, all without any."""
    return [title for title in ROWS if not words or any(word in title for word in words)]


def main() -> int:
    """Run the rows and print the table; 1 where one does not work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time")
    parser.add_argument("--only", nargs="*", default=[], help="rows with one of these words in their title")
    parser.add_argument("--limit", type=float, default=120, help="seconds per row")
    parser.add_argument("--json", type=Path, help="write the rows here too, after each one")
    parser.add_argument("--keep", type=Path, help="folder for the caches and sessions of the models")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        print(_MARK + json.dumps(run_here(given.row)), flush=True)
        return 0
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        os.environ["TRTCAL_KEEP"] = str(given.keep.resolve())
        with trt.open_memory() as memory:
            (given.keep / "device.txt").write_text(memory.device.name + "\n", encoding="utf-8")
    rows: list[dict[str, Any]] = []

    def note(found: dict[str, Any]) -> None:
        rows.append(found)
        print(f"{'works' if found['works'] else 'FAILS'} {found['seconds']:6.1f} s  {found['title']}", flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")

    titles = wanted(given.only)
    with ThreadPoolExecutor(given.jobs) as pool:
        for found in pool.map(lambda title: run_apart(title, given.limit), [t for t in titles if t not in ALONE]):
            note(found)
    for title in (t for t in titles if t in ALONE):
        note(run_apart(title, given.limit))
    import tensorrt

    print(f"\nTensorRT {tensorrt.__version__}\n\n{as_markdown(rows)}")
    return 0 if all(found["works"] for found in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
