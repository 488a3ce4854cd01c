"""Calibrators with the real bindings: run by test_bindings.py in a process that has them."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorrt as trt

from tests.support.trampoline import CppCalibrator, CppLegacyCalibrator
from tests.support.trt_host_driver import host_memory, read_back
from trtcal_widgets.data import BatchPlan, as_source
from trtcal_widgets.errors import (
    CacheFormatError,
    CancelledError,
    DataError,
    EngineError,
    OutOfDeviceMemoryError,
    TrtcalError,
    UsageError,
)
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.trt.calibration.calibrator import guard_calibrator, make_calibrator
from trtcal_widgets.trt.control import BuildControl

BASES = {
    "entropy2": (trt.IInt8EntropyCalibrator2, "ENTROPY_CALIBRATION_2"),
    "entropy": (trt.IInt8EntropyCalibrator, "ENTROPY_CALIBRATION"),
    "minmax": (trt.IInt8MinMaxCalibrator, "MINMAX_CALIBRATION"),
    "legacy": (trt.IInt8LegacyCalibrator, "LEGACY_CALIBRATION"),
}
VERSION = ".".join(trt.__version__.split(".")[:3])
STALE = "10.1.0" if VERSION.startswith("8.") else "8.5.1"
"""A version whose caches this one ignores: 8.6.0 was seen to take any of four digits."""
RNG = np.random.default_rng(7)
IMAGES = RNG.standard_normal((10, 3, 4, 4)).astype(np.float32)
TWO = {"images": IMAGES, "sizes": np.arange(20, dtype=np.int64).reshape(10, 2)}
NETWORK = {"images": ("float32", (-1, 3, 4, 4)), "sizes": ("int32", (-1, 2))}


def calibrator(source=IMAGES, **options):
    memory, driver = host_memory()
    options.setdefault("memory", memory)
    options.setdefault("batch_size", 4)
    made = make_calibrator(source, **options)
    return made, CppCalibrator(made), driver


def cache_bytes(names=("images",), algorithm="EntropyCalibration2", version=VERSION) -> bytes:
    return CalibrationCache.build(dict.fromkeys(names, 0.5), algorithm=algorithm, version=version).to_bytes()


@pytest.mark.parametrize("algorithm", BASES)
def test_is_a_real_subclass_that_answers_through_the_binding(algorithm, tmp_path):
    base, enum = BASES[algorithm]
    made, cpp, _ = calibrator(algorithm=algorithm)
    assert isinstance(made, base)
    assert isinstance(made, trt.IInt8Calibrator)
    assert made.get_algorithm() == getattr(trt.CalibrationAlgoType, enum)
    assert cpp.get_algorithm() == int(getattr(trt.CalibrationAlgoType, enum))
    assert cpp.get_batch_size() == 4
    assert cpp.read_calibration_cache() is None
    assert isinstance(made.get_batch(["images"]), list)
    assert cpp.get_batch("images") is not None
    assert cpp.get_batch("images") is None
    made.raise_if_failed()
    assert made.served == 2


def test_gives_whole_batches_in_order_and_reuses_its_buffer():
    made, cpp, driver = calibrator()
    seen = []
    while (addresses := cpp.get_batch("images")) is not None:
        seen.append((addresses[0], read_back(addresses[0], (4, 3, 4, 4))))
    made.raise_if_failed()
    np.testing.assert_array_equal(np.concatenate([data for _, data in seen]), IMAGES[:8])
    assert len({address for address, _ in seen}) == 1
    assert driver.copies == 2
    made.close()


@pytest.mark.parametrize("names", [("images", "sizes"), ("sizes", "images")])
def test_several_inputs_come_in_the_order_of_names_and_as_the_network_takes_them(names):
    made, cpp, _ = calibrator(TWO, network_inputs=NETWORK)
    addresses = dict(zip(names, cpp.get_batch(*names), strict=True))
    made.raise_if_failed()
    np.testing.assert_array_equal(read_back(addresses["images"], (4, 3, 4, 4)), IMAGES[:4])
    np.testing.assert_array_equal(read_back(addresses["sizes"], (4, 2), "int32"), TWO["sizes"][:4])


def failing_source(batch: int, error: BaseException):
    def batches():
        for index in range(4):
            if index == batch:
                raise error
            yield IMAGES[:2]

    return batches


@pytest.mark.parametrize("batch", [0, 2])
def test_an_exception_in_the_source_ends_the_calibration_and_keeps_no_cache(batch, tmp_path):
    path = tmp_path / "calibration.cache"
    made, cpp, _ = calibrator(failing_source(batch, OSError("disk gone")), cache=path, batch_size=None)
    assert cpp.read_calibration_cache() is None
    served = 0
    while cpp.get_batch("images") is not None:
        served += 1
    assert served == batch
    cpp.write_calibration_cache(cache_bytes())
    assert not path.exists()
    assert made.cache is None
    assert made.failed
    with pytest.raises(TrtcalError, match="disk gone"):
        made.raise_if_failed()


def test_a_failed_run_leaves_the_cache_file_that_was_there(tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_bytes(cache_bytes(algorithm="MinMaxCalibration"))
    made, cpp, _ = calibrator(failing_source(1, ValueError("bad")), cache=path, stale="recalibrate", batch_size=None)
    assert cpp.read_calibration_cache() is None
    while cpp.get_batch("images") is not None:
        pass
    cpp.write_calibration_cache(cache_bytes())
    assert path.read_bytes() == cache_bytes(algorithm="MinMaxCalibration")
    assert made.failed


def test_keyboard_interrupt_in_a_batch_comes_out_as_itself():
    def interrupt(index, batch):
        raise KeyboardInterrupt

    made, cpp, _ = calibrator(on_batch=interrupt)
    assert cpp.get_batch("images") is None
    with pytest.raises(KeyboardInterrupt):
        made.raise_if_failed()


def test_writes_what_tensorrt_made_byte_for_byte_and_reads_it_back(tmp_path):
    path = tmp_path / "calibration.cache"
    made, cpp, _ = calibrator(cache=path)
    while cpp.get_batch("images") is not None:
        pass
    data = cache_bytes(("images", "we: ird \u00fc"))
    cpp.write_calibration_cache(data)  # its memory is overwritten after the call
    made.raise_if_failed()
    assert path.read_bytes() == data
    assert made.cache.to_bytes() == data
    again, cpp, _ = calibrator(cache=path)
    assert cpp.read_calibration_cache() == data
    assert str(again.report) == f"{path}: fits"


def test_a_cache_that_cannot_be_written_is_an_error_of_the_build(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    made, cpp, _ = calibrator(cache=folder / "x.cache")
    folder.rmdir()
    cpp.write_calibration_cache(cache_bytes())
    with pytest.raises(TrtcalError, match=r"x\.cache"):
        made.raise_if_failed()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (cache_bytes(version=STALE), STALE),
        (cache_bytes(algorithm="MinMaxCalibration"), "MinMaxCalibration"),
    ],
)
def test_a_stale_cache_is_reported_before_it_is_used(data, says, tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_bytes(data)
    with pytest.raises(CacheFormatError, match=says):
        calibrator(cache=path)
    made, cpp, _ = calibrator(cache=path, stale="recalibrate")
    assert says in str(made.report)
    assert cpp.read_calibration_cache() is None
    assert cpp.get_batch("images") is not None
    made, cpp, _ = calibrator(cache=path, stale="use")
    assert says in str(made.report)
    assert cpp.read_calibration_cache() == cache_bytes()


def test_a_cache_of_another_model_is_reported(tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_bytes(cache_bytes(("backbone.0", "backbone.1")))
    from trtcal_widgets.model.load import load_graph

    lenet = load_graph(Path("trtcal_widgets/sample/lenet.onnx"))
    with pytest.raises(CacheFormatError, match="another model"):
        calibrator(np.zeros((4, 1, 28, 28), np.float32), cache=path, network_inputs=lenet)


def test_a_cache_alone_needs_no_data_and_says_when_tensorrt_refuses_it(tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_bytes(cache_bytes())
    made = make_calibrator(None, cache=path)
    cpp = CppCalibrator(made)
    assert cpp.read_calibration_cache() == cache_bytes()
    assert cpp.get_batch("images") is None
    with pytest.raises(EngineError, match="did not take the calibration cache"):
        made.raise_if_failed()


@pytest.mark.parametrize(
    ("source", "network", "says"),
    [
        (IMAGES.astype(np.float64), None, "astype"),
        (IMAGES[:, :2], {"images": ("float32", (-1, 3, 4, 4))}, "axis 1 is 2, not 3"),
        (IMAGES.transpose(0, 2, 3, 1), {"images": ("float32", (-1, 3, 4, 4))}, "NHWC"),
        ((IMAGES * 9).astype(np.int32), {"images": ("float32", (-1, 3, 4, 4))}, "int32"),
        ({"pictures": IMAGES}, None, "asks for input 'images'"),
        (np.where(IMAGES > 2, np.nan, IMAGES).astype(np.float32), None, "holds NaN"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(source, network, says):
    made, cpp, _ = calibrator(source, network_inputs=network)
    assert cpp.get_batch("images") is None
    with pytest.raises(DataError, match="batch 0") as caught:
        made.raise_if_failed()
    assert says in str(caught.value)


def test_batches_of_different_sizes_are_refused():
    made, cpp, _ = calibrator([IMAGES[:2], IMAGES[:2, :, :3], IMAGES[:2]], batch_size=None)
    assert cpp.get_batch("images") is not None
    assert cpp.get_batch("images") is None
    with pytest.raises(DataError, match=r"batch 1.*one shape"):
        made.raise_if_failed()


def test_out_of_device_memory_says_what_would_fit():
    memory, _ = host_memory(capacity=500)
    made, cpp, _ = calibrator(memory=memory)
    assert cpp.get_batch("images") is None
    with pytest.raises(OutOfDeviceMemoryError, match="This batch has 4 samples; at most 2 would fit"):
        made.raise_if_failed()


def test_reading_the_cache_begins_a_new_run_so_that_a_calibrator_can_be_used_twice():
    made, cpp, _ = calibrator()
    for _ in range(2):
        cpp.read_calibration_cache()
        assert [cpp.get_batch("images") is None for _ in range(3)] == [False, False, True]
    made.raise_if_failed()


def test_pausing_stepping_and_cancelling_from_another_thread():
    control = BuildControl(paused=True)
    made, cpp, _ = calibrator(on_batch=control)
    served = []

    def tensorrt():
        while cpp.get_batch("images") is not None:
            served.append(1)
            turn.release()
        turn.release()

    turn = threading.Semaphore(0)
    thread = threading.Thread(target=tensorrt)
    thread.start()
    control.step()
    assert turn.acquire(timeout=30)
    assert len(served) == 1
    control.cancel()
    thread.join(30)
    assert len(served) == 1
    with pytest.raises(CancelledError):
        made.raise_if_failed()


def test_legacy_numbers_and_histograms(tmp_path):
    path = tmp_path / "histograms"
    made = make_calibrator(IMAGES, "legacy", batch_size=4, quantile=0.999, regression_cutoff=0.5, histogram_cache=path)
    cpp = CppLegacyCalibrator(made)
    assert cpp.get_quantile() == 0.999
    assert cpp.get_regression_cutoff() == 0.5
    assert cpp.read_histogram_cache()[0] is None
    cpp.write_histogram_cache(b"\x00histograms\xff")
    made.raise_if_failed()
    assert path.read_bytes() == b"\x00histograms\xff"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"algorithm": "kl"}, "'entropy2'"),
        ({"quantile": 0.9}, "belongs to algorithm='legacy'"),
        ({"algorithm": "legacy", "quantile": 2.0}, "from 0 to 1"),
        ({"histogram_cache": "x"}, "belongs to algorithm='legacy'"),
        ({"cache": "nowhere/at/all.cache"}, "no folder"),
        ({"stale": "maybe"}, "'recalibrate'"),
        ({"on_batch": 3}, "a function of (index, batch)"),
        ({"source": None, "batch_size": None}, "neither data"),
        ({"source": BatchPlan(as_source(IMAGES), 4, last="keep"), "batch_size": None}, "whole batches only"),
        ({"source": BatchPlan(as_source(IMAGES), 4), "batch_size": 2}, "batches of 4"),
    ],
)
def test_arguments_that_cannot_be_meant(options, says):
    with pytest.raises(UsageError) as caught:
        calibrator(options.pop("source", IMAGES), **options)
    assert says in str(caught.value)


CACHE = b"TRT-8601-MinMaxCalibration\nx: 3c008912\n"
"""One that every release with calibrators takes."""


class Own(trt.IInt8MinMaxCalibrator):
    """A calibrator as users write them."""

    def __init__(self, answer, cache=None):
        trt.IInt8MinMaxCalibrator.__init__(self)
        self.answer, self.cache, self.written = answer, cache, None

    def get_batch_size(self):
        return 8

    def get_batch(self, names):
        return self.answer(names)

    def read_calibration_cache(self):
        return self.cache

    def write_calibration_cache(self, cache):
        self.written = cache


class DeviceAllocation:
    """PyCUDA's: an address that is no int but turns into one."""

    def __int__(self):
        return 4096


