"""Memory while layers are ranked: that of the tensors of a batch, however many layers there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

LAYERS, MB_OF_A_TENSOR = 24, 8

SCRIPT = f"""
import resource, sys
import numpy as np
from tests.support.graphs import const, node, save, value
from trtcal_widgets import Evaluation
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.debug import Int8Simulation

path = sys.argv[1]
shape = [1, 2, 1024, 1024]
names = [f"t{{i}}" for i in range({LAYERS} + 1)]
weights = [const(f"w{{i}}", np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)) for i in range({LAYERS})]
nodes = [node("Conv", [names[i], f"w{{i}}"], [names[i + 1]], f"conv{{i}}") for i in range({LAYERS})]
save(path, nodes, [value(names[0], shape)], [value(names[-1], shape)], weights)
evaluation = Evaluation(ArrayBatches(np.random.default_rng(0).random(shape, np.float32)), batch_size=1)
simulation = Int8Simulation(path, dict.fromkeys(names, 1 / 127))
simulation.score(evaluation)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(simulation.isolated(evaluation)) == {LAYERS}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_ranking_takes_no_memory_for_each_layer(tmp_path):
    """Every layer's part is open in ONNX Runtime; one that kept its tensors' memory would add up to tens of GB."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3 * LAYERS * MB_OF_A_TENSOR, "400 MB were seen, and 840 where parts keep memory"
