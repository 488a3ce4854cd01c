"""The explorer without a browser: messages in, session out, and what is sent back."""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
import traitlets

from tests.support.traffic import count_traffic, state_bytes
from tests.widgets.front_end import click_overview, drag_line, resize_echo, send
from tests.widgets.synthetic import MadeUpRunner, chain_graph, synthetic_session
from trtcal_widgets import CalibrationCache, CalibrationSession, sample
from trtcal_widgets.common.words import printable
from trtcal_widgets.errors import DataError, TrtcalError, UsageError
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex
from trtcal_widgets.widgets.explorer import CalibrationExplorer
from trtcal_widgets.widgets.explorer.detail import detail_state, histogram_plot
from trtcal_widgets.widgets.explorer.export_form import ExportForm, export_state
from trtcal_widgets.widgets.explorer.typed import threshold_of
from trtcal_widgets.widgets.kit.figures import LOG_FLOOR


def updates(session):
    heard = []
    session.subscribe(heard.append)
    return heard


def notice(explorer):
    return explorer.views.shell.state["notice"]


def test_a_drop_is_one_update_and_one_rendering(explorer):
    session = explorer.session
    heard, renders = updates(session), explorer.binding.renders
    drag_line(explorer, 0.0123456789)
    assert heard == [frozenset({"choices"})]
    assert explorer.binding.renders == renders + 1
    assert session.amax(session.state.selected) == float(np.float32(0.0123456789))
    assert session.choice(session.state.selected).amax == 0.0123456789


def test_the_echo_of_our_own_drawing_is_no_update(explorer):
    drag_line(explorer, 0.02)
    heard = updates(explorer.session)
    shape = explorer.views.histogram.figure.layout.shapes[0]
    drag_line(explorer, shape.x0)
    resize_echo(explorer)
    assert heard == []


def test_a_line_that_was_dragged_by_one_end_is_straight_again(explorer):
    drag_line(explorer, 0.02, tilted=True)
    shape = explorer.views.histogram.figure.layout.shapes[0]
    assert shape.x0 == shape.x1 == explorer.session.amax(explorer.session.state.selected)
    assert shape.y1 > 1e9  # far beyond the plot again: its end cannot be caught


@pytest.mark.parametrize("x", [0.0, -1.0, math.nan, math.inf, 1e39])
def test_a_drop_that_cannot_be_is_refused_and_the_line_goes_back(explorer, x):
    before = explorer.session.amax(explorer.session.state.selected)
    heard = updates(explorer.session)
    drag_line(explorer, x)
    shape = explorer.views.histogram.figure.layout.shapes[0]
    assert heard == []
    assert shape.x0 == shape.x1 == before
    if not math.isnan(x):
        assert "amax" in notice(explorer)


def test_typing_an_amax_keeps_every_bit(explorer):
    send(explorer.views.detail, type="choose", amax="0.0100000001490116")
    assert explorer.session.choice(explorer.session.state.selected).amax == 0.0100000001490116
    shown = np.float32(explorer.views.detail.state["amax"])
    assert shown == explorer.session.amax(explorer.session.state.selected)


@pytest.mark.parametrize("text", ["", "0,5", "abc", "nan", "-1", "0", "inf", "1e400"])
def test_an_amax_that_is_none_is_refused_with_the_fix(explorer, text):
    heard = updates(explorer.session)
    send(explorer.views.detail, type="choose", amax=text)
    assert heard == []
    assert notice(explorer)
    send(explorer.views.shell, type="dismiss")
    assert notice(explorer) == ""


def test_choosing_moves_the_group(make_explorer):
    names = ["in", "conv", "pool"]
    explorer = make_explorer(synthetic_session(names=names, groups=(("conv", "pool"),)))
    explorer.session.step()
    send(explorer.views.tensors, type="select", index=2)
    send(explorer.views.detail, type="choose", method="minmax")
    assert explorer.session.amax("conv") == explorer.session.amax("pool")
    assert [row.method for row in explorer.session.table()] == ["entropy", "minmax", "minmax"]
    rows = explorer.views.tensors.rows
    assert [rows["method_names"][k] for k in rows["method"]] == ["entropy", "minmax", "minmax"]
    send(explorer.views.detail, type="reset")
    assert not explorer.session.is_mine("conv")


def test_undo_and_redo(explorer):
    selected = explorer.session.state.selected
    before = explorer.session.amax(selected)
    drag_line(explorer, 0.5)
    assert explorer.views.shell.state["can_undo"]
    send(explorer.views.shell, type="undo")
    assert explorer.session.amax(selected) == before
    send(explorer.views.shell, type="redo")
    assert explorer.session.amax(selected) == 0.5


