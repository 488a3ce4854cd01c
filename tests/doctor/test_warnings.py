"""Each warning on data that have the fault, and silence on data that have not."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.doctor.made_up import DrawnRunner, drawn_session
from tests.support.models import ocr_model
from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.data.base import Batch
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


@pytest.mark.parametrize("wild", [(130,), (130, 52), (67, 68, 69, 250)])
def test_wild_images_are_named_until_they_are_left_out(mnist, wild):
    """Also several, in one batch or more: each of them hides the others from who compares it with the next one."""
    images = mnist.copy()
    images[list(wild)] *= 40
    with recorded(images) as session:
        found = warnings_of(session)["wild-samples"]
        assert set(found.samples) == set(wild)
        assert set(found.batches) == {i // 20 for i in wild}
        assert f"sample {found.samples[0] + 1}" in found.what  # as screens count; the call counts from 0
        assert f"leave_out({', '.join(map(str, found.samples))})" in found.mend
        assert session.samples.amax(found.tensors[0])[list(wild)].min() > 2 * found_others(session, found)
        session.samples.leave_out(*wild)
        assert "wild-samples" not in warnings_of(session)
        session.undo()
        for batch in found.batches:
            session.exclude(batch)
        assert examine(session, resamples=20).warnings == ()


def found_others(session, warning):
    return np.delete(session.samples.amax(warning.tensors[0]), warning.samples).max()


def test_a_batch_that_is_wild_as_a_whole_is_named(mnist):
    images = mnist[:100].copy()
    images[60:80] *= 40
    with recorded(images) as session:
        found = warnings_of(session)
    assert "wild-samples" not in found
    assert found["wild-batch"].batches == (3,)
    assert found["wild-batch"].what.startswith("Batch 4 ")
    assert "session.exclude(3)" in found["wild-batch"].mend


def test_what_is_left_out_is_no_cause_for_a_warning(mnist):
    """Of the samples, not only of the batches: what a batch holds besides counts as before."""
    images = np.concatenate([mnist[:100], mnist[:20], mnist[200:280]])
    images[150] = 0
    images[151, 0, 3, 3] = np.nan
    with recorded(images) as session:
        found = warnings_of(session)
        assert {"duplicates", "repeated-batches", "blank-images", "not-finite"} <= set(found)
        session.samples.leave_out(0, 150, 151)
        found = warnings_of(session)
        assert set(found) == {"duplicates"}
        assert found["duplicates"].what.startswith("19 samples are fed again")
        session.samples.leave_out(*range(20))
        assert "duplicates" not in warnings_of(session)


def test_blank_images_are_named(mnist):
    images = mnist[:100].copy()
    images[[3, 50]] = 0.25
    with recorded(images) as session:
        found = warnings_of(session)["blank-images"]
    assert found.samples == (3, 50)
    assert "sample 4, sample 51" in found.what


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "2 NaNs and 0 infinities"), (-np.inf, "0 NaNs and 2 infinities")]
)
def test_values_that_are_no_numbers(mnist, value, words):
    images = mnist[:100].copy()
    images[[5, 70], 0, 4, 4] = value
    with recorded(images) as session:
        found = warnings_of(session)["not-finite"]
    assert found.severity == "severe"
    assert words in found.what
    assert found.tensors == ("data",)


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
    loaded = CalibrationSession.load(tmp_path / "x.trtcal")
    assert set(warnings_of(loaded)) == {"repeated-batches", "duplicates"}


def test_a_file_alone_tells_of_classes_copies_and_blank_images(mnist, tmp_path):
    """What was kept of each sample does not need the images: nothing more is said where they are at hand."""
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = []
    for k in range(80):
        folder = tmp_path / ("night" if k >= 70 else "day")
        folder.mkdir(exist_ok=True)
        pixels = (mnist[k % 78, 0] * 255).astype(np.uint8)
        noisy = np.clip(pixels * 0.9 + rng.normal(0, 1, pixels.shape), 0, 255) if k >= 78 else pixels
        Image.fromarray(np.full((28, 28), 60, np.uint8) if k == 40 else noisy.astype(np.uint8)).save(
            folder / f"{k:02}.png"
        )
        lines.append(f"{folder.name}/{k:02}.png 7")
    (tmp_path / "list.txt").write_text("\n".join(lines), "utf-8")
    with recorded(ImageFolder(tmp_path / "list.txt", size=(28, 28), color="gray"), 8) as session:
        here = warnings_of(session)
        session.save(tmp_path / "x.trtcal")
    with CalibrationSession.load(tmp_path / "x.trtcal") as loaded:
        assert warnings_of(loaded) == here
    assert set(here) == {"one-class", "one-source", "blank-images", "near-duplicates"}
    assert "the model tells 10 apart" in here["one-class"].evidence
    assert here["near-duplicates"].samples == (0, 1, 78, 79)
    assert "day/40.png" in here["blank-images"].what


def test_batches_that_are_sorted_by_class(mnist):
    source = sample.calibration_images()
    order = np.argsort(source.labels[:200], kind="stable")

    class Sorted:
        prebatched = False
        labels = source.labels[:200][order]

        def describe(self):
            return "sorted digits"

        def n_items(self):
            return 200

        def load(self, start, stop):
            return {"": mnist[:200][order[start:stop]]} if start < 200 else {}

        def thumbnails(self, start, stop):
            return ()

    with recorded(Sorted()) as session:
        found = warnings_of(session)["sorted"]
    assert "sorted by class" in found.what
    with recorded(source) as session:  # 500 images in the order of the file
        assert "sorted" not in warnings_of(session)


def test_text_on_one_background_is_not_nearly_the_same():
    """Lines of text that are padded to one width share most of their picture."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))
    lines = []
    for _ in range(60):
        image = Image.new("L", (28, 28), 0)
        ImageDraw.Draw(image).rectangle((0, 0, 13, 27), 230)
        ImageDraw.Draw(image).text((1, 8), "".join(rng.choice(letters, 2)), 0)
        lines.append(np.asarray(image, np.float32)[None] / 255)
    with recorded(np.stack(lines), 10) as session:
        assert "near-duplicates" not in warnings_of(session)


