"""The package's CUDA source, compiled for the device at hand at run time."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from trtcal_widgets.errors import MissingDependencyError
from trtcal_widgets.gpu.driver import DeviceError, DriverCallError, Launch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.gpu.driver import Driver
    from trtcal_widgets.gpu.memory import DeviceMemory

_NAMES = ("count", "finish", "gather", "measure", "reset")


@dataclass(frozen=True)
class Tuning:
    """The macros at the top of ``histogram.cu``; the defaults are what was fastest on an H100."""

    threads: int = 1024
    blocks_per_sm: int = 1
    vectors: int = 2
    depth: int = 2
    prefetch_kib: int = 128

    def defines(self) -> list[str]:
        """Return them as ``NAME=value``."""
        return [f"{f.name.upper()}={getattr(self, f.name)}" for f in fields(self)]

    def ring(self, compute_capability: tuple[int, int]) -> int:
        """Return the bytes of shared memory for values that are on their way: none before there was cp.async."""
        return self.threads * self.vectors * self.depth * 16 if compute_capability >= (8, 0) else 0


TUNING = Tuning()


class Kernels:
    """The loaded kernels of one device."""

    def __init__(self, memory: DeviceMemory, tuning: Tuning) -> None:
        self.tuning = tuning
        self.n_blocks = memory.device.multiprocessors * tuning.blocks_per_sm
        major, minor = memory.device.compute_capability
        self._shared = {"count": tuning.ring((major, minor))}
        image = compile_source(f"sm_{major}{minor}", tuning)
        with memory.current() as driver:
            try:
                self._module = driver.load_module(image)
            except DriverCallError as e:
                version = memory.device.driver_version
                raise DeviceError(
                    f"the driver (CUDA {version // 1000}.{version % 1000 // 10}) does not take the compiled code: {e}. "
                    "If NVRTC is of a newer CUDA than the driver, update the driver or install an older NVRTC"
                ) from e
            self._kernels = {n: driver.get_kernel(self._module, n, shared=self._shared.get(n, 0)) for n in _NAMES}

    def launch(self, driver: Driver, name: str, grid: int, arguments: Sequence[int], stream: int) -> None:
        """Queue a kernel; the context must be current."""
        block = {"count": self.tuning.threads, "measure": self.tuning.threads, "finish": 512}
        overlap = name in ("count", "finish")  # these wait for the kernel before them themselves
        shared = self._shared.get(name, 0)
        driver.launch(self._kernels[name], Launch(grid, block.get(name, 256), arguments, stream, overlap, shared))


_LOADED: WeakKeyDictionary[DeviceMemory, dict[Tuning, Kernels]] = WeakKeyDictionary()


def load_kernels(memory: DeviceMemory, tuning: Tuning = TUNING) -> Kernels:
    """Return the kernels for a device, compiled once per process and loaded once per memory."""
    loaded = _LOADED.setdefault(memory, {})
    if tuning not in loaded:
        loaded[tuning] = Kernels(memory, tuning)
    return loaded[tuning]


@cache
def compile_source(arch: str, tuning: Tuning = TUNING) -> bytes:
    """Compile ``histogram.cu`` for an architecture such as ``"sm_90"`` and return the cubin.

    NVRTC through cuda-core, which needs no CUDA toolkit; where cuda-core is not installed, nvcc through PyCUDA.

    Raises MissingDependencyError if neither is installed; DeviceError if the compiler refuses the source or the
    architecture.
    """
    source = files("trtcal_widgets.gpu").joinpath("histogram.cu").read_text(encoding="utf-8")
    core = _import("cuda.core", "Program") or _import("cuda.core.experimental", "Program")
    if core is not None:
        return _with_nvrtc(core, source, arch, tuning)
    compiler = _import("pycuda.compiler", "compile")
    if compiler is not None:
        return _with_nvcc(compiler, source, arch, tuning)
    raise MissingDependencyError(
        "histograms on the GPU are compiled at run time, which needs cuda-core (or PyCUDA and nvcc): "
        "pip install 'trtcal_widgets[cuda]'. Calibrating with ONNX Runtime works without them"
    )


def _import(module: str, attribute: str) -> Any:
    """Return a module if it is installed and has the attribute."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return found if hasattr(found, attribute) else None


def _with_nvrtc(core: Any, source: str, arch: str, tuning: Tuning) -> bytes:
    options = core.ProgramOptions(std="c++17", arch=arch, define_macro=tuning.defines())
    # cuda-core has an exception of its own for a failed compilation, and RuntimeError if there is no libnvrtc.
    try:
        code = core.Program(source, "c++", options).compile("cubin").code
    except Exception as e:
        raise DeviceError(
            f"NVRTC could not compile the histogram kernels for {arch}: {e}. If the library is missing: "
            "pip install 'cuda-bindings[all]' in the version of the driver's CUDA"
        ) from e
    return bytes(code)


def _with_nvcc(compiler: Any, source: str, arch: str, tuning: Tuning) -> bytes:
    options = ["-std=c++17", *(f"-D{d}" for d in tuning.defines())]
    try:
        code = compiler.compile(source, options=options, arch=arch, no_extern_c=True)
    except Exception as e:
        raise DeviceError(f"nvcc could not compile the histogram kernels for {arch}: {e}") from e
    return bytes(code)
