"""Counting where ONNX Runtime leaves its outputs: here in host memory, on a machine with a GPU in the GPU's."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.support.trt_host_driver import host_memory, read_back
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core.histogram import Histogram, join_parts
from trtcal_widgets.errors import DeviceError, MissingDependencyError, ModelError
from trtcal_widgets.gpu import histogram as gpu_histogram
from trtcal_widgets.gpu.choice import device_names
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model import ort as opening
from trtcal_widgets.model.load import load_model
from trtcal_widgets.runners import cuda
from trtcal_widgets.runners.cuda import OnDevice, cuda_device
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.runners.tap import OnnxRuntimeTap

IMAGES = np.random.default_rng(9).standard_normal((12, 1, 28, 28)).astype(np.float32)


class HostHistograms:
    """:class:`GpuHistograms` that reads host memory."""

    def __init__(self, n_tensors, bases=None, *, memory, stream=0):
        self.n = n_tensors
        self.reset(bases)

    def reset(self, bases=None):
        self.bases = [None] * self.n if bases is None else list(bases)
        self.found = {}

    def add(self, arrays):
        for item in arrays:
            counted = Histogram.of(read_back(item.ptr, (item.n,), item.dtype), self.bases[item.slot])
            self.found[item.slot] = join_parts([self.found[item.slot], counted]) if item.slot in self.found else counted

    def fetch(self):
        return [self.found.get(slot, Histogram.empty()) for slot in range(self.n)]

    def close(self):
        self.found = {}


def facts(histogram):
    h = histogram
    return h.base, h.doublings, h.counts.tobytes(), h.edge, h.tallies, h.minimum, h.maximum, h.total, h.sum_squares


@pytest.fixture
def on_device(monkeypatch):
    """Return a function that makes an OnDevice over host memory for a model."""
    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)
    opened = []

    def make(path):
        model = load_model(path)
        tap = OnnxRuntimeTap(model, providers=None, threads=1, optimization="extended")
        tap.read_everything = True
        memory, _ = host_memory()
        opened.append(OnDevice(tap, 0, memory=memory, place="cpu"))
        return opened[-1], [*tap.outputs, *model.inner.names]

    yield make
    for device in opened:
        device.close()


def test_counts_every_tensor_as_the_cpu_does(on_device):
    device, outputs = on_device(sample.model_path())
    with OnnxRuntimeRunner(sample.model_path()) as runner:
        first = dict(runner.histograms({"data": IMAGES}, {}))
        bases = {name: h.base for name, h in first.items()}
        expected = [first, dict(runner.histograms({"data": IMAGES * 3}, bases))]
        ranges = dict(runner.ranges({"data": IMAGES}))
    found = [
        dict(device.histograms({"data": IMAGES}, outputs, {})),
        dict(device.histograms({"data": IMAGES * 3}, outputs, bases)),
    ]
    for one, other in zip(expected, found, strict=True):
        assert {name: facts(h) for name, h in one.items()} == {name: facts(h) for name, h in other.items()}
    assert dict(device.ranges({"data": IMAGES}, outputs)) == ranges


def test_types_that_the_kernels_do_not_take_are_counted_on_the_host(on_device, tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["wide", "wide"], ["square"]),
        helper.make_node("Cast", ["square"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["floats"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 2]),
    ]
    graph = helper.make_graph(
        nodes, "types", inputs, [helper.make_tensor_value_info(n, t, None) for n, t in (("half", 10), ("y", 1))]
    )
    path = tmp_path / "types.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    feeds = {"x": IMAGES.reshape(-1, 4)[:30], "ids": np.arange(60).reshape(30, 2)}
    device, outputs = on_device(path)
    with OnnxRuntimeRunner(path) as runner:
        expected = {name: facts(h) for name, h in runner.histograms(feeds, {})}
    assert {name: facts(h) for name, h in device.histograms(feeds, outputs, {})} == expected
    assert {"x", "wide", "square", "half", "floats", "y"} <= expected.keys()


def test_what_fails_is_said_as_on_the_cpu(on_device, tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "w")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    device, outputs = on_device(path)
    with pytest.raises(ModelError, match=r"m\.onnx: MatMul node 'product' failed.*Fed: 'x' float32 \(2, 3\)"):
        list(device.histograms({"x": np.ones((2, 3), np.float32), "w": np.ones((2, 3), np.float32)}, outputs, {}))


@pytest.mark.parametrize(
    ("providers", "device"),
    [
        (None, None),
        (["CPUExecutionProvider"], None),
        (["CPUExecutionProvider", "CUDAExecutionProvider"], None),
        (["CUDAExecutionProvider"], 0),
        ([("CUDAExecutionProvider", {"device_id": "2"}), "CPUExecutionProvider"], 2),
    ],
)
def test_tensors_stay_on_the_gpu_where_it_runs_the_model(providers, device):
    pytest.importorskip("cuda.bindings")
    assert cuda_device(providers) == device


@pytest.mark.parametrize(
    ("shown", "names", "options", "wanted"),
    [
        (None, ["H200", "H200"], {}, ["0", "1"]),
        ("3, 1", ["H200", "H200"], {}, ["3", "1"]),
        ("GPU-7a,GPU-2c,GPU-11", ["H200", "L4", "H200"], {}, ["GPU-7a", "GPU-11"]),
        (None, ["H200"], {}, []),
        (None, ["H200", "L4"], {}, []),
        (None, [], {}, []),
        (None, ["H200", "H200"], {"device_id": 1}, []),
    ],
)
def test_each_process_has_a_gpu_of_its_own(monkeypatch, shown, names, options, wanted):
    pytest.importorskip("cuda.bindings")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    monkeypatch.setattr(cuda, "device_names", lambda: names)
    runner = OnnxRuntimeRunner(sample.model_path(), providers=[("CUDAExecutionProvider", options)])
    assert [one["CUDA_VISIBLE_DEVICES"] for one in runner.environments()] == wanted
    assert OnnxRuntimeRunner(sample.model_path()).environments() == []


def test_gpus_have_the_names_that_they_have_when_they_are_opened():
    try:
        memory = open_memory()
    except (MissingDependencyError, DeviceError):
        assert device_names() == []
    else:
        with memory:
            assert device_names()[0] == memory.device.name


def test_float32_is_computed_as_such_on_the_gpu_unless_the_user_says_otherwise(monkeypatch, tmp_path):
    asked = []

    class Opened:
        def __init__(self, model, options, providers, enable_fallback):
            asked.append(providers)

        def get_providers(self):
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(ort, "InferenceSession", Opened)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    given = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    opening.open_session(b"", tmp_path, name="m", providers=given)
    opening.open_session(b"", tmp_path, name="m", providers=[("CUDAExecutionProvider", {"use_tf32": "1"})])
    (name, options), other = asked[0]
    assert (name, options["use_tf32"], other) == ("CUDAExecutionProvider", "0", "CPUExecutionProvider")
    assert asked[1][0][1]["use_tf32"] == "1"


@pytest.mark.gpu
def test_a_session_on_the_gpu_counts_its_own_activations_bit_for_bit():
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    runner = OnnxRuntimeRunner(sample.model_path(), providers=["CUDAExecutionProvider"])
    with runner:
        arrays = dict(runner.infer({"data": IMAGES}))
        found = dict(runner.histograms({"data": IMAGES}, {}))
    assert found.keys() >= arrays.keys()
    for name, array in arrays.items():
        assert facts(found[name])[:7] == facts(Histogram.of(array))[:7], name
    with CalibrationSession(runner, IMAGES, batch_size=4) as session:
        session.run()
        assert session.status.recorded == 3


@pytest.mark.gpu
def test_processes_on_several_gpus_record_what_one_process_does():
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    if len(device_names()) < 2:
        pytest.skip("this machine has one GPU")
    found = []
    for executor in (None, 2, 5):
        model, images = sample.model_path(), sample.calibration_images()
        with CalibrationSession(model, images, batch_size=25, providers=["CUDAExecutionProvider"]) as session:
            session.run(executor=executor)
            found.append([facts(session.histogram(name)) for name in session.tensors])
    assert found[0] == found[1] == found[2]
