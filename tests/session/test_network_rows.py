"""Caches as TensorRT 8 writes them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.shared import shared_path
from tests.support.trt86 import operators, rows_of
from trtcal_widgets import sample
from trtcal_widgets.session import CalibrationSession

SAME_CANDIDATE = 1e-5


def test_every_row_of_118_models_has_tensorrt_s_name_place_and_value():
    """EntropyCalibration2, MinMax and EntropyCalibration, each model run once, in TensorRT's order, no row more."""
    n_rows = n_first = 0
    others = {}
    for case in operators():
        with CalibrationSession(case.path, case.feeds(), threads=2) as session:
            session.run()
            for algorithm, method in (("entropy2", "entropy"), ("minmax", "minmax")):
                session.choose_all(method)
                cache = session.to_cache(version="8.6.0")
                wanted = case.rows(algorithm)
                assert list(cache.scales) == list(wanted), case.path.stem
                for row, scale in wanted.items():
                    assert cache.scales[row] == pytest.approx(scale, rel=SAME_CANDIDATE), (case.path.stem, row)
                n_rows += len(wanted)
            assert session.left_out_rows("8.6.0") == ()
            session.choose_all("entropy")
            cache = session.to_cache("EntropyCalibration", "8.6.0")
            wanted = case.rows("entropy")
            assert list(cache.scales) == list(wanted), case.path.stem
            for row, scale in wanted.items():
                if cache.scales[row] != pytest.approx(scale, rel=SAME_CANDIDATE):
                    others[case.path.stem] = row
            n_first += len(wanted)
    assert (n_rows, n_first) == (1376, 496)
    # TensorRT counts the first values of the tensor that is cut there, not those of the piece.
    assert others == {"mp_slice": "b", "slice": "b"}


@pytest.fixture(scope="module")
def lenet():
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
    session.run()
    return session


@pytest.mark.parametrize(("cache", "method"), [("entropy2", "entropy"), ("minmax", "minmax")])
def test_lenet(lenet, cache, method):
    lenet.choose_all(method)
    wanted = rows_of(shared_path("data", "trt86", "models", f"lenet.{cache}.cache").read_text("utf-8"))
    found = lenet.to_cache(version="8.6.1")
    lenet.choose_all("entropy")
    assert list(found.scales) == list(wanted)
    assert list(found.scales.values()) == pytest.approx(list(wanted.values()), rel=SAME_CANDIDATE)


def test_pools_have_scales_of_their_own_after_fusion(lenet):
    wanted = rows_of(shared_path("data", "trt86", "models", "lenet.entropy.cache").read_text("utf-8"))
    found = lenet.to_cache("EntropyCalibration", "8.6.1").scales
    assert list(found) == list(wanted)
    assert list(found.values()) == pytest.approx(list(wanted.values()), rel=SAME_CANDIDATE)
    assert found["pool1"] != found["conv1"]


def test_legacy_writes_tensorrts_own_file(lenet):
    wanted = shared_path("data", "trt86", "models", "lenet.legacy.cache").read_text("utf-8")
    lenet.choose_all("legacy:1,1")
    found = lenet.to_cache(version="8.6.1")
    lenet.choose_all("entropy")
    assert (found.header, found.legacy) == (wanted.splitlines()[0], (1.0, 1.0))
    assert list(found.scales) == list(rows_of(wanted))
    assert list(found.scales.values()) == pytest.approx(list(rows_of(wanted).values()), rel=SAME_CANDIDATE)


def test_the_legacy_header_has_the_numbers_of_the_method(lenet):
    lenet.choose_all("legacy:0.99,0.5")
    caches = [lenet.to_cache(version=version) for version in ("8.6.1", "10.16.1", "7.2.3")]
    other = lenet.to_cache("EntropyCalibration2", "8.6.1")
    lenet.choose_all("entropy")
    assert [cache.header for cache in caches] == [
        *["0 3fe0000000000000 3fefae147ae147ae"] * 2,
        "03fefae147ae147ae3fe0000000000000",
    ]
    assert {cache.legacy for cache in caches} == {(0.99, 0.5)}
    assert other.header == "TRT-8601-EntropyCalibration2"
    assert lenet.to_cache("LegacyCalibration", "8.6.1").legacy == (1.0, 1.0)


