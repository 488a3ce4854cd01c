"""Rows about running: threads, pausing and cancelling, errors that must come out, what is missing, full memory."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.trt_run.lenet_rows import build, calibrate, scales, tested
from tools.trt_run.models import data_of, model_path, source_of
from tools.trt_run.table import need, row
from trtcal_widgets import BuildPanel, CalibrationSession, trt
from trtcal_widgets.data import IterableBatches
from trtcal_widgets.errors import CancelledError, EngineError, OutOfDeviceMemoryError, TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FOUR_THOUSAND = (4000, 1, 28, 28)


@row("names and signatures")
def names(_folder: Path) -> str:
    """Every name that the package uses is there."""
    import tensorrt

    from tests.support.trt_api import USES

    has = trt.features(tensorrt)
    missing = []
    for use in USES:
        if use.kind in ("callback", "inherited") or (use.feature and not getattr(has, use.feature)):
            continue
        owner = tensorrt if use.owner == "tensorrt" else getattr(tensorrt, use.owner)
        if not hasattr(owner, use.name):
            missing.append(f"{use.owner}.{use.name}")
    need(not missing, f"not there: {missing}")
    return f"{len(USES)} names of TensorRT {has.version}"


def _until(test: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not test():
        need(time.monotonic() < end, f"waited for {what}")
        time.sleep(0.01)


def _in_a_thread(control: trt.BuildControl, path: Path) -> tuple[threading.Thread, dict[str, Any]]:
    found: dict[str, Any] = {}

    def work() -> None:
        try:
            found["engine"], _ = calibrate(cache=path, control=control)
        except BaseException as error:  # noqa: BLE001 - looked at by the row
            found["error"] = error

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


@row("pause, step, resume and cancel at batches")
def control(folder: Path) -> str:
    """A build in another thread that is held before its batches."""
    held = trt.BuildControl(paused=True)
    thread, found = _in_a_thread(held, folder / "a.cache")
    _until(lambda: held.waiting, "the pause")
    held.step()
    held.cancel()
    thread.join(60)
    need(isinstance(found.get("error"), CancelledError), f"cancelled: {found}")
    need(not (folder / "a.cache").exists(), "a cache was kept of a cancelled calibration")
    held = trt.BuildControl(paused=True)
    thread, found = _in_a_thread(held, folder / "b.cache")
    _until(lambda: held.waiting, "the pause")
    held.step()
    held.resume()
    thread.join(120)
    need("engine" in found, f"after it went on: {found}")
    return f"cancelled while paused: no cache; stepped and resumed: {len(found['engine'].cache.scales)} rows"


@row("errors of the data come out, and no cache is kept")
def data_errors(folder: Path) -> str:
    """What TensorRT's binding would swallow."""
    images, _ = data_of("lenet")

    def broken() -> Any:
        yield images[:50]
        raise OSError("the disk is gone")

    cases = {
        "raises": IterableBatches(broken),
        "NaN": IterableBatches(lambda: iter([images[:50], np.full_like(images[:50], np.nan)])),
        "another shape": IterableBatches(lambda: iter([images[:50], images[:50, :, :20]])),
    }
    said = []
    for name, source in cases.items():
        path = folder / f"{name}.cache"
        try:
            calibrate(source=source, cache=path)
        except (TrtcalError, OSError) as error:
            need(not path.exists(), f"{name}: a cache was kept")
            said.append(f"{name}: {type(error).__name__}")
        else:
            raise AssertionError(f"{name}: an engine was built")
    return "; ".join(said)


@row("a user's own calibrator")
def own_calibrator(_folder: Path) -> str:
    """Good, raising, and answering with a generator."""
    said = []
    for how in ("good", "raises", "generator"):
        with trt.open_memory() as memory:
            users = _users_calibrator(memory, how)
            try:
                build(calibrator=users, profiles={"data": (50, 1, 28, 28)})
                said.append(f"{how}: built, {len(users.kept or b'')} bytes of cache")
            except (TrtcalError, ValueError) as error:
                need(users.kept is None, f"{how}: a cache was kept")
                said.append(f"{how}: {type(error).__name__}, no cache")
    need("good: built" in said[0], said[0])
    return "; ".join(said)


