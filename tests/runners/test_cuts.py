"""How real models are cut: every tensor comes from one piece, and what is said of their memory is what they have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from tests.support.trt_host_driver import host_memory
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.gpu.memory import footprint
from trtcal_widgets.model.load import load_model
from trtcal_widgets.runners.cutting import Piece
from trtcal_widgets.runners.tap import OnnxRuntimeTap

SHAPES = {"det": (1, 3, 96, 96), "rec": (1, 3, 48, 96)}


def opened(which):
    """Return a tap of a real model in pieces on the host, and a batch for it."""
    path = minilm_model() if which == "MiniLM" else ocr_model(which)
    model = load_model(path)
    tap = OnnxRuntimeTap(model, providers=None, threads=1, optimization="extended")
    tap.read_everything = True
    if which == "MiniLM":
        return tap, encode(["quantised to eight bits", "a shorter one"], 12)
    values = np.random.default_rng(1).standard_normal(SHAPES[which]).astype(np.float32)
    return tap, {model.graph.inputs[0].name: values}


@pytest.mark.parametrize("which", ["det", "rec", "MiniLM"])
def test_every_tensor_comes_once_and_no_piece_has_more_than_was_said(which):
    tap, batch = opened(which)
    memory, driver = host_memory()
    shapes = tuple((name, array.shape) for name, array in batch.items())
    pieces = tap.in_pieces(memory, "cpu", 0)
    model, sizes = pieces._model, pieces.sizes(shapes)
    total = sizes.total(model.wanted)
    unknown = {name for name in pieces._wanted if sizes.known(name) is None}
    # What no shape inference tells (recognition's behind a Reshape) is taken to be as large as the largest that it
    # tells: the first batch shows it, and the next one is cut by it.
    assert (which == "rec") == (len(unknown) > 10)
    bound = max(map(model.weights, [Piece(i, i + 1) for i in range(len(model))])) + total // 3
    seen, given, most = [], 0, []
    for _ in range(2):
        seen.clear()
        given = 0
        for found in pieces.run(batch, bound):
            most.append(driver.used)
            for name, value in found.items():
                seen.append(name)
                nbytes = value.nbytes if isinstance(value, DeviceTensor) else value.numpy().nbytes
                given += nbytes
                assert name in batch or sizes.of(_of(pieces, name)) == nbytes, name
        assert sorted(seen) == sorted([*batch, *tap.outputs, *tap._model.inner.names])
    assert len(pieces.pieces) >= 4
    assert [p.first for p in pieces.pieces] == [0, *(p.stop for p in pieces.pieces[:-1])]
    assert pieces.pieces[-1].stop == len(model)
    fed = sum(array.nbytes for array in batch.values())
    assert given == sizes.total(model.wanted) + fed
    said = model.largest(pieces.pieces, sizes)
    assert said // 2 < max(most) <= min(bound, footprint(said) + footprint(fed) + len(seen) * 512)
    pieces.close()
    assert driver.used == 0


def _of(pieces, given):
    """The tensor of the cut model that is given under a name."""
    return next(name for name, called in pieces._wanted.items() if called == given)


@pytest.mark.parametrize("which", ["det", "rec", "MiniLM"])
def test_weights_of_pieces_are_those_of_the_file(which):
    """What a piece is said to have of weights is what its model holds, and together they have all of them."""
    tap, batch = opened(which)
    shapes = tuple((name, array.shape) for name, array in batch.items())
    pieces = tap.in_pieces(host_memory()[0], "cpu", 0)
    model, sizes = pieces._model, pieces.sizes(shapes)
    for piece in model.cut(sizes, sizes.total(model.wanted) // 4):
        proto = model.model_of(piece).proto
        held = sum(_stored(t) for t in proto.graph.initializer)
        held += sum(_stored(a.t) for n in proto.graph.node if n.op_type == "Constant" for a in n.attribute)
        assert model.weights(piece) == held


def test_a_piece_is_halved_where_its_bytes_are_until_it_has_one_node():
    tap, batch = opened("det")
    pieces = tap.in_pieces(host_memory()[0], "cpu", 0)
    model, sizes = pieces._model, pieces.sizes(tuple((name, array.shape) for name, array in batch.items()))
    whole = Piece(0, len(model))
    first, second = model.halves(whole, sizes)
    assert (first.first, first.stop, second.stop) == (0, second.first, len(model))
    halves = [sum(sizes.of(name) for node in model.nodes_of(part) for name in node.output) for part in (first, second)]
    assert abs(halves[0] - halves[1]) <= max(map(sizes.of, model.wanted))
    assert model.halves(Piece(5, 6), sizes) is None


def _stored(tensor):
    from onnx import helper

    return int(np.prod(tensor.dims, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