def test_other_releases_keep_their_names(lenet):
    assert list(lenet.to_cache(version="10.16.1").scales) == list(lenet.calibrated)
    assert list(lenet.to_cache(version="7.2.3").scales) == list(lenet.calibrated)
    assert lenet.left_out_rows("10.16.1") == ()


def test_a_loaded_session_writes_the_same(lenet, tmp_path):
    lenet.save(tmp_path / "lenet.trtcal")
    loaded = CalibrationSession.load(tmp_path / "lenet.trtcal")
    assert loaded.to_cache(version="8.6.1").to_bytes() == lenet.to_cache(version="8.6.1").to_bytes()


def test_choices_reach_every_row_with_these_values(lenet):
    before = lenet.to_cache(version="8.6.1").scales
    lenet.choose("conv2", amax=2.0)
    lenet.choose("flatten", amax=1.0)
    after = lenet.to_cache(version="8.6.1").scales
    lenet.reset()
    changed = {row for row in before if before[row] != after[row]}
    assert changed == {"conv2", "pool2", "flatten"}
    assert after["conv2"] == after["pool2"] == float(np.float32(2) / np.float32(127))


def test_fewer_rows(lenet):
    assert list(lenet.to_cache(version="8.6.1", rows=["flatten", "conv1"]).scales) == ["conv1", "flatten"]
    assert [r for r in lenet.to_cache(version="8.6.1", rows="activations").scales if r.startswith("(")] == []


class Without:
    """A runner that knows nothing of inner tensors, as TensorRT's."""

    def __init__(self, runner):
        self._runner = runner

    def __getattr__(self, name):
        return getattr(self._runner, name)

    def __enter__(self):
        self._runner.__enter__()
        return self

    def __exit__(self, *error):
        self._runner.__exit__(*error)

    def histograms(self, feeds, bases):
        inner = self._runner.graph.trt8.inner
        return ((name, found) for name, found in self._runner.histograms(feeds, bases) if name not in inner)


def test_what_a_runner_does_not_give_is_left_out_and_said():
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    runner = Without(OnnxRuntimeRunner(sample.model_path()))
    with CalibrationSession(runner, sample.calibration_images(), batch_size=50, max_batches=1) as session:
        session.run()
        rows = session.to_cache(version="8.6.1").scales
        left_out = session.left_out_rows("8.6.1")
    inner = [f"(Unnamed Layer* {n}) [Matrix Multiply]_output" for n in (11, 17)]
    assert left_out == tuple((name, "nothing was counted for it") for name in inner)
    assert rows.keys().isdisjoint(inner)


def test_casts_to_float16_do_not_round(tmp_path):
    """TensorRT calibrates in float32; in a cast that a float16 layer reads the values are rounded for good."""
    half, single = 10, 1
    path = save(
        tmp_path / "casts.onnx",
        [
            node("Cast", ["x"], ["h"], to=half),
            node("Cast", ["h"], ["b"], to=single),
            node("Relu", ["b"], ["y"]),
        ],
        [value("x", (1, 8))],
        [value("y", (1, 8))],
    )
    x = np.full((1, 8), 1 + 2**-20, np.float32)
    with CalibrationSession(path, [{"x": x}]) as session:
        session.run()
        assert {name: session.histogram(name).maximum for name in "xhby"} == dict.fromkeys("xhby", float(x[0, 0]))


def test_numbers_that_the_parser_makes_up(tmp_path):
    path = save(
        tmp_path / "gemm.onnx",
        [node("Gemm", ["x", "w", "c"], ["y"], alpha=0.25)],
        [value("x", (2, 3))],
        [value("y", (2, 2))],
        [const("w", np.ones((3, 2))), const("c", [1, 2])],
    )
    with CalibrationSession(path, [{"x": np.ones((2, 3), np.float32)}], method="minmax") as session:
        session.run()
        scales = session.to_cache(version="8.6.1").scales
    factor, product, scaled = (f"(Unnamed Layer* {n})" for n in (3, 1, 4))
    assert scales[f"{factor} [Shuffle]_output"] == float(np.float32(0.25) / np.float32(127))
    assert scales[f"{product} [Matrix Multiply]_output"] == float(np.float32(3) / np.float32(127))
    assert scales[f"{scaled} [ElementWise]_output"] == float(np.float32(0.75) / np.float32(127))
