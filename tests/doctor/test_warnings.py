"""Each warning on data that have the fault, and silence on data that have not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.doctor.made_up import DrawnRunner, drawn_session
from tests.support.models import ocr_model
from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.doctor import enough, examine
from trtcal_widgets.doctor.scales import scales_of_data
from trtcal_widgets.doctor.warnings import colours
from trtcal_widgets.doctor.warnings.finding import find_warnings


def warnings_of(session, *, read_inputs=True):
    batches = tuple(range(session.state.position))
    found = find_warnings(session, batches, scales_of_data(session), read_inputs=read_inputs, stop=lambda: None)
    return {w.kind: w for w in found}


@pytest.fixture(scope="module")
def mnist():
    return sample.calibration_images().load(0, 300)[""]


def recorded(images, batch_size=20):
    session = CalibrationSession(sample.model_path(), images, batch_size=batch_size)
    session.run()
    return session


def test_right_data_are_no_cause_for_a_warning(mnist):
    with recorded(mnist) as session:
        assert warnings_of(session) == {}
        report = examine(session, resamples=20)
        assert report.verdict.cause == "Nothing stands out in the data."


def test_copies_are_found_by_their_bits(mnist):
    images = np.concatenate([mnist[:180], mnist[20:60]])
    with recorded(images) as session:
        found = warnings_of(session)
    assert set(found["duplicates"].samples) == {*range(20, 60), *range(180, 220)}
    assert "40 samples" in found["duplicates"].what
    assert "sample 21 and sample 181 are the same" in found["duplicates"].evidence
    assert found["duplicates"].severity == "warning"
    assert found["repeated-batches"].batches == (1, 9, 2, 10)
    assert "2 and 10 have the same inputs" in found["repeated-batches"].what


def test_frames_of_one_scene_are_nearly_the_same(mnist):
    noise = np.random.default_rng(0).normal(0, 0.01, mnist[:30].shape).astype(np.float32)
    with recorded(np.concatenate([mnist[:150], mnist[:30] * np.float32(0.8) + noise])) as session:
        found = warnings_of(session)
    assert "duplicates" not in found
    assert set(found["near-duplicates"].samples) == {*range(30), *range(150, 180)}
    assert found["near-duplicates"].sure == "likely"


@pytest.mark.parametrize(("factor", "kind"), [(255.0, "unscaled"), (1 / 255, "scaled-twice")])
def test_pixels_in_another_scale(mnist, factor, kind):
    """LeNet has no batch normalisation: it is a guess, and said to be."""
    with recorded(mnist * np.float32(factor)) as session:
        assert warnings_of(session)[kind].sure == "guess"


def test_one_wild_image_is_named(mnist):
    images = mnist.copy()
    images[130] *= 40
    with recorded(images) as session:
        found = warnings_of(session)["wild-batch"]
        assert found.batches == (6,)
        assert found.what.startswith("Batch 7 ")  # as screens count; the call counts from 0, as Python does
        assert "session.exclude(6)" in found.mend
        session.exclude(6)
        assert examine(session, resamples=20).warnings == ()


@pytest.mark.parametrize(("wild", "range_mode"), [(130, "two-pass"), (3, "tensorrt")])
def test_a_range_that_what_is_left_out_has_set_is_said(mnist, wild, range_mode):
    """Two passes keep the range of all batches, one pass that of the first: thresholds are not those of other data."""
    images = mnist.copy()
    images[wild] *= 40
    with CalibrationSession(sample.model_path(), images, batch_size=20, range_mode=range_mode) as session:
        session.run()
        assert "stretched-range" not in warnings_of(session)
        for leave_out in (lambda: session.exclude(wild // 20), lambda: session.samples.leave_out(wild)):
            leave_out()
            found = warnings_of(session)["stretched-range"]
            assert set(found.tensors) <= set(session.calibrated)
            assert "conv1" in found.tensors
            worst = session.histogram(found.tensors[0])
            assert worst.range > 4 * worst.amax
            assert "record them anew" in found.mend
            session.undo()
    with CalibrationSession(sample.model_path(), np.delete(images, wild, 0), batch_size=20) as session:
        session.run()
        session.exclude(2)
        assert "stretched-range" not in warnings_of(session)


def test_an_input_that_is_one_number():
    with recorded(np.full((80, 1, 28, 28), 0.5, np.float32)) as session:
        found = warnings_of(session)
        assert found["constant-input"].severity == "severe"
        assert found["constant-channel"].severity == "severe"
        gate = enough(examine(session, resamples=20))
        assert not gate.passed
        assert gate.warnings[0].severity == "severe"
        assert enough(examine(session, resamples=20), warnings="none").passed


def test_batches_that_raise_nothing():
    def maker(rng, feed):
        return rng.uniform(-1, 1, 100) * (0.5 if feed.ravel()[0] == 2 else rng.uniform(0.9, 1))

    with drawn_session({f"t{k}": maker for k in range(50)}, batches=5) as session:
        found = warnings_of(session)["idle-batches"]
        assert found.batches == (2,)
        assert found.severity == "note"
    with drawn_session({f"t{k}": maker for k in range(20)}, batches=5) as session:
        assert "idle-batches" not in warnings_of(session)  # too few scales to say


class RunnerThatKnowsSamples(DrawnRunner):
    """Says of each tensor what its samples reach, along axis 0."""

    def histograms(self, feeds, bases):
        for name, array in self.infer(feeds):
            ends = np.stack([array.min(axis=1), array.max(axis=1)], axis=1)
            yield name, replace(Histogram.of(array, bases.get(name) or None), samples=ends)


def test_samples_that_raise_nothing_are_named():
    def maker(rng, feed):
        values = rng.uniform(-1, 1, (2, 60))
        values[1] *= 0.5 if feed.ravel()[0] == 2 else 1.0
        return values

    def found_in(n_tensors):
        feeds = np.repeat(np.arange(5, dtype=np.float32), 2)[:, None]
        runner = RunnerThatKnowsSamples({f"t{k}": maker for k in range(n_tensors)})
        with CalibrationSession(runner, ArrayBatches({"t0": feeds}), batch_size=2) as session:
            session.run()
            return warnings_of(session, read_inputs=False).get("idle-samples"), session.samples.label(5)

    found, label = found_in(100)
    assert found.samples == (5,)
    assert label in found.what
    assert found.severity == "note"
    assert found_in(90)[0] is None  # too few scales to say


def test_one_folder_and_one_class_that_dominate(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = []
    for k in range(40):
        folder = tmp_path / ("day" if k % 20 else "night")
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (28, 28), np.uint8)).save(folder / f"{k:02}.png")
        lines.append(f"{folder.name}/{k:02}.png {0 if k % 4 else k // 4}")
    (tmp_path / "list.txt").write_text("\n".join(lines), "utf-8")
    images = ImageFolder(tmp_path / "list.txt", size=(28, 28), color="gray")
    with CalibrationSession(sample.model_path(), images, batch_size=8) as session:
        session.run()
        found = warnings_of(session)
    assert found["one-source"].what.startswith("95 % of the samples are of the folder")
    assert found["one-source"].what.endswith("day.")
    assert found["one-class"].what == "77.5 % of the samples are of class 0."


def test_a_file_alone_gives_what_the_records_tell(mnist, tmp_path):
    with recorded(np.concatenate([mnist[:100], mnist[:100]])) as session:
        session.save(tmp_path / "x.trtcal")
    assert set(warnings_of(CalibrationSession.load(tmp_path / "x.trtcal"))) == {"repeated-batches"}


def text_like(n, size, seed=0):
    """Photographs' colours without photographs: smooth random fields, more red than blue, as daylight has it."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (n, 3, 8, 8))
    fine = np.repeat(np.repeat(coarse, size[0] // 8, 2), size[1] // 8, 3)
    return (fine * np.array([1.0, 0.9, 0.7])[None, :, None, None]).astype(np.float32)


@pytest.mark.models
@pytest.mark.parametrize("which", ["det", "cls", "rec"])
def test_a_batch_normalisation_remembers_what_it_was_trained_with(which):
    """0 to 1 and normalised pixels pass, 0 to 255 and pixels that are scaled twice do not: on three real models."""
    images = text_like(8, {"det": (160, 160), "cls": (48, 192), "rec": (48, 320)}[which])
    kinds = {}
    for name, fed in {
        "normalised": (images - 0.5) / 0.5,
        "0..1": images,
        "0..255": images * 255,
        "twice": images / 255,
    }.items():
        with CalibrationSession(ocr_model(which), np.asarray(fed, np.float32), batch_size=2) as session:
            session.run()
            found = warnings_of(session, read_inputs=False)
            kinds[name] = {k: w.severity for k, w in found.items() if k in ("unscaled", "scaled-twice")}
    assert kinds == {
        "normalised": {},
        "0..1": {},
        "0..255": {"unscaled": "severe"},
        "twice": {"scaled-twice": "severe"},
    }


def test_swapped_channels_are_guessed_from_the_first_normalisation():
    """A convolution whose statistics were taken from data in the right order, and from gray ones."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((8, 3, 3, 3)) * np.array([1.0, 0.3, 0.1])[None, :, None, None]
    images = rng.uniform(0, 1, (16, 3, 20, 20)) * np.array([1.0, 0.6, 0.2])[None, :, None, None]
    moments = np.mean([colours._responses(image, weights, np.zeros(8)) for image in images], axis=0)
    constants = {"w": weights, "mean": moments[0], "var": moments[1] - moments[0] ** 2}
    conv = SimpleNamespace(name="conv", op_type="Conv", inputs=("x", "w"), outputs=("y",))
    bn = SimpleNamespace(op_type="BatchNormalization", inputs=("y", "s", "b", "mean", "var"), outputs=("z",))

    def said(fed):
        plan = SimpleNamespace(load=lambda index: SimpleNamespace(feeds={"x": fed[index * 4 : index * 4 + 4]}))
        runner = SimpleNamespace(constants=lambda: iter(constants.items()))
        facts = SimpleNamespace(
            session=SimpleNamespace(plan=plan, runner=runner),
            batches=tuple(range(len(fed) // 4)),
            inputs=("x",),
            readers=lambda name: {"x": [conv], "y": [bn]}[name],
        )
        return [w.kind for w in colours.swapped(facts, lambda: None)]

    assert said(images) == []
    assert said(images[:, ::-1]) == ["swapped-channels"]
    assert said(images[:4]) == said(images[:4, ::-1]) == []  # too few to say
    assert said(np.repeat(images[:, :1], 3, axis=1)) == []  # gray
