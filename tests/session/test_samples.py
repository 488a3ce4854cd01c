"""Single samples: what they reach, what changes without them, and leaving them out as a choice."""

from __future__ import annotations

import gc
import hashlib
import threading

import numpy as np
import pytest
from PIL import Image

from trtcal_widgets import CalibrationSession, ImageFolder, OnnxRuntimeRunner, sample
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.data.base import Batch
from trtcal_widgets.data.plan import BatchPlan, KeptBatches
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.session.keeping.sample_facts import facts_of
from trtcal_widgets.session.recorder import _CONSTANTS

MODEL = sample.model_path()
PIXELS = sample.calibration_images().load(0, 60)[""]

IMAGES = sample.calibration_images().load(0, 20)[""]


def recorded(source=PIXELS, **options):
    session = CalibrationSession(MODEL, source, **{"batch_size": 20, **options})
    session.run()
    return session


@pytest.fixture(scope="module")
def outputs():
    with OnnxRuntimeRunner(MODEL) as runner:
        found = [dict(runner.infer({"": PIXELS[i : i + 20]})) for i in (0, 20, 40)]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


@pytest.mark.parametrize("range_mode", ["tensorrt", "two-pass"])
def test_extremes_are_those_of_each_samples_own_values(outputs, range_mode):
    with recorded(range_mode=range_mode) as session:
        assert len(session.samples) == 60
        for name, values in outputs.items():
            flat = values.reshape(60, -1)
            found = session.samples.extremes(name)
            np.testing.assert_array_equal(found, np.stack([flat.min(1), flat.max(1)], 1), name)
            np.testing.assert_array_equal(session.samples.amax(name), np.abs(flat).max(1), name)
        furthest = [blame.sample for blame in session.samples.blame("conv2", 5)]
        order = np.argsort(-np.abs(outputs["conv2"].reshape(60, -1)).max(1), kind="stable")
        assert furthest == order[:5].tolist()


@pytest.mark.parametrize("range_mode", ["tensorrt", "two-pass"])
def test_without_samples_there_is_what_is_left_of_their_batch_to_the_bit(outputs, range_mode):
    """Counted from the range that was recorded; the other batches are as they were."""
    with recorded(range_mode=range_mode) as session:
        before = {name: session.histogram(name) for name in outputs}
        session.samples.leave_out(3, 25, 26)
        kept = np.setdiff1d(np.arange(60), [3, 25, 26])
        for name, values in outputs.items():
            parts = [kept[(kept >= start) & (kept < start + 20)] for start in (0, 20, 40)]
            expected = session._numbers.join([Histogram.of(values[rows], before[name].base) for rows in parts])
            found = session.histogram(name)
            np.testing.assert_array_equal(found.counts, expected.counts, name)
            assert (found.base, found.doublings, found.minimum, found.maximum) == (
                expected.base, expected.doublings, expected.minimum, expected.maximum,
            )  # fmt: skip
        session.undo()
        for name, was in before.items():
            np.testing.assert_array_equal(session.histogram(name).counts, was.counts)
        session.redo()
        assert session.samples.left_out == {3, 25, 26}


def test_a_session_of_the_rest_alone_has_the_same_thresholds_in_two_passes():
    """Where the samples set no range: leaving them out is then recording without them."""
    with recorded(range_mode="two-pass", batch_size=1) as session:
        extremes = {name: session.samples.amax(name) for name in session.calibrated}
        ruled = {int(np.argmax(amax)) for amax in extremes.values()}
        out = next(i for i in range(60) if i not in ruled)
        session.samples.leave_out(out)
        rest = np.delete(PIXELS, out, axis=0)
        with recorded(rest, range_mode="two-pass", batch_size=1) as other:
            assert {n: session.amax(n) for n in session.calibrated} == {n: other.amax(n) for n in other.calibrated}


def test_what_changes_without_a_sample_and_what_share_is_its(outputs):
    with recorded() as session:
        session.choose("conv2", amax=2.0)
        worst = session.samples.blame("conv2", 1)[0]
        assert worst.share is None
        session.samples.count(worst.sample)
        counted = session.samples.blame("conv2", 1)[0]
        values = np.abs(outputs["conv2"].reshape(60, -1))
        first = np.ceil(2.0 / session.histogram("conv2").bin_width) * session.histogram("conv2").bin_width
        assert counted.beyond == int((values[worst.sample] >= first).sum()) > 0
        assert counted.share == pytest.approx(counted.beyond / int((values >= first).sum()), abs=0)
        session.reset()
        changed = session.samples.without(worst.sample)
        now = {name: session.amax(name) for name in session.calibrated}
        assert {name: pair[0] for name, pair in changed.items()} == now
        session.samples.leave_out(worst.sample)
        assert {name: pair[1] for name, pair in changed.items()} == {n: session.amax(n) for n in session.calibrated}


