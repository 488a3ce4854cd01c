import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.data import ArrayBatches, BatchPlan, IterableBatches, NoSuchBatchError
from trtcal_widgets.data.plan import KeptBatches
from trtcal_widgets.errors import DataError, UsageError


def samples(n):
    return np.arange(n, dtype=np.float32)[:, None]


def made(*sizes):
    """Batches of these sizes whose values count the samples."""
    values = np.arange(sum(sizes), dtype=np.float32)
    return [part[:, None] for part in np.split(values, np.cumsum(sizes)[:-1])]


def fed(batch):
    (array,) = batch.feeds.values()
    return array[:, 0].tolist()


@pytest.mark.parametrize("size", [2**50, 2**61])
def test_a_batch_that_cannot_be_filled_up_says_so(size):
    with pytest.raises(DataError, match=r"does not fit in memory.*: lower batch_size"):
        list(BatchPlan(ArrayBatches(samples(7)), size, last="pad"))


def one_shot(items):
    return IterableBatches(iter(items))


@given(n=st.integers(1, 40), size=st.integers(1, 12), last=st.sampled_from(["drop", "pad", "keep"]), data=st.data())
def test_every_sample_is_fed_once_in_order_or_counted_as_dropped(n, size, last, data):
    if last == "drop" and n < size:
        return
    cap = data.draw(st.none() | st.integers(1, 12))
    plan = BatchPlan(ArrayBatches(samples(n)), size, last=last, max_batches=cap)
    batches = list(plan)
    real = [value for batch in batches for value in fed(batch)[: batch.n_samples]]
    assert real == list(range(len(real)))
    assert len(real) == plan.n_samples
    assert len(batches) == plan.n_batches
    assert [batch.first_sample for batch in batches] == [i * size for i in range(len(batches))]
    if cap is None:
        assert len(real) + plan.dropped == n
    if last != "keep":
        assert all(len(fed(batch)) == size for batch in batches)
    assert bool(plan.note) == bool(plan.dropped)


@given(
    sizes=st.lists(st.just(4), min_size=1, max_size=4),
    tail=st.integers(1, 4),
    last=st.sampled_from(["drop", "pad", "keep"]),
)
def test_made_batches_are_fed_once_in_order(sizes, tail, last):
    for source in (IterableBatches(made(*sizes, tail)), one_shot(made(*sizes, tail))):
        plan = BatchPlan(source, last=last)
        batches = list(plan)
        real = [value for batch in batches for value in fed(batch)[: batch.n_samples]]
        assert real == list(range(len(real)))
        assert plan.batch_size == 4
        assert plan.n_batches == len(batches)
        assert plan.n_samples == len(real)
        assert len(real) + plan.dropped == 4 * len(sizes) + tail
        assert plan.dropped == (tail if last == "drop" and tail < 4 else 0)
        assert [batch.first_sample for batch in batches] == [4 * i for i in range(len(batches))]


def test_padding_repeats_the_batchs_own_samples_from_the_first_on():
    plan = BatchPlan(ArrayBatches(samples(7)), 5, last="pad")
    assert fed(plan.load(1)) == [5, 6, 5, 6, 5]
    assert plan.load(1).n_samples == 2


def test_the_note_tells_how_many_and_what_to_do():
    plan = BatchPlan(ArrayBatches(samples(500)), 16)
    assert plan.note.startswith("4 samples are left out: they do not fill a batch of 16")
    assert "last='pad' or last='keep'" in plan.note
    assert BatchPlan(ArrayBatches(samples(17)), 16).note.startswith("1 sample is left out: it does not")
    assert BatchPlan(ArrayBatches(samples(500)), 16, max_batches=31).dropped == 0


def test_too_few_samples_says_how_many_there_are():
    with pytest.raises(DataError, match=r"3 samples, fewer than one batch of 8: lower batch_size to 3"):
        BatchPlan(ArrayBatches(samples(3)), 8)
    assert fed(BatchPlan(ArrayBatches(samples(3)), 8, last="keep").load(0)) == [0, 1, 2]
    plan = BatchPlan(IterableBatches(iter(samples(3)), items="samples"), 8)  # not known before it was read
    with pytest.raises(DataError, match="3 samples, fewer than one batch of 8"):
        plan.load(0)


