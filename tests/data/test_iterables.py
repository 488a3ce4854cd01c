from collections import UserDict, deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.data import ONLY_INPUT, IterableBatches
from trtcal_widgets.errors import DataError, UsageError


def numbered(n, size=4):
    """Batches whose every value is their number."""
    return [np.full((size, 3), i, np.float32) for i in range(n)]


def number(source, i):
    return int(source.load(i, i + 1)[ONLY_INPUT][0, 0])


class Loader:
    """What a DataLoader is: iterable again and again, with a length, without positions; it counts its starts."""

    def __init__(self, batches):
        self.batches, self.starts = batches, 0

    def __iter__(self):
        self.starts += 1
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


class Dataset:
    """What a map-style dataset is: positions and a length, no iteration and no IndexError."""

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return np.full((3,), i, np.float32), i


def test_arrays_dicts_and_tuples_of_one():
    for item, name in ((numbered(1)[0], ONLY_INPUT), ((numbered(1)[0],), ONLY_INPUT), ({"x": numbered(1)[0]}, "x")):
        source = IterableBatches([item])
        assert source.prebatched
        assert list(source.load(0, 1)) == [name]
    hugging = UserDict(input_ids=[[1, 2], [3, 4]], attention_mask=np.ones((2, 2), np.int64))
    loaded = IterableBatches([hugging]).load(0, 1)
    assert loaded["input_ids"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("options", "fed"),
    [
        ({"pick": 0}, {ONLY_INPUT: 1}),
        ({"pick": -1}, {ONLY_INPUT: 3}),
        ({"names": ("a",)}, {"a": 1}),
        ({"names": ("a", None, "c")}, {"a": 1, "c": 3}),
        ({"names": (None, "b")}, {"b": 2}),
    ],
)
def test_tuples_are_fed_as_told(options, fed):
    item = tuple(np.full((2, 2), value) for value in (1, 2, 3))
    loaded = IterableBatches([item], **options).load(0, 1)
    assert {name: int(array[0, 0]) for name, array in loaded.items()} == fed


def test_an_unexplained_tuple_says_what_to_write():
    source = IterableBatches([(np.zeros((32, 3, 8, 8), np.float32), np.zeros(32, np.int64))])
    with pytest.raises(DataError, match=r"float32\[32,3,8,8\], int64\[32\].*pick=0.*names=\('input',\)"):
        source.load(0, 1)


def test_mappings_are_narrowed():
    batch = {"ids": np.zeros((2, 4)), "labels": np.zeros(2)}
    assert list(IterableBatches([batch], names=["ids"]).load(0, 1)) == ["ids"]
    assert list(IterableBatches([batch], pick="ids").load(0, 1)) == [ONLY_INPUT]
    with pytest.raises(DataError, match=r"'mask'.*'ids', 'labels'"):
        IterableBatches([batch], names=["mask"]).load(0, 1)


@given(order=st.lists(st.integers(0, 6), max_size=20))
def test_something_that_starts_again_can_be_read_in_any_order(order):
    for make in (Loader, list, deque, lambda batches: lambda: iter(batches)):
        source = IterableBatches(make(numbered(5)))
        for i in order:
            if i < 5:
                assert number(source, i) == i
            else:
                assert source.load(i, i + 1) == {}


def test_reading_in_order_starts_once_and_a_batch_can_be_had_again():
    loader = Loader(numbered(4))
    source = IterableBatches(loader)
    assert [number(source, i) for i in (0, 0, 1, 2, 2, 3, 3)] == [0, 0, 1, 2, 2, 3, 3]
    assert loader.starts == 1


def test_an_iterator_is_read_once_and_says_so():
    source = IterableBatches(iter(numbered(4)))
    assert "can be read once" in source.describe()
    assert [number(source, i) for i in (0, 0, 2, 2)] == [0, 0, 2, 2]
    with pytest.raises(DataError, match=r"batch 1 has gone by.*a list, a DataLoader.*a function"):
        source.load(1, 2)
    assert number(source, 3) == 3  # going back failed, going on did not
    assert source.load(4, 5) == {}


def test_two_sources_do_not_take_each_others_items():
    items = (np.full((2, 3), i, np.float32) for i in range(4))
    first, second = IterableBatches(items), IterableBatches(items)
    first.load(0, 1)
    with pytest.raises(DataError, match=r"another source reads the same iterator.*Make one source of it"):
        second.load(0, 1)
    assert [first.load(i, i + 1)[ONLY_INPUT][0, 0] for i in range(1, 4)] == [1, 2, 3]


def test_two_sources_of_a_loader_that_starts_its_one_iterator_anew():
    """As a DataLoader with persistent workers does."""

    class Loader:
        def __init__(self):
            self.only = Iterator()

        def __iter__(self):
            self.only.at = 0
            return self.only

    class Iterator:
        def __next__(self):
            self.at += 1
            if self.at > 4:
                raise StopIteration
            return np.full((2, 3), self.at, np.float32)

    loader = Loader()
    first, second = IterableBatches(loader), IterableBatches(loader)
    read = [source.load(i, i + 1)[ONLY_INPUT][0, 0] for i in range(4) for source in (first, second)]
    assert read == [1, 1, 2, 2, 3, 3, 4, 4]


