"""Which Python binding of the CUDA driver is used, where both may be installed."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import whole_number
from trtcal_widgets.errors import DeviceError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    from trtcal_widgets.gpu.driver import Driver

BINDINGS = "cuda-bindings"
PYCUDA = "pycuda"


def open_driver(prefer: str | None, device: int) -> Driver:
    """Open a device through one of the bindings; see :func:`~trtcal_widgets.gpu.memory.open_memory`."""
    if prefer not in (None, BINDINGS, PYCUDA):
        raise UsageError(f"prefer must be {BINDINGS!r}, {PYCUDA!r} or None, not {prefer!r}")
    whole_number(device, "device", 0)
    name = prefer or _default_binding()
    if name is None or not _installed(name):
        wanted = f"{prefer!r} is not" if prefer else "neither cuda-bindings nor pycuda is"
        extra = "pycuda" if prefer == PYCUDA else "cuda"
        raise MissingDependencyError(
            f"memory on a GPU was asked for, but {wanted} installed: pip install 'trtcal_widgets[{extra}]'. "
            "Calibrating with ONNX Runtime works without it and without a GPU"
        )
    if name == PYCUDA:
        from trtcal_widgets.gpu.pycuda import PyCudaDriver

        return PyCudaDriver(device)
    from trtcal_widgets.gpu.bindings import BindingsDriver

    return BindingsDriver(device)


def device_names() -> list[str]:
    """Return the names of the GPUs that this process sees, without opening any; none where they cannot be asked for."""
    name = _default_binding()
    if name is None:
        return []
    module = import_module(f"trtcal_widgets.gpu.{'pycuda' if name == PYCUDA else 'bindings'}")
    try:
        names: list[str] = module.device_names()
    except (ImportError, RuntimeError, DeviceError):  # no driver, or none that this binding can use
        return []
    return names


def _installed(name: str) -> bool:
    """Whether a binding is installed (which does not mean that it finds a driver)."""
    module, parent = ("pycuda", None) if name == PYCUDA else ("cuda.bindings", "cuda")
    if parent is not None and importlib.util.find_spec(parent) is None:
        return False
    return importlib.util.find_spec(module) is not None


def _default_binding() -> str | None:
    """Return the binding that already has a context current on this thread, or the better one that is installed."""
    pycuda = sys.modules.get("pycuda.driver")
    if pycuda is not None and pycuda.Context.get_current() is not None:
        return PYCUDA
    return next((name for name in (BINDINGS, PYCUDA) if _installed(name)), None)
