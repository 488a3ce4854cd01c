"""What errors and hazards advise can be done, and helps: each piece of advice is followed here."""

from __future__ import annotations

import re

import numpy as np
import pytest

from trtcal_widgets import CalibrationSession, Evaluation, sample
from trtcal_widgets.debug import Int8Simulation, find_hazards
from trtcal_widgets.debug.controller import AccuracyDebugging
from trtcal_widgets.errors import EvaluationError, SessionError, UsageError


@pytest.fixture
def session(tmp_path):
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run(2)
        yield session


def evaluation_of(n=20, **options):
    pixels = sample.test_images().load(0, n)[""]
    return Evaluation(pixels, batch_size=10, **options)


def refused(call, error):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def follow(words, session):
    """Do what stands in the words as a call of the session."""
    (call,) = re.findall(r"session\.(?:run|include|update)\([^)]*\)", words)
    eval(call, {"session": session})  # noqa: S307 - our own words


def test_without_scales_the_advice_fits_why_there_are_none(session, tmp_path):
    debugging = AccuracyDebugging(session, evaluation_of())
    session.update(position=0)
    follow(refused(debugging.run, SessionError), session)
    assert debugging.scales()
    session.exclude(0)
    session.exclude(1)
    words = refused(debugging.run, SessionError)
    assert "all are left out" in words
    follow(words, session)
    assert debugging.scales()
    debugging.close()

    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=1) as new:
        new.save(tmp_path / "empty.trtcal")
        debugging = AccuracyDebugging(new, evaluation_of())
        follow(refused(debugging.run, SessionError), new)
        assert debugging.scales()
    loaded = CalibrationSession.load(tmp_path / "empty.trtcal")
    words = refused(AccuracyDebugging(loaded, evaluation_of(), sample.model_path()).run, SessionError)
    assert "Load the session with its model and data" in words, "it cannot run as it is"
    loaded = CalibrationSession.load(
        tmp_path / "empty.trtcal", sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=1
    )
    follow(words, loaded)
    assert AccuracyDebugging(loaded, evaluation_of()).scales()


def test_nobody_is_told_to_pass_what_is_passed_or_not_there(session):
    simulation = Int8Simulation(sample.model_path(), session)
    labels = np.zeros(20, np.int64)

    def run(**options):
        evaluation = evaluation_of(labels=labels, **options)
        evaluation.labels = np.zeros(7, np.int64)  # as from a source that has too few
        return lambda: simulation.compare(evaluation)

    words = refused(run(), EvaluationError)
    assert "output=" not in words, "the model has one output"
    assert "evaluate=" in words
    words = refused(run(evaluate=lambda outputs, batch: 1.0), EvaluationError)
    assert "evaluate=…" in words
    assert "arrays without labels" in words
    only = evaluation_of(evaluate=lambda outputs, batch: float(outputs["prob"].max()))
    assert simulation.compare(only).fp32.custom > 0, "what it advises works"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measure_that_is_no_number_is_refused_and_not_replaced_by_another(session, value):
    simulation = Int8Simulation(sample.model_path(), session)
    words = refused(lambda: simulation.compare(evaluation_of(evaluate=lambda outputs, batch: value)), EvaluationError)
    assert "batch 0" in words
    with pytest.raises(UsageError, match="must return a number"):
        simulation.compare(evaluation_of(evaluate=lambda outputs, batch: None))


def test_what_was_not_looked_at_says_what_is_missing(session, tmp_path):
    def unchecked(*given, **options):
        found = [h for h in find_hazards(*given, **options) if h.kind == "not-checked"]
        return found[0].mend if found else ""

    assert unchecked(session) == ""
    assert "channel_batches=4" in unchecked(session, channel_batches=0)
    session.save(tmp_path / "run.trtcal")
    loaded = CalibrationSession.load(tmp_path / "run.trtcal")
    assert "CalibrationSession.load(path, model, data)" in unchecked(loaded)
    assert "--model" in unchecked(loaded)
    assert "--model" not in unchecked(sample.model_path(), loaded), "it was given"
    with CalibrationSession.load(tmp_path / "run.trtcal", sample.model_path(), sample.calibration_images()) as whole:
        assert unchecked(whole) == ""


@pytest.mark.parametrize("method", ["entropy", "minmax", "mse"])
def test_no_hazard_advises_the_method_that_holds(session, method):
    session.choose_all(method)
    for hazard in find_hazards(session):
        advised = re.findall(r"(?:Try|or|choose|Choose) (mse|minmax)\b|method='(mse|minmax)'", hazard.mend)
        assert method not in {name for pair in advised for name in pair}, hazard.mend
