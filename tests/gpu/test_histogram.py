"""The GPU histogram: plans and sharing of arrays anywhere, counts on a CUDA device."""

from __future__ import annotations

import gc
import weakref
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.trt_host_driver import host_memory
from trtcal_widgets.core.counting import starting_ranges
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import MissingDependencyError, UsageError
from trtcal_widgets.gpu import histogram as gpu_histogram
from trtcal_widgets.gpu import plan as gpu_plan
from trtcal_widgets.gpu.arrays import borrow
from trtcal_widgets.gpu.code import Tuning, compile_source
from trtcal_widgets.gpu.histogram import DeviceArray, GpuHistograms, NamedHistograms, histogram_of
from trtcal_widgets.gpu.memory import DeviceError, OutOfDeviceMemoryError, open_memory
from trtcal_widgets.gpu.plan import ITEM, PART, ROW, SEGMENT, STATE, make_plan

SIZE = {"float32": 4, "float16": 2, "bfloat16": 2}


def laid_out(sizes):
    """Arrays (slot, n, dtype, gap in elements before it) at made-up addresses, one after the other."""
    arrays, ptr = [], 1 << 20
    for slot, n, dtype, gap in sizes:
        ptr = -(-ptr // SIZE[dtype]) * SIZE[dtype] + gap * SIZE[dtype]
        arrays.append(DeviceArray(slot, ptr, n, dtype))
        ptr += n * SIZE[dtype]
    return arrays


array_lists = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.integers(0, 5000), st.integers(1, 40_000_000)),
        st.sampled_from(sorted(SIZE)),
        st.integers(0, 7),
    ),
    max_size=25,
).map(laid_out)


@given(array_lists, st.integers(1, 600))
@settings(max_examples=200, deadline=None)
def test_a_plan_gives_every_element_to_one_segment_and_every_segment_to_one_block(arrays, n_blocks):
    plan = make_plan(arrays, 6, n_blocks)
    segments = plan.segments
    covered = sorted(
        (int(s["slot"]), int(s["ptr"]), int(s["n"]), ["float32", "float16", "bfloat16"][s["kind"]]) for s in segments
    )
    wanted = sorted((a.slot, a.ptr, a.n, a.dtype) for a in arrays if a.n)
    # Segments that follow each other join to the arrays they were cut from.
    joined = []
    for slot, ptr, n, dtype in covered:
        if joined and (slot, dtype) == (joined[-1][0], joined[-1][3]) and is_continued(joined[-1], ptr, wanted):
            joined[-1] = (slot, joined[-1][1], joined[-1][2] + n, dtype)
        else:
            joined.append((slot, ptr, n, dtype))
    assert joined == wanted
    first = plan.first_of_block.astype(int)
    assert first[0] == 0
    assert first[-1] == segments.size
    assert (np.diff(first) >= 0).all()
    assert (np.diff(segments["slot"]) >= 0).all()


def is_continued(piece, ptr, wanted):
    """Whether the next piece begins where this one ends, in the middle of an array."""
    slot, start, n, dtype = piece
    end = start + n * SIZE[dtype]
    return end == ptr and (slot, ptr) not in {(w[0], w[1]) for w in wanted}


@given(array_lists, st.integers(1, 600))
@settings(max_examples=100, deadline=None)
def test_no_block_gets_much_more_than_its_share(arrays, n_blocks):
    plan = make_plan(arrays, 6, n_blocks)
    size = np.array([4, 2, 2])[plan.segments["kind"]]
    cost = plan.segments["n"].astype(np.int64) * size + gpu_plan._SEGMENT_COST
    of_block = np.array([cost[a:b].sum() for a, b in zip(plan.first_of_block, plan.first_of_block[1:], strict=False)])
    share = sum(a.n * SIZE[a.dtype] + gpu_plan._SEGMENT_COST for a in arrays if a.n) / plan.n_blocks
    assert plan.n_blocks <= n_blocks
    # An array cut at a block's border costs both blocks a start; cuts are rounded.
    assert (of_block <= share + 2 * gpu_plan._SEGMENT_COST + 4 * gpu_plan._CUT).all()


