"""Merging many tensors of the store at once, against merging them one by one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.widgets.synthetic import synthetic_session
from trtcal_widgets.core.histogram import N_BINS, Histogram, combine, replay
from trtcal_widgets.core.packed import GROUPED, RECORD, Merging, encode, histogram_of, plausible, record_of
from trtcal_widgets.errors import SessionError
from trtcal_widgets.session.keeping.totals import Totals
from trtcal_widgets.session.store import BatchStore

# Edges of the first range (2048 bins over 1.0) and of its doublings, zeros of both signs, what is in no bin, and sums
# that float64 rounds.
_VALUES = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 2.0, -4.0, 1 / 2048, 0.75, -0.3, 1e-30, 3e9, 1e30, np.nan, np.inf, -np.inf]
)
_ARRAYS = st.lists(_VALUES, max_size=12).map(lambda values: np.array(values, np.float32))
_BATCHES = st.lists(st.lists(st.none() | _ARRAYS, min_size=5, max_size=5), min_size=1, max_size=5)


def kept(batches, *, same_base=True):
    """A store of batches of arrays, five tensors each; None where a batch lacks the tensor."""
    names = [f"t{k}" for k in range(5)]
    store = BatchStore(names)
    bases: dict[str, float] = {}
    for arrays in batches:
        found = []
        # Not in the order of the names: the file then has them in another order, too.
        for name, array in reversed(list(zip(names, arrays, strict=True))):
            if array is not None:
                histogram = Histogram.of(array, bases.get(name) if same_base else None)
                if histogram.base:
                    bases.setdefault(name, histogram.base)
                found.append((name, histogram))
        store.append(found)
    return store, names


def same(a, b):
    for field in (*fields(Histogram), None):
        name = field.name if field else "n_finite"
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def one_by_one(store, name, batches, *, in_order):
    parts = [h for i in batches if (h := store.get(i, name)) is not None]
    return (replay if in_order else combine)(parts) if parts else Histogram.empty()


@given(_BATCHES, st.booleans(), st.data())
@settings(deadline=None)
def test_many_tensors_at_once_are_what_each_alone_comes_to(batches, in_order, data):
    store, names = kept(batches)
    totals = Totals(store, in_order=in_order)
    subsets = st.lists(st.sampled_from(range(len(batches))), unique=True).map(sorted)
    # Asked again and again: for more batches, for fewer, for others.
    for chosen in data.draw(st.lists(subsets, min_size=1, max_size=5)):
        found = totals.take(names[::-1], chosen)
        assert list(found) == names[::-1]
        for name in names:
            same(found[name], one_by_one(store, name, chosen, in_order=in_order))
    store.close()


def test_one_batch_more_is_added_to_what_is_there_and_changes_nothing_that_was_given_away():
    arrays = [[np.full(3, value, np.float32)] * 5 for value in (1.0, 0.3, 9.0)]
    store, names = kept(arrays)
    totals = Totals(store, in_order=True)
    assert totals.missing([0]) is None
    first = totals.take(names[:1], [0])["t0"]
    assert [totals.missing(batches) for batches in ([0], [0, 1], [0, 1, 2], [1, 2], [])] == [0, 1, 2, None, None]
    read = []
    batch = store.batch
    store.batch = lambda i, rows: read.append(i) or batch(i, rows)
    same(totals.take(names[:1], [0, 1, 2])["t0"], one_by_one(store, "t0", [0, 1, 2], in_order=True))
    assert read == [1, 2]
    same(first, store.get(0, "t0"))
    store.close()


@pytest.mark.parametrize("in_order", [True, False])
def test_going_back_batch_by_batch_does_not_begin_anew_each_time(in_order):
    rng = np.random.default_rng(4)
    store, names = kept([[rng.standard_normal(50).astype(np.float32) * 2**k for k in range(5)] for _ in range(36)])
    totals = Totals(store, in_order=in_order)
    totals.take(names, range(36))
    read = []
    batch = store.batch
    store.batch = lambda i, rows: read.append(i) or batch(i, rows)
    for n in range(35, 12, -1):
        same(totals.take(names, range(n))["t3"], one_by_one(store, "t3", range(n), in_order=in_order))
    assert len(read) < 6 * 23  # 540 if each time all of them were added
    without = [*range(8), *range(9, 13)]
    same(totals.take(names, without)["t3"], one_by_one(store, "t3", without, in_order=in_order))
    store.close()


def test_sums_stay_exact_over_many_batches_of_every_magnitude():
    """The exact sum of such numbers takes more floats than there is room for at first."""
    exponents = np.random.default_rng(0).permutation(60) * 4 - 116
    store, names = kept([[np.array([1.1 * 2.0**e], np.float32)] * 5 for e in exponents])
    totals = Totals(store, in_order=False)
    for n in (1, 30, 60):
        same(totals.take(names, range(n))["t2"], one_by_one(store, "t2", range(n), in_order=False))
    assert len(totals.take(names, range(60))["t2"].square_parts) > 8
    store.close()


def test_a_batch_that_cannot_be_read_leaves_no_half_added_totals():
    store, names = kept([[np.ones(3, np.float32)] * 5] * 3)
    totals = Totals(store, in_order=True)
    totals.take(names, [0])
    batch = store.batch

    def failing(i, rows):
        if i == 2:
            raise SessionError("the file is gone")
        return batch(i, rows)

    store.batch = failing
    with pytest.raises(SessionError, match="gone"):
        totals.take(names, [0, 1, 2])
    store.batch = batch
    same(totals.take(names, [0, 1, 2])["t4"], one_by_one(store, "t4", [0, 1, 2], in_order=True))
    store.close()


@pytest.mark.parametrize("size", [40_000, 70_000, 300])
def test_counts_of_every_width_are_read(size):
    """Counts behind bin 0 take one, two or four bytes, whichever the largest needs."""
    array = np.concatenate([np.full(size, 0.5), [1.0]]).astype(np.float32)
    store, names = kept([[array] * 5, [array * 2] * 5])
    merged = Totals(store, in_order=True).take(names, [0, 1])
    assert merged["t0"].n_finite == 2 * (size + 1)
    same(merged["t3"], replay([store.get(0, "t3"), store.get(1, "t3")]))
    store.close()


@given(st.lists(st.integers(0, 70), min_size=1, max_size=64), st.integers(0, 2**62), st.integers(0, 2048))
@settings(deadline=None)
def test_packed_counts_are_read_back(bits, first, used):
    counts = np.zeros(N_BINS, np.int64)
    widths = np.minimum(np.resize(bits, N_BINS), 40)  # beyond 32 bits, too
    counts[:used] = ((1 << widths) - np.arange(N_BINS) % 2)[:used]
    counts[0] = first
    itemsize, block = encode(counts)
    histogram = Histogram(1.0, 0, counts, zeros=first)
    record = np.array([record_of(histogram, itemsize, 0, len(block))], RECORD)
    same(histogram_of(record[0], block), Histogram(1.0, 0, counts, zeros=first, sum_parts=(0.0,), square_parts=(0.0,)))
    if block:
        lengths, headers = [block[:-1], block + b"\0"], [b"\xff" + block[1:], b"\x01\xff" + block[2:]]
        for damaged in lengths + headers * (itemsize == GROUPED):
            with pytest.raises(SessionError, match="damaged"):
                histogram_of(record[0], damaged)
        merging = Merging(1, in_order=True)
        record["length"] += 1
        with pytest.raises(SessionError, match="damaged"):
            merging.add(record, block + b"\0", 0)


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
def test_counts_of_the_first_layout_are_read(itemsize):
    counts = np.arange(N_BINS, dtype=np.int64) % 200
    block = counts[1:].astype(f"<u{itemsize}").tobytes()
    record = np.array([record_of(Histogram(1.0, 0, counts), itemsize, 0, len(block))], RECORD)
    np.testing.assert_array_equal(histogram_of(record[0], block).counts, counts)
    merging = Merging(1, in_order=False)
    assert merging.add(record, block, 0)
    np.testing.assert_array_equal(merging.histogram(0).counts, counts)


def test_a_batch_of_ten_thousand_values_takes_less_than_a_kilobyte():
    rng = np.random.default_rng(3)
    for values in (rng.standard_normal(10_000), np.maximum(rng.standard_normal(20_000), 0), rng.laplace(size=20_000)):
        _, block = encode(Histogram.of(values.astype(np.float32)).counts)
        assert len(block) + RECORD.itemsize < 1024


def test_different_ranges_are_left_to_the_one_that_can_say_so():
    one, two = np.array([1.0], np.float32), np.array([3.0], np.float32)
    store, names = kept([[one] * 5, [two] * 5], same_base=False)
    totals = Totals(store, in_order=True)
    assert totals.take(names, [0, 1]) is None
    assert totals.take(names, [1])["t0"].maximum == 3.0
    store.close()


@pytest.fixture
def session():
    """More tensors than are merged one by one, with two that share a scale, and one without values."""
    special = {"empty": np.zeros(0, np.float32)}
    names = [*(f"t{k}" for k in range(30)), "empty"]
    made = synthetic_session(names=names, batches=6, special=special, groups=(("t3", "t4"),))
    made.run()
    return made


def numbers(session):
    return [repr(row) for row in session.table()]


def test_a_view_that_is_jumped_to_has_the_numbers_of_one_that_was_stepped_to(session):
    for change in ({"position": 3}, {"excluded": frozenset({0, 2})}, {"position": 5}, {"excluded": frozenset()}):
        session.update(**change)
        jumped, counts = numbers(session), {n: session.histogram(n).counts for n in session.tensors}
        state = session.state
        session.update(position=0, excluded=frozenset())
        session.update(excluded=state.excluded)
        for position in range(1, state.position + 1):
            session.update(position=position)
            session.row("t3")
        assert numbers(session) == jumped
        for name, expected in counts.items():
            np.testing.assert_array_equal(session.histogram(name).counts, expected)
        session.update(position=state.position)


def test_going_back_and_forth_searches_no_threshold_twice(session):
    late = session.table()
    session.update(position=5)
    early = session.table()
    assert [r.sqnr_db for r in early] != [r.sqnr_db for r in late]
    session.update(position=6)
    assert all(again is row for again, row in zip(session.table(), late, strict=True))
    session.exclude(1)
    assert [r.sqnr_db for r in session.table()] != [r.sqnr_db for r in late]
    session.include(1)
    assert all(again is row for again, row in zip(session.table(), late, strict=True))
    assert session.histogram("t7").n_finite == 6 * 400, "of this view, not of the one before"


def test_a_choice_made_elsewhere_holds_in_a_view_that_is_come_back_to(session):
    session.table()
    session.update(position=5)
    session.choose("t7", amax=123.0)
    session.choose("t3", method="minmax")
    session.table()
    session.update(position=6)
    rows = {row.name: row for row in session.table()}
    assert rows["t7"].amax == 123.0
    assert rows["t4"].amax == session.amax("t3", "minmax") == session.histogram("t3").amax


def test_only_the_last_views_are_kept(session):
    for position in (5, 4, 3, 2, 1, 2, 3, 4, 5, 6):
        session.update(position=position)
        session.table()
    assert len(session._numbers._past) <= 4
    assert all(view.n_merged == 0 for view in session._numbers._past.values())


@pytest.mark.parametrize("field", ["sum", "sum_squares"])
@pytest.mark.parametrize("value", [-1e-3, 1e200, np.inf, np.nan])
def test_sums_that_no_values_have_are_not_plausible(field, value):
    record = np.zeros(1, RECORD)
    record["sum"], record["sum_squares"] = -1e-3, 1e-6
    assert plausible(record).all()
    record[field] = value
    assert plausible(record).all() == (field == "sum" and value == -1e-3)