def test_the_size_of_made_batches_is_the_first_ones_even_if_the_last_is_asked_for_first():
    plan = BatchPlan(IterableBatches(made(4, 4, 2)), last="keep")
    assert fed(plan.load(2)) == [8, 9]
    assert plan.batch_size == 4
    assert plan.load(2).first_sample == 8


@pytest.mark.parametrize("last", ["drop", "pad"])
def test_made_batches_must_have_the_size_that_was_asked_for(last):
    with pytest.raises(DataError, match=r"batch 0 holds 4 samples, but batch_size=8.*leave batch_size out"):
        BatchPlan(IterableBatches(made(4, 4)), 8, last=last).load(0)


def test_a_short_batch_in_the_middle_is_no_last_batch():
    for source in (IterableBatches(made(4, 2, 4)), one_shot(made(4, 2, 4))):
        plan = BatchPlan(source)
        plan.load(0)
        with pytest.raises(DataError, match=r"batch 1 holds 2 samples, the batches before it 4") as caught:
            plan.load(1)
        assert not isinstance(caught.value, NoSuchBatchError)
    with pytest.raises(DataError, match="batch 1 holds 5 samples"):
        list(BatchPlan(IterableBatches(made(4, 5)), last="pad"))
    assert [len(fed(b)) for b in BatchPlan(IterableBatches(made(4, 2, 5)), last="keep")] == [4, 2, 5]


def test_the_end_is_an_index_error_of_ours():
    plan = BatchPlan(ArrayBatches(samples(8)), 4, max_batches=1)
    with pytest.raises(NoSuchBatchError, match="max_batches is 1"):
        plan.load(1)
    with pytest.raises(IndexError):
        BatchPlan(ArrayBatches(samples(8)), 4).load(2)


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ({"a": np.zeros((0, 3)), "b": np.zeros((4, 1))}, "batch 1, input 'a' holds no samples"),
        ({"a": np.zeros((4, 3)), "b": np.zeros((5, 1))}, "batch 1: input 'a' has 4 samples.*'b' has 5"),
        ({"a": np.zeros((4, 3))}, r"batch 1 has the inputs \['a'\], the others have \['a', 'b'\]"),
        ({"a": np.float32(1), "b": np.zeros((4, 1))}, "batch 1, input 'a' is a single number"),
    ],
)
def test_a_bad_batch_is_named(batch, says):
    good = {"a": np.zeros((4, 3)), "b": np.zeros((4, 1))}
    plan = BatchPlan(IterableBatches([good, batch]))
    plan.load(0)
    with pytest.raises(DataError, match=says):
        plan.load(1)


def test_nothing_at_all_is_an_error_not_an_empty_run():
    with pytest.raises(DataError, match="no samples"):
        BatchPlan(IterableBatches([]))
    with pytest.raises(DataError, match="no batch at all"):
        list(BatchPlan(one_shot([])))


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"batch_size": True},
        {},
        {"batch_size": 2, "last": "cut"},
        {"batch_size": 2, "max_batches": 0},
    ],
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(UsageError):
        BatchPlan(ArrayBatches(samples(8)), **arguments)
    with pytest.raises(UsageError, match="-1"):
        BatchPlan(ArrayBatches(samples(8)), 2).load(-1)


def test_thumbnails_belong_to_the_batch():
    images = np.zeros((10, 1, 8, 8), np.uint8)
    images[4:8] = 255
    plan = BatchPlan(ArrayBatches(images), 4)
    assert [int(picture.max()) for picture in plan.thumbnails(1)] == [255] * 4
    assert len(plan.thumbnails(0)) == 4


@given(n=st.integers(1, 12), left_out=st.sets(st.integers(0, 14)), once=st.booleans())
def test_kept_batches_are_the_plans_others_in_order(n, left_out, once):
    source = one_shot(made(*[2] * n)) if once else ArrayBatches(samples(2 * n))
    plan = BatchPlan(source, 2)
    wanted = [index for index in range(n) if index not in left_out]
    if not wanted and not once:
        with pytest.raises(UsageError, match="are left out"):
            KeptBatches(plan, left_out)
        return
    kept = KeptBatches(plan, left_out)
    batches = [kept.load(position) for position in range(len(wanted))]
    with pytest.raises(NoSuchBatchError):
        kept.load(len(wanted))
    assert [batch.index for batch in batches] == wanted
    assert [fed(batch) for batch in batches] == [[2.0 * i, 2.0 * i + 1] for i in wanted]
    assert kept.n_batches == len(wanted)