def test_a_method_for_all(explorer):
    drag_line(explorer, 0.5)
    send(explorer.views.shell, type="choose_all", method="percentile:99.9")
    assert {row.method for row in explorer.session.table()} == {"p99.9"}
    assert explorer.views.shell.state["mine"] == 0
    # A fifth method has its own line.
    assert [m["key"] for m in explorer.views.detail.state["marks"]][-1] == "percentile:99.9"


def test_one_batch_is_said_to_be_one(make_explorer):
    stepper = make_explorer(synthetic_session(12, batches=1)).views.stepper
    send(stepper, type="last")
    assert stepper.state["message"] == "Finished: the one batch is counted."


def test_run_control(make_explorer):
    explorer = make_explorer()
    session, stepper = explorer.session, explorer.views.stepper
    assert stepper.state["text"].startswith("batch 0 of 4")
    assert "Nothing is counted yet" in stepper.state["message"]
    send(stepper, type="forward")
    send(stepper, type="forward")
    assert session.state.position == 2
    send(stepper, type="back")
    assert (session.state.position, session.status.recorded) == (1, 2)
    send(stepper, type="last")
    assert session.state.position == 4
    assert stepper.state["message_kind"] == "ok"
    assert stepper.state["message"] == "Finished: all 4 batches are counted."
    assert stepper.state["at_end"]
    send(stepper, type="forward")
    assert session.state.position == 4
    send(stepper, type="first")
    assert session.state.position == 0
    send(stepper, type="seek", position=3)
    assert session.state.position == 3
    send(stepper, type="play")
    assert session.state.position == 4


def test_leaving_a_batch_out_runs_no_model(explorer):
    send(explorer.views.stepper, type="exclude", batch=1)
    assert explorer.session.state.excluded == {1}
    assert explorer.views.stepper.state["excluded"] == [1]
    assert "1 left out" in explorer.views.stepper.state["text"]
    send(explorer.views.stepper, type="include", batch=1)
    assert explorer.session.state.excluded == frozenset()
    assert explorer.session.status.recorded == 2


def test_pictures_come_with_the_batch(explorer):
    thumbs = explorer.views.stepper.thumbs
    assert thumbs["count"] == 4
    assert len(explorer.views.stepper.pixels) == thumbs["width"] * thumbs["height"] * 4
    assert "images" in explorer.views.stepper.state["text"]


def test_a_click_on_the_overview_selects(explorer):
    click_overview(explorer, 5)
    assert explorer.session.state.selected == explorer.session.calibrated[5]
    click_overview(explorer, 99)
    assert explorer.session.state.selected == explorer.session.calibrated[5]


def test_axes_stay_unless_the_range_grows(explorer):
    layout = explorer.views.histogram.figure.layout
    explorer.session.back()
    before = layout.xaxis.range, layout.yaxis.range
    explorer.session.seek(2)
    explorer.session.back()
    assert (layout.xaxis.range, layout.yaxis.range[0]) == (before[0], before[1][0])
    zoomed = (0.1 * layout.xaxis.range[1], 0.5 * layout.xaxis.range[1])
    layout.xaxis.range = zoomed
    drag_line(explorer, zoomed[1] * 0.9)
    assert layout.xaxis.range == zoomed


class _GrowingRunner(MadeUpRunner):
    """The second batch just exceeds the range of the first one, which doubles."""

    def infer(self, feeds):
        self._batch += 1
        values = np.linspace(0, 1 if self._batch == 1 else 1.01, 400, dtype=np.float32)
        return ((name, values) for name in self.graph.float_tensors)


def test_the_axis_ends_near_the_data_however_far_the_range_has_doubled(make_explorer):
    images = np.zeros((16, 1, 10, 10), np.float32)
    session = CalibrationSession(_GrowingRunner(chain_graph(["x", "y"])), {"x": images}, batch_size=4)
    explorer = make_explorer(session)
    session.run()
    assert session.histogram("x").range == pytest.approx(2.0)
    assert 1.01 <= explorer.views.histogram.figure.layout.xaxis.range[1] < 1.25


def _labels(explorer):
    notes = explorer.views.histogram.figure.layout.annotations
    return [(note.text, note.x, note.xanchor) for note in notes if note.visible and note.text]


