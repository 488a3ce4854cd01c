"""The plan search on cases that were broken on purpose, so that what mends them is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug import Control, Evaluation, Int8Simulation, PlanSearch, Score, scale_candidates
from trtcal_widgets.debug.goal import goal_of, reaches, value_text
from trtcal_widgets.debug.results import LayerResult
from trtcal_widgets.errors import CancelledError, SessionError, UsageError
from trtcal_widgets.model.plan import PrecisionPlan


@pytest.fixture(scope="module")
def broken(session):
    """Scales with that of ip1's input far too small: almost everything is clipped."""
    scales = dict(session.to_cache().scales)
    return {**scales, **dict.fromkeys(session.group("flatten"), scales["flatten"] / 50)}


def test_nothing_is_changed_where_int8_is_good_enough(session, evaluation):
    result = PlanSearch(Int8Simulation(sample.model_path(), session), evaluation, target=0.99).run()
    assert not result.plan
    assert result.met
    assert result.steps == ()


def test_a_bad_scale_is_replaced_before_any_layer_is_given_up(session, broken, evaluation):
    search = PlanSearch(
        Int8Simulation(sample.model_path(), broken), evaluation, target=0.99, candidates=scale_candidates(session)
    )
    result = search.run()
    assert result.before.value < 0.9 * result.fp32.value
    assert result.met
    assert result.plan.keep == ()
    assert set(result.plan.amax) == {"flatten"}
    assert search.ranking[0].node == "ip1"


def test_without_other_scales_only_the_layer_at_fault_is_kept(broken, evaluation):
    result = PlanSearch(Int8Simulation(sample.model_path(), broken), evaluation, target=0.99, precision="fp32").run()
    assert result.met
    assert result.plan.keep == ("ip1",)
    assert result.plan.precision == "fp32"
    assert "costs" in result.plan.reasons["ip1"]
    assert result.after.value >= result.goal


def test_the_rollback_gives_back_what_is_not_needed(session, evaluation):
    scales = dict(session.to_cache().scales)
    scales["data"] /= 60
    scales["relu1"] /= 60
    result = PlanSearch(Int8Simulation(sample.model_path(), scales), evaluation, target=0.995).run()
    assert result.met
    simulation = Int8Simulation(sample.model_path(), scales)
    for node in result.plan.keep:
        assert simulation.score(evaluation, result.plan.without([node])).value < result.goal