def test_files_labels_hashes_and_pictures(tmp_path):
    for i, image in enumerate(PIXELS[:6]):
        folder = tmp_path / ("odd" if i % 2 else "even")
        folder.mkdir(exist_ok=True)
        Image.fromarray((255 * image[0]).round().astype(np.uint8)).save(folder / f"{i}.png")
    with recorded(ImageFolder(tmp_path, color="gray"), batch_size=3) as session:
        samples = session.samples
        assert samples.labels() == ["even/0.png", "even/2.png", "even/4.png", "odd/1.png", "odd/3.png", "odd/5.png"]
        assert samples.find("odd/3.png") == samples.find(tmp_path / "odd" / "3.png") == samples.find("3.png") == 4
        assert samples.batch_of(4) == 1
        assert samples.place_of(4) == 1
        assert samples.thumbnail(4).shape == (28, 28, 3)
        facts = samples.facts()
        fed = session.plan.load(1).feeds[""]
        assert bytes(facts["digest"][4]) == hashlib.blake2b(fed[1].tobytes(), digest_size=16).digest()
        np.testing.assert_allclose(facts["mean"][4, 0], fed[1].mean(), rtol=1e-6)
        np.testing.assert_array_equal(facts["high"][:, 0], [1.0] * 6)
        assert facts["is_image"].all()
        with pytest.raises(UsageError, match="names no sample"):
            samples.find("7.png")
        samples.leave_out("odd/3.png")
        session.save(tmp_path / "s.trtcal")
    loaded = CalibrationSession.load(tmp_path / "s.trtcal")
    assert loaded.samples.labels()[4] == "odd/3.png"
    assert loaded.samples.left_out == {4}
    assert loaded.amax("conv1") == session.amax("conv1")
    np.testing.assert_array_equal(loaded.samples.facts(), facts)
    np.testing.assert_array_equal(loaded.samples.extremes("ip1"), session.samples.extremes("ip1"))
    loaded.samples.bring_back()
    with pytest.raises(SessionError, match="load the session with model="):
        loaded.samples.leave_out(0)
    loaded.samples.leave_out(4)  # that was counted where the model was


def test_what_is_kept_of_an_input_is_of_the_whole_sample():
    """Padding is not part of it; a feed that is one sample is all rows of it; what samples share belongs to each."""
    a, b, ids = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32), np.arange(3)

    def digests(n, **feeds):
        return [fact["digest"].tobytes() for fact in facts_of(Batch(0, feeds, 0, n))]

    assert digests(1, x=np.concatenate([a[:1], b[:2]])) != digests(1, x=np.concatenate([a[:1], a[:2]]))
    assert digests(1, x=a) == digests(1, x=a[:1])  # padded to three
    assert digests(2, x=np.concatenate([a[:1], b[:1], a[:1]])) == [*digests(1, x=a[:1]), *digests(1, x=b[:1])]
    both = digests(3, x=a, table=np.arange(5.0), ids=ids)
    assert len(set(both)) == 3
    assert both != digests(3, x=a, table=np.arange(1.0, 6.0), ids=ids)
    assert len(digests(3, x=a, scalar=np.float32(1))) == 3


def test_numbers_are_kept_of_pixels_of_any_type():
    (fact,) = facts_of(Batch(0, {"a": np.zeros((1, 4)), "x": np.full((1, 3, 8, 8), 7, np.uint8)}, 0, 1))
    assert fact["is_image"]
    assert fact["channels"] == 3
    np.testing.assert_array_equal(fact["high"][:3], 7)


def test_classes_come_from_the_source():
    with recorded(sample.calibration_images(), max_batches=2) as session:
        np.testing.assert_array_equal(session.samples.classes(), sample.calibration_images().labels[:40])


def test_the_last_sample_of_a_batch_and_padding():
    with recorded(PIXELS[:25], last="pad") as session:
        assert len(session.samples) == 25
        session.samples.leave_out(*range(20, 25))
        whole = recorded(PIXELS[:20])
        for name in session.calibrated:
            np.testing.assert_array_equal(session.histogram(name).counts, whole.histogram(name).counts)
        session.samples.bring_back(20)
        assert session.histogram("data").n_values == (20 + 4) * 784
        whole.close()


