"""The report against picks of histograms merged one by one, and against data that were held back."""

from __future__ import annotations

import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from tests.doctor.made_up import drawn_session
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core.histogram import combine, replay
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.thresholds import threshold
from trtcal_widgets.doctor import enough, examine
from trtcal_widgets.doctor.types import QUANTILES
from trtcal_widgets.errors import CancelledError, SessionError, UsageError

STEADY = {
    "image": lambda rng, feed: rng.uniform(0, 1, 4000),
    "normal": lambda rng, feed: rng.standard_normal(4000),
    "spread": lambda rng, feed: rng.standard_normal(4000) * math.exp(0.4 * rng.standard_normal()),
}


def parts_of(session, name):
    return [session.batch_histogram(name, b) for b in range(session.status.recorded)]


@pytest.fixture(scope="module")
def session():
    with drawn_session(STEADY, batches=6) as session:
        yield session


@pytest.fixture(scope="module")
def report(session):
    return examine(session, resamples=10_000)  # every subset of 6 batches


def test_with_enough_draws_the_band_is_that_of_all_subsets(session, report):
    for found in report.tensors:
        parts = parts_of(session, found.name)
        assert found.two_pass.sizes.tolist() == [1, 2, 3, 4, 6]
        assert found.two_pass.draws.tolist() == [6, 15, 20, 15, 1]
        for row, size in zip(found.two_pass.quantiles, found.two_pass.sizes, strict=True):
            picks = [threshold(combine(subset)) for subset in itertools.combinations(parts, size)]
            assert row == pytest.approx(np.quantile(picks, QUANTILES), rel=1e-12)


def test_how_far_a_threshold_may_be_off_is_what_halves_say(session, report):
    for found in report.tensors:
        parts = parts_of(session, found.name)
        whole = combine(parts)
        own = NoiseModel(whole).cost(threshold(whole)).sqnr_db
        halves = [threshold(combine(half)) for half in itertools.combinations(parts, 3)]
        off = [abs(NoiseModel(whole).cost(half).sqnr_db - own) for half in halves]
        assert found.off_db == pytest.approx(np.quantile(off, 0.95), rel=1e-9)
        assert found.settled == (found.off_db <= 0.5)
        assert [found.off_low, found.off_high] == pytest.approx(np.quantile(halves, [0.05, 0.95]) / threshold(whole))


def test_the_pick_now_is_the_sessions(session, report):
    for found in report.tensors:
        assert found.amax == session.amax(found.name) == found.order.recorded == found.order.picks[0]
        assert found.sqnr_db == pytest.approx(session.cost(found.name).sqnr_db, rel=1e-12)


def test_orders_start_from_the_range_of_their_first_batch(session, report):
    for found in report.tensors:
        maxima = session.batch_amax(found.name)
        for first, reach in zip(found.order.first, found.order.ranges, strict=True):
            wanted = float(maxima[first])
            while wanted < maxima.max():
                wanted *= 2
            assert reach == wanted
        assert found.order.low == min(found.order.picks)
        assert found.order.high == max(found.order.picks)


def test_a_run_in_another_order_differs_about_as_much_as_was_said():
    """The estimate for another first batch against a session that really had it first: MNIST, LeNet."""
    batches = batches_of_mnist(8, 25)
    said, done = [], []
    with CalibrationSession(sample.model_path(), np.concatenate(batches), batch_size=25) as session:
        session.run()
        report = examine(session, resamples=20)
    for first in (1, 3, 6):
        moved = [batches[first], *(batch for b, batch in enumerate(batches) if b != first)]
        with CalibrationSession(sample.model_path(), np.concatenate(moved), batch_size=25) as other:
            other.run()
            for found in report.tensors:
                assert found.order.ranges[first] == pytest.approx(other.histogram(found.name).range, rel=1e-7)
                said.append(found.order.picks[first] / found.amax)
                done.append(other.amax(found.name) / found.amax)
    error = np.abs(np.log(said) - np.log(done))
    assert np.median(error) < 0.01
    assert np.mean(error < 0.05) > 0.7


def batches_of_mnist(n, size):
    from trtcal_widgets.data import BatchPlan, as_source

    plan = BatchPlan(as_source(sample.calibration_images()), batch_size=size)
    return [next(iter(plan.load(k).feeds.values())) for k in range(n)]


def test_two_passes_have_no_order_of_their_own():
    with drawn_session(STEADY, batches=6, range_mode="two-pass") as session:
        report = examine(session, resamples=60)
        assert report.recorded_way == "two-pass"
        for found in report.tensors:
            parts = parts_of(session, found.name)
            assert found.amax == threshold(combine(parts)) == session.amax(found.name)
            first = parts[0].amax
            assert found.order.ranges[0] == first * 2 ** math.ceil(math.log2(max(p.amax for p in parts) / first))


def test_it_says_when_it_cannot_tell():
    with drawn_session(STEADY, batches=3) as session:
        report = examine(session)
        assert report.verdict.enough is None
        assert report.verdict.amount.startswith("Cannot tell")
        assert "4 batches" in report.tensors[0].reason
        assert [t.settled for t in report.tensors] == [None] * 3
        assert report.needed.images is None
        gate = enough(report)
        assert not gate.passed
        assert "cannot be told" in gate.text
    with drawn_session(STEADY, batches=1) as session:
        assert examine(session).verdict.order == "One batch has no order."


def test_a_threshold_of_ones_own_needs_no_data():
    with drawn_session(STEADY, batches=6) as session:
        session.choose("normal", amax=2.5)
        found = examine(session, resamples=50).tensor("normal")
        assert (found.amax, found.method, found.settled, found.off_db) == (2.5, "mine", True, 0.0)
        assert found.needed.images == 0
        assert (found.two_pass.quantiles == 2.5).all()