def test_a_cancelled_search_goes_on_from_its_state(broken, evaluation, tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    asked = []
    original = Int8Simulation.score

    def counting(self, evaluation, plan=None, *, control=None):
        asked.append(plan.keep)
        return original(self, evaluation, plan, control=control)

    monkeypatch.setattr(Int8Simulation, "score", counting)
    control = Control(lambda done, total, what: control.cancel() if what == "trying plans" else None)
    with pytest.raises(CancelledError):
        PlanSearch(
            Int8Simulation(sample.model_path(), broken), evaluation, target=0.99, state=state, control=control
        ).run()
    assert asked[0] == ()
    asked.clear()
    result = PlanSearch(Int8Simulation(sample.model_path(), broken), evaluation, target=0.99, state=state).run()
    assert result.met
    assert () not in asked, "the score of the start was remembered"
    with pytest.raises(SessionError, match="another search"):
        PlanSearch(Int8Simulation(sample.model_path(), broken, plan=result.plan.with_amax({"data": 1.0})),
                   Evaluation(sample.test_images(), batch_size=50), state=state)  # fmt: skip
    state.write_text("{}")
    with pytest.raises(SessionError, match="not the state"):
        PlanSearch(Int8Simulation(sample.model_path(), broken), evaluation, state=state)


@pytest.mark.parametrize("target", [0, 1.01, -1, float("nan"), "0.99", None, [0.9]])
def test_the_target_is_a_share(session, evaluation, target):
    with pytest.raises(UsageError, match="target is a"):
        PlanSearch(Int8Simulation(sample.model_path(), session), evaluation, target=target)


@pytest.mark.parametrize("worst", [-1, 1.5, "all"])
def test_the_worst_layers_are_counted(session, evaluation, worst):
    with pytest.raises(UsageError, match="worst is a whole number"):
        PlanSearch(Int8Simulation(sample.model_path(), session), evaluation, worst=worst)


def without_any_one(plan):
    """The plan with one layer or one scale taken back, each in turn."""
    for node in plan.keep:
        yield plan.without([node])
    for name in plan.amax:
        yield replace(plan, amax={key: amax for key, amax in plan.amax.items() if key != name})


@pytest.mark.parametrize("target", [0.99, 1.0])
@pytest.mark.parametrize("with_scales", [False, True])
def test_a_plan_is_minimal_by_test(session, evaluation, target, with_scales):
    scales = dict(session.to_cache().scales)
    for name, factor in (("data", 25), ("pool1", 12), ("flatten", 20), ("relu1", 15)):
        scales |= dict.fromkeys(session.group(name), scales[name] / factor)
    candidates = (lambda name: {"a little more": scales[name] * 127 * 1.5}) if with_scales else None
    simulation = Int8Simulation(sample.model_path(), scales)
    result = PlanSearch(simulation, evaluation, target=target, candidates=candidates).run()
    assert result.met
    assert result.plan
    for smaller in without_any_one(result.plan):
        assert not reaches(simulation.score(evaluation, smaller), result.goal)


class Table:
    """A simulation whose scores follow from what is kept and which scales are changed."""

    def __init__(self, model, scores):
        self._simulation, self._scores = model, scores

    def __getattr__(self, name):
        return getattr(self._simulation, name)

    def score(self, evaluation, plan=None, *, control=None):
        return Score(100, custom=self._scores(frozenset(plan.keep), frozenset(plan.amax)))

    def reference_score(self, evaluation, *, control=None):
        return Score(100, custom=1.0)


@pytest.mark.parametrize("label", ["other", "values kept in a file"])
def test_layers_on_top_of_scales_do_not_hide_the_one_layer_that_is_enough(session, evaluation, label):
    """A better scale helps a little and then asks for three layers more; one layer alone would do."""

    def scores(keep, amax):
        if "conv2" in keep and not amax:
            return 0.999
        return 0.9 + 0.03 * len(keep) + 0.01 * len(amax)

    simulation = Int8Simulation(sample.model_path(), session)
    ranking = simulation.isolated(evaluation)
    order = sorted(ranking, key=lambda layer: layer.node != "conv2")
    search = PlanSearch(
        Table(simulation, scores), evaluation, target=0.999, candidates=lambda name: {label: 1.0}, ranking=order
    )
    result = search.run()
    assert result.met
    assert (result.plan.keep, dict(result.plan.amax)) == (("conv2",), {})


def test_what_is_taken_back_late_is_tried_again(session, evaluation):
    """With a changed scale no layer can go; without it one can: both are taken back."""

    def scores(keep, amax):
        enough = keep >= {"conv1", "conv2"} if amax else "conv2" in keep
        return 0.999 if enough else 0.5 + 0.01 * len(keep) + 0.01 * len(amax)

    simulation = Int8Simulation(sample.model_path(), session)
    ranking = sorted(simulation.isolated(evaluation), key=lambda layer: layer.node)
    search = PlanSearch(
        Table(simulation, scores), evaluation, target=0.999, candidates=lambda name: {"other": 1.0}, ranking=ranking
    )
    result = search.run()
    assert (result.plan.keep, dict(result.plan.amax)) == (("conv2",), {})


class Drawn:
    """A simulation of layers and scales that are not there, whose scores are drawn at random: nothing adds up."""

    def __init__(self, seed, n_layers):
        self._rng, self._known = np.random.default_rng(seed), {}
        self.layers = tuple(f"layer {i}" for i in range(n_layers))
        self.placed = {node: (f"into {node}",) for node in self.layers}
        self.scales = {f"into {node}": 1.0 for node in self.layers}
        self.quantized = frozenset(self.scales)
        self.plan = PrecisionPlan()
        self.graph = SimpleNamespace(sha256="0" * 64)
        self.placement = "recommended"
        self.format, self.words = "int8", "INT8"

    def reference_score(self, evaluation, *, control=None):
        return Score(1000, top1=0.99)

    def score(self, evaluation, plan=None, *, control=None):
        key = frozenset(plan.keep), frozenset(plan.amax.items())
        top1 = 0.99 if len(plan.keep) == len(self.layers) else round(self._rng.uniform(0.9, 0.99), 3)
        return self._known.setdefault(key, Score(1000, top1=top1))

    def isolated(self, evaluation, *, control=None):
        errors = TensorComparison(n=1, signal=1.0, noise=1.0)
        order = self._rng.permutation(self.layers)
        return [LayerResult(node, "Conv", node, errors, self.reference_score(None), 0.0) for node in order]


@pytest.mark.parametrize("with_scales", [False, True])
@pytest.mark.parametrize("target", [0.95, 0.97, 0.995, 1.0])
def test_plans_are_minimal_whatever_the_scores_are(evaluation, target, with_scales):
    kept, moved = [], []
    for seed in range(60):
        simulation = Drawn(seed, 2 + seed % 7)
        candidates = (lambda name: {"other": 0.5, "another": 2.0}) if with_scales else None
        result = PlanSearch(simulation, evaluation, target=target, candidates=candidates).run()
        assert result.met
        assert reaches(simulation.score(evaluation, result.plan), result.goal)
        for smaller in without_any_one(result.plan):
            assert not reaches(simulation.score(evaluation, smaller), result.goal), (seed, result.plan)
        kept.append(len(result.plan.keep))
        moved.append(len(result.plan.amax))
    assert any(moved) == with_scales
    assert any(kept) or with_scales


def test_a_goal_is_compared_as_it_is_shown():
    def top1(value):
        return Score(100, top1=value)

    assert reaches(top1(0.99196), 0.99204)  # both are 99.20 %
    assert not reaches(top1(0.9918), 0.99204)
    assert reaches(top1(0.9930), 0.99204)
    assert not reaches(top1(float("nan")), 0.5)
    # a measure of one's own may be small: four digits of it are shown, not four decimals
    assert not reaches(Score(100, custom=1.0e-5), 2.0e-5)
    assert not reaches(Score(100, custom=-3.0e-6), -1.0e-6)
    assert reaches(Score(100, custom=1.23451e-5), 1.23454e-5)
    cosine = Score(100, outputs=TensorComparison(n=2, signal=1.0, tested=1.0, product=0.98995))
    assert value_text(cosine) == "0.98995"
    assert not reaches(cosine, 0.98999), "the fifth decimal is shown"


def test_the_goal_of_a_measure_below_zero_can_be_reached():
    fp32 = Score(100, custom=-2.0)
    assert goal_of(fp32, 0.99) == pytest.approx(-2.02)
    assert reaches(fp32, goal_of(fp32, 0.99))
    assert goal_of(Score(100, custom=2.0), 0.99) == pytest.approx(1.98)
