"""The build panel with a stand-in for TensorRT, and without any."""

from __future__ import annotations

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.trt_fake import make_fake
from tests.support.trt_fake_base import Machine
from tests.support.trt_host_driver import HostDriver
from tests.widgets.front_end import send
from trtcal_widgets import BuildPanel, CalibrationExplorer, CalibrationSession, sample
from trtcal_widgets.errors import ModelError, TrtcalError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.gpu import memory as memory_module
from trtcal_widgets.gpu.memory import DeviceMemory
from trtcal_widgets.trt.control import Progress
from trtcal_widgets.trt.engine import Engine
from trtcal_widgets.trt.log import LogLine
from trtcal_widgets.widgets.build.binding import parse_event
from trtcal_widgets.widgets.build.job import BuildRun
from trtcal_widgets.widgets.kit.boundary import SameThreadExecutor

IMAGES = np.random.default_rng(5).random((20, 1, 28, 28)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plug(monkeypatch):
    """Return a function that makes ``import tensorrt`` give the stand-in of a release."""

    def put_in(release):
        monkeypatch.setattr(memory_module, "open_driver", lambda prefer, device: HostDriver())
        machine = Machine(release, DeviceMemory(HostDriver()))
        monkeypatch.setitem(sys.modules, "tensorrt", make_fake(machine))
        return machine

    return put_in


@pytest.fixture
def machine(plug):
    return plug("10.16.1.11")


@pytest.fixture
def without_tensorrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # import raises ModuleNotFoundError


@pytest.fixture
def session():
    with CalibrationSession(sample.model_path(), IMAGES, batch_size=4) as session:
        yield session


@pytest.fixture
def make_panel():
    made = []

    def make(*arguments, **options):
        panel = BuildPanel(*arguments, executor=options.pop("executor", SameThreadExecutor()), **options)
        made.append(panel)
        return panel

    yield make
    for panel in made:
        panel.close()


class Desk:
    """A panel whose build runs in another thread, and a wait for what it shows."""

    def __init__(self, panel):
        self.panel = panel
        self._news = threading.Condition()
        panel.view.observe(self._told, ["state"])

    def _told(self, _change):
        with self._news:
            self._news.notify_all()

    def press(self, kind, **values):
        send(self.panel.view, type=kind, **values)

    def build(self, **form):
        press_build(self.panel, **form)

    def wait(self, test):
        with self._news:
            assert self._news.wait_for(lambda: test(self.panel.view.state), timeout=20), self.panel.view.state


@pytest.fixture
def desk(make_panel, session):
    with ThreadPoolExecutor(1) as pool:
        desk = Desk(make_panel(session, executor=pool))
        yield desk
        desk.panel.close()  # cancels what still waits, for which the pool would wait


def press_build(panel, *, replace=False, **form):
    send(panel.view, type="build", replace=replace, **{**panel.view.state["form"], **form})


def at_batch(n):
    return lambda state: state["holding"] and f"batch {n} of 5" in state["text"]


# ---- building ----------------------------------------------------------------------------------------------------


def test_tensorrt_calibrates_and_everything_is_saved_and_shown(machine, make_panel, session, folder):
    panel = make_panel(session)
    assert panel.view.state["title"] == "TensorRT 10.16.1.11"
    assert panel.view.state["form"]["mode"] == "calibrate"
    assert "5 batches" in panel.view.state["text"]
    press_build(panel)
    state = panel.view.state
    assert (state["text_kind"], state["error"]) == ("ok", "")
    np.testing.assert_array_equal(np.concatenate([feeds["data"] for feeds in machine.calibrated_with]), IMAGES)
    assert Engine.load(folder / "lenet.engine").data == panel.engine.data
    assert CalibrationCache.read(folder / "lenet.calibration.cache").rows == panel.engine.cache.rows
    shown = {label: value for label, value, _ in state["result"]}
    assert shown["engine"] == str(folder / "lenet.engine")
    assert f"{len(panel.engine.cache.rows)} rows · TRT-101601-EntropyCalibration2" in shown["cache"]
    assert {p["state"] for p in state["phases"]} == {"done"}
    assert next(p for p in state["phases"] if p["name"] == "calibrate")["steps"] == "5 of 5"
    assert state["batches"] == {"total": 5, "done": 5, "at": -1, "more": 0}
    assert [line.text for line in panel.log] == [line.text for line in panel.engine.log if line.severity != "verbose"]
    assert not state["running"]


def test_the_session_s_scales_give_an_engine_without_running_batches(machine, make_panel, session):
    session.run()
    session.choose("conv1", amax=3.0)
    panel = make_panel(session)
    send(panel.view, type="set", **{**panel.view.state["form"], "mode": "session"})
    assert "1 of them your own" in panel.view.state["text"]
    press_build(panel, fp16=True)
    (spec,) = machine.built
    assert spec["flags"] == ["FP16", "INT8", "TF32"]
    assert spec["scales"]["conv1"] == pytest.approx(3.0 / 127, rel=1e-6)
    assert machine.calibrated_with == []


def test_on_tensorrt_11_the_q_dq_model_of_the_session_is_written_and_built(plug, make_panel, session, folder):
    machine = plug("11.4.0.106")
    panel = make_panel(session)
    assert not panel.view.state["can_build"]
    assert all("Q/DQ" in why for key, _, why in panel.view.state["modes"] if key != "qdq")
    session.step()
    assert panel.view.state["form"]["mode"] == "qdq"
    assert panel.view.state["can_build"]
    press_build(panel)
    assert panel.view.state["error"] == ""
    (spec,) = machine.built
    assert spec["strongly_typed"]
    assert spec["profiles"][0]["data"] == ((1, 1, 28, 28), (4, 1, 28, 28), (4, 1, 28, 28))  # of the session's batches
    assert (folder / "lenet.qdq.onnx").exists()
    # a calibrator cannot be had, whatever the front end says
    press_build(panel, mode="calibrate", path="other.engine")
    assert "only from a Q/DQ model" in panel.view.state["notice"]
    assert not (folder / "other.engine").exists()


def test_a_model_alone_is_built_as_the_call_says(machine, make_panel):
    CalibrationCache.build({"data": 0.5, "conv1": 0.25}, version="10.16.1").write("c.cache")
    panel = make_panel(model=sample.model_path(), cache="c.cache", profiles={"data": (4, 1, 28, 28)})
    assert [key for key, *_ in panel.view.state["modes"]] == ["given"]
    press_build(panel)
    assert panel.engine is not None
    assert machine.built[0]["scales"]["conv1"] == 0.25


# ---- stepping, and the session that goes along -------------------------------------------------------------------


def test_stepping_through_tensorrt_s_batches_moves_the_session_and_its_explorer(machine, session, desk):
    session.run(until=3)
    session.update(position=0)
    explorer = CalibrationExplorer(session, executor=SameThreadExecutor(), panels=[desk.panel])
    assert explorer.children[-1] is desk.panel
    desk.build(hold=True)
    desk.wait(at_batch(1))
    assert not machine.calibrated_with
    assert session.state.position == 1  # the batch that TensorRT is to be given is the last counted
    assert desk.panel.view.state["batches"] == {"total": 5, "done": 0, "at": 0, "more": 0}
    desk.press("step")
    desk.wait(at_batch(2))
    assert len(machine.calibrated_with) == 1
    assert session.state.position == 2
    assert explorer.views.stepper.state["position"] == 2
    desk.press("resume")
    desk.wait(lambda state: state["text_kind"] == "ok")
    assert session.state.position == session.status.recorded == 3
    assert "has recorded 3 batches" in desk.panel.view.state["note"]
    explorer.close()


def test_following_every_batch_records_what_is_not_recorded(machine, session, make_panel):
    panel = make_panel(session)
    press_build(panel, follow="all")
    assert session.status.recorded == session.state.position == 5
    assert panel.view.state["note"] == ""


@pytest.mark.parametrize("how", ["no", "recorded"])
def test_the_session_stays_where_it_is_where_it_should_not_or_cannot_follow(machine, session, make_panel, how):
    panel = make_panel(session)
    press_build(panel, follow=how)
    assert panel.engine is not None
    assert (session.status.recorded, session.state.position) == (0, 0)
    assert bool(panel.view.state["note"]) == (how == "recorded")


def test_batches_that_the_session_leaves_out_are_not_given_to_tensorrt(machine, session, make_panel):
    panel = make_panel(session)
    assert panel.view.state["text"] == "TensorRT will run 5 batches and find the scales itself."
    session.update(excluded={1, 4})
    assert panel.view.state["text"] == (
        "TensorRT will run 3 batches without the 2 that the session leaves out, and find the scales itself."
    )
    press_build(panel, follow="all")
    fed = np.concatenate([feeds["data"] for feeds in machine.calibrated_with])
    np.testing.assert_array_equal(fed, IMAGES[[0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]])
    assert session.state.position == 4  # the last batch that TensorRT was given is the fourth of the session
    assert panel.view.state["batches"] == {"total": 3, "done": 3, "at": -1, "more": 0}


def test_a_session_that_fails_to_follow_does_not_end_the_build(machine, session, make_panel):
    panel = make_panel(session)
    with session._busy:  # as if the explorer ran batches in another thread
        press_build(panel, follow="all")
    assert panel.engine is not None
    assert "going on already" in panel.view.state["note"]


def test_cancelling_while_it_waits_makes_no_engine_and_no_cache(machine, session, desk, folder):
    desk.build(hold=True)
    desk.build(hold=True)  # a double click
    desk.wait(at_batch(1))
    assert desk.panel.view.state["notice"] == ""
    desk.build(path="second.engine")
    assert "running already" in desk.panel.view.state["notice"]
    assert desk.panel.view.state["form"]["path"] == "lenet.engine"
    desk.press("cancel")
    desk.wait(lambda state: not state["running"])
    assert re.match(r"Cancelled after [^ ]+ s\. The TensorRT build was cancelled", desk.panel.view.state["text"])
    assert desk.panel.view.state["error"] == ""
    assert list(folder.iterdir()) == []
    # and again, to the end
    desk.build(hold=False)
    desk.wait(lambda state: state["text_kind"] == "ok")


def test_pausing_on_the_way(machine, session, desk):
    desk.build(hold=True)
    desk.wait(at_batch(1))
    desk.press("resume")
    desk.press("pause")
    desk.wait(lambda state: state["holding"] or not state["running"])
    desk.press("resume") if desk.panel.view.state["running"] else None
    desk.wait(lambda state: state["text_kind"] == "ok")


def test_closing_the_panel_cancels_its_build(machine, session, desk):
    desk.build(hold=True)
    desk.wait(at_batch(1))
    run = desk.panel.binding.run
    desk.panel.close()
    desk.panel.binding._executor.shutdown(wait=True)
    assert run.cancelled
    session.step()  # nobody is told any more


# ---- what goes wrong ---------------------------------------------------------------------------------------------


def test_tensorrt_s_reason_is_shown(machine, make_panel, session, folder):
    machine.build_error = "Could not find any implementation for node <b>conv1</b>"
    panel = make_panel(session)
    press_build(panel)
    assert "Could not find any implementation for node <b>conv1</b>" in panel.view.state["error"]
    assert panel.view.log["errors"] == 1
    assert panel.engine is None
    assert isinstance(panel.error, TrtcalError)


def test_data_that_cannot_be_read_end_the_build_with_their_reason(machine, make_panel, folder):
    class Broken:
        def __iter__(self):
            yield {"data": IMAGES[:4]}
            raise OSError("disk gone")

    with CalibrationSession(sample.model_path(), Broken()) as session:
        panel = make_panel(session)
        press_build(panel)
        assert "disk gone" in panel.view.state["error"]
        assert list(folder.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_when_told(machine, make_panel, session, folder):
    (folder / "lenet.engine").write_text("mine")
    panel = make_panel(session)
    assert panel.view.state["exists"] == ["lenet.engine"]
    press_build(panel)
    assert "exists already" in panel.view.state["notice"]
    assert (folder / "lenet.engine").read_text() == "mine"
    press_build(panel, path="no/such/folder.engine")
    assert "no folder" in panel.view.state["notice"].lower()
    press_build(panel, path="lenet.engine", replace=True)
    assert (folder / "lenet.engine").read_bytes() == panel.engine.data


def test_a_cache_that_is_there_is_announced(machine, make_panel, session, folder):
    panel = make_panel(session)
    press_build(panel)
    machine.calibrated_with.clear()
    again = make_panel(session)
    assert "runs no batch" in again.view.state["text"]
    press_build(again, replace=True)
    assert not machine.calibrated_with


def test_while_the_session_runs_tensorrt_is_not_given_the_same_data(machine, make_panel, session):
    panel = make_panel(session)
    seen = []
    session.run(progress=lambda _status: seen.append((panel.view.state["can_build"], panel.view.state["text"])))
    assert not any(can for can, _ in seen)
    assert all("wait for it, or cancel it" in text for _, text in seen)
    assert panel.view.state["can_build"]


# ---- the log -----------------------------------------------------------------------------------------------------


def test_the_log_is_filtered_bounded_and_text(machine, make_panel, session, monkeypatch):
    panel = make_panel(session)
    press_build(panel)
    run = panel.binding.run
    with monkeypatch.context() as quiet:  # with a page, it is drawn eight times a second, not after every line
        quiet.setattr(run, "_changed", lambda: None)
        for k in range(7000):
            run._heard(LogLine("info", f"line {k} <script>\nsecond", 0.5))
    run._heard(LogLine("warning", "w" * 2000, 1.0))
    send(panel.view, type="severity", least="info")
    lines = panel.view.log["lines"]
    assert len(lines) == 300
    assert lines[-2] == ["info", "0.50", "line 6999 <script>\nsecond"]
    assert len(lines[-1][2]) < 600
    assert "last 300 of 7," in panel.view.log["note"]
    assert len(panel.log) < 5100
    send(panel.view, type="severity", least="warning")
    assert {severity for severity, *_ in panel.view.log["lines"]} == {"warning"}
    send(panel.view, type="severity", least="nonsense")
    assert "nonsense" in panel.view.state["notice"]


def test_verbose_lines_are_taken_where_they_were_asked_for_before_the_build(machine, make_panel, session):
    panel = make_panel(session)
    press_build(panel)
    assert panel.binding.run.counts["verbose"] == 0
    send(panel.view, type="severity", least="verbose")
    press_build(panel, replace=True)
    assert panel.binding.run.counts["verbose"] == sum(line.severity == "verbose" for line in panel.engine.log)


def test_what_tensorrt_works_at_is_what_is_not_over(machine, make_panel, session):
    panel = make_panel(session)
    run = BuildRun(panel.binding._job, panel.binding.screen.form, verbose=False, changed=lambda: None)
    panel.binding.run = run
    for done, text in ((3, "TensorRT runs batch 4 of 10."), (10, "TensorRT works: build.")):
        for progress in (Progress("Parse"), Progress("Build"), Progress("Calibrate", "Build", done, 10)):
            run._progress(progress)
        send(panel.view, type="severity", least="warning" if done == 3 else "error")
        assert panel.view.state["text"] == text


def test_many_phases_leave_the_outer_ones_and_the_newest(machine, make_panel, session):
    panel = make_panel(session)
    press_build(panel)
    run = panel.binding.run
    for k in range(100):
        run._progress(Progress(f"Inner {k}", "Build", 3, 3, finished=True))
    names = [p["name"] for p in panel.view.state["phases"]]
    assert len(names) == 12
    assert {"build", "calibrate", "Inner 99"} <= set(names)


# ---- without TensorRT --------------------------------------------------------------------------------------------


def test_without_tensorrt_it_says_what_to_install_and_writes_the_files(without_tensorrt, make_panel, session, folder):
    panel = make_panel(session)
    state = panel.view.state
    assert "TensorRT is not installed" in state["missing"]
    assert any("tensorrt<11" in command for command, _ in state["install"])
    assert not state["can_build"]
    assert all(file["why_not"] for file in state["files"])
    press_build(panel)
    assert "TensorRT is not installed" in panel.view.state["notice"]
    session.run()
    assert not any(file["why_not"] for file in panel.view.state["files"])
    send(panel.view, type="write", kind="qdq", replace=False)
    assert panel.view.state["written_kind"] == "ok"
    send(panel.view, type="write", kind="cache", replace=False)
    assert CalibrationCache.read(folder / "lenet.cache").rows == session.to_cache().rows
    import onnx

    assert "QuantizeLinear" in {node.op_type for node in onnx.load(folder / "lenet.qdq.onnx").graph.node}
    send(panel.view, type="write", kind="cache", replace=False)
    assert "exists already" in panel.view.state["notice"]
    assert panel.engine is panel.error is None


def test_tensorrt_that_was_installed_since_is_found(without_tensorrt, plug, make_panel, session):
    panel = make_panel(session)
    plug("10.16.1.11")
    send(panel.view, type="look")
    assert panel.view.state["can_build"]
    assert panel.view.state["missing"] == ""


def test_the_text_for_where_no_widget_lives(without_tensorrt, make_panel, session):
    panel = make_panel(session)
    text = panel._repr_mimebundle_()["text/plain"]
    assert text.startswith("BuildPanel · TensorRT is not installed · lenet.onnx")
    assert "pip install" in text


def test_the_text_after_a_build(machine, make_panel, session, folder):
    panel = make_panel(session)
    press_build(panel)
    bundle = panel._repr_mimebundle_()
    assert str(folder / "lenet.engine") in bundle["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


# ---- arguments and messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((), {}, "needs a session, or a model"),
        (("lenet.onnx",), {}, "model="),
        ((), {"model": sample.model_path(), "fp61": True}, "did you mean 'fp16'"),
        ((), {"model": sample.model_path(), "progress": print}, "the panel shows it"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments, options, says):
    with pytest.raises(UsageError, match=says):
        BuildPanel(*arguments, **options)


def test_another_model_than_the_session_s(session, folder):
    import onnx

    other = onnx.load(sample.model_path())
    other.producer_name = "someone else"
    onnx.save(other, "other.onnx")
    with pytest.raises(ModelError, match=r"other\.onnx is not the model"):
        BuildPanel(session, "other.onnx")


def test_a_session_without_its_model_needs_one(session, folder):
    session.run()
    session.save("s.trtcal")
    loaded = CalibrationSession.load("s.trtcal")
    with pytest.raises(UsageError, match="does not know where its model is"):
        BuildPanel(loaded)
    BuildPanel(loaded, sample.model_path()).close()


@pytest.mark.parametrize(
    "message",
    [
        None, 3, {}, {"type": "build"}, {"type": "pause", "now": True}, {"type": "severity", "least": 1},
        {"type": "write", "kind": "qdq", "replace": 1}, {"type": "severity", "least": "x" * 70_000},
        {"type": "__init__"},
    ],
)  # fmt: skip
def test_messages_that_are_none(message):
    assert parse_event(message) is None


def test_buttons_without_a_build_and_forms_with_nonsense(machine, make_panel, session):
    panel = make_panel(session)
    for kind in ("pause", "resume", "step", "cancel"):
        send(panel.view, type=kind)
        assert panel.view.state["notice"] == "no build is running"
    for wrong in ({"mode": "given"}, {"algorithm": "none"}, {"follow": ""}):
        press_build(panel, **wrong)
        assert next(iter(wrong)) in panel.view.state["notice"]
    press_build(panel, path="  ")
    assert "Where to?" in panel.view.state["notice"]
    send(panel.view, type="dismiss")
    assert panel.view.state["notice"] == ""
    assert panel.engine is None
