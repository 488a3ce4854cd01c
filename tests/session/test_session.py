"""A session on the bundled LeNet and on a toy: stepping, excluding, choosing, undoing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.toy import ToyRunner, toy_graph
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets import sample
from trtcal_widgets.core.calibrate import calibrate_array
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.errors import DataError, ExportError, ModelError, SessionError, UsageError
from trtcal_widgets.session import CalibrationSession, Choice

if TYPE_CHECKING:
    from trtcal_widgets.core.histogram import Histogram

RNG = np.random.default_rng(5)
# Batches whose range doubles on the way, and one that is far larger than the others.
DATA = (RNG.standard_normal((24, 4)) * np.repeat([1, 2, 1, 9, 0.5, 3], 4)[:, None]).astype(np.float32)


def toy_session(data=DATA, batch_size=4, runner=None, **options):
    return CalibrationSession(runner or ToyRunner(), ArrayBatches(data), batch_size=batch_size, **options)


def assert_same_counts(a: Histogram, b: Histogram) -> None:
    assert (a.base, a.doublings, a.edge, a.zeros) == (b.base, b.doublings, b.edge, b.zeros)
    np.testing.assert_array_equal(a.counts, b.counts)


@pytest.fixture(scope="module")
def lenet():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run()
        yield session


@pytest.fixture
def session():
    with toy_session() as session:
        yield session


def test_lenet_gives_the_number_of_nvidias_table(lenet):
    cache = lenet.to_cache(version="7.0.0")
    assert cache.header == "TRT-7000-EntropyCalibration2"
    assert cache.hex("data") == "3c008912"


def test_lenet_conv1_and_pool1_share_a_scale_decided_by_conv1(lenet):
    assert lenet.group("pool1") == ("conv1", "pool1")
    assert lenet.amax("pool1") == lenet.amax("conv1") == lenet.curve("conv1", "entropy").amax
    assert lenet.to_cache().hex("pool1") == lenet.to_cache().hex("conv1")


def test_every_calibrated_tensor_has_a_row_and_weights_have_none(lenet):
    names = list(lenet.to_cache().scales)
    assert names == list(lenet.calibrated)
    assert {"data", "conv1", "pool1", "conv2", "pool2", "ip1", "ip2", "prob"} <= set(names)
    assert not any("weight" in name for name in names)


def test_ranges_to_train_with_are_those_of_the_activations_that_have_one(lenet):
    found = lenet.to_torch_quantizers()
    assert found == {name: lenet.amax(name) for name in lenet.row_names("activations")}
    assert {"data", "conv1", "prob"} <= set(found)
    with toy_session(data=np.zeros((4, 4), np.float32)) as session:
        session.run()
        assert session.to_torch_quantizers() == {}


def test_step_counts_one_batch_and_says_when_there_is_no_more(session):
    assert [session.step() for _ in range(7)] == [True] * 6 + [False]
    assert session.state.position == session.status.recorded == 6
    assert session.status.phase == "finished"


def test_one_pass_equals_calibrate_array_over_the_same_batches(session):
    session.run()
    expected = calibrate_array(np.split(DATA, 6))
    assert_same_counts(session.histogram("x"), expected.histogram)
    assert session.amax("x") == expected.amax
    assert session.scale("x") == expected.scale


def test_two_pass_does_not_depend_on_order_or_batch_size():
    results = []
    for data, size in [(DATA, 4), (DATA[::-1].copy(), 4), (DATA, 8), (DATA, 24)]:
        with toy_session(data, size, range_mode="two-pass") as session:
            session.run()
            results.append(session.histogram("x"))
    for other in results[1:]:
        assert_same_counts(results[0], other)
    assert results[0].range == np.abs(DATA).max()
    assert_same_counts(results[0], calibrate_array([DATA], range_mode="two-pass").histogram)


def test_back_and_seek_run_the_model_only_for_what_is_not_recorded():
    runner = ToyRunner()
    with toy_session(runner=runner) as session:
        session.seek(4)
        assert (runner.batches, session.state.position) == (4, 4)
        session.back()
        session.seek(1)
        session.seek(3)
        session.step()
        assert (runner.batches, session.state.position) == (4, 4)
        assert_same_counts(session.histogram("x"), calibrate_array(np.split(DATA, 6)[:4]).histogram)
        session.seek(0)
        assert session.histogram("x").n_values == 0
        assert session.back() is False
        with pytest.raises(UsageError, match="0 to 6"):
            session.seek(7)


@pytest.mark.parametrize("excluded", [{3}, {1, 4}, {5}, {1, 2, 3, 4, 5}])
def test_excluding_equals_a_run_without_those_batches(session, excluded):
    session.run()
    for batch in excluded:
        session.exclude(batch)
    kept = [b for i, b in enumerate(np.split(DATA, 6)) if i not in excluded]
    assert_same_counts(session.histogram("x"), calibrate_array(kept).histogram)
    for batch in excluded:
        session.include(batch)
    assert_same_counts(session.histogram("x"), calibrate_array(np.split(DATA, 6)).histogram)


def test_excluding_does_not_run_the_model():
    runner = ToyRunner()
    with toy_session(runner=runner) as session:
        session.run()
        session.exclude(2)
        session.exclude(0)
        session.table()
        assert runner.batches == 6


def test_excluding_a_batch_ahead_of_the_position_leaves_it_out_when_it_comes(session):
    session.exclude(1)
    session.run()
    assert_same_counts(session.histogram("x"), calibrate_array([DATA[:4], *np.split(DATA, 6)[2:]]).histogram)
    with pytest.raises(UsageError, match="0 to 5"):
        session.exclude(6)
    with pytest.raises(UsageError, match="0 to 5"):
        session.exclude(-1)


def test_stepping_one_by_one_gives_what_seeking_gives():
    with toy_session() as stepped, toy_session() as sought:
        for position in range(1, 7):
            stepped.step()
            stepped.table()  # fills the caches that the next step must move on
            sought.seek(position)
            assert_same_counts(stepped.histogram("r0"), sought.histogram("r0"))
            assert stepped.row("r1") == sought.row("r1")


def test_a_choice_moves_the_whole_group_and_undo_takes_it_back(session):
    session.run()
    before = session.amax("r0")
    session.choose("r1", amax=1.5)
    assert session.amax("r0") == session.amax("r1") == 1.5
    assert session.is_mine("r0")
    session.choose("r0", method="minmax")
    assert session.amax("r1") == session.histogram("r0").amax
    session.undo()
    assert session.amax("r1") == 1.5
    session.undo()
    assert session.amax("r1") == before
    assert not session.is_mine("r1")
    session.redo()
    assert session.choice("r0") == Choice(amax=1.5)
    session.reset("r1")
    assert session.choice("r0") is None


def test_undo_covers_excluding_and_the_method_for_all_but_not_where_one_looks(session):
    session.run()
    session.exclude(3)
    session.choose("x", amax=2.0)
    session.choose_all("minmax")
    session.update(selected="r0")
    assert not session.state.choices
    session.undo()
    assert (str(session.state.method), session.amax("x"), session.state.selected) == ("entropy", 2.0, "r0")
    session.undo()
    session.undo()
    assert session.state.excluded == frozenset()
    assert not session.can_undo
    session.undo()  # nothing to undo is not an error
    for _ in range(3):
        session.redo()
    assert (str(session.state.method), session.can_redo) == ("minmax", False)


def test_a_value_of_ones_own_survives_new_batches(session):
    session.step()
    session.choose("x", amax=0.1)
    session.run()
    assert session.amax("x") == np.float32(0.1)
    assert session.cost("x").clipped_fraction > 0.5


@pytest.mark.parametrize("amax", [0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-60])
def test_a_threshold_that_cannot_be_a_scale_is_refused(session, amax):
    with pytest.raises(UsageError, match="greater than 0"):
        session.choose("x", amax=amax)
    assert session.state.revision == 0


def test_choosing_needs_exactly_one_of_method_and_amax_and_a_known_tensor(session):
    with pytest.raises(UsageError, match="either a method or an amax"):
        session.choose("x")
    with pytest.raises(UsageError, match="either a method or an amax"):
        session.choose("x", method="entropy", amax=1.0)
    with pytest.raises(UsageError, match="no method 'kld'"):
        session.choose("x", method="kld")
    with pytest.raises(ModelError, match="did you mean 'r0'"):
        session.choose("r00", amax=1.0)


def test_weights_cannot_be_chosen_for(lenet):
    weight = next(name for name in lenet.tensors if "weight" in name)
    with pytest.raises(UsageError, match="per channel"):
        lenet.choose(weight, amax=1.0)
    assert lenet.row(weight).method == "minmax"


def test_subscribers_hear_once_per_change_of_what_changed(session):
    heard = []
    unsubscribe = session.subscribe(heard.append)
    session.choose("x", amax=1.0)
    session.choose("x", amax=1.0)  # no change, no call
    session.update(selected="r0")
    session.update(selected="r0", method="mse", excluded={1})
    assert heard == [{"choices"}, {"selected"}, {"method", "excluded", "data"}]
    unsubscribe()
    session.undo()
    assert len(heard) == 3


def test_a_step_tells_of_the_batch_once(session):
    heard = []
    session.subscribe(heard.append)
    session.step()
    assert [set(h) for h in heard if "data" in h] == [{"data", "position", "status"}]


def test_update_refuses_what_does_not_fit(session):
    for change in ({"position": 1}, {"position": -1}, {"colour": "red"}, {"method": "magic"}):
        with pytest.raises(UsageError):
            session.update(**change)
    with pytest.raises(ModelError):
        session.update(selected="nothing")
    assert session.state.revision == 0


def test_a_failing_batch_keeps_the_batches_before_it():
    runner = ToyRunner(fail_at=3, error=DataError("image 13 is broken"))
    with toy_session(runner=runner) as session:
        with pytest.raises(DataError, match="image 13"):
            session.run()
        assert (session.status.phase, session.status.recorded, session.state.position) == ("failed", 3, 3)
        assert "image 13 is broken" in session.status.message
        assert_same_counts(session.histogram("r1"), relu_histogram(np.split(DATA, 6)[:3]))
        session.run()  # the runner fails once; trying again goes on where it stopped
        assert session.status.phase == "finished"
        assert_same_counts(session.histogram("x"), calibrate_array(np.split(DATA, 6)).histogram)


def relu_histogram(batches):
    return calibrate_array([np.maximum(b, 0) for b in batches]).histogram


def test_a_kernel_interrupt_leaves_the_last_whole_batch():
    runner = ToyRunner(fail_at=2, error=KeyboardInterrupt())
    with toy_session(runner=runner) as session:
        with pytest.raises(KeyboardInterrupt):
            session.run()
        assert (session.status.phase, session.status.recorded, session.state.position) == ("paused", 2, 2)
        # Batch 2 gave x before it was interrupted: no tensor may have more batches than another.
        assert session.histogram("x").n_values == session.histogram("r1").n_values == 2 * 16


@pytest.mark.parametrize("range_mode", ["tensorrt", "two-pass"])
def test_what_was_merged_while_running_is_what_is_merged_afterwards(range_mode):
    with toy_session(range_mode=range_mode) as session:
        session.run()
        while_running = [session.histogram(name) for name in session.tensors]
        session.exclude(0)
        session.include(0)
        for name, before in zip(session.tensors, while_running, strict=True):
            after = session.histogram(name)
            assert after is not before
            assert_same_counts(after, before)
            assert (after.minimum, after.maximum) == (before.minimum, before.maximum)
            assert (after.n_finite, after.total, after.sum_squares) == (
                before.n_finite,
                before.total,
                before.sum_squares,
            )


@pytest.mark.parametrize("excluded", [0, 3, 4])
def test_excluding_a_batch_while_one_is_being_counted(excluded):
    def exclude(index):
        if index == 3:
            session.exclude(excluded)

    with toy_session(runner=ToyRunner(on_batch=exclude)) as session:
        session.run()
        kept = [b for i, b in enumerate(np.split(DATA, 6)) if i != excluded]
        with toy_session() as whole:
            whole.run()
            whole.exclude(excluded)
            assert_same_counts(session.histogram("r1"), whole.histogram("r1"))
        assert session.histogram("x").n_values == sum(b.size for b in kept)


def test_looking_back_while_a_batch_is_being_counted():
    def back(index):
        if index == 3:
            session.back()

    with toy_session(runner=ToyRunner(on_batch=back)) as session:
        session.run(until=4)
        assert session.state.position == 4
        assert_same_counts(session.histogram("x"), calibrate_array(np.split(DATA, 6)[:4]).histogram)


def test_cancel_stops_after_the_present_batch_and_a_second_run_is_refused():
    started, go_on = threading.Event(), threading.Event()

    def hold(index):
        if index == 1:
            started.set()
            assert go_on.wait(20)

    with toy_session(runner=ToyRunner(on_batch=hold)) as session:
        thread = threading.Thread(target=session.run)
        thread.start()
        assert started.wait(20)
        with pytest.raises(SessionError, match="already"):
            session.run()
        session.cancel()
        go_on.set()
        thread.join(20)
        assert not thread.is_alive()
        assert (session.status.phase, session.status.recorded) == ("cancelled", 2)
        assert session.status.message == "Stopped after 2 whole batches; go on at any time."  # by pause or cancel
        session.run()
        assert session.status.phase == "finished"


def test_progress_is_told_after_every_batch():
    told = []
    with toy_session(DATA[:22]) as session:
        session.run(progress=told.append)
    assert [s.recorded for s in told] == [1, 2, 3, 4, 5]
    assert told[-1].dropped == 2
    assert told[-1].n_samples == 20
    assert told[0].seconds_left is not None


def test_nan_and_inf_are_counted_and_never_set_a_range():
    data = DATA.copy()
    data[0, 0], data[1, 1], data[9, 2] = np.nan, np.inf, -np.inf
    clean = [b[np.isfinite(b)] for b in np.split(data, 6)]
    with toy_session(data) as session:
        session.run()
        row = session.row("x")
        assert (row.nans, row.infs) == (1, 2)
        assert any("NaN" in text for text in row.suspicious)
        assert any("infinite" in text for text in row.suspicious)
        np.testing.assert_array_equal(session.histogram("x").counts, calibrate_array(clean).histogram.counts)


def test_a_tensor_of_nan_alone_has_no_threshold_and_says_so():
    data = DATA.copy()
    data[:] = np.nan
    with toy_session(data) as session:
        session.run()
        assert any(text.startswith("every value is NaN: there is no threshold") for text in session.row("x").suspicious)


def test_what_tensorrt_would_write_for_infinite_values_is_said_and_can_be_written():
    first, later = DATA.copy(), DATA.copy()
    first[0, 1], later[-1, 1] = np.inf, np.inf
    with toy_session(first) as session:
        session.run()
        assert "1 value is infinite and left out; TensorRT would write an infinite scale" in session.row("x").suspicious
        assert np.isfinite(session.to_cache().scales["x"])
        assert session.to_cache(version="8.6.1", infinite="tensorrt").hex("x") == "7f800000"
        session.choose("x", amax=2.0)
        assert session.to_cache(infinite="tensorrt").hex("x") == session.to_cache().hex("x")
        with pytest.raises(UsageError, match="infinite must be 'finite' or 'tensorrt'"):
            session.to_cache(infinite="yes")
    with toy_session(later) as session:
        session.run()
        odd = "1 value is infinite and in the last bin, as TensorRT counts them"
        assert odd in session.row("x").suspicious
        assert session.to_cache(infinite="tensorrt").hex("x") == session.to_cache().hex("x")
        assert session.amax("x") == calibrate_array(np.split(later, 6)).amax
        session.choose_all("minmax")
        assert f"{odd}; TensorRT would write an infinite scale" in session.row("x").suspicious
        assert session.to_cache(infinite="tensorrt").hex("x") == "7f800000"
    with toy_session(first, range_mode="two-pass") as session:
        session.run()
        assert "1 value is infinite and left out" in session.row("x").suspicious
        with pytest.raises(UsageError, match="two passes know no first batch"):
            session.to_cache(infinite="tensorrt")


def test_a_tensor_without_a_finite_value_has_no_extremes():
    with toy_session(np.full((8, 4), np.nan, np.float32)) as session:
        session.run()
        row = session.row("x")
    assert (row.has_data, row.nans) == (True, 32)
    assert np.isnan([row.minimum, row.maximum]).all()


@pytest.mark.parametrize("method", ["entropy", "minmax"])
@pytest.mark.parametrize("sample", [0, -1])
@pytest.mark.parametrize(
    ("value", "words"),
    [(-np.finfo(np.float32).max, "the largest number of float32"), (1e30, "all become 0"), (-3e6, "all become 0")],
)
def test_absurd_scales_are_said_until_the_user_chooses(method, sample, value, words):
    data = np.repeat(DATA, 200, axis=0)  # more than 10,000 values
    data[sample, 1] = value
    with toy_session(data, batch_size=400, method=method) as session:
        session.run()
        row = session.row("x")
        assert row.absurd
        assert row.suspicious[0].startswith("absurd scale: ±")
        assert words in row.suspicious[0]
        session.choose("x", amax=4.0)
        assert not session.row("x").absurd
        assert not any("absurd" in text for text in session.row("x").suspicious)


@pytest.mark.parametrize("factor", [1.0, 1e9])
def test_large_numbers_alone_are_not_absurd(factor):
    with toy_session(DATA * np.float32(factor)) as session:
        session.run()
        assert not any(row.absurd for row in session.table())


def test_an_all_zero_tensor_has_scale_zero_and_is_reported():
    with toy_session(np.zeros((8, 4), np.float32)) as session:
        session.run()
        assert session.to_cache().hex("x") == "0"
        assert "every value is 0" in session.row("x").suspicious[0]


def test_a_tensor_that_starts_with_zeros_takes_its_range_from_the_first_batch_with_values():
    data = np.concatenate([np.zeros((4, 4), np.float32), DATA])
    with toy_session(data) as session:
        session.run()
        assert session.histogram("x").base == np.abs(DATA[:4]).max()
        assert session.histogram("x").zeros == 16


def test_export_needs_a_counted_batch(session):
    with pytest.raises(SessionError, match="no batch is counted"):
        session.to_cache()
    session.step()
    session.exclude(0)
    with pytest.raises(SessionError, match="no batch is counted"):
        session.to_cache()


def test_rows_can_be_chosen(lenet, session):
    session.run()
    assert list(session.to_cache(rows=["r0", "x"]).scales) == ["r0", "x"]
    assert session.to_cache(algorithm="MinMaxCalibration", version="8.6.1").header == "TRT-8601-MinMaxCalibration"
    session.choose_all("minmax")
    assert session.to_cache().header == "TRT-101601-MinMaxCalibration"
    with pytest.raises(UsageError, match="rows is"):
        session.to_cache(rows="everything")
    with pytest.raises(ModelError):
        session.to_cache(rows=["nothing"])


def test_a_name_with_a_line_break_cannot_be_written():
    graph = toy_graph()
    data = graph.to_json()
    text = __import__("json").dumps(data).replace('"r0"', '"r\\n0"')
    odd = type(graph).from_json(__import__("json").loads(text))
    with toy_session(runner=ToyRunner(odd)) as session:
        session.run()
        with pytest.raises(ExportError, match=r"line break|newline"):
            session.to_cache()


def test_rows_agree_with_the_numbers_they_summarise(lenet):
    for row in lenet.table():
        histogram = lenet.histogram(row.name)
        assert (row.minimum, row.maximum) == (histogram.minimum, histogram.maximum)
        assert row.amax == lenet.amax(row.name)
        cost = lenet.cost(row.name)
        assert (row.sqnr_db, row.clipped_fraction) == (cost.sqnr_db, cost.clipped_fraction)
        assert row.disagreement >= 1


def test_a_table_is_what_its_rows_are_one_by_one_wherever_one_came_from():
    """The rows of a table are made many at once, and its searches begin where those of the view before ended."""
    with synthetic_session(150, batches=5, groups=()) as session:
        session.run()
        session.table()
        session.choose(session.calibrated[3], amax=0.25)
        session.choose(session.calibrated[4], method="percentile")
        for move in (session.back, session.back, lambda: session.exclude(0), lambda: session.update(position=4)):
            move()
            found = session.table()
            with synthetic_session(150, batches=5) as fresh:
                fresh.run()
                fresh.update(
                    position=session.state.position, excluded=session.state.excluded, choices=session.state.choices
                )
                assert [repr(row) for row in found] == [repr(fresh.row(name)) for name in fresh.tensors]


def test_the_trace_ends_where_the_session_stands(lenet):
    trace = lenet.trace("ip1", ["entropy", "minmax", "percentile:99.9"])
    assert list(trace.positions) == list(range(1, 11))
    for method, values in trace.amax.items():
        assert values[-1] == lenet.amax("ip1", method)
    np.testing.assert_array_equal(
        trace.amax["minmax"], np.maximum.accumulate(lenet.batch_amax("ip1")).astype(np.float32)
    )


@pytest.mark.parametrize("model", [None, 3, b"model.onnx"])
def test_what_is_no_model_is_refused_in_words(model):
    with pytest.raises(UsageError, match="path of an ONNX file"):
        CalibrationSession(model, DATA, batch_size=4)


def test_a_model_without_float_tensors_is_refused():
    graph = toy_graph()
    data = graph.to_json()
    for tensor in data["tensors"]:
        tensor[2] = "int64"
    with pytest.raises(SessionError, match="no floating-point tensor"):
        toy_session(runner=ToyRunner(type(graph).from_json(data)))
