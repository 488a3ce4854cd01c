"""What porting rests on: weights and structure, never a name alone; what the new graph contradicts is not carried."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.models import ocr_model
from trtcal_widgets import ArrayBatches, CalibrationSession
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.export.port import port_scales
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.load import load_graph

RNG = np.random.default_rng(0)
W = RNG.standard_normal((4, 3, 3, 3)) * 0.3
PIXELS = RNG.random((8, 3, 8, 8)).astype(np.float32)

PREPARED = {
    "scale": ([node("Div", ["images", "c"], ["norm"])], [const("c", 255.0)], lambda x: x * 255),
    "scale by Mul": ([node("Mul", ["images", "c"], ["norm"])], [const("c", 1 / 255)], lambda x: x * 255),
    "mean and std": (
        [node("Sub", ["images", "m"], ["centred"]), node("Div", ["centred", "s"], ["norm"])],
        [const("m", np.full((1, 3, 1, 1), 120.0)), const("s", np.full((1, 3, 1, 1), 58.0))],
        lambda x: x * 58 + 120,
    ),
    "layout": ([node("Transpose", ["images"], ["norm"], perm=[0, 3, 1, 2])], [], lambda x: x.transpose(0, 2, 3, 1)),
}


def model(path, before, stored, shape):
    start = "norm" if before else "images"
    nodes = [*before, node("Conv", [start, "w"], ["a"]), node("Relu", ["a"], ["o"])]
    return save(path, nodes, [value("images", ["N", *shape])], [value("o", None)], [const("w", W), *stored])


def calibrated(path, x):
    with CalibrationSession(path, ArrayBatches(np.ascontiguousarray(x)), batch_size=4) as session:
        session.run()
        return session.to_cache(version="8.6.1")


@pytest.mark.parametrize("kind", PREPARED)
@pytest.mark.parametrize("force", [False, True])
def test_preprocessing_that_moves_takes_the_inputs_scale_along(tmp_path, kind, force):
    before, stored, undo = PREPARED[kind]
    raw = undo(PIXELS)
    plain = model(tmp_path / "plain.onnx", [], [], (3, 8, 8))
    inside = model(tmp_path / "inside.onnx", before, stored, raw.shape[1:])
    caches = {plain: calibrated(plain, PIXELS), inside: calibrated(inside, raw)}
    for old, new in ((plain, inside), (inside, plain)):
        result = port_scales(old, new, caches[old], force=force)
        wanted = caches[new].scales
        for name, scale in result.table.scales.items():
            assert 0.5 < scale / wanted[name] < 2, (name, scale * 127, wanted[name] * 127)
        same = "norm" if new is inside else "images"
        assert result.table.scales[same] == pytest.approx(wanted[same], rel=1e-5)
        assert {"a", "o"} <= set(result.table.scales)


@pytest.mark.models
def test_two_models_of_one_exporter_have_nothing_in_common_but_counters():
    detector, recogniser = ocr_model("det"), ocr_model("rec")
    names = load_graph(detector).calibrated
    assert len(set(names) & set(load_graph(recogniser).tensors)) > 200
    cache = CalibrationCache.build(dict.fromkeys(names, 0.03), version="8.6.1")
    with pytest.raises(ExportError, match=r"only \d+ of \d+ rows could be.*by weights and structure, \d %"):
        port_scales(detector, recogniser, cache)


def test_the_same_names_with_other_weights_are_refused_with_the_share(tmp_path):
    def made(path, seed):
        rng = np.random.default_rng(seed)
        nodes = [node("Conv", [f"t{i}", f"w{i}"], [f"t{i + 1}"], name=f"Conv_{i}") for i in range(6)]
        stored = [const(f"w{i}", rng.standard_normal((4, 4, 1, 1))) for i in range(6)]
        return save(path, nodes, [value("t0", ["N", 4, 8, 8])], [value("t6", None)], stored)

    old, new = made(tmp_path / "old.onnx", 1), made(tmp_path / "new.onnx", 2)
    cache = CalibrationCache.build({f"t{i}": 0.01 for i in range(7)}, version="8.6.1")
    with pytest.raises(ExportError, match=r"only 0 of 7 rows.* 0 %.*--force"):
        port_scales(old, new, cache)


def test_a_scale_that_the_new_graph_contradicts_is_said_and_not_carried(tmp_path):
    """In the new export a Clip stands where an Abs stood, between the same layers."""
    stored = [const("w", W), const("w2", RNG.standard_normal((4, 4, 1, 1)))]
    ends = [node("Conv", ["x", "w"], ["a"]), node("Conv", ["m", "w2"], ["o"])]
    io_ = ([value("x", ["N", 3, 8, 8])], [value("o", None)])
    old = save(tmp_path / "old.onnx", [ends[0], node("Abs", ["a"], ["m"]), ends[1]], *io_, stored)
    clip = node("Clip", ["a", "low", "high"], ["m"])
    limits = [const("low", 0.0), const("high", 6.0)]
    new = save(tmp_path / "new.onnx", [ends[0], clip, ends[1]], *io_, [*stored, *limits])
    cache = CalibrationCache.build({"x": 0.01, "a": 0.02, "m": 0.9, "o": 0.5}, version="8.6.1")
    result = port_scales(old, new, cache)
    assert "m" not in result.table.scales
    assert {row.name: row.message for row in result.report.not_ported}["m"].startswith("its amax 114 is not one of 'm'")
    assert {"x", "a", "o"} <= set(result.table.scales)


@pytest.mark.parametrize("scales", [{"x": 0.1}, None, "c.cache"])
def test_scales_that_are_none_are_refused_in_words(tmp_path, scales):
    path = model(tmp_path / "m.onnx", [], [], (3, 8, 8))
    with pytest.raises(UsageError, match="the scales are what read_scale_file gives"):
        port_scales(path, path, scales)