@given(array_lists, st.integers(1, 600))
@settings(max_examples=100, deadline=None)
def test_every_counter_of_every_row_is_added_up_once(arrays, n_blocks):
    plan = make_plan(arrays, 6, n_blocks)
    times = np.zeros((plan.segments.size, ROW), int)
    for item in plan.items:
        rows = slice(item["from"], item["to"])
        times[rows, item["column"] : item["column"] + item["columns"]] += 1
        assert (plan.segments["slot"][item["first"] : item["last"]] == item["slot"]).all()
        assert item["first"] <= item["from"] < item["to"] <= item["last"]
    assert (times == 1).all()
    for slot in {a.slot for a in arrays if a.n}:
        own = plan.items[plan.items["slot"] == slot]
        assert (own["items"] == own.size).all()
        assert own["last"][0] - own["first"][0] == (plan.segments["slot"] == slot).sum()


@given(st.integers(1, 1 << 34), st.sampled_from(sorted(SIZE)), st.integers(1, 600))
@settings(max_examples=100, deadline=None)
def test_blocks_of_a_single_array_find_their_segments_without_the_table(n, dtype, n_blocks):
    ptr = 1 << 20
    plan = make_plan([DeviceArray(2, ptr, 0), DeviceArray(3, ptr, n, dtype)], 6, n_blocks)
    for b, segment in enumerate(plan.segments):  # as the kernel does it
        start = b * plan.share
        assert segment["ptr"] == ptr + start * SIZE[dtype]
        assert segment["n"] == min(plan.share, n - start)
        assert (segment["slot"], segment["first"], segment["last"]) == (3, 0, plan.n_blocks)
    assert (plan.first_of_block == np.arange(plan.n_blocks + 1)).all()
    assert plan.segments["n"].astype(object).sum() == n


def test_plans_of_several_arrays_have_no_share():
    arrays = [DeviceArray(0, 1 << 20, 1 << 20), DeviceArray(0, 1 << 30, 1 << 20)]
    assert make_plan(arrays, 1, 100).share == 0


def test_a_huge_array_is_cut_so_that_counters_of_32_bits_hold_it():
    plan = make_plan([DeviceArray(0, 256, 1 << 36, "float16")], 1, 8)
    assert plan.longest <= 1 << 31
    assert plan.segments["n"].sum() == 1 << 36


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (DeviceArray(3, 256, 1), "there is no tensor 3: these are histograms of 3"),
        (DeviceArray(-1, 256, 1), "there is no tensor -1"),
        (DeviceArray(1, 256, -1), "negative number of elements"),
        (DeviceArray(1, 258, 1, "float32"), "address 0x102 of tensor 1 is not that of float32 values"),
        (DeviceArray(1, 0, 1, "float32"), "address 0x0"),
        (DeviceArray(2, 256, 1, "int8"), r"not int8 \(tensor 2\)"),
    ],
)
def test_arrays_that_cannot_be_are_refused(array, message):
    with pytest.raises(UsageError, match=message):
        make_plan([DeviceArray(0, 256, 5), array], 3, 8)


class OnDevice:
    """A NumPy array that says it is on a CUDA device: what DLPack hands over is laid out the same everywhere."""

    def __init__(self, array, device=2):
        self.array = array
        self.device = device
        self.streams = []

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        return self.array.__dlpack__()


def test_dlpack_arrays_are_found_where_they_are():
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for array in (base, base.transpose(2, 0, 1), base[1], base[1:, :1], np.full((), 3, np.float32), base[:0]):
        there = borrow(OnDevice(array))
        assert (there.n, there.dtype, there.device) == (array.size, "float32", 0)
        assert array.size == 0 or there.ptr == array.ctypes.data
    assert borrow(OnDevice(base.astype(np.float16))).dtype == "float16"


def test_a_dlpack_array_lives_as_long_as_it_is_borrowed():
    array = np.arange(6, dtype=np.float32)
    alive = weakref.ref(array)
    there = borrow(OnDevice(array))
    del array
    gc.collect()
    assert alive() is not None
    del there
    gc.collect()
    assert alive() is None


