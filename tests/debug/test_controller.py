"""Debugging without a screen: results, what makes them out of date, plans, failures, threads."""

from __future__ import annotations

import errno
import io
import threading

import numpy as np
import pytest

from tests.support.rescaled import write_rescaled_session
from trtcal_widgets import CalibrationSession, Evaluation, sample
from trtcal_widgets.debug import Int8Simulation
from trtcal_widgets.debug.controller import AccuracyDebugging
from trtcal_widgets.errors import CancelledError, EvaluationError, ModelError, SessionError, UsageError
from trtcal_widgets.model.plan import PrecisionPlan


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A calibrated session of the rescaled LeNet in a file, and its model: INT8 really hurts it."""
    folder = tmp_path_factory.mktemp("rescaled")
    write_rescaled_session(folder)
    return folder


@pytest.fixture
def session(saved):
    return CalibrationSession.load(saved / "session.trtcal")


@pytest.fixture(scope="module")
def evaluation():
    return Evaluation(sample.test_images(), batch_size=100, max_batches=4)


@pytest.fixture
def debugging(session, saved, evaluation):
    made = AccuracyDebugging(session, evaluation, saved / "rescaled.onnx")
    yield made
    made.close()


@pytest.fixture
def ran(debugging):
    debugging.run()
    return debugging


def test_a_run_gives_what_the_simulation_gives(ran, session, saved, evaluation):
    plain = Int8Simulation(saved / "rescaled.onnx", session.to_cache().scales)
    compared, ranked = plain.compare(evaluation), plain.isolated(evaluation)
    state = ran.state
    assert state.phase == "finished"
    assert state.comparison.int8.top1 == compared.int8.top1 < compared.fp32.top1 - 0.03
    assert {n: t.sqnr_db for n, t in state.comparison.tensors.items()} == pytest.approx(
        {n: t.sqnr_db for n, t in compared.tensors.items()}, nan_ok=True
    )
    assert state.ranking[0].node == ranked[0].node == "conv2"
    assert {r.node: r.loss for r in state.ranking} == {r.node: r.loss for r in ranked}
    assert state.hazards is not None


def test_each_change_is_told_once_and_states_are_frozen(debugging):
    seen = []
    debugging.subscribe(lambda changed: seen.append((changed, debugging.state.revision)))
    before = debugging.state
    debugging.keep("conv2")
    assert [changed for changed, _ in seen] == [{"plan", "can_undo"}]
    assert before.plan.keep == ()
    debugging.keep("conv2")
    assert len(seen) == 1, "nothing changed"
    with pytest.raises(AttributeError):
        debugging.state.phase = "running"


def test_keeping_scores_the_plan_and_undo_goes_back(ran):
    ran.keep("conv2")
    assert ran.state.planned is None, "not known before it was measured"
    planned = ran.score_plan()
    assert planned.top1 >= 0.99 * ran.state.comparison.fp32.top1
    whole = Int8Simulation(ran.model, ran.scales(), plan=PrecisionPlan(keep=("conv2",))).compare(ran.evaluation)
    assert planned.top1 == whole.int8.top1
    assert planned.outputs.sqnr_db == pytest.approx(whole.int8.outputs.sqnr_db, rel=1e-9)
    ran.keep("conv2", kept=False)
    assert ran.state.planned is None
    ran.undo()
    assert ran.state.plan.keep == ("conv2",)
    assert ran.state.planned == planned, "remembered"
    ran.undo()
    assert not ran.state.plan
    assert not ran.state.can_undo
    ran.redo()
    assert ran.state.plan.keep == ("conv2",)


def sqnr(tensors):
    return {name: t.sqnr_db for name, t in tensors.items()}


def test_every_tensor_is_compared_with_the_plan_as_a_whole_run_with_it_would(ran):
    """The oracle runs the whole model with the plan; the controller only what lies behind what the plan changes."""
    assert ran.state.planned_tensors is None
    before = sqnr(ran.state.comparison.tensors)
    ran.keep("conv2")
    ran.score_plan()
    whole = Int8Simulation(ran.model, ran.scales(), plan=PrecisionPlan(keep=("conv2",))).compare(ran.evaluation)
    assert sqnr(ran.state.planned_tensors) == pytest.approx(sqnr(whole.tensors), rel=1e-9, nan_ok=True)
    assert list(ran.state.planned_tensors) == list(before), "in graph order too"
    assert ran.state.planned_tensors["pool1"].sqnr_db == before["pool1"], "in front of what is kept"
    assert ran.state.planned_tensors["conv2"].sqnr_db > before["conv2"] + 10
    kept = ran.state.planned_tensors
    ran.undo()
    assert ran.state.planned_tensors is None
    ran.redo()
    assert ran.state.planned_tensors is kept, "remembered"
    ran.set_plan(PrecisionPlan(amax={"pool1": ran.session.amax("pool1", "minmax")}))
    assert ran.state.planned_tensors is None, "of another plan"
    ran.run()
    assert ran.state.planned_tensors["conv2"].sqnr_db < before["conv2"] - 1, "a worse threshold in front of it"


def test_tensors_that_do_not_fit_on_disk_are_computed_again_for_the_plan(ran):
    before = {name: t.comparison for name, t in ran.state.comparison.tensors.items()}
    plan = PrecisionPlan(keep=("conv2", "ip2"))
    there, gone = (
        Int8Simulation(ran.model, ran.scales(), store_bytes=size).compare_plan(ran.evaluation, plan, before)
        for size in (1 << 30, 1)
    )
    assert sqnr(there) == pytest.approx(sqnr(gone), rel=1e-12, nan_ok=True)
    assert sqnr(there) != sqnr(before)


def test_a_found_plan_comes_with_its_tensors_and_cancelling_them_keeps_its_score(ran):
    ran.find_plan(0.99, scales=False)
    assert ran.state.planned_tensors["conv2"].sqnr_db > ran.state.comparison.tensors["conv2"].sqnr_db
    what = "comparing tensors with the plan"
    stop = ran.subscribe(lambda _changed: ran.cancel() if ran.state.what == what else None)
    ran.keep("ip2")
    with pytest.raises(CancelledError):
        ran.score_plan()
    stop()
    assert ran.state.planned is not None
    assert ran.state.planned_tensors is None
    ran.score_plan()
    assert ran.state.planned_tensors is not None


def test_a_changed_threshold_puts_results_out_of_date_until_it_is_taken_back(ran, session):
    assert ran.state.stale == ()
    session.choose("pool1", method="minmax")
    assert ran.state.stale == ("another threshold for conv1, pool1",), "they share a scale"
    session.undo()
    assert ran.state.stale == ()
    session.choose_all("minmax")
    assert "minmax" in ran.state.stale[0]
    session.update(selected="conv2")
    before = ran.state.comparison
    ran.run()
    assert ran.state.stale == ()
    assert ran.state.comparison is not before


def test_a_threshold_that_changes_during_a_run_leaves_the_results_out_of_date(debugging, session):
    def change(changed):
        if "comparison" in changed:
            session.choose("pool1", amax=1.0)

    debugging.subscribe(change)
    debugging.run()
    assert debugging.state.phase == "finished"
    assert debugging.state.stale


def test_trials_score_each_method_and_using_one_goes_to_the_session(ran, session):
    trials = ran.try_methods("pool1", ("entropy", "minmax"))
    assert ran.state.trials["pool1"] == trials
    assert trials[0].score.top1 == ran.state.comparison.int8.top1, "entropy is what holds"
    assert trials[1].score.top1 < trials[0].score.top1
    assert not ran.state.plan, "trying changes nothing"
    ran.use_method("pool1", "minmax")
    assert session.amax("pool1") == trials[1].amax
    ran.run()
    assert ran.state.comparison.int8.top1 == trials[1].score.top1
    with pytest.raises(UsageError, match="not quantised"):
        ran.try_methods("prob")


def test_a_plan_is_found_and_its_thresholds_can_be_moved_into_the_session(ran, session):
    found = ran.find_plan(0.99, scales=False)
    assert found.met
    assert ran.state.plan == found.plan
    assert ran.state.planned == found.after
    ran.set_plan(PrecisionPlan(amax={"pool1": 1234.5}))
    ran.adopt_scales()
    assert session.amax("pool1") == pytest.approx(1234.5)
    assert not ran.state.plan
    assert ran.state.stale


def test_using_a_method_drops_the_plans_threshold_for_the_tensor(ran):
    ran.set_plan(PrecisionPlan(keep=("ip1",), amax={"pool1": 10.0, "relu1": 2.0}))
    ran.use_method("pool1", "mse")
    assert dict(ran.state.plan.amax) == {"relu1": 2.0}
    assert ran.state.plan.keep == ("ip1",)


def test_cancelling_keeps_what_was_there(ran):
    before = ran.state.comparison

    def cancel(_changed):
        if ran.state.what == "comparing FP32 with INT8":
            ran.cancel()
        said.append((ran.state.phase, ran.state.message))

    said = []
    stop = ran.subscribe(cancel)
    with pytest.raises(CancelledError):
        ran.run()
    assert ("running", "Stopping at the next step …") in said, "before the step is over"
    assert ran.state.phase == "cancelled"
    assert ran.state.comparison is before
    stop()
    ran.run()
    assert ran.state.phase == "finished"


def test_cancelling_the_ranking_keeps_the_comparison(debugging):
    debugging.subscribe(lambda _changed: debugging.cancel() if debugging.state.what == "ranking layers" else None)
    with pytest.raises(CancelledError):
        debugging.run()
    assert debugging.state.comparison is not None
    assert debugging.state.ranking is None


def test_a_plan_that_changes_while_it_is_scored_is_scored_anew_without_a_word(ran):
    ran.keep("ip1")
    changed = []

    def once(_):
        if ran.state.work == "plan" and ran.state.phase == "running" and not changed:
            changed.append(True)
            ran.keep("conv2")

    ran.subscribe(once)
    assert ran.score_plan() is None
    assert ran.state.phase == "finished", "nobody cancelled"
    assert ran.score_plan().top1 > ran.state.comparison.int8.top1


def test_an_evaluate_that_raises_is_told_with_its_traceback_and_nothing_is_lost(saved, session):
    def evaluate(outputs, batch):
        if batch.index == 1:
            raise KeyError("mine")
        return 1.0

    intent = session.state
    debugging = AccuracyDebugging(
        session, Evaluation(sample.test_images(), batch_size=50, evaluate=evaluate), saved / "rescaled.onnx"
    )
    with pytest.raises(EvaluationError):
        debugging.run()
    assert debugging.state.phase == "failed"
    assert "KeyError: 'mine'" in debugging.state.message
    assert "in evaluate" in debugging.state.message
    assert session.state == intent
    assert debugging.state.comparison is None


def test_work_from_many_threads_takes_turns(ran):
    looks = ["pool1", "conv2", "relu1", "pool2"]
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.setdefault(n, ran.look_at(n))) for n in looks]
    threads.append(threading.Thread(target=ran.run))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == set(looks)
    assert ran.state.phase == "finished"
    assert all(np.isfinite(detail.pairs).all() for detail in found.values())


def test_what_cannot_be_meant_is_refused_with_the_way_out(session, saved, evaluation):
    with pytest.raises(UsageError, match=r"model='model\.onnx'"):
        AccuracyDebugging(session, evaluation)
    with pytest.raises(ModelError, match="not the model"):
        AccuracyDebugging(session, evaluation, sample.model_path())
    with pytest.raises(UsageError, match="CalibrationSession"):
        AccuracyDebugging("model.onnx", evaluation)
    with pytest.raises(UsageError, match="Evaluation"):
        AccuracyDebugging(session, np.zeros((4, 1, 28, 28)))
    debugging = AccuracyDebugging(session, evaluation, saved / "rescaled.onnx")
    with pytest.raises(SessionError, match="run"):
        debugging.score_plan()
    with pytest.raises(ModelError, match="no layer"):
        debugging.keep("conv99")
    with pytest.raises(ModelError):
        debugging.set_plan(PrecisionPlan(keep=("conv99",)))
    session.update(position=0)
    with pytest.raises(SessionError, match="no calibration batch"):
        debugging.run()
    assert debugging.state.phase == "failed"


def test_cancelling_when_all_is_done_leaves_no_word_of_stopping(debugging):
    def late(changed):
        if "hazards" in changed and debugging.state.hazards is not None:
            debugging.cancel()

    debugging.subscribe(late)
    debugging.run()
    assert (debugging.state.phase, debugging.state.message) == ("finished", "")
    debugging.cancel()
    assert debugging.state.message == "", "nothing is under way"


def test_trials_are_those_of_the_plan_of_the_moment(ran):
    """A score with another plan would be set beside one that it cannot be compared with."""
    without = ran.try_methods("pool1", ("entropy", "minmax"))
    ran.keep("conv2")
    assert dict(ran.state.trials) == {}
    kept = ran.try_methods("pool1", ("entropy",))
    assert kept[0].score.top1 == ran.score_plan().top1 > without[0].score.top1
    ran.undo()
    assert dict(ran.state.trials) == {"pool1": without}
    ran.redo()
    assert dict(ran.state.trials) == {"pool1": kept}
    ran.run()
    assert dict(ran.state.trials) == {}


def test_trials_that_are_under_way_belong_to_the_plan_that_they_began_with(ran):
    before = ran.try_methods("pool1", ("entropy", "minmax"))
    ran.subscribe(lambda changed: ran.keep("conv2") if ran.state.what == "trying minmax" else None)
    assert [trial.score for trial in ran.try_methods("pool1", ("entropy", "minmax"))] == [t.score for t in before]
    assert dict(ran.state.trials) == {}
    ran.undo()
    assert [trial.score for trial in ran.state.trials["pool1"]] == [t.score for t in before]


def test_what_cannot_be_looked_at_is_named(ran):
    with pytest.raises(ModelError, match="no tensor 'nothing'"):
        ran.look_at("nothing")
    for target in ("0.9", None):
        with pytest.raises(UsageError, match="target is a number"):
            ran.aim(target)


@pytest.mark.parametrize("fails", ["at once", "in the middle", "at the end"])
def test_a_disk_that_takes_no_file_costs_time_only(ran, monkeypatch, fails):
    ran.keep("conv2")
    expected = ran.score_plan()

    class Full(io.BytesIO):
        room = 3_000_000 if fails == "in the middle" else 1 << 40

        def write(self, data):
            if self.tell() + len(data) > self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

        def flush(self):
            if fails == "at the end":
                raise OSError(errno.ENOSPC, "No space left on device")

    def temporary(**_):
        if fails == "at once":
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")
        return Full()

    monkeypatch.setattr("trtcal_widgets.debug.runs.tempfile.TemporaryFile", temporary)
    simulation = Int8Simulation(ran.model, ran.scales())
    assert simulation.score(ran.evaluation, ran.state.plan) == expected
    assert simulation.score(ran.evaluation).top1 == ran.state.comparison.int8.top1


def test_what_was_looked_at_is_there_while_work_goes_on(ran):
    """In another thread, as a screen asks for it."""
    detail = ran.look_at("conv1")
    held, go_on = threading.Event(), threading.Event()

    def hold(_changed):
        if ran.state.what == "comparing FP32 with INT8" and not held.is_set():
            held.set()
            assert go_on.wait(60)

    ran.subscribe(hold)
    work = threading.Thread(target=ran.run)
    work.start()
    assert held.wait(60)
    found = []
    look = threading.Thread(target=lambda: found.append(ran.look_at("conv1")))
    look.start()
    look.join(30)
    go_on.set()
    work.join()
    look.join()
    assert found[0] is detail
