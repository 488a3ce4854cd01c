"""The debugger without a browser: messages as the page sends them, states as the page gets them."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.recorded_device import RecordedDevice
from tests.support.rescaled import write_rescaled_session
from tests.widgets.front_end import HeldExecutor
from trtcal_widgets import AccuracyDebugger, CalibrationExplorer, CalibrationSession, Evaluation, sample
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.errors import DeviceError, UsageError
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.widgets.debugger.binding import parse_event
from trtcal_widgets.widgets.kit.boundary import SameThreadExecutor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rescaled")
    write_rescaled_session(folder)
    return folder


@pytest.fixture
def session(folder):
    return CalibrationSession.load(folder / "session.trtcal")


@pytest.fixture(scope="module")
def evaluation():
    return Evaluation(sample.test_images(), batch_size=100, max_batches=3)


@pytest.fixture
def make(folder, session):
    made = []

    def make_(evaluation, executor=None, **options):
        widget = AccuracyDebugger(
            session, evaluation, folder / "rescaled.onnx", executor=executor or SameThreadExecutor(), **options
        )
        made.append(widget)
        return widget

    yield make_
    for widget in made:
        widget.close()


@pytest.fixture
def ran(make, evaluation):
    widget = make(evaluation)
    send(widget, type="run")
    return widget


def send(widget, **message):
    widget.views.layers._handle_custom_msg(message, [])


def shell(widget):
    return widget.views.shell.state


def cells(widget, row):
    found = next(r for r in widget.views.summary.state["rows"] if r["key"] == row)
    return {cell["key"]: cell["text"] for cell in found["cells"]}


def layer_index(widget, name):
    return widget.views.layers.columns["names"].index(name)


def click(trace, index):
    """What Plotly reports of a click on a point."""
    for callback in trace._click_callbacks:
        callback(trace, SimpleNamespace(point_inds=[index]), None)


def test_before_the_first_run_it_says_what_will_happen(make, evaluation, session):
    widget = make(evaluation)
    assert "3 batches" in shell(widget)["text"]
    assert shell(widget)["run_label"] == "run"
    assert cells(widget, "int8")["top1"] == "\N{EN DASH}"
    assert "Press run" in widget.views.layers.state["empty"]
    session.update(position=0)
    assert "session.update(position=10)" in shell(widget)["text"], "ten are recorded"
    send(widget, type="run")
    assert shell(widget)["text_kind"] == "error"
    assert "no calibration batch" in shell(widget)["text"]


def test_what_is_shown_is_what_was_measured(ran):
    state = ran.debugging.state
    assert cells(ran, "fp32")["top1"] == f"{100 * state.comparison.fp32.top1:.2f} %"
    assert cells(ran, "int8")["top1"] == f"{100 * state.comparison.int8.top1:.2f} %"
    assert cells(ran, "int8")["goal"] == "no"
    rows, names = ran.views.layers.rows, ran.views.layers.columns["names"]
    for result in state.ranking:
        i = names.index(result.node)
        assert rows["loss"][i] == result.loss
        assert rows["out"][i] == pytest.approx(result.output_sqnr_db)
    assert rows["rank"][names.index("conv2")] == 0
    assert rows["loss_kind"][names.index("conv2")] == "bad"
    line = ran.views.sqnr.figure.data[0]
    assert list(line.text) == list(state.comparison.tensors)
    expected = [t.sqnr_db for t in state.comparison.tensors.values()]
    np.testing.assert_allclose(line.y, np.where(np.isfinite(expected), expected, np.nan), rtol=1e-6)


def test_a_layer_that_is_chosen_shows_what_it_quantises(ran, session):
    send(ran, type="layer", index=layer_index(ran, "conv2"))
    assert session.state.selected == "pool1"
    assert ran.views.layers.selected == layer_index(ran, "conv2")
    assert ran.views.detail.state["inputs"][0]["name"] == "pool1"
    x, y = ran.views.tensor.figure.data[5].x, ran.views.tensor.figure.data[5].y
    amax = ran.debugging.state.comparison.tensors["pool1"].amax
    assert len(x) > 1000
    assert np.max(y) <= amax * (1 + 1e-6), "INT8 as it is read is clipped"
    assert np.min(y) >= -amax * 128 / 127 * (1 + 1e-6)
    assert np.max(np.abs(x)) > amax
    steps = np.asarray(y, np.float64) / (amax / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_clicks_in_the_plot_select_tensors_and_layers(ran, session):
    names = list(ran.debugging.state.comparison.tensors)
    click(ran.views.sqnr.tensor_traces[0], names.index("pool2"))
    assert session.state.selected == "pool2"
    band, at = ran.views.sqnr.figure.layout.shapes[0], names.index("pool2")
    assert band.visible
    assert band.x0 < at < band.x1 <= at + 1
    layers = [names[round(float(x))] for x in ran.views.sqnr.layer_traces[0].x]
    click(ran.views.sqnr.layer_traces[0], layers.index("ip2"))
    assert session.state.selected == "relu1"
    assert ran.views.layers.selected == layer_index(ran, "ip2")


def test_ticking_scores_the_plan_and_undo_takes_it_back(ran):
    index = layer_index(ran, "conv2")
    send(ran, type="keep", index=index, on=True)
    assert ran.views.layers.keep == [index]
    assert cells(ran, "plan")["goal"] == "yes"
    assert "conv2" in ran.views.summary.state["plan"]
    send(ran, type="undo")
    assert ran.views.layers.keep == []
    assert cells(ran, "plan")["goal"] == "\N{EN DASH}"
    send(ran, type="redo")
    assert cells(ran, "plan")["goal"] == "yes"
    send(ran, type="clear")
    assert ran.views.layers.keep == []


def test_the_curve_with_the_plan_comes_with_a_tick_goes_with_it_and_says_when_it_is_old(ran, session):
    accumulated, planned = ran.views.sqnr.tensor_traces
    assert planned.visible is False
    early = picture(ran)
    index = layer_index(ran, "conv2")
    send(ran, type="keep", index=index, on=True)
    assert planned.visible is True
    assert planned.name == "with your plan"
    np.testing.assert_allclose(planned.y, [t.sqnr_db for t in ran.debugging.state.planned_tensors.values()], rtol=1e-6)
    assert np.max(np.subtract(planned.y, accumulated.y)) > 10
    assert (planned.line.dash, planned.line.color) != (accumulated.line.dash, accumulated.line.color)
    assert picture(ran).tobytes() != early.tobytes()
    names = list(ran.debugging.state.comparison.tensors)
    click(planned, names.index("pool2"))
    assert session.state.selected == "pool2"
    session.choose("relu1", method="minmax")
    assert planned.visible is True
    assert planned.name == "with your plan (out of date)"
    session.undo()
    assert planned.name == "with your plan"
    send(ran, type="keep", index=index, on=False)
    assert planned.visible is False
    assert len(planned.y) == 0


def test_of_many_ticks_in_a_row_only_the_last_plan_is_scored(make, evaluation, monkeypatch):
    held = HeldExecutor()
    widget = make(evaluation, held)
    send(widget, type="run")
    assert widget.views.summary.state["running"] is False, "not begun yet"
    held.go()
    scored = []
    score = widget.debugging.score_plan
    monkeypatch.setattr(
        widget.debugging, "score_plan", lambda: scored.append(widget.debugging.state.plan.keep) or score()
    )
    for name in ("conv1", "ip1", "conv2"):
        send(widget, type="keep", index=layer_index(widget, name), on=True)
    held.go()
    assert scored == [("conv1", "ip1", "conv2")]
    assert cells(widget, "plan")["goal"] == "yes"


def test_linked_with_the_explorer_through_the_session_alone(ran, session):
    explorer = CalibrationExplorer(session, executor=SameThreadExecutor())
    send(ran, type="tensor", name="conv2")
    assert explorer.views.detail.state["name"] == "conv2"
    explorer.views.tensors._handle_custom_msg({"type": "select", "index": session.tensors.index("relu1")}, [])
    assert ran.views.detail.state["name"] == "relu1"
    explorer.views.detail._handle_custom_msg({"type": "choose", "method": "minmax"}, [])
    assert "relu1" in shell(ran)["stale"]
    explorer.views.shell._handle_custom_msg({"type": "undo"}, [])
    assert shell(ran)["stale"] == ""
    explorer.close()


def test_auto_runs_again_by_itself_and_does_not_repeat_what_failed(make, evaluation, session, monkeypatch):
    widget = make(evaluation)
    send(widget, type="run")
    before = widget.debugging.state.comparison
    session.choose("pool1", method="minmax")
    assert widget.debugging.state.comparison is before
    send(widget, type="auto", on=True)
    assert shell(widget)["stale"] == ""
    assert widget.debugging.state.comparison is not before
    runs = []

    def fail():
        runs.append(1)
        raise UsageError("not now")

    monkeypatch.setattr(widget.debugging, "run", fail)
    session.choose("pool1", method="mse")
    assert len(runs) == 1
    session.update(selected="conv2")
    assert len(runs) == 1, "the same thresholds are not tried again"


def test_trying_and_using_another_method(ran, session):
    send(ran, type="layer", index=layer_index(ran, "conv2"))
    send(ran, type="try")
    trials = {t["method"]: t for t in ran.views.detail.state["trials"]}
    assert set(trials) == {"entropy", "minmax", "percentile:99.99", "percentile:99.9", "mse"}
    assert [m for m, t in trials.items() if t["chosen"]] == ["entropy"]
    assert [m for m, t in trials.items() if t["best"]] == ["entropy"]
    send(ran, type="use", method="mse")
    assert session.choice("pool1").label == "mse"
    assert shell(ran)["stale"]
    send(ran, type="keep", index=layer_index(ran, "conv2"), on=True)
    assert not ran.views.detail.state["can_try"]


def test_a_plan_is_found_to_the_goal_that_was_typed(ran):
    send(ran, type="find", target="99 %", precision="fp32", scales=False)
    assert ran.debugging.state.plan.keep == ("conv2",)
    assert ran.debugging.state.plan.precision == "fp32"
    assert ran.views.summary.state["plan_kind"] == "ok"
    assert ran.views.summary.state["steps"]
    for bad in ("", "0", "101", "ninety", "nan", "-5"):
        send(ran, type="find", target=bad, precision="fp16", scales=False)
        assert "goal" in shell(ran)["notice"]
    send(ran, type="dismiss")
    assert shell(ran)["notice"] == ""


def test_an_evaluate_that_raises_is_shown_and_the_debugger_lives_on(make, session):
    broken = [True]

    def evaluate(outputs, batch):
        if broken[0]:
            raise ValueError("<script>alert(1)</script>")
        return float(np.mean(outputs["prob"].max(1)))

    widget = make(Evaluation(sample.test_images(), batch_size=100, max_batches=2, evaluate=evaluate))
    intent = session.state
    send(widget, type="run")
    assert "Traceback" in shell(widget)["failure"]
    assert "<script>alert(1)</script>" in shell(widget)["failure"]
    assert "Your session is as it was" in shell(widget)["text"]
    assert session.state == intent
    broken[0] = False
    send(widget, type="run")
    assert shell(widget)["failure"] == ""
    assert cells(widget, "fp32")["custom"] != "\N{EN DASH}"


def test_without_labels_outputs_are_compared(make):
    pixels = sample.test_images().load(0, 200)[""]
    widget = make(Evaluation(pixels, batch_size=100))
    send(widget, type="run")
    assert [c["key"] for c in widget.views.summary.state["columns"]] == ["goal", "sqnr", "cosine"]
    assert "no labels" in shell(widget)["text"]


def test_every_export_is_written_and_can_be_read(ran, tmp_path, session):
    send(ran, type="keep", index=layer_index(ran, "conv2"), on=True)
    for kind in ("plan", "qdq", "cache", "trtexec", "polygraphy", "modelopt", "python", "report"):
        send(ran, type="export_kind", kind=kind)
        path = tmp_path / f"{kind}.out"
        send(ran, type="export_write", path=str(path), replace=False)
        assert ran.views.export.state["result_kind"] == "ok", ran.views.export.state["result"]
        assert path.stat().st_size > 0
    assert PrecisionPlan.load(tmp_path / "plan.out").keep == ("conv2",)
    quantised = {n.input[0] for n in onnx.load(tmp_path / "qdq.out").graph.node if n.op_type == "QuantizeLinear"}
    assert "pool1" not in quantised
    assert "flatten" in quantised or "pool2" in quantised
    assert "--layerPrecisions=conv2:fp16" in (tmp_path / "trtexec.out").read_text()
    assert "conv2:float16" in (tmp_path / "polygraphy.out").read_text()
    compile((tmp_path / "python.out").read_text(), "plan.py", "exec")
    assert "<html" in (tmp_path / "report.out").read_text()


def test_exports_that_cannot_be_say_why(ran, tmp_path, folder):
    (tmp_path / "old.json").write_text("mine")
    for path, why in ((str(tmp_path / "old.json"), "exists already"), ("  ", "name"), (str(tmp_path), "folder")):
        send(ran, type="export_write", path=path, replace=False)
        assert why in ran.views.export.state["result"]
        assert ran.views.export.state["result_kind"] == "error"
    assert (tmp_path / "old.json").read_text() == "mine"
    send(ran, type="export_kind", kind="qdq")
    send(ran, type="export_write", path=str(folder / "rescaled.onnx"), replace=True)
    assert "FP32 model itself" in ran.views.export.state["result"]


def test_rubbish_from_the_page_changes_nothing(ran, caplog):
    before = ran.debugging.state
    for message in (
        None, 7, [], {}, {"type": 3}, {"type": "keep"}, {"type": "keep", "index": True, "on": True},
        {"type": "keep", "index": 0, "on": 1}, {"type": "run", "x": 1}, {"type": "_act"},
        {"type": "use", "method": "x" * 70_000},
    ):  # fmt: skip
        ran.views.shell._handle_custom_msg(message, [])
    assert "does not know" in caplog.text
    for message in (
        {"type": "layer", "index": 99},
        {"type": "keep", "index": -1, "on": True},
        {"type": "tensor", "name": "no"},
        {"type": "use", "method": "magic"},
        {"type": "export_kind", "kind": "virus"},
    ):
        send(ran, **message)
        assert shell(ran)["notice"]
    assert ran.debugging.state is before


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nothing_but_known_messages_is_an_event(content):
    assert parse_event(content) is None


def test_states_are_json_without_nan(ran):
    for panel in ran.views.panels:
        for trait in ("state", "rows", "columns", "keep"):
            if panel.has_trait(trait):
                json.dumps(getattr(panel, trait), allow_nan=False)
    for view in ran.views.plots:
        figure = view.figure.to_plotly_json()
        lists = [v for trace in figure["data"] for v in trace.values() if isinstance(v, (list, tuple))]
        assert not any(isinstance(x, float) and math.isnan(x) for values in lists for x in values)


def test_names_that_are_no_names(folder, tmp_path, evaluation):
    """Tensor and node names are any text; they are shown as text, and a layer with such a name can be kept."""
    model = onnx.load(folder / "rescaled.onnx")
    evil = "<img src=x onerror=alert(1)>"
    for node in model.graph.node:
        node.input[:] = [evil if n == "pool1" else n for n in node.input]
        node.output[:] = [evil if n == "pool1" else n for n in node.output]
        node.name = f"{evil}:{node.name}" if node.name == "conv2" else node.name
    onnx.save(model, tmp_path / "evil.onnx")
    with CalibrationSession(
        tmp_path / "evil.onnx", sample.calibration_images(), batch_size=50, max_batches=2
    ) as session:
        session.run()
        widget = AccuracyDebugger(session, evaluation, executor=SameThreadExecutor())
        send(widget, type="run")
        assert f"{evil}:conv2" in widget.views.layers.columns["names"]
        assert not any("<img" in label for label in widget.views.sqnr.figure.data[0].text), "Plotly reads markup"
        send(widget, type="layer", index=1)
        assert widget.views.detail.state["name"] == evil
        send(widget, type="keep", index=1, on=True)
        assert widget.debugging.state.plan.keep == (f"{evil}:conv2",)
        widget.close()


def picture(widget):
    return Image.open(io.BytesIO(base64.b64decode(widget._repr_mimebundle_()["image/png"])))


def test_a_picture_goes_with_it_for_a_notebook_without_a_kernel(make, evaluation):
    widget = make(evaluation)
    early = picture(widget)
    send(widget, type="run")
    late = picture(widget)
    assert early.size == late.size == (1000, 720)
    assert np.mean(np.asarray(late.convert("L")) < 250) > 2 * np.mean(np.asarray(early.convert("L")) < 250)


def test_arguments_that_cannot_be_meant(session, evaluation, folder):
    with pytest.raises(UsageError, match="target"):
        AccuracyDebugger(session, evaluation, folder / "rescaled.onnx", target=99)
    with pytest.raises(UsageError, match="CalibrationSession"):
        AccuracyDebugger(evaluation, session)


def test_closing_leaves_the_session_alone(ran, session):
    ran.close()
    renders = ran.binding.renders
    session.update(selected="conv2")
    session.choose("pool1", method="mse")
    assert ran.binding.renders == renders


def test_outputs_without_a_signal_are_explained(make):
    """A measure that is no number looks like a fault, unless it is said where it comes from."""
    widget = make(Evaluation(np.zeros((4, 1, 28, 28), np.float32), batch_size=2))
    send(widget, type="run")
    assert "cosine" not in shell(widget)["text"], "these have one"
    state = widget.debugging.state
    silent = replace(state.comparison.int8, outputs=TensorComparison(n=4, signal=1.0, noise=1.0))
    widget.debugging._commit(comparison=replace(state.comparison, int8=silent))
    assert "INT8's outputs are all zero" in shell(widget)["text"]
    assert "labels=" in shell(widget)["text"]
    nothing = replace(silent, outputs=TensorComparison(n=4))
    widget.debugging._commit(comparison=replace(state.comparison, int8=nothing))
    assert "FP32's outputs are all zero" in shell(widget)["text"]


def test_a_tensor_without_a_comparison_says_why(ran):
    from trtcal_widgets.widgets.debugger.detail import build_tensor_plot

    graph = ran.debugging.session.graph
    weight = next(name for name in graph.float_tensors if name not in graph.calibrated)
    assert build_tensor_plot(ran.debugging, "data").note == "an input of the model: the same for both"
    assert build_tensor_plot(ran.debugging, weight).note == "a weight or constant: it is not compared"
    assert not build_tensor_plot(ran.debugging, "conv1").note


def test_the_goal_that_was_typed_is_the_goal_everywhere(ran, tmp_path):
    fp32 = ran.debugging.state.comparison.fp32.value
    labels = lambda: {c["key"]: c["label"] for c in ran.views.summary.state["columns"]}
    assert labels()["goal"] == f"≥ {99 * fp32:.2f} %"
    assert cells(ran, "int8")["goal"] == "no"
    send(ran, type="target", target="50")
    assert labels()["goal"] == f"≥ {50 * fp32:.2f} %"
    assert cells(ran, "int8")["goal"] == "yes"
    assert "as it is: no plan is needed" in ran.views.summary.state["plan"]
    ran.debugging.find_plan(0.985, scales=False)
    assert ran.views.summary.state["target"] == "98.5"
    assert f"goal of {98.5 * fp32:.2f} % (98.5 % of FP32)" in ran.views.summary.state["plan"]
    send(ran, type="export_kind", kind="report")
    send(ran, type="export_write", path=str(tmp_path / "report.html"), replace=False)
    page = (tmp_path / "report.html").read_text()
    assert f"goal of {98.5 * fp32:.2f} %" in page
    assert f"INT8 with the plan has {100 * ran.debugging.state.planned.value:.2f} % of top-1" in page
    send(ran, type="target", target="no number")
    assert "goal" in shell(ran)["notice"]


def test_a_plan_by_hand_says_whether_it_reaches_the_goal(ran):
    assert "INT8 misses the goal" in ran.views.summary.state["plan"]
    send(ran, type="keep", index=layer_index(ran, "conv2"), on=True)
    assert "It reaches the goal" in ran.views.summary.state["plan"]
    assert ran.views.summary.state["plan_kind"] == "ok"
    send(ran, type="clear")
    send(ran, type="keep", index=layer_index(ran, "ip2"), on=True)
    assert "misses the goal" in ran.views.summary.state["plan"]
    assert "keep more layers" in ran.views.summary.state["plan"]
    assert ran.views.summary.state["plan_kind"] == "warn"


def test_it_opens_on_the_worst_layer_unless_the_user_looks_at_another_tensor(make, evaluation, session):
    send(make(evaluation), type="run")
    assert session.state.selected == "pool1", "what conv2 quantises"
    send(make(evaluation), type="run")
    assert session.state.selected == "pool1"
    held = HeldExecutor()
    widget = make(evaluation, held)
    send(widget, type="run")
    session.update(selected="relu1")
    held.go()
    assert session.state.selected == "relu1"
    session.update(selected="ip1")
    send(widget, type="run")
    held.go()
    assert session.state.selected == "ip1", "a second run leaves it where it is"


def test_no_advice_is_given_that_the_trials_beside_it_contradict(ran, session):
    send(ran, type="layer", index=layer_index(ran, "conv2"))
    send(ran, type="try")
    assert ran.views.detail.state["advice"] == "none is better than the one in use"
    known = {item["tensors"][0]["name"]: item for item in ran.views.hazards.state["items"] if item["tensors"]}
    about = [h for h in ran.debugging.state.hazards if h.kind in ("clipped", "disagreement")]
    assert about, "the case has one"
    hazard = about[0]
    item = known[hazard.tensors[0]]
    assert hazard.tensors[0] == "conv1", "it has one scale with pool1, which was tried"
    assert item["mend"].startswith("Other thresholds were tried: none is better")
    assert "conv2, alone in INT8, loses" in item["cost"]
    ran.debugging._commit(hazards=(replace(hazard, tensors=("prob",)), hazard))
    assert "changes nothing in a model with Q/DQ" in ran.views.hazards.state["items"][0]["mend"]
    assert ran.views.hazards.state["items"][0]["cost"] == ""
    trials = ran.debugging.state.trials["pool1"]
    better = [replace(t, score=replace(t.score, top1=0.999)) if t.method == "minmax" else t for t in trials]
    ran.debugging._commit(trials={"pool1": tuple(better)})
    assert "minmax is best, 99.90 %" in ran.views.hazards.state["items"][1]["mend"]
    assert ran.views.detail.state["advice"] == "click one to use it in the session"


def test_losses_have_a_unit_with_and_without_labels(ran, make):
    assert ran.views.layers.rows["loss_unit"] == "pt"
    pixels = sample.test_images().load(0, 200)[""]
    widget = make(Evaluation(pixels, batch_size=100))
    send(widget, type="run")
    assert widget.views.layers.rows["loss_unit"] == "of cosine"
    loss = {cell["key"]: cell["text"] for cell in widget.views.numbers.state["numbers"]}["loss"]
    assert loss.endswith(" of cosine")


def test_every_trace_has_a_name_of_its_own_making(ran):
    """Plotly calls one without "trace 0" where it shows it."""
    assert all(trace.name for view in ran.plots for trace in view.figure.data)


def test_steps_of_a_search_say_which_were_accepted(ran):
    send(ran, type="find", target="99", precision="fp16", scales=True)
    steps = ran.views.summary.state["steps"]
    assert [s["accepted"] for s in steps] == [s.accepted for s in ran.debugging.state.search.steps]
    assert {s["accepted"] for s in steps} == {True, False}


def test_how_far_a_run_and_a_search_are_is_said(make, evaluation):
    widget = make(evaluation)
    seen = []
    widget.debugging.subscribe(lambda _changed: seen.append(shell(widget)["text"]))
    send(widget, type="run")
    assert any(text.startswith("step 1 of 3: comparing FP32 with INT8 · ") for text in seen)
    assert any(text.startswith("step 2 of 3: ranking layers · ") and "left for this step" in text for text in seen)
    seen.clear()
    send(widget, type="find", target="99.9", precision="fp16", scales=True)
    assert any("trying plans · " in text and "of at most" in text for text in seen)


def test_the_network_is_coloured_by_what_was_measured_and_a_click_walks(make, evaluation, session):
    widget = make(evaluation)
    boxes = lambda: {box["name"]: box for box in widget.views.network.state["boxes"]}
    assert {box["level"] for box in boxes().values()} == {""}, "nothing is known before the run"
    send(widget, type="run")
    tensors = widget.debugging.state.comparison.tensors
    assert boxes()["conv2"]["value"] == f"{tensors['conv2'].sqnr_db:.1f} dB"
    assert boxes()["conv2"]["level"] == "bad"
    assert boxes()["pool1"]["letter"] == boxes()["conv1"]["letter"] == "A", "a pool has the scale of its input"
    send(widget, type="keep", index=layer_index(widget, "conv2"), on=True)
    assert boxes()["conv2"]["level"] == "good", "with the plan"
    assert "your plan" in widget.views.network.state["note"]
    send(widget, type="select_name", name="ip1")
    assert session.state.selected == "ip1"
    assert widget.views.network.state["boxes"][widget.views.network.state["chosen"]]["name"] == "ip1"


def test_tuning_draws_the_front_and_a_click_takes_a_plan(make):
    device = RecordedDevice()
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2) as own:
        own.run()
        widget = AccuracyDebugger(
            own, Evaluation(sample.test_images(), batch_size=100, max_batches=1), executor=SameThreadExecutor()
        )
        assert widget.views.front_box.layout.display == "none"
        send(widget, type="run")
        result = widget.debugging.tune(device, variants=2)
        assert widget.views.front_box.layout.display == ""
        others, front, chosen = widget.views.front.figure.data
        assert len(others.x) + len(front.x) == len(result.points)
        assert list(front.x) == [point.ms for point in result.front]
        same = len({f"{point.score.value:.4f}" for point in result.points}) == 1
        decibels = [point.score.outputs.sqnr_db for point in result.front]
        shown = [pytest.approx(db) for db in decibels if math.isfinite(db)]
        assert same, "top-1 is 100 % whatever is in INT8, and SQNR is drawn instead"
        assert list(front.y)[: len(shown)] == shown
        assert "SQNR" in widget.views.front.figure.layout.yaxis.title.text
        assert list(chosen.x) == [next(p.ms for p in result.points if p.plan is not None and not p.plan.keep)]
        wanted = next(p for p in result.front if p.plan is not None and p.plan.keep)
        click(front, result.front.index(wanted))
        assert widget.debugging.state.plan == wanted.plan
        assert list(chosen.x) == [wanted.ms]
        assert widget.debugging.state.planned is not None
        send(widget, type="undo")
        assert not widget.debugging.state.plan.keep
        send(widget, type="take", index=next(i for i, p in enumerate(result.points) if p.plan is None))
        assert "has no Q/DQ pairs" in shell(widget)["notice"]
        send(widget, type="take", index=99)
        assert "not one with the number 99" in shell(widget)["notice"]
        widget.close()


def test_without_a_gpu_the_button_draws_accuracy_alone(ran, monkeypatch):
    def none(*_, **__):
        raise DeviceError("there is no GPU")

    monkeypatch.setattr("trtcal_widgets.trt.measuring.device.EngineDevice", none)
    send(ran, type="tune")
    figure = ran.views.front.figure
    assert figure.layout.yaxis.title.text == "top-1 (%)"
    goal = 100 * 0.99 * ran.debugging.state.tuned.fp32.value
    assert figure.layout.shapes[0].y0 == pytest.approx(goal)
    assert figure.layout.yaxis.range[0] < min(goal, *figure.data[1].y)
    assert "nothing was measured" in figure.layout.xaxis.title.text
    assert ran.debugging.state.tuned.device == ""
    assert "Tuning" not in shell(ran)["text"]