def test_a_users_own_class_is_taken_and_guarded():
    own = Own(lambda names: [DeviceAllocation()] * len(names), cache=bytearray(CACHE))
    made = guard_calibrator(trt, own)
    cpp = CppCalibrator(made)
    assert isinstance(made, trt.IInt8MinMaxCalibrator)
    assert cpp.get_batch_size() == 8
    assert cpp.get_batch("a", "b") == [4096, 4096]
    assert cpp.read_calibration_cache() == CACHE
    cpp.write_calibration_cache(b"rows")
    assert own.written == b"rows"
    made.raise_if_failed()


def raises(names):
    raise RuntimeError("my loader broke")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (raises, "my loader broke"),
        (lambda names: [1], "1 address for 2 inputs"),
        (lambda names: (1 for _ in names), "generator"),
        (lambda names: np.array([1, 2]), "ndarray"),
        (lambda names: "12", "str"),
        (lambda names: [1.5, 2.5], "device address is an int"),
        (lambda names: [0, 1], "no device address"),
        (lambda names: [-5, 1], "no device address"),
    ],
)
def test_what_a_users_own_class_does_wrong_is_said(answer, says):
    made = guard_calibrator(trt, Own(answer))
    cpp = CppCalibrator(made)
    assert cpp.get_batch("a", "b") is None
    cpp.write_calibration_cache(b"made from a part")
    assert made.work.calibrator.written is None
    with pytest.raises((RuntimeError, UsageError)) as caught:
        made.raise_if_failed()
    assert says in str(caught.value)


