"""Models run piece by piece: every bit is that of one run, and what does not fit is run in smaller pieces."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.runners.test_cuda import IMAGES, HostHistograms, facts
from tests.support.models import ocr_model
from tests.support.small_gpu import REFUSALS, SmallGpu
from tests.support.trt_host_driver import host_memory
from trtcal_widgets import sample
from trtcal_widgets.errors import ModelError, OutOfDeviceMemoryError, UsageError
from trtcal_widgets.gpu import histogram as gpu_histogram
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.ort import is_full
from trtcal_widgets.runners import onnxruntime as runner_module
from trtcal_widgets.runners import tap as tap_module
from trtcal_widgets.runners.cuda import OnDevice, memory_limit
from trtcal_widgets.runners.cutting import CutModel
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.runners.tap import OnnxRuntimeTap


@pytest.fixture
def on_device(monkeypatch):
    """Return a function that makes an OnDevice over host memory for a model, and the names that it is asked for."""
    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)
    opened = []

    def make(path, bound=None, memory=None):
        model = load_model(path)
        tap = OnnxRuntimeTap(model, providers=None, threads=1, optimization="extended")
        tap.read_everything = True
        opened.append(OnDevice(tap, 0, memory=memory or host_memory()[0], place="cpu", bound=bound))
        return opened[-1], [*tap.outputs, *model.inner.names]

    yield make
    for device in opened:
        device.close()


def saved(path, nodes, inputs, outputs, initializers=(), opset=17):
    infos = [[helper.make_tensor_value_info(*info) for info in infos] for infos in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *infos, [onnx.numpy_helper.from_array(a, n) for n, a in initializers])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("which", "shape"), [("det", (1, 3, 160, 160)), ("rec", (2, 3, 48, 160)), ("cls", (2, 3, 48, 192))]
)
@pytest.mark.parametrize("bound", [1 << 24, 6 << 20])
def test_pieces_of_a_real_model_give_the_bits_of_one_run(on_device, which, shape, bound):
    whole, outputs = on_device(ocr_model(which))
    cut, _ = on_device(ocr_model(which), bound)
    name = load_model(ocr_model(which)).graph.inputs[0].name
    for seed in (0, 1):
        feeds = {name: np.random.default_rng(seed).standard_normal(shape).astype(np.float32)}
        expected = {n: facts(h) for n, h in whole.histograms(feeds, outputs, {})}
        assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
    assert whole.n_pieces == 1
    assert cut.n_pieces > (4 if bound == 6 << 20 else 2)
    arrays = dict(whole.arrays(feeds, outputs))
    for n, array in cut.arrays(feeds, outputs):
        assert np.array_equal(array, arrays.pop(n), equal_nan=True), n
    assert not arrays


def awkward_model(path):
    """Return a model with what cannot be cut anywhere: a sequence, a branch that reads outside, text, bfloat16."""
    branch = helper.make_graph(
        [helper.make_node("Mul", ["early", "early"], ["then_out"])],
        "then",
        [],
        [helper.make_tensor_value_info("then_out", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["early"], ["else_out"])],
        "else",
        [],
        [helper.make_tensor_value_info("else_out", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Add", ["x", "one"], ["early"]),
        helper.make_node("Shape", ["early"], ["shape"]),
        helper.make_node("SplitToSequence", ["early"], ["parts"], axis=1, keepdims=1),
        helper.make_node("Cast", ["early"], ["brain"], to=TensorProto.BFLOAT16),
        helper.make_node("Relu", ["early"], ["positive"]),
        helper.make_node("ConcatFromSequence", ["parts"], ["joined"], axis=1),
        helper.make_node("Cast", ["brain"], ["back"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Greater", ["positive", "two"], ["mask"]),
        helper.make_node("ReduceSum", ["positive"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["any"]),
        helper.make_node("If", ["any"], ["chosen"], then_branch=branch, else_branch=other),
        helper.make_node("Where", ["mask", "chosen", "joined"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "shape"], ["reshaped"]),
        helper.make_node("Cast", ["reshaped"], ["words"], to=TensorProto.STRING),
        helper.make_node("Cast", ["words"], ["read"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["read"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Add", ["back", "two"], ["y"]),
    ]
    constants = [("one", np.float32([1])), ("zero", np.float32(0))]
    outputs = [("half", TensorProto.FLOAT16, None), ("y", TensorProto.FLOAT, None)]
    return saved(path, nodes, [("x", TensorProto.FLOAT, ["n", 4])], outputs, constants)


def test_nothing_is_cut_where_something_else_than_an_array_flows(on_device, tmp_path):
    path = awkward_model(tmp_path / "m.onnx")
    whole, outputs = on_device(path)
    cut, _ = on_device(path, 6400)
    feeds = {"x": IMAGES.reshape(-1, 4)[:50]}
    expected = {n: facts(h) for n, h in whole.histograms(feeds, outputs, {})}
    assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
    assert {"brain", "back", "joined", "chosen", "read", "half", "y"} <= expected.keys()
    assert 8 <= cut.n_pieces < 17
    assert [n for n, _ in cut.arrays(feeds, outputs)] == outputs


def test_pieces_are_as_large_as_there_is_room(tmp_path):
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(12)]
    nodes.append(helper.make_node("Add", ["t3", "t12"], ["y"]))  # t3 waits
    path = saved(
        tmp_path / "m.onnx", nodes, [("t0", TensorProto.FLOAT, ["n", 256])], [("y", TensorProto.FLOAT, ["n", 256])]
    )
    proto = onnx.load(path)
    model = CutModel(proto, [n.output[0] for n in nodes], tmp_path)
    sizes = model.sizes({"t0": (4, 256)})
    each = 4 * 256 * 4
    assert sizes.of("t5") == each
    assert sizes.total(["t1", "y"]) == 2 * each
    assert model.cut(sizes, 13 * each) == ((0, 13),)
    pieces = model.cut(sizes, 5 * each)
    assert model.largest(pieces, sizes) <= 5 * each
    assert pieces[0] == (0, 5)
    assert pieces[1] == (5, 8)  # t3 and t5 wait, three are made
    assert [p.first for p in pieces[1:]] == [p.stop for p in pieces[:-1]]
    assert pieces[-1].stop == len(model) == 13
    assert len(model.cut(sizes, 1)) == 13
    assert model.sizes({"t0": (40, 256)}).of("t5") == 10 * each


@pytest.fixture
def small_gpu(monkeypatch):
    """Return a function that puts sessions on a card that counts, and returns it with its memory."""

    def put(bound=None, *, capacity=1 << 30, **how):
        memory, driver = host_memory(capacity)
        gpu = SmallGpu(driver, bound, **how)
        monkeypatch.setattr(tap_module, "open_session", gpu.open(tap_module.open_session))
        return gpu, memory

    return put


LENET = {"data": IMAGES}
FEEDS_CLS = {"x": np.random.default_rng(3).standard_normal((1, 3, 48, 192)).astype(np.float32)}
WORKSPACE = {"Conv": 300_000, "Gemm": 50_000, "MatMul": 50_000, "MaxPool": 1000}


def expected_of(on_device, path, feeds):
    """Return the facts of histograms of one run, and the outputs to ask for."""
    reference, outputs = on_device(path)
    return {n: facts(h) for n, h in reference.histograms(feeds, outputs, {})}, outputs


@pytest.mark.parametrize("bound", [2_600_000, 2_900_000, 3_300_000, 4_000_000])
@pytest.mark.parametrize("each", [0, 200_000])
def test_no_more_than_the_bound_is_taken_at_any_time(on_device, small_gpu, bound, each):
    expected, outputs = expected_of(on_device, sample.model_path(), LENET)
    gpu, memory = small_gpu(bound, asked=WORKSPACE, each=each)
    device, _ = on_device(sample.model_path(), bound, memory)
    device._pieces._each = each
    opened = []
    for _ in range(3):
        assert {n: facts(h) for n, h in device.histograms(LENET, outputs, {})} == expected
        opened.append(gpu.opened)
    assert bound // 2 < gpu.peak <= bound
    assert dict(device.arrays(LENET, outputs)).keys() == set(outputs)
    refused = gpu.refused
    list(device.histograms(LENET, outputs, {}))
    assert gpu.refused == refused, "what was learnt is kept"
    if bound == 4_000_000:
        assert opened[1] == opened[2], "sessions stay open where there is room"
    device.close()
    assert gpu.driver.used == 0
    assert not gpu.sessions


@pytest.mark.parametrize("which", ["det", "cls"])
def test_a_real_model_stays_within_bounds_that_are_hard_to_keep(on_device, small_gpu, which):
    shape = {"det": (2, 3, 96, 96), "cls": (4, 3, 48, 192)}[which]
    feeds = {load_model(ocr_model(which)).graph.inputs[0].name: np.random.default_rng(5).standard_normal(shape)}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    expected, outputs = expected_of(on_device, ocr_model(which), feeds)
    pieces = []
    for bound in (24 << 20, 6 << 20, 4 << 20):
        gpu, memory = small_gpu(bound, asked={"Conv": 1 << 20, "ConvTranspose": 1 << 20}, each=1 << 19)
        device, _ = on_device(ocr_model(which), bound, memory)
        device._pieces._each = 1 << 19
        for _ in range(2):
            assert {n: facts(h) for n, h in device.histograms(feeds, outputs, {})} == expected
        assert gpu.peak <= bound
        pieces.append(device.n_pieces)
    assert pieces == sorted(pieces)
    assert pieces[0] < pieces[-1]


def test_refusals_at_any_place_change_nothing(on_device, small_gpu):
    expected, outputs = expected_of(on_device, ocr_model("cls"), FEEDS_CLS)
    rng = np.random.default_rng(11)
    whole = given_up = 0
    for trial in range(6):
        gpu, memory = small_gpu(8 << 20)
        gpu.fails = lambda gpu=gpu: gpu.refuse() if rng.random() < 0.15 and gpu.refused < 9 else None
        device, _ = on_device(ocr_model("cls"), 8 << 20, memory)
        for _ in range(3):
            try:
                found = {n: facts(h) for n, h in device.histograms(FEEDS_CLS, outputs, {})}
            except OutOfDeviceMemoryError:  # a single layer was refused
                given_up += 1
                continue
            assert found == expected, trial
            whole += 1
        assert gpu.refused
    assert whole > 12
    assert whole + given_up == 18


def test_an_interrupt_leaves_nothing_on_the_device_and_the_next_batch_is_whole(on_device, small_gpu):
    expected, outputs = expected_of(on_device, ocr_model("cls"), FEEDS_CLS)
    gpu, memory = small_gpu(5 << 20)
    device, _ = on_device(ocr_model("cls"), 5 << 20, memory)
    for stop in (1, 2, 3, 5):
        left = [stop]

        def fails(left=left):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        gpu.fails = fails
        with pytest.raises(KeyboardInterrupt):
            list(device.histograms(FEEDS_CLS, outputs, {}))
        gpu.fails = lambda: None
        assert gpu.driver.used == 0
        assert {n: facts(h) for n, h in device.histograms(FEEDS_CLS, outputs, {})} == expected
    arrays = device.arrays(FEEDS_CLS, outputs)
    next(arrays)
    arrays.close()
    assert gpu.driver.used == 0
    assert device.n_pieces > 4


def test_a_batch_may_wait_while_another_one_is_run(on_device, small_gpu):
    expected, outputs = expected_of(on_device, ocr_model("cls"), FEEDS_CLS)
    arrays = dict(on_device(ocr_model("cls"))[0].arrays(FEEDS_CLS, outputs))
    wide = {"x": np.random.default_rng(8).standard_normal((4, 3, 48, 192)).astype(np.float32)}
    for bound in (64 << 20, 14 << 20):
        gpu, memory = small_gpu(bound, asked={"Conv": 1 << 20})
        device, _ = on_device(ocr_model("cls"), bound, memory)
        begun = device.arrays(FEEDS_CLS, outputs)
        found = dict([next(begun) for _ in range(3)])
        assert {n: facts(h) for n, h in device.histograms(FEEDS_CLS, outputs, {})} == expected
        list(device.histograms(wide, outputs, {}))  # is cut further
        found.update(begun)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[n], arrays[n]) for n in arrays)
        assert {n: facts(h) for n, h in device.histograms(FEEDS_CLS, outputs, {})} == expected
        device.close()
        assert gpu.driver.used == 0


def test_batches_of_many_shapes_are_remembered_for_a_while_only(on_device):
    device, outputs = on_device(sample.model_path())
    for n in range(1, 70):
        list(device.histograms({"data": IMAGES[:1].repeat(n, axis=0)}, outputs, {}))
    assert len(device._pieces._sizes) == 64
    expected, _ = expected_of(on_device, sample.model_path(), {"data": IMAGES[:1]})
    assert {n: facts(h) for n, h in device.histograms({"data": IMAGES[:1]}, outputs, {})} == expected


def test_a_limit_that_admits_one_layer_only_and_one_byte_less(on_device, small_gpu, tmp_path):
    nodes = [helper.make_node("Relu" if i % 2 else "Neg", [f"t{i}"], [f"t{i + 1}"]) for i in range(12)]
    path = saved(
        tmp_path / "m.onnx", nodes, [("t0", TensorProto.FLOAT, ["n", 256])], [("t12", TensorProto.FLOAT, ["n", 256])]
    )
    feeds = {"t0": np.random.default_rng(1).standard_normal((64, 256)).astype(np.float32)}
    expected, outputs = expected_of(on_device, path, feeds)
    layer = 2 * 64 * 256 * 4
    gpu, memory = small_gpu(layer, asked={})
    device, _ = on_device(path, layer, memory)
    assert {n: facts(h) for n, h in device.histograms(feeds, outputs, {})} == expected
    assert device.n_pieces == 12
    assert gpu.peak == layer
    gpu, memory = small_gpu(layer - 1)
    device, _ = on_device(path, layer - 1, memory)
    said = r"m\.onnx does not fit into .*'t0' float32 \(64, 256\): (Neg|Relu) makes tensor 't\d+' of 64 KiB.*batch_size"
    with pytest.raises(OutOfDeviceMemoryError, match=said) as refused:
        list(device.histograms(feeds, outputs, {}))
    assert refused.value.requested == layer // 2
    assert gpu.driver.used == 0


def test_what_waits_goes_to_the_host_before_a_layer_is_given_up(on_device, small_gpu, tmp_path):
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(6)]
    nodes += [helper.make_node("Add", [f"t{6 + i}", f"t{5 - i}"], [f"t{7 + i}"]) for i in range(5)]  # as in a U-Net
    path = saved(
        tmp_path / "m.onnx", nodes, [("t0", TensorProto.FLOAT, ["n", 256])], [("t11", TensorProto.FLOAT, ["n", 256])]
    )
    feeds = {"t0": np.random.default_rng(2).standard_normal((64, 256)).astype(np.float32)}
    expected, outputs = expected_of(on_device, path, feeds)
    bound = 3 * 64 * 256 * 4
    gpu, memory = small_gpu(bound)
    device, _ = on_device(path, bound, memory)
    for _ in range(2):
        assert {n: facts(h) for n, h in device.histograms(feeds, outputs, {})} == expected
    assert gpu.peak == bound


def test_a_batch_that_does_not_fit_as_a_whole_is_run_within_what_is_free(on_device, small_gpu):
    batches = [IMAGES, IMAGES * 3, IMAGES[:5], np.concatenate([IMAGES, IMAGES])]
    expected = [expected_of(on_device, sample.model_path(), {"data": batch})[0] for batch in batches]
    gpu, memory = small_gpu(capacity=3_000_000, asked=WORKSPACE)
    device, outputs = on_device(sample.model_path(), None, memory)
    found = [{n: facts(h) for n, h in device.histograms({"data": b}, outputs, {})} for b in batches]
    assert found == expected
    assert device.n_pieces >= 2
    assert gpu.peak <= 3_000_000


def test_the_counters_own_shortage_makes_the_bound_smaller(on_device, monkeypatch):
    device, outputs = on_device(sample.model_path())
    expected = {n: facts(h) for n, h in device.histograms(LENET, outputs, {})}
    add, refused = HostHistograms.add, []

    def crowded(self, arrays):
        if len(refused) < 3 and len(arrays) > 1:
            refused.append(arrays)
            raise OutOfDeviceMemoryError("no room for the counters", requested=1, free=0, total=2)
        add(self, arrays)

    monkeypatch.setattr(HostHistograms, "add", crowded)
    assert {n: facts(h) for n, h in device.histograms(LENET, outputs, {})} == expected
    assert len(refused) == 3
    assert device._bound < 1 << 30


def test_counters_that_never_fit_are_an_error(on_device, monkeypatch):
    device, outputs = on_device(sample.model_path())

    def crowded(self, arrays):
        raise OutOfDeviceMemoryError("no room for the counters", requested=1, free=0, total=2)

    monkeypatch.setattr(HostHistograms, "add", crowded)
    with pytest.raises(OutOfDeviceMemoryError):
        list(device.histograms(LENET, outputs, {}))


def test_shapes_that_are_known_only_when_they_are_seen_may_change(on_device, small_gpu, tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("NonZero", ["positive"], ["places"]),
        helper.make_node("Cast", ["places"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "floats"], ["squares"]),
        helper.make_node("ReduceSum", ["squares"], ["y"], keepdims=0),
    ]
    path = saved(tmp_path / "m.onnx", nodes, [("x", TensorProto.FLOAT, ["n", 4])], [("y", TensorProto.FLOAT, [])])
    rng = np.random.default_rng(6)
    batches = [{"x": rng.standard_normal((20, 4)).astype(np.float32)} for _ in range(4)]
    batches.insert(1, batches[0])
    expected = [expected_of(on_device, path, batch) for batch in batches]
    gpu, memory = small_gpu(20_000)
    device, outputs = on_device(path, 20_000, memory)
    found = [{n: facts(h) for n, h in device.histograms(batch, outputs, {})} for batch in batches]
    assert found == [facts_of for facts_of, _ in expected]
    assert gpu.ran


def test_a_model_that_fails_is_no_lack_of_memory(on_device, small_gpu, tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"], name="product")],
        [(n, TensorProto.FLOAT, None) for n in ("x", "w")],
        [("y", TensorProto.FLOAT, None)],
    )
    gpu, memory = small_gpu(1 << 20)
    device, outputs = on_device(path, 1 << 20, memory)
    with pytest.raises(ModelError, match=r"MatMul node 'product' failed"):
        list(device.histograms({"x": np.ones((2, 3), np.float32), "w": np.ones((2, 3), np.float32)}, outputs, {}))
    assert not gpu.refused
    assert device.n_pieces == 1
    assert gpu.driver.used == 0


def test_shapes_that_change_between_batches_keep_the_cut_where_it_serves(on_device, small_gpu):
    _, memory = small_gpu(8 << 20)
    cut, outputs = on_device(ocr_model("cls"), 8 << 20, memory)
    rng = np.random.default_rng(4)
    n_pieces = []
    for width in (192, 96, 192, 400):
        feeds = {"x": rng.standard_normal((1, 3, 48, width)).astype(np.float32)}
        expected, _ = expected_of(on_device, ocr_model("cls"), feeds)
        assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
        n_pieces.append(cut.n_pieces)
    assert n_pieces[0] == n_pieces[1] == n_pieces[2] < n_pieces[3]


def test_the_user_says_how_much_may_be_taken(monkeypatch):
    made = []

    def on_host(tap, index, *, bound):
        made.append((index, bound))
        tap.read_everything = True
        return OnDevice(tap, index, memory=host_memory()[0], place="cpu", bound=bound)

    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)
    monkeypatch.setattr(runner_module, "OnDevice", on_host)
    monkeypatch.setattr(runner_module, "cuda_device", lambda _: 0)
    runner = OnnxRuntimeRunner(sample.model_path(), gpu_memory=2_600_000)
    with runner, OnnxRuntimeRunner(sample.model_path()) as other:
        found = {n: facts(h) for n, h in runner.histograms(LENET, {})}
        assert runner._on_device.n_pieces > 1
        arrays = dict(runner.infer(LENET))
        assert {n: facts(h) for n, h in other.histograms(LENET, {})} == found
    assert arrays.keys() == found.keys() - set(load_model(sample.model_path()).inner.names)
    assert made == [(0, 2_600_000), (0, None)]
    assert runner.one_of(2)._made_with["gpu_memory"] == 2_600_000
    assert memory_limit([("CUDAExecutionProvider", {"gpu_mem_limit": "2000"})]) == 2000
    assert memory_limit(["CUDAExecutionProvider"]) is None
    with pytest.raises(UsageError, match="gpu_memory"):
        OnnxRuntimeRunner(sample.model_path(), gpu_memory=0)


@pytest.mark.parametrize("text", REFUSALS)
def test_lack_of_memory_is_known_whoever_says_it(text):
    assert is_full(RuntimeError(text))
    wrapped = ModelError("does not take it")
    wrapped.__cause__ = RuntimeError(text)
    assert is_full(wrapped)
    assert is_full(MemoryError())


@pytest.mark.parametrize("text", REFUSALS)
def test_a_run_without_a_device_says_that_memory_is_lacking_whoever_says_it(text, monkeypatch):
    tap = OnnxRuntimeTap(load_model(sample.model_path()), providers=None, threads=1, optimization="extended")
    tap.open(lean=False)

    def run(*_):
        raise RuntimeError(text)

    monkeypatch.setattr(tap._session, "run", run)
    with pytest.raises(ModelError, match="does not fit into memory with a batch of 'data' float32"):
        tap.run(LENET)


@pytest.mark.parametrize("option", [{"gpu_mem_limit": "2GB"}, {"gpu_mem_limit": [1]}])
def test_an_option_of_the_provider_that_is_no_number_is_refused(option):
    with pytest.raises(UsageError, match="gpu_mem_limit of CUDAExecutionProvider is a whole number, not"):
        memory_limit([("CUDAExecutionProvider", option)])


@pytest.mark.parametrize(
    "text",
    [
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x",
        "Non-zero status code returned while running Gemm node. Name:'' Status Message: GEMM: Dimension mismatch",
        "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Foo(1) node",
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; expr=cudaStreamSynchronize(stream_)",
        "When calling Run() with pre-allocated output OrtValues on a model with dynamic output shapes, either supply "
        "unallocated output OrtValues",
        "indices element out of data bounds, idx=30522 must be within the inclusive range [-30522,30521]",
    ],
)
def test_other_errors_are_none_of_memory(text):
    assert not is_full(RuntimeError(text))


@pytest.mark.gpu
def test_pieces_on_a_gpu_give_the_bits_of_one_run():
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    found = []
    for bound in (None, 1 << 30, 200 << 20):
        with OnnxRuntimeRunner(sample.model_path(), providers=["CUDAExecutionProvider"], gpu_memory=bound) as runner:
            found += [{n: facts(h)[:7] for n, h in runner.histograms({"data": IMAGES}, {})} for _ in range(2)]
    assert all(facts_of == found[0] for facts_of in found)


@pytest.mark.gpu
def test_a_gpu_refuses_beyond_the_bound_and_is_given_back_what_was_taken():
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    images = np.random.default_rng(1).standard_normal((2000, 1, 28, 28)).astype(np.float32)
    found, pieces, taken = [], [], []
    with open_memory() as memory, OnnxRuntimeRunner(sample.model_path(), providers=["CUDAExecutionProvider"]) as runner:
        expected = {n: facts(h)[:7] for n, h in runner.histograms({"data": images}, {})}
        runner.close()
        before = memory.mem_info().free
        for bound in (700 << 20, 320 << 20):
            options = {"providers": ["CUDAExecutionProvider"], "gpu_memory": bound}
            with OnnxRuntimeRunner(sample.model_path(), **options) as small:
                for _ in range(2):
                    found.append({n: facts(h)[:7] for n, h in small.histograms({"data": images}, {})})
                    taken.append(before - memory.mem_info().free <= bound)
                pieces.append(small._on_device.n_pieces)
    assert all(facts_of == expected for facts_of in found)
    assert pieces[0] <= pieces[1]
    assert all(taken)
