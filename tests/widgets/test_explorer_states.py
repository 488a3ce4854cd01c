"""States of the explorer that are easily forgotten: what is drawn, and what is said about what to do."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.widgets.front_end import HeldExecutor, send
from tests.widgets.synthetic import MadeUpRunner, chain_graph, synthetic_session
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.rows import _suspicions
from trtcal_widgets.widgets.explorer import CalibrationExplorer
from trtcal_widgets.widgets.explorer.histogram_view import _log_ticks
from trtcal_widgets.widgets.kit.figures import lanes

RNG = np.random.default_rng(3)


def layout(view):
    return view.figure.layout


def note_of(view):
    """What is written into an empty plot, in one line; nothing where it is not empty."""
    note = layout(view).annotations[-1]
    return note.text.replace("<br>", " ") if note.visible else ""


def select(explorer, name):
    send(explorer.views.tensors, type="select", index=explorer.session.tensors.index(name))


@pytest.fixture
def odd(make_explorer):
    """Tensors that are all zero, without values, all NaN, and far larger and smaller than the others."""
    names = ["in", "zero", "empty", "nan", "huge", "tiny", "out", "more"]
    special = {
        "zero": np.zeros(50, np.float32),
        "empty": np.zeros(0, np.float32),
        "nan": np.full(50, np.nan, np.float32),
        "huge": np.full(50, -3.4e38, np.float32),
        "tiny": np.full(50, 1e-30, np.float32),
    }
    session = synthetic_session(names=names, special=special)
    session.run()
    return make_explorer(session)


@pytest.mark.parametrize(
    ("name", "said"), [("zero", "every value is 0"), ("empty", "no values in the counted"), ("nan", "no finite value")]
)
def test_a_tensor_without_a_histogram_says_why_and_draws_none(odd, name, said):
    select(odd, name)
    histogram = odd.views.histogram
    assert said in note_of(histogram)
    assert len(histogram.figure.data[0].y) == 0
    assert not any(note.visible for note in layout(histogram).annotations[:-1]), "no labels of lines at 0"
    assert layout(histogram).shapes[0].visible is False
    select(odd, "out")
    assert note_of(histogram) == ""
    assert len(histogram.figure.data[0].y) > 100


def test_thresholds_of_a_tensor_without_values_have_no_way(odd):
    select(odd, "empty")
    assert len(odd.session.trace("empty").positions) == 0
    assert note_of(odd.views.trace) == "no values in the counted batches"
    select(odd, "zero")
    assert note_of(odd.views.trace) == ""
    np.testing.assert_array_equal(odd.session.trace("zero").amax["entropy"], np.zeros(4))


def test_one_enormous_tensor_does_not_hide_the_others(odd):
    low, high = layout(odd.views.overview).yaxis.range
    usual = np.log10(odd.session.row("more").maximum)
    assert low < usual < high
    assert high - low <= 6
    assert "2 off the axis" in odd.views.overview_caption.state["note"]
    assert layout(odd.views.overview).yaxis2.range == (high, low)


def test_before_the_first_batch_every_empty_plot_says_something(make_explorer):
    explorer = make_explorer(synthetic_session(5))
    for view in (explorer.views.histogram, explorer.views.trace, explorer.views.overview):
        assert "first batch" in note_of(view)
    message = explorer.views.stepper.state["message"]
    assert message.startswith("Nothing is counted yet: press →"), "what to do comes first"
    send(explorer.views.stepper, type="forward")
    assert [note_of(v) for v in (explorer.views.histogram, explorer.views.trace, explorer.views.overview)] == [""] * 3


@pytest.mark.parametrize("n", [3, 9, 10])
def test_names_below_the_overview_have_room(make_explorer, n):
    """At 1280 pixels the plot is 375 wide, and a letter takes 5.4."""
    texts = layout(make_explorer(synthetic_session(n)).views.overview).xaxis.ticktext
    assert len(texts) == n
    assert all(5.4 * (len(a) + len(b)) / 2 < 375 / n for a, b in itertools.pairwise(texts))


def test_short_names_below_the_overview_are_whole_and_many_are_left_to_the_pointer(make_explorer):
    names = ["data", "conv1", "pool1", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2", "prob"]
    assert layout(make_explorer(synthetic_session(names=names)).views.overview).xaxis.ticktext == tuple(names)
    assert layout(make_explorer(synthetic_session(11)).views.overview).xaxis.ticktext is None


class Broken:
    """A list of batches of which some cannot be read."""

    def __init__(self, bad):
        self.bad = bad

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i == self.bad:
            raise OSError("the disk is gone")
        return {"in": np.zeros((4, 8), np.float32)}


@pytest.mark.parametrize("bad", [0, 2])
def test_a_failure_is_told_in_whole_sentences_and_once(make_explorer, bad):
    runner = MadeUpRunner(chain_graph(["in", "mid", "out"]))
    explorer = make_explorer(CalibrationSession(runner, Broken(bad)))
    send(explorer.views.stepper, type="play")
    message = explorer.views.stepper.state["message"]
    assert message.lower().count(f"batch {bad}") == 1
    assert "the disk is gone. " in message
    assert message.endswith("Mend the cause and press ▶ to go on.")
    assert ("before it are kept" in message) == (bad > 0)


def test_the_first_of_two_passes_says_what_it_is_for(make_explorer):
    session = CalibrationSession(
        sample.model_path(), sample.calibration_images(), batch_size=100, range_mode="two-pass"
    )
    explorer = make_explorer(session)
    heard = []
    explorer.views.stepper.observe(lambda change: heard.append(change["new"]["message"]), "state")
    send(explorer.views.stepper, type="play")
    assert heard[1].startswith("The first of two passes")
    assert any(message.startswith("Running") for message in heard)
    session.close()


def test_constants_of_one_value_are_not_suspicious():
    """A detection network has a hundred of them: they would hide what is."""
    histogram = Histogram.of(np.full(50, 2.5, np.float32))
    cost = NoiseModel(histogram).cost(2.5)
    assert list(_suspicions(TensorKind.ACTIVATION, histogram, cost, 1.0, infinite=False)) == ["every value is the same"]
    assert list(_suspicions(TensorKind.CONSTANT, histogram, cost, 1.0, infinite=False)) == []


@pytest.mark.parametrize(("low", "high"), [(0.02, 3.0), (1e-9, 5.0), (0.3, 0.31), (0.05, 0.9), (1.0, 10.0)])
def test_ticks_of_the_objective_have_room(low, high):
    ticks = _log_ticks(low, high)
    assert len(ticks) <= 4
    assert all(low <= t <= high for t in ticks)


def test_labels_of_two_lines_keep_a_gap():
    """Six pixels a letter, a glyph, and bold type are wider than they were taken for: these two touched."""
    left, right = lanes([0.83, 0.934], [7, 3])
    assert left.lane != right.lane


def test_the_chosen_tensor_does_not_wait_for_thousands_of_rows():
    """The rows of a view that was not looked at yet are made beside the main thread, and drawn when they are there."""
    held = HeldExecutor()
    session = synthetic_session(900, batches=3)
    session.run()
    explorer = CalibrationExplorer(session, executor=held)
    held.go()
    full = list(explorer.views.tensors.rows["sqnr"])
    assert "follow" not in explorer.views.overview_caption.state["note"]
    session.back()
    counted = next(n for n in explorer.views.numbers.state["numbers"] if n["key"] == "values")
    assert counted["exact"] == "800", "two batches of 400: this is drawn already"
    assert explorer.views.tensors.rows["sqnr"] == full
    assert "numbers follow" in explorer.views.overview_caption.state["note"]
    session.back()
    held.go()
    assert explorer.views.tensors.rows["sqnr"][5] == pytest.approx(session.row(session.tensors[5]).sqnr_db, rel=1e-2)
    assert explorer.views.tensors.rows["sqnr"] != full
    assert "follow" not in explorer.views.overview_caption.state["note"]
    assert session.pending_rows() == 0
    session.update(position=3)
    assert explorer.views.tensors.rows["sqnr"] == full, "known from before: at once"
    explorer.close()


def test_the_list_follows_a_run_whose_next_batch_is_long_in_coming():
    """With an event loop, as in a kernel: what was too early to draw is drawn a little later."""
    import asyncio
    import threading

    gate = threading.Event()

    class Slow:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i == 3:
                gate.wait(30)
            return {"in": np.zeros((4, 8), np.float32)}

    async def look():
        session = CalibrationSession(MadeUpRunner(chain_graph([f"t{k}" if k else "in" for k in range(40)])), Slow())
        explorer = CalibrationExplorer(session, executor=pool)
        send(explorer.views.stepper, type="play")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            shown = explorer.views.tensors.rows["sqnr"][1]
            if session.state.position == 3 and shown == pytest.approx(session.row("t1").sqnr_db, rel=1e-3):
                break
        else:
            pytest.fail(f"the list says {shown} dB, and nobody will correct it before the next batch")
        assert session.status.phase == "running"
        gate.set()
        explorer.close()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(look())