def test_excluded_batches_and_choices_count_as_in_the_session():
    with drawn_session(STEADY, batches=8) as session:
        session.exclude(2)
        session.choose("spread", method="minmax")
        report = examine(session, resamples=100)
        assert report.batches == (0, 1, 3, 4, 5, 6, 7)
        assert report.n_samples == 14
        for found in report.tensors:
            assert found.amax == session.amax(found.name)
        assert report.tensor("spread").method == "minmax"
        assert {t.method for t in examine(session, resamples=50, method="minmax").tensors} == {"minmax"}


def test_tensors_that_share_a_scale_are_one_entry():
    makers = {"a": STEADY["image"], "b": STEADY["normal"], "c": STEADY["normal"]}
    with drawn_session(makers, batches=4, groups=(("b", "c"),)) as session:
        report = examine(session, resamples=20)
        assert [t.name for t in report.tensors] == ["a", "b"]
        assert report.tensor("c") is report.tensors[1]
        assert report.tensor("d") is None


def test_data_that_are_all_the_same_have_settled():
    with drawn_session({"x": lambda rng, feed: np.linspace(0, 1, 3000)}, batches=8) as session:
        report = examine(session, resamples=60)
        (found,) = report.tensors
        assert (found.off_db, found.settled, found.order.depends) == (0.0, True, False)
        assert found.needed.images == 0
        assert report.verdict.enough
        assert report.verdict.amount.startswith("Enough data")
        assert enough(report).passed


def test_a_tensor_of_zeros_is_no_trouble():
    with drawn_session({"x": STEADY["normal"], "z": lambda rng, feed: np.zeros(10)}, batches=6) as session:
        found = examine(session, resamples=60).tensor("z")
        assert (found.amax, found.off_db, found.settled, found.order.worst_db) == (0.0, 0.0, True, 0.0)


def test_the_same_seed_gives_the_same_report(session):
    first, second, other = (examine(session, resamples=30, seed=seed) for seed in (3, 3, 4))
    bands = [np.stack([t.two_pass.quantiles for t in report.tensors]) for report in (first, second, other)]
    assert np.array_equal(bands[0], bands[1])
    assert not np.array_equal(bands[0], bands[2])


def test_a_session_from_a_file_needs_no_model(session, report, tmp_path):
    session.save(tmp_path / "x.trtcal")
    again = examine(CalibrationSession.load(tmp_path / "x.trtcal"), resamples=10_000)
    assert again.verdict.lines[:2] == report.verdict.lines[:2]
    for a, b in zip(again.tensors, report.tensors, strict=True):
        assert np.array_equal(a.one_pass.quantiles, b.one_pass.quantiles)


def test_it_reports_progress_and_can_be_cancelled(session):
    seen = []
    examine(session, resamples=20, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(CancelledError):
        examine(session, resamples=20, cancelled=lambda: True)


def test_what_cannot_be_meant_is_refused(session):
    for wrong in ({"resamples": 0}, {"bar_db": 0}, {"bar_db": float("nan")}, {"seed": -1}, {"method": "entropie"}):
        with pytest.raises(UsageError):
            examine(session, **wrong)
    with drawn_session(STEADY, batches=2, run=False) as empty, pytest.raises(SessionError, match="no batch is counted"):
        examine(empty)


def test_the_gate_takes_a_bar_and_a_share(report):
    worst = max(report.tensors, key=lambda t: t.off_db)
    assert enough(report, worst.off_db * 1.01).passed
    gate = enough(report, worst.off_db * 0.99)
    assert (gate.passed, gate.failing[0]) == (False, worst.name)
    assert worst.name in gate.text
    assert enough(report, worst.off_db * 0.99, share=0.5).passed
    with pytest.raises(UsageError):
        enough(report, share=2)
    with pytest.raises(UsageError):
        enough(report, warnings="all")


def test_replaying_behind_the_recorded_first_batch_is_what_one_pass_counts(session, report):
    """All subsets of size 6 with batch 0 first are one: the recorded order."""
    for found in report.tensors:
        assert found.order.picks[0] == threshold(replay(parts_of(session, found.name)))


WITHOUT = """
import json, sys
from trtcal_widgets import CalibrationSession, DataComparison
from trtcal_widgets.doctor import examine

session = CalibrationSession.load(sys.argv[1])
found = [examine(session, resamples=20).verdict.amount, DataComparison(session, session).verdict]
print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_neither_model_nor_onnx_is_needed(session, tmp_path, run_python):
    session.save(tmp_path / "x.trtcal")
    found, loaded = json.loads(run_python(WITHOUT, str(tmp_path / "x.trtcal")))
    assert found[0].startswith("Not enough data")
    assert found[1].startswith("The first set")
    assert not {"onnx", "onnxruntime", "ipywidgets", "plotly"} & set(loaded)


def test_what_can_be_told_of_some_is_not_said_of_all():
    from trtcal_widgets.doctor.types import Needed
    from trtcal_widgets.doctor.words import needed_text

    def of(*needed):
        return needed_text([SimpleNamespace(needed=n) for n in needed])

    known, other = Needed(1200, 700, 3000, 0.5, ""), Needed(900, 500, 1800, 0.5, "")
    unknown = Needed(None, None, None, math.nan, "the error hardly falls with more of these data")
    assert of(known, other) == "about 1,200 samples would be enough (between 700 and 3,000)"
    assert of(other, known, unknown).startswith("for 2 of them about 1,200 samples")
    assert of(other, known, unknown).endswith("for 1 it cannot be told")
    assert "cannot be told (the error hardly falls" in of(unknown)
