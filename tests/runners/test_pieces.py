"""Models run piece by piece: every bit is that of one run, and what does not fit is run in smaller pieces."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.runners.test_cuda import IMAGES, HostHistograms, facts
from tests.support.models import ocr_model
from tests.support.trt_host_driver import host_memory
from trtcal_widgets import sample
from trtcal_widgets.errors import OutOfDeviceMemoryError, UsageError
from trtcal_widgets.gpu import histogram as gpu_histogram
from trtcal_widgets.model.load import load_model
from trtcal_widgets.runners import onnxruntime as runner_module
from trtcal_widgets.runners import pieces as pieces_module
from trtcal_widgets.runners.cuda import OnDevice, memory_limit
from trtcal_widgets.runners.cutting import CutModel
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.runners.tap import OnnxRuntimeTap


@pytest.fixture
def on_device(monkeypatch):
    """Return a function that makes an OnDevice over host memory for a model, and the names that it is asked for."""
    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)
    opened = []

    def make(path, room=None):
        model = load_model(path)
        tap = OnnxRuntimeTap(model, providers=None, threads=1, optimization="extended")
        tap.read_everything = True
        opened.append(OnDevice(tap, 0, memory=host_memory()[0], place="cpu", room=room))
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
@pytest.mark.parametrize("room", [1 << 21, 1])
def test_pieces_of_a_real_model_give_the_bits_of_one_run(on_device, which, shape, room):
    whole, outputs = on_device(ocr_model(which))
    cut, _ = on_device(ocr_model(which), room)
    name = load_model(ocr_model(which)).graph.inputs[0].name
    for seed in (0, 1):
        feeds = {name: np.random.default_rng(seed).standard_normal(shape).astype(np.float32)}
        expected = {n: facts(h) for n, h in whole.histograms(feeds, outputs, {})}
        assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
    assert whole.n_pieces == 1
    assert cut.n_pieces > (100 if room == 1 else 2)
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
    cut, _ = on_device(path, 1)
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


class Device:
    """What ONNX Runtime says on a device with room for so many bytes of outputs of one run."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.refused = self.ran = 0

    def opened(self, inner):
        device = self

        class Session:
            def io_binding(self):
                self.bound = []
                return inner.io_binding()

            def run_with_iobinding(self, binding, options):
                inner.run_with_iobinding(binding, options)
                if sum(value.numpy().nbytes for value in binding.get_outputs()) > device.capacity:
                    device.refused += 1
                    raise RuntimeError(
                        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
                        "node. Name:'c' Status Message: Failed to allocate memory for requested buffer of size 99"
                    )
                device.ran += 1

        return Session()


@pytest.fixture
def small_device(monkeypatch):
    """Return a function that lets sessions have no more than so many bytes of outputs."""

    def shrink(capacity):
        device = Device(capacity)
        inner = OnnxRuntimeTap._open_session
        monkeypatch.setattr(OnnxRuntimeTap, "_open_session", lambda self, *a: device.opened(inner(self, *a)))
        return device

    return shrink


def test_what_does_not_fit_goes_on_in_smaller_pieces(on_device, small_device):
    reference, outputs = on_device(sample.model_path())
    bases = {n: h.base for n, h in reference.histograms({"data": IMAGES}, outputs, {})}
    batches = [IMAGES, IMAGES * 3, IMAGES[:5], IMAGES * 0]
    expected = [{n: facts(h) for n, h in reference.histograms({"data": b}, outputs, bases)} for b in batches]
    small = small_device(capacity=800_000)
    device, _ = on_device(sample.model_path())
    found = [{n: facts(h) for n, h in device.histograms({"data": b}, outputs, bases)} for b in batches]
    assert found == expected
    assert device.n_pieces >= 2
    assert 1 <= small.refused <= 3  # in the first batch alone
    refused = small.refused
    list(device.arrays({"data": IMAGES}, outputs))
    assert small.refused == refused


def test_arrays_come_once_also_where_pieces_become_smaller_between(on_device, small_device):
    reference, outputs = on_device(sample.model_path())
    expected = dict(reference.arrays({"data": IMAGES}, outputs))
    small = small_device(capacity=800_000)
    device, _ = on_device(sample.model_path(), room=900_000)
    found = list(device.arrays({"data": IMAGES}, outputs))
    assert small.refused
    assert sorted(n for n, _ in found) == sorted(outputs)
    assert all(np.array_equal(array, expected[n]) for n, array in found)


def test_what_fits_in_no_piece_is_said_with_what_helps(on_device, small_device):
    small_device(capacity=1000)
    device, outputs = on_device(sample.model_path())
    with pytest.raises(OutOfDeviceMemoryError, match=r"lenet\.onnx does not fit into the GPU.*smaller batch_size"):
        list(device.histograms({"data": IMAGES}, outputs, {}))


def test_the_counters_own_shortage_makes_pieces_smaller_too(on_device, monkeypatch):
    device, outputs = on_device(sample.model_path())
    expected = {n: facts(h) for n, h in device.histograms({"data": IMAGES}, outputs, {})}
    add, refused = HostHistograms.add, []

    def crowded(self, arrays):
        if sum(a.n for a in arrays) > 180_000:
            refused.append(arrays)
            raise OutOfDeviceMemoryError("no room for the counters", requested=1, free=0, total=2)
        add(self, arrays)

    monkeypatch.setattr(HostHistograms, "add", crowded)
    assert {n: facts(h) for n, h in device.histograms({"data": IMAGES}, outputs, {})} == expected
    assert refused
    assert device.n_pieces > 1


