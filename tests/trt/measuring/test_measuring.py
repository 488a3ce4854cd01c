"""Engines inspected and timed, with the stand-in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.inspected import FP32, INT8, inspector_text
from trtcal_widgets import sample, trt
from trtcal_widgets.errors import EngineError, UsageError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.engine.inspector import read_inspector
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.trt import execution as execution_module
from trtcal_widgets.trt.building import build
from trtcal_widgets.trt.execution import Execution
from trtcal_widgets.trt.measuring.device import EngineDevice, Variant
from trtcal_widgets.trt.measuring.layers import layer_precisions, name_layers, times_by_node

LENET = sample.model_path()
SCALES = {"data": 1 / 127, "conv1": 0.02, "pool1": 0.02, "conv2": 0.03, "prob": 1 / 127}
FEEDS = {"data": np.zeros((4, 1, 28, 28), np.float32)}
SHAPES = {"data": (4, 1, 28, 28)}


def cache_of(machine):
    return CalibrationCache.build(SCALES, version=machine.version)


def test_an_engine_says_what_it_ran_in_int8_and_pairs_follow(machine):
    engine = build(LENET, cache=cache_of(machine), profiles=SHAPES)
    ran = trt.layer_precisions(engine, LENET)
    assert set(ran.int8) == {"conv1", "pool1", "conv2", "prob"}
    report = build_qdq(LENET, SCALES, placement=ran).report
    assert {"data", "pool1", "conv1.weight", "conv2.weight"} <= {tensor.name for tensor in report.quantized}
    assert not any("ip1" in tensor.consumers for tensor in report.quantized)


def test_layers_are_timed_one_by_one(machine):
    engine = build(LENET, int8=False, profiles=SHAPES)
    with Execution(engine) as execution:
        times = execution.layer_times(FEEDS, runs=3)
        assert list(times)[:2] == ["conv1", "pool1"]
        assert times["pool1"] == pytest.approx(0.002)
        with pytest.raises(UsageError, match="runs"):
            execution.layer_times(FEEDS, runs=0)
        assert {layer.name for layer in read_inspector(execution.inspect())} == set(times)


def test_what_is_run_after_layers_were_timed_has_no_profiler(machine, monkeypatch):
    reported, make = [], execution_module.make_profiler
    monkeypatch.setattr(execution_module, "make_profiler", lambda trt, times: make(trt, reported_in(times, reported)))
    with Execution(build(LENET, int8=False, profiles=SHAPES)) as execution:
        execution.layer_times(FEEDS, runs=2)
        before = len(reported)
        assert before > 0
        execution.latency(FEEDS, runs=3, warmup=1)
        assert len(reported) == before
        monkeypatch.setattr(execution, "_execute", stopped_at(3, execution._execute))
        with pytest.raises(KeyboardInterrupt):
            execution.layer_times(FEEDS, runs=5)
        before = len(reported)
        execution.run(FEEDS)
        assert len(reported) == before


def reported_in(times, reported):
    """What a profiler adds to, and notes in a list too."""

    class Noted(dict):
        def setdefault(self, name, default):
            reported.append(name)
            return times.setdefault(name, default)

    return Noted()


def stopped_at(n, execute):
    """What runs an engine, and is interrupted in the n-th run."""
    left = iter(range(n - 1, -1, -1))

    def run():
        execute()
        if next(left, None) == 0:
            raise KeyboardInterrupt

    return run


def test_an_engine_that_tells_names_only_is_refused(machine):
    with pytest.raises(EngineError, match="DETAILED"):
        read_inspector('{"Layers": ["conv1"]}')


def test_times_go_to_the_nodes_of_a_layer_and_copies_to_those_they_are_made_for():
    graph = load_graph(LENET)
    layers = read_inspector(
        inspector_text(
            [
                ("data_QuantizeLinear", "Scale", {"data": FP32}, {"q": INT8}),
                ("Reformatting CopyNode for Input Tensor 0 to conv2", "Reformat", {"pool1": FP32}, {"r": INT8}),
                ("conv2.weight + conv2.weight_QuantizeLinear + conv2", "CaskConvolution", {"r": INT8}, {"conv2": FP32}),
                ("ip1 + relu1", "CaskConvolution", {"flatten": FP32}, {"relu1": FP32}),
            ]
        )
    )
    names = [layer.name for layer in layers]
    found = name_layers(layers, dict(zip([*names, "unknown"], (1.0, 2.0, 4.0, 8.0, 16.0), strict=True)), graph)
    assert [(layer.nodes, layer.copies, layer.computes_in) for layer in found] == [
        (("conv1",), True, "fp32"),
        (("conv2",), True, "fp32"),
        (("conv2",), False, "int8"),
        (("ip1", "relu1"), False, "fp32"),
        ((), False, ""),
    ]
    assert times_by_node(found) == {"conv1": 1.0, "conv2": 6.0, "ip1": 4.0, "relu1": 4.0}


def test_the_device_builds_and_measures_variants(machine, tmp_path):
    graph = load_graph(LENET)
    explicit = tmp_path / "explicit.onnx"
    build_qdq(LENET, SCALES).write(explicit)
    with EngineDevice(FEEDS, level=0, timing_cache=tmp_path / "times", runs=2) as device:
        assert "TensorRT 10.16.1.11" in device.name
        implicit = device.measure(Variant("implicit", LENET, cache_of(machine)), graph)
        first = (tmp_path / "times.implicit.fp16").read_bytes()
        device.measure(Variant("implicit", LENET, cache_of(machine)), graph)
        half = device.measure(Variant("fp16", LENET), graph)
        device.measure(Variant("explicit", explicit), graph)
        device.measure(Variant("fp32", LENET), graph)
    assert implicit.ms > 0
    assert set(implicit.ran.int8) == {"conv1", "pool1", "conv2", "prob"}
    assert not half.ran.int8
    assert {layer.name for layer in implicit.layers} >= {"conv1", "ip2"}
    assert [spec["flags"] for spec in machine.built] == [
        ["FP16", "INT8", "TF32"],
        ["FP16", "INT8", "TF32"],
        ["FP16", "TF32"],
        ["FP16", "INT8", "TF32"],
        ["TF32"],
    ]
    assert (tmp_path / "times.fp16.fp16").exists(), "FP16 has a cache of its own"
    assert (tmp_path / "times.implicit.fp16").read_bytes() != first, "the second build goes on with it"


def test_data_without_a_name_are_the_only_inputs(machine):
    """As evaluation data from a file are: TensorRT's profiles want the model's own name."""
    (values,) = FEEDS.values()
    with EngineDevice({"": values}, runs=2) as device:
        assert device.measure(Variant("fp32", LENET), load_graph(LENET)).ms > 0


def test_a_timing_cache_of_another_gpu_is_made_anew(machine, tmp_path):
    (tmp_path / "times").write_bytes(b"another GPU's")
    build(LENET, int8=False, profiles=SHAPES, timing_cache=tmp_path / "times")
    assert (tmp_path / "times").read_bytes() == b"times:x"


def test_tensorrt_11_measures_explicit_variants_alone(plug, tmp_path):
    plug("11.4.0.106")
    with EngineDevice(FEEDS) as device, pytest.raises(UsageError, match="no implicit INT8"):
        device.measure(Variant("implicit", LENET), load_graph(LENET))


def test_the_public_function_is_the_one_tested():
    assert trt.layer_precisions is layer_precisions
