"""Calibration spread over several GPUs: processes with one each, beside one process, and that the bits are the same.

    python benchmarks/gpus.py [--cases 0:1 4:1 4:2 8:2] [--photos 1024] [--json FILE] [--write]

A case is how many processes count (0: none but the session's own) and how many GPUs they see. PP-OCRv4 detection with
ONNX Runtime's CUDA provider at batch size 16, over a folder of photos that the processes read themselves. The rate is
that of the batches behind those during which the processes start and load the model. Each case is a program of its own;
while it runs nvidia-smi says which GPUs are at work. What was recorded is compared byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.detector import add_arguments, model_of  # noqa: E402 - behind the path

RESULTS = ROOT / "benchmarks" / "results" / "gpus.md"
BATCH = 16


def at_work():
    """Return how many GPUs have a process on them."""
    command = ["nvidia-smi", "--query-compute-apps=gpu_uuid", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return len(set(said.split()))


def case(model, folder, workers):
    """Print seconds of the whole run, photos a second behind its start, GPUs at work, and what was recorded."""
    from benchmarks.scaling import fingerprint
    from trtcal_widgets import CalibrationSession, ImageFolder

    source = ImageFolder(folder, size=640, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    times, used, skipped = [], [], 2 * workers + 4

    def heard(_):
        times.append(time.perf_counter())
        if len(times) == skipped:
            used.append(at_work())

    session = CalibrationSession(model, source, batch_size=BATCH, providers=["CUDAExecutionProvider"])
    started = time.perf_counter()
    with session:
        session.run(progress=heard, executor=workers or None)
        rate = BATCH * (len(times) - 1 - skipped) / (times[-1] - times[skipped])
        found = {"whole": times[-1] - started, "rate": rate, "at_work": used[0], "sha256": fingerprint(session)}
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["0:1", "4:1", "4:2", "8:2"], metavar="PROCESSES:GPUS")
    parser.add_argument("--photos", type=int, default=1024)
    parser.add_argument("--case", nargs=2, metavar=("FOLDER", "PROCESSES"), help=argparse.SUPPRESS)
    add_arguments(parser, RESULTS)
    arguments = parser.parse_args()
    if arguments.of:
        write(json.loads(Path(arguments.of).read_text()))
        return 0
    arguments.model = model_of(arguments)
    if arguments.case:
        case(arguments.model, arguments.case[0], int(arguments.case[1]))
        return 0
    from benchmarks.scaling import fill

    name = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    gpus = subprocess.run(name, capture_output=True, text=True, check=True).stdout.splitlines()
    import onnxruntime

    said = {"gpus": gpus, "cores": os.cpu_count(), "onnxruntime": onnxruntime.__version__, "rows": []}
    said["platform"] = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    said["photos"] = arguments.photos
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), arguments.photos, 640)
        for pair in arguments.cases:
            workers, seen = map(int, pair.split(":"))
            shown = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(seen)))}
            command = [sys.executable, __file__, "--model", arguments.model, "--case", folder, str(workers)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **shown})
            row = {"workers": workers, "gpus": seen} | json.loads(done.stdout.splitlines()[-1])
            said["rows"].append(row)
            print(row, flush=True)
            if arguments.json:
                Path(arguments.json).write_text(json.dumps(said, indent=1))
    if arguments.write:
        write(said)
    return 0 if len({row["sha256"] for row in said["rows"]}) == 1 else 1


def write(said):
    first = said["rows"][0]["rate"]
    lines = [
        "# Calibration spread over GPUs",
        "",
        f"`python benchmarks/gpus.py --write` on {len(said['gpus'])} x {said['gpus'][0]}, {said['cores']} cores; "
        f"{said['platform']}, ONNX Runtime {said['onnxruntime']}. PP-OCRv4 detection at 640x640, batch size {BATCH}, "
        f"{said['photos']} photos from JPEG files.",
        "",
        "| processes | GPUs | GPUs at work | whole run | behind the start | times as fast |",
        "|---|---|---|---|---|---|",
    ]
    for row in said["rows"]:
        processes = row["workers"] or "the session's own"
        lines.append(
            f"| {processes} | {row['gpus']} | {row['at_work']} | {row['whole']:.1f} s | {row['rate']:.0f} photos/s "
            f"| {row['rate'] / first:.2f} |"
        )
    same = len({row["sha256"] for row in said["rows"]}) == 1
    lines += ["", f"Recorded bytes equal in all cases: {'yes' if same else 'NO'}."]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
