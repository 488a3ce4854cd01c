"""MPI's processes count a session's batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="needs mpi4py, which this system has no wheel of")

MPIEXEC = Path(sys.executable).with_name("mpiexec")

PROGRAM = """
from mpi4py.futures import MPIPoolExecutor

from tests.session.test_spread import LENET, everything, images, one_process
from trtcal_widgets import CalibrationSession

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        for mode in ("tensorrt", "two-pass"):
            expected = one_process(mode, images())
            session = CalibrationSession(LENET, images(), batch_size=5, range_mode=mode)
            session.run(executor=pool, progress=lambda status: session.cancel() if status.recorded == 3 else None)
            stopped = session.status.recorded
            session.run(executor=pool)
            print(pool.num_workers, "workers,", mode, stopped, session.status.recorded, everything(session) == expected)
"""


@pytest.mark.slow
def test_counts_to_the_same_bits_also_when_stopped_in_between(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [MPIEXEC, "--oversubscribe", "-n", "3", sys.executable, "-m", "mpi4py.futures", script],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH")))),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "workers" in line]
    assert said == [f"2 workers, {mode} 3 12 True" for mode in ("tensorrt", "two-pass")]