def test_a_threshold_off_the_plot_is_marked_at_its_edge_and_can_be_pulled_back(explorer):
    figure = explorer.views.histogram.figure
    edge = figure.layout.xaxis.range[1]
    explorer.session.choose(explorer.session.state.selected, amax=300.0)
    assert figure.layout.xaxis.range[1] == edge, "one absurd value does not press the data to the left"
    assert ("<b>◆ mine 300 →</b>", edge, "right") in _labels(explorer)
    assert figure.layout.shapes[0].x0 == edge
    drag_line(explorer, edge)
    assert explorer.session.choice(explorer.session.state.selected).amax == 300.0, "only moved up or down"
    drag_line(explorer, 0.5 * edge)
    assert explorer.session.choice(explorer.session.state.selected).amax == 0.5 * edge


def test_thresholds_outside_a_zoom_are_marked_at_its_edges(explorer):
    layout = explorer.views.histogram.figure.layout
    smallest = min(mark.amax for mark in explorer.binding._parts.plot.marks)
    layout.xaxis.range = (0.0, 0.5 * smallest)
    ((text, x, _),) = _labels(explorer)
    assert x == 0.5 * smallest, "one label, for there is no room for four"
    assert all(glyph in text for glyph in "●■▲▼→")
    assert "<b>● entropy" in text, "the one that holds has its value"
    layout.xaxis.range = (10 * smallest, 20 * smallest)
    assert all("←" in text and x == 10 * smallest for text, x, _ in _labels(explorer))
    _, second, *others = sorted(mark.amax for mark in explorer.binding._parts.plot.marks)
    layout.xaxis.range = (0.0, (second + others[0]) / 2)
    assert len(_labels(explorer)) == 4
    assert sum("→" in text for text, _, _ in _labels(explorer)) == 2
    explorer.session.update(selected=explorer.session.tensors[3])
    assert not any("←" in text or "→" in text for text, _, _ in _labels(explorer)), "another tensor is seen as a whole"


@pytest.mark.parametrize(("factor", "words"), [(500, "500 times the largest value"), (0.01, "of the signal's power")])
def test_a_threshold_that_fits_nothing_is_said(explorer, factor, words):
    name = explorer.session.state.selected
    largest = explorer.session.histogram(name).amax
    explorer.session.choose(name, amax=factor * largest)
    assert any(words in note for note in explorer.views.detail.state["notes"])
    assert any(words in note for note in explorer.session.row(name).suspicious)
    explorer.session.choose(name, amax=largest)
    assert not any(words in note for note in explorer.views.detail.state["notes"])


def test_plots_say_what_they_show_for_the_picture_that_is_saved_of_them(make_explorer):
    hostile = "a<b>&\n/x:0"
    explorer = make_explorer(synthetic_session(names=["in", hostile]))
    explorer.session.update(selected=hostile)
    assert explorer.views.histogram.figure.caption == f"histogram of {printable(hostile)}"
    assert explorer.views.overview.figure.caption
    assert printable(hostile) in explorer.views.trace.figure.caption


@pytest.mark.parametrize(
    ("text", "amax"),
    [
        ("0x3c008912", 0.9963379),
        ("3c008912", 0.9963379),
        ("3E008912", 15.941406),
        ("0x40000000", 254.0),
        ("40000000", 4e7),
        ("12345e10", 12345e10),
        ("3e-4", 3e-4),
        ("1.250", 1.25),
    ],
)
def test_a_threshold_is_typed_as_a_number_or_a_scale_in_hex_and_stays_as_it_was_typed(explorer, text, amax):
    name = explorer.session.state.selected
    send(explorer.views.detail, type="choose", amax=text)
    assert explorer.session.amax(name) == pytest.approx(amax, rel=1e-6)
    assert explorer.views.detail.state["amax"] == text
    if text.lower().removeprefix("0x") == "3c008912":
        assert explorer.session.to_cache().hex(name) == "3c008912"
    explorer.session.update(selected=explorer.session.tensors[2])
    assert explorer.views.detail.state["amax"] != text
    explorer.session.update(selected=name)
    assert explorer.views.detail.state["amax"] == text
    drag_line(explorer, 0.03125)
    assert explorer.views.detail.state["amax"] == "0.03125"


def test_every_scale_that_a_cache_can_hold_is_taken_exactly_or_refused_with_its_neighbour():
    found = [_taken(bits) for bits in np.random.default_rng(0).integers(1, 0x7B000000, 3000).tolist()]
    assert set(found) == {"exactly", "neighbour"}
    assert found.count("neighbour") < 60, "float32 has a hundredth fewer thresholds than scales"


def _taken(bits):
    try:
        amax = threshold_of(f"0x{bits:x}")
    except UsageError as error:
        return "neighbour" if "neighbour" in str(error) else str(error)
    return "exactly" if scale_to_hex(scale_of_amax(amax)) == f"{bits:x}" else f"0x{bits:x} became {amax}"


