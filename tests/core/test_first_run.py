"""A first run: what another process compiles is what the run would have compiled, and it is found."""

from __future__ import annotations

import json

HALF = "from trtcal_widgets.core import first_run; first_run._compile_half()"

RUN = """
import json
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core import first_run
from trtcal_widgets.core.kernels import adding, families, objectives, searching

before = first_run.is_first()
with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100) as session:
    session.run()
    rows = dict(session.to_cache().scales)
    session.table()
kernels = [adding.add_counts, searching.entropy_picks, objectives.quantization_noise]
kernels.append(families.look_through)
misses = [sum(kernel.stats.cache_misses.values()) for kernel in kernels]
print(json.dumps([before, first_run.is_first(), misses, rows]))
"""


def test_the_other_process_compiles_what_the_run_needs(run_python, tmp_path):
    cache = str(tmp_path)
    run_python(HALF, NUMBA_CACHE_DIR=cache)
    before, after, misses, rows = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert before
    assert not after
    assert misses == [0, 0, 0, 1]
    again, _, misses, same = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert not again
    assert misses == [0] * 4
    assert same == rows


def test_a_cache_that_cannot_be_kept_starts_no_process(run_python):
    """Without numba's cache the other process would compile for itself alone."""
    script = """
import subprocess
import numba.core.caching as caching
def refuse(self):
    raise OSError("read-only file system")
caching._CacheLocator.ensure_cache_path = refuse
def never(*_, **__):
    raise AssertionError("a process was started")
subprocess.Popen = never
from trtcal_widgets.core import first_run
first_run.compile_kernels()
print(first_run.is_first())
"""
    assert run_python(script).strip() == "False"