def test_the_producer_is_told_the_stream():
    there = OnDevice(np.ones(3, np.float32))
    borrow(there)
    borrow(there, stream=0x7F00)
    assert there.streams == [1, 0x7F00]  # DLPack's 1 is CUDA's default stream


class WithInterface:
    def __init__(self, array, **changes):
        self.array = array
        self.__cuda_array_interface__ = {**array.__array_interface__, "version": 3, **changes}


def test_arrays_with_a_cuda_array_interface_are_found_where_they_are():
    base = np.arange(24, dtype=np.float16).reshape(4, 6)
    for array in (base, base.T, base[2], base[:0]):
        there = borrow(WithInterface(array))
        assert (there.n, there.dtype) == (array.size, "float16")
        assert array.size == 0 or there.ptr == array.ctypes.data


GAPS = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize(
    "gaps", [GAPS[:, ::2], GAPS[::2], np.lib.stride_tricks.as_strided(GAPS, (4, 6), (0, 4)), GAPS[::-1]]
)
@pytest.mark.parametrize("wrap", [OnDevice, WithInterface])
def test_arrays_with_gaps_or_repeats_are_refused(wrap, gaps):
    with pytest.raises(UsageError, match="make it contiguous first"):
        borrow(wrap(gaps))


@pytest.mark.parametrize("wrap", [OnDevice, WithInterface])
@pytest.mark.parametrize("dtype", [np.float64, np.int8, np.int32, np.complex64])
def test_other_types_are_refused(wrap, dtype):
    with pytest.raises(UsageError, match="count float32, float16 and bfloat16"):
        borrow(wrap(np.ones(3, dtype)))


def test_arrays_elsewhere_are_refused():
    with pytest.raises(UsageError, match=r"Histogram\.of counts arrays in host memory"):
        borrow(np.ones(3, np.float32))
    with pytest.raises(UsageError, match="list is not an array on the GPU"):
        borrow([1.0, 2.0])
    with pytest.raises(UsageError, match="with a mask"):
        borrow(WithInterface(np.ones(3, np.float32), mask=np.ones(3, bool)))


@pytest.mark.parametrize("bases", [[-1.0], [np.nan], [np.inf], [1e39]])
def test_ranges_that_cannot_be_are_refused(bases):
    with pytest.raises(UsageError, match="range to start from must be from 0 to"):
        starting_ranges(bases, 1)


def test_there_is_one_range_per_tensor():
    with pytest.raises(UsageError, match="2 bases were given for 3 tensors"):
        starting_ranges([1.0, None], 3)


@given(st.one_of(st.none(), st.floats(0, 3.4e38)))
@settings(deadline=None)  # the first one compiles
def test_ranges_start_as_on_the_cpu(base):
    start = float(starting_ranges([base], 1)[0])
    assert start == Histogram.of(np.zeros(3, np.float32), base).base


class Launches:
    """Kernels that note what they are started with, and compute nothing."""

    n_blocks = 4

    def __init__(self):
        self.last = {}

    def launch(self, driver, name, grid, arguments, stream):
        self.last[name] = arguments


COUNTERS = (4096 * ROW * 4, 4096 * PART.itemsize, 4096 * 4)


@pytest.mark.parametrize("there", [0, 1, 2])
def test_counters_for_which_there_was_no_room_are_there_once_there_is(monkeypatch, there):
    kernels = Launches()
    monkeypatch.setattr(gpu_histogram, "load_kernels", lambda *_: kernels)
    memory, driver = host_memory()
    array = DeviceArray(0, memory.alloc(64).ptr, 16, "float32")
    with GpuHistograms(1, [1.0], memory=memory) as histograms:
        driver.capacity = driver.used + sum(COUNTERS[:there]) + 10_000
        for _ in range(2):
            with pytest.raises(OutOfDeviceMemoryError):
                histograms.add([array])
            histograms.reset([1.0])
        driver.capacity = 1 << 30
        histograms.add([array])
        *_, maxima, rows, parts, _fresh = kernels.last["count"]
        assert [driver.blocks[address].nbytes for address in (rows, parts, maxima)] == list(COUNTERS)