@pytest.mark.parametrize("text", ["", "abc", "0x", "0x0", "0x7f800000", "0xffffffffff", "1,5", "7fc00000", "bf800000"])
def test_what_is_no_threshold_is_said(explorer, text):
    before = explorer.session.state.choices
    send(explorer.views.detail, type="choose", amax=text)
    assert notice(explorer)
    assert explorer.session.state.choices == before


def test_traits_follow_the_session_and_change_it(explorer):
    session, heard = explorer.session, []
    explorer.observe(lambda change: heard.append((change["name"], change["new"])), ["selected", "amax", "batch"])
    assert (explorer.selected, explorer.batch) == (session.state.selected, 2)
    assert explorer.amax == session.amax(session.state.selected)
    session.update(selected=session.tensors[3])
    assert heard == [("selected", session.tensors[3]), ("amax", session.amax(session.tensors[3]))]
    explorer.amax = 0.5
    assert session.choice(session.tensors[3]).amax == 0.5
    explorer.selected = session.tensors[1]
    assert session.state.selected == session.tensors[1]
    explorer.batch = 1
    assert session.state.position == 1
    explorer.batch = 4
    assert (session.status.recorded, explorer.batch) == (4, 4), "what is not recorded is run"
    session.undo()
    session.update(selected=session.tensors[3])
    assert explorer.amax == session.amax(session.tensors[3]) != 0.5


def test_traits_that_cannot_be_are_as_before_and_it_is_said(explorer):
    before = explorer.selected, explorer.amax, explorer.batch
    for name, value, words in (
        ("selected", "no such tensor", "no such tensor"),
        ("amax", -1.0, "greater than 0"),
        ("amax", math.inf, "finite"),
        ("batch", 99, "0 to 4 batches"),
        ("batch", -1, "0 to 4 batches"),
    ):
        with pytest.raises(TrtcalError, match=words):
            setattr(explorer, name, value)
        assert (explorer.selected, explorer.amax, explorer.batch) == before
        assert words in notice(explorer)


def test_traits_link_to_other_widgets_both_ways(explorer):
    box = ipywidgets.FloatText()
    traitlets.link((explorer, "amax"), (box, "value"))
    assert box.value == explorer.amax
    box.value = 0.25
    assert explorer.session.choice(explorer.selected).amax == 0.25
    explorer.session.choose(explorer.selected, amax=0.75)
    assert box.value == 0.75
    menu = ipywidgets.Dropdown(options=explorer.session.tensors)
    traitlets.link((explorer, "selected"), (menu, "value"))
    menu.value = explorer.session.tensors[4]
    assert explorer.session.state.selected == menu.value
    assert box.value == explorer.amax == explorer.session.amax(menu.value)


def test_what_hears_a_trait_may_set_another_one(explorer):
    session = explorer.session
    explorer.observe(lambda _: setattr(explorer, "amax", 0.5), "selected")
    explorer.selected = session.tensors[2]
    assert session.choice(session.tensors[2]).amax == 0.5


def test_a_held_histogram_lies_over_the_next_one(explorer):
    session, figure = explorer.session, explorer.views.histogram.figure
    held, other = session.tensors[3], session.tensors[4]
    session.update(selected=held)
    send(explorer.views.detail, type="hold")
    assert explorer.views.detail.state["held"]
    assert not explorer.views.detail.state["over"]
    session.update(selected=other)
    outline = figure.data[-1]
    assert outline.visible
    assert explorer.views.detail.state["over"] == held
    above, below = session.histogram(held), session.histogram(other)
    # As a density both have the same area: values per unit of |x|, of as many values.
    area = float(np.sum(np.asarray(outline.y)[np.asarray(outline.y) > 0.2]) * outline.dx)
    assert area == pytest.approx(below.n_finite * below.range / 2048, rel=0.02)
    assert figure.layout.xaxis.range[1] >= max(above.amax, below.amax)
    drawn = explorer.binding._parts.over
    send(explorer.views.detail, type="counts", scale="linear")
    assert explorer.binding._parts.over is drawn
    send(explorer.views.detail, type="release")
    assert not outline.visible
    assert figure.layout.xaxis.range[1] < 1.6 * below.amax
    session.update(selected=held)
    assert not explorer.views.detail.state["held"]


