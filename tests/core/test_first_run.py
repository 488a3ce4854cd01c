"""A first run: what another process compiles is what the run would have compiled, and it is found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trtcal_widgets.core import amax_of, calibrate_array

# What numba compiles, inner functions and what they call in numba itself included.
LISTEN = """
import json
from numba.core import event

compiled = []
class Listener(event.Listener):
    def on_start(self, _):
        pass
    def on_end(self, said):
        compiled.append(said.data["dispatcher"].py_func.__qualname__)
event.register("numba:compile", Listener())
"""

HALVES = [
    f"""{LISTEN}
from trtcal_widgets.core import first_run
first_run.{half}()
print(json.dumps(compiled))
"""
    for half in ("_compile_elsewhere", "_compile_here")
]

RUN = f"""{LISTEN}
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core import first_run

first = first_run.is_first()
with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100) as session:
    session.run()
    rows = dict(session.to_cache().scales)
    session.table()
print(json.dumps([first, compiled, rows]))
"""


def test_the_two_processes_compile_what_the_run_needs_each_half_of_it(run_python, tmp_path):
    cache = str(tmp_path)
    elsewhere, here = (json.loads(run_python(half, NUMBA_CACHE_DIR=cache)) for half in HALVES)
    assert {"entropy_picks", "add_counts"} <= set(elsewhere)
    assert {"look_through", "noise_at"} <= set(here)
    first, compiled, rows = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert not first
    assert compiled == []
    assert len(rows) == 10
    # numba checks the sizes of `a[:] = b` in a kernel, and the text of that error alone takes 2 s to compile.
    assert not [name for name in elsewhere + here if "shape_context" in name or "unicode" in name]


@pytest.fixture(scope="module")
def by_itself(run_python, tmp_path_factory):
    """The cache that a run has filled which found it empty, and what that run said."""
    cache = str(tmp_path_factory.mktemp("by_itself"))
    return cache, json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))


def test_a_run_that_compiles_by_itself_gives_the_same(run_python, by_itself):
    cache, (first, compiled, rows) = by_itself
    assert first
    assert {"look_through", "entropy_picks", "noise_at", "add_counts"} <= set(compiled)
    again, compiled, same = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert not again
    assert compiled == []
    assert same == rows


METHODS = ("entropy", "mse", "percentile")

CALIBRATE = f"""
import json
import numpy as np
from trtcal_widgets.core import amax_of, calibrate_array
from trtcal_widgets.core.kernels import adding as _adding
from trtcal_widgets.core.kernels import families as _many
from trtcal_widgets.core.kernels import objectives as _objectives
from trtcal_widgets.core.kernels import searching as _searching

x = np.linspace(-1, 2, 5000, dtype=np.float32)
x[3] = np.nan
answer = [calibrate_array([x, x * 3], method).hex for method in {METHODS}]
answer.append(amax_of(x))
used = [_many.look_through, _adding.add_counts, _searching.entropy_picks, _objectives.noise_at]
print(json.dumps([answer, [[sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())] for f in used]]))
"""


def test_a_second_process_compiles_nothing(run_python, by_itself):
    """What another run has compiled is taken, and gives what is compiled here."""
    answers, stats = json.loads(run_python(CALIBRATE, NUMBA_CACHE_DIR=by_itself[0]))
    assert [misses for _, misses in stats] == [0] * 4
    assert all(hits > 0 for hits, _ in stats)
    x = np.linspace(-1, 2, 5000, dtype=np.float32)
    x[3] = np.nan
    assert answers == [*(calibrate_array([x, x * 3], method).hex for method in METHODS), amax_of(x)]


def test_the_draws_of_the_data_doctor_compile_no_texts_either(run_python, tmp_path):
    script = f"""{LISTEN}
from trtcal_widgets.core.kernels import resampling
import numpy as np
one, two, real = np.zeros((1, 2048), np.int64), np.zeros((1, 1, 2048), np.int64), np.ones(1)
few = np.zeros(1, np.int64)
resampling.draw_counts(one, two, few, few, few, few, real, 1.0, few[None], False, True, real, one.copy())
print(json.dumps(compiled))
"""
    names = json.loads(run_python(script, NUMBA_CACHE_DIR=str(tmp_path)))
    assert "draw_counts" in names
    assert not [name for name in names if "shape_context" in name or "unicode" in name]


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
