"""Device memory: on the fake driver in processes of their own, and on a real device where there is one."""

from __future__ import annotations

import ctypes.util
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_cuda import BINDINGS, PYCUDA, run_on_fake
from trtcal_widgets.errors import DeviceError, MissingDependencyError, OutOfDeviceMemoryError, TrtcalError, UsageError
from trtcal_widgets.gpu import choice as memory_choice
from trtcal_widgets.gpu.driver import check_driver_version, readable_size
from trtcal_widgets.gpu.memory import (
    BatchStage,
    largest_batch,
    open_memory,
)

both = pytest.mark.parametrize("binding", [BINDINGS, pytest.param(PYCUDA, marks=pytest.mark.slow)])


@both
@pytest.mark.parametrize("scenario", ["round_trip", "grow_only", "frees", "threads", "choice"])
def test_on_the_fake_driver(scenario, binding):
    run_on_fake(scenario, binding)


@both
def test_a_full_device_says_how_large_a_batch_fits(binding):
    said = run_on_fake("out_of_memory", binding, FAKE_CUDA_MEM=str(16 << 20))
    assert "64 MiB were asked for in one piece" in said
    assert "16 MiB of 16 MiB are free" in said
    assert "This batch has 64 samples; at most 15 would fit" in said


@both
def test_a_machine_without_a_device_says_so(binding):
    said = run_on_fake("refused", binding, FAKE_CUDA_DEVICES="0")
    assert said.count("DeviceError the NVIDIA driver finds no CUDA device") == 2
    assert "ONNX Runtime needs no GPU" in said


@both
def test_a_device_that_is_not_there_says_so(binding):
    said = run_on_fake("refused", binding)
    assert "DeviceError there is no CUDA device 3: this machine shows 1 of them" in said
    assert "CUDA device 0" not in said


@both
def test_an_old_driver_says_so(binding):
    said = run_on_fake("refused", binding, FAKE_CUDA_VERSION="10020")
    assert "the NVIDIA driver is too old: it supports CUDA up to 10.2, and 11.0 is the least" in said


@both
def test_a_refused_kernel_says_so(binding):
    assert "DriverCallError the CUDA driver's cuModuleLoadData failed" in run_on_fake("no_kernels", binding)


@pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="this machine has an NVIDIA driver")
def test_a_machine_without_a_driver_says_so():
    pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    with pytest.raises(DeviceError, match="Install or update the NVIDIA driver, or calibrate with ONNX Runtime"):
        open_memory(BINDINGS)


@pytest.mark.parametrize(("prefer", "extra"), [(None, "cuda"), (BINDINGS, "cuda"), (PYCUDA, "pycuda")])
def test_missing_packages_are_named_with_the_road_that_works_without(monkeypatch, prefer, extra):
    # None is how Python itself marks a module that cannot be imported.
    for name in [m for m in sys.modules if m.split(".")[0] in {"cuda", "pycuda"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(MissingDependencyError) as caught:
        open_memory(prefer)
    assert f"pip install 'trtcal_widgets[{extra}]'" in str(caught.value)
    assert "ONNX Runtime works without it" in str(caught.value)


def test_an_unknown_binding_is_refused():
    with pytest.raises(UsageError, match="cupy"):
        open_memory("cupy")


def test_the_choice_falls_to_what_is_installed(monkeypatch):
    for installed, expected in (({BINDINGS, PYCUDA}, BINDINGS), ({BINDINGS}, BINDINGS), ({PYCUDA}, PYCUDA)):
        monkeypatch.setattr(memory_choice, "_installed", installed.__contains__)
        assert memory_choice._default_binding() == expected


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 44), st.integers(0, 1 << 44))
def test_the_largest_batch_fits_and_one_sample_more_does_not(bytes_per_sample, free, fixed):
    n = largest_batch(bytes_per_sample, free, fixed=fixed)
    assert n == 0 or fixed + n * bytes_per_sample <= free
    assert n >= 0
    assert fixed + (n + 1) * bytes_per_sample > free


def test_a_sample_without_bytes_has_no_largest_batch():
    with pytest.raises(UsageError):
        largest_batch(0, 100)


@pytest.mark.parametrize(("version", "fits"), [(10020, False), (11000, True), (13000, True)])
def test_driver_versions(version, fits):
    if fits:
        check_driver_version(version)
    else:
        with pytest.raises(DeviceError, match="too old"):
            check_driver_version(version)


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 40, "3072 GiB")]
)
def test_sizes_for_people(nbytes, text):
    assert readable_size(nbytes) == text


@pytest.fixture(params=[BINDINGS, PYCUDA])
def device(request):
    try:
        memory = open_memory(request.param)
    except (MissingDependencyError, DeviceError) as error:
        pytest.skip(f"needs a CUDA device and {request.param}: {error}")
    with memory:
        yield memory


@pytest.mark.gpu
def test_batches_arrive_on_a_real_device_from_any_thread(device):
    x = np.random.default_rng(0).standard_normal((8, 3, 224, 224)).astype(np.float32)[:, ::-1]
    ids = np.arange(24).reshape(8, 3)
    stage = BatchStage(device)
    found = {}

    def work():
        pointers = stage.put({"x": x, "ids": ids})
        with device.current() as driver:
            for name, array in (("x", x), ("ids", ids)):
                out = np.empty(array.shape, array.dtype)
                driver.copy_out(out, pointers[name], None)
                found[name] = out

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["ids"], ids)


@pytest.mark.gpu
def test_a_real_device_that_is_full_says_so_and_goes_on(device):
    free, total = device.mem_info()
    assert 0 < free <= total
    with pytest.raises(OutOfDeviceMemoryError) as caught:
        device.alloc(total + 1)
    assert caught.value.requested == total + 1
    assert device.device.name in str(caught.value)
    stream = device.new_stream()
    with device.alloc(1 << 20) as buffer, device.alloc_pinned(1 << 20) as sent, device.alloc_pinned(1 << 20) as got:
        sent.array[:] = 7
        got.array[:] = 0
        device.upload(buffer, sent.array, stream=stream)
        device.download(buffer, got.array, stream=stream)
        device.synchronize(stream)
        assert (got.array == 7).all()


@pytest.mark.gpu
def test_a_real_device_that_is_not_there_says_so(device):
    with pytest.raises(TrtcalError, match="there is no CUDA device 99"):
        open_memory(device.name, device=99)