def test_a_run_that_is_cancelled_says_so_before_its_batch_is_done(make_explorer):
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=3)
    explorer = make_explorer(session)
    said = []

    def pressed(status):
        said.append(explorer.views.stepper.state["message"])
        send(explorer.views.stepper, type="cancel")
        said.append(explorer.views.stepper.state["message"])

    session.run(progress=pressed)
    assert said == ["Running. Everything here can be used meanwhile.", "Stopping after this batch …"]
    assert "Stopped after 1 whole batch" in explorer.views.stepper.state["message"]
    session.run()
    assert "Finished" in explorer.views.stepper.state["message"]


def test_the_outline_of_values_on_a_grid_is_no_black_area(make_explorer):
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
    session.run()
    session.update(selected="data")  # pixels of 256 levels: of 2048 bins most are empty
    explorer = make_explorer(session)
    send(explorer.views.detail, type="hold")
    session.update(selected="conv2")
    outline = np.asarray(explorer.views.histogram.figure.data[-1].y)
    inside = outline[:-2]
    assert (session.histogram("data").counts > 0).mean() < 0.2
    assert (inside > LOG_FLOOR).mean() > 0.95
    assert 40 < len(inside) < 300


def test_the_theme_reaches_the_plots(explorer):
    figure = explorer.views.histogram.figure
    light = figure.layout.font.color
    explorer.views.shell.set_state({"theme": "dark"})
    assert figure.layout.font.color != light
    assert figure.layout.shapes[0].line.color == "#f9fafb"


def test_two_explorers_of_one_session_show_the_same(make_explorer):
    first = make_explorer(synthetic_session(5))
    second = make_explorer(first.session)
    first.session.step()
    drag_line(first, 0.03125)
    assert second.views.detail.state == first.views.detail.state
    assert second.views.histogram.figure.layout.shapes[0].x0 == 0.03125


RUBBISH = [
    None, 3, "undo", [], {}, {"type": None}, {"type": "rm"}, {"type": ["undo"]}, {"type": "undo", "x": 1},
    {"type": "select"}, {"type": "select", "index": "1"}, {"type": "select", "index": True},
    {"type": "select", "index": 1.0},
    {"type": "select", "index": 10**9}, {"type": "select", "index": -1}, {"type": "seek", "position": -5},
    {"type": "seek", "position": 10**6}, {"type": "exclude", "batch": 10**6}, {"type": "choose", "method": "<script>"},
    {"type": "choose", "method": "entropy", "amax": "1"}, {"type": "choose_all", "method": ""},
    {"type": "counts", "scale": "x"},
    {"type": "select_name", "name": "not there"}, {"type": "choose", "amax": "9" * 100_000}, {"type": "_start"},
    {"type": "export_write"}, {"type": "export_preview", "open": 1},
]  # fmt: skip


@pytest.mark.parametrize("content", RUBBISH, ids=lambda c: repr(c)[:40])
def test_rubbish_from_the_front_end_changes_nothing(explorer, content):
    state, status = explorer.session.state, explorer.session.status
    heard = updates(explorer.session)
    for panel in explorer.views.panels:
        panel._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert (explorer.session.state, explorer.session.status, heard) == (state, status, [])
    send(explorer.views.stepper, type="back")  # and it still works
    assert explorer.session.state.position == 1


NASTY = [
    "in",
    "<script>alert(1)</script>",
    "a\"b'c&amp;",
    "two\nlines",
    "\u202egnp.exe",
    "</div>",
    "日本語",
    "x" * 3000,
    "a/b:0 [1]",
]


def test_names_are_text_whatever_they_hold(make_explorer):
    session = synthetic_session(names=NASTY)
    explorer = make_explorer(session)
    session.step()
    for index, name in enumerate(NASTY):
        send(explorer.views.tensors, type="select", index=index)
        assert session.state.selected == name
        assert explorer.views.detail.state["name"] == name
    shown = explorer.views.tensors.columns["names"]
    assert all(text.isprintable() for text in shown)
    labels = explorer.views.overview.figure.data[0].text
    assert not any("<" in label or "\n" in label or "\u202e" in label for label in labels)
    assert max(map(len, labels)) < 400


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(50, np.float32), "every value is 0"),
        (np.full(50, np.nan, np.float32), "NaN"),
        (np.array([1.0, np.nan, np.inf], np.float32), "infinite"),
        (np.zeros(0, np.float32), "no values"),
        (np.full(50, 2.5, np.float32), "every value is the same"),
    ],
    ids=["zero", "nan", "some", "empty", "constant"],
)
def test_a_tensor_with_odd_values_is_explained(make_explorer, values, said):
    session = synthetic_session(names=["in", "odd", "out"], special={"odd": values})
    explorer = make_explorer(session)
    session.step()
    send(explorer.views.tensors, type="select", index=1)
    assert any(said in note for note in explorer.views.detail.state["notes"])
    assert notice(explorer) == ""
    assert session.state.selected == "odd"


