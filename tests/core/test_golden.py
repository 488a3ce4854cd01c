"""The acceptance cases: numbers that TensorRT releases wrote, from the values that they were made of."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest

from tests.support.shared import shared_path
from trtcal_widgets.core.calibrate import calibrate_array
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram, combine, replay
from trtcal_widgets.core.thresholds import threshold, threshold_curve
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.scales import hex_to_scale, scale_of_amax, scale_to_hex

METHODS = {"EntropyCalibration2": "entropy", "MinMaxCalibration": "minmax", "LegacyCalibration": "legacy:1"}


def mnist_batches():
    with gzip.open(shared_path("data", "mnist", "train-images-first19690-idx3-ubyte.gz")) as file:
        file.seek(16)
        pixels = np.frombuffer(file.read(500 * 28 * 28), np.uint8)
    images = pixels.astype(np.float32) / np.float32(255)
    return list(images.reshape(10, 50, 1, 28, 28))


def cifar10_batch():
    image = pytest.importorskip("PIL.Image")
    files = sorted(shared_path("data", "golden", "cifar10-calib40").glob("*.jpg"))
    pixels = np.stack([np.asarray(image.open(file).convert("RGB"), np.float64) for file in files[:32]])
    normalised = (pixels / 255.0 - [0.4914, 0.4822, 0.4465]) / [0.2023, 0.1994, 0.2010]
    return [normalised.transpose(0, 3, 1, 2).astype(np.float32)]


def anchors(size):
    cells = [np.arange(size // stride, dtype=np.float32) + np.float32(0.5) for stride in (8, 16, 32)]
    grids = [np.stack([axis.ravel() for axis in np.meshgrid(side, side)]) for side in cells]
    return [np.concatenate(grids, axis=1)]


def constant(value):
    return [np.full((4, 7), value, np.float32)]


def strides():
    return [np.repeat(np.float32([8, 16, 32]), [6400, 1600, 400])]


def softmax():
    """A softmax output that reaches 1, as the row's name ('prob') and its note say."""
    logits = np.random.default_rng(0).standard_normal((64, 10))
    logits[0, 0] = 200.0
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return [(powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)]


BATCHES = {
    "mnist-input-entropy2": mnist_batches,
    "cifar10-input-entropy2": cifar10_batch,
    "cifar10-input-minmax": cifar10_batch,
    "constant-one": lambda: constant(1.0),
    "constant-half": lambda: constant(0.5),
    "constant-two": lambda: constant(2.0),
    "constant-sqrt2": lambda: constant(np.sqrt(2.0)),
    "constant-rsqrt32": lambda: constant(1.0 / np.sqrt(32.0)),
    "constant-zero": lambda: constant(0.0),
    "yolo-anchors-640": lambda: anchors(640),
    "yolo-anchors-1280": lambda: anchors(1280),
    "yolo-strides-640": strides,
    "legacy-max": softmax,
}


def golden():
    return {case["id"]: case for case in json.loads(shared_path("data", "golden", "golden.json").read_text())}


def test_every_case_that_can_be_reproduced_has_its_values_here():
    assert {name for name, case in golden().items() if case["reproduce"]} == set(BATCHES)


@pytest.mark.parametrize("name", BATCHES)
def test_calibrate_array_gives_tensorrts_bits(name):
    case = golden()[name]
    result = calibrate_array(BATCHES[name](), METHODS[case["algorithm"]])
    assert result.hex == case["expected_hex"]
    assert result.scale == float(hex_to_scale(case["expected_hex"]))
    assert result.scale * 127.0 == pytest.approx(case["expected_threshold"], rel=1e-12)


@pytest.mark.parametrize("name", BATCHES)
def test_the_steps_one_by_one_give_the_same_bits(name):
    case = golden()[name]
    batches = BATCHES[name]()
    base = amax_of(batches[0])
    counted = [Histogram.of(batch, base) for batch in batches]
    picked = threshold(replay(counted), METHODS[case["algorithm"]])
    assert scale_to_hex(float(scale_of_amax(picked))) == case["expected_hex"]


@pytest.mark.parametrize(("name", "pick"), [("mnist-input-entropy2", 2040), ("yolo-strides-640", 2048)])
def test_the_index_is_the_one_that_the_case_tells(name, pick):
    assert calibrate_array(BATCHES[name]()).curve.pick == pick


def test_the_strides_are_no_tie_since_one_bin_alone_does_not_count():
    curve = calibrate_array(strides()).curve
    assert math.isinf(curve.objective[513 - 128])
    assert curve.objective[2048 - 128] == pytest.approx(0.0, abs=1e-12)


def test_a_constant_holding_infinity_is_counted_and_not_binned():
    assert not golden()["constant-inf"]["reproduce"]
    histogram = Histogram.of(np.full((3, 5), np.inf, np.float32))
    assert (histogram.pos_infs, histogram.n_finite, histogram.n_values) == (15, 0, 15)
    assert histogram.counts.sum() == 0
    assert histogram.range == 0.0
    with pytest.raises(UsageError, match="of 15 values 0 are NaN and 15 infinite"):
        calibrate_array(np.full(15, -np.inf, np.float32))


def test_the_row_of_an_infinite_constant_is_only_read():
    assert math.isinf(hex_to_scale(golden()["constant-inf"]["expected_hex"]))


def test_mnist_in_two_passes_does_not_depend_on_the_batches():
    batches = mnist_batches()
    whole = np.concatenate(batches)
    expected = Histogram.of(whole)
    for split in (batches, batches[::-1], np.array_split(whole, 7), [whole]):
        result = calibrate_array(split, range_mode="two-pass")
        np.testing.assert_array_equal(result.histogram.counts, expected.counts)
        assert result.amax == threshold_curve(expected).amax
    parts = [Histogram.of(batch, amax_of(whole)) for batch in batches]
    np.testing.assert_array_equal(combine(parts).counts, expected.counts)