def test_counters_that_cannot_grow_are_made_anew(monkeypatch):
    kernels = Launches()
    monkeypatch.setattr(gpu_histogram, "load_kernels", lambda *_: kernels)
    monkeypatch.setattr(gpu_histogram, "_LEAST_ROWS", 1)
    memory, driver = host_memory()
    arrays = [DeviceArray(slot, memory.alloc(64).ptr, 16, "float32") for slot in range(9)]
    with GpuHistograms(9, [1.0] * 9, memory=memory) as histograms:
        histograms.add(arrays[:1])
        driver.capacity = driver.used + 10_000
        with pytest.raises(OutOfDeviceMemoryError):
            histograms.add(arrays)
        histograms.reset([1.0] * 9)
        histograms.add(arrays[:1])
        *_, maxima, rows, parts, _fresh = kernels.last["count"]
        assert {maxima, rows, parts} <= driver.blocks.keys()


def test_names_keep_their_histograms_until_other_ones_come(monkeypatch):
    monkeypatch.setattr(gpu_histogram, "load_kernels", lambda *_: Launches())
    memory, driver = host_memory()
    named = NamedHistograms()
    first = named.start(("a", "b"), {"a": 2.0}, memory)
    assert named.start(("a", "b"), {}, memory) is first
    before = driver.used
    driver.capacity = before  # one more finds no room
    with pytest.raises(OutOfDeviceMemoryError):
        named.start(("a", "b", "c"), {}, memory)
    again = named.start(("a", "b"), {}, memory)
    again.reset([1.0, None])
    named.close()
    named.close()
    assert driver.used == 0


@pytest.fixture(scope="module")
def nvrtc():
    core = pytest.importorskip("cuda.core", reason="cuda-core is not installed")
    try:
        core.Program("", "c++", core.ProgramOptions(arch="sm_90")).compile("cubin")
    except Exception as error:  # noqa: BLE001 - cuda-core has several; all mean that there is no NVRTC
        pytest.skip(f"NVRTC is not installed: {error}")
    return core


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"])
def test_the_source_compiles_for_every_generation(nvrtc, arch):
    assert compile_source(arch).startswith(b"\x7fELF")


def test_a_gpu_that_the_compiler_does_not_know_says_so(nvrtc):
    with pytest.raises(DeviceError, match="could not compile the histogram kernels for sm_12345"):
        compile_source("sm_12345")


def test_the_structs_of_the_source_are_the_dtypes_of_the_plan(nvrtc):
    source = files("trtcal_widgets.gpu").joinpath("histogram.cu").read_text(encoding="utf-8")
    checks = []
    for name, dtype in (("Segment", SEGMENT), ("Item", ITEM), ("Part", PART), ("State", STATE)):
        checks.append(f'static_assert(sizeof({name}) == {dtype.itemsize}, "");')
        for field, (kind, offset, *_) in dtype.fields.items():
            checks.append(f'static_assert(__builtin_offsetof({name}, {field}) == {offset}, "");')
            checks.append(f'static_assert(sizeof((({name}*)0)->{field}) == {kind.itemsize}, "");')
    checks.append(f'static_assert(ROW == {ROW}, "");')
    options = nvrtc.ProgramOptions(arch="sm_90", std="c++17")
    try:
        nvrtc.Program("struct S { int a; }; enum { at = __builtin_offsetof(S, a) };", "c++", options).compile("cubin")
    except Exception as error:  # noqa: BLE001 - as in the fixture
        pytest.skip(f"this NVRTC (13.0 is one) cannot say where a member is: {error}")
    nvrtc.Program(source + "\n".join(checks), "c++", options).compile("cubin")


# --- on a CUDA device ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory():
    try:
        opened = open_memory()
    except (MissingDependencyError, DeviceError) as error:
        pytest.skip(f"needs a CUDA device: {error}")
    with opened:
        yield opened


