"""Logger, progress monitor and debug listener through the binding: run by test_bindings.py."""

from __future__ import annotations

import pytest
import tensorrt as trt

from tests.support.trampoline import CppMonitor, cpp_debug_tensor, cpp_log
from trtcal_widgets.errors import CancelledError, DeviceError, UsageError
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.trt.calibration.calibrator import make_calibrator
from trtcal_widgets.trt.callbacks import make_listener
from trtcal_widgets.trt.control import BuildControl, Progress, make_monitor
from trtcal_widgets.trt.log import LogLine, capture
from trtcal_widgets.trt.network import create_builder
from trtcal_widgets.trt.versions import features

HAS = features(trt)
needs_monitor = pytest.mark.skipif(not HAS.progress_monitor, reason="this release has no IProgressMonitor")
needs_debug = pytest.mark.skipif(not HAS.debug_tensors, reason="this release has no IDebugListener")


def test_log_lines_arrive_with_their_severity():
    seen = []
    with capture(trt, seen.append) as (logger, book):
        for severity, text in enumerate([b"broken", b"wrong", b"odd", b"so", b"chatter"]):
            cpp_log(logger, severity, text)
    assert [(line.severity, line.text) for line in book.lines] == [
        ("internal error", "broken"),
        ("error", "wrong"),
        ("warning", "odd"),
        ("info", "so"),
    ]
    assert list(book.lines) == seen
    assert all(isinstance(line, LogLine) for line in seen)
    assert book.last_errors() == "broken | wrong"
    cpp_log(logger, 1, b"after the capture")
    assert len(book.lines) == 4


def test_a_sink_that_raises_does_not_stop_the_log_and_is_not_lost():
    def sink(line):
        raise ValueError("panel gone")

    with capture(trt, sink, verbose=True) as (logger, book):
        cpp_log(logger, 4, b"one")
        cpp_log(logger, 4, b"two")
    assert [line.text for line in book.lines] == ["one", "two"]
    with pytest.raises(ValueError, match="panel gone"):
        book.raise_if_failed()


def test_there_is_one_logger_for_all_captures():
    with capture(trt) as (first, outer), capture(trt) as (second, inner):
        assert first is second
        cpp_log(first, 2, b"both hear it")
    assert [line.text for line in (*outer.lines, *inner.lines)] == ["both hear it"] * 2


def test_a_builder_that_does_not_start_says_why():
    with capture(trt) as (logger, book), pytest.raises(DeviceError, match="nvidia-smi") as caught:
        create_builder(trt, logger, book)
    assert "calibrate with ONNX Runtime" in str(caught.value)


@pytest.mark.parametrize(("code", "says"), [(35, "driver is too old"), (100, "CUDA_VISIBLE_DEVICES")])
def test_cudas_own_number_is_explained(code, says):
    with capture(trt) as (logger, book):
        cpp_log(logger, 1, f"CUDA initialization failure with error: {code}. Please check your CUDA".encode())
        with pytest.raises(DeviceError, match=says):
            create_builder(trt, logger, book)


@needs_monitor
def test_progress_arrives_and_the_build_goes_on():
    seen = []
    monitor, raise_if_failed = make_monitor(trt, seen.append, lambda: None)
    cpp = CppMonitor(monitor)
    cpp.phase_start(b"Building", None, 2)
    cpp.phase_start(b"Timing", b"Building", 3)
    assert cpp.step_complete(b"Timing", 0)
    assert cpp.step_complete(b"Timing", 1)
    cpp.phase_finish(b"Timing")
    assert seen == [
        Progress("Building", "", 0, 2),
        Progress("Timing", "Building", 0, 3),
        Progress("Timing", "Building", 1, 3),
        Progress("Timing", "Building", 2, 3),
        Progress("Timing", "Building", 3, 3, finished=True),
    ]
    raise_if_failed()


@needs_monitor
def test_cancelling_stops_the_build_at_the_next_step():
    control = BuildControl()
    monitor, raise_if_failed = make_monitor(trt, lambda progress: None, control.raise_if_cancelled)
    cpp = CppMonitor(monitor)
    cpp.phase_start(b"Building", None, 2)
    assert cpp.step_complete(b"Building", 0)
    control.cancel()
    assert not cpp.step_complete(b"Building", 1)
    with pytest.raises(CancelledError):
        raise_if_failed()


@needs_monitor
def test_a_progress_function_that_raises_stops_the_build_with_its_own_exception():
    def report(progress):
        raise ZeroDivisionError("in the panel")

    monitor, raise_if_failed = make_monitor(trt, report, lambda: None)
    CppMonitor(monitor).phase_start(b"Building", None, 2)
    assert not CppMonitor(monitor).step_complete(b"Building", 0)
    with pytest.raises(ZeroDivisionError, match="in the panel"):
        raise_if_failed()


@needs_debug
def test_debug_tensors_arrive_with_address_shape_and_type():
    seen = []
    listener, raise_if_failed = make_listener(trt, lambda tensor, stream: seen.append((tensor, stream)))
    assert cpp_debug_tensor(listener, 0xDEAD00, int(trt.DataType.FLOAT), (2, 3), b"x: <0>", 7)
    assert cpp_debug_tensor(listener, 0xBEEF00, int(trt.DataType.HALF), (), b"y", 7)
    assert cpp_debug_tensor(listener, 0xBEEF00, int(trt.DataType.FP8), (4,), b"eight bits", 7)
    assert seen == [
        (DeviceTensor("x: <0>", 0xDEAD00, (2, 3), "float32"), 7),
        (DeviceTensor("y", 0xBEEF00, (), "float16"), 7),
    ]
    raise_if_failed()


@needs_debug
def test_a_receiver_that_raises_is_not_lost():
    def receive(tensor, stream):
        raise MemoryError("too much")

    listener, raise_if_failed = make_listener(trt, receive)
    assert cpp_debug_tensor(listener, 0xDEAD00, int(trt.DataType.FLOAT), (2,), b"x", 0)
    assert cpp_debug_tensor(listener, 0xDEAD00, int(trt.DataType.FLOAT), (2,), b"x", 0)
    with pytest.raises(MemoryError, match="too much"):
        raise_if_failed()


@pytest.mark.skipif(HAS.calibrators, reason="this release has calibrators")
def test_without_calibrators_the_error_names_the_way():
    with pytest.raises(UsageError, match=r"trtcal convert .*--to qdq") as caught:
        make_calibrator([[0.0]], batch_size=1)
    assert trt.__version__ in str(caught.value)
    assert "tensorrt<11" in str(caught.value)
