"""Kill a process while it saves, again and again, and look at what it has left.

    python tools/kill.py [--kills 100]

A process writes a cache, a session, a plan and a Q/DQ model with external weights over and over, each of two contents
in turn, and is killed (SIGKILL) after a random time. Every file must then be one of the two, whole, and the model must
find its own weights. Prints the counts; exit code 1 where a file was not whole.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WRITER = """
import sys
from pathlib import Path
import onnx
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.plan import PrecisionPlan

folder = Path(sys.argv[1])
session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
session.run()
built = []
for i, factor in enumerate((1.0, 0.5)):
    proto = onnx.load(sample.model_path())
    for tensor in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind == "f":
            tensor.CopyFrom(onnx.numpy_helper.from_array(values * values.dtype.type(factor), tensor.name))
    onnx.save(proto, folder / f"in{i}.onnx", save_as_external_data=True, location=f"in{i}.bin", size_threshold=0)
    built.append(build_qdq(folder / f"in{i}.onnx", session))
print("ready", flush=True)
i = 0
while True:
    i += 1
    session.choose("conv1", amax=1.0 + i % 2)
    session.to_cache(version="8.6.1").write(folder / "x.cache")
    session.save(folder / "x.trtcal")
    PrecisionPlan(keep=("conv1",) if i % 2 else ("conv2",)).save(folder / "x.json")
    built[i % 2].write(folder / "x.onnx")
"""


def check(folder: Path) -> list[str]:
    """Read what is there; return what is wrong with it."""
    import onnxruntime

    from trtcal_widgets import CalibrationSession, read_scale_file
    from trtcal_widgets.model.plan import PrecisionPlan

    wrong = []

    def look(name: str, read: object) -> None:
        if (folder / name).exists():
            try:
                read(folder / name)  # type: ignore[operator]
            except Exception as error:  # noqa: BLE001 - whatever it is, the file is not whole
                wrong.append(f"{name}: {type(error).__name__}: {error}")

    def run(path: Path) -> None:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        outputs = session.run(None, {"data": np.ones((1, 1, 28, 28), np.float32)})
        if not np.isfinite(outputs[0]).all():
            raise ValueError("not finite")

    look("x.cache", read_scale_file)
    look("x.trtcal", lambda path: CalibrationSession.load(path).close())
    look("x.json", PrecisionPlan.load)
    look("x.onnx", run)
    return wrong


def main() -> int:
    """Kill, check, count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)  # noqa: S311 - no secret
    wrong: list[str] = []
    left = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.kills):
            process = subprocess.Popen([sys.executable, "-c", WRITER, name], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise SystemExit("the writer did not start")
            time.sleep(rng.uniform(0.0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            wrong += check(folder)
            left = max(left, len(list(folder.glob(".*.tmp"))))
    print(f"{arguments.kills} kills, {len(wrong)} damaged files, at most {left} temporary files left")
    for line in wrong:
        print("FAULT", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
