"""How kernels are started: what each binding hands to the driver."""

from __future__ import annotations

import ctypes

import pytest

from trtcal_widgets.gpu.bindings import BindingsDriver
from trtcal_widgets.gpu.driver import DeviceInfo, Launch
from trtcal_widgets.gpu.pycuda import PyCudaDriver

LAUNCH = Launch(grid=7, block=256, arguments=[1 << 40, 3, 0xDEADBEEF], stream=5, overlap=True, shared=1024)


def values_at(addresses, n):
    """Read the parameters as the driver does: an array of pointers, one to each value."""
    pointers = (ctypes.c_uint64 * n).from_address(addresses)
    return [ctypes.c_uint64.from_address(pointer).value for pointer in pointers]


def bindings_driver(monkeypatch, capability):
    api = pytest.importorskip("cuda.bindings.driver")
    driver = BindingsDriver.__new__(BindingsDriver)
    driver._api, driver._configs = api, {}
    driver.device = DeviceInfo(0, "none", capability, 1, 13000)
    calls = []

    def call(name, *arguments):
        addresses = arguments[-2]
        calls.append((name, arguments, values_at(addresses, len(LAUNCH.arguments))))

    monkeypatch.setattr(driver, "_call", call)
    return driver, calls


def test_cuda_bindings_launches_one_row_of_blocks(monkeypatch):
    driver, calls = bindings_driver(monkeypatch, (8, 0))
    driver.launch("kernel", LAUNCH)
    ((name, arguments, values),) = calls
    assert name == "cuLaunchKernel"
    assert arguments[:-2] == ("kernel", 7, 1, 1, 256, 1, 1, 1024, 5)
    assert values == LAUNCH.arguments


def test_cuda_bindings_overlaps_where_the_device_can(monkeypatch):
    driver, calls = bindings_driver(monkeypatch, (9, 0))
    driver.launch("kernel", LAUNCH)
    driver.launch("kernel", LAUNCH._replace(overlap=False))
    driver.launch("kernel", LAUNCH)
    assert [name for name, *_ in calls] == ["cuLaunchKernelEx", "cuLaunchKernel", "cuLaunchKernelEx"]
    config = calls[0][1][0]
    assert calls[2][1][0] is config, "made once"
    assert (config.gridDimX, config.gridDimY, config.blockDimX, config.blockDimZ) == (7, 1, 256, 1)
    assert (config.sharedMemBytes, int(config.hStream), config.numAttrs) == (1024, 5, 1)
    assert config.attrs[0].value.programmaticStreamSerializationAllowed == 1
    assert [values for *_, values in calls] == [LAUNCH.arguments] * 3


def test_pycuda_launches_on_its_own_stream():
    class Api:
        MemoryError = type("MemoryError", (Exception,), {})
        Error = type("Error", (Exception,), {})

    driver = PyCudaDriver.__new__(PyCudaDriver)
    driver._api, driver._streams = Api, {5: "its stream"}
    calls = []
    driver.launch(lambda *values, **options: calls.append((values, options)), LAUNCH)
    ((values, options),) = calls
    assert list(values) == LAUNCH.arguments
    assert {value.itemsize for value in values} == {8}
    assert options == {"grid": (7, 1), "block": (256, 1, 1), "stream": "its stream", "shared": 1024}