def test_a_failing_batch_is_shown_with_what_to_do(make_explorer):
    class Failing(MadeUpRunner):
        def infer(self, feeds):
            if self._batch == 1:
                raise DataError("image cat.jpg cannot be read: mend or remove it")
            return super().infer(feeds)

    session = CalibrationSession(
        Failing(chain_graph(["in", "out"])), {"in": np.zeros((8, 1, 10, 10), np.float32)}, batch_size=4
    )
    explorer = make_explorer(session)
    send(explorer.views.stepper, type="play")
    state = explorer.views.stepper.state
    assert state["phase"] == "failed"
    assert "cat.jpg" in state["message"]
    assert state["message_kind"] == "error"
    assert session.status.recorded == 1
    assert notice(explorer) == ""


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def held_session(n_samples):
    """Return a session whose runs tell when they are inside the model, and wait there to be let go."""
    inside, go_on = threading.Event(), threading.Event()

    class Slow(MadeUpRunner):
        def infer(self, feeds):
            inside.set()
            assert go_on.wait(20)
            return super().infer(feeds)

    data = {"in": np.zeros((n_samples, 1, 10, 10), np.float32)}
    return CalibrationSession(Slow(chain_graph(["in", "out"])), data, batch_size=4), inside, go_on


def test_a_run_in_another_thread_can_be_cancelled(make_explorer):
    session, inside, go_on = held_session(12)
    with ThreadPoolExecutor(1) as pool:
        explorer = make_explorer(session, executor=pool)
        send(explorer.views.stepper, type="play")
        assert inside.wait(20)
        until(lambda: explorer.views.stepper.state["running"])  # told by the thread that runs
        send(explorer.views.stepper, type="play")  # a second run is not started
        send(explorer.views.stepper, type="cancel")
        go_on.set()
    assert session.status.phase == "cancelled"
    assert session.status.recorded == 1
    assert explorer.views.stepper.state["phase"] == "cancelled"


def test_forward_pressed_in_a_hurry_loses_no_step(make_explorer):
    session, inside, go_on = held_session(20)
    with ThreadPoolExecutor(1) as pool:
        explorer = make_explorer(session, executor=pool)
        send(explorer.views.stepper, type="forward")
        assert inside.wait(20)
        send(explorer.views.stepper, type="forward")
        send(explorer.views.stepper, type="forward")
        go_on.set()
        until(lambda: session.state.position == 3 and session.status.phase == "paused")
        until(lambda: not explorer.views.stepper.state["running"])
    assert session.status.recorded == 3


def test_export_writes_a_cache_and_asks_before_replacing(explorer, tmp_path):
    path = tmp_path / "calibration.cache"
    fields = {"algorithm": "", "version": "8.6.1", "rows": "tensorrt", "path": str(path)}
    send(explorer.views.export, type="export_write", replace=False, **fields)
    cache = CalibrationCache.read(path)
    assert cache.header == "TRT-8601-EntropyCalibration2"
    assert cache.to_bytes() == explorer.session.to_cache(version="8.6.1").to_bytes()
    assert explorer.views.export.state["exists"]
    assert explorer.views.export.state["result_kind"] == "ok"
    drag_line(explorer, 0.5)
    send(explorer.views.export, type="export_write", replace=False, **fields)
    assert "exists already" in explorer.views.export.state["result"]
    assert CalibrationCache.read(path).to_bytes() == cache.to_bytes()
    send(explorer.views.export, type="export_write", replace=True, **fields)
    assert CalibrationCache.read(path).amax[explorer.session.state.selected] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "11.0"}, "11"),
        ({"version": "x"}, "version"),
        ({"path": " "}, "name"),
        ({"rows": "none"}, "rows"),
        ({"path": "/"}, "folder"),
        ({"algorithm": "Nope"}, "Nope"),
    ],
)  # fmt: skip
def test_an_export_that_cannot_be_says_why(explorer, tmp_path, change, said):
    fields = {"algorithm": "", "version": "8.6.1", "rows": "tensorrt", "path": str(tmp_path / "c"), **change}
    send(explorer.views.export, type="export_write", replace=False, **fields)
    state = explorer.views.export.state
    assert state["result_kind"] == "error"
    assert said in state["result"]
    assert not (tmp_path / "c").exists()


