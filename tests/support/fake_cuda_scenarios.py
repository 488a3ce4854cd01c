"""What is done on the fake CUDA driver: ``python -m tests.support.fake_cuda_scenarios NAME BINDING``."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

from trtcal_widgets.errors import OutOfDeviceMemoryError, TrtcalError, UsageError
from trtcal_widgets.gpu.memory import (
    BatchStage,
    DeviceMemory,
    PinnedBuffer,
    largest_batch,
    open_memory,
)

PIECE = 1 << 20


def say(error: BaseException) -> None:
    """Print an error for the test to read."""
    sys.stdout.write(f"{type(error).__name__} {error}\n")


def read_back(memory: DeviceMemory, ptr: int, like: np.ndarray) -> np.ndarray:
    """Copy device memory at an address to the host, past all bookkeeping."""
    out = np.empty(like.shape, like.dtype)
    with memory.current() as driver:
        driver.copy_out(out, ptr, None)
    return out


def round_trip(binding: str) -> None:
    """Batches arrive as they are, whatever their dtype, shape and layout, with one copy each."""
    rng = np.random.default_rng(0)
    with open_memory(binding) as memory:
        assert memory.name == binding
        stage = BatchStage(memory)
        copies = count_calls(memory, "copy_in")
        base = rng.standard_normal((4, 3, 5, 7)).astype(np.float32)
        batches = [
            {"images": base},
            {"images": np.asfortranarray(base), "ids": rng.integers(0, 9, (4, 11))},
            {"images": base[::-1, :, ::2], "scale": np.float16(0.5) * np.ones(()), "none": np.empty((0, 3), np.int8)},
            {"mask": rng.random((4, 3)) > 0.5, "a <b>\n:": base.astype(np.float64)},
        ]
        for n, batch in enumerate(batches, 1):
            pointers = stage.put(batch)
            assert list(pointers) == list(batch)
            assert len(copies) == n
            for name, array in batch.items():
                assert pointers[name] % 256 == pointers[next(iter(batch))] % 256
                if array.size:
                    np.testing.assert_array_equal(read_back(memory, pointers[name], array), array)
        buffer = memory.alloc(base.nbytes + 12)
        memory.upload(buffer, base, offset=12)
        out = np.empty_like(base)
        memory.download(buffer, out, offset=12)
        np.testing.assert_array_equal(out, base)
        memory.fill(buffer, 0x7F)
        memory.download(buffer, out)
        assert (out.view(np.uint8) == 0x7F).all()
        pinned = memory.alloc_pinned(base.nbytes)
        stream = memory.new_stream()
        staged = pinned.view(base.shape, np.float32)
        staged[...] = base
        arrived = memory.alloc_pinned(base.nbytes).view(base.shape, np.float32)
        arrived[...] = 0
        memory.upload(buffer, staged, stream=stream)
        memory.download(buffer, arrived, stream=stream)
        memory.synchronize(stream)
        memory.synchronize()
        np.testing.assert_array_equal(arrived, base)


def count_calls(memory: DeviceMemory, method: str) -> list[object]:
    """Record the calls of one driver method, which still happen."""
    calls: list[object] = []
    original = getattr(memory._driver, method)

    def recording(*arguments: object) -> object:
        calls.append(arguments)
        return original(*arguments)

    setattr(memory._driver, method, recording)
    return calls


def grow_only(binding: str) -> None:
    """A stage keeps its addresses while batches fit, and what it outgrew is freed."""
    with open_memory(binding) as memory:
        stage = BatchStage(memory)
        before = memory.mem_info().free
        first = stage.put({"x": np.ones(PIECE // 4, np.float32)})["x"]
        assert stage.put({"x": np.ones(7, np.float32)})["x"] == first
        assert stage.put({"x": np.ones(PIECE // 8, np.float64)})["x"] == first
        assert memory.mem_info().free == before - PIECE
        stage.put({"x": np.ones(PIECE, np.float32)})
        assert memory.mem_info().free == before - 4 * PIECE
        x = stage.put({"x": np.ones(9, np.uint8)})["x"]
        BatchStage(memory).put({"x": np.zeros(9, np.uint8)})  # another stage, other buffers
        assert read_back(memory, x, np.ones(9, np.uint8)).all()
        named = memory.reserve("own", 10)
        assert memory.reserve("own", 5) is named
        named.free()
        assert memory.reserve("own", 5).ptr != 0


def out_of_memory(binding: str) -> None:
    """A batch that does not fit is refused with the size that would, and the next one that fits goes on."""
    with open_memory(binding) as memory:
        stage = BatchStage(memory)
        stage.put({"x": np.zeros((2, PIECE), np.uint8)})
        free = memory.mem_info().free
        with pytest.raises(OutOfDeviceMemoryError) as caught:
            stage.put({"x": np.zeros((64, PIECE), np.uint8), "y": np.zeros((64, 10), np.uint8)})
        error = caught.value
        assert isinstance(error, TrtcalError)
        assert isinstance(error, MemoryError)
        assert error.requested >= 64 * PIECE
        assert error.free == free + 2 * PIECE  # the buffer that was outgrown is free by then
        assert error.total == 16 * PIECE
        say(error)
        fits = largest_batch(PIECE + 10, error.free, fixed=256)
        stage.put({"x": np.zeros((fits, PIECE), np.uint8), "y": np.zeros((fits, 10), np.uint8)})
        with pytest.raises(OutOfDeviceMemoryError):
            memory.alloc(1 << 50)


def frees(binding: str) -> None:
    """Whatever ends, its memory is free afterwards; freeing twice does no harm."""
    watch = open_memory(binding)
    whole = watch.mem_info().free
    memory = open_memory(binding)
    buffer, pinned = memory.alloc(PIECE), memory.alloc_pinned(PIECE)
    assert isinstance(pinned, PinnedBuffer)
    with memory.alloc(PIECE) as inner:
        assert watch.mem_info().free == whole - 2 * PIECE
    assert inner.ptr == 0
    buffer.free()
    buffer.free()
    assert watch.mem_info().free == whole
    other = watch.alloc(5)
    with pytest.raises(UsageError, match="by the memory that it came from"):
        memory.free(other)
    with pytest.raises(UsageError, match="has been freed"):
        memory.upload(buffer, np.zeros(3))
    other.free()
    kept = memory.alloc(PIECE)
    memory.reserve("named", PIECE)
    memory.new_stream()
    memory.close()
    memory.close()
    kept.free()
    pinned.free()
    assert memory.closed
    assert watch.mem_info().free == whole
    with pytest.raises(UsageError, match="has been closed"):
        memory.alloc(1)
    with pytest.raises(UsageError, match="has been freed"):
        _ = pinned.array
    forgotten = open_memory(binding)
    left = forgotten.alloc(PIECE)
    del forgotten
    gc.collect()
    assert watch.mem_info().free == whole - PIECE  # the buffer is still there, and with it its memory
    del left
    gc.collect()
    assert watch.mem_info().free == whole
    open_memory(binding).alloc(PIECE)  # left to the end of the process


def threads(binding: str) -> None:
    """A thread that never saw CUDA can use the memory, and is left without a context, as it was."""
    from cuda.bindings import driver

    failures: list[BaseException] = []
    x = np.arange(1000, dtype=np.float32)
    with open_memory(binding) as memory:
        stage = BatchStage(memory)

        def work() -> None:
            try:
                assert int(driver.cuCtxGetCurrent()[1]) == 0
                pointers = stage.put({"x": x})
                np.testing.assert_array_equal(read_back(memory, pointers["x"], x), x)
                memory.alloc(10).free()
                with memory.current():
                    assert int(driver.cuCtxGetCurrent()[1]) != 0
                with pytest.raises(OutOfDeviceMemoryError):
                    memory.alloc(1 << 50)
                assert int(driver.cuCtxGetCurrent()[1]) == 0
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)

        for _ in range(3):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert not failures, failures
        stage.put({"x": x})


def choice(binding: str) -> None:
    """cuda-bindings is the default, unless PyCUDA has a context already."""
    assert open_memory().name == "cuda-bindings"
    if binding == "pycuda":
        import pycuda.driver

        assert open_memory().name == "cuda-bindings"
        pycuda.driver.init()
        context = pycuda.driver.Device(0).make_context()
        with open_memory() as memory:
            assert memory.name == "pycuda"
            memory.alloc(10)
        assert pycuda.driver.Context.get_current() == context
        context.pop()


def refused(binding: str) -> None:
    """Print why the device cannot be opened."""
    for device in (0, 3):
        try:
            open_memory(binding, device=device)
        except TrtcalError as error:  # noqa: PERF203 - two of them
            say(error)


def no_kernels(binding: str) -> None:
    """The fake driver runs no kernel: that is said, not hidden."""
    with open_memory(binding) as memory, memory.current() as driver:
        with pytest.raises(TrtcalError) as caught:
            driver.load_module(b"no code at all")
        say(caught.value)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
