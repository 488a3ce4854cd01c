"""The errors are one family, and to catch those of the GPU no CUDA is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trtcal_widgets import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_can_be_caught_as_the_one_base(name):
    error = getattr(errors, name)
    assert issubclass(error, errors.TrtcalError)
    assert error.__doc__
    assert error.__module__ == "trtcal_widgets.errors"


def test_a_full_gpu_is_a_device_error_and_pythons_memory_error():
    error = errors.OutOfDeviceMemoryError("full", requested=3, free=2, total=4)
    assert isinstance(error, errors.DeviceError)
    assert isinstance(error, MemoryError)
    assert (str(error), error.requested, error.free, error.total) == ("full", 3, 2, 4)


def test_what_the_gpu_modules_raise_are_these_and_no_cuda_is_needed_to_name_them():
    code = (
        "import sys; from trtcal_widgets.errors import DeviceError, OutOfDeviceMemoryError; "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('cuda', 'pycuda', 'tensorrt', 'numpy')]; "
        "from trtcal_widgets.gpu import driver, memory; "
        "assert memory.OutOfDeviceMemoryError is OutOfDeviceMemoryError; "
        "assert issubclass(driver.DriverCallError, DeviceError); "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('cuda', 'pycuda')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
