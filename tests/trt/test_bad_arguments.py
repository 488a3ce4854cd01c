"""Arguments that cannot be meant: each is refused before anything is run, in words that say what to pass."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from trtcal_widgets import sample, trt
from trtcal_widgets.errors import EngineError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.gpu.histogram import GpuHistograms
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.trt.log import _logger as logger

LENET = sample.model_path()
IMAGES = np.random.default_rng(3).standard_normal((8, 1, 28, 28)).astype(np.float32)
ROWS = ("data", "conv1", "pool1", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2", "prob")
CACHE = CalibrationCache.build(dict.fromkeys(ROWS, 0.25), version="10.16.1")
FOUR = {"data": (4, 1, 28, 28)}


def build(**options):
    return trt.build(options.pop("model", LENET), **{"cache": CACHE, "profiles": FOUR, **options})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"algorithm": ["entropy"]}, "algorithm must be 'entropy2'"),
        ({"cache": 5}, "path of the calibration cache is needed"),
        ({"cache": "."}, "which is a folder: name a file in it"),
        ({"cache": "no/such/folder/c"}, "there is no folder .*: create it"),
        ({"algorithm": "legacy", "quantile": "0.9"}, "quantile is a number, not '0.9'"),
        ({"algorithm": "legacy", "quantile": 2}, "from 0 to 1"),
        ({"algorithm": "legacy", "histogram_cache": "no/such/h"}, "there is no folder .*: create it"),
        ({"network_inputs": 5}, "must be a TensorRT network, a ModelGraph, or a dict"),
        ({"network_inputs": {"data": 5}}, "takes as 'data' must be .dtype, shape., such as"),
        ({"network_inputs": {"data": ("foo", (1,))}}, "takes as 'data' must be .dtype, shape., such as"),
        ({"on_batch": 5}, "on_batch must be a function of .index, batch., not an int"),
        ({"stale": 5}, "stale must be 'error', 'recalibrate' or 'use'"),
        ({"memory": 5}, r"memory= is what open_memory\(\) returns, or None, not an int"),
    ],
)
def test_a_calibrators_arguments(machine, options, says):
    with pytest.raises(UsageError, match=says):
        trt.make_calibrator(IMAGES, batch_size=4, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": 5}, "path of an ONNX model is needed"),
        ({"cache": None, "calibrator": IMAGES}, r"make one of data or of a session with make_calibrator\(source\)"),
        ({"plan": PrecisionPlan(keep=("conv9",))}, "did you mean 'conv2', 'conv1'"),
        ({"plan": ["conv1"]}, "must be a PrecisionPlan, not a list"),
        ({"amax": {"konv1": 1.0}}, "did you mean 'conv1'"),
        ({"amax": [1.0]}, "must be a dict of tensor name -> threshold, not a list"),
        ({"profiles": 5}, r"a profile must be a dict, not an int. Pass profiles="),
        ({"profiles": []}, r"has no profile in it. Pass profiles="),
        ({"debug": 1}, "debug must be True or a list of tensor names, not 1"),
        ({"debug": [1]}, "debug must be True or a list of tensor names"),
        ({"debug": "conv1"}, r"debug=\['conv1'\]"),
        ({"progress": 5}, "progress must be a function of one argument"),
        ({"log": 5}, "log must be a function of one argument"),
        ({"control": print}, "control must be a BuildControl"),
        ({"constraints": 1}, "constraints must be 'obey' or 'prefer', not 1"),
    ],
)
def test_a_builds_arguments(machine, options, says):
    with pytest.raises(UsageError, match=says):
        build(**options)
    assert machine.built == []


def test_no_tensors_to_debug_are_none_and_not_all(machine):
    assert "debug" not in build(debug=[]).provenance


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"latency_runs": -1}, "latency_runs is a whole number of at least 0"),
        ({"progress": 5}, "progress must be a function"),
    ],
)
def test_a_comparisons_arguments(machine, options, says):
    with pytest.raises(UsageError, match=says):
        trt.compare(build(), LENET, IMAGES, batch_size=4, **options)


@pytest.mark.parametrize(
    "damage",
    [
        {"engine": 3}, {"device": [1]}, {"debug": "all"}, {"model": 1},
        {"engine": None}, {"debug": None}, {"model": None},
        {"device": {"compute_capability": None}}, {"device": {"compute_capability": 9}},
        {"device": {"compute_capability": ["9", {}]}},
    ],
)  # fmt: skip
def test_a_damaged_json_beside_an_engine(machine, tmp_path, damage):
    beside = build().save(tmp_path / "m.engine")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **damage}))
    with pytest.raises(EngineError, match=r"is damaged .*delete it if the engine is good"):
        trt.Engine.load(tmp_path / "m.engine")


def test_an_engine_whose_device_nobody_knew_loads(machine, tmp_path):
    beside = build().save(tmp_path / "m.engine")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "device": None}))
    assert trt.Engine.load(tmp_path / "m.engine").misfit("10.16.1.11", None) == ""


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("conv1", r"names=\['conv1'\]"),
        ([], "is empty"),
        ({}, "is empty"),
        (5, "must be a list of rows, or a dict, not an int"),
        ([["conv1"]], "names must be texts"),
        ({"conv1": 1}, "names must be texts"),
    ],
)
def test_rows_to_merge(names, says):
    with pytest.raises(UsageError, match=says):
        trt.merge_caches(CACHE, CACHE, names)


def test_a_model_for_dla_may_be_a_path():
    assert trt.check_dla(LENET, CACHE).complete


def test_a_guard_where_there_are_no_calibrators(plug):
    plug("11.4.0.106")
    with pytest.raises(UsageError, match=r"trtcal convert .* --to qdq"):
        trt.guard_calibrator(sys.modules["tensorrt"], object())


def test_a_device_is_a_number():
    with pytest.raises(UsageError, match="device is a whole number of at least 0, not '0'"):
        trt.open_memory(device="0")


def test_what_tensorrt_refuses_is_told_with_its_own_words(machine, monkeypatch):
    def refuse(self, profile):
        logger(sys.modules["tensorrt"]).log(SimpleNamespace(name="ERROR"), "no such shape")
        return -1

    monkeypatch.setattr(sys.modules["tensorrt"].IBuilderConfig, "add_optimization_profile", refuse)
    with pytest.raises(EngineError, match=r"refused the profile .*data.*TensorRT says: no such shape"):
        build()


def test_device_memory_is_asked_for_by_its_name_at_once(machine):
    for take in (
        lambda: trt.TensorRTRunner(LENET, memory="gpu"),
        lambda: GpuHistograms(1, memory="gpu"),
        lambda: trt.compare("model.engine", LENET, IMAGES, batch_size=4, memory="gpu"),
    ):
        with pytest.raises(UsageError, match=r"memory= is what open_memory\(\) returns, or None, not a str"):
            take()
