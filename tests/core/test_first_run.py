"""A first run: what another process compiles is what the run would have compiled, and it is found."""

from __future__ import annotations

import json

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

HALF = f"""{LISTEN}
from trtcal_widgets.core import first_run
first_run._compile_half()
print(json.dumps(compiled))
"""

RUN = f"""{LISTEN}
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core import first_run

before = first_run.is_first()
with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100) as session:
    session.run()
    rows = dict(session.to_cache().scales)
    session.table()
print(json.dumps([before, first_run.is_first(), compiled, rows]))
"""


def test_the_other_process_compiles_what_the_run_needs(run_python, tmp_path):
    """All but the counting, which is the last to be done: what it calls comes before it, and nothing behind it."""
    cache = str(tmp_path)
    elsewhere = json.loads(run_python(HALF, NUMBA_CACHE_DIR=cache))
    before, after, compiled, rows = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert before
    assert not after
    assert compiled[-1] == "look_through"
    assert {"entropy_picks", "noise_at", "add_counts"} <= set(elsewhere)
    again, _, compiled_again, same = json.loads(run_python(RUN, NUMBA_CACHE_DIR=cache))
    assert not again
    assert compiled_again == []
    assert same == rows
    # numba checks the sizes of `a[:] = b` in a kernel, and the text of that error alone takes 2 s to compile.
    assert not [name for name in elsewhere + compiled if "shape_context" in name or "unicode" in name]


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
