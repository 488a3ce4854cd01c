"""Ctrl-C while NVIDIA's builder computes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from trtcal_widgets import sample
from trtcal_widgets.errors import UsageError
from trtcal_widgets.trt.building import build
from trtcal_widgets.trt.waiting import interrupts_kept, run_aside


@pytest.fixture(autouse=True)
def _heard():
    """Ctrl-C is heard: a shell that runs the tests in the background has it ignored in all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def nothing():
    pass


def press():
    """Press Ctrl-C, as the terminal does: the signal reaches the process while this thread goes on."""
    os.kill(os.getpid(), signal.SIGINT)


def test_what_the_work_gives_and_raises():
    assert run_aside(lambda: 7, waiting=nothing, stop=nothing) == 7

    def fail():
        raise UsageError("no such level")

    with pytest.raises(UsageError, match="no such level"):
        run_aside(fail, waiting=nothing, stop=nothing)


def test_ctrl_c_reaches_the_thread_that_waits_and_stops_the_work():
    stopped, threads = threading.Event(), []

    def work():
        threads.append(threading.current_thread())
        press()
        stopped.wait()

    with pytest.raises(KeyboardInterrupt):
        run_aside(work, waiting=nothing, stop=stopped.set)
    assert threads[0] is not threading.current_thread()


def test_what_waiting_raises_stops_the_work_too():
    stopped = threading.Event()

    def waiting():
        raise UsageError("enough")

    with pytest.raises(UsageError, match="enough"):
        run_aside(stopped.wait, waiting=waiting, stop=stopped.set)
    assert stopped.is_set()


def test_work_that_cannot_be_stopped_does_not_hold_the_process():
    """As TensorRT 8.6, whose build has no monitor: it would go on for minutes, and this for ever."""
    code = (
        "import os, signal, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from trtcal_widgets.trt.waiting import run_aside\n"
        "def work():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait()\n"
        "try:\n"
        "    run_aside(work, waiting=lambda: None, stop=lambda: None)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "heard\n"
    assert done.returncode == 130


def test_an_interrupt_inside_a_callback_is_kept():
    with interrupts_kept() as raise_if_interrupted:
        raise_if_interrupted()
        press()
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
    with pytest.raises(KeyboardInterrupt):  # Python's own handler is back
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("release", ["8.6.1", "10.16.1.11"])
def test_ctrl_c_during_a_build_is_not_swallowed(plug, release):
    """TensorRT catches what its callbacks raise: the build went on, and an engine came back as if nothing was."""
    machine = plug(release)
    lines = []

    def log(line):
        if not lines:
            press()
        lines.append(line)

    with pytest.raises(KeyboardInterrupt):
        build(sample.model_path(), int8=False, profiles={"data": (1, 1, 28, 28)}, log=log)
    assert lines
    assert bool(machine.built) is release.startswith("8"), "from 10 on the monitor stops it; before, it is awaited"