def test_one_session_at_a_time_where_none_can_share_an_arena(on_device, monkeypatch):
    whole, outputs = on_device(ocr_model("cls"))
    feeds = {"x": np.random.default_rng(3).standard_normal((1, 3, 48, 192)).astype(np.float32)}
    expected = {n: facts(h) for n, h in whole.histograms(feeds, outputs, {})}
    cut, _ = on_device(ocr_model("cls"), 1 << 20)
    monkeypatch.setattr(cut._pieces, "_one_at_a_time", True)
    opened, most = cut._pieces._sessions, []

    def looked_at(piece, waiting):
        most.append(len(opened))
        leave(piece, waiting)

    leave = cut._pieces._leave
    monkeypatch.setattr(cut._pieces, "_leave", looked_at)
    for _ in range(2):
        assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
    assert set(most) == {1}
    assert len(most) == 2 * cut.n_pieces


def test_shapes_that_change_between_batches_keep_the_cut_where_it_serves(on_device):
    whole, outputs = on_device(ocr_model("cls"))
    cut, _ = on_device(ocr_model("cls"), 1 << 20)
    rng = np.random.default_rng(4)
    n_pieces = []
    for width in (192, 96, 192, 400):
        feeds = {"x": rng.standard_normal((1, 3, 48, width)).astype(np.float32)}
        expected = {n: facts(h) for n, h in whole.histograms(feeds, outputs, {})}
        assert {n: facts(h) for n, h in cut.histograms(feeds, outputs, {})} == expected
        n_pieces.append(cut.n_pieces)
    assert n_pieces[0] == n_pieces[1] == n_pieces[2] < n_pieces[3]


def test_the_user_says_how_much_a_batch_may_take(monkeypatch):
    made = []

    def on_host(tap, index, *, room):
        made.append((index, room))
        tap.read_everything = True
        return OnDevice(tap, index, memory=host_memory()[0], place="cpu", room=room)

    monkeypatch.setattr(gpu_histogram, "GpuHistograms", HostHistograms)
    monkeypatch.setattr(runner_module, "OnDevice", on_host)
    monkeypatch.setattr(runner_module, "cuda_device", lambda _: 0)
    runner = OnnxRuntimeRunner(sample.model_path(), gpu_memory=300_000)
    with runner, OnnxRuntimeRunner(sample.model_path()) as other:
        found = {n: facts(h) for n, h in runner.histograms({"data": IMAGES}, {})}
        assert runner._on_device.n_pieces > 1
        arrays = dict(runner.infer({"data": IMAGES}))
        assert {n: facts(h) for n, h in other.histograms({"data": IMAGES}, {})} == found
    assert arrays.keys() == found.keys() - set(load_model(sample.model_path()).inner.names)
    assert made == [(0, 300_000), (0, None)]
    assert runner.one_of(2)._made_with["gpu_memory"] == 300_000
    assert memory_limit([("CUDAExecutionProvider", {"gpu_mem_limit": "2000"})]) == 2000
    assert memory_limit(["CUDAExecutionProvider"]) is None
    with pytest.raises(UsageError, match="gpu_memory"):
        OnnxRuntimeRunner(sample.model_path(), gpu_memory=0)


def test_sessions_take_room_too_and_are_opened_one_at_a_time_before_it_is_given_up(on_device, monkeypatch):
    whole, outputs = on_device(sample.model_path())
    expected = {n: facts(h) for n, h in whole.histograms({"data": IMAGES}, outputs, {})}
    device, _ = on_device(sample.model_path(), room=750_000)
    pieces, shapes = device._pieces, (("data", IMAGES.shape),)
    pieces.cut(shapes, 750_000)
    assert len(pieces.pieces) == 2
    monkeypatch.setattr(pieces, "_each", 1_000_000)
    pieces.close()
    pieces.cut(shapes, 750_000)
    assert len(pieces.pieces) == 1, "two sessions would take more than they spare"
    assert pieces.smaller_room(shapes) is not None
    assert pieces._one_at_a_time
    pieces.close()
    pieces.cut(shapes, 1_750_000)
    assert len(pieces.pieces) == 2
    assert {n: facts(h) for n, h in device.histograms({"data": IMAGES}, outputs, {})} == expected
    rooms = [1_750_000]
    while (room := pieces.smaller_room(shapes)) is not None:
        pieces.close()
        pieces.cut(shapes, room)
        rooms.append(room)
    assert rooms == sorted(set(rooms), reverse=True), "and it comes to an end"


@pytest.mark.gpu
def test_pieces_on_a_gpu_give_the_bits_of_one_run():
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    found = []
    for arena in ("own", "shared", "one at a time"):
        with pytest.MonkeyPatch.context() as patch:
            if arena == "one at a time":
                patch.setattr(pieces_module, "shared_arena", lambda _: None)
            patch.setattr(pieces_module, "_PER_SESSION", 0)
            room = None if arena == "own" else 800_000
            with OnnxRuntimeRunner(sample.model_path(), providers=["CUDAExecutionProvider"], gpu_memory=room) as runner:
                found.append({n: facts(h)[:7] for n, h in runner.histograms({"data": IMAGES}, {})})
                assert (runner._on_device.n_pieces > 1) == (room is not None)
    assert found[0] == found[1] == found[2]
