"""Preprocessing that moves into a model is taken up by all that read the input, or nothing is carried, and said."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from tests.export.test_port_bias import CENTRED, MEAN, PIXELS, SHIFT, W2, B, W
from tests.export.test_port_evidence import calibrated
from tests.support.graphs import const, node, save, value
from trtcal_widgets import CalibrationCache
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.port import match, port_scales
from trtcal_widgets.export.port.weights import same_weights
from trtcal_widgets.export.qdq import build_qdq

RNG = np.random.default_rng(5)
V = (RNG.standard_normal((5, 3, 3, 3)) * 0.3).astype(np.float32)
C = RNG.standard_normal(5).astype(np.float32)
STD = np.array([58.4, 57.1, 57.4], np.float32).reshape(1, 3, 1, 1)
RAW = PIXELS * 255
W3 = RNG.standard_normal((3, 5, 1, 1)).astype(np.float32)
SQUARE = (RNG.standard_normal((3, 3, 1, 1)) * 0.3).astype(np.float32)


def shift(weights, mean=MEAN):
    return np.einsum("oikl,i->o", weights, mean).astype(np.float32)


def branches(path, bias, other_bias, weights=W, other_weights=V, between=()):
    """Two layers read the input, the second one through steps that only move values."""
    reads, nodes = "images", []
    for i, (op, attributes) in enumerate(between):
        nodes.append(node(op, [reads], [f"m{i}"], **attributes))
        reads = f"m{i}"
    nodes += [node("Conv", ["images", "w", "b"], ["a"]), node("Conv", [reads, "v", "c"], ["d"])]
    nodes += [node("Relu", ["a"], ["r"]), node("Conv", ["r", "w2"], ["o"])]
    nodes += [node("Relu", ["d"], ["s"]), node("Conv", ["s", "w3"], ["p"])]
    stored = {"w": weights, "b": bias, "v": other_weights, "c": other_bias, "w2": W2, "w3": W3}
    stored = [const(name, array) for name, array in stored.items()]
    return save(path, nodes, [value("images", ["N", 3, 8, 8])], [value("o", None), value("p", None)], stored)


def residual(path, bias, weights):
    """The input is added to what a layer makes of it."""
    nodes = [node("Conv", ["images", "w", "b"], ["a"]), node("Add", ["images", "a"], ["r"])]
    nodes += [node("Conv", ["r", "w2"], ["o"])]
    stored = [const("w", weights), const("b", bias), const("w2", W3.reshape(5, 3, 1, 1))]
    return save(path, nodes, [value("images", ["N", 3, 8, 8])], [value("o", None)], stored)


def feeds(x):
    return np.ascontiguousarray(x, np.float32)


MOVED = [("MaxPool", {"kernel_shape": [2, 2]}), ("Transpose", {"perm": [0, 1, 3, 2]})]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", ["shift", "other shift", "scale", "behind a pool", "residual", "residual 3"])
def test_one_reader_that_takes_it_up_and_one_that_does_not_carry_nothing(tmp_path, kind, force):
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    x, y = feeds(CENTRED), feeds(RAW)
    match kind:
        case "shift":
            branches(one, B, C)
            branches(other, B - SHIFT, C)
        case "other shift":
            branches(one, B, C)
            branches(other, B - SHIFT, C - shift(V, 0.5 * MEAN))
        case "scale":
            x = feeds(CENTRED / STD)
            branches(one, B, C)
            branches(other, B - shift(W / STD), C, weights=W / STD)
        case "behind a pool":
            branches(one, B, C, between=MOVED)
            branches(other, B - SHIFT, C, between=MOVED)
        case "residual":
            residual(one, B[:3], SQUARE)
            residual(other, B[:3] - shift(SQUARE, np.full(3, 118, np.float32)), SQUARE)
        case _:
            residual(one, B[:3], SQUARE)
            residual(other, B[:3] - shift(SQUARE), SQUARE)
    for old, new, data in ((one, other, x), (other, one, y)):
        with pytest.raises(ExportError, match="images"):
            port_scales(old, new, calibrated(old, data), force=force)


@pytest.mark.parametrize("between", [(), MOVED])
def test_all_readers_that_take_it_up_carry_what_follows(tmp_path, between):
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    branches(one, B, C, between=between)
    branches(other, B - SHIFT, C - shift(V), between=between)
    for old, new, x, y in ((one, other, CENTRED, RAW), (other, one, RAW, CENTRED)):
        scales = port_scales(old, new, calibrated(old, feeds(x))).table.scales
        wanted = calibrated(new, feeds(y)).scales
        assert {"a", "r", "o", "d", "s", "p"} <= set(scales)
        assert "images" not in scales
        for name, scale in scales.items():
            assert scale == pytest.approx(wanted[name], rel=0.02)


def test_a_reader_that_sees_no_mean_may_stay_as_it_is(tmp_path):
    """A filter whose weights add up to nothing gives the same of a shifted input."""
    edges = V - V.mean(axis=(2, 3), keepdims=True)
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    branches(one, B, C, other_weights=edges)
    branches(other, B - SHIFT, C, other_weights=edges)
    scales = port_scales(one, other, calibrated(one, feeds(CENTRED))).table.scales
    wanted = calibrated(other, feeds(RAW)).scales
    assert {"a", "r", "o", "d", "s", "p"} <= set(scales)
    for name, scale in scales.items():
        assert scale == pytest.approx(wanted[name], rel=0.02)


def chain(path, weights, bias, function="Relu", **attributes):
    """A layer, a function and two layers more, whose weights are always the same."""
    nodes = [node("Conv", ["images", "w", "b"], ["a"]), node(function, ["a"], ["r"], **attributes)]
    nodes += [node("Conv", ["r", "w2"], ["c"]), node("Relu", ["c"], ["d"]), node("Conv", ["d", "w3"], ["o"])]
    stored = [const("w", weights), const("b", bias), const("w2", W2), const("w3", W3[:, :4])]
    return save(path, nodes, [value("images", ["N", 3, 8, 8])], [value("o", None)], stored)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("function", ["Sigmoid", "LeakyRelu", "HardSwish"])
def test_another_function_carries_nothing_behind_it(tmp_path, function, force):
    one, other = chain(tmp_path / "one.onnx", W, B), chain(tmp_path / "other.onnx", W, B, function)
    for old, new in ((one, other), (other, one)):
        with pytest.raises(ExportError, match="made by another function") if not force else nullcontext():
            result = port_scales(old, new, calibrated(old, feeds(PIXELS)), force=force)
            assert set(result.table.scales) == {"images", "a"}
            assert "made by another function" in result.report.to_text()


@pytest.mark.parametrize("factor", [-1.0, 4.0])
def test_weights_times_a_factor_with_another_bias_are_another_layer(tmp_path, factor):
    one, other = chain(tmp_path / "one.onnx", W, B), chain(tmp_path / "other.onnx", factor * W, factor * B)
    for old, new in ((one, other), (other, one)):
        with pytest.raises(ExportError, match="times a factor and another bias"):
            port_scales(old, new, calibrated(old, feeds(PIXELS)))


def test_a_model_with_pairs_takes_no_cache_and_it_is_said(tmp_path):
    path = chain(tmp_path / "one.onnx", W, B)
    cache = calibrated(path, feeds(PIXELS))
    build_qdq(path, cache).write(tmp_path / "q.onnx")
    with pytest.raises(ExportError, match="is quantised already"):
        port_scales(path, tmp_path / "q.onnx", cache)


def test_thousands_of_layers_are_compared_with_few_others_each(tmp_path, monkeypatch):
    """Each with each, a thousand layers of other weights took three quarters of a minute."""
    compared = []
    monkeypatch.setattr(match, "same_weights", lambda a, b: compared.append(0) or same_weights(a, b))
    n = 300
    paths = []
    for i in range(2):
        rng, nodes, stored, reads = np.random.default_rng(i), [], [], "images"
        for k in range(n):
            stored.append(const(f"w{k}", rng.standard_normal((4, 3 if k == 0 else 4, 1, 1))))
            nodes += [node("Conv", [reads, f"w{k}"], [f"c{k}"]), node("Relu", [f"c{k}"], [f"r{k}"])]
            reads = f"r{k}"
        paths.append(
            save(tmp_path / f"{i}.onnx", nodes, [value("images", ["N", 3, 2, 2])], [value(reads, None)], stored)
        )
    cache = CalibrationCache.build({"images": 0.1, **{f"c{k}": 0.1 for k in range(n)}})
    with pytest.raises(ExportError, match="only 0 of"):
        port_scales(*paths, cache)
    assert len(compared) < n * n / 4
    compared.clear()
    assert len(port_scales(paths[0], paths[0], cache).table.scales) == n + 1
    assert len(compared) < 3 * n
