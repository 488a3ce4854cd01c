"""Two sets of data on one model: clipped shares and SQNR against the values themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.doctor.made_up import DrawnRunner, drawn_session
from trtcal_widgets import CalibrationSession, DataComparison, sample
from trtcal_widgets.core.quantizer import fake_quantize
from trtcal_widgets.errors import SessionError, UsageError

RNG = np.random.default_rng(0)
BASE = RNG.standard_normal(20_000)
KINDS = {"image": BASE, "same": BASE * 2, "louder": BASE, "softer": BASE, "zero": BASE * 0}


def session_of(factors):
    def maker(values):
        return lambda rng, feed: values * rng.uniform(0.98, 1.02)

    return drawn_session({n: maker(values * factors.get(n, 1.0)) for n, values in KINDS.items()}, batches=3)


@pytest.fixture(scope="module")
def comparison():
    with session_of({}) as a, session_of({"louder": 3.0, "softer": 0.1}) as b:
        yield DataComparison(a, b)


def test_it_names_the_tensors_that_part(comparison):
    assert {t.name for t in comparison.parted} == {"louder", "softer"}
    assert [t.loss_db for t in comparison.parted] == sorted((t.loss_db for t in comparison.parted), reverse=True)
    assert [t.name for t in comparison.tensors] == list(KINDS)
    assert comparison.parted[0].name in comparison.verdict
    assert "2 of 5 scales" in comparison.verdict


def test_clipping_and_sqnr_are_those_of_the_values(comparison):
    runner = DrawnRunner({"x": None})
    assert runner.graph.sha256 == "0" * 64
    values = []
    for batch in range(3):
        rng = np.random.default_rng([0, batch, 2])
        values.append((BASE * 3.0 * rng.uniform(0.98, 1.02)).astype(np.float32))
    values = np.concatenate(values)
    found = comparison.tensor("louder")
    assert found.clipped == pytest.approx(np.mean(np.abs(values) > found.amax_a), abs=2e-4)
    for amax, sqnr in ((found.amax_a, found.sqnr_db), (found.amax_b, found.sqnr_own_db)):
        noise = np.mean((fake_quantize(values, amax / 127, q_min=-127) - values) ** 2)
        assert sqnr == pytest.approx(10 * np.log10(np.mean(values**2) / noise), abs=0.1)
    assert found.loss_db == found.sqnr_own_db - found.sqnr_db
    assert found.max_b == pytest.approx(np.abs(values).max())


def test_a_set_compared_with_itself_does_not_part():
    with session_of({}) as a, session_of({}) as b:
        found = DataComparison(a, b)
        assert found.parted == ()
        assert all(t.loss_db == 0 or np.isnan(t.loss_db) for t in found.tensors)
        assert all(t.divergence == 0 for t in found.tensors)
        assert found.verdict.startswith("The first set's scales do for the second")


def test_common_bins_hold_every_value_of_both(comparison):
    for n in (1, 7, 64, 2048):
        bins = comparison.bins("louder", n)
        assert bins.edges.shape == (n + 1,)
        assert bins.a.sum() == pytest.approx(1)
        assert bins.b.sum() == pytest.approx(1)
    coarse = comparison.bins("louder", 32)
    values = np.abs(BASE * 3)
    assert coarse.b == pytest.approx(np.histogram(values, coarse.edges)[0] / values.size, abs=0.02)
    assert comparison.bins("zero", 4).a.tolist() == [1, 0, 0, 0]
    assert comparison.tensor("louder").divergence > 0.1
    assert comparison.tensor("same").divergence < 0.01


def test_bins_that_coincide_are_said_to(comparison):
    with session_of({}) as a, session_of({}) as b:
        assert DataComparison(a, b).bins("image", 256).exact
        assert not DataComparison(a, b).bins("image", 300).exact


def test_dark_pictures_on_scales_of_bright_ones():
    images = sample.calibration_images().load(0, 100)[""]
    with (
        CalibrationSession(sample.model_path(), images, batch_size=50) as bright,
        CalibrationSession(sample.model_path(), images * np.float32(0.2), batch_size=50) as dark,
    ):
        bright.run()
        dark.run()
        there, back = DataComparison(bright, dark), DataComparison(dark, bright)
    assert there.tensor("data").clipped == 0
    assert there.tensor("data").loss_db > 10
    assert "times as long" in there.verdict
    assert back.tensor("data").clipped > 0.05
    assert "clipped" in back.verdict


def test_other_models_and_empty_sessions_are_refused():
    def of(makers, **options):
        runner = DrawnRunner(makers, **options)
        session = CalibrationSession(runner, np.arange(4, dtype=np.float32)[:, None], batch_size=2)
        session.run()
        return session

    kinds = {"x": lambda rng, feed: BASE, "y": lambda rng, feed: BASE}
    with of(kinds) as a, of(kinds, sha256="1" * 64) as b, of({"x": kinds["x"]}, sha256="2" * 64) as c:
        with pytest.raises(SessionError, match="other weights"):
            DataComparison(a, b)
        with pytest.raises(SessionError, match="y is in one of them only"):
            DataComparison(a, c)
        with pytest.raises(UsageError, match="greater than 0"):
            DataComparison(a, a, bar_db=0)
        with pytest.raises(UsageError, match=r"load \.trtcal"):
            DataComparison(a, "b.trtcal")
        with pytest.raises(UsageError, match="no tensor"):
            DataComparison(a, a).tensor("z")
        a.seek(0)
        with pytest.raises(SessionError, match="first session counts no batch"):
            DataComparison(a, a)