def test_the_preview_is_made_only_while_it_is_open(explorer):
    assert explorer.views.export.state["preview"] == ""
    send(explorer.views.export, type="export_preview", open=True)
    assert explorer.views.export.state["preview"].splitlines()[0] == "TRT-101601-EntropyCalibration2"
    assert len(explorer.views.export.state["preview"].splitlines()) == 13


def test_a_tensor_with_two_minima_that_rounding_decides_between_says_so(explorer, monkeypatch):
    session = explorer.session
    name = session.state.selected
    real = session.curve(name, "entropy")
    objective = np.full_like(real.objective, 5.0)
    objective[[100, 700]] = 1.0, 1.001
    shape = dataclasses.replace(real, objective=objective, pick=228)
    monkeypatch.setattr(type(session), "curve", lambda *_: shape)
    notes = detail_state(session, histogram_plot(session, name))["notes"]
    assert any(note.startswith("two minima, nearly equal") and "0.1 %" in note for note in notes)
    session.choose_all("minmax")
    notes = detail_state(session, histogram_plot(session, name))["notes"]
    assert not any(note.startswith("two minima") for note in notes)


def test_absurd_scales_are_said_before_the_export(make_explorer):
    data = np.random.default_rng(0).normal(size=(40, 1, 28, 28)).astype(np.float32)
    data[7, 0, 0, 0] = np.finfo(np.float32).min
    session = CalibrationSession(sample.model_path(), data, batch_size=20)
    session.run()
    state = make_explorer(session).views.export.state
    assert state["result_kind"] == "warn"
    absurd = [row.name for row in session.table() if row.absurd and row.name in session.calibrated]
    assert "data" in absurd
    assert state["result"].startswith(f"{len(absurd)} tensor")
    assert "absurd" not in export_state(session, ExportForm(), n_rows=1, n_mine=1)["result"]


