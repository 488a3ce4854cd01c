"""What TensorRT calls while an engine runs: a listener that is shown inner tensors, and a profiler."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import EngineError
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.trt.inputs import NUMPY_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trtcal_widgets.trt.execution import Execution


def make_listener(trt: Any, receive: Callable[[DeviceTensor, int], object]) -> tuple[Any, Callable[[], None]]:
    """Make TensorRT's ``IDebugListener``.

    The binding swallows what a listener raises, so exceptions are kept.

    ``trt``: a TensorRT module that has ``IDebugListener``. ``receive``: called with each tensor and the stream that
    makes it; the tensor is only there during the call. Tensors in host memory and of types that no array can hold are
    left out. Returns (listener, raise_if_failed): the object for ``IExecutionContext.set_debug_listener``, and a
    function that raises what was kept.
    """
    failures: list[BaseException] = []

    class Listener(trt.IDebugListener):  # type: ignore[misc]  # tensorrt is Any
        def __init__(self) -> None:
            trt.IDebugListener.__init__(self)

        def process_debug_tensor(self, addr: Any, location: Any, type: Any, shape: Any, name: str, stream: int) -> bool:  # noqa: A002 - TensorRT's name
            dtype = NUMPY_NAMES.get(str(type.name), "")
            if failures or not dtype or location != trt.TensorLocation.DEVICE:
                return True
            try:
                receive(DeviceTensor(str(name), _address(addr), tuple(int(n) for n in shape), dtype), int(stream))
            except BaseException as error:  # noqa: BLE001 - TensorRT's binding would swallow it
                failures.append(error)
            return True

    def raise_if_failed() -> None:
        if failures:
            raise failures[0]

    return Listener(), raise_if_failed


def _address(address: Any) -> int:
    """Return an address; the documentation has a capsule, the releases seen pass an int."""
    if isinstance(address, int):
        return address
    ask = ctypes.pythonapi.PyCapsule_GetPointer
    ask.restype, ask.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(ask(address, None))


@contextmanager
def watching(
    trt: Any, execution: Execution, receive: Callable[[DeviceTensor, int], object]
) -> Iterator[Callable[[], None]]:
    """Have the engine's debug tensors handed to ``receive`` while the block runs.

    What it gives is to be called after each run, and raises what ``receive`` raised. EngineError if TensorRT refuses to
    watch them.
    """
    context = execution.context
    listener, raise_if_failed = make_listener(trt, receive)
    kind = execution.engine.provenance.get("debug", {}).get("kind")
    if not context.set_debug_listener(listener):
        raise EngineError(
            "TensorRT refused the debug listener, so inner tensors cannot be seen; an engine that was built without "
            f"debug= is compared by its outputs. TensorRT says: {execution.book.last_errors()}"
        )
    try:
        if kind == "unfused":
            context.unfused_tensors_debug_state = True
        elif not context.set_all_tensors_debug_state(True):
            raise EngineError("TensorRT refused to watch the engine's debug tensors: was it built with debug=?")
        yield raise_if_failed
    finally:
        if kind == "unfused":
            context.unfused_tensors_debug_state = False
        else:
            context.set_all_tensors_debug_state(False)


def make_profiler(trt: Any, times: dict[str, list[float]]) -> Any:
    """Make TensorRT's ``IProfiler``, which adds to ``times``."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]  # tensorrt is Any
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            times.setdefault(str(layer_name), []).append(float(ms))

    return Profiler()
