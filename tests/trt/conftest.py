"""Fixtures: a machine with a stand-in for TensorRT whose device memory is host memory."""

from __future__ import annotations

import sys

import pytest

from tests.support.trt_fake import make_fake
from tests.support.trt_fake_base import Machine
from tests.support.trt_host_driver import HostDriver
from trtcal_widgets.errors import DeviceError, MissingDependencyError
from trtcal_widgets.gpu import memory as memory_module
from trtcal_widgets.gpu.memory import DeviceMemory


@pytest.fixture
def driver() -> HostDriver:
    return HostDriver()


@pytest.fixture
def plug(monkeypatch, driver):
    """Return a function that makes ``import tensorrt`` give the stand-in of a release."""

    def put_in(release: str) -> Machine:
        monkeypatch.setattr(memory_module, "open_driver", lambda prefer, device: driver)
        machine = Machine(release, DeviceMemory(HostDriver()))
        monkeypatch.setitem(sys.modules, "tensorrt", make_fake(machine))
        return machine

    return put_in


@pytest.fixture
def gpu_machine(monkeypatch):
    """The same stand-in on a machine with a GPU: its device memory is the GPU's."""
    try:
        memory = memory_module.open_memory()
    except (DeviceError, MissingDependencyError) as error:
        pytest.skip(f"needs a GPU: {error}")
    with memory:
        machine = Machine("10.16.1.11", memory)
        monkeypatch.setitem(sys.modules, "tensorrt", make_fake(machine))
        yield machine


@pytest.fixture
def machine(plug) -> Machine:
    """The stand-in of the newest release that has calibrators."""
    return plug("10.16.1.11")
