"""ONNX Runtime's CUDA provider on a card of any size, on the host: it accounts for memory, and refuses beyond a limit.

Sessions compute on the CPU. Each has its weights, and while it runs what its operators ask for, its outputs that nobody
has a buffer for, and copies of inputs that lie on the host. Nothing of that may go beyond the session's limit, and all
together, with the buffers of :class:`~tests.support.trt_host_driver.HostDriver`, may never go beyond the bound.
"""

from __future__ import annotations

import itertools
import weakref

import numpy as np
import onnx
from onnx import helper

from trtcal_widgets.errors import ModelError

REFUSALS = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'c' "
    "Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::"
    "AllocateRawInternal(size_t, bool) Available memory of 512 is smaller than requested bytes of 1024",
    "[ONNXRuntimeError] : 1 : FAIL : bfc_arena.cc:359 Failed to allocate memory for requested buffer of size 99",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: CUBLAS failure 3: "
    "CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=vm ; expr=cublasCreate(&cublas_handle_);",
    "[ONNXRuntimeError] : 11 : EP_FAIL : CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
    "std::bad_alloc",
)
"""What is said where there is no memory, by ONNX Runtime's arena, cuBLAS, cuDNN, CUDA and C++."""


class SmallGpu:
    """What sessions have on a card, and how much of it at most.

    ``driver``: the card's other buffers. ``bound``: None for as much as the driver's capacity. ``asked``: operator ->
    bytes that it needs while it runs. ``each``: what every session has beside its limit. ``fails``: called before each
    opening and run; it may raise.
    """

    def __init__(self, driver, bound=None, *, asked=None, each=0, fails=lambda: None):
        self.driver, self.bound, self.asked, self.each, self.fails = driver, bound, asked or {}, each, fails
        self.sessions = weakref.WeakSet()
        self.refused = self.opened = self.ran = self.peak = 0
        self._texts = itertools.cycle(REFUSALS)

    def refuse(self):
        self.refused += 1
        raise RuntimeError(next(self._texts))

    def look(self, transient=0):
        has = self.driver.used + sum(s.weights + self.each for s in self.sessions) + transient
        self.peak = max(self.peak, has)
        room = self.driver.capacity if self.bound is None else self.bound
        if has > self.driver.capacity:
            self.refuse()
        assert has <= room, f"{has} bytes are taken, {room} are allowed"

    def open(self, inner):
        """Return what stands for ``open_session`` in the tap, over the real one."""

        def opened(serialized, folder, *, gpu_limit=None, stream=None, **how):
            try:
                self.fails()
                session = Session(
                    self, inner(serialized, folder, **how), onnx.ModelProto.FromString(serialized), gpu_limit
                )
                if session.weights > session.limit:
                    self.refuse()
                self.look()
            except RuntimeError as error:
                raise ModelError(f"ONNX Runtime does not take it: {error}") from error
            self.opened += 1
            return session

        return opened


class Session:
    """One session of the card."""

    def __init__(self, gpu, inner, proto, limit):
        self.gpu, self.inner = gpu, inner
        self.limit = float("inf") if limit is None else limit
        self.weights = sum(map(_nbytes, proto.graph.initializer))
        self.workspace = max((gpu.asked.get(node.op_type, 0) for node in proto.graph.node), default=0)
        gpu.sessions.add(self)

    def io_binding(self):
        return Binding(self.inner.io_binding())

    def run_with_iobinding(self, binding, options):
        self.gpu.fails()
        self.inner.run_with_iobinding(binding.inner, options)
        made = binding.inner.get_outputs()
        loose = sum(made[i].numpy().nbytes for i in binding.loose)
        transient = self.workspace + loose + binding.copied
        if self.weights + transient > self.limit:
            self.gpu.refuse()
        self.gpu.look(transient)
        self.gpu.ran += 1


class Binding:
    """A binding that knows which outputs have no buffer, and how much of the inputs is copied."""

    def __init__(self, inner):
        self.inner, self.loose, self.copied, self._n = inner, [], 0, 0

    def bind_input(self, *how):
        self.inner.bind_input(*how)

    def bind_ortvalue_input(self, name, value):
        self.copied += value.numpy().nbytes if value.data_type() in ("tensor(float)", "tensor(float16)") else 0
        self.inner.bind_ortvalue_input(name, value)

    def bind_output(self, name, *how):
        if len(how) < 4:
            self.loose.append(self._n)
        self._n += 1
        self.inner.bind_output(name, *how)

    def synchronize_outputs(self):
        self.inner.synchronize_outputs()

    def get_outputs(self):
        return self.inner.get_outputs()


def _nbytes(tensor):
    return int(np.prod(tensor.dims, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
