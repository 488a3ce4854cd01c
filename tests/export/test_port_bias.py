"""The bias of a layer is evidence as its weights are: where it differs, so does the layer, or what it reads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.export.test_port_evidence import PIXELS, calibrated
from tests.support.graphs import const, node, save, value
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.port import port_scales

RNG = np.random.default_rng(3)
W = (RNG.standard_normal((6, 3, 3, 3)) * 0.3).astype(np.float32)
W2 = (RNG.standard_normal((4, 6, 1, 1)) * 0.4).astype(np.float32)
B = RNG.standard_normal(6).astype(np.float32)
MEAN = np.array([123.7, 116.3, 103.5], np.float32)
SHIFT = np.einsum("oikl,i->o", W, MEAN).astype(np.float32)
CENTRED = PIXELS * 255 - MEAN.reshape(1, 3, 1, 1)


def built(path, nodes, stored, *, conv_input="images", shape=(3, 8, 8), after=None):
    """``nodes`` make ``a`` of the input; a Relu and a second layer follow."""
    after = after or [node("Relu", ["a"], ["r"]), node("Conv", ["r", "w2"], ["o"])]
    return save(
        path, [*nodes, *after], [value("images", ["N", *shape])], [value("o", None)], [const("w2", W2), *stored]
    )


def conv(bias, *, weights=W, reads="images", out="a"):
    stored = [const(f"w_{out}", weights)] + ([] if bias is None else [const(f"b_{out}", bias)])
    names = [reads, f"w_{out}"] + ([] if bias is None else [f"b_{out}"])
    return [node("Conv", names, [out])], stored


def with_add(bias, shape, *, op="Add"):
    nodes, stored = conv(None, out="t")
    return [*nodes, node(op, ["t", "c"], ["a"])], [*stored, const("c", np.reshape(bias, shape))]


GAIN, BETA, VARIANCE = RNG.random(6) + 0.5, RNG.standard_normal(6), RNG.random(6) + 0.2
FACTOR = GAIN / np.sqrt(VARIANCE + 1e-5)


def with_normalisation(bias, mean):
    nodes, stored = conv(bias, out="t")
    names = ["g", "beta", "mean", "var"]
    stored += [const(n, v) for n, v in zip(names, (GAIN, BETA, mean, VARIANCE), strict=True)]
    return [*nodes, node("BatchNormalization", ["t", *names], ["a"])], stored


def prepared(*steps):
    """The input goes through steps (operator, constant) before the layer with bias B."""
    nodes, stored, last = [], [], "images"
    for i, (op, constant) in enumerate(steps):
        nodes.append(node(op, [last, f"c{i}"], [f"p{i}"]))
        stored.append(const(f"c{i}", constant))
        last = f"p{i}"
    more, weights = conv(B, reads=last)
    return [*nodes, *more], [*stored, *weights]


def truth(path, x):
    return calibrated(path, x).scales


def check(tmp_path, one, other, x_one, x_other, *, carried, lost=(), force=False):
    """Port both ways; whatever is carried is near what calibration gives, ``carried`` is and ``lost`` is not."""
    paths = [built(tmp_path / f"{i}.onnx", *made) for i, made in enumerate((one, other))]
    feeds = [np.ascontiguousarray(x, np.float32) for x in (x_one, x_other)]
    for old, new in ((0, 1), (1, 0)):
        cache, wanted = calibrated(paths[old], feeds[old]), truth(paths[new], feeds[new])
        scales = port_scales(paths[old], paths[new], cache, force=force).table.scales
        for name, scale in scales.items():
            assert 0.5 < scale / wanted[name] < 2, (name, scale * 127, wanted[name] * 127)
        assert set(carried) <= set(scales)
        assert not set(lost) & set(scales)


@pytest.mark.parametrize("force", [False, True])
def test_a_mean_that_is_folded_into_the_bias_takes_the_inputs_scale_along(tmp_path, force):
    """W (x - m) + b = W x + (b - W m): the same weights, other biases, the same result, another input."""
    raw = CENTRED + MEAN.reshape(1, 3, 1, 1)
    check(
        tmp_path, conv(B), conv(B - SHIFT), CENTRED * 0.2, CENTRED * 0.2 + MEAN.reshape(1, 3, 1, 1),
        carried={"a", "r", "o"}, lost={"images"}, force=force,
    )  # fmt: skip
    assert np.abs(raw).max() > 200


def test_one_mean_for_all_channels(tmp_path):
    shift = 118 * W.sum(axis=(1, 2, 3))
    x = PIXELS * 20 - 10
    check(tmp_path, conv(B), conv(B - shift), x, x + 118, carried={"a", "o"}, lost={"images"})


def test_the_mean_is_subtracted_in_the_graph_of_one_and_folded_into_the_bias_of_the_other(tmp_path):
    mean = MEAN.reshape(1, 3, 1, 1)
    check(
        tmp_path, prepared(("Sub", mean)), conv(B - SHIFT), PIXELS * 255, PIXELS * 255,
        carried={"a", "r", "o"},
    )  # fmt: skip


def test_mean_and_std_folded_into_weights_and_bias(tmp_path):
    std = np.array([58.4, 57.1, 57.4], np.float32)
    folded = W / std.reshape(1, 3, 1, 1)
    bias = B - np.einsum("oikl,i->o", folded, MEAN)
    raw = PIXELS * 255
    normed = (raw - MEAN.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1)
    check(tmp_path, conv(B), conv(bias, weights=folded), normed, raw, carried={"r", "o"}, lost={"images"})
    steps = (("Sub", MEAN.reshape(1, 3, 1, 1)), ("Div", std.reshape(1, 3, 1, 1)))
    check(tmp_path, conv(B), prepared(*steps), normed, raw, carried={"a", "r", "o"})


@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1)])
@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_a_bias_that_is_an_addition_of_its_own_on_one_side(tmp_path, shape, op):
    other = with_add(B if op == "Add" else -B, shape, op=op)
    check(tmp_path, conv(B), other, PIXELS, PIXELS, carried={"images", "a", "r", "o"}, lost={"t"})


@pytest.mark.parametrize("force", [False, True])
def test_another_bias_that_no_mean_explains_says_nothing_of_the_input(tmp_path, force):
    other = conv(B + 0.5 * RNG.standard_normal(6).astype(np.float32))
    check(tmp_path, conv(B), other, PIXELS, PIXELS, carried=(), lost={"images"}, force=force)


def test_a_bias_that_is_computed_from_stored_constants(tmp_path):
    nodes, stored = conv(None, out="t")
    nodes = [node("Reshape", ["flat", "to"], ["c"]), *nodes, node("Add", ["t", "c"], ["a"])]
    stored += [const("flat", B), const("to", [6, 1, 1], np.int64)]
    check(tmp_path, conv(B), (nodes, stored), PIXELS, PIXELS, carried={"images", "a", "r", "o"}, lost={"t", "c"})


@pytest.mark.parametrize("mean", [0.0, 3.5])
@pytest.mark.parametrize("bias", [None, B])
def test_batch_normalisation_folded_on_one_side(tmp_path, mean, bias):
    means = np.tile([mean, -mean], 3) + BETA
    plain = 0 if bias is None else bias
    folded = conv((plain - means) * FACTOR + BETA, weights=W * FACTOR.reshape(6, 1, 1, 1).astype(np.float32))
    carried = {"images", "a", "r", "o"}
    check(tmp_path, with_normalisation(bias, means), folded, PIXELS, PIXELS, carried=carried, lost={"t"})
    check(
        tmp_path,
        with_normalisation(bias, means),
        with_normalisation(bias, means),
        PIXELS,
        PIXELS,
        carried=carried | {"t"},
    )


def test_batch_normalisation_with_another_mean_reads_another_input(tmp_path):
    """The mean of the images is folded into that of the normalisation behind the layer."""
    x = PIXELS * 20 - 10
    one, other = with_normalisation(None, BETA), with_normalisation(None, BETA + 118 * W.sum(axis=(1, 2, 3)))
    check(tmp_path, one, other, x, x + 118, carried={"a", "r", "o"}, lost={"images", "t"})


def test_a_scale_layer_is_folded_as_normalisation_is(tmp_path):
    nodes, stored = conv(None, out="t")
    nodes += [node("Mul", ["t", "k"], ["u"]), node("Add", ["u", "c"], ["a"])]
    stored += [const("k", FACTOR.reshape(6, 1, 1)), const("c", B.reshape(6, 1, 1))]
    folded = conv(B, weights=W * FACTOR.reshape(6, 1, 1, 1).astype(np.float32))
    check(tmp_path, folded, (nodes, stored), PIXELS, PIXELS, carried={"images", "a", "r", "o"}, lost={"t", "u"})


def test_an_addition_along_the_width_is_no_bias(tmp_path):
    """The output is six wide and has six channels: only one of the two is what a bias is added along."""
    along_width = with_add(B * 50, (1, 1, 1, 6))
    paths = [built(tmp_path / "a.onnx", *along_width), built(tmp_path / "b.onnx", *conv(B * 50))]
    cache = calibrated(paths[0], PIXELS)
    ported = port_scales(paths[0], paths[1], cache, force=True).report.ported
    assert {row.new: row.how for row in ported}.get("a") != "weights"


def twins(path, biases):
    """Two layers with the same weights side by side, told by their biases alone."""
    nodes = [node("Conv", ["images", "w", f"b{i}"], [f"a{i}"]) for i in range(2)]
    nodes += [node("Abs", [f"a{i}"], [f"r{i}"]) for i in range(2)]
    stored = [const("w", W), *(const(f"b{i}", bias) for i, bias in enumerate(biases))]
    outputs = [value(f"r{i}", None) for i in range(2)]
    return save(path, nodes, [value("images", ["N", 3, 8, 8])], outputs, stored)


def test_layers_with_the_same_weights_are_told_by_their_biases(tmp_path):
    old, new = twins(tmp_path / "o.onnx", (B, B + 40)), twins(tmp_path / "n.onnx", (B + 40, B))
    cache = calibrated(old, PIXELS)
    found = port_scales(old, new, cache).table.scales
    wanted = truth(new, PIXELS)
    assert found == pytest.approx({**wanted}, rel=1e-5)
    assert wanted["a0"] > 4 * wanted["a1"]


def linear(bias, kind):
    """A layer of four outputs and eight inputs in the forms in which exporters write it."""
    w = np.random.default_rng(5).standard_normal((4, 8)).astype(np.float32)
    stored = [const("w", w if kind in ("Gemm", "alpha") else w.T), const("b", bias)]
    match kind:
        case "Gemm":
            return [node("Gemm", ["x", "w", "b"], ["a"], transB=1)], stored
        case "beta":
            return [node("Gemm", ["x", "w", "b"], ["a"], beta=2.0)], [stored[0], const("b", bias / 2)]
        case "alpha":
            return [node("Gemm", ["x", "w", "b"], ["a"], alpha=0.5, transB=1)], [const("w", 2 * w), stored[1]]
        case "row":
            return [node("Gemm", ["x", "w", "b"], ["a"])], [stored[0], const("b", bias.reshape(1, 4))]
        case "first":
            return [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["a"])], stored
    return [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["a"])], stored


@pytest.mark.parametrize("kind", ["MatMul", "beta", "alpha", "row", "first"])
def test_linear_layers_in_every_form(tmp_path, kind):
    bias = np.array([1.0, -2.0, 3.0, 0.5], np.float32)
    x = np.random.default_rng(1).standard_normal((8, 8)).astype(np.float32)

    def made(name, parts):
        nodes, stored = parts
        nodes = [*nodes, node("Relu", ["a"], ["o"])]
        return save(tmp_path / name, nodes, [value("x", ["N", 8])], [value("o", None)], stored)

    old, new = made("old.onnx", linear(bias, "Gemm")), made("new.onnx", linear(bias, kind))
    for one, other in ((old, new), (new, old)):
        found = port_scales(one, other, calibrated(one, x)).table.scales
        wanted = truth(other, x)
        assert {"x", "a", "o"} <= set(found)
        assert all(0.5 < found[name] / wanted[name] < 2 for name in found)
    shifted = made("shifted.onnx", linear(bias + 90, kind))
    with pytest.raises(ExportError, match="not one row"):
        port_scales(old, shifted, calibrated(old, x), force=True)


def test_moving_operators_in_front_say_nothing_of_the_values(tmp_path):
    """A detector slices its input before the first layer: both exports do, whatever the pixels are."""

    def made(bias):
        nodes, stored = conv(bias, reads="cut")
        cut = node("Slice", ["images", "from", "to", "axes"], ["cut"])
        ends = [const("from", [0, 0], np.int64), const("to", [8, 8], np.int64), const("axes", [2, 3], np.int64)]
        return [cut, *nodes], [*stored, *ends]

    x = PIXELS * 20 - 10
    check(
        tmp_path, made(B), made(B - 118 * W.sum(axis=(1, 2, 3))), x, x + 118,
        carried={"a", "o"}, lost={"images", "cut"}, force=True,
    )  # fmt: skip


def test_half_precision_and_rounding_are_the_same_layer(tmp_path):
    """Weights and bias as float16 stores them."""
    half = conv(B.astype(np.float16).astype(np.float32), weights=W.astype(np.float16).astype(np.float32))
    check(tmp_path, conv(B), half, PIXELS, PIXELS, carried={"images", "a", "r", "o"})


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "kind", ["factor in the weights", "a factor before the mean", "another factor", "limits of another range"]
)
def test_pixels_of_0_to_255_against_0_to_1_wherever_the_factor_is(tmp_path, kind, force):
    mean, std = np.full((1, 3, 1, 1), 0.45, np.float32), np.full((1, 3, 1, 1), 0.22, np.float32)
    rest = (("Sub", mean), ("Div", std))
    one, other, carried = {
        "factor in the weights": (conv(B, weights=W / 255), conv(B), {"a"}),
        "a factor before the mean": (prepared(("Mul", np.float32(1 / 255)), *rest), prepared(*rest), {"a"}),
        "another factor": (prepared(("Mul", np.float32(1 / 255))), prepared(("Mul", np.float32(1))), {"a"}),
        "limits of another range": (
            prepared(("Min", np.float32(255)), ("Mul", np.float32(1 / 255))),
            prepared(("Min", np.float32(1)), ("Mul", np.float32(1))),
            {"a"},
        ),
    }[kind]
    check(tmp_path, one, other, PIXELS * 255, PIXELS, carried={"r", "o", *carried}, force=force)


def test_what_stands_between_matched_tensors_is_followed_back_to_the_input(tmp_path):
    """The first layer's weights differ; behind it everything is the same, up to its own result."""
    std = np.array([58.4, 57.1, 57.4], np.float32).reshape(1, 3, 1, 1)
    check(tmp_path, conv(B, weights=W / std), conv(B), PIXELS * 58, PIXELS, carried={"a", "r", "o"}, lost={"images"})


@pytest.mark.parametrize("force", [False, True])
def test_a_border_of_zeros_is_not_shifted_with_the_mean(tmp_path, force):
    """Padded with zeros, the two networks differ at the border: what follows from the layer itself is not told."""

    def made(bias):
        nodes, stored = conv(bias)
        nodes[0].attribute.extend(node("Conv", [], [], pads=[1, 1, 1, 1]).attribute)
        return nodes, stored

    x = PIXELS * 20 - 10
    paths = [built(tmp_path / f"{i}.onnx", *made(b)) for i, b in enumerate((B, B - 118 * W.sum(axis=(1, 2, 3))))]
    cache = calibrated(paths[0], x)
    with pytest.raises(ExportError):
        port_scales(paths[0], paths[1], cache, force=force)
