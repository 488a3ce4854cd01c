"""Tuning with a device whose numbers are recorded."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest

from tests.support.recorded_device import RecordedDevice
from trtcal_widgets import debug, sample
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug import Control, Evaluation, Int8Simulation, Tuner, tune
from trtcal_widgets.debug.tuning.results import TunePoint, front_of
from trtcal_widgets.errors import CancelledError, SessionError, UsageError
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.runners.evaluation import Score
from trtcal_widgets.session import CalibrationSession


@pytest.fixture(scope="module")
def simulation():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2) as session:
        session.run()
        scales = dict(session.to_cache(version="8.6.0").scales)
    return Int8Simulation(sample.model_path(), scales, threads=1)


@pytest.fixture(scope="module")
def evaluation():
    return Evaluation(sample.test_images(), batch_size=50, max_batches=2)


@pytest.fixture(scope="module")
def tuned(simulation, evaluation):
    return tune(simulation, evaluation, device=RecordedDevice())


def named(result, name):
    return next(point for point in result.points if point.name == name)


def test_explicit_int8_is_slower_than_fp16_here_and_the_search_sees_it(tuned):
    whole, half = named(tuned, "all layers in INT8"), named(tuned, "FP16")
    assert whole.ms > half.ms
    assert whole.layers_in_int8 == 4
    assert tuned.front[0].ms == min(p.ms for p in tuned.points)
    assert all(a.ms < b.ms for a, b in pairwise(tuned.front))
    gains = {trade.node: trade.gain_ms for trade in tuned.trades}
    # by hand from the recorded profiles: FP16 less INT8, the copy and the input's quantisation included
    assert gains["conv1"] == pytest.approx(0.0148 - (0.01202 + 0.01066 + 0.01509), abs=2e-5)
    assert gains["conv2"] == pytest.approx(0.02056 - 0.01077, abs=2e-5)


def test_the_plan_as_the_implicit_engine_ran_is_among_them_and_is_the_fastest(tuned):
    as_ran = named(tuned, "as the implicit engine ran it")
    assert set(as_ran.plan.keep) == {"conv1", "ip1", "ip2"}
    assert as_ran.ms == min(point.ms for point in tuned.points if point.kind == "explicit")
    implicit = named(tuned, "implicit INT8")
    assert implicit.score == as_ran.score
    assert as_ran.ms < 1.02 * implicit.ms


def test_layers_that_gain_nothing_are_kept_first(tuned):
    signs = [trade.gain_ms <= 0 for trade in tuned.trades]
    assert signs == sorted(signs, reverse=True)
    assert sum(signs) == 3


def test_the_best_is_the_fastest_that_reaches_the_target_and_never_the_implicit_engine(tuned):
    best = tuned.best(0.99)
    assert best.kind != "implicit"
    assert best.ms == min(
        p.ms for p in tuned.points if p.kind != "implicit" and p.score.value >= 0.99 * tuned.fp32.value
    )
    impossible = tuned.best(1.0)
    assert impossible.score.value == max(p.score.value for p in tuned.points if p.kind != "implicit")


def test_a_second_run_with_the_journal_measures_and_scores_nothing(simulation, evaluation, tuned, tmp_path):
    path, device = tmp_path / "tune.json", RecordedDevice()
    first = tune(simulation, evaluation, device=device, journal=path)
    again = RecordedDevice()
    second = tune(simulation, evaluation, device=again, journal=path)
    assert device.asked
    assert not again.asked
    assert second.to_json() == first.to_json() == tuned.to_json()


def test_cancelled_tuning_goes_on_where_it_stopped(simulation, evaluation, tmp_path):
    path = tmp_path / "tune.json"
    device = RecordedDevice()
    control = Control(lambda done, total, what: control.cancel() if len(device.asked) == 3 else None)
    with pytest.raises(CancelledError):
        tune(simulation, evaluation, device=device, journal=path, control=control)
    assert len(device.asked) == 3
    later = RecordedDevice()
    tune(simulation, evaluation, device=later, journal=path)
    whole = RecordedDevice()
    tune(simulation, evaluation, device=whole)
    assert device.asked + later.asked == whole.asked


def test_a_journal_of_another_device_or_no_journal_is_refused(simulation, evaluation, tmp_path):
    path = tmp_path / "tune.json"
    tune(simulation, evaluation, journal=path, variants=0)
    with pytest.raises(SessionError, match="measured on no GPU, and this is NVIDIA H100"):
        tune(simulation, evaluation, device=RecordedDevice(), journal=path)
    path.write_text(json.dumps({"format": "x"}))
    with pytest.raises(SessionError, match="not the journal"):
        tune(simulation, evaluation, journal=path)


def test_without_a_device_accuracy_alone_is_offered(simulation, evaluation):
    found = tune(simulation, evaluation, variants=2)
    assert found.device == ""
    assert all(math.isnan(point.ms) for point in found.points)
    assert "no GPU" in found.to_text()
    losses = [trade.loss for trade in found.trades]
    assert losses == sorted(losses, reverse=True)
    counts = [point.layers_in_int8 for point in found.front]
    assert counts == sorted(counts, reverse=True)


def test_the_simulation_s_own_plan_is_kept(simulation, evaluation):
    kept = Int8Simulation(simulation.model, simulation.scales, plan=PrecisionPlan(keep=("ip2",)), threads=1)
    found = tune(kept, evaluation, device=RecordedDevice(), variants=1)
    assert all("ip2" in point.plan.keep for point in found.points if point.plan is not None)
    assert "ip2" not in {trade.node for trade in found.trades}


def test_the_front():
    def point(name, ms, value):
        outputs = TensorComparison()
        return TunePoint(name, "explicit", Score(10, top1=value, outputs=outputs), ms)

    points = [point("slow", 3.0, 0.9), point("same", 1.0, 0.8), point("same again", 1.0, 0.8), point("good", 2.0, 0.95)]
    assert [p.name for p in front_of(points)] == ["same", "good"]


def test_wrong_arguments_are_refused(simulation, evaluation):
    class Eleven(RecordedDevice):
        kinds = frozenset({"fp32", "explicit"})

    with pytest.raises(UsageError, match="precision='fp32'"):
        Tuner(simulation, evaluation, device=Eleven())
    found = tune(simulation, evaluation, device=Eleven(), precision="fp32", variants=0)
    assert {point.kind for point in found.points} == {"fp32", "explicit"}
    with pytest.raises(UsageError, match="precision"):
        Tuner(simulation, evaluation, precision="int4")
    assert debug.tune is tune


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda entry: entry.update(ms="nan"), "no time in milliseconds"),
        (lambda entry: entry.update(ms=-1.0), "no time in milliseconds"),
        (lambda entry: entry["layers"][0].update(ms=float("inf")), "no time in milliseconds"),
        (lambda entry: entry["layers"][0].update(colour="red"), "colour"),
        (lambda entry: entry.update(ran={"int8": ["conv1"]}), "no layer precisions"),
        (lambda entry: entry.update(layers=None), "NoneType"),
    ],
)
def test_a_journal_with_what_no_device_measures_is_refused_by_its_name(
    simulation, evaluation, tuned, tmp_path, damage, words
):
    """FP32 with nan milliseconds was the fastest of all."""
    path = tmp_path / "journal.json"
    tune(simulation, evaluation, device=RecordedDevice(), journal=path, variants=0)
    data = json.loads(path.read_text())
    damage(data["measured"]["fp32"])
    path.write_text(json.dumps(data))
    with pytest.raises(SessionError, match=words) as refused:
        tune(simulation, evaluation, device=RecordedDevice(), journal=path)
    assert "journal.json is not the journal of a tuning" in str(refused.value)


def test_a_journal_of_a_gpu_is_not_to_be_thrown_away_where_there_is_none(simulation, evaluation, tmp_path):
    tune(simulation, evaluation, device=RecordedDevice(), journal=tmp_path / "j.json", variants=0)
    with pytest.raises(SessionError, match=r"measured on NVIDIA H100 .*, and this is without one") as refused:
        tune(simulation, evaluation, journal=tmp_path / "j.json")
    assert "delete" not in str(refused.value)