def test_a_cache_that_the_installed_tensorrt_would_ignore_is_said_before_it_is_written(explorer, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
    fields = {"algorithm": "", "rows": "tensorrt", "path": "c.cache"}
    send(explorer.views.export, type="export_set", version="10.16.1", **fields)
    state = explorer.views.export.state
    assert state["result_kind"] == "warn"
    assert "TensorRT 8.6.1 would ignore this file without a word" in state["result"]
    assert "six digits (101601" in state["result"]
    assert "write 8.6.1 in the field TensorRT" in state["result"]
    send(explorer.views.export, type="export_set", version="8.6.1", **fields)
    assert explorer.views.export.state["result"] == ""


def test_three_thousand_tensors_cost_little_to_look_at(make_explorer):
    explorer = make_explorer(synthetic_session(3000, batches=2))
    explorer.session.step()
    with count_traffic() as selecting:
        send(explorer.views.tensors, type="select", index=1500)
    drag_line(explorer, 0.4)  # the list learns the word "mine"
    with count_traffic() as dropping:
        drag_line(explorer, 0.5)
    assert explorer.views.tensors.patch["index"] == [1500]
    assert explorer.views.tensors.rows["amax"][1500] == 0.5
    assert selecting.bytes < 60_000
    assert dropping.bytes < 100_000  # 72,000 of them are the overview's dashes
    assert state_bytes(explorer.views.tensors) < 400_000


def test_a_saved_session_without_its_model_can_be_explored(make_explorer, tmp_path):
    session = synthetic_session(6)
    session.run()
    session.save(tmp_path / "s.trtcal")
    explorer = make_explorer(CalibrationSession.load(tmp_path / "s.trtcal"))
    assert "without its model" in explorer.views.stepper.state["message"]
    send(explorer.views.stepper, type="back")
    assert explorer.session.state.position == 3
    send(explorer.views.stepper, type="last")
    assert explorer.session.state.position == 4
    drag_line(explorer, 0.5)
    assert explorer.session.amax(explorer.session.state.selected) == 0.5
    session.close()


def test_arguments_are_checked(explorer):
    with pytest.raises(UsageError, match="CalibrationSession"):
        CalibrationExplorer("model.onnx")
    with pytest.raises(TypeError, match="colour"):
        CalibrationExplorer(explorer.session, colour="red")


def test_a_closed_explorer_hears_nothing_more(explorer):
    explorer.close()
    renders = explorer.binding.renders
    explorer.session.back()
    assert explorer.binding.renders == renders


def test_more_panels_can_be_added(explorer):
    import ipywidgets

    panel = ipywidgets.Label("later")
    explorer.add_panel(panel)
    assert explorer.children[-1] is panel


def test_a_figure_that_is_read_later_is_up_to_date(explorer):
    drag_line(explorer, 0.03125)
    state = explorer.views.histogram.figure.get_state()
    assert state["_widget_layout"]["shapes"][0]["x0"] == 0.03125


def test_the_display_has_a_picture_for_a_notebook_without_kernel(explorer):
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    import base64

    assert base64.b64decode(bundle["image/png"])[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_fp8_would_cost_stands_beside_int8(explorer):
    from trtcal_widgets.core.fp8 import fp8_cost
    from trtcal_widgets.widgets.kit.formatting import exact

    session = explorer.session
    session.step()
    name = next(name for name in session.tensors if session.row(name).sqnr_db > 0)
    explorer.select(name) if hasattr(explorer, "select") else explorer.views.tensors
    row = session.row(explorer.views.detail.state["name"])
    cells = {cell["key"]: cell for cell in explorer.views.numbers.state["numbers"]}
    assert cells["fp8"]["exact"] == exact(fp8_cost(session.histogram(row.name), row.amax).sqnr_db)
    assert list(cells).index("fp8") == list(cells).index("sqnr") + 1


def test_a_cache_of_another_model_is_replaced_only_when_asked_twice(explorer, tmp_path):
    path = tmp_path / "there.cache"
    form = {"algorithm": "", "version": "8.6.1", "rows": "tensorrt", "path": str(path)}
    write = {"type": "export_write", **form}
    theirs = CalibrationCache.build({f"other{k}": 0.5 for k in range(4)}, version="8.6.1").to_bytes()
    path.write_bytes(theirs)
    send(explorer.views.export, **write, replace=True)
    assert path.read_bytes() == theirs
    state = explorer.views.export.state
    assert "another model: 4 of its 4 rows" in state["result"]
    assert state["result_kind"] == "warn"
    send(explorer.views.export, **write, replace=True)
    assert "Replaced" in explorer.views.export.state["result"]
    assert set(CalibrationCache.read(path).scales) == set(explorer.session.to_cache(version="8.6.1").scales)
    send(explorer.views.export, **write, replace=True)
    assert "Replaced" in explorer.views.export.state["result"], "its own file needs no question"
    path.write_text("no scales at all")
    send(explorer.views.export, **write, replace=True)
    assert path.read_text() == "no scales at all"
    assert "no file of scales" in explorer.views.export.state["result"]


def test_the_weights_behind_a_tensor_are_drawn_by_channel(make_explorer):
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
    explorer = make_explorer(session)
    figure = explorer.views.weights.figure
    assert figure.layout.annotations[0].visible, "before anything is counted"
    session.step()
    session.update(selected="conv1")
    found = session.weight_channels("conv1")
    places = np.concatenate([trace.x for trace in figure.data])
    assert sorted(places.tolist()) == list(range(20))
    assert list(figure.data[1].x) == np.flatnonzero(found.starved).tolist()
    np.testing.assert_array_equal(figure.data[0].base, found.minimum[list(figure.data[0].x)])
    assert "conv1 (Conv) · 20 channels" in explorer.views.weights_caption.state["note"]
    drawn = explorer.binding._parts.weights
    session.step()
    assert explorer.binding._parts.weights is drawn, "a batch does not change weights"
    session.update(selected="pool1")
    assert "1 operator before" in explorer.views.weights_caption.state["note"]
    session.update(selected="data")
    assert figure.layout.annotations[0].visible
    assert len(figure.data[0].x) == 0


def test_signs_are_counted_when_asked_for_and_for_that_tensor_alone(make_explorer):
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2)
    explorer = make_explorer(session)
    figure, caption = explorer.views.signed.figure, explorer.views.signed_caption
    send(caption, type="signed")
    assert "no batch is counted yet" in notice(explorer)
    explorer.binding.running = True
    send(caption, type="signed")
    assert "runs already: pause it" in notice(explorer), "said, and not queued behind the run"
    explorer.binding.running = False
    session.step()
    session.update(selected="conv1")
    send(caption, type="signed")
    assert not notice(explorer)
    assert not figure.layout.annotations[0].visible
    assert caption.state["note"] == "batch 1 alone, 50 samples"
    assert [trace.x[0] for trace in figure.data[1:]] == [-session.amax("conv1"), session.amax("conv1")]
    session.choose("conv1", amax=1.5)
    assert figure.data[2].x[0] == 1.5
    session.choose("conv1", amax=9.0)
    assert min(map(abs, figure.layout.xaxis.range)) > 9, "both lines are on the axis"
    session.choose("conv1", amax=900.0)
    assert max(map(abs, figure.layout.xaxis.range)) < 9, "and do not hide the values"
    session.update(selected="conv2")
    assert figure.layout.annotations[0].visible
    assert not figure.data[0].visible