def test_length_is_unknown_until_the_end_was_seen():
    source = IterableBatches(iter(numbered(2)))
    assert source.n_items() is None
    number(source, 1)
    assert source.n_items() is None
    assert source.load(2, 3) == {}
    assert source.n_items() == 2
    assert IterableBatches(Loader(numbered(7))).n_items() == 7


def test_a_length_that_lies_is_corrected():
    class Liar(Loader):
        def __len__(self):
            return 9

    source = IterableBatches(Liar(numbered(2)))
    assert source.n_items() == 9
    assert source.load(8, 9) == {}
    assert source.n_items() == 2


def failing(error, after=1):
    yield from numbered(after)
    raise error


@pytest.mark.parametrize("error", [RuntimeError("disk gone"), KeyboardInterrupt(), StopAsyncIteration("odd")])
def test_a_failed_generator_never_looks_finished(error):
    source = IterableBatches(failing(error))
    assert number(source, 0) == 0
    with pytest.raises((DataError, KeyboardInterrupt)):
        source.load(1, 2)
    with pytest.raises(DataError, match=type(error).__name__):  # a bare generator would say "no more" here
        source.load(1, 2)
    assert source.n_items() is None
    assert number(source, 0) == 0


def test_what_can_start_again_recovers_from_a_failure():
    failures = [RuntimeError("network"), None]

    def batches():
        yield from numbered(2)
        if error := failures.pop(0):
            raise error
        yield np.full((4, 3), 2, np.float32)

    source = IterableBatches(batches)
    number(source, 1)
    with pytest.raises(DataError, match=r"batch 2: the iterable raised RuntimeError: network"):
        source.load(2, 3)
    assert number(source, 2) == 2


def test_shuffling_is_noticed_when_a_batch_is_read_again():
    rng = np.random.default_rng(0)
    source = IterableBatches(lambda: (rng.normal(size=(2, 2)) for _ in range(3)))
    source.load(0, 1)
    source.load(1, 2)
    with pytest.raises(DataError, match=r"batch 0 is not what it was.*shuffle=False"):
        source.load(0, 1)


def test_a_second_pass_that_is_shorter_is_noticed():
    same = iter(numbered(3))
    source = IterableBatches(lambda: same)
    number(source, 2)
    with pytest.raises(DataError, match="gave 3 batches before but ended after 0"):
        source.load(0, 1)


def test_samples_are_stacked_also_from_a_refilled_buffer():
    def refilled():
        buffer = np.empty(3, np.float32)
        for i in range(7):
            buffer[:] = i
            yield buffer

    source = IterableBatches(refilled(), items="samples")
    assert not source.prebatched
    assert source.load(0, 4)[ONLY_INPUT][:, 0].tolist() == [0, 1, 2, 3]
    assert source.load(2, 6)[ONLY_INPUT][:, 0].tolist() == [2, 3, 4, 5]  # what is held need not be read again
    assert source.load(6, 9)[ONLY_INPUT][:, 0].tolist() == [6]
    assert source.n_items() == 7


def test_a_dataset_with_positions_ends_at_its_length():
    source = IterableBatches(Dataset(), items="samples", names=("x", "label"))
    loaded = source.load(3, 9)
    assert loaded["x"].shape == (2, 3)
    assert loaded["label"].tolist() == [3, 4]


def test_samples_of_a_batch_must_be_alike():
    source = IterableBatches([np.zeros((3, 8, 8)), np.zeros((3, 8, 9))], items="samples")
    with pytest.raises(DataError, match=r"sample 1 has float64\[3,8,9\].*sample 0 has float64\[3,8,8\]"):
        source.load(0, 2)


def test_thumbnails_are_those_of_what_was_loaded():
    source = IterableBatches(Loader([np.zeros((20, 3, 64, 64), np.float32)] * 2))
    assert source.thumbnails(0, 1) == []
    source.load(0, 1)
    assert [picture.shape for picture in source.thumbnails(0, 1)] == [(32, 32, 3)] * 8


@pytest.mark.parametrize("item", [None, "text", 3.5, object(), [[1, 2], [3]], ()])
def test_what_is_no_batch_is_named(item):
    with pytest.raises(DataError, match="batch 0"):
        IterableBatches([item]).load(0, 1)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (5, {}),
        ([1], {"names": ("a",), "pick": 0}),
        ([1], {"names": "data"}),
        ([1], {"names": ()}),
        ([1], {"names": (None,)}),
        ([1], {"names": ("a", "a")}),
        ([1], {"names": (0,)}),
        ([1], {"items": "rows"}),
    ],
)
def test_contradictions_are_refused(given, options):
    with pytest.raises(UsageError):
        IterableBatches(given, **options)


def test_a_real_torch_dataloader():
    torch = pytest.importorskip("torch", reason="torch is not installed; Loader stands in for its DataLoader")
    data = torch.utils.data.TensorDataset(torch.rand(10, 3, 8, 8, requires_grad=True), torch.arange(10))
    source = IterableBatches(torch.utils.data.DataLoader(data, batch_size=4), names=("data",))
    assert source.n_items() == 3
    assert np.array_equal(source.load(1, 2)["data"], data.tensors[0][4:8].detach().numpy())
    assert source.load(0, 1)["data"].shape == (4, 3, 8, 8)