def test_a_str_as_cache_is_an_error_and_not_ignored():
    made = guard_calibrator(trt, Own(lambda names: None, cache="TRT-8601-MinMaxCalibration"))
    assert CppCalibrator(made).read_calibration_cache() is None
    with pytest.raises(UsageError, match="'rb'"):
        made.raise_if_failed()


@pytest.mark.parametrize(("thing", "says"), [(object(), "derive your class from"), (Own, "is a class: call it")])
def test_what_is_no_calibrator_is_refused(thing, says):
    with pytest.raises(UsageError, match=says):
        guard_calibrator(trt, thing)


def test_our_own_calibrator_is_not_wrapped_again():
    made, _, _ = calibrator()
    assert guard_calibrator(trt, made) is made


def test_the_traps_are_real():
    """What the guard is for: without it, the binding takes a short list and swallows an exception."""
    assert CppCalibrator(Own(raises)).get_batch("a") is None
    assert CppCalibrator(Own(lambda names: None, cache="text")).read_calibration_cache() is None


def test_lives_as_long_as_it_is_used_and_frees_its_memory():
    made, cpp, driver = calibrator(memory=None)
    del made, cpp, driver
    gc.collect()
    memory, driver = host_memory()
    made, cpp, _ = calibrator(memory=memory)
    cpp.get_batch("images")
    assert driver.used
    made.close()
    assert not driver.used
    assert not memory.closed, "memory that was given stays its owner's"
