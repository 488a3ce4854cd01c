"""The data doctor without a browser: what its panels are given, and what its events do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.widgets.front_end import HeldExecutor, send
from tests.widgets.reports import made_up_report
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets import CalibrationSession, DataDoctor, sample
from trtcal_widgets.doctor import examine
from trtcal_widgets.doctor.types import DataWarning
from trtcal_widgets.errors import CancelledError, DataError, UsageError
from trtcal_widgets.widgets.data.band_view import numbers_with_room
from trtcal_widgets.widgets.kit.boundary import SameThreadExecutor

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def session():
    with synthetic_session(12, batches=4) as session:
        session.run()
        yield session


@pytest.fixture
def make(session):
    made = []

    def make(of=None, **options):
        of = of or session
        options.setdefault("executor", SameThreadExecutor())
        if options.pop("examined", True):
            options.setdefault("report", made_up_report(of))
        doctor = DataDoctor(of, **options)
        made.append(doctor)
        return doctor

    yield make
    for doctor in made:
        doctor.close()


def test_the_verdict_is_three_lines(make):
    lines = make().views.shell.state["lines"]
    assert [line["kind"] for line in lines] == ["bad", "bad", "bad"]
    assert "about 1,200 images" in lines[0]["text"]


def test_the_table_has_a_row_per_scale(make, session):
    doctor = make()
    columns, rows = doctor.views.tensors.columns, doctor.views.tensors.rows
    assert columns["names"] == list(session.calibrated)
    assert rows["settled"][:3] == [1, 0, -1]
    assert rows["off"][2] is None
    assert rows["need"][2] is None
    assert rows["need_why"][2].startswith("Cannot tell: too few batches")
    assert "80 % probability" in rows["need_why"][1]


def test_choosing_a_row_chooses_the_tensor_in_the_session(make, session):
    doctor = make()
    send(doctor.views.tensors, type="select", index=3)
    assert session.state.selected == session.calibrated[3]
    assert doctor.views.tensors.selected == 3
    values = np.frombuffer(doctor.views.samples.values, np.float32)
    np.testing.assert_allclose(values, session.batch_amax(session.calibrated[3]), rtol=1e-6)
    assert doctor.views.samples.state["threshold"] == session.amax(session.calibrated[3])


def test_the_band_is_that_of_the_chosen_tensor(make, session):
    doctor = make()
    send(doctor.views.tensors, type="select", index=1)
    found = doctor.report.tensor(session.calibrated[1])
    wide, _, middle, *_ = doctor.views.band.figure.data
    np.testing.assert_allclose(middle.y, found.two_pass.quantiles[:, 2], rtol=1e-6)
    n = len(found.two_pass.sizes)
    np.testing.assert_allclose(wide.y[:n], found.two_pass.quantiles[:, 4], rtol=1e-6)
    np.testing.assert_allclose(wide.y[n:], found.two_pass.quantiles[::-1, 0], rtol=1e-6)
    assert not doctor.views.band.figure.layout.annotations[0].visible


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ([1, 2, 4, 8, 16, 32, 60, 90, 120], [4, 16, 32, 60, 90, 120]),
        ([1, 2, 4, 5, 7, 10], [1, 2, 4, 5, 7, 10]),
        ([1, 3000], [1, 3000]),
        ([4], [4]),
        ([], []),
    ],
)
def test_numbers_of_batches_are_not_over_each_other(sizes, shown):
    assert numbers_with_room(sizes) == shown


def test_left_out_in_the_session_and_back_with_undo(make, session):
    doctor = make()
    send(doctor.views.samples, type="leave_out", sample=2)
    assert doctor.views.samples.state["out"] == [2]
    assert doctor.views.shell.state["stale"]
    assert doctor.views.shell.state["can_undo"]
    send(doctor.views.shell, type="undo")
    assert doctor.views.samples.state["out"] == []
    assert not doctor.views.shell.state["stale"]
    send(doctor.views.blame, type="leave_out", sample=1)
    send(doctor.views.blame, type="count_sample", sample=1)
    assert doctor.views.samples.state["out"] == []


def test_what_reaches_far_beyond_the_others_is_marked(make):
    wild = np.ones(400, np.float32)
    with synthetic_session(3, batches=8, special={"backbone/stage0/block1/Conv_1:0": wild}) as session:
        session.run(until=7)
        wild *= 50
        session.run()
        doctor = make(session)
        send(doctor.views.tensors, type="select", index=1)
        assert doctor.views.samples.state["extreme"] == [7]
        assert "1 stands out" in doctor.views.samples.state["note"]
        send(doctor.views.tensors, type="select", index=0)
        assert doctor.views.samples.state["extreme"] == []


def test_what_others_do_to_the_session_is_shown(make, session):
    doctor = make()
    session.choose_all("minmax")
    assert doctor.views.shell.state["stale"]
    assert "Something changed since" in doctor.views.shell.state["status"]


def test_examines_by_itself_and_says_how_far_it_is(make, session, examining):
    held = HeldExecutor()
    doctor = make(examined=False, executor=held)
    assert doctor.report is None
    assert doctor.views.shell.state["running"]
    held.go()
    assert doctor.report is not None
    assert not doctor.views.shell.state["running"]
    assert [call["bar_db"] for call in examining] == [0.5]
    assert doctor.views.tensors.rows["settled"]


def test_progress_is_shown_while_it_runs(make, session, monkeypatch):
    seen = []

    def examine(session, *, bar_db, progress, cancelled):
        progress(1, 4)
        seen.append(dict(doctor.views.shell.state))
        return made_up_report(session, bar_db=bar_db)

    monkeypatch.setattr("trtcal_widgets.widgets.data.widget.examine", examine)
    monkeypatch.setattr("trtcal_widgets.widgets.data.binding.DataBinding._PAUSE", 0.0)
    doctor = make()
    send(doctor.views.shell, type="examine")
    assert seen[0]["percent"] == 25
    assert seen[0]["running"]
    assert seen[0]["status"] == "examining: 1 of 4 scales"


def test_cancelled_keeps_what_was_found_before(make, session, examining):
    held = HeldExecutor()
    doctor = make(executor=held)
    before = doctor.report
    send(doctor.views.shell, type="examine")
    send(doctor.views.shell, type="cancel")
    assert doctor.views.shell.state["status"].startswith("stopping at the next scale")
    held.go()
    assert doctor.report is before
    assert not doctor.views.shell.state["running"]
    assert doctor.views.shell.state["status_kind"] == "warn"
    assert doctor.views.shell.state["status"].startswith("Cancelled")


def test_a_bar_that_is_chosen_while_it_runs_is_what_it_is_decided_by(make, session, examining):
    held = HeldExecutor()
    doctor = make(executor=held)
    send(doctor.views.shell, type="examine")
    send(doctor.views.shell, type="bar", db=1.0)
    held.go()
    assert [call["bar_db"] for call in examining][-2:] == [0.5, 1.0]
    assert doctor.report.bar_db == 1.0
    assert not doctor.views.shell.state["running"]


def test_a_failure_is_said_and_can_be_tried_again(make, session, monkeypatch):
    def examine(*_, **__):
        raise DataError("batch 3 is damaged")

    monkeypatch.setattr("trtcal_widgets.widgets.data.widget.examine", examine)
    doctor = make(examined=False)
    assert doctor.views.shell.state["status"] == "Examining failed: batch 3 is damaged"
    assert doctor.views.shell.state["status_kind"] == "error"
    assert not doctor.views.shell.state["running"]


def test_another_bar_is_examined_at_once(make, session, examining):
    doctor = make()
    send(doctor.views.shell, type="bar", db=2)
    assert doctor.report.bar_db == 2
    assert [call["bar_db"] for call in examining] == [2.0]
    send(doctor.views.shell, type="bar", db=7.0)
    assert "the bar is one of" in doctor.views.shell.state["notice"]
    assert doctor.report.bar_db == 2


def test_nothing_counted(make, examining):
    with synthetic_session(4, batches=2) as empty:
        doctor = make(empty, examined=False)
        assert doctor.report is None
        assert not doctor.views.shell.state["can_examine"]
        assert "Nothing is counted yet" in doctor.views.shell.state["lines"][0]["text"]
        send(doctor.views.shell, type="examine")
        assert "session.run()" in doctor.views.shell.state["notice"]
        empty.step()
        assert doctor.views.samples.facts["n"] == 1
        assert doctor.views.shell.state["can_examine"]


def test_pictures_come_when_they_are_asked_for(make, session, monkeypatch):
    doctor = make()
    sent = []
    monkeypatch.setattr(doctor.views.samples, "send", lambda content, buffers=None: sent.append((content, buffers)))
    send(doctor.views.samples, type="picture", sample=1)
    ((message, (pixels,)),) = sent
    assert message["type"] == "picture"
    assert len(pixels) == 4 * message["width"] * message["height"] > 0
    send(doctor.views.samples, type="picture", sample=99)
    assert len(sent) == 1


def test_names_of_models_are_text(make, examining):
    with synthetic_session(names=["in", EVIL, "line\nbreak"], batches=3) as odd:
        odd.run()
        about = DataWarning("constant-channel", "warning", "likely", EVIL, EVIL, EVIL, tensors=(EVIL,))
        doctor = make(odd, report=made_up_report(odd, warnings=(about,)))
        assert doctor.views.tensors.columns["names"] == ["in", EVIL, "line\\nbreak"]
        assert doctor.views.warnings.state["warnings"][0]["tensors"] == [[EVIL, EVIL]]
        send(doctor.views.warnings, type="select_name", name=EVIL)
        assert odd.state.selected == EVIL


@pytest.mark.parametrize(
    "message",
    [
        {"type": "select", "index": 99},
        {"type": "sample", "sample": -3},
        {"type": "leave_out", "sample": 4},
        {"type": "select_name", "name": "no such tensor"},
    ],
)
def test_what_cannot_be_is_said(make, message):
    doctor = make()
    send(doctor.views.tensors, **message)
    assert doctor.views.shell.state["notice"]
    send(doctor.views.shell, type="dismiss")
    assert not doctor.views.shell.state["notice"]


@pytest.mark.parametrize(
    "message", [{"type": "select", "index": "1"}, {"type": "nonsense"}, {"type": "bar", "db": "1"}, 7]
)
def test_other_messages_are_no_events(make, message):
    doctor = make()
    before = doctor.binding.renders
    doctor.views.tensors._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    assert doctor.binding.renders == before


def test_a_warning_leads_to_its_batches_and_tensors(make, session):
    about = DataWarning("idle-batches", "note", "certain", "", "", "", batches=(2, 9), tensors=(session.tensors[3],))
    doctor = make(report=made_up_report(session, warnings=(about,)))
    (warning,) = doctor.views.warnings.state["warnings"]
    assert (warning["unit"], warning["marks"]) == ("batches", [[2, "batch 3"]]), "what is not recorded is not led to"
    send(doctor.views.warnings, type="sample", sample=2)
    assert doctor.views.samples.selected == 2


def test_a_drawing_sends_only_what_changed(make, session):
    doctor = make()
    sent = []
    for panel in doctor.views.panels:
        panel.observe(lambda change: sent.append((type(change["owner"]).__name__, change["name"])))
    send(doctor.views.samples, type="sample", sample=1)
    assert ("SamplesPanel", "values") not in sent
    assert ("SamplesPanel", "facts") not in sent
    assert ("TensorsPanel", "rows") not in sent
    assert ("SamplesPanel", "selected") in sent


def test_the_picture_for_saved_notebooks(make, session):
    for doctor in (make(), make(examined=False, executor=HeldExecutor())):
        bundle = doctor._repr_mimebundle_()
        assert bundle["image/png"].startswith("iVBOR")
    assert make().picture(dark=True).startswith(b"\x89PNG")


def test_arguments(session):
    with pytest.raises(UsageError, match="takes a CalibrationSession, not str"):
        DataDoctor("session")
    with pytest.raises(UsageError, match="what examine"):
        DataDoctor(session, report="good")
    for bar in (0, -1, float("inf"), float("nan"), "0.5"):
        with pytest.raises(UsageError, match="bar_db"):
            DataDoctor(session, bar_db=bar)


def test_closing_stops_the_examination(session, monkeypatch):
    from threading import Event

    began, ended = Event(), Event()

    def examine(session, *, bar_db, progress, cancelled):
        began.set()
        while not cancelled():
            progress(1, 2)
        ended.set()
        raise CancelledError("cancelled")

    monkeypatch.setattr("trtcal_widgets.widgets.data.widget.examine", examine)
    with ThreadPoolExecutor(1) as pool:
        doctor = DataDoctor(session, executor=pool)
        assert began.wait(20)
        doctor.close()
        assert ended.wait(20)


@pytest.fixture
def wild():
    """60 digits, one of them six times as bright as it should be."""
    pixels = sample.calibration_images().load(0, 60)[""].copy()
    pixels[42] *= 6
    with CalibrationSession(sample.model_path(), pixels, batch_size=20) as session:
        session.run()
        yield session


def test_a_sample_is_found_asked_about_left_out_and_brought_back(make, wild):
    doctor = make(wild)
    samples, blame = doctor.views.samples, doctor.views.blame
    assert blame.state["entries"][0]["name"] == "sample 43"
    assert blame.state["entries"][0]["facts"].startswith("largest |x| "), "its number is said once"
    assert (samples.facts["unit"], samples.facts["n"], samples.facts["starts"]) == ("sample", 60, [0, 20, 40])
    send(doctor.views.tensors, type="select_name", name="conv1")
    assert samples.state["extreme"] == [42]
    assert (blame.state["entries"][0]["sample"], blame.state["entries"][0]["can_ask"]) == (42, True)
    send(blame, type="without", sample=42)
    first = blame.state["entries"][0]
    assert "scales move" in first["without"]
    assert "of all that is clipped" in first["facts"]
    send(samples, type="leave_out", sample=42)
    assert (samples.state["out"], wild.samples.left_out) == ([42], {42})
    send(samples, type="count_sample", sample=42)
    assert wild.samples.left_out == frozenset()


def test_an_examination_is_about_the_samples_that_are_counted(wild):
    with_it = examine(wild, resamples=10).tensor("conv1")
    wild.samples.leave_out(42)
    report = examine(wild, resamples=10)
    assert report.n_samples == 59
    assert report.tensor("conv1").amax < with_it.amax
    wild.samples.leave_out(*range(20))
    assert examine(wild, resamples=10).batches == (1, 2)


def test_without_the_model_a_sample_stays_and_words_say_why(make, wild, tmp_path):
    wild.save(tmp_path / "run.trtcal")
    with CalibrationSession.load(tmp_path / "run.trtcal") as alone:
        doctor = make(alone)
        send(doctor.views.samples, type="leave_out", sample=42)
        assert alone.samples.left_out == frozenset()
        assert "was not counted before" in doctor.views.shell.state["notice"]
        assert not doctor.views.blame.state["entries"][0]["can_ask"]
