"""A run that workers count gives what one process counts, to the bit, whatever happens to the workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor as BaseExecutor
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.errors import DataError, SessionError, UsageError

LENET = sample.model_path()
MODES = ("tensorrt", "two-pass")
SPAWN = multiprocessing.get_context("spawn")


def everything(session):
    """Return all that was recorded."""
    blocks = b"".join(session._store.blocks())
    records = b"".join(records.tobytes() for records in session._store.records())
    return records, blocks, dict(session._store.bases), session._store.last.n_samples


def images(n=60, seed=1):
    rng = np.random.default_rng(seed)
    # Later batches are larger than the first: ranges grow.
    return (rng.standard_normal((n, 1, 28, 28)) * np.linspace(1, 9, n)[:, None, None, None]).astype(np.float32)


def one_process(mode, data, model=LENET, **options):
    session = CalibrationSession(model, data, range_mode=mode, **{"batch_size": 5, **options})
    session.run()
    return everything(session)


class Backwards(BaseExecutor):
    """Threads whose results come as late, and as far out of order, as they can."""

    def __init__(self):
        self.waiting = []
        self.lock = threading.Lock()
        self.most = 0
        self._max_workers = 3

    def submit(self, function, /, *arguments):
        future = Future()
        with self.lock:
            self.waiting.append((future, function, arguments))
            self.most = max(self.most, len(self.waiting))
        threading.Timer(0.02, self._last).start()
        return future

    def _last(self):
        with self.lock:
            future, function, arguments = self.waiting.pop()
        if future.set_running_or_notify_cancel():
            future.set_result(function(*arguments))


@pytest.mark.parametrize("mode", MODES)
def test_the_order_in_which_workers_finish_does_not_matter(mode):
    data = images()
    expected = one_process(mode, data)
    executor = Backwards()
    session = CalibrationSession(LENET, data, batch_size=5, range_mode=mode)
    seen = []
    session.run(executor=executor, progress=lambda status: seen.append(status.recorded))
    assert everything(session) == expected
    assert seen == list(range(1, 13))
    assert session.status.phase == "finished"
    assert executor.most <= 2 * 3 + 2


@pytest.fixture
def sleepy(tmp_path):
    """A model with a tensor that is 0 but where the input is large: it has no range until then."""
    nodes = [
        helper.make_node("Sub", ["x", "limit"], ["over"]),
        helper.make_node("Relu", ["over"], ["late"]),
        helper.make_node("Mul", ["late", "late"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sleepy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("limit", TensorProto.FLOAT, [], [10.0])],
    )
    path = tmp_path / "sleepy.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_a_tensor_that_wakes_up_late_has_the_range_of_the_first_batch_that_has_one(sleepy, mode):
    x = np.random.default_rng(3).standard_normal((40, 3)).astype(np.float32)
    x[12:14] += 11
    x[15:] += np.arange(25)[:, None] * 3
    expected = one_process(mode, x, sleepy, batch_size=2)
    for executor in (Backwards(), ThreadPoolExecutor(4)):
        session = CalibrationSession(sleepy, x, batch_size=2, range_mode=mode)
        session.run(executor=executor)
        assert everything(session) == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pil = pytest.importorskip("PIL.Image")
    where = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    for i in range(60):
        pil.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(where / f"{i}.png")
    return where


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, SPAWN) as pool:
        yield pool


@pytest.mark.parametrize("mode", MODES)
def test_processes_count_to_the_same_bits_whether_batches_are_sent_or_read_there(processes, folder, mode):
    for data in (images(), ImageFolder(folder, size=28, color="gray"), [images(20)[i : i + 5] for i in (0, 5, 10, 15)]):
        size = {} if isinstance(data, list) else {"batch_size": 5}
        expected = one_process(mode, data, **size) if size else one_process(mode, data, batch_size=None)
        session = CalibrationSession(LENET, data, range_mode=mode, **size)
        session.run(executor=processes)
        assert everything(session) == expected
    assert processes.submit(os.getpid).result() > 0  # the user's pool stays open


def test_a_run_goes_on_elsewhere_and_back_here(processes):
    data = images()
    session = CalibrationSession(LENET, data, batch_size=5)
    session.run(until=2)
    session.run(until=7, executor=processes)
    assert (session.status.recorded, session.state.position) == (7, 7)
    session.run()
    session.run(executor=processes)  # nothing is left to do
    assert everything(session) == one_process("tensorrt", data)


@pytest.mark.parametrize("renewed", ["the user's", "a number", "a function"])
def test_what_a_killed_process_had_is_run_again(folder, renewed):
    source = ImageFolder(folder, size=28, color="gray")
    session = CalibrationSession(LENET, source, batch_size=2)
    killed = []

    def kill(status):
        children = multiprocessing.active_children()
        if status.recorded >= 3 and not killed and children:
            killed.append(children[0].pid)
            os.kill(children[0].pid, signal.SIGKILL)

    given = {
        "the user's": ProcessPoolExecutor(2, SPAWN),
        "a number": 2,
        "a function": lambda: ProcessPoolExecutor(2, SPAWN),
    }
    session.run(executor=given[renewed], progress=kill)
    given["the user's"].shutdown()
    assert len(killed) == 1
    assert session.status.phase == "finished"
    assert everything(session) == one_process("tensorrt", source, batch_size=2)


def test_what_a_killed_process_of_loky_had_is_run_again():
    loky = pytest.importorskip("loky")
    executor = loky.ProcessPoolExecutor(2)
    session = CalibrationSession(LENET, images(), batch_size=3)
    killed = []

    def kill(status):
        if status.recorded == 4:
            killed.append(next(iter(executor._processes)))
            os.kill(killed[0], signal.SIGKILL)

    session.run(executor=executor, progress=kill)
    executor.shutdown(kill_workers=True)
    assert killed
    assert everything(session) == one_process("tensorrt", images(), batch_size=3)


def die(*_):
    os._exit(1)


def test_work_that_kills_every_worker_ends_with_the_batches_before_it(processes):
    session = CalibrationSession(LENET, images(), batch_size=5)
    session.run(until=3)
    with pytest.raises(SessionError, match=r"workers were lost 4 times in a row, the last time with batch 3 .*memory"):
        session.run(executor=lambda: ProcessPoolExecutor(1, SPAWN, initializer=die))
    assert session.status.recorded == 3
    assert session.status.phase == "failed"
    session.run(executor=processes)
    assert everything(session) == one_process("tensorrt", images())


def test_errors_come_when_the_batches_before_them_are_kept(processes):
    batches = [*(images(20)[i : i + 5] for i in (0, 5, 10)), np.ones((5, 1, 20, 28), np.float32), images(5)]
    with pytest.raises(DataError) as here:
        one_process("tensorrt", batches, batch_size=None)
    for executor in (processes, ThreadPoolExecutor(2), Backwards()):
        session = CalibrationSession(LENET, batches)
        with pytest.raises(DataError) as there:
            session.run(executor=executor)
        assert str(there.value) == str(here.value)
        assert session.status.recorded == 3
        assert session.status.message.startswith("Batch 3: ")


def test_a_missing_file_is_an_error_of_its_batch(processes, folder, tmp_path):
    for path in sorted(folder.iterdir())[:10]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source = ImageFolder(tmp_path, size=28, color="gray")
    source.paths[6].unlink()
    session = CalibrationSession(LENET, source, batch_size=2)
    with pytest.raises(DataError, match=source.paths[6].name):
        session.run(executor=processes)
    assert session.status.recorded == 3


def test_cancelling_and_interrupting_leave_whole_batches():
    data = images()
    expected = one_process("tensorrt", data)
    session = CalibrationSession(LENET, data, batch_size=5)
    session.run(executor=ThreadPoolExecutor(2), progress=lambda s: session.cancel() if s.recorded == 4 else None)
    assert (session.status.phase, session.status.recorded) == ("cancelled", 4)

    def interrupt(status):
        if status.recorded == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run(executor=ThreadPoolExecutor(2), progress=interrupt)
    assert (session.status.phase, session.status.recorded) == ("paused", 6)
    session.run(executor=ThreadPoolExecutor(2))
    assert everything(session) == expected


class Silent(BaseExecutor):
    """Takes work and never does it."""

    _max_workers = 2

    def __init__(self):
        self.futures = []
        self.asked = threading.Event()

    def submit(self, function, /, *arguments):
        self.futures.append(Future())
        self.asked.set()
        return self.futures[-1]


def test_a_run_whose_workers_hang_can_be_cancelled():
    session = CalibrationSession(LENET, images(), batch_size=5)
    silent = Silent()
    run = threading.Thread(target=session.run, kwargs={"executor": silent}, daemon=True)
    run.start()
    assert silent.asked.wait(120)  # a run that has not begun is none that could be cancelled
    session.cancel()
    run.join(120)
    assert not run.is_alive()
    assert session.status.phase == "cancelled"
    assert all(future.cancelled() for future in silent.futures)


def test_the_session_can_be_looked_at_while_workers_count():
    session = CalibrationSession(LENET, images(), batch_size=5)
    looked = []

    def look(changed):
        if session.status.recorded and session.status.phase == "running":
            session.seek(session.status.recorded)
            looked.append((session.amax("data"), session.batch_histogram("data", session.status.recorded - 1).n_values))

    session.subscribe(look)
    session.run(executor=ThreadPoolExecutor(2))
    assert len(looked) >= 11
    assert all(amax > 0 and n == 5 * 784 for amax, n in looked)


class Unpicklable:
    """A runner that cannot be sent anywhere."""

    def __init__(self, runner):
        self.inner, self.lock = runner, threading.Lock()

    def __getattr__(self, name):
        if name.startswith("__") or name == "one_of":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __enter__(self):
        self.inner.__enter__()
        return self

    def __exit__(self, *exc):
        self.inner.__exit__(*exc)


def test_what_is_no_executor_or_cannot_be_sent_is_said(processes):
    session = CalibrationSession(LENET, images(), batch_size=5)
    with pytest.raises(UsageError, match=r"executor is one of concurrent\.futures.*not a str"):
        session.run(executor="four")
    with pytest.raises(UsageError, match="number of workers"):
        session.run(executor=0)
    with pytest.raises(UsageError, match="made a str"):
        session.run(executor=lambda: "four")
    with pytest.raises(UsageError, match="not the class ThreadPoolExecutor"):
        session.run(executor=ThreadPoolExecutor)
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(SessionError, match="takes no more work"):
        session.run(executor=closed)
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    own = CalibrationSession(Unpicklable(OnnxRuntimeRunner(LENET)), images(), batch_size=5)
    with pytest.raises(UsageError, match="pickle"):
        own.run(executor=processes)
    own.run(executor=ThreadPoolExecutor(2))
    assert everything(own) == one_process("tensorrt", images())


def test_workers_with_another_model_are_refused(processes, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(LENET.read_bytes())
    session = CalibrationSession(path, images(), batch_size=5)
    model = onnx.load(path)
    model.producer_name = "another"
    onnx.save(model, path)
    with pytest.raises(SessionError, match="another model at this path"):
        session.run(executor=processes)


@pytest.mark.models
@pytest.mark.parametrize("mode", MODES)
def test_a_real_detector_is_counted_to_the_same_bits(processes, mode):
    """PP-OCR detection at batch size 1, where ONNX Runtime's sums depend on its number of threads."""
    from tests.support.models import ocr_model

    data = np.random.default_rng(8).random((5, 3, 320, 480), np.float32)
    options = {"batch_size": 1, "threads": 3}
    expected = one_process(mode, data, ocr_model("det"), **options)
    session = CalibrationSession(ocr_model("det"), data, range_mode=mode, **options)
    session.run(executor=processes)
    assert everything(session) == expected
