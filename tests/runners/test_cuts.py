"""How real models are cut: every tensor comes from one piece, and what is said of their memory is what they have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from trtcal_widgets.model.load import load_model
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


def nbytes(value):
    return value.numpy().nbytes


@pytest.mark.parametrize("which", ["det", "rec", "MiniLM"])
def test_every_tensor_comes_once_and_no_piece_has_more_than_was_said(which):
    tap, batch = opened(which)
    feeds = {name: tap.to_place(array, "cpu", 0) for name, array in batch.items()}
    shapes = tuple((name, array.shape) for name, array in batch.items())
    pieces = tap.in_pieces("cpu", 0)
    total = pieces.total(shapes)
    pieces.cut(shapes, total // 4)
    model, sizes = pieces._model, pieces.sizes(shapes)
    said = model.largest(pieces.pieces, sizes)
    assert len(pieces.pieces) >= 4
    assert said <= total // 4
    assert [p.first for p in pieces.pieces] == [0, *(p.stop for p in pieces.pieces[:-1])]
    assert pieces.pieces[-1].stop == len(model)

    inner, seen, most = pieces._run_piece, [], []

    def run_piece(piece, values, waiting):
        found = inner(piece, values, waiting)
        most.append(sum(map(nbytes, {**waiting, **found}.values())))
        return found

    pieces._run_piece = run_piece
    given = 0
    unknown = {name for name in pieces._wanted if name not in sizes._known}
    # What no shape inference tells (recognition's behind a Reshape) is taken to be as large as the largest that it
    # tells, which is too little for its last layers: the first batch shows it, and the next one is cut by it.
    assert (which == "rec") == (len(unknown) > 10)
    for found in pieces.run(feeds):
        seen += found
        for name, value in found.items():
            given += nbytes(value)
            assert sizes.of(_of(pieces, name)) == nbytes(value), name
        found.clear()
    assert sorted(seen) == sorted([*tap.outputs, *tap._model.inner.names])
    assert given == pieces.total(shapes)
    assert (given == total) == (not unknown)

    pieces.cut(shapes, given // 4)
    said = model.largest(pieces.pieces, sizes)
    most.clear()
    again = [name for found in pieces.run(feeds) for name in found]
    assert sorted(again) == sorted(seen)
    assert max(most) <= said <= max(given // 4, max(map(sizes.of, pieces._wanted)) * 4)
    assert max(most) > said // 2, "what is said is no empty promise"
    tap.close()


def _of(pieces, given):
    """The tensor of the cut model that is given under a name."""
    return next(name for name, called in pieces._wanted.items() if called == given)


@pytest.mark.parametrize("which", ["det", "rec", "MiniLM"])
def test_weights_of_pieces_are_those_of_the_file(which):
    """What a piece is said to have of weights is what its model holds, and together they have all of them."""
    tap, batch = opened(which)
    shapes = tuple((name, array.shape) for name, array in batch.items())
    pieces = tap.in_pieces("cpu", 0)
    pieces.cut(shapes, pieces.total(shapes) // 4)
    model = pieces._model
    for piece in pieces.pieces:
        proto = model.model_of(piece).proto
        held = sum(_stored(t) for t in proto.graph.initializer)
        held += sum(_stored(a.t) for n in proto.graph.node if n.op_type == "Constant" for a in n.attribute)
        assert model.weights(piece) == held
    cpu = pieces._cost(pieces.pieces, pieces.sizes(shapes))
    pieces._weighs = True
    together = pieces._cost(pieces.pieces, pieces.sizes(shapes)) - cpu
    pieces._one_at_a_time = True
    alone = pieces._cost(pieces.pieces, pieces.sizes(shapes)) - cpu
    assert together == sum(map(model.weights, pieces.pieces))
    assert alone == max(map(model.weights, pieces.pieces)) < together
    tap.close()


def _stored(tensor):
    from onnx import helper

    return int(np.prod(tensor.dims, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