def smooth(n, side, seed=0):
    """Smooth coloured fields, shape (n, side, side, 3)."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (n, 6, 6, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small])


@pytest.mark.parametrize(("arrange", "said"), [("transpose", False), ("reshape", True)])
def test_colours_side_by_side_are_no_planes(arrange, said):
    """Pixels in height x width x channel that were reshaped instead of transposed."""
    images = smooth(12, 24).astype(np.float32) / 255
    fed = np.moveaxis(images, 3, 1) if arrange == "transpose" else images.reshape(12, 3, 24, 24)
    names = ("images", "out")
    runner = DrawnRunner({name: lambda rng, _feed: rng.uniform(0, 1, (2, 50)) for name in names})
    with CalibrationSession(runner, ArrayBatches({"images": fed}), batch_size=2) as session:
        session.run()
        assert ("interleaved" in warnings_of(session)) == said


def test_all_images_are_looked_at_where_a_file_does_not_tell_its_samples(tmp_path):
    """Files of before single samples were told apart."""
    fed = smooth(12, 24).astype(np.float32).reshape(12, 3, 24, 24)
    source = ArrayBatches({"images": fed})
    runner = DrawnRunner({name: lambda rng, _feed: rng.uniform(0, 1, (2, 50)) for name in ("images", "out")})
    with CalibrationSession(runner, source, batch_size=2) as session:
        session.run()
        session.save(tmp_path / "new.trtcal")
    with zipfile.ZipFile(tmp_path / "new.trtcal") as new, zipfile.ZipFile(tmp_path / "old.trtcal", "w") as old:
        for name in new.namelist():
            facts = json.loads(new.read(name)) if name == "session.json" else None
            if facts is not None:
                del facts["samples"]
            old.writestr(name, new.read(name) if facts is None else json.dumps(facts))
    with CalibrationSession.load(tmp_path / "old.trtcal", runner, source) as session:
        assert warnings_of(session)["interleaved"].what.startswith("12 of 12 images")
        session.exclude(1)
        found = find_warnings(session, (0, 2), scales_of_data(session), read_inputs=True, stop=lambda: None)
        assert [w.what[:14] for w in found if w.kind == "interleaved"] == ["4 of 4 images "]


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


def said_of_first_layer(weights, trained, fed):
    """What is said of images fed to a convolution whose statistics are those of others."""
    moments = np.mean([colours._responses(image, weights, np.zeros(len(weights))) for image in trained], axis=0)
    constants = {"w": weights, "mean": moments[0], "var": moments[1] - moments[0] ** 2}
    conv = SimpleNamespace(name="conv", op_type="Conv", inputs=("x", "w"), outputs=("y",))
    bn = SimpleNamespace(op_type="BatchNormalization", inputs=("y", "s", "b", "mean", "var"), outputs=("z",))
    plan = SimpleNamespace(load=lambda index: Batch(index, {"x": fed[index * 4 : index * 4 + 4]}, index * 4, 4))
    runner = SimpleNamespace(constants=lambda: iter(constants.items()))
    facts = SimpleNamespace(
        session=SimpleNamespace(plan=plan, runner=runner),
        batches=tuple(range(len(fed) // 4)),
        rows=lambda batch: list(range(batch.n_samples)),
        inputs=("x",),
        readers=lambda name: {"x": [conv], "y": [bn]}[name],
    )
    return list(colours.first_layer(facts, lambda: None))


def test_swapped_channels_are_guessed_from_the_first_normalisation():
    """A convolution whose statistics were taken from data in the right order, and from gray ones."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((8, 3, 3, 3)) * np.array([1.0, 0.3, 0.1])[None, :, None, None]
    images = rng.uniform(0, 1, (16, 3, 20, 20)) * np.array([1.0, 0.6, 0.2])[None, :, None, None]

    def said(fed):
        return [w.kind for w in said_of_first_layer(weights, images, fed) if w.kind != "normalisation"]

    assert said(images) == []
    assert said(images[:, ::-1]) == ["swapped-channels"]
    assert said(images[:4]) == said(images[:4, ::-1]) == []  # too few to say
    assert said(np.repeat(images[:, :1], 3, axis=1)) == []  # gray


@pytest.mark.parametrize("right", ["0 to 1", "-1 to 1", "ImageNet"])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_pixels_that_are_normalised_otherwise_than_in_training(right, order):
    """Fed as all three usual ways, red or blue first, to a layer that was trained with one."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((16, 3, 3, 3))
    pixels = np.moveaxis(smooth(24, 20), 3, 1)[:, order].astype(np.float64) / 255
    mean, std = (np.array(x)[order, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    ways = {"0 to 1": pixels, "-1 to 1": 2 * pixels - 1, "ImageNet": (pixels - mean) / std}
    for name, fed in ways.items():
        said = {w.kind: w for w in said_of_first_layer(weights, ways[right][:12], fed[12:].astype(np.float32))}
        if name == right:
            assert said == {}
        else:
            assert right in said["normalisation"].what
            assert said["normalisation"].sure == "guess"