def assert_same(got, want):
    """All integers, extremes and ranges exactly; sums to the rounding of a float64."""
    fields = ("base", "doublings", "edge", "zeros", "nans", "pos_infs", "neg_infs", "minimum", "maximum")
    assert {f: getattr(got, f) for f in fields} == {f: getattr(want, f) for f in fields}
    np.testing.assert_array_equal(got.counts, want.counts)
    magnitude = np.sqrt(want.sum_squares) * np.sqrt(max(1, want.n_finite))  # at least the sum of |x|
    assert abs(got.total - want.total) <= 1e-12 * magnitude
    assert abs(got.sum_squares - want.sum_squares) <= 1e-12 * want.sum_squares
    assert not got.counts.flags.writeable


def as_type(x, dtype):
    """The array as it lies on the device, and the float32 values that it stands for."""
    if dtype == "bfloat16":
        raw = (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return raw, (raw.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        raw = np.ascontiguousarray(x, dtype)
    return raw, raw


def count_on(memory, x, dtype="float32", base=None, *, skip=0, tuning=None):
    """Count an array that begins ``skip`` elements into a buffer."""
    raw, _ = as_type(x, dtype)
    buffer = memory.reserve("test", raw.nbytes + skip * raw.itemsize)
    memory.upload(buffer, raw, offset=skip * raw.itemsize)
    options = {} if tuning is None else {"tuning": tuning}
    with GpuHistograms(1, [base], memory=memory, **options) as histograms:
        histograms.add([DeviceArray(0, buffer.ptr + skip * raw.itemsize, raw.size, dtype)])
        return histograms.fetch()[0]


any_floats = st.lists(st.floats(width=32), max_size=200)
few_values = st.lists(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.4142135, 2.0, np.nan, np.inf, 1e-40, 3e38]), max_size=200
)


@pytest.mark.gpu
@given(
    values=st.one_of(any_floats, few_values),
    repeat=st.integers(1, 60),
    dtype=st.sampled_from(sorted(SIZE)),
    base=st.one_of(st.none(), st.floats(1e-38, 3e38), st.sampled_from([1.0, 1e-30, 0.70710677])),
    skip=st.integers(0, 9),
)
@settings(max_examples=400, deadline=None)
def test_counts_are_those_of_the_cpu(memory, values, repeat, dtype, base, skip):
    x = np.tile(np.array(values, np.float32), repeat)
    _, seen = as_type(x, dtype)
    assert_same(count_on(memory, x, dtype, base, skip=skip), Histogram.of(seen, base))


