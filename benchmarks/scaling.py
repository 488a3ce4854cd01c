"""Calibration spread over processes: how many photos a second 1, 2, 4, … workers count, and that the bits are the same.

    python benchmarks/scaling.py [--workers 1 2] [--per-worker 24] [--size 640] [--json FILE] [--write]

PP-OCRv4 detection (from the ``rapidocr-onnxruntime`` wheel, or the file that ``--model`` names) at batch size 1 over a
folder of photos, which the workers read themselves; one ONNX Runtime thread in each. Two rates are given: over the
whole run, which includes starting the processes and loading the model in each, and behind the batches during which that
happens. The speed-up is that of the second one over one process without workers. What was recorded is compared with
what one process records of the same photos, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.detector import add_arguments, model_of  # noqa: E402 - behind the path

RESULTS = ROOT / "benchmarks" / "results" / "scaling.md"


def pictures(size):
    """Return photos, uint8 (n, size, size, 3)."""
    if os.environ.get("TRTCAL_PICTURES"):
        return list(np.load(os.environ["TRTCAL_PICTURES"])["pictures"])
    from benchmarks.calibration import pictures as bundled

    return bundled(size)


def fill(folder, count, size):
    """Write so many photos into a folder."""
    from PIL import Image

    found = [Image.fromarray(picture).resize((size, size)) for picture in pictures(size)]
    for i in range(count):
        found[i % len(found)].save(folder / f"{i}.jpg", quality=92)


def new_session(model, folder, size, count):
    from trtcal_widgets import CalibrationSession, ImageFolder

    source = ImageFolder(folder, size=size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), limit=count)
    return CalibrationSession(model, source, batch_size=1, threads=1)


def fingerprint(session):
    """Hash everything that was recorded."""
    import zipfile

    with tempfile.TemporaryDirectory() as folder:
        session.save(Path(folder) / "s")
        with zipfile.ZipFile(Path(folder) / "s") as archive:
            parts = [archive.read(name) for name in ("records.npy", "records.bin")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def measure(model, folder, size, count, workers):
    """Return seconds of the whole run, photos a second behind its start, and what was recorded."""
    times = []
    started = time.perf_counter()
    with new_session(model, folder, size, count) as session:
        session.run(progress=lambda _: times.append(time.perf_counter()), executor=workers)
        whole = times[-1] - started
        skipped = min(2 * (workers or 1) + 2, count // 2)
        rate = (count - 1 - skipped) / (times[-1] - times[skipped])
        return whole, rate, fingerprint(session)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--per-worker", type=int, default=24, help="photos for each worker")
    parser.add_argument("--size", type=int, default=640)
    add_arguments(parser, RESULTS)
    arguments = parser.parse_args()
    if arguments.of:
        write(json.loads(Path(arguments.of).read_text()), arguments.size)
        return 0
    arguments.model = model_of(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), arguments.per_worker * max(arguments.workers), arguments.size)
        measure(arguments.model, folder, arguments.size, 4, None)  # compiles what is to be compiled
        _, alone, _ = measure(arguments.model, folder, arguments.size, arguments.per_worker, None)
        print(f"one process, no workers: {alone:.3g} photos/s", flush=True)
        for workers in arguments.workers:
            count = arguments.per_worker * workers
            whole, rate, found = measure(arguments.model, folder, arguments.size, count, workers)
            rows.append(
                {
                    "workers": workers,
                    "photos": count,
                    "seconds": whole,
                    "rate": rate,
                    "speedup": rate / alone,
                    "sha256": found,
                }
            )
            print(
                f"{workers} workers: {count} photos in {whole:.1f} s, {rate:.3g} photos/s behind the start, "
                f"{rate / alone:.2f} x",
                flush=True,
            )
            if arguments.json:
                Path(arguments.json).write_text(json.dumps(facts_of(alone, rows, None)))
        counts = sorted({row["photos"] for row in rows})
        same = {}
        count = counts[0]
        for workers in (None, *arguments.workers):
            same[workers] = measure(arguments.model, folder, arguments.size, count, workers)[2]
        identical = len(set(same.values())) == 1
        print(f"{count} photos recorded by one process and by {arguments.workers} workers: identical: {identical}")
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(facts_of(alone, rows, identical)))
    if arguments.write:
        write(facts_of(alone, rows, identical), arguments.size)
    return 0 if identical else 1


def facts_of(alone, rows, identical):
    import onnxruntime

    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    where += f", ONNX Runtime {onnxruntime.__version__}"
    return {"alone": alone, "cores": os.cpu_count(), "rows": rows, "identical": identical, "where": where}


def write(facts, size):
    rows, said = facts["rows"], {True: "yes", False: "NO", None: "not compared"}[facts.get("identical")]
    lines = [
        "# Calibration spread over processes",
        "",
        f"`python benchmarks/scaling.py --workers {' '.join(str(row['workers']) for row in rows)}` on "
        f"{facts['cores']} cores{', ' + facts['where'] if 'where' in facts else ''}. PP-OCRv4 detection at "
        f"{size}x{size}, batch size 1, one ONNX Runtime thread each.",
        "",
        "| workers | photos | whole run | behind the start | speed-up |",
        "|---|---|---|---|---|",
        f"| none: one process | | | {facts['alone']:.3g} photos/s | 1 |",
    ]
    lines += [
        f"| {row['workers']} | {row['photos']} | {row['seconds']:.1f} s | {row['rate']:.3g} photos/s | "
        f"{row['speedup']:.2f} |"
        for row in rows
    ]
    lines += [
        "",
        "A speed-up above the number of workers is the measure's: results that wait for an earlier batch count when it",
        "comes, and some of those were made during the start.",
    ]
    lines += ["", f"Recorded bytes equal to those of one process: {said}.", ""]
    RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