def _users_calibrator(memory: Any, how: str) -> Any:
    import tensorrt

    images, _ = data_of("lenet")
    buffer = memory.alloc(images[:50].nbytes)

    class Mine(tensorrt.IInt8EntropyCalibrator2):
        def __init__(self) -> None:
            tensorrt.IInt8EntropyCalibrator2.__init__(self)
            self.asked = 0
            self.kept: bytes | None = None

        def get_batch_size(self) -> int:
            return 50

        def get_batch(self, _names: Any) -> Any:
            if self.asked == 2:
                return None
            memory.upload(buffer, np.ascontiguousarray(images[50 * self.asked : 50 * self.asked + 50]))
            self.asked += 1
            if how == "raises" and self.asked == 2:
                raise ValueError("mine")
            return (address for address in [buffer.ptr]) if how == "generator" else [buffer.ptr]

        def read_calibration_cache(self) -> None:
            return None

        def write_calibration_cache(self, cache: Any) -> None:
            self.kept = bytes(cache)

    return Mine()


@row("two builds, one after the other, with one calibrator")
def twice(_folder: Path) -> str:
    """The second has the same cache."""
    images, size = source_of("lenet")
    with trt.make_calibrator(images, batch_size=size) as made:
        first, second = build(calibrator=made), build(calibrator=made)
    need(first.cache.to_bytes() == second.cache.to_bytes(), "the caches differ")
    return f"the caches are equal; {tested(first)} and {tested(second)}"


@row("a build in a worker thread while the session runs")
def worker(_folder: Path) -> str:
    """As the build panel does it."""
    images, size = source_of("lenet")
    heard: list[trt.Progress] = []
    heard_lines: list[Any] = []
    with (
        CalibrationSession(model_path("lenet"), images, batch_size=size) as session,
        trt.make_calibrator(session) as made,
        ThreadPoolExecutor(1) as pool,
    ):
        job = pool.submit(build, calibrator=made, progress=heard.append, log=heard_lines.append)
        session.run()
        engine = job.result(timeout=120)
    need(heard[-1].finished, f"progress ended with {heard[-1]}")
    return f"{len({p.phase for p in heard})} phases heard; {tested(engine)}"


@row("build panel")
def panel(folder: Path) -> str:
    """Its own thread, its files."""
    os.chdir(folder)
    images, size = source_of("lenet")
    with CalibrationSession(model_path("lenet"), images, batch_size=size) as session:
        shown = BuildPanel(session, engine_path=folder / "p.engine", level=0)
        shown.binding.start().result(timeout=120)
        need(shown.error is None, f"{shown.error!r}")
        need((folder / "p.engine").exists(), "there is no engine file")
        words = f"{len(shown.log)} lines of log; {tested(shown.engine)}"
        shown.close()
    return words


@row("what this release or device has not is said")
def absent(_folder: Path) -> str:
    """DLA, strong types and debug tensors where they are not."""
    said = []
    for options in ({"dla": 0}, {"strongly_typed": True}, {"debug": True}, {"amax": {"nothing": 1.0}}):
        try:
            build(cache=scales(), **options)
            said.append(f"{options}: built")
        except TrtcalError as error:
            said.append(f"{options}: {type(error).__name__}")
    return "; ".join(said)


@row("full device memory", alone=True)
def full(_folder: Path) -> str:
    """Building, calibrating, running and observing with 8 MiB left."""
    profile = {"data": ((1, 1, 28, 28), (1000, 1, 28, 28), (1000, 1, 28, 28))}
    engine = build(cache=scales(), profiles=profile)
    images = np.zeros(_FOUR_THOUSAND, np.float32)
    work: dict[str, Callable[[], object]] = {
        "build": lambda: build(cache=scales(), profiles=profile),
        "run": lambda: trt.Execution(engine).run({"data": images[:1000]}),
        "calibrate": lambda: build(calibrator=trt.make_calibrator(images, batch_size=4000)),
        "observe": lambda: dict(trt.TensorRTRunner(model_path("lenet")).__enter__().infer({"data": images})),
    }
    said = []
    with trt.open_memory() as memory:
        memory.alloc(memory.mem_info().free - (8 << 20))
        for name, do in work.items():
            try:
                do()
                said.append(f"{name}: fits")
            except OutOfDeviceMemoryError:
                said.append(f"{name}: out of memory, said as such")
            except EngineError as error:
                raise AssertionError(f"{name}: {error}") from error
    return f"{'; '.join(said)}; afterwards {tested(engine)}"