def test_tensorrt_is_fed_batches_of_the_same_size_without_them():
    plan = BatchPlan(recorded().plan.source, 20)
    kept = KeptBatches(plan, [1], [2, 3, *range(40, 60)])
    assert kept.n_batches == 1
    fed = kept.load(0).feeds[""]
    expected = np.concatenate([np.delete(PIXELS[:20], [2, 3], axis=0), PIXELS[:2]])
    np.testing.assert_array_equal(fed, expected)


@pytest.mark.parametrize("wrong", [60, -1, 2.5, "nothing.png"])
def test_what_is_no_sample_is_refused(wrong):
    with recorded() as session, pytest.raises(UsageError):
        session.samples.leave_out(wrong)


def test_samples_without_a_file_are_counted_from_1_for_people():
    with recorded() as session:
        assert session.samples.label(0) == "sample 1"
        assert session.samples.labels()[16] == "sample 17"
        assert session.samples.find("sample 17") == 16
        assert session.samples.blame("conv2", 1)[0].label == f"sample {session.samples.blame('conv2', 1)[0].sample + 1}"


@pytest.mark.parametrize(
    "feeds",
    [
        {"x": np.random.default_rng(1).standard_normal((9, 3, 200, 200)).astype(np.float32)},
        {"x": np.full((9, 3, 200, 200), np.nan, np.float32), "ids": np.arange(9)},
        {"ids": np.arange(9 * 60_000).reshape(9, -1)},
    ],
)
def test_the_facts_of_samples_are_the_same_side_by_side(feeds):
    batch = Batch(0, feeds, 0, 9)
    assert facts_of(batch, 4).tobytes() == facts_of(batch).tobytes()


def test_constants_are_counted_once_per_runner(monkeypatch):
    runner = OnnxRuntimeRunner(sample.model_path())
    read, inner = [], OnnxRuntimeRunner.constants

    def constants(self):
        read.append(self)
        return inner(self)

    monkeypatch.setattr(OnnxRuntimeRunner, "constants", constants)
    sessions = [CalibrationSession(runner, IMAGES, batch_size=10) for _ in range(2)]
    for session in sessions:
        session.run()
    assert read == [runner]
    weight = next(name for name, tensor in sessions[0].graph.tensors.items() if tensor.is_fixed)
    first, second = (session.histogram(weight) for session in sessions)
    assert first.counts.tobytes() == second.counts.tobytes()
    assert sessions[0].weight_ranges.keys() == sessions[1].weight_ranges.keys() != set()
    runner.close()


class Wrapped:
    """A runner of a user's own, which another one computes for: no hash, as a dataclass has none."""

    __slots__ = ("graph", "inner", "name", "read")
    __hash__ = None

    def __init__(self, inner):
        self.inner, self.name, self.graph, self.read = inner, inner.name, inner.graph, 0

    def __enter__(self):
        self.inner.__enter__()
        return self

    def __exit__(self, *exc):
        self.inner.__exit__(*exc)

    def constants(self):
        self.read += 1
        return self.inner.constants()

    def histograms(self, feeds, bases):
        return self.inner.histograms(feeds, bases)


class Referred(Wrapped):
    """The same, with weak references."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(("kind", "reads"), [(Wrapped, 2), (Referred, 1)])
def test_constants_of_any_runner_are_counted_and_kept_as_long_as_it_lives(kind, reads):
    runner = kind(OnnxRuntimeRunner(sample.model_path()))
    key = id(runner)
    for _ in range(2):
        with CalibrationSession(runner, IMAGES, batch_size=20) as session:
            session.run()
            assert session.weight_channels("conv2") is not None
    assert runner.read == reads
    assert (key in _CONSTANTS) == (kind is Referred)
    session = runner = None
    gc.collect()
    assert key not in _CONSTANTS


def test_facts_of_samples_are_found_while_the_batch_runs(monkeypatch):
    found = threading.Event()

    def facts(*arguments):
        answer = facts_of(*arguments)
        found.set()
        return answer

    monkeypatch.setattr("trtcal_widgets.session.recorder.facts_of", facts)
    runner = OnnxRuntimeRunner(sample.model_path())
    inner = runner.histograms
    seen = []

    def histograms(feeds, bases):
        seen.append(found.wait(30))  # found behind the batch, it would come too late
        found.clear()
        return inner(feeds, bases)

    monkeypatch.setattr(runner, "histograms", histograms)
    with CalibrationSession(runner, IMAGES, batch_size=10) as session:
        session.run()
    assert seen == [True, True]
