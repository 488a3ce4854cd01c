"""Engines with their provenance, and engines of another GPU or TensorRT."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.errors import DataError, EngineError, ExportError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.gpu.driver import DeviceError, DeviceInfo
from trtcal_widgets.gpu.memory import OutOfDeviceMemoryError, open_memory
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.trt.building import build
from trtcal_widgets.trt.engine import FORMAT, Engine
from trtcal_widgets.trt.execution import Execution

LENET = sample.model_path()
IMAGES = np.random.default_rng(5).standard_normal((8, 1, 28, 28)).astype(np.float32)
UP_TO_8 = {"data": ((1, 1, 28, 28), (8, 1, 28, 28), (8, 1, 28, 28))}


@pytest.fixture
def engine(machine) -> Engine:
    return build(LENET, int8=False, profiles=UP_TO_8)


def test_is_saved_beside_what_it_was_made_from(engine, tmp_path):
    path = tmp_path / "lenet.engine"
    beside = engine.save(path)
    assert path.read_bytes() == engine.data
    facts = json.loads(beside.read_text())
    assert beside.name == "lenet.engine.json"
    assert facts["format"] == FORMAT
    assert facts["engine"] == {"file": "lenet.engine", "sha256": engine.sha256, "bytes": len(engine.data)}
    assert facts["settings"]["int8"] is False
    again = Engine.load(path)
    assert again.data == engine.data
    assert again.tensorrt == "10.16.1.11"
    again.save(path)
    assert json.loads(beside.read_text()) == facts


def test_an_engine_without_json_loads(engine, tmp_path):
    path = tmp_path / "by-trtexec.plan"
    path.write_bytes(engine.data)
    assert Engine.load(path).tensorrt == ""


def test_a_json_of_another_engine_is_refused(engine, tmp_path):
    path = tmp_path / "a.engine"
    engine.save(path)
    path.write_bytes(engine.data + b" ")
    with pytest.raises(EngineError, match="describes another engine"):
        Engine.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}'])
def test_a_json_that_is_not_ours_is_refused(engine, tmp_path, text):
    path = tmp_path / "a.engine"
    path.write_bytes(engine.data)
    (tmp_path / "a.engine.json").write_text(text)
    with pytest.raises(EngineError, match=r"a\.engine\.json"):
        Engine.load(path)


def test_files_that_are_not_there_or_empty(tmp_path, engine):
    with pytest.raises(EngineError, match="no such file"):
        Engine.load(tmp_path / "none.engine")
    (tmp_path / "empty.engine").touch()
    with pytest.raises(EngineError, match="is empty"):
        Engine.load(tmp_path / "empty.engine")
    with pytest.raises(ExportError):
        engine.save(tmp_path / "no folder" / "x.engine")


def test_runs_batches_of_any_size_in_its_profile(engine):
    with OnnxRuntimeRunner(LENET) as fp32, Execution(engine) as execution:
        for size in (8, 3, 1):
            expected = dict(fp32.infer({"data": IMAGES[:size]}))["prob"]
            np.testing.assert_allclose(execution.run({"data": IMAGES[:size]})["prob"], expected, atol=1e-6)


def test_an_engine_is_run_from_its_file(engine, tmp_path):
    engine.save(tmp_path / "lenet.engine")
    with Execution(tmp_path / "lenet.engine") as execution:
        assert execution.engine.sha256 == engine.sha256
        assert execution.run({"data": IMAGES})["prob"].shape == (8, 10)
    with pytest.raises(UsageError, match="not a bytes"):
        Execution(engine.data)


def test_a_batch_outside_the_profile_says_what_fits(engine):
    with (
        Execution(engine) as execution,
        pytest.raises(DataError, match=r"outside what the engine was built for, \(1, 1, 28, 28\) to \(8, 1, 28, 28\)"),
    ):
        execution.run({"data": np.zeros((9, 1, 28, 28), np.float32)})


def test_a_feed_that_does_not_fit_is_refused_before_it_is_copied(engine):
    with Execution(engine) as execution:
        with pytest.raises(DataError, match="axis 1 is 3, not 1"):
            execution.run({"data": np.zeros((2, 3, 28, 28), np.float32)})
        with pytest.raises(DataError, match="uint8"):
            execution.run({"data": np.zeros((2, 1, 28, 28), np.uint8)})


def test_the_time_of_a_batch_is_measured(engine):
    with Execution(engine) as execution:
        found = execution.latency({"data": IMAGES[:4]}, runs=5, warmup=1)
        assert 0 < found.median <= found.p90 <= found.p99
        assert (found.runs, found.batch_size) == (5, 4)
        with pytest.raises(UsageError):
            execution.latency({"data": IMAGES}, runs=0)


def test_everything_on_the_device_is_freed(engine, driver):
    with Execution(engine) as execution:
        execution.run({"data": IMAGES})
        assert driver.blocks
    assert not driver.blocks
    with open_memory() as memory:
        with Execution(engine, memory=memory) as execution:
            execution.run({"data": IMAGES})
        assert not driver.blocks


def test_a_full_device_says_how_many_samples_would_fit(engine, driver):
    driver.capacity = IMAGES.nbytes + 256  # the inputs fit, and of eight rows of ten floats not even one block more
    with (
        Execution(engine) as execution,
        pytest.raises(OutOfDeviceMemoryError, match=r"1 output for 8 samples.*at most 4 would fit"),
    ):
        execution.run({"data": IMAGES})
    assert not driver.blocks


def test_an_engine_of_another_tensorrt_is_refused(engine, plug):
    plug("10.0.1")
    with pytest.raises(EngineError, match=r"made by TensorRT 10\.16\.1\.11, and this is 10\.0\.1") as caught:
        Execution(engine)
    assert "build lenet.onnx here" in str(caught.value)
    assert "not compatible with this version" in str(caught.value)


def test_an_engine_of_another_gpu_is_refused(engine, machine, driver, monkeypatch):
    machine.compute_capability = (8, 6)
    monkeypatch.setattr(type(driver), "device", DeviceInfo(0, "Small GPU", (8, 6), 20, 12000))
    with pytest.raises(EngineError, match=r"Host GPU \(compute capability 9\.0\), and this is Small GPU \(8\.6\)"):
        Execution(engine)


def test_bytes_that_are_no_engine_are_refused(machine):
    with pytest.raises(EngineError, match="damaged, or of another"):
        Execution(Engine(b"not an engine", {}))


def test_no_driver_says_so(engine, machine):
    machine.cuda_error = 35
    with pytest.raises(DeviceError, match="driver is too old"):
        Execution(engine)


def test_int8_output_differs_from_fp32_in_the_stand_in(machine):
    """Makes sure that the comparisons elsewhere have something to find."""
    cache = CalibrationCache.build({"data": 1 / 127, "prob": 1 / 127}, version="10.16.1")
    with Execution(build(LENET, cache=cache, profiles=UP_TO_8)) as execution:
        found = execution.run({"data": IMAGES})["prob"]
    assert np.all(np.abs(found * 127 - np.rint(found * 127)) < 1e-4)


def test_what_is_closed_says_so(engine):
    with Execution(engine) as execution:
        pass
    for use in (execution.run, execution.latency, execution.layer_times, lambda _: execution.inspect()):
        with pytest.raises(UsageError, match="is closed"):
            use({"data": IMAGES})
