"""TensorRT as a runner, with the stand-in; the GPU's histogram is replaced by the CPU's on the same addresses."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.trt_host_driver import read_back
from trtcal_widgets import sample
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.data import BatchPlan
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.gpu import histogram as gpu_histogram
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.runners.base import Runner
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.trt.runner import TensorRTRunner

LENET = sample.model_path()
IMAGES = np.random.default_rng(9).standard_normal((12, 1, 28, 28)).astype(np.float32)


class HostHistograms:
    """:class:`GpuHistograms` that reads host memory."""

    def __init__(self, n_tensors, bases=None, *, memory=None, stream=0):
        assert stream == memory.new_stream()
        self.n = n_tensors
        self.reset(bases)

    def reset(self, bases=None):
        self.bases = [None] * self.n if bases is None else list(bases)
        self.arrays = {}

    def add(self, arrays):
        for item in arrays:
            self.arrays[item.slot] = Histogram.of(read_back(item.ptr, (item.n,), item.dtype), self.bases[item.slot])

    def fetch(self):
        return [self.arrays[slot] for slot in range(self.n)]

    def close(self):
        self.arrays = {}


@pytest.fixture(autouse=True)
def host_histograms(monkeypatch):
    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)


@pytest.fixture(params=["8.6.1", "10.16.1.11", "11.4.0.106"])
def any_machine(request, plug):
    return plug(request.param)


def test_gives_the_tensors_of_the_cpu_runner_in_its_order(any_machine):
    with OnnxRuntimeRunner(LENET) as cpu, TensorRTRunner(LENET) as gpu:
        assert isinstance(gpu, Runner)
        expected = list(cpu.infer({"data": IMAGES}))
        found = list(gpu.infer({"data": IMAGES}))
        assert [name for name, _ in found] == [name for name, _ in expected]
        for (name, a), (_, b) in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)
        assert gpu.missing == ()
        assert gpu.name == f"tensorrt {any_machine.release} FP32 on Host GPU"
        constants = [(name, array.tobytes()) for name, array in gpu.constants()]
        assert constants == [(name, array.tobytes()) for name, array in cpu.constants()]


def test_the_engine_is_fp32_without_tf32_and_marks_every_float_tensor(any_machine):
    with TensorRTRunner(LENET, workspace=1 << 22) as runner:
        list(runner.infer({"data": IMAGES}))
    (spec,) = any_machine.built
    assert spec["flags"] == []
    assert spec["pools"] == {"WORKSPACE": 1 << 22}
    assert set(spec["outputs"]) == {"conv1", "pool1", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2", "prob"}


def test_histograms_are_made_where_the_tensors_are(machine):
    bases = {"data": 1.0, "conv1": 0.5}
    with TensorRTRunner(LENET) as runner:
        found = dict(runner.histograms({"data": IMAGES}, bases))
        for name, array in runner.infer({"data": IMAGES}):
            expected = Histogram.of(array, bases.get(name))
            assert found[name].base == expected.base
            np.testing.assert_array_equal(found[name].counts, expected.counts)


def test_ranges_are_those_of_the_tensors(machine):
    with TensorRTRunner(LENET) as runner:
        ranges = dict(runner.ranges({"data": IMAGES}))
        assert ranges == {name: amax_of(array) for name, array in runner.infer({"data": IMAGES})}
    assert len(ranges) == 10


def test_is_built_once_for_batches_that_fit_and_again_for_a_larger_one(machine):
    with TensorRTRunner(LENET) as runner:
        for size in (6, 4, 1, 6):
            assert len(next(iter(runner.histograms({"data": IMAGES[:size]}, {})))) == 2
        assert len(machine.built) == 1
        list(runner.infer({"data": IMAGES}))
        assert len(machine.built) == 2
        assert machine.built[1]["profiles"][0]["data"] == ((1, 1, 28, 28), (12, 1, 28, 28), (12, 1, 28, 28))


def test_a_session_runs_on_it_and_gets_the_ranges_of_the_cpu(machine):
    with CalibrationSession(TensorRTRunner(LENET), IMAGES, batch_size=4) as gpu:
        gpu.run()
        with CalibrationSession(LENET, IMAGES, batch_size=4) as cpu:
            cpu.run()
            found, expected = gpu.to_cache().amax, cpu.to_cache().amax
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-2)


def test_a_feed_that_does_not_fit_is_refused_before_anything_is_built(machine):
    with TensorRTRunner(LENET) as runner:
        with pytest.raises(DataError, match="axis 2"):
            list(runner.infer({"data": np.zeros((1, 1, 29, 28), np.float32)}))
        assert not machine.built


def test_is_closed_with_its_block_and_frees_what_it_had(machine, driver):
    runner = TensorRTRunner(LENET)
    with runner:
        list(runner.histograms({"data": IMAGES}, {}))
        assert driver.blocks
    assert not driver.blocks
    with pytest.raises(UsageError, match="is closed"):
        runner.infer({"data": IMAGES})
    with runner:
        assert dict(runner.infer({"data": IMAGES[:1]}))["prob"].shape == (1, 10)


def test_given_memory_stays_open(machine, driver):
    with open_memory() as memory:
        with TensorRTRunner(LENET, memory=memory) as runner:
            list(runner.infer({"data": IMAGES}))
        assert not memory.closed
        assert not driver.blocks


def test_works_with_the_bundled_images(machine):
    plan = BatchPlan(sample.calibration_images(), 100, max_batches=1)
    with TensorRTRunner(LENET) as runner:
        (_, histogram), *_ = runner.histograms(plan.load(0).feeds, {})
    assert histogram.n_values == 100 * 28 * 28


@pytest.mark.parametrize("workspace", ["4 GB", 0, -1, True, 1.5])
def test_a_workspace_is_a_number_of_bytes(machine, workspace):
    with pytest.raises(UsageError, match="workspace must be a number of bytes"):
        TensorRTRunner(sample.model_path(), workspace=workspace)