def adversarial():
    rng = np.random.default_rng(0)
    n = 700_001
    normal = rng.standard_normal(n).astype(np.float32)
    yield "normal", normal
    yield "half zero", np.maximum(normal, 0)
    yield "all equal", np.full(n, 0.3, np.float32)
    yield "all zero", np.zeros(n, np.float32)
    yield "one bin", rng.uniform(1, 1.0001, n).astype(np.float32)
    yield "any bits", rng.integers(0, 1 << 32, n, dtype=np.uint32).view(np.float32)
    yield "subnormal", rng.integers(0, 1000, n, dtype=np.uint32).view(np.float32)
    yield "at the edge", np.where(rng.random(n) < 0.3, np.float32(1.4142135), rng.random(n, np.float32))
    yield "growth in the middle", np.concatenate([normal[: n // 2], normal[n // 2 :] * 1000])
    yield "growing all along", np.exp2(np.linspace(-149, 127.9, n)).astype(np.float32)
    yield "shrinking all along", np.exp2(np.linspace(127.9, -149, n)).astype(np.float32)
    spikes = normal.copy()
    spikes[rng.integers(0, n, 50)] *= np.exp2(rng.random(50, np.float32) * 20)
    yield "a few spikes", spikes
    sprinkled = normal.copy()
    sprinkled[rng.integers(0, n, 900)] = np.nan
    sprinkled[rng.integers(0, n, 90)] = -np.inf
    yield "NaN sprinkled", sprinkled
    yield "nothing finite", np.array([np.nan, np.inf, -np.inf] * 5000, np.float32)
    beyond = rng.random(n, np.float32) * np.float32(3.3e38)
    beyond[::97] = np.inf
    yield "infinities beyond the largest range", beyond
    equal = np.full(n, 2.5, np.float32)
    equal[::5000] = np.nan
    yield "equal but for NaN", equal


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", sorted(SIZE))
@pytest.mark.parametrize(("name", "x"), [pytest.param(n, x, id=n) for n, x in adversarial()])
def test_adversarial_data_are_counted_as_on_the_cpu(memory, name, x, dtype):
    _, seen = as_type(x, dtype)
    largest = float(np.abs(seen[np.isfinite(seen)], dtype=np.float32).max(initial=0))
    for base in {None, 1.0, largest / 50 or None, min(largest * 3, 3e38) or None, 1e-30}:
        for skip in (0, 3):
            assert_same(count_on(memory, x, dtype, base, skip=skip), Histogram.of(seen, base))


@pytest.mark.gpu
@pytest.mark.parametrize("tuning", [Tuning(512, 2), Tuning(256, 2, 1, 5), Tuning(1024, 1, 1, 1)])
def test_tuning_changes_no_count(memory, tuning):
    for _, x in adversarial():
        assert_same(count_on(memory, x, base=0.5, tuning=tuning), Histogram.of(x, 0.5))


@pytest.fixture
def many(memory):
    """50 tensors in 4 pieces each, of very different sizes and magnitudes, on the device and on the host."""
    rng = np.random.default_rng(1)
    pieces, arrays = {}, []
    sizes = rng.choice([0, 1, 2, 17, 1000, 4096, 100_000], 200)
    buffer = memory.alloc(int(sizes.sum()) * 4 + 200 * 256)
    where = 0
    for i, n in enumerate(sizes):
        x = rng.standard_normal(n).astype(np.float32) * np.float32(2.0 ** rng.integers(-3, 4))
        memory.upload(buffer, x, offset=where)
        arrays.append(DeviceArray(i % 50, buffer.ptr + where, int(n)))
        pieces.setdefault(i % 50, []).append(x)
        where += -(-x.nbytes // 256) * 256
    yield arrays, [np.concatenate(pieces[slot]) for slot in range(50)]
    buffer.free()


@pytest.mark.gpu
@pytest.mark.parametrize("base", [None, 1.5])
def test_many_tensors_in_pieces_are_counted_as_whole_ones(memory, many, base):
    arrays, wholes = many
    with GpuHistograms(50, [base] * 50, memory=memory) as histograms:
        for _ in range(2):
            histograms.add(arrays)
            for got, x in zip(histograms.fetch(), wholes, strict=True):
                assert_same(got, Histogram.of(x, base))
            histograms.reset([base] * 50)


@pytest.mark.gpu
@pytest.mark.parametrize("fetch_between", [False, True])
@pytest.mark.parametrize("few_rows", [False, True])
def test_calls_add_up(memory, many, monkeypatch, fetch_between, few_rows):
    if few_rows:  # folded into the counts again and again, because there is no room
        monkeypatch.setattr(gpu_histogram, "_LEAST_ROWS", 60)
        monkeypatch.setattr(gpu_histogram, "_MOST_PER_ROW", 150_000)
    arrays, wholes = many
    with GpuHistograms(50, [1.5] * 50, memory=memory, stream=memory.new_stream()) as histograms:
        for _ in range(3):
            for start in range(0, 200, 50):
                histograms.add(arrays[start : start + 50])
                if fetch_between:
                    histograms.fetch()
        for got, x in zip(histograms.fetch(), wholes, strict=True):
            assert_same(got, Histogram.of(np.tile(x, 3), 1.5))


@pytest.mark.gpu
def test_the_range_is_that_of_the_first_array_that_has_one(memory):
    zeros, first, second = (np.array(v, np.float32) for v in ([0, 0], [1, -3], [8, 2, 0]))
    buffer = memory.reserve("test", 1 << 12)
    with GpuHistograms(1, memory=memory) as histograms:
        seen = []
        for i, x in enumerate((zeros, first, second)):
            memory.upload(buffer, x, offset=256 * i)
            histograms.add([DeviceArray(0, buffer.ptr + 256 * i, x.size)])
            seen.append(x)
            got = histograms.fetch()[0]
            assert_same(got, Histogram.of(np.concatenate(seen), 3.0 if i else None))
        assert got.doublings == 2


@pytest.mark.gpu
def test_sums_are_the_same_bits_every_time(memory):
    x = np.random.default_rng(2).standard_normal(3_000_001).astype(np.float32)
    sums = {count_on(memory, x, base=b).sum_parts for b in (1.0, 1.0, 1.0)}
    assert len(sums) == 1


@pytest.mark.gpu
def test_nothing_is_nothing(memory):
    with GpuHistograms(2, [None, 3.0], memory=memory) as histograms:
        histograms.add([])
        histograms.add([DeviceArray(1, 0, 0)])
        empty = np.zeros(0, np.float32)
        for got, base in zip(histograms.fetch(), (None, 3.0), strict=True):
            assert_same(got, Histogram.of(empty, base))
    with GpuHistograms(0, memory=memory) as histograms:
        assert histograms.fetch() == []


@pytest.mark.gpu
def test_device_memory_is_free_afterwards(memory):
    count_on(memory, np.ones(100_000, np.float32))
    before = memory.mem_info().free
    for _ in range(5):
        count_on(memory, np.ones(100_000, np.float32))
    assert memory.mem_info().free == before


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["torch", "cupy", "jax.numpy", "numba.cuda"])
def test_arrays_of_other_libraries(memory, library):
    module = pytest.importorskip(library)
    x = np.random.default_rng(3).standard_normal((7, 33, 65)).astype(np.float32)
    on_device = {
        "torch": lambda: module.from_numpy(x).cuda(),
        "cupy": lambda: module.asarray(x),
        "jax.numpy": lambda: module.asarray(x),
        "numba.cuda": lambda: module.to_device(x),
    }[library]()
    assert_same(histogram_of(on_device, memory=memory), Histogram.of(x))
    assert_same(histogram_of(on_device, 0.5), Histogram.of(x, 0.5))
    if library == "torch":
        assert_same(histogram_of(on_device.half().transpose(0, 2), 1.0), Histogram.of(x.astype(np.float16), 1.0))
        brain = on_device.bfloat16()
        assert_same(histogram_of(brain), Histogram.of(brain.float().cpu().numpy()))


@pytest.mark.gpu
def test_pycuda_runs_the_same_kernels():
    pytest.importorskip("pycuda.driver")
    x = np.random.default_rng(4).standard_normal(1_000_003).astype(np.float32)
    with open_memory("pycuda") as opened:
        for base in (None, 0.5):
            assert_same(count_on(opened, x, base=base), Histogram.of(x, base))


@pytest.mark.gpu
def test_an_array_on_another_device_is_refused(memory):
    x = OnDevice(np.ones(3, np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_histogram, "borrow", lambda *_: borrow(x)._replace(device=1))
        with pytest.raises(UsageError, match="the array is on device 1, the memory that was given is 0's"):
            histogram_of(x, memory=memory)


@pytest.mark.gpu
def test_closed_histograms_say_so(memory):
    histograms = GpuHistograms(1, memory=memory)
    histograms.close()
    histograms.close()
    for use in (histograms.reset, histograms.fetch, lambda: histograms.add([])):
        with pytest.raises(UsageError, match="have been closed"):
            use()


@pytest.mark.gpu
def test_a_failed_start_leaves_nothing_on_the_device(memory):
    count_on(memory, np.ones(10, np.float32))  # the kernels are loaded by then
    before = memory.mem_info().free
    with pytest.raises(UsageError):
        GpuHistograms(2, [1.0], memory=memory)
    with pytest.raises(OutOfDeviceMemoryError):
        GpuHistograms(100_000_000, memory=memory)
    assert memory.mem_info().free == before
