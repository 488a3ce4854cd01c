"""What is built is decided by passes in a row, each of which takes out what its rule says and nothing else."""

from __future__ import annotations

import dataclasses
import math

import pytest

from trtcal_widgets import sample
from trtcal_widgets.export.qdq.decide import PASSES, decide
from trtcal_widgets.export.qdq.decision import Decision, Given
from trtcal_widgets.export.qdq.passes.already import leave_quantized
from trtcal_widgets.export.qdq.passes.keep import keep_by_plan
from trtcal_widgets.export.qdq.passes.scale import give_scales
from trtcal_widgets.export.qdq.passes.select import select
from trtcal_widgets.export.qdq.passes.used_rows import note_used_rows
from trtcal_widgets.export.qdq.placement import place
from trtcal_widgets.export.qdq.scales import ScaleSource
from trtcal_widgets.export.qdq.weights import WeightScales
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.plan import PrecisionPlan


@pytest.fixture(scope="module")
def lenet():
    return load_model(sample.model_path())


def given(model, rows=None, *, plan=None, already=(), only=None):
    graph = model.graph
    rows = {t.name: 0.5 for t in graph.tensors.values() if t.is_float} if rows is None else rows
    placement = place(graph, "recommended")
    source = ScaleSource(graph, rows, {})
    return Given(graph, placement, source, WeightScales(model), plan or PrecisionPlan(), already, only)


def named(facts, decision):
    return [facts.graph.nodes[index].name for index in decision.active]


def start(facts):
    return Decision(facts.placement.sites)


def test_a_decision_cannot_be_changed(lenet):
    facts = given(lenet)
    scaled = give_scales(facts, start(facts))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scaled.active = {}
    for part in (scaled.active, scaled.scales, scaled.axes, scaled.excluded):
        with pytest.raises(TypeError):
            part["new"] = 1


def test_each_pass_takes_out_what_its_rule_says(lenet):
    facts = given(lenet, plan=PrecisionPlan(keep=("ip1",), reasons={"ip1": "it hurts"}), already=(0,), only={"ip2"})
    whole = start(facts)
    everything = named(facts, whole)
    assert {"conv1", "conv2", "ip1", "ip2"} <= set(everything)
    first = facts.graph.nodes[0].name
    assert set(everything) - set(named(facts, leave_quantized(facts, whole))) == {first} & set(everything)
    kept = keep_by_plan(facts, whole)
    assert set(everything) - set(named(facts, kept)) == {"ip1"}
    assert [(left.name, left.message) for left in kept.kept] == [("ip1", "it hurts")]
    assert named(facts, select(facts, whole)) == ["ip2"]
    assert named(facts, whole) == everything, "the decision that a pass was given stays as it is"


def test_a_layer_without_a_scale_goes_with_the_scales_that_only_it_reads(lenet):
    rows = {t.name: 0.5 for t in lenet.graph.tensors.values() if t.is_float}
    source = next(n for n in lenet.graph.nodes if n.name == "ip2").inputs[0]
    facts = given(lenet, {**rows, source: math.inf})
    scaled = give_scales(facts, start(facts))
    assert "ip2" not in named(facts, scaled)
    assert [missing.name for missing in scaled.missing] == [source]
    assert not any(name == source for name, _ in scaled.scales)
    weight = next(n for n in lenet.graph.nodes if n.name == "ip2").inputs[1]
    assert not any(name == weight for name, _ in scaled.scales)


def test_the_passes_in_a_row_are_the_decision(lenet):
    facts = given(lenet)
    by_hand = start(facts)
    for apply in PASSES:
        by_hand = apply(facts, by_hand)
    rows = {t.name: 0.5 for t in lenet.graph.tensors.values() if t.is_float}
    made = decide(lenet.graph, facts.placement, rows, facts.weights, plan=PrecisionPlan())
    assert made.active == by_hand.active
    assert made.scales.keys() == by_hand.scales.keys()
    assert made.used_rows == by_hand.used_rows == note_used_rows(facts, by_hand).used_rows
    assert made.used_rows
